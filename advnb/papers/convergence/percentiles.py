"""What the 51 percentiles that ``recipes.percentiles`` keeps say about a distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVELS", "below", "distance", "median"]

LEVELS = np.linspace(0, 1, 51)
"""The levels of ``recipes.percentiles``."""


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
