"""Trials of Figures 1, 4 and 5: minima on the circle, exactly, and trajectories from the tops of the landscape."""

from __future__ import annotations

import torch
from torch import Tensor

from advnb.papers.dynamics import costs
from advnb.papers.dynamics.circle import at_angle, circle_points
from advnb.papers.dynamics.descent import Path, pgd
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import Numbers, float64

LEARNING_RATES = tuple(10.0**k for k in range(-6, 4))
"""The ten step sizes of appendix B.1."""

LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25)
"""Prominences at which minima are counted, as shares of the range of L on the circle; 0 counts every wiggle."""

LONG = 300
"""Steps after which a trajectory is taken to have come where it goes: thirty times those that Figure 1 draws."""

DISTANCES = (1e-1, 1e-2, 1e-3, 1e-4)
"""How far from a local maximum a descent starts, in radii."""


def landscape(
    *, scale: float, ratio: float, m: int, seed: int, device: str = "cpu", y: float = 1.0, loss: str = "squared"
) -> Numbers:
    """One panel of Figures 1, 4 and 5 as numbers: the local minima on the circle, for both conventions.

    d = 2, ||x|| <= ``scale`` (appendix B.1), eps = ``ratio`` ``scale``. ``minus`` and ``plus`` count the
    minima of -l and +l; ``*_ball`` those that are minima in the ball too; ``f`` those of f itself (all that
    a target far from f would leave); ``spread`` the range of l over the minima of -l relative to its range
    over the circle. ``deep`` counts the minima of -l (and, equally, of +l) whose prominence exceeds each of
    ``LEVELS``, as shares of the range on the circle, and ``f_deep`` those of f alone.
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
        "deep": [minus.deep(level) for level in LEVELS],
        "f_deep": [minus.deep_in_f(level) for level in LEVELS],
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

    Of the way down to the lowest value on the ball, ``progress`` is the share that the best step size (by final
    value, as in B.1) covers in ``steps``, and ``end`` the largest share that it covers in ``LONG`` steps; ``half``
    is the first step at which half of *its own* way, to where those lead, is behind it. ``unit_half`` and
    ``unit_end`` are the same for steps of length eps / 10 along -dL / ||dL||, which do not know how large the
    gradient is. ``slope`` and ``grad_f`` are |dL/df| and ||df|| at the start relative to their medians over the
    points: which factor of dL is small there. ``bounces``: steps of the best run that went up. ``on_sphere``:
    whether the start is within 2 percent of the sphere.
    """
    problem = draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=y, convention=convention)
    cloud = in_ball(problem, 10_000, seed=seed)
    value = problem.objective(cloud)
    start = cloud[value.argmax()].unsqueeze(0)
    top = float(value.max())
    drop = top - min(float(value.min()), float(circle_points(problem).value.min()))
    path, eta = best_descent(problem, start, steps)
    values = path.value[:, 0]
    raw = pgd(problem, start, steps=LONG, step_size=eta).value
    unit = pgd(problem, start, steps=LONG, step_size=0.1 * problem.eps, direction="steepest").value
    return {
        "progress": float((top - values[-1]) / drop),
        "learning_rate": eta,
        "bounces": int((values.diff() > 1e-12 * drop).sum()),
        "end": float((top - raw.min()) / drop),
        "half": int(half_way(raw)),
        "unit_end": float((top - unit.min()) / drop),
        "unit_half": int(half_way(unit)),
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


def half_way(values: Tensor) -> Tensor:
    """First step at which half of a trajectory's own way down is done: ``values`` (steps + 1, n) -> (n,).

    Its own way is from its start to the lowest value it takes, wherever that is: nobody is left out.
    """
    goal = 0.5 * (values[0] + values.min(0).values)
    return (values <= goal).int().argmax(0)


def near_maxima(
    *, scale: float, ratio: float, convention: str, seed: int, device: str = "cpu", m: int = 16, y: float = 1.0
) -> Numbers:
    """Descents that start close to the local maxima of L on the circle, inside the ball, and how long they take.

    From each maximum, at each of ``DISTANCES`` (in radii), the start lies half inwards and half along the circle.
    A row of the returned lists is one start: ``distance``; ``residual``, whether f = y at the maximum; ``outward``,
    whether -dL points out of the ball there otherwise, so that the projection holds a descent at the maximum
    (the region Delta^- of section 5.1.2); where neither is so a descent leaves through the ball. ``raw`` and ``unit``
    are the steps until half of the trajectory's own way (:func:`half_way`; ``LONG`` if it has moved by less than
    1e-3 of the range on the circle by then), for raw gradient steps of which the longest on the ball would be eps / 10,
    and for steps of that length. ``first`` is what the first raw step achieves, as a share of the way.
    """
    problem = draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=y, convention=convention)
    points = circle_points(problem)
    tops = ~points.minimum
    normal = at_angle(problem, points.theta[tops])
    along = torch.stack((-normal[:, 1], normal[:, 0]), dim=-1)
    away = torch.tensor(DISTANCES, dtype=torch.float64).repeat_interleave(len(normal))
    start = normal.repeat(len(DISTANCES), 1) + away[:, None] * ((along - normal) / 2**0.5).repeat(len(DISTANCES), 1)
    largest = float(problem.gradient(in_ball(problem, 1000, seed=seed)).norm(dim=-1).max())
    step = 0.1 * problem.eps
    raw = pgd(problem, start, steps=LONG, step_size=step / largest).value
    unit = pgd(problem, start, steps=LONG, step_size=step, direction="steepest").value
    least = 1e-3 * float(points.value.max() - points.value.min())

    def waited(values: Tensor) -> list[int]:
        moved = values[0] - values.min(0).values > least
        return torch.where(moved, half_way(values), LONG).tolist()

    crossing, inward = points.crossing[tops], points.inward[tops]
    return {
        "distance": away.tolist(),
        "residual": crossing.repeat(len(DISTANCES)).int().tolist(),
        "outward": (~crossing & ~inward).repeat(len(DISTANCES)).int().tolist(),
        "raw": waited(raw),
        "unit": waited(unit),
        "first": ((raw[0] - raw[1]) / (raw[0] - raw.min(0).values).clamp_min(1e-300)).tolist(),
    }


PANELS = {"scale": [0.01, 1.0, 100.0], "ratio": [0.1, 1.0, 10.0]}
"""The nine panels of Figures 1 and 5."""

BOTH = PANELS | {"convention": ["minus", "plus"]}

FIGURE_1 = float64(
    "figure_1",
    landscape,
    {scale: PANELS | {"m": 16} for scale in ("live", "laptop", "full")},
    {"live": 10, "laptop": 200, "full": 2000},
    cost=costs.landscape,
)

FIGURE_1_ESCAPE = float64(
    "figure_1_escape",
    escape,
    dict.fromkeys(("live", "laptop", "full"), BOTH),
    {"live": 1, "laptop": 50, "full": 1000},
    cost=costs.circle_escape,
)

NEAR_MAXIMA = float64(
    "near_maxima",
    near_maxima,
    dict.fromkeys(("live", "laptop", "full"), BOTH),
    {"live": 1, "laptop": 100, "full": 1000},
    cost=costs.near_maxima,
)

FIGURE_4 = float64(
    "figure_4",
    landscape,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "ratio": 10.0, "m": [4, 16, 64]},
        "laptop": {"scale": [0.01, 1.0, 10.0, 100.0], "ratio": 10.0, "m": [4, 16, 64, 256, 1024]},
        "full": {"scale": [0.01, 0.1, 1.0, 10.0, 100.0], "ratio": 10.0, "m": [4, 16, 64, 256, 1024, 4096]},
    },
    {"live": 10, "laptop": 40, "full": 300},
    cost=costs.landscape,
)
