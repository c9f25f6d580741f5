"""Many inputs at once: the limit against an optimiser, built weights against exact flips, what ascent finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lazy_start import start
from matplotlib.figure import Figure
from scipy.optimize import minimize

from advnb.experiments import live, load
from advnb.flip import minimal_flip
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.how_many import claims, drawings, hide, trials

F64 = torch.float64


class TestLimit:
    def test_one_input_takes_its_whole_gradient(self):
        assert hide.vanishing(1) == pytest.approx(math.sqrt(0.5) / (0.5 + 1 / math.pi), abs=1e-5)

    def test_it_grows_to_half_pi(self):
        found = [hide.vanishing(n) for n in (1, 2, 4, 16, 256, 4096)]
        assert found == sorted(found) and found[-1] == pytest.approx(hide.ALL, abs=0.1) and found[-1] < hide.ALL

    @pytest.mark.parametrize(("n", "c"), [(2, 0.9), (3, 1.0), (5, 1.2)])
    def test_what_leaning_leaves_is_what_an_optimiser_finds(self, n, c):
        """Random signs of n orthogonal inputs, all 2^n patterns alike; a lean for each pattern, in n + 1 dimensions."""
        signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1).T  # (2^n, n)
        starts = np.hstack([np.full((n, 1), 0.5), 0.5 * np.eye(n)])

        def worst(v):
            unit = v.reshape(len(signs), n + 1)
            unit = unit / np.maximum(1, np.linalg.norm(unit, axis=1, keepdims=True))
            moved = c * ((signs > 0)[:, :, None] * unit[:, None]).mean(0)
            return np.sum(np.sum((starts - moved) ** 2, 1))

        rough = (signs > 0) @ starts
        found = minimize(worst, rough.ravel(), method="L-BFGS-B")
        assert math.sqrt(found.fun / n) == pytest.approx(hide.left_over(c, n)[0], abs=2e-3)

    def test_gradients_share_half_of_their_energy(self):
        net, _ = start(0, 400, 20_000)
        x = trials.inputs("sphere", 5, 400, torch.Generator().manual_seed(1), F64)
        gradient = hide.across(net, x)
        products = gradient @ gradient.T / 400
        off = products[~torch.eye(5, dtype=torch.bool)]
        assert products.diagonal().mean() == pytest.approx(0.5, abs=0.05) and off.mean() == pytest.approx(
            0.25, abs=0.05
        )


class TestHidden:
    @pytest.mark.parametrize("n", [1, 3])
    def test_no_step_shorter_than_x_flips_any(self, n):
        net, _ = start(3, 20, 2000)
        x = trials.inputs("sphere", n, 20, torch.Generator().manual_seed(0), F64)
        built = hide.hidden(net, x, 1.6 * math.sqrt(20 / 2000))
        assert hide.across(built, x).norm(dim=1).max() < 1e-10
        assert (minimal_flip(built, x).norm > 0.999).all()
        assert (net(x).sign() == built(x).sign()).double().mean() >= 0.5

    def test_at_one_input_it_fits_into_little_more_than_the_limit(self):
        net, _ = start(0, 25, 16_000)
        x = trials.inputs("sphere", 1, 25, torch.Generator().manual_seed(0), F64)
        built = hide.hidden(net, x, math.sqrt(25 / 16_000))
        assert largest_movement(built.weight.data, net.weight.data) / 5 < 1.25

    def test_errors(self):
        net, x = start(0, 5, 30)
        with pytest.raises(ValueError, match="radius"):
            hide.hidden(net, x, -1.0)
        with pytest.raises(ValueError, match="n must"):
            hide.vanishing(0)


class TestTrials:
    def test_inputs(self):
        x = trials.inputs("sphere", 4, 9, torch.Generator().manual_seed(0), F64)
        assert torch.allclose(x @ x.T, torch.eye(4, dtype=F64))
        images = trials.inputs("digits", 4, 64, torch.Generator().manual_seed(0), F64)
        assert images.shape == (4, 64) and torch.allclose(images.norm(dim=1), torch.ones(4, dtype=F64))

    def test_hidden_gradients(self):
        table = live(trials.HIDDEN, seeds=1)
        assert (table["held"] == 1).all() and (table["needed"] > 0.5).all() and (table["several"] < 1).all()

    def test_ascent_finds_more_in_a_larger_ball(self):
        table = live(trials.MANY, seeds=1)
        few, many = table["most"]
        assert few <= many and claims.by_count(table)["held"].between(0, 1).all()
        assert claims.most(table).shape == (1, 2)

    def test_errors(self):
        net, x = start(0, 5, 30)
        with pytest.raises(ValueError, match="steps"):
            trials.resist_by_ascent(net, x, 0.1, steps=0)


class TestDrawings:
    def test_what_is_needed(self):
        table = load("lazy.hidden")
        ax = Figure().subplots()
        drawings.draw_needed(ax, table)
        *curves, limit, border = ax.lines
        assert len(curves) == table["m"].nunique() and limit.get_ydata()[0] == pytest.approx(hide.vanishing(1))
        assert np.allclose(curves[0].get_ydata(), claims.needed(table).iloc[0]) and border.get_ydata()[0] == hide.ALL

    def test_the_most_inputs_held(self):
        table = load("lazy.many")
        ax = Figure().subplots()
        drawings.draw_most(ax, table)
        names = [text.get_text() for text in ax.get_legend().texts]
        assert names == ["sphere, d = 25", "sphere, d = 100", "MNIST, d = 25", "C₀² / d − 1"]
        assert np.allclose(ax.lines[0].get_ydata(), claims.most(table).loc[25].dropna())
