"""The pictures of the page *landscape*: needle and poles, the circle, single minima, losses that go flat."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from numpy.typing import NDArray

from advnb.book import figures
from advnb.experiments import label, unroll
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points
from advnb.papers.dynamics.lemmas.quantities import uncrossed
from advnb.papers.dynamics.problem import Problem, draw

MARKS = {True: ("v", figures.COLOURS["adversarial"]), False: ("^", figures.COLOURS["clean"])}
"""Marker and colour of a local minimum (True) and of a local maximum of the objective on the circle."""

LOSSES = {"squared": "squared", "cross_entropy": "cross entropy", "pseudo_huber": "pseudo-Huber", "welsch": "Welsch"}
"""The losses of section 5.2's experiment, by the name they are drawn with."""


def draw_needle(ax: Axes, eps: float, seed: int = 3, m: int = 16, arrows: int = 11) -> QuadContourSet:
    """Draw f on the ball, the compass needle df / ||df|| at points of it, and the extrema of L on the circle.

    The target is out of f's reach. Coordinates are in units of the radius; returns the filled contours, for a
    colour bar of f less its mean in units of its largest deviation.
    """
    problem = uncrossed(draw(2, m, eps, seed=seed, scale=1.0))
    side = torch.linspace(-1, 1, 121, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    inside = (grid.norm(dim=-1) <= 1).reshape(121, 121).numpy()
    f = problem.f(eps * grid).reshape(121, 121).numpy()
    f = np.where(inside, f, np.nan) - f[inside].mean()
    filled = ax.contourf(side, side, (f / np.nanmax(np.abs(f))).T, levels=np.linspace(-1, 1, 17), cmap="PuOr")
    coarse = torch.linspace(-0.9, 0.9, arrows, dtype=torch.float64)
    at = torch.cartesian_prod(coarse, coarse)
    at = at[at.norm(dim=-1) <= 0.93]
    needle = problem.f_gradient(eps * at)
    needle = needle / needle.norm(dim=-1, keepdim=True)
    ax.quiver(*at.T, *needle.T, color=figures.INK, pivot="mid", scale=16, width=0.006)
    theta = torch.linspace(0, 2 * math.pi, 300)
    ax.plot(theta.cos(), theta.sin(), color=figures.INK, linewidth=1)
    points = circle_points(problem)
    mark(ax, torch.stack((points.theta.cos(), points.theta.sin()), dim=-1).numpy(), points)
    ax.set(aspect="equal", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), title=f"radius {eps:g}")
    ax.set_axis_off()
    return filled


def draw_turning(ax: Axes, radii: tuple[float, ...] = (0.3, 1.0, 10.0), seed: int = 3, m: int = 16) -> None:
    """Draw the direction of df against the angle of the point on the circle, a curve a radius.

    f has a maximum where a curve crosses the line "along the radius", a minimum where it crosses "against it".
    """
    theta = torch.linspace(0, 2 * math.pi, 2000, dtype=torch.float64)
    for eps, colour in zip(radii, figures.CYCLE, strict=False):
        gradient = draw(2, m, eps, seed=seed, scale=1.0).f_gradient(eps * torch.stack((theta.cos(), theta.sin()), -1))
        direction = np.unwrap(torch.atan2(gradient[:, 1], gradient[:, 0]).numpy())
        direction -= 2 * math.pi * round((direction.mean() - math.pi) / (2 * math.pi))
        ax.plot(theta, direction, color=colour, label=f"∂f, radius {eps:g}")
    for shift in (-math.pi, 0.0, math.pi):
        name = {0.0: "along the radius", math.pi: "against it"}.get(shift)
        ax.plot(theta, theta + shift, color=figures.FAINT, linestyle="-" if shift == 0 else "--", label=name)
    ticks = ([0, math.pi, 2 * math.pi], ["0", "π", "2π"])
    ax.set_xticks(*ticks)
    ax.set_yticks(*ticks)
    ax.set(xlim=(0, 2 * math.pi), ylim=(-0.5, 2 * math.pi + 0.5), xlabel="angle of the point", ylabel="angle of ∂f")


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
    points = profile(ax, _seen_on_the_circle(eps, convention, seed, m))
    ax.set_title(f"{_minima(points)} of L on the circle of radius {eps:g}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _seen_on_the_circle(eps: float, convention: str, seed: int, m: int) -> Problem:
    return draw(2, m, eps, seed=seed, scale=1.0, y=1.0, convention=convention)


def _minima(points: CirclePoints) -> str:
    return f"{points.minima} {'minimum' if points.minima == 1 else 'minima'}"


def say_circle(eps: float, convention: str, seed: int = 3, m: int = 16) -> str:
    """Say what :func:`draw_circle` shows."""
    points = circle_points(_seen_on_the_circle(eps, convention, seed, m))
    low, high = float(points.f.min()), float(points.f.max())
    crossings = int(points.crossing.sum())
    target = f"crosses the target 1 {crossings} times" if crossings else "never takes the value of the target, 1"
    return f"{_minima(points)} of L on the circle: f runs from {low:.2g} to {high:.2g} and {target}"


def draw_single(ax: Axes, counts: pd.DataFrame, m: int = 16) -> None:
    """Draw the share of networks with one minimum against the radius, a curve an input norm."""
    long = unroll(counts[counts["m"] == m], ["eps", "counts"])
    colours = dict(zip(("0.01", "1", "10", "100"), figures.CYCLE, strict=False))
    for scale, part in long.assign(single=long["counts"] == 1).groupby("scale"):
        share, name = part.groupby("eps")["single"].mean(), f"{scale:g}"
        ax.semilogx(share, color=colours[name], label=f"‖x‖ = {name}")
    ax.set_xlabel("radius ε")
    figures.provenance(ax, label(counts))


def draw_arrivals(ax: Axes, losses: pd.DataFrame, suffix: str = "") -> None:
    """Draw the share of starts that arrive at the minimum against the least slope seen on the ball, a point a case.

    Columns ``slope_seen`` and ``arrived`` + ``suffix``; slopes below 1e-20 stand at 1e-20, shares are spread a
    little so that equal ones can be told apart.
    """
    spread = np.random.default_rng(0).uniform(-0.03, 0.03, len(losses))
    for (loss, name), colour in zip(LOSSES.items(), figures.CYCLE, strict=False):
        part = (losses["loss"] == loss).to_numpy()
        slope = losses["slope_seen"].clip(lower=1e-20)[part]
        ax.semilogx(
            slope, (losses["arrived" + suffix] + spread)[part], ".", color=colour, alpha=0.6, label=name,
        )  # fmt: skip
    ax.axvline(2.0**-24, color=figures.FAINT, linestyle="--", linewidth=1)
    ax.set(xlabel="least slope of the loss on the ball", ylim=(-0.08, 1.08))


def mark(ax: Axes, where: NDArray[np.float64], points: CirclePoints) -> None:
    """Mark the minima and maxima of the objective at ``where`` (n, 2), one place for each of ``points``."""
    for kind, (marker, colour) in MARKS.items():
        chosen = where[(points.minimum == kind).numpy()]
        label = "local minimum of L" if kind else "local maximum of L"
        ax.plot(*chosen.T, marker, color=colour, markeredgecolor="white", markersize=8, zorder=6, label=label)
