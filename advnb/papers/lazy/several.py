"""Several steps instead of one: how near projected descent with unit gradients comes to a flip."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from advnb import checks
from advnb.attacks import ZeroGradientWarning, ascend
from advnb.balls import L2
from advnb.models import TwoLayer
from advnb.papers.lazy.adversarial import STEP_SHARE


@torch.no_grad()
def several_steps(net: TwoLayer, x: Tensor, reach: Tensor, *, steps: int = 20, rounds: int = 8) -> Tensor:
    """Return the smallest radius, (n,), within which several unit-gradient steps were found to change the sign of f.

    Bisection over the radius of each example between 0 and ``reach`` (n,), which must be a radius that is known to
    suffice, such as the length of the one-step flip; the answer is at most that. Projected descent on |f| starts at x,
    makes steps of 2.5 radius / ``steps`` and has succeeded if it changes the sign at any of its points.
    """
    checks.count("rounds", rounds)
    low, high = torch.zeros_like(reach), reach.clone()
    for _ in range(rounds):
        middle = (low + high) / 2
        flipped = _flips_within(net, x, middle, steps)
        low, high = torch.where(flipped, low, middle), torch.where(flipped, middle, high)
    return high


def _flips_within(net: TwoLayer, x: Tensor, radius: Tensor, steps: int) -> Tensor:
    """Tell for each example whether projected descent on |f| within its radius changes the sign."""
    side, scale = net(x).sign(), radius[:, None]
    flipped = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def gradient(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        f, slope = net.value_and_gradient(x + scale * (points - x))
        flipped.logical_or_(f * side < 0)
        return -side * f, -side[:, None] * slope

    size = STEP_SHARE / checks.count("steps", steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # such an x has no flip nearby: an answer
        end = ascend(gradient, x, L2(1.0), start=x, steps=steps, step_size=size)
    return flipped | (net(x + scale * (end - x)) * side < 0)
