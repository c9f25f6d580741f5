"""Projected gradient descent as the paper runs it: raw gradient steps, projection onto the L2 ball (section 2).

The loop is :func:`advnb.attacks.ascend`, fed with the closed-form gradient of -L.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from advnb import checks
from advnb.attacks import Direction, Trace, ascend
from advnb.papers.dynamics.problem import Problem

StepSize = float | Callable[[int], float]


@dataclass(frozen=True)
class Path:
    """Iterates of projected gradient descent: ``delta`` (steps + 1, n, d) and the objective ``value`` (steps + 1, n).

    ``gap`` (steps + 1, n) is the first-order stationary condition max over the ball of <delta - delta', dL>:
    0 exactly at a point where projected descent rests. On the sphere it is eps ||dL|| (1 - cos), about eps
    ||Gamma||^2 / (2 ||dL||).
    """

    delta: Tensor
    value: Tensor
    gap: Tensor

    @property
    def end(self) -> Tensor:
        """The last iterate, shape (n, d)."""
        return self.delta[-1]


def pgd(problem: Problem, start: Tensor, *, steps: int, step_size: StepSize, direction: Direction = "gradient") -> Path:
    """delta_{t+1} = P_B(0, eps)[delta_t - eta_t dL(delta_t)], the iteration of sections 2 and 3, with its whole path.

    ``start`` (n, d) lies in the ball, or (nets, n, d) for a stack, whose paths then come as (steps + 1, nets
    * n, d). ``step_size`` is eta, or a function of t for a schedule (Corollary 3.1). ``direction="steepest"``
    divides dL by its norm, so that ``step_size`` is a length. Raises ValueError if a start is outside.
    """
    checks.count("steps", steps)
    if not callable(step_size):
        checks.positive("step_size", step_size)
    largest = float(start.norm(dim=-1).max())
    if largest > problem.eps * (1 + 1e-9):
        raise ValueError(f"start must lie in the ball of radius {problem.eps:g}; it reaches norm {largest:g}")

    def uphill(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        value, gradient = problem.value_and_gradient(points.reshape(start.shape))
        return -value.flatten(), -gradient.reshape(points.shape)

    checks.choice("direction", direction, ("gradient", "steepest"))
    flat = start.reshape(-1, problem.d)
    _, trace = ascend(
        uphill,
        torch.zeros_like(flat),
        problem.ball,
        start=flat,
        steps=steps,
        step_size=step_size,
        direction=direction,
        trace="x",
    )
    return _path(trace)


def _path(trace: Trace) -> Path:
    assert trace.x is not None  # asked for with trace="x"
    return Path(trace.x, -trace.loss, trace.fosc)


def shrinking(beta: float, z: int) -> Callable[[int], float]:
    """The schedule eta_s = 2 / (beta (s + z)) of Remark 3."""
    checks.positive("beta", beta)
    checks.count("z", z)
    return lambda s: 2 / (beta * (s + z))


def schedule_condition(eta: Callable[[int], float], beta: float, horizon: int = 200) -> float:
    """Largest value of eta_s prod_{i<=k}(1 - beta eta_{s+i} / 2) / eta_{s+k+1} over s + k < horizon.

    Equation (3) of Corollary 3.1 (equation (12) of Lemma A.8) asks that it is at most 1.
    """
    steps = torch.tensor([eta(s) for s in range(checks.count("horizon", horizon) + 1)], dtype=torch.float64)
    logs = torch.log1p(-beta * steps / 2).cumsum(0)
    before = torch.cat((torch.zeros(1, dtype=torch.float64), logs[:-1]))
    ratio = steps[:-1, None].log() + (logs[None, :-1] - before[:-1, None]) - steps[None, 1:].log()
    return math.exp(float(ratio.triu().max()))


def smoothness(problem: Problem) -> float:
    """l >= every eigenvalue of d2L on the ball, for the squared loss with L = -(y - f)^2; no sampling.

    d2L = 2 (y - f) d2f - 2 df df^T, so l = 2 max |y - f| max ||d2f|| will do. As softplus'' <= 1/4, ||d2f|| is at most
    h = ||W^T diag |a| W|| / 4, and |y - f| at most |y - f(x)| + eps (||df(x)|| + eps h / 2). Raises ValueError for
    another loss or convention.
    """
    if (problem.loss, problem.convention) != ("squared", "minus"):
        raise ValueError(f"the loss must be squared, by 'minus'; got {problem.loss!r}, {problem.convention!r}")
    centre = torch.zeros(1, problem.d, dtype=torch.float64)
    h = float(torch.linalg.matrix_norm(problem.W.T @ (problem.a.abs()[:, None] * problem.W), 2)) / 4
    residual = float((problem.y - problem.f(centre)).abs())
    slope = float(problem.f_gradient(centre).norm())
    return 2 * (residual + problem.eps * (slope + problem.eps * h / 2)) * h


def on_sphere_mask(problem: Problem, delta: Tensor) -> Tensor:
    """Whether points lie on the sphere to rounding, shape of the leading dimensions of ``delta``."""
    return delta.norm(dim=-1) >= problem.eps * (1 - 1e-12)


def first_stationary(problem: Problem, path: Path, threshold: float) -> Tensor:
    """First step t with delta_t on the sphere and ||Gamma(delta_t)|| <= threshold, shape (n,); -1 where there is none.

    Theorem 3.1 takes ``threshold`` = sqrt(eta).
    """
    small = problem.gamma(path.delta).norm(dim=-1) <= threshold
    reached = small & on_sphere_mask(problem, path.delta)
    return torch.where(reached.any(0), reached.int().argmax(0), -1)


def join(first: Path, second: Path) -> Path:
    """One path from two, the second starting where the first ends."""
    return Path(
        torch.cat((first.delta, second.delta[1:])),
        torch.cat((first.value, second.value[1:])),
        torch.cat((first.gap, second.gap[1:])),
    )
