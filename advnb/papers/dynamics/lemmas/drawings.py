"""The pictures of the page *lemmas*: bowl and dome, brackets, a step by its direction, curvature, the needle."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor

from advnb.book import figures
from advnb.papers.dynamics.circle import at_angle
from advnb.papers.dynamics.descent import pgd
from advnb.papers.dynamics.lemmas.quantities import angle_scan, mended_bound, needle, printed_bound, projection_error
from advnb.papers.dynamics.problem import Problem, draw, tangent_part
from advnb.papers.dynamics.sphere import critical_points

COLOURS = "cividis"

CONSTANTS_IN_WORDS = {
    "grad_min": "least gradient",
    "grad_max": "largest gradient",
    "hess": "largest Hessian",
    "lipschitz": "Lipschitz constant of the Hessian",
    "turn": "turn",
}
"""What stands in a bracket of Lemmas A.1, A.2 and Corollary A.1, by the field of the runs."""

ALONG_A_TRAJECTORY = {
    "l41_drop_over_eta": "Lemma 4.1: fall of L in an interior step over η, least",
    "l41_half_square": "Lemma 4.1: half of the least ‖∂L‖² there",
    "l41_ratio": "Lemma 4.1: fall of L over η ‖∂L‖², least",
    "a5_drop_over_eta2": "Lemma A.5: fall of L in a step on the sphere over η², least",
    "a5_drop_over_eta_gamma2": "Lemma A.5: fall of L over η ‖Γ‖², least",
    "eq5_inward": "Equation (5): share of points whose step ends inside",
    "eq5_mended": "Equation (5), mended: left over right side, largest",
    "eq5_printed_outside": "Equation (5), printed: left over right side, steps that end outside, largest",
    "eq5_squared_outside": "Equation (5), with ‖∂L‖²: steps that end outside, largest",
    "eq5_printed_inside": "Equation (5), printed: steps that end inside, largest",
    "eq5_squared_inside": "Equation (5), with ‖∂L‖²: steps that end inside, largest",
    "a6_distance_over_root_eta": "Lemma A.6: distance over √η where ‖Γ‖ ≤ √η, largest",
    "a6_distance_ratio": "Lemma A.6: distance over 2√η/γ, largest",
    "a6_slope_over_curvature": "Lemma A.6: slope over curvature γ, least",
    "a7_distance_over_root_eta": "Lemma A.7: later distance over √η, largest",
    "a7_distance_ratio": "Lemma A.7: later distance over 2√η/γ, largest",
    "a7_monotone": "Lemma A.7: share of steps that come no farther away",
    "l45_contraction": "Lemma 4.5: ε sup ‖∂²f‖ / inf ‖∂f‖",
    "l45_growth": "Lemma 4.5: growth of the needle’s angle in a step, largest",
    "l45_widest": "Lemma 4.5: widest angle on arrival at the sphere, over π",
    "l45_condition": "Lemma 4.5: left side of (6) over π/4",
    "l45_section4_reaches_maxima": "Lemma 4.5, section 4’s sets: share that reaches the one near maxima",
    "l45_section4_leaves_minima": "Lemma 4.5, section 4’s sets: share that leaves the one near minima",
    "l45_appendix_reaches_maxima": "Lemma 4.5, A.4’s sets: share that reaches the one near maxima",
    "l45_appendix_leaves_minima": "Lemma 4.5, A.4’s sets: share that leaves the one near minima",
}
"""The fields of the runs along trajectories, as a table shows them."""


def poles(problem: Problem) -> tuple[Tensor, Tensor]:
    """The lowest and the highest critical point of L on the sphere that Newton's method finds, (d,) each."""
    points = critical_points(problem, 40).points
    return points.delta[0], points.delta[-1]


def draw_sphere(ax: Any, problem: Problem, lines: int = 60) -> ScalarMappable:
    """Draw the sphere of a problem with d = 3, coloured by L, its poles marked; return what a colour bar needs.

    ``ax`` are matplotlib's Axes3D, whose types it does not declare.
    """
    polar = torch.linspace(0, math.pi, lines, dtype=torch.float64).unsqueeze(-1)
    around = torch.linspace(0, 2 * math.pi, 2 * lines, dtype=torch.float64)
    point = torch.stack((polar.sin() * around.cos(), polar.sin() * around.sin(), polar.cos().expand(-1, 2 * lines)), -1)
    value = problem.objective(problem.eps * point.reshape(-1, 3)).reshape(lines, 2 * lines)
    colours = ScalarMappable(Normalize(float(value.min()), float(value.max())), COLOURS)
    x, y, z = point.unbind(-1)
    ax.plot_surface(x, y, z, facecolors=colours.to_rgba(value.numpy()), rstride=1, cstride=1, shade=False)
    ends = [pole / problem.eps for pole in poles(problem)]
    ahead = torch.linalg.cross(*ends) + 0.4 * (ends[0] + ends[1])  # from here both poles are in sight
    ax.view_init(*(180 / math.pi * math.atan2(*at) for at in ((ahead[2], ahead[:2].norm()), (ahead[1], ahead[0]))))
    for pole, name, marker in zip(ends, ("minimum", "maximum"), "v^", strict=True):
        at = (1.03 * pole).tolist()
        ax.plot(*([value] for value in at), marker, color=figures.INK, markersize=8, zorder=9)
        ax.text(*(1.3 * value for value in at), name, zorder=9, ha="center", fontsize=8)
    ax.set_box_aspect((1, 1, 1), zoom=1.25)
    ax.set_axis_off()
    return colours


def great_circle(problem: Problem, start: Tensor, through: Tensor, degrees: Tensor) -> Tensor:
    """The points (n, d) at angles (n,) from ``start`` on the great circle that goes on to ``through``."""
    side = tangent_part(start, through)
    angle = (degrees * math.pi / 180).unsqueeze(-1)
    return angle.cos() * start + angle.sin() * problem.eps * side / side.norm()


def parabola(problem: Problem, start: Tensor, through: Tensor, degrees: Tensor) -> Tensor:
    """L at a critical point plus half the curvature t' Xi t along the great circle times the squared length, (n,)."""
    side = tangent_part(start, through)
    side = side / side.norm()
    curvature = side @ problem.xi(start.unsqueeze(0))[0] @ side
    length = problem.eps * degrees * math.pi / 180
    return problem.objective(start.unsqueeze(0)) + curvature * length**2 / 2


def draw_profile(ax: Axes, problem: Problem) -> None:
    """Draw L along the great circle from the minimum past the maximum, and the bowl and the dome that Xi gives."""
    low, high = poles(problem)
    degrees = torch.linspace(-60, 300, 361, dtype=torch.float64)
    points = great_circle(problem, low, high, degrees)
    ax.plot(degrees, problem.objective(points), color=figures.INK, label="L along a great circle")
    there = float(torch.arccos((low @ high) / problem.eps**2)) * 180 / math.pi
    near = torch.linspace(-55, 55, 111, dtype=torch.float64)
    for name, pole, other, at, meaning in (
        ("bowl at the minimum", low, high, 0.0, "measured"),
        ("dome at the maximum", high, low, there, "adversarial"),
    ):
        curve = parabola(problem, pole, other, near)
        ax.plot(at + near, curve, "--", color=figures.COLOURS[meaning], label=name)
        ax.plot([at], [float(curve[55])], "v" if at == 0 else "^", color=figures.INK)
    ax.set(xlabel="angle from the minimum (degrees)", ylabel="L", xticks=range(-60, 301, 60))


def draw_bracket(ax: Axes, constants: pd.DataFrame, over: str, names: dict[str, str]) -> None:
    """Draw medians over networks of what was reached (a line) and what is proved (the edge of a band), by ``over``."""
    for colour, (field, name) in zip(figures.CYCLE, names.items(), strict=False):
        median = constants.groupby(over)[[f"{field}_reached", f"{field}_proved"]].median()
        reached, proved = (median[column].to_numpy() for column in median.columns)
        ax.plot(median.index, reached, "o-", color=colour, markersize=4, label=name)
        ax.fill_between(median.index, reached, proved, color=colour, alpha=0.3, linewidth=0)
    ax.set(xlabel=over, ylim=(0, None))
    ax.set_xscale("log", base=2)


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
    ax.axvline(180 - math.degrees(math.acos(eta / 2)), color=figures.FAINT, linewidth=0.8)
    ax.set(xlabel="angle to the outward normal (degrees)", title=f"step {eta:g} ε")


def draw_curvature(ax: Axes, convention: str, radii: tuple[float, ...] = (0.05, 0.2, 1.0)) -> None:
    """Draw Lemma 4.4: eps times the least eigenvalue of sgn((y - f) delta . df) Xi against the cosine."""
    for eps in radii:
        scan = angle_scan(draw(8, 256, eps, seed=0, convention=convention))
        ax.plot(scan.cosine, eps * scan.definite, ".", markersize=3, label=f"ε = {eps:g}")
    ax.axhline(0, color=figures.INK, linewidth=0.8)
    ax.set(title=convention, xlabel="cosine between ∂f and δ")


def draw_needle(ax: Axes, problem: Problem, start: Tensor, eta: float, steps: int, opening: float) -> None:
    """Draw the angle between -dL and the radius along trajectories, in degrees, and the opening of Delta^+."""
    path = pgd(problem, start, steps=steps, step_size=eta)
    angle = torch.stack([needle(problem, delta) for delta in path.delta]) * 180 / math.pi
    ax.plot(angle.clamp_min(1e-6), color=figures.COLOURS["measured"], linewidth=1)
    ax.axhline(opening * 180 / math.pi, **(figures.line("paper") | {"marker": ""}))
    ax.set(yscale="log", ylim=(1e-3, 200), xlabel="step")
