"""The pictures of the page *landscape*: the loss on the circle, the share of networks with one minimum."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from advnb.book import figures
from advnb.experiments import label, unroll
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points
from advnb.papers.dynamics.problem import Problem, draw

MARKS = {True: ("v", figures.COLOURS["adversarial"]), False: ("^", figures.COLOURS["clean"])}
"""Marker and colour of a local minimum (True) and of a local maximum of the objective on the circle."""


def profile(ax: Axes, problem: Problem, *, samples: int = 2000) -> CirclePoints:
    """Draw the output f along the circle with the target y, and mark the minima and maxima of the objective.

    ``problem`` has d = 2. Returns the points on the circle.
    """
    theta = torch.linspace(0, 2 * math.pi, samples, dtype=torch.float64)
    ax.plot(theta, problem.f(at_angle(problem, theta)), color=figures.INK)
    points = circle_points(problem)
    mark(ax, torch.stack((points.theta, points.f), dim=-1).numpy(), points)
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


def draw_single(ax: Axes, counts: pd.DataFrame, m: int = 16) -> None:
    """Draw the share of networks with one minimum against the radius, a curve an input norm."""
    long = unroll(counts[counts["m"] == m], ["eps", "counts"])
    colours = dict(zip(("0.01", "1", "10", "100"), figures.CYCLE, strict=False))
    for scale, part in long.assign(single=long["counts"] == 1).groupby("scale"):
        share, name = part.groupby("eps")["single"].mean(), f"{scale:g}"
        ax.semilogx(share, color=colours[name], label=f"‖x‖ = {name}")
    ax.set_xlabel("radius ε")
    figures.provenance(ax, label(counts))


def mark(ax: Axes, where: NDArray[np.float64], points: CirclePoints) -> None:
    """Mark the minima and maxima of the objective at ``where`` (n, 2), one place for each of ``points``."""
    for kind, (marker, colour) in MARKS.items():
        chosen = where[(points.minimum == kind).numpy()]
        label = "local minimum of L" if kind else "local maximum of L"
        ax.plot(*chosen.T, marker, color=colour, markeredgecolor="white", markersize=8, zorder=6, label=label)
