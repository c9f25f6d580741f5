"""Trials of Figures 1, 4 and 5: minima on the circle, exactly, and trajectories from the top of the landscape."""

from __future__ import annotations

from torch import Tensor

from advnb.papers.dynamics.circle import circle_points
from advnb.papers.dynamics.descent import Path, pgd
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import Numbers, float64

LEARNING_RATES = tuple(10.0**k for k in range(-6, 4))
"""The ten step sizes of appendix B.1."""


def landscape(
    *, scale: float, ratio: float, m: int, seed: int, device: str = "cpu", y: float = 1.0, loss: str = "squared"
) -> Numbers:
    """One panel of Figures 1, 4 and 5 as numbers: the local minima on the circle, for both conventions.

    d = 2, ||x|| <= ``scale`` (appendix B.1), eps = ``ratio`` ``scale``. ``minus`` and ``plus`` count the
    minima of -l and +l; ``*_ball`` those that are minima in the ball too; ``f`` those of f itself (all that
    a target far from f would leave); ``spread`` the range of l over the minima of -l relative to its range
    over the circle.
    """
    problem = draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=y, loss=loss)
    minus = circle_points(problem)
    plus = minus.reversed()
    values, minimum = minus.value, minus.minimum
    return {
        "eps": problem.eps,
        "minus": minus.minima,
        "plus": plus.minima,
        "minus_ball": minus.ball_minima,
        "plus_ball": plus.ball_minima,
        "f": int((~minus.crossing).sum()) // 2,
        "crosses": minus.crosses,
        "spread": float((values[minimum].max() - values[minimum].min()) / (values.max() - values.min())),
    }


def escape(
    *,
    scale: float,
    ratio: float,
    convention: str,
    seed: int,
    device: str = "cpu",
    m: int = 16,
    y: float = 1.0,
    steps: int = 10,
) -> Numbers:
    """One trajectory of Figure 1: from the worst of 10,000 random points, ``steps`` PGD steps, best of ten step sizes.

    ``progress``: the share of the way down to the lowest value on the ball that the best step size (by final
    value, as in B.1) covers. ``slope`` and ``grad_f`` are |dL/df| and ||df|| at the start relative to their
    medians over the points: which factor of dL is small there. ``unit_steps``: steps of length eps / 10
    along -dL / ||dL|| until half way down (-1: never in 100), a step size that does not depend on the scale.
    ``bounces``: steps of the best run that went up. ``on_sphere``: whether the start is within 2 percent of
    the sphere.
    """
    problem = draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=y, convention=convention)
    cloud = in_ball(problem, 10_000, seed=seed)
    value = problem.objective(cloud)
    start = cloud[value.argmax()].unsqueeze(0)
    top = float(value.max())
    bottom = min(float(value.min()), float(circle_points(problem).value.min()))
    path, eta = best_descent(problem, start, steps)
    values, drop = path.value[:, 0], top - bottom
    unit = _unit_steps(problem, start, bottom + drop / 2)
    return {
        "progress": float((top - values[-1]) / drop),
        "learning_rate": eta,
        "bounces": int((values.diff() > 1e-12 * drop).sum()),
        "unit_steps": unit,
        "slope": float(problem.slope(start).abs() / problem.slope(cloud).abs().median()),
        "grad_f": float(problem.f_gradient(start).norm() / problem.f_gradient(cloud).norm(dim=-1).median()),
        "crosses": bool((problem.f(cloud) > problem.y).any() and (problem.f(cloud) < problem.y).any()),
        "on_sphere": bool(start.norm() > 0.98 * problem.eps),
        "values": values.tolist(),
    }


def best_descent(problem: Problem, start: Tensor, steps: int = 10) -> tuple[Path, float]:
    """PGD from one ``start`` (1, d) with the step size of ``LEARNING_RATES`` that ends lowest (appendix B.1)."""
    runs = [(pgd(problem, start, steps=steps, step_size=eta), eta) for eta in LEARNING_RATES]
    return min(runs, key=lambda run: float(run[0].value[-1, 0]))


def _unit_steps(problem: Problem, start: Tensor, goal: float, limit: int = 100) -> int:
    """Steps of length eps / 10 along -dL / ||dL|| until the objective is at most ``goal``; -1 if not in ``limit``."""
    delta = start
    for t in range(limit):
        if float(problem.objective(delta)) <= goal:
            return t
        size = float(problem.gradient(delta).norm())
        if size == 0.0:
            return -1
        delta = pgd(problem, delta, steps=1, step_size=0.1 * problem.eps / size).end
    return -1


FIGURE_1 = float64(
    "figure_1",
    landscape,
    {scale: {"scale": [0.01, 1.0, 100.0], "ratio": [0.1, 1.0, 10.0], "m": 16} for scale in ("live", "laptop", "full")},
    {"live": 20, "laptop": 200, "full": 2000},
)

FIGURE_1_ESCAPE = float64(
    "figure_1_escape",
    escape,
    {
        scale: {"scale": [0.01, 1.0, 100.0], "ratio": [0.1, 1.0, 10.0], "convention": ["minus", "plus"]}
        for scale in ("live", "laptop", "full")
    },
    {"live": 4, "laptop": 50, "full": 1000},
)

FIGURE_4 = float64(
    "figure_4",
    landscape,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "ratio": 10.0, "m": [4, 16, 64]},
        "laptop": {"scale": [0.01, 1.0, 10.0, 100.0], "ratio": 10.0, "m": [4, 8, 16, 32, 64, 128, 256]},
        "full": {"scale": [0.01, 0.1, 1.0, 10.0, 100.0], "ratio": 10.0, "m": [4, 16, 64, 256, 1024, 4096]},
    },
    {"live": 10, "laptop": 50, "full": 300},
)
