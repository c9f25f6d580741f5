"""The pages *convergence* and *lemmas*: what their drawings show, and the helpers of their claims."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize

from advnb.book import figures
from advnb.experiments import live
from advnb.papers import dynamics
from advnb.papers.dynamics import convergence, lemmas
from advnb.papers.dynamics.convergence.claims import by_net, judged_schedules, local_exponents
from advnb.papers.dynamics.convergence.shrinking import recursion
from advnb.papers.dynamics.descent import smoothness
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
    convergence.draw_decay(axes[0], runs)
    lines = {line.get_label(): line for line in axes[0].lines}
    assert np.array_equal(lines["d = 4"].get_ydata(), -runs["slope"])
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


# steps that shrink, and steps that descend


def test_the_recursion_is_the_loop_of_lemma_a8():
    gamma, first = 1.3, 0.4

    def eta(s):
        return 0.5 / (s + 3.0)

    expected = [first]
    for s in range(200):
        expected.append((1 - gamma * eta(s)) * expected[-1] + 9 * eta(s) ** 2)
    assert recursion(gamma, eta, first, 200) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"gamma eta_s must be below 1; got 2\.6"):
        recursion(gamma, lambda s: 2.0 + 0 * s, first, 5)


@pytest.mark.parametrize(("kappa", "bounded"), [(0.5, False), (1.0, False), (1.5, True), (2.0, True)])
def test_the_recursion_is_of_the_order_of_its_steps_for_kappa_above_one_alone(kappa, bounded):
    """D_s ~ s^-kappa below 1, log(s)/s at 1, 1/s above: the closed forms of a linear recursion."""
    end = 10**6
    ratio = recursion(1.0, lambda s: kappa / (s + 50), 1.0, end)[[end // 100, end]] * [end // 100, end]
    assert (ratio[1] / ratio[0] < 1.05) == bounded
    if kappa < 1:
        assert ratio[1] / ratio[0] == pytest.approx(100 ** (1 - kappa), rel=0.1)


def test_under_its_hypothesis_lemma_a8_holds_and_without_it_pgd_may_not_arrive():
    runs = live(convergence.SCHEDULES, seeds=1, only={"kappa": 3.0})
    judged = judged_schedules(runs).set_index("power")
    assert judged.loc[1.0, ["met", "pgd", "recursion"]].all()
    assert not judged.loc[2.0, ["met", "pgd", "recursion"]].any()


CURVED = [(2, 16, 0.5), (3, 30, 2.0), (6, 64, 1.0)]


@pytest.mark.parametrize(("d", "m", "eps"), CURVED)
def test_no_eigenvalue_in_the_ball_exceeds_the_smoothness(d, m, eps):
    """Against scipy's search for the largest, which can only fall short of it."""
    for seed in range(3):
        problem = dynamics.draw(d, m, eps, seed=seed)

        def least(x, problem=problem):
            point = torch.as_tensor(x)[None]
            point = point * min(1.0, problem.eps / float(point.norm().clamp_min(1e-12)))
            return -float(torch.linalg.eigvalsh(problem.hessian(point)).max())

        starts = dynamics.in_ball(problem, 5, seed=seed).numpy()
        found = max(-minimize(least, x, method="Nelder-Mead").fun for x in starts)
        assert found <= smoothness(problem)
    with pytest.raises(ValueError, match="the loss must be squared, by 'minus'; got 'squared', 'plus'"):
        smoothness(problem.having(convention="plus"))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize(("d", "m", "eps"), CURVED)
def test_descent_below_two_over_the_smoothness_whatever_the_radius(d, m, eps, share):
    """The erratum on A.5: eta < 2 / l descends, also far above eps^2 / 16, by (1 / eta - l / 2) ||step||^2 at least."""
    for seed in range(5):
        problem = dynamics.draw(d, m, eps, seed=seed)
        eta = share * 2 / smoothness(problem)
        start = torch.cat((dynamics.on_sphere(problem, 300, seed=seed), dynamics.in_ball(problem, 300, seed=seed)))
        path = dynamics.pgd(problem, start, steps=1, step_size=eta)
        promised = (1 / eta - smoothness(problem) / 2) * (path.end - start).square().sum(-1)
        assert bool((path.value[0] - path.value[1] >= promised - 1e-12).all())


def test_measured_the_descent_goes_on_up_to_eps_squared_and_stops_somewhere():
    """The erratum on A.5: on every small ball no step rises up to eta = eps^2; on a large one some do beyond."""
    small = convergence.DESCENT_RANGE.trial(d=4, m=64, eps=0.1, seed=0, points=100)
    assert all(worst < 0 for worst, eta in zip(small["worst"], small["eta"], strict=True) if eta <= 0.1**2)
    large = [convergence.DESCENT_RANGE.trial(d=2, m=256, eps=3.0, seed=seed, points=100) for seed in (100, 101)]
    assert max(large[0]["worst"] + large[1]["worst"]) > 0
    for result in (small, *large):
        sure = [(w, g) for w, g in zip(result["worst"], result["guarantee"], strict=True) if g < 0]
        assert all(worst <= guarantee + 1e-9 for worst, guarantee in sure)


def test_where_the_rule_stops_is_drawn_for_every_start_and_loss(axes):
    runs = live(convergence.GENERAL_LOSS_RATE, seeds=1)
    convergence.draw_stopping(axes[0], runs)
    dots = [line for line in axes[0].lines if line.get_label() in ("cross entropy", "pseudo huber")]
    assert sorted(np.concatenate([line.get_ydata() for line in dots])) == sorted(np.concatenate(runs["ratio"]))


def test_the_descent_is_drawn_with_both_thresholds(axes):
    runs = live(convergence.DESCENT_RANGE, seeds=1, only={"eps": 0.2})
    convergence.draw_descent(axes[0], runs)
    lines = {line.get_label(): line for line in axes[0].lines}
    assert lines["ε = 0.2"].get_ydata()[:4].tolist() == [1.0] * 4
    assert lines["the theorem's ε²"].get_xdata()[0] == 1 and lines["its proof's ε²/16"].get_xdata()[0] == 1 / 16


def test_a_schedule_is_marked_where_it_meets_the_condition(axes):
    runs = live(convergence.SCHEDULES, seeds=1, only={"kappa": 3.0})
    convergence.draw_schedules(axes[0], runs)
    marks = {line.get_gid(): line for line in axes[0].lines if line.get_gid()}
    assert marks["pgd-3-1"].get_fillstyle() == "full" and marks["pgd-3-2"].get_fillstyle() == "none"
    assert "met-3-1" in marks and "met-3-2" not in marks


def test_what_is_said_of_shrinking_steps_is_what_they_show(axes):
    convergence.draw_shrinking(axes[0], 8.0)
    end = {line.get_label(): line.get_ydata()[-1] for line in axes[0].lines}
    said = convergence.say_shrinking(8.0)
    assert f"to {end['shrinking']:.1g} with steps that shrink" in said
    assert said.endswith(f"has -0.5, and to {end['constant']:.1g} with a constant step")
