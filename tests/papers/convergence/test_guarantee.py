"""Theorem 1's problems: every constant against a numerical one, both bounds against what a descent does."""

import numpy as np
import pytest

from advnb.papers.convergence.guarantee.problem import MinMax, draw_minmax
from advnb.papers.convergence.guarantee.trials import descend, several_maxima, theorem_1, touching


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
