"""The drawings of the page: what built weights need for n inputs, and how many inputs ascent finds held."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.lazy.how_many.claims import most, needed
from advnb.papers.lazy.how_many.hide import ALL, vanishing


def draw_needed(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the C0 / sqrt(d) that built weights need against n, a colour a width, beside the limit for large widths."""
    for k, (m, row) in enumerate(needed(table).iterrows()):
        ax.loglog(row.index, row, "o-", color=figures.CYCLE[k], label=f"m = {m:,}")
    counts = np.unique(np.geomspace(1, 16, 9).round()).astype(int)
    ax.loglog(counts, [vanishing(int(n)) for n in counts], **figures.line("bound"), label="limit, exact")
    ax.axhline(ALL, **(figures.line("paper") | {"marker": ""}))
    ax.set(xlabel="inputs n", ylabel="C₀ / √d needed", ylim=(0.7, 12))
    ax.set_xticks([1, 2, 4, 8, 16], labels=["1", "2", "4", "8", "16"])
    ax.set_yticks([1, 2, 5, 10], labels=["1", "2", "5", "10"])
    ax.minorticks_off()
    ax.legend()


def draw_most(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the most inputs that ascent finds held, over C0 / sqrt(d), beside the count of the energy argument."""
    for k, (data, name) in enumerate((("sphere", "sphere"), ("mnist", "MNIST"))):
        for d, row in most(table, data).iterrows():
            marker = "o-" if d == 25 else "s--"
            ax.plot(row.dropna(), marker, color=figures.CYCLE[k], label=f"{name}, d = {d}")
    ratio = np.linspace(1, 2, 30)
    ax.plot(ratio, ratio**2 - 1, **(figures.line("paper") | {"marker": ""}), label="C₀² / d − 1")
    ax.set(xlabel="C₀ / √d", ylabel="most inputs held")
    ax.legend()
