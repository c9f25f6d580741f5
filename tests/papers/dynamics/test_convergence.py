"""The pages *convergence* and *lemmas*: what their drawings show, and the helpers of their claims."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.book import figures
from advnb.experiments import live
from advnb.papers.dynamics import convergence, lemmas
from advnb.papers.dynamics.convergence.claims import by_net, local_exponents
from advnb.papers.dynamics.lemmas.claims import probability_bound


@pytest.fixture
def axes():
    with figures.style():
        yield Figure().subplots(1, 2)


def test_every_network_has_a_name_and_medians():
    runs = live(convergence.THEOREM_3_1, seeds=2, only={"d": 2})
    table = by_net(runs)
    assert table["net"].nunique() == 2
    assert table["eta"].is_monotonic_decreasing
    assert table.sort_index()["steps"].tolist() == [np.median(cell) for cell in runs["steps"]]
    assert table.sort_index()["worst"].tolist() == [max(cell) for cell in runs["ratio"]]


def test_the_rates_have_a_line_a_network_and_the_slopes_of_the_paper():
    runs = live(convergence.THEOREM_3_1, seeds=2, only={"d": 2})
    with figures.style():
        axes = Figure().subplots(1, 3)
        convergence.draw_rates(axes, runs)
    for slope in (-2, -1):
        (paper,) = [line for line in axes[0].lines if line.get_label() == f"slope {slope}"]
        x, y = np.log(paper.get_xdata()), np.log(paper.get_ydata())
        assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(slope)
    table = by_net(runs)
    for ax, name in zip(axes, ("steps", "worst"), strict=False):
        lines = {line.get_gid(): line.get_ydata() for line in ax.lines if line.get_gid()}
        assert set(lines) == set(table["net"])
        assert all(np.array_equal(y, table.loc[table["net"] == net, name]) for net, y in lines.items())


def test_local_exponents_are_those_of_neighbouring_steps():
    eta = np.array([0.04, 0.01, 0.001])
    table = pd.DataFrame({"net": "a", "eps": 0.2, "eta": eta, "steps": 3 * eta**-1.5})
    local = local_exponents(table, "steps")
    assert local["exponent"].tolist() == pytest.approx([-1.5, -1.5])
    assert local["relative"].tolist() == pytest.approx([0.5, 0.001**0.5 * 0.01**0.5 / 0.04])


def test_a_constant_step_ends_below_a_shrinking_one(axes):
    convergence.draw_shrinking(axes[0], 8.0)
    end = {line.get_label(): line.get_ydata()[-1] for line in axes[0].lines}
    assert end["constant"] < 0.1 * end["shrinking"]
    assert end["shrinking"] == pytest.approx(end["power -0.5"], rel=0.2)


def test_the_law_of_the_decay_is_drawn_beside_every_run(axes):
    runs = live(convergence.COROLLARY_3_1, seeds=1)
    convergence.draw_decay(axes[0], runs, runs)
    lines = {line.get_label(): line for line in axes[0].lines}
    assert np.array_equal(lines["measured (stored)"].get_ydata(), -runs["slope"])
    law = lines["4 μ / β"]
    assert np.allclose(law.get_xdata() * law.get_ydata(), 4)


def test_the_schedules_of_lemma_a8():
    table = convergence.conditions()
    assert (table["2 / (γ (s + z))"] <= 1 + 1e-9).all()
    assert (table["1 / (s + z)"] <= 1 + 1e-9).tolist() == [gamma >= 2 for gamma in table.index]


def test_the_probability_of_lemma_a1_needs_an_enormous_width():
    assert probability_bound(16, 16**3) < 0 < probability_bound(64, 2**40)
    assert probability_bound(11, 10**30) < 0  # 4 exp(-11 / 8) > 1, whatever the width


def test_the_error_of_a_tangent_step_passes_the_printed_bound_inwards_only(axes):
    lemmas.draw_tangent_step(axes[0], 0.05)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes[0].lines}
    degrees = np.asarray(axes[0].lines[0].get_xdata())
    broken = degrees[lines["error"] > lines["printed bound"]]
    assert broken.size and broken.min() > 90
    assert (lines["error"] <= lines["mended bound"] + 1e-12).all()


def test_the_curvature_has_the_sign_of_the_convention(axes):
    for ax, sign in zip(axes, ("plus", "minus"), strict=True):
        lemmas.draw_curvature(ax, sign, radii=(0.05,))
    plus, minus = (torch.as_tensor(ax.lines[0].get_xydata()) for ax in axes)
    near = plus[:, 0].abs() > 0.9
    assert near.any() and (plus[near, 1] > 0).all() and (minus[near, 1] < 0).all()
