"""What percentiles say about a distribution."""

import numpy as np
import pytest
from scipy import stats

from advnb.papers.convergence.percentiles import LEVELS, below, distance, median


def test_percentiles_of_a_known_distribution():
    normal = stats.norm(1, 0.2).ppf(LEVELS.clip(0.001, 0.999))
    assert median(normal) == pytest.approx(1)
    assert below(normal, 1.2) == pytest.approx(stats.norm.cdf(1), abs=0.01)
    assert (below(normal, -5), below(normal, 5)) == (0, 1)


def test_the_distance_of_distributions():
    one = np.linspace(0, 1, 51)
    assert distance(one, one) == 0 and distance(one, one + 5) == 1
    assert distance(one, one + 0.25) == pytest.approx(0.25)
    assert distance(one, one / 2) == distance(one / 2, one) == pytest.approx(0.5)
