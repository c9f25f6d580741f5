"""The explicit bounds against values worked out by hand, and what they bound against brute force over the ball."""

from __future__ import annotations

import math

import pytest
import torch
from lazy_start import start

from advnb.models import TwoLayer
from advnb.papers.lazy.bounds import measured, mended
from advnb.papers.lazy.bounds import printed as bounds

F64 = torch.float64


class TestByHand:
    """gamma = e^-2 for (B.4), 2 e^-2 and 8 e^-k elsewhere, so that the logarithms are whole numbers."""

    def test_sign_flips(self):
        assert bounds.sign_flips(100, 0.5, math.exp(-2)) == pytest.approx(50 + 10)
        assert bounds.sign_flips_nearby(100, 0.5, 0.25, math.exp(-2)) == pytest.approx(75)

    def test_value(self):
        gamma = 2 * math.exp(-2)
        assert bounds.value(16, 3.0, gamma) == pytest.approx(2 + 1 + 3)
        assert bounds.value_simple(3.0, 2 * math.exp(-4)) == pytest.approx(4 + 3)
        m = bounds.value_width(0.05)
        assert bounds.value(m, 1.0) == pytest.approx(bounds.value_simple(1.0))
        assert bounds.value(2 * m, 1.0) < bounds.value_simple(1.0) < bounds.value(m / 2, 1.0)

    def test_flip_probabilities(self):
        assert bounds.flip_probability(math.exp(2), 0.25) == pytest.approx(0.5 + math.exp(-2))
        eps = 2 * math.exp(-4)
        assert bounds.flip_probability_nearby(4, 0.1, 0.5, eps) == pytest.approx(2 * eps * 10 + (1.5 + eps) * 0.1)
        assert mended.flip_probability(0.5) == pytest.approx(1 / 6)

    def test_gradient(self):
        gamma = 8 * math.exp(-4)  # log(8/gamma) = 4, log(4/gamma) = 4 - log 2
        t = 4 - math.log(2)
        first = math.sqrt((0.5 - math.sqrt(2 * t / 400) - t / 400) * (400 - 5 * math.sqrt(1600)))
        last = math.sqrt((1 + math.sqrt(t / 2)) / 20) * math.sqrt(400 + 4 * math.sqrt(400 * (4 + math.log(400))))
        assert bounds.gradient(400, 400, 1.0, gamma) == pytest.approx(first - 1 - last)
        assert bounds.gradient(25, 1000, 1.0) == -math.inf  # 25 < 25 log(8 / 0.05)
        assert bounds.gradient(1000, 10, 1.0) == -math.inf
        assert bounds.gradient_simple(784) == 7.0

    def test_gradient_change_along(self):
        gamma, d = 4 * math.exp(-4), math.exp(4)
        share = math.sqrt((2 + math.sqrt(2)) / 10)
        row = math.sqrt(d + 4 * math.sqrt(d * (4 + math.log(200))))
        rest = 2 + 3 * share * row + 5 * (2 + 2) * math.sqrt(4 + math.log(100))
        expected = 4 * ((8 * 0.125) ** 0.25 + 0.2) + rest
        assert bounds.gradient_change_along(d, 100, 2.0, 0.125, gamma) == pytest.approx(expected)
        as_proved = bounds.gradient_change_along(d, 100, 2.0, 0.125, gamma, as_proved=True)
        assert as_proved - expected == pytest.approx(60)

    def test_gradient_change(self):
        d, log_m = math.exp(4), 12.0
        change = bounds.gradient_change(d, 1, 2.0, 1.0, log_m=log_m)
        assert change.net == pytest.approx(9 * (math.exp(8) * 256 * 2 * math.exp(-2)) ** 0.25)
        assert change.width == pytest.approx(15 * 16 * math.exp(4 - 6))
        assert change.ball == pytest.approx(327 * 4 * math.e)
        assert change.total == pytest.approx(sum(change))
        assert bounds.gradient_change(d, math.exp(12), 2.0) == pytest.approx(change)
        assert bounds.gradient_change(16, 1e4, 0.5).ball == pytest.approx(327 * 0.5 * 2)

    def test_theorem(self):
        low, high = bounds.width_window(1024.0, math.exp(-1), c4=math.exp(3))
        assert low == pytest.approx(24 * math.log(2)) and high == pytest.approx(3 + 2**2.4)
        assert bounds.step_length(784, 1e5, 1.0) == math.inf
        d, m = 1e26, 1e26**2.4
        step = bounds.step_length(d, m, 1.0)
        assert 0 < step < 1 / math.sqrt(d) * 1e4
        slack = bounds.gradient(d, m, 1.0, 0.05 / 3) - bounds.gradient_change(d, m, 1.0).total
        assert step == pytest.approx(2 * bounds.value(m, 1.0, 0.05 / 3) / slack)

    def test_gamma_is_a_probability(self):
        for bad in (1.0, 2.0):
            with pytest.raises(ValueError, match="gamma must lie between 0 and 1"):
                bounds.value(10, 1.0, bad)


class TestMended:
    def test_the_printed_inequality_inside_b9_is_false_at_every_size_of_the_paper(self):
        for d in (25, 49, 100, 196, 400, 625, 784):
            m = d**2.4
            assert math.sqrt(m) < 0.33 * d * math.log(m * d)
            ratio = 0.33 * d * math.log(m * d) / math.sqrt(m)
            assert bounds.b9_width_step(d) == pytest.approx(ratio)

    @pytest.mark.parametrize("d", [2, 10, 784])
    def test_equation_4_by_another_proof(self, d):
        """For every eps, so small against exp(-d) too; where eps > 0.15 the printed bound exceeds 1."""
        for eps in (1e-300, 1e-6, 0.01, 0.15, 0.3, 0.6, 2.0):
            for radius in (0.0, 0.03, 1.0):
                for shift in (0.0, 0.2, 0.5):
                    sound = mended.flip_probability_nearby(d, radius, shift, eps)
                    assert sound <= min(1.0, bounds.flip_probability_nearby(d, radius, shift, min(eps, 1.0)))
        assert mended.flip_probability_nearby(17, 0.1, 0.5, 0.25) == pytest.approx(
            min(1.0, math.sqrt(2 / math.pi) * (0.1 * 0.75 + 0.25 * 4) / 0.25)
        )
        assert mended.flip_probability_nearby(2, 0.1, 0.5, 0.5) == 1

    @pytest.mark.parametrize("eps", [1e-4, 0.01, 0.1])
    def test_equation_4_against_units_that_flip(self, eps):
        """Counted exactly, at x / 2, the worst delta of length 1/2."""
        net, x = start(7, 5, 100_000)
        share = measured.sign_flips_nearby(net, x / 2, 0.02, eps).item() / 100_000
        bound = mended.flip_probability_nearby(5, 0.02, 0.5, eps)
        assert 0.5 * bound < share < bound + 4 * (share / 100_000) ** 0.5

    def test_the_second_set_by_hand(self):
        gamma = 2 * math.exp(-2)  # log(2/gamma) = 2; m = e^6, so that sqrt(2 log(2 m/gamma)) = 4
        m = math.exp(6)
        share = math.erf((0.5 + 0.1 * (4 + 4)) / math.sqrt(2))
        found = mended.sign_flips_nearby(16, m, 0.5 / 1.1, 0.1, gamma)
        assert found == pytest.approx(m * share + math.sqrt(m))
        assert mended.sign_flips_nearby(16, m, 5.0, 0.1, gamma) == m

    def test_eq_7_costs_the_gradient_bound_a_little(self):
        for d, m, c0 in ((784, 1e5, 1.0), (1e4, 1e9, 10.0)):
            assert mended.gradient(d, m, c0) < bounds.gradient(d, m, c0)
        assert mended.gradient(1e8, 1e20, 10.0) == pytest.approx(bounds.gradient(1e8, 1e20, 10.0), rel=0.01)

    def test_from_which(self):
        assert mended.from_which(lambda d: d >= 1000) == pytest.approx(3, abs=1e-9)
        assert mended.from_which(lambda d: True) == 0
        assert mended.from_which(lambda d: False) == math.inf
        assert mended.from_which(lambda d: d < 10 or d >= 1e50) == pytest.approx(50, abs=1e-9)

    def test_what_the_terms_of_b9_need(self):
        """The term of the ball alone puts off the bound as far as (4 * 327 max(1, C0) C0)^4 (Lemma B.9)."""

        def from_which(name, c0):
            def small(d):
                change = bounds.gradient_change(d, 1, c0, log_m=2.4 * math.log(d))
                return getattr(change, name) < math.sqrt(d) / 4

            return mended.from_which(small, most=120)

        ball = from_which("ball", 10.0)
        assert ball == pytest.approx(math.log10((4 * 32700.0) ** 4))
        assert from_which("total", 10.0) > from_which("net", 10.0) > 20
        assert from_which("ball", 1.0) < ball


def in_ball(net: TwoLayer, radius: float, count: int, seed: int = 0):
    """Random weights on the sphere of radius V around the start of each unit."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        step = torch.randn(net.weight.shape, generator=generator, dtype=F64)
        yield net.weight.detach() + radius * step / step.norm(dim=1, keepdim=True)


class TestMeasured:
    def test_by_hand(self):
        net = TwoLayer(2, 4, dtype=F64)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[3.0, 4.0], [1.0, 0.0], [-0.5, 0.0], [-2.0, 1.0]]))
            net.signs.copy_(torch.tensor([1.0, -1.0, 1.0, -1.0]))
        x = torch.tensor([[1.0, 0.0]], dtype=F64)
        assert measured.sign_flips(net, x, 1.0).item() == 2
        assert measured.sign_flips(net, x, 3.0).item() == 4
        # the largest f is (3 + 1 + 0.5 - 0 - 0) / 2 and the smallest (2 - 2) / 2
        assert measured.largest_value(net, x, 1.0).item() == pytest.approx((4 + 0.5) / 2)
        # the hyperplane of w_1 is 36.9 degrees away: x may turn by 30 and w_1 by 11.5; w_2 and w_3 go anywhere
        assert measured.sign_flips_nearby(net, x, 1.0, 0.5).tolist() == [3]
        assert measured.sign_flips_nearby(net, x, 1.0, 0.43).tolist() == [3]
        assert measured.sign_flips_nearby(net, x, 1.0, 0.42).tolist() == [2]

    def test_no_weights_in_the_ball_do_worse(self):
        net, x = start(0, 4, 60, n=5)
        radius = 0.4
        count, value = measured.sign_flips(net, x, radius), measured.largest_value(net, x, radius)
        ever = torch.zeros(5, 60, dtype=torch.bool)
        before = net.preactivation(x) > 0
        for weight in in_ball(net, radius, 3000):
            h = x @ weight.T
            ever |= (h > 0) != before
            assert ((h.relu() @ net.signs).abs() / 60**0.5 <= value + 1e-12).all()
        assert (ever.sum(1) <= count).all()
        assert (ever.sum(1) >= 0.7 * count).all()

    def test_the_extremes_are_attained(self):
        net, x = start(1, 4, 60)
        radius, direction = 0.4, x[0]
        pushed = {side: net.weight.detach() + side * radius * net.signs[:, None] * direction for side in (1, -1)}
        values = [((x @ weight.T).relu() @ net.signs / 60**0.5).abs().item() for weight in pushed.values()]
        assert measured.largest_value(net, x, radius).item() == pytest.approx(max(values))

    def test_the_second_set_against_a_search(self):
        net, x = start(2, 2, 400)
        radius, shift = 0.05, 0.2
        turns = torch.linspace(0, 2 * math.pi, 721, dtype=F64)
        circle = torch.stack([turns.cos(), turns.sin()], 1)
        points = torch.cat([x + r * shift * circle for r in torch.linspace(0, 1, 60, dtype=F64)])
        close = (points @ net.weight.T).abs() <= radius * points.norm(dim=1, keepdim=True)
        found = int(close.any(0).sum())
        exact = int(measured.sign_flips_nearby(net, x, radius, shift))
        assert found <= exact <= found + 4

    def test_the_second_set_grows_with_the_width_and_breaks_the_printed_bound(self):
        d, c0 = 100, 1.0
        for m in (10_000, 40_000):
            net, x = start(3, d, m, n=3)
            radius, shift = c0 / m**0.5, 1 / d**0.5
            count = measured.sign_flips_nearby(net, x, radius, shift)
            assert (count > bounds.sign_flips_nearby(m, radius, shift)).all()
            assert (count <= mended.sign_flips_nearby(d, m, radius, shift)).all()
            assert (count / m - 0.68).abs().max() < 0.03  # P(|N(0, 1)| <= 1)
            assert (measured.sign_flips(net, x, radius) <= bounds.sign_flips(m, radius)).all()

    def test_the_gradient_lies_in_the_bracket(self):
        net, x = start(4, 20, 300, n=4)
        radius = 1.0 / 300**0.5
        low, high = measured.smallest_gradient(net, x, radius)
        now = net.input_gradient(x).norm(dim=1)
        assert (low <= high).all() and (high < now).all() and (low > 0).all()
        for weight in in_ball(net, radius, 300):
            on = (x @ weight.T > 0) * net.signs / 300**0.5
            assert ((on @ weight).norm(dim=1) >= low - 1e-12).all()
        assert torch.allclose(measured.smallest_gradient(net, x, 1e-9).high, now, atol=1e-6)

    def test_the_best_gradient_is_one_of_the_ball(self):
        net, x = start(5, 20, 300)
        u = net.input_gradient(x)[0] / net.input_gradient(x)[0].norm()
        h = net.preactivation(x)[0]
        with torch.no_grad():
            moved = measured._moved(net, x[0], u, 0.3, h, h.abs() > 0.1)
        assert ((moved - net.weight).norm(dim=1) <= 0.3 + 1e-12).all()

    def test_the_gradient_change(self):
        net, x = start(6, 30, 2000, n=3)
        generator = torch.Generator().manual_seed(0)
        change = measured.gradient_change(net, x, 0.2, generator, tries=5)
        gradient = net.input_gradient(x)
        along = net.input_gradient(x + 0.2 * gradient / gradient.norm(dim=1, keepdim=True))
        assert (change >= (along - gradient).norm(dim=1) - 1e-12).all()
        assert (change <= bounds.gradient_change(30, 2000, 1e-9, 0.2 * 30**0.5).total).all()
        assert measured.gradient_change(net, x, 1e-12, generator, tries=1).max() < 1e-9

    def test_errors(self):
        net, x = start(0, 4, 5)
        with pytest.raises(TypeError, match="net must be a TwoLayer network with activation 'relu' and no biases"):
            measured.sign_flips(TwoLayer(4, 5, bias=True, dtype=F64), x, 1.0)
        with pytest.raises(ValueError, match="radius must be a finite number above 0"):
            measured.largest_value(net, x, 0.0)


class TestLongestSum:
    def test_by_hand(self):
        rows = torch.tensor([[3.0, 0.0], [1.0, 1.0], [-1.0, 0.5]], dtype=F64)
        assert measured.longest_sum(rows) == pytest.approx(17**0.5)  # the first two; the third points away

    @pytest.mark.parametrize("seed", range(10))
    def test_between_the_whole_and_the_best_subset(self, seed):
        rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed), dtype=F64)
        subsets = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=F64)] * 8)
        best = (subsets @ rows).norm(dim=1).max().item()
        found = measured.longest_sum(rows)
        assert rows.sum(0).norm().item() - 1e-12 <= found <= best + 1e-12
        assert found >= 0.6 * best


def test_random_start_is_a_seeded_network_with_points_of_norm_1():
    (net, x), (same, _) = start(0, 5, 40, 7), start(0, 5, 40, 7)
    assert torch.equal(net.weight, same.weight) and not net.training
    assert x.shape == (7, 5) and x.norm(dim=1).sub(1).abs().max() < 1e-12
