"""Counting how often what the lemmas exclude happens: the failures of Lemma B.5, the flips of Lemma B.6."""

from __future__ import annotations

from typing import Any

import torch

from advnb.experiments import Experiment
from advnb.models import TwoLayer
from advnb.papers.lazy.bounds import measured, printed

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

FLIP_PROBABILITIES = Experiment(
    "lazy.flip_probabilities",
    flip_probabilities,
    {"live": {"d": 100, "units": 200_000, "radius": 0.03, "shifts": [[0.02, 0.05, 0.1, 0.2, 0.35, 0.5]],
              "epsilons": [[1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03]]}},
    {"live": 3},
    dtype="float64",
)  # fmt: skip
"""Counts, as above."""
