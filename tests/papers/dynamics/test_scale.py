"""The page on scale: what its tables say, and what its pictures show."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from advnb.experiments import load
from advnb.papers.dynamics.images import CONSTANT, RATIOS, RELATIVE, SCALES, by_network, nearest, per_image, pick
from advnb.papers.dynamics.images.drawings import covered, objective
from advnb.papers.dynamics.images.escape import STEPS, shown_steps
from advnb.papers.dynamics.scale import paper_steps
from advnb.papers.dynamics.scale.claims import explained, half, surer
from advnb.papers.dynamics.scale.drawings import (
    draw_against_radius,
    draw_covered,
    draw_foreseen,
    draw_objective,
    say_covered,
)


@pytest.fixture(scope="module")
def fig2():
    return load("dynamics.fig2", "laptop")


@pytest.fixture
def ax():
    return Figure().subplots()


def curves(ax):
    """The lines of a picture that have a label of their own, by label."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


# -- tables ------------------------------------------------------------------------------------------------------


def test_a_cell_of_figure_2_has_one_time_a_network(fig2):
    times = half(fig2, 10.0, 0.1)
    assert list(times.index) == sorted(fig2["seed"].unique()) and np.isfinite(times).all()


def test_what_is_foreseen_exactly_is_explained_and_a_constant_foresight_explains_nothing():
    rows = pd.DataFrame({"seed": [0] * 4, "loss_half": [4.0, 8.0, 64.0, math.inf], "saturation": 0.0})
    assert explained(rows.assign(travel=rows["loss_half"]))[0] == 1.0
    middle = 2 ** ((2 + 3 + 6) / 3)  # the geometric mean
    assert explained(rows.assign(travel=middle))[0] == pytest.approx(0.0)


def test_surer_compares_the_halves_of_each_network():
    rows = pd.DataFrame(
        {"seed": [0, 0, 1, 1], "margin_start": [2.0, -1.0, 5.0, 7.0], "loss_half": [30.0, 10.0, 4.0, 8.0]}
    )
    assert list(surer(rows)) == [3.0, 2.0]


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
    median = nearest(by_network(pick(rows, run, convention="minus", scale=10.0, ratio=0.1)))
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
    draw_covered(ax, fig2, 1000.0, CONSTANT)
    shown = curves(ax)
    assert list(shown) == [f"r = {ratio:g}, ε = {1000 * ratio:g}" for ratio in RATIOS]
    for line in shown.values():
        assert list(line.get_xdata()) == shown_steps("constant") and line.get_ydata()[0] == 0.0
    said = say_covered(fig2, 1000.0, CONSTANT)
    assert said.startswith("Steps to half of the loss range: over 1000 at r = 10, over 1000 at r = 1,")
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
