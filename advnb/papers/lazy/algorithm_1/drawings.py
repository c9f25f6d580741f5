"""The pictures of the page: all variants of Algorithm 1, an attack that large outputs stop, training set free."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.lazy.adversarial import DIRECTIONS
from advnb.papers.lazy.algorithm_1.claims import PROJECTED
from advnb.papers.lazy.drawings import draw_attacks, ticks
from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.transition import relative_budget


def draw_variants(axes: Any, table: pd.DataFrame) -> None:
    """Draw robust accuracy and the C0 reached, on two Axes, a row a variant and a colour a cell; dots are seeds."""
    names = table["projected"] + ", " + table["direction"]
    rows = [row for when in PROJECTED.values() for kind in DIRECTIONS if (row := f"{when}, {kind}") in set(names)]
    for (d, budget), part in table.groupby(["d", "budget"]):
        height = names[part.index].map(rows.index)
        label = f"d = {d}, R = {budget:g}"
        for ax, field in zip(axes, ("worst", "moved"), strict=True):
            ax.plot(part[field], height, "o", alpha=0.6, label=label)
    axes[0].set(xlabel="robust accuracy", xlim=(-0.03, 1.03))
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].legend(loc=(0.08, 0.35))
    axes[1].set(xlabel="C0 of the weights kept", xlim=(0, None))
    axes[1].axvline(10, color=figures.INK, lw=0.8)
    axes[1].set_yticks(range(len(rows)), [])
    for ax in axes:
        ax.set_ylim(len(rows) - 0.5, -0.5)


def draw_masking(ax: Axes, masking: pd.DataFrame) -> None:
    """Draw robust accuracy by each attack over the factor on the weights of one and the same classifier."""
    draw_attacks(ax, masking, "factor")
    ax.set(xlabel="weights multiplied by s", ylabel="robust accuracy at R = 0.4")
    ax.legend(loc="center right")


def draw_beyond(axes: Any, table: pd.DataFrame, points: pd.DataFrame, law: Law) -> None:
    """Draw what leaving the ball buys in each cell, and where those networks lie among all, on two Axes.

    ``table`` is that of ``claims.variants``, ``points`` that of ``transition.collapsed``.
    """
    ends = table.query("direction == 'raw' and projected in ('each epoch', 'never')")
    for (d, budget), part in ends.groupby(["d", "budget"]):
        chain = part.groupby("projected")[["moved", "worst"]].mean()
        axes[0].plot(chain["moved"], chain["worst"], "o-", label=f"d = {d}, R = {budget:g}")
    axes[0].axvline(10, color=figures.INK, lw=0.8)
    axes[0].set(xlabel="C0 that training reached", ylabel="robust accuracy", ylim=(-0.02, 1.03))
    free = table.query("projected == 'never'")
    red = figures.COLOURS["adversarial"]
    axes[1].plot(points["relative"], points["worst"], ".", color=figures.FAINT, alpha=0.5, label="Figure 4")
    axes[1].plot(relative_budget(free, law), free["worst"], "s", color=red, label="never projected")
    axes[1].set(xscale="log", xlabel="budget / law at the C0 reached", xlim=(0.1, 6))
    ticks(axes[1].xaxis, [0.1, 0.2, 0.5, 1, 2, 5])
    for ax in axes:
        ax.legend()
