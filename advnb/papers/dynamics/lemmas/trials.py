"""Trials on the lemmas of section 4 and appendix A: their constants, their curvature, the geometry of a step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from advnb.papers.dynamics import costs
from advnb.papers.dynamics.bounds import BallBounds, ball_bounds
from advnb.papers.dynamics.convergence.trials import run_until_stationary
from advnb.papers.dynamics.descent import Path, join, on_sphere_mask, pgd
from advnb.papers.dynamics.lemmas.quantities import (
    angle_scan,
    chord_terms,
    extremes,
    forked,
    mended_bound,
    needle,
    printed_bound,
    projection_error,
)
from advnb.papers.dynamics.problem import Problem, draw, in_ball, on_sphere, tangent_part
from advnb.papers.dynamics.settings import SIZES, Numbers, float64
from advnb.papers.dynamics.sphere import newton


def step_lemmas(
    *, d: int, m: int, eps: float, eta_ratio: float, seed: int, device: str = "cpu", starts: int = 5
) -> Numbers:
    """Lemmas 4.1, 4.5, A.5, A.6, A.7 and equation (5) along trajectories of projected gradient descent.

    Keys say which lemma a number belongs to. Shares are over steps (or trajectories, for 4.5) to which the
    lemma applies; where it applies to none the key is missing.
    """
    problem = draw(d, m, eps, seed=seed)
    eta = eta_ratio * eps**2
    path, _ = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta)
    path = join(path, pgd(problem, path.end, steps=len(path.delta) // 2, step_size=eta))
    now, after = path.delta[:-1].reshape(-1, d), path.delta[1:].reshape(-1, d)
    drop = (path.value[:-1] - path.value[1:]).flatten()
    gradient = problem.gradient(now)
    gamma, size = tangent_part(now, gradient).norm(dim=-1), gradient.norm(dim=-1)
    outside, surface = on_sphere_mask(problem, after), on_sphere_mask(problem, now)
    result: Numbers = {"eta": eta}
    if bool((~outside).any()):
        result["l41_drop_over_eta"] = float((drop[~outside] / eta).min())
        result["l41_half_square"] = float(0.5 * size[~outside].min() ** 2)
        result["l41_ratio"] = float((drop[~outside] / (eta * size[~outside] ** 2)).min())
    moving = surface & (gamma >= math.sqrt(eta))
    if bool(moving.any()):
        result["a5_drop_over_eta2"] = float((drop[moving] / eta**2).min())
        result["a5_drop_over_eta_gamma2"] = float((drop[moving] / (eta * gamma[moving] ** 2)).min())
    return (
        result | _one_step(problem, eta, seed) | _near_the_end(problem, path, eta) | _avoids_maxima(problem, path, eta)
    )


def _one_step(problem: Problem, eta: float, seed: int, points: int = 500) -> Numbers:
    """Equation (5) at uniform points of the sphere, by where the step ends: ratios of left to right side.

    ``eq5_printed_*`` with the right side as printed, 4 eta^2 / eps; ``eq5_squared_*`` with the missing
    ||dL||^2; ``eq5_mended`` with :func:`mended_bound`. ``eq5_inward``: the share of points from which the
    step ends inside.
    """
    delta = on_sphere(problem, points, seed=seed)
    step = -eta * problem.gradient(delta)
    error = projection_error(problem, delta, step)
    inside = (delta + step).norm(dim=-1) < problem.eps
    printed = error * problem.eps / (4 * eta**2)
    squared = error / printed_bound(problem, step)
    result: Numbers = {
        "eq5_inward": float(inside.double().mean()),
        "eq5_mended": float((error / mended_bound(problem, delta, step)).max()),
    }
    for name, where in (("outside", ~inside), ("inside", inside)):
        if bool(where.any()):
            result[f"eq5_printed_{name}"] = float(printed[where].max())
            result[f"eq5_squared_{name}"] = float(squared[where].max())
    return result


def _near_the_end(problem: Problem, path: Path, eta: float) -> Numbers:
    """Lemmas A.6 and A.7: distances to the minimum once ||Gamma|| <= sqrt(eta).

    The ``..._ratio`` are distances over 2 sqrt(eta) / gamma, gamma the least eigenvalue of Xi along the sphere at
    the minimum: A.6's inequality with gamma / 2 says that they are at most 1.
    """
    target = newton(problem, pgd(problem, path.end, steps=len(path.delta), step_size=eta).end)
    offset = path.delta - target.delta
    distance = offset.norm(dim=-1)
    gamma = problem.gamma(path.delta.reshape(-1, problem.d)).reshape(path.delta.shape)
    near = (gamma.norm(dim=-1) <= math.sqrt(eta)) & on_sphere_mask(problem, path.delta)
    near &= (distance > 1e-9 * problem.eps) & (target.index == 0)
    if not bool(near.any()):
        return {}
    first = near.int().argmax(0)
    later = torch.arange(len(path.delta)).unsqueeze(-1) >= first
    later &= near.any(0)
    growth = torch.where(later[:-1], distance[1:] - distance[:-1], -1.0)
    slope = (gamma * offset).sum(-1)[near] / distance[near] ** 2
    curvature = float(target.eigenvalues[:, 0].min())
    return {
        "a6_distance_over_root_eta": float((distance[near] / math.sqrt(eta)).max()),
        "a6_distance_ratio": float((distance[near] * curvature / (2 * math.sqrt(eta))).max()),
        "a6_slope_over_curvature": float((slope / curvature).min()),
        "a7_distance_over_root_eta": float((distance[later] / math.sqrt(eta)).max()),
        "a7_distance_ratio": float((distance[later] * curvature / (2 * math.sqrt(eta))).max()),
        "a7_monotone": float((growth <= 1e-12 * problem.eps).double().mean()),
    }


def _avoids_maxima(problem: Problem, path: Path, eta: float) -> Numbers:
    """Lemma 4.5: which trajectories reach Delta^-, and which leave Delta^+ again, for the paper's two definitions.

    Delta^+ and Delta^- are taken at the minima and maxima of L, by the angle of the needle. ``l45_condition`` is
    the left side of (6) over pi / 4 from proved bounds, over the ball, so that (6) holds where it is at most 1;
    ``l45_contraction`` = eps sup ||d2f|| / inf ||df||, from above; ``l45_growth`` the largest growth of the
    needle's angle in a step between two points of the sphere; ``l45_widest`` the largest angle at which a step
    reaches the sphere, over pi.
    """
    bounds = ball_bounds(problem)
    result: Numbers = {"l45_contraction": min(bounds.contraction, 10.0)}
    angle = torch.stack([needle(problem, delta) for delta in path.delta])
    surface = on_sphere_mask(problem, path.delta)
    both = surface[1:] & surface[:-1]
    if bool(both.any()):
        result["l45_growth"] = float((angle[1:] - angle[:-1])[both].max())
    if bool(surface[1:].any()):
        result["l45_widest"] = float(angle[1:][surface[1:]].max()) / math.pi
    floor = least_residual(problem, bounds) * bounds.gradient_low  # the paper's L B_l
    if eta >= floor**2:
        return result
    x = math.sqrt(eta) / floor
    result["l45_condition"] = (2 * math.asin(min(1.0, bounds.contraction)) + math.asin(x)) / (math.pi / 4)
    for name, opening in openings(x).items():
        result[f"l45_{name}_reaches_maxima"], result[f"l45_{name}_leaves_minima"] = visits(angle, surface, opening)
    return result


def least_residual(problem: Problem, bounds: BallBounds) -> float:
    """A proved lower bound on |y - f| over the ball, the L of assumption 3; 0 where f may take the value y."""
    y = float(problem.y)
    return max(y - bounds.output_high, bounds.output_low - y, 0.0)


def openings(x: float) -> dict[str, float]:
    """Half-angle of Delta^+ and Delta^- at x = sqrt(eta) / (L B_l): as section 4 defines them, and as A.4 uses them."""
    return {"section4": math.acos(1 - x), "appendix": math.asin(x)}


def visits(angle: Tensor, surface: Tensor, opening: float) -> tuple[float, float]:
    """Shares of trajectories that reach Delta^-, and that leave Delta^+ again; ``angle``, ``surface`` (steps, n)."""
    bad, good = surface & (angle >= math.pi - opening), surface & (angle <= opening)
    arrived = good.int().cummax(0).values.bool()
    return float(bad.any(0).double().mean()), float((arrived & ~good).any(0).double().mean())


def forked_trajectories(eta: float = 0.01, starts: int = 40, steps: int = 100) -> dict[str, float]:
    """Lemma 4.5 at :func:`forked`, from a row of starts inside the ball: its condition, and who leaves Delta^+ again.

    Exact: the gradients are (1, s) with -0.1 < s < 0.1, so that the cone opens by 2 atan(0.1) at most and B_l = 1; and
    |f| <= f(0) + eps sqrt(1.01), so that L = |y| less that.
    """
    problem = forked()
    eps = problem.eps
    offset = 2e-5 * eps * torch.linspace(-1, 1, starts, dtype=torch.float64)
    path = pgd(problem, torch.stack((torch.full_like(offset, 0.95 * eps), offset), -1), steps=steps, step_size=eta)
    angle = torch.stack([needle(problem, delta) for delta in path.delta])
    surface = on_sphere_mask(problem, path.delta)
    x = math.sqrt(eta) / (float(problem.y.abs()) - math.log(2) / math.sqrt(3) - eps * math.sqrt(1.01))
    left = {f"leave_{name}": visits(angle, surface, opening)[1] for name, opening in openings(x).items()}
    return {"condition": (2 * math.atan(0.1) + math.asin(x)) / (math.pi / 4), **left}


def constants(*, d: int, m: int, eps: float, seed: int, device: str = "cpu", starts: int = 4) -> Numbers:
    """Lemmas A.1, A.2 and Corollary A.1 at one net, over the ball around ||x|| = 1: every supremum in a bracket.

    ``..._reached`` is what an optimiser found, ``..._proved`` a bound on the other side that needs no sampling.
    ``turn`` = sup 1 - cos of the angle between two gradients, at most 2 (eps sup ||d2f|| / inf ||df||)^2: with u, u'
    the directions of g, g', |g - g'|^2 >= |g| |g'| |u - u'|^2, and 1 - cos = |u - u'|^2 / 2.
    """
    problem = draw(d, m, eps, seed=seed)
    found, bounds = extremes(problem, starts=starts, seed=seed), ball_bounds(problem)
    return {
        "grad_min_reached": found.grad_min,
        "grad_min_proved": bounds.gradient_low,
        "grad_max_reached": found.grad_max,
        "grad_max_proved": bounds.gradient_high,
        "hess_reached": found.hess_max,
        "hess_proved": bounds.hessian,
        "lipschitz_reached": found.hess_lipschitz,
        "lipschitz_proved": bounds.hessian_lipschitz,
        "turn_reached": found.turn,
        "turn_proved": min(2 * bounds.contraction**2, 2.0),
    }


def curvature_by_angle(
    *, d: int, m: int, eps: float, seed: int, device: str = "cpu", convention: str, phi: float = 0.9
) -> Numbers:
    """Lemmas 4.3 and 4.4 at one net, at points that sweep the angle between df and the radius.

    ``phi`` is the least |cosine| from which on sgn((y - f) delta . df) v' Xi v > 0 for all v;
    ``phi_tangent`` the same for tangent v only; 1 where it holds nowhere. ``gamma`` is the least eigenvalue
    where |cosine| >= the argument ``phi``; ``gamma_eps`` = that times eps; None where no point is so close;
    ``reversed_eps`` = the least eigenvalue of the opposite sign there, times eps. ``proved`` is a lower bound on
    the size of every eigenvalue at every point of the sphere with |cosine| >= ``phi``, times eps: there the part
    2 |lambda*| of Xi exceeds the others by 2 (|y - f| (phi |df| / eps - |d2f|) - |df|^2) at least.
    ``l43_identity``: largest deviation of ||Gamma|| from sqrt(1 - cos^2) ||dL||. ``l43_printed``: least
    ratio ||Gamma|| / (sqrt(1 - beta^2) ||df||) over points with cosine <= beta = 1/2.
    """
    problem = draw(d, m, eps, seed=seed, convention=convention)
    scan, bounds = angle_scan(problem, seed=seed), ball_bounds(problem)
    residual = least_residual(problem, bounds)
    radial = phi * bounds.gradient_low / eps - bounds.hessian
    size = scan.cosine.abs()
    near = size >= phi
    weak = scan.cosine <= 0.5
    sine = (1 - scan.cosine**2).clamp_min(0).sqrt()
    return {
        "phi": _threshold(size, scan.definite),
        "phi_tangent": _threshold(size, scan.definite_tangent),
        "gamma": _least(scan.definite[near]),
        "gamma_eps": _least(eps * scan.definite[near]),
        "gamma_tangent_eps": _least(eps * scan.definite_tangent[near]),
        "reversed_eps": _least(eps * scan.reversed[near]),
        "proved": 2 * eps * (residual * radial - bounds.gradient_high**2) if radial > 0 else None,
        "l43_identity": float((scan.gamma - sine * scan.grad_L).abs().max()),
        "l43_printed": _least(scan.gamma[weak] / (math.sqrt(0.75) * scan.grad_f[weak])),
        "l43_mended": _least(scan.gamma[size <= 0.5] / (math.sqrt(0.75) * scan.grad_L[size <= 0.5])),
    }


def _least(values: Tensor) -> float | None:
    """The smallest of ``values``; None where there is none."""
    return float(values.min()) if len(values) else None


def _threshold(size: Tensor, eigenvalue: Tensor) -> float:
    """The largest |cosine| at which the eigenvalue is not positive; 0 if it is everywhere."""
    bad = size[eigenvalue <= 0]
    return float(bad.max()) if len(bad) else 0.0


def geometry(*, d: int, eta_over_eps: float, seed: int, device: str = "cpu", pairs: int = 2000) -> Numbers:
    """Lemmas 4.2, A.3 and A.4 on random points of the sphere and random unit directions: ratios of left to right side.

    A statement holds where its ratio is at most 1. ``l42_outward`` and ``l42_inward`` split Lemma 4.2 by the
    sign of v . delta; ``l42_share`` is the share of inward directions that break it; ``l42_mended`` tests
    :func:`mended_bound`, on these and on a fine sweep of the angle, whose largest ratio outwards is ``l42_sharp``.
    ``a3_second_printed`` has the normal part on both sides, as printed; ``a3_second`` the tangent part on the
    right.
    """
    problem = draw(d, 4, 1.0, seed=seed)
    delta, other = on_sphere(problem, pairs, seed=seed), on_sphere(problem, pairs, seed=seed + 1)
    step = eta_over_eps * on_sphere(problem, pairs, seed=seed + 2)
    error = projection_error(problem, delta, step)
    printed = error / printed_bound(problem, step)
    outward = (step * delta).sum(-1) >= 0
    angle = torch.linspace(0, math.pi / 2, 1001, dtype=torch.float64).unsqueeze(-1)
    normal, tangent = delta[:1].expand(1001, d), tangent_part(delta[:1], other[:1])
    sweep = eta_over_eps * (angle.cos() * normal + angle.sin() * tangent / tangent.norm())
    swept = projection_error(problem, normal, sweep) / mended_bound(problem, normal, sweep)
    terms = chord_terms(problem, delta, other)
    apart = terms.relative > 1e-3  # closer, the difference of two points is rounding to more than a part in 10^9
    near = apart & (terms.relative < 1)
    result: Numbers = {
        "l42_outward": float(printed[outward].max()),
        "l42_inward": float(printed[~outward].max()),
        "l42_share": float((printed[~outward] > 1).double().mean()),
        "l42_mended": max(float((error / mended_bound(problem, delta, step)).max()), float(swept.max())),
        "l42_sharp": float(swept.max()),
        "a3_first": float((terms.normal / terms.half_square)[apart].max()),
        "a4": float((terms.cross / terms.relative)[apart].max()),
    }
    if bool(near.any()):
        result["a3_second"] = float((terms.normal[near] / terms.tangent[near] ** 2).max())
        result["a3_second_printed"] = float((terms.normal[near] / terms.normal[near] ** 2).min())
    return result


STEP_LEMMAS = float64(
    "step_lemmas",
    step_lemmas,
    {
        "live": [{"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3]} for d, m in SIZES[:2]],
        "laptop": [
            *({"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1, 0.03]} for d, m in SIZES),
            *({"d": d, "m": m, "eps": 0.05, "eta_ratio": [1.0, 0.3, 0.1]} for d, m in SIZES[:2]),
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": [1.0, 0.3, 0.1, 0.03, 0.01]} for d, m in SIZES
        ],
    },
    {"live": 3, "laptop": 20, "full": 40},
    cost=costs.step_lemmas,
)

CONSTANTS = float64(
    "constants",
    constants,
    {
        "live": [
            {"d": [2, 4, 8, 16], "m": 1024, "eps": 0.1, "starts": 2},
            {"d": 8, "m": [64, 256], "eps": 0.1, "starts": 2},
            {"d": 8, "m": 1024, "eps": [0.01, 0.03, 0.3, 1.0, 3.0], "starts": 2},
        ],
        "laptop": [
            {"d": [2, 4, 8, 16, 32, 64], "m": 4096, "eps": 0.1},
            {"d": 8, "m": [64, 256, 1024, 16384], "eps": 0.1},
            {"d": 8, "m": 4096, "eps": [0.01, 0.03, 0.3, 1.0, 3.0]},
        ],
    },
    {"live": 3, "laptop": 20},
)

CURVATURE = float64(
    "curvature",
    curvature_by_angle,
    {
        scale: [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0], "convention": ["minus", "plus"]}
            for d, m in sizes
        ]
        for scale, sizes in (("live", SIZES[:2]), ("laptop", SIZES))
    },
    {"live": 10, "laptop": 20},
)

GEOMETRY = float64(
    "geometry",
    geometry,
    {
        "live": {"d": [2, 3, 10], "eta_over_eps": [0.01, 0.05, 0.2, 1.0]},
        "laptop": {"d": [2, 3, 10, 100], "eta_over_eps": [0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0]},
    },
    {"live": 5, "laptop": 20},
)
