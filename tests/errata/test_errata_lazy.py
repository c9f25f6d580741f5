"""The checks of the errata of the lazy paper: the printed form fails, the mended one holds."""

import numpy as np
import pytest
from scipy.stats import norm


def test_lemma_b7_says_nothing_in_small_dimensions():
    c0 = 10
    best = {d: np.sqrt(d / 2) - c0 for d in (478, 479)}  # the bound's limit as the width grows
    assert best[478] < np.sqrt(478) / 4
    assert best[479] >= np.sqrt(479) / 4


@pytest.mark.parametrize("m", [10**3, 10**5, 10**7])
def test_lemma_b8_needs_the_factor_two(m):
    gamma = 0.05
    exceeds = -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(np.log(m / gamma)))))
    assert exceeds > 0.5
    assert -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(2 * np.log(m / gamma))))) <= gamma


def test_lemma_b9_step_fails_and_a_weaker_one_suffices():
    d = np.arange(2, 1_000_000, dtype=float)
    root, logarithm = d**1.2, 3.4 * np.log(d)  # sqrt(m) and log(md) at m = d^2.4
    fails = d[root < 0.33 * d * logarithm]
    assert (fails[0], fails[-1]) == (4, 839_820)
    assert len(fails) == 839_820 - 4 + 1
    assert np.all(root >= 0.096 * d * logarithm)
    assert 44 * np.log(np.e / 4) < -16.99
    assert 2.3 / (8 + 16.99 - 1) < 0.096  # of -8 and -16.99 square roots, one must remain
