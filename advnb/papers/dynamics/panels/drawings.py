"""The pictures of the page *panels*: panels of Figure 1, what is small at a start, minima against the width."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.patches import Circle
from numpy.typing import NDArray

from advnb.book import figures
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points
from advnb.papers.dynamics.landscape.drawings import mark
from advnb.papers.dynamics.panels.trials import best_descent
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.statistics import aggregate


def panel(ax: Axes, problem: Problem, *, seed: int = 0, resolution: int = 101) -> CirclePoints:
    """Draw one panel of Figure 1: the objective on the disc, its minima on the circle, a trajectory of ten steps.

    The trajectory starts at the highest of 10,000 random points and takes the best of ten step sizes (appendix B.1).
    ``problem`` has d = 2. Returns the points on the circle, whose number stands in the title.
    """
    _disc(ax, problem, resolution)
    points = circle_points(problem)
    mark(ax, at_angle(problem, points.theta).numpy(), points)
    cloud = in_ball(problem, 10_000, seed=seed)
    start = cloud[problem.objective(cloud).argmax()].unsqueeze(0)
    path, _ = best_descent(problem, start)
    draw_path(ax, path.delta[:, 0].numpy())
    ax.set_axis_off()
    ax.set_title(f"minima on the circle: {points.minima}")
    return points


def _disc(ax: Axes, problem: Problem, resolution: int) -> None:
    """Draw the contours of the objective on the disc of radius eps, and its edge."""
    u, v = np.meshgrid(*2 * [np.linspace(-problem.eps, problem.eps, resolution)])
    points = torch.from_numpy(np.stack([u.ravel(), v.ravel()], axis=1))
    values = problem.objective(points).numpy().reshape(u.shape)
    edge = Circle((0, 0), problem.eps, fill=False, edgecolor=figures.INK, linewidth=1.2, zorder=2)
    ax.add_patch(edge)
    ax.contourf(u, v, values, 12, cmap="cividis", zorder=1).set_clip_path(edge)
    reach = 1.06 * problem.eps
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))


def draw_path(ax: Axes, path: NDArray[np.float64]) -> None:
    """Draw a trajectory (steps + 1, 2): a dot a step, a ring at the start, a star at the end."""
    colour = figures.COLOURS["start"]
    ax.plot(*path.T, ".-", color=colour, linewidth=1.1, markersize=3.5, zorder=3)
    ax.plot(*path[0], "o", color=colour, markerfacecolor=figures.BACKGROUND, markersize=6, zorder=4)
    ax.plot(*path[-1], "*", color=colour, markeredgecolor=figures.INK, markersize=11, zorder=5)


def draw_panel(ax: Axes, scale: float, ratio: float, convention: str, seed: int = 3, m: int = 16) -> None:
    """Draw the panel of Figure 1 at an input scale and a ratio, y = 1, the input uniform in the disc (B.1)."""
    panel(ax, draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=1.0, convention=convention))


def draw_factors(ax: Axes, escapes: pd.DataFrame, convention: str) -> PathCollection:
    """Draw |l'(f)| against ||df|| at the starts of trajectories, relative to their medians; colour: log10 radius."""
    part = escapes[escapes["convention"] == convention]
    radius = np.log10(part["scale"] * part["ratio"])
    slope = part["slope"].clip(lower=1e-5)
    cloud = ax.scatter(part["grad_f"], slope, s=8, c=radius, cmap="cividis", vmin=-3, vmax=3)
    ax.set(xscale="log", yscale="log", title=convention, xlabel="‖∂f‖ at the start / median")
    return cloud


def draw_widths(ax: Axes, stored: pd.DataFrame, live: pd.DataFrame) -> None:
    """Draw the mean number of minima of f against the width: lines with intervals stored, crosses live."""
    for scale, part in stored.groupby("scale"):
        mean = aggregate(part, "m", "f")
        error = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
        ax.errorbar(mean["m"], mean["mean"], error, marker="o", label=f"input scale {scale:g}")
    for scale, part in live.groupby("scale"):
        ax.plot(part.groupby("m")["f"].mean(), "kx", zorder=3, label="live" if scale == 100 else None)
    ax.set(xscale="log", yscale="log", xlabel="hidden width m", ylabel="local minima of f on the circle")
    ax.legend()
