"""The pictures of the page *landscape*: panels of Figure 1, the loss on the circle, counts of minima."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.patches import Circle
from numpy.typing import NDArray

from advnb.book import figures
from advnb.experiments import label, unroll
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points
from advnb.papers.dynamics.landscape.trials import best_descent
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.statistics import aggregate

MARKS = {True: ("v", figures.COLOURS["adversarial"]), False: ("^", figures.COLOURS["clean"])}
"""Marker and colour of a local minimum (True) and of a local maximum of the objective on the circle."""


def panel(ax: Axes, problem: Problem, *, seed: int = 0, resolution: int = 101) -> CirclePoints:
    """Draw one panel of Figure 1: the objective on the disc, its minima on the circle, a trajectory of ten steps.

    The trajectory starts at the highest of 10,000 random points and takes the best of ten step sizes (appendix B.1).
    ``problem`` has d = 2. Returns the points on the circle, whose number stands in the title.
    """
    _disc(ax, problem, resolution)
    points = circle_points(problem)
    _mark(ax, at_angle(problem, points.theta).numpy(), points)
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


def draw_circle(ax: Axes, eps: float, convention: str, seed: int = 3, m: int = 16) -> None:
    """Draw :func:`profile` for a random network of width ``m`` and an input of norm 1, with y = 1."""
    points = profile(ax, draw(2, m, eps, seed=seed, scale=1.0, y=1.0, convention=convention))
    ax.set_title(f"{points.minima} minima of L on the circle of radius {eps:g}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))


def draw_panel(ax: Axes, scale: float, ratio: float, convention: str, seed: int = 3, m: int = 16) -> None:
    """Draw the panel of Figure 1 at an input scale and a ratio, y = 1, the input uniform in the disc (B.1)."""
    panel(ax, draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=1.0, convention=convention))


def draw_single(ax: Axes, counts: pd.DataFrame, m: int = 16) -> None:
    """Draw the share of networks with one minimum against the radius, a curve an input norm."""
    long = unroll(counts[counts["m"] == m], ["eps", "counts"])
    colours = dict(zip(("0.01", "1", "10", "100"), figures.CYCLE, strict=False))
    for scale, part in long.assign(single=long["counts"] == 1).groupby("scale"):
        share, name = part.groupby("eps")["single"].mean(), f"{scale:g}"
        ax.semilogx(share, color=colours[name], label=f"‖x‖ = {name}")
    ax.set_xlabel("radius ε")
    figures.provenance(ax, label(counts))


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


def _mark(ax: Axes, where: NDArray[np.float64], points: CirclePoints) -> None:
    for kind, (marker, colour) in MARKS.items():
        chosen = where[(points.minimum == kind).numpy()]
        label = "local minimum of L" if kind else "local maximum of L"
        ax.plot(*chosen.T, marker, color=colour, markeredgecolor="white", markersize=8, zorder=6, label=label)
