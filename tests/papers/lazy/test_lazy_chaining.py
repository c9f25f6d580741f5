"""The chain behind the book's Lemma B.9: each ingredient against an oracle, the whole against nets by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lazy_start import start
from scipy import integrate, stats

from advnb.papers.lazy.bounds import chaining, mended, uniform


def ball(count: int, d: int, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Points drawn uniformly from a ball about the origin."""
    draws = rng.normal(size=(count, d))
    return draws / np.linalg.norm(draws, axis=1, keepdims=True) * radius * rng.random((count, 1)) ** (1 / d)


def net_of(points: np.ndarray, step: float) -> np.ndarray:
    """A greedy net: points of ``points`` more than ``step`` apart, so that all are within ``step`` of one."""
    left, chosen = points, []
    while len(left):
        chosen.append(left[0])
        left = left[np.linalg.norm(left - left[0], axis=1) > step]
    return np.array(chosen)


def test_bernstein_bounds_the_binomial_quantile():
    for m, p, t in ((100, 0.1, 3.0), (10_000, 0.001, 20.0), (1000, 0.5, 5.0), (10**6, 1e-7, 9.0)):
        assert stats.binom.sf(m * chaining.share(p, t / m), m, p) <= math.exp(-t)
    assert chaining.share(0.02, 0.045) == pytest.approx(0.02 + math.sqrt(0.0018) + 0.015)
    assert chaining.share(2.0, 0.1) == chaining.share(0.5, 10.0) == 1


@pytest.mark.parametrize("h", [0.01, 0.5, 1.0, 3.0, 10.0])
def test_the_mgf_of_a_signed_rayleigh_number(h):
    exact = float(integrate.quad(lambda r: math.cosh(h * r) * r * math.exp(-(r**2) / 2), 0, h + 12)[0])
    terms = np.cumprod([1.0, *(h**2 / (2 * k - 1) for k in range(1, 400))])
    assert exact == pytest.approx(terms.sum(), rel=1e-6)
    assert exact <= math.exp(h**2)


@pytest.mark.parametrize("spread", [0.0, 0.5, math.pi])
@pytest.mark.parametrize(("d", "n"), [(2, 1), (3, 20), (30, 200)])
def test_the_length_of_a_link(d, n, spread):
    """Rows whose directions in the plane are given, within ``spread`` of one; Gaussian across it."""
    rng, draws = np.random.default_rng(0), 4000
    turns = rng.uniform(-spread, spread, n)
    r = rng.choice([-1.0, 1.0], (draws, n)) * rng.rayleigh(size=(draws, n))
    square = (r @ np.cos(turns)) ** 2 + (r @ np.sin(turns)) ** 2 + n * (rng.chisquare(d - 2, draws) if d > 2 else 0)
    for t in (1.0, 2.0, 4.0):
        broken = int((square > chaining.longest(d, t) * n).sum())
        assert stats.binom.cdf(broken - 1, draws, math.exp(-t)) < 0.999  # no more often than exp(-t)


def test_longest_is_the_bound_of_its_moment_generating_function():
    for d, t in ((2, 0.6), (10, 3.0), (1000, 1500.0), (1e12, 3e12)):
        h = (1 - 1 / (2 * t)) / 4
        exponent = -(d - 2) / 2 * math.log1p(-2 * h) - math.log1p(-4 * h) / 2 - h * chaining.longest(d, t)
        assert exponent <= -t * (1 - 1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_nets_are_no_larger_than_their_bound(d):
    points = ball(4000, d, 0.5, np.random.default_rng(1))
    for step in (0.4, 0.2, 0.1):
        assert len(net_of(points, step)) <= math.exp(chaining.log_net(d, math.log(0.5 / step)))
    assert chaining.log_net(d, math.log(3.0)) == pytest.approx(d * math.log(7))
    assert chaining.log_net(d, 5000.0) == pytest.approx(d * (5000 + math.log(2)))
    assert chaining.log_net(d, -5000.0) == 0


def test_the_largest_angle():
    rng, shift = np.random.default_rng(2), 0.6
    pairs = ball(200_000, 2, shift, rng).reshape(-1, 2, 2) + np.array([1.0, 0.0])
    apart = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
    lengths = np.linalg.norm(pairs, axis=2)
    angles = np.arccos(np.clip((pairs[:, 0] * pairs[:, 1]).sum(1) / lengths.prod(1), -1, 1))
    limit = np.array([chaining.angle(step, shift) for step in apart])
    assert (angles <= limit + 1e-9).all() and (angles / limit).max() > 0.8
    assert chaining.angle(10.0, 0.6) == math.pi


def test_units_whose_sign_differs_are_binomial():
    rng, m = np.random.default_rng(3), 50
    u, v = np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.3, 0.1])
    turn = math.acos(u @ v / np.linalg.norm(v))
    rows = rng.normal(size=(20_000, m, 3))
    counts = ((rows @ u > 0) != (rows @ v > 0)).sum(1)
    expected = 20_000 * stats.binom.pmf(np.arange(8), m, turn / math.pi)
    assert (np.abs(np.bincount(counts, minlength=8)[:8] - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("d", "m"), [(2, 500), (3, 2000)])
def test_each_level_against_all_links_of_a_net(d, m):
    """Nets by brute force; the largest link of each level over many draws of the network."""
    rng, shift, ratio = np.random.default_rng(4), 0.4, 4.0
    x, points = np.eye(d)[0], ball(3000, d, shift, rng)
    nets = [np.zeros((1, d)), *(net_of(points, shift / ratio**k) for k in (1, 2))]
    largest, sums = np.zeros(2), 0.0
    for _ in range(30):
        w, a = rng.normal(size=(m, d)), rng.choice([-1.0, 1.0], m)
        sides = [((x + net) @ w.T > 0) * a @ w / math.sqrt(m) for net in nets]
        total = np.zeros(d)
        for k in (1, 2):
            parent = np.linalg.norm(nets[k][:, None] - nets[k - 1], axis=2).argmin(1)
            largest[k - 1] = max(largest[k - 1], np.linalg.norm(sides[k] - sides[k - 1][parent], axis=1).max())
        sums = max(sums, np.linalg.norm(sides[2] - sides[0] + total, axis=1).max())
    t = math.log(2 / 0.05)
    bounds = []
    for k, step in ((1, shift), (2, shift / ratio)):
        p = (math.asin(shift) if k == 1 else chaining.angle(step, shift)) / math.pi
        level = t + math.log(k * (k + 1)) + chaining.log_net(d, k * math.log(ratio))
        bounds.append(chaining._link(d, math.log(m), p, level))
    assert (0.1 * np.array(bounds) < largest).all() and (largest < bounds).all()
    assert sums < chaining.chain(d, math.log(m), shift, math.log(shift / ratio**2), t).total <= sum(bounds)


class TestChain:
    def test_it_is_the_sum_of_its_links(self):
        found = chaining.chain(1e6, 30.0, 1e-3, -30.0, 5.0)
        assert found.total == pytest.approx(sum(found.links)) and len(found.links) == len(found.steps)
        assert found.steps[0] == 1e-3 and np.all(np.diff(found.steps) < 0)
        assert found.links[0] == max(found.links)

    def test_the_width_leaves_it_at_a_multiple_of_the_fourth_root(self):
        """Of d^(1/4), from widths that can be run to widths that cannot be written down."""
        for d in (1e6, 1e12):
            totals = [uniform.gradient_change(d, math.inf, 1.0, log_m=k).chain for k in (8 * math.log(d), d, 100 * d)]
            assert max(totals) < 1.04 * min(totals) and totals[-1] < 3.3 * d**0.25

    def test_it_beats_the_count_of_sign_patterns(self):
        """Which needs no net of delta's, and pays sqrt(log m) with the 3k of the rows of a wedge."""
        for d in (1e4, 1e6, 1e9):
            for log_m in (2.4 * math.log(d), d**0.24, d):
                if log_m >= 2 * math.log(d):
                    patterns = d * (1 + log_m - math.log(d) + math.log(21))
                    sign_patterns = math.sqrt(3 * d * math.asin(d**-0.5) / math.pi * 2 * patterns / d) / 0.9
                    assert uniform.gradient_change(d, math.inf, 1.0, log_m=log_m).chain < sign_patterns


class TestChosen:
    @pytest.mark.parametrize(("k", "d"), [(9, 2), (12, 4)])
    def test_against_all_subsets(self, k, d):
        rng = np.random.default_rng(5)
        subsets = np.array(np.meshgrid(*[[0, 1]] * k)).reshape(k, -1).T
        best = np.array([np.linalg.norm(subsets @ rng.normal(size=(k, d)), axis=1).max() for _ in range(300)])
        for t in (0.0, 1.0):  # k rows and m = 1: the sum itself
            assert (best > mended.chosen(d, k, 1.0, t)).mean() <= math.exp(-t) * 0.5 + 0.05
        assert best.mean() > 0.6 * mended.chosen(d, k, 1.0, 0.0)

    def test_many_rows_leave_the_half_that_points_along(self):
        rows = np.random.default_rng(6).normal(size=10**6)
        assert mended.chosen(1, 1e3, 1e-3, 1.0) == pytest.approx(rows[rows > 0].sum() / 1e3, rel=0.02)


def test_no_change_found_exceeds_the_bound_or_its_parts():
    d, m, shift = 3, 20_000, 0.05
    net, x = start(1, d, m)
    points = torch.tensor(ball(2000, d, shift, np.random.default_rng(7)))
    change = net.input_gradient(x + points) - net.input_gradient(x)
    bound = uniform.gradient_change(d, m, 1e-3, shift * math.sqrt(d))
    assert 0.03 * bound.chain < change.norm(dim=1).max().item() < bound.chain
