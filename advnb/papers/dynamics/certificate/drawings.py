"""The pictures of the page *certificate*: the two sides of the condition, radii network by network, their growth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.experiments import label
from advnb.papers.dynamics.bounds import expand, optimised
from advnb.papers.dynamics.problem import draw

RADII = {
    "certified": ("certified: proved", "measured", "o"),
    "optimised": ("searched: not refuted", "start", "s"),
    "sampled": ("at 64 random points", "paper", "x"),
    "true": ("true: one minimum, by proved counts", "adversarial", "^"),
}
"""Name, meaning of the colour and marker of each radius."""


def draw_condition(ax: Axes, d: int, m: int, seed: int, radii: tuple[float, float, int] = (0.1, 10.0, 25)) -> float:
    """Draw both sides of eps sup ||d2f|| < inf ||df|| against eps, proved and searched, for one network.

    ``radii``: the least and the largest, and their number. Returns the largest certified radius among them, 0 if
    there is none.
    """
    problem = draw(d, m, 1.0, seed=seed)
    expansion = expand(problem)
    low, high, number = radii
    grid = np.geomspace(low, high, number)
    proved = [expansion.bounds(float(eps)) for eps in grid]
    searched = [optimised(problem.having(eps=float(eps)), 6, steps=30) for eps in grid]
    turn, needle = figures.COLOURS["adversarial"], figures.COLOURS["clean"]
    ax.loglog(grid, grid * [b.hessian for b in proved], color=turn, label="ε sup ‖∂²f‖, bound from above")
    ax.loglog(grid, grid * [s.hessian for s in searched], color=turn, linestyle=":", label="the same, searched")
    ax.loglog(grid, [b.gradient_low or np.nan for b in proved], color=needle, label="inf ‖∂f‖, bound from below")
    ax.loglog(grid, [s.gradient for s in searched], color=needle, linestyle=":", label="the same, searched")
    certified = max((float(eps) for eps, b in zip(grid, proved, strict=True) if b.single), default=0.0)
    if certified:
        ax.axvspan(low, certified, color=figures.COLOURS["measured"], alpha=0.12, linewidth=0)
    ax.set(xlim=(low, high), xlabel="radius ε", title=f"d = {d}, m = {m}")
    return certified


def draw_radii(ax: Axes, radii: pd.DataFrame, m: int) -> None:
    """Draw the four radii of each network with d = 2 and width ``m``, sorted by the true one."""
    part = radii[(radii["d"] == 2) & (radii["m"] == m)].sort_values("true")
    for name, (text, meaning, marker) in RADII.items():
        ax.semilogy(
            np.arange(len(part)), part[name], marker, color=figures.COLOURS[meaning], label=text, linestyle="none"
        )
    ax.set(xlabel="network, by its true radius", title=f"d = 2, m = {m}")
    ax.set_xticks([])


def draw_growth(ax: Axes, radii: pd.DataFrame, along: str, power: float) -> None:
    """Draw medians and quartiles of the certified and the searched radius against ``along``, on logarithmic axes.

    A dashed guide of slope ``power`` starts at the first certified median.
    """
    for name in ("certified", "optimised"):
        text, meaning, marker = RADII[name]
        groups = radii.groupby(along)[name]
        median = groups.median()
        spread = [median - groups.quantile(0.25), groups.quantile(0.75) - median]
        ax.errorbar(median.index, median, spread, color=figures.COLOURS[meaning], marker=marker, capsize=3, label=text)
        if name == "certified":
            guide = median.iloc[0] * (median.index / median.index[0]) ** power
            ax.plot(median.index, guide, color=figures.FAINT, linestyle="--", label=f"slope {power:.2g}")
    ax.set(xscale="log", yscale="log", xlabel=along)
    ax.set_xticks(sorted(radii[along].unique()), [str(value) for value in sorted(radii[along].unique())])
    ax.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    ax.minorticks_off()
    figures.provenance(ax, label(radii))
