"""Probes of the model and the data, before any attack: each returns measured numbers, by name of the flag."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from advnb import gradients, losses
from advnb.balls import Ball
from advnb.losses import Loss

__all__ = [
    "Subject", "data_probes", "evaluating", "gradient_probes", "objectives", "output_probes", "share", "small_steps",
]  # fmt: skip

GREY = 255
DIRECTIONS = 4
"""Random directions in which the margin is compared with its gradient."""

GRADIENTS, OUTPUTS = 4, 5 + 2 * DIRECTIONS
"""What the probes take of each example: gradients and forward passes, rounded up."""

Measured = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """What is audited: a model in eval mode on examples x (n, ...) with targets y (n,), in a ball."""

    model: nn.Module
    x: Tensor
    y: Tensor
    ball: Ball
    loss: Loss
    margin: Loss

    def outputs(self, x: Tensor) -> Tensor:
        """Return the model's outputs for a batch (n, ...), a chunk at a time and without gradients."""
        with torch.no_grad():
            return torch.cat([self.model(x[rows]) for rows in gradients.chunks(x, None)])

    def margins(self, x: Tensor) -> Tensor:
        """Return the margins at a batch (n, ...), shape (n,): positive where the example is misclassified."""
        return self.margin.values(_wide(self.outputs(x)), self.y)

    def gradient(self, loss: Loss, rows: slice = slice(None)) -> Tensor:
        """Return the gradient of ``loss`` at the clean examples, like x."""
        x, y = self.x[rows], self.y[rows]
        with gradients.frozen(self.model):
            parts = [gradients.loss_and_gradient(self.model, x[c], y[c], loss)[1] for c in gradients.chunks(x, None)]
        return torch.cat(parts)


def objectives(output: Tensor) -> tuple[Loss, Loss]:
    """Return the loss and the margin for such outputs: of logits (n, classes), or of one output (n,) an example."""
    if output.ndim == 1:
        return losses.LOSSES["logistic"], Loss("margin", lambda output, y: -y * output, "signs")
    return losses.LOSSES["cross_entropy"], losses.LOSSES["margin"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[int]:
    """Put the model into eval mode inside the block, and give the number of parts that were in train mode."""
    training = [part for part in model.modules() if part.training]
    try:
        model.eval()
        yield len(training)
    finally:
        for part in training:
            part.training = True


def output_probes(subject: Subject) -> tuple[Measured, Tensor]:
    """Look at outputs alone: the same twice, the same in half of a batch, layers' statistics; also the outputs."""
    with _watched(subject.model) as distances:
        output = subject.outputs(subject.x)
    again = subject.outputs(subject.x)
    half = len(output) // 2
    measured = {
        "random-output": _difference(output, again),
        "batch-dependence": _difference(output[:half], subject.outputs(subject.x[:half])) if half else math.nan,
        "stale-normalisation": max(distances, default=math.nan),
    }
    if output.ndim == 2:
        top, bottom = output.amax(1), output.amin(1)
        sums = output.float().sum(1)
        proper = (bottom >= 0) & ((sums - 1).abs() <= output.shape[1] * math.sqrt(torch.finfo(output.dtype).eps))
        measured["probabilities"] = share(proper)
        if not bool(proper.all()) and len(output) > 1:
            measured["clipped-logits"] = share(top == top.amax())
    return measured, output


def data_probes(subject: Subject, output: Tensor) -> Measured:
    """Look at labels and units: would other ones fit the model better?"""
    y, right = subject.y, losses.correct(output, subject.y)
    clean = share(right)
    spread = float(subject.x.max() - subject.x.min())
    scaled = [share(losses.correct(subject.outputs(x), y)) for x in (subject.x * GREY, subject.x / GREY)]
    renamed = _best_numbering(output, y)
    return {
        "pixel-units": max(scaled) - clean,
        "eps-units": spread / GREY / subject.ball.eps if spread > 16 else 0.0,
        "labels": renamed - clean if renamed > 0.5 else 0.0,
    }


def gradient_probes(subject: Subject, right: Tensor) -> tuple[Measured, Tensor]:
    """Look at gradients of loss and margin at the examples, where these are ``right`` (n,); also that of the margin.

    Without a graph back to x only that is measured, and the gradient returned is zero.
    """
    if not _has_graph(subject):
        return {"no-gradient": 1.0}, torch.zeros_like(subject.x)
    of_loss, again, of_margin = (subject.gradient(loss) for loss in (subject.loss, subject.loss, subject.margin))
    half = len(subject.x) // 2
    still, flat = ((grad == 0).flatten(1).all(1) for grad in (of_loss, of_margin))
    measured = {
        "no-gradient": 0.0,
        "random-output": _difference(of_loss, again),
        "dead-gradient": share((still & flat)[right]),
        "saturated-loss": share((still & ~flat)[right]),
    }
    if half:
        alone = subject.gradient(subject.loss, slice(half))
        # The median over examples: where a kink is near, rounding alone may choose its other side.
        parts = [_difference(a[None], b[None]) for a, b in zip(of_loss[:half], alone, strict=True)]
        measured["batch-dependence"] = float(torch.tensor(parts).median())
    return measured, of_margin


def small_steps(subject: Subject, of_margin: Tensor, draw: Callable[..., Tensor]) -> Measured:
    """Compare the margin's differences over small random steps with what its gradient ``of_margin`` foretells.

    ``draw(shape)`` returns uniform numbers in [0, 1). The steps are a small part of eps, longer in low precision; what
    the rounding of the outputs can do to a difference counts for nothing.
    """
    x, precision = subject.x, _precision(subject.model, subject.outputs(subject.x[:1]))
    size, rounding = subject.ball.eps * min(1.0, 4 * precision ** (1 / 3)), 0.0
    found, foretold, same = [], [], torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(DIRECTIONS):
        move = size * (2 * (draw(x.shape).to(x) > 0.5) - 1).to(x)
        ends = [subject.ball.project(x + sign * move, x) for sign in (1, -1)]
        high, low = (subject.outputs(end) for end in ends)
        same &= (high == low).reshape(len(x), -1).all(1)
        rounding += precision * float(high.abs().reshape(len(x), -1).amax(1).sum())
        found.append(subject.margin.values(_wide(high), subject.y) - subject.margin.values(_wide(low), subject.y))
        step = _wide(ends[0]) - _wide(ends[1])
        foretold.append((step * _wide(of_margin)).flatten(1).sum(1))
    measured = {"piecewise-constant": share(same)}
    here, there = (torch.cat(part).double() for part in (found, foretold))
    if bool(there.any()):  # else there is no gradient, which has a flag of its own
        beyond = max(0.0, float((here - there).abs().sum()) - rounding)
        measured["wrong-gradient"] = beyond / float((here.abs() + there.abs()).sum())
    return measured


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[float]]:
    """Collect how far, in each BatchNorm layer, the stored statistics lie from those of what comes in."""
    distances: list[float] = []

    def look(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        mean, var = layer.running_mean, layer.running_var
        channels = inputs[0].detach().to(torch.promote_types(inputs[0].dtype, torch.float32)).transpose(0, 1).flatten(1)
        if mean is None or var is None or channels.shape[1] < 2:
            return
        stored, here = ((v + layer.eps).sqrt() for v in (var, channels.var(1)))
        shift = ((channels.mean(1) - mean).abs() / stored).mean()
        distances.append(float(torch.maximum(shift, (here / stored).log().abs().mean())))

    hooks = [part.register_forward_pre_hook(look) for part in model.modules() if isinstance(part, _BatchNorm)]
    try:
        yield distances
    finally:
        for hook in hooks:
            hook.remove()


def _has_graph(subject: Subject) -> bool:
    with gradients.frozen(subject.model), torch.enable_grad():
        few = subject.x[:2].detach().requires_grad_()
        output = subject.model(few)
        return output.requires_grad and torch.autograd.grad(output.sum(), few, allow_unused=True)[0] is not None


def _best_numbering(output: Tensor, y: Tensor) -> float:
    """Return the accuracy under the numbering of the classes that fits the outputs best."""
    from scipy.optimize import linear_sum_assignment

    if output.ndim == 1:
        return share(losses.correct(-output, y))
    classes = output.shape[1]
    pairs = torch.bincount(output.argmax(1) * classes + y, minlength=classes**2).view(classes, classes).cpu().numpy()
    return float(pairs[linear_sum_assignment(pairs, maximize=True)].sum() / len(y))


def _difference(a: Tensor, b: Tensor) -> float:
    """Return max |a - b| over max |a|, in units of the root of the precision of ``a``."""
    a, b, unit = _wide(a), _wide(b), math.sqrt(torch.finfo(a.dtype).eps)
    return float((a - b).abs().max() / a.abs().max().clamp_min(torch.finfo(a.dtype).tiny)) / unit


def _precision(model: nn.Module, output: Tensor) -> float:
    """Return the machine epsilon of the coarsest of outputs and parameters."""
    kinds = {output.dtype, *(parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())}
    return max(torch.finfo(kind).eps for kind in kinds)


def share(which: Tensor) -> float:
    """Return the share of true entries, NaN of none."""
    return float(which.float().mean()) if len(which) else math.nan


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
