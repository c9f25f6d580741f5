"""The pictures of the page: both panels of Figure 4, their thresholds, the law, and everything in one band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from numpy.typing import ArrayLike

from advnb.book import figures
from advnb.papers.lazy.drawings import LOOKS, NAMES, PAPER, draw_attacks, ticks
from advnb.papers.lazy.transition import Transition, edges
from advnb.statistics import thresholds


def draw_map(ax: Axes, table: pd.DataFrame, across: str, up: str, field: str = "worst") -> QuadMesh:
    """Draw robust accuracy over two columns as a map on logarithmic axes, a cell a measured point."""
    grid = table.pivot_table(index=up, columns=across, values=field)

    def borders(values: pd.Index) -> Any:
        middles = np.log(values.to_numpy(float))
        half = np.diff(middles) / 2
        return np.exp([middles[0] - half[0], *(middles[:-1] + half), middles[-1] + half[-1]])

    picture = ax.pcolormesh(borders(grid.columns), borders(grid.index), grid, vmin=0, vmax=1)
    ax.set(xscale="log", yscale="log")
    ax.grid(False)
    ticks(ax.xaxis, grid.columns.to_numpy(float))
    ticks(ax.yaxis, grid.index.to_numpy(float))
    return picture


def draw_edge(ax: Axes, x: ArrayLike, y: ArrayLike, label: str, style: str = "-") -> None:
    """Draw a line over a map, white with a dark edge so that it shows on every colour; the limits stay."""
    limits = ax.get_xlim(), ax.get_ylim()
    stroke = [patheffects.withStroke(linewidth=3.5, foreground=figures.INK)]
    ax.plot(x, y, style, color="white", lw=1.6, label=label, path_effects=stroke)
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.legend(loc="lower left", frameon=True, facecolor=figures.FAINT, labelcolor="white")


def draw_left(ax: Axes, left: pd.DataFrame, law: Transition | None = None) -> QuadMesh:
    """Draw Figure 4, left, from ``cells``: dimension and budget, with 5 / sqrt(d) and the law if there is one."""
    picture = draw_map(ax, left, "d", "budget")
    d = np.geomspace(10, 1000, 60)
    if law:
        draw_edge(ax, d, law.budget(left["c0"].iloc[0], d), "law")
    draw_edge(ax, d, 5 / np.sqrt(d), "5/√d", "--")
    ax.set(xlabel="dimension d", ylabel="budget R")
    ax.tick_params(axis="x", labelrotation=60)
    return picture


def draw_right(ax: Axes, right: pd.DataFrame, law: Transition | None = None) -> QuadMesh:
    """Draw Figure 4, right, from ``cells``: width and radius, with 25 / sqrt(m) and the law if there is one."""
    picture = draw_map(ax, right, "m", "radius")
    m = np.geomspace(40, 4000, 3)
    if law:
        draw_edge(ax, m, law.c0(*right[["budget", "d"]].iloc[0]) / np.sqrt(m), "law")
    draw_edge(ax, m, 25 / np.sqrt(m), "25/√m", "--")
    ax.set(xlabel="width m", ylabel="radius V")
    return picture


def draw_thresholds(ax: Axes, left: pd.DataFrame, ceiling: pd.DataFrame) -> None:
    """Draw the left panel's edges times sqrt(d), beside the exact step's and the ceiling of the images.

    Dots are seeds; ``ceiling`` is that of ``transition.ceilings``.
    """
    for level, name, colour in ((0.5, "R50", "measured"), (0.05, "R5", "adversarial")):
        found, look = edges(left, level), figures.COLOURS[colour]
        ax.plot(found["d"], found["constant"], ".", color=look, alpha=0.6)
        ax.plot(found.groupby("d")["constant"].mean(), "-", color=look, label=f"{name} √d")
    lone = edges(left, field="exact").groupby("d")["constant"].mean()
    ax.plot(lone, color=LOOKS["exact"], lw=1, ls="-.", label="R50 √d, exact step only")
    limit = thresholds(ceiling, "budget", ["d"], field="ceiling", level=0.6).groupby("d")["budget"].mean()
    root = np.sqrt(limit.index)
    ax.plot(limit.index, limit * root, **figures.line("bound"), label="ceiling 60% × √d")
    ax.axhline(5, **PAPER, label="paper: 5")
    ax.plot(limit.index, root, color=figures.FAINT, lw=0.8, label="R = 1")
    ax.set(xscale="log", xlabel="dimension d", ylabel="budget × √d", ylim=(0, 9))
    ticks(ax.xaxis, sorted(left["d"].unique()))
    ax.tick_params(axis="x", labelrotation=60)
    ax.legend(ncols=2, loc="lower right")


def draw_widths(ax: Axes, right: pd.DataFrame) -> None:
    """Draw the right panel's robust accuracy against the C0 that the weights reached, a curve a width."""
    for m, part in right.groupby("m"):
        line = part.groupby("c0")[["worst", "moved"]].mean()
        ax.plot(line["moved"], line["worst"], "o-", label=f"m = {m}", markersize=3.5)
    ax.axvline(25, **PAPER)
    ax.set(xlabel="C0 = √m × largest movement", ylabel="robust accuracy")
    ax.legend()


def draw_longer(ax: Axes, longer: pd.DataFrame) -> None:
    """Draw robust accuracy over C0 after short and long training; dots are seeds."""
    meanings = ("measured", "adversarial", "clean")
    groups = longer.groupby(["examples", "epochs"])
    for meaning, ((examples, epochs), part) in zip(meanings, groups, strict=True):
        look = figures.line(meaning)
        label = f"{epochs} epochs, {examples} images"
        ax.plot(part.groupby("c0")["worst"].mean(), **look, label=label)
        ax.plot(part["c0"], part["worst"], ".", color=look["color"], alpha=0.5)
    ax.axvline(25, **PAPER, label="paper: 25")
    ax.set(xlabel="C0 = V√m", ylim=(-0.02, 1.03))
    ax.legend(loc="lower right")


def draw_collapse(ax: Axes, points: pd.DataFrame) -> None:
    """Draw the robust accuracy of all cells over their budget in units of the law (``transition.collapsed``)."""
    looks = {"left": ("measured", "o"), "right": ("adversarial", "s"), "elsewhere": ("clean", "D")}
    for panel, (colour, marker) in looks.items():
        part = points[points["panel"] == panel]
        look: dict[str, Any] = {"color": figures.COLOURS[colour], "markersize": 3.5, "alpha": 0.7}
        ax.plot(part["relative"], part["worst"], marker, label=panel, **look)
    small = points[points["d"] < 100]
    ax.plot(small["relative"], small["worst"], "o", mfc="none", color=figures.INK, label="d < 100")
    ax.axvline(1, color=figures.INK, lw=0.8)
    ax.set(xscale="log", xlabel="budget / law, R / R*", ylabel="robust accuracy", xlim=(0.1, 6))
    ticks(ax.xaxis, [0.1, 0.2, 0.5, 1, 2, 5])
    ax.legend()


def draw_dimension(ax: Axes, d: int, left: pd.DataFrame, ceiling: pd.DataFrame, law: Transition) -> None:
    """Draw one dimension of the left panel: three attacks, the law, 5 / sqrt(d), the ceiling, and R >= 1 shaded."""
    draw_attacks(ax, left[left["d"] == d], "budget")
    top = ceiling[ceiling["d"] == d].groupby("budget")["ceiling"].mean()
    ax.plot(top, ":", color=figures.COLOURS["bound"], label="ceiling of the images")
    ax.axvline(float(law.budget(10, d)), color=figures.INK, label="law: R50")
    ax.axvspan(1, 1.3, color=figures.FAINT, alpha=0.3)
    ax.axvline(5 / d**0.5, **PAPER, label="paper: 5/√d")
    ax.set(xlabel="budget R", xlim=(0.045, 1.3), title=f"d = {d}: 5/√d = {5 / d**0.5:.2f}")
    ax.legend(loc="lower left", fontsize=8)


def draw_plane(ax: Axes, d: int, attack: str, plane: pd.DataFrame, law: Transition) -> None:
    """Draw robust accuracy by one attack over C0 and the budget at one dimension, with the law."""
    picture = draw_map(ax, plane[plane["d"] == d], "c0", "budget", attack)
    c0 = np.geomspace(1, 60, 60)
    draw_edge(ax, c0, law.budget(c0, d), "law")
    ax.set(xlabel="C0 = V√m", ylabel="budget R", title=f"d = {d}, {NAMES[attack]}")
    ax.figure.colorbar(picture, ax=ax, label="robust accuracy")


def draw_digits(ax: Axes, c0: float, table: pd.DataFrame, law: Transition) -> None:
    """Draw what networks trained on digits within ``c0`` resist, by the three attacks, and the law on digits."""
    draw_attacks(ax, table, "budget")
    ax.axvline(float(law.budget(c0, 64)), color=figures.INK, label="law on digits")
    ax.set(xlabel="budget R", xlim=(0.045, 0.8), title=f"digits, d = 64, C0 = {c0:g}")
    ax.legend(loc="lower left", fontsize=8)
