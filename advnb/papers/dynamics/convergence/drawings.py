"""The pictures of the page *convergence*: a trajectory's measures, the rates, steps that shrink."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.dynamics.convergence.claims import by_net
from advnb.papers.dynamics.descent import pgd, shrinking
from advnb.papers.dynamics.problem import Problem, draw, in_ball, tangent_part
from advnb.papers.dynamics.sphere import newton

ETA = 0.004
"""The step from which the picture of shrinking steps starts."""


def draw_rates(axes: list[Axes], stored: pd.DataFrame, live: pd.DataFrame) -> None:
    """Draw steps and distance at the stopping rule against eta, a line a network, beside the paper's powers."""
    for table, style in ((stored, ".-"), (live, "x")):
        for _, part in by_net(table).groupby("net"):
            for ax, name in zip(axes, ("steps", "distance"), strict=True):
                look = {"color": figures.COLOURS["measured"], "alpha": 0.35, "markersize": 4}
                ax.loglog(part["eta"], part[name], style, **look)
    ends = np.array([stored["eta"].min(), stored["eta"].max()])
    paper = figures.line("paper") | {"marker": ""}
    axes[0].loglog(ends, 10 * (ends / ends[1]) ** -2.0, **paper, label="slope -2")
    axes[1].loglog(ends, 0.1 * (ends / ends[1]) ** 0.5, **paper, label="slope 1/2")
    axes[0].set(xlabel="step size η", ylabel="steps until ‖Γ‖ ≤ √η")
    axes[1].set(xlabel="step size η", ylabel="distance to the minimum then")
    for ax in axes:
        ax.legend()


@lru_cache
def _close_to_a_minimum() -> tuple[Problem, torch.Tensor, torch.Tensor, float]:
    """Return a problem, its minimum (1, d), a point of the sphere near it, and the least tangent curvature there."""
    problem = draw(4, 128, 0.2, seed=0)
    end = pgd(problem, in_ball(problem, 1, seed=0), steps=3000, step_size=ETA).end
    minimum = newton(problem, end)
    aside = tangent_part(minimum.delta, torch.ones(1, 4, dtype=torch.float64))
    near = problem.eps * torch.nn.functional.normalize(minimum.delta + 0.02 * aside)
    return problem, minimum.delta, near, float(minimum.eigenvalues[0, 0])


def draw_shrinking(ax: Axes, ratio: float) -> None:
    """Draw the squared distance under steps 2 / (beta (s + z)), beta = ``ratio`` mu, and under a constant one."""
    problem, minimum, near, mu = _close_to_a_minimum()
    beta = ratio * mu
    z = math.ceil(2 / (beta * ETA))
    steps = min(10 * z, 1500)
    time = z + np.arange(steps + 1)
    for name, size, look in (("shrinking", shrinking(beta, z), "measured"), ("constant", 2 / (beta * z), "bound")):
        path = pgd(problem, near, steps=steps, step_size=size).delta
        squares = ((path - minimum) ** 2).sum(-1)[:, 0]
        ax.loglog(time, squares.clamp_min(1e-32), **(figures.line(look) | {"marker": ""}), label=name)
    law = float(squares[0]) * (time / z) ** (-4 / ratio)
    ax.loglog(time, law, **(figures.line("paper") | {"marker": ""}), label=f"power {-4 / ratio:.2g}")
    ax.set(xlabel="s + z", ylabel="D_s", ylim=(1e-24, 1e-2), title=f"β = {ratio:g} μ")
    ax.legend(loc="lower left")


def draw_decay(ax: Axes, stored: pd.DataFrame, live: pd.DataFrame) -> None:
    """Draw the decay exponents of the squared distance against beta / mu, with the law 4 mu / beta."""
    looks = {"measured (stored)": (stored, "o", "measured"), "measured (live)": (live, "x", "clean")}
    for name, (table, marker, look) in looks.items():
        colour = figures.COLOURS[look]
        ax.loglog(table["beta_ratio"], -table["slope"], marker, color=colour, markersize=4, label=name)
    grid = np.geomspace(0.25, 32)
    ax.loglog(grid, 4 / grid, color=figures.INK, linewidth=1, label="4 μ / β")
    ax.axhline(1, **(figures.line("paper") | {"marker": ""}), label="the corollary's 1")
    ax.set(xlabel="β / μ", ylabel="decay exponent of D_s")
    ax.legend()
