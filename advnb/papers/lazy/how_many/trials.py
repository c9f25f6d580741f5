"""How many inputs weights of the ball can resist at once: built against their gradients, and found by ascent."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from advnb import checks
from advnb.experiments import Experiment, Tolerance
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.ball import largest_movement, project
from advnb.papers.lazy.how_many.hide import hidden
from advnb.papers.lazy.several import several_steps
from advnb.papers.lazy.task import digit_pair

Numbers = dict[str, Any]

ALMOST = 0.99
"""A flip of at least this share of ||x|| counts as none: on its way through the origin a ray may pass zero."""

PATH, SHARPNESS, MARGIN = 16, 20.0, 0.3
"""Points on each half of a ray, how near its soft minimum is to the minimum, and the margin beyond which none rises."""

TRIED = (1.0, 1.3, 1.6, 2.2)
"""C0 / sqrt(d) for which the construction is made; the one that moves least counts."""


def inputs(data: str, n: int, d: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Return n rows of norm 1: orthonormal and random ("sphere"), or training images of zeros and ones (``data``)."""
    if data == "sphere":
        return torch.linalg.qr(torch.randn(d, n, generator=generator, dtype=dtype)).Q.T.contiguous()
    rows = digit_pair(data, math.isqrt(d), "unit").train.x.to(dtype)
    return rows[torch.randperm(len(rows), generator=generator)[:n]]


def hidden_gradients(*, d: int, m: int, n: int, seed: int, device: str, dtype: torch.dtype) -> Numbers:
    """Trial: the C0 / sqrt(d) at which built weights resist one step at ``n`` random orthonormal inputs at once.

    ``needed`` is the least over ``TRIED``; at these weights ``held`` is the share of inputs that no shorter step than
    x flips, ``several`` the mean length, in ||x||, within which several steps flip, and ``random`` the mean share of
    the inputs that one step flips from a random point 0.1 ||x|| away.
    """
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=dtype).to(device).eval()
    x = inputs("sphere", n, d, generator, dtype).to(device)
    built = [hidden(net, x, c * (d / m) ** 0.5) for c in TRIED]
    needed = [largest_movement(one.weight.data, net.weight.data) / d**0.5 for one in built]
    best = built[min(range(len(TRIED)), key=needed.__getitem__)]
    away = torch.randn(n, d, generator=generator, dtype=dtype).to(device)
    near = x + 0.1 * away / torch.linalg.vector_norm(away, dim=1, keepdim=True)
    return {
        "needed": min(needed),
        "held": float((minimal_flip(best, x).norm >= ALMOST).double().mean()),
        "several": float(several_steps(best, near, torch.ones(n, dtype=dtype, device=device)).mean()),
        "random": float((minimal_flip(best, near).norm < ALMOST).double().mean()),
    }


def held_by_ascent(
    *, data: str, d: int, m: int, ratio: float, n: list[int], steps: int, seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial: the share of n inputs that weights resist which projected ascent finds, for each of ``n`` (ascending).

    ``held`` counts inputs that no step along the gradient shorter than x flips. ``most`` is the largest number of
    inputs held at once. ``data`` is as in :func:`inputs`. After a share below a tenth the rest counts as 0.
    """
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=dtype).to(device).eval()
    x = inputs(data, max(n), d, generator, dtype).to(device)
    shares: list[float] = []
    for count in n:
        few = x[:count]
        gone = bool(shares) and shares[-1] < 0.1
        shares.append(0.0 if gone else resist_by_ascent(net, few, ratio * (d / m) ** 0.5, steps=steps))
    return {"held": shares, "most": max(round(share * count) for share, count in zip(shares, n, strict=True))}


def resist_by_ascent(net: TwoLayer, x: Tensor, radius: float, *, steps: int, size: float = 0.05) -> float:
    """Return the largest share of the rows of ``x`` held by weights that projected gradient ascent from ``net`` meets.

    What rises is, for each row that has not reached ``MARGIN``, a soft minimum of sign(f) f over the ray along the
    gradient, to either side up to ||x||, with the signs of the start.
    """
    start, top = net.weight.detach(), net.signs / net.m**0.5
    side = net(x).detach().sign()
    line = torch.linspace(0, 1, PATH + 1, dtype=x.dtype, device=x.device)
    line = torch.cat([-line[:-1], line[1:]])[None, :, None]
    moved, most = copy.deepcopy(net), 0.0
    for step in range(checks.count("steps", steps)):
        weight = moved.weight.detach().requires_grad_()
        gradient = (top * (x @ weight.T > 0)) @ weight
        unit = gradient / torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        value = side[:, None] * (((x[:, None] + line * unit[:, None]) @ weight.T).relu() @ top)
        lowest = -torch.logsumexp(-SHARPNESS * value, 1) / SHARPNESS
        (push,) = torch.autograd.grad(lowest.clamp(max=MARGIN).sum(), weight)
        mean = torch.linalg.vector_norm(push, dim=1).mean()
        if step % 5 == 4 or mean == 0:
            flips = minimal_flip(moved, x).norm
            most = max(most, float((flips >= ALMOST).double().mean()))
            if most == 1 or mean == 0:
                break
        moved.weight.data = project(weight.detach() + size * radius * push / mean, start, radius)
    return most


HIDDEN = Experiment(
    "lazy.hidden",
    hidden_gradients,
    {"live": {"d": 10, "m": 500, "n": [1, 2]}, "laptop": {"d": 25, "m": [1000, 4000, 16_000], "n": [1, 2, 4, 8, 16]}},
    {"live": 2, "laptop": 5},
    dtype="float64",
    tolerance=Tolerance(rtol=0.05, atol=0.02),  # a unit that least squares puts on the other side moves the result
    tolerances={"several": Tolerance(atol=0.1), "random": Tolerance(atol=0.15)},
)
"""How large the ball must be for built weights to resist one step at n inputs at once."""

MANY = Experiment(
    "lazy.many",
    held_by_ascent,
    {
        "live": {"data": "sphere", "d": 10, "m": 300, "ratio": [0.5, 2.0], "n": [[1, 2, 4]], "steps": 20},
        "laptop": [
            {"data": "sphere", "d": 25, "m": 1000, "ratio": [0.36, 0.6, 1.0, 1.5, 2.0], "n": [[1, 2, 4, 8, 16]],
             "steps": 40},
            {"data": "sphere", "d": 100, "m": 1000, "ratio": [0.36, 1.0], "n": [[1, 2, 4, 8]], "steps": 40},
            {"data": "mnist", "d": 25, "m": 1000, "ratio": [0.36, 1.0, 2.0], "n": [[1, 2, 4, 8, 16]], "steps": 40},
        ],
    },
    {"live": 2, "laptop": 5},
    dtype="float64",
    tolerance=Tolerance(atol=0.15),  # of 16 inputs two may be held or not for the last bits of forty steps
    tolerances={"most": Tolerance(atol=3.0)},
)  # fmt: skip
"""How many inputs projected ascent finds weights of the ball for that no single step flips."""
