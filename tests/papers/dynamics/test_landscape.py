"""The pages *landscape* and *panels*: what their drawings show."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from advnb.book import figures
from advnb.experiments import live, unroll
from advnb.papers.dynamics import landscape, panels
from advnb.papers.dynamics.landscape.trials import ASSUMPTION_3
from advnb.papers.dynamics.panels import drawings
from advnb.papers.dynamics.problem import draw


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


def test_a_target_that_the_network_takes_adds_a_minimum_at_every_radius():
    assert (live(ASSUMPTION_3, seeds=5)["minima"] == 2).all()


def test_the_share_of_networks_with_one_minimum_is_what_is_drawn(ax):
    counts = live(landscape.THEOREM_5_1, seeds=3)
    landscape.draw_single(ax, counts)
    assert [line.get_label() for line in ax.lines] == ["‖x‖ = 0.01", "‖x‖ = 1", "‖x‖ = 100"]
    long = unroll(counts[counts["scale"] == 1.0], ["eps", "counts"])
    share = (long["counts"] == 1).groupby(long["eps"]).mean()
    assert np.array_equal(ax.lines[1].get_xdata(), share.index)
    assert np.array_equal(ax.lines[1].get_ydata(), share)


def test_the_factors_are_those_of_the_convention(ax):
    escapes = live(panels.FIGURE_1_ESCAPE, seeds=1)
    cloud = panels.draw_factors(ax, escapes, "plus")
    part = escapes[escapes["convention"] == "plus"]
    assert np.array_equal(cloud.get_offsets()[:, 0], part["grad_f"])
    assert np.allclose(cloud.get_array(), np.log10(part["scale"] * part["ratio"]))


def test_widths_have_a_line_a_scale_and_a_cross_a_live_mean(ax):
    widths = live(panels.FIGURE_4, seeds=3)
    panels.draw_widths(ax, widths, widths)
    assert ax.get_legend_handles_labels()[1] == ["live", *(f"input scale {s}" for s in ("0.01", "1", "100"))]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    means = [widths[widths["scale"] == scale].groupby("m")["f"].mean() for scale in (0.01, 1.0, 100.0)]
    for cross, mean in zip(crosses, means, strict=True):
        assert np.array_equal(cross.get_ydata(), mean)


def test_the_circle_says_how_many_minima_it_marks(ax):
    landscape.draw_circle(ax, 30.0, "minus")
    marked = next(line for line in ax.lines if line.get_label() == "local minimum of L")
    assert ax.get_title("left").startswith(f"{len(marked.get_xdata())} minima of L on the circle of radius 30")


def test_a_panel_covers_the_disc_and_marks_what_it_counts(ax):
    problem = draw(2, 16, 0.5, seed=3, scale=1.0, y=1.0)
    points = drawings.panel(ax, problem, resolution=21)
    (edge,) = ax.patches
    assert edge.get_radius() == 0.5 and ax.get_xlim() == pytest.approx((-0.53, 0.53))
    assert ax.get_title("left") == f"minima on the circle: {points.minima}"
    marks = {line.get_marker(): line for line in ax.lines}
    assert len(marks["v"].get_xdata()) == points.minima
    assert np.hypot(*marks["v"].get_xydata().T) == pytest.approx(0.5)
    (ring,), (star,), path = (marks[name].get_xydata() for name in ("o", "*", "."))
    assert np.array_equal(ring, path[0]) and np.array_equal(star, path[-1]) and len(path) == 11
    values = problem.objective(torch.from_numpy(path))
    assert values[-1] < values[0]
