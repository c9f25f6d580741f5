"""Per-example losses.

FOSC and the criteria of the three papers are defined example by example, so no loss here is reduced: a mean
over the batch would divide every gradient, and FOSC with it, by the batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from advnb import checks

__all__ = [
    "LOSSES", "AnyLoss", "Loss", "PerExample", "correct", "cross_entropy", "logistic", "margin", "resolve", "squared",
    "values",
]  # fmt: skip

PerExample = Callable[[Tensor, Tensor], Tensor]
"""(output of the model, targets) -> one value an example, shape (n,)."""


class Loss(NamedTuple):
    """A per-example loss, and what its targets are."""

    name: str
    values: PerExample
    targets: Literal["classes", "signs", "reals", "any"]

    def check_targets(self, y: Tensor, n: int) -> None:
        """Raise unless ``y`` holds ``n`` targets of this loss's kind (class range: see :meth:`check_output`)."""
        if self.targets == "classes":
            checks.class_labels(y, n)
        elif self.targets in ("signs", "reals"):
            checks.real_targets(y, n, signs=self.targets == "signs")

    def check_output(self, output: Tensor, n: int, y: Tensor) -> None:
        """Raise unless the model's ``output`` for ``n`` examples fits this loss, and every label of ``y`` a logit."""
        got = f"; the model returned {tuple(output.shape)}"
        if self.targets == "classes":
            if output.ndim != 2 or len(output) != n or output.shape[1] < 2:
                raise ValueError(f"{self.name} needs logits of shape ({n}, classes) with at least two classes{got}")
            checks.class_labels(y, len(y), output.shape[1])
        elif self.targets in ("signs", "reals") and output.shape != (n,):
            raise ValueError(f"{self.name} needs one output an example, shape ({n},){got}")


AnyLoss = str | PerExample | Loss
"""What attacks, criteria and training take as a loss: a name from :data:`LOSSES`, a callable, or a :class:`Loss`."""


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Softmax cross entropy of logits (n, classes) at labels (n,), shape (n,)."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor, kappa: float = float("inf")) -> Tensor:
    """Carlini and Wagner's margin, min(max_{j != y} z_j - z_y, kappa), shape (n,).

    Positive exactly where the example is misclassified. With a finite ``kappa`` the loss is flat, and its
    gradient zero, from the point on where the wrong class leads by ``kappa``.
    """
    true = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    gain = others - true
    return gain if kappa == float("inf") else gain.clamp(max=kappa)


def logistic(output: Tensor, y: Tensor) -> Tensor:
    """log(1 + exp(-y f)) for a scalar output f (n,) and labels y in {-1, +1}, shape (n,)."""
    return F.softplus(-y * output)


def squared(output: Tensor, y: Tensor) -> Tensor:
    """(y - f)^2 for a scalar output f (n,) and real targets y, shape (n,)."""
    return (y - output).square()


def correct(output: Tensor, y: Tensor) -> Tensor:
    """Return which examples are classified correctly, (n,): by the largest logit, or by the sign of one output."""
    return output.argmax(1) == y if output.ndim == 2 else output.sign() == y.sign()


LOSSES = {
    "cross_entropy": Loss("cross_entropy", cross_entropy, "classes"),
    "margin": Loss("margin", margin, "classes"),
    "logistic": Loss("logistic", logistic, "signs"),
    "squared": Loss("squared", squared, "reals"),
}
"""The losses that every attack, criterion and defence knows by name."""


def resolve(loss: AnyLoss) -> Loss:
    """Return the :class:`Loss` of that name, or wrap a callable (output, y) -> (n,); raises on unknown names."""
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(getattr(loss, "__name__", "loss"), loss, "any")
    return LOSSES[checks.choice("loss", loss, LOSSES)]


def values(loss: Loss, output: Tensor, y: Tensor) -> Tensor:
    """Evaluate ``loss`` per example; raises if it comes back reduced (any shape but (n,))."""
    result = loss.values(output, y)
    if not isinstance(result, Tensor):
        raise TypeError(f"loss must return a torch.Tensor; {loss.name!r} returned {result!r}")
    if result.shape != (len(y),):
        raise ValueError(
            f"loss must return one value an example, shape ({len(y)},); {loss.name!r} returned "
            f"{tuple(result.shape)}. Is it already reduced? Use reduction='none'"
        )
    return result
