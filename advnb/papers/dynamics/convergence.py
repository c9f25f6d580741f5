"""Trials on how projected gradient descent converges: Theorem 3.1, Corollary 3.1, Lemmas 4.1, 4.5, A.5 to
A.8.

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
from advnb.papers.dynamics.lemmas import ball_constants, projection_error
from advnb.papers.dynamics.problem import Problem, cosine, draw, in_ball
from advnb.papers.dynamics.sphere import SpherePoints, newton

Numbers = dict[str, float | int | bool | str | list[float] | list[int] | None]


def run_until_stationary(
    problem: Problem, start: Tensor, eta: float, *, limit: int = 200_000, block: int = 250
) -> tuple[Path, Tensor]:
    """PGD at constant ``eta`` until every trajectory is on the sphere with ||Gamma|| <= sqrt(eta) (Theorem
    3.1).

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
    """Theorem 3.1 at one net: iterations and distances for eta = ``eta_ratio`` eps^2, from uniform starts in
    the ball.

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
    """Lemma 4.5: which trajectories reach Delta^-, and which leave Delta^+ again, for the paper's two
    definitions.

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
    result["l45_condition"] = (
        math.acos(max(-1.0, min(1.0, constants.cosine_min))) + math.acos(inside**0.5)
    ) / (math.pi / 4)
    for name, level in (("section4", 1 - math.sqrt(eta) / floor), ("appendix", math.sqrt(inside))):
        bad, good = surface & (angle <= -level), surface & (angle >= level)
        arrived = good.int().cummax(0).values.bool()
        result[f"l45_{name}_reaches_maxima"] = float(bad.any(0).double().mean())
        result[f"l45_{name}_leaves_minima"] = float((arrived & ~good).any(0).double().mean())
    return result


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
) -> Numbers:
    """Corollary 3.1, Remark 3, Lemma A.8: D_s = ||delta_s - delta*||^2 under eta_s = 2 / (beta (s + z)).

    beta = ``beta_ratio`` times the least tangent eigenvalue mu of Xi at the minimum. z is the least integer
    with eta_0 < eta = eps^2 / 10; the start is where PGD at that eta first has ||Gamma|| <= sqrt(eta); s
    runs to ``horizon`` z. ``slope`` is that of log D_s against log(s + z) over the last half of the
    logarithmic range; linearising the step predicts -4 mu / beta. ``constant`` is D after as many steps at
    eta_0 instead.
    """
    problem = draw(d, m, eps, seed=seed)
    eta = 0.1 * eps**2
    path, stop = run_until_stationary(problem, in_ball(problem, starts, seed=seed), eta)
    start = path.delta[stop.clamp_min(0), torch.arange(starts)]
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
        "slope": _slope(time[keep].log(), distance[keep].mean(-1).log())
        if int(keep.sum()) > 20
        else math.nan,
        "predicted": -4 / beta_ratio,
        "condition": schedule_condition(schedule, beta),
        "largest_over_eta": float(
            (distance.amax(-1) / torch.tensor([schedule(s) for s in range(len(time))])).max()
        ),
        "s": every.tolist(),
        "D": distance[every].mean(-1).tolist(),
        "constant": ((same.end - target.delta) ** 2).sum(-1).mean().item(),
        "final": distance[-1].mean().item(),
    }


def _slope(x: Tensor, y: Tensor) -> float:
    """Least-squares slope of y against x."""
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())
