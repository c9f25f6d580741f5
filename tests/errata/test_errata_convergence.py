"""The checks of the errata of the convergence paper: the printed form fails, the mended one holds."""

from itertools import product

import numpy as np
import pytest
import sympy


def test_fosc_is_zero_coordinate_by_coordinate():
    eps, d = 0.5, 3
    corners = eps * np.array(list(product((-1, 1), repeat=d)))
    pure, mixed = 0, 0
    for slope in map(np.array, product((-1.0, 0.0, 2.0), repeat=d)):
        for moved in eps * np.array(list(product((-1.0, 0.0, 0.5, 1.0), repeat=d))):
            fosc = max((corners - moved) @ slope)  # a linear function is largest at a corner
            assert (fosc == 0) == all((slope == 0) | (moved == eps * np.sign(slope)))
            printed = not slope.any() or np.array_equal(moved, eps * np.sign(slope))
            pure += fosc == 0 and printed
            mixed += fosc == 0 and not printed
    assert pure > 0 and mixed > 0


def test_fosc_is_zero_at_points_that_are_no_maxima():
    x = sympy.symbols("x:2")
    for f, point in ((x[0] ** 2 + x[1] ** 2, (0, 0)), (x[0] + x[1] ** 2, (1, 0))):  # eps = 1: cases 1) and 2)
        here = dict(zip(x, point, strict=True))
        slope = [sympy.diff(f, one).subs(here) for one in x]
        assert sum(abs(s) for s in slope) - sum(s * p for s, p in zip(slope, point, strict=True)) == 0
        assert not any(slope) or list(point) == [sympy.sign(s) for s in slope]
        assert f.subs({**here, x[1]: sympy.Rational(1, 2)}) > f.subs(here)


def averages(curvature, start, sigma, bias, T, smoothness):
    """The mean of E||grad L_S||^2 over T steps on sum(curvature theta^2) / 2, exactly: the mean and variance of theta.

    The step is Theorem 1's; the noise has variance ``sigma``^2 in all, and g-hat is off by ``bias``, uphill.
    """
    gap = curvature @ start**2 / 2
    eta = min(1 / smoothness, np.sqrt(gap / (smoothness * T)) / sigma)
    mean, variance, squares = start.copy(), np.zeros_like(start), []
    for _ in range(T):
        squares.append(curvature**2 @ (mean**2 + variance))
        off = bias * curvature * mean / max(np.linalg.norm(curvature * mean), 1e-300)
        mean = mean - eta * (curvature * mean - off)
        variance = (1 - eta * curvature) ** 2 * variance + eta**2 * sigma**2 / len(start)
    return np.mean(squares), gap


@pytest.mark.parametrize("T", [1, 10, 100, 1000])
@pytest.mark.parametrize("curvature", [1.0, 0.5, 0.1])
def test_theorem_1_misses_a_term(T, curvature):
    """L = 1; ``bias`` is L_theta,x sqrt(delta / mu), the most that Lemma 2 allows g-hat to be off."""
    diagonal, start = np.array([1.0, curvature]), np.array([3.0, 3.0])
    for sigma in (1e-6, 1e-3, 0.1, 1.0, 10.0):
        for bias in (0.0, 0.01, 1.0):
            measured, gap = averages(diagonal, start, sigma, bias, T, 1.0)
            slow = 4 * sigma * np.sqrt(gap / T)
            assert measured <= slow + 2 * gap / T + 2 * bias**2
            if sigma >= np.sqrt(gap / T):  # T >= L gap / sigma^2: the new term can be left out
                assert measured <= slow + 2 * bias**2
            if sigma <= 1e-3 and bias <= 0.01:
                assert measured > slow + 5 * bias**2


def test_the_cross_term_of_theorem_1():
    eta, smooth = sympy.symbols("eta L", positive=True)
    g, h = sympy.symbols("g:2", real=True), sympy.symbols("h:2", real=True)  # grad L_S and g-hat

    def inner(u, v):
        return sum(a * b for a, b in zip(u, v, strict=True))

    off = [a - b for a, b in zip(g, h, strict=True)]
    second_line = -eta * inner(g, g) + smooth * eta**2 / 2 * inner(h, h) + eta * inner(g, off)

    def third_line(factor):
        return (
            -eta * (1 - smooth * eta / 2) * inner(g, g) + factor * inner(g, off) + smooth * eta**2 / 2 * inner(off, off)
        )

    assert sympy.expand(second_line - third_line(eta * (1 - smooth * eta))) == 0
    printed = sympy.expand(second_line - third_line(eta * (1 - smooth * eta / 2)))
    assert sympy.expand(printed + smooth * eta**2 / 2 * inner(g, off)) == 0  # and this is not zero
    assert printed != 0
    # With 2 <g, e> <= |g|^2 + |e|^2 the mended line gives the step of the entry on Theorem 1, which implies (18).
    u, share = smooth * eta, sympy.Rational(1, 2)
    assert sympy.expand((1 - u / 2) - share * (1 - u) - share) == 0
    assert sympy.expand(share * (1 - u) + u - share * (1 + u)) == 0
    assert sympy.expand(share - share * (1 - u / 2)).is_positive and sympy.expand(3 * u / 2 - u).is_positive
