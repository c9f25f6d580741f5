"""The lazy regime: the weights that stay within C0 / sqrt(m) of their start, unit by unit (Definition 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from advnb import checks

ROWS_AT_ONCE = 4096
"""Units whose difference to the start is held at a time; the weights of 100,000 units fill 300 MB."""


@torch.no_grad()
def movement(weight: Tensor, start: Tensor) -> Tensor:
    """Return how far each unit has moved, ||w_s - w_{s,0}||, shape (m,), for weights (m, d)."""
    checks.alike("weight", weight, "start", start)
    parts = zip(weight.split(ROWS_AT_ONCE), start.split(ROWS_AT_ONCE), strict=True)
    return torch.cat([torch.linalg.vector_norm(now - before, dim=1) for now, before in parts])


def largest_movement(weight: Tensor, start: Tensor) -> float:
    """Return sqrt(m) max_s ||w_s - w_{s,0}||: the smallest C0 whose lazy regime holds ``weight`` (m, d)."""
    return float(movement(weight, start).max()) * len(weight) ** 0.5


@torch.no_grad()
def project(weight: Tensor, start: Tensor, radius: float) -> Tensor:
    """Return the nearest point to ``weight`` in the 2,infinity ball of ``radius`` around ``start``, all (m, d).

    Each unit outside is drawn back along its own displacement. It is nearest in the Frobenius norm, and so in each row.
    A moved row aims below the sphere by its rounding, so that projecting again changes nothing. Line 11 of
    Algorithm 1 uses radius = C0 / sqrt(m).
    """
    checks.alike("weight", weight, "start", start)
    radius = checks.positive("radius", radius)
    delta = weight - start
    length = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
    rounding = 4 * torch.finfo(weight.dtype).eps
    size = torch.linalg.vector_norm(start, dim=1, keepdim=True)
    inside = (radius * (1 - rounding) - rounding * size).clamp_min(0)
    moved = torch.addcmul(start, delta, inside / length.clamp_min(radius))
    return torch.where(length > radius, moved, weight)
