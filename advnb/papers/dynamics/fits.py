"""Exponents with intervals: the slope of log y against log x, pooled over nets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Exponent:
    """y ~ x^``value``, with the ``low`` and ``high`` ends of a 95 percent bootstrap interval over ``groups``
    nets.
    """

    value: float
    low: float
    high: float
    groups: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def exponent(
    table: pd.DataFrame, x: str, y: str, by: str | list[str], *, draws: int = 1000, seed: int = 0
) -> Exponent:
    """Fit log ``y`` = a + slope log ``x`` with an own intercept for each group of ``by``, and bootstrap over
    the groups.

    Rows where ``y`` is not positive and finite are left out, and so are groups with fewer than two values of
    ``x``. Raises ValueError if no group is left.
    """
    rows = table[np.isfinite(table[y]) & (table[y] > 0)]
    moments = [
        _moments(np.log(group[x].to_numpy(float)), np.log(group[y].to_numpy(float)))
        for _, group in rows.groupby(by)
    ]
    sums = np.array([moment for moment in moments if moment[0] > 0])
    if len(sums) == 0:
        raise ValueError(
            f"no group of {by} has two values of {x} with a positive {y}: an exponent cannot be fitted"
        )
    pick = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    slopes = sums[pick, 1].sum(1) / sums[pick, 0].sum(1)
    low, high = np.quantile(slopes, (0.025, 0.975))
    return Exponent(float(sums[:, 1].sum() / sums[:, 0].sum()), float(low), float(high), len(sums))


def _moments(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Sum of squares of x and sum of products with y, about their means."""
    x = x - x.mean()
    return float((x * x).sum()), float((x * y).sum())


def wilson(successes: int, trials: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 percent interval for a share of ``successes`` in ``trials``; raised if ``trials`` is not
    positive.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"need 0 <= successes <= trials and trials >= 1; got {successes} of {trials}")
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * (share * (1 - share) / trials + z**2 / (4 * trials**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
