"""Trials on how projected gradient descent converges: Theorem 3.1, Corollary 3.1, Lemmas 4.1, 4.5, A.5 to A.8.

Every trial is a pure function of its parameters and seed that returns plain numbers and short lists. The
target is y = f(x) + 1, so that assumption 3 holds with L close to 1 on the small balls of the theorem.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from advnb.papers.dynamics.descent import (
    Path,
    first_stationary,
    join,
    on_sphere_mask,
    pgd,
    schedule_condition,
    shrinking,
)
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import SIZES, Numbers, float64
from advnb.papers.dynamics.sphere import SpherePoints, newton


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

    ``steps``: the first t on the sphere with ||Gamma|| <= sqrt(eta). ``distance``: from there to the local
    minimum where the trajectory ends, found by Newton. ``afterwards``: the distance after as many steps
    again and 500 more, at the same eta. ``law``: the time eps / (eta ||dL||) log(2 ||dL|| / sqrt(eta)) that
    a linear f would take. Another ``loss`` makes it the rate of section 5.2 (target 1 for the cross entropy).
    """
    problem = draw(d, m, eps, seed=seed, loss=loss, y=1.0 if loss == "cross_entropy" else None)
    eta = eta_ratio * eps**2
    path, stop = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta, limit=limit)
    done = stop >= 0
    after = pgd(problem, path.end, steps=len(path.delta) + 500, step_size=eta)
    target = newton(problem, after.end)
    at_stop = path.delta[stop.clamp_min(0), torch.arange(starts)]
    distance = (at_stop - target.delta).norm(dim=-1)[done]
    size = float(problem.gradient(torch.zeros(1, d, dtype=torch.float64)).norm())
    return {
        "eta": eta,
        "converged": float(done.double().mean()),
        "steps": stop[done].tolist(),
        "distance": distance.tolist(),
        "afterwards": float((after.end - target.delta).norm(dim=-1).max()),
        "newton_residual": float(target.residual.max()),
        "minima": float((target.index == 0).double().mean()),
        "on_sphere": float(on_sphere_mask(problem, after.end).double().mean()),
        "law": eps / (eta * size) * math.log(2 * size / math.sqrt(eta)),
        "grad_L": size,
        "curvature": float(target.eigenvalues[:, 0].min()),
    }


def shrinking_rate(
    *,
    d: int,
    m: int,
    eps: float,
    beta_ratio: float,
    seed: int,
    device: str = "cpu",
    starts: int = 3,
    horizon: int = 12,
    limit: int = 200_000,
) -> Numbers:
    """Corollary 3.1, Remark 3, Lemma A.8: D_s = ||delta_s - delta*||^2 under eta_s = 2 / (beta (s + z)).

    beta = ``beta_ratio`` times the least tangent eigenvalue mu of Xi at the minimum. z is the least integer
    with eta_0 < eta = eps^2 / 10; the start is where PGD at that eta first has ||Gamma|| <= sqrt(eta); s
    runs to ``horizon`` z. ``slope`` is that of log D_s against log(s + z) over the last half of the
    logarithmic range; linearising the step predicts -4 mu / beta. ``constant`` is D after as many steps at
    eta_0 instead. Raises ``RuntimeError`` if a start has not arrived there after ``limit`` steps.
    """
    problem = draw(d, m, eps, seed=seed)
    eta = 0.1 * eps**2
    path, stop = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta, limit=limit)
    if (stop < 0).any():
        late = f"{int((stop < 0).sum())} of {starts} starts have not arrived after {len(path.delta) - 1} steps"
        raise RuntimeError(f"{late}: D_s begins where PGD first has ||Gamma|| <= sqrt(eta); limit is {limit}")
    start = path.delta[stop, torch.arange(starts)]
    target: SpherePoints = newton(problem, pgd(problem, path.end, steps=500, step_size=eta).end)
    mu = float(target.eigenvalues[:, 0].min())
    beta = beta_ratio * mu
    z = math.ceil(2 / (beta * eta)) + 1
    schedule = shrinking(beta, z)
    run = pgd(problem, start, steps=horizon * z, step_size=schedule)
    distance = ((run.delta - target.delta) ** 2).sum(-1)
    time = torch.arange(len(distance), dtype=torch.float64) + z
    keep = (time >= z * horizon**0.5) & (distance > 1e-24 * eps**2).all(-1)
    same = pgd(problem, start, steps=horizon * z, step_size=schedule(0))
    every = torch.unique(torch.logspace(0, math.log10(len(time)), 40).long().clamp(1, len(time))) - 1
    return {
        "mu": mu,
        "beta": beta,
        "z": z,
        "slope": _slope(time[keep].log(), distance[keep].mean(-1).log()) if int(keep.sum()) > 20 else math.nan,
        "predicted": -4 / beta_ratio,
        "condition": schedule_condition(schedule, beta),
        "largest_over_eta": float((distance.amax(-1) / torch.tensor([schedule(s) for s in range(len(time))])).max()),
        "s": every.tolist(),
        "D": distance[every].mean(-1).tolist(),
        "constant": ((same.end - target.delta) ** 2).sum(-1).mean().item(),
        "final": distance[-1].mean().item(),
    }


def _slope(x: Tensor, y: Tensor) -> float:
    """Least-squares slope of y against x."""
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())


THEOREM_3_1 = float64(
    "theorem_3_1",
    stationarity,
    {
        "live": [{"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1]} for d, m in SIZES[:2]],
        "laptop": [
            *({"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1, 0.03, 0.01]} for d, m in SIZES),
            *({"d": d, "m": m, "eps": 0.05, "eta_ratio": [1.0, 0.3, 0.1, 0.03]} for d, m in SIZES[:2]),
            {"d": 8, "m": 256, "eps": 0.02, "eta_ratio": [1.0, 0.3, 0.1]},
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": [1.0, 0.3, 0.1, 0.03, 0.01, 0.003]}
            for d, m in [*SIZES, (32, 8192)]
        ],
    },
    {"live": 3, "laptop": 5, "full": 20},
)

GENERAL_LOSS_RATE = float64(
    "general_loss_rate",
    stationarity,
    {
        scale: {
            "d": 8,
            "m": 256,
            "eps": 0.2,
            "loss": ["squared", "cross_entropy", "pseudo_huber"],
            "eta_ratio": [0.3, 0.1, 0.03],
        }
        for scale in ("live", "laptop")
    },
    {"live": 2, "laptop": 5},
)

COROLLARY_3_1 = float64(
    "corollary_3_1",
    shrinking_rate,
    {
        "live": {"d": 4, "m": 128, "eps": 0.2, "beta_ratio": [2.0, 4.0, 8.0, 16.0]},
        "laptop": [
            {"d": d, "m": m, "eps": 0.2, "beta_ratio": [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0]}
            for d, m in SIZES[:2]
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.05, 0.2], "beta_ratio": [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0]}
            for d, m in SIZES
        ],
    },
    {"live": 2, "laptop": 5, "full": 20},
)
