"""What the lemmas bound, measured at the sizes of the paper, for the table that sets bounds next to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from advnb.experiments import Experiment, Tolerance
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.bounds import measured
from advnb.papers.lazy.task import random_start

Numbers = dict[str, Any]


def over_the_ball(
    *,
    d: int,
    m: int,
    c0: list[float],
    points: int,
    c1: float = 1.0,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial: the worst over ``points`` random x on the sphere of each quantity that Lemmas 4.1 to B.9 bound.

    An entry for each C0: ``flips`` and ``flips_nearby`` (R = C1 / sqrt(d)) are the largest shares of units in the two
    sets of Lemma B.4, ``value`` the largest |f| (B.5), ``gradient_low`` and ``gradient_high`` the sides of the smallest
    gradient (B.7). At the start alone: ``change``, the largest change of the gradient found with ||delta|| = R (B.9),
    ``projection`` the largest |<x, w_s>|, ``norm`` the longest flipping step, ``value_start`` and ``gradient_start``.
    """
    generator = torch.Generator().manual_seed(seed)
    net, x = random_start(d, m, points, generator, dtype=dtype, device=device)
    f, gradient = net.value_and_gradient(x)
    shift = c1 / d**0.5
    rows = [_worst(net, x, size / m**0.5, shift) for size in c0]
    return {
        **{name: [row[name] for row in rows] for name in rows[0]},
        "change": float(measured.gradient_change(net, x, shift, generator).max()),
        "projection": float(net.preactivation(x).detach().abs().max()),
        "norm": float(minimal_flip(net, x).norm.max()),
        "value_start": float(f.abs().max()),
        "gradient_start": float(torch.linalg.vector_norm(gradient, dim=1).min()),
    }


def _worst(net: TwoLayer, x: Tensor, radius: float, shift: float) -> Numbers:
    low, high = measured.smallest_gradient(net, x, radius)
    return {
        "flips": int(measured.sign_flips(net, x, radius).max()) / net.m,
        "flips_nearby": int(measured.sign_flips_nearby(net, x, radius, shift).max()) / net.m,
        "value": float(measured.largest_value(net, x, radius).max()),
        "gradient_low": float(low.min()),
        "gradient_high": float(high.min()),
    }


_C0 = [[0.1, 1.0, 10.0, 20.0, 40.0]]

BOUNDS = Experiment(
    "lazy.bounds",
    over_the_ball,
    {
        "live": {"d": [25, 100, 784], "m": [1000], "c0": _C0, "points": 5},
        "laptop": [
            {"d": [25, 49, 100, 196, 400, 625, 784], "m": [1000, 10_000], "c0": _C0, "points": 10},
            {"d": [25, 100, 784], "m": 100_000, "c0": _C0, "points": 4},
        ],
        "full": {"d": [25, 49, 100, 196, 400, 625, 784, 3072], "m": [1000, 10_000, 100_000, 1_000_000], "c0": _C0,
                 "points": 20},
    },
    {"live": 2, "laptop": 5, "full": 20},
    tolerance=Tolerance(rtol=1e-3, atol=1e-3),
)  # fmt: skip
"""Lemmas B.4 to B.9 over the paper's sizes."""
