"""What a trial costs, counted from its model before it runs: operations, numbers written, kernel calls, gradients.

An experiment declares ``cost``, a function of a trial's arguments built from :func:`counted`, which sends tensors
without memory (torch's "meta" device) through the model and counts what it asks of them. Nothing is computed and
nothing is guessed; only loops that may end early are counted to their limit, unless the trial's result is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Cost", "Count", "Pass", "counted", "passes"]


@dataclass(frozen=True)
class Cost:
    """What work takes.

    ``flops`` of matrix products and convolutions (two for a multiplication and an addition), ``numbers`` that kernels
    write, kernel ``calls``, and ``gradients`` of single examples, those of attacks and of updates.
    """

    flops: float = 0.0
    numbers: float = 0.0
    calls: float = 0.0
    gradients: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __mul__(self, factor: float) -> Cost:
        return Cost(*(factor * part for part in self.parts))

    __rmul__ = __mul__

    @property
    def parts(self) -> tuple[float, float, float, float]:
        """All four, in the order of the fields."""
        return self.flops, self.numbers, self.calls, self.gradients


Count = Callable[[Mapping[str, Any], Mapping[str, Any] | None], Cost]
"""cost(arguments of the trial with its defaults, but no seed; what it returned, or None) -> the cost.

Without a result, loops that may end early are counted to their limit; with one, as far as they went.
"""


@dataclass(frozen=True)
class Pass:
    """One pass over a batch: ``flops`` and ``numbers`` an example, kernel ``calls`` a batch."""

    flops: float
    numbers: float
    calls: float
    gradients: float = 0.0

    def over(self, rows: float, batches: float = 1) -> Cost:
        """Return the cost of the pass over ``rows`` examples in so many ``batches``."""
        return Cost(self.flops * rows, self.numbers * rows, self.calls * batches, self.gradients * rows)


def _addmm(into: Any, a: Any, b: Any, **rest: Any) -> int:
    return int(2 * a[0] * a[1] * b[1])


IN_PLACE = {torch.ops.aten.addmm_: _addmm}
"""What torch's counter leaves out, by the shapes of its arguments."""


class _Kernels(TorchDispatchMode):
    """Counts the kernels that are called and the numbers that they return; views are no kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not (func.is_view or "view" in func._schema.name):
            self.calls += 1
            self.numbers += sum(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, Tensor))
        return out


def counted(work: Callable[[], Any], *, gradients: float = 0.0) -> Cost:
    """Return what calling ``work`` takes; with tensors of the device "meta" nothing is computed."""
    kernels = _Kernels()
    with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as flops, kernels:
        work()
    return Cost(flops.get_total_flops(), kernels.numbers, kernels.calls, gradients)


def passes(net: nn.Module, shape: tuple[int, ...], rows: int = 64) -> tuple[Pass, Pass, Pass]:
    """Return the forward pass, the gradient in the input and the gradient in the weights (with forward) of ``net``.

    ``net`` lies on the device "meta", ``shape`` is that of an example. Counted at ``rows`` examples.
    """
    net = copy.deepcopy(net)
    x = torch.empty(rows, *shape, device="meta", dtype=next(net.parameters()).dtype)

    def forward() -> None:
        with torch.no_grad():
            net.eval()(x)

    def to_input() -> None:
        for weight in net.parameters():
            weight.requires_grad_(False)
        point = x.clone().requires_grad_()
        net.eval()(point).sum().backward()  # autograd.grad cannot be counted: torch's counter looks into the engine

    def to_weights() -> None:
        for weight in net.parameters():
            weight.requires_grad_(True)
        net.train()(x).sum().backward()

    costs = [counted(work) for work in (forward, to_input, to_weights)]
    one, two, three = (Pass(cost.flops / rows, cost.numbers / rows, cost.calls, k > 0) for k, cost in enumerate(costs))
    return one, two, three
