"""Paired differences, and what percentiles say about a distribution."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advnb.papers.convergence.paired import LEVELS, Difference, below, distance, gain, median, over_seeds, quantile


def test_a_difference_is_the_paired_t_interval():
    one, other = pd.Series([0.9, 0.8, 0.7]), pd.Series([0.8, 0.75, 0.72])
    found = over_seeds(one - other)
    low, high = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(((one - other).mean(), low, high))
    assert found.seeds == 3


def test_seeds_are_paired_by_their_name_and_one_without_a_partner_is_left_out():
    rows = [("one", 0, 1.0), ("one", 1, 2.0), ("other", 1, 1.0), ("other", 0, 2.0), ("one", 2, 9.0)]
    table = pd.DataFrame(rows, columns=["defence", "seed", "v"])
    assert gain(table, "v", "one", "other").seeds == 2 and gain(table, "v", "one", "other").mean == 0


def test_a_single_seed_has_no_interval():
    found = over_seeds([0.5])
    assert found.mean == 0.5 and np.isnan([found.low, found.high]).all()


def test_what_a_difference_says():
    found = Difference(0.0123, -0.0042, 0.0288, 5)
    assert found.points == "+1.2 points [-0.4, +2.9]" and str(found) == "0.012 [-0.0042, 0.029]"


def test_percentiles_of_a_known_distribution():
    normal = stats.norm(1, 0.2).ppf(LEVELS.clip(0.001, 0.999))
    assert median(normal) == pytest.approx(1)
    assert quantile(normal, 0.75) == pytest.approx(stats.norm(1, 0.2).ppf(0.75), abs=1e-3)
    assert below(normal, 1.2) == pytest.approx(stats.norm.cdf(1), abs=0.01)
    assert (below(normal, -5), below(normal, 5)) == (0, 1)


def test_the_distance_of_distributions():
    one = np.linspace(0, 1, 51)
    assert distance(one, one) == 0 and distance(one, one + 5) == 1
    assert distance(one, one + 0.25) == pytest.approx(0.25)
    assert distance(one, one / 2) == distance(one / 2, one) == pytest.approx(0.5)
