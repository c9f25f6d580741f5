"""Tables of the page's trials: a row a radius C0, a row a scale of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from advnb.experiments import unroll

PER_C0 = ("start", "pushed", "worst", "several", "angle", "held")
"""Fields of ``worst_weights`` with one entry a radius C0."""


def by_c0(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and C0 from a table of ``worst_weights``, with ``ratio`` = C0 / sqrt(d)."""
    rows = unroll(table, ["c0", *PER_C0])
    return rows.assign(ratio=rows["c0"] / np.sqrt(rows["d"]))


def by_scale(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and scale r of the weights from a table of ``scaled_weights``."""
    return unroll(table, ["scale", "same", "norm", "eta"])


def level(c0: Any) -> Any:
    """Return sqrt(2 / pi) + C0 / sqrt(2): the longest step times sqrt(d), to first order, for d large against C0^2."""
    return np.sqrt(2 / np.pi) + c0 / np.sqrt(2)


def on_the_grid(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the longest minimal step in units of ||x||, a row a C0 and a column a d of the paper's figures.

    ``rows`` come from :func:`by_c0`; the width is 1000.
    """
    paper = rows[(rows["m"] == 1000) & (rows["c0"] >= 10) & (rows["d"] <= 784)]
    return paper.assign(length=paper["worst"] / np.sqrt(paper["d"])).pivot_table("length", "c0", "d")
