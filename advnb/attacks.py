"""First-order attacks: FGSM, PGD, the L-infinity Carlini-Wagner attack, and the exact one-step flip.

There is one projected-ascent loop in the project, :func:`ascend`; every attack, defence and trajectory plot
runs through it. It needs one gradient a step, with respect to the input only, and takes FOSC from that same
gradient. An attack leaves the model as it found it: its mode, its parameters' ``requires_grad`` and its buffers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor, nn

from advnb import checks, gradients, losses
from advnb.balls import Ball
from advnb.flip import Flip, minimal_flip
from advnb.losses import Loss, PerExample

__all__ = ["Flip", "Trace", "ZeroGradientWarning", "ascend", "cw", "fgsm", "minimal_flip", "pgd"]

Direction = Literal["steepest", "gradient"]
StepSize = float | Callable[[int], float]
Gradient = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(points, their rows in the batch or None for all) -> (loss (n,), gradient like the points)."""


class ZeroGradientWarning(UserWarning):
    """Raised if an attack starts where the gradient is exactly zero, for some examples that it cannot move.

    It means that the loss has saturated (cross entropy underflows in float32 when a logit leads by about 100)
    or that the network is flat there: survival of such an example is no sign of robustness.
    """


class Trace(NamedTuple):
    """What an attack saw on its way, iterates x^0 to x^K, from the gradients that it computed anyway.

    ``loss`` and ``fosc`` have shape (K + 1, n); row k belongs to x^k. ``steps`` (n,) counts the steps each example
    took before its FOSC fell to ``fosc_below`` (K without that rule); later rows repeat the last value.
    ``x`` has shape (K + 1, n, ...) and is kept only when asked for.
    """

    loss: Tensor
    fosc: Tensor
    steps: Tensor
    x: Tensor | None


@overload
def ascend(
    gradient: Gradient, x: Tensor, ball: Ball, *, start: Tensor, steps: int, step_size: StepSize,
    direction: Direction = ..., fosc_below: float | None = ..., trace: Literal[False] = ...,
) -> Tensor: ...  # fmt: skip
@overload
def ascend(
    gradient: Gradient, x: Tensor, ball: Ball, *, start: Tensor, steps: int, step_size: StepSize,
    direction: Direction = ..., fosc_below: float | None = ..., trace: Literal[True, "x"],
) -> tuple[Tensor, Trace]: ...  # fmt: skip
def ascend(
    gradient: Gradient,
    x: Tensor,
    ball: Ball,
    *,
    start: Tensor,
    steps: int,
    step_size: StepSize,
    direction: Direction = "steepest",
    fosc_below: float | None = None,
    trace: bool | Literal["x"] = False,
) -> Tensor | tuple[Tensor, Trace]:
    """Projected gradient ascent x^{k+1} = P(x^k + alpha_k v_k) over a batch, from ``start``; the loop itself.

    ``gradient(points, rows)`` returns loss (n,) and gradient for the given rows of the batch (``rows`` is None for
    all of them). v_k is the ball's steepest-ascent direction (``"steepest"``: sign for L-infinity, unit gradient
    for L2) or the gradient itself (``"gradient"``, the iteration of Deng et al., section 2). ``step_size`` is in the
    units of x, or a function of k. With ``fosc_below`` an example rests at the first iterate after x^0 whose
    FOSC is at most that value, and costs nothing from then on. A trace needs one gradient more, at x^K.

    ``x``, ``start``, losses and gradients are taken as data: no autograd graph grows with the steps or is returned.
    No argument is checked here: :func:`pgd` does that once, before the first step.
    """
    x, start = x.detach(), start.detach()
    size = step_size if callable(step_size) else (lambda k: step_size)
    move = ball.ascent if direction == "steepest" else (lambda grad: grad)
    record = _Record(start, steps, keep_x=trace == "x") if trace else None
    state = _Active(x, start.clone())
    for k in range(steps):
        loss, grad = (part.detach() for part in gradient(state.point, state.rows))
        gap = ball.gap(grad, state.point, state.x) if trace or fosc_below is not None else None
        if record is not None and gap is not None:
            record.write(k, state, loss, gap)
        state.remember(grad)
        if k == 0:
            _warn_if_flat(grad)
        elif gap is not None and fosc_below is not None:
            grad = state.rest(gap <= fosc_below, grad)
            if len(grad) == 0:
                break
        state.point = ball.project(state.point + size(k) * move(grad), state.x)
        state.steps[state.rows if state.rows is not None else slice(None)] += 1
    x_adv = state.finish()
    if record is None:
        return x_adv
    loss, grad = (part.detach() for part in gradient(x_adv, None))
    return x_adv, record.close(loss, ball.gap(grad, x_adv, x), x_adv, state.steps)


class _Active:
    """The examples still moving: their points, their centres and their rows in the batch (None: all of them)."""

    def __init__(self, x: Tensor, start: Tensor) -> None:
        self.x, self.point, self.rows = x, start, None
        self.steps = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self._result = start
        self._largest = start.new_zeros(len(x))

    rows: Tensor | None

    def remember(self, grad: Tensor) -> None:
        """Keep each row's largest entry so far, so that a NaN is known at the end without a wait for the device."""
        rows = self.rows if self.rows is not None else slice(None)
        largest = gradients.largest_entry(grad).to(self._largest.dtype)
        self._largest[rows] = torch.maximum(self._largest[rows], largest)

    def rest(self, done: Tensor, grad: Tensor) -> Tensor:
        """Put the examples marked ``done`` aside; return the gradient of the others."""
        if not bool(done.any()):
            return grad
        rows = self.rows if self.rows is not None else torch.arange(len(self._result), device=done.device)
        if self.rows is None:
            self._result = self.point.clone()
        else:
            self._result[rows] = self.point
        keep = ~done
        self.rows, self.point, self.x = rows[keep], self.point[keep], self.x[keep]
        return grad[keep]

    def finish(self) -> Tensor:
        """Return all points in the order of the batch; raises if any gradient on the way was not finite."""
        gradients.check_finite(self._largest)
        if self.rows is None:
            return self.point
        self._result[self.rows] = self.point
        return self._result


class _Record:
    """Collects a :class:`Trace`; rows of resting examples repeat their last value."""

    def __init__(self, start: Tensor, steps: int, *, keep_x: bool) -> None:
        self.loss = start.new_zeros(
            (steps + 1, len(start)), dtype=torch.promote_types(start.dtype, torch.float32)
        )
        self.fosc = torch.zeros_like(self.loss)
        self.x = start.new_empty((steps + 1, *start.shape)) if keep_x else None
        self.written = 0

    def write(self, k: int, state: _Active, loss: Tensor, gap: Tensor) -> None:
        """Store iterate k for the rows still moving."""
        rows = state.rows if state.rows is not None else slice(None)
        if k > 0:
            self.loss[k], self.fosc[k] = self.loss[k - 1], self.fosc[k - 1]
        self.loss[k, rows], self.fosc[k, rows] = loss.to(self.loss.dtype), gap.to(self.fosc.dtype)
        if self.x is not None:
            if k > 0:
                self.x[k] = self.x[k - 1]
            self.x[k, rows] = state.point
        self.written = k + 1

    def close(self, loss: Tensor, gap: Tensor, x_adv: Tensor, steps: Tensor) -> Trace:
        """Store the last iterate in every row not yet written."""
        self.loss[self.written :], self.fosc[self.written :] = (
            loss.to(self.loss.dtype),
            gap.to(self.fosc.dtype),
        )
        if self.x is not None:
            self.x[self.written :] = x_adv
        return Trace(self.loss, self.fosc, steps, self.x)


def _warn_if_flat(grad: Tensor) -> None:
    flat = int((grad == 0).flatten(1).all(1).sum())
    if flat:
        warnings.warn(
            f"the gradient is exactly zero at the start for {flat} of {len(grad)} examples, which the attack "
            "cannot move: the loss has saturated or the network is flat there. Try loss='margin' or float64",
            ZeroGradientWarning,
            stacklevel=4,
        )


@overload
def pgd(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, trace: Literal[False] = ..., **options: Any
) -> Tensor: ...
@overload
def pgd(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, trace: Literal[True, "x"], **options: Any
) -> tuple[Tensor, Trace]: ...
def pgd(  # type: ignore[misc]  # the two signatures above leave most options to this one
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    steps: int = 10,
    step_size: StepSize | None = None,
    random_start: bool = True,
    start: Tensor | None = None,
    loss: str | PerExample | Loss = "cross_entropy",
    direction: Direction = "steepest",
    generator: torch.Generator | None = None,
    fosc_below: float | None = None,
    trace: bool | Literal["x"] = False,
    chunk: int | None = None,
    autocast: torch.dtype | None = None,
    allow_train_mode: bool = False,
) -> Tensor | tuple[Tensor, Trace]:
    """Projected gradient descent's ascent on the loss: Madry et al.'s attack; eq. (3) of Wang et al. (2019).

    Parameters
    ----------
    model
        Returns logits (n, classes), or one output (n,) for the losses ``"logistic"`` and ``"squared"``. Any device.
    x, y
        Clean examples (n, ...) inside the ball's box, and targets (n,): int64 class indices, or real numbers.
    ball
        ``Linf(eps)`` or ``L2(eps)``, with eps in the units of x.
    steps, step_size
        K steps of that size, in the units of x; by default eps / 4. A function of k makes a schedule.
    random_start, start, generator
        Start uniformly in the ball (drawn for the whole batch at once, so chunking changes nothing), at x, or at a
        given ``start`` inside the ball.
    loss, direction
        A name from :data:`advnb.losses.LOSSES` or a callable (output, y) -> (n,). ``direction="gradient"`` takes
        raw gradient steps instead of the ball's steepest ones.
    fosc_below
        Stop each example at its first iterate after the start with FOSC at or below this.
    trace
        True returns ``(x_adv, Trace)``; ``"x"`` keeps the iterates too.
    chunk
        Examples a forward pass; by default 64 images on a CPU and everything on an accelerator.
    autocast
        ``torch.bfloat16`` runs the network in that precision; points, steps and FOSC stay in the dtype of x.
    allow_train_mode
        Insist on attacking a model in train mode (its buffers are restored afterwards).

    Returns
    -------
    Adversarial examples like ``x``, inside the ball and its box; with ``trace`` also the :class:`Trace`.

    Raises
    ------
    ValueError, TypeError
        On inputs outside the box, labels without a logit, a model in train mode, a reduced loss, a gradient that is not
        finite, unknown names and sizes out of range; nothing about the model has changed then.
    """
    objective = losses.resolve(loss)
    gradients.check_problem(model, x, y, ball, objective, allow_train_mode)
    steps = checks.count("steps", steps)
    size = _step_size(step_size, ball)
    checks.choice("direction", direction, ("steepest", "gradient"))
    if fosc_below is not None and not fosc_below >= 0:
        raise ValueError(f"fosc_below must be at least 0; got {fosc_below!r}")
    begin = _start(x, ball, start, random_start, generator)
    size_of_chunk = gradients.chunk_size(chunk, x)
    outcomes: list[Tensor | tuple[Tensor, Trace]] = []
    run = partial(
        ascend, steps=steps, step_size=size, direction=direction, fosc_below=fosc_below, trace=trace
    )
    with gradients.frozen(model), torch.autocast(x.device.type, autocast, enabled=autocast is not None):
        gradients.check_model(model, x, y, objective)
        for first in range(0, len(x), size_of_chunk):
            part = slice(first, first + size_of_chunk)
            gradient = partial(_network_gradient, model, y[part], objective)
            outcomes.append(run(gradient, x[part], ball, start=begin[part]))
    return _join(outcomes)


def fgsm(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    loss: str | PerExample | Loss = "cross_entropy",
    chunk: int | None = None,
    allow_train_mode: bool = False,
) -> Tensor:
    """Fast gradient (sign) method: one steepest step of length eps from x; eq. (2) of Wang et al. (2019).

    Arguments, result and errors as in :func:`pgd`; with an L2 ball the step follows the unit gradient.
    """
    return pgd(
        model,
        x,
        y,
        ball,
        steps=1,
        step_size=lambda k: ball.eps,
        random_start=False,
        loss=loss,
        chunk=chunk,
        allow_train_mode=allow_train_mode,
    )


@overload
def cw(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, trace: Literal[False] = ..., **options: Any
) -> Tensor: ...
@overload
def cw(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, trace: Literal[True, "x"], **options: Any
) -> tuple[Tensor, Trace]: ...
def cw(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    steps: int = 30,
    kappa: float = 0.0,
    **options: Any,
) -> Tensor | tuple[Tensor, Trace]:
    """Carlini and Wagner's margin, maximised over the ball by PGD (the L-infinity version of Wang et al., section 5.1).

    The loss is min(max_{j != y} z_j - z_y, kappa): with the default ``kappa=0`` an example rests, with a zero
    gradient, as soon as it is misclassified; ``kappa=float("inf")`` keeps pushing. Other arguments as in :func:`pgd`.
    """
    if not kappa >= 0:
        raise ValueError(f"kappa must be at least 0; got {kappa!r}")
    if "loss" in options:
        raise TypeError("cw has its own loss, the margin; use pgd(..., loss=...) for another")
    objective = Loss("margin", partial(losses.margin, kappa=kappa), "classes")
    with warnings.catch_warnings():
        # An example that starts out misclassified has a zero gradient by design.
        warnings.simplefilter("ignore", ZeroGradientWarning)
        return pgd(model, x, y, ball, steps=steps, loss=objective, **options)


def _network_gradient(
    model: nn.Module, y: Tensor, loss: Loss, points: Tensor, rows: Tensor | None
) -> tuple[Tensor, Tensor]:
    values, grad, _ = gradients.loss_and_gradient(model, points, y if rows is None else y[rows], loss)
    return values, grad


def _step_size(step_size: StepSize | None, ball: Ball) -> StepSize:
    if step_size is None:
        return ball.eps / 4
    return step_size if callable(step_size) else checks.positive("step_size", step_size)


def _start(
    x: Tensor, ball: Ball, start: Tensor | None, random_start: bool, generator: torch.Generator | None
) -> Tensor:
    if start is None:
        return ball.sample(x, generator=generator) if random_start else x.clone()
    checks.images("start", start, ball.box)
    checks.same_shape("start", start, "x", x)
    if not bool(ball.contains(start, x).all()):
        raise ValueError(f"start must lie in the ball of radius {ball.eps:g} around x; some examples do not")
    return start


def _join(outcomes: list[Tensor | tuple[Tensor, Trace]]) -> Tensor | tuple[Tensor, Trace]:
    plain = [outcome for outcome in outcomes if isinstance(outcome, Tensor)]
    if plain:
        return torch.cat(plain)
    pairs = [outcome for outcome in outcomes if not isinstance(outcome, Tensor)]
    traces = [trace for _, trace in pairs]
    iterates = [trace.x for trace in traces if trace.x is not None]
    joined = Trace(
        loss=torch.cat([trace.loss for trace in traces], 1),
        fosc=torch.cat([trace.fosc for trace in traces], 1),
        steps=torch.cat([trace.steps for trace in traces]),
        x=torch.cat(iterates, 1) if iterates else None,
    )
    return torch.cat([x_adv for x_adv, _ in pairs]), joined
