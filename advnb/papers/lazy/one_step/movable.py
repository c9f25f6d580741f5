"""One step that a reader can move: networks on 8 x 8 digits at their start and after lazy training, and some digits."""

from __future__ import annotations

import copy
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from advnb.book.movable import packed
from advnb.data import load
from advnb.models import TwoLayer
from advnb.papers.lazy.ray import draw_ray
from advnb.papers.lazy.sgd import lazy_sgd
from advnb.papers.lazy.task import digit_pair

D, M = 64, 128
RADII = (5.0, 10.0, 20.0)
STEPS = 3000
UNIT = 2.0**-12
"""What a unit of a shipped weight is: the networks of the picture are those of lazy SGD, rounded to multiples of it."""

GREYS = 16
"""The brightest pixel of scikit-learn's digits, whose values are whole numbers."""

IMAGES = 5
START: dict[str, Any] = {"c0": 10.0, "image": 0, "length": 1.0}
"""What is shown first; the length of the step is in units of ||x|| / sqrt(d)."""


def networks() -> dict[float, TwoLayer]:
    """Return the networks by the C0 of the ball that lazy SGD led them through; at 0 the start."""
    generator = torch.Generator().manual_seed(0)
    train = digit_pair("digits", 8, "unit").train
    start = TwoLayer(D, M, generator=generator, dtype=torch.float64)
    found = {0.0: copy.deepcopy(start)}
    lazy_sgd(start, train.x.double(), train.y, RADII, steps=STEPS, reduction="sum", generator=generator,
             visit=lambda net, exit: found.update({exit.radius: copy.deepcopy(net)}))  # fmt: skip
    for net in found.values():
        net.weight.data = (net.weight.data / UNIT).round() * UNIT
    return found


def images() -> Tensor:
    """Return the test images in whole greys from 0 to 16, shape (2 n, 64): zeros and ones in turn."""
    test = load("digits", progress=False).two_classes(0, 1).test
    greys = (test.x.flatten(1).double() * GREYS).round()
    kinds = [greys[test.y == label][:IMAGES] for label in (-1, 1)]
    return torch.stack(kinds, dim=1).flatten(0, 1)


def example(greys: Tensor) -> Tensor:
    """Return rows of greys as the network sees them: float64, divided by their norm."""
    return greys.double() / torch.linalg.vector_norm(greys.double(), dim=1, keepdim=True)


def numbers() -> dict[str, Any]:
    """Return what the picture needs: weights and signs of the networks, images, its start."""
    found = networks()
    return {
        "m": M, "d": D, "unit": UNIT, "greys": GREYS, "start": START,
        "signs": packed(found[0.0].signs.numpy(), "int8"),
        "networks": [
            {"c0": c0, "weight": packed((net.weight.data / UNIT).numpy(), "int16")} for c0, net in found.items()
        ],
        "images": packed(images().numpy(), "uint8"),
    }  # fmt: skip


def draw_frame(ax: Axes) -> None:
    """Draw the picture as it starts, for those whose browser runs no scripts: f along the step, and the exact flip."""
    x = example(images()[START["image"]][None])
    draw_ray(ax, networks()[START["c0"]], x)
    ax.set(ylabel="f, in the sign of f(x)")
