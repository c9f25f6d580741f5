"""Guards for the arguments that users get wrong most, each with an error that says what is allowed.

Every check runs before anything is computed or written. All of them raise ``ValueError`` for a bad value
and ``TypeError`` for a bad type, and name the argument, what was given and what is allowed.

A check of a tensor's values has to read the device, and an accelerator stands still meanwhile. Inside a block of
:class:`Later` these checks wait: their numbers stay on the device and are read together.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar, Token
from types import TracebackType

import torch
from torch import Tensor, nn

__all__ = [
    "Box", "Later", "NotFinite", "alike", "box", "choice", "class_labels", "columns", "count", "eval_mode", "flag",
    "images", "look", "number", "optional", "outside", "per_example", "positive", "real_targets", "with_data",
]  # fmt: skip

Box = tuple[float, float]

BOX_TOLERANCE = 1e-5
"""How far outside the box an input may lie (float32 rounding of a normalise / de-normalise round trip)."""


Judge = Callable[..., None]
"""Takes the numbers of one check as floats; raises or warns if they are bad."""

_LATER: ContextVar[Later | None] = ContextVar("later", default=None)


class NotFinite(ValueError):
    """Raised if a gradient holds NaN or infinity: the weights or the logits have grown out of range."""


class Later:
    """A block, ``with later:``, in which no check of values waits for the device; :meth:`read` makes up for it.

    Checks of types, shapes and options raise at once all the same.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Tensor, Judge]] = []

    def __enter__(self) -> Later:
        self._token: Token[Later | None] = _LATER.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LATER.reset(self._token)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, numbers: Tensor, judge: Judge) -> None:
        """Keep ``numbers`` (any shape; few) where they are, for ``judge`` to be called with."""
        self._waiting.append((numbers.detach().reshape(-1), judge))

    def read(self) -> None:
        """Read all that waits, once for each kind of tensor's device, and judge it in the order in which it came.

        Nothing waits afterwards, also if a judge raises.
        """
        waiting, self._waiting = self._waiting, []
        groups: dict[torch.device, dict[torch.dtype, list[int]]] = {}
        for i, (numbers, _) in enumerate(waiting):
            groups.setdefault(numbers.device, {}).setdefault(numbers.dtype, []).append(i)
        values: list[list[float]] = [[] for _ in waiting]
        for device, kinds in groups.items():
            wide = torch.float32 if device.type == "mps" else torch.float64
            joined = torch.cat([torch.cat([waiting[i][0] for i in rows]).to(wide) for rows in kinds.values()])
            read = iter(joined.tolist())
            for rows in kinds.values():
                for i in rows:
                    values[i] = [next(read) for _ in waiting[i][0]]
        for (_, judge), found in zip(waiting, values, strict=True):
            judge(*found)


def look(numbers: Tensor, judge: Judge) -> None:
    """Call ``judge`` with the few ``numbers`` as floats: now, or inside a block of :class:`Later` when that is read.

    So a ``judge`` must not hold on to large tensors.
    """
    if (later := _LATER.get()) is not None:
        later.add(numbers, judge)
    else:
        judge(*numbers.detach().double().reshape(-1).tolist())


def outside() -> int:
    """Return the ``stacklevel`` by which a warning of the calling function names the line outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    return level


def choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; raised if it is not a known name."""
    names = sorted(allowed)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, names))}; got {value!r}")
    return value


def columns(name: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Raised if one of ``names`` is no column of a table with the columns ``allowed``."""
    there = list(allowed)
    for column in names:
        if column not in there:
            raise ValueError(f"{name} must name columns ({', '.join(there)}); got {column!r}")


def number(name: str, value: float, fits: Callable[[float], bool], allowed: str) -> float:
    """Return ``value`` as a float; raised if it is not a number that ``fits``: "it must", then ``allowed``."""
    found = _float(name, value, "a number")
    if not fits(found):
        raise ValueError(f"{name} must {allowed}; got {value!r}")
    return found


def positive(name: str, value: float) -> float:
    """Return ``value`` as a float; raised if it is not a finite number above zero."""
    return number(name, value, lambda v: 0 < v < math.inf, "be a finite number above 0")


def count(name: str, value: int, *, minimum: int = 1) -> int:
    """Return ``value`` as an int; raised if it is not a whole number of at least ``minimum``."""
    if not math.isfinite(_float(name, value, "a whole number")) or int(value) != value:
        raise ValueError(f"{name} must be a whole number; got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value!r}")
    return int(value)


def flag(name: str, value: bool) -> bool:
    """Return ``value``; raised if it is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return value


def optional(name: str, value: object, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Raised if ``value`` is neither None nor of one of ``kinds``: "it must be", then ``allowed``."""
    if value is not None and not isinstance(value, kinds):
        raise TypeError(f"{name} must be {allowed} or None; got {value!r}")


def box(value: Box | None) -> Box | None:
    """Return the box as two floats or None; raised if it is not a pair (low, high) with low < high."""
    if value is None:
        return None
    try:
        low, high = (_float("a bound", bound, "a number") for bound in value)
        if low < high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise ValueError(f"box must be None or a pair (low, high) with low < high; got {value!r}")


def images(name: str, x: Tensor, box: Box | None = None) -> Tensor:
    """Return ``x`` if it is a non-empty, finite, floating-point batch inside ``box``; raised otherwise."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor (pixels in [0, 1], not 0-255 integers); got {x.dtype}")
    if x.ndim < 2:
        raise ValueError(f"{name} must be a batch with at least two dimensions; got shape {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must hold at least one example; got an empty batch of shape {tuple(x.shape)}")
    with_data(name, x)

    def judge(low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{name} must be finite; it holds NaN or infinity")
        if box is not None and (low < box[0] - BOX_TOLERANCE or high > box[1] + BOX_TOLERANCE):
            raise ValueError(
                f"{name} must lie in the box [{box[0]:g}, {box[1]:g}]; it ranges over [{low:.4g}, {high:.4g}]. "
                "Put normalisation inside the model, or give the ball another box (box=None for none)"
            )

    look(torch.stack(torch.aminmax(x.detach())), judge)
    return x


def alike(name: str, a: Tensor, other: str, b: Tensor, what: Sequence[str] = ("shape", "device", "dtype")) -> Tensor:
    """Return ``a``; raised if the two tensors differ in one of ``what``."""
    for feature in what:
        mine, theirs = getattr(a, feature), getattr(b, feature)
        if mine != theirs:
            mine, theirs = (tuple(mine), tuple(theirs)) if feature == "shape" else (mine, theirs)
            verb = "be on" if feature == "device" else "have"
            raise ValueError(f"{name} must {verb} the {feature} of {other}, {theirs}; got {mine}")
    return a


def per_example(y: Tensor, n: int, noun: str = "label") -> Tensor:
    """Return ``y`` if it is a tensor with one ``noun`` for each of ``n`` examples; raised otherwise."""
    if not isinstance(y, Tensor):
        raise TypeError(f"y must be a torch.Tensor; got {type(y).__name__}")
    if y.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one {noun} an example; got {tuple(y.shape)}")
    return y


def class_labels(y: Tensor, n: int, classes: int | None = None) -> Tensor:
    """Return ``y`` if it holds ``n`` int64 class indices in [0, classes); raised otherwise."""
    if per_example(y, n).dtype != torch.int64:
        raise TypeError(f"y must hold class indices as torch.int64; got {y.dtype}")

    def judge(low: float, high: float) -> None:
        if low < 0 or (classes is not None and high >= classes):
            top = "the number of classes" if classes is None else classes
            raise ValueError(f"y must hold labels in [0, {top}); it ranges over [{int(low)}, {int(high)}]")

    look(torch.stack(torch.aminmax(with_data("y", y))), judge)
    return y


def real_targets(y: Tensor, n: int, *, signs: bool = False) -> Tensor:
    """Return ``y`` if it holds ``n`` finite real targets (only -1 and +1 when ``signs``); raised otherwise."""
    if per_example(y, n, "target").dtype == torch.bool or y.is_complex():
        raise TypeError(f"y must hold real numbers; got {y.dtype}")
    finite = torch.isfinite(with_data("y", y).double()).all()

    def judge(is_finite: float, holds_signs: float) -> None:
        if not is_finite:
            raise ValueError("y must be finite; it holds NaN or infinity")
        if signs and not holds_signs:
            raise ValueError(f"y must hold the labels -1 and +1; got {sorted(set(y.tolist()))[:5]}")

    look(torch.stack([finite, (y.abs() == 1).all() if signs else finite]), judge)
    return y


def with_data(name: str, tensor: Tensor) -> Tensor:
    """Return the tensor; raised if it is on the device meta, which holds no numbers, and these are read now."""
    if tensor.is_meta and _LATER.get() is None:
        raise ValueError(f"{name} must hold numbers; it is on the device meta, which holds none")
    return tensor


def eval_mode(model: nn.Module, *, name: str = "model", allow_train_mode: bool = False) -> None:
    """Raised if any part of ``model`` is in train mode and the caller did not insist.

    In train mode BatchNorm mixes the examples of a batch (and updates its statistics from adversarial
    ones) and dropout makes each gradient that of another network, so an attack measures none of them.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module that returns logits; got {type(model).__name__}")
    if not allow_train_mode and any(part.training for part in model.modules()):
        raise ValueError(
            f"{name} is in train mode: call {name}.eval() first, or pass allow_train_mode=True to attack "
            "it with batch statistics and dropout on"
        )


def _float(name: str, value: float, kind: str) -> float:
    """Return ``value`` as a float, infinite where it is too large for one; raised if it is not a number."""
    if not isinstance(value, bool | str):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
        except (TypeError, ValueError, RuntimeError):  # the last from a tensor with more than one element
            pass
    raise TypeError(f"{name} must be {kind}; got {value!r}")
