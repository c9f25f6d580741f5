"""The checks of the errata of the lazy paper: the printed form fails, the mended one holds."""

from math import asin, exp, inf, log, pi, sqrt

import numpy as np
import pytest
import sympy
from scipy.integrate import quad
from scipy.special import betainc
from scipy.stats import binom, chi, chi2, norm

from advnb.papers.lazy.bounds import chaining, mended, printed, uniform

GAMMA = 0.05


def test_section_3_gradient_of_the_linear_model():
    d = 4
    w, x = sympy.symbols(f"w:{d}", positive=True), sympy.symbols(f"x:{d}", positive=True)
    plain = sum(a * b for a, b in zip(w, x, strict=True))
    as_printed = plain / sympy.sqrt(d)
    assert [sympy.diff(as_printed, b) for b in x] == [a / sympy.sqrt(d) for a in w] != list(w)
    assert [sympy.diff(plain, b) for b in x] == list(w)


@pytest.mark.parametrize("d", [10**2, 10**4, 10**6])
def test_section_3_weights_that_move_each_resist(d):
    start, x, c = np.random.default_rng(0).normal(size=d), np.full(d, d**-0.5), 1.0

    def shortest_flip(w):
        return abs(w @ x) / np.linalg.norm(w)

    each = shortest_flip(start + c * np.sign(x))
    assert each > 0.6  # c / sqrt(1 + c^2) = 0.71 in the limit, whatever d
    together = shortest_flip(start + c * x * np.sign(start @ x))
    most = (abs(start @ x) + c) / (np.linalg.norm(start) - c)
    assert together <= most < 5 / sqrt(d)


def test_theorem_31_needs_a_constant_step():
    length, share, ratio = sympy.symbols("length share ratio", positive=True)  # ratio: f / norm of the gradient
    # The gradient changes by the share `share * length` of its norm within `length`: the printed step, with the
    # numerator mended, solves length = 2 ratio / (1 - share * length).
    equation = sympy.expand(length * (1 - share * length) - 2 * ratio)
    assert sympy.discriminant(equation, length) == 1 - 8 * share * ratio  # no step at all beyond 1/8
    # With the printed numerator a linear f, whose gradient is constant, is left by a step of length 2.
    value, slope = sympy.symbols("value slope", positive=True)
    assert sympy.simplify(2 * value / (1 - (slope - value) / slope) / slope) == 2

    rng = np.random.default_rng(0)
    for _ in range(200):
        g, most, d = rng.normal(size=6), rng.uniform(0.5, 3), 6
        here, c2 = most * rng.uniform(0.01, 1), 4 * most
        h = rng.normal(size=(d, d))
        h = (h + h.T) * (g @ g) / (2 * c2 * np.linalg.norm(h + h.T, 2))  # at most half the norm within c2 / |g|
        delta = -c2 * g / (g @ g)
        assert here + g @ delta + delta @ h @ delta / 2 < 0


def test_equation_2_needs_as_many_squares_as_its_logarithm():
    def failures(m, t):
        width = 4 * np.sqrt(m * t)
        return chi2.sf(m + width, m) + chi2.cdf(m - width, m)

    for m in (1, 2, 5, 10):
        assert failures(m, 40 * m) > 1e3 * 2 * np.exp(-40 * m)
    for m in (1, 2, 5, 10, 100, 1000):
        t = np.linspace(log(2), m, 50) if m > 1 else np.linspace(log(2), 1, 50)
        assert np.all(failures(m, t) <= 2 * np.exp(-t))


@pytest.mark.parametrize("d", [25, 100, 784])
@pytest.mark.parametrize("m", [10**4, 10**6])
def test_the_second_set_of_lemma_b4_is_a_share_of_all_units(d, m):
    shift, radius = 1 / sqrt(d), 1 / sqrt(m)
    switched = betainc(0.5, (d - 1) / 2, shift**2)  # |<w, x>| < R |w|, as a share of the sphere
    assert switched > 0.6
    assert binom.cdf(printed.sign_flips_nearby(m, radius, shift), m, switched) < 1e-6
    one_delta = mended.sign_flips_at(m, radius)  # |<w, x + delta>| <= V |x + delta|
    assert one_delta <= printed.sign_flips(m, radius)
    assert binom.sf(one_delta, m, 2 * norm.cdf(radius) - 1) <= printed.GAMMA


def flips_nearby(d, radius, eps, length):
    """The left side of (4), exactly, for ||x + delta|| = length: the angle to the hyperplane, over all norms of w."""

    def given(r):
        angle = min(pi / 2, asin(eps / length) + asin(min(1.0, radius / r)))
        return chi.pdf(r, d) * betainc(0.5, (d - 1) / 2, np.sin(angle) ** 2)

    return quad(given, 0, sqrt(d) + 10, points=[radius], limit=200)[0]


def test_lemma_b6_holds_by_another_proof():
    tau = np.array([1e-3, 0.01, 0.1])
    assert np.all(norm.cdf(tau, scale=0.5) - norm.cdf(-tau, scale=0.5) > tau)  # variance 1/4, at delta = -x/2
    assert np.all(norm.cdf(tau, scale=0.5**0.5) - norm.cdf(-tau, scale=0.5**0.5) > tau)  # and at 1/2, too
    assert chi2.sf(2 + 4 * sqrt(2 * log(2e6)), 2) > 1e-6  # equation (2) at d = 2, eps = 1e-6

    for d in (2, 10, 784):
        for radius in (0.0, 0.03, 1.0):
            for shift in (0.0, 0.2, 0.5):
                for eps in (1e-6, 1e-3, 0.15):
                    bound = mended.flip_probability_nearby(d, radius, shift, eps)
                    assert flips_nearby(d, radius, eps, 1 - shift) <= bound * (1 + 1e-6)
                    assert bound <= printed.flip_probability_nearby(d, radius, shift, eps)
    larger = np.linspace(0.15, 1, 50)
    assert np.all([printed.flip_probability_nearby(1, 0, 0, eps) > 1 for eps in larger])  # and it grows with d


def test_the_last_equality_of_lemma_b6_is_an_inequality():
    d, eps = np.meshgrid(np.geomspace(1, 1e8, 40), np.geomspace(1e-12, 1, 40))
    root = np.sqrt(d * np.log(2 / eps))
    left, right = 1 + np.sqrt(d + 4 * root), 2 * (np.sqrt(d) + 2 * root)
    assert np.all(left < 0.6 * right)


@pytest.mark.parametrize("d", [5, 20])
@pytest.mark.parametrize("m", [10**8, 10**10])
def test_weights_that_choose_which_units_flip_break_equation_7(d, m):
    c0, rng = 1.0, np.random.default_rng(0)
    k = rng.binomial(m, 2 * norm.cdf(c0 / sqrt(m)) - 1)
    along = rng.normal(size=k)  # of a_s P w_s, s in S, along one direction: W flips those that point forwards
    taken = along[along > 0].sum() / sqrt(m)
    assert taken == pytest.approx(c0 / pi, rel=0.1)
    assert printed.switched(d, m, c0) < 0.6 * taken
    assert taken < mended.switched(d, m, c0)


@pytest.mark.parametrize("m", [10**3, 10**5])
def test_lemma_b7_fails_in_small_dimensions(m):
    """Units that are on move against the gradient across x, so that none of them flips."""
    d, c0, short = 49, 10.0, 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        w, a = rng.normal(size=(m, d)), rng.choice([-1.0, 1.0], m)
        on = w[:, 0] > 0  # x is the first unit vector
        across = a[on] @ w[on] / sqrt(m) * (np.arange(d) > 0)
        size = min(c0, np.linalg.norm(across) / on.mean()) / sqrt(m)
        w[on] -= size * np.outer(a[on], across / np.linalg.norm(across))
        assert size <= c0 / sqrt(m) and np.array_equal(w[:, 0] > 0, on)
        short += np.linalg.norm(a[on] @ w[on] / sqrt(m)) < sqrt(d) / 4
    assert short >= 4


def test_lemma_b7_holds_in_large_dimensions():
    c0 = 10
    best = {d: np.sqrt(d / 2) - c0 for d in (478, 479)}  # the bound's limit as the width grows
    assert best[478] < np.sqrt(478) / 4
    assert best[479] >= np.sqrt(479) / 4
    for c0 in (0.1, 1, 10, 100):
        for gamma in (0.5, GAMMA, 1e-4, 1e-10):
            least = 2000 * max(c0**2, log(1 / gamma), 1)
            for d in least * np.array([1, 10, 1e4]):
                assert all(mended.gradient(d, m, c0, gamma) >= sqrt(d) / 4 for m in least * np.array([1, 10, 1e6]))
    # For all C0 and gamma: over sqrt(d) each term is monotone in d and m, and at the least sizes, 2000 times n, it is
    # at most this, as C0^2, log(4/gamma) / (1 + log 4) and log(8/gamma) / (1 + log 8) are at most n.
    t, t8 = (1 + log(4)) / 2000, (1 + log(8)) / 2000
    start = sqrt((0.5 - sqrt(2 * t) - t) * (1 - 5 * sqrt(t8)))
    flips = 1 / sqrt(2000) + sqrt(t / 2)
    assert start - 1 / sqrt(2000) - flips / sqrt(2 * pi) - sqrt(flips) * (1 + sqrt(2 * t)) > 0.25


@pytest.mark.parametrize("m", [10**3, 10**5, 10**7])
def test_lemma_b8_needs_the_factor_two(m):
    exceeds = -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(np.log(m / GAMMA)))))
    assert exceeds > 0.5
    assert -np.expm1(m * np.log1p(-2 * norm.sf(np.sqrt(2 * np.log(m / GAMMA))))) <= GAMMA


def test_the_variance_in_the_bernstein_step_of_lemma_b8():
    R, d, m, q = sympy.symbols("R d m q", positive=True)
    root = sympy.sqrt(sympy.log(d))
    moments = m * 2**q * sympy.sqrt(2 * R * sympy.sqrt(2) * root)  # without q!/2
    needed = moments / 2 ** (q - 2)  # v c^(q-2) with c = 2
    ratio = sympy.simplify((needed / (4 * m * sympy.sqrt(R * root))) ** 2)
    assert ratio == 2 * sympy.sqrt(2) > 1  # the printed v is too small for these moments
    for power in range(2, 60):  # the true moments of a standard normal variable, squared to stay exact
        true, allowed = sympy.factorial2(2 * power - 1), 3 * sympy.factorial(power) ** 2 * 4 ** (power - 3)
        assert true <= allowed  # (q!/2)^2 2^(2q-4) = q!^2 4^(q-3)
        assert 2 * power + 1 <= 4 * (power + 1) ** 2  # so it goes on for all larger powers
    shift = np.geomspace(0.26, 1e3, 50)  # R sqrt(log d) d
    assert np.all(np.sqrt(3 * (np.sqrt(2) * shift + 1)) <= 4 * np.sqrt(shift))
    assert np.sqrt(3 * (np.sqrt(2) * 0.25 + 1)) > 4 * np.sqrt(0.25)


def test_lemma_b8_one_point_on_many_hyperplanes():
    d, m, count = 200, 4000, 100
    shift, radius = 1 / sqrt(d), 0.01 / sqrt(m)
    w = np.random.default_rng(0).normal(size=(m, d))
    near = w[np.argsort(np.abs(w[:, 0]))[:count]]  # x is the first unit vector
    delta = np.linalg.lstsq(near, -near[:, 0], rcond=None)[0]
    u = delta + np.eye(d)[0]
    assert np.linalg.norm(delta) < shift and np.abs(near @ u).max() < 1e-9
    touched = int((np.abs(w @ u) <= radius * np.linalg.norm(u)).sum())  # W can flip these at this delta
    assert touched >= count > printed.sign_flips_nearby(m, radius, shift)
    eps = 0.25 * radius / (sqrt(d) + sqrt(2 * log(2 * m / GAMMA)))
    union = log(2 / GAMMA) + d * log(1 + 2 * shift / eps)
    width = radius * (1 + (0.25 + eps) / (1 - shift))
    assert touched <= m * chaining.share(sqrt(2 / pi) * width, union / m) < 2 * d * log(m)


def lengths(d, log_m):
    """The bound on all ||w_{s,0}|| over sqrt(d), at gamma / 8."""
    return np.sqrt(1 + 4 * np.sqrt((log(8 / GAMMA) + log_m) / d))


def chain(d, log_m, c0, gamma, constant):
    """The three lines that end the proof of Lemma B.9, at C1 = 1; ``constant`` stands where C-bar C0 is printed."""
    log_md, t, narrow, shift = log_m + log(d), log(4 / gamma), exp(-log_m / 2), d**-0.5
    root = sqrt(log_m + 2 * narrow * log(8 / gamma))
    net = 2 * d * (log(10) + 4 / 7 * log_md) + t
    longest = sqrt(d + 4 * sqrt(d * (log(8 / gamma) + log_m)))
    first = (4 * shift * sqrt(log(d))) ** 0.25
    one = 2 * sqrt(net) * (first + sqrt(net) * narrow) + c0 + 3 * sqrt(narrow * (c0 + sqrt(t / 2))) * longest
    one += 5 * (c0 + sqrt(t)) * (sqrt(t + log_m) + 3) + 226 * constant * root
    one += (
        exp(log_m / 2 - 4 / 7 * log_md) * sqrt(d + 4 * sqrt(d * (log(1 / gamma) + log_m))) + exp(-4 / 7 * log_md) * c0
    )
    two = 6 * sqrt(d * log_md) * (first + sqrt(6 * d * log_md) * narrow) + 50 * d**0.25 + 227 * constant * root
    three = 9 * (d**2 * log_md**2 * sqrt(log(d) / d)) ** 0.25 + 15 * d * log_md * narrow + 327 * constant * d**0.25
    return one, two, three


def test_lemmas_b8_and_b9_need_large_dimensions():
    for d in (10, 100, 784):
        assert lengths(d, 10.0 * d) > 3
        assert lengths(d, d - log(8 / GAMMA)) <= 3
    for c1 in (2.0, 5.0):  # |<delta, w>| <= C1 |w| / sqrt(d), and |w| is about sqrt(d)
        assert c1 * lengths(1e4, log(1e4)) > 1.1 * lengths(1e4, log(1e4))
        assert c1 * lengths(1e4, log(1e4)) <= 3 * c1
    for c0 in (1.0, 10.0):
        _, two, three = chain(100.0, 50.0, c0, GAMMA, c0 * c0)  # d >= log(4/gamma)^2, and log m = 5 sqrt(d)
        assert log(4 / GAMMA) ** 2 < 100 and two > three


def test_lemma_b9_has_the_square_of_a_constant():
    def sums(m, d, c0, gamma=GAMMA):
        """The left side of the last inequality about subsets of units over the root on its right."""
        c = max(1.0, c0)
        left = sqrt(44 * c / sqrt(m)) * sqrt(88 * c * sqrt(m) * log(m) + 2 * log(8 / gamma))
        return (left + sqrt(44 * c * d / sqrt(m)) + 44 * c * c0 / sqrt(m)) / sqrt(log(m) + 2 / sqrt(m) * log(8 / gamma))

    for m in (58.0, 1e3, 1e6, 1e12, 1e40):
        for d in (1.0, m ** (1 / 2.4)):
            assert all(sums(m, d, c0) > 113 * max(1.0, c0) * c0 for c0 in (0.01, 0.1, 0.3))
            assert all(sums(m, d, c0) <= 113 * max(1.0, c0) ** 2 for c0 in (0.01, 0.1, 0.5, 1.0, 10.0, 100.0))
    _, two, three = chain(1e3, 2.4 * log(1e3), 0.01, GAMMA, 0.01)
    assert two > three  # the printed constant does not absorb the term 50 d^(1/4) either
    for d in np.geomspace(22, 1e10, 12):  # yet the printed bound stands: it is above one that another proof gives
        for log_m in (2.4 * log(d), 4 * log(d), min(sqrt(d), 300.0)):
            m, c0 = exp(max(log_m, 2.4 * log(d))), 0.01
            assert uniform.gradient_change(d, m, c0).total < printed.gradient_change(d, m, c0).total


@pytest.mark.parametrize("gamma", [0.5, GAMMA, 1e-10])
@pytest.mark.parametrize("c0", [0.01, 1.0, 10.0, 100.0])
def test_the_end_of_lemma_b9_follows_when_mended(gamma, c0):
    tried = 0
    for d in np.geomspace(20, 1e9, 30):
        most = sqrt(d) - log(4 / gamma)  # d >= log(4m/gamma)^2
        least = max(log(58), 2.4 * log(d))
        for log_m in np.linspace(least, most, 8) if most > least else ():
            one, two, three = chain(d, log_m, c0, gamma, max(1.0, c0) ** 2)
            assert one <= two <= three < inf
            tried += 1
    assert tried > 100


def test_lemma_b9_step_fails_and_a_weaker_one_suffices():
    d = np.arange(2, 1_000_000, dtype=float)
    root, logarithm = d**1.2, 3.4 * np.log(d)  # sqrt(m) and log(md) at m = d^2.4
    fails = d[root < 0.33 * d * logarithm]
    assert (fails[0], fails[-1]) == (4, 839_820)
    assert len(fails) == 839_820 - 4 + 1
    assert np.all(root >= 0.096 * d * logarithm)
    assert 44 * np.log(np.e / 4) < -16.99
    assert 2.3 / (8 + 16.99 - 1) < 0.096  # of -8 and -16.99 square roots, one must remain


def test_corollary_32_speaks_of_the_infimum():
    robust = np.zeros((1, 1, 10))  # (draw of the start, weights in its ball, inputs): 1 where the input can be flipped
    losses = np.concatenate([robust, np.ones((1, 1, 10))], axis=1)
    assert losses.max(axis=1).mean(axis=0).min() == 1  # the printed premise, with gamma = 0
    assert losses.mean(axis=2).max(axis=1) == 1  # what the printed chain concludes
    assert losses.mean(axis=2).min(axis=1) == 0  # what the corollary says is at least 0.9

    rng = np.random.default_rng(0)
    for share in rng.uniform(0.9, 1, 300):
        losses = (rng.uniform(size=(40, 5, 12)) < share ** (1 / 5)).astype(float)
        gamma = 1 - losses.min(axis=1).mean(axis=0).min()
        assert np.mean(losses.mean(axis=2).min(axis=1) < 0.9) <= 10 * gamma + 1e-12
