"""Algorithm 1: where examples rest, read off one trace; dropping against masking; what the pictures show."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.attacks import Trace
from advnb.models import digits_cnn
from advnb.papers.convergence.dynamic import claims, drawings, trials
from advnb.papers.convergence.followed import VARIANTS
from advnb.papers.convergence.recipes import RECIPES, images, make_defence

TINY = {"data": "digits", "examples": 64, "epochs": 3, "batch": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def spent():
    """Three kinds of Dynamic on a few images."""
    rows = [{"defence": kind, "seed": seed, **trials.spending(**TINY, defence=kind, seed=seed)}
            for kind in trials.KINDS for seed in (0, 1)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def network():
    model = digits_cnn(generator=torch.Generator().manual_seed(0)).eval()
    return model, images("digits", 40, 1, "cpu").train


def trace_of(fosc):
    table = torch.tensor(fosc, dtype=torch.float32)
    return Trace(table, table, torch.zeros(0), None)


def test_an_example_rests_at_its_first_iterate_below_the_threshold():
    trace = trace_of([[0.0, 9.0, 9.0], [0.3, 9.0, 0.1], [0.1, 9.0, 0.3], [0.05, 9.0, 0.05]])
    text = make_defence("dynamic", RECIPES["digits"], 10)
    assert trials.rests_at(text, trace, 0.2).tolist() == [2, 3, 1]
    printed = make_defence("dynamic_printed", RECIPES["digits"], 10)
    assert trials.rests_at(printed, trace, 0.2).tolist() == [1, 1, 2]


@pytest.mark.parametrize("kind", [*trials.KINDS, "dynamic_centre"])
def test_one_trace_tells_the_steps_that_training_takes(network, kind):
    model, split = network
    defence = make_defence(kind, RECIPES["digits"], 10, c_max=0.05)
    start = defence.ball.sample(split.x, generator=torch.Generator().manual_seed(1))
    defence.before_epoch(4)
    defence.craft(model, split.x, split.y, epoch=4, start=start)
    taken = defence.report()["steps"]
    _, trace = defence.attack(model, split.x, split.y, start, gap=defence.gap, trace=True)
    assert int(trials.rests_at(defence, trace, defence.threshold(4)).sum()) == int(taken)


def test_what_is_watched(network):
    model, split = network
    defence = make_defence("dynamic", RECIPES["digits"], 10, c_max=0.05)
    seen = trials.watch(model, defence, split, 1)
    assert sum(seen["taken"]) == pytest.approx(1) and len(seen["taken"]) == 10
    assert 0 <= seen["within"] <= seen["under"] <= 1 and seen["strength"] <= 1 + 1e-6
    strict = trials.watch(model, make_defence("dynamic", RECIPES["digits"], 10, c_max=0.0), split, 1)
    assert strict["taken"][-1] > 0.9 and strict["strength"] == pytest.approx(1, abs=0.01)


def test_a_row_an_epoch(spent):
    first = spent.iloc[0]
    assert {len(first[name]) for name in ("taken", "fosc", "steps", "c_t", "rank", "strength")} == {3}
    assert claims.epochs_of(spent, "taken").shape == (2, 3, 10)
    staged, zero = claims.staged_epochs(spent)
    assert (staged.tolist(), zero.tolist()) == ([0, 1], [2])


def test_dropping_gives_the_masks_examples_and_saves_gradients():
    found = trials.dropping(c_t=0.2, seed=0, device="cpu", n=128)
    assert found["differs"] == 0 and found["dropped"] <= found["masked"] <= 10


def test_epochs_in_which_the_steps_differ():
    one, mixed = [0.0] * 9 + [1.0], [0.5] + [0.0] * 8 + [0.5]
    table = pd.DataFrame({"defence": "dynamic", "seed": [0, 1], "taken": [[one, mixed], [mixed, one]]})
    assert claims.dividing(table).tolist() == [[False, True], [True, False]]


def ablated():
    values = np.linspace(0.5, 0.9, len(VARIANTS))
    rows = [{"variant": name, "seed": seed, "pgd20": value + 0.01 * seed * k, "clean": 0.99, "epoch_gradients": [10.0]}
            for k, (name, value) in enumerate(zip(VARIANTS, values, strict=True)) for seed in (0, 1)]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_best_of_standard_is_found():
    assert claims.best_standard(ablated()) == "high_lr"


def test_variants_are_compared_by_seed():
    runs = ablated()
    found = claims.against(runs, "dynamic", "standard")
    assert found.mean == pytest.approx((0.9 - 0.5) * 7 / 12 + 0.5 * 0.07) and found.seeds == 2
    table = drawings.compared(runs)
    assert table.index[0] == "Dynamic" and "Standard, lr 0.03 (best)" in table.index
    assert table.loc["Dynamic", "gradients"] == 10


def test_steps_are_stacked_to_one(spent):
    ax = Figure().subplots()
    drawings.draw_taken(ax, spent, "dynamic_printed")
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    assert len(ax.containers) == 10 and tops == pytest.approx([1] * 3)
    assert ax.get_title() == "as printed"


def test_the_threshold_is_drawn_with_what_it_reaches(spent):
    ax = Figure().subplots()
    drawings.draw_threshold(ax, spent)
    median, c_t = ax.lines
    assert c_t.get_ydata() == pytest.approx([0.5, 0.25, 0], abs=0.01)
    assert median.get_ydata() == pytest.approx(claims.epochs_of(spent, "fosc").mean(0)[:, 25])


def test_strength_and_quarters_are_drawn(spent):
    ax = Figure().subplots()
    drawings.draw_strength(ax, spent)
    assert [line.get_label() for line in ax.lines] == list(drawings.RULES.values())
    ax = Figure().subplots()
    drawings.draw_quarters(ax, spent)
    assert ax.lines[0].get_ydata() == pytest.approx(claims.epochs_of(spent, "easy").mean(0))


def test_differences_are_drawn_around_zero():
    runs, ax = ablated(), Figure().subplots()
    drawings.draw_differences(ax, runs, ("standard", "dynamic_box"))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["Standard", "FOSC within the box"]
    mean = 100 * claims.against(runs, "standard").mean
    assert any(list(line.get_xdata()) == pytest.approx([mean]) for line in ax.lines if len(line.get_xdata()) == 1)


def test_an_epoch_has_its_steps_and_its_threshold(spent):
    figure = drawings.draw_epoch(2, "dynamic", spent)
    left, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == pytest.approx(claims.epochs_of(spent, "taken").mean(0)[1])
    assert right.lines[1].get_xdata()[0] == pytest.approx(0.25, abs=0.01)
    assert right.lines[1].get_label() == "c_t = 0.25"
    mean = sum(bar.get_height() * (k + 1) for k, bar in enumerate(left.patches))
    said = drawings.say_epoch(2, "dynamic", spent)
    assert said.startswith(f"The examples take {mean:.1f} steps on average") and said.endswith("rest below c_t, 0.25")
