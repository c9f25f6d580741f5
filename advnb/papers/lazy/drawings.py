"""What the pictures of Figure 4 and of Algorithm 1 share: the three attacks in their colours, and ticks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis

from advnb.book import figures

NAMES = {"raw": "PGD, raw", "unit": "PGD, unit", "exact": "one exact step"}
LOOKS = dict(zip(NAMES, figures.CYCLE, strict=False))
"""The fields of ``adversarial.robust_accuracy`` that are attacks: what each is called, and its colour."""

PAPER: dict[str, Any] = {**figures.line("paper"), "marker": ""}
"""A threshold of the paper, drawn as a line."""


def ticks(axis: Axis, values: Iterable[float]) -> None:
    """Put ticks at ``values`` and nowhere else, for logarithmic axes."""
    places = list(values)
    axis.set_ticks(places, [f"{value:g}" for value in places])
    axis.set_ticks([], minor=True)


def draw_attacks(ax: Axes, table: pd.DataFrame, along: str) -> None:
    """Draw robust accuracy by each of the three attacks along an axis, with the range of the seeds."""
    for name, look in LOOKS.items():
        part = table.groupby(along)[name].agg(["mean", "min", "max"])
        under: dict[str, Any] = {"lw": 5, "alpha": 0.45} if name == "raw" else {}  # unit often hides raw
        ax.plot(part["mean"], color=look, label=NAMES[name], **under)
        ax.fill_between(part.index, part["min"], part["max"], color=look, alpha=0.15)
    ax.set(xscale="log", ylim=(0, 1.03), ylabel="robust accuracy")
    ticks(ax.xaxis, sorted(table[along].unique()))
