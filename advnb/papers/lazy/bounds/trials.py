"""What the lemmas bound, measured over the ball of weights, and from which dimension on the bounds say something."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from advnb.experiments import Experiment, Tolerance
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.bounds import measured, uniform
from advnb.papers.lazy.task import random_start

Numbers = dict[str, Any]


def over_the_ball(
    *, d: int, m: int, c0: list[float], points: int, c1: float = 1.0, seed: int, device: str, dtype: torch.dtype
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


def against_one_direction(
    *, d: int, m: int, c0: float, points: int, seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial: what the worst weights of the ball do along one direction, the worst of ``points`` random x.

    ``fixed_low`` and ``fixed_high`` are the sides of Lemma B.8's left side, for a random r and a random delta of length
    R = 1 / sqrt(d). ``change`` is the change of the gradient at the start for delta straight down the gradient, and
    ``change_ball`` what weights of the ball make of it (B.9). ``flat`` is the smallest gradient that moving every unit
    straight against it leaves (B.7).
    """
    generator = torch.Generator().manual_seed(seed)
    net, x = random_start(d, m, points, generator, dtype=dtype, device=device)
    radius, shift = c0 / m**0.5, d**-0.5
    draws = torch.randn(2, points, d, generator=generator, dtype=dtype).to(device)
    delta, r = normalize(draws, dim=2)
    fixed = measured.change_along(net, x, shift * delta, r, radius)
    gradient = net.input_gradient(x)
    down = -shift * normalize(gradient)
    change = gradient - net.input_gradient(x + down)
    return {
        "fixed_low": float(fixed.low.max()),
        "fixed_high": float(fixed.high.max()),
        "change": float(torch.linalg.vector_norm(change, dim=1).max()),
        "change_ball": float(measured.change_along(net, x, down, normalize(change), radius).low.max()),
        "flat": float(measured.flattened_gradient(net, x, radius).min()),
    }


def chosen_units(*, d: int, m: int, c0: float, seed: int, device: str, dtype: torch.dtype) -> Numbers:
    """Trial of eq. (7): what weights take off the gradient by choosing among the units that they can switch at x.

    These are the ``count`` units with |<w, x>| < C0 / sqrt(m). ``found`` is the longest sum of some of their rows
    (of the d - 1 coordinates across x), over sqrt(m).
    """
    generator = torch.Generator().manual_seed(seed)
    near = torch.randn(m, generator=generator, dtype=dtype).abs() < c0 / m**0.5
    rows = torch.randn(int(near.sum()), d - 1, generator=generator, dtype=dtype).to(device)
    return {"count": len(rows), "found": measured.longest_sum(rows) / m**0.5}


def speaks_from(*, c0: float, gamma: float, seed: int, device: str) -> Numbers:
    """Trial without chance: ``uniform.speaks_from``, stored because it takes a second."""
    return uniform.speaks_from(c0, gamma)


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
    cost=costs.over_the_ball,
)  # fmt: skip
"""Lemmas B.4 to B.9 over the paper's sizes."""

ONE_DIRECTION = Experiment(
    "lazy.one_direction",
    against_one_direction,
    {"live": {"d": [25, 49, 100, 196, 400, 625, 784], "m": [1000, 10_000], "c0": [1.0, 10.0], "points": 5}},
    {"live": 3},
    dtype="float64",
)
"""Weights of the ball against one direction. In float64 other processors differ by rounding alone, as in the next."""

CHOSEN_UNITS = Experiment(
    "lazy.chosen_units",
    chosen_units,
    {"live": [{"d": 25, "m": [1000, 10_000, 100_000, 1_000_000], "c0": 10.0}, {"d": 784, "m": 10_000, "c0": 10.0}]},
    {"live": 5},
    dtype="float64",
)
"""Equation (7) where W may choose."""

SPEAKS_FROM = Experiment(
    "lazy.speaks_from",
    speaks_from,
    {"live": {"c0": [0.1, 1.0, 10.0, 20.0, 40.0], "gamma": [0.5, 0.05, 1e-6]}},
    {"live": 1},
    dtype="float64",
    devices=("cpu",),
)
"""Nothing here is drawn: one seed is all of it."""
