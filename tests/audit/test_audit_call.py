"""One call: what it costs, what it leaves as it was, what it refuses, and what the attack tells of itself."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stderr
from functools import partial

import pytest
import torch
from torch import nn

from advnb.attacks import cw, fgsm, pgd
from advnb.audit import FLAGS, audit, cost
from advnb.audit.course import declared_reach
from advnb.balls import L2, Linf
from advnb.papers.trust import Faulty

BALL = Linf(0.1)


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.rand(8, 1, 2, 2, generator=generator)


@pytest.fixture
def y(linear, x) -> torch.Tensor:
    return linear(x).argmax(1)


class Counter(nn.Module):
    """Counts the examples that pass forward, and those of them that have a graph."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.passed, self.graphs = model, 0, 0
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passed += len(x)
        self.graphs += len(x) * x.requires_grad
        return self.model(x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": 3, "restarts": 1},
        {"attack": partial(pgd, ball=BALL, steps=7)},
        {"sources": {"a": None, "b": None}},
    ],
    ids=["default", "few", "given", "sources"],
)
def test_what_it_takes_is_what_was_said(linear, x, y, options):
    counter = Counter(linear)
    if "sources" in options:
        options = {"sources": dict.fromkeys(options["sources"], counter)}
    report = audit(counter, x, y, BALL, progress=False, **options)
    known = {"steps": options.get("steps", 10), "restarts": options.get("restarts", 3)}
    said = cost(**known, sources=len(options.get("sources", ())), given="attack" in options)
    given = 7 if "attack" in options else 0
    assert report.cost == said and str(said) in repr(report)
    assert said.gradients - 1 <= counter.graphs / len(x) - given <= said.gradients
    # Each attack looks at two examples first, to see whether outputs and labels fit.
    assert said.forwards - 2 <= (counter.passed - counter.graphs) / len(x) <= said.forwards + 20 * 2 / len(x)


def test_the_default_costs_what_the_docstring_says():
    assert 230 <= cost().gradients <= 245 and 425 <= cost().forwards <= 435
    assert "about 240 gradients and 430 forward passes" in audit.__doc__


def test_the_same_seed_gives_the_same_report_and_another_one_other_starts(trained, digits):
    data = digits.test.x[:40], digits.test.y[:40]
    one, again, other = (audit(trained, *data, BALL, seed=seed, progress=False) for seed in (0, 0, 1))
    assert one.table.equals(again.table) and one.attacks.equals(again.attacks)
    assert not one.attacks["loss"].equals(other.attacks["loss"])


def test_model_and_global_state_are_left_as_they_were(linear, x, y):
    model = nn.Sequential(nn.BatchNorm2d(1), linear.train())
    model[0].eval()
    model[1][1].weight.requires_grad_(False)
    state, drawn = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    modes = [part.training for part in model.modules()]
    report = audit(model, x, y, BALL, progress=False)
    assert report.flags[0] == "train-mode"
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), drawn) and x.grad is None


def test_a_model_that_raises_gets_its_mode_back(linear, x, y):
    def fails(model, x):
        raise ArithmeticError("inside the model")

    model = Faulty(linear, fails).train()
    with pytest.raises(ArithmeticError, match="inside the model"):
        audit(model, x, y, BALL, progress=False)
    assert model.training and linear.training


def test_progress_is_shown_and_can_be_hidden(linear, x, y):
    shown, hidden = io.StringIO(), io.StringIO()
    with redirect_stderr(shown):
        audit(linear, x, y, BALL)
    with redirect_stderr(hidden):
        audit(linear, x, y, BALL, progress=False)
    assert "audit: 100%" in shown.getvalue() and hidden.getvalue() == ""


def test_a_source_that_the_model_falls_to_is_told(linear, x, y):
    masked = Faulty(linear, lambda model, x: model(x) * torch.ones(()).detach() + 0 * x.sum())
    blind = Faulty(linear, lambda model, x: model(x.detach()) + 0 * x.flatten(1)[:, :1])
    report = audit(blind, x, y, Linf(0.5), sources={"another": masked}, progress=False)
    assert report.attacks.accuracy["PGD on another"] < report.attacks.accuracy["audited attack"]
    assert {"dead-gradient", "gradient-free-wins"} <= set(report.flags)


def test_one_example_is_enough_to_run(linear, x, y):
    report = audit(linear, x[:1], y[:1], BALL, progress=False)
    assert report.table["measured"]["batch-dependence"] != report.table["measured"]["batch-dependence"]  # NaN
    assert set(report.flags) <= {"clean-accuracy"}  # one example is no evidence


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"ball": 0.1}, TypeError, r"ball must be Linf\(eps\) or L2\(eps\); got float"),
        ({"model": "linear"}, TypeError, "model must be a torch.nn.Module"),
        ({"x": torch.full((8, 1, 2, 2), 200.0)}, ValueError, r"x must lie in the box \[0, 1\]"),
        ({"x": torch.zeros(0, 1, 2, 2)}, ValueError, "x must hold at least one example"),
        ({"x": torch.full((8, 1, 2, 2), math.nan)}, ValueError, "x must be finite"),
        ({"y": torch.zeros(7, dtype=torch.int64)}, ValueError, r"y must have shape \(8,\)"),
        ({"y": torch.zeros(8)}, TypeError, "y must hold class indices as torch.int64"),
        ({"y": torch.full((8,), 3)}, ValueError, r"y must hold labels in \[0, 3\)"),
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"restarts": 0}, ValueError, "restarts must be at least 1; got 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0; got -1"),
        ({"sources": {"one": nn.ReLU()}}, ValueError, r"sources\['one'\] is in train mode"),
        ({"attack": lambda model, x, y: x[:3]}, ValueError, "the result of the attack must have the shape of x"),
        ({"attack": lambda model, x, y: x * math.nan}, ValueError, "the result of the attack must be finite"),
    ],
)
def test_what_raises(linear, x, y, change, error, match):
    arguments = {"model": linear, "x": x, "y": y, "ball": BALL} | change
    with pytest.raises(error, match=match):
        audit(**arguments, progress=False)


def test_outputs_that_are_not_finite_raise(linear, x, y):
    with pytest.raises(ValueError, match="the model returned NaN or infinity"):
        audit(Faulty(linear, lambda model, x: model(x) / 0), x, y, BALL, progress=False)


@pytest.mark.parametrize(
    ("attack", "reach"),
    [
        (pgd, 10 * 0.1 / 4), (partial(pgd, steps=4), 0.1), (partial(pgd, steps=3, step_size=0.01), 0.03),
        (partial(pgd, ball=Linf(0.2)), 0.5), (partial(pgd, steps=2, step_size=lambda k: 0.1 / (k + 1)), 0.15),
        (cw, 30 * 0.1 / 4), (partial(cw, steps=2, step_size=0.3), 0.6), (partial(pgd, direction="gradient"), math.inf),
        (fgsm, math.inf), (lambda model, x, y: x, math.inf), (lambda model, x, y, steps=5, step_size=0.1: x, 0.5),
        (print, math.inf),
    ],
)  # fmt: skip
def test_how_far_the_arguments_of_an_attack_let_it_go(attack, reach):
    assert declared_reach(attack, BALL) == pytest.approx(reach)


@pytest.mark.parametrize("ball", [L2(0.3), L2(0.3, box=(0.0, 1.0)), Linf(0.3, box=None), Linf(0.8)])
def test_every_ball_can_be_audited(linear, x, y, ball):
    report = audit(linear, x, y, ball, progress=False)
    assert set(report.table.index[report.table["measured"].isna()]) == {"stale-normalisation"}  # no BatchNorm here
    assert report.passed, repr(report)
    assert set(report.table.index) == FLAGS.keys()
