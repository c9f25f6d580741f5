"""What the stored runs of the bounds are read for, and bounds at the sizes of a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advnb.experiments import unroll

C0 = 10.0
"""One of the radii of the experiments of the paper, at which both pages set bounds beside what was measured."""


def worst_cases(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each size and each C0 of ``lazy.bounds``, with V = C0 / sqrt(m) and R = 1 / sqrt(d) beside."""
    fields = ["c0", "flips", "flips_nearby", "value", "gradient_low", "gradient_high"]
    rows = unroll(runs, fields, index="size")
    return rows.assign(V=rows["c0"] / rows["m"] ** 0.5, R=rows["d"] ** -0.5)


def at_paper(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at d = 784, m = 10^4 and C0 = 10."""
    return rows[(rows["d"] == 784) & (rows["m"] == 10_000) & (rows["c0"] == C0)]


def at(bound: Callable[..., float], rows: pd.DataFrame, *columns: str) -> NDArray[np.float64]:
    """Return ``bound`` of the named columns, for each row."""
    return np.array([bound(*values) for values in rows[list(columns)].itertuples(index=False)], float)


def law(d: pd.Series | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sqrt(d arcsin(R) / pi), R = 1 / sqrt(d): what the gradient changes by at the start, for one delta."""
    d = np.asarray(d, float)
    return np.sqrt(np.arcsin(d**-0.5) / np.pi * d)
