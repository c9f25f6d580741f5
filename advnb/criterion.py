"""FOSC, the first-order stationary condition: how well an attack has solved its inner maximisation.

The criterion of Wang et al. (2019), section 3.1, is defined example by example; its scale is the loss's, so a loss
averaged over the batch would divide it by the batch size. Losses here are never reduced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from advnb import gradients, losses
from advnb.balls import Ball
from advnb.losses import AnyLoss

__all__ = ["Convergence", "convergence", "fosc"]


class Convergence(NamedTuple):
    """What one gradient at x_adv says about each example; all of shape (n,), in at least float32.

    ``loss`` is the loss at x_adv and ``fosc`` the most that it can still gain in the ball, to first order.
    ``relative`` is fosc / (eps ||g||), in [0, 2], with the ball's dual norm: L1 for Linf, L2 for L2. It is 0 where
    the gradient is zero. ``gradient_norm`` is that ||g||; a small FOSC with a small gradient is a flat network, not a
    solved problem.
    """

    loss: Tensor
    fosc: Tensor
    relative: Tensor
    gradient_norm: Tensor


def convergence(
    model: nn.Module,
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    loss: AnyLoss = "cross_entropy",
    chunk: int | None = None,
    allow_train_mode: bool = False,
) -> Convergence:
    """Measure FOSC, its share of the ball's reach, the loss and the gradient's norm at ``x_adv``; one gradient.

    ``x_adv`` (n, ...) lies in the ``ball`` around ``x``; the other arguments are those of :func:`advnb.attacks.pgd`.
    Raises ValueError or TypeError if ``x_adv`` leaves the ball or the box, the model is in train mode, the loss is
    reduced, a label has no logit or a gradient is not finite.
    """
    objective = losses.resolve(loss)
    gradients.check_problem(model, x, y, ball, objective, allow_train_mode)
    gradients.check_inside("x_adv", x_adv, x, ball)
    x_adv, x, parts = x_adv.detach(), x.detach(), []
    with gradients.frozen(model):
        gradients.check_model(model, x_adv, y, objective)
        for rows in gradients.chunks(x, chunk):
            value, grad, _ = gradients.loss_and_gradient(model, x_adv[rows], y[rows], objective)
            gradients.check_finite(gradients.checksum(grad))
            parts.append((value, ball.gap(grad, x_adv[rows], x[rows]), ball.dual_norm(grad)))
    value, gap, norm = (torch.cat(part) for part in zip(*parts, strict=True))
    reach = ball.eps * norm
    return Convergence(value, gap, torch.where(reach > 0, gap / reach, 0), norm)


def fosc(model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor, ball: Ball, **options: Any) -> Tensor:
    """Return c(x_adv) = max over x' in ball and box of <x' - x_adv, grad loss(x_adv)>, shape (n,), at least 0.

    This is eq. (4) of Wang et al. (2019). For an L-infinity ball without a box it is the paper's closed form
    eps ||g||_1 - <x_adv - x, g>; with a box the maximum is taken over what the box leaves of the ball, so that it can
    reach 0. Options (``loss``, ``chunk``, ``allow_train_mode``) and errors as in :func:`convergence`.
    """
    return convergence(model, x_adv, x, y, ball, **options).fosc
