"""Paired differences, and what percentiles say about a distribution."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advnb.papers.convergence.paired import LEVELS, Difference, below, by_seed, difference, distance, median


def test_a_difference_is_the_paired_t_interval():
    one, other = pd.Series([0.9, 0.8, 0.7]), pd.Series([0.8, 0.75, 0.72])
    found = difference(one, other)
    low, high = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx(((one - other).mean(), low, high))
    assert found.seeds == 3


def test_seeds_are_paired_by_their_name():
    one, other = pd.Series([1.0, 2.0], index=[0, 1]), pd.Series([2.0, 1.0], index=[1, 0])
    assert difference(one, other) == Difference(0.0, 0.0, 0.0, 2)


def test_other_seeds_or_a_single_one_are_refused():
    with pytest.raises(ValueError, match=r"one and other must share two seeds or more; got \[0, 1\] and \[0, 2\]"):
        difference(pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], index=[0, 2]))
    with pytest.raises(ValueError, match=r"must share two seeds or more; got \[0\] and \[0\]"):
        difference(pd.Series([1.0]), pd.Series([2.0]))


def test_what_a_difference_says():
    found = Difference(0.0123, -0.0042, 0.0288, 5)
    assert found.points == "+1.2 points [-0.4, +2.9]" and str(found) == "0.012 [-0.0042, 0.029]"


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


def test_rows_are_chosen_by_their_columns():
    table = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "seed": [1, 0, 0], "v": [3.0, 4.0, 5.0]})
    assert by_seed(table, "v", a=1).to_dict() == {0: 4.0, 1: 3.0}
    assert by_seed(table, "v", a=1, b="x").to_dict() == {1: 3.0}
