"""The page *panels*: minima by prominence, descents next to local maxima, and what the drawings show."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.signal import find_peaks

from advnb.book import figures
from advnb.experiments import live
from advnb.papers import dynamics
from advnb.papers.dynamics import panels
from advnb.papers.dynamics.circle import at_angle, circle_points, prominences
from advnb.papers.dynamics.panels import claims, drawings, trials
from advnb.papers.dynamics.problem import draw

F64 = torch.float64


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


# minima by prominence


def test_prominences_of_a_curve_made_by_hand():
    # Valleys at 0, 3 and 5 between passes at 10, 4 and 8: 3 has to climb to 4, 5 to 8, 0 is the deepest.
    values = [0.0, 10.0, 3.0, 4.0, 1.0, 8.0]
    assert prominences(values).tolist() == [1.0, 0.0, 0.1, 0.0, 0.7, 0.0]
    for turn in range(6):
        assert np.array_equal(prominences(np.roll(values, turn)), np.roll(prominences(values), turn))


@pytest.mark.parametrize("eps", [0.5, 10.0, 300.0])
@pytest.mark.parametrize("level", [0.01, 0.1, 0.25])
def test_deep_minima_are_those_that_a_dense_curve_has(eps, level):
    for seed in range(4):
        problem = draw(2, 24, eps, seed=seed, scale=1.0, y=1.0)
        theta = torch.arange(100_000, dtype=F64) * (2 * math.pi / 100_000)
        curve = -problem.objective(at_angle(problem, theta)).numpy()
        curve = np.roll(curve, -int(curve.argmin()))
        peaks, _ = find_peaks(np.append(curve, curve[0]), prominence=level * np.ptp(curve))
        assert circle_points(problem).deep(level) == len(peaks), seed


@given(
    seed=st.integers(0, 10_000), log_eps=st.floats(-1, 2.5), m=st.integers(1, 30), level=st.sampled_from(trials.LEVELS)
)
@settings(max_examples=50, deadline=None)
def test_both_conventions_have_as_many_deep_minima(seed, log_eps, m, level):
    points = circle_points(draw(2, m, 10**log_eps, seed=seed, scale=1.0, y=1.0))
    assert points.deep(level) == points.reversed().deep(level)
    assert points.minima >= points.deep(level) >= 1


def test_of_equal_minima_one_counts_as_the_deepest():
    """Two floors of value 0, with a pass of 1 between them on one side and of 10 on the other."""
    assert prominences([10.0, 0.0, 1.0, 0.0]) == pytest.approx([0, 0.1, 0, 1])


def test_prominences_refuse_a_constant():
    with pytest.raises(ValueError, match="must not all be equal: a constant has no minima; got 3 times 2"):
        prominences([2.0, 2.0, 2.0])


# trajectories


def test_half_way_counts_every_trajectory_to_where_it_goes():
    values = torch.tensor([[8.0, 8.0, 8.0], [7.0, 3.9, 8.0], [4.0, 0.0, 8.0], [0.0, 1.0, 8.0]])
    assert trials.half_way(values).tolist() == [2, 1, 0]


def test_steps_of_a_fixed_length_have_that_length():
    problem = draw(3, 8, 1.0, seed=0, scale=1.0)
    start = 0.1 * dynamics.in_ball(problem, 5)
    path = dynamics.pgd(problem, start, steps=3, step_size=0.05, direction="steepest")
    assert torch.allclose(path.delta.diff(dim=0).norm(dim=-1), torch.full((3, 5), 0.05, dtype=F64))
    with pytest.raises(ValueError, match="direction must be one of"):
        dynamics.pgd(problem, start, steps=3, step_size=0.05, direction="sideways")


def test_next_to_a_held_maximum_the_wait_grows_with_the_logarithm_of_the_distance():
    """Near a maximum on the sphere that the projection holds, the distance grows by a constant factor a step."""
    rows = claims.starts(live(panels.NEAR_MAXIMA, seeds=2, only={"scale": 100.0, "ratio": 10.0}))
    waits = rows[rows["kind"] == "held"].groupby("distance")["raw"].median()
    more = -np.diff(waits[[1e-4, 1e-3, 1e-2]])
    assert (more > 3).all() and more[0] == pytest.approx(more[1], rel=0.6)


def test_every_local_maximum_has_a_start_at_each_distance():
    row = trials.near_maxima(scale=1.0, ratio=10.0, convention="minus", seed=2)
    problem = draw(2, 16, 10.0, seed=2, scale=1.0, inside=True, y=1.0)
    points = circle_points(problem)
    assert len(row["raw"]) == len(trials.DISTANCES) * points.minima
    assert sum(row["residual"]) == len(trials.DISTANCES) * int(points.crossing.sum())
    assert not any(a and b for a, b in zip(row["residual"], row["outward"], strict=True))
    assert all(0 <= steps <= trials.LONG for steps in row["raw"] + row["unit"])


def test_shares_lie_above_each_other_if_their_intervals_are_disjoint():
    import pandas as pd

    few, many = pd.Series([True] * 2 + [False] * 48), pd.Series([True] * 30 + [False] * 20)
    assert claims.above(many, few) and not claims.above(few, many) and not claims.above(few, few)


def test_there_are_twelve_pairs_of_neighbouring_panels():
    pairs = claims.neighbours()
    assert len(set(pairs)) == 12
    assert all(a[0] * a[1] < b[0] * b[1] and (a[0] == b[0]) != (a[1] == b[1]) for a, b in pairs)


# drawings


def test_a_panel_covers_the_disc_and_marks_what_it_counts(ax):
    problem = draw(2, 16, 0.5, seed=3, scale=1.0, y=1.0)
    points = drawings.panel(ax, problem, resolution=21)
    (edge,) = ax.patches
    assert edge.get_radius() == 0.5 and ax.get_xlim() == pytest.approx((-0.54, 0.54))
    assert ax.get_title("left") == f"minima on the circle: {points.minima}"
    marks = {line.get_marker(): line for line in ax.lines}
    assert len(marks["v"].get_xdata()) == points.minima
    assert np.hypot(*marks["v"].get_xydata().T) == pytest.approx(0.5)
    (ring,), (star,), path = (marks[name].get_xydata() for name in ("o", "*", "."))
    assert np.array_equal(ring, path[0]) and np.array_equal(star, path[-1]) and len(path) == 11
    values = problem.objective(torch.from_numpy(path))
    assert values[-1] < values[0]


def test_figure_1_has_nine_panels_and_one_colour_bar():
    with figures.style():
        fig = plt.figure()
        panels.draw_figure_1(fig)
    *discs, bar = fig.axes
    assert len(discs) == 9 and bar.get_ylabel().startswith("L, from its lowest")
    counts = [
        circle_points(draw(2, 16, 10 * s, seed=3, scale=s, inside=True, y=1.0)).minima for s in (0.01, 1.0, 100.0)
    ]
    assert [ax.get_title("left") for ax in discs[2::3]] == [f"{count} min." for count in counts]
    plt.close(fig)


def test_figure_4_marks_deep_minima_among_all():
    with figures.style():
        fig = plt.figure()
        panels.draw_figure_4(fig, [4, 64], scales=[100.0])
    ax = fig.axes[1]
    points = circle_points(draw(2, 64, 1000.0, seed=3, scale=100.0, inside=True, y=1.0))
    marks = {line.get_marker(): len(line.get_xdata()) for line in ax.lines}
    assert marks == {"o": points.minima, "v": points.deep(0.1)}
    assert ax.get_title("left") == f"{points.minima} min., {points.deep(0.1)} deep"
    plt.close(fig)


def test_widths_have_a_line_a_prominence_and_a_cross_a_live_mean(ax):
    widths = live(panels.FIGURE_4, seeds=3)
    panels.draw_widths(ax, widths, widths, 100.0)
    assert ax.get_legend_handles_labels()[1] == ["all", *(f"above {share}%" for share in (1, 5, 10, 25))]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    part = widths[widths["scale"] == 100.0]
    for k, cross in enumerate(crosses):
        mean = part["deep"].map(lambda counts, k=k: counts[k]).groupby(part["m"]).mean()
        assert np.array_equal(cross.get_ydata(), mean)


def test_waits_are_medians_by_kind(ax):
    near = live(panels.NEAR_MAXIMA, seeds=1, only={"ratio": 10.0})
    panels.draw_waits(ax, near, "raw")
    rows = claims.starts(near)
    assert [line.get_label() for line in ax.lines] == list(claims.KINDS.values())
    free = rows[rows["kind"] == "free"].groupby("distance")["raw"].median()
    assert np.array_equal(ax.lines[2].get_ydata(), free)


def test_rows_of_the_heat_map_are_shares_of_networks(ax):
    counts = live(panels.FIGURE_1, seeds=4)
    shown = panels.draw_seeds(ax, counts, most=4).get_array()
    assert shown.shape == (9, 4) and np.allclose(shown.sum(1), 1)
    last = counts[(counts["scale"] == 100.0) & (counts["ratio"] == 10.0)]["minus"]
    assert shown[-1, -1] == (last >= 4).mean()


def test_what_is_said_of_a_panel_is_what_it_shows():
    figure = Figure()
    ax = figure.subplots()
    panels.draw_one(ax, 100.0, 10.0, "plus")
    titles = ax.get_title("left") + ax.get_title()
    assert titles == "minima on the circle: 6" and len(figure.axes) == 2
    path = next(line for line in ax.lines if len(line.get_xdata()) == 11)
    end = np.array(path.get_data())[:, -1]
    said = panels.say_panel(100.0, 10.0, "plus")
    assert "6 local minima" in said and said.endswith("inside the disc") and np.hypot(*end) < 990
    assert "one local minimum on the circle" in panels.say_panel(0.01, 0.1)
