"""Which share of PGD's random starts reaches the global maximum of the loss, on the paper's two-layer networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from advnb import checks
from advnb.attacks import StepSize
from advnb.experiments import Experiment, Tolerance
from advnb.papers.dynamics.circle import circle_points
from advnb.papers.dynamics.descent import pgd
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import LOOSE, Numbers

RULES = ("quarter", "madry", "shrinking")
"""Steps of eps/4; of 2.5 eps / K, as Madry et al. (2018) take for K of them; from eps/2 down to eps / 2K in a line."""

STEPS = (10, 20, 50, 200)
STARTS = 200
TOLERANCES = (0.01, 0.1)
"""How close to the best loss counts as reaching it, as shares of what an attack gains over a random point."""

MANY = 500
"""Starts whose best, after 200 steps, stands for the global maximum where it cannot be had exactly (d > 2)."""


def step_size(rule: str, eps: float, steps: int) -> StepSize:
    """Return the step size of ``rule`` for that many ``steps``, in the units of eps."""
    checks.choice("rule", rule, RULES)
    if rule == "shrinking":
        return lambda k: 0.5 * eps * (1 - k / steps)
    return eps / 4 if rule == "quarter" else 2.5 * eps / steps


def ends(problem: Problem, start: Tensor, rule: str, counts: Sequence[int] = STEPS) -> Tensor:
    """Return the loss at the end of PGD from ``start`` (n, d) with each number of steps in ``counts``: (counts, n).

    Steps go along the unit gradient. Those of eps/4 do not depend on how many follow, so that one run serves all.
    """
    run = partial(pgd, problem, start, direction="steepest")
    if rule == "quarter":
        return -run(steps=max(counts), step_size=step_size(rule, problem.eps, max(counts))).value[list(counts)]
    return torch.stack([-run(steps=k, step_size=step_size(rule, problem.eps, k)).value[-1] for k in counts])


def highest(problem: Problem, *, resolution: int = 151, polished: int = 20) -> float:
    """Return the largest loss on the ball for d = 2: exact on the circle, a dense sweep with polished tops inside.

    The highest ``polished`` of the points of the sweep are improved by ascent with steps that shrink geometrically.
    """
    on_circle = -float(circle_points(problem).value.min())
    ticks = torch.linspace(-problem.eps, problem.eps, resolution, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    inside = grid[grid.norm(dim=-1) <= problem.eps]
    tops = inside[problem.objective(inside).topk(polished, largest=False).indices]
    size = 2 * problem.eps / resolution
    path = pgd(problem, tops, steps=80, step_size=lambda k: size * 0.85**k, direction="steepest")
    return max(on_circle, -float(path.value.min()))


def basins(*, d: int, m: int, scale: float, eps: float, seed: int, device: str = "cpu") -> Numbers:
    """How many of ``STARTS`` uniform starts in the ball reach the global maximum of (y - f)^2, for each rule.

    ||x|| = ``scale`` and y = f(x) + 1. A start reaches the maximum if its last iterate misses no more of the gain, best
    loss less median loss of the starts, than a tolerance. ``quarter``, ``madry`` and ``shrinking`` count them for each
    number of ``STEPS`` at 1 percent, ``..._tenth`` at 10 percent. The best loss is that of :func:`highest` for d = 2
    (``exact``), else the best of ``MANY`` other starts, a lower bound; in both cases that of the counted starts if it
    is higher. ``missed``: the share of the gain by which the best of the counted starts misses it. ``maxima``: number
    of local maxima of the loss on the circle (-1 for d > 2).
    """
    problem = draw(d, m, eps, seed=seed, scale=scale)
    start = in_ball(problem, STARTS, seed=seed)
    found = {rule: ends(problem, start, rule) for rule in RULES}
    own = max(float(loss.max()) for loss in found.values())
    exact = d == 2
    best = max(own, highest(problem) if exact else _best_of_many(problem, seed))
    gain = best + float(problem.objective(start).median())
    low = {"": best - TOLERANCES[0] * gain, "_tenth": best - TOLERANCES[1] * gain}
    counts = {f"{r}{name}": (found[r] >= low[name]).sum(1).tolist() for r in RULES for name in low}
    return {
        "exact": exact,
        "missed": (best - own) / gain,
        "maxima": circle_points(problem).minima if exact else -1,
        **counts,
    }


def _best_of_many(problem: Problem, seed: int) -> float:
    start = in_ball(problem, MANY, seed=10_000 + seed)
    return float(ends(problem, start, "shrinking", (200,)).max())


RESTARTS = Experiment(
    "dynamics.restarts",
    basins,
    grids={
        "live": {"d": 2, "m": 16, "scale": 1.0, "eps": [0.1, 10.0, 1000.0]},
        "laptop": [
            {"d": 2, "m": 16, "scale": [0.01, 1.0, 100.0], "eps": [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]},
            {"d": 2, "m": [4, 256], "scale": 1.0, "eps": [10.0, 1000.0]},
            {"d": [2, 4, 16, 64], "m": 64, "scale": 1.0, "eps": [1.0, 10.0, 100.0, 1000.0]},
        ],
    },
    seeds={"live": 5, "laptop": 40},
    dtype="float64",
    devices=("cpu",),
    tolerance=LOOSE,
    # A start on the edge between two basins may fall to either side on another processor.
    tolerances={name + end: Tolerance(rtol=0.0, atol=3.0) for name in RULES for end in ("", "_tenth")},
)
