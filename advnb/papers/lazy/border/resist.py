"""Weights of the ball at which no step along the gradient at x changes the sign: the construction, and an optimiser.

:mod:`~advnb.papers.lazy.border.threshold` says from which C0 / sqrt(d) on they exist, for large m and d.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from advnb import checks
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.ball import project
from advnb.papers.lazy.border.threshold import Lean, sideways

__all__ = ["LEANS", "ascend", "most_resisting_net", "resisting"]

LEANS = tuple(Lean(*angles, 0.8) for angles in ((0.67, 0.85), (0.35, 0.6), (0.35, 0.3), (0.0, 0.9), (0.0, 1.2)))
"""Leans that are tried at each x: the best one for large m and d at the border, and others around it."""

INSIDE, SIDE = 0.999, 1e-3
"""Of the radius: how near a kink a unit must be to be switched, and how far beyond it is put."""

PATH, SHARPNESS = 32, 20.0
"""Points on each half of the ray that the optimiser lifts, and how near its soft minimum is to the minimum."""


@torch.no_grad()
def resisting(net: TwoLayer, x: Tensor, radius: float, lean: Lean) -> TwoLayer:
    """Return ``net`` with every unit moved by at most ``radius`` so that its gradient at x (1, d), norm 1, misleads.

    Units far from their kink at x raise sign(f) f around x and along the ray, and lean sideways to turn the gradient
    by beta; those nearer than the radius are switched on or off, which turns it further and changes no value. The ray
    then runs along e = cos(beta) e_0 + sin(beta) r, with e_0 downhill at the start and r where its gradient further
    away differs from that at x. The construction of the proposition on this page.
    """
    f, gradient = net.value_and_gradient(x)
    sign, x0, h = f.sign(), x[0], net.preactivation(x)[0]
    signs = sign * net.signs
    down = _off(-sign * gradient[0], x0)
    down = down / torch.linalg.vector_norm(down)
    far = _off(_off((signs * torch.special.ndtr(h / math.tan(lean.horizon))) @ net.weight, x0), down)
    far = far / torch.linalg.vector_norm(far)
    beta = math.asin(min(1.0, sideways(checks.positive("radius", radius) * math.sqrt(net.m / net.d), lean.sideways)))
    ray, turn = (math.cos(beta) * down + math.sin(beta) * far, math.sin(beta) * down - math.cos(beta) * far)
    off = math.cos(lean.along) * x0 + math.sin(lean.along) * ray
    on = math.cos(lean.sideways) * off + math.sin(lean.sideways) * turn
    move = radius * signs[:, None] * torch.where((h > 0)[:, None], on, off)
    wanted = signs * (net.weight @ turn) > 0
    switch = torch.where(wanted == (h > 0), 0.0, -h + torch.where(wanted, SIDE, -SIDE) * radius)
    near = (h.abs() < INSIDE * radius)[:, None]
    moved = copy.deepcopy(net)
    moved.weight.copy_(project(net.weight + torch.where(near, switch[:, None] * x0, move), net.weight, radius))
    return moved


def _off(vector: Tensor, unit: Tensor) -> Tensor:
    return vector - (vector @ unit) * unit


def most_resisting_net(net: TwoLayer, x: Tensor, radius: float) -> tuple[TwoLayer, float]:
    """Return the weights of ``LEANS`` that resist one step at x the longest, and the length of the step that flips."""
    tried = ((built, float(minimal_flip(built, x).norm)) for built in (resisting(net, x, radius, a) for a in LEANS))
    return max(tried, key=lambda pair: pair[1])


def ascend(net: TwoLayer, built: TwoLayer, x: Tensor, radius: float, *, steps: int = 40, size: float = 0.1) -> float:
    """Return the longest step that weights need which projected gradient ascent from ``built`` finds.

    What rises is a soft minimum of sign(f) f over the ray to either side up to ||x||, by steps of ``size`` times the
    radius for a unit in the mean, each followed by the projection onto the ball around ``net``. It ends when no step
    shorter than x flips.
    """
    start, top = net.weight.detach(), net.signs / net.m**0.5
    side = float(net(x).detach().sign())
    line = torch.linspace(0, 1, PATH + 1, dtype=x.dtype, device=x.device)
    line = side * torch.cat([-line[:-1], line[1:]])[:, None]
    moved = copy.deepcopy(built)
    longest = float(minimal_flip(moved, x).norm)
    for _ in range(checks.count("steps", steps, minimum=0)):
        if longest >= 1:
            break
        weight = moved.weight.detach().requires_grad_()
        gradient = (top * (weight @ x[0] > 0)) @ weight
        points = x + line * gradient / torch.linalg.vector_norm(gradient)
        value = side * ((points @ weight.T).relu() @ top)
        (push,) = torch.autograd.grad(-torch.logsumexp(-SHARPNESS * value, 0), weight)
        mean = torch.linalg.vector_norm(push, dim=1).mean().clamp_min(torch.finfo(x.dtype).tiny)
        moved.weight.data = project(weight.detach() + size * radius * push / mean, start, radius)
        longest = max(longest, float(minimal_flip(moved, x).norm))
    return longest
