"""Figure 4: where projected adversarial training stops helping, over dimension and budget, width and radius."""

from __future__ import annotations

from typing import Any

import torch

from advnb.experiments import Experiment, Tolerance
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.adversarial import robust_accuracy, robust_ceiling, train_projected
from advnb.papers.lazy.ball import largest_movement, movement
from advnb.papers.lazy.projected import FULL, LIVE, ROUNDED, SMALL, experiment
from advnb.papers.lazy.task import digit_pair

BUDGETS = [0.05, 0.08, 0.12, 0.2, 0.3, 0.45, 0.7, 1.0]
FIGURE_4_LEFT = experiment(
    "figure_4_left",
    {
        "live": {**LIVE, "side": [4, 8], "m": 200, "c0": 10.0, "budget": [0.1, 0.2, 0.4, 0.8]},
        "laptop": {**SMALL, "side": [5, 7, 10, 14, 18, 20, 25, 28], "m": 1000, "c0": 10.0, "budget": BUDGETS},
        "full": {**FULL, "side": list(range(5, 29)), "m": 1000, "c0": 10.0,
                 "budget": [k / 20 for k in range(1, 21)], "reduction": ["sum", "mean"]},
    },
    {"live": 2, "laptop": 3, "full": 5},
)  # fmt: skip
"""Robust accuracy over d and the budget, at m = 1000 and V = 10 / sqrt(m)."""

FIGURE_4_RIGHT = experiment(
    "figure_4_right",
    {
        "live": {**LIVE, "side": 8, "m": [100, 400], "radius": [0.25, 0.5, 1.0, 2.0], "budget": 0.3},
        "laptop": {**SMALL, "side": 28, "m": [250, 500, 1000, 2000], "budget": 0.2,
                   "radius": [0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5]},
        "full": {**FULL, "side": 28, "m": [100, 300, 1000, 3000, 10_000], "budget": 0.2,
                 "radius": [k / 20 for k in range(1, 21)], "reduction": ["sum", "mean"]},
    },
    {"live": 2, "laptop": 3, "full": 5},
)  # fmt: skip
"""Robust accuracy over the width and the radius V, at d = 784 and budget 0.2."""

STEP = 1.15
"""The factor between neighbouring points of the fine grids: a threshold is known as well as that, and no better."""


def scaled(side: int, first: int, last: int) -> list[float]:
    """Return budgets R = 5 ``STEP``^k / sqrt(d), d = ``side``^2, for k from ``first`` to ``last``."""
    return [round(5 * STEP**k / side, 4) for k in range(first, last + 1)]


def about(c0: float, first: int, last: int) -> list[float]:
    """Return the values of C0, or of R, at ``c0`` ``STEP``^k for k from ``first`` to ``last``."""
    return [round(c0 * STEP**k, 4) for k in range(first, last + 1)]


FIGURE_4_LEFT_EDGE = experiment(
    "figure_4_left_edge",
    {
        "live": {**LIVE, "side": 8, "m": 200, "c0": 10.0, "budget": scaled(8, -4, -3)},
        "laptop": [
            {**SMALL, "side": side, "m": 1000, "c0": 10.0, "budget": scaled(side, first, last)}
            for side, first, last in ((5, -9, -2), (7, -7, 1), (10, -6, 2), (14, -6, 2), (20, -6, 2), (28, -6, 2))
        ],
    },
    {"live": 1, "laptop": 6},
)
"""The left panel again about its edge: budgets a factor of 1.15 apart, 5 / sqrt(d) one of them, six seeds."""

FIGURE_4_RIGHT_EDGE = experiment(
    "figure_4_right_edge",
    {
        "live": {**LIVE, "side": 8, "m": 100, "c0": about(25.0, -3, -2), "budget": 0.3},
        "laptop": [
            {**SMALL, "side": 28, "m": [250, 500, 1000], "budget": 0.2, "c0": about(25.0, -6, 1)},
            {**SMALL, "side": 28, "m": 2000, "budget": 0.2, "c0": about(25.0, -6, -1)},
        ],
    },
    {"live": 1, "laptop": 6},
)
"""The right panel again about its edge: radii a factor of 1.15 apart, 25 / sqrt(m) one of them, six seeds."""

FIGURE_4_LONGER = experiment(
    "figure_4_longer",
    {
        "live": {**LIVE, "side": 8, "m": 100, "c0": [5.0, 20.0], "budget": 0.3, "epochs": [25, 100]},
        "laptop": [
            {**SMALL, "epochs": [30, 200], "side": 28, "m": 500, "budget": 0.2, "c0": [10.0, 17.0, 25.0, 40.0]},
            {**SMALL, "examples": 2000, "tests": 1000, "epochs": 200, "side": 28, "m": 500, "budget": 0.2,
             "c0": [25.0, 40.0]},
        ],
        "full": {**FULL, "side": 28, "m": [500, 1000], "budget": 0.2, "c0": [10.0, 17.0, 25.0, 40.0]},
    },
    {"live": 1, "laptop": 3, "full": 5},
)  # fmt: skip
"""The right panel's column again with the paper's 200 epochs, and with four times the images."""

FIGURE_4_IMAGES = experiment(
    "figure_4_images",
    {
        "live": {**LIVE, "side": 8, "m": 100, "c0": 20.0, "budget": 0.3},
        "laptop": {**SMALL, "examples": 6000, "tests": 1000, "epochs": 67, "side": 28, "m": 500, "budget": 0.2,
                   "c0": [25.0, 40.0]},
    },
    {"live": 1, "laptop": 3},
)  # fmt: skip
"""Twelve times the images, for as many gradient steps as 2000 images take in 200 epochs: 67 epochs."""

FIGURE_4_ELSEWHERE = experiment(
    "figure_4_elsewhere",
    {
        "live": {**LIVE, "side": 6, "m": 100, "c0": [4.0, 20.0], "budget": [0.1, 0.2, 0.4, 0.7]},
        "laptop": [
            {**SMALL, "side": side, "m": 500, "c0": c0, "budget": budgets}
            for side, c0, budgets in (
                (10, 4.0, [0.08, 0.12, 0.2, 0.3]),
                (10, 20.0, [0.3, 0.45, 0.6, 0.8]),
                (20, 4.0, [0.03, 0.05, 0.08, 0.12, 0.2]),
                (20, 20.0, [0.12, 0.2, 0.3, 0.45, 0.6]),
            )
        ],
        "full": {**FULL, "side": [7, 14, 20, 28], "m": [500, 4000], "c0": [2.0, 5.0, 20.0, 40.0],
                 "budget": [k / 20 for k in range(1, 21)]},
    },
    {"live": 1, "laptop": 3, "full": 5},
)  # fmt: skip
"""Points of (d, C0, m) that lie on neither panel of Figure 4: does the law that was fitted to the panels hold there?"""


FIGURE_4_ELSEWHERE_EDGE = experiment(
    "figure_4_elsewhere_edge",
    {
        "live": {**LIVE, "side": 6, "m": 100, "c0": 4.0, "budget": about(0.2, 0, 1)},
        "laptop": [
            {**SMALL, "side": side, "m": 500, "c0": c0, "budget": budgets}
            for side, c0, budgets in (
                (10, 4.0, about(0.12, -2, 4)),
                (10, 20.0, about(0.3, 0, 5)),
                (14, 20.0, about(0.3, -1, 4)),
                (20, 4.0, about(0.06, -2, 4)),
                (20, 20.0, about(0.3, -2, 3)),
            )
        ],
    },
    {"live": 1, "laptop": 6},
)
"""Off both panels about the edge, a factor of 1.15 apart, with six seeds."""


def separable(
    *, data: str, side: int, examples: int, tests: int, budgets: list[float], seed: int, device: str, dtype: torch.dtype
) -> dict[str, Any]:
    """Trial: ``adversarial.robust_ceiling`` of the test images that :func:`projected` uses, at each of ``budgets``.

    Fields ``ceiling``, one entry a budget, and ``nearest``, half the distance of the closest pair of two classes.
    """
    split = digit_pair(data, side, "unit").subset(examples, test=tests, seed=seed).to(device, dtype).test
    return {
        "ceiling": [robust_ceiling(split, budget) for budget in budgets],
        "nearest": float(torch.cdist(split.x[split.y > 0], split.x[split.y < 0]).min() / 2),
    }


CEILING_BUDGETS = [k / 20 for k in range(1, 21)]

FIGURE_4_CEILING = Experiment(
    "lazy.figure_4_ceiling",
    separable,
    {
        "live": {"data": "digits", "side": [4, 8], "examples": 200, "tests": 100, "budgets": [CEILING_BUDGETS]},
        "laptop": {"data": "mnist", "side": [5, 7, 10, 14, 18, 20, 25, 28], "examples": 500, "tests": 300,
                   "budgets": [CEILING_BUDGETS]},
        "full": {"data": "mnist", "side": list(range(5, 29)), "examples": 12665, "tests": 2115,
                 "budgets": [CEILING_BUDGETS]},
    },
    {"live": 2, "laptop": 3, "full": 1},
    tolerance=Tolerance(rtol=1e-3, atol=0.01),
    cost=costs.separable,
)  # fmt: skip
"""How robust any classifier at all can be on these images: half of the budgets of Figure 4 are beyond it."""

FIGURE_4_PLANE = experiment(
    "figure_4_plane",
    {
        "live": {**LIVE, "side": 8, "m": 200, "c0": [2.0, 5.0, 10.0, 20.0, 40.0],
                 "budget": [0.05, 0.1, 0.2, 0.3, 0.45, 0.7]},
        "laptop": {**SMALL, "side": [7, 14, 20], "m": 500, "c0": [2.5, 5.0, 10.0, 20.0, 40.0],
                   "budget": [0.04, 0.08, 0.12, 0.2, 0.3, 0.45]},
        "full": {**FULL, "side": [7, 14, 20, 28], "m": 1000, "c0": [2.5, 5.0, 10.0, 20.0, 40.0],
                 "budget": [k / 20 for k in range(1, 21)]},
    },
    {"live": 1, "laptop": 1, "full": 5},
)  # fmt: skip
"""Robust accuracy over the budget and the radius, the plane that neither panel of Figure 4 shows."""


def at_the_edge(
    *,
    data: str,
    side: int,
    m: int,
    c0: float,
    budget: float,
    epochs: int,
    examples: int,
    tests: int,
    steps: int,
    test_steps: int,
    lr: float = 0.01,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Trial: margin and gradient of a network that Algorithm 1 has trained, as :func:`projected` does.

    Medians over the test images: ``value`` |f|, ``gradient`` ||grad f|| and its part ``across`` x, ``start`` the same
    length before training, ``learned`` the length of what training added, ``cosine`` of that with the start. ``worst``
    is robust accuracy, ``linear`` the share that is right with |f| / ||grad f|| above ``budget``; ``moved`` and
    ``moved_mean`` are the largest and the mean movement of a unit, times sqrt(m).
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, "unit").subset(examples, test=tests, seed=seed).to(device, dtype)
    x, y = both.test.x, both.test.y
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    weights, before = net.weight.detach().clone(), net.input_gradient(x).detach()
    train_projected(net, both.train, budget, c0 / m**0.5, epochs=epochs, lr=lr, reduction="sum", steps=steps,
                    generator=generator)  # fmt: skip
    f, after = net(x).detach(), net.input_gradient(x).detach()
    gradient, learned = torch.linalg.vector_norm(after, dim=1), after - before
    medians = {
        "value": f.abs(),
        "gradient": gradient,
        "across": (gradient**2 - f**2).clamp(min=0).sqrt(),
        "start": torch.linalg.vector_norm(before, dim=1),
        "learned": torch.linalg.vector_norm(learned, dim=1),
        "cosine": torch.cosine_similarity(before, learned),
    }
    return {
        **{name: float(values.median()) for name, values in medians.items()},
        "worst": robust_accuracy(net, both.test, budget, steps=test_steps)["worst"],
        "linear": float(((f * y > 0) & (f.abs() > budget * gradient)).double().mean()),
        "moved": largest_movement(net.weight.data, weights),
        "moved_mean": float(movement(net.weight.data, weights).mean()) * m**0.5,
    }


FIGURE_4_GRADIENT = Experiment(
    "lazy.figure_4_gradient",
    at_the_edge,
    {
        "live": {**LIVE, "side": 8, "m": 200, "c0": 10.0, "budget": 0.3},
        "laptop": [
            {**SMALL, "side": side, "m": m, "c0": c0, "budget": budget}
            for side, m, c0, budget in (
                (10, 1000, 10.0, 0.35), (14, 1000, 10.0, 0.25), (20, 1000, 10.0, 0.16), (28, 1000, 10.0, 0.12),
                (28, 500, 17.0, 0.2), (10, 500, 4.0, 0.15), (10, 500, 20.0, 0.43), (14, 500, 20.0, 0.38),
                (20, 500, 4.0, 0.078), (20, 500, 20.0, 0.32),
            )
        ],
    },
    {"live": 1, "laptop": 3},
    tolerance=ROUNDED,
)  # fmt: skip
"""Ten cells near the edge, d from 100 to 784 and C0 / sqrt(d) from 0.2 to 2: what has become of margin and gradient?"""
