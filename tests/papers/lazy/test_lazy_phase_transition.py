"""Figure 4: its trial, and the law that is fitted to its thresholds."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from advnb import statistics
from advnb.experiments import live
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


class TestTables:
    """On accuracies that follow a law: one half at R*, falling as R*/R."""

    LAW = Transition(0.3, 0.3)

    def panel(self, **columns):
        names, values = zip(*columns.items(), strict=True)
        table = pd.DataFrame([dict(zip(names, row, strict=True)) for row in itertools.product(*values)])
        c0 = table["radius"] * table["m"] ** 0.5 if "radius" in table else table["c0"]
        star = self.LAW.budget(c0, table["side"] ** 2)
        return table.assign(moved=c0, worst=(1.5 - table["budget"] / star).clip(0, 1))

    def both(self):
        budgets = np.linspace(0.02, 1.5, 400)
        left = self.panel(side=[10, 20], m=[1000], c0=[10.0], budget=budgets, seed=[0, 1])
        right = self.panel(
            side=[28], m=[250, 1000], radius=np.linspace(0.1, 2, 400), budget=[0.2], seed=[0, 1]
        )
        return cells(left=left, right=right)

    def test_cells_say_where_they_are(self):
        both = self.both()
        assert both.groupby("panel")["d"].unique().map(sorted).to_dict() == {
            "left": [100, 400],
            "right": [784],
        }
        right = both.query("panel == 'right'")
        assert np.allclose(right["c0"], right["radius"] * right["m"] ** 0.5)

    def test_edges_lie_on_the_law(self):
        found = edges(self.both())
        assert np.allclose(found["budget"], self.LAW.budget(found["c0"], found["d"]), rtol=1e-3)
        left, right = (found.query(f"panel == {name!r}") for name in ("left", "right"))
        assert len(left) == len(right) == 4
        assert np.allclose(left["constant"], left["budget"] * left["d"] ** 0.5)
        assert np.allclose(right["constant"], self.LAW.c0(0.2, 784), rtol=1e-3)
        assert fit_transition(found) == pytest.approx(self.LAW, rel=0.01)

    def test_edges_of_another_level_and_field(self):
        both = self.both()
        other = edges(both.assign(raw=both["worst"] + 0.2), 0.7, "raw")
        assert np.allclose(other["constant"], edges(both)["constant"])

    def test_the_collapse_is_one_curve(self):
        points = collapsed(self.both(), self.LAW)
        assert np.allclose(points["worst"], (1.5 - points["relative"]).clip(0, 1))
        assert len(points) == 2 * 400 + 2 * 400
        half = self.both().assign(moved=lambda table: table["moved"] / 2)
        assert (relative_budget(half, self.LAW) > relative_budget(self.both(), self.LAW)).all()

    def test_ceilings_have_a_row_a_budget(self):
        stored = pd.DataFrame({"side": [4, 5], "seed": 0, "budgets": [[0.1, 0.2]] * 2,
                               "ceiling": [np.array([1.0, 0.5]), np.array([0.9, 0.4])]})  # fmt: skip
        rows = ceilings(stored)
        assert rows.to_numpy().tolist() == [
            [16, 0.1, 0, 1],
            [16, 0.2, 0, 0.5],
            [25, 0.1, 0, 0.9],
            [25, 0.2, 0, 0.4],
        ]

    def test_over_seeds_averages_each_seed_first(self):
        table = pd.DataFrame({"seed": [0, 0, 0, 1], "worst": [0.1, 0.1, 0.1, 0.5]})
        assert over_seeds(table, "worst") == "0.30 (seeds [0.10, 0.50])"
        with pytest.raises(ValueError, match="field"):
            over_seeds(table, "best")
