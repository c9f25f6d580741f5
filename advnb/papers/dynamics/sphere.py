"""Critical points on the sphere in any dimension: Newton's method, inertia, multi-start counting.

A critical point has Gamma = 0. Its inertia, the number of negative eigenvalues of Xi on the tangent space,
says what it is: 0 a local minimum, d - 1 a local maximum, anything between a saddle (section 4 claims that
there is none). Steps live in the tangent space and return to the sphere by rescaling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from advnb import checks
from advnb.papers.dynamics.problem import Problem, on_sphere, tangent_basis


@dataclass(frozen=True)
class SpherePoints:
    """Points on the sphere and what they are; leading dimension n throughout.

    ``delta`` (n, d); ``residual`` (n,) = ||Gamma||; ``eigenvalues`` (n, d - 1) of Xi on the tangent space,
    ascending; ``converged`` (n,) whether the residual is at most the tolerance asked for; ``value`` (n,) the
    objective.
    """

    delta: Tensor
    residual: Tensor
    eigenvalues: Tensor
    converged: Tensor
    value: Tensor

    @property
    def index(self) -> Tensor:
        """Number of negative eigenvalues, shape (n,): 0 at a minimum, d - 1 at a maximum."""
        return (self.eigenvalues < 0).sum(-1)

    def select(self, keep: Tensor) -> SpherePoints:
        """The points marked (or listed) by ``keep``."""
        fields = (self.delta, self.residual, self.eigenvalues, self.converged, self.value)
        return SpherePoints(*(field[keep] for field in fields))


@dataclass(frozen=True)
class Census:
    """Distinct minima found from many starts; ``hits`` (k,) says how many starts led to each.

    ``unseen`` is the Good-Turing estimate of the share of starts that would find a minimum not in the list:
    the number of minima hit once over the number of starts. It is 0 when every one was found at least twice.
    """

    points: SpherePoints
    hits: Tensor
    unseen: float
    lost: int

    @property
    def count(self) -> int:
        """Number of distinct points."""
        return len(self.hits)


def newton(problem: Problem, delta: Tensor, *, steps: int = 50, tolerance: float = 1e-12) -> SpherePoints:
    """Newton's method on the sphere from ``delta`` (n, d), to whichever critical point is near.

    ``tolerance`` bounds ||Gamma||; where rounding keeps it above (||dL|| large), ``converged`` is False. A
    step is cut at half the radius. Points whose system is singular stay where they are.
    """
    delta = delta * (problem.eps / delta.norm(dim=-1, keepdim=True))
    for _ in range(checks.count("steps", steps)):
        gamma = problem.gamma(delta)
        if bool((gamma.norm(dim=-1) <= 0.01 * tolerance).all()):
            break
        basis = tangent_basis(delta)
        system = basis.mT @ problem.xi(delta) @ basis
        step, info = torch.linalg.solve_ex(system, -(basis.mT @ gamma.unsqueeze(-1)))
        step = torch.where((info == 0)[:, None, None], step, 0.0)
        moved = _retract(problem, delta, (basis @ step).squeeze(-1))
        better = problem.gamma(moved).norm(dim=-1) < gamma.norm(dim=-1)
        near = gamma.norm(dim=-1) < 1e-6 * problem.gradient(delta).norm(dim=-1)
        accept = better | ~near  # far away Newton may climb; at the bottom rounding must not undo it
        if not bool((accept & (info == 0)).any()):
            break
        delta = torch.where(accept.unsqueeze(-1), moved, delta)
    return describe(problem, delta, tolerance=tolerance)


def describe(problem: Problem, delta: Tensor, *, tolerance: float = 1e-12) -> SpherePoints:
    """Residual, tangent eigenvalues and value at points ``delta`` (n, d) on the sphere."""
    residual = problem.gamma(delta).norm(dim=-1)
    eigenvalues = torch.linalg.eigvalsh(problem.xi_tangent(delta))
    return SpherePoints(delta, residual, eigenvalues, residual <= tolerance, problem.objective(delta))


def descend_sphere(problem: Problem, delta: Tensor, *, steps: int = 60) -> Tensor:
    """Go down to a local minimum on the sphere from each start (n, d), without ever increasing L.

    Newton steps with the eigenvalues of Xi replaced by their absolute values (so that saddles and maxima
    repel), halved until the objective does not rise.
    """
    delta = delta * (problem.eps / delta.norm(dim=-1, keepdim=True))
    for _ in range(checks.count("steps", steps)):
        basis = tangent_basis(delta)
        gamma = (basis.mT @ problem.gamma(delta).unsqueeze(-1)).squeeze(-1)
        values, vectors = torch.linalg.eigh(basis.mT @ problem.xi(delta) @ basis)
        scale = values.abs().clamp_min(1e-9 * values.abs().amax(-1, keepdim=True).clamp_min(1e-300))
        step = -(vectors @ ((vectors.mT @ gamma.unsqueeze(-1)).squeeze(-1) / scale).unsqueeze(-1)).squeeze(-1)
        moved = _line_search(problem, delta, (basis @ step.unsqueeze(-1)).squeeze(-1))
        still = (moved - delta).norm(dim=-1) <= 1e-15 * problem.eps
        delta = moved
        if bool(still.all()):
            break
    return delta


def minima(problem: Problem, starts: int = 100, *, seed: int = 0, tolerance: float = 1e-9) -> Census:
    """Distinct local minima on the sphere reached from ``starts`` uniform points (Theorem 5.1 for d > 2).

    A lower bound on their number, with an estimate of what was missed. ``tolerance`` is relative to ||dL||.
    For d = 2 use :func:`advnb.papers.dynamics.circle.circle_points`, which is exact.
    """
    found = descend_sphere(problem, on_sphere(problem, checks.count("starts", starts), seed=seed))
    points = newton(problem, found, steps=8)
    scale = problem.gradient(points.delta).norm(dim=-1)
    good = (points.residual <= tolerance * scale) & (points.index == 0)
    lost = int((~good).sum())
    distinct, hits = _distinct(points.select(good), 1e-5 * problem.eps)
    return Census(distinct, hits, float((hits == 1).sum()) / starts if len(hits) > 1 else 0.0, lost)


def critical_points(problem: Problem, starts: int = 200, *, seed: int = 0, tolerance: float = 1e-9) -> Census:
    """Distinct critical points of any index that Newton finds from uniform starts (section 4: are there saddles?).

    ``tolerance`` is relative to the largest ||dL|| among the starts, so that points where dL itself vanishes
    (f = y) are found, and are recognised by their value 0.
    """
    uniform = on_sphere(problem, checks.count("starts", starts), seed=seed)
    points = newton(problem, uniform)
    good = points.residual <= tolerance * problem.gradient(uniform).norm(dim=-1).amax()
    distinct, hits = _distinct(points.select(good), 1e-5 * problem.eps)
    return Census(distinct, hits, float((hits == 1).sum()) / starts if len(hits) > 1 else 0.0, int((~good).sum()))


def _retract(problem: Problem, delta: Tensor, step: Tensor) -> Tensor:
    """Move along a tangent ``step``, cut at half the radius, and return to the sphere."""
    length = step.norm(dim=-1, keepdim=True)
    moved = delta + step * (0.5 * problem.eps / length.clamp_min(1e-300)).clamp_max(1.0)
    return moved * (problem.eps / moved.norm(dim=-1, keepdim=True))


def _line_search(problem: Problem, delta: Tensor, step: Tensor) -> Tensor:
    """The longest of step, step/2, step/4, ... that lowers the objective; the start where none does."""
    value, result = problem.objective(delta), delta
    pending = torch.ones(len(delta), dtype=torch.bool)
    for _ in range(25):
        moved = _retract(problem, delta, step)
        take = pending & (problem.objective(moved) < value)
        result = torch.where(take.unsqueeze(-1), moved, result)
        pending = pending & ~take
        if not bool(pending.any()):
            break
        step = step / 2
    return result


def _distinct(points: SpherePoints, radius: float) -> tuple[SpherePoints, Tensor]:
    """One representative for each cluster of points closer than ``radius``, lowest value first, with cluster sizes."""
    points = points.select(points.value.argsort())
    free = torch.ones(len(points.delta), dtype=torch.bool)
    first, hits = [], []
    for i in range(len(points.delta)):
        if free[i]:
            near = free & ((points.delta - points.delta[i]).norm(dim=-1) <= radius)
            free &= ~near
            first.append(i)
            hits.append(int(near.sum()))
    return points.select(torch.tensor(first, dtype=torch.int64)), torch.tensor(hits, dtype=torch.int64)
