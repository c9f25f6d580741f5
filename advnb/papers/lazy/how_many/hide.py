"""Weights of the ball whose gradients vanish at several inputs at once, so that no step along them flips any.

Everything is for orthonormal inputs, C0 in units of sqrt(d). For m to infinity and then d to infinity the gradients at
the start have half of their energy in common; the other halves are at right angles to it and to each other.
"""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq, lsq_linear, minimize
from scipy.stats import binom
from torch import Tensor

from advnb import checks
from advnb.models import TwoLayer

__all__ = ["ALL", "FEW", "across", "hidden", "left_over", "vanishing"]

ALL = math.pi / 2
"""C0 / sqrt(d) above which the gradients at any number of inputs vanish at some W, for m large enough."""

FEW = math.pi / math.sqrt(8)
"""C0 / sqrt(d) below which only a bounded number of inputs can resist all short steps at once."""

ROOM = 0.95
"""Of the radius that the construction uses; the rest is for its correction at a finite width."""

SHARE = 0.8
"""Of what switching can take, as much as the construction leaves to it."""

BESIDE = 0.02
"""How far beyond its kink a unit is put, in radii."""


def direction(n: int, angles: Any) -> tuple[float, float, float]:
    """Return a unit vector by its parts along the common gradient, the input's own one, and each other one."""
    turn, aside = angles
    others = math.sin(turn) * math.sin(aside) / math.sqrt(max(1, n - 1))
    return math.cos(turn), math.sin(turn) * math.cos(aside), others


def reduced(n: int, common: float, own: float, others: float) -> float:
    """Return how much leaning takes from the gradients along such vectors, in units of C0, in the mean over n inputs.

    A unit leans against the sum of the vectors of the inputs at which it is on, k of them with the probabilities of n
    fair coins. By duality no weights in the ball take more.
    """
    k = np.arange(n + 1)
    square = (k * common) ** 2 + k * (own + (k - 1) * others) ** 2 + (n - k) * (k * others) ** 2
    return float(np.sqrt(square) @ binom.pmf(k, n, 0.5)) / n


@lru_cache(maxsize=4096)
def left_over(c: float, n: int) -> tuple[float, tuple[float, float, float]]:
    """Return what must remain of some gradient across x, over sqrt(d), where units only lean, and along what."""

    def left(angles: Any) -> float:
        common, own, others = direction(n, angles)
        return (common + own) / 2 - c * reduced(n, common, own, others)

    found = minimize(lambda angles: -left(angles), [math.pi / 4, 0.0], method="Nelder-Mead")
    return max(0.0, -float(found.fun)), direction(n, found.x)


@lru_cache
def vanishing(n: int) -> float:
    """Return the C0 / sqrt(d) from which the gradients at ``n`` orthonormal inputs can vanish at once, for large m, d.

    What leaning leaves over has to be within 1 / pi of C0, which switching the units next to their kinks takes at
    each input by itself. It grows from 0.864 at one input to pi / 2.
    """
    checks.count("n", n)
    return float(brentq(lambda c: left_over(c, n)[0] - c / math.pi, 0.5, 2.0, xtol=1e-6))


@torch.no_grad()
def across(net: TwoLayer, x: Tensor) -> Tensor:
    """Return the gradients at the rows of ``x`` (n, d), norm 1, each without its part along the row."""
    gradient = net.input_gradient(x)
    return gradient - (gradient * x).sum(1, keepdim=True) * x


@torch.no_grad()
def hidden(net: TwoLayer, x: Tensor, radius: float) -> TwoLayer:
    """Return a copy of ``net`` whose gradient at each orthonormal row of ``x`` (n, d) points along the row itself.

    Then no step along a gradient that is shorter than x changes a sign. Units lean as for a ball of ``radius``; those
    within it of a kink are switched on or off, each for its nearest input; a last solution of least squares takes the
    rest away. That one may leave the ball: see how far the result has moved.
    """
    n, start, h = len(x), net.weight, net.preactivation(x).T
    c = checks.positive("radius", radius) * math.sqrt(net.m / net.d)
    near = h.abs() < ROOM * radius
    free, nearest = ~near.any(1), h.abs().argmin(1)
    moved = copy.deepcopy(net)
    moved.weight.add_(radius * net.signs[:, None] * _leaning(net, x, h, c) * free[:, None])
    for i in range(n):
        _switch(moved, start, x[i], torch.nonzero(~free & (nearest == i))[:, 0], radius)
    top = (net.signs / net.m**0.5)[:, None]
    for _ in range(6):  # a unit may pass its kink at the first correction, which the next one then sees
        on = (moved.preactivation(x).T > 0) * free[:, None].to(x.dtype)
        push = torch.linalg.lstsq(on.T @ on / net.m, across(moved, x)).solution
        moved.weight.sub_(top * (on @ push))
    return moved


def _leaning(net: TwoLayer, x: Tensor, h: Tensor, c: float) -> Tensor:
    """Return how far units lean (m, d), but for their signs: no further than leaves ``SHARE`` of C0 / pi."""
    gradient = across(net, x)
    common = gradient.mean(0)
    own = gradient - common if len(x) > 1 else gradient
    common, own = (part / torch.linalg.vector_norm(part, dim=-1, keepdim=True) for part in (common, own))
    sizes = np.linspace(0, ROOM, 39)
    enough = [size for size in sizes if left_over(c * size, len(x))[0] <= SHARE * c / math.pi]
    size = enough[0] if enough else ROOM
    shared, alone, others = left_over(c * size, len(x))[1]
    push = (h > 0).to(x.dtype) @ (shared * common + (alone - others) * own + others * own.sum(0))
    return -size * push / torch.linalg.vector_norm(push, dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


def _switch(net: TwoLayer, start: Tensor, x: Tensor, units: Tensor, radius: float) -> None:
    """Put ``units`` (k,) of ``net`` on either side of their kinks at x (d,), so that the gradient there is smallest."""
    top = net.signs / net.m**0.5
    on = (net.weight @ x > 0).to(x.dtype)
    on[units] = 0
    rest = (top * on) @ net.weight
    each = top[units, None] * start[units]
    rest, each = rest - (rest @ x) * x, each - (each @ x)[:, None] * x
    if len(units) == 0:
        return
    found = lsq_linear(each.T.cpu().numpy(), -rest.cpu().numpy(), (0, 1), method="trf", tol=1e-5, max_iter=60)
    wanted = torch.as_tensor(found.x, device=x.device) > 0.5
    h = start[units] @ x
    move = torch.where(wanted == (h > 0), 0.0, -h + torch.where(wanted, BESIDE, -BESIDE) * radius)
    net.weight[units] = start[units] + move[:, None] * x
