"""Which weights of the ball resist every single step at one x, at each C0 / sqrt(d)."""

from __future__ import annotations

import math
from typing import Any

import torch

from advnb.experiments import Experiment, Tolerance
from advnb.papers.lazy.border.resist import ascend, most_resisting_net
from advnb.papers.lazy.task import random_start

Numbers = dict[str, Any]

PER_RATIO = ("built", "found", "held", "never")
"""Fields of :func:`resisting_weights` with one entry a ratio C0 / sqrt(d)."""


def resisting_weights(
    *, d: int, m: int, ratio: list[float], ascent: int, seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of the border: weights that resist one step at one random x of the sphere, at each C0 / sqrt(d).

    Lengths are in units of ||x||, at most 1, steps of both signs counted. An entry for each of ``ratio``: ``built``,
    the length that the best construction needs, ``found`` the same after ``ascent`` steps of projected ascent from it,
    ``held`` whether no shorter step flips, ``never`` whether none of any length does at the construction.
    """
    generator = torch.Generator().manual_seed(seed)
    net, x = random_start(d, m, 1, generator, dtype=dtype, device=device)
    rows: Numbers = {name: [] for name in PER_RATIO}
    for radius in ((d / m) ** 0.5 * c for c in ratio):
        built, length = most_resisting_net(net, x, radius)
        found = ascend(net, built, x, radius, steps=ascent)
        for name, value in (("built", min(length, 1.0)), ("found", min(found, 1.0)), ("held", float(found >= 1))):
            rows[name].append(value)
        rows["never"].append(float(math.isinf(length)))
    return rows


_RATIO = [[0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 1.0]]

RESIST = Experiment(
    "lazy.resist",
    resisting_weights,
    {
        "live": {"d": 25, "m": 1000, "ratio": [[0.2, 0.5, 0.8]], "ascent": 5},
        "laptop": [
            {"d": [25, 100], "m": 4000, "ratio": _RATIO, "ascent": 20},
            {"d": 400, "m": 16_000, "ratio": _RATIO, "ascent": 0},
        ],
    },
    {"live": 2, "laptop": 10},
    dtype="float64",
    # Next to the border a ray passes just above 0 or just below; there the last bits may decide for another processor.
    tolerance=Tolerance(rtol=0.05, atol=0.02),
)  # fmt: skip
"""The border in C0 / sqrt(d) from which on some weights of the ball resist every single step at one x."""
