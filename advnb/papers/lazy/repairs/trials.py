"""Counting how often what the lemmas exclude happens: the failures of B.4, B.5, B.7 and B.8, the flips of B.6."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import normalize

from advnb.experiments import Experiment
from advnb.models import TwoLayer
from advnb.papers.lazy.bounds import measured, mended, printed
from advnb.papers.lazy.task import random_start

Numbers = dict[str, Any]


def value_failures(
    *, m: int, c0: float, draws: int, gammas: list[float], seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of Lemma B.5: ``over``, in how many of ``draws`` the largest |f| exceeds its bound, for each of ``gammas``.

    By the symmetry of the Gaussian only the preactivations matter, so a draw is m numbers and any d will do.
    """
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(draws, m, generator=generator, dtype=dtype).to(device)
    a = 2 * torch.randint(0, 2, (draws, m), generator=generator).to(h) - 1
    ends = [((h + side * a * c0 / m**0.5).relu() * a).sum(1) * side for side in (1, -1)]
    largest = torch.maximum(*ends) / m**0.5
    return {"over": [int((largest > printed.value(m, c0, gamma)).sum()) for gamma in gammas]}


def failures(
    *, d: int, m: int, c0: float, draws: int, gammas: list[float], seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of Lemmas B.4, B.7 and B.8: in how many of ``draws`` of a network a bound fails, for each of ``gammas``.

    Each draw has one x, one delta of length R = 1 / sqrt(d) and one r, which the weights do not know. ``flips``: the
    exact count exceeds the first set's bound. ``gradient`` and ``along``: what is attained in the ball breaks Lemma B.7
    or B.8, so that the bound fails; ``gradient_open`` and ``along_open``: the other side of the bracket does, so that
    it may. ``projection`` and ``projection_mended``: max_s |<x, w_s>| exceeds sqrt(log(m/gamma)) as printed, or mended.
    ``flips_mean`` is the mean count; ``gradient_least`` and ``along_most`` are the extremes of the sides that hold.
    """
    generator = torch.Generator().manual_seed(seed)
    radius, shift = c0 / m**0.5, d**-0.5
    rows = []
    for _ in range(draws):
        net, x = random_start(d, m, 1, generator, dtype=dtype, device=device)
        delta, r = normalize(torch.randn(2, 1, d, generator=generator, dtype=dtype), dim=2).to(device)
        gradient, along = (
            measured.smallest_gradient(net, x, radius),
            measured.change_along(net, x, shift * delta, r, radius),
        )
        projection = net.preactivation(x).detach().abs().max()
        sides = (measured.sign_flips(net, x, radius), *gradient, *along, projection)
        rows.append([float(side) for side in sides])
    flips, low, high, attained, above, projection = torch.tensor(rows, dtype=torch.float64).T
    broken = {
        "flips": lambda gamma: flips > printed.sign_flips(m, radius, gamma),
        "gradient": lambda gamma: high < printed.gradient(d, m, c0, gamma),
        "gradient_open": lambda gamma: low < printed.gradient(d, m, c0, gamma),
        "along": lambda gamma: attained > printed.gradient_change_along(d, m, c0, shift, gamma),
        "along_open": lambda gamma: above > printed.gradient_change_along(d, m, c0, shift, gamma),
        "projection": lambda gamma: projection > math.sqrt(math.log(m / gamma)),
        "projection_mended": lambda gamma: projection > mended.largest_projection(m, gamma),
    }
    return {
        **{name: [int(fails(gamma).sum()) for gamma in gammas] for name, fails in broken.items()},
        "flips_mean": float(flips.mean()),
        "gradient_least": float(low.min()),
        "along_most": float(above.max()),
    }


def flip_probabilities(
    *,
    d: int,
    units: int,
    radius: float,
    shifts: list[float],
    epsilons: list[float],
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Lemma B.6: the shares of ``units`` random units that flip.

    ``fixed`` has an entry for each R of ``shifts``: from x to the x + delta that is farthest in angle, tangent to the
    ball (eq. (3)). ``near_x`` and ``near_half`` have one for each of ``epsilons``: for some weights within ``radius``,
    between x + delta and some point within epsilon of it, at delta = 0 and at delta = -x / 2 (eq. (4)).
    """
    net = TwoLayer(d, units, generator=torch.Generator().manual_seed(seed), dtype=dtype).to(device).eval()
    x = torch.eye(1, d, dtype=dtype, device=device)
    turned = x.repeat(len(shifts), 1)
    turned[:, 0] = torch.tensor([1 - r**2 for r in shifts])
    turned[:, 1] = torch.tensor([r * (1 - r**2) ** 0.5 for r in shifts])
    before, after = (net.preactivation(rows).detach() > 0 for rows in (x, turned))
    near = {
        name: [float(measured.sign_flips_nearby(net, scale * x, radius, eps)) / units for eps in epsilons]
        for name, scale in (("near_x", 1.0), ("near_half", 0.5))
    }
    return {"fixed": (before != after).to(dtype).mean(1).tolist(), **near}


VALUE_FAILURES = Experiment(
    "lazy.value_failures",
    value_failures,
    {"live": {"m": [100, 1000], "c0": [1.0, 10.0], "draws": 800, "gammas": [[0.5, 0.2, 0.05]]}},
    {"live": 5},
    dtype="float64",
)
"""Counts, in float64: on another processor they differ only if a draw lies within rounding of the bound."""

FAILURES = Experiment(
    "lazy.failures",
    failures,
    {
        "live": {"d": 150, "m": 300, "c0": [0.1, 1.0], "draws": 20, "gammas": [[0.9, 0.5, 0.2, 0.05]]},
        "laptop": [
            {"d": 400, "m": 1000, "c0": [0.1, 1.0], "draws": 20, "gammas": [[0.9, 0.5, 0.2, 0.05]]},
            {"d": 400, "m": 4000, "c0": [0.1, 1.0], "draws": 6, "gammas": [[0.9, 0.5, 0.2, 0.05]]},
        ],
    },
    {"live": 2, "laptop": 40},
    dtype="float64",
)
"""Counts, as above; the size is one at which Lemma B.7 says something for each gamma. The extremes are sums of m
numbers in float64, which other processors order differently."""

FLIP_PROBABILITIES = Experiment(
    "lazy.flip_probabilities",
    flip_probabilities,
    {"live": {"d": 100, "units": 200_000, "radius": 0.03, "shifts": [[0.02, 0.05, 0.1, 0.2, 0.35, 0.5]],
              "epsilons": [[1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03]]}},
    {"live": 3},
    dtype="float64",
)  # fmt: skip
"""Counts, as above."""
