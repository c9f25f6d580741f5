"""Exponents, intervals and thresholds read from tables of repeated trials."""

import numpy as np
import pandas as pd
import pytest

from advnb import statistics


def test_crossing():
    assert statistics.crossing([1, 2, 4], [1.0, 0.75, 0.25], 0.5) == 3
    assert np.isnan(statistics.crossing([1, 2], [1.0, 0.9], 0.5))
    with pytest.raises(ValueError, match="crossing needs ascending x"):
        statistics.crossing([2, 1], [1.0, 0.9], 0.5)


def test_thresholds_of_each_seed():
    table = pd.DataFrame(
        {"side": [5] * 6, "seed": [0, 0, 0, 1, 1, 1], "budget": [3, 1, 2] * 2, "worst": [0, 1, 1, 0.6, 1, 0.8]}
    )
    found = statistics.thresholds(table, "budget", ["side"])
    assert found["seed"].tolist() == [0, 1] and found["budget"].tolist()[0] == 2.5
    assert np.isnan(found["budget"][1])
    assert statistics.thresholds(table, "budget", ["side"], level=0.7)["budget"][1] == 2.5
