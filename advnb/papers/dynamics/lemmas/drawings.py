"""The pictures of the page *lemmas*: the error of a tangent step by its direction, the curvature along the sphere."""

from __future__ import annotations

import math

import torch
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.dynamics.circle import at_angle
from advnb.papers.dynamics.lemmas.quantities import angle_scan, mended_bound, printed_bound, projection_error
from advnb.papers.dynamics.problem import draw


def draw_tangent_step(ax: Axes, eta: float, points: int = 400) -> None:
    """Draw Lemma 4.2 on the unit circle: the error of a step ``eta`` and both bounds, by its angle to the normal."""
    problem = draw(2, 4, 1.0, seed=0)
    delta = at_angle(problem, torch.zeros(points, dtype=torch.float64))
    angle = torch.linspace(0, math.pi, points, dtype=torch.float64)
    step = eta * torch.stack((angle.cos(), angle.sin()), dim=-1)
    degrees = angle * 180 / math.pi
    ax.plot(degrees, projection_error(problem, delta, step), color=figures.COLOURS["measured"], label="error")
    for name, bound, look in (
        ("printed bound", printed_bound(problem, step), "paper"),
        ("mended bound", mended_bound(problem, delta, step), "bound"),
    ):
        ax.plot(degrees, bound, **(figures.line(look) | {"marker": ""}), label=name)
    ax.set(xlabel="angle to the outward normal (degrees)", title=f"step {eta:g} ε")


def draw_curvature(ax: Axes, convention: str, radii: tuple[float, ...] = (0.05, 0.2, 1.0)) -> None:
    """Draw Lemma 4.4: eps times the least eigenvalue of sgn((y - f) delta . df) Xi against the cosine."""
    for eps in radii:
        scan = angle_scan(draw(8, 256, eps, seed=0, convention=convention))
        ax.plot(scan.cosine, eps * scan.definite, ".", markersize=3, label=f"ε = {eps:g}")
    ax.axhline(0, color=figures.INK, linewidth=0.8)
    ax.set(title=convention, xlabel="cosine between ∂f and δ")
