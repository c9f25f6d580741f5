"""Every critical point of the adversary's problem on the circle (d = 2), counted exactly.

On the circle L = sign * l(f(theta), y), so dL/dtheta = sign * l'(f) * f_theta vanishes in two ways only:

* f_theta = 0, an extremum of the network's output itself, whatever the loss;
* f = y, where the loss touches zero (squared loss; never for the cross entropy).

Hence the minima of -(y - f)^2 are the maxima of f that lie above y and the minima of f that lie below y, and
the minima of +(y - f)^2 are the crossings f = y, the minima of f above y and the maxima of f below y.
Counting is therefore a matter of finding all zeros of f_theta, which is done in three sweeps: first the
zeros of f_theta_theta (the points between which f_theta is monotone), on a grid refined where a softplus
unit bends; then the zeros of f_theta between those; then the crossings between the extrema, where f is
monotone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.signal import find_peaks
from torch import Tensor

from advnb import checks
from advnb.papers.dynamics.problem import Problem

BEND = torch.tensor([0.0, 0.7, 1.5, 2.5, 4.0, 6.5, 11.0, 20.0, 40.0], dtype=torch.float64)
"""Preactivations at which the bend of a softplus unit is sampled; beyond 40 it is straight to 1e-17."""

ROWS = 4096
"""Angles evaluated at once: keeps the (angles, m) arrays of a wide net small."""


@dataclass(frozen=True)
class CirclePoints:
    """Critical points of L on the circle, in order of the angle; all fields have shape (k,).

    ``theta`` in [0, 2 pi); ``minimum`` (else it is a maximum); ``value`` L there; ``f`` the output;
    ``crossing`` whether f = y there (else f_theta = 0); ``inward`` whether -dL points strictly into the
    ball: a minimum on the circle with that property is none in the ball, and gradient descent leaves it
    inwards.
    """

    theta: Tensor
    minimum: Tensor
    value: Tensor
    f: Tensor
    crossing: Tensor
    inward: Tensor

    def reversed(self) -> CirclePoints:
        """The same points for -L: the other convention, with no second search."""
        inward = ~self.inward & ~self.crossing
        return replace(self, minimum=~self.minimum, value=-self.value, inward=inward)

    @property
    def minima(self) -> int:
        """Number of local minima on the circle (the count of Theorem 5.1)."""
        return int(self.minimum.sum())

    @property
    def ball_minima(self) -> int:
        """Number of those that are local minima in the ball too: where descent can come to rest."""
        return int((self.minimum & ~self.inward).sum())

    @property
    def crosses(self) -> bool:
        """Whether the target y is taken by f on the circle: assumption 3 of section 2 then fails."""
        return bool(self.crossing.any())

    def deep(self, level: float) -> int:
        """Number of local minima whose :func:`prominences` exceed ``level``, a share of the range of L on the circle.

        Both conventions have the same number. At ``level`` 0 it is ``minima``.
        """
        return int((prominences(self.value) > level).sum()) if level else self.minima

    def deep_in_f(self, level: float) -> int:
        """Return the same for the output f alone, which is what a target out of its reach would leave."""
        values = self.f[~self.crossing]
        return int((prominences(values) > level).sum()) if level else len(values) // 2


def prominences(values: ArrayLike) -> NDArray[np.float64]:
    """Return how far a periodic function rises around each of its local minima, as shares of its range, shape (k,).

    ``values`` (k,) are samples in order of the angle; between critical points a function is monotone, so that their
    values are all it takes. The prominence of a minimum is the height of the lower of the two passes that separate it
    from deeper ones, above it; that of the deepest is the whole range, a share of 1. It is 0 at samples that are no
    minima. Of equally deep ones a single one counts as the deepest. Raises for a constant.
    """
    sample = np.asarray(values, float)
    low, high = sample.min(), sample.max()
    if not low < high:
        raise ValueError(f"values must not all be equal: a constant has no minima; got {len(sample)} times {low:g}")
    top = int(sample.argmax())
    depth = -np.append(np.roll(sample, -top), high)
    # Where f = y many minima have the value 0, to the last bit: of two that are equal the later one counts as deeper.
    order = np.empty(len(depth))
    order[np.argsort(depth, kind="stable")] = np.arange(len(depth))
    where, found = find_peaks(order, prominence=0)
    passes = np.maximum(depth[found["left_bases"]], depth[found["right_bases"]])
    shares = np.zeros(len(sample))
    shares[(where + top) % len(sample)] = (depth[where] - passes) / (high - low)
    return shares


def at_angle(problem: Problem, theta: Tensor) -> Tensor:
    """delta = eps (cos theta, sin theta), shape (n, 2)."""
    return problem.eps * torch.stack((theta.cos(), theta.sin()), dim=-1)


def f_slope(problem: Problem, theta: Tensor) -> Tensor:
    """df/dtheta on the circle, shape (n,)."""
    return (problem.f_gradient(at_angle(problem, theta)) * at_angle(problem, theta + math.pi / 2)).sum(-1)


def f_bend(problem: Problem, theta: Tensor) -> Tensor:
    """d2f/dtheta2 on the circle, shape (n,)."""
    radius, along = at_angle(problem, theta), at_angle(problem, theta + math.pi / 2)
    z = problem.preactivation(radius)
    s = torch.sigmoid(z)
    inner = s * torch.sigmoid(-z) * (along @ problem.W.mT) ** 2 - s * (radius @ problem.W.mT)
    return inner @ problem.a


def circle_points(problem: Problem, *, samples: int = 2048) -> CirclePoints:
    """Find all local minima and maxima of L on the circle, to float precision in the angle.

    ``problem`` has d = 2 and no leading dimensions; ``samples`` is the size of the uniform part of the grid.
    Raises ValueError for another dimension. Where f_theta underflows to zero on an arc (all units off, f
    flat to 1e-308) the arc counts as one point at most.
    """
    if problem.d != 2 or problem.W.ndim != 2:
        raise ValueError(f"problem must be one net with d = 2; got W of shape {tuple(problem.W.shape)}")
    grid = sweep(problem, checks.count("samples", samples, minimum=16))
    turns = _zeros(lambda t: f_bend(problem, t), grid)
    extrema = _zeros(lambda t: f_slope(problem, t), torch.cat((grid, turns)).sort().values)
    if len(extrema) == 0:
        raise ValueError("f is constant on the circle to float precision: it has no critical point to count")
    crossings = (
        _zeros(lambda t: problem.f(at_angle(problem, t)) - problem.y, extrema)
        if problem.scalar.touches_zero
        else extrema[:0]
    )
    return _classify(problem, extrema, crossings)


def count_minima(problem: Problem) -> int:
    """Number of local minima of L on the circle (Theorem 5.1 at d = 2)."""
    return circle_points(problem).minima


def sweep(problem: Problem, samples: int) -> Tensor:
    """Angles in [0, 2 pi): a uniform sweep, and points through the bend of each unit that the sweep would miss."""
    uniform = torch.arange(samples, dtype=torch.float64) * (2 * math.pi / samples)
    reach = problem.eps * problem.W.norm(dim=-1)
    offset = problem.W @ problem.x
    bends = (reach > offset.abs()) & (reach > samples / 50)  # narrower than a few cells of the sweep
    reach, offset, W = reach[bends], offset[bends], problem.W[bends]
    centre = torch.atan2(W[:, 1], W[:, 0])
    z = torch.cat((-BEND.flip(0), BEND))
    level = ((z - offset.unsqueeze(-1)) / reach.unsqueeze(-1)).clamp(-1.0, 1.0)
    opening = torch.arccos(level)
    fine = torch.cat((centre.unsqueeze(-1) + opening, centre.unsqueeze(-1) - opening)).flatten()
    return torch.cat((uniform, fine.remainder(2 * math.pi))).unique()


def _zeros(function: Callable[[Tensor], Tensor], grid: Tensor) -> Tensor:
    """All sign changes of a periodic function between neighbours of a sorted grid, bisected to float precision.

    Grid points where the function is exactly zero are skipped, so that a flat stretch counts at most once.
    """
    value = torch.cat([function(part) for part in grid.split(ROWS)])
    kept = value != 0
    left, sign = grid[kept], value[kept] > 0
    if len(left) == 0:
        return left
    right = torch.cat((left[1:], left[:1] + 2 * math.pi))
    change = sign != sign.roll(-1)
    left, right, sign = left[change], right[change], sign[change]
    for _ in range(60):
        middle = 0.5 * (left + right)
        same = (function(middle) > 0) == sign
        left, right = torch.where(same, middle, left), torch.where(same, right, middle)
    return (0.5 * (left + right)).remainder(2 * math.pi).sort().values


def _classify(problem: Problem, extrema: Tensor, crossings: Tensor) -> CirclePoints:
    """Say of each critical point of f, and of each crossing, what it is for L."""
    f = problem.f(at_angle(problem, extrema))
    low = f < torch.maximum(f.roll(1), f.roll(-1))  # extrema alternate: each is below both its neighbours or above
    if len(extrema) == 2:
        low = f < f.roll(1)
    rising = problem.sign * problem.scalar.sign(f, problem.y) > 0  # does L rise with f here?
    theta = torch.cat((extrema, crossings))
    minimum = torch.cat((low == rising, torch.full(crossings.shape, problem.sign > 0)))
    order = theta.argsort()
    theta, minimum = theta[order], minimum[order]
    delta = at_angle(problem, theta)
    crossing = (torch.arange(len(theta)) >= len(extrema))[order]
    radial = (problem.f_gradient(delta) * delta).sum(-1)
    inward = problem.sign * problem.scalar.sign(problem.f(delta), problem.y) * radial > 0
    return CirclePoints(theta, minimum, problem.objective(delta), problem.f(delta), crossing, inward & ~crossing)
