"""FOSC, the first-order stationary condition: how well an attack has solved its inner maximisation.

The criterion of Wang et al. (2019), section 3.1, is defined example by example; its scale is the loss's, so a loss
averaged over the batch would divide it by the batch size. Losses here are never reduced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from advnb import gradients, losses
from advnb.balls import Ball
from advnb.losses import AnyLoss

__all__ = ["Convergence", "convergence", "fosc", "from_start"]


class Convergence(NamedTuple):
    """What one gradient at x_adv says about each example; all of shape (n,), in at least float32.

    ``loss`` is the loss at x_adv and ``fosc`` the most that it can still gain in the ball, to first order.
    ``relative`` is fosc / (eps ||g||), in [0, 2], with the ball's dual norm: L1 for Linf, L2 for L2. It is 0 where
    the gradient is zero. ``gradient_norm`` is that ||g||; a small FOSC with a small gradient is a flat network, not a
    solved problem. ``closed_form`` is what FOSC would be without the box, for Linf the paper's eps ||g||_1 -
    <x_adv - x, g>, and ``from_start`` what :func:`from_start` makes of the attack's start.
    """

    loss: Tensor
    fosc: Tensor
    relative: Tensor
    gradient_norm: Tensor
    closed_form: Tensor
    from_start: Tensor

    @property
    def out_of_reach(self) -> Tensor:
        """The share of ``closed_form`` that the box puts out of reach, in [0, 1]; 0 where ``closed_form`` is."""
        return torch.where(self.closed_form > 0, 1 - self.fosc / self.closed_form, 0).clamp_min(0)


def convergence(
    model: nn.Module,
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    start: Tensor | None = None,
    loss: AnyLoss = "cross_entropy",
    chunk: int | None = None,
    allow_train_mode: bool = False,
) -> Convergence:
    """Measure FOSC, what it is made of and its variants at ``x_adv``; one gradient.

    ``x_adv`` (n, ...) lies in the ``ball`` around ``x``, and so does ``start``, where the attack began (by default at
    ``x``); the other arguments are those of :func:`advnb.attacks.pgd`.
    Raises ValueError or TypeError if ``x_adv`` leaves the ball or the box, the model is in train mode, the loss is
    reduced, a label has no logit or a gradient is not finite.
    """
    objective = losses.resolve(loss)
    gradients.check_problem(model, x, y, ball, objective, allow_train_mode)
    gradients.check_inside("x_adv", x_adv, x, ball)
    start = x if start is None else start
    gradients.check_inside("start", start, x, ball)
    x_adv, x, start, open_ball, parts = (x_adv.detach(), x.detach(), start.detach(), replace(ball, box=None), [])
    with gradients.frozen(model):
        gradients.check_model(model, x_adv, y, objective)
        for rows in gradients.chunks(x, chunk):
            point = x_adv[rows]
            value, grad, _ = gradients.loss_and_gradient(model, point, y[rows], objective)
            gradients.check_finite(gradients.checksum(grad))
            gaps = [each.gap(grad, point, x[rows]) for each in (ball, open_ball)]
            parts.append((value, ball.dual_norm(grad), *gaps, from_start(grad, point, start[rows], ball)))
    value, norm, gap, closed_form, centred = (torch.cat(part) for part in zip(*parts, strict=True))
    reach = ball.eps * norm
    return Convergence(value, gap, torch.where(reach > 0, gap / reach, 0), norm, closed_form, centred)


def fosc(model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor, ball: Ball, **options: Any) -> Tensor:
    """Return c(x_adv) = max over x' in ball and box of <x' - x_adv, grad loss(x_adv)>, shape (n,), at least 0.

    This is eq. (4) of Wang et al. (2019). For an L-infinity ball without a box it is the paper's closed form
    eps ||g||_1 - <x_adv - x, g>; with a box the maximum is taken over what the box leaves of the ball, so that it can
    reach 0. Options (``loss``, ``chunk``, ``allow_train_mode``) and errors as in :func:`convergence`.
    """
    return convergence(model, x_adv, x, y, ball, **options).fosc


def from_start(grad: Tensor, x_adv: Tensor, start: Tensor, ball: Ball) -> Tensor:
    """Return eps ||g|| - <x_adv - start, g> for gradients g like ``x_adv`` (n, ...), shape (n,); the box plays no part.

    Around the ``start`` of an attack in place of x, that is what the code released with Wang et al. (2019) computes: no
    maximum over the ball of the attack, and negative where ``x_adv`` is further than eps from its start along g.
    """
    wide = torch.promote_types(grad.dtype, torch.float32)
    grad, delta = grad.to(wide), x_adv.to(wide) - start.to(wide)
    return ((ball.eps * ball.ascent(grad) - delta) * grad).flatten(1).sum(1)
