"""The searches for the smallest flipping step that the exact one replaces, with what they cost in forward passes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from advnb import checks
from advnb.models import TwoLayer

STEP, STEPS = 1e-3, 5000
"""Section 5.1 of Wang et al. (2022) as released: eta in steps of 0.001, at most 5,000 of them."""


class Search(NamedTuple):
    """``eta`` (n,), the size of the step found (infinite if none), and ``passes`` (n,), the forward passes it took."""

    eta: Tensor
    passes: Tensor


@torch.no_grad()
def line_search(net: TwoLayer, x: Tensor, *, step: float = STEP, steps: int = STEPS) -> Search:
    """Return the first multiple of ``step`` at which x - sign(f) eta grad f(x) has the other sign, for each row of x.

    An example that has flipped costs nothing from then on.
    """
    checks.positive("step", step)
    f, direction = _downhill(net, x)
    eta = torch.full_like(f, torch.inf)
    rows = torch.arange(len(x), device=x.device)
    passes = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for k in range(1, checks.count("steps", steps) + 1):
        if len(rows) == 0:
            break
        passes[rows] += 1
        flipped = net(x[rows] + k * step * direction[rows]) * f[rows] < 0
        eta[rows[flipped]] = k * step
        rows = rows[~flipped]
    return Search(eta, passes)


@torch.no_grad()
def bisection(net: TwoLayer, x: Tensor, *, width: float = 1e-6, doublings: int = 40) -> Search:
    """Double the first-order step until the sign differs, then halve the bracket of each row to ``width``.

    What it returns is a step that flips, within ``width`` of *a* zero of f, which need not be the first.
    """
    checks.positive("width", width)
    f, direction = _downhill(net, x)
    low, high = torch.zeros_like(f), f.abs() / direction.square().sum(1)
    passes = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    kept = torch.ones_like(f, dtype=torch.bool)
    for _ in range(checks.count("doublings", doublings)):
        passes += kept
        kept &= net(x + high[:, None] * direction) * f >= 0
        if not kept.any():
            break
        low, high = torch.where(kept, high, low), torch.where(kept, 2 * high, high)
    high = high.masked_fill(kept, torch.inf)
    while bool((wide := (high - low > width) & ~kept).any()):
        middle = torch.where(wide, (low + high) / 2, low)
        passes += wide
        same = net(x + middle[:, None] * direction) * f >= 0
        low, high = torch.where(wide & same, middle, low), torch.where(wide & ~same, middle, high)
    return Search(high, passes)


def _downhill(net: TwoLayer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return f and the direction along which |f| falls, of the gradient's length."""
    f, gradient = net.value_and_gradient(x)
    return f, -f.sign()[:, None] * gradient
