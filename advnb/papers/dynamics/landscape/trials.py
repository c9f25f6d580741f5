"""Trials on the landscape: Theorem 5.1, assumption 3 and section 5.2.

Counts at d = 2 are exact (:mod:`advnb.papers.dynamics.circle`). Every trial is a pure function of its
parameters and seed that returns plain numbers and short lists.
"""

from __future__ import annotations

import torch

from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points, f_slope
from advnb.papers.dynamics.lemmas.quantities import ball_constants, uncrossed
from advnb.papers.dynamics.problem import draw
from advnb.papers.dynamics.settings import Numbers, float64
from advnb.papers.dynamics.sphere import critical_points, minima


def count_against_eps(
    *, scale: float, m: int, seed: int, device: str = "cpu", low: float = -2.0, high: float = 3.0, points: int = 26
) -> Numbers:
    """Theorem 5.1 at one net: minima on the circle for log10(eps) from ``low`` to ``high``, ||x|| = ``scale`` held.

    The target is out of f's reach, so the count is the same for both conventions and every loss.
    ``threshold`` is the largest eps of the grid below which every count is 1; ``certified`` the largest at
    which the condition eps sup ||d2f|| < inf ||df|| of the mended theorem holds; ``ratio_at_zero`` = ||df||
    / ||d2f|| at x.
    """
    problem = draw(2, m, 1.0, seed=seed, scale=scale)
    grid = torch.logspace(low, high, points, dtype=torch.float64).tolist()
    counts = [circle_points(uncrossed(problem.having(eps=eps))).minima for eps in grid]
    single = next((i for i, count in enumerate(counts) if count > 1), len(grid))
    constants = [ball_constants(problem.having(eps=eps), 64) for eps in grid]
    held = [eps * c.hess_max < c.grad_min for eps, c in zip(grid, constants, strict=True)]
    certified = next((i for i, good in enumerate(held) if not good), len(grid))
    centre = torch.zeros(1, 2, dtype=torch.float64)
    size = float(problem.f_gradient(centre).norm())
    return {
        "eps": grid,
        "counts": counts,
        "threshold": grid[single - 1] if single else 0.0,
        "certified": grid[certified - 1] if certified else 0.0,
        "ratio_at_zero": size / float(torch.linalg.matrix_norm(problem.f_hessian(centre), ord=2)),
    }


def count_on_sphere(*, d: int, m: int, eps: float, seed: int, device: str = "cpu", starts: int = 100) -> Numbers:
    """Theorem 5.1 and the claim of section 4 that there are no saddles, for d > 2, by multi-start Newton.

    The target is out of f's reach. ``minima`` is a lower bound on their number; ``unseen`` the estimated
    share of starts that would find another; ``saddles`` the number of critical points found that are neither
    kind.
    """
    problem = uncrossed(draw(d, m, eps, seed=seed))
    census = minima(problem, starts, seed=seed)
    critical = critical_points(problem, 2 * starts, seed=seed)
    index = critical.points.index
    constants = ball_constants(problem, 64)
    return {
        "minima": census.count,
        "unseen": census.unseen,
        "lost": census.lost,
        "saddles": int(((index > 0) & (index < d - 1)).sum()),
        "maxima": int((index == d - 1).sum()),
        "certificate": eps * constants.hess_max / constants.grad_min,
    }


def within_reach(*, eps: float, seed: int, device: str = "cpu", m: int = 16) -> Numbers:
    """Assumption 3 broken on purpose: the number of minima on a circle around an example whose output is the target."""
    problem = draw(2, m, eps, seed=seed, scale=1.0)
    centre = torch.zeros(1, 2, dtype=torch.float64)
    return {"minima": circle_points(problem.having(y=problem.f(centre)[0])).minima}


def general_loss(*, loss: str, scale: float, ratio: float, m: int, seed: int, device: str = "cpu") -> Numbers:
    """Section 5.2 at one net: the bounds L < |dl/df| < U and |d2l/df2| <= B on the ball, and the count of minima.

    The target is 1 for every loss (a class label for the cross entropy). ``same_as_f``: whether the minima
    on the circle are exactly extrema of f, as many as f has: what a loss that is monotone on f's range must
    give.
    """
    problem = draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=1.0, loss=loss)
    points: CirclePoints = circle_points(problem)
    constants = ball_constants(problem, seed=seed)
    extrema = at_angle(problem, points.theta[~points.crossing])
    slope = f_slope(problem, points.theta[~points.crossing]).abs().max() if len(extrema) else torch.zeros(())
    return {
        "minima": points.minima,
        "f": int((~points.crossing).sum()) // 2,
        "crosses": points.crosses,
        "same_as_f": points.minima == int((~points.crossing).sum()) // 2 and not points.crosses,
        "slope_min": constants.slope_min,
        "slope_max": constants.slope_max,
        "curvature_max": constants.curvature_max,
        "curvature_bound": problem.scalar.curvature_bound,
        "residual": float(slope),
    }


THEOREM_5_1 = float64(
    "theorem_5_1",
    count_against_eps,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "m": [16]},
        "laptop": [{"scale": [0.01, 1.0, 10.0, 100.0], "m": 16}, {"scale": 1.0, "m": [64, 256]}],
        "full": {"scale": [0.01, 1.0, 10.0, 100.0], "m": [16, 64, 256, 1024]},
    },
    {"live": 6, "laptop": 60, "full": 500},
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
)

GENERAL_LOSS = float64(
    "general_loss",
    general_loss,
    {
        scale: {
            "loss": ["squared", "cross_entropy", "pseudo_huber"],
            "scale": [0.01, 1.0, 100.0],
            "ratio": [0.1, 1.0, 10.0],
            "m": 16,
        }
        for scale in ("live", "laptop")
    },
    {"live": 5, "laptop": 30},
)

ASSUMPTION_3 = float64("assumption_3", within_reach, {"live": {"eps": [0.001, 0.01, 0.1]}}, {"live": 40})
