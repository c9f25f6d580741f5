"""The data of Wang et al., section 5: two digits, shrunk to d pixels, in one of three units."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from advnb import checks
from advnb.data import Dataset, Split, load
from advnb.models import TwoLayer

SIDES = (5, 7, 10, 14, 20, 25, 28)
"""The seven image sides of Figures 2, 3, 5 and 6; d is their square."""

UNITS = ("pixels", "standardised", "unit")
"""Pixels in [0, 1]; (x - 0.1307) / 0.3081, as MNIST is usually fed to networks; rows divided by their norm."""

MEAN, DEVIATION = 0.1307, 0.3081


@lru_cache(maxsize=8)
def digit_pair(data: str, side: int, units: str, mode: str = "area", pair: tuple[int, int] = (0, 1)) -> Dataset:
    """Return the two digits with labels -1 and +1, images as rows (n, side * side).

    ``data`` is "mnist" (12,665 training and 2,115 test images of zeros and ones) or "digits"; ``mode`` is how
    images are shrunk (see ``Dataset.resize``). Raises on unknown names.
    """
    checks.choice("units", units, UNITS)
    both = load(data, progress=False).two_classes(*pair)
    if side != both.train.x.shape[-1]:
        both = both.resize(side, mode=mode)
    if units == "unit":
        return both.unit_norm()
    return Dataset(_rows(both.train, units), _rows(both.test, units), both.name, both.classes)


def _rows(split: Split, units: str) -> Split:
    return Split(_in_units(split.x.flatten(1), units), split.y)


def _in_units(x: Tensor, units: str) -> Tensor:
    return x if units == "pixels" else (x - MEAN) / DEVIATION


def random_start(
    d: int,
    m: int,
    points: int,
    generator: torch.Generator,
    *,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
) -> tuple[TwoLayer, Tensor]:
    """Return a network at its start (Definition 2.1) and points (points, d), uniform on the unit sphere."""
    net = TwoLayer(d, m, generator=generator, dtype=dtype).to(device).eval()
    x = torch.randn(points, d, generator=generator, dtype=dtype)
    return net, (x / torch.linalg.vector_norm(x, dim=1, keepdim=True)).to(device)
