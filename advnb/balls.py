"""Threat models: the L-infinity and the L2 ball around an example, each optionally cut by a box of pixels.

A ball of radius eps around x is the set {x' : ||x' - x|| <= eps} or, with a box [l, h], the part of it whose
coordinates lie in [l, h]. Tensors are batches (n, ...), and everything is computed example by example, in at
least float32. The methods used in every step of an attack check shapes only: attacks and criteria check
their inputs once, before the first step.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advnb import checks
from advnb.checks import Box

__all__ = ["L2", "Ball", "Linf", "check_ball"]

SMALLEST = sys.float_info.min
"""The smallest eps: a quarter of it, the step of an attack, is not yet 0."""

NEWTON_STEPS = 100
"""More steps than :func:`_multiplier` needs (about five): each cuts its error by a factor of four or more."""


@dataclass(frozen=True)
class Ball(ABC):
    """A ball of radius ``eps``, in the units of x, intersected with ``box`` (None: with nothing)."""

    eps: float
    box: Box | None = None

    def __post_init__(self) -> None:
        eps = checks.positive("eps", self.eps)
        object.__setattr__(self, "eps", checks.number("eps", eps, lambda v: v >= SMALLEST, f"be at least {SMALLEST:g}"))
        object.__setattr__(self, "box", checks.box(self.box))

    @abstractmethod
    def norm(self, delta: Tensor) -> Tensor:
        """Return the ball's norm of each row of ``delta`` (n, ...), shape (n,)."""

    @abstractmethod
    def dual_norm(self, grad: Tensor) -> Tensor:
        """Return max <v, grad> over ||v|| <= 1 for each row, shape (n,): the L1 norm for Linf, L2 for L2."""

    @abstractmethod
    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return the point of ball and box nearest to ``x_adv`` in L2 distance, shaped like ``x_adv``.

        Points already inside come back bit for bit, and so do projected points; ``x`` must lie in the box.
        """

    @abstractmethod
    def ascent(self, grad: Tensor) -> Tensor:
        """Return the direction v of unit norm that maximises <v, grad>; zero where the gradient is zero."""

    @abstractmethod
    def gap(self, grad: Tensor, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return max over x' in ball and box of <x' - x_adv, grad>, shape (n,); never negative.

        With the gradient of the loss at ``x_adv`` this is FOSC, eq. (4) of Wang et al. (2019). It is summed
        coordinate by coordinate over differences x'_i - x_adv_i, not as the difference of two large sums.
        """

    @abstractmethod
    def _draw(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw perturbations uniformly in the ball around zero, shaped like ``x``."""

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw one point a row uniformly in the ball around ``x``, then clip it to the box.

        ``generator`` may live on another device than ``x``: one on the CPU draws the same on every device.
        Raises if ``x`` is not a batch of finite floating-point examples inside the box.
        """
        self.check_examples(x)
        checks.optional("generator", generator, torch.Generator, "a torch.Generator")
        return self.project((x + self._draw(x, generator)).to(x.dtype), x)

    def support(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return max over x' in ball and box of <x' - x, grad>, shape (n,); exact up to rounding.

        Raises if ``x`` is not a batch of finite floating-point examples inside the box.
        """
        self.check_examples(x)
        return self.gap(grad, x, x)

    def check_examples(self, x: Tensor) -> Tensor:
        """Return ``x`` if it is a batch of finite floating-point examples in the box; raises otherwise.

        Also raises if x, eps or the box is so large that a norm would overflow in the precision of ``x``, or in
        float32 where that is wider: every distance would be infinite then, and nothing outside the ball.
        """
        checks.images("x", x, self.box)
        wide = torch.promote_types(x.dtype, torch.float32)
        most = min(torch.finfo(x.dtype).max / 4, math.sqrt(torch.finfo(wide).max / x[0].numel()) / 4)
        what, eps = f"{x[0].numel()} {x.dtype}", self.eps
        box = max((abs(bound) for bound in self.box or () if math.isfinite(bound)), default=0.0)

        def judge(largest: float) -> None:
            for name, size in (("eps", eps), ("box", box), ("x", largest)):
                if size > most:
                    raise ValueError(f"{name} must be at most {most:.3g} for x of {what}; got {size:.3g}")

        checks.look(x.detach().abs().amax(), judge)
        return x

    def violation(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return how far each row of ``x_adv`` lies outside ball or box (the larger), 0 inside."""
        return torch.maximum(*self._beyond(x_adv, x))

    def contains(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return whether each row of ``x_adv`` lies in ball and box, shape (n,).

        The radius may be exceeded by the rounding of ``x + delta`` in the dtype of x, and the box by
        :data:`advnb.checks.BOX_TOLERANCE`, as in every check of inputs.
        """
        beyond_ball, beyond_box = self._beyond(checks.alike("x_adv", x_adv, "x", x), x)
        rounding = 4 * torch.finfo(x.dtype).eps * (self.eps + self.norm(x))
        return (beyond_ball <= rounding) & (beyond_box <= checks.BOX_TOLERANCE)

    def _beyond(self, x_adv: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far each row of ``x_adv`` lies outside the ball, and outside the box."""
        rows = _wide(x_adv).flatten(1)
        ball = (self.norm(rows - _wide(x).flatten(1)) - self.eps).clamp_min(0)
        if self.box is None:
            return ball, torch.zeros_like(ball)
        return ball, torch.maximum(self.box[0] - rows, rows - self.box[1]).amax(1).clamp_min(0)


@dataclass(frozen=True)
class Linf(Ball):
    """The L-infinity ball: no coordinate moves by more than ``eps``; pixels in [0, 1] by default."""

    box: Box | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.box is not None and self.eps > self.box[1] - self.box[0]:
            raise ValueError(
                f"eps must be at most the side of the box; got {self.eps:g}, wider than the box "
                f"[{self.box[0]:g}, {self.box[1]:g}]: probably in 0-255 units, so divide by 255"
            )

    def norm(self, delta: Tensor) -> Tensor:
        """Return the largest absolute coordinate of each row of ``delta`` (n, ...), shape (n,)."""
        return _wide(delta).flatten(1).abs().amax(1)

    def dual_norm(self, grad: Tensor) -> Tensor:
        """Return the L1 norm of each row, shape (n,)."""
        return _wide(grad).flatten(1).abs().sum(1)

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Clamp each coordinate to [x - eps, x + eps], then to the box; waits for no device."""
        checks.alike("x_adv", x_adv, "x", x)
        inside = x_adv.clamp(x - self.eps, x + self.eps)
        return inside if self.box is None else inside.clamp_(*self.box)

    def ascent(self, grad: Tensor) -> Tensor:
        """Return sign(grad)."""
        return grad.sign()

    def gap(self, grad: Tensor, x_adv: Tensor, x: Tensor) -> Tensor:
        """Sum each coordinate's largest gain; without a box this is eps ||g||_1 - <x_adv - x, g>."""
        grad, x_adv, x = _triple(grad, x_adv, x)
        low, high = x - self.eps, x + self.eps
        if self.box is not None:
            low, high = low.clamp_min(self.box[0]), high.clamp_max(self.box[1])
        best = torch.where(grad > 0, high, low)
        return (best.sub_(x_adv).mul_(grad)).clamp_min_(0).sum(1)

    def _draw(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return (2 * _random(torch.rand, x.shape, x, generator) - 1) * self.eps


@dataclass(frozen=True)
class L2(Ball):
    """The Euclidean ball of radius ``eps`` in the flattened example; no box unless given one."""

    def norm(self, delta: Tensor) -> Tensor:
        """Return the Euclidean norm of each row of ``delta`` (n, ...), shape (n,)."""
        return torch.linalg.vector_norm(_wide(delta).flatten(1), dim=1)

    def dual_norm(self, grad: Tensor) -> Tensor:
        """Return the Euclidean norm of each row, shape (n,)."""
        return self.norm(grad)

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Shrink x_adv - x onto the sphere; with a box, find the Euclidean projection onto the intersection.

        That projection is clip(x + t (x_adv - x)) with the t in (0, 1] that puts it on the sphere. A moved
        point aims below the sphere by the rounding of x + delta: its measured distance is at most eps.
        With a box the search for t reads a few flags back from the device.
        """
        checks.alike("x_adv", x_adv, "x", x)
        point = x_adv if self.box is None else x_adv.clamp(*self.box)
        length = self.norm(_wide(point) - _wide(x))
        outside = length > self.eps
        centre = _wide(x).flatten(1)
        delta = _wide(x_adv).flatten(1) - centre
        radius = self._radius_below_rounding(x)
        if self.box is None:
            t = (radius / length.clamp_min(self.eps))[:, None]
            moved = centre.addcmul(delta, t)
        else:
            if not bool(outside.any()):
                return point
            t = _multiplier(delta.abs(), self._room(delta, centre), radius[:, None])
            moved = centre.addcmul(delta, t).clamp_(*self.box)
        return torch.where(_column(outside, x), moved.view(x.shape).to(x.dtype), point)

    def ascent(self, grad: Tensor) -> Tensor:
        """Return grad / ||grad||_2 row by row, also where its square underflows; zero where it is zero."""
        rows = _scaled(_wide(grad).flatten(1))
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return (rows / length.clamp_min(1)).view(grad.shape).to(grad.dtype)

    def gap(self, grad: Tensor, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return <d - (x_adv - x), grad> for the best step d; rounding below zero is clamped to zero.

        Without a box d = eps grad / ||grad||. With one, d = clip(mu grad, l - x, h - x), where mu solves
        ||d|| = eps, or is infinite where the whole face of the box that the gradient points to is in reach.
        """
        grad, x_adv, x = _triple(grad, x_adv, x)
        if self.box is None:
            best = self.eps * self.ascent(grad)
        else:
            slope, room = _scaled(grad).abs(), self._room(grad, x)
            mu = _multiplier(slope, room, torch.full_like(slope[:, :1], self.eps))
            best = torch.minimum(mu * slope, room).copysign(grad)
        return ((best - (x_adv - x)) * grad).sum(1).clamp_min(0)

    def _room(self, direction: Tensor, x: Tensor) -> Tensor:
        """Return how far each coordinate can go along ``direction`` inside the box (0 if it stays)."""
        assert self.box is not None
        room = torch.where(direction > 0, self.box[1] - x, x - self.box[0]).clamp_min_(0)
        return room.masked_fill_(direction == 0, 0)

    def _radius_below_rounding(self, x: Tensor) -> Tensor:
        """Return eps less the error of rounding x + delta in the dtype of x, at least 0, shape (n,)."""
        unit = torch.finfo(x.dtype).eps
        return (self.eps - unit * (self.norm(x) / 2 + 4 * self.eps)).clamp_min(0)

    def _draw(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        direction = self.ascent(_random(torch.randn, x.shape, x, generator))
        radius = self.eps * _random(torch.rand, (len(x),), x, generator) ** (1 / x[0].numel())
        return _column(radius, x) * direction


def check_ball(ball: object) -> None:
    """Raised if ``ball`` is none, but a number, say."""
    if not isinstance(ball, Ball):
        raise TypeError(f"ball must be Linf(eps) or L2(eps); got {type(ball).__name__}")


def _multiplier(slope: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """Return the largest t (n, 1) with sum_i min(t slope_i, room_i)^2 <= radius^2; huge if any t will do.

    ``slope`` and ``room`` are (n, d) and not negative, ``room`` is 0 where ``slope`` is. In s = t^2 the sum
    is piecewise linear, concave and increasing, so Newton's method from the left never passes the root and
    ends on it, up to rounding. Each step cuts the product of slope and residual by four or more.
    """
    steepness, limit, target = slope.square(), room.square(), radius.square()
    knots = torch.where(slope > 0, (room / slope).square(), 0)
    s = target / steepness.sum(1, keepdim=True)
    for _ in range(NEWTON_STEPS):
        full = knots <= s
        spent = torch.where(full, limit, 0).sum(1, keepdim=True)
        free = torch.where(full, 0, steepness).sum(1, keepdim=True)
        better = (target - spent) / free
        grows = better > s
        if not bool(grows.any()):
            break
        s = torch.where(grows, better, s)
    return s.sqrt().clamp_max(torch.finfo(s.dtype).max)


def _wide(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 or, if it is wider, its own dtype."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _triple(grad: Tensor, x_adv: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three as matrices (n, d), in at least float32; raises if their shapes differ."""
    for name, tensor in (("grad", grad), ("x_adv", x_adv)):
        checks.alike(name, tensor, "x", x, ("shape",))
    return _wide(grad).flatten(1), _wide(x_adv).flatten(1), _wide(x).flatten(1)


def _scaled(rows: Tensor) -> Tensor:
    """Divide each row by its largest absolute entry, so that no norm underflows or overflows; 0 stays 0."""
    largest = rows.abs().amax(1, keepdim=True)
    return rows / largest.masked_fill(largest == 0, 1)


def _column(values: Tensor, x: Tensor) -> Tensor:
    """View (n,) so that it broadcasts against ``x`` (n, ...)."""
    return values.view(-1, *[1] * (x.ndim - 1))


def _random(draw: Callable[..., Tensor], shape: Sequence[int], x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw with ``torch.rand`` or ``torch.randn`` where the generator lives; return it on the device of x."""
    device = x.device if generator is None else generator.device
    dtype = torch.promote_types(x.dtype, torch.float32)
    return draw(shape, generator=generator, device=device, dtype=dtype).to(x.device)
