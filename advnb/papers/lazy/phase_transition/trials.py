"""Figure 4: where projected adversarial training stops helping, over dimension and budget, width and radius."""

from __future__ import annotations

from typing import Any

import torch

from advnb.experiments import Experiment, Tolerance
from advnb.papers.lazy.adversarial import robust_ceiling
from advnb.papers.lazy.projected import FULL, LIVE, SMALL, experiment
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

FIGURE_4_LONGER = experiment(
    "figure_4_longer",
    {
        "live": {**LIVE, "side": 8, "m": 100, "c0": [5.0, 20.0], "budget": 0.3, "epochs": [25, 100]},
        "laptop": [
            {**SMALL, "epochs": [30, 200], "side": 28, "m": 500, "budget": 0.2, "c0": [10.0, 17.0, 25.0, 40.0]},
            {**SMALL, "examples": 2000, "tests": 1000, "epochs": 200, "side": 28, "m": 500, "budget": 0.2,
             "c0": 25.0},
        ],
        "full": {**FULL, "side": 28, "m": [500, 1000], "budget": 0.2, "c0": [10.0, 17.0, 25.0, 40.0]},
    },
    {"live": 1, "laptop": 2, "full": 5},
)  # fmt: skip
"""The right panel's column again with the paper's 200 epochs, and with four times the images."""

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
