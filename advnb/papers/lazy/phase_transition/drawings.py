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
from advnb.papers.lazy.drawings import LOOKS, PAPER, draw_attacks, ticks
from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.transition import FORMS, close, edges, fit_form, large
from advnb.statistics import aggregate, crossing, thresholds

BUDGETS = [0.05, 0.1, 0.2, 0.5, 1.0]
"""Where axes of budgets and radii have ticks: their grids are finer."""

PANELS = {"left": ("measured", "o"), "right": ("adversarial", "s"), "elsewhere": ("clean", "D")}
"""The colour and the marker of each panel."""


def borders(values: ArrayLike) -> Any:
    """Return the borders of cells about ``values`` on a logarithmic axis: half-way between neighbours."""
    middles = np.log(np.asarray(values, float))
    half = np.diff(middles) / 2
    return np.exp([middles[0] - half[0], *(middles[:-1] + half), middles[-1] + half[-1]])


def draw_map(ax: Axes, table: pd.DataFrame, across: str, up: str, field: str = "worst") -> QuadMesh:
    """Draw means of ``field`` over two columns as a map on logarithmic axes, a cell a measured point.

    Each value of ``across`` has the values of ``up`` that were measured there: the grids are finer about the edge.
    """
    columns = table.groupby([across, up])[field].mean().unstack(across)
    sides = borders(columns.columns)
    for k, (_, column) in enumerate(columns.items()):
        strip = column.dropna()
        picture = ax.pcolormesh(
            sides[k : k + 2], borders(strip.index), strip.to_numpy()[:, None], vmin=0, vmax=1, rasterized=True
        )
    ax.set(xscale="log", yscale="log")
    ax.grid(False)
    ticks(ax.xaxis, columns.columns.to_numpy(float))
    ticks(ax.yaxis, [value for value in BUDGETS if ax.get_ylim()[0] <= value <= ax.get_ylim()[1]])
    return picture


def draw_edge(ax: Axes, x: ArrayLike, y: ArrayLike, label: str, style: str = "-") -> None:
    """Draw a line over a map, white with a dark edge so that it shows on every colour; the limits stay."""
    limits = ax.get_xlim(), ax.get_ylim()
    stroke = [patheffects.withStroke(linewidth=3.5, foreground=figures.INK)]
    ax.plot(x, y, style, color="white", lw=1.6, label=label, path_effects=stroke)
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.legend(loc="lower left", frameon=True, facecolor=figures.FAINT, labelcolor="white")


def draw_left(ax: Axes, left: pd.DataFrame, law: Law | None = None) -> QuadMesh:
    """Draw Figure 4, left, from ``cells``: dimension and budget, with 5 / sqrt(d) and the law if there is one."""
    picture = draw_map(ax, left, "d", "budget")
    d = np.geomspace(10, 1000, 60)
    if law:
        draw_edge(ax, d, law.relative(left["c0"].iloc[0], d), "law")
    draw_edge(ax, d, 5 / np.sqrt(d), "5/√d", "--")
    ax.set(xlabel="dimension d", ylabel="budget R")
    ax.tick_params(axis="x", labelrotation=60)
    return picture


def draw_right(ax: Axes, right: pd.DataFrame, law: Law | None = None) -> QuadMesh:
    """Draw Figure 4, right, from ``cells``: width and radius, with 25 / sqrt(m) and the law if there is one."""
    picture = draw_map(ax, right, "m", "radius")
    m = np.geomspace(40, 4000, 3)
    if law:
        draw_edge(ax, m, law.c0(*right[["budget", "d"]].iloc[0]) / np.sqrt(m), "law")
    draw_edge(ax, m, 25 / np.sqrt(m), "25/√m", "--")
    ax.set(xlabel="width m", ylabel="radius V")
    return picture


def draw_mean(ax: Axes, table: pd.DataFrame, x: str, y: str, colour: str, label: str, style: str = "-") -> None:
    """Draw the means over seeds with their 95 percent bootstrap intervals, and each seed as a dot."""
    means = aggregate(table, x, y)
    ends = np.abs(means[["low", "high"]].sub(means["mean"], axis=0).to_numpy().T)
    ax.plot(table[x], table[y], ".", color=colour, alpha=0.35, markersize=4)
    ax.errorbar(means[x], means["mean"], np.nan_to_num(ends), fmt=style, color=colour, capsize=3, label=label)


def draw_thresholds(ax: Axes, left: pd.DataFrame, ceiling: pd.DataFrame) -> None:
    """Draw the left panel's edges times sqrt(d), beside the exact step's and the ceiling of the images.

    Dots are seeds, those that the fine grid brackets, and bars intervals of their means; ``ceiling`` is that of
    ``transition.ceilings``.
    """
    for level, name, colour in ((0.5, "R50", "measured"), (0.05, "R5", "adversarial")):
        found = close(edges(left, level))
        draw_mean(ax, found, "d", "constant", figures.COLOURS[colour], f"{name} √d")
    lone = edges(left, field="exact").groupby("d")["constant"].mean()
    ax.plot(lone, color=LOOKS["exact"], lw=1, ls="-.", label="R50 √d, exact step only")
    limit = thresholds(ceiling, "budget", ["d"], field="ceiling", level=0.6).groupby("d")["budget"].mean()
    root = np.sqrt(limit.index)
    ax.plot(limit.index, limit * root, **figures.line("bound"), label="ceiling 60% × √d")
    ax.axhline(5, **PAPER, label="paper: 5")
    ax.plot(limit.index, root, color=figures.FAINT, lw=0.8, label="R = 1")
    ax.set(xscale="log", xlabel="dimension d", ylabel="budget × √d", ylim=(0, 9))
    ticks(ax.xaxis, sorted(left["d"].unique()))
    ax.legend(ncols=2, loc="lower right")


def draw_widths(ax: Axes, right: pd.DataFrame) -> None:
    """Draw the right panel's robust accuracy over C0, a curve a width; dots are seeds, bars intervals of the means."""
    for (m, part), colour in zip(right.groupby("m"), figures.CYCLE, strict=False):
        draw_mean(ax, part, "c0", "worst", colour, f"m = {m}")
    ax.axvline(25, **PAPER, label="paper: 25")
    ax.set(xlabel="C0 = V√m", ylabel="robust accuracy", ylim=(-0.02, 1.03))
    ax.legend(loc="lower right")


def draw_longer(ax: Axes, longer: pd.DataFrame) -> None:
    """Draw robust accuracy over C0 after short and long training, on few and many images; dots are seeds."""
    groups = longer.groupby(["epochs", "examples"], sort=False)
    for ((epochs, examples), part), colour in zip(groups, figures.CYCLE, strict=False):
        draw_mean(ax, part, "c0", "worst", colour, f"{epochs} epochs, {examples} images")
    ax.axvline(25, **PAPER)
    ax.set(xlabel="C0 = V√m", ylim=(-0.02, 1.03))
    ax.legend(loc="lower right")


def draw_residuals(ax: Axes, points: pd.DataFrame) -> None:
    """Draw each measured R50 over C0 / sqrt(d), in units of the law; lines are other laws fitted to the same points.

    Rings are dimensions below 100, to which nothing is fitted.
    """
    law, fitted = fit_form(large(points)), large(points)
    for panel, (colour, marker) in PANELS.items():
        part = points[points["panel"] == panel]
        ratio, size = part["budget"] / law.relative(part["c0"], part["d"]), part["c0"] / part["d"] ** 0.5
        used = part["d"] >= 100
        look: dict[str, Any] = {"color": figures.COLOURS[colour], "markersize": 4, "alpha": 0.6}
        ax.plot(size[used], ratio[used], marker, label=panel, **look)
        ax.plot(size[~used], ratio[~used], marker, mfc="none", **look)
    c0 = np.geomspace(1.5, 25, 60)
    for form, style in (("sum", "--"), ("proportional", ":")):
        kappa, phi = fit_form(fitted, form)
        ax.plot(c0 / 10, FORMS[form](c0, 100, phi, kappa) / law.relative(c0, 100), style, color=figures.INK, label=form)
    ax.axhline(1, color=figures.INK, lw=0.8)
    ax.set(xscale="log", yscale="log", xlabel="C0/√d", ylabel="R50 / law", ylim=(0.5, 2))
    ticks(ax.xaxis, [0.2, 0.5, 1, 2])
    ticks(ax.yaxis, [0.5, 0.7, 1, 1.4, 2])
    ax.legend(fontsize=8)


def draw_parts(ax: Axes, runs: pd.DataFrame, law: Law) -> None:
    """Draw gradient over sqrt(d / 2), and margin over C0, of the networks near the edge, and what the law says."""
    size = runs["c0"] / runs["d"] ** 0.5
    parts = {
        "gradient / √(d/2)": (runs["gradient"] / (runs["d"] / 2) ** 0.5, "measured", "o"),
        "margin / C0": (runs["value"] / runs["moved"], "adversarial", "s"),
    }
    for name, (values, colour, marker) in parts.items():
        ax.plot(size, values, marker, color=figures.COLOURS[colour], markersize=4, alpha=0.6, label=name)
    at = np.geomspace(0.2, 2, 40)
    ax.plot(at, law.gradient(10 * at, 100) / 50**0.5, color=figures.COLOURS["measured"], label="law, gradient")
    ax.plot(at, np.full(40, law.phi), color=figures.COLOURS["adversarial"], label="law, margin: φ")
    ax.set(xscale="log", xlabel="C0/√d", ylim=(0, 2))
    ticks(ax.xaxis, [0.2, 0.5, 1, 2])
    ax.legend(fontsize=8)


def draw_collapse(ax: Axes, points: pd.DataFrame) -> None:
    """Draw the robust accuracy of all cells over their budget in units of the law (``transition.collapsed``)."""
    for panel, (colour, marker) in PANELS.items():
        part = points[points["panel"] == panel]
        look: dict[str, Any] = {"color": figures.COLOURS[colour], "markersize": 3.5, "alpha": 0.7}
        ax.plot(part["relative"], part["worst"], marker, label=panel, **look)
    small = points[points["d"] < 100]
    ax.plot(small["relative"], small["worst"], "o", mfc="none", color=figures.INK, label="d < 100")
    ax.axvline(1, color=figures.INK, lw=0.8)
    ax.set(xscale="log", xlabel="budget / law, R / R*", ylabel="robust accuracy", xlim=(0.1, 6))
    ticks(ax.xaxis, [0.1, 0.2, 0.5, 1, 2, 5])
    ax.legend()


def say_dimension(d: int, left: pd.DataFrame, law: Law) -> str:
    """Say what :func:`draw_dimension` shows: where the robust accuracy falls to one half, and what was foreseen."""
    worst = left[left["d"] == d].groupby("budget")["worst"].mean()
    half = crossing(worst.index, worst, 0.5)
    found = f"near budget {half:.2g}" if np.isfinite(half) else "nowhere in the budgets that were run"
    return (
        f"Robust accuracy against the strongest of three attacks falls to one half {found}; "
        f"the law has {float(law.relative(10, d)):.2g}, the paper 5/√d = {5 / d**0.5:.2g}"
    )


def draw_dimension(ax: Axes, d: int, left: pd.DataFrame, ceiling: pd.DataFrame, law: Law) -> None:
    """Draw one dimension of the left panel: three attacks, the law, 5 / sqrt(d), the ceiling, and R >= 1 shaded."""
    draw_attacks(ax, left[left["d"] == d], "budget")
    top = ceiling[ceiling["d"] == d].groupby("budget")["ceiling"].mean()
    ax.plot(top, ":", color=figures.COLOURS["bound"], label="ceiling of the images")
    ax.axvline(float(law.relative(10, d)), color=figures.INK, label="law: R50")
    ax.axvspan(1, 1.3, color=figures.FAINT, alpha=0.3)
    ax.axvline(5 / d**0.5, **PAPER, label="paper: 5/√d")
    ticks(ax.xaxis, BUDGETS)
    ax.set(xlabel="budget R", xlim=(0.045, 1.3), title=f"d = {d}: 5/√d = {5 / d**0.5:.2f}")
    ax.legend(loc="lower left", fontsize=8)
