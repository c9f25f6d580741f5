"""What the paper leaves open, one choice at a time, and every single image of Figure 7."""

from __future__ import annotations

import torch

from advnb.experiments import Experiment, under_way
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.flips import (
    FULL,
    LAPTOP,
    LIVE,
    RADII,
    TRAINED,
    Numbers,
    flips_after_training,
    margins,  # fmt: skip
)
from advnb.papers.lazy.sgd import Exit, lazy_sgd
from advnb.papers.lazy.task import digit_pair


def histogram(
    *,
    data: str,
    side: int,
    m: int,
    units: str,
    radius: float,
    steps: int,
    tests: int,
    reduction: str = "mean",
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Figure 7: ``eta``, ``norm`` and ``gradient_norm`` of ``tests`` test images, ascending each.

    ``wrong`` counts the images that were misclassified before any step.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, units).to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    shown = both.test.subset(min(tests, len(both.test)), seed=seed)
    seen: list[Numbers] = []

    def look(net: TwoLayer, exit: Exit) -> None:
        flip = minimal_flip(net, shown.x)
        fields: Numbers = {}
        for name, values in zip(("eta", "norm", "gradient_norm"), flip, strict=True):
            fields[name] = [float(f"{value:.4g}") for value in values.abs().sort().values.tolist()]
        fields.update(reached=exit.reached, step=exit.step, moved=exit.moved)
        fields["wrong"] = int((margins(net, shown) <= 0).sum())
        seen.append(fields)

    lazy_sgd(net, both.train.x, both.train.y, [radius], steps=steps, reduction=reduction,
             generator=generator, visit=look, away=under_way(), seen=seen)  # fmt: skip
    return seen[0]


FIGURE_7 = Experiment(
    "lazy.figure_7",
    histogram,
    {
        "live": {"data": "digits", "side": 8, "m": 1000, "units": "unit", "radius": 5.0, "steps": 2000,
                 "tests": 100},
        "laptop": [
            {"data": "mnist", "side": 28, "m": 100_000, "units": "unit", "radius": 10.0, "steps": 60,
             "reduction": "sum", "tests": 500},
            {"data": "mnist", "side": 28, "m": 10_000, "units": ["unit", "pixels"], "radius": 10.0, "steps": 3000,
             "reduction": "mean", "tests": 500},
        ],
        "full": {"data": "mnist", "side": 28, "m": 100_000, "units": ["unit", "pixels", "standardised"],
                 "radius": 10.0, "steps": 20_000, "reduction": ["sum", "mean"], "tests": 2115},
    },
    {"live": 1, "laptop": 3, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.histogram,
)  # fmt: skip
"""Figure 7: every single flip at d = 784, C0 = 10."""

DEVIATIONS = Experiment(
    "lazy.deviations",
    flips_after_training,
    {
        scale: {**grid, "stop": ["step", "epoch"], "bias": [False, True]}
        for scale, grid in {
            "live": {**LIVE, "units": "pixels", "m": 1000, "radii": [[10.0]]},
            "laptop": {**LAPTOP, "side": [5, 14, 28], "units": ["pixels", "unit"], "m": 1000, "radii": [[10.0]],
                       "reduction": ["mean", "sum"], "steps": 3000},
            "full": {**FULL, "units": ["pixels", "standardised", "unit"], "m": 10_000, "radii": [list(RADII)],
                     "reduction": ["mean", "sum"], "steps": 100_000},
        }.items()
    },
    {"live": 2, "laptop": 5, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""What the released code does differently, one choice at a time: the stop at the end of an epoch, the biases."""

SHRINKING = Experiment(
    "lazy.shrinking",
    flips_after_training,
    {
        "live": {**LIVE, "units": "unit", "m": 1000, "radii": [[5.0]], "mode": ["area", "bilinear"]},
        "laptop": {**LAPTOP, "side": [5, 7, 10, 14], "units": ["unit", "pixels"], "m": 1000, "radii": [[10.0]],
                   "mode": ["area", "bilinear", "antialiased"], "steps": 3000},
    },
    {"live": 2, "laptop": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""How the images are shrunk, which the paper leaves open and which matters at d = 25."""
