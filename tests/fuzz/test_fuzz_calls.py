"""Whatever an attack, a criterion or a measurement is given: a right answer or an error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from advnb import losses
from advnb.attacks import cw, fgsm, minimal_flip, pgd
from advnb.audit import audit
from advnb.balls import Ball, Linf
from advnb.criterion import convergence, fosc
from advnb.evaluation import accuracy, transfer, white_box
from advnb.models import TwoLayer
from advnb.training import Diverged, Standard, Unsecured, fit
from fuzz.outcomes import attempt, budget
from fuzz.problems import CONVEX, MODELS, TWISTS, Problem, Twist, sound

ROUNDING = 8
"""Units of rounding by which a point may leave ball and box, in the dtype of x."""


def doubles(tensor: Tensor) -> np.ndarray:
    return tensor.detach().as_subclass(Tensor).double().flatten(1).numpy()


def inside(point: Tensor, problem: Problem) -> None:
    """The answer is a batch like x, finite, in ball and box: computed in float64 by numpy, not by the balls."""
    x = problem.x
    assert point.shape == x.shape and point.dtype == x.dtype and point.device == x.device
    there, centre = doubles(point), doubles(x)
    assert np.isfinite(there).all()
    eps, unit = float(problem.eps), torch.finfo(x.dtype).eps
    length = np.abs(there - centre).max(1) if problem.norm is Linf else np.linalg.norm(there - centre, axis=1)
    size = np.abs(centre).max(1) if problem.norm is Linf else np.linalg.norm(centre, axis=1)
    slack = ROUNDING * (unit * (eps + size) + torch.finfo(x.dtype).smallest_normal)
    assert (length <= eps + slack).all(), (length - eps, slack)
    if problem.box is not None:
        assert (there >= problem.box[0] - unit).all() and (there <= problem.box[1] + unit * abs(problem.box[1])).all()


def no_weaker(point: Tensor, problem: Problem, loss: Any) -> None:
    """Where the loss is convex in x, no step of the ascent can have lowered it."""
    if problem.kind not in CONVEX or not isinstance(problem.model, nn.Sequential):
        return
    with torch.no_grad():
        model = problem.model.double()
        before, after = (loss(model(v.detach().double()), problem.y) for v in (problem.x, point))
        problem.model.to(problem.x.dtype)
    unit = torch.finfo(problem.x.dtype).eps
    assert (before > 1e3).any() or (after >= before - 100 * unit * (1 + before.abs())).all(), (before, after)


def crafted(attack: Callable) -> Callable[[Problem, Callable], Callable[[], Any]]:
    """A call of an attack, and then the checks of its result."""

    def call(problem: Problem, draw: Callable) -> Callable[[], Any]:
        options: dict[str, Any] = {} if attack is cw else {"loss": problem.loss}
        options |= {"steps": draw(st.integers(1, 3))} if attack is not fgsm else {}
        if attack is pgd:
            options["random_start"] = draw(st.booleans())
            options["fosc_below"] = draw(st.sampled_from([None, 0.0, 0.1]))
            options["chunk"] = draw(st.sampled_from([None, 1, 2]))
        seed = draw(st.integers(0, 2**31))
        options["generator"] = torch.Generator().manual_seed(seed)
        ball = problem.ball()

        def run() -> Any:
            return attack(problem.model, problem.x, problem.y, ball, **options)

        return run

    return call


def check_crafted(point: Tensor, problem: Problem) -> None:
    inside(point, problem)
    assert not point.requires_grad


def check_fgsm(point: Tensor, problem: Problem) -> None:
    check_crafted(point, problem)
    no_weaker(point, problem, losses.LOSSES[problem.loss].values)


def criterion(problem: Problem, draw: Callable) -> Callable[[], Any]:
    ball = problem.ball()
    return lambda: convergence(problem.model, problem.x, problem.x, problem.y, ball, loss=problem.loss)


def check_criterion(measured: Any, problem: Problem) -> None:
    wide = torch.promote_types(problem.x.dtype, torch.float32)
    for part in measured:
        assert part.shape == (len(problem.x),) and part.dtype == wide and not part.requires_grad
        assert torch.isfinite(part).all()
    assert (measured.fosc >= 0).all() and (measured.relative >= 0).all() and (measured.relative <= 2.001).all()
    again = fosc(problem.model, problem.x, problem.x, problem.y, problem.ball(), loss=problem.loss)
    assert torch.equal(again, measured.fosc)


def flip(problem: Problem, draw: Callable) -> Callable[[], Any]:
    return lambda: minimal_flip(problem.model, problem.x)


def check_flip(found: Any, problem: Problem) -> None:
    net, x = problem.model, problem.x
    for part in found:
        assert part.shape == (len(x),) and part.dtype == x.dtype and not part.isnan().any()
    assert (found.norm >= 0).all() and torch.isfinite(found.gradient_norm).all()
    assert torch.equal(found.eta.isinf(), found.norm.isinf())
    reached = torch.isfinite(found.eta)
    if not reached.any():
        return
    with torch.no_grad():  # f is 0 there, up to rounding
        net = TwoLayer(net.d, net.m, dtype=torch.float64)
        net.load_state_dict({name: value.double() for name, value in problem.model.state_dict().items()})
        rows = x.detach().double().flatten(1)
        gradient = net.input_gradient(rows)
        there = rows + torch.where(reached, found.eta.double(), 0)[:, None] * gradient
        value, scale = net(there), net.preactivation(there).abs().sum(1) / net.m**0.5
    unit = torch.finfo(x.dtype).eps
    assert (value.abs() <= 1e3 * unit * (scale + rows.norm(dim=1) + 1e-30))[reached].all(), (value, scale)


def geometry(problem: Problem, draw: Callable) -> Callable[[], Any]:
    ball, seed = problem.ball(), draw(st.integers(0, 2**31))
    size = draw(st.sampled_from([1e-30, 1.0, 1e4]))

    def run() -> Any:
        generator = torch.Generator().manual_seed(seed)
        point = ball.sample(problem.x, generator)
        grad = (torch.randn(problem.x.shape, generator=generator) * size).to(problem.x.dtype)
        support = ball.support(grad, problem.x)
        return point, grad, support, ball

    return run


def check_geometry(found: tuple[Tensor, Tensor, Tensor, Ball], problem: Problem) -> None:
    point, grad, support, ball = found
    x = problem.x
    inside(point, problem)
    assert ball.contains(point, x).all()
    assert torch.equal(ball.project(point, x), point)
    far = x.detach() + 3 * grad
    if torch.isfinite(far).all():
        inside(ball.project(far, x.detach()), problem)
    direction = ball.ascent(grad)
    assert direction.shape == x.shape and torch.isfinite(direction).all()
    gap = ball.gap(grad, point, x)
    for value in (support, gap, ball.norm(grad), ball.dual_norm(grad)):
        assert value.shape == (len(x),) and torch.isfinite(value).all() and (value >= 0).all()


def classified(problem: Problem, draw: Callable) -> Callable[[], Any]:
    batch = draw(st.sampled_from([1, 2, 256]))
    return lambda: accuracy(problem.model, (problem.x, problem.y), batch=batch)


def by_hand(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of examples whose label wins, counted example by example."""
    with torch.no_grad():
        outputs = model(x.detach().clone())
    if outputs.ndim == 1:
        hits = [bool(f > 0) == bool(label > 0) and float(f) != 0 for f, label in zip(outputs, y, strict=True)]
    else:
        hits = [int(np.argmax(z.double().numpy())) == int(label) for z, label in zip(outputs, y, strict=True)]
    return sum(hits) / len(hits)


def check_accuracy(value: float, problem: Problem) -> None:
    assert isinstance(value, float) and value == by_hand(problem.model, problem.x, problem.y)


def tabled(problem: Problem, draw: Callable) -> Callable[[], Any]:
    ball, over = problem.ball(), draw(st.booleans())

    def attack(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return pgd(model, x, y, ball, steps=1, loss=problem.loss, generator=generator)

    models, attacks, data = {"net": problem.model}, {"clean": None, "pgd": attack}, (problem.x, problem.y)
    if over:
        return lambda: transfer(models, models, data, attacks, progress=False)
    return lambda: white_box(models, data, attacks, progress=False)


def check_table(rows: Any, problem: Problem) -> None:
    assert list(rows["attack"]) == ["clean", "pgd"] and (rows["n"] == len(problem.x)).all()
    assert rows["accuracy"][0] == by_hand(problem.model, problem.x, problem.y)
    assert np.isfinite(rows[["accuracy", "low", "high", "loss"]].to_numpy()).all()
    assert ((rows["low"] <= rows["accuracy"]) & (rows["accuracy"] <= rows["high"])).all()


def trained(problem: Problem, draw: Callable) -> Callable[[], Any]:
    defence = Standard(problem.ball(), steps=1) if draw(st.booleans()) else Unsecured()
    defence = Unsecured() if problem.loss == "logistic" else defence
    epochs, batch = draw(st.integers(1, 2)), draw(st.sampled_from([2, 3, 128]))
    options = {"epochs": epochs, "batch": batch, "loss": problem.loss, "lr": 1e-3}

    def run() -> Any:
        return fit(problem.model, (problem.x, problem.y), defence, progress=False, **options)

    return run


def check_trained(history: Any, problem: Problem) -> None:
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert np.isfinite(history.to_numpy(dtype=float)).all()
    assert not problem.model.training
    assert all(torch.isfinite(parameter).all() for parameter in problem.model.parameters())


def audited(problem: Problem, draw: Callable) -> Callable[[], Any]:
    ball = problem.ball()
    return lambda: audit(problem.model, problem.x, problem.y, ball, steps=1, restarts=1, progress=False)


def check_audit(report: Any, problem: Problem) -> None:
    assert set(report.flags) <= set(report.table.index)
    assert report.attacks["accuracy"].between(0, 1).all()
    assert report.attacks["accuracy"].iloc[0] == by_hand(problem.model, problem.x, problem.y)
    assert repr(report) and report._repr_html_()


class Area(NamedTuple):
    """A function under test: how it is called, how its answer is checked, and what it takes."""

    name: str
    call: Callable[[Problem, Callable], Callable[[], Any]]
    check: Callable[[Any, Problem], None]
    examples: int
    kinds: tuple[str, ...] = MODELS
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    spared: tuple[str, ...] = ()
    """Arguments, or twists by name, of which it knows nothing."""


MISFITS = ("x of another dtype than the model", "x of another shape than the model takes", "no ball")
SPACE = ("eps", "box", "ball", "x outside the box")
NETWORKS = ("a model in train mode", "a model that cuts the graph", "a model that changes its input in place",
            "a model that raises", "a model without parameters")  # fmt: skip
CLASSIFIERS = tuple(kind for kind in MODELS if kind not in ("one output", "two layers"))

UNTRAINED = ("a model in train mode", "a model without parameters")

AREAS = [
    Area("pgd", crafted(pgd), check_crafted, 8),
    Area("fgsm", crafted(fgsm), check_fgsm, 5),
    Area("cw", crafted(cw), check_crafted, 5, CLASSIFIERS),
    Area("convergence, fosc", criterion, check_criterion, 6),
    Area("balls", geometry, check_geometry, 10, ("linear",), spared=("model", "y", *MISFITS)),
    Area(
        "minimal_flip", flip, check_flip, 8, ("two layers",), (torch.float32, torch.float64), (*SPACE, "y", *NETWORKS)
    ),
    Area("accuracy", classified, check_accuracy, 5, spared=(*SPACE, "a model that cuts the graph")),
    Area("white_box, transfer", tabled, check_table, 3),
    Area("fit", trained, check_trained, 2, dtypes=(torch.float32, torch.float64), spared=(*SPACE, *UNTRAINED)),
    Area("audit", audited, check_audit, 1, dtypes=(torch.float32, torch.float64), spared=(UNTRAINED[0], NETWORKS[1])),
]

PAIRS = [
    pytest.param(area, twist, id=f"{area.name}-{twist.what}")
    for area in AREAS
    for twist in TWISTS
    if twist.about not in area.spared and twist.what not in area.spared
]


def snapshot(problem: Problem) -> list[Any]:
    """What a call must leave as it was."""
    state = []
    if isinstance(problem.model, nn.Module):
        state += [value.clone() for value in problem.model.state_dict().values()]
        state += [part.training for part in problem.model.modules()]
        state += [parameter.requires_grad for parameter in problem.model.parameters()]
    for tensor in (problem.x, problem.y):
        if isinstance(tensor, Tensor) and not tensor.is_meta:
            state += [tensor.detach().as_subclass(Tensor).clone(), tensor.requires_grad]
    return [*state, torch.get_rng_state()]


def same(before: list[Any], after: list[Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a.nan_to_num(7.5), b.nan_to_num(7.5)) if isinstance(a, Tensor) else a == b

    return len(before) == len(after) and all(map(equal, before, after))


@pytest.mark.parametrize(("area", "twist"), PAIRS)
def test_a_right_answer_or_a_clear_error(area: Area, twist: Twist, tally):
    @budget(area.examples)
    @given(st.data())
    def fuzz(data):
        problem = data.draw(sound(area.kinds, area.dtypes))
        twist.change(problem, data.draw)
        one(area, twist, problem, data.draw, tally)

    fuzz()


def one(area: Area, twist: Twist, problem: Problem, draw: Callable, tally) -> None:
    before = snapshot(problem)
    result, error = attempt(lambda: area.call(problem, draw)(), (*twist.named, "diverged"))
    if twist.must != "either":
        assert (error is None) == (twist.must == "answer"), f"{twist.what}: {twist.must} expected; {result} {error!r}"
    if area.name != "fit" or (error is not None and not isinstance(error, Diverged)):
        assert same(before, snapshot(problem)), "model, input, labels or the global generator were changed"
    if error is None:
        area.check(result, problem)
    tally.add(area.name, twist.about if twist.about != "nothing" else "nothing wrong", error)
