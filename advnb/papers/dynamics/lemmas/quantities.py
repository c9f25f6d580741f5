"""The quantities in the lemmas of Deng et al. (section 4 and appendix A), measured; and the mended statements.

Suprema over the ball are maxima over sampled points: they can only underestimate. Where a lemma's statement
is geometry alone (A.3, A.4, 4.2) the quantities are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
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
    """3/2 ||step||^2 / eps for a step that does not point inward; else 2 ||step||^2 / eps + the inward component.

    Why: write n = delta / eps, c = <step, n>, q = P_T step, rho = ||delta + step||. If the step ends in the
    ball, nothing is projected and the error is the normal part -c alone. If it ends outside, the landing
    point is eps u with u = (delta + step) / rho, and the error vector is -(rho - eps)(u - n) - (rho - eps -
    c) n. Projection does not expand, so ||u - n|| <= ||step|| / eps, and rho - eps <= ||step||. For c >= 0,
    rho - eps - c = ||q||^2 / (rho + eps + c) <= ||step||^2 / (2 eps); for c < 0 it is at most ||step||^2 /
    eps + |c|.
    """
    square = step.norm(dim=-1) ** 2 / problem.eps
    outward = (step * delta).sum(-1) / problem.eps
    return torch.where(outward >= 0, 1.5 * square, 2 * square - outward)


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


# -- Lemmas A.1, A.2, Corollary A.1, assumption 3: the constants of the ball


@dataclass(frozen=True)
class BallConstants:
    """Extremes over sampled points of the ball (half of them on the sphere); see the field names.

    ``grad_min``, ``grad_max`` of ||df|| (B_l and B_u sqrt(log d) of Lemma A.1); ``grad_spread`` = max ||df -
    df'|| (B of equation (7)); ``cosine_min`` of the angle [df, df'] (Corollary A.1); ``hess_max`` of
    ||d2f||_2 and ``hess_lipschitz`` (M_u log m and K_u (log m)^1.5 of Lemma A.2); ``slope_min``,
    ``slope_max`` of |dL/df|, twice the L and U of assumption 3 for the squared loss; ``curvature_max`` of
    |d2L/df2| (section 5.2).
    """

    grad_min: float
    grad_max: float
    grad_spread: float
    cosine_min: float
    hess_max: float
    hess_lipschitz: float
    slope_min: float
    slope_max: float
    curvature_max: float
    crosses: bool


def ball_constants(problem: Problem, n: int = 128, *, seed: int = 0) -> BallConstants:
    """Measure the constants of Lemmas A.1 and A.2, Corollary A.1 and assumption 3 on ``n`` points of the ball."""
    delta = torch.cat((in_ball(problem, n - n // 2, seed=seed), on_sphere(problem, n // 2, seed=seed + 1)))
    f, grad, hess = problem.f(delta), problem.f_gradient(delta), problem.f_hessian(delta)
    size = grad.norm(dim=-1)
    unit = grad / size.unsqueeze(-1)
    slope = problem.slope(delta).abs()
    i, j = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).split(n - n // 2)
    j = torch.cat((j, i[:1]))[: len(i)]
    change = torch.linalg.matrix_norm(hess[i] - hess[j], ord=2) / (delta[i] - delta[j]).norm(dim=-1)
    return BallConstants(
        float(size.min()),
        float(size.max()),
        float(torch.cdist(grad, grad).max()),
        float((unit @ unit.T).min()),
        float(torch.linalg.matrix_norm(hess, ord=2).max()),
        float(change.max()),
        float(slope.min()),
        float(slope.max()),
        float(problem.scalar.curvature(f, problem.y).abs().max()),
        bool((f > problem.y).any() and (f < problem.y).any()),
    )


def unique_minimum_certificate(constants: BallConstants, eps: float) -> bool:
    """Whether eps sup ||d2f|| < inf ||df|| over the ball: then f has one maximum and one minimum on the sphere.

    The mended Theorem 5.1, for every d and m: critical points of f on the sphere are the fixed points of
    delta -> +-eps df(delta) / ||df(delta)||, a map with Lipschitz constant eps sup ||d2f|| / inf ||df||,
    hence a contraction: one fixed point for each sign. If moreover f never takes the value y, L is a
    monotone function of f on the ball and has one local minimum as well. Sampled constants make this an
    estimate, not a proof.
    """
    return eps * constants.hess_max < constants.grad_min


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
    least phi).
    """

    cosine: Tensor
    gamma: Tensor
    grad_f: Tensor
    grad_L: Tensor
    definite: Tensor
    definite_tangent: Tensor


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
    return AngleScan(
        cosine(grad_f, delta),
        problem.gamma(delta).norm(dim=-1),
        grad_f.norm(dim=-1),
        problem.gradient(delta).norm(dim=-1),
        torch.linalg.eigvalsh(sign[:, None, None] * xi)[:, 0],
        torch.linalg.eigvalsh(sign[:, None, None] * problem.xi_tangent(delta))[:, 0],
    )
