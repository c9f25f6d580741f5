"""One step against several, on networks solved by hand or searched through; tables and drawings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from lazy_start import linear, start
from matplotlib.figure import Figure
from scipy.special import erf

from advnb.data import Split
from advnb.experiments import live, load
from advnb.flip import minimal_flip
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.one_step import drawings, tables, trials
from advnb.papers.lazy.several import several_steps
from advnb.papers.lazy.spread import mean_over_seeds

F64 = torch.float64


class TestSeveralSteps:
    def test_a_straight_line_gains_nothing(self):
        net, x = linear(), torch.tensor([[0.8, 0.5], [0.8, 0.7]], dtype=F64)
        exact = torch.tensor([0.4 / 5, 0.4 / 5], dtype=F64)
        assert torch.allclose(minimal_flip(net, x).norm, exact)
        found = several_steps(net, x, torch.full((2,), 0.4, dtype=F64), rounds=14)
        assert ((found >= exact) & (found <= exact + 1e-3)).all()

    def test_it_is_never_nearer_than_the_nearest_flip_of_a_plane(self):
        turn = torch.linspace(0, 2 * math.pi, 721, dtype=F64)[:-1]
        rays = torch.stack([turn.cos(), turn.sin()], 1)
        shares = torch.linspace(0, 1, 401, dtype=F64)[1:]
        better = 0
        for seed in range(30):
            net, x = start(seed, 2, 6, 1)
            one = minimal_flip(net, x).norm.clamp(max=1)
            points = x[0] + shares[:, None, None] * rays
            # f may end in 0, which counts as a flip of one step and may come out as a rounding error.
            flips = (net(points.view(-1, 2)) * net(x).sign() < 1e-12).view(len(shares), -1).any(1)
            nearest = float(shares[flips.int().argmax()]) if flips.any() else 1.0
            found = several_steps(net, x, one)
            assert nearest - 1 / 400 - 1e-3 <= float(found) <= float(one)
            better += float(found) < 0.95 * float(one)
        assert better > 0

    def test_errors(self):
        net, x = start(0, 3, 4, 2)
        with pytest.raises(ValueError, match="rounds"):
            several_steps(net, x, torch.ones(2, dtype=F64), rounds=0)
        with pytest.raises(ValueError, match="steps"):
            several_steps(net, x, torch.ones(2, dtype=F64), steps=0)


class TestTrials:
    def test_distances_by_hand(self):
        x = torch.tensor([[0.8, 0.5], [0.8, 0.7], [0.8, 0.59]], dtype=F64)
        split = Split(x, torch.tensor([1.0, -1.0, -1.0], dtype=F64))
        seen = trials._distances(linear(), split)
        lengths = torch.tensor([0.08, 0.08, 0.008], dtype=F64) * math.sqrt(2)
        assert seen["error"] == pytest.approx(1 / 3)  # the third example: f > 0 and y < 0
        assert seen["value"] == pytest.approx(0.28) and seen["gradient"] == pytest.approx(5)
        assert seen["one"] == pytest.approx(float(lengths.mean())) and seen["flippable"] == 1
        assert seen["success"][0] == 1 and seen["robust_error"][0] == 1
        assert seen["one_nine"] == pytest.approx(0.08 * math.sqrt(2))
        assert seen["one"] <= seen["several"] <= seen["one"] * 1.01 or seen["saved"] < 0.01

    def test_starts_are_draws_of_a_normal(self):
        table = live(trials.STARTS, "laptop", seeds=1, only={"side": 10})
        (lengths,) = table["one"]
        assert len(lengths) == 20 and 0.4 < np.mean(lengths) < 1.3  # the mean of |N(0, 1)| is 0.8
        assert np.std(lengths) > 0.25

    def test_theorem_trial(self):
        table = live(trials.THEOREM_3_1, seeds=1, only={"d": [25, 784], "m": 3000})
        assert (table["flippable"] > 0.95).all()
        assert all(row[0] < 0.6 < 0.9 < row[-1] for row in table["success"])

    def test_shares_rise_and_several_steps_never_lose(self):
        table = live(trials.ONE_STEP, seeds=1)
        assert len(table) == 2 and table["reached"].all()
        rows = tables.by_network(table)
        assert list(rows["network"][:3]) == ["start", "lazy SGD", "adversarial 2"] and len(rows) == 6
        assert list(rows["d"]) == [36] * 3 + [64] * 3 and rows["one"][4] == table["one"][1][1]
        for row in table.itertuples():
            assert row.moved[0] == 0 and max(row.moved[1:]) <= 10
            assert (row.several <= row.one).all() and (row.several_nine <= row.one_nine).all()
            for one, several, error in zip(row.robust_error, row.several_error, row.error, strict=True):
                assert (several >= one).all() and (one >= error).all() and one[0] < one[-1]


class TestTables:
    def test_at_length(self):
        table = pd.DataFrame({"success": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]})
        assert tables.at_length(table, "success", [0.5, 1, 2], 1)["success"].tolist() == [0.2, 0.5]
        with pytest.raises(ValueError, match=r"c must be one of the lengths \[0.5, 1.0, 2.0\]; got 1.5"):
            tables.at_length(table, "success", [0.5, 1, 2], 1.5)

    def test_mean_shares(self):
        mean, low, high = tables.mean_shares(pd.DataFrame({"a": [[0.0, 1.0], [1.0, 0.5]]}), "a")
        assert (mean.tolist(), low.tolist(), high.tolist()) == ([0.5, 0.75], [0.0, 0.5], [1.0, 1.0])

    def test_a_seed_counts_once(self):
        table = pd.DataFrame({"seed": [0, 0, 0, 1], "a": [1.0, 1.0, 1.0, 3.0]})
        assert mean_over_seeds(table, "a") == "2.0 [1.0, 3.0]"

    def test_lengths_by_network(self):
        nets = tables.by_network(load("lazy.one_step"))
        assert tuple(dict.fromkeys(nets["network"])) == tables.NETWORKS
        assert (nets["adversarial"] == (nets["network"].str.len() > 8)).all()
        assert np.allclose(nets["length"] * np.sqrt(nets["d"]), nets["one"])

    def test_where_nine_in_ten_are_lost(self):
        nets = tables.by_network(load("lazy.one_step"))
        lost = tables.lost_at(nets[nets["m"] == 1000])
        assert lost.index.tolist() == [(name, d) for name in tables.NETWORKS for d in (25, 100, 400, 784)]
        assert lost["‖x‖ √d"].tolist() == 4 * [5, 10, 20, 28]
        part = nets[(nets["network"] == "lazy SGD") & (nets["d"] == 784) & (nets["m"] == 1000)]
        assert lost["one step"]["lazy SGD", 784] == mean_over_seeds(part, "one_nine")

    def test_where_nine_in_ten_are_lost_by_width(self):
        lost = tables.lost_by_width(load("lazy.figures_5_6"))
        assert lost.index.tolist() == [25, 49, 100, 196, 400, 625, 784]
        assert lost.columns.tolist() == [1000, 10_000, 100_000]
        assert ((lost > 1) & (lost < 10)).all(axis=None)


class TestDrawings:
    def test_shares_and_robust_error(self):
        nets = tables.by_network(load("lazy.one_step"))
        for draw, dotted in ((lambda axes: drawings.draw_shares(axes, nets, "success"), 0),
                             (lambda axes: drawings.draw_robust_error(axes, nets), 4)):  # fmt: skip
            axes = Figure().subplots(1, 3)
            draw(axes)
            assert [ax.get_title() for ax in axes] == ["d = 25", "d = 100", "d = 784"]
            field = "several_error" if dotted else "success"
            for ax, d in zip(axes, drawings.DIMS, strict=True):
                curves = [line for line in ax.lines if len(line.get_xdata()) == len(trials.LENGTHS)]
                assert len(curves) == 4 + dotted and len(ax.collections) == 4
                part = nets[(nets["d"] == d) & (nets["m"] == 1000) & (nets["network"] == "adversarial 6")]
                assert np.allclose(curves[-1].get_ydata(), np.mean(part[field].to_list(), axis=0))
                assert any(list(line.get_xdata()) == [d**0.5] * 2 for line in ax.lines)
            assert [text.get_text() for text in axes[-1].get_legend().texts] == list(tables.NETWORKS)
        assert axes[0].get_ylabel() == "robust error" and axes[0].get_xlabel() == "budget R √d"

    def test_success_at_the_start(self):
        start = load("lazy.theorem_3_1")
        lengths, widths = Figure().subplots(1, 2)
        drawings.draw_lengths(lengths, start)
        law, crosses, dots = lengths.lines[:3]
        assert np.allclose(law.get_ydata(), erf(law.get_xdata() / math.sqrt(2)))
        assert (crosses.get_marker(), dots.get_marker()) == ("x", "o") and len(lengths.lines) == 1 + 2 * 4
        assert np.abs(dots.get_ydata() - erf(np.array(dots.get_xdata()) / math.sqrt(2))).max() < 0.1
        assert lengths.get_legend().get_title().get_text() == "m = 10,000 (crosses: 10)"
        drawings.draw_widths(widths, start)
        arrows = sorted({line.get_xdata()[0] for line in widths.lines if line.get_marker() == ">"})
        assert arrows == [d**2.4 for d in (25, 100, 400, 784)]
        flat = [line.get_ydata()[1:] for line in widths.lines if len(line.get_xdata()) == 4]
        assert len(flat) == 12 and max(np.ptp(shares) for shares in flat) < 0.2

    def test_the_networks_of_the_widget(self):
        start, trained = (drawings.lazy_network(4, 30, c0) for c0 in (0.0, 5.0))
        assert 4.5 < largest_movement(trained.weight.data, start.weight.data) <= 5
        assert drawings.lazy_network(4, 30, 5.0) is trained

    def test_the_widget(self):
        figure = drawings.draw_image(4, 30, 5.0)
        before, step, after, _, ray = figure.get_axes()
        norm = float(after.texts[0].get_text().removeprefix("length "))
        assert ray.get_title().startswith("length times √d: ")
        assert float(ray.get_title().split(": ")[1]) == pytest.approx(4 * norm, rel=0.1)
        assert before.texts[0].get_text().startswith("f = ") and step.texts[0].get_text() == "smallest step"
        said = drawings.say_image(4, 30, 5.0)
        assert f"step of length {norm:.2g}, " in said
        assert float(said.split(", ")[1].split()[0]) == pytest.approx(4 * norm, rel=0.1)


def test_the_least_constant_that_flips_a_share():
    share = [0.5, 0.94, 0.96] + [1.0] * (len(trials.LENGTHS) - 3)
    rows = pd.DataFrame({"network": ["a", "a", "b"], "d": [784, 25, 25], "success": [share, share, [0.5] * len(share)]})
    found = tables.flipped_by(rows, 0.95)
    assert found.loc["a"].tolist() == [1.0, 1.0] and found.loc["b", 25] == float("inf")
    assert tables.flipped_by(rows.assign(d=1), 0.95).loc["a"].tolist() == [float("inf")]  # 1 / sqrt(1) is ||x||
