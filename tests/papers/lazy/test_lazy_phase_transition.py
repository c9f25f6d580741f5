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
from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.phase_transition import claims, drawings, trials
from advnb.papers.lazy.projected import projected
from advnb.papers.lazy.transition import (
    EDGES,
    FORMS,
    both_grids,
    ceilings,
    cells,
    collapsed,
    edge_law,
    edges,
    fit_form,
    large,
    law_interval,
    over_seeds,
    relative_budget,
    surface,
)


def test_transition_falls_with_the_budget():
    table = live(trials.FIGURE_4_LEFT, seeds=1, only={"side": 8})
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


def test_a_trial_at_the_edge_takes_the_gradient_apart():
    (row,) = live(trials.FIGURE_4_GRADIENT).to_dict("records")
    assert row["gradient"] == pytest.approx(np.hypot(row["value"], row["across"]), rel=0.1)
    assert row["start"] == pytest.approx((64 / 2) ** 0.5, rel=0.2)
    assert 0 < row["moved_mean"] <= row["moved"] <= 10.0 and -1 <= row["cosine"] <= 1
    same = live(trials.FIGURE_4_LEFT_EDGE, seeds=1, only={"budget": trials.scaled(8, -4, -4)[0]})
    other = trials.at_the_edge(**{**trials.LIVE, "side": 8, "m": 200, "c0": 10.0, "seed": 0, "device": "cpu",
                                  "budget": trials.scaled(8, -4, -4)[0], "dtype": torch.float32})  # fmt: skip
    assert other["worst"] == pytest.approx(same["worst"].iloc[0], abs=0.02)


def test_fine_grids_hold_the_papers_thresholds_and_have_close_neighbours():
    assert trials.scaled(10, -1, 1) == pytest.approx([0.5 / 1.15, 0.5, 0.5 * 1.15], abs=1e-4)
    for trial in trials.FIGURE_4_LEFT_EDGE.trials("laptop", seeds=1):
        k = np.log(trial.params["budget"] * trial.params["side"] / 5) / np.log(trials.STEP)
        assert k == pytest.approx(round(k), abs=0.01)
    assert 25.0 in trials.about(25.0, -6, 1)


class TestLaw:
    @pytest.mark.parametrize("form", ["squares", "sum"])
    def test_it_is_recovered(self, form):
        where = grid([1.0, 5.0, 10.0, 30.0], [25.0, 100.0, 784.0])
        points = where.assign(budget=FORMS[form](where["c0"], where["d"], 0.25, 0.4))
        assert fit_form(points, form) == pytest.approx((0.4, 0.25), rel=1e-3)
        gap = points.assign(budget=points["budget"].where(points["d"] > 25))
        assert fit_form(gap, form) == pytest.approx((0.4, 0.25), rel=1e-3)

    def test_without_a_bend_it_is_proportional(self):
        where = grid([1.0, 5.0], [25.0, 100.0])
        points = where.assign(budget=FORMS["proportional"](where["c0"], where["d"], 0.3, 0.0))
        assert fit_form(points, "proportional") == pytest.approx((0, 0.3))

    def test_it_needs_points_and_a_form(self):
        with pytest.raises(ValueError, match="three points with a finite threshold; got 2"):
            fit_form(pd.DataFrame({"c0": [1, 2, 3], "d": [1, 2, 3], "budget": [1.0, np.nan, 2.0]}))
        with pytest.raises(ValueError, match="form"):
            fit_form(pd.DataFrame(), "cubes")

    def test_its_interval(self):
        generator, law = np.random.default_rng(3), Law(0.4, 0.25)
        where = grid([2.0, 8.0, 30.0], [100.0, 200.0, 784.0], range(4)).assign(panel="left", m=1000)
        noise = np.exp(0.05 * generator.normal(size=len(where)))
        points = where.assign(budget=law.relative(where["c0"], where["d"]) * noise)
        low, high = law_interval(points, draws=100)
        for k, value in enumerate(fit_form(points)):
            assert low[k] < law[k] < high[k] and low[k] < value < high[k] and high[k] - low[k] < 0.15


def grid(c0, d, seeds=(0,)):
    values = np.meshgrid(c0, d, list(seeds))
    return pd.DataFrame({name: v.ravel() for name, v in zip(("c0", "d", "seed"), values, strict=True)})


LAW = Law(0.4, 0.3)


def panel(**columns):
    """A table of trials whose accuracies follow the law: one half at R*, falling as R / R* from 1 to 0."""
    rows = [dict(zip(columns, row, strict=True)) for row in itertools.product(*columns.values())]
    table = pd.DataFrame(rows)
    c0 = table["radius"] * table["m"] ** 0.5 if "radius" in table else table["c0"]
    star = LAW.relative(c0, table["side"] ** 2)
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
        assert np.allclose(found["budget"], LAW.relative(found["c0"], found["d"]), rtol=1e-3)
        left, right = (found.query(f"panel == {name!r}") for name in ("left", "right"))
        assert len(left) == len(right) == 4
        assert np.allclose(left["constant"], left["budget"] * left["d"] ** 0.5)
        assert np.allclose(right["constant"], LAW.c0(0.2, 784), rtol=1e-3)
        assert fit_form(found) == pytest.approx(LAW, rel=0.02)
        across = found["c0"].where(found["panel"] == "right", found["budget"])
        assert (found["below"] < across).all() and (across <= found["above"]).all()

    def test_an_edge_outside_of_the_grid_is_no_edge(self):
        table = both()
        found = edges(table[(table["panel"] == "left") | (table["c0"] > 20)])
        assert found["c0"].isna().any() and (found["below"].isna() == found["constant"].isna()).all()
        assert large(found)[["c0", "budget"]].notna().all(axis=None)

    def test_the_law_of_the_three_experiments(self):
        fine, coarse = tables(), tables(40)
        pairs = [table for pair in zip(fine, coarse, strict=True) for table in pair]
        trials = surface(*pairs)
        assert trials["panel"].value_counts().to_dict() == {
            name: len(pd.concat([a, b]).drop_duplicates()) for name, a, b in zip(EDGES, fine, coarse, strict=True)
        }
        assert edge_law(trials) == pytest.approx(LAW, rel=0.02)

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
    def test_means_on_the_grid(self):
        left = panel(side=[10, 20], m=[1000], c0=[10.0], budget=[0.2, 0.4], seed=[0, 1])
        found = claims.on_grid(both_grids("left", left, left[:1]))
        assert list(found.index) == [(100, 2.0), (100, 4.0), (400, 4.0), (400, 8.0)]
        assert found[100, 2.0] == pytest.approx(min(1, 1.5 - 0.2 / float(LAW.relative(10, 100))))

    def test_each_cell_off_the_panels_is_foreseen_from_all_others(self):
        points = claims.large(edges(on_the_law()))
        found = claims.held_out(points)
        assert found["squares"].to_numpy() == pytest.approx(1, abs=0.01)
        assert (found["least"] <= found["R50"]).all() and (found["R50"] <= found["most"]).all()
        assert found.loc[(20.0, 100), "one cell"] < found.loc[(4.0, 100), "one cell"] < 1.01

    def test_the_law_foresees_a_surface_that_follows_it(self):
        points = claims.large(edges(on_the_law()))
        law, plain, measured = claims.forecasts(points)
        assert law == pytest.approx(measured, rel=0.01) and plain < 0.99 * measured
        low, high = claims.how_much_better(points)
        assert 0 < low <= high

    def test_cells_near_the_edge_in_units_of_the_law(self):
        runs = pd.DataFrame({"side": 10, "m": 500, "c0": 10.0, "budget": 0.3, "seed": [0, 1], "value": [2.0, 3.0],
                             "moved": 10.0, "gradient": [7.0, 8.0], "worst": 0.5, "linear": 0.4})  # fmt: skip
        (row,) = claims.at_the_edge(runs).to_dict("records")
        assert row["phi"] == pytest.approx(0.25) and row["growth"] == pytest.approx(7.5 / 50**0.5)


def on_the_law():
    return cells(**dict(zip(EDGES, tables(), strict=True)))


def tables(n=300):
    budgets = np.geomspace(0.02, 1.2, n)
    left = panel(side=[10, 20, 28], m=[1000], c0=[10.0], budget=budgets, seed=[0, 1])
    right = panel(side=[28], m=[500], c0=np.geomspace(5, 40, 100), budget=[0.2], seed=[0, 1])
    return left, right, panel(side=[10, 20], m=[500], c0=[4.0, 20.0], budget=budgets, seed=[0, 1])


class TestDrawings:
    @pytest.fixture
    def ax(self):
        return Figure().subplots()

    def test_a_map_has_a_cell_a_measured_point(self, ax):
        table = both(8).query("panel == 'left'")
        table = table[(table["d"] == 100) | (table["budget"] > 0.1)]  # each column has a grid of its own
        drawings.draw_map(ax, table, "d", "budget")
        for mesh, (d, part) in zip(ax.collections, table.groupby("d"), strict=True):
            assert np.asarray(mesh.get_array()).ravel() == pytest.approx(part.groupby("budget")["worst"].mean())
            corners = np.asarray(mesh.get_coordinates())
            assert np.sqrt(corners[0, 0, 0] * corners[0, 1, 0]) == pytest.approx(d)
        assert [label.get_text() for label in ax.get_xticklabels()] == ["100", "400"]

    def test_panels_have_the_papers_threshold_and_the_law(self, ax):
        drawings.draw_left(ax, both(8).query("panel == 'left'"), LAW)
        law, paper = ax.get_lines()
        assert law.get_ydata() == pytest.approx(LAW.relative(10.0, law.get_xdata()))
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
        assert mean(ax, "R50 √d") == pytest.approx(LAW.relative(10.0, d) * d**0.5, rel=1e-2)
        assert (lines["R50 √d, exact step only"].get_ydata() > mean(ax, "R50 √d")).all()
        assert (mean(ax, "R5 √d") > mean(ax, "R50 √d")).all()
        assert lines["ceiling 60% × √d"].get_ydata() == pytest.approx(0.7 * d**0.5)
        assert set(lines["paper: 5"].get_ydata()) == {5}

    def test_widths_have_seeds_and_means(self, ax):
        right = both(8).query("panel == 'right'")
        drawings.draw_widths(ax, right)
        for m in (250, 1000):
            expected = right[right["m"] == m].groupby("c0")["worst"].mean()
            assert mean(ax, f"m = {m}") == pytest.approx(expected.to_numpy())
        dots = [line for line in ax.get_lines() if line.get_marker() == "."]
        assert sum(len(line.get_xdata()) for line in dots) == len(right)

    def test_longer_training_has_a_line_for_each_length(self, ax):
        longer = pd.DataFrame({"examples": [500, 500, 500, 2000], "epochs": [30, 200, 200, 200], "c0": [10.0] * 4,
                               "worst": [0.1, 0.2, 0.4, 0.5], "seed": [0, 0, 1, 0]})  # fmt: skip
        drawings.draw_longer(ax, longer)
        assert mean(ax, "30 epochs, 500 images") == pytest.approx([0.1])
        assert mean(ax, "200 epochs, 500 images") == pytest.approx([0.3])
        assert mean(ax, "200 epochs, 2000 images") == pytest.approx([0.5])

    def test_residuals_of_points_on_the_law_are_one(self, ax):
        points = edges(on_the_law())
        drawings.draw_residuals(ax, points)
        dots = {line.get_label(): line for line in ax.get_lines() if line.get_linestyle() == "None"}
        for name in drawings.PANELS:
            assert dots[name].get_ydata() == pytest.approx(1, abs=0.02)
        assert {"sum", "proportional"} < {line.get_label() for line in ax.get_lines()}

    def test_the_parts_of_the_quotient(self, ax):
        runs = pd.DataFrame({"d": [100], "c0": [10.0], "gradient": [7.0], "value": [2.0], "moved": [10.0]})
        drawings.draw_parts(ax, runs, LAW)
        lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        assert lines["gradient / √(d/2)"] == pytest.approx([7 / 50**0.5])
        assert lines["margin / C0"] == pytest.approx([0.2])
        assert (np.diff(lines["law, gradient"]) > 0).all() and lines["law, margin: φ"][0] == LAW.phi

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
        assert lines["law: R50"].get_xdata()[0] == pytest.approx(LAW.relative(10, 100))
        assert lines["paper: 5/√d"].get_xdata()[0] == pytest.approx(0.5)
        assert lines["ceiling of the images"].get_ydata() == pytest.approx([0.9])
        said = drawings.say_dimension(100, both(8).query("panel == 'left'"), LAW)
        assert said.endswith(f"the law has {float(LAW.relative(10, 100)):.2g}, the paper 5/√d = 0.5")


def mean(ax, label):
    """What an error bar of that name has for its means."""
    (found,) = (bars for bars in ax.containers if bars.get_label() == label)
    return found.lines[0].get_ydata()
