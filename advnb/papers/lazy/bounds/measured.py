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
    """``low`` <= the extreme value over the ball <= ``high``, both (n,); each function says which one is attained."""

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
    ends = [((h + side * reach * net.signs).relu() @ net.signs).mul(side / net.m**0.5) for side in (1.0, -1.0)]
    return torch.maximum(*ends)


@torch.no_grad()
def smallest_gradient(net: TwoLayer, x: Tensor, radius: float, *, rounds: int = 3) -> Bracket:
    """Return two sides of the smallest ||grad f(x; W)|| over the ball, of which ``high`` is attained.

    Below: with u the direction of the gradient at the start, ||grad f|| >= <grad f, u>, which is a sum over units and
    is minimised unit by unit. Above: weights that make <grad f, u> small, found with u the latest direction.
    """
    _start(net, x, radius)
    checks.count("rounds", rounds)
    sides = [_bracket(net, row[None], radius, rounds) for row in x]
    return Bracket(*(torch.stack(column) for column in zip(*sides, strict=True)))


@torch.no_grad()
def flattened_gradient(net: TwoLayer, x: Tensor, radius: float) -> Tensor:
    """Return ||grad f(x; W)|| at the weights of the ball that flatten f straight, (n,).

    All units that are on, and stay on, move by t a_s u against the direction u of the gradient, with one t <= V that
    makes the gradient as small as this can: max(0, ||grad f|| - V k / sqrt(m)) with k such units. It is 0 for C0
    above about sqrt(2 d), half of the units being on.
    """
    h, _ = _start(net, x, radius)
    gradient = net.input_gradient(x)
    norm = _norms(gradient)
    along = (x * gradient).sum(1) / norm.clamp_min(torch.finfo(h.dtype).tiny)
    stay = (h > 0) & (h - net.signs * (radius * along[:, None]) > 0)
    return (norm - radius / net.m**0.5 * stay.sum(1).to(h.dtype)).clamp_min(0)


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
def gradient_change(net: TwoLayer, x: Tensor, shift: float, generator: torch.Generator, tries: int = 20) -> Tensor:
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


@torch.no_grad()
def change_along(net: TwoLayer, x: Tensor, delta: Tensor, r: Tensor, radius: float) -> Bracket:
    """Return two sides of Lemma B.8's left side, the largest over the ball; ``low`` is attained.

    delta and r are (n, d), rows of r of norm 1. The units do not interact. A unit counts a_s <w_s, r> if it is on at
    x and off at x + delta, minus that in the opposite case, else 0. Below: each takes the best of staying, of moving
    by V so as to switch at x, the same at x + delta, and of moving its hyperplane between the two. Above: each has
    the largest <w_s, r> in the ball whenever its values at x and at x + delta, and their difference, can each have
    the signs asked for.
    """
    h, reach = _start(net, x, radius)
    u = x + delta
    k, far = u @ net.weight.T, radius * _norms(u)[:, None]
    pull = net.signs * (r @ net.weight.T)
    xx, xu, uu = ((p * q).sum(1, keepdim=True) for p, q in ((x, x), (x, u), (u, u)))
    best = pull * _leaves(h, k)
    for point, times, at_x, at_u in (
        (x, -reach / xx * h.sign(), xx, xu),
        (u, -far / uu * k.sign(), xu, uu),
        (x, (-(h + k) / (xx + xu)).clamp(-reach / xx, reach / xx), xx, xu),
    ):
        moved = pull + net.signs * times * (point * r).sum(1, keepdim=True)
        best = torch.maximum(best, moved * _leaves(h + times * at_x, k + times * at_u))
    apart = radius * _norms(delta)[:, None]
    falls = (h > -reach) & (k <= far) & (h - k > -apart)
    rises = (h <= reach) & (k > -far) & (k - h > -apart)
    high = torch.maximum(torch.where(falls, pull, -torch.inf), torch.where(rises, -pull, -torch.inf)) + radius
    return Bracket(best.sum(1) / net.m**0.5, high.clamp_min(0).sum(1) / net.m**0.5)


def _leaves(h: Tensor, k: Tensor) -> Tensor:
    """Return 1[h > 0] - 1[k > 0]."""
    return (h > 0).to(h.dtype) - (k > 0).to(h.dtype)


def _start(net: TwoLayer, x: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Return the preactivations (n, m) and V ||x|| (n, 1)."""
    if not isinstance(net, TwoLayer) or net.activation != "relu" or net.hidden_bias is not None:
        raise TypeError("net must be a TwoLayer network with activation 'relu' and no biases")
    checks.images("x", x)
    return net.preactivation(x), checks.positive("radius", radius) * _norms(x)[:, None]


def _norms(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)


def longest_sum(rows: Tensor, rounds: int = 20) -> float:
    """Return the norm of the longest sum of a subset of ``rows`` (k, d) that alternating finds.

    Each of ``rounds`` keeps the rows that point along the sum so far. It never gets shorter; the longest of all
    may be longer. This is what weights in the ball can do with the units that they make change sign (eq. (7)).
    """
    total = rows.sum(0)
    for _ in range(checks.count("rounds", rounds)):
        total = rows[rows @ total > 0].sum(0)
    return float(total.norm())
