"""Trials on the certificate: up to which radius a single strongest adversary is proved, over d, m and the input.

Every trial is a pure function of its parameters and seed.
"""

from __future__ import annotations

import torch

from advnb.papers.dynamics.bounds import condition_radii, expand, optimised, proved_extrema
from advnb.papers.dynamics.problem import Problem, draw
from advnb.papers.dynamics.settings import Numbers, float64

STEP = 10**0.05
"""Ratio of neighbouring radii at which the extrema on a circle are counted."""


def radii(*, d: int, m: int, seed: int, device: str = "cpu", scale: float = 1.0) -> Numbers:
    """The proposition at one net, ||x|| = ``scale``: the radii of its condition, and what they are made of.

    ``certified``, ``optimised`` and ``sampled`` as in :func:`~advnb.papers.dynamics.bounds.condition_radii`. At the
    certified radius: ``hessian_room``, the proved bound on sup ||d2f|| over the largest that a search finds, and
    ``gradient_room``, the smallest ||df|| that it finds over the proved bound. ``gradient`` and ``hessian`` are
    ||df|| and ||d2f|| at x. ``true`` (d = 2): see :func:`true_radius`.
    """
    problem = draw(d, m, 1.0, seed=seed, scale=scale)
    found = condition_radii(problem)
    expansion = expand(problem)
    eps = found["certified"] or 1e-6
    proved, searched = expansion.bounds(eps), optimised(problem.having(eps=eps))
    result: Numbers = {
        **found,
        "hessian_room": proved.hessian / searched.hessian,
        "gradient_room": searched.gradient / proved.gradient_low if proved.gradient_low else None,
        "gradient": float(expansion.gradient.norm()),
        "hessian": float(torch.linalg.matrix_norm(expansion.hessian, ord=2)),
    }
    if d == 2:
        result["true"] = true_radius(problem, eps)
    return result


def true_radius(problem: Problem, start: float, largest: float = 1000.0) -> float:
    """Largest radius of the grid ``start`` 10^(k / 20) up to which f provably has one minimum on each circle (d = 2).

    At most ``largest``. Where the proof gives up the walk ends, so that it errs downwards.
    """
    eps = start
    while eps * STEP <= largest and proved_extrema(problem.having(eps=eps * STEP)) == 2:
        eps *= STEP
    return eps


CERTIFICATE = float64(
    "certificate",
    radii,
    {
        "live": [{"d": [2, 8], "m": 256}, {"d": 8, "m": [64, 1024]}],
        "laptop": [
            {"d": [2, 4, 8, 16, 32, 64], "m": 4096},
            {"d": 2, "m": [16, 64, 256, 1024]},
            {"d": 8, "m": [64, 256, 1024, 16384]},
            {"d": 32, "m": [256, 1024]},
        ],
    },
    {"live": 3, "laptop": 10},
)
