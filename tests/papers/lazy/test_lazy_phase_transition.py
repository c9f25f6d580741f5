"""Figure 4: its trial, the tables it is read from, the law of its edge, and what its pictures show."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb import statistics
from advnb.experiments import live
from advnb.papers.lazy.drawings import NAMES
from advnb.papers.lazy.phase_transition import claims, drawings
from advnb.papers.lazy.phase_transition import trials as transition
from advnb.papers.lazy.projected import projected
from advnb.papers.lazy.transition import (
    Transition,
    ceilings,
    cells,
    collapsed,
    edges,
    fit_transition,
    over_seeds,
    relative_budget,
    transition_interval,
)


def test_transition_falls_with_the_budget():
    table = live(transition.FIGURE_4_LEFT, seeds=1, only={"side": 8})
    worst = table.sort_values("budget")["worst"].to_numpy()
    assert (np.diff(worst) <= 0).all() and worst[0] > 0.5 > worst[-1]
    assert (table["moved"] <= 10.0).all()
    assert 0.1 < statistics.crossing(table["budget"], table["worst"], 0.5) < 0.8


def test_a_trial_needs_exactly_one_radius():
    cell = {"data": "digits", "side": 4, "m": 8, "budget": 0.1, "epochs": 1, "examples": 20, "tests": 10,
            "seed": 0, "device": "cpu", "dtype": torch.float32}  # fmt: skip
    for given in ({}, {"c0": 1.0, "radius": 1.0}):
        with pytest.raises(ValueError, match="give either c0 or radius"):
            projected(**cell, **given)


class TestLaw:
    def test_it_is_recovered(self):
        law, where = Transition(0.4, 0.2), grid([1.0, 5.0, 10.0, 30.0], [25.0, 100.0, 784.0])
        points = where.assign(budget=law.budget(where["c0"], where["d"]))
        assert fit_transition(points) == pytest.approx(law, rel=1e-4)
        assert Transition(0.5, 0.0).budget(10.0, 200.0) == pytest.approx(0.5)
        gap = points.assign(budget=points["budget"].where(points["d"] > 25))
        assert fit_transition(gap) == pytest.approx(law, rel=1e-4)
        with pytest.raises(ValueError, match="three points with a finite budget; got 2"):
            fit_transition(pd.DataFrame({"c0": [1, 2, 3], "d": [1, 2, 3], "budget": [1.0, np.nan, 2.0]}))

    def test_c0_is_its_inverse_and_infinite_beyond_its_limit(self):
        law = Transition(0.4, 0.8)
        assert law.c0(law.budget([3.0, 12.0], 100), 100) == pytest.approx([3, 12])
        assert law.c0([0.5, 0.6], 100).tolist() == [np.inf, np.inf]

    def test_its_interval(self):
        generator, law = np.random.default_rng(3), Transition(0.4, 0.2)
        where = grid([2.0, 8.0, 30.0], [25.0, 200.0, 784.0], range(4))
        noise = np.exp(0.05 * generator.normal(size=len(where)))
        points = where.assign(budget=law.budget(where["c0"], where["d"]) * noise)
        low, high = transition_interval(points, ["c0", "d"], draws=100)
        for k, value in enumerate(fit_transition(points)):
            assert low[k] < law[k] < high[k] and low[k] < value < high[k] and high[k] - low[k] < 0.1


def grid(c0, d, seeds=(0,)):
    values = np.meshgrid(c0, d, list(seeds))
    return pd.DataFrame({name: v.ravel() for name, v in zip(("c0", "d", "seed"), values, strict=True)})


LAW = Transition(0.3, 0.3)


def panel(**columns):
    """A table of trials whose accuracies follow the law: one half at R*, falling as R / R* from 1 to 0."""
    rows = [dict(zip(columns, row, strict=True)) for row in itertools.product(*columns.values())]
    table = pd.DataFrame(rows)
    c0 = table["radius"] * table["m"] ** 0.5 if "radius" in table else table["c0"]
    star = LAW.budget(c0, table["side"] ** 2)
    right = (1.5 - table["budget"] / star).clip(0, 1)
    return table.assign(moved=c0, worst=right, raw=right, unit=right, exact=right)


def both(n=400):
    left = panel(side=[10, 20], m=[1000], c0=[10.0], budget=np.linspace(0.02, 1.5, n), seed=[0, 1])
    right = panel(side=[28], m=[250, 1000], radius=np.linspace(0.1, 2, n), budget=[0.2], seed=[0, 1])
    return cells(left=left, right=right)


class TestTables:
    def test_cells_say_where_they_are(self):
        table = both()
        assert table.groupby("panel")["d"].unique().map(sorted).to_dict() == {"left": [100, 400], "right": [784]}
        right = table.query("panel == 'right'")
        assert np.allclose(right["c0"], right["radius"] * right["m"] ** 0.5)

    def test_edges_lie_on_the_law(self):
        found = edges(both())
        assert np.allclose(found["budget"], LAW.budget(found["c0"], found["d"]), rtol=1e-3)
        left, right = (found.query(f"panel == {name!r}") for name in ("left", "right"))
        assert len(left) == len(right) == 4
        assert np.allclose(left["constant"], left["budget"] * left["d"] ** 0.5)
        assert np.allclose(right["constant"], LAW.c0(0.2, 784), rtol=1e-3)
        assert fit_transition(found) == pytest.approx(LAW, rel=0.01)

    def test_edges_of_another_level_and_field(self):
        table = both()
        other = edges(table.assign(raw=table["worst"] + 0.2), 0.7, "raw")
        assert np.allclose(other["constant"], edges(table)["constant"])

    def test_the_collapse_is_one_curve(self):
        points = collapsed(both(), LAW)
        assert np.allclose(points["worst"], (1.5 - points["relative"]).clip(0, 1))
        assert len(points) == 2 * 400 + 2 * 400
        half = both().assign(moved=lambda table: table["moved"] / 2)
        assert (relative_budget(half, LAW) > relative_budget(both(), LAW)).all()

    def test_ceilings_have_a_row_a_budget(self):
        stored = pd.DataFrame({"side": [4, 5], "seed": 0, "budgets": [[0.1, 0.2]] * 2,
                               "ceiling": [np.array([1.0, 0.5]), np.array([0.9, 0.4])]})  # fmt: skip
        rows = ceilings(stored)
        assert rows.to_numpy().tolist() == [[16, 0.1, 0, 1], [16, 0.2, 0, 0.5], [25, 0.1, 0, 0.9], [25, 0.2, 0, 0.4]]

    def test_over_seeds_averages_each_seed_first(self):
        table = pd.DataFrame({"seed": [0, 0, 0, 1], "worst": [0.1, 0.1, 0.1, 0.5]})
        assert over_seeds(table, "worst") == "0.30 (seeds [0.10, 0.50])"
        with pytest.raises(ValueError, match="field"):
            over_seeds(table, "best")


class TestReading:
    def test_robust_accuracy_between_the_points(self):
        table = pd.DataFrame({"c0": [2.0, 1.0, 1.0, 3.0], "m": 7, "seed": [0, 0, 1, 1], "worst": [0.4, 0.8, 1.0, 0.0]})
        assert claims.at(table, "c0", "m", 1.5)["worst"].tolist() == pytest.approx([0.6, 0.75])

    def test_after_scales_with_the_root_of_d(self):
        budgets = np.linspace(0, 1, 101)
        left = panel(side=[5, 10, 20], m=[1000], c0=[10.0], budget=budgets, seed=[0])
        found = claims.after(left, 3).set_index("d")["worst"]
        assert list(found.index) == [100, 400]
        star = LAW.budget(10.0, [100, 400])
        assert found.to_numpy() == pytest.approx(1.5 - 3 / np.array([10, 20]) / star, abs=1e-6)

    def test_off_the_panels_the_law_is_compared(self):
        table = panel(side=[10], m=[500], c0=[4.0, 20.0], budget=np.linspace(0.01, 1, 500), seed=[0, 1])
        found = claims.off_panels(table, LAW)
        assert found["ratio"].to_numpy() == pytest.approx(1, abs=1e-3)
        assert (found["least"] == found["most"]).all()


class TestDrawings:
    @pytest.fixture
    def ax(self):
        return Figure().subplots()

    def test_a_map_has_a_cell_a_measured_point(self, ax):
        table = both(8).query("panel == 'left'")
        mesh = drawings.draw_map(ax, table, "d", "budget")
        grid = table.pivot_table(index="budget", columns="d", values="worst")
        assert np.asarray(mesh.get_array()).reshape(grid.shape) == pytest.approx(grid.to_numpy())
        corners = np.asarray(mesh.get_coordinates())
        middles = np.exp((np.log(corners[0, 1:, 0]) + np.log(corners[0, :-1, 0])) / 2)
        assert middles == pytest.approx([100, 400])
        assert [label.get_text() for label in ax.get_xticklabels()] == ["100", "400"]

    def test_panels_have_the_papers_threshold_and_the_law(self, ax):
        drawings.draw_left(ax, both(8).query("panel == 'left'"), LAW)
        law, paper = ax.get_lines()
        assert law.get_ydata() == pytest.approx(LAW.budget(10.0, law.get_xdata()))
        assert paper.get_ydata() == pytest.approx(5 / paper.get_xdata() ** 0.5)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["law", "5/√d"]
        other = Figure().subplots()
        drawings.draw_right(other, both(8).query("panel == 'right'"), LAW)
        law, paper = other.get_lines()
        assert law.get_ydata() == pytest.approx(LAW.c0(0.2, 784) / law.get_xdata() ** 0.5)
        assert paper.get_ydata() == pytest.approx(25 / paper.get_xdata() ** 0.5)
        assert other.get_xlim()[1] < 4000  # the lines reach further than the map, and leave its limits

    def test_without_a_law_there_is_one_line(self, ax):
        drawings.draw_right(ax, both(8).query("panel == 'right'"))
        assert [line.get_label() for line in ax.get_lines()] == ["25/√m"]

    def test_thresholds(self, ax):
        left = both().query("panel == 'left'").assign(exact=lambda table: (table["worst"] + 0.2).clip(0, 1))
        ceiling = pd.DataFrame({"d": np.repeat([100, 400], 3), "seed": 0, "budget": [0.1, 0.5, 0.9] * 2,
                                "ceiling": [1.0, 0.8, 0.4] * 2})  # fmt: skip
        drawings.draw_thresholds(ax, left, ceiling)
        lines = {line.get_label(): line for line in ax.get_lines()}
        d = np.array([100, 400])
        assert lines["R50 √d"].get_ydata() == pytest.approx(LAW.budget(10.0, d) * d**0.5, rel=1e-2)
        assert (lines["R50 √d, exact step only"].get_ydata() > lines["R50 √d"].get_ydata()).all()
        assert (lines["R5 √d"].get_ydata() > lines["R50 √d"].get_ydata()).all()
        assert lines["ceiling 60% × √d"].get_ydata() == pytest.approx(0.7 * d**0.5)
        assert set(lines["paper: 5"].get_ydata()) == {5}

    def test_widths_are_drawn_against_what_was_reached(self, ax):
        right = both(8).query("panel == 'right'").assign(moved=lambda table: 0.9 * table["c0"])
        drawings.draw_widths(ax, right)
        first, second, paper = ax.get_lines()
        assert (first.get_label(), second.get_label()) == ("m = 250", "m = 1000")
        assert first.get_xdata() == pytest.approx(0.9 * np.linspace(0.1, 2, 8) * 250**0.5)
        assert paper.get_xdata() == [25, 25]

    def test_longer_training_has_a_line_for_each_length(self, ax):
        longer = pd.DataFrame({"examples": [500, 500, 500, 2000], "epochs": [30, 200, 200, 200], "c0": [10.0] * 4,
                               "worst": [0.1, 0.2, 0.4, 0.5]})  # fmt: skip
        drawings.draw_longer(ax, longer)
        lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        assert lines["30 epochs, 500 images"] == pytest.approx([0.1])
        assert lines["200 epochs, 500 images"] == pytest.approx([0.3])
        assert lines["200 epochs, 2000 images"] == pytest.approx([0.5])

    def test_the_collapse_marks_small_dimensions(self, ax):
        table = panel(side=[5, 10], m=[1000], c0=[10.0], budget=np.linspace(0.1, 0.9, 5), seed=[0])
        points = collapsed(cells(left=table, elsewhere=table), LAW)
        drawings.draw_collapse(ax, points)
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert lines["left"].get_xdata() == pytest.approx(points.query("panel == 'left'")["relative"])
        assert len(lines["right"].get_xdata()) == 0 and len(lines["elsewhere"].get_xdata()) == 10
        assert len(lines["d < 100"].get_xdata()) == 10

    def test_one_dimension_with_law_ceiling_and_paper(self, ax):
        ceiling = pd.DataFrame({"d": 100, "seed": [0, 1], "budget": 0.1, "ceiling": [0.8, 1.0]})
        drawings.draw_dimension(ax, 100, both(8).query("panel == 'left'"), ceiling, LAW)
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert set(NAMES.values()) < set(lines)
        assert lines["law: R50"].get_xdata()[0] == pytest.approx(LAW.budget(10, 100))
        assert lines["paper: 5/√d"].get_xdata()[0] == pytest.approx(0.5)
        assert lines["ceiling of the images"].get_ydata() == pytest.approx([0.9])

    def test_the_plane_shows_the_attack_that_was_chosen(self, ax):
        plane = panel(side=[14], m=[500], c0=[5.0, 10.0], budget=[0.1, 0.2], seed=[0]).assign(raw=0.25)
        drawings.draw_plane(ax, 196, "raw", cells(plane=plane), LAW)
        (mesh,) = ax.collections
        assert np.asarray(mesh.get_array()).ravel() == pytest.approx([0.25] * 4)
        (law,) = ax.get_lines()
        assert law.get_ydata() == pytest.approx(LAW.budget(law.get_xdata(), 196))
        assert ax.get_title(loc="center") == "d = 196, PGD, raw"

    def test_digits_with_their_law(self, ax):
        table = panel(side=[8], m=[200], c0=[10.0], budget=[0.1, 0.2], seed=[0])
        drawings.draw_digits(ax, 10, table, LAW)
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert lines["law on digits"].get_xdata()[0] == pytest.approx(LAW.budget(10, 64))
        assert lines[NAMES["unit"]].get_ydata() == pytest.approx(table["unit"])
