"""The pictures of the chapter that more than one cell draws: a panel of Figure 1, and the loss around the circle."""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from advnb.book import figures
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points
from advnb.papers.dynamics.landscape.trials import best_descent
from advnb.papers.dynamics.problem import Problem, in_ball

MARKS = {True: ("v", figures.COLOURS["adversarial"]), False: ("^", figures.COLOURS["clean"])}
"""Marker and colour of a local minimum (True) and of a local maximum of the objective on the circle."""


def panel(ax: Axes, problem: Problem, *, seed: int = 0, resolution: int = 101) -> CirclePoints:
    """Draw one panel of Figure 1: the objective on the disc, its minima on the circle, a trajectory of ten steps.

    The trajectory starts at the highest of 10,000 random points and takes the best of ten step sizes (appendix B.1).
    ``problem`` has d = 2. Returns the points on the circle, whose number stands in the title.
    """

    def value(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return problem.objective(torch.from_numpy(points)).numpy()

    figures.landscape(ax, value, problem.eps, resolution=resolution, levels=12)
    points = circle_points(problem)
    _mark(ax, at_angle(problem, points.theta).numpy(), points)
    cloud = in_ball(problem, 10_000, seed=seed)
    start = cloud[problem.objective(cloud).argmax()].unsqueeze(0)
    path, _ = best_descent(problem, start)
    figures.trajectory(ax, path.delta[:, 0].numpy(), color=figures.COLOURS["start"])
    ax.set_axis_off()
    ax.set_title(f"minima on the circle: {points.minima}")
    return points


def profile(ax: Axes, problem: Problem, *, samples: int = 2000) -> CirclePoints:
    """Draw the output f along the circle with the target y, and mark the minima and maxima of the objective.

    ``problem`` has d = 2. Returns the points on the circle.
    """
    theta = torch.linspace(0, 2 * math.pi, samples, dtype=torch.float64)
    ax.plot(theta, problem.f(at_angle(problem, theta)), color=figures.INK)
    points = circle_points(problem)
    _mark(ax, torch.stack((points.theta, points.f), dim=-1).numpy(), points)
    ax.axhline(float(problem.y), color=figures.COLOURS["paper"], linestyle="--", linewidth=1)
    ax.set_xlim(0, 2 * math.pi)
    ax.set_xticks([0, math.pi, 2 * math.pi], ["0", "π", "2π"])
    ax.set(xlabel="angle on the circle", ylabel="output f")
    return points


def _mark(ax: Axes, where: NDArray[np.float64], points: CirclePoints) -> None:
    for kind, (marker, colour) in MARKS.items():
        chosen = where[(points.minimum == kind).numpy()]
        label = "local minimum of L" if kind else "local maximum of L"
        ax.plot(*chosen.T, marker, color=colour, markeredgecolor="white", markersize=8, zorder=6, label=label)
