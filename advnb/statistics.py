"""Exponents, intervals, thresholds: what tables of repeated trials are read for. The mathematics is scipy's.

What is resampled is what was drawn independently: a network, a seed, never the rows of one table that share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from advnb import checks

__all__ = [
    "Exponent", "Statistic", "aggregate", "bootstrap", "crossing", "exponent", "median_interval", "resampled",
    "thresholds", "wilson",
]  # fmt: skip

Array = NDArray[np.float64]
Names = str | Sequence[str]
Statistic = Callable[..., Any]
"""(values, axis) -> the statistic along that axis."""


def bootstrap(
    values: ArrayLike, statistic: Statistic = np.mean, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of ``statistic(values, axis=)`` over ``values`` (n,).

    It is (NaN, NaN) for fewer than two values, and if any of them is not finite.
    """
    sample = np.asarray(values)
    checks.number("confidence", confidence, lambda v: 0 < v < 1, "lie between 0 and 1")
    if len(sample) < 2 or not np.isfinite(sample).all():
        return float("nan"), float("nan")
    found = stats.bootstrap(
        (sample,), statistic, n_resamples=draws, confidence_level=confidence, method="percentile",
        vectorized=True, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def resampled(
    groups: Sequence[Array], fit: Callable[[Array], Sequence[float]], *, draws: int = 300, seed: int = 0
) -> tuple[Array, Array]:
    """Return the 95 percent bootstrap intervals of what ``fit`` finds, as (low, high), one entry a number.

    ``fit`` is called with rows drawn with replacement within each of ``groups``, stacked.
    """
    generator = np.random.default_rng(seed)
    drawn = [
        fit(np.concatenate([part[generator.integers(0, len(part), len(part))] for part in groups]))
        for _ in range(draws)
    ]
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0)
    return low, high


def median_interval(values: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return two of ``values`` (n,) between which the median of their distribution lies, whatever that is.

    Order statistics, so infinite values are allowed. (NaN, NaN) where no two of them reach the ``confidence``, as for
    fewer than six values at 95 percent, and if any is NaN.
    """
    sample = np.asarray(values, float)
    checks.number("confidence", confidence, lambda v: 0 < v < 1, "lie between 0 and 1")
    if len(sample) < 2 or np.isnan(sample).any():
        return float("nan"), float("nan")
    found = stats.quantile_test(sample, p=0.5).confidence_interval(confidence)
    return float(found.low), float(found.high)


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval for a share of ``successes`` in ``trials``; raised if there are none, or too many."""
    if checks.count("successes", successes, minimum=0) > checks.count("trials", trials):
        raise ValueError(f"successes must be at most the {trials} trials; got {successes}")
    found = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Exponent:
    """y ~ x^``value``, with the ``low`` and ``high`` ends of a 95 percent bootstrap interval over ``groups``."""

    value: float
    low: float
    high: float
    groups: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def exponent(table: pd.DataFrame, x: str, y: str, by: str | list[str], *, draws: int = 1000, seed: int = 0) -> Exponent:
    """Fit log ``y`` = a + slope log ``x``, an own intercept for each group of ``by``, and bootstrap over the groups.

    Rows where ``y`` is not positive and finite are left out, and so are groups with fewer than two values of
    ``x``. A single group has no interval (NaN). Raises ValueError if no group is left.
    """
    rows = table[np.isfinite(table[y]) & (table[y] > 0)]
    moments = [
        _moments(np.log(group[x].to_numpy(float)), np.log(group[y].to_numpy(float))) for _, group in rows.groupby(by)
    ]
    sums = np.array([moment for moment in moments if moment[0] > 0])
    if len(sums) == 0:
        raise ValueError(f"no group of {by} has two values of {x} with a positive {y}: an exponent cannot be fitted")

    def slope(pick: NDArray[np.int64], axis: int) -> Any:
        return sums[pick, 1].sum(axis) / sums[pick, 0].sum(axis)

    groups = np.arange(len(sums))
    low, high = bootstrap(groups, slope, draws=draws, seed=seed)
    return Exponent(float(slope(groups, 0)), low, high, len(sums))


def _moments(x: Array, y: Array) -> tuple[float, float]:
    """Sum of squares of x and sum of products with y, about their means."""
    x = x - x.mean()
    return float((x * x).sum()), float((x * y).sum())


def aggregate(
    table: pd.DataFrame, by: Names, fields: Names, *, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return the mean over seeds of each field in each group, with a percentile bootstrap interval.

    A seed is what was drawn independently: where a group has several rows with one seed they are averaged first,
    and the means of the seeds are resampled.

    Returns one row for each group and field, with the columns ``by``, ``field``, ``mean``, ``low``, ``high`` and
    ``n`` (seeds). The interval is NaN for a single seed, and if any value is NaN or infinite.
    """
    groups = [by] if isinstance(by, str) else list(by)
    names = [fields] if isinstance(fields, str) else list(fields)
    for argument, wanted in (("by", groups), ("fields", names)):
        checks.columns(argument, wanted, table.columns)
    rows = []
    for group, part in table.groupby(groups, sort=True, dropna=False):
        for name in names:
            values = part[name].astype(float).groupby(part["seed"]).mean().to_numpy()
            interval = bootstrap(values, confidence=confidence, draws=draws, seed=seed)
            rows.append((*group, name, values.mean(), *interval, len(values)))
    return pd.DataFrame(rows, columns=[*groups, "field", "mean", "low", "high", "n"])


def crossing(x: ArrayLike, y: ArrayLike, level: float) -> float:
    """Return where ``y`` first crosses ``level``, between the points of ``x`` (ascending); NaN if it does not.

    R50 is the crossing of robust accuracy over the budget at 0.5, and R5 at 0.05. Raises if x does not ascend.
    """
    at, values = np.asarray(x, float), np.asarray(y, float)
    if at.shape != values.shape or len(at) < 2 or not (np.diff(at) > 0).all():
        raise ValueError(f"crossing needs ascending x and as many y, at least two; got {at} and {values}")
    above: NDArray[np.bool_] = values >= level
    change = np.flatnonzero(above[1:] != above[:-1])
    if len(change) == 0:
        return float("nan")
    k = int(change[0])
    share = (level - values[k]) / (values[k + 1] - values[k])
    return float(at[k] + share * (at[k + 1] - at[k]))


def thresholds(
    table: pd.DataFrame, along: str, by: list[str], *, field: str = "worst", level: float = 0.5
) -> pd.DataFrame:
    """Return for each group of ``by`` and each seed where ``field`` crosses ``level`` along ``along``.

    The columns are ``by``, ``seed`` and ``along``; NaN where it does not cross.
    """
    groups = table.sort_values(along).groupby([*by, "seed"])
    rows = [(*key, crossing(part[along], part[field], level)) for key, part in groups]
    return pd.DataFrame(rows, columns=[*by, "seed", along])
