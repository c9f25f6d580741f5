"""The entries of `book/errata.md` marked with a dagger: each counterexample, and each correction where there is one."""

import numpy as np
import pytest
from scipy.stats import norm


def project(point, radius):
    """Nearest point of the ball around the origin."""
    return point * min(1.0, radius / np.linalg.norm(point))


def distance_to_tangent_step(start, direction, eta, eps):
    """Left side of the dynamics paper's Lemma 4.2: projected step against step along the tangent."""
    normal = start / eps
    tangent_step = start + eta * (direction - (direction @ normal) * normal)
    return np.linalg.norm(project(start + eta * direction, eps) - tangent_step)


@pytest.mark.parametrize("eta", [1e-3, 1e-2, 0.1])
def test_dynamics_lemma_42_fails_inwards_and_holds_outwards(eta):
    rng, eps = np.random.default_rng(0), 0.5
    for _ in range(200):
        start, direction = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 6)))
        start = eps * start
        outwards = direction * np.sign(direction @ start)
        assert distance_to_tangent_step(start, outwards, eta, eps) <= 4 * eta**2 / eps
        inwards = distance_to_tangent_step(start, -start / eps, eta, eps)
        assert inwards == pytest.approx(eta)
        assert inwards > 4 * eta**2 / eps


def test_dynamics_lemma_a3_bounds_the_normal_part_by_the_tangent_part():
    rng, eps = np.random.default_rng(1), 0.7
    broken = 0
    for _ in range(500):
        start, end = (eps * v / np.linalg.norm(v) for v in rng.normal(size=(2, 4)))
        step, unit = end - start, start / eps
        if np.linalg.norm(step) < eps:
            normal = abs(step @ unit)
            tangent = np.linalg.norm(step - (step @ unit) * unit)
            assert normal <= tangent**2 / eps + 1e-12
            broken += normal > normal**2 / eps + 1e-12
    assert broken > 50


def product_condition(rate, gamma, s, k):
    """The dynamics paper's (12): a learning rate that shrinks slowly enough."""
    shrink = np.prod([1 - gamma * rate(s + i) / 2 for i in range(k + 1)])
    return rate(s) * shrink <= rate(s + k + 1) * (1 + 1e-12)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 1.9])
def test_dynamics_lemma_a8_needs_gamma_in_the_learning_rate(gamma):
    z = 50
    assert not product_condition(lambda s: 1 / (s + z), gamma, 0, 0)
    for s in (0, 3, 100):
        for k in (0, 5, 50):
            assert product_condition(lambda s: 2 / (gamma * (s + z)), gamma, s, k)


def test_lazy_lemma_b7_says_nothing_in_small_dimensions():
    c0 = 10
    best = {d: np.sqrt(d / 2) - c0 for d in (478, 479)}  # the bound's limit as the width grows
    assert best[478] < np.sqrt(478) / 4
    assert best[479] >= np.sqrt(479) / 4


@pytest.mark.parametrize("m", [10**3, 10**5, 10**7])
def test_lazy_lemma_b8_needs_the_factor_two(m):
    gamma = 0.05
    exceeds = -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(np.log(m / gamma)))))
    assert exceeds > 0.5
    assert -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(2 * np.log(m / gamma))))) <= gamma


def test_lazy_lemma_b9_step_fails_and_a_weaker_one_suffices():
    d = np.arange(2, 1_000_000, dtype=float)
    root, logarithm = d**1.2, 3.4 * np.log(d)  # sqrt(m) and log(md) at m = d^2.4
    fails = d[root < 0.33 * d * logarithm]
    assert (fails[0], fails[-1]) == (4, 839_820)
    assert len(fails) == 839_820 - 4 + 1
    assert np.all(root >= 0.096 * d * logarithm)
    assert 44 * np.log(np.e / 4) < -16.99
    assert 2.3 / (8 + 16.99 - 1) < 0.096  # of -8 and -16.99 square roots, one must remain


@pytest.mark.parametrize("T", [100, 1000])
@pytest.mark.parametrize("curvature", [1.0, 0.5, 0.1])
def test_convergence_theorem_1_misses_a_term(T, curvature):
    """L = 1, no noise, exact maximisers: the printed bound is 0, the left side is the missing L gap / T up to two."""

    def printed(sigma, delta, L, gap, coupling, mu):
        return 4 * sigma * np.sqrt(L * gap / T) + 5 * coupling**2 * delta / mu

    diagonal = np.array([1.0, curvature])  # L_S = sum of diagonal theta^2 / 2
    theta = np.array([3.0, 3.0])
    gap, squares = 0.5 * diagonal @ theta**2, []
    for _ in range(T):
        squares.append(np.sum((diagonal * theta) ** 2))
        theta = theta - diagonal * theta
    assert printed(sigma=0, delta=0, L=1, gap=gap, coupling=1, mu=1) == 0
    assert 0.99 * gap / T <= np.mean(squares) <= 2 * gap / T + 1e-12
