"""Trajectories in a scene, and how many steps an escape takes: measured, and foreseen for a linear margin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advnb import checks
from advnb.attacks import StepSize, ascend
from advnb.gradients import frozen, loss_and_gradient
from advnb.papers.dynamics.images.scene import Scene, per_row, signed_margin

RULES = ("constant", "relative")
LEARNING_RATE = 1.0
"""The paper's step for both phases (appendix B.1): lr times the raw gradient."""
RELATIVE_STEP = 0.02
"""Step of the eps-relative rule, as a share of eps, along the unit gradient."""


def travel(
    scene: Scene, start: Tensor, *, uphill: bool, rule: str, steps: int, size: StepSize
) -> tuple[Tensor, Tensor]:
    """Projected gradient ascent (``uphill``) or descent on L; returns the end and the margins (steps + 1, n).

    ``rule="constant"`` moves by ``size`` times the raw gradient of L, as the paper does. ``"relative"`` moves by
    ``size * eps`` along its direction, which is that of the margin's gradient up to sign, whatever the loss: so
    it is taken from there, where it cannot underflow.
    """
    checks.choice("rule", rule, RULES)
    sign = scene.sign if uphill else -scene.sign
    slope = scene.scalar.slope if rule == "constant" else scene.scalar.sign

    def force(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        labels = scene.y if rows is None else scene.y[rows]
        margin, grad, _ = loss_and_gradient(scene.net, points, labels, signed_margin)
        weight = sign * slope(margin, torch.ones_like(margin))
        return margin, per_row(weight, grad) * grad

    eps = scene.ball.eps
    relative = (lambda k: eps * size(k)) if callable(size) else eps * size
    with frozen(scene.net):
        end, trace = ascend(
            force,
            scene.x,
            scene.ball,
            start=start,
            steps=checks.count("steps", steps),
            step_size=size if rule == "constant" else relative,
            direction="gradient" if rule == "constant" else "steepest",
            trace=True,
        )
    return end, trace.loss


def shrinking(first: float = 0.2, last: float = 1e-3, steps: int = 200) -> StepSize:
    """Relative steps that fall geometrically from ``first`` to ``last``: travels across the ball, then settles."""
    ratio = (last / first) ** (1 / max(1, steps - 1))
    return lambda k: first * ratio**k


def escape_steps(path: Tensor, goal: Tensor, share: float) -> Tensor:
    """First step at which ``share`` of the way from ``path[0]`` down to ``goal`` is covered, shape (n,).

    ``path`` (steps + 1, n) holds a quantity that falls, such as L; ``goal`` (n,) its value at the local minimum.
    Infinite where the path never gets there, NaN where there was nothing to cover.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1]; got {share!r}")
    depth = path[0] - goal
    covered = path[0] - path >= share * depth
    first = covered.to(torch.int8).argmax(0).to(path.dtype)
    first = torch.where(covered.any(0), first, torch.inf)
    return torch.where(depth > 0, first, torch.nan)


def linear_steps(share: float, eps: float, gradient: Tensor, size: float, rule: str) -> Tensor:
    """Steps that cover ``share`` of the range of a linear L, straight across the ball from its maximum.

    The diameter is 2 eps: ``2 share eps / (lr ||dL||)`` steps for the constant rule with lr = ``size``, and
    ``2 share / size`` for the relative one, whatever eps and the gradient.
    """
    if checks.choice("rule", rule, RULES) == "relative":
        return torch.full_like(gradient, 2 * share / size)
    return 2 * share * eps / (size * gradient)


def cross_entropy_steps(begin: Tensor, end: Tensor, gradient: Tensor, lr: float) -> tuple[Tensor, Tensor]:
    """Steps from margin ``begin`` to ``end`` by raw gradient steps on the cross entropy of a linear margin.

    The margin moves by lr ||dm||^2 sigmoid(-m) a step, and 1 / sigmoid(-m) = 1 + e^m, so the time has two parts:
    *travel*, |m_end - m_begin| / (lr ||dm||^2), what a loss of slope one would take, and *saturation*,
    |e^m_end - e^m_begin| / (lr ||dm||^2), what the vanishing slope of the loss adds. Both (n,), small steps assumed.
    """
    pace = lr * gradient**2
    return (end - begin).abs() / pace, (end.exp() - begin.exp()).abs() / pace


def predicted_steps(
    start: Tensor, floor: Tensor, gradient: Tensor, share: float, lr: float = LEARNING_RATE
) -> tuple[Tensor, Tensor]:
    """Travel and saturation steps (see :func:`cross_entropy_steps`) to ``share`` of the cross entropy's range.

    ``start`` and ``floor`` are the margins at the two ends of the way and ``gradient`` is the norm ||dm||, all (n,).
    On a linear margin, ``floor`` is ``start`` minus or plus 2 eps ||dm||, and the foresight is exact for small steps.
    """
    begin, end = (nn.functional.softplus(-margin, threshold=40.0) for margin in (start, floor))
    target = begin + share * (end - begin)
    return cross_entropy_steps(start, -target - torch.log(-torch.expm1(-target)), gradient, lr)
