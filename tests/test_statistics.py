"""Exponents, intervals and thresholds read from tables of repeated trials."""

import math

import numpy as np
import pandas as pd
import pytest

from advnb import statistics
from advnb.statistics import aggregate, bootstrap, crossing, exponent, median_interval, resampled, thresholds, wilson

# intervals


def test_the_bootstrap_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(300, 40))
    intervals = np.array([bootstrap(row, confidence=0.9, draws=400) for row in draws])
    covered = ((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)).mean()
    assert 0.82 < covered < 0.95


def test_the_bootstrap_is_seeded_and_takes_any_statistic():
    values = np.random.default_rng(1).exponential(size=50)
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)
    low, high = bootstrap(values, np.median)
    assert low < np.median(values) < high
    assert bootstrap(values, confidence=0.5)[1] < bootstrap(values)[1]


def test_there_is_no_bootstrap_of_one_value_or_of_infinite_ones():
    assert np.isnan([bootstrap([1.0]), bootstrap([1.0, np.nan]), bootstrap([1.0, np.inf])]).all()


def test_the_interval_of_a_median_is_made_of_order_statistics_and_covers_it():
    assert median_interval([*range(1, 10), math.inf]) == (2, 9)  # P(at most 1 of 10 below the median) = 11/1024
    assert median_interval([1, 2, 3, 4, 5, math.inf]) == (1, math.inf)  # 2 / 64 < 5%
    assert all(map(math.isnan, median_interval([1, 2, 3, 4, 5]))) and all(
        map(math.isnan, median_interval([math.nan] * 9))
    )
    drawn = np.random.default_rng(0).exponential(size=(400, 10))
    intervals = np.array([median_interval(row) for row in drawn])
    inside = (intervals[:, 0] <= math.log(2)) & (math.log(2) <= intervals[:, 1])
    assert inside.mean() >= 0.95


def test_rows_are_resampled_within_their_group():
    groups = [np.array([[1.0, 10.0], [2.0, 20.0]]), np.array([[100.0, 0.0]])]

    def fit(rows):
        assert len(rows) == 3 and rows[2].tolist() == [100.0, 0.0]
        return rows[:2].mean(0)

    low, high = resampled(groups, fit, draws=200)
    assert low.tolist() == [1.0, 10.0] and high.tolist() == [2.0, 20.0]


def test_wilsons_interval_covers_and_refuses():
    low, high = wilson(0, 100)
    assert low == 0.0 and 0.02 < high < 0.05
    assert wilson(50, 100, confidence=0.5)[0] > wilson(50, 100)[0]
    with pytest.raises(ValueError, match="successes must be at most the 2 trials; got 3"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="trials must be at least 1; got 0"):
        wilson(0, 0)
    with pytest.raises(ValueError, match=r"successes must be a whole number; got 0\.5"):
        wilson(0.5, 2)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_wrong_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence must"):
        median_interval([1.0, 2.0], confidence=confidence)
    table = pd.DataFrame({"seed": [0], "d": [2], "x": [3.0]})
    with pytest.raises(ValueError, match=f"confidence must lie between 0 and 1; got {confidence}"):
        aggregate(table, "d", "x", confidence=confidence)


# exponents


def test_an_exponent_is_recovered_with_different_prefactors():
    rng = np.random.default_rng(0)
    rows = [
        {"net": net, "x": x, "y": 10.0**net * x**-1.5 * math.exp(0.01 * rng.standard_normal())}
        for net in range(6)
        for x in (0.1, 0.3, 1.0)
    ]
    fit = exponent(pd.DataFrame(rows), "x", "y", by="net")
    assert fit.low <= -1.5 <= fit.high and fit.high - fit.low < 0.05 and fit.groups == 6
    assert str(fit) == f"{fit.value:.2f} [{fit.low:.2f}, {fit.high:.2f}]"
    with pytest.raises(ValueError, match=r"no group of net has two values of x with a positive y"):
        exponent(pd.DataFrame(rows[:1]), "x", "y", by="net")


def test_an_exponent_leaves_out_what_has_no_logarithm_and_one_group_has_no_interval():
    rows = pd.DataFrame({"net": [0, 0, 0, 0, 1], "x": [1.0, 2.0, 4.0, 8.0, 1.0], "y": [1.0, 4.0, 0.0, np.inf, 5.0]})
    fit = exponent(rows, "x", "y", by=["net"])
    assert fit.value == pytest.approx(2.0) and fit.groups == 1
    assert math.isnan(fit.low) and math.isnan(fit.high)


# tables


@pytest.fixture
def walks() -> pd.DataFrame:
    """Five seeds at two lengths and two scales."""
    rng = np.random.default_rng(0)
    rows = [(steps, scale, seed) for steps in (5, 10) for scale in (0.1, 1.0) for seed in range(5)]
    table = pd.DataFrame(rows, columns=["steps", "scale", "seed"])
    return table.assign(end=rng.normal(size=len(rows)), far=rng.uniform(size=len(rows)))


def test_the_mean_is_taken_over_seeds(walks):
    means = aggregate(walks, ["steps", "scale"], ["end", "far"])
    assert means.columns.tolist() == ["steps", "scale", "field", "mean", "low", "high", "n"]
    row = means[(means.steps == 10) & (means["scale"] == 1.0) & (means.field == "far")].iloc[0]
    expected = walks[(walks.steps == 10) & (walks["scale"] == 1.0)].far
    assert row["mean"] == pytest.approx(expected.mean()) and row.n == 5
    assert expected.min() <= row.low < row["mean"] < row.high <= expected.max()
    assert row[["low", "high"]].tolist() == pytest.approx(bootstrap(expected))
    pd.testing.assert_frame_equal(means, aggregate(walks, ["steps", "scale"], ["end", "far"]))


def test_rows_of_one_seed_count_once():
    """Ten copies of each seed are no more evidence than one."""
    once = pd.DataFrame({"seed": range(6), "x": [1.0, 2.0, 4.0, 8.0, 3.0, 5.0], "d": 2})
    copies = pd.concat([once] * 10)
    pd.testing.assert_frame_equal(aggregate(once, "d", "x"), aggregate(copies, "d", "x"))


def test_there_is_no_interval_where_there_is_none():
    one = aggregate(pd.DataFrame({"seed": [0], "d": [2], "x": [3.0]}), "d", "x")
    assert one["mean"][0] == 3.0 and one[["low", "high"]].isna().all(axis=None) and one.n[0] == 1
    nan = aggregate(pd.DataFrame({"seed": [0, 1], "d": [2, 2], "x": [3.0, np.inf]}), "d", "x")
    assert nan["mean"][0] == np.inf and nan[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("width", "x"), "by must name columns .*; got 'width'"),
        (("d", "loss"), "fields must name columns .*; got 'loss'"),
    ],
)
def test_a_wrong_column_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        aggregate(pd.DataFrame({"seed": [0], "d": [2], "x": [3.0]}), *arguments)


def test_crossing():
    assert crossing([1, 2, 4], [1.0, 0.75, 0.25], 0.5) == 3
    assert np.isnan(crossing([1, 2], [1.0, 0.9], 0.5))
    for x, y in (([2, 1], [1.0, 0.9]), ([1, 2], [1.0]), ([1], [1.0])):
        with pytest.raises(ValueError, match="crossing needs ascending x and as many y, at least two; got"):
            crossing(x, y, 0.5)


def test_thresholds_of_each_seed():
    table = pd.DataFrame(
        {"side": [5] * 6, "seed": [0, 0, 0, 1, 1, 1], "budget": [3, 1, 2] * 2, "worst": [0, 1, 1, 0.6, 1, 0.8]}
    )
    found = thresholds(table, "budget", ["side"])
    assert found["seed"].tolist() == [0, 1] and found["budget"].tolist()[0] == 2.5
    assert np.isnan(found["budget"][1])
    assert statistics.thresholds(table, "budget", ["side"], level=0.7)["budget"][1] == 2.5
