"""The pictures of Figures 2, 5 and 6, and of the law behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from advnb.book import figures
from advnb.papers.lazy.bounds.printed import gradient_simple, value_simple
from advnb.papers.lazy.flips import RADII, exponents
from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.task import SIDES
from advnb.statistics import aggregate

PANELS: Mapping[str, str] = {"relative": "flipping step ‖δ‖ / ‖x‖", "gradient": "gradient ‖∇f‖", "eta": "step size η"}
"""What the paper plots against d: the column of ``by_radius``, and its name."""

SLOPES: Mapping[str, float] = {"relative": -0.5, "gradient": 0.5, "eta": -1.0}
"""The powers of d that the paper predicts."""

DIMENSIONS = np.array([side**2 for side in SIDES], float)

DRAWN = (10.0, 1e5)
"""The dimensions over which the law is drawn."""

PAPER: Mapping[str, Any] = figures.line("paper") | {"marker": ""}


def draw_panels(axes: Sequence[Axes], rows: pd.DataFrame, by: str, names: Mapping[Any, str]) -> None:
    """Draw the paper's three panels: means over seeds with 95% intervals against d, a curve for each value of ``by``.

    The dashed lines have the predicted slopes and end at the mean of all curves at the largest d that there is.
    """
    for ax, (field, label) in zip(axes, PANELS.items(), strict=True):
        for colour, (value, name) in zip(figures.CYCLE, names.items(), strict=False):
            part = aggregate(rows[rows[by] == value], "d", field)
            bars = np.nan_to_num(np.abs(part[["low", "high"]].to_numpy().T - part["mean"].to_numpy()))
            drawn = ax.errorbar(part["d"], part["mean"], bars, color=colour, fmt="o-", ms=3.5)
            drawn.lines[0].set_label(name)
        end = aggregate(rows, "d", field)["mean"].iloc[-1]
        d = DIMENSIONS[rows["d"].max() >= DIMENSIONS]
        ax.plot(d, end * (d / d[-1]) ** SLOPES[field], **PAPER)
        ax.set(title=label, xlabel="dimension d")
        _logarithmic(ax)


def draw_crosses(axes: Sequence[Axes], rows: pd.DataFrame, label: str | None = None) -> None:
    """Add means against d as crosses to the panels of :func:`draw_panels`, for data or widths of another kind."""
    for ax, field in zip(axes, PANELS, strict=True):
        means = rows.groupby("d")[field].mean()
        ax.plot(means.index, means, "x", color=figures.COLOURS["measured"], label=label)


def draw_theory(axes: Sequence[Axes], c0: float) -> None:
    """Add the bounds of Lemmas 4.1 and 4.2 to the panels of :func:`draw_panels`: below the gradient, above the others.

    The step size is that of a step over an x of norm 1.
    """
    gradient = np.array([gradient_simple(d) for d in DIMENSIONS])
    step = value_simple(c0) / gradient
    look = figures.line("bound") | {"marker": "", "linestyle": ":"}
    for ax, bound in zip(axes, (step, gradient, step / gradient), strict=True):
        ax.plot(DIMENSIONS, bound, **look, label="Lemmas 4.1, 4.2")


def draw_all_radii(ax: Axes, rows: pd.DataFrame, law: Law) -> None:
    """Draw the flipping step against d for each C0: means over seeds as points, the law as lines, 1/sqrt(d) dashed."""
    d = np.geomspace(DIMENSIONS[0], DIMENSIONS[-1])
    for colour, c0 in zip(figures.CYCLE, RADII, strict=False):
        means = rows[rows["radius"] == c0].groupby("d")["relative"].mean()
        ax.plot(means.index, means, "o", color=colour, label=f"C0 = {c0:g}")
        ax.plot(d, law.relative(c0, d), color=colour)
    ax.plot(d, 2.0 / np.sqrt(d), **PAPER, label="slope of 1/√d")
    ax.set(xlabel="dimension d", ylabel=PANELS["relative"])
    _logarithmic(ax)
    ax.legend()


def draw_collapse(axes: Sequence[Axes], rows: pd.DataFrame, law: Law) -> None:
    """Draw measured against predicted gradients and flipping steps of every network, with the diagonal."""
    for ax, field in zip(axes, ("gradient", "relative"), strict=True):
        for colour, (c0, part) in zip(figures.CYCLE, rows.groupby("radius"), strict=False):
            foretold = getattr(law, field)(part["moved"], part["d"])
            ax.plot(foretold, part[field], ".", color=colour, ms=4, label=f"C0 = {c0:g}")
        ends = [rows[field].min(), rows[field].max()]
        ax.plot(ends, ends, **PAPER)
        ax.set(title=PANELS[field], xlabel="law", ylabel="measured")
        _logarithmic(ax)
    axes[-1].legend()


def draw_exponents(ax: Axes, rows: pd.DataFrame, law: Law) -> None:
    """Draw the exponent of the flipping step in d against C0, measured with 95% intervals, and the law's as lines."""
    fits = exponents(rows, "relative")
    for colour, (name, column), smallest in zip(figures.CYCLE, fits.items(), (0, 100), strict=False):
        d = DIMENSIONS[smallest <= DIMENSIONS]
        value = np.array([fit.value for fit in column])
        bars = np.array([(fit.value - fit.low, fit.high - fit.value) for fit in column]).T
        ax.errorbar(fits.index, value, bars, color=colour, fmt="o", label=f"measured, {name}")
        c0 = np.linspace(5, 45)
        ax.plot(c0, [law.slope(radius, d) for radius in c0], color=colour, label=f"law, {name}")
    ax.axhline(-0.5, **PAPER)
    ax.set(xlabel="C0", ylabel="exponent of ‖δ‖ / ‖x‖ in d", ylim=(-0.6, 0))
    ax.legend()


def draw_law(ax: Axes, c0: float, field: str, *, law: Law, rows: pd.DataFrame) -> None:
    """Draw a quantity of the law against d, its turn, the predicted slope, and the networks trained to about ``c0``."""
    d = np.geomspace(*DRAWN)
    ax.loglog(d, getattr(law, field)(c0, d), color=figures.COLOURS["measured"], label="law")
    scale = 0.3 * law.phi * c0 if field == "relative" else 1.0
    ax.loglog(d, scale * (d / 2) ** SLOPES[field], **PAPER)
    if law.turn(c0) > d[0]:
        ax.axvline(float(law.turn(c0)), color=figures.COLOURS["bound"], ls=":", label="turn")
    trained = trained_to(rows, c0)
    if len(trained):
        seen = trained.groupby("d")[field].mean()
        ax.loglog(seen.index, seen, "o", color=figures.COLOURS["clean"], label="trained")
    ax.set(title=f"{PANELS[field]} at C0 = {c0:g}", xlabel="dimension d")
    ax.legend()


def say_law(c0: float, field: str, *, law: Law, rows: pd.DataFrame) -> str:
    """Say what :func:`draw_law` shows."""
    turn = float(law.turn(c0))
    low, high = (float(getattr(law, field)(c0, d)) for d in (25.0, 784.0))
    said = f"The law of the {PANELS[field]} goes from {low:.2g} at d = 25 to {high:.2g} at d = 784; it turns "
    said += f"at d = {turn:.2g}" if turn > DRAWN[0] else f"below d = {DRAWN[0]:g}"
    seen = trained_to(rows, c0).groupby("d")[field].mean()
    if seen.empty:
        return f"{said}; no network was trained to this radius"
    off = float(np.abs(seen / getattr(law, field)(c0, seen.index.to_numpy(float)) - 1).max())
    return f"{said}; trained networks lie within {math.ceil(100 * off)} percent of it"


def trained_to(rows: pd.DataFrame, c0: float) -> pd.DataFrame:
    """Return the networks that were trained to about ``c0``."""
    return rows[np.abs(np.log(rows["moved"] / c0)) < 0.06]


def _logarithmic(ax: Axes) -> None:
    """Give both axes a logarithmic scale, with plain numbers at 1, 2 and 5."""
    ax.set(xscale="log", yscale="log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
