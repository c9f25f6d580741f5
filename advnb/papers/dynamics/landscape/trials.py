"""Trials on the landscape: Theorem 5.1, assumption 3 and section 5.2.

Counts at d = 2 are exact (:mod:`advnb.papers.dynamics.circle`) and proved (:mod:`advnb.papers.dynamics.bounds`).
Every trial is a pure function of its parameters and seed that returns plain numbers and short lists.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from advnb import checks
from advnb.papers.dynamics import costs
from advnb.papers.dynamics.bounds import SAMPLES, ball_bounds, condition_radii, optimised, proved_extrema
from advnb.papers.dynamics.circle import at_angle, circle_points
from advnb.papers.dynamics.descent import pgd
from advnb.papers.dynamics.lemmas.quantities import uncrossed
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import Numbers, float64
from advnb.papers.dynamics.sphere import critical_points, minima


def count_against_eps(
    *, scale: float, m: int, seed: int, device: str = "cpu", low: float = -2.0, high: float = 3.0, points: int = 26
) -> Numbers:
    """Theorem 5.1 at one net: minima on the circle for log10(eps) from ``low`` to ``high``, ||x|| = ``scale`` held.

    The target is out of f's reach, so the count is the same for both conventions and every loss. ``proved`` has
    the count that subdivision proves at each radius, -1 where it gives up. ``threshold`` is the largest eps of the
    grid below which every count is 1. The condition eps sup ||d2f|| < inf ||df|| of the mended theorem holds up to
    ``certified`` by the bounds that need no sampling, and up to ``optimised`` and ``sampled`` at the points of a
    search and at random points. ``ratio_at_zero`` = ||df|| / ||d2f|| at x.
    """
    problem = draw(2, m, 1.0, seed=seed, scale=scale)
    grid = torch.logspace(low, high, points, dtype=torch.float64).tolist()
    counts = [circle_points(uncrossed(problem.having(eps=eps))).minima for eps in grid]
    extrema = [proved_extrema(problem.having(eps=eps)) for eps in grid]
    single = next((i for i, count in enumerate(counts) if count > 1), len(grid))
    centre = torch.zeros(1, 2, dtype=torch.float64)
    size = float(problem.f_gradient(centre).norm())
    return {
        "eps": grid,
        "counts": counts,
        "proved": [-1 if count is None else count // 2 for count in extrema],
        "threshold": grid[single - 1] if single else 0.0,
        **condition_radii(problem),
        "ratio_at_zero": size / float(torch.linalg.matrix_norm(problem.f_hessian(centre), ord=2)),
    }


def count_on_sphere(*, d: int, m: int, eps: float, seed: int, device: str = "cpu", starts: int = 100) -> Numbers:
    """Theorem 5.1 and the claim of section 4 that there are no saddles, for d > 2, by multi-start Newton.

    The target is out of f's reach. ``minima`` is a lower bound on their number; ``unseen`` the estimated
    share of starts that would find another; ``saddles`` the number of critical points found that are neither
    kind. ``contraction`` is a proved upper bound on eps sup ||d2f|| / inf ||df||; ``optimised`` and ``sampled``
    are the same quotient where a search looked, and at random points.
    """
    problem = uncrossed(draw(d, m, eps, seed=seed))
    census = minima(problem, starts, seed=seed)
    critical = critical_points(problem, 2 * starts, seed=seed)
    index = critical.points.index
    found = {"optimised": optimised(problem), "sampled": optimised(problem, SAMPLES, steps=1)}
    return {
        "minima": census.count,
        "unseen": census.unseen,
        "lost": census.lost,
        "saddles": int(((index > 0) & (index < d - 1)).sum()),
        "maxima": int((index == d - 1).sum()),
        "contraction": min(ball_bounds(problem).contraction, 1e300),  # infinite where the gradient may vanish
        **{name: eps * extremes.hessian / extremes.gradient for name, extremes in found.items()},
    }


def swept_minima(problem: Problem, samples: int = 40_000) -> int:
    """Number of local minima among ``samples`` values of L itself on the circle; equal neighbours count as one.

    It knows nothing of f's extrema, and sees what floating point makes of L in the dtype of ``problem``.
    """
    checks.count("samples", samples, minimum=3)
    theta = torch.arange(samples, dtype=torch.float64) * (2 * math.pi / samples)
    value = problem.objective(at_angle(problem, theta).to(problem.x.dtype))
    value = value[value != value.roll(1)]
    return int(((value < value.roll(1)) & (value < value.roll(-1))).sum())


def within_reach(*, eps: float, seed: int, device: str = "cpu", m: int = 16) -> Numbers:
    """Assumption 3 broken on purpose: the number of minima on a circle around an example whose output is the target.

    ``minima`` from the extrema of f and its crossings of y; ``swept`` from values of L alone.
    """
    problem = draw(2, m, eps, seed=seed, scale=1.0)
    centre = torch.zeros(1, 2, dtype=torch.float64)
    problem = problem.having(y=problem.f(centre)[0])
    return {"minima": circle_points(problem).minima, "swept": swept_minima(problem)}


def general_loss(
    *, loss: str, scale: float, eps: float, m: int, seed: int, device: str = "cpu", starts: int = 20, steps: int = 500
) -> Numbers:
    """Section 5.2 at one net: the hypothesis on the slope of the loss, and the conclusions, tested on L itself.

    Every loss pushes f down: the label is 1 for the cross entropy, and the target of the others lies 1/2 above all
    that f can reach. ``slope_low`` <= |dl/df| on the ball is proved, from bounds on f; ``slope_seen`` is the least
    at points of the circle and of the ball. ``contraction`` as in :func:`count_on_sphere`. ``swept`` and
    ``swept_32`` count minima on L's own values in float64 and float32. Projected gradient descent on L runs from
    ``starts`` points uniform in the ball with eta = min(eps^2, 1 / log m), the same for every loss: ``arrived`` is
    the share that ends within 0.01 rad of L's lowest point on the circle (found among its values), ``moved`` the
    share that ends farther than eps / 1000 from its start; ``_32`` in float32.
    """
    problem = draw(2, m, eps, seed=seed, scale=scale, y=1.0, loss=loss)
    bounds = ball_bounds(problem)
    if loss != "cross_entropy":
        problem = problem.having(y=torch.tensor(bounds.output_high + 0.5, dtype=torch.float64))
    ends = torch.tensor([bounds.output_low, bounds.output_high], dtype=torch.float64)
    theta = torch.arange(720, dtype=torch.float64) * (2 * math.pi / 720)
    seen = torch.cat((at_angle(problem, theta), in_ball(problem, 200, seed=seed)))
    eta = min(eps**2, 1 / math.log(m))
    result: Numbers = {
        "eta": eta,
        # on an interval that leaves out y, the slope of each of these losses is least at an end
        "slope_low": float(problem.scalar.slope(ends, problem.y).abs().min()),
        "slope_seen": float(problem.slope(seen).abs().min()),
        "contraction": min(bounds.contraction, 1e300),
    }
    for suffix, p in (("", problem), ("_32", in_float32(problem))):
        start = in_ball(problem, starts, seed=seed).to(p.x.dtype)
        end = pgd(p, start * (1 - 1e-6), steps=steps, step_size=eta).end
        result["swept" + suffix] = swept_minima(p)
        result["arrived" + suffix] = float(near_lowest(problem, end.double()).double().mean())
        result["moved" + suffix] = float(((end - start).norm(dim=-1) > eps / 1000).double().mean())
    return result


def in_float32(problem: Problem) -> Problem:
    """The same problem in single precision, in which networks are attacked."""
    return problem.having(**{name: getattr(problem, name).float() for name in ("W", "a", "x", "y")})


def near_lowest(problem: Problem, delta: Tensor, tolerance: float = 0.01) -> Tensor:
    """Whether points (n, 2) lie on the circle within ``tolerance`` radians of where f, and so L, is lowest, (n,).

    The lowest of 40,000 points of the circle: no derivative is used.
    """
    theta = torch.arange(40_000, dtype=torch.float64) * (2 * math.pi / 40_000)
    lowest = theta[problem.f(at_angle(problem, theta)).argmin()]
    away = (torch.atan2(delta[:, 1], delta[:, 0]) - lowest + math.pi).remainder(2 * math.pi) - math.pi
    return (away.abs() <= tolerance) & (delta.norm(dim=-1) >= problem.eps * (1 - 1e-5))


THEOREM_5_1 = float64(
    "theorem_5_1",
    count_against_eps,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "m": [16], "points": [11]},
        "laptop": [{"scale": [0.01, 1.0, 10.0, 100.0], "m": 16}, {"scale": 1.0, "m": [64, 256]}],
        "full": {"scale": [0.01, 1.0, 10.0, 100.0], "m": [16, 64, 256, 1024]},
    },
    {"live": 6, "laptop": 60, "full": 500},
    cost=costs.count_against_eps,
)

THEOREM_5_1_HIGH = float64(
    "theorem_5_1_high",
    count_on_sphere,
    {
        "live": {"d": [3, 8], "m": 256, "eps": [0.1, 1.0, 10.0, 100.0]},
        "laptop": {"d": [3, 4, 8, 16], "m": [64, 256], "eps": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]},
        "full": {"d": [3, 4, 8, 16, 32], "m": [64, 1024, 8192], "eps": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]},
    },
    {"live": 3, "laptop": 10, "full": 50},
    cost=costs.count_on_sphere,
)

GENERAL_LOSS = float64(
    "general_loss",
    general_loss,
    {
        "live": {
            "loss": ["squared", "cross_entropy", "pseudo_huber", "welsch"], "scale": [1.0, 100.0], "eps": [0.3],
            "m": 16, "steps": 200,
        },
        "laptop": {
            "loss": ["squared", "cross_entropy", "pseudo_huber", "welsch"], "scale": [0.01, 1.0, 10.0, 100.0],
            "eps": [0.3, 1.0, 3.0], "m": 16,
        },
    },
    {"live": 3, "laptop": 20},
)  # fmt: skip

ASSUMPTION_3 = float64("assumption_3", within_reach, {"live": {"eps": [0.001, 0.01, 0.1]}}, {"live": 40})
