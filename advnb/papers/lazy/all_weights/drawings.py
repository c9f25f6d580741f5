"""The drawings of the page: weights that resist one step, and the cone over the ball."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon

from advnb.book import figures
from advnb.papers.lazy.all_weights.tables import level


def draw_longest(ax: Axes, rows: pd.DataFrame, m: int = 1000) -> None:
    """Draw the longest minimal step found times sqrt(d) against d, a curve a C0, and its level for large d.

    ``rows`` come from :func:`~advnb.papers.lazy.all_weights.tables.by_c0`. On the dashed line the step is as long as x.
    """
    for k, (c0, part) in enumerate(rows[rows["m"] == m].groupby("c0")):
        worst, colour = part.groupby("d")["worst"].mean(), figures.CYCLE[k]
        ax.loglog(worst.index, worst, "o-", color=colour, label=f"{c0:g}")
        ax.loglog(worst.index, np.full(len(worst), level(c0)), ":", color=colour)
    dims = np.array([20, 4000])
    ax.loglog(dims, np.sqrt(dims), **(figures.line("paper") | {"marker": ""}))
    ticks = (1, 2, 5, 10, 20, 50)
    ax.set_yticks(ticks, labels=list(map(str, ticks)))
    ax.minorticks_off()
    ax.set(xlabel="dimension d", ylabel="longest flip times √d", ylim=(0.9, 200))
    ax.legend(title="C₀", ncols=3, loc="upper left")


def draw_angles(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw what one step (solid) and several (dotted) need over the angle at which the weights move, a colour a C0.

    ``rows`` have ``c0``, ``angle`` in degrees, ``one`` and ``several`` in units of ||x||.
    """
    for k, (c0, part) in enumerate(rows.groupby("c0")):
        ax.plot(part["angle"], part["one"], "o-", color=figures.CYCLE[k], label=f"C₀ = {c0:g}, one step")
        ax.plot(part["angle"], part["several"], ":", color=figures.CYCLE[k], label="several steps")
    ax.axhline(1, **(figures.line("paper") | {"marker": ""}))
    ax.set(xlabel="angle θ in degrees", ylabel="length of the flip, in ‖x‖", ylim=(0, 1.05))
    ax.legend()


def draw_held(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw how often no step shorter than x flips it, against C0 / sqrt(d), a marker a width."""
    for (m, part), marker in zip(rows.groupby("m"), ("o", "s"), strict=True):
        means = part.groupby(["d", "c0"])[["ratio", "held"]].mean()
        ax.semilogx(means["ratio"], means["held"], marker, markerfacecolor="none",
                    color=figures.COLOURS["measured"], label=f"m = {m:,}")  # fmt: skip
    ax.axvline(1, **(figures.line("paper") | {"marker": ""}))
    ax.set(xlabel="C₀ / √d", ylabel="share of x without a flip below ‖x‖")
    ax.legend()


def draw_cone(ax: Axes) -> None:
    """Draw Figure 1 of the paper: the ball around W_0, the cone from the origin that touches it, W and r W."""
    centre, radius = np.array([2.6, 1.5]), 0.55
    middle, half = math.atan2(centre[1], centre[0]), math.asin(radius / np.hypot(*centre))
    edges = [5.2 * np.array([math.cos(a), math.sin(a)]) for a in (middle - half, middle + half)]
    ax.add_patch(Polygon([np.zeros(2), *edges], color=figures.COLOURS["start"], alpha=0.18, lw=0))
    ax.add_patch(Circle((centre[0], centre[1]), radius, color=figures.COLOURS["clean"], alpha=0.35, lw=0))
    inside = centre + np.array([-0.25, 0.28])
    ax.plot([0, 1.75 * inside[0]], [0, 1.75 * inside[1]], color=figures.INK, lw=0.8, ls=":")
    for (x, y), text in ((centre, "$W_0$"), (inside, "$W$"), (1.7 * inside, "$rW$")):
        ax.plot(x, y, "o", color=figures.INK, markersize=4)
        ax.annotate(text, (x, y), xytext=(5, -10), textcoords="offset points")
    ax.plot(0, 0, "+", color=figures.INK, markersize=9)
    ax.annotate("0", (0, 0), xytext=(-10, -4), textcoords="offset points")
    ax.set(xlim=(-0.4, 5), ylim=(-0.4, 3.4), aspect="equal", title="the cone over the ball")
    ax.set_axis_off()


def draw_turn(ax: Axes, c0: float = 10.0) -> None:
    """Draw the angle that the ball allows a unit, arcsin(C0 / sqrt(m d)), against the width at two dimensions."""
    widths = np.geomspace(100, 1e6, 50)
    for d, look in ((25, ":"), (784, "-")):
        angle = np.degrees(np.arcsin(np.minimum(1, c0 / np.sqrt(widths * d))))
        ax.loglog(widths, angle, look, color=figures.COLOURS["measured"], label=f"d = {d}")
    ax.set(xlabel="width m", ylabel="angle in degrees", title=f"turn of a unit, C₀ = {c0:g}")
    ax.legend()
