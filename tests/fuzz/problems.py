"""Problems for attacks and criteria, sound ones and what can be wrong with them: the strategies of the fuzz tests.

A sound :class:`Problem` is drawn first. A *twist* then changes one thing about it, and says what must come of that: an
answer, an error that names the argument, or either of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from advnb.balls import L2, Ball, Linf
from advnb.models import TwoLayer

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((3,), (2, 2), (1, 4, 4), (2, 1, 2, 2))
CLASSES = 3
CONVEX = {"linear", "one output"}
"""Models whose losses are convex in x: there no step of an attack can lower the loss."""


class Flatten(nn.Module):
    """Rows of d numbers from images of any shape; unlike torch's it names what it cannot take."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Returns(nn.Module):
    """A model that returns ``make(x)``."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


@dataclass
class Problem:
    """A model, a batch, labels and the arguments of a ball; a twist may have put anything in their place."""

    model: Any
    x: Any
    y: Any
    norm: Any
    eps: Any
    box: Any
    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    def ball(self) -> Ball:
        return self.norm(self.eps, box=self.box)

    @property
    def loss(self) -> str:
        return "logistic" if self.kind in ("one output", "two layers") else "cross_entropy"


MODELS = ("linear", "convolution", "batch norm", "dropout", "softmax at the end", "one output", "two layers")


def network(kind: str, shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> nn.Module:
    """A small network of that kind, in eval mode; its weights follow from the seed."""
    d, flat = math.prod(shape), Flatten()
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = {
            "linear": lambda: nn.Sequential(flat, nn.Linear(d, CLASSES)),
            "convolution": lambda: nn.Sequential(
                nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * d, CLASSES)
            ),
            "batch norm": lambda: nn.Sequential(
                flat, nn.Linear(d, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, CLASSES)
            ),
            "dropout": lambda: nn.Sequential(flat, nn.Linear(d, 4), nn.Dropout(), nn.Tanh(), nn.Linear(4, CLASSES)),
            "softmax at the end": lambda: nn.Sequential(flat, nn.Linear(d, CLASSES), nn.Softmax(1)),
            "one output": lambda: nn.Sequential(flat, nn.Linear(d, 1), nn.Flatten(0)),
            "two layers": lambda: TwoLayer(d, 8),
        }[kind]()
    return model.to(dtype).eval()


@st.composite
def sound(draw, kinds: tuple[str, ...] = MODELS, dtypes: tuple[torch.dtype, ...] = FLOATS) -> Problem:
    """A problem with nothing wrong about it."""
    kind, dtype = draw(st.sampled_from(kinds)), draw(st.sampled_from(dtypes))
    shape = (1, 4, 4) if kind == "convolution" else draw(st.sampled_from(SHAPES))
    seed, n = draw(st.integers(0, 2**31)), draw(st.integers(1, 5))
    norm, box = draw(st.sampled_from([Linf, L2])), draw(st.sampled_from([None, (0.0, 1.0), (-2.0, 0.5)]))
    low, high = box or (-1.0, 1.0)
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((n, *shape), generator=generator, dtype=torch.float64) * (high - low) + low
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, high, x)  # on the face of the box
    y = torch.randint(CLASSES, (n,), generator=generator)
    if kind in ("one output", "two layers"):
        y = (y % 2 * 2 - 1).to(dtype)
    model = network(kind, shape, dtype, seed)
    return Problem(model, x.to(dtype).clamp(low, high), y, norm, draw(st.floats(0.01, 1.0)), box, kind)


ANSWER, ERROR, EITHER = "answer", "error", "either"


class Twist(NamedTuple):
    """One change to a sound problem: of which argument, what it ``changes``, and what must come of it.

    ``change(problem, draw)`` changes it in place. An error must hold one of the words ``named``.
    """

    about: str
    what: str
    must: str
    named: tuple[str, ...]
    change: Callable[[Problem, Callable], None]


TWISTS: list[Twist] = []


def twist(about: str, what: str, must: str, *named: str) -> Callable:
    """Enter the function into the list of twists."""

    def enter(change: Callable[[Problem, Callable], None]) -> Callable:
        TWISTS.append(
            Twist(about, what, must, (*(named or (about,)), *(("net",) if "model" in (about, *named) else ())), change)
        )
        return change

    return enter


@twist("nothing", "nothing wrong", ANSWER)
def _(problem, draw):
    pass


def _spoil(problem: Problem, draw: Callable, value: float) -> None:
    x = problem.x.clone()
    x.view(-1)[draw(st.integers(0, x.numel() - 1))] = value
    problem.x = x


@twist("x", "a NaN in x", ERROR)
def _(problem, draw):
    _spoil(problem, draw, math.nan)


@twist("x", "an infinity in x", ERROR)
def _(problem, draw):
    _spoil(problem, draw, draw(st.sampled_from([math.inf, -math.inf])))


@twist("x", "x outside the box", ERROR)
def _(problem, draw):
    problem.box = (0.0, 1.0)
    problem.eps = min(problem.eps, 1.0)
    problem.x = problem.x.clamp(0, 1)
    _spoil(problem, draw, draw(st.sampled_from([-0.1, 1.1, 255.0, -6e4])))


@twist("x", "an empty batch", ERROR)
def _(problem, draw):
    problem.x, problem.y = problem.x[:0], problem.y[:0]


@twist("x", "no pixels", ERROR)
def _(problem, draw):
    problem.x = problem.x.flatten(1)[:, :0]


@twist("x", "a batch without its first axis", ERROR)
def _(problem, draw):
    problem.x = draw(st.sampled_from([problem.x[0].flatten(), problem.x.flatten()[0]]))


@twist("x", "x of integers, of truth values, complex", ERROR)
def _(problem, draw):
    kinds = [torch.int64, torch.uint8, torch.int8, torch.bool, torch.complex64]
    problem.x = problem.x.to(draw(st.sampled_from(kinds)))


@twist("x", "x that is no tensor", ERROR)
def _(problem, draw):
    problem.x = draw(st.sampled_from([None, "x", 3.0, problem.x.tolist(), problem.x.double().numpy()]))


@twist("x", "x on a device without data", ERROR)
def _(problem, draw):
    problem.x = problem.x.to("meta")


@twist("x", "x of another dtype than the model", ERROR, "x", "model")
def _(problem, draw):
    problem.x = problem.x.to(draw(st.sampled_from([dtype for dtype in FLOATS if dtype != problem.x.dtype])))


@twist("x", "x of another shape than the model takes", ERROR, "x", "model")
def _(problem, draw):
    rows = problem.x.flatten(1)
    problem.x = torch.cat([rows, rows[:, :1]], 1)


@twist("x", "x of large numbers", EITHER, "x", "model", "gradient")
def _(problem, draw):
    problem.box, problem.x = None, problem.x * draw(st.sampled_from([1e3, 6e4, 1e30]))
    if not torch.isfinite(problem.x).all():
        problem.x = problem.x.nan_to_num()


@twist("x", "x of denormal numbers", ANSWER)
def _(problem, draw):
    problem.box = (0.0, 1.0)
    problem.eps = min(problem.eps, 1.0)
    problem.x = torch.full_like(problem.x, torch.finfo(problem.x.dtype).smallest_normal / 4)


@twist("x", "a single row", ANSWER)
def _(problem, draw):
    problem.x, problem.y = problem.x[:1], problem.y[:1]


@twist("x", "a row of one pixel", ANSWER)
def _(problem, draw):
    kind = "linear" if problem.kind == "convolution" else problem.kind
    if kind != problem.kind:
        problem.kind = kind
    problem.x = problem.x.flatten(1)[:, :1].clone()
    problem.model = network(kind, (1,), problem.x.dtype, draw(st.integers(0, 1000)))


@twist("x", "x that is not contiguous", ANSWER)
def _(problem, draw):
    x = problem.x
    if draw(st.booleans()):
        problem.x = x.transpose(0, -1).contiguous().transpose(0, -1)
    else:
        problem.x = x.repeat_interleave(2, 0)[::2]


@twist("x", "x in channels-last", ANSWER)
def _(problem, draw):
    if problem.x.ndim == 4:
        problem.x = problem.x.contiguous(memory_format=torch.channels_last)


@twist("x", "x that is one row, expanded", ANSWER)
def _(problem, draw):
    problem.x = problem.x[:1].expand(len(problem.y), *problem.x.shape[1:])


@twist("x", "x that requires a gradient, or has one", ANSWER)
def _(problem, draw):
    x = problem.x.clone().requires_grad_()
    problem.x = x if draw(st.booleans()) else (x * 1.0)


@twist("x", "x made in inference mode", EITHER)
def _(problem, draw):
    with torch.inference_mode():
        problem.x = problem.x.clone()


@twist("x", "x as a parameter, or of a subclass", ANSWER)
def _(problem, draw):
    class Mine(Tensor):
        pass

    problem.x = nn.Parameter(problem.x.clone()) if draw(st.booleans()) else problem.x.clone().as_subclass(Mine)


@twist("y", "labels of another dtype", ERROR)
def _(problem, draw):
    kinds = (
        [torch.bool, torch.complex64] if problem.y.is_floating_point() else [torch.int32, torch.uint8, torch.float32]
    )
    problem.y = problem.y.to(draw(st.sampled_from(kinds)))


@twist("y", "labels of another shape", ERROR)
def _(problem, draw):
    y = problem.y
    problem.y = draw(st.sampled_from([y[:, None], y[:-1], torch.cat([y, y]), y[:0]] + [y[0]] * (len(y) > 0)))


@twist("y", "labels out of range", ERROR)
def _(problem, draw):
    y = problem.y.clone()
    wrong = [0.0, 2.0, math.nan] if y.is_floating_point() else [-1, CLASSES, -100, 2**62, -(2**63)]
    y[draw(st.integers(0, len(y) - 1))] = draw(st.sampled_from(wrong))
    problem.y = y


@twist("y", "labels that are no tensor", ERROR)
def _(problem, draw):
    problem.y = draw(st.sampled_from([None, problem.y.tolist(), np.asarray(problem.y.double()), "y"]))


@twist("y", "labels on another device", ERROR)
def _(problem, draw):
    problem.y = problem.y.to("meta")


@twist("y", "labels that are not contiguous", ANSWER)
def _(problem, draw):
    problem.y = problem.y.repeat_interleave(2)[::2]


@twist("eps", "eps that is no number above 0", ERROR)
def _(problem, draw):
    wrong = [
        0,
        0.0,
        -0.0,
        -1.0,
        5e-324,
        1e-310,
        math.nan,
        math.inf,
        -math.inf,
        None,
        "0.1",
        True,
        1j,
        [0.1],
        torch.ones(2),
    ]
    problem.eps = draw(st.sampled_from(wrong))


@twist("eps", "a tiny eps", ANSWER)
def _(problem, draw):
    problem.eps = draw(st.sampled_from([1e-307, 1e-45, 1e-38, 1e-30, 1e-15, 1e-8]))


@twist("eps", "a huge eps", EITHER, "eps", "gradient", "x")
def _(problem, draw):
    problem.eps, problem.box = draw(st.sampled_from([1e3, 6e4, 1e30, 3e38, 1e39, 1e300])), None


@twist("eps", "an L2 ball far larger than its box", ANSWER)
def _(problem, draw):
    problem.norm, problem.box = L2, problem.box or (-1.0, 1.0)
    problem.eps = draw(st.sampled_from([10.0, 1e3, 1e4]))


@twist("eps", "eps as a scalar of numpy or torch", ANSWER)
def _(problem, draw):
    kinds = [np.float32, np.float64, torch.tensor, lambda eps: torch.tensor(eps, dtype=torch.float64)]
    problem.eps = draw(st.sampled_from(kinds))(problem.eps)


@twist("box", "a box that is none", ERROR)
def _(problem, draw):
    wrong = [(1.0, 0.0), (0.5, 0.5), (math.nan, 1.0), (0.0, math.nan), (0,), (0, 1, 2), 1, "01", (None, 1), (True, 2)]
    problem.box = draw(st.sampled_from(wrong))


@twist("box", "a box far wider or narrower than usual", EITHER, "eps", "x", "box")
def _(problem, draw):
    low, high = draw(st.sampled_from([(-1e30, 1e30), (0.0, 1e-6), (-math.inf, math.inf), (0.0, math.inf), (0, 255)]))
    problem.box = (low, high)
    problem.x = problem.x.double().clamp(low, high).to(problem.x.dtype)


@twist("ball", "no ball", ERROR)
def _(problem, draw):
    value = draw(st.sampled_from([None, 0.1, "linf", Linf, (0.1, None)]))
    problem.norm = lambda eps, box: value


@twist("model", "a model in train mode", ERROR)
def _(problem, draw):
    problem.model.train()


@twist("model", "a model that is none", ERROR)
def _(problem, draw):
    problem.model = draw(st.sampled_from([None, "model", problem.model.forward, nn.Linear]))


@twist("model", "weights with a NaN", ERROR)
def _(problem, draw):
    with torch.no_grad():
        next(problem.model.parameters()).fill_(math.nan)


@twist("model", "weights with an infinity", EITHER, "model", "gradient")
def _(problem, draw):
    with torch.no_grad():
        next(problem.model.parameters()).fill_(math.inf)


@twist("model", "weights so large that the logits overflow", EITHER, "model", "gradient")
def _(problem, draw):
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.mul_(draw(st.sampled_from([1e4, 1e30])))


@twist("model", "a model that is flat", ANSWER)
def _(problem, draw):
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.zero_()


@twist("model", "a model that returns no logits", ERROR)
def _(problem, draw):
    makers = [
        lambda x: (x.flatten(1), x),
        lambda x: None,
        lambda x: {"logits": x.flatten(1)},
        lambda x: x.sum(),
        lambda x: x.flatten(1)[:, :1],
        lambda x: x.flatten(1)[:, None],
        lambda x: x.flatten(1)[:1].repeat(len(x) + 1, 2),
        lambda x: x.flatten(1).repeat(1, 3).detach().double().numpy(),
    ]
    problem.model = Returns(draw(st.sampled_from(makers))).eval()


@twist("model", "a model that cuts the graph", ERROR)
def _(problem, draw):
    inner = problem.model
    problem.model = Returns(lambda x: inner(x.detach())).eval()


@twist("model", "a model that changes its input in place", EITHER)
def _(problem, draw):
    inner = problem.model
    problem.model = Returns(lambda x: inner(x.mul_(0.5))).eval()


@twist("model", "a model that raises", ERROR)
def _(problem, draw):
    def refuse(x):
        raise draw(st.sampled_from([RuntimeError, IndexError]))("the network's own words")

    problem.model = Returns(refuse).eval()


@twist("model", "a model without parameters", ANSWER)
def _(problem, draw):
    if problem.kind in ("one output", "two layers"):
        problem.model = Returns(lambda x: x.flatten(1).sum(1)).eval()
    else:
        problem.model = Returns(lambda x: x.flatten(1).repeat(1, CLASSES)[:, :CLASSES]).eval()
