"""Is a point a local maximum of the objective? First and second order, kinks included."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from advnb.papers.dynamics.images.scene import Scene, per_row


class Maximum(NamedTuple):
    """How far a point is from being a local maximum of L in the ball; all of shape (n,).

    All three look at the margin, signed so that L rises with it: a maximum of one is a maximum of the other, and the
    margin does not saturate. ``slack`` is max over the ball of <x' - point, g> / (eps ||g||) with g its gradient: 0
    exactly at a first-order maximum, 1 at a point of the sphere whose gradient is tangent, 2 at the opposite point.
    ``curvature`` is the largest second difference along sampled great circles, over an arc, in units of
    eps ||g||: -1 for a linear margin at its maximum, negative at a strict maximum. ``beaten`` is the share of the
    sampled points that lie above the point.
    """

    slack: Tensor
    curvature: Tensor
    beaten: Tensor


def local_maximum(
    scene: Scene, point: Tensor, *, circles: int = 8, arc: float = 0.05, generator: torch.Generator
) -> Maximum:
    """Check the first- and second-order conditions of a local maximum of L at ``point`` (n, ...), kinks included.

    The first great circle follows the tangent gradient, where there is one; the others are random. A second difference
    over a finite ``arc`` (radians) sees the kinks of a ReLU net, which a Hessian does not. Points inside the ball are
    moved along circles of their own radius.
    """
    margin, grad = scene.margin_gradient(point)
    rises = scene.sign * scene.scalar.sign(margin, torch.ones_like(margin))
    grad = per_row(rises, grad) * grad
    scale = scene.ball.eps * grad.flatten(1).norm(dim=1)
    slack = (scene.ball.gap(grad, point, scene.x) / scale).nan_to_num(0.0)
    delta = (point - scene.x).flatten(1)
    arm = delta.norm(dim=1, keepdim=True)
    normal = delta / arm
    steep = _tangent(grad.flatten(1), normal)
    worst, beaten = torch.full_like(margin, -torch.inf), torch.zeros_like(margin)
    for k in range(circles):
        noise = torch.randn(delta.shape, generator=generator, dtype=delta.dtype).to(delta.device)
        use_noise = (k > 0) | (steep.norm(dim=1, keepdim=True) <= 1e-9 * grad.flatten(1).norm(dim=1, keepdim=True))
        tangent = _tangent(torch.where(use_noise, noise, steep), normal)
        tangent = tangent / tangent.norm(dim=1, keepdim=True)
        ends = [arm * (math.cos(arc) * normal + s * math.sin(arc) * tangent) for s in (1, -1)]
        change = [rises * (scene.margin(scene.x + end.view_as(point)) - margin) for end in ends]
        worst = torch.maximum(worst, (change[0] + change[1]) / (arc**2 * scale))
        beaten += (change[0] > 0).to(margin.dtype) + (change[1] > 0).to(margin.dtype)
    return Maximum(slack, worst.nan_to_num(0.0), beaten / (2 * circles))


def _tangent(direction: Tensor, normal: Tensor) -> Tensor:
    """Rows (n, d) without their part along the unit rows ``normal``."""
    return direction - (direction * normal).sum(1, keepdim=True) * normal
