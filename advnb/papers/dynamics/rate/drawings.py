"""The pictures of the page *rate*: one step as two shrinkings, the factors, a run, how many steps it takes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from advnb.book import figures
from advnb.papers.dynamics.descent import pgd
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.rate.claims import by_step
from advnb.papers.dynamics.rate.quantities import Rate, bends, outward_pull
from advnb.papers.dynamics.sphere import descend_sphere, newton

DIMENSION_COLOURS = {2: "#E69F00", 8: "#0072B2", 32: "#009E73", 64: "#D55E00"}
"""One colour a dimension."""


def one_step(s: float, c: float, angle: float) -> NDArray[np.float64]:
    """Return delta, the end of its gradient step and the projection of that, (3, 2), on the unit circle.

    The strongest adversary is (0, 1), ``angle`` away from delta; the loss is linear upwards, with curvature c.
    """
    start = np.array([math.sin(angle), math.cos(angle)])
    end = start + s * np.array([-c * start[0], 1.0])
    return np.stack([start, end, end / np.linalg.norm(end)])


def draw_idea(ax: Axes, s: float = 0.8, c: float = 0.3, angle: float = 0.95) -> None:
    """Draw one step beside the strongest adversary: the bend takes 1 - s c of the offset, the projection 1/(1 + s).

    The inner curve is the bowl: how high L is along the sphere.
    """
    start, end, landed = one_step(s, c, angle)
    turn = np.linspace(-0.7, 1.25, 100)
    ax.plot(np.sin(turn), np.cos(turn), color=figures.INK)
    bowl = 0.62 + 0.45 * (1 - np.cos(turn))
    ax.plot(bowl * np.sin(turn), bowl * np.cos(turn), color=figures.COLOURS["clean"], linewidth=1)
    ax.annotate("L along the sphere", (-0.42, 0.5), fontsize=8, color=figures.COLOURS["clean"], ha="center", va="top")
    ax.plot(0, 1, "*", color=figures.COLOURS["start"], markeredgecolor=figures.INK, markersize=12, zorder=5)
    ax.plot([0, 0], [0.3, 1.7], ":", color=figures.FAINT)
    ray = np.stack([0.35 * landed, end])
    ax.plot(*ray.T, "--", color=figures.COLOURS["bound"], linewidth=1)
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": figures.COLOURS["adversarial"], "lw": 1.8})
    for point, name, where in ((start, "δ", (6, -4)), (end, "δ - η∂L", (6, 0)), (landed, "next δ", (7, 3))):
        ax.plot(*point, "o", color=figures.COLOURS["adversarial"], markersize=5)
        ax.annotate(name, point, where, textcoords="offset points", fontsize=8)
    for point, text, below in ((start, "b", 0), (end, "b (1 - s c)", 0), (landed, "b (1 - s c)/(1 + s)", 1)):
        ax.plot([0, point[0]], [point[1]] * 2, color=figures.COLOURS["measured"], linewidth=1.4, gid=text)
        # The longest has no room beside the ray: it stands on the other side of the axis.
        where, offset, side = (
            ((0, point[1]), (-3, -15), "right") if below else ((point[0] / 2, point[1]), (0, 3), "center")
        )
        ax.annotate(text, where, offset, textcoords="offset points", fontsize=8, ha=side)
    ax.annotate("strongest", (0, 1), (-52, 6), textcoords="offset points", fontsize=8)
    ax.set(aspect="equal", xlim=(-0.75, 1.2), ylim=(0.3, 1.55))
    ax.set_axis_off()


def draw_curves(ax: Axes, curvatures: tuple[float, ...] = (-0.5, 0.0, 0.5, 1.0, 2.0)) -> None:
    """Draw (1 - s c) / (1 + s) against the step s, a curve a curvature; between the lines at -1 and 1 it contracts."""
    s = np.geomspace(0.01, 1000, 200)
    for c in curvatures:
        ax.semilogx(s, (1 - s * c) / (1 + s), label=f"c = {c:g}")
    ax.axhspan(-1, 1, color=figures.COLOURS["measured"], alpha=0.08)
    ax.axhline(0, color=figures.INK, linewidth=0.6)
    ax.set(xlabel="step s = η‖∂L‖/ε, in radii", ylabel="factor (1 - s c)/(1 + s)", ylim=(-2.05, 1.1))
    ax.legend(fontsize=8, loc="lower left")


def draw_agreement(ax: Axes, stored: pd.DataFrame) -> None:
    """Draw the measured against the predicted factor of every network and step, coloured by dimension."""
    rows = by_step(stored).dropna(subset=["raw"])
    for d, part in rows.groupby("d"):
        ax.loglog(
            part["predicted"], part["raw"], ".", color=DIMENSION_COLOURS[int(str(d))], markersize=4, label=f"d = {d}"
        )
    ends = [rows["predicted"].min(), rows["predicted"].max()]
    ax.loglog(ends, ends, **(figures.line("paper") | {"marker": ""}), label="the theorem")
    ax.axhline(1, color=figures.INK, linewidth=0.6)
    ax.set(xlabel="predicted factor", ylabel="measured factor")
    ax.legend(fontsize=8)


def draw_steps(ax: Axes, stored: pd.DataFrame) -> None:
    """Draw how many steps uniform starts need to 1e-9 radii against s: medians over networks, a line a radius."""
    rows = by_step(stored)
    rows = rows[(rows["loss"] == "squared") & (rows["convention"] == "minus") & rows["steps"].notna()]
    for (eps, part), marker in zip(rows.groupby("eps"), "osD^", strict=False):
        fixed = part[part["position"] == "s"].groupby("s")["steps"].median()
        (line,) = ax.loglog(fixed.index, fixed, marker=marker, markersize=4, label=f"ε = {eps:g}")
        own = part[part["position"] == "theorem"]
        ax.loglog(own["s"].median(), own["steps"].median(), "P", color=line.get_color(), markersize=8, zorder=4)
    s = np.geomspace(0.03, 1000)
    ax.loglog(
        s, math.log(1e9) / np.log1p(s), **(figures.line("paper") | {"marker": ""}), label="linear f: 9 / log₁₀(1 + s)"
    )
    ax.plot([], [], "P", color=figures.FAINT, markersize=7, label="η = ε², the theorem's largest")
    ax.set(xlabel="step s = η‖∂L‖/ε, in radii", ylabel="steps to 1e-9 radii", ylim=(3, None))
    ax.legend(fontsize=8)


@lru_cache
def _network(eps: float) -> tuple[Problem, Rate, float]:
    """Return a network of d = 8, m = 256, what the theorem says of its strongest adversary, and ||dL|| there."""
    problem = draw(8, 256, eps, seed=4)
    minimum = newton(problem, descend_sphere(problem, in_ball(problem, 1, seed=0))).delta
    return problem, Rate.of(bends(problem, minimum)[0]), float(outward_pull(problem, minimum))


def run_of(eps: float, s: float, steps: int = 40) -> tuple[torch.Tensor, float]:
    """Return the distance of five runs from uniform starts to where they end, in radii, (steps + 1, 5), and the factor
    that the theorem has for a step."""
    problem, rate, pull = _network(eps)
    path = pgd(problem, in_ball(problem, 5, seed=1), steps=steps, step_size=s * eps / pull)
    limit = newton(problem, path.end)
    return (path.delta - limit.delta).norm(dim=-1) / eps, rate.factor(s)


def say_run(eps: float, s: float, *, steps: int = 40) -> str:
    """Say what :func:`draw_run` shows."""
    distance, factor = run_of(eps, s, steps)
    near = distance.max(dim=1).values < 1e-9
    came = (
        f"within 1e-9 radii of where they end after {int(near.int().argmax())} steps"
        if near.any()
        else (f"{float(distance[-1].max()):.1g} radii from where they end after {steps} steps")
    )
    law = f"the theorem's factor is {factor:.3g} a step" + ("" if factor < 1 else ": the strongest adversary repels")
    return f"Five runs are {came}; {law}"


def draw_run(ax: Axes, eps: float, s: float, *, steps: int = 40) -> None:
    """Draw the distance of five runs from uniform starts to where they end, and the theorem's geometric rate."""
    distance, factor = run_of(eps, s, steps)
    ax.semilogy(torch.arange(steps + 1), distance.clamp_min(1e-16), color=figures.COLOURS["measured"], linewidth=1)
    if factor < 1:
        law = np.maximum(factor ** np.arange(steps + 1), 1e-16)
        ax.semilogy(law, **(figures.line("paper") | {"marker": ""}), label=f"factor {factor:.3g}")
    else:
        ax.plot([], [], " ", label=f"factor {factor:.3g}: repels")
    ax.set(xlabel="step t", ylabel="distance / ε", ylim=(1e-16, 5), title=f"ε = {eps:g}, s = {s:g}")
    ax.legend(loc="center right")
