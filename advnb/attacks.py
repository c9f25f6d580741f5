"""First-order attacks: FGSM, PGD, the L-infinity Carlini-Wagner attack, and the exact one-step flip.

There is one projected-ascent loop in the project, :func:`ascend`; every attack, defence and trajectory plot
runs through it. It needs one gradient a step, with respect to the input only, and takes FOSC from that same
gradient. An attack leaves the model as it found it: its mode, its parameters' ``requires_grad`` and its buffers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from advnb import checks, gradients, losses
from advnb.balls import Ball
from advnb.flip import Flip, minimal_flip
from advnb.fold import Folding, is_folded
from advnb.losses import AnyLoss, Loss

__all__ = ["Flip", "PrecisionWarning", "Trace", "ZeroGradientWarning", "ascend", "cw", "fgsm", "minimal_flip", "pgd"]

Direction = Literal["steepest", "gradient"]
StepSize = float | Callable[[int], float]
Crafted = Any
"""Adversarial examples (n, ...) or, with a trace, the pair of them and a :class:`Trace`."""

Gradient = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(points, their rows in the batch or None for all) -> (loss (n,), gradient like the points)."""

Gap = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(gradient, points, the examples x, where these began) -> (n,): what can stand in for FOSC."""

Traced = bool | Literal["x", "before", "steps"]

TILE = 4
"""Rows in multiples of which a CPU's matrix products round alike; what is left over they round in another way."""

WORTH = 256
"""Gradients of one example from which on a folded copy is worth its making, by default."""

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16", "sve_bf16")
"""Instructions for matrix products in bfloat16, by the names that torch may give them."""


class ZeroGradientWarning(UserWarning):
    """Raised if an attack starts where the gradient is exactly zero, for some examples that it cannot move.

    It means that the loss has saturated (cross entropy underflows in float32 when a logit leads by about 100)
    or that the network is flat there: survival of such an example is no sign of robustness.
    """


class PrecisionWarning(UserWarning):
    """Raised if an attack runs in full precision because the processor has no instructions for the lower one."""


class Trace(NamedTuple):
    """What an attack saw on its way, iterates x^0 to x^K, from the gradients that it computed anyway.

    ``loss`` and ``fosc`` have shape (K + 1, n); row k belongs to x^k. ``steps`` (n,) counts the steps each example
    took before its FOSC fell to ``fosc_below`` (K without that rule); later rows repeat the last value.
    ``x`` has shape (K + 1, n, ...) and is kept only when asked for. ``loss`` and ``fosc`` are (K, n), up to
    x^{K-1}, in a trace ``"before"`` each step, and (0, n) in one of the steps alone.
    """

    loss: Tensor
    fosc: Tensor
    steps: Tensor
    x: Tensor | None


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
    gap: Gap | None = None,
    trace: Traced = False,
) -> Crafted:
    """Projected gradient ascent x^{k+1} = P(x^k + alpha_k v_k) over a batch, from ``start``; the loop itself.

    ``gradient(points, rows)`` returns loss (n,) and gradient for the given rows of the batch (``rows`` is None for
    all of them). v_k is the ball's steepest-ascent direction (``"steepest"``: sign for L-infinity, unit gradient
    for L2) or the gradient itself (``"gradient"``, the iteration of Deng et al., section 2). ``step_size`` is in the
    units of x, or a function of k. With ``fosc_below`` an example rests at the first iterate after x^0 whose
    FOSC is at most that value, and costs nothing from then on; ``gap`` takes FOSC's place, there and in the trace. A
    trace needs one gradient more, at x^K, unless it ends ``"before"`` that or is of the ``"steps"`` alone.

    ``x``, ``start``, losses and gradients are taken as data: no autograd graph grows with the steps or is returned.
    No argument is checked here: :func:`pgd` does that once, before the first step.
    """
    size = step_size if callable(step_size) else (lambda k: step_size)
    move = ball.ascent if direction == "steepest" else (lambda grad: grad)
    measure = gap or (lambda grad, point, x, start: ball.gap(grad, point, x))
    reading_is_free = x.device.type == "cpu"
    kind = _Batch if reading_is_free or fosc_below is None else _Carried
    batch = kind(x.detach(), start.detach(), steps, trace)
    for k in range(steps + (trace in (True, "x"))):
        loss, grad = (part.detach() for part in gradient(batch.point, batch.moving))
        watched = batch.seen or fosc_below is not None
        fosc = measure(grad, batch.point, batch.x, batch.start) if watched else loss  # nobody looks
        batch.record(k, loss, checks.alike("the result of gap", fosc, "the loss", loss, ("shape",)))
        if k == steps:
            break
        batch.remember(grad, first=k == 0)
        if k > 0 and fosc_below is not None:
            grad = batch.rest(k, fosc <= fosc_below, grad)
            if len(grad) == 0:
                break
        batch.advance(ball.project(batch.point + size(k) * move(grad), batch.x))
    return batch.finish()


class _Batch:
    """The examples that still move, with their centres and their rows in the batch, and where the others rest.

    ``seen`` holds what a trace wants of each iterate: nothing, or loss and FOSC (K + 1, n), or the points too.
    """

    def __init__(self, x: Tensor, start: Tensor, steps: int, trace: Traced) -> None:
        self.x, self.start, self.point, self.trace = x, start, start, trace
        self.rows: slice | Tensor = slice(None)
        self.steps = torch.full((len(x),), steps, device=x.device)
        self._result, self._checksum = torch.empty_like(start), start.new_zeros(len(x))
        wide = torch.promote_types(start.dtype, torch.float32)
        size, tables = (steps + (trace != "before"), len(x)), 2 * (trace in (True, "x", "before"))
        self.seen = [start.new_zeros(size, dtype=wide) for _ in range(tables)]
        self.seen += [start.new_zeros((steps + 1, *start.shape))] if trace == "x" else []

    @property
    def moving(self) -> Tensor | None:
        """The rows that still move, None for all of them."""
        return None if isinstance(self.rows, slice) else self.rows

    def record(self, k: int, loss: Tensor, gap: Tensor) -> None:
        """Store what is wanted of iterate k."""
        for table, value in zip(self.seen, (loss, gap, self.point), strict=False):
            table[k, self.rows] = value.to(table.dtype)

    def remember(self, grad: Tensor, *, first: bool) -> None:
        """Add up checksums: a NaN is known of at the end, without a wait for the device at each step."""
        if first:
            checks.look((grad == 0).flatten(1).all(1).sum(), partial(_warn_of_flat, len(grad)))
        self._checksum[self.rows] += gradients.checksum(grad)

    def rest(self, k: int, done: Tensor, grad: Tensor) -> Tensor:
        """Put the examples marked ``done`` aside, after k steps; return the gradient of the others."""
        if not bool(done.any()):
            return grad
        self._result[self.rows] = self.point
        rows, keep = torch.arange(len(self.steps), device=done.device)[self.rows], ~done
        self.steps[rows[done]] = k
        for table in self.seen:
            table[k + 1 :, rows[done]] = table[k, rows[done]]
        self.rows, self.point, self.x, self.start = (part[keep] for part in (rows, self.point, self.x, self.start))
        return grad[keep]

    def advance(self, point: Tensor) -> None:
        """Move on to ``point``."""
        self.point = point

    def finish(self) -> Crafted:
        """Return all points in the order of the batch, with the trace; raises if any gradient was not finite."""
        gradients.check_finite(self._checksum)
        self._result[self.rows] = self.point
        if not self.trace:
            return self._result
        loss, fosc, *x = self.seen or 2 * [self._checksum[None][:0]]
        return self._result, Trace(loss, fosc, self.steps, x[0] if x else None)


class _Carried(_Batch):
    """The same with the examples at rest carried along: to drop them, the host would wait for the device each step."""

    def __init__(self, x: Tensor, start: Tensor, steps: int, trace: Traced) -> None:
        super().__init__(x, start, steps, trace)
        self._on = torch.ones_like(self.steps, dtype=torch.bool)

    def record(self, k: int, loss: Tensor, gap: Tensor) -> None:
        for table, value in zip(self.seen, (loss, gap, self.point), strict=False):
            table[k] = value if k == 0 else torch.where(_like(self._on, value), value, table[k - 1])

    def rest(self, k: int, done: Tensor, grad: Tensor) -> Tensor:
        self.steps.masked_fill_(self._on & done, k)
        self._on = self._on & ~done
        return grad

    def advance(self, point: Tensor) -> None:
        self.point = torch.where(_like(self._on, point), point, self.point)


def _like(marks: Tensor, rows: Tensor) -> Tensor:
    """View ``marks`` (n,) so that they broadcast against ``rows`` (n, ...)."""
    return marks.view(-1, *[1] * (rows.ndim - 1))


def _warn_of_flat(n: int, flat: float) -> None:
    if flat:
        warnings.warn(
            f"the gradient is exactly zero at the start for {int(flat)} of {n} examples, which the attack "
            "cannot move: the loss has saturated or the network is flat there. Try loss='margin' or float64",
            ZeroGradientWarning,
            stacklevel=checks.outside(),
        )


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    steps: int = 10,
    step_size: StepSize | None = None,
    random_start: bool = True,
    start: Tensor | None = None,
    loss: AnyLoss = "cross_entropy",
    direction: Direction = "steepest",
    generator: torch.Generator | None = None,
    fosc_below: float | None = None,
    gap: Gap | None = None,
    trace: Traced = False,
    chunk: int | None = None,
    autocast: torch.dtype | None = None,
    fold: bool | Folding = True,
    allow_train_mode: bool = False,
) -> Crafted:
    """Projected gradient descent's ascent on the loss: Madry et al.'s attack; eq. (3) of Wang et al. (2019).

    Returns adversarial examples like ``x``, inside the ball and its box; with ``trace`` also the :class:`Trace`.

    Raises ValueError or TypeError on inputs outside the box, labels without a logit, a model in train mode, a reduced
    loss, a gradient that is not finite, unknown names and sizes out of range; the model has not changed then.

    Parameters
    ----------
    model, ball
        The model, on any device, returns logits (n, classes), or one output (n,) for the losses ``"logistic"`` and
        ``"squared"``. The ball is ``Linf(eps)`` or ``L2(eps)``, with eps in the units of x.
    x, y
        Clean examples (n, ...) inside the ball's box, and targets (n,): int64 class indices, or real numbers.
    steps, step_size
        K steps of that size, in the units of x; by default eps / 4. A function of k makes a schedule.
    random_start, start, generator
        Start uniformly in the ball (drawn for the whole batch at once, so chunking changes nothing), at x, or at a
        given ``start`` inside the ball.
    loss, direction
        A name from :data:`advnb.losses.LOSSES` or a callable (output, y) -> (n,). ``direction="gradient"`` takes
        raw gradient steps instead of the ball's steepest ones.
    fosc_below
        Stop each example at its first iterate after the start with FOSC at or below this, and drop it from the batch;
        those left of all chunks are taken together. Where examples go does not depend on which others were dropped:
        bit for bit on a CPU if all layers take and make multiples of four numbers (classes apart), else up to rounding.
        Examples at rest are carried along in train mode, where BatchNorm looks at the whole batch, and on an
        accelerator, which would have to wait at each step for the host to hear how many are left.
    gap
        ``gap(grad, x_k, x, start)`` -> (n,), in FOSC's place in that rule and in the trace. It may be negative, and so
        may ``fosc_below`` then.
    trace
        True returns ``(x_adv, Trace)``; ``"x"`` keeps the iterates too; ``"steps"`` only counts the steps.
        ``"before"`` has loss and FOSC before each step, (K, n), of the gradients that the steps take: none is computed
        for the trace, as one is at x^K otherwise.
    chunk
        Examples a forward pass; by default 64 images on a CPU and everything on an accelerator.
    autocast
        ``torch.bfloat16`` runs the network in that precision where the processor has it; elsewhere it would be many
        times slower, and the attack warns and runs in the dtype of x. Points, steps and FOSC stay in that dtype, FOSC
        from the network's gradient as it is: :func:`advnb.criterion.fosc` knows nothing of autocast.
    fold
        Attack a folded copy of the model (:func:`advnb.fold.fold`): the same function up to rounding, for half the time
        or less on convolutional networks. The copy is compared with the model on two examples first; where
        it differs or nothing is to be gained, the model is attacked as it is, as it always is with False. A
        :class:`advnb.fold.Folding` keeps the copy for further attacks. A :class:`advnb.models.TwoLayer` with ReLU is
        followed from step to step instead (:mod:`advnb.incremental`), also up to rounding.
    allow_train_mode
        Insist on attacking a model in train mode (its buffers are restored afterwards).
    """
    objective = losses.resolve(loss)
    gradients.check_problem(model, x, y, ball, objective, checks.flag("allow_train_mode", allow_train_mode))
    _check_choices(direction, random_start, trace, gap, autocast)
    if fosc_below is not None:
        least = float("-inf") if gap else 0
        fosc_below = checks.number("fosc_below", fosc_below, lambda v: v >= least, f"be at least {least}")
    if step_size is None:
        step_size = ball.eps / 4
    elif callable(step_size):
        step_size = partial(_scheduled, step_size)
    else:
        step_size = checks.positive("step_size", step_size)
    if start is None:
        start = ball.sample(x, generator=generator) if random_start else x
    else:
        gradients.check_inside("start", start, x, ball)
    steps, parts, most = checks.count("steps", steps), gradients.chunks(x, chunk), None
    if fosc_below is not None:
        most = parts[0].stop
        if not (hasattr(model, "along_path") or any(part.training for part in model.modules())):
            parts = [slice(None)]  # the gradient takes the chunks, of whoever is left
    autocast = _at_hand(autocast, x.device.type)
    with gradients.frozen(model):
        with _autocast(x, autocast):
            gradients.check_model(model, x, y, objective)
        network = _folded(model, x, ball, fold, steps * len(x))
        with _autocast(x, autocast):
            outcomes = [
                ascend(
                    _network_gradient(network, y[part], objective, start[part], fosc_below is not None, most, fold),
                    x[part], ball, start=start[part], steps=steps, step_size=step_size, direction=direction,
                    fosc_below=fosc_below, gap=gap, trace=trace,
                )
                for part in parts
            ]  # fmt: skip
    return _joined(outcomes) if trace else torch.cat(outcomes)


def fgsm(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, **options: Any) -> Crafted:
    """Fast gradient (sign) method: one steepest step of length eps from x; eq. (2) of Wang et al. (2019).

    Other arguments, result and errors as in :func:`pgd`; with an L2 ball the step follows the unit gradient.
    """
    return pgd(model, x, y, ball, steps=1, step_size=lambda k: ball.eps, random_start=False, **options)


def cw(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, *, steps: int = 30, kappa: float = 0.0, **options: Any
) -> Crafted:
    """Carlini and Wagner's margin, maximised over the ball by PGD (the L-infinity version of Wang et al., section 5.1).

    The loss is min(max_{j != y} z_j - z_y, kappa): with the default ``kappa=0`` an example rests, with a zero
    gradient, as soon as it is misclassified; ``kappa=float("inf")`` keeps pushing. Other arguments as in :func:`pgd`.
    """
    kappa = checks.number("kappa", kappa, lambda v: v >= 0, "be at least 0")
    if "loss" in options:
        raise TypeError("cw has its own loss, the margin; use pgd(..., loss=...) for another")
    objective = Loss("margin", partial(losses.margin, kappa=kappa), "classes")
    with warnings.catch_warnings():
        # An example that starts out misclassified has a zero gradient by design.
        warnings.simplefilter("ignore", ZeroGradientWarning)
        return pgd(model, x, y, ball, steps=steps, loss=objective, **options)


def _check_choices(direction: Any, random_start: Any, trace: Any, gap: Any, autocast: Any) -> None:
    """Raise unless these options of :func:`pgd` are of the kinds that it knows."""
    checks.choice("direction", direction, ("steepest", "gradient"))
    checks.flag("random_start", random_start)
    if not isinstance(trace, bool):
        checks.choice("trace", trace, ("x", "before", "steps"))
    if gap is not None and not callable(gap):
        raise TypeError(f"gap must be a function (grad, x_k, x, start) -> (n,) or None; got {gap!r}")
    checks.optional("autocast", autocast, torch.dtype, "a dtype of torch")


def _scheduled(step_size: Callable[[int], float], k: int) -> float:
    """Return the size of step k; raises if it is no finite number of at least 0."""
    return checks.number(f"step_size({k})", step_size(k), lambda v: 0 <= v < float("inf"), "be finite and at least 0")


def _at_hand(dtype: torch.dtype | None, kind: str) -> torch.dtype | None:
    """Return ``dtype``, or None with a warning if it is bfloat16 and a device of that kind can only emulate it."""
    if dtype is not torch.bfloat16 or _has_bfloat16(kind):
        return dtype
    warnings.warn(
        f"this {kind} computes in bfloat16 only step by step, many times slower: the attack runs without autocast",
        PrecisionWarning,
        stacklevel=checks.outside(),  # Python shows it once for each line that attacks
    )
    return None


def _has_bfloat16(kind: str) -> bool:
    """Return whether a device of that kind has instructions for products in bfloat16 (others: as torch sees fit)."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return True
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 and later
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return any(known.get(name, False) for name in BFLOAT16) or asked()


def _autocast(x: Tensor, dtype: torch.dtype | None) -> AbstractContextManager[None]:
    """Switch autocast on, or off where it is known."""
    kind, wanted = x.device.type, dtype is not None
    known = wanted or torch.amp.is_autocast_available(kind)
    return torch.autocast(kind, dtype, enabled=wanted) if known else nullcontext()


def _folded(model: nn.Module, x: Tensor, ball: Ball, fold: bool | Folding, count: int) -> nn.Module:
    """Return what an attack of ``count`` gradients runs on: the model or, where that pays, a folded copy."""
    if not isinstance(fold, bool | Folding):
        raise TypeError(f"fold must be True, False or a Folding; got {fold!r}")
    if fold is False or is_folded(model) or (fold is True and count < WORTH):
        return model
    folding = Folding() if fold is True else fold
    return folding(model, ball.sample(x[:2].detach(), generator=torch.Generator().manual_seed(0)))


def _network_gradient(
    model: nn.Module, y: Tensor, loss: Loss, start: Tensor, stops: bool, most: int | None, fold: bool | Folding
) -> Gradient:
    """Return what :func:`ascend` asks for; where examples may stop, no row depends on which others still move.

    No more than ``most`` rows go through the network at a time, if it is given.
    """
    along = None if fold is False else _along_path(model, y, loss, TILE if stops else 1)
    if along is not None:
        return along
    whole = start.detach().clone() if stops and any(part.training for part in model.modules()) else None

    def gradient(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        here = slice(None) if rows is None else rows
        if whole is not None:
            whole[here] = points
            value, grad, _ = gradients.loss_and_gradient(model, whole, y, loss)
            return value[here], grad[here]
        if most is None:
            value, grad, _ = gradients.loss_and_gradient(model, points, y[here], loss)
            return value, grad
        size = _even(len(points), most)
        pairs = zip(points.split(size), y[here].split(size), strict=True)
        values, grads = zip(*(_filled(model, part, targets, loss) for part, targets in pairs), strict=True)
        return torch.cat(values), torch.cat(grads)

    return gradient


def _along_path(model: nn.Module, y: Tensor, loss: Loss, tile: int) -> Gradient | None:
    """Return the gradient by a model that knows its own along a path, such as a :class:`TwoLayer`; None if not."""
    offer = getattr(model, "along_path", None)
    if not callable(offer) or torch.is_autocast_enabled(y.device.type) or (at := offer(tile=tile)) is None:
        return None

    def gradient(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        output, slope = at(points, rows)
        value, push, _ = gradients.loss_and_gradient(nn.Identity(), output, y if rows is None else y[rows], loss)
        return value, push.view(-1, *[1] * (slope.ndim - 1)) * slope

    return gradient


def _even(n: int, most: int) -> int:
    """Return the size of chunks, at most ``most``, that are about equal: a small one costs more a row."""
    size = -(-n // -(-n // most))
    return min(most, size + -size % TILE)


def _filled(model: nn.Module, points: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Return loss and gradient of n rows; on a CPU computed with enough copies to make a multiple of :data:`TILE`."""
    n = len(points)
    if n % TILE and points.device.type == "cpu":
        filled = torch.arange(n + -n % TILE) % n
        points, targets = points[filled], targets[filled]
    value, grad, _ = gradients.loss_and_gradient(model, points, targets, loss)
    return value[:n], grad[:n]


def _joined(outcomes: list[tuple[Tensor, Trace]]) -> tuple[Tensor, Trace]:
    """Put the results of the chunks behind each other."""
    points, traces = zip(*outcomes, strict=True)
    loss, fosc, steps, x = zip(*traces, strict=True)
    iterates = None if x[0] is None else torch.cat(x, 1)
    return torch.cat(points), Trace(torch.cat(loss, 1), torch.cat(fosc, 1), torch.cat(steps), iterates)
