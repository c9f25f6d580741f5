"""Defences compared seed by seed: the mean of a paired difference, with Student's interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["Gain", "Value", "by_seed", "gain", "paired", "points"]

Value = str | Sequence[str] | Callable[[Any], float]
"""What is compared: a field, the mean of several fields, or a function of a row."""


@dataclass(frozen=True)
class Gain:
    """The mean of ``n`` differences with its 95 percent t interval, (NaN, NaN) for fewer than two.

    The interval takes the seeds' differences as independent and near enough normal; 3 or 5 of them are few.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return points(self)


def paired(differences: ArrayLike) -> Gain:
    """Return the mean of ``differences`` (n,) with Student's interval."""
    values = np.asarray(differences, float)
    n = len(values)
    mean = float(values.mean()) if n else float("nan")
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(values)) if n > 1 else float("nan")
    return Gain(mean, mean - half, mean + half, n)


def by_seed(table: pd.DataFrame, value: Value, defence: str) -> pd.Series:
    """Return ``value`` of a defence's networks, one entry a seed."""
    rows = table[table["defence"] == defence].set_index("seed")
    if callable(value):
        return rows.apply(value, axis=1).astype(float)
    return rows[[value] if isinstance(value, str) else list(value)].astype(float).mean(axis=1)


def gain(table: pd.DataFrame, value: Value, one: str, other: str) -> Gain:
    """Return by how much ``value`` is larger for ``one`` defence than for the ``other``, paired by seed."""
    return paired((by_seed(table, value, one) - by_seed(table, value, other)).dropna())


def points(found: Gain, digits: int = 1) -> str:
    """Return a gain in points of a per cent with its interval, as text: "+1.2 [0.4, 2.0]"."""
    nudge = 1e-7  # means of shares of a thousand images lie on ties, which must round one way everywhere
    mean, low, high = (f"{100 * value + nudge:.{digits}f}" for value in (found.mean, found.low, found.high))
    return f"{'' if mean.startswith('-') else '+'}{mean} [{low}, {high}]"
