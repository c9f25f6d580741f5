"""The checks of the errata of the dynamics paper: the printed form fails, the mended one holds."""

import numpy as np
import pytest


def project(point, radius):
    """Nearest point of the ball around the origin."""
    return point * min(1.0, radius / np.linalg.norm(point))


def distance_to_tangent_step(start, direction, eta, eps):
    """Left side of the dynamics paper's Lemma 4.2: projected step against step along the tangent."""
    normal = start / eps
    tangent_step = start + eta * (direction - (direction @ normal) * normal)
    return np.linalg.norm(project(start + eta * direction, eps) - tangent_step)


@pytest.mark.parametrize("eta", [1e-3, 1e-2, 0.1])
def test_lemma_42_fails_inwards_and_holds_outwards(eta):
    rng, eps = np.random.default_rng(0), 0.5
    for _ in range(200):
        start, direction = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 6)))
        start = eps * start
        outwards = direction * np.sign(direction @ start)
        assert distance_to_tangent_step(start, outwards, eta, eps) <= 4 * eta**2 / eps
        inwards = distance_to_tangent_step(start, -start / eps, eta, eps)
        assert inwards == pytest.approx(eta)
        assert inwards > 4 * eta**2 / eps


def test_lemma_a3_bounds_the_normal_part_by_the_tangent_part():
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
def test_lemma_a8_needs_gamma_in_the_learning_rate(gamma):
    z = 50
    assert not product_condition(lambda s: 1 / (s + z), gamma, 0, 0)
    for s in (0, 3, 100):
        for k in (0, 5, 50):
            assert product_condition(lambda s: 2 / (gamma * (s + z)), gamma, s, k)
