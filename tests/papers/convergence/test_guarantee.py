"""Theorem 1's problems: every constant against a numerical one, both bounds against what a descent does."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from advnb.papers.convergence.guarantee import claims, drawings
from advnb.papers.convergence.guarantee.problem import MinMax, draw_minmax
from advnb.papers.convergence.guarantee.trials import (
    concavity,
    descend,
    jumps,
    kinks,
    several_maxima,
    theorem_1,
    touching,
)


@pytest.fixture(params=[0, 1, 2])
def problem(request):
    return draw_minmax(p=3, d=2, n=5, mu=0.7, eps=0.4, noise=0.5, seed=request.param)


def inner(problem, theta, u):
    return u @ problem.B @ theta - problem.mu * (u @ u) / 2


def test_the_maximiser_is_the_best_point_of_a_fine_grid(problem):
    theta = np.random.default_rng(0).normal(size=3)
    grid = np.linspace(-problem.eps, problem.eps, 201)
    best = max(((u, v) for u in grid for v in grid), key=lambda u: inner(problem, theta, np.array(u)))
    assert np.abs(problem.maximiser(theta) - best).max() <= grid[1] - grid[0]


def test_fosc_is_the_largest_linear_gain_over_the_corners(problem):
    rng = np.random.default_rng(1)
    theta, u = rng.normal(size=3), rng.uniform(-problem.eps, problem.eps, 2)
    g = problem.B @ theta - problem.mu * u
    corners = problem.eps * np.array([(a, b) for a in (-1, 1) for b in (-1, 1)])
    assert problem.fosc(theta, u) == pytest.approx(max(g @ (corner - u) for corner in corners))
    assert problem.fosc(theta, problem.maximiser(theta)) == pytest.approx(0, abs=1e-12)


def test_the_gradient_is_the_slope_of_the_value(problem):
    theta, h = np.array([0.3, -1.0, 2.0]), 1e-6
    slope = [(problem.value(theta + h * e) - problem.value(theta - h * e)) / (2 * h) for e in np.eye(3)]
    assert problem.gradient(theta) == pytest.approx(slope, abs=1e-6)


def test_smoothness_and_sigma_are_the_largest_and_the_mean_square(problem):
    rng = np.random.default_rng(2)
    for _ in range(200):
        one, other = rng.normal(size=(2, 3))
        difference = np.linalg.norm(problem.gradient(one) - problem.gradient(other))
        assert difference <= problem.smoothness * np.linalg.norm(one - other) * (1 + 1e-12)
    theta = rng.normal(size=3)
    each = problem.gradient(theta, examples=np.arange(5)) - problem.gradient(theta)
    assert problem.sigma == pytest.approx(np.sqrt((each**2).sum(1).mean()))


@pytest.mark.parametrize("delta", [0.0, 1e-3, 0.05])
def test_an_approximate_maximiser_has_the_fosc_asked_for_and_obeys_lemma_2(problem, delta):
    rng = np.random.default_rng(3)
    theta, direction = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    u = problem.approximate(theta, delta, direction)
    fosc, corner = problem.fosc(theta, u), np.abs(u).min(-1) >= problem.eps - 1e-9
    assert (np.abs(fosc - delta)[~corner] < 1e-9).all() and (fosc <= delta + 1e-9).all() and (~corner).any()
    error = np.linalg.norm(problem.gradient(theta, u) - problem.gradient(theta), axis=-1)
    assert (error <= problem.coupling * np.sqrt(delta / problem.mu) + 1e-9).all()


def test_the_minimum_is_below_what_a_long_descent_reaches():
    problem = draw_minmax(p=3, d=2, n=5, mu=0.7, eps=0.4, noise=0.0, seed=0)
    rng = np.random.default_rng(0)
    squares = descend(problem, np.ones((1, 3)), 3000, 1 / problem.smoothness, 0.0, rng)
    assert squares[-1] < 1e-9 * squares[0]
    assert problem.least() <= problem.value(np.ones(3))


def test_the_printed_bound_fails_without_noise_and_the_mended_one_holds():
    still = theorem_1(T=100, noise=0.0, delta=0.0, seed=0, device="cpu")
    assert still["printed"] == 0 < still["average"] <= still["mended"]
    noisy = theorem_1(T=300, noise=1.0, delta=0.01, seed=0, device="cpu")
    assert noisy["average"] <= noisy["mended"]


def test_lemma_2_is_attained_and_fosc_zero_is_not_enough():
    assert touching(delta=0.01, seed=3, device="cpu")["ratio"] == pytest.approx(1, rel=1e-6)
    stuck = several_maxima(seed=3, device="cpu")
    assert stuck["fosc"] == pytest.approx(0, abs=1e-12) and stuck["exact"] < 1e-9
    assert stuck["ratio"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu": 0.0}, "mu must be a finite number above 0; got 0.0"),
        ({"A": np.array([[0.0, 1.0], [0.0, 0.0]])}, r"A must be a symmetric matrix; got shape \(2, 2\)"),
        ({"B": np.ones((1, 3))}, r"B and b must have 2 columns, as A has; got \(1, 3\) and \(1, 2\)"),
    ],
)
def test_what_is_no_problem_is_refused(changes, message):
    parts = {"A": np.eye(2), "B": np.ones((1, 2)), "b": np.ones((1, 2)), "mu": 1.0, "eps": 1.0}
    with pytest.raises(ValueError, match=message):
        MinMax(**{**parts, **changes})


def test_the_minimum_needs_a_convex_problem():
    with pytest.raises(ValueError, match="A must be positive semidefinite"):
        MinMax(-np.eye(2), np.ones((1, 2)), np.ones((1, 2)), 1.0, 1.0).least()


def test_lemma_1_is_attained_in_one_dimension():
    problem = MinMax(np.array([[0.3]]), np.array([[2.0]]), np.zeros((1, 1)), mu=0.5, eps=1.0)
    one, other = np.array([0.01]), np.array([-0.02])  # the maximiser 4 theta stays inside the box
    assert problem.gradient(one) - problem.gradient(other) == pytest.approx(problem.smoothness * (one - other))


def test_from_the_printed_step_on_the_mended_bound_is_hardly_larger():
    """Where T = L gap / sigma^2 both step sizes agree, and the lost term is half of the term with the noise."""
    problem = draw_minmax(p=3, d=2, n=5, mu=0.7, eps=0.4, noise=0.5, seed=0)
    T = 100
    gap = T * problem.sigma**2 / problem.smoothness
    assert problem.step_size(T, gap) == pytest.approx(1 / problem.smoothness)
    lost = problem.mended_bound(T, gap, 0.0) - problem.printed_bound(T, gap, 0.0)
    assert lost == pytest.approx(problem.printed_bound(T, gap, 0.0) / 2)


def test_shares_of_pairs_and_quotients_over_them_are_sound():
    shares = concavity(defence="none", eps=0.05, seed=0, device="cpu", pairs=50)
    assert 0 <= shares["flat"] <= 1 - shares["broken"] <= 1
    near, far = (kinks(defence="none", distance=r, seed=0, device="cpu", pairs=40) for r in (0.01, 1.0))
    assert 0 < near["median"] <= near["steepest"] and 0 < far["median"] <= far["steepest"]


def test_halving_starts_at_the_pairs_and_never_lowers_a_pair_s_quotient():
    steep = jumps(defence="none", seed=0, device="cpu", pairs=20, halvings=5)["steepest"]
    whole = kinks(defence="none", distance=1.0, seed=0, device="cpu", pairs=20)["steepest"]
    assert len(steep) == 6 and steep[0] == pytest.approx(whole)
    assert (np.diff(steep) >= -1e-12).all()  # by the triangle inequality one half changes by half at least


def runs_of_theorem_1():
    """Two seeds of every corner: the left side is half of the mended bound."""
    rows = [
        {"T": T, "noise": noise, "delta": delta, "seed": seed, "sigma": noise, "smoothness": 1.0, "gap": 2.0,
         "floor": delta, "printed": 4 * noise * (2 / T) ** 0.5 + 5 * delta,
         "mended": 4 / T + 4 * noise * (2 / T) ** 0.5 + 2 * delta}
        for T in (10, 100) for noise in (0.0, 0.5) for delta in (0.0, 0.01) for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(average=lambda table: table["mended"] / 2)


def test_noise_rules_from_l_gap_over_sigma_squared_on():
    late = claims.noise_rules(runs_of_theorem_1())
    assert set(zip(late["T"], late["noise"], strict=True)) == {(10, 0.5), (100, 0.5)}  # 2 / 0.25 = 8
    assert claims.noise_rules(runs_of_theorem_1().assign(gap=20.0))["T"].unique().tolist() == [100]


class TestDrawings:
    @pytest.fixture
    def ax(self):
        return Figure().subplots()

    def test_a_bound_of_zero_is_named_and_not_drawn(self, ax):
        runs = runs_of_theorem_1()
        drawings.draw_bounds(ax, runs, 0.0, 0.0)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert set(labels) == {"measured", "printed bound: 0", "bound that follows"}
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert len(lines["printed bound: 0"].get_ydata()) == 0
        assert lines["bound that follows"].get_ydata() == pytest.approx([0.4, 0.04])
        assert ax.containers[0].lines[0].get_ydata() == pytest.approx([0.2, 0.02])

    def test_terms_add_up_to_the_bound_that_follows(self):
        found = drawings.terms(runs_of_theorem_1(), 100, 0.5, 0.01)
        *_, quiet, noise, floor = found.values()
        assert quiet + noise + floor == pytest.approx(found["bound that follows"])
        assert (quiet, floor) == pytest.approx((0.04, 0.02))

    def test_the_alternative_text_says_which_bound_is_kept(self):
        said = drawings.say_terms(10, 0.0, 0.01, runs_of_theorem_1())
        assert said.startswith("The mean squared gradient, 0.21, breaks the printed bound, 0.05;")
        assert said.endswith("follows is 0.42")

    def test_every_term_has_a_bar_on_one_axis(self, ax):
        drawings.draw_terms(ax, 10, 0.0, 0.01, runs_of_theorem_1())
        ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
        assert ends == pytest.approx([0.21, 0.05, 0.42, 0.4, 1e-4, 0.02])
        assert [text.get_text() for text in ax.texts] == ["0.21", "0.05", "0.42", "0.4", "0", "0.02"]
        assert ax.get_xlim()[0] == 1e-4 and ax.yaxis_inverted()

    def test_descents_have_a_line_each_and_a_floor_where_there_is_one(self, ax):
        drawings.draw_descents(ax, {0.0: np.ones((4, 2)), 0.1: np.eye(4)[:, :2]}, {0.0: 0.0, 0.1: 0.3})
        still, biased, floor = ax.get_lines()
        assert still.get_ydata() == pytest.approx(1) and biased.get_ydata() == pytest.approx([0.5, 0.5, 0, 0])
        assert set(floor.get_ydata()) == {0.3} and floor.get_color() == biased.get_color()

    @pytest.mark.parametrize("top", [0.0, 0.5, 1.5])
    def test_small_fosc_lies_within_the_distance_of_lemma_2(self, ax, top):
        drawings.draw_lemma_2(ax, top, delta=0.1)
        (near,) = ax.patches
        best = min(top, 1.0)
        low, high = near.get_x(), near.get_x() + near.get_width()
        assert best - 0.1**0.5 <= low + 1e-9 and high <= best + 0.1**0.5 + 1e-9
        lines = {line.get_label(): line for line in ax.get_lines()}
        f = lines["f, up to a constant"]
        assert f.get_ydata().max() == pytest.approx(0, abs=1e-9)
        assert f.get_xdata()[f.get_ydata().argmax()] == pytest.approx(best, abs=1e-2)

    def test_two_maxima_mark_where_each_descent_ends(self, ax):
        drawings.draw_two_maxima(ax)
        loss, seen, true, other, corner = ax.get_lines()
        assert true.get_ydata()[0] == pytest.approx(loss.get_ydata().min(), abs=1e-4)
        assert other.get_ydata()[0] == pytest.approx(seen.get_ydata().min(), abs=1e-4)
        assert other.get_xdata()[0] < corner.get_xdata()[0]

    def test_kinks_have_a_line_where_they_are_looked_for_and_dots_where_not(self, ax):
        random = pd.DataFrame({"defence": ["none", "standard"], "distance": 0.1, "steepest": [1.0, 2.0], "seed": 0})
        sought = pd.DataFrame({"defence": ["none", "none", "standard"], "seed": [0, 1, 0],
                               "steepest": [np.array([1.0, 2, 4]), np.array([3.0, 6, 12]), np.ones(3)]})  # fmt: skip
        drawings.draw_kinks(ax, sought, random)
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert lines["towards a kink, at the start"].get_ydata() == pytest.approx([2, 4, 8])
        assert lines["towards a kink, at the start"].get_xdata() == pytest.approx([1, 0.5, 0.25])
        assert lines["random pairs, trained by PGD"].get_ydata() == pytest.approx([2])
