"""Trials on how projected gradient descent arrives: Theorem 3.1, section 5.2, and the step sizes of Lemma A.5.

Every trial is a pure function of its parameters and seed that returns plain numbers and short lists. The
target is y = f(x) + 1, so that assumption 3 holds with L close to 1 on the small balls of the theorem.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from advnb.papers.dynamics import costs
from advnb.papers.dynamics.descent import Path, first_stationary, join, on_sphere_mask, pgd, smoothness
from advnb.papers.dynamics.problem import Problem, draw, in_ball, on_sphere, tangent_basis
from advnb.papers.dynamics.rate.quantities import Rate, bends, outward_pull
from advnb.papers.dynamics.settings import Numbers, float64
from advnb.papers.dynamics.sphere import descend_sphere, newton


def run_until_stationary(
    problem: Problem, start: Tensor, eta: float, *, limit: int = 200_000, block: int = 250
) -> tuple[Path, Tensor]:
    """PGD at constant ``eta`` until every trajectory is on the sphere with ||Gamma|| <= sqrt(eta) (Theorem 3.1).

    Returns the path and the step (n,) at which each first was, -1 where ``limit`` steps did not suffice.
    """
    path = pgd(problem, start, steps=block, step_size=eta)
    stop = first_stationary(problem, path, math.sqrt(eta))
    while bool((stop < 0).any()) and len(path.delta) <= limit:
        more = pgd(problem, path.end, steps=block, step_size=eta)
        late = first_stationary(problem, more, math.sqrt(eta))
        stop = torch.where((stop < 0) & (late >= 0), late + len(path.delta) - 1, stop)
        path = join(path, more)
    return path, stop


def stationarity(
    *,
    d: int,
    m: int,
    eps: float,
    eta_ratio: float,
    seed: int,
    device: str = "cpu",
    loss: str = "squared",
    starts: int = 10,
    limit: int = 200_000,
) -> Numbers:
    """Theorem 3.1 at one net: iterations and distances for eta = ``eta_ratio`` eps^2, from uniform starts in the ball.

    ``steps``: the first t on the sphere with ||Gamma|| <= sqrt(eta). ``distance``: from there to the local minimum at
    the bottom, found by descent along the sphere and Newton; ``ratio``: that distance times the least curvature mu at
    that minimum over sqrt(eta), at most 2 by Lemma A.6 with gamma = mu. ``minima``, ``on_sphere``: shares of starts
    whose limit is a local minimum along the sphere, and that are still on the sphere when the last has stopped.
    ``law``: the time eps / (eta ||dL||) log(2 ||dL|| / sqrt(eta)) that a linear f would take; ``rate``: -log of the
    contraction factor of the page *rate*. ``at_once``: the share of starts that meet the rule where they first touch
    the sphere. Another ``loss`` makes it the rate of section 5.2 (target 1 for the cross entropy).
    """
    problem = draw(d, m, eps, seed=seed, loss=loss, y=1.0 if loss == "cross_entropy" else None)
    eta = eta_ratio * eps**2
    path, stop = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta, limit=limit)
    done = stop >= 0
    at_stop = path.delta[stop.clamp_min(0), torch.arange(starts)]
    target = newton(problem, descend_sphere(problem, at_stop))
    distance = (at_stop - target.delta).norm(dim=-1)
    least = target.eigenvalues[:, 0]
    touched = on_sphere_mask(problem, path.delta).int().argmax(0)
    size = float(problem.gradient(torch.zeros(1, d, dtype=torch.float64)).norm())
    pull = outward_pull(problem, target.delta)
    factors = [Rate.of(c).factor(eta * float(g) / eps) for c, g in zip(bends(problem, target.delta), pull, strict=True)]
    return {
        "eta": eta,
        "converged": float(done.double().mean()),
        "steps": stop[done].tolist(),
        "distance": distance[done].tolist(),
        "ratio": (distance * least / math.sqrt(eta))[done].tolist(),
        "newton_residual": float(target.residual.max()),
        "minima": float((target.index == 0).double().mean()),
        "on_sphere": float(on_sphere_mask(problem, path.end).double().mean()),
        "at_once": float((touched == stop)[done].double().mean()),
        "law": eps / (eta * size) * math.log(2 * size / math.sqrt(eta)),
        "grad_L": size,
        "curvature": float(least.min()),
        "rate": -math.log(max(factors)),
    }


def descent_range(*, d: int, m: int, eps: float, seed: int, device: str = "cpu", points: int = 500) -> Numbers:
    """Lemma A.5: does one step from the sphere lower L, for eta from eps^2 / 64 to 64 eps^2 (``eta``)?

    ``worst``: the largest eta (L(delta_+) - L(delta)) / ||delta_+ - delta||^2 among uniform ``points``, the rim of the
    strongest adversary (:func:`rim`) and where L-BFGS takes the five worst of them: negative where all descend. The
    search finds a step that rises or misses it; ``guarantee`` = eta l / 2 - 1, the proposition's bound, does not.
    ``drop``: the least (L(delta) - L(delta_+)) / eta^2 among those points with ||Gamma|| >= sqrt(eta), NaN if there is
    none.
    """
    problem = draw(d, m, eps, seed=seed)
    bound = smoothness(problem)
    rows: dict[str, list[float]] = {"eta": [], "worst": [], "drop": [], "guarantee": []}
    for ratio in ETA_RATIOS:
        eta = ratio * eps**2
        tried = torch.cat((on_sphere(problem, points, seed=seed), rim(problem, eta, seed=seed)))
        tried = torch.cat((tried, climb(problem, tried, eta)))
        steep = problem.gamma(tried).norm(dim=-1) >= math.sqrt(eta)
        drop = -_rise(problem, tried, eta)[0][steep] / eta**2
        rows["eta"].append(eta)
        rows["worst"].append(float(_relative_rise(problem, tried, eta).max()))
        rows["drop"].append(float(drop.min()) if len(drop) else math.nan)
        rows["guarantee"].append(eta * bound / 2 - 1)
    return dict(rows)


ETA_RATIOS = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
"""eta / eps^2, on either side of the 1 of the theorem and of the 1/16 of its proof."""


def _rise(problem: Problem, delta: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """L(delta_+) - L(delta) and ||delta_+ - delta||^2 of one projected step from points (n, d)."""
    value, gradient = problem.value_and_gradient(delta)
    end = problem.ball.project(delta - eta * gradient, torch.zeros_like(delta))
    return problem.objective(end) - value, (end - delta).square().sum(-1)


def _relative_rise(problem: Problem, delta: Tensor, eta: float) -> Tensor:
    """eta (L(delta_+) - L(delta)) / ||delta_+ - delta||^2 of one step from points (n, d) of the sphere; -1 at rest."""
    rise, square = _rise(problem, delta, eta)
    moves = square > (1e-6 * problem.eps) ** 2  # below, the difference of two values of L is rounding
    return torch.where(moves, eta * rise / square.clamp_min(1e-300), -1.0)


def rim(problem: Problem, eta: float, *, seed: int) -> Tensor:
    """Points (2d - 2, d) about a strongest adversary with ||Gamma|| close to sqrt(eta), where a step gains least."""
    minimum = newton(problem, descend_sphere(problem, in_ball(problem, 1, seed=seed))).delta
    basis = tangent_basis(minimum)[0]
    values, vectors = torch.linalg.eigh(basis.T @ problem.xi(minimum)[0] @ basis)
    aside = (basis @ vectors * (1.05 * math.sqrt(eta) / values)).T
    return problem.eps * torch.nn.functional.normalize(torch.cat((minimum + aside, minimum - aside)))


def climb(problem: Problem, delta: Tensor, eta: float, *, count: int = 5) -> Tensor:
    """Where L-BFGS takes the ``count`` points of ``delta`` (n, d) with the largest relative rise, shape (count, d)."""

    def fall(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = torch.tensor(x, requires_grad=True)
        value = -_relative_rise(problem, problem.eps * point[None] / point.norm(), eta)[0]
        gradient = torch.autograd.grad(value, point)[0] if value.requires_grad else torch.zeros_like(point)
        return float(value.detach()), gradient.numpy()

    worst = delta[_relative_rise(problem, delta, eta).argsort(descending=True)[:count]] / problem.eps
    ends = np.array([minimize(fall, start.numpy(), jac=True, method="L-BFGS-B", options=SHORTLY).x for start in worst])
    return problem.eps * torch.nn.functional.normalize(torch.as_tensor(ends))


SHORTLY = {"maxiter": 30}


WIDE, SHORT = [1.0, 0.3, 0.1, 0.03, 0.01, 0.003], [1.0, 0.1, 0.01]
"""eta / eps^2: two and a half decades at one size, two where width or dimension is varied."""

THEOREM_3_1 = float64(
    "theorem_3_1",
    stationarity,
    {
        "live": [{"d": d, "m": 256, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1]} for d in (2, 8)],
        "laptop": [
            {"d": 8, "m": 256, "eps": 0.2, "eta_ratio": WIDE},
            {"d": [2, 16, 32, 64], "m": 1024, "eps": 0.2, "eta_ratio": SHORT},
            {"d": 8, "m": [64, 1024, 4096], "eps": 0.2, "eta_ratio": SHORT},
            {"d": 8, "m": 256, "eps": 0.02, "eta_ratio": [1.0, 0.3, 0.1, 0.03]},
            {"d": 8, "m": 256, "eps": 1.0, "eta_ratio": [*WIDE, 0.001]},
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": WIDE}
            for d, m in [(2, 64), (8, 256), (16, 1024), (32, 8192), (64, 32768)]
        ],
    },
    {"live": 3, "laptop": 10, "full": 20},
    cost=costs.stationarity,
)

GENERAL_LOSS_RATE = float64(
    "general_loss_rate",
    stationarity,
    {
        "live": {"d": 8, "m": 256, "eps": 0.2, "loss": ["cross_entropy", "pseudo_huber"], "eta_ratio": [0.3, 0.1]},
        "laptop": {
            "d": 8,
            "m": 256,
            "eps": 0.2,
            "loss": ["squared", "cross_entropy", "pseudo_huber"],
            "eta_ratio": [0.3, 0.1, 0.03, 0.01],
        },
    },
    {"live": 2, "laptop": 20},
    cost=costs.stationarity,
)

DESCENT_RANGE = float64(
    "descent_range",
    descent_range,
    {
        "live": {"d": 8, "m": 256, "eps": [0.05, 0.2]},
        "laptop": [{"d": [2, 8, 32], "m": 256, "eps": [0.05, 0.2, 1.0, 3.0]}, {"d": 8, "m": 2048, "eps": 0.2}],
    },
    {"live": 2, "laptop": 10},
)
