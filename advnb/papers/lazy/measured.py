"""What the lemmas bound, measured over the whole ball of weights: exactly, or between two sides that hold.

All functions take the network at its start (ReLU, no biases), points x (n, d) and the radius V = C0 / sqrt(m) of
the ball, and speak of the worst W in it, which may be another one for each point.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from advnb import checks
from advnb.models import TwoLayer


class Bracket(NamedTuple):
    """``low`` <= the smallest ||grad f(x; W)|| over the ball <= ``high``, both (n,); ``high`` is attained."""

    low: Tensor
    high: Tensor


@torch.no_grad()
def sign_flips(net: TwoLayer, x: Tensor, radius: float) -> Tensor:
    """Count the units of Lemma 4.3 exactly, (n,): some w within V of w_{s,0} has another 1[<w, x> > 0].

    A unit that is on can be switched off if <w_{s,0}, x> <= V ||x||; one that is off, on if -<w_{s,0}, x> < V ||x||.
    """
    h, reach = _start(net, x, radius)
    return torch.where(h > 0, h <= reach, -h < reach).sum(1)


@torch.no_grad()
def sign_flips_nearby(net: TwoLayer, x: Tensor, radius: float, shift: float) -> Tensor:
    """Count the second set of Lemma B.4 as it is defined, (n,): some w and some x' within ``shift`` of x disagree.

    The hyperplane of w_{s,0} makes with x an angle whose sine is |<w_{s,0}, x>| / (||w_{s,0}|| ||x||). Moving x
    turns it by at most arcsin(R / ||x||) and moving w_{s,0} by at most arcsin(V / ||w_{s,0}||), and both can be
    attained in the plane of the two. So the unit is in the set if the first angle is at most the sum of the others.
    Needs d >= 2.
    """
    h, _ = _start(net, x, radius)
    length, rows = _norms(x)[:, None], _norms(net.weight)
    angle = (h.abs() / (length * rows)).clamp(max=1).asin()
    reach = (shift / length).clamp(max=1).asin() + (radius / rows).clamp(max=1).asin()
    return (angle <= reach).sum(1)


@torch.no_grad()
def largest_value(net: TwoLayer, x: Tensor, radius: float) -> Tensor:
    """Return the largest |f(x; W)| over the ball exactly, (n,).

    The units do not interact: f is largest with every <w_s, x> moved by a_s V ||x||, and smallest with the opposite.
    """
    h, reach = _start(net, x, radius)
    ends = [
        ((h + side * reach * net.signs).relu() @ net.signs).mul(side / net.m**0.5) for side in (1.0, -1.0)
    ]
    return torch.maximum(*ends)


@torch.no_grad()
def smallest_gradient(net: TwoLayer, x: Tensor, radius: float, *, rounds: int = 3) -> Bracket:
    """Return two sides of the smallest ||grad f(x; W)|| over the ball.

    Below: with u the direction of the gradient at the start, ||grad f|| >= <grad f, u>, which is a sum over units and
    is minimised unit by unit. Above: weights that make <grad f, u> small, found with u the latest direction.
    """
    _start(net, x, radius)
    checks.count("rounds", rounds)
    sides = [_bracket(net, row[None], radius, rounds) for row in x]
    return Bracket(*(torch.stack(column) for column in zip(*sides, strict=True)))


def _bracket(net: TwoLayer, x: Tensor, radius: float, rounds: int) -> tuple[Tensor, Tensor]:
    h, reach = net.preactivation(x)[0], radius * _norms(x)
    can_be_on, can_be_off = h + reach > 0, h - reach <= 0
    gradient = net.input_gradient(x)[0]
    high, low = _norms(gradient[None])[0], h.new_zeros(())
    for k in range(rounds):
        u = gradient / _norms(gradient[None]).clamp_min(torch.finfo(h.dtype).tiny)
        pull = net.signs * (net.weight @ u) - radius
        least = torch.where(can_be_off & (~can_be_on | (pull > 0)), 0, pull)
        if k == 0:
            low = (least.sum() / net.m**0.5).clamp_min(0)
        weight = _moved(net, x[0], u, radius, h, least != 0)
        on = (weight @ x[0] > 0) * net.signs / net.m**0.5
        gradient = on @ weight
        high = torch.minimum(high, _norms(gradient[None])[0])
    return low, high


def _moved(net: TwoLayer, x: Tensor, u: Tensor, radius: float, h: Tensor, on: Tensor) -> Tensor:
    """Move every unit by the radius: those to be off straight against x, those to be on against a_s u if they stay on.

    Units that are off and shall be on go along x. Those that moving against u would switch stay where they are.
    """
    towards = x / _norms(x[None])
    against = net.weight - radius * net.signs[:, None] * u
    stays = (against @ x > 0)[:, None]
    weight = torch.where(stays, against, net.weight)
    weight = torch.where((on & (h <= 0))[:, None], net.weight + radius * towards, weight)
    return torch.where((~on & (h > 0))[:, None], net.weight - radius * towards, weight)


@torch.no_grad()
def gradient_change(
    net: TwoLayer, x: Tensor, shift: float, generator: torch.Generator, tries: int = 20
) -> Tensor:
    """Return the largest ||grad f(x) - grad f(x + delta)|| found with ||delta|| = ``shift``, (n,).

    Tried are both directions of the gradient and ``tries`` random ones, for the weights of ``net``: the supremum of
    Lemma B.9 over delta and over the ball is at least that.
    """
    checks.images("x", x)
    gradient = net.input_gradient(x)
    unit = gradient / _norms(gradient)[:, None]
    directions = [unit, -unit]
    for _ in range(checks.count("tries", tries)):
        draw = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        directions.append(draw / _norms(draw)[:, None])
    changes = [_norms(net.input_gradient(x + shift * v) - gradient) for v in directions]
    return torch.stack(changes).amax(0)


def _start(net: TwoLayer, x: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Return the preactivations (n, m) and V ||x|| (n, 1)."""
    if not isinstance(net, TwoLayer) or net.activation != "relu" or net.hidden_bias is not None:
        raise TypeError("net must be a TwoLayer network with activation 'relu' and no biases")
    checks.images("x", x)
    return net.preactivation(x), checks.positive("radius", radius) * _norms(x)[:, None]


def _norms(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)
