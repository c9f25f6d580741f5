"""What the chapter's trials on two-layer networks cost, counted from these (``advnb.experiments.cost``).

Each function takes the arguments of a trial and what it returned, or None. Searches that may end early are counted to
their limit; the iterations of Theorem 3.1 by the law that the trial stores beside what it measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from advnb.experiments.cost import Cost, Pass, counted
from advnb.papers.dynamics.circle import ROWS as ROWS_AT_ONCE
from advnb.papers.dynamics.circle import f_bend, f_slope, sweep
from advnb.papers.dynamics.problem import Problem, draw

ROWS = 64
"""Points at which passes are counted; flops and numbers grow with them, calls do not."""

SAMPLES, BENDS, HALVINGS, FEW = 2048, 36, 60, 16
"""``circle.circle_points``: the sweep, the points through a unit's bend at most, the bisection's rounds, and about how
many places it looks for where no unit bends."""

BLOCK = 250
"""Steps that ``run_until_stationary`` takes before it looks."""

Given = Mapping[str, Any]
Values = Mapping[str, Any] | None


def _without_memory(d: int, m: int) -> Problem:
    problem = Problem(torch.zeros(m, d), torch.zeros(m), torch.zeros(d), torch.zeros(()), 1.0)
    return problem.having(**{name: getattr(problem, name).to("meta") for name in ("W", "a", "x", "y")})


@lru_cache(maxsize=512)
def point(d: int, m: int, what: str = "value_and_gradient") -> Pass:
    """Return the pass over points of the softplus network that ``what``, a method of ``Problem``, makes."""
    delta = torch.empty(ROWS, d, device="meta")
    method: Callable[[Tensor], Any] = getattr(_without_memory(d, m), what)
    cost = counted(lambda: method(delta))
    return Pass(cost.flops / ROWS, cost.numbers / ROWS, cost.calls, 1)


# -- the circle


@lru_cache(maxsize=512)
def _along(m: int, what: Callable[[Problem, Tensor], Tensor]) -> Pass:
    """Return the pass over angles that ``circle.f_slope`` or ``circle.f_bend`` makes."""
    theta = torch.empty(ROWS, dtype=torch.float64, device="meta")
    cost = counted(lambda: what(_without_memory(2, m), theta))
    return Pass(cost.flops / ROWS, cost.numbers / ROWS, cost.calls, 1)


@lru_cache(maxsize=4096)
def _bends(m: int, eps: float, scale: float, inside: bool) -> int:
    """Return how many units of the first network bend between two points of the sweep."""
    problem = draw(2, m, eps, seed=0, scale=scale, inside=inside)
    return (len(sweep(problem, SAMPLES)) - SAMPLES) // BENDS


def _circle(m: int, eps: float, scale: float, inside: bool = True) -> Cost:
    """Return ``circle_points``: two sweeps over 2,048 points and 36 a unit that bends between them, and bisections.

    f_theta turns where the bends of neighbours differ in sign, which half of them do, and in few places of the sweep.
    """
    bends = _bends(m, eps, scale, inside)
    points, turns = SAMPLES + BENDS * bends, FEW + bends / 2
    bend, slope = _along(m, f_bend), _along(m, f_slope)
    swept = bend.over(points, math.ceil(points / ROWS_AT_ONCE)) + slope.over(
        points + turns, math.ceil(points / ROWS_AT_ONCE)
    )
    return swept + HALVINGS * (bend.over(turns) + slope.over(FEW))


def _panel(given: Given) -> Cost:
    return _circle(given["m"], given["ratio"] * given["scale"], given["scale"])


def landscape(given: Given, values: Values) -> Cost:
    """Return the cost of a panel of Figures 1, 4 and 5."""
    return _panel(given)


def circle_escape(given: Given, values: Values) -> Cost:
    """Return the cost of a trajectory of Figure 1: 10,000 points, ten step sizes, two long descents."""
    one = point(2, given["m"])
    steps = 10 * given["steps"] + 2 * 300
    return _panel(given) + one.over(30_000, 3) + one.over(steps, steps)


def near_maxima(given: Given, values: Values) -> Cost:
    """Return the cost of descents from near the maxima (taken as m of them): two of 300 steps, all at once."""
    one = point(2, given["m"])
    return _panel(given) + one.over(1000) + one.over(600 * 4 * given["m"], 600)


def count_against_eps(given: Given, values: Values) -> Cost:
    """Return the cost of Theorem 5.1 at d = 2: the count and its proof at each radius, and the certified radii."""
    m, scale = given["m"], given["scale"]
    radii = torch.logspace(given["low"], given["high"], given["points"], dtype=torch.float64).tolist()
    counts = sum((2 * _circle(m, eps, scale, inside=False) for eps in radii), Cost())
    return counts + point(2, m, "f_hessian").over(40_000, 400)


def count_on_sphere(given: Given, values: Values) -> Cost:
    """Return the cost of Theorem 5.1 for d > 2: 60 steps down from 100 starts, 50 of Newton from 200, and bounds.

    The eigenvalues of a (d - 1) x (d - 1) matrix are counted as 9 d^3 operations each.
    """
    d, m, starts = given["d"], given["m"], given["starts"]
    newton = point(d, m, "hessian"), point(d, m)
    rounds = ((starts, 60, 6), (2 * starts, 50, 3))
    total = Cost()
    for rows, steps, values_each in rounds:
        total += newton[0].over(rows * steps, steps) + newton[1].over(rows * steps * values_each, steps * values_each)
        total += Cost(9 * d**3 * rows * steps, d * d * rows * steps, 10 * steps)
    return total + point(d, m, "f_hessian").over(2000, 40)


# -- trajectories of Theorem 3.1


@lru_cache(maxsize=4096)
def _slope(d: int, m: int, eps: float) -> float:
    """Return ||dL|| at the centre of the first network."""
    problem = draw(d, m, eps, seed=0)
    return float(problem.gradient(torch.zeros(1, d, dtype=torch.float64)).norm())


def _law(given: Given, ratio: float) -> float:
    """Return the law's steps until ||Gamma|| <= sqrt(eta), as in ``stationarity``'s field ``law``."""
    eps, size = given["eps"], _slope(given["d"], given["m"], given["eps"])
    eta = ratio * eps**2
    return eps / (eta * size) * max(1.0, math.log(2 * size / math.sqrt(eta)))


def _until_stationary(given: Given, ratio: float, starts: int, values: Values) -> Cost:
    """Return ``run_until_stationary``: whole blocks of steps, and Gamma along the path."""
    recorded = values.get("steps") if values else None
    steps = max(recorded) if isinstance(recorded, list) and recorded else _law(given, ratio)
    steps = BLOCK * math.ceil(max(1.0, steps) / BLOCK)
    one = point(given["d"], given["m"])
    return one.over(starts * steps, steps) + one.over(starts * steps, steps / BLOCK) + Cost(0, 0, 30 * steps)


def stationarity(given: Given, values: Values) -> Cost:
    """Return the cost of Theorem 3.1 at one net: the way to stationarity, then Newton to the minimum."""
    d, m, starts = given["d"], given["m"], given["starts"]
    ends = point(d, m, "hessian").over(30 * starts, 30) + point(d, m).over(60 * starts, 60) + Cost(0, 0, 600)
    return _until_stationary(given, given["eta_ratio"], starts, values) + ends


def step_lemmas(given: Given, values: Values) -> Cost:
    """Return the cost of the lemmas along trajectories: the way, and gradients and Hessians along it."""
    starts = given.get("starts", 10)
    steps = _law(given, given["eta_ratio"])
    along = point(given["d"], given["m"], "hessian").over(starts * steps) + point(given["d"], given["m"]).over(
        4 * starts * steps
    )
    return _until_stationary(given, given["eta_ratio"], starts, None) + along


def shrinking_rate(given: Given, values: Values) -> Cost:
    """Return the cost of Corollary 3.1: the way in, then ``horizon`` times z shrinking steps, and as many constant.

    z follows from the curvature mu at the minimum, which is taken as ||dL|| / eps where no result says it.
    """
    eps, starts = given["eps"], given["starts"]
    eta = 0.3 * eps**2
    mu = values["mu"] if values else _slope(given["d"], given["m"], eps) / eps
    z = math.ceil(2 / (given["beta_ratio"] * mu * eta)) + 1
    steps = (given["horizon"] - 1) * z
    same = min(steps, math.ceil(40 / (mu * eta)))
    one = point(given["d"], given["m"])
    walked = steps + same + 500
    return _until_stationary(given, 0.3, starts, None) + one.over(starts * walked, walked) + Cost(0, 0, 30 * walked)
