"""The page on scale: the trial of Figure 3, what its tables say, and what its pictures show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from advnb.experiments import load
from advnb.papers.dynamics.images import CONSTANT, RATIOS, RELATIVE, SCALES, per_image, pick
from advnb.papers.dynamics.images.escape import STEPS, shown_steps
from advnb.papers.dynamics.scale import by_epoch, paper_steps
from advnb.papers.dynamics.scale.claims import change, of_paper
from advnb.papers.dynamics.scale.drawings import (
    covered,
    draw_against_radius,
    draw_covered,
    draw_foreseen,
    draw_objective,
    draw_training,
    objective,
)
from advnb.papers.dynamics.scale.trials import along_training

SMALL = {"data": "digits", "version": "2017", "units": "norm", "images": 2, "seed": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def fig2():
    return load("dynamics.fig2", "laptop")


@pytest.fixture(scope="module")
def fig3():
    return load("dynamics.fig3", "laptop")


@pytest.fixture
def ax():
    return Figure().subplots()


def curves(ax):
    """The lines of a picture that have a label of their own, by label."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_along_training_returns_one_entry_an_epoch(monkeypatch):
    monkeypatch.setitem(STEPS, "constant", 60)
    monkeypatch.setitem(STEPS, "relative", 60)
    run = along_training(**SMALL, scale=1.0, ratio=0.1, lr=1e-3, optimizer="adam", epochs=[0, 2], examples=20,
                         dtype=torch.float64)  # fmt: skip
    assert run["moved"][0] == 0.0 and 0 < run["moved"][1] < 1
    for name in ("train_accuracy", "spread", "constant_loss_half", "relative_margin_start"):
        assert len(run[name]) == 2
    assert run["constant_gradient_clean"][0] != run["constant_gradient_clean"][1]


# -- tables ------------------------------------------------------------------------------------------------------


def test_by_epoch_measures_against_the_first_epoch(fig3):
    state = by_epoch(fig3)
    assert len(state) == 3 * len(fig3) and set(state["epoch"]) == {0, 10, 100}
    first = state[state["epoch"] == 0]
    assert (first[["range", "gradient"]] == 1).all(axis=None) and (first["moved"] == 0).all()
    assert set(state.loc[state["setting"] == "learns", "seed"]) == {0, 1, 2}


def test_the_settings_of_the_paper_are_told_apart_by_scale_and_ratio(fig3):
    state = by_epoch(fig3)
    large, small = (of_paper(state, 0.1, largest=largest) for largest in (True, False))
    assert set(large["setting"]) == {"scale 0.1, r = 10"} and set(small["setting"]) == {
        f"scale 0.1, r = {ratio:g}" for ratio in RATIOS[1:]
    }
    assert len(of_paper(state, 0.1)) == len(large) + len(small)
    assert of_paper(state, 10)["setting"].nunique() == 3


def test_change_compares_each_network_with_itself(fig3):
    state = by_epoch(fig3)
    state["half, constant"] = np.where(state["epoch"] == 10, 6.0, 2.0) * (1 + state["seed"])
    assert (change(state, 10) == 3.0).all() and (change(state, 100) == 1.0).all()
    assert len(change(state, 10)) == len(fig3)


def test_the_share_covered_runs_from_zero_to_one_at_the_floor():
    path = np.array([[2.0, 0.0, -2.0]])
    for convention in ("minus", "plus"):
        way = path if convention == "minus" else -path
        share = covered(way, way[:, -1], convention)
        assert share[0, 0] == 0.0 and 0 < share[0, 1] < 1 and share[0, 2] == 1.0
        half = objective(way, convention)
        assert share[0, 1] == pytest.approx((half[0, 0] - half[0, 1]) / (half[0, 0] - half[0, 2]))
    deeper = covered(path, np.array([-5.0]), "minus")
    assert deeper[0, 2] < 1.0
    assert np.isnan(covered(np.ones((1, 3)), np.ones(1), "minus")).all()


# -- drawings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [CONSTANT, RELATIVE])
def test_escape_times_are_drawn_at_their_radii_beside_the_time_of_a_linear_function(ax, fig2, run):
    rows = per_image(fig2)
    draw_against_radius(ax, rows, rows, run)
    shown, limit = curves(ax), STEPS[run[1]]
    assert list(shown) == [*(f"scale {scale:g}" for scale in SCALES), "a linear function"]
    median = pick(rows, run, convention="minus", scale=10.0, ratio=0.1)["loss_half"].median()
    x, y = shown["scale 10"].get_data()
    assert y[list(x).index(1.0)] == median
    x, y = shown["a linear function"].get_data()
    slope = np.polyfit(np.log(x), np.log(y), 1)[0]
    assert slope == pytest.approx(1.0 if run == CONSTANT else 0.0, abs=1e-9)
    dotted = [line for line in ax.lines if line.get_linestyle() == ":" and line not in shown.values()]
    assert [list(line.get_ydata()) for line in dotted] == [[limit, limit]]
    open_markers = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert len(open_markers) == len(SCALES)


def test_figure_2_has_a_curve_for_each_ratio_that_starts_at_zero(ax, fig2):
    draw_covered(ax, fig2, 1000.0, CONSTANT, "minus")
    shown = curves(ax)
    assert list(shown) == [f"r = {ratio:g}, ε = {1000 * ratio:g}" for ratio in RATIOS]
    for line in shown.values():
        assert list(line.get_xdata()) == shown_steps("constant") and line.get_ydata()[0] == 0.0
    ends = [line.get_ydata()[-1] for line in shown.values()]
    assert ends[0] < 0.1 and ends[-1] > 0.9 and "input scale 1000" in ax.get_title()


def test_a_panel_of_figure_2_shows_the_objective_of_section_3(ax, fig2):
    draw_objective(ax, fig2, 0.1)
    assert ax.get_title() == "(a) input scale 0.1" and len(ax.lines) == len(RATIOS)
    assert all(line.get_ydata().max() < 0 and np.ptp(line.get_ydata()[-2:]) < 0.01 for line in ax.lines)


def test_every_trajectory_of_the_paper_is_a_dot_at_the_foreseen_time(ax, fig2):
    rows = paper_steps(fig2)
    draw_foreseen(ax, rows)
    shown = curves(ax)
    assert sum(len(shown[f"scale {scale:g}"].get_xdata()) for scale in SCALES) == len(rows)
    x, y = shown["scale 10"].get_data()
    chosen = pick(rows, scale=10.0)
    escaped = np.isfinite(chosen["loss_half"]).to_numpy()
    np.testing.assert_array_equal(y[escaped], chosen["loss_half"][escaped])
    assert (y[~escaped] > STEPS["constant"]).all() and x.max() <= 1e5
    np.testing.assert_array_equal(*shown["as foreseen"].get_data())


def test_figure_3_names_the_network_that_learns_and_the_one_that_became_constant(ax, fig3):
    draw_training(ax, fig3, 10.0, 100, "constant")
    names = list(curves(ax))
    assert [name.split(":")[0] for name in names] == ["r = 10", "r = 0.1", "r = 0.001", "a network that learns"]
    assert "nothing to cover" in names[0] and len(curves(ax)[names[0]].get_xdata()) == 0
    assert "accuracy 1.00" in names[-1] and "margin range" in names[-1]
    assert "epoch 100" in ax.get_title()


def test_figure_3_at_the_start_has_a_curve_for_every_ratio(ax, fig3):
    draw_training(ax, fig3, 0.1, 0, "relative")
    lines = curves(ax).values()
    assert len(lines) == len(RATIOS) + 1
    assert all(line.get_ydata()[-1] > 0.9 and not math.isnan(line.get_ydata()[0]) for line in lines)
