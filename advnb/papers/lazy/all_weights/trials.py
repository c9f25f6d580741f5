"""Theorem 3.1 "simultaneously for all W", and in the cone over the ball.

The theorem speaks of one x and all weights in the ball at once. Trained networks are a few of these weights, chosen
without regard to x; :func:`adversary` builds the ones that resist at one given x.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from advnb import checks
from advnb.experiments import Experiment, Tolerance
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.several import several_steps
from advnb.papers.lazy.sgd import Exit, lazy_sgd
from advnb.papers.lazy.task import digit_pair, random_start

ANGLES = tuple(range(0, 91, 10))
"""Degrees between the two ways in which weights resist at x: a larger value and a smaller gradient."""

Numbers = dict[str, Any]


@torch.no_grad()
def adversary(net: TwoLayer, x: Tensor, radius: float, angle: float) -> TwoLayer:
    """Return a copy of ``net`` in which every unit has moved by V = ``radius`` so as to resist one step at x (1, d).

    Each unit moves along sign(f) a_s (cos(angle) x / ||x|| - sin(angle) u), ``angle`` in degrees, with u the direction
    of the gradient of |f| at right angles to x. At 0 this attains the largest sign(f) f(x) of the ball; at 90 it
    takes the most from the gradient.
    """
    f, gradient = net.value_and_gradient(x)
    along = x[0] / torch.linalg.vector_norm(x)
    fall = f.sign() * gradient[0]
    across = fall - (fall @ along) * along
    across = across / torch.linalg.vector_norm(across).clamp_min(torch.finfo(x.dtype).tiny)
    turn = math.radians(angle)
    push = math.cos(turn) * along - math.sin(turn) * across
    moved = copy.deepcopy(net)
    moved.weight.add_((f.sign() * net.signs)[:, None] * push, alpha=checks.positive("radius", radius))
    return moved


def worst_weights(
    *, d: int, m: int, c0: list[float], points: int, seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of "for all W": weights in the ball built against one x, for ``points`` random x on the sphere.

    Each field has an entry for each C0; lengths are in units of 1 / sqrt(d) and those above ||x|| count as ||x||,
    where f is 0. ``start`` is the mean one-step length at W_0, ``pushed`` that with the largest |f(x)|, and ``worst``
    that at the angle of ``ANGLES`` where it is longest (``angle``, a mean). ``several`` steps need that much at these
    weights. ``held`` is the share of x at which no step shorter than ||x|| changes the sign.
    """
    generator = torch.Generator().manual_seed(seed)
    net, x = random_start(d, m, points, generator, dtype=dtype, device=device)
    start = float(minimal_flip(net, x).norm.clamp(max=1).mean()) * d**0.5
    rows = [[_resisting(net, row[None], size / m**0.5) for row in x] for size in c0]
    means = {name: [sum(r[name] for r in row) / points for row in rows] for name in rows[0][0]}
    return {"start": [start] * len(c0), **means}


def _resisting(net: TwoLayer, x: Tensor, radius: float) -> dict[str, float]:
    """Return what it takes to flip one x (1, d) of norm 1 at the most resisting weights found."""
    lengths = [float(minimal_flip(adversary(net, x, radius, angle), x).norm) for angle in ANGLES]
    worst = max(range(len(ANGLES)), key=lambda k: lengths[k])
    reach = x.new_tensor([min(lengths[worst], 1.0)])
    several = several_steps(adversary(net, x, radius, ANGLES[worst]), x, reach)
    unit = net.d**0.5
    return {
        "pushed": min(lengths[0], 1.0) * unit,
        "worst": float(reach) * unit,
        "several": float(several) * unit,
        "angle": float(ANGLES[worst]),
        "held": float(lengths[worst] >= 1),
    }


def scaled_weights(
    *, side: int, m: int, c0: float, scale: list[float], seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of Figure 1: multiply all weights of a network by each of ``scale``; nothing else may change.

    The network is trained on digits to the edge of the ball of C0. An entry for each scale r, over the test images:
    ``same`` is the share of predictions that stay, ``norm`` the largest relative change of the length of the smallest
    flip, ``eta`` the largest relative difference of r eta to the eta before.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair("digits", side, "unit").to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    lazy_sgd(net, both.train.x, both.train.y, [c0], steps=2000, generator=generator)
    x = both.test.x
    before, sign = minimal_flip(net, x), net(x).sign()
    rows: Numbers = {"same": [], "norm": [], "eta": []}
    for r in scale:
        scaled = copy.deepcopy(net)
        with torch.no_grad():
            scaled.weight.mul_(r)
        after = minimal_flip(scaled, x)
        rows["same"].append(float((scaled(x).sign() == sign).double().mean()))
        rows["norm"].append(float((after.norm / before.norm - 1).abs().max()))
        rows["eta"].append(float((r * after.eta / before.eta - 1).abs().max()))
    return rows


def cone_radius(weight: Tensor, start: Tensor) -> float:
    """Return the smallest C0 whose cone over the ball around ``start`` holds ``weight`` (both (m, d)).

    It is the minimum over r > 0 of sqrt(m) max_s ||r w_s - w_{s,0}||, a convex function of r.
    """
    found = minimize_scalar(lambda r: largest_movement(r * weight, start), bounds=(1e-3, 2.0), method="bounded")
    return float(min(found.fun, largest_movement(weight, start)))


def outside(
    *, side: int, m: int, radii: list[float], steps: int, lr: float, seed: int, device: str, dtype: torch.dtype
) -> Numbers:
    """Trial of the cone: networks trained on digits past each of ``radii``, and the cone that they are in.

    An entry for each radius that training passes, and one for its end: ``moved``, sqrt(m) times the largest movement
    of a unit, and ``cone``, the smallest C0 whose cone holds the network.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair("digits", side, "unit").to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    start = net.weight.detach().clone()
    rows: Numbers = {"moved": [], "cone": []}

    def look(seen: TwoLayer, exit: Exit) -> None:
        rows["moved"].append(largest_movement(seen.weight.detach(), start))
        rows["cone"].append(cone_radius(seen.weight.detach(), start))

    lazy_sgd(net, both.train.x, both.train.y, radii, steps=steps, lr=lr, reduction="sum", generator=generator,
             visit=look)  # fmt: skip
    return rows


_C0 = [[1.0, 5.0, 10.0, 20.0, 30.0, 40.0]]

WORST_WEIGHTS = Experiment(
    "lazy.worst_weights",
    worst_weights,
    {
        "live": {"d": [25, 100, 784], "m": 300, "c0": [[1.0, 5.0, 10.0, 20.0]], "points": 2},
        "laptop": [
            {"d": [25, 49, 100, 196, 400, 625, 784, 3136], "m": 1000, "c0": _C0, "points": 5},
            {"d": [25, 100, 400, 784], "m": 10_000, "c0": _C0, "points": 2},
        ],
        "full": {"d": [25, 100, 400, 784, 3136, 12544], "m": [1000, 10_000, 100_000], "c0": _C0, "points": 10},
    },
    {"live": 2, "laptop": 5, "full": 20},
    tolerance=Tolerance(rtol=0.05, atol=0.1),
    tolerances={"angle": Tolerance(atol=20.0)},
    cost=costs.worst_weights,
)  # fmt: skip
"""Theorem 3.1, "simultaneously for all W": the weights in the ball that resist one step at one x the longest."""

CONE = Experiment(
    "lazy.cone",
    scaled_weights,
    {"live": {"side": 8, "m": 500, "c0": 10.0, "scale": [[1e-3, 0.1, 7.0, 1e3]]}},
    {"live": 5},
    dtype="float64",
    tolerance=Tolerance(rtol=0.0, atol=1e-9),  # changes of 0 but for rounding, which is all that they hold
)
"""Figure 1: the cone of weights that classify as those of the ball."""

OUTSIDE = Experiment(
    "lazy.outside",
    outside,
    {"live": {"side": 8, "m": 500, "radii": [[5.0, 10.0, 20.0, 40.0]], "steps": 5000, "lr": 0.1}},
    {"live": 5},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-3),  # thousands of SGD steps in float64, and a search over r
)
"""Figure 1: whether networks that training takes out of the ball are in the cone over it."""
