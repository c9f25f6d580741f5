"""The mended Lemma B.9: its ingredients against exact counts and hand values, and the whole against networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from lazy_start import start

from advnb.models import TwoLayer
from advnb.papers.lazy.bounds import measured, mended, uniform
from advnb.papers.lazy.bounds import printed as bounds

F64 = torch.float64


def test_no_change_found_exceeds_the_bound_or_its_parts():
    d, m, c0 = 6, 40_000, 2.0
    net, x = start(1, d, m)
    shift = 0.05
    change = uniform.gradient_change(d, m, c0, shift * math.sqrt(d))
    generator = torch.Generator().manual_seed(0)
    found = measured.gradient_change(net, x, shift, generator, tries=200)
    assert 0.03 * change.chain < found.item() < change.chain
    gradient = net.input_gradient(x)
    delta = shift * gradient / gradient.norm()
    r = gradient - net.input_gradient(x + delta)
    worst = measured.change_along(net, x, delta, r / r.norm(), c0 / math.sqrt(m))
    assert found.item() < worst.low.item() < worst.high.item() < change.total


def test_what_the_bound_depends_on():
    one = uniform.gradient_change(1e6, 1e6**2.4, 1.0)
    assert one.total == pytest.approx(one.chain + one.ball + one.moved)
    assert uniform.gradient_change(1e6, 1e6**2.4, 10.0).ball > one.ball
    assert uniform.gradient_change(1e6, 1e6**2.4, 1.0, 4.0).chain > one.chain
    assert uniform.gradient_change(1e6, 1e6**2.4, 1.0, gamma=1e-9).total > one.total
    assert uniform.gradient_change(4, 100, 1.0, 2.0).total == math.inf
    assert uniform.gradient_change(1e6, 1e6**2.4, 1.0, log_m=2.4 * math.log(1e6)) == pytest.approx(one)


def test_a_width_beyond_floating_point_needs_its_logarithm():
    for bound in (uniform.gradient_change, uniform.step_length):
        with pytest.raises(ValueError, match="log_m must be given where m is infinite"):
            bound(1e8, math.inf, 1.0)


@pytest.mark.parametrize("c0", [0.1, 10.0])
def test_of_order_the_fourth_root_whatever_the_width(c0):
    for d in (1e5, 1e8, 1e14):
        of = [uniform.gradient_change(d, math.inf, c0, log_m=k).total for k in (4 * math.log(d), d**0.5, d, 1e3 * d)]
        assert all(wider <= 1.04 * narrower for narrower, wider in itertools.pairwise(of))
        assert of[-1] < 3.3 * d**0.25 + c0  # the ball takes C0 / pi at x and about as much at x + delta


@pytest.mark.parametrize("gamma", [0.5, 0.05, 1e-6])
def test_the_printed_bound_of_b9_is_larger_wherever_its_conditions_hold(gamma):
    for k in range(4, 100):
        d = 10 ** (k / 4)
        for power in (2.4, 4, 10):
            for c0 in (0.01, 1.0, 40.0):
                m = d**power
                if d >= math.log(4 / gamma) ** 2 and d > 4 and m < 1e280:
                    sound = uniform.gradient_change(d, m, c0, 1.0, gamma).total
                    assert sound < bounds.gradient_change(d, m, c0).total


def test_the_step_solves_its_equation():
    d, m, c0 = 1e10, 1e24, 10.0
    step = uniform.step_length(d, m, c0)
    value, slope = bounds.value(m, c0, 0.05 / 3), mended.gradient(d, m, c0, 0.05 / 3)

    def slack(length: float) -> float:
        change = uniform.gradient_change(d, m, c0, length * math.sqrt(d), 0.05 / 3).total
        return length * (slope - change) - value

    assert slack(step) == pytest.approx(0, abs=1e-6) and slack(0.99 * step) < 0
    assert value / slope < step < 1
    assert uniform.step_length(784, 1e5, 10.0) == math.inf
    assert uniform.has_step(d, m, c0) and not uniform.has_step(784, 1e5, 10.0)


def test_the_printed_step_solves_its_own():
    d, m, c0 = 1e28, 1e68, 1.0
    step = uniform.step_length(d, m, c0, printed=True)
    slope = bounds.gradient(d, m, c0, 0.05 / 3) - bounds.gradient_change(d, m, c0, step * math.sqrt(d)).total
    assert step * slope == pytest.approx(bounds.value(m, c0, 0.05 / 3), rel=1e-6)
    assert step < bounds.step_length(d, m, c0, c1=step * math.sqrt(d))  # which takes 2 |f|
    assert uniform.step_length(1e20, 1e50, c0, printed=True) == math.inf > uniform.step_length(1e20, 1e50, c0)


@pytest.fixture(scope="module")
def speaks():
    return uniform.speaks_from(10.0)


def test_speaks_from(speaks):
    assert speaks["change_mended"] < speaks["step_mended"] < speaks["change"] < speaks["step"]
    d = 10 ** speaks["change_mended"]
    below, above = (uniform.gradient_change(d * f, (d * f) ** 2.4, 10.0).total for f in (0.999, 1.001))
    assert above < math.sqrt(d * 1.001) / 4 and below > math.sqrt(d * 0.999) / 4


@pytest.mark.parametrize(
    ("name", "log_width"),
    [
        ("step_mended", lambda d: 2.4 * math.log(d)),
        ("step_narrow", lambda d: math.log(100 * d * math.log(d) ** 2)),
        ("step_top", lambda d: d**0.24),
        ("step_wide", lambda d: d),
    ],
)
def test_from_which_dimension_there_is_a_step(speaks, name, log_width):
    def step(d: float) -> float:
        log_m = log_width(d)
        return uniform.step_length(d, math.exp(min(log_m, 690)), 10.0, log_m=log_m)

    d = 10 ** speaks[name]
    assert step(d * 0.99) == math.inf > 1 > step(d * 1.01)


@pytest.mark.parametrize(("d", "c0"), [(1e7, 1.0), (1e9, 10.0)])
def test_the_widths_that_do_have_a_least_and_no_largest(d, c0):
    k = uniform.least_width(d, c0)
    assert uniform.step_length(d, 10 ** (k - 0.01), c0) == math.inf
    for log_m in (*np.geomspace((k + 0.01) * math.log(10), 600, 8), d, 1e4 * d):
        assert uniform.step_length(d, math.exp(min(log_m, 690)), c0, log_m=log_m) < 1
    assert uniform.least_width(1e3, c0) == math.inf


@pytest.mark.parametrize(("name", "of"), [("gradient", bounds), ("gradient_mended", mended)])
def test_the_gradient_is_positive_from_there_on(speaks, name, of):
    d = 10 ** speaks[name]
    assert of.gradient(d * 1.001, (d * 1.001) ** 2.4, 10.0) > 0 >= of.gradient(d * 0.999, (d * 0.999) ** 2.4, 10.0)


def test_shares():
    d, m, c0 = 200.0, 10_000.0, 10.0
    found = uniform.shares(d, m, c0)
    assert found["value"][0] == pytest.approx(bounds.value(m, c0) / 10)
    assert found["flips"][0] == pytest.approx(0.1 + math.sqrt(math.log(20) / 20_000))
    assert found["nearby"][0] == pytest.approx(found["flips"][0] * (1 + 200**-0.5))
    assert 0.68 < found["nearby"][1] < 1
    assert found["lost"] == tuple(1 - of.gradient(d, m, c0) / 10 for of in (bounds, mended))
    assert found["change"][1] < found["change"][0] == pytest.approx(bounds.gradient_change(d, m, c0).total / 10)
    assert found["step"] == (math.inf, math.inf)
    assert uniform.shares(1e12, 1e30, 1.0)["step"][1] < 1e-3


class TestMeasured:
    def test_flattened_is_attained_and_zero_in_a_large_ball(self):
        net, x = start(2, 10, 500, n=3)
        gradient = net.input_gradient(x)
        for c0 in (0.5, 1.5):
            radius = c0 / math.sqrt(500)
            least = measured.flattened_gradient(net, x, radius)
            for i in range(3):
                u = gradient[i] / gradient[i].norm()
                moved = net.weight - radius * net.signs.double()[:, None] * u
                stays = (net.weight @ x[i] > 0) & (moved @ x[i] > 0)
                weight = torch.where(stays[:, None], moved, net.weight)
                new = ((weight @ x[i] > 0) * net.signs.double() / math.sqrt(500)) @ weight
                assert new.norm().item() == pytest.approx(least[i].item(), abs=1e-9)
            bracket = measured.smallest_gradient(net, x, radius)
            assert (bracket.low <= least + 1e-9).all()
        assert measured.flattened_gradient(net, x, 9 / math.sqrt(500)).tolist() == [0, 0, 0]

    def test_no_weights_in_the_ball_change_more_along_r(self):
        net, x = start(3, 4, 80)
        generator = torch.Generator().manual_seed(1)
        delta, r = (torch.randn(1, 4, generator=generator, dtype=F64) for _ in range(2))
        delta, r, radius = 0.3 * delta / delta.norm(), r / r.norm(), 0.3
        low, high = measured.change_along(net, x, delta, r, radius)
        found = []
        for _ in range(2000):
            step = torch.randn(net.weight.shape, generator=generator, dtype=F64)
            weight = net.weight + radius * step / step.norm(dim=1, keepdim=True)
            leaves = (x @ weight.T > 0).double() - ((x + delta) @ weight.T > 0).double()
            found.append((leaves * net.signs * (r @ weight.T)).sum().item() / math.sqrt(80))
        assert 0.2 < max(found) < low.item() <= high.item()

    def test_change_along_by_hand(self):
        net = TwoLayer(2, 1, dtype=F64)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[0.1, 2.0]]))
            net.signs.copy_(torch.tensor([1.0]))
        x, r = torch.tensor([[1.0, 0.0]], dtype=F64), torch.tensor([[0.0, 1.0]], dtype=F64)
        delta = torch.tensor([[0.0, -0.5]], dtype=F64)  # on at x; at x + delta 0.1 - 1 < 0: off
        low, high = measured.change_along(net, x, delta, r, 0.2)
        assert low.item() == pytest.approx(2.0, abs=0.2) and low.item() >= 2.0
        assert high.item() == pytest.approx(2.2)
        assert measured.change_along(net, x, -delta, r, 0.05).low.item() == 0  # on at both, too far to switch
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[0.02, 0.02]]))  # on at both, 0.02 and 0.01; either full move goes too far
        low, high = measured.change_along(net, x, delta, r, 0.5)
        assert low.item() == pytest.approx(0.02)  # moved along x by -0.015: 0.005 and -0.005
        assert high.item() == pytest.approx(0.52)
