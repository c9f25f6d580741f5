"""The border for all weights: its two bounds against quadrature, optimisers of scipy and networks of finite size."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from lazy_start import start
from matplotlib.figure import Figure
from scipy import integrate, stats
from scipy.optimize import minimize

from advnb.experiments import live, load
from advnb.flip import minimal_flip
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.border import claims, drawings, resist, threshold, trials


class TestThresholds:
    def test_the_two_borders_and_what_the_pages_say_of_them(self):
        low, high = threshold.thresholds()
        assert 0.46 < low < 0.462 and 0.57 < high < 0.58
        assert threshold.thresholds(shorter=True) == pytest.approx((low, high), abs=2e-3)
        assert threshold.margin_above(low - 0.01) > 0 > threshold.margin_above(low + 0.01)
        lean = threshold.most_resisting(high + 0.01)
        assert threshold.margin_below(high + 0.01, lean) > 0
        for part, found in zip(resist.LEANS[0], lean, strict=True):
            assert part == pytest.approx(found, abs=0.1)

    def test_a_finer_grid_moves_nothing(self):
        assert threshold.margin_above(0.45, points=1600) == pytest.approx(threshold.margin_above(0.45), abs=1e-3)
        lean = threshold.Lean(0.67, 0.85, 0.8)
        fine = threshold.margin_below(0.6, lean, points=5000)
        assert fine == pytest.approx(threshold.margin_below(0.6, lean), abs=1e-4)

    @pytest.mark.parametrize(
        ("c", "theta", "beta"), [(0.4, 0.7, 0.3), (0.46, 0.6, 0.5), (0.3, 0.3, 0.0), (0.5, 0.5, 0.55)]
    )
    def test_what_weights_can_lift_is_what_an_optimiser_finds(self, c, theta, beta):
        """Units on at both points, at y alone and at x alone: three vectors in a space of three dimensions."""
        shares = np.array([1 - theta / math.pi, theta / math.pi, theta / math.pi]) / 2
        y = np.array([math.cos(theta), math.sin(theta), 0.0])
        need = math.sin(beta) / math.sqrt(2) - c / math.pi

        def gain(v):
            both, fresh, _ = v.reshape(3, 3)
            return c * (shares[0] * both @ y + shares[1] * fresh @ y)

        def turned(v):
            both, _, gone = v.reshape(3, 3)
            return c * (shares[0] * both[2] + shares[2] * gone[2]) - need

        rules = [{"type": "ineq", "fun": lambda v: 1 - (v.reshape(3, 3) ** 2).sum(1)}, {"type": "ineq", "fun": turned}]
        found = minimize(lambda v: -gain(v), np.tile([0.5, 0.2, 0.5], 3), constraints=rules)
        assert found.success and -found.fun == pytest.approx(float(threshold.lifted(c, theta, beta)), abs=1e-5)

    def test_no_weights_turn_further(self):
        c = 0.4
        beta = math.asin(threshold.sideways(c))
        assert threshold.lifted(c, 0.3, beta - 1e-3) > 0 and threshold.lifted(c, 0.3, beta + 1e-3) == -math.inf

    @pytest.mark.parametrize(("theta", "horizon"), [(0.5, 0.8), (0.9, 0.8), (1.4, 0.3), (-0.6, 0.8), (2.5, 1.0)])
    def test_the_direction_in_which_the_gradient_differs_further_away(self, theta, horizon):
        """Its parts are expectations of a Gaussian h: P(both on) = E[Phi(h cot a) Phi(h cot b)], by quadrature."""

        def on(h, angle):
            return stats.norm.cdf(h / math.tan(angle)) if angle is not None else float(h > 0)

        def mean(a, b):
            return integrate.quad(lambda h: on(h, a) * on(h, b) * stats.norm.pdf(h), -9, 9, points=[0], limit=200)[0]

        def product(a, b):
            return mean(a, b) - 2 * mean(a, None) * mean(b, None)

        expected = math.sin(theta) * product(abs(theta), horizon) / math.sqrt(product(horizon, horizon))
        assert float(threshold.farther(theta, horizon)) == pytest.approx(expected, abs=1e-6)

    def test_the_fall_covers_the_start_in_every_direction_tried(self):
        """A large network: along e_0 it falls as computed, and no direction at an angle to it stays above the bound."""
        net, x = start(0, 200, 20_000)
        _, gradient = net.value_and_gradient(x)
        down = gradient[0] - (gradient[0] @ x[0]) * x[0]
        down = -down / down.norm()
        draw = torch.Generator().manual_seed(0)
        for theta in (0.3, 0.7):
            y = math.cos(theta) * x[0] + math.sin(theta) * down
            with torch.no_grad():
                fallen = -float(net(y[None])) / math.sqrt(200)
            assert fallen == pytest.approx(float(threshold.fall(theta, 0.0)), abs=0.08)
            for beta in (0.2, 0.5):
                side = torch.zeros(200, dtype=torch.float64)
                for _ in range(40):  # projected ascent of f over the directions at the angle beta
                    side = side if side.norm() > 0 else torch.randn(200, generator=draw, dtype=torch.float64)
                    side = side - (side @ x[0]) * x[0] - (side @ down) * down
                    side = side / side.norm()
                    e = math.cos(beta) * down + math.sin(beta) * side
                    f, slope = net.value_and_gradient((math.cos(theta) * x[0] + math.sin(theta) * e)[None])
                    side = side + 3 * slope[0] / slope.norm()
                assert -float(f) / math.sqrt(200) > float(threshold.fall(theta, beta)) - 0.08

    def test_errors(self):
        with pytest.raises(ValueError, match="c must"):
            threshold.margin_above(0.0)
        assert threshold.margin_below(3.0, threshold.Lean(0.6, 0.8, 0.8)) == -math.inf
        assert threshold.margin_below(0.9, threshold.Lean(0.6, 0.8, 4.0)) == -math.inf


class TestResisting:
    def test_the_construction_follows_its_limit_along_the_ray(self):
        d, m, c = 400, 20_000, 0.6
        net, x = start(2, d, m)
        lean = resist.LEANS[0]
        built = resist.resisting(net, x, c * math.sqrt(d / m), lean)
        assert largest_movement(built.weight.data, net.weight.data) <= c * math.sqrt(d) * (1 + 1e-12)
        f, gradient = built.value_and_gradient(x)
        side = float(f.sign())
        across = gradient[0] - (gradient[0] @ x[0]) * x[0]
        ray = -side * across / across.norm()
        theta = torch.linspace(-0.5, 1.5, 9, dtype=torch.float64)
        with torch.no_grad():
            found = side * built(theta.cos()[:, None] * x + theta.sin()[:, None] * ray) / math.sqrt(d)
        assert np.allclose(
            found, threshold.along_ray(c, lean, theta.numpy()), atol=0.12
        )  # the start's own values, of deviation 0.035 a point
        assert math.atan2(across.norm(), float(f.abs())) == pytest.approx(threshold.slope_angle(c, lean), abs=0.15)

    def test_no_step_of_any_length_flips_above_the_border(self):
        for seed in range(3):
            net, x = start(seed, 100, 4000)
            built, length = resist.most_resisting_net(net, x, 0.9 * math.sqrt(100 / 4000))
            assert length == math.inf and minimal_flip(built, x).norm.isinf()

    def test_ascent_stays_in_the_ball_and_finds_no_less(self):
        net, x = start(0, 10, 300)
        built, length = resist.most_resisting_net(net, x, 0.05)
        assert length <= resist.ascend(net, built, x, 0.05, steps=5)
        assert resist.ascend(net, built, x, 0.05, steps=0) == length

    def test_errors(self):
        net, x = start(0, 10, 30)
        with pytest.raises(ValueError, match="radius"):
            resist.resisting(net, x, 0.0, resist.LEANS[0])
        with pytest.raises(ValueError, match="steps"):
            resist.ascend(net, net, x, 0.1, steps=-1)


def test_the_trial():
    rows = claims.by_ratio(live(trials.RESIST, seeds=1))
    assert rows["ratio"].tolist() == [0.2, 0.5, 0.8] and (rows["found"] >= rows["built"]).all()
    assert ((rows["held"] == 1) == (rows["found"] == 1)).all()


def test_where_half_of_the_points_are_held():
    rows = pd.DataFrame({"d": 25, "ratio": [0.4, 0.4, 0.6, 0.6], "held": [0.0, 0.0, 1.0, 1.0], "found": 0.5})
    assert claims.half(rows)[25] == pytest.approx(0.5)


class TestDrawings:
    def test_the_overview_has_all_kinds_and_marks_the_border(self):
        rows = drawings.overview(*map(load, ("lazy.figures_5_6", "lazy.one_step", "lazy.worst_weights", "lazy.resist")))
        assert set(rows["kind"]) == set(drawings.KINDS) and rows["length"].between(0, 1 + 1e-6).all()
        assert (rows.loc[rows["kind"] == "start", "ratio"] == 0).all()
        ax = Figure().subplots()
        drawings.draw_overview(ax, rows)
        assert [text.get_text() for text in ax.get_legend().texts] == ["border, proved bounds", *drawings.KINDS]
        for line, kind in zip(ax.lines, drawings.KINDS, strict=False):
            part = rows[(rows["kind"] == kind) & (rows["ratio"] <= drawings.SHOWN)]
            assert np.allclose(line.get_ydata(), part["length"])

    def test_the_share_held(self):
        rows = claims.by_ratio(load("lazy.resist"))
        ax = Figure().subplots()
        drawings.draw_held(ax, rows)
        assert len(ax.lines) == 2 * rows["d"].nunique()
        assert np.allclose(ax.lines[0].get_ydata(), rows[rows["d"] == 25].groupby("ratio")["held"].mean())

    def test_a_construction_beside_its_limit(self):
        net, x = start(0, 30, 500)
        built = resist.resisting(net, x, 0.7 * math.sqrt(30 / 500), resist.LEANS[0])
        ax = Figure().subplots()
        drawings.draw_construction(ax, 0.7, resist.LEANS[0], net, built, x)
        found, _, limit = ax.lines[:3]
        value = abs(float(built(x).detach())) / math.sqrt(30)
        assert found.get_ydata()[0] == pytest.approx(value)
        assert limit.get_ydata()[0] == pytest.approx(float(threshold.along_ray(0.7, resist.LEANS[0], 0.0)))
