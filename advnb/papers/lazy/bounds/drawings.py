"""The pictures of the page: each bound beside what it bounds, and the dimensions from which on they say something."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from scipy import stats

from advnb.book import figures
from advnb.papers.lazy.bounds import mended, printed, uniform
from advnb.papers.lazy.bounds.printed import GAMMA
from advnb.papers.lazy.bounds.tables import C0, at, law
from advnb.papers.lazy.bounds.trials import over_the_ball

PAPER: dict[str, Any] = {**figures.line("paper"), "marker": ""}
EXACT: dict[str, Any] = {"color": figures.INK, "linewidth": 0.8}
MENDED: dict[str, Any] = {"color": figures.COLOURS["bound"], "linestyle": "--"}

SPEAKS = {
    "flips": "B.4: fewer than m units flip",
    "gradient": "B.7 positive",
    "gradient_mended": "B.7 positive, mended",
    "gradient_simple": "B.7 gives √d/4",
    "window": "window of Theorem 3.1 not empty",
    "change": "B.9 below √d/4",
    "change_mended": "B.9 below √d/4, this book",
    "step": "Theorem 3.1 from printed bounds",
    "step_mended": "Theorem 3.1 from the book's",
    "step_narrow": "… at m = 100 d log²d",
    "step_top": "… at m = exp(d^0.24)",
    "step_wide": "… at m = e^d",
}
"""What ``lazy.speaks_from`` holds, in the order of the picture."""

SHARES = {
    "flips": "flips at x (4.3)",
    "nearby": "flips near x (B.4)",
    "value": "value (B.5)",
    "lost": "gradient lost (B.7)",
    "change": "change (B.9)",
    "step": "step (Th. 3.1)",
}
"""What ``uniform.shares`` holds, in the order of the picture."""

SIZE_LIMIT = 3e6
"""Weights up to which :func:`draw_one_size` measures on the spot what is not stored."""


def draw_speaks(ax: Axes, speaks: pd.DataFrame) -> None:
    """Draw log10 of the d from which each bound speaks, a dot for each C0; whiskers over the gammas."""
    shown = (0.1, 1.0, 10.0, 40.0)
    for i, c0 in enumerate(shown):
        part = speaks[speaks["c0"] == c0].set_index("gamma")[list(SPEAKS)]
        middle = part.loc[GAMMA].to_numpy()
        reach = np.abs(part.loc[[0.5, 1e-6]].to_numpy() - middle)
        height = np.arange(len(SPEAKS)) + 0.17 * (i - (len(shown) - 1) / 2)
        ax.errorbar(middle, height, xerr=reach, fmt="o", capsize=2, label=f"C0 = {c0:g}")
    ax.axvline(math.log10(784), **PAPER)
    ax.text(math.log10(784) + 0.1, -0.62, "d = 784", fontsize=8)
    ax.set(yticks=range(len(SPEAKS)), yticklabels=SPEAKS.values(), xlabel="log10 of d")
    ax.invert_yaxis()
    ax.legend(loc="upper right")


def draw_flips_at(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the share of units that switch at x over V: measured, exact, and (dotted) the bound for each width."""
    for m, part in rows.groupby("m"):
        mean = part.groupby(["m", "V"])[["flips"]].mean().reset_index()
        (line,) = ax.loglog(mean["V"], mean["flips"], "o", label=f"m = {m:,}")
        bound = at(printed.sign_flips, mean, "m", "V") / mean["m"]
        ax.loglog(mean["V"], bound, ":", color=line.get_color())
    grid = np.geomspace(3e-4, 1.3, 50)
    ax.loglog(grid, 2 * stats.norm.cdf(grid) - 1, **EXACT)
    ax.set(xlabel="radius V", ylabel="share of units", title="at x (B.4, first set)")
    ax.legend()


def draw_nets(ax: Axes) -> None:
    """Draw two nets of the ball of delta's in the plane, and the chain from the centre to one point of the second."""
    generator, radius = np.random.default_rng(0), 1.0
    draws = generator.uniform(-radius, radius, (40_000, 2))
    left = draws[np.linalg.norm(draws, axis=1) <= radius]
    nets = [np.zeros((1, 2))]
    for step in (radius / 3, radius / 9):
        chosen, near = [], left
        while len(near):
            chosen.append(near[0])
            near = near[np.linalg.norm(near - near[0], axis=1) > step]
        nets.append(np.array(chosen))
    ax.add_patch(Circle((0, 0), radius, fill=False, color=figures.INK, linewidth=0.8))
    names = [f"N₂ ({len(nets[2])})", f"N₁ ({len(nets[1])})", "x"]
    for net, size, look, name in zip(nets[::-1], (6, 28, 50), ("bound", "measured", "start"), names, strict=True):
        ax.scatter(net[:, 0], net[:, 1], s=size, color=figures.COLOURS[look], label=name)
    middle = nets[1][np.argmax(nets[1] @ (0.6, 0.5))]
    near = nets[2][np.linalg.norm(nets[2] - middle, axis=1) < radius / 6]
    end = near[np.argmax(near @ (-0.5, 0.6))]  # so near that no other point of N₁ is nearer
    ax.plot(*np.array([[0, 0], middle, end]).T, color=figures.INK, linewidth=1.4)
    ax.set(aspect="equal", xticks=[], yticks=[], title="each point of a net hangs on the one before")
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0.02), ncol=3)


def draw_chain(ax: Axes, d: float = 1e8) -> None:
    """Draw, over the width, the chain's bound on the change at the start and what a union over sign patterns costs."""
    logs = np.geomspace(2.4 * math.log(d), 10 * d, 40)
    bounds = [uniform.gradient_change(d, math.inf, 1.0, log_m=k) for k in logs]
    ax.loglog(logs, [bound.chain / d**0.25 for bound in bounds], label="chain of links", **figures.line("bound"))
    p = math.asin(d**-0.5) / math.pi
    patterns = [(2 * p * d * (1 + k - math.log(d))) ** 0.5 / d**0.25 for k in logs]
    ax.loglog(logs, patterns, label="union over sign patterns", **figures.line("measured"))
    ax.loglog(logs, np.full(len(logs), d**0.25 / 4), label="√d/4", **PAPER)
    ax.axvline(d**0.24, **EXACT)
    ax.text(d**0.24 * 1.1, 1.2, "exp(d^0.24)", fontsize=8)
    ax.axvline(d, **EXACT)
    ax.text(d / 1.15, 1.2, "e^d", fontsize=8, ha="right")
    ax.set(xlabel="log of the width m", title="change at the start over d^(1/4), d = 10⁸", ylim=(1, None))
    ax.legend(loc="upper left")


def draw_value(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the largest |f| over the ball, the worst of all points and seeds, between its law and its bounds."""
    grid = np.geomspace(0.08, 50, 60)
    for m, part in rows.groupby("m"):
        ax.loglog(part.groupby("c0")["value"].max(), "o", label=f"measured, m = {m:,}")
    ax.loglog(grid, grid / 2 + stats.norm.isf(GAMMA / 2) / 2**0.5, label="C0/2 + 95% of |N(0, 1/2)|", **EXACT)
    bound = [printed.value(1e4, c0) for c0 in grid]
    ax.loglog(grid, bound, label="Lemma B.5, m = 10⁴", **figures.line("bound"))
    ax.loglog(grid, [printed.value_simple(c0) for c0 in grid], label="Lemma 4.1", **PAPER)
    ax.set(xlabel="C0", title="largest |f| over the ball")
    ax.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.legend()


def draw_gradient(ax: Axes, rows: pd.DataFrame, directions: pd.DataFrame, c0: float) -> None:
    """Draw the smallest gradient over the ball at m = 10^4 between its two sides, with Lemma B.7 and sqrt(d) / 4.

    The upper side is attained: the better of the search and of moving straight against the gradient.
    """
    part, straight = (t[(t["c0"] == c0) & (t["m"] == 10_000)].groupby("d") for t in (rows, directions))
    sides = part[["gradient_low", "gradient_high"]].mean().join(straight["flat"].mean())
    high = sides[["gradient_high", "flat"]].min(axis=1)
    ax.fill_between(high.index, sides["gradient_low"], high, color=figures.COLOURS["measured"], alpha=0.35)
    ax.plot(high, label="measured, between", **figures.line("measured"))
    grid = np.geomspace(20, 3000, 80)
    for of, dashes, name in ((printed, ":", "printed B.7"), (mended, "--", "mended B.7")):
        bound = np.array([of.gradient(d, 1e4, c0) for d in grid])
        bound[np.isinf(bound)] = np.nan
        ax.plot(grid, bound, dashes, color=figures.COLOURS["bound"], label=name)
    ax.plot(grid, grid**0.5 / 4, label="√d/4", **PAPER)
    ax.axhline(0, **EXACT)
    ax.set(xscale="log", xlabel="dimension d", ylim=(-29, 40), title=f"C0 = {c0:g}, m = 10⁴")


def draw_change(ax: Axes, runs: pd.DataFrame) -> None:
    """Draw the largest change of the gradient found within 1 / sqrt(d) at the start, with its law and sqrt(d) / 4."""
    for m, part in runs.groupby("m"):
        ax.loglog(part.groupby("d")["change"].mean(), "o", label=f"found, m = {m:,}")
    grid = np.geomspace(20, 1000, 30)
    ax.loglog(grid, law(grid), label="√(d arcsin(R)/π)", **EXACT)
    ax.loglog(grid, grid**0.5 / 4, label="√d/4", **PAPER)
    ax.set(xlabel="dimension d", title="change of the gradient, R = 1/√d")
    ax.set_yticks([2, 3, 5, 8], ["2", "3", "5", "8"])
    ax.set_xticks([25, 100, 400, 784], ["25", "100", "400", "784"])
    ax.minorticks_off()
    ax.legend()


def draw_change_bounds(ax: Axes, runs: pd.DataFrame) -> None:
    """Draw Lemma B.9 as printed and mended at m = d^2.4 and C0 = 10, up to the d at which both say something."""
    d = 10.0 ** np.linspace(1.3, 28, 90)
    old = [printed.gradient_change(k, 1, C0, log_m=2.4 * math.log(k)).total for k in d]
    new = [uniform.gradient_change(k, min(k**2.4, 1e300), C0).total for k in d]
    ax.loglog(d, old, label="B.9 as printed", **figures.line("bound"))
    ax.loglog(d, new, label="this book", **MENDED)
    ax.loglog(d, np.sqrt(d) / 4, label="√d/4", **PAPER)
    ax.loglog(d, d**0.25 / np.pi**0.5, label="law for one δ", **EXACT)
    found = runs.groupby("d")["change"].mean()
    ax.loglog(found, "o", color=figures.COLOURS["measured"], label="found")
    ax.set(xlabel="dimension d", title="the same, and Lemma B.9", ylim=(1, 1e14))
    ax.legend()


def worst_case(rows: pd.DataFrame, d: int, m: int, c0: float) -> dict[str, float] | None:
    """Return what was measured in the units of ``uniform.shares``: stored, or measured here, or None if too large."""
    part = rows[(rows["d"] == d) & (rows["m"] == m) & (rows["c0"] == c0)]
    if part.empty and d * m > SIZE_LIMIT:
        return None
    if part.empty:
        trial = over_the_ball(d=d, m=m, c0=[c0], points=3, seed=0, device="cpu", dtype=torch.float32)
        part = pd.DataFrame({name: np.atleast_1d(value) for name, value in trial.items()})
    usual = (d / 2) ** 0.5
    return {
        "flips": part["flips"].max(),
        "nearby": part["flips_nearby"].max(),
        "value": part["value"].max() / usual,
        "lost": 1 - part["gradient_low"].min() / usual,
        "change": part["change"].max() / usual,
        "step": part["norm"].max(),
    }


def say_one_size(rows: pd.DataFrame, d: int, m: int, c0: float) -> str:
    """Say what :func:`draw_one_size` shows: which bounds say something, and what was measured."""
    shares = uniform.shares(d, m, c0, GAMMA)
    told = []
    for which, look in ((0, "printed"), (1, "mended")):
        names = [words for name, words in SHARES.items() if shares[name][which] < 1]
        told.append(f"{look} bounds say something of {', '.join(names) if names else 'nothing'}")
    found = worst_case(rows, d, m, c0)
    if found is None:
        return f"{'; '.join(told)}; too large to be measured"
    measured = ", ".join(f"{words} {found[name]:.2g}" for name, words in SHARES.items())
    return f"{'; '.join(told)}; measured: {measured}"


def draw_one_size(ax: Axes, rows: pd.DataFrame, d: int, m: int, c0: float) -> None:
    """Draw every bound and the measured worst case at one size, on an axis where 1 means that nothing is said."""
    low, edge, high = 1e-3, 2e3, 3e3
    spread = {gamma: uniform.shares(d, m, c0, gamma) for gamma in (0.5, GAMMA, 1e-6)}
    for which, shift, look in ((0, -0.18, "paper"), (1, 0.18, "bound")):
        for k, name in enumerate(SHARES):
            x = [float(np.clip(spread[gamma][name][which], low, edge)) for gamma in spread]
            colour = figures.COLOURS[look]
            ax.plot([x[0], x[2]], [k + shift] * 2, color=colour, linewidth=1.2)
            ax.plot(x[1], k + shift, ">" if x[1] == edge else "D", color=colour)
    if found := worst_case(rows, d, m, c0):
        x = [float(np.clip(found[name], low, edge)) for name in SHARES]
        ax.plot(x, range(len(SHARES)), "o", color=figures.COLOURS["measured"], markersize=6)
    ax.axvspan(1, high, color=figures.COLOURS["start"], alpha=0.15, linewidth=0)
    ax.text(1.2, -0.55, "says nothing", fontsize=8)
    legend = {"measured": "● measured", "paper": "◆ printed", "bound": "◆ mended"}
    for k, (look, text) in enumerate(legend.items()):
        place: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 8, "color": figures.COLOURS[look]}
        ax.text(0.02 + 0.22 * k, 1.02, text, **place)
    ax.set(xscale="log", xlim=(low, high), ylim=(len(SHARES) - 0.5, -0.8), xlabel="1 = nothing is said")
    ax.set_yticks(range(len(SHARES)), list(SHARES.values()))
