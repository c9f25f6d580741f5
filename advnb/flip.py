"""The smallest gradient step that changes the sign of a two-layer ReLU network, exactly.

Wang et al. (2022) ask in sections 3 and 5 for the smallest eta such that x + eta grad f(x) is classified differently
from x, and search for it in small steps. Along that ray every preactivation is linear in eta, so f is piecewise
linear with a kink where a unit switches, at eta = -h_s / <w_s, grad f(x)>. Three matrix products give all that there is
to know. Newton's method ends in a zero of f after two to four steps, and a bound on f mostly shows that no other comes
before it; where it does not, a sort of the kinks in reach gives the first one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from advnb import checks
from advnb.models import TwoLayer

__all__ = ["Flip", "minimal_flip"]

UNITS_AT_ONCE = 2_000_000
"""Preactivations held at a time: examples are taken in chunks of this many over the width."""

NEWTON_STEPS, NEWTON_CLOSE = 6, 1e-3
"""At most so many steps, and one more: the last one, after a relative change as small as this, finds hardly a kink."""

MARGIN = 0.125
"""A bound on f, or on its slope, must stay this far above 0 to count, in units of |f(x)|, or of the slope at x."""

HORIZONS = (1.25, 2.5, 16.0, float("inf"))
"""How far to look for kinks along the ray, in units of the first-order answer |f| / ||grad f||^2."""

ROUNDING = 8.0
"""f counts as 0 at a kink within this many units of the rounding of its sum: it may stay exactly 0 from there on."""


class Flip(NamedTuple):
    """The smallest flipping step of each example, all of shape (n,) and in the dtype of x.

    ``eta`` is the signed step; ``norm`` = |eta| ||grad f(x)|| is the length of the perturbation and
    ``gradient_norm`` that of the gradient. Both ``eta`` and ``norm`` are infinite where no step changes the sign.
    """

    eta: Tensor
    norm: Tensor
    gradient_norm: Tensor


@torch.no_grad()
def minimal_flip(net: TwoLayer, x: Tensor, *, direction: Literal["both", "descent"] = "both") -> Flip:
    """Return the eta of smallest size with sign f(x + eta grad f(x)) != sign f(x), for each row of ``x``.

    The result is the first zero of f on the line: f is 0 there up to rounding, and has the other sign just behind it
    unless the line only touches zero (an event of probability 0 for random weights) or f stays 0 there.
    Wang et al.'s strict condition f(x) f(x + delta) < 0 has the same infimum apart from these cases. Their proof
    (Appendix B) takes the sign -sign f(x), which lowers |f| to first order. f is not monotone on the line, so a
    step the other way, which raises |f| first, can still be the shorter one, or the only one.

    ``net`` is a two-layer ReLU network in float32 or float64, with or without biases, and ``x`` (n, d) or (n, ...) are
    of its dtype and on its device. ``direction="both"`` looks along the whole line, ``"descent"`` only where eta has
    the sign of -f(x), as the paper does. In the result eta is 0 where f(x) = 0, and infinite where the gradient is zero
    and f is not, or where the line has no zero; never NaN.

    Raises TypeError or ValueError if ``net`` is not a :class:`TwoLayer` with ReLU, or ``x`` no finite batch for it.
    """
    _check(net, x)
    checks.choice("direction", direction, ("both", "descent"))
    parts = [_flip(net, rows, direction == "both") for rows in x.split(max(1, UNITS_AT_ONCE // net.m))]
    return Flip(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _flip(net: TwoLayer, x: Tensor, both: bool) -> Flip:
    h = net.preactivation(x)
    f, gradient = net.at_preactivation(h)
    gradient_norm = torch.linalg.vector_norm(gradient, dim=1)
    if bad := int((~torch.isfinite(f + gradient_norm)).sum()):
        raise ValueError(f"net or its gradient is NaN or infinite for {bad} of {len(x)} examples: check its weights")
    line = _Line(h, F.linear(gradient, net.weight), net.signs / net.m**0.5, f, gradient_norm.square())
    eta = line.first_zero_downhill()
    if both:
        rows = line.may_fall_uphill(eta.abs())
        uphill = line.first_zero(rows, f[rows].sign(), eta[rows].abs())
        eta[rows] = torch.where(uphill.abs() < eta[rows].abs(), uphill, eta[rows])
    return Flip(eta, torch.where(eta.isinf(), eta.abs(), eta.abs() * gradient_norm), gradient_norm)


class _Parts(NamedTuple):
    """A sum over the units, (n,), and its convex part; what is left is the concave part."""

    total: Tensor
    convex: Tensor

    @property
    def concave(self) -> Tensor:
        return self.total - self.convex


class _Line:
    """f along x + eta grad f(x), for a batch: unit s adds top_s relu(h_s + eta rate_s); slope at 0 is steepness."""

    def __init__(self, h: Tensor, rate: Tensor, top: Tensor, f: Tensor, steepness: Tensor) -> None:
        self.h, self.rate, self.top, self.f, self.steepness = h, rate, top, f, steepness
        # Root mean squares of the m terms of f and of its slope: rounding errors are of this size.
        unit = ROUNDING * torch.finfo(h.dtype).eps * top[0].abs()
        self.noise = unit * torch.linalg.vector_norm(h, dim=1)
        self.slope_noise = unit * torch.linalg.vector_norm(rate, dim=1)
        self.sign, self.positive, self.memory = f.sign(), top.clamp(min=0), torch.empty_like(h)
        self.start, self.start_slope = self.parts(torch.zeros_like(f))

    def parts(self, eta: Tensor) -> tuple[_Parts, _Parts]:
        """Return sign f(x) times what the units add to f at ``eta``, and its derivative in eta.

        Units whose top_s has the sign of f(x) make up the convex part, the others the concave one.
        """
        return self._split(self._hidden(eta)), self._split(self._rates())

    def _hidden(self, eta: Tensor) -> Tensor:
        """Return the hidden layer at ``eta``, in memory that the next call uses again."""
        return torch.addcmul(self.h, self.rate, eta[:, None], out=self.memory).clamp_min_(0)

    def _rates(self) -> Tensor:
        """Return the derivative in eta of what :meth:`_hidden` has returned, in its place."""
        return self.memory.sign_().mul_(self.rate)

    def _split(self, terms: Tensor) -> _Parts:
        total, positive = terms @ self.top, terms @ self.positive
        return _Parts(self.sign * total, torch.where(self.sign > 0, positive, positive - total))

    def newton(self) -> tuple[Tensor, Tensor]:
        """Return a zero of f on the side where |f| falls at first, (n,), and where it is certain to be the first one.

        Up to the zero, at t = |eta|, the convex part of |f| is at least its tangent there, and the concave part at
        least its chord from 0. If their slopes add up to less than 0, |f| is positive before the zero.
        """
        constant = self.f - self.sign * self.start.total
        eta = -self.f / self.steepness
        for _ in range(NEWTON_STEPS):
            step = (self._hidden(eta) @ self.top + constant) / (self._rates() @ self.top)
            far = step.abs() > NEWTON_CLOSE * eta.abs()
            eta = eta - step
            if not bool(far.any()):
                break
        t, down = eta.abs(), -self.sign
        value, slope = self.parts(eta)
        height = self.f.abs() + (value.total - self.start.total)
        found = (height.abs() <= self.noise + self.slope_noise * t) & (eta * down > 0)
        steepest = down * slope.convex + (value.concave - self.start.concave) / t
        first = (steepest < -MARGIN * self.steepness) & (MARGIN * self.f.abs() > self._rounding(value))
        return eta - height / slope.total, found & first

    def _rounding(self, value: _Parts) -> Tensor:
        """Return the rounding of the difference of a part of ``value`` to that at the start; the total has less."""
        size = value.convex.abs() + value.concave.abs() + self.start.convex.abs() + self.start.concave.abs()
        return ROUNDING * torch.finfo(size.dtype).eps * size

    def first_zero_downhill(self) -> Tensor:
        """Return the first zero in the direction in which |f| falls at first, (n,); 0 where f is 0, inf for none."""
        zero, certain = self.newton()
        eta = torch.where(certain, zero, torch.inf).masked_fill(self.f == 0, 0)
        rows = (~certain & (self.f != 0) & (self.steepness > 0)).nonzero().squeeze(1)
        for horizon in HORIZONS:
            if len(rows) == 0:
                break
            reach = horizon * self.f[rows].abs() / self.steepness[rows]
            eta[rows] = self.first_zero(rows, -self.sign[rows], reach)
            rows = rows[eta[rows].isinf()]
        return eta

    def may_fall_uphill(self, reach: Tensor) -> Tensor:
        """Return the rows for which it is not certain that f keeps its sign on the other side, up to ``reach``.

        |f| is at least the tangent of its convex part at 0 and the chord of its concave part: if their sum is positive
        at both ends of [0, reach], |f| has no zero there.
        """
        value, _ = self.parts(self.sign * reach)
        rise = self.sign * reach * self.start_slope.convex
        bound = self.f.abs() + rise + (value.concave - self.start.concave)
        unsure = ~(bound > MARGIN * self.f.abs() + self._rounding(value)) | reach.isinf()
        return (unsure & (self.f != 0) & (self.steepness > 0)).nonzero().squeeze(1)

    def first_zero(self, rows: Tensor, direction: Tensor, reach: Tensor) -> Tensor:
        """Return the first eta = direction * t, t in [0, reach], with f = 0, for the given rows; inf where none."""
        if len(rows) == 0:
            return reach
        side = self.f[rows].sign()
        knots, jumps = self._kinks(rows, direction, reach)
        start = torch.zeros_like(reach)[:, None]
        knots = torch.cat([start, knots], 1)
        slopes = torch.cat([(direction * self.steepness[rows])[:, None], jumps], 1).cumsum(1) * side[:, None]
        rises = torch.cat([start, slopes[:, :-1] * knots.diff(dim=1)], 1)
        heights = self.f[rows].abs()[:, None] + rises.cumsum(1)
        # A segment holds the zero if |f| is spent at its right end; the last one if its own line gets there in reach.
        endless = reach.isinf()
        slopes[endless, -1] = side[endless] * self._final_slope(rows[endless], direction[endless])
        last = torch.where(slopes[:, -1] < 0, knots[:, -1] - heights[:, -1] / slopes[:, -1], torch.inf)
        rounding = self.noise[rows, None] + self.slope_noise[rows, None] * knots[:, 1:]
        spent = torch.cat([heights[:, 1:] <= rounding, (last.isfinite() & (last <= reach))[:, None]], 1)
        segment = spent.int().argmax(1, keepdim=True)
        left, slope, height = (values.gather(1, segment).squeeze(1) for values in (knots, slopes, heights))
        right = torch.cat([knots[:, 1:], reach[:, None]], 1).gather(1, segment).squeeze(1)
        zero = torch.where(slope < 0, left - height / slope, right).maximum(left).minimum(right)
        return torch.where(spent.any(1), direction * zero, torch.inf)

    def _kinks(self, rows: Tensor, direction: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kinks t in [0, reach], sorted, and the change of f's slope at each, both (rows, most kinks).

        A row with fewer kinks is filled up with changes of 0 at its end: ``reach``, or its last kink if that is
        infinite.
        """
        every = len(rows) == len(self.h)
        h, rate = (self.h, self.rate) if every else (self.h[rows], self.rate[rows])
        far = self._far(slice(None) if every else rows, direction, reach)
        flat = ((h > 0) != (far > 0)).flatten().nonzero().squeeze(1)
        row = flat // self.h.shape[1]
        speed = rate.take(flat).abs_()
        at = (h.take(flat).abs_() / speed).minimum(reach[row])
        counts = torch.bincount(row, minlength=len(rows))
        most = int(counts.max())
        place = row * most + torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        end = torch.where(reach.isinf(), torch.zeros_like(reach).scatter_reduce(0, row, at, "amax"), reach)
        knots = end.repeat_interleave(most).put_(place, at).view(len(rows), most)
        jumps = torch.zeros_like(knots).put_(place, speed.mul_(self.top[flat % self.h.shape[1]]))
        knots, order = knots.sort(1)
        return knots, jumps.gather(1, order)

    def _final_slope(self, rows: Tensor, direction: Tensor) -> Tensor:
        """Return the slope of f in t behind the last kink, from the units that are on there; 0 if it is rounding.

        Adding up the changes of slope instead would leave rounding where all units are off, and a zero far away.
        """
        rate = direction[:, None] * self.rate[rows]
        slope = rate.clamp_min(0) @ self.top
        return slope.masked_fill(slope.abs() <= self.slope_noise[rows], 0)

    def _far(self, rows: Tensor | slice, direction: Tensor, reach: Tensor) -> Tensor:
        """Return the preactivations at the far end of the search, those at a huge t if that is infinite."""
        largest = torch.finfo(reach.dtype).max
        eta = (direction * reach).nan_to_num(0.0).clamp(-largest, largest)
        return torch.addcmul(self.h[rows], self.rate[rows], eta[:, None])


def _check(net: TwoLayer, x: Tensor) -> None:
    if not isinstance(net, TwoLayer):
        raise TypeError(f"net must be a TwoLayer network; got {type(net).__name__}")
    if net.activation != "relu":
        raise ValueError(f"net must have activation 'relu', which makes f piecewise linear; got {net.activation!r}")
    if net.weight.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"net must be in float32 or float64; got {net.weight.dtype}")
    checks.alike("x", checks.images("x", x), "net", net.weight, ("dtype", "device"))
