"""One step against several and at resisting weights, on networks solved by hand or searched through; the cone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from advnb.data import Split
from advnb.experiments import live
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.ball import movement
from advnb.papers.lazy.one_step import trials as one_step
from advnb.papers.lazy.one_step.searches import bisection, line_search
from advnb.papers.lazy.one_step.trials import adversary, several_steps

F64 = torch.float64
INF = math.inf


def network(weight: list[list[float]], signs: list[float]) -> TwoLayer:
    net = TwoLayer(len(weight[0]), len(weight), dtype=F64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(weight))
        net.signs.copy_(torch.tensor(signs))
    return net


def scene(seed: int, d: int, m: int, n: int, bias: bool = False) -> tuple[TwoLayer, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=F64, bias=bias)
    x = torch.randn(n, d, generator=generator, dtype=F64)
    return net, x / x.norm(dim=1, keepdim=True)


def linear() -> TwoLayer:
    """f(x) = 3 x_1 - 4 x_2 where both units are on."""
    return network([[10 * math.sqrt(2), 0.0], [7 * math.sqrt(2), 4 * math.sqrt(2)]], [1.0, -1.0])


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
            net, x = scene(seed, 2, 6, 1)
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
        net, x = scene(0, 3, 4, 2)
        with pytest.raises(ValueError, match="rounds"):
            several_steps(net, x, torch.ones(2, dtype=F64), rounds=0)
        with pytest.raises(ValueError, match="steps"):
            several_steps(net, x, torch.ones(2, dtype=F64), steps=0)


class TestSearches:
    def test_by_hand(self):
        """f falls along the line as 0.43 - 25 eta."""
        net, x = linear(), torch.tensor([[0.81, 0.5]], dtype=F64)
        found = line_search(net, x)
        assert found.eta.item() == pytest.approx(0.018) and found.passes.item() == 18
        assert line_search(net, x, steps=17) == (torch.tensor([INF]), torch.tensor([17]))
        halved = bisection(net, x)
        assert 0.0172 - 1e-12 <= halved.eta.item() <= 0.0172 + 1e-6
        assert halved.passes.item() <= 2 + 15  # at most one doubling; 0.0344 / 2^15 is about the width

    def test_no_flip_on_the_line(self):
        net = network([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        x = torch.tensor([[1.0, 1.0], [1.0, 2.0]], dtype=F64)
        assert line_search(net, x, step=0.1, steps=30).eta.isinf().all()
        assert bisection(net, x).eta.isinf().all()

    def test_near_the_exact_answer(self):
        net, x = scene(4, 50, 200, 100)
        exact = minimal_flip(net, x, direction="descent").eta.abs()
        above = line_search(net, x).eta - exact
        assert ((above > -1e-12) & (above <= 1e-3 + 1e-12)).all()
        assert (bisection(net, x).eta - exact).abs().max() <= 1e-6

    def test_errors(self):
        net, x = scene(0, 3, 4, 2)
        for call, name in (
            (lambda: line_search(net, x, step=0.0), "step"),
            (lambda: line_search(net, x, steps=0), "steps"),
            (lambda: bisection(net, x, width=0.0), "width"),
            (lambda: bisection(net, x, doublings=0), "doublings"),
        ):
            with pytest.raises(ValueError, match=name):
                call()


class TestAdversary:
    def test_no_weights_of_the_ball_have_a_larger_value_or_a_smaller_slope(self):
        generator = torch.Generator().manual_seed(1)
        for seed in range(20):
            net, x = scene(seed, 5, 40, 1)
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
                other, _ = scene(seed, 5, 40, 1)
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
        net, x = scene(0, 3, 4, 1)
        with pytest.raises(ValueError, match="radius"):
            adversary(net, x, 0.0, 0)


def _off(x: Tensor) -> Tensor:
    return torch.eye(len(x), dtype=F64) - torch.outer(x, x)


class TestTrials:
    def test_distances_by_hand(self):
        x = torch.tensor([[0.8, 0.5], [0.8, 0.7], [0.8, 0.59]], dtype=F64)
        split = Split(x, torch.tensor([1.0, -1.0, -1.0], dtype=F64))
        seen = one_step._distances(linear(), split)
        lengths = torch.tensor([0.08, 0.08, 0.008], dtype=F64) * math.sqrt(2)
        assert seen["error"] == pytest.approx(1 / 3)  # the third example: f > 0 and y < 0
        assert seen["value"] == pytest.approx(0.28) and seen["gradient"] == pytest.approx(5)
        assert seen["one"] == pytest.approx(float(lengths.mean())) and seen["flippable"] == 1
        assert seen["success"][0] == 1 and seen["robust_error"][0] == 1
        assert seen["one_nine"] == pytest.approx(0.08 * math.sqrt(2))
        assert seen["one"] <= seen["several"] <= seen["one"] * 1.01 or seen["saved"] < 0.01

    def test_theorem_trial(self):
        table = live(one_step.THEOREM_3_1, seeds=1, only={"d": [25, 784], "m": 3000})
        assert (table["flippable"] > 0.95).all()
        assert all(row[0] < 0.6 < 0.9 < row[-1] for row in table["success"])

    def test_shares_rise_and_several_steps_never_lose(self):
        table = live(one_step.ONE_STEP, seeds=1)
        assert len(table) == 2 and table["reached"].all()
        rows = one_step.by_network(table)
        assert list(rows["network"][:3]) == ["start", "lazy SGD", "adversarial 2"] and len(rows) == 6
        assert list(rows["d"]) == [36] * 3 + [64] * 3 and rows["one"][4] == table["one"][1][1]
        for row in table.itertuples():
            assert row.moved[0] == 0 and max(row.moved[1:]) <= 10
            assert (row.several <= row.one).all() and (row.several_nine <= row.one_nine).all()
            for one, several, error in zip(row.robust_error, row.several_error, row.error, strict=True):
                assert (several >= one).all() and (one >= error).all() and one[0] < one[-1]

    def test_resisting_weights_resist_more_the_larger_the_ball(self):
        table = live(one_step.WORST_WEIGHTS, seeds=1)
        rows = one_step.by_c0(table)
        assert list(rows["c0"][:4]) == [1, 5, 10, 20] and rows["worst"][5] == table["worst"][1][1]
        for row in table.itertuples():
            assert (row.worst >= row.pushed).all() and (row.several <= row.worst * (1 + 1e-6)).all()
            assert row.worst[0] < row.worst[1] and (row.worst <= math.sqrt(row.d) * (1 + 1e-6)).all()


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
