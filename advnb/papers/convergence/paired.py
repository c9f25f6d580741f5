"""Two ways of training compared seed by seed, and what the percentiles of a run say about its distribution."""

from __future__ import annotations

from dataclasses import dataclass

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
        mean, low, high = (f"{100 * value:+.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} points [{low}, {high}]"


def difference(one: pd.Series, other: pd.Series) -> Difference:
    """Return ``one`` minus ``other``, two series over the same seeds; raised if these differ or are fewer than two."""
    if len(one) < 2 or not one.index.sort_values().equals(other.index.sort_values()):
        raise ValueError(f"one and other must share two seeds or more; got {list(one.index)} and {list(other.index)}")
    each = (one - other).to_numpy(float)
    if np.ptp(each) == 0:
        return Difference(float(each[0]), float(each[0]), float(each[0]), len(each))
    low, high = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    return Difference(float(each.mean()), float(low), float(high), len(each))


def by_seed(table: pd.DataFrame, field: str, **where: object) -> pd.Series:
    """Return ``field`` over the seeds, for the rows whose columns have the values ``where``."""
    chosen = np.logical_and.reduce([table[name] == value for name, value in where.items()])
    return table[chosen].set_index("seed")[field].sort_index()


def below(percentiles: ArrayLike, level: float) -> float:
    """Return the share of a distribution below ``level``, from its percentiles (51,)."""
    values = np.asarray(percentiles, float)
    return float(np.interp(level, values, LEVELS, left=0.0, right=1.0))


def median(percentiles: ArrayLike) -> float:
    """Return the median of a distribution from its percentiles (51,)."""
    return float(np.interp(0.5, LEVELS, np.asarray(percentiles, float)))


def distance(one: ArrayLike, other: ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance, in [0, 1], of two distributions given by percentiles (51,)."""
    first, second = np.asarray(one, float), np.asarray(other, float)
    at: NDArray[np.float64] = np.union1d(first, second)
    shares = [np.interp(at, values, LEVELS, left=0.0, right=1.0) for values in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())
