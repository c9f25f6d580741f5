"""The checks of the errata of the convergence paper: the printed form fails, the mended one holds."""

import numpy as np
import pytest


@pytest.mark.parametrize("T", [100, 1000])
@pytest.mark.parametrize("curvature", [1.0, 0.5, 0.1])
def test_theorem_1_misses_a_term(T, curvature):
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
