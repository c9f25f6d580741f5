"""Losses of a scalar output f with their first two derivatives in f (Deng et al., sections 2 and 5.2).

Section 5.2 asks of a general loss that L < |l'(f)| < U on the ball and that |l''(f)| is bounded. Each loss
here carries its own bound on |l''|, the sign of l'(f) in closed form (it does not underflow where l' does),
and whether l' vanishes at f = y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from advnb import checks

Scalar = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ScalarLoss:
    """l(f, y) >= 0 for a scalar output; ``value``, ``slope`` = dl/df and ``curvature`` = d2l/df2 take (f, y).

    ``sign(f, y)`` is the sign of the slope. ``touches_zero`` says whether the slope vanishes at f = y;
    ``curvature_bound`` is sup |l''| over all f and y.
    """

    name: str
    value: Scalar
    slope: Scalar
    curvature: Scalar
    sign: Scalar
    touches_zero: bool
    curvature_bound: float


def _offset_sign(f: Tensor, y: Tensor) -> Tensor:
    return torch.sign(f - y)


def _label_sign(f: Tensor, y: Tensor) -> Tensor:
    return (1 - 2 * y).expand_as(f)


def _cross_entropy_slope(f: Tensor, y: Tensor) -> Tensor:
    """sigmoid(f) - y without cancellation: the label is 0 or 1."""
    return (1 - 2 * y) * torch.sigmoid((1 - 2 * y) * f)


SCALAR_LOSSES: dict[str, ScalarLoss] = {
    loss.name: loss
    for loss in (
        ScalarLoss(
            "squared",
            value=lambda f, y: (y - f) ** 2,
            slope=lambda f, y: 2 * (f - y),
            curvature=lambda f, y: torch.full_like(f, 2.0),
            sign=_offset_sign,
            touches_zero=True,
            curvature_bound=2.0,
        ),
        ScalarLoss(
            "cross_entropy",
            value=lambda f, y: F.softplus((1 - 2 * y) * f, threshold=40.0),
            slope=_cross_entropy_slope,
            curvature=lambda f, y: torch.sigmoid(f) * torch.sigmoid(-f),
            sign=_label_sign,
            touches_zero=False,
            curvature_bound=0.25,
        ),
        ScalarLoss(
            "pseudo_huber",
            value=lambda f, y: torch.sqrt(1 + (f - y) ** 2) - 1,
            slope=lambda f, y: (f - y) / torch.sqrt(1 + (f - y) ** 2),
            curvature=lambda f, y: (1 + (f - y) ** 2) ** -1.5,
            sign=_offset_sign,
            touches_zero=True,
            curvature_bound=1.0,
        ),
        # not in the paper: 1 - exp(-r^2 / 2) is bounded, so that its slope vanishes far away from y as well
        ScalarLoss(
            "welsch",
            value=lambda f, y: -torch.expm1(-((f - y) ** 2) / 2),
            slope=lambda f, y: (f - y) * torch.exp(-((f - y) ** 2) / 2),
            curvature=lambda f, y: (1 - (f - y) ** 2) * torch.exp(-((f - y) ** 2) / 2),
            sign=_offset_sign,
            touches_zero=True,
            curvature_bound=1.0,
        ),
    )
}


def scalar_loss(name: str) -> ScalarLoss:
    """Return the loss called ``name``; raised if there is none."""
    return SCALAR_LOSSES[checks.choice("loss", name, SCALAR_LOSSES)]
