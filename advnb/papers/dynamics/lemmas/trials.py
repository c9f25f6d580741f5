"""Trials on the lemmas of section 4 and appendix A: their constants, their curvature, the geometry of a step."""

from __future__ import annotations

import math
from dataclasses import asdict

import torch
from torch import Tensor

from advnb.papers.dynamics.convergence.trials import run_until_stationary
from advnb.papers.dynamics.descent import Path, join, on_sphere_mask, pgd
from advnb.papers.dynamics.lemmas.quantities import (
    angle_scan,
    ball_constants,
    chord_terms,
    mended_bound,
    printed_bound,
    projection_error,
)
from advnb.papers.dynamics.problem import Problem, cosine, draw, in_ball, on_sphere
from advnb.papers.dynamics.settings import SIZES, Numbers, float64
from advnb.papers.dynamics.sphere import newton


def step_lemmas(
    *, d: int, m: int, eps: float, eta_ratio: float, seed: int, device: str = "cpu", starts: int = 10
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
    gradient, gamma = problem.gradient(now), problem.gamma(now).norm(dim=-1)
    outside = on_sphere_mask(problem, after)
    surface = on_sphere_mask(problem, now)
    result: Numbers = {"eta": eta}
    size = gradient.norm(dim=-1)
    if bool((~outside).any()):
        result["l41_drop_over_eta"] = float((drop[~outside] / eta).min())
        result["l41_half_square"] = float(0.5 * size[~outside].min() ** 2)
    if bool(surface.any()):
        error = projection_error(problem, now[surface], -eta * gradient[surface])
        result["eq5_printed_ratio"] = float((error * eps / (4 * eta**2)).max())
        result["eq5_mended_ratio"] = float((error * eps / (1.5 * (eta * size[surface]) ** 2)).max())
    moving = surface & (gamma >= math.sqrt(eta))
    if bool(moving.any()):
        result["a5_drop_over_eta2"] = float((drop[moving] / eta**2).min())
        result["a5_drop_over_eta_gamma2"] = float((drop[moving] / (eta * gamma[moving] ** 2)).min())
    return result | _near_the_end(problem, path, eta) | _avoids_maxima(problem, path, eta)


def _near_the_end(problem: Problem, path: Path, eta: float) -> Numbers:
    """Lemmas A.6 and A.7: distances to the minimum once ||Gamma|| <= sqrt(eta)."""
    target = newton(problem, pgd(problem, path.end, steps=len(path.delta), step_size=eta).end)
    offset = path.delta - target.delta
    distance = offset.norm(dim=-1)
    gamma = torch.stack([problem.gamma(delta) for delta in path.delta])
    near = (gamma.norm(dim=-1) <= math.sqrt(eta)) & on_sphere_mask(problem, path.delta)
    near &= (distance > 1e-9 * problem.eps) & (target.index == 0)
    if not bool(near.any()):
        return {}
    first = near.int().argmax(0)
    later = torch.arange(len(path.delta)).unsqueeze(-1) >= first
    later &= near.any(0)
    growth = torch.where(later[:-1], distance[1:] - distance[:-1], -1.0)
    slope = (gamma * offset).sum(-1)[near] / distance[near] ** 2
    return {
        "a6_distance_over_root_eta": float((distance[near] / math.sqrt(eta)).max()),
        "a6_slope_over_curvature": float((slope / target.eigenvalues[:, 0].min()).min()),
        "a7_distance_over_root_eta": float((distance[later] / math.sqrt(eta)).max()),
        "a7_monotone": float((growth <= 1e-12 * problem.eps).double().mean()),
    }


def _avoids_maxima(problem: Problem, path: Path, eta: float) -> Numbers:
    """Lemma 4.5: which trajectories reach Delta^-, and which leave Delta^+ again, for the paper's two definitions.

    Delta^+ and Delta^- are taken at the minima and maxima of L: by the angle between -dL and the radius.
    """
    constants = ball_constants(problem, seed=1)
    floor = constants.slope_min / 2 * constants.grad_min  # the paper's L B_l
    angle = torch.stack([cosine(-problem.gradient(delta), delta) for delta in path.delta])
    surface = on_sphere_mask(problem, path.delta)
    result: Numbers = {"l45_eta_over_square": eta / floor**2}
    inside = 1 - eta / floor**2
    if inside < 0:
        return result
    result["l45_condition"] = (math.acos(max(-1.0, min(1.0, constants.cosine_min))) + math.acos(inside**0.5)) / (
        math.pi / 4
    )
    for name, level in (("section4", 1 - math.sqrt(eta) / floor), ("appendix", math.sqrt(inside))):
        bad, good = surface & (angle <= -level), surface & (angle >= level)
        arrived = good.int().cummax(0).values.bool()
        result[f"l45_{name}_reaches_maxima"] = float(bad.any(0).double().mean())
        result[f"l45_{name}_leaves_minima"] = float((arrived & ~good).any(0).double().mean())
    return result


def constants(*, d: int, m: int, eps: float, seed: int, device: str = "cpu", points: int = 256) -> Numbers:
    """Lemmas A.1, A.2, Corollary A.1 and assumption 3 at one net: their constants over the ball around ||x|| = 1."""
    problem = draw(d, m, eps, seed=seed)
    measured = asdict(ball_constants(problem, points, seed=seed))
    centre = torch.zeros(1, d, dtype=torch.float64)
    return {
        **measured,
        "grad_centre": float(problem.f_gradient(centre).norm()),
        "hess_centre": float(torch.linalg.matrix_norm(problem.f_hessian(centre), ord=2)),
    }


def curvature_by_angle(
    *, d: int, m: int, eps: float, seed: int, device: str = "cpu", convention: str, phi: float = 0.9
) -> Numbers:
    """Lemmas 4.3 and 4.4 at one net, at points that sweep the angle between df and the radius.

    ``phi`` is the least |cosine| from which on sgn((y - f) delta . df) v' Xi v > 0 for all v;
    ``phi_tangent`` the same for tangent v only; 1 where it holds nowhere. ``gamma`` is the least eigenvalue
    where |cosine| >= the argument ``phi``; ``gamma_eps`` = that times eps; None where no point is so close.
    ``l43_identity``: largest deviation of ||Gamma|| from sqrt(1 - cos^2) ||dL||. ``l43_printed``: least
    ratio ||Gamma|| / (sqrt(1 - beta^2) ||df||) over points with cosine <= beta = 1/2.
    """
    problem = draw(d, m, eps, seed=seed, convention=convention)
    scan = angle_scan(problem, seed=seed)
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
    :func:`mended_bound`. ``a3_second_printed`` has the normal part on both sides, as printed; ``a3_second``
    the tangent part on the right.
    """
    problem = draw(d, 4, 1.0, seed=seed)
    delta, other = on_sphere(problem, pairs, seed=seed), on_sphere(problem, pairs, seed=seed + 1)
    step = eta_over_eps * on_sphere(problem, pairs, seed=seed + 2)
    error = projection_error(problem, delta, step)
    printed = error / printed_bound(problem, step)
    outward = (step * delta).sum(-1) >= 0
    terms = chord_terms(problem, delta, other)
    near = terms.relative < 1
    result: Numbers = {
        "l42_outward": float(printed[outward].max()),
        "l42_inward": float(printed[~outward].max()),
        "l42_share": float((printed[~outward] > 1).double().mean()),
        "l42_mended": float((error / mended_bound(problem, delta, step)).max()),
        "a3_first": float((terms.normal / terms.half_square).max()),
        "a4": float((terms.cross / terms.relative).max()),
    }
    if bool(near.any()):
        result["a3_second"] = float((terms.normal[near] / terms.tangent[near] ** 2).max())
        result["a3_second_printed"] = float((terms.normal[near] / terms.normal[near] ** 2).min())
    return result


STEP_LEMMAS = float64(
    "step_lemmas",
    step_lemmas,
    {
        "live": [{"d": d, "m": m, "eps": 0.2, "eta_ratio": [0.3, 0.1]} for d, m in SIZES[:2]],
        "laptop": [
            *({"d": d, "m": m, "eps": 0.2, "eta_ratio": [0.3, 0.1, 0.03]} for d, m in SIZES),
            *({"d": d, "m": m, "eps": 0.05, "eta_ratio": [0.3, 0.1]} for d, m in SIZES[:2]),
        ],
        "full": [{"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": [0.3, 0.1, 0.03, 0.01]} for d, m in SIZES],
    },
    {"live": 3, "laptop": 5, "full": 40},
)

CONSTANTS = float64(
    "constants",
    constants,
    {
        "live": [
            {"d": [2, 4, 8, 16, 32], "m": 1024, "eps": 0.1, "points": 64},
            {"d": 8, "m": [64, 256, 4096], "eps": 0.1, "points": 64},
            {"d": 8, "m": 1024, "eps": [0.01, 0.03, 0.3, 1.0, 3.0], "points": 64},
        ],
        "laptop": [
            {"d": [2, 4, 8, 16, 32, 64], "m": 4096, "eps": 0.1, "points": 64},
            {"d": 8, "m": [64, 256, 1024, 16384], "eps": 0.1, "points": 64},
            {"d": 8, "m": 4096, "eps": [0.01, 0.03, 0.3, 1.0, 3.0], "points": 64},
        ],
    },
    {"live": 5, "laptop": 20},
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
    {"live": 5, "laptop": 10},
)
