"""Trials on steps that shrink: Corollary 3.1, Remark 3 and Lemma A.8, and the recursion in its proof."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import linregress
from torch import Tensor

from advnb.papers.dynamics import costs
from advnb.papers.dynamics.convergence.trials import run_until_stationary
from advnb.papers.dynamics.descent import pgd, schedule_condition, shrinking
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.settings import Numbers, float64
from advnb.papers.dynamics.sphere import SpherePoints, newton


def arrive(
    problem: Problem, starts: int, eta: float, *, seed: int, limit: int = 200_000
) -> tuple[Tensor, SpherePoints]:
    """Where PGD at ``eta`` from uniform starts first has ||Gamma|| <= sqrt(eta), (starts, d), and the minima beyond.

    Raises ``RuntimeError`` if a start has not arrived there after ``limit`` steps.
    """
    path, stop = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta, limit=limit)
    if (stop < 0).any():
        late = f"{int((stop < 0).sum())} of {starts} starts have not arrived after {len(path.delta) - 1} steps"
        raise RuntimeError(f"{late}: D_s begins where PGD first has ||Gamma|| <= sqrt(eta); limit is {limit}")
    target = newton(problem, pgd(problem, path.end, steps=500, step_size=eta).end)
    return path.delta[stop, torch.arange(starts)], target


def shrinking_rate(
    *,
    d: int,
    m: int,
    eps: float,
    beta_ratio: float,
    seed: int,
    device: str = "cpu",
    starts: int = 3,
    horizon: int = 300,
    limit: int = 200_000,
) -> Numbers:
    """Corollary 3.1, Remark 3: D_s = ||delta_s - delta*||^2 under eta_s = 2 / (beta (s + z)), s + z to ``horizon`` z.

    beta = ``beta_ratio`` times the least tangent eigenvalue mu of Xi at the minimum. z is the least integer with eta_0
    < eta = 0.3 eps^2; the start is where PGD at that eta first has ||Gamma|| <= sqrt(eta). ``slope`` is that of log
    D_s against log(s + z) from 3 z on, while D_s is above rounding (``decades`` says how far that is); linearising the
    step predicts -4 mu / beta. ``growth``: the largest D_s (s + z) / (D_0 z), 1 at s = 0. ``constant`` is D after as
    many steps at eta_0 instead (or fewer, once it is rounding), ``final`` the last D_s.
    """
    problem = draw(d, m, eps, seed=seed)
    eta = 0.3 * eps**2
    start, target = arrive(problem, starts, eta, seed=seed, limit=limit)
    mu = float(target.eigenvalues[:, 0].min())
    beta = beta_ratio * mu
    z = math.ceil(2 / (beta * eta)) + 1
    schedule = shrinking(beta, z)
    steps = (horizon - 1) * z
    distance = ((pgd(problem, start, steps=steps, step_size=schedule).delta - target.delta) ** 2).sum(-1)
    time = torch.arange(len(distance), dtype=torch.float64) + z
    keep = (time >= 3 * z) & (distance > 1e-24 * eps**2).all(-1)
    enough = math.ceil(40 / (mu * schedule(0)))  # e^-40 of the first distance: rounding holds it from then on
    same = pgd(problem, start, steps=min(steps, enough), step_size=schedule(0))
    return {
        "mu": mu,
        "beta": beta,
        "z": z,
        "slope": _slope(time[keep], distance[keep].mean(-1)),
        "decades": float((time[keep].max() / time[keep].min()).log10()) if keep.any() else 0.0,
        "predicted": -4 / beta_ratio,
        "condition": schedule_condition(schedule, beta),
        "growth": float((distance.mean(-1) * time / (distance[0].mean() * z)).max()),
        "largest_over_eta": float((distance.amax(-1) / torch.tensor([schedule(s) for s in range(len(time))])).max()),
        "constant": ((same.end - target.delta) ** 2).sum(-1).mean().item(),
        "final": distance[-1].mean().item(),
    }


def _slope(x: Tensor, y: Tensor) -> float:
    """Least-squares slope of log y against log x; NaN for fewer than 20 points."""
    return float(linregress(x.log().numpy(), y.log().numpy()).slope) if len(x) >= 20 else math.nan


def recursion(
    gamma: float, eta: Callable[[NDArray[np.float64]], NDArray[np.float64]], first: float, count: int
) -> NDArray[np.float64]:
    """D_0 = ``first`` to D_count of D_{s+1} = (1 - gamma eta_s) D_s + 9 eta_s^2, the worst that A.5 allows.

    Raises ValueError unless gamma eta_s < 1 at every s.
    """
    steps = np.asarray(eta(np.arange(count, dtype=float)))
    if not (gamma * steps < 1).all():
        raise ValueError(f"gamma eta_s must be below 1; got {gamma * steps.max():g}")
    logs = np.concatenate(([0.0], np.log1p(-gamma * steps).cumsum()))  # log of the product before step s
    noise = np.logaddexp.accumulate(np.log(9 * steps**2) - logs[1:])
    return np.exp(logs + np.logaddexp(math.log(first), np.concatenate(([-np.inf], noise))))


def schedules(
    *,
    d: int,
    m: int,
    eps: float,
    power: float,
    kappa: float | None,
    seed: int,
    device: str = "cpu",
    gap: float = 1.0,
    starts: int = 3,
    horizon: int = 300,
) -> Numbers:
    """Lemma A.8 for eta_s = eta_0 (z / (s + z))^``power``, eta_0 = ``kappa`` / (mu z), about 0.9 eps^2: D_s, (12).

    ``kappa`` None is the schedule of the lemma's example as printed, eta_s = 1 / (s + z), that is kappa = mu. The rate
    gamma of the lemma is mu, the least curvature at the minimum. ``condition`` is the larger of left over right side
    of (12), with s + k < 200. ``growth``: D_s / eta_s at s + z = ``horizon`` z over that at a tenth of the time (not
    above 1 where it does not grow), for PGD; ``worst_case_growth``: for the proof's recursion, at 10^5 z over 10^3 z.
    ``fall``: the last D_s over that at a tenth of the time.
    """
    problem = draw(d, m, eps, seed=seed, gap=gap)
    start, target = arrive(problem, starts, 0.3 * eps**2, seed=seed)
    mu = float(target.eigenvalues[:, 0].min())
    scale = mu if kappa is None else kappa
    z = math.ceil(scale / min(0.9 * mu * eps**2, 0.5)) + 1  # a large enough integer: gamma eta_0 < 1/2
    eta_0 = scale / (mu * z)

    def eta(s: Any) -> Any:
        return eta_0 * (z / (s + z)) ** power

    tenth, last = (horizon // 10 - 1) * z, (horizon - 1) * z
    path = pgd(problem, start, steps=last, step_size=eta).delta
    distance = ((path - target.delta) ** 2).sum(-1).mean(-1).clamp_min(1e-28 * eps**2).numpy()  # rounding
    worst = recursion(mu, eta, 18 * eta_0 / mu, 10**5 * z)
    return {
        "mu": mu,
        "z": z,
        "kappa_used": scale,
        "condition": schedule_condition(eta, mu),
        "growth": float(distance[last] / distance[tenth] * eta(tenth) / eta(last)),
        "worst_case_growth": float(worst[-1] / worst[10**3 * z] * eta(10**3 * z) / eta(10**5 * z)),
        "fall": float(distance[last] / distance[tenth]),
    }


RATIOS = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0]

COROLLARY_3_1 = float64(
    "corollary_3_1",
    shrinking_rate,
    {
        "live": {"d": 4, "m": 128, "eps": 0.2, "beta_ratio": [2.0, 4.0, 8.0, 16.0], "horizon": 30},
        "laptop": [
            {"d": [2, 8, 32], "m": 256, "eps": 0.2, "beta_ratio": RATIOS},
            {"d": [2, 8, 32], "m": 256, "eps": 0.2, "beta_ratio": 0.5, "horizon": 30},
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.05, 0.2], "beta_ratio": RATIOS} for d, m in [(2, 64), (8, 256), (16, 1024)]
        ],
    },
    {"live": 2, "laptop": 6, "full": 20},
    cost=costs.shrinking_rate,
)

SCHEDULES = float64(
    "schedules",
    schedules,
    {
        "live": {"d": 4, "m": 128, "eps": 0.2, "power": [0.75, 1.0, 2.0], "kappa": [0.25, 3.0], "horizon": 100},
        "laptop": [
            {"d": 8, "m": 256, "eps": 0.2, "power": [0.5, 0.75, 1.0, 2.0], "kappa": [0.25, 0.75, 1.5, 2.0, 3.0]},
            {"d": 8, "m": 256, "eps": 0.2, "power": 1.0, "kappa": None, "horizon": 100},
            {"d": [2, 8], "m": 256, "eps": 1.0, "power": 1.0, "kappa": None, "gap": [0.1, 1.0]},
        ],
    },
    {"live": 2, "laptop": 6},
)
