"""Two ways of training compared seed by seed, and what the percentiles of a run say about its distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from advnb.book.rounding import about

LEVELS = np.linspace(0, 1, 51)
"""The levels of ``recipes.percentiles``."""


@dataclass(frozen=True)
class Difference:
    """The mean over ``seeds`` of a paired difference, with the ends of Student's 95 percent interval."""

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        return f"{about(self.mean)} [{about(self.low)}, {about(self.high)}]"

    @property
    def points(self) -> str:
        """The difference of two shares in percentage points, with its sign."""
        nudge = 1e-7  # means of shares of a thousand images lie on ties, which must round one way everywhere
        mean, low, high = (f"{100 * value + nudge:+.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} points [{low}, {high}]"


def over_seeds(differences: ArrayLike) -> Difference:
    """Return the mean of paired ``differences`` with Student's interval, which is NaN for fewer than two of them.

    The interval takes the seeds as independent and the differences as near enough normal; 3 or 5 seeds are few.
    """
    each = np.asarray(differences, float)
    n = len(each)
    mean = float(each.mean()) if n else float("nan")
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(each)) if n > 1 else float("nan")
    return Difference(mean, mean - half, mean + half, n)


Value = str | Sequence[str] | Callable[[Any], float]
"""What of a network is compared: a field, the mean of several fields, or a function of its row."""


def of_defence(table: pd.DataFrame, value: Value, defence: str) -> pd.Series:
    """Return ``value`` of a defence's networks, one entry a seed."""
    rows = table[table["defence"] == defence].set_index("seed").sort_index()
    if callable(value):
        return rows.apply(value, axis=1).astype(float)
    return rows[[value] if isinstance(value, str) else list(value)].astype(float).mean(axis=1)


def gain(table: pd.DataFrame, value: Value, one: str, other: str) -> Difference:
    """Return by how much ``value`` is larger for ``one`` defence than for the ``other``, over the seeds of both."""
    return over_seeds((of_defence(table, value, one) - of_defence(table, value, other)).dropna())


def below(percentiles: ArrayLike, level: float) -> float:
    """Return the share of a distribution below ``level``, from its percentiles (51,)."""
    values = np.asarray(percentiles, float)
    return float(np.interp(level, values, LEVELS, left=0.0, right=1.0))


def quantile(percentiles: ArrayLike, level: float) -> float:
    """Return the quantile of a distribution at ``level``, between its percentiles (51,)."""
    return float(np.interp(level, LEVELS, np.asarray(percentiles, float)))


def median(percentiles: ArrayLike) -> float:
    """Return the median of a distribution from its percentiles (51,)."""
    return quantile(percentiles, 0.5)


def distance(one: ArrayLike, other: ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance, in [0, 1], of two distributions given by percentiles (51,)."""
    first, second = np.asarray(one, float), np.asarray(other, float)
    at: NDArray[np.float64] = np.union1d(first, second)
    shares = [np.interp(at, values, LEVELS, left=0.0, right=1.0) for values in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())
