"""The pictures of the page *restarts*: basins on the disc, shares of starts, accuracy against the number of starts."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Circle

from advnb.book import figures
from advnb.papers.dynamics.problem import draw
from advnb.papers.dynamics.restarts.claims import OFFERED, gains, successes, table
from advnb.papers.dynamics.restarts.trials import RULES, TOLERANCES, ends, highest

LOOKS = ("o-", "s--", "^:", "D-.", "v-")


def draw_basins(
    ax: Axes, eps: float, *, seed: int = 0, m: int = 16, resolution: int = 41, tolerance: float = 0.01
) -> float:
    """Draw the disc of starts, blue where 200 steps of PGD reach the global maximum of the loss, orange elsewhere.

    ||x|| = 1 and y = f(x) + 1. Returns the share of starts that reach it.
    """
    problem = draw(2, m, eps, seed=seed, scale=1.0)
    ticks = torch.linspace(-0.99 * eps, 0.99 * eps, resolution, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    start = grid[grid.norm(dim=-1) < eps]
    loss = ends(problem, start, "shrinking", (200,))[0]
    best = max(highest(problem), float(loss.max()))
    hit = (loss >= best - TOLERANCES[0] * (best + problem.objective(start).median())).numpy()
    for meaning, chosen in (("measured", hit), ("start", ~hit)):
        u, v = start.numpy()[chosen].T
        ax.scatter(u, v, s=(180 / resolution) ** 2, marker="s", color=figures.COLOURS[meaning], linewidths=0)
    ax.add_patch(Circle((0, 0), eps, fill=False, edgecolor=figures.INK, linewidth=1.2))
    ax.set(aspect="equal", xlim=(-1.05 * eps, 1.05 * eps), ylim=(-1.05 * eps, 1.05 * eps))
    ax.set_axis_off()
    ax.set_title(f"radius {eps:g}: {100 * hit.mean():.0f}% of starts")
    return float(hit.mean())


def draw_shares(ax: Axes, rows: pd.DataFrame, by: str, name: str) -> list[ErrorbarContainer]:
    """Draw the mean share of successful starts in ``rows`` against the radius, a curve for each value of ``by``."""
    found = table(rows, [by, "eps"])
    curves = []
    for (value, part), look in zip(found.groupby(level=0), LOOKS, strict=False):
        part = part.droplevel(0)
        error = [part["share"] - part["low"], part["high"] - part["share"]]
        curves.append(ax.errorbar(part.index, part["share"], error, fmt=look, label=f"{name} {value:g}"))
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel="radius ε")
    ax.legend()
    return curves


def draw_steps(ax: Axes, basins: pd.DataFrame, eps: float) -> None:
    """Draw the mean share of successful starts against the number of steps, a curve a step size rule; d = 2, m = 16."""
    rows = successes(basins).query("d == 2 and m == 16 and scale == 1 and eps == @eps")
    for rule, look in zip(RULES, LOOKS, strict=False):
        found = table(rows[rows["rule"] == rule], ["steps"])
        error = [found["share"] - found["low"], found["high"] - found["share"]]
        ax.errorbar(found.index, found["share"], error, fmt=look, label=OFFERED[rule])
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel="steps K", title=f"radius {eps:g}")


def draw_accuracy(ax: Axes, rows: pd.DataFrame, data: str, most: int = 20) -> None:
    """Draw the robust accuracy against the number of starts k, a curve for each training and eps, with its interval."""
    part = rows[rows["data"] == data]
    ks = [k for k in (1, 2, 3, 5, 10, 20, 50) if k <= min(most, int(part["restarts"].min()))]
    curves = {k: gains(part, k) for k in ks}
    for case, look in zip(curves[ks[0]], LOOKS, strict=False):
        ax.plot(ks, [curves[k][case]["many"] for k in ks], look, label=f"{case[1]}, ε = {case[2]:g}")
    ax.set(xscale="log", ylim=(-0.03, 1.0), xlabel="starts k", title=data)
    ax.set_xticks(ks, map(str, ks))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.06))  # below the curves that are not at zero
