"""The trial behind Figure 4 and Algorithm 1: projected adversarial training, then three attacks."""

from __future__ import annotations

from typing import Any

import torch

from advnb.experiments import Experiment, Tolerance, under_way
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.adversarial import robust_accuracy, train_projected
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.task import digit_pair

ROUNDED = Tolerance(rtol=0.05, atol=0.03)
"""Shares of a few hundred images, at the end of training in float32."""

BY_ROUNDING = ("best",)
"""Which of several epochs with almost the same robust accuracy is the best differs from one processor to the next."""

SMALL: dict[str, Any] = {"data": "mnist", "examples": 500, "tests": 300, "epochs": 30, "steps": 10,
                         "test_steps": 40}  # fmt: skip
LIVE: dict[str, Any] = {"data": "digits", "examples": 200, "tests": 100, "epochs": 25, "lr": 0.1, "steps": 8,
                        "test_steps": 20}  # fmt: skip
FULL: dict[str, Any] = {"data": "mnist", "examples": 12665, "tests": 2115, "epochs": 200}
"""The paper's own setting; ``SMALL`` and ``LIVE`` are the two smaller scales."""


def projected(
    *,
    data: str,
    side: int,
    m: int,
    budget: float,
    epochs: int,
    examples: int,
    tests: int,
    c0: float | None = None,
    radius: float | None = None,
    lr: float = 0.01,
    reduction: str = "sum",
    steps: int = 100,
    test_steps: int = 100,
    direction: str = "raw",
    projection: str = "epoch",
    keep: str = "projected",
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Trial: robust accuracies on ``tests`` test images of a net trained by Algorithm 1 on ``examples`` images.

    The weights stay within ``radius``, or ``c0`` / sqrt(m); exactly one of them is given. Fields are those of
    ``adversarial.robust_accuracy``, the epochs run and the best one, the last robust accuracies on the training
    set, before and after the projection, and ``moved``, the C0 of the weights that were kept.
    """
    if (c0 is None) == (radius is None):
        raise ValueError(f"give either c0 or radius; got c0={c0!r} and radius={radius!r}")
    within = radius if radius is not None else (c0 or 0.0) / m**0.5
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, "unit").subset(examples, test=tests, seed=seed).to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    start = net.weight.detach().clone()
    outcome = train_projected(
        net, both.train, budget, within, epochs=epochs, lr=lr, reduction=reduction, steps=steps,
        direction=direction, projection=projection, keep=keep, generator=generator, away=under_way(),
    )  # fmt: skip
    return {
        **robust_accuracy(net, both.test, budget, steps=test_steps),
        "epochs_run": len(outcome.accuracy),
        "best": outcome.best,
        "train_after": outcome.accuracy[-1],
        "train_before": outcome.before[-1],
        "moved": largest_movement(net.weight.data, start),
    }


def experiment(name: str, grids: dict[str, Any], seeds: dict[str, int]) -> Experiment:
    """Return an experiment of the trial :func:`projected`, named ``lazy.name``."""
    return Experiment(f"lazy.{name}", projected, grids, seeds, tolerance=ROUNDED, unchecked=BY_ROUNDING,
                      goes_on=True, cost=costs.projected)  # fmt: skip
