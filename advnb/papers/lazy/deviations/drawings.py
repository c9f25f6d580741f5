"""The pictures of what the figures leave open, and Figure 7."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from advnb.book import figures
from advnb.papers.lazy.flips import RADII
from advnb.papers.lazy.laws import Law, movement_law


def draw_paths(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw how far the fastest unit has moved against the steps: a curve a trajectory, a colour a dimension.

    The dotted lines are the mean laws a + b log t of each dimension, the dashed ones the paper's C0.
    """
    t = np.geomspace(30, 1e6)
    for colour, side in zip(figures.CYCLE, (5, 10, 28), strict=False):
        trials = table[table["side"] == side]
        paths = list(zip(trials["path_steps"], trials["path_moved"], strict=True))
        for steps, moved in paths:
            ax.plot(steps, moved, color=colour, alpha=0.5, lw=1)
        a, b, _ = np.mean([movement_law(*path) for path in paths], axis=0)
        ax.plot(t, a + b * np.log(t), ":", color=colour, label=f"d = {side**2}")
    for radius in RADII:
        ax.axhline(radius, color=figures.COLOURS["paper"], lw=0.6, ls="--")
    ax.set(title=title, xlabel="step", xscale="log", ylim=(0, 45))


def draw_kept(axes: Sequence[Axes], rows: pd.DataFrame, law: Law) -> None:
    """Draw the flipping step of the networks kept at "C0 = 10" against where they are, a panel a reduction.

    Filled: the last iterate inside the ball; hollow: after the first epoch that ends outside. The lines are the law.
    """
    c0 = np.geomspace(8, 36)
    for ax, reduction, title in zip(axes, ("mean", "sum"), ("averaged loss", "summed loss"), strict=True):
        for colour, d in zip(figures.CYCLE, (25, 196, 784), strict=False):
            cells = rows[(rows["reduction"] == reduction) & (rows["d"] == d)]
            for stop, fill in (("step", colour), ("epoch", "none")):
                seen = cells[cells["stop"] == stop]
                ax.plot(seen["moved"], seen["relative"], "o", color=colour, markerfacecolor=fill)
            ax.plot(c0, law.relative(c0, d), color=colour, lw=1, label=f"law, d = {d}")
        ax.axvline(10, color=figures.COLOURS["paper"], lw=0.8, ls="--")
        ax.set(title=title, xlabel="√m times the largest movement")
    axes[0].set_ylabel("flipping step ‖δ‖ / ‖x‖")
    axes[0].legend()


def draw_histograms(axes: Sequence[Axes], table: pd.DataFrame) -> None:
    """Draw Figure 7: the histograms of step, gradient and step size, a colour a network, with normal densities."""
    names = {"norm": "flipping step ‖δ‖", "gradient_norm": "gradient ‖∇f‖", "eta": "step size η"}
    for ax, (field, name) in zip(axes, names.items(), strict=True):
        for colour, (_, trial) in zip(figures.CYCLE, table.iterrows(), strict=False):
            values = trial[field]
            ax.hist(values, bins=25, density=True, color=colour, alpha=0.45)
            grid = np.linspace(values.min(), values.max(), 100)
            ax.plot(grid, stats.norm.pdf(grid, values.mean(), values.std()), "--", color=colour)
        ax.set(title=name, yticks=[])
    axes[-1].tick_params(axis="x", labelrotation=30)
