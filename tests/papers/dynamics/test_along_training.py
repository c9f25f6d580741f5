"""The page on training: the trial of Figure 3, and what its tables say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.experiments import load
from advnb.papers.dynamics.images.escape import STEPS, shown_steps
from advnb.papers.dynamics.training import claims
from advnb.papers.dynamics.training.claims import SETTING, by_epoch, change, compared, learning, named
from advnb.papers.dynamics.training.drawings import KINDS, draw_escapes, draw_settings, kind_name, say_escapes
from advnb.papers.dynamics.training.trials import FIG3, along_training

SMALL = {"data": "digits", "version": "2017", "units": "norm", "images": 2, "seed": 0, "device": "cpu"}


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setitem(STEPS, "constant", 60)
    monkeypatch.setitem(STEPS, "relative", 60)
    monkeypatch.setattr(claims, "EPOCHS", [0, 2])
    settings = {"scale": 1.0, "ratio": 0.1, "lr": 1e-3, "optimizer": "adam", "epochs": [0, 2], "examples": 20}
    return SMALL | settings | along_training(**SMALL, **settings, dtype=torch.float64)


def test_along_training_returns_one_entry_an_epoch(brief):
    assert brief["moved"][0] == 0.0 and 0 < brief["moved"][1] < 1
    for name in ("train_accuracy", "spread", "constant_loss_half", "relative_margin_start"):
        assert len(brief[name]) == 2
    assert brief["constant_gradient_clean"][0] != brief["constant_gradient_clean"][1]


def test_a_network_has_a_row_an_epoch_with_the_range_of_its_loss_and_the_gradient_at_the_start(brief):
    state = by_epoch(pd.DataFrame([{name: np.array(v) if isinstance(v, list) else v for name, v in brief.items()}]))
    assert list(state["epoch"]) == [0, 2] and set(state["optimizer"]) == {"Adam"}
    margin = torch.tensor(brief["constant_margin_start"][1], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.nn.functional.softplus(-margin).sum(), margin)
    force = slope.abs() * torch.tensor(brief["constant_gradient_start"][1], dtype=torch.float64)
    assert state["force"][1] == pytest.approx(force.quantile(0.5).item())
    low, high = (torch.tensor(brief[f"relative_margin_{end}"][0], dtype=torch.float64) for end in ("floor", "peak"))
    ranges = torch.nn.functional.softplus(-low) - torch.nn.functional.softplus(-high)
    assert state["range"][0] == pytest.approx(ranges.quantile(0.5).item())


def table(**factors: list[float]) -> pd.DataFrame:
    """Six networks at epochs 0 and 100 for each optimiser, with these steps at epoch 100 and ten at epoch 0."""
    cells = [
        {"optimizer": name, "reading": "norm", "scale": 0.1, "ratio": 1.0, "seed": seed, "epoch": epoch,
         "constant": steps if epoch else 10.0, "learned": bool(epoch) and name == "Adam"}
        for name, times in factors.items() for seed, steps in enumerate(times) for epoch in (0, 100)
    ]  # fmt: skip
    return pd.DataFrame(cells)


def test_change_compares_each_network_with_itself_and_leaves_out_what_has_become_constant():
    factors = change(table(SGD=[10.0] * 6, Adam=[math.nan] * 6), 100)
    assert list(factors.index) == [("SGD", "norm", 0.1, 1.0)] and (factors == 1.0).all(axis=None)


@pytest.mark.parametrize(
    ("steps", "harder", "easier"),
    [
        ([25.0] * 6, True, False),
        ([15.0] * 6, False, False),  # slower, but not twice as slow
        ([25.0] * 5 + [9.0], False, False),  # one network is faster
        ([math.inf] * 6, True, False),
        ([4.0] * 6, False, True),
        ([math.nan] + [25.0] * 5, True, False),
        ([math.nan] * 2 + [25.0] * 4, False, False),  # four networks are too few
    ],
)
def test_harder_is_twice_the_steps_beyond_chance(steps, harder, easier):
    row = compared(table(SGD=steps), 100).iloc[0]
    assert (row["harder"], row["easier"]) == (harder, easier)


def test_settings_that_learn_are_named():
    learned = learning(table(SGD=[1.0] * 6, Adam=[1.0] * 6))
    assert named(learned.index[learned]) == "Adam (norm, r = 1)" and named(learned.index[[False, False]]) == "none"
    assert list(learned.index.names) == SETTING


def test_figure_3_has_both_optimisers_and_both_readings_at_the_papers_learning_rates():
    params = [trial.params for trial in FIG3.trials("laptop")]
    kinds = {(p["optimizer"], p["units"]) for p in params if p["scale"] == 0.1}
    assert len({p["ratio"] for p in params if p["scale"] == 0.1}) >= 3
    assert kinds == {(name, units) for name in ("sgd", "adam") for units in ("norm", "pixels")}
    assert all(p["lr"] == pytest.approx(0.01 * p["ratio"]) and p["epochs"] == [0, 10, 100] for p in params)


# -- drawings ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fig3():
    return load("dynamics.fig3", "laptop")


@pytest.fixture
def ax():
    return Figure().subplots()


def test_every_setting_has_a_line_with_its_three_epochs_bold_where_it_learns(ax, fig3):
    state = by_epoch(fig3)
    draw_settings(ax, state, "relative")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert len(names) == len(learning(state)) == 10
    bold = {text.get_text() for text in ax.get_yticklabels() if text.get_fontweight() == "bold"}
    learned = learning(state)
    assert len(bold) == learned.sum()
    row = names.index("SGD, norm, s = 0.1, r = 0.1")
    times = state[(state["optimizer"] == "SGD") & (state["reading"] == "norm") & (state["ratio"] == 0.1)
                  & (state["scale"] == 0.1) & (state["epoch"] == 100)]["relative"]  # fmt: skip
    (dot,) = (line for line in ax.lines if line.get_marker() == "D" and round(line.get_ydata()[0]) == row)
    assert dot.get_xdata()[0] == np.quantile(times, 0.5, method="nearest")


def test_a_panel_of_figure_3_tells_the_state_of_the_networks(ax, fig3):
    draw_escapes(ax, fig3, ("adam", "norm"), 0, "constant")
    shown = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert [line.get_label().split(":")[0] for line in shown] == ["r = 10", "r = 1", "r = 0.1"]
    assert all("accuracy" in line.get_label() and "gradient" in line.get_label() for line in shown)
    assert all(list(line.get_xdata()) == shown_steps("constant") and line.get_ydata()[0] == 0.0 for line in shown)
    assert kind_name(KINDS[1]) in ax.get_title()
    said = say_escapes(by_epoch(fig3), ("adam", "norm"), 0, "constant")
    assert "1 at r = 0.1 (accuracy 0." in said and said.index("r = 10") < said.index("r = 1 ")
