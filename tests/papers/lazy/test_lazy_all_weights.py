"""Weights that resist one step, against hand-made networks and random members of the ball; the cone; drawings."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy_start import network, start
from matplotlib.figure import Figure
from torch import Tensor

from advnb.experiments import live, load
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.all_weights import drawings, tables, trials
from advnb.papers.lazy.all_weights.trials import adversary
from advnb.papers.lazy.ball import movement

F64 = torch.float64


class TestAdversary:
    def test_no_weights_of_the_ball_have_a_larger_value_or_a_smaller_slope(self):
        generator = torch.Generator().manual_seed(1)
        for seed in range(20):
            net, x = start(seed, 5, 40, 1)
            f, gradient = net.value_and_gradient(x)
            fall = f.sign() * gradient[0]
            across = fall - (fall @ x[0]) * x[0]
            tall, flat = adversary(net, x, 0.3, 0), adversary(net, x, 0.3, 90)
            for moved in (tall, flat):
                assert torch.allclose(movement(moved.weight, net.weight), torch.tensor(0.3, dtype=F64))
            # The units of ``flat`` move at right angles to x and stay as they are, on or off, at x.
            assert torch.allclose(flat.preactivation(x), net.preactivation(x))
            slope = f.sign() * flat.input_gradient(x) @ across
            for _ in range(20):
                step = torch.randn(net.weight.shape, generator=generator, dtype=F64)
                other, _ = start(seed, 5, 40, 1)
                with torch.no_grad():
                    other.weight.add_(0.3 * step / step.norm(dim=1, keepdim=True))
                assert f.sign() * other(x) <= f.sign() * tall(x)
                with torch.no_grad():
                    other.weight.copy_(net.weight + (other.weight - net.weight) @ _off(x[0]))
                assert f.sign() * other.input_gradient(x) @ across >= slope

    def test_a_step_as_long_as_the_gradient_allows(self):
        """One unit that is on at x and one that is not: the value grows by V / sqrt(2), the gradient too."""
        net, x = network([[2.0, 1.0], [-5.0, 1.0]], [1.0, -1.0]), torch.tensor([[1.0, 0.0]], dtype=F64)
        moved = adversary(net, x, 0.5, 0)
        assert moved.weight.tolist() == [[2.5, 1.0], [-5.5, 1.0]]
        assert moved(x).item() == pytest.approx(2.5 / math.sqrt(2))
        turned = adversary(net, x, 0.5, 90)
        assert torch.allclose(turned.weight, torch.tensor([[2.0, 0.5], [-5.0, 1.5]], dtype=F64))

    def test_errors(self):
        net, x = start(0, 3, 4, 1)
        with pytest.raises(ValueError, match="radius"):
            adversary(net, x, 0.0, 0)


def _off(x: Tensor) -> Tensor:
    return torch.eye(len(x), dtype=F64) - torch.outer(x, x)


class TestTrials:
    def test_resisting_weights_resist_more_the_larger_the_ball(self):
        table = live(trials.WORST_WEIGHTS, seeds=1)
        rows = tables.by_c0(table)
        assert list(rows["c0"][:4]) == [1, 5, 10, 20] and rows["worst"][5] == table["worst"][1][1]
        for row in table.itertuples():
            assert (row.worst >= row.pushed).all() and (row.several <= row.worst * (1 + 1e-6)).all()
            assert row.worst[0] < row.worst[1] and (row.worst <= math.sqrt(row.d) * (1 + 1e-6)).all()

    def test_scaling_trained_networks_changes_nothing(self):
        rows = tables.by_scale(live(trials.CONE, seeds=1))
        assert rows["scale"].tolist() == [1e-3, 0.1, 7.0, 1e3] and (rows["same"] == 1).all()
        assert rows[["norm", "eta"]].max(axis=None) < 1e-9

    def test_the_first_order_level(self):
        """E|N(0, 1)| is sqrt(2 / pi)."""
        assert tables.level(0.0) == pytest.approx(0.797885, abs=1e-6)
        assert tables.level(10.0) - tables.level(0.0) == pytest.approx(7.071068, abs=1e-6)

    def test_the_grid_of_the_paper(self):
        grid = tables.on_the_grid(tables.by_c0(load("lazy.worst_weights")))
        assert grid.index.tolist() == [10, 20, 30, 40]
        assert grid.columns.tolist() == [25, 49, 100, 196, 400, 625, 784]
        assert ((grid > 0) & (grid <= 1 + 1e-6)).all(axis=None)


class TestDrawings:
    def test_the_longest_step(self):
        rows = tables.by_c0(load("lazy.worst_weights"))
        ax = Figure().subplots()
        drawings.draw_longest(ax, rows)
        curves, limit = ax.lines[:-1], ax.lines[-1]
        assert np.allclose(limit.get_ydata(), np.sqrt(limit.get_xdata()))
        names = [text.get_text() for text in ax.get_legend().texts]
        assert names == ["1", "5", "10", "20", "30", "40"] and len(curves) == 12
        for name, found, level in zip(names, curves[::2], curves[1::2], strict=True):
            part = rows[(rows["m"] == 1000) & (rows["c0"] == float(name))]
            assert np.allclose(found.get_ydata(), part.groupby("d")["worst"].mean())
            assert set(level.get_ydata()) == {tables.level(float(name))}

    def test_how_often_no_shorter_step_flips(self):
        rows = tables.by_c0(load("lazy.worst_weights"))
        ax = Figure().subplots()
        drawings.draw_held(ax, rows)
        *points, border = ax.lines
        assert [line.get_label() for line in points] == ["m = 1,000", "m = 10,000"]
        assert [len(line.get_xdata()) for line in points] == [8 * 6, 4 * 6] and border.get_xdata()[0] == 1

    def test_one_step_and_several_over_the_angle(self):
        rows = pd.DataFrame([(3.0, 0, 0.2, 0.1), (3.0, 90, 0.4, 0.3), (10.0, 0, 1.0, 0.5), (10.0, 90, 1.0, 0.6)],
                            columns=["c0", "angle", "one", "several"])  # fmt: skip
        ax = Figure().subplots()
        drawings.draw_angles(ax, rows)
        drawn = [list(line.get_ydata()) for line in ax.lines]
        assert drawn == [[0.2, 0.4], [0.1, 0.3], [1, 1], [0.5, 0.6], [1, 1]]
        assert ax.lines[0].get_label() == "C₀ = 3, one step"

    def test_the_cone_touches_the_ball_and_holds_both_weights(self):
        ax = Figure().subplots()
        drawings.draw_cone(ax)
        wedge, ball = ax.patches
        centre, radius = np.array(ball.center), ball.radius
        for edge in wedge.get_xy()[1:3]:
            assert abs(np.linalg.det([edge / np.hypot(*edge), centre])) == pytest.approx(radius)
        w0, w, scaled = (np.ravel(line.get_xydata()) for line in ax.lines if line.get_marker() == "o")
        assert np.allclose(w0, centre) and np.hypot(*(w - centre)) < radius < np.hypot(*(scaled - centre))
        assert np.linalg.det([w, scaled]) == pytest.approx(0)

    def test_the_turn_of_a_unit(self):
        ax = Figure().subplots()
        drawings.draw_turn(ax)
        low, high = ax.lines
        assert (low.get_label(), high.get_label()) == ("d = 25", "d = 784")
        assert math.sin(math.radians(high.get_ydata()[0])) == pytest.approx(10 / math.sqrt(100 * 784))


def scene(seed: int, d: int, m: int, n: int, bias: bool) -> tuple[TwoLayer, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=F64, bias=bias)
    x = torch.randn(n, d, generator=generator, dtype=F64)
    return net, x / x.norm(dim=1, keepdim=True)


class TestCone:
    @settings(max_examples=200, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        d=st.integers(1, 12),
        m=st.integers(1, 30),
        scale=st.floats(1e-4, 1e4),
        bias=st.booleans(),
    )
    def test_scaling_the_weights_changes_no_prediction_and_no_flip(self, seed, d, m, scale, bias):
        """With biases the same holds if they are scaled along: the network as a whole is scaled."""
        net, x = scene(seed, d, m, 3, bias)
        if net.hidden_bias is not None and net.top_bias is not None:
            with torch.no_grad():
                net.hidden_bias.copy_(torch.linspace(-1, 1, m, dtype=F64))
                net.top_bias.fill_(0.3)
        before, sign = minimal_flip(net, x), net(x).sign()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(scale)
        after = minimal_flip(net, x)
        assert torch.equal(net(x).sign(), sign)
        assert torch.allclose(after.norm, before.norm, rtol=1e-8, atol=1e-12)
        assert torch.allclose(after.eta * scale, before.eta, rtol=1e-8, atol=1e-12)

    def test_a_bias_that_is_not_scaled_leaves_the_cone(self):
        net, x = scene(0, 5, 20, 30, bias=True)
        with torch.no_grad():
            net.top_bias.fill_(0.5)
            before = minimal_flip(net, x)
            net.weight.mul_(0.01)
        after = minimal_flip(net, x)
        assert not torch.allclose(after.norm, before.norm)

    def test_the_cone_that_holds_given_weights(self):
        """Brute force over r; weights that were scaled are in the cone of C0 = 0."""
        generator = torch.Generator().manual_seed(0)
        first = torch.randn(7, 3, generator=generator, dtype=F64)
        assert trials.cone_radius(0.8 * first, first) == pytest.approx(0, abs=1e-4)
        other = first + 0.5 * torch.randn(7, 3, generator=generator, dtype=F64)
        found = min(float((r * other - first).norm(dim=1).max()) for r in np.linspace(0, 2, 20_001)) * math.sqrt(7)
        assert trials.cone_radius(other, first) == pytest.approx(found, abs=1e-3)

    def test_networks_beyond_the_ball(self):
        table = live(trials.OUTSIDE, seeds=1)
        moved, cone = table["moved"][0], table["cone"][0]
        assert len(moved) == 4 and all(c <= v * (1 + 1e-9) for c, v in zip(cone, moved, strict=True))
