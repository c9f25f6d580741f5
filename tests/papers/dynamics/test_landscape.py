"""The page *landscape*: its trials, and what its drawings show."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from advnb.book import figures
from advnb.experiments import live, unroll
from advnb.papers import dynamics
from advnb.papers.dynamics import landscape
from advnb.papers.dynamics.circle import at_angle, circle_points
from advnb.papers.dynamics.landscape import trials
from advnb.papers.dynamics.landscape.trials import ASSUMPTION_3
from advnb.papers.dynamics.problem import draw


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


def test_a_target_that_the_network_takes_adds_a_minimum_at_every_radius():
    reached = live(ASSUMPTION_3, seeds=5)
    assert (reached["minima"] == 2).all() and (reached["swept"] == 2).all()


# minima of L's own values, and descent on L


def test_values_alone_count_as_many_minima_as_derivatives_do():
    for seed in range(6):
        for loss in ("squared", "pseudo_huber"):
            problem = draw(2, 16, 5.0, seed=seed, y=1.0, loss=loss)
            assert trials.swept_minima(problem) == circle_points(problem).minima


def test_a_sweep_sees_what_floating_point_makes_of_the_loss():
    problem = draw(2, 16, 0.3, seed=0, scale=100.0, y=1e3)
    assert trials.swept_minima(problem) == 1
    assert trials.swept_minima(trials.in_float32(problem)) > 10  # neighbouring values differ by rounding alone
    with pytest.raises(ValueError, match="samples must be"):
        trials.swept_minima(problem, 2)


def test_the_lowest_point_is_found_without_derivatives():
    problem = draw(2, 16, 0.5, seed=1, y=5.0)
    points = circle_points(problem)
    lowest = at_angle(problem, points.theta[points.f.argmin()].reshape(1))
    turn = torch.tensor([[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]])
    assert trials.near_lowest(problem, lowest).all()
    assert not trials.near_lowest(problem, lowest @ turn.T).any()
    assert not trials.near_lowest(problem, 0.9 * lowest).any()


def test_descent_arrives_where_the_slope_is_steady_and_stays_where_it_vanishes():
    steady = trials.general_loss(loss="cross_entropy", scale=0.01, eps=0.3, m=16, seed=0)
    assert steady["arrived"] == steady["arrived_32"] == 1 and steady["slope_low"] > 0.1 and steady["swept"] == 1
    assert steady["slope_low"] <= steady["slope_seen"]
    flat = [trials.general_loss(loss="cross_entropy", scale=100.0, eps=0.3, m=16, seed=s, steps=20) for s in range(6)]
    still = [run for run in flat if run["slope_seen"] < 1e-9]
    assert still and all(run["moved"] == run["moved_32"] == run["arrived"] == 0 for run in still)


def test_conclusions_are_due_where_both_hypotheses_are_proved():
    table = pd.DataFrame({"slope_low": [0.2, 0.05, 0.2], "contraction": [0.5, 0.5, 1.5]})
    assert landscape.conclusions_due(table).index.tolist() == [0]


def test_the_count_on_the_sphere_carries_three_readings_of_one_quotient():
    found = trials.count_on_sphere(d=4, m=64, eps=0.3, seed=0, starts=10)
    assert found["sampled"] <= found["optimised"] * 1.001 and found["optimised"] <= found["contraction"]
    assert found["minima"] == 1 and found["saddles"] == 0


# the drawings


def test_the_needle_points_up_the_output_and_the_poles_are_marked(ax):
    filled = landscape.draw_needle(ax, 0.3)
    arrows = next(child for child in ax.get_children() if isinstance(child, Quiver))
    assert np.allclose(np.hypot(arrows.U, arrows.V), 1)
    marks = {line.get_marker(): line.get_xydata() for line in ax.lines}
    assert len(marks["v"]) == len(marks["^"]) == 1
    axis = (marks["^"] - marks["v"])[0]  # f is lowest at the minimum of L, since the target lies above
    assert (arrows.U * axis[0] + arrows.V * axis[1] > 0).all()
    assert filled.levels[0] == -1 and filled.levels[-1] == 1


def test_crossings_of_the_turning_curve_are_the_extrema(ax):
    landscape.draw_turning(ax, (0.3, 10.0))
    diagonals = [line for line in ax.lines if not str(line.get_label()).startswith("∂f")]
    assert len(diagonals) == 3
    for curve, eps in zip(ax.lines[:2], (0.3, 10.0), strict=True):
        theta, direction = curve.get_xdata(), curve.get_ydata()
        turn = np.round((direction - theta) / np.pi - 0.5)  # steps where the needle is radial
        crossings = int((np.diff(turn) != 0).sum())
        assert crossings == dynamics.proved_extrema(draw(2, 16, eps, seed=3, scale=1.0))


def test_arrivals_are_drawn_a_point_a_case(ax):
    table = pd.DataFrame(
        {"loss": ["squared", "welsch", "welsch"], "slope_seen": [1.0, 0.0, 0.5], "arrived": [1.0, 0.0, 1.0]}
    )
    landscape.draw_arrivals(ax, table)
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["Welsch"].get_xdata().tolist() == [1e-20, 0.5]
    assert np.allclose(drawn["Welsch"].get_ydata(), [0, 1], atol=0.05)


def test_the_share_of_networks_with_one_minimum_is_what_is_drawn(ax):
    counts = live(landscape.THEOREM_5_1, seeds=3)
    landscape.draw_single(ax, counts)
    assert [line.get_label() for line in ax.lines] == ["‖x‖ = 0.01", "‖x‖ = 1", "‖x‖ = 100"]
    long = unroll(counts[counts["scale"] == 1.0], ["eps", "counts"])
    share = (long["counts"] == 1).groupby(long["eps"]).mean()
    assert np.array_equal(ax.lines[1].get_xdata(), share.index)
    assert np.array_equal(ax.lines[1].get_ydata(), share)


def test_the_circle_says_how_many_minima_it_marks(ax):
    landscape.draw_circle(ax, 30.0, "minus")
    marked = next(line for line in ax.lines if line.get_label() == "local minimum of L")
    assert ax.get_title("left").startswith(f"{len(marked.get_xdata())} minima of L on the circle of radius 30")


@pytest.mark.parametrize("convention", ["minus", "plus"])
def test_what_is_said_of_the_circle_is_what_it_shows(ax, convention):
    landscape.draw_circle(ax, 30.0, convention)
    said = landscape.say_circle(30.0, convention)
    curve = ax.lines[0].get_ydata()
    crossings = int((np.diff(np.sign(curve - 1)) != 0).sum())
    assert said.startswith(ax.get_title("left").removesuffix(" of radius 30"))
    assert f"f runs from {curve.min():.2g} to {curve.max():.2g} and crosses the target 1 {crossings} times" in said
