"""The pages of the bounds and of their repairs: runs, tables, and what each picture shows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats

from advnb.experiments import load
from advnb.papers.lazy.bounds import at, at_paper, drawings, measured, printed, trials, uniform, worst_cases
from advnb.papers.lazy.bounds.claims import speaks_at_c0
from advnb.papers.lazy.bounds.tables import C0, law
from advnb.papers.lazy.repairs import drawings as repaired
from advnb.papers.lazy.repairs import trials as counts
from advnb.papers.lazy.repairs.claims import drawn, exceeds, limits, log_excess
from advnb.papers.lazy.task import random_start
from advnb.statistics import wilson

F64 = torch.float64
HERE = {"seed": 0, "device": "cpu", "dtype": F64}


@pytest.fixture(scope="module")
def runs():
    return load("lazy.bounds")


@pytest.fixture(scope="module")
def rows(runs):
    return worst_cases(runs)


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    """The labelled curves of an axes: label -> (x, y)."""
    return {line.get_label(): line.get_data() for line in ax.lines if not line.get_label().startswith("_")}


class TestRuns:
    def test_one_direction(self):
        found = trials.against_one_direction(d=12, m=300, c0=2.0, points=3, **HERE)
        assert 0 < found["fixed_low"] <= found["fixed_high"]
        assert 0 < found["change"] < found["change_ball"]
        net, x = random_start(12, 300, 3, torch.Generator().manual_seed(0), dtype=F64)
        gradient = net.input_gradient(x)
        down = -gradient / gradient.norm(dim=1, keepdim=True) / 12**0.5
        change = (gradient - net.input_gradient(x + down)).norm(dim=1)
        assert found["change"] == pytest.approx(change.max().item())
        assert found["flat"] == measured.flattened_gradient(net, x, 2.0 / 300**0.5).min().item()

    def test_chosen_units_are_those_within_reach(self):
        found = trials.chosen_units(d=5, m=2000, c0=10.0, **HERE)
        expected = 2000 * math.erf(10 / 2000**0.5 / 2**0.5)
        assert abs(found["count"] - expected) < 5 * expected**0.5
        assert 0 < found["found"] < found["count"] * 5 / 2000**0.5

    def test_the_failures_of_b5_grow_with_gamma(self):
        found = counts.value_failures(m=50, c0=0.1, draws=400, gammas=[1 - 1e-9, 0.9, 1e-9], **HERE)["over"]
        assert 5 < found[0] < 40 and found[0] > found[1] > found[2] == 0

    def test_the_values_of_b5_are_those_of_a_network(self, monkeypatch):
        generator = torch.Generator().manual_seed(0)
        h = torch.randn(1, 6, generator=generator, dtype=F64)
        net, x = random_start(1, 6, 1, torch.Generator(), dtype=F64)
        with torch.no_grad():
            net.weight.copy_(h.T * x)
            net.signs.copy_(2 * torch.randint(0, 2, (6,), generator=generator) - 1)
        largest = measured.largest_value(net, x, 3.0 / 6**0.5).item()
        monkeypatch.setattr(printed, "value", lambda m, c0, gamma: gamma)  # so that gamma is the threshold
        gammas = [largest - 1e-9, largest + 1e-9]
        assert counts.value_failures(m=6, c0=3.0, draws=1, gammas=gammas, **HERE)["over"] == [1, 0]

    def test_failures_are_counted_as_the_lemmas_are_broken(self, monkeypatch):
        """With bounds that half of the draws break: at thresholds between what two networks attain."""
        setting = {"d": 6, "m": 40, "c0": 1.0, "draws": 12, **HERE}
        found = counts.failures(gammas=[0.9, 0.05], **setting)
        assert found["gradient"] == found["along"] == [0, 0] and found["projection"][1] > found["projection_mended"][1]
        assert found["projection"][0] >= found["projection"][1]
        for name, value in (("gradient", found["gradient_least"]), ("gradient_change_along", found["along_most"])):
            monkeypatch.setattr(printed, name, lambda *sizes, value=value: value + (sizes[-1] - 0.5) * 1e-9)
        found = counts.failures(gammas=[0.9, 0.1], **setting)  # the bound a little above the extreme, and below
        assert found["gradient_open"] == [1, 0] and found["along_open"] == [0, 1]
        monkeypatch.setattr(printed, "sign_flips", lambda m, radius, gamma: found["flips_mean"])
        assert 1 <= counts.failures(gammas=[0.9], **setting)["flips"][0] <= 11

    def test_the_flips_of_b6_are_those_of_angles(self):
        found = counts.flip_probabilities(
            d=8, units=20_000, radius=0.02, shifts=[0.1, 0.5], epsilons=[1e-9, 0.05], **HERE
        )
        exact = np.arcsin([0.1, 0.5]) / np.pi
        assert np.abs(found["fixed"] - exact).max() < 5 * (0.25 / 20_000) ** 0.5
        assert found["near_x"][0] == found["near_half"][0] < found["near_x"][1] < found["near_half"][1]

    def test_speaks_from_is_stored_as_it_is(self):
        (stored,) = load("lazy.speaks_from").query("c0 == 1 and gamma == 0.05").to_dict("records")
        assert {name: stored[name] for name in drawings.SPEAKS} == pytest.approx(uniform.speaks_from(1.0))


class TestTables:
    def test_worst_cases_are_rows(self, runs, rows):
        assert len(rows) == 5 * len(runs)
        row = rows.iloc[3]
        assert row["V"] == row["c0"] / row["m"] ** 0.5 and row["R"] == row["d"] ** -0.5
        assert row["flips"] == runs.iloc[0]["flips"][3]
        assert at_paper(rows)[["d", "m", "c0"]].drop_duplicates().to_numpy().tolist() == [[784, 10_000, C0]]

    def test_bounds_at_the_sizes_of_a_table(self, rows):
        found = at(printed.sign_flips, rows, "m", "V")
        assert found.shape == (len(rows),)
        assert found[7] == printed.sign_flips(rows["m"].iloc[7], rows["V"].iloc[7])

    def test_law(self):
        assert law(np.array([4.0]))[0] == pytest.approx(math.sqrt(4 / 6))  # arcsin(1/2) / pi = 1/6


class TestExact:
    def test_exceeds_is_the_tail_of_the_largest(self):
        assert exceeds(1.5, 3) == pytest.approx(1 - (2 * stats.norm.cdf(1.5) - 1) ** 3)

    def test_equation_2_by_the_law_of_a_square(self):
        t, gamma = 1.0, 2 * math.exp(-1.0)
        fails = 2 * stats.norm.sf(math.sqrt(1 + 4))  # 1 - 4 < 0: only the upper tail
        assert log_excess(1, t) == pytest.approx(math.log(fails / gamma))
        assert log_excess(100, 1.0) < 0 < log_excess(1, 16.0)

    def test_limits_are_wilsons_over_gamma(self):
        table = pd.DataFrame(
            {"m": 10, "c0": [1.0, 1.0, 2.0], "draws": 20, "gammas": [[0.5, 0.1]] * 3, "over": [[4, 0], [6, 1], [0, 0]]}
        )
        low, high = limits(table, "over")
        assert low[0] == pytest.approx([wilson(10, 40)[0] / 0.5, wilson(1, 40)[0] / 0.1])
        assert high[1] == pytest.approx([wilson(0, 20)[1] / 0.5, wilson(0, 20)[1] / 0.1])
        assert drawn(table) == "20 or more draws for each of 2 pairs (m, C0), γ from 0.1 to 0.5"


class TestPictures:
    def test_speaks(self, ax):
        speaks = load("lazy.speaks_from")
        drawings.draw_speaks(ax, speaks)
        assert [text.get_text() for text in ax.get_yticklabels()] == list(drawings.SPEAKS.values())
        dots = {bars.get_label(): bars.lines[0].get_xdata() for bars in ax.containers}
        assert list(dots) == ["C0 = 0.1", "C0 = 1", "C0 = 10", "C0 = 40"]
        here = speaks_at_c0(speaks)
        assert dots["C0 = 10"].tolist() == [here[name] for name in drawings.SPEAKS]
        assert math.log10(784) in [line.get_xdata()[0] for line in ax.lines]

    def test_flips_at(self, ax, rows):
        drawings.draw_flips_at(ax, rows)
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
        assert [line.get_label() for line in dots] == ["m = 1,000", "m = 10,000", "m = 100,000"]
        for found, bound in zip(dots, dotted, strict=True):
            assert len(found.get_xdata()) == 5 and (found.get_xdata() == bound.get_xdata()).all()
            assert (found.get_ydata() < bound.get_ydata()).all()

    def test_flips_nearby(self, ax, rows):
        repaired.draw_flips_nearby(ax, rows)
        curves = lines(ax)
        m, found = curves["measured"]
        assert m.tolist() == [1000, 10_000, 100_000] and found.min() > 0.6
        assert curves["printed"][1][-1] < 0.1 and curves["mended"][1].min() > found[-1]

    def test_chosen(self, ax):
        repaired.draw_chosen(ax, load("lazy.chosen_units"))
        ends = {name: y[-1] for name, (_, y) in lines(ax).items()}
        assert ends["printed"] < C0 / math.pi < ends["measured"] < ends["mended"]
        assert C0 / math.pi in [line.get_ydata()[0] for line in ax.lines]

    def test_nets_and_a_chain(self, ax):
        drawings.draw_nets(ax)
        fine, coarse, centre = (dots.get_offsets().data for dots in ax.collections)
        (chain,) = ax.lines
        start, middle, end = chain.get_xydata()
        assert (start == centre[0]).all()
        assert (coarse == middle).all(1).any() and (fine == end).all(1).any()
        assert np.linalg.norm(coarse - end, axis=1).argmin() == (coarse == middle).all(1).argmax()
        apart = np.linalg.norm(fine[:, None] - fine, axis=2) + np.eye(len(fine))
        assert apart.min() > 1 / 9 and len(coarse) < len(fine) <= 19**2

    def test_the_chain_is_flat_where_patterns_grow(self, ax):
        drawings.draw_chain(ax)
        curves = lines(ax)
        chain, patterns = curves["chain of links"][1], curves["union over sign patterns"][1]
        assert chain.max() < 1.02 * chain.min() and chain.max() < 3.2
        assert (np.diff(patterns) > 0).all() and patterns[-1] > 1e3 and patterns[0] > chain[0]
        assert (curves["√d/4"][1] == 25).all()

    def test_value(self, ax, rows):
        drawings.draw_value(ax, rows)
        curves = lines(ax)
        assert len(curves) == 6
        _, found = curves["measured, m = 10,000"]
        assert found.tolist() == rows[rows["m"] == 10_000].groupby("c0")["value"].max().tolist()
        _, exact = curves["C0/2 + 95% of |N(0, 1/2)|"]
        assert (exact < curves["Lemma B.5, m = 10⁴"][1]).all() and (curves["Lemma 4.1"][1] > exact).all()

    @pytest.mark.parametrize("c0", [1.0, C0])
    def test_gradient(self, ax, rows, c0):
        drawings.draw_gradient(ax, rows, load("lazy.one_direction"), c0)
        curves = lines(ax)
        d, high = curves["measured, between"]
        assert len(d) == 7 and ax.get_title() == f"C0 = {c0:g}, m = 10⁴"
        grid, bound = curves["printed B.7"]
        assert np.isnan(bound[grid < 100]).all()
        below = np.interp(d, grid, curves["mended B.7"][1])
        assert (below[d > 200] < high[d > 200]).all()

    def test_change(self, ax, runs):
        drawings.draw_change(ax, runs)
        d, found = lines(ax)["found, m = 10,000"]
        assert ((found > law(d)) & (found < 1.5 * law(d))).all()

    def test_change_bounds_cross_where_they_speak(self, ax, runs):
        drawings.draw_change_bounds(ax, runs)
        curves = lines(ax)
        here = speaks_at_c0(load("lazy.speaks_from"))
        for name, start in (("B.9 as printed", here["change"]), ("this book", here["change_mended"])):
            d, bound = curves[name]
            assert np.log10(d[bound < np.sqrt(d) / 4][0]) == pytest.approx(start, abs=0.35)
        assert curves["found"][1].max() < curves["this book"][1].min()

    def test_one_size(self, ax, rows):
        drawings.draw_one_size(ax, rows, 784, 100_000, 10.0)
        found = drawings.worst_case(rows, 784, 100_000, 10.0)
        (dots,) = [line for line in ax.lines if len(line.get_xdata()) == len(drawings.SHARES)]
        assert dots.get_xdata().tolist() == list(found.values())
        arrows = [line for line in ax.lines if line.get_marker() == ">"]
        assert len(arrows) == 3  # B.9 and the step as printed, and the step as mended: off the axis
        said = uniform.shares(784, 100_000, 10.0)["flips"]
        marks = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"]
        assert said[0] in marks and said[1] in marks

    def test_one_size_measures_what_is_not_stored_if_it_is_small(self, rows):
        found = drawings.worst_case(rows, 30, 200, 1.0)
        assert found.keys() == drawings.SHARES.keys() and 0 < found["flips"] < 1
        assert drawings.worst_case(rows, 10**6, 10**15, 1.0) is None

    def test_widths(self, ax):
        repaired.draw_widths(ax)
        assert [patch.get_label() for patch in ax.collections] == ["this book, C0 = 1", "this book, C0 = 10"]
        (logs, low), (_, high) = (line.get_data() for line in ax.lines)
        assert low == pytest.approx(2.4 * logs) and high[-1] > low[-1]
        edge = ax.collections[0].get_paths()[0].vertices
        assert edge[:, 1].max() == 60 and [10.0, uniform.least_width(1e10, 1.0)] in edge.tolist()

    def test_flip_probabilities(self):
        table, (left, right) = load("lazy.flip_probabilities"), Figure().subplots(1, 2)
        repaired.draw_fixed(left, table)
        curves = lines(left)
        assert curves["counted"][1] == pytest.approx(curves["arcsin(R)/π"][1], rel=0.05)
        assert (curves["(3)"][1] > 5 * curves["counted"][1]).all()
        repaired.draw_near(right, table)
        curves = lines(right)
        assert (curves["(4), mended proof"][1] < curves["(4)"][1]).all()
        for name in ("counted, δ = 0", "counted, δ = -x/2"):
            assert (curves[name][1] < 1.02 * curves["(4), mended proof"][1]).all()


def test_what_is_said_of_one_size_is_what_its_bounds_say():
    rows = pd.DataFrame({name: [] for name in ("d", "m", "c0")})
    said = drawings.say_one_size(rows, 10**6, 10**15, 1.0)
    assert said.endswith("too large to be measured") and "step (Th. 3.1)" in said.split("; ")[1]
    printed_part = said.split("; ")[0]
    shares = uniform.shares(10**6, 10**15, 1.0, 0.05)
    assert all((words in printed_part) == (shares[name][0] < 1) for name, words in drawings.SHARES.items())
