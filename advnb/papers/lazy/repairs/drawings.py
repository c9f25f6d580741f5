"""The pictures of the page: the widths of the book's proof, what is chosen after the draw, flips."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.lazy.bounds import mended, printed, uniform
from advnb.papers.lazy.bounds.drawings import EXACT, MENDED, PAPER
from advnb.papers.lazy.bounds.tables import C0


def draw_widths(ax: Axes) -> None:
    """Draw the widths at which the book's bounds show a step, shaded, and the window that Theorem 3.1 states."""
    logs, top = np.linspace(6, 13, 15), 60
    for c0, look in ((1.0, "measured"), (C0, "start")):
        least = np.minimum([uniform.least_width(10**k, c0) for k in logs], top)
        ax.fill_between(logs, least, top, color=figures.COLOURS[look], alpha=0.35, label=f"this book, C0 = {c0:g}")
    window = np.array([printed.width_window(10**k) for k in logs]) / math.log(10)
    for end, label in zip(window.T, ("window as printed", None), strict=True):
        ax.plot(logs, end, label=label, **PAPER)
    ax.set(xlabel="log10 of d", ylabel="log10 of m", ylim=(0, top))
    ax.legend(loc="upper left")


def draw_flips_nearby(ax: Axes, rows: pd.DataFrame, d: int = 784) -> None:
    """Draw the share of units in the second set of Lemma B.4 over the width, measured, mended and printed."""
    part = rows[(rows["c0"] == C0) & (rows["d"] == d)]
    m, R = np.geomspace(300, 3e6, 30), d**-0.5
    ax.semilogx(part.groupby("m")["flips_nearby"].mean(), label="measured", **figures.line("measured"))
    sound = [mended.sign_flips_nearby(d, k, C0 / k**0.5, R) / k for k in m]
    ax.semilogx(m, sound, label="mended", **figures.line("bound"))
    ax.semilogx(m, [printed.sign_flips_nearby(k, C0 / k**0.5, R) / k for k in m], label="printed", **PAPER)
    ax.set(xlabel="width m", title="flips within 1/√d (B.4, second set)", ylim=(0, 1.05))
    ax.legend(loc="center right")


def draw_chosen(ax: Axes, units: pd.DataFrame, d: int = 25) -> None:
    """Draw what a chosen subset of the units that can switch takes off the gradient, over the width; eq. (7)."""
    part = units[(units["d"] == d) & (units["c0"] == C0)]
    m = np.geomspace(part["m"].min(), part["m"].max(), 30)
    ax.semilogx(part.groupby("m")["found"].mean(), label="measured", **figures.line("measured"))
    ax.semilogx(m, [mended.switched(d, k, C0) for k in m], label="mended", **figures.line("bound"))
    ax.semilogx(m, [printed.switched(d, k, C0) for k in m], label="printed", **PAPER)
    ax.axhline(C0 / np.pi, **EXACT)
    ax.set(xlabel="width m", title="taken off the gradient (7)", ylim=(0, None))
    ax.legend()


def draw_fixed(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the probability that a unit flips between x and x + delta: counted, exact, and bound (3)."""
    trial, counted = table.iloc[0], np.stack(table["fixed"].to_list()).mean(0)
    shifts = trial["shifts"]
    ax.loglog(shifts, counted, label="counted", **(figures.line("measured") | {"linestyle": ""}))
    ax.loglog(shifts, [mended.flip_probability(R) for R in shifts], label="arcsin(R)/π", **EXACT)
    bound = [printed.flip_probability(trial["d"], R) for R in shifts]
    ax.loglog(shifts, bound, label="(3)", **figures.line("bound"))
    ax.set(xlabel="R", ylabel="probability", title="x against x + δ")
    ax.set_xticks([0.02, 0.1, 0.5], ["0.02", "0.1", "0.5"])
    ax.minorticks_off()
    ax.legend()


def draw_near(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the probability that some weights and some point within epsilon flip a unit: counted, and bound (4)."""
    trial = table.iloc[0]
    eps, V = trial["epsilons"], trial["radius"]
    for name, where, meaning in (("near_x", "δ = 0", "measured"), ("near_half", "δ = -x/2", "adversarial")):
        counted = np.stack(table[name].to_list()).mean(0)
        ax.loglog(eps, counted, label=f"counted, {where}", **figures.line(meaning))
    for of, label, look in ((printed, "(4)", figures.line("bound")), (mended, "(4), mended proof", MENDED)):
        ax.loglog(eps, [of.flip_probability_nearby(trial["d"], V, 0.5, e) for e in eps], label=label, **look)
    ax.set(xlabel="ε", title=f"x + δ against all within ε (V = {V:g})")
    ax.legend()
