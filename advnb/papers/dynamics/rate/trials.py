"""The trial of the page *rate*: contraction measured along runs of projected gradient descent, in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from advnb.attacks import Direction
from advnb.experiments import Tolerance
from advnb.papers.dynamics.descent import pgd
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.papers.dynamics.rate.quantities import Rate, bends, outward_pull, slowest_direction
from advnb.papers.dynamics.settings import Numbers, float64
from advnb.papers.dynamics.sphere import descend_sphere, newton

STEPS = (0.1, 1.0, 10.0, 1000.0)
"""Step sizes in radii that every network is run at, beside the best one and those on either side of the repelling."""

HUGE = 1e9
"""Stands for an infinite step: the factor differs from its limit by about 1e-9."""

OFFSET = 1e-5
"""Distance from the minimum, in radii, where a measured run starts: the next order changes the factor by as much."""

FALL = 1e-4
"""A run is followed until its distance is this part of the first: 1e-9 radii, where rounding is 1e-7 of it a step."""

LONGEST = 4000
"""Steps at most; a factor of 0.9 reaches the end in 90."""

TINY = 1e-3
"""Below this factor a run is over after a step or two: there is no rate to measure."""


def measured_factor(
    problem: Problem, minimum: Tensor, s: float, predicted: float, *, direction: Direction = "gradient"
) -> float:
    """Geometric mean of the factors of a run that starts beside ``minimum`` (1, d), in the slowest direction.

    Its length comes from the ``predicted`` factor alone: until 1e-9 radii, or, where the point repels, from 1e-8 to
    1e-5 radii. NaN where it is below :data:`TINY`.
    """
    if predicted < TINY:
        return math.nan
    repels = predicted > 1
    first = problem.eps * (1e-8 if repels else OFFSET)
    start = minimum + first * slowest_direction(problem, minimum, s)
    start = start * (problem.eps / start.norm(dim=-1, keepdim=True))
    aim = math.log(1e3) if repels else math.log(FALL)
    count = min(LONGEST, max(1, int(aim / math.log(predicted))))
    run = pgd(problem, start, steps=count, step_size=_size(problem, minimum, s, direction), direction=direction)
    distance = (run.delta - minimum).norm(dim=-1)[:, 0]
    return float((distance[-1] / distance[0]) ** (1 / count))


def _size(problem: Problem, minimum: Tensor, s: float, direction: Direction) -> float:
    """The step size of ``s`` radii: a length, or eta = s eps / g."""
    return s * problem.eps / (1.0 if direction == "steepest" else float(outward_pull(problem, minimum)))


def from_the_ball(problem: Problem, start: Tensor, minimum: Tensor, s: float, predicted: float) -> dict[str, float]:
    """Runs from uniform starts (n, d) at ``s`` radii: how their rate -log(factor) compares with that of their limit.

    ``least`` and ``median``: of measured over predicted rate, on the stretch from 1e-3 to 1e-9 radii. ``steps``: the
    median number until 1e-9 radii. ``arrived``: the share of starts that came as near to a minimum. NaN where none.
    """
    count = min(LONGEST, 100 + int(1.5 * math.log(1e-11) / math.log(max(predicted, TINY))))
    run = pgd(problem, start, steps=count, step_size=_size(problem, minimum, s, "gradient"))
    limit = newton(problem, run.end)
    distance = (run.delta - limit.delta).norm(dim=-1) / problem.eps
    ratios, steps = [], []
    for i in range(len(start)):
        near = (distance[:, i] <= 1e-9).nonzero()
        if len(near) and int(limit.index[i]) == 0:
            steps.append(int(near[0]))
            window = ((distance[:, i] <= 1e-3) & (distance[:, i] >= 1e-9)).nonzero()[:, 0]
            own = Rate.of(bends(problem, limit.delta[i : i + 1])).factor(
                s * _pull_ratio(problem, limit.delta[i], minimum)
            )
            if len(window) > 1 and own > TINY:
                first, last = int(window[0]), int(window[-1])
                rate = -math.log(distance[last, i] / distance[first, i]) / (last - first)
                ratios.append(rate / -math.log(own))
    nothing = [math.nan]
    return {
        "least": min(ratios or nothing),
        "median": float(torch.tensor(ratios or nothing).median()),
        "steps": float(torch.tensor(steps or nothing, dtype=torch.float64).median()),
        "arrived": len(steps) / len(start),
    }


def _pull_ratio(problem: Problem, limit: Tensor, minimum: Tensor) -> float:
    """||dL|| at ``limit`` (d,) over that at ``minimum`` (1, d): one eta is another number of radii there."""
    return float(outward_pull(problem, limit[None]) / outward_pull(problem, minimum))


def contraction(
    *,
    d: int,
    m: int,
    eps: float,
    seed: int,
    device: str = "cpu",
    loss: str = "squared",
    convention: str = "minus",
    gap: float = 1.0,
    starts: int = 4,
) -> Numbers:
    """One network: the factors at eta = eps^2, each of :data:`STEPS`, the best step, 0.9 and 1.1 of the repelling one.

    Lists have an entry a step: ``s`` in radii; ``predicted``; ``raw`` and ``normalised``, the factors measured beside
    the minimum with raw gradients and with steps of fixed length; ``least``, ``median``, ``steps``, ``arrived`` from
    uniform starts (NaN for a repelling step). ``rest``: how far one step moves the strongest adversary,
    and ``leaves`` the opposite critical point, where -dL points inwards, in units of eta ||dL|| and eta = eps^2. Where
    the bottom of the sphere pulls inwards (``g`` at most 0: a large ball can hold its strongest adversary inside),
    nothing rests there, and the lists are empty.
    """
    label = 1.0 if convention == "minus" else 0.0  # the side of the cross entropy to which descent pushes f
    y = label if loss == "cross_entropy" else None
    problem = draw(d, m, eps, seed=seed, loss=loss, convention=convention, y=y, gap=gap)
    uniform = in_ball(problem, starts, seed=seed)
    found = newton(problem, descend_sphere(problem, uniform[:1]))
    minimum = found.delta
    pull = float(outward_pull(problem, minimum))
    if pull <= 0:
        return _no_rest(pull)
    rate = Rate.of(bends(problem, minimum)[0])
    sizes = [eps * pull, *STEPS, min(rate.best_step, HUGE)]
    if 0 < rate.repels_beyond < math.inf:
        sizes += [0.9 * rate.repels_beyond, 1.1 * rate.repels_beyond]
    predicted = [rate.factor(s) for s in sizes]
    pairs = list(zip(sizes, predicted, strict=True))
    lost = dict.fromkeys(("least", "median", "steps", "arrived"), math.nan)
    ball = [from_the_ball(problem, uniform, minimum, s, p) if p < 1 else lost for s, p in pairs]
    weakest = newton(problem, descend_sphere(upside_down(problem), -minimum))
    return {
        "s": sizes,
        "predicted": predicted,
        "raw": [measured_factor(problem, minimum, s, p) for s, p in pairs],
        "normalised": [measured_factor(problem, minimum, s, p, direction="steepest") for s, p in pairs],
        **{name: [row[name] for row in ball] for name in lost},
        "c_min": rate.least,
        "c_max": rate.most,
        "repels_beyond": None if math.isinf(rate.repels_beyond) else rate.repels_beyond,
        "g": pull,
        "residual": float(found.residual[0]),
        "rest": _moves(problem, minimum),
        "leaves": _moves(problem, weakest.delta) if float(outward_pull(problem, weakest.delta)) < 0 else math.nan,
    }


def _no_rest(pull: float) -> Numbers:
    """What :func:`contraction` returns where there is no point of rest."""
    lists = ("s", "predicted", "raw", "normalised", "least", "median", "steps", "arrived")
    none = ("c_min", "c_max", "repels_beyond", "residual", "rest", "leaves")
    return {**{name: [] for name in lists}, **dict.fromkeys(none), "g": pull}


def upside_down(problem: Problem) -> Problem:
    """The same problem with the other sign of L: its strongest adversaries are the weakest of ``problem``."""
    return problem.having(convention="plus" if problem.convention == "minus" else "minus")


def _moves(problem: Problem, delta: Tensor) -> float:
    """How far one step of eta = eps^2 moves ``delta`` (1, d), in units of eta ||dL||."""
    eta = problem.eps**2
    step = pgd(problem, delta, steps=1, step_size=eta)
    return float((step.end - delta).norm() / (eta * problem.gradient(delta).norm()))


WINDOW = Tolerance(rtol=0.02)
"""For a rate between two steps of a run: which they are hangs on a comparison with 1e-9 radii, and so on rounding."""

RADII = (0.05, 0.2, 1.0, 3.0)

CONTRACTION = float64(
    "contraction",
    contraction,
    {
        "live": {"d": 8, "m": 64, "eps": [0.2, 3.0]},
        "laptop": [
            {"d": [2, 8, 32, 64], "m": 512, "eps": list(RADII)},
            {"d": 8, "m": [64, 4096], "eps": list(RADII)},
            {"d": [8, 32], "m": 512, "eps": 10.0},
            {"d": 8, "m": 512, "eps": [0.2, 1.0], "loss": ["cross_entropy", "pseudo_huber"]},
            {"d": 8, "m": 512, "eps": [0.2, 1.0], "convention": "plus", "gap": 3.0},
        ],
    },
    {"live": 3, "laptop": 10},
    tolerances={"least": WINDOW, "median": WINDOW, "steps": Tolerance(rtol=0.0, atol=1.0)},
)
