"""The page of Figures 2, 5 and 6: which rows are which figure, and what its pictures show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from advnb.experiments import load
from advnb.papers.lazy import scaling
from advnb.papers.lazy.laws import Law

LAW = Law(0.35, 0.17)
D = (25, 49, 100, 196, 400, 625, 784)


@pytest.fixture
def axes():
    fig, axes = plt.subplots(1, 3)
    yield list(axes)
    plt.close(fig)


@pytest.fixture(scope="module")
def unit():
    return load("lazy.figures_5_6", "laptop")


@pytest.fixture
def rows():
    """Networks that follow the law exactly, two widths and two radii."""
    grid = [(c0, m, d, seed) for c0 in (10.0, 40.0) for m in (100, 1000) for d in D for seed in (0, 1)]
    table = pd.DataFrame(grid, columns=["radius", "m", "d", "seed"]).assign(reached=True)
    c0, d = table["radius"], table["d"]
    return table.assign(moved=c0, relative=LAW.relative(c0, d), gradient=LAW.gradient(c0, d), eta=LAW.eta(c0, d))


def curves(ax):
    """The data of the labelled curves, by name."""
    return {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}


def slope(line):
    x, y = np.log(line.get_xydata()).T
    return np.polyfit(x, y, 1)[0]


def test_the_rows_of_each_figure(unit):
    five, six = scaling.figure_5(unit), scaling.figure_6(unit)
    assert set(five["m"]) == {1000, 10_000, 100_000} and set(five["radius"]) == {10}
    assert set(six["radius"]) == {10, 20, 30, 40} and set(six["m"]) == {1000} and six["reached"].all()
    assert set(five["reduction"]) == set(six["reduction"]) == {"sum"}
    wide = scaling.all_widths(unit).query("m > 1000")
    assert set(wide["m"]) == {10_000, 100_000} and wide["reached"].all() and set(wide["reduction"]) == {"sum"}
    assert len(scaling.all_widths(unit)) == len(wide) + len(six)
    two = scaling.figure_2(load("lazy.figures_2_3", "laptop"))
    assert set(two["m"]) == set(five["m"]) and not two["bias"].any() and set(two["d"]) == set(D)


def test_the_law_is_that_of_all_trained_networks(unit):
    rows, law = scaling.trained_law(unit)
    assert len(rows) == sum(len(radii) for radii in unit["radii"])
    assert 0.1 < law.phi < law.kappa < 0.5


def test_panels_have_a_curve_a_value_and_the_papers_slopes(axes, rows):
    scaling.draw_panels(axes, rows.query("radius == 10"), "m", {100: "thin", 1000: "wide"})
    assert [ax.get_title() for ax in axes] == list(scaling.PANELS.values())
    for ax, field, predicted in zip(axes, scaling.PANELS, (-0.5, 0.5, -1), strict=True):
        drawn = curves(ax)
        assert set(drawn) == {"thin", "wide"}
        assert drawn["wide"][:, 0].tolist() == list(D)
        assert drawn["wide"][:, 1] == pytest.approx(getattr(LAW, field)(10, D))
        dashed = ax.lines[-1]
        assert slope(dashed) == pytest.approx(predicted) and dashed.get_linestyle() == "--"
        assert dashed.get_ydata()[-1] == pytest.approx(drawn["wide"][-1, 1])
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_crosses_are_means(axes, rows):
    scaling.draw_crosses(axes, rows.query("d == 25"), "digits")
    (cross,) = axes[1].lines
    assert cross.get_xydata().tolist() == [[25, pytest.approx(rows.query("d == 25")["gradient"].mean())]]


def test_the_first_picture_has_points_on_the_law_and_a_line_of_the_papers_slope(axes, rows):
    scaling.draw_all_radii(axes[0], rows, LAW)
    drawn = curves(axes[0])
    assert drawn["C0 = 40"][:, 1] == pytest.approx(LAW.relative(40, D))
    assert slope(axes[0].lines[-1]) == pytest.approx(-0.5)
    line = axes[0].lines[1].get_xydata()
    assert line[:, 1] == pytest.approx(LAW.relative(10, line[:, 0]))


def test_networks_that_follow_the_law_lie_on_the_diagonal(axes, rows):
    scaling.draw_collapse(axes[:2], rows, LAW)
    for ax in axes[:2]:
        for points in curves(ax).values():
            assert points[:, 0] == pytest.approx(points[:, 1])
        x, y = ax.lines[-1].get_xydata().T
        assert x.tolist() == y.tolist()


def test_exponents_of_networks_that_follow_the_law_are_its_own(axes, rows):
    scaling.draw_exponents(axes[0], rows, LAW)
    drawn = curves(axes[0])
    for name, d in (("all d", D), ("d ≥ 100", D[2:])):
        points = axes[0].containers[0 if name == "all d" else 1].lines[0].get_xydata()
        assert points.tolist() == [[c0, pytest.approx(LAW.slope(c0, d))] for c0 in (10, 40)]
        line = drawn[f"law, {name}"]
        assert line[:, 1] == pytest.approx([LAW.slope(c0, d) for c0 in line[:, 0]])


@pytest.mark.parametrize("field", ["relative", "gradient", "eta"])
def test_the_widget_shows_law_turn_and_the_networks_there(axes, rows, field):
    scaling.draw_law(axes[0], 40.0, field, law=LAW, rows=rows)
    drawn = curves(axes[0])
    assert drawn["turn"][:, 0].tolist() == [pytest.approx(LAW.turn(40.0))] * 2
    assert drawn["law"][:, 1] == pytest.approx(getattr(LAW, field)(40.0, drawn["law"][:, 0]))
    assert drawn["trained"][:, 1] == pytest.approx(getattr(LAW, field)(40.0, D))
    assert set(drawn) == {"law", "turn", "trained"}
    scaling.draw_law(axes[1], 1.0, field, law=LAW, rows=rows)
    assert set(curves(axes[1])) == {"law"}  # no network, and the turn lies far to the left


def test_the_theory_bounds_every_panel_from_its_side(axes, rows):
    """At C0 = 10 the gradient lies above its dotted line and the step below it; their slopes are the paper's."""
    part = rows.query("radius == 10")
    scaling.draw_theory(axes, 10.0)
    for ax, predicted in zip(axes, (-0.5, 0.5, -1), strict=True):
        assert slope(ax.lines[0]) == pytest.approx(predicted)
    gradient, step = axes[1].lines[0].get_ydata(), axes[0].lines[0].get_ydata()
    means = part.groupby("d")[["gradient", "relative"]].mean()
    assert (means["gradient"].to_numpy() > gradient).all() and (means["relative"].to_numpy() < step).all()
    assert axes[2].lines[0].get_ydata() == pytest.approx(step / gradient)


def test_what_is_said_of_the_law_is_what_it_says(rows):
    said = scaling.say_law(40.0, "relative", law=LAW, rows=rows)
    assert f"from {LAW.relative(40.0, 25):.2g} at d = 25 to {LAW.relative(40.0, 784):.2g} at d = 784" in said
    assert f"turns at d = {float(LAW.turn(40.0)):.2g}; trained networks lie within" in said
    assert "no network was trained" in scaling.say_law(1.0, "relative", law=LAW, rows=rows)
