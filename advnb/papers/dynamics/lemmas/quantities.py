"""The quantities in the lemmas of Deng et al. (section 4 and appendix A), measured; and the mended statements.

Where a lemma's statement is geometry alone (A.3, A.4, 4.2) the quantities are exact. Suprema over the ball stand
between two numbers: what an optimiser reached (:func:`extremes`), and what is proved (``dynamics.bounds``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from advnb.papers.dynamics.problem import Problem, cosine, in_ball, normal_part, on_sphere, tangent_part

# -- Lemma 4.2: one projected step against one tangent step


def projection_error(problem: Problem, delta: Tensor, step: Tensor) -> Tensor:
    """||P_B(delta + step) - (delta + P_T step)|| for delta on the sphere, shape (n,): the left side of Lemma 4.2."""
    landed = problem.ball.project(delta + step, torch.zeros_like(delta))
    return (landed - delta - tangent_part(delta, step)).norm(dim=-1)


def printed_bound(problem: Problem, step: Tensor) -> Tensor:
    """4 ||step||^2 / eps, the right side of Lemma 4.2 with step = eta v and ||v|| = 1."""
    return 4 * step.norm(dim=-1) ** 2 / problem.eps


def mended_bound(problem: Problem, delta: Tensor, step: Tensor) -> Tensor:
    """max(||step||^2 / (sqrt(3) eps), -<step, n>), n = delta / eps: Lemma 4.2 as it holds for every step, shape (n,).

    If the step ends in the ball, nothing is projected and the error is |<step, n>|: the second entry. If it ends
    outside, the first is enough, whatever the direction. Measure in units of eps, let rho = 1 + t be the distance
    from the centre at which the step ends and k = 1 - cos of the angle at which it lands. Then error^2 = k^2 + t^2
    k (2 - k), ||step||^2 = t^2 + 2 (1 + t) k, and

        ||step||^4 - 3 error^2 = (t^2 - k)^2 + 4 t^3 k + (8 t + 7 t^2) k^2 >= 0.

    No constant below 1 / sqrt(3) will do: at k = t^2 the right side is of higher order than ||step||^4.
    """
    square = step.norm(dim=-1) ** 2 / (math.sqrt(3) * problem.eps)
    return torch.maximum(square, -(step * delta).sum(-1) / problem.eps)


# -- Lemmas A.3 and A.4: two points of the sphere


@dataclass(frozen=True)
class ChordTerms:
    """Both sides of Lemmas A.3 and A.4 for pairs of points on the sphere; every field has shape (n,).

    ``normal`` and ``tangent`` are the norms of the two parts of delta - delta_0 seen from delta_0;
    ``half_square`` = ||delta - delta_0||^2 / (2 eps); ``cross`` the larger of ||P_{T0^c} v|| for the worst
    unit v tangent at delta and ||P_{T0} w|| for the unit normal w at delta; ``relative`` = ||delta -
    delta_0|| / eps.
    """

    normal: Tensor
    tangent: Tensor
    half_square: Tensor
    cross: Tensor
    relative: Tensor


def chord_terms(problem: Problem, delta: Tensor, delta_0: Tensor) -> ChordTerms:
    """The quantities of Lemmas A.3 and A.4 for points (n, d) on the sphere."""
    chord, eps = delta - delta_0, problem.eps
    radial = tangent_part(delta, delta_0) / eps  # the tangent direction at delta that sees most of T0's normal
    cross = torch.maximum(radial.norm(dim=-1), tangent_part(delta_0, delta).norm(dim=-1) / eps)
    return ChordTerms(
        normal_part(delta_0, chord).norm(dim=-1),
        tangent_part(delta_0, chord).norm(dim=-1),
        chord.norm(dim=-1) ** 2 / (2 * eps),
        cross,
        chord.norm(dim=-1) / eps,
    )


# -- Lemmas A.1, A.2, Corollary A.1: the constants of the ball


@dataclass(frozen=True)
class Extremes:
    """Extremes over the ball as an optimiser found them: a supremum is at least, an infimum at most, what is here.

    ``grad_min``, ``grad_max`` of ||df||; ``turn`` = sup 1 - cos of the angle between df and df'; ``hess_max`` =
    sup ||d2f||; ``hess_lipschitz`` = sup ||d3f||, the Lipschitz constant of d2f.
    """

    grad_min: float
    grad_max: float
    turn: float
    hess_max: float
    hess_lipschitz: float


def extremes(problem: Problem, *, starts: int = 4, seed: int = 0) -> Extremes:
    """Optimise the quantities of Lemmas A.1, A.2 and Corollary A.1 over the ball, by L-BFGS from ``starts`` points.

    d2f and d3f are symmetric, so that their norms are the largest |d2f[v, v]| and |d3f[v, v, v]| over unit v.
    """
    if problem.W.ndim != 2:
        raise ValueError(f"problem must be one net, with W of shape (m, d); got W of shape {tuple(problem.W.shape)}")
    d, W, a = problem.d, problem.W, problem.a

    def gradient(point: Tensor) -> Tensor:
        return problem.f_gradient(_into_ball(point, problem.eps).unsqueeze(0))[0]

    def turn(points: Tensor) -> Tensor:
        one, other = (g / g.norm() for g in (gradient(points[:d]), gradient(points[d:])))
        return ((one - other) ** 2).sum() / 2

    def second(points: Tensor) -> Tensor:
        s = torch.sigmoid(W @ (problem.x + _into_ball(points[:d], problem.eps)))
        return (a * s * (1 - s) * (W @ _unit(points[d:])) ** 2).sum().abs()

    def third(points: Tensor) -> Tensor:
        s = torch.sigmoid(W @ (problem.x + _into_ball(points[:d], problem.eps)))
        return (a * s * (1 - s) * (1 - 2 * s) * (W @ _unit(points[d:])) ** 3).sum().abs()

    ball = in_ball(problem, starts, seed=seed)
    there = on_sphere(problem, starts, seed=seed + 1)
    vectors = torch.linalg.eigh(problem.f_hessian(ball)).eigenvectors
    ends = torch.cat((vectors[: (starts + 1) // 2, :, 0], vectors[(starts + 1) // 2 :, :, -1]))
    both = torch.cat((ball, ends), -1)
    return Extremes(
        -_largest(lambda point: -gradient(point).norm(), ball),
        _largest(lambda point: gradient(point).norm(), ball),
        _largest(turn, torch.cat((there, -there), -1)),
        _largest(second, both),
        _largest(third, torch.cat((both, torch.cat((there, _unit(there)), -1)))),
    )


def _largest(value: Callable[[Tensor], Tensor], starts: Iterable[Tensor]) -> float:
    """The largest of ``value`` that L-BFGS reaches from any of the starts."""

    def descent(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = torch.tensor(point, requires_grad=True)
        found = -value(at)
        (slope,) = torch.autograd.grad(found, at)
        return float(found.detach()), slope.numpy()

    return max(-minimize(descent, start.numpy(), jac=True, method="L-BFGS-B").fun for start in starts)


def _into_ball(point: Tensor, radius: float) -> Tensor:
    """The nearest point of the ball around the origin."""
    return point * (radius / point.norm().clamp_min(1e-300)).clamp_max(1.0)


def _unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True)


def lipschitz_bound(problem: Problem) -> float:
    """||W||_2 ||a||: no slope of f exceeds it anywhere (0 < softplus' < 1)."""
    return float(torch.linalg.matrix_norm(problem.W, ord=2) * problem.a.norm())


def uncrossed(problem: Problem, margin: float = 1.0) -> Problem:
    """The same problem with a target that f cannot take on the ball: y = f(x) + eps ||W||_2 ||a|| + ``margin``."""
    centre = torch.zeros(1, problem.d, dtype=problem.x.dtype)
    return problem.having(y=problem.f(centre)[0] + problem.eps * lipschitz_bound(problem) + margin)


# -- Lemmas 4.3 and 4.4: gradient and curvature on the sphere, by angle


@dataclass(frozen=True)
class AngleScan:
    """Points that sweep the angle between df and the radius from -1 to 1; every field has shape (n,).

    ``cosine`` = angle [df, delta]; ``gamma`` = ||Gamma||; ``grad_f``, ``grad_L`` = ||df||, ||dL||;
    ``definite`` and ``definite_tangent``: the least eigenvalue of sgn((y - f) delta . df) Xi over all v, and
    over tangent v (Lemma 4.4 as printed asks for it to be at least some gamma > 0 where the cosine is at
    least phi); ``reversed`` the same for the opposite sign, over all v.
    """

    cosine: Tensor
    gamma: Tensor
    grad_f: Tensor
    grad_L: Tensor
    definite: Tensor
    definite_tangent: Tensor
    reversed: Tensor


def angle_scan(problem: Problem, n: int = 200, *, seed: int = 0) -> AngleScan:
    """Measure Lemmas 4.3 and 4.4 along great circles through a point where df is nearly radial."""
    pole = problem.f_gradient(torch.zeros(1, problem.d, dtype=torch.float64))
    for _ in range(20):  # the fixed-point map of the mended Theorem 5.1
        pole = problem.eps * pole / pole.norm()
        pole = problem.f_gradient(pole)
    pole = pole / pole.norm()
    side = tangent_part(pole, on_sphere(problem, n, seed=seed))
    side = side / side.norm(dim=-1, keepdim=True)
    angle = torch.linspace(0, torch.pi, n, dtype=torch.float64).unsqueeze(-1)
    delta = problem.eps * (angle.cos() * pole + angle.sin() * side)
    grad_f, xi = problem.f_gradient(delta), problem.xi(delta)
    sign = torch.sign((problem.y - problem.f(delta)) * (delta * grad_f).sum(-1))
    signed = torch.linalg.eigvalsh(sign[:, None, None] * xi)
    return AngleScan(
        cosine(grad_f, delta),
        problem.gamma(delta).norm(dim=-1),
        grad_f.norm(dim=-1),
        problem.gradient(delta).norm(dim=-1),
        signed[:, 0],
        torch.linalg.eigvalsh(sign[:, None, None] * problem.xi_tangent(delta))[:, 0],
        -signed[:, -1],
    )


# -- Lemma 4.5: the compass needle


def needle(problem: Problem, delta: Tensor) -> Tensor:
    """Angle between -dL, along which descent steps, and the radius, shape (n,): 0 at a minimum, pi at a maximum."""
    one, other = _unit(-problem.gradient(delta)), _unit(delta)
    return 2 * torch.atan2((one - other).norm(dim=-1), (one + other).norm(dim=-1))


def forked(eps: float = 300.0) -> Problem:
    """Three units whose gradients lie in a cone of 0.2 radians and yet push apart: Lemma 4.5's second half fails.

    f(delta) = delta_1 - 0.1 delta_2 + softplus(k delta_2) / sqrt(3) with k = 0.2 sqrt(3): the first two terms are
    softplus(z) - softplus(-z) = z. The slope in delta_2 goes from -0.1 to 0.1 while delta_2 crosses a few units, so
    that the pole delta = (eps, 0) is a fixed point from which descent is driven away to either side.
    """
    size = math.sqrt(3.0)
    W = torch.tensor([[size, -0.1 * size], [-size, 0.1 * size], [0.0, 0.2 * size]], dtype=torch.float64)
    a = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64) / size
    return Problem(W, a, torch.zeros(2, dtype=torch.float64), torch.tensor(-3 * eps, dtype=torch.float64), eps)
