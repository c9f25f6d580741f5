"""What `make bench` compares is what it says: the same work, in turns, of the same strength."""

from __future__ import annotations

import json

import cases
import compare
import libraries
import pytest
import torch
from timing import Case, fresh
from torch import nn

from advnb.balls import Linf

EPS, STEPS = 0.1, 4


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model, torch.rand(40, 1, 8, 8, generator=generator), torch.randint(10, (40,), generator=generator)


def test_variants_take_turns_and_each_begins_a_round_once():
    order = []
    variants = {name: lambda name=name: order.append(name) or name for name in "abc"}
    rows = Case("case", "A case", "a", variants, rounds=3, seen=lambda name, result: {"said": result}).measure()
    assert order == [*"abc", *"abc", *"bca", *"cab"]  # the first round is to warm up
    assert [(row["variant"], row["said"], len(row["seconds"])) for row in rows] == [(v, v, 3) for v in "abc"]
    assert all(row["baseline"] == "a" and row["title"] == "A case" for row in rows)


def test_an_interpreter_of_its_own_has_the_settings_it_is_given(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code = "import os; print(os.environ.get('OMP_NUM_THREADS', 0))"
    assert fresh(code) == 0
    assert fresh(code, OMP_NUM_THREADS="1") == 1


@pytest.mark.parametrize("name", [*libraries.ALL])
def test_each_library_makes_our_attack(problem, name):
    """The same steps from the same start: the same examples, but where a gradient is next to zero."""
    if name not in libraries.there():
        pytest.skip(f"{name} is not installed")
    model, x, y = problem
    theirs = libraries.crafts(model, EPS, STEPS)[name](x, y)
    mine = cases.ours(model, x, y, Linf(EPS), steps=STEPS, folded=False)
    assert ((theirs - mine).abs() > 1e-5).float().mean() < 0.002
    plain = cases.plain_pgd(model, EPS, STEPS, x, y)
    assert ((plain - mine).abs() > 1e-5).float().mean() < 0.002


def test_a_library_that_is_not_there_is_named(monkeypatch):
    find = libraries.importlib.util.find_spec
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None if name == "art" else find(name))
    assert libraries.versions()["ART"] == "not installed" and "ART" not in libraries.there()


def test_strength_is_accuracy_and_mean_loss(problem):
    model, x, y = problem
    seen = cases.strength(model, x, y)
    with torch.no_grad():
        assert seen["loss"] == pytest.approx(float(nn.functional.cross_entropy(model(x), y)), abs=1e-5)
        assert seen["accuracy"] == pytest.approx(float((model(x).argmax(1) == y).double().mean()))


def test_what_is_measured_is_written_down(tmp_path, monkeypatch, capsys):
    row = {"case": "c", "title": "C", "baseline": "a", "variant": "a", "seconds": [1.0, 2.0]}
    monkeypatch.setattr(cases, "all_cases", lambda few: {"c": lambda: [row]})
    threads = torch.get_num_threads()
    try:
        assert compare.main(["--trial", str(tmp_path / "new" / "speed.json")]) == 0
    finally:
        torch.set_num_threads(threads)
    whole = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert whole["rows"] == [row] and whole["about"]["trial"] and whole["about"]["threads"] == 1
    assert set(whole["about"]["libraries"]) == set(libraries.ALL)
    assert "C" in capsys.readouterr().out
