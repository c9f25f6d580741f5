"""The checks of the errata of the dynamics paper: the printed form fails, the mended one holds."""

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize_scalar


def project(point, radius):
    """Nearest point of the ball around the origin."""
    return point * min(1.0, radius / np.linalg.norm(point))


def unit(v):
    return v / np.linalg.norm(v)


def angle(u, v):
    """Angle between two vectors, exact also where it is small."""
    u, v = unit(u), unit(v)
    return 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))


def tangent(delta, v):
    """The part of v tangent to the sphere at delta."""
    normal = unit(delta)
    return v - (v @ normal) * normal


def circle(eps, n=720):
    """Points (n, 2) of the circle."""
    theta = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return eps * np.stack((np.cos(theta), np.sin(theta)), -1)


# Section 4: where minima and maxima are


def test_section_4_descent_leaves_the_weakest_adversary():
    """L linear: its gradient is parallel to the normal at both poles."""
    gradient, eps, eta = np.array([0.6, 0.8]), 0.5, 0.05
    strongest, weakest = -eps * unit(gradient), eps * unit(gradient)
    for pole, moves in ((strongest, 0.0), (weakest, eta)):
        assert np.linalg.norm(tangent(pole, gradient)) < 1e-15
        assert np.linalg.norm(project(pole - eta * gradient, eps) - pole) == pytest.approx(moves, abs=1e-15)


@pytest.mark.parametrize("y, cosine", [(-5.0, 1.0), (5.0, -1.0)])
def test_section_4_sets_change_places_with_the_sign_of_y_minus_f(y, cosine):
    """Printed: minima of L = -(y - f)^2 have cosine +1. So for y < f only."""
    slope = np.array([0.6, 0.8])
    points = circle(1.0)
    best = points[np.argmin(-((y - points @ slope) ** 2))]
    assert unit(best) @ slope == pytest.approx(cosine, abs=1e-4)
    assert (cosine > 0) == (y < (points @ slope).min())


# Lemma 4.2 and equation (5): one step


def distance_to_tangent_step(start, step):
    """Left side of Lemma 4.2 at the point ``start`` of the sphere: projected step against step along the tangent."""
    return np.linalg.norm(project(start + step, np.linalg.norm(start)) - start - tangent(start, step))


@pytest.mark.parametrize("eta", [1e-3, 1e-2, 0.1])
def test_lemma_42_fails_inwards_and_holds_where_the_step_ends_outside(eta):
    rng, eps = np.random.default_rng(0), 0.5
    outside = 0
    for _ in range(500):
        start, step = (unit(v) for v in rng.normal(size=(2, 6)))
        start, step = eps * start, eta * step
        error = distance_to_tangent_step(start, step)
        assert error <= max(eta**2 / (np.sqrt(3) * eps), -step @ start / eps) + 1e-15
        if np.linalg.norm(start + step) >= eps:
            outside += 1
            assert error <= eta**2 / (np.sqrt(3) * eps) + 1e-15 < 4 * eta**2 / eps
        inwards = distance_to_tangent_step(start, -eta * start / eps)
        assert inwards == pytest.approx(eta)
        assert inwards > 4 * eta**2 / eps
    assert outside > 100


def test_lemma_42_is_a_sum_of_squares_and_its_constant_the_best():
    """In units of eps the step ends at distance 1 + t and lands at an angle of cosine 1 - k."""
    t, k, a = sp.symbols("t k a", positive=True)
    cosine, rho = 1 - k, 1 + t
    square = (rho * cosine - 1) ** 2 + rho**2 * (1 - cosine**2)
    error = (cosine - 1) ** 2 + (1 - rho) ** 2 * (1 - cosine**2)
    parts = (t**2 - k) ** 2 + 4 * t**3 * k + (8 * t + 7 * t**2) * k**2
    assert sp.expand(square**2 - 3 * error - parts) == 0
    ratio = sp.limit((error / square**2).subs(k, a * t**2), t, 0)
    assert sp.simplify(ratio - (a**2 + 2 * a) / (1 + 2 * a) ** 2) == 0
    assert ratio.subs(a, 1) == sp.Rational(1, 3) and sp.solve(sp.diff(ratio, a), a) == [1]


@pytest.mark.parametrize("length", [1e-3, 0.1, 1.0, 3.0])
def test_lemma_42_by_brute_force_in_the_plane(length):
    """The worst direction of a given length, by an optimiser: never above the constant, and near it for short steps."""

    def ratio(theta):
        start, step = np.array([1.0, 0.0]), length * np.array([np.cos(theta), np.sin(theta)])
        if np.linalg.norm(start + step) < 1:
            return 0.0  # the step ends inside: the error is the inward part, exactly
        return np.sqrt(3) * distance_to_tangent_step(start, step) / length**2

    grid = np.linspace(0, np.pi, 20_001)
    values = [ratio(theta) for theta in grid]
    best = int(np.argmax(values))
    found = minimize_scalar(lambda x: -ratio(x), bounds=(grid[best - 1], grid[best + 1]), method="bounded")
    assert max(values) <= -found.fun + 1e-9 and -found.fun <= 1 + 1e-9
    assert -found.fun > 0.999 if length == 1e-3 else -found.fun < 1
    inside = np.array([-0.3 * length, 0.0])
    if length < 1:
        assert distance_to_tangent_step(np.array([1.0, 0.0]), inside) == pytest.approx(0.3 * length)


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_equation_5_needs_the_gradient_and_a_step_that_ends_outside(size):
    eps, eta = 1.0, 1e-3
    start = np.array([eps, 0.0])
    worst = 0.0
    for theta in np.linspace(0, np.pi, 721):
        gradient = size * np.array([np.cos(theta), np.sin(theta)])
        error = distance_to_tangent_step(start, -eta * gradient)
        outside = np.linalg.norm(start - eta * gradient) >= eps
        assert error <= max(eta**2 * size**2 / (np.sqrt(3) * eps), eta * gradient @ start / eps) + 1e-15
        assert not outside or error <= 4 * eta**2 * size**2 / eps
        worst = max(worst, error if outside else 0.0)
    assert (worst > 4 * eta**2 / eps) == (size == 10)  # as printed, without the square of the gradient
    inwards = distance_to_tangent_step(start, -eta * np.array([size, 0.0]))
    assert inwards == pytest.approx(eta * size)
    assert inwards > 4 * eta**2 * size**2 / eps  # with it: the gradient points outwards, the step inwards


# Lemmas 4.3 and 4.4: gradient and curvature on the sphere


def test_lemma_43_needs_the_absolute_value():
    beta, eps = 0.5, 0.3
    slope = np.array([1.0, 2.0, -2.0])
    opposite = -eps * unit(slope)
    assert unit(slope) @ unit(opposite) <= beta  # the printed condition
    assert np.linalg.norm(tangent(opposite, slope)) < 1e-12 < np.sqrt(1 - beta**2) * np.linalg.norm(slope)
    rng, met = np.random.default_rng(0), 0
    for _ in range(300):
        delta = eps * unit(rng.normal(size=3))
        if abs(unit(slope) @ unit(delta)) <= beta:
            met += 1
            assert np.linalg.norm(tangent(delta, slope)) >= np.sqrt(1 - beta**2) * np.linalg.norm(slope)
    assert met > 50


def signed_xi(delta, y, slope, bend, sign):
    """sgn((y - f) delta . df) Xi at L = sign (y - f)^2, for f = slope . delta + delta . bend delta / 2."""
    f, df = slope @ delta + delta @ bend @ delta / 2, slope + bend @ delta
    gradient = -sign * 2 * (y - f) * df
    hessian = sign * (2 * np.outer(df, df) - 2 * (y - f) * bend)
    multiplier = delta @ gradient / (2 * delta @ delta)
    return np.sign((y - f) * (delta @ df)) * (hessian - 2 * multiplier * np.eye(len(delta)))


@pytest.mark.parametrize("y", [-3.0, 3.0])
@pytest.mark.parametrize("end", [-1, 1])
def test_lemma_44_has_the_sign_of_the_other_loss(y, end):
    """At both poles, for y on either side: with L = -(y - f)^2 the signed Xi is below 0, with + it is above."""
    rng, eps = np.random.default_rng(0), 0.05
    slope, bend = np.array([1.0, -0.5, 0.3]), rng.normal(size=(3, 3))
    bend = bend + bend.T
    delta = end * eps * unit(slope)
    eigenvalues = {sign: np.linalg.eigvalsh(signed_xi(delta, y, slope, bend, sign)) for sign in (-1, 1)}
    assert eigenvalues[-1].max() < -1 / eps < 0  # mended: at most -gamma, with gamma of the order of 1 / eps
    assert eigenvalues[1].min() > 1 / eps  # the printed sign belongs to the loss of the appendix
    assert unit(slope + bend @ delta) @ unit(delta) * end > 0.9  # the lemma is needed where the cosine is -1 too


# Lemma 4.5: the sets


def steps(delta, gradient, eta, count):
    """Projected gradient descent."""
    path, eps = [delta], 300.0
    for _ in range(count):
        path.append(project(path[-1] - eta * gradient(path[-1]), eps))
    return path


def test_lemma_45_second_half_does_not_follow_from_6():
    """softplus(z) - softplus(-z) = z: three units, f = d1 - 0.1 d2 + softplus(k d2) / sqrt(3) and y = -900."""
    eps, eta, k = 300.0, 0.01, 0.2 * np.sqrt(3)

    def f_gradient(delta):
        return np.array([1.0, -0.1 + 0.2 / (1 + np.exp(-k * delta[1]))])

    def f(delta):
        return delta[0] - 0.1 * delta[1] + np.logaddexp(0, k * delta[1]) / np.sqrt(3)

    def gradient(delta):  # of L = -(y - f)^2
        return 2 * (-900 - f(delta)) * f_gradient(delta)

    floor = 900 - np.log(2) / np.sqrt(3) - eps * np.sqrt(1.01)  # |f| <= f(0) + eps sup |df|, and |df| >= 1
    x = np.sqrt(eta) / floor
    assert 2 * np.arctan(0.1) + np.arcsin(x) <= np.pi / 4  # (6), at every pair of points
    path = steps(np.array([0.95 * eps, 0.003]), gradient, eta, 60)
    turned = np.array([angle(-gradient(delta), delta) for delta in path])
    surface = np.array([np.linalg.norm(delta) > eps * (1 - 1e-12) for delta in path])
    for opening in (np.arccos(1 - x), np.arcsin(x)):
        inside = surface & (turned <= opening)
        first = int(np.argmax(inside))
        assert inside[first] and not inside[first:].all()  # it arrives, and leaves


def test_lemma_45_second_half_follows_from_a_contraction():
    """f = b . d + d . A d / 2, where sup |d2f| = |A| and inf |df| >= |b| - eps |A|: the angle never grows."""
    rng, eps, grown = np.random.default_rng(0), 1.0, 0
    for case in range(1000):
        d = int(rng.integers(2, 6))
        slope, bend = unit(rng.normal(size=d)), rng.normal(size=(d, d))
        bend = bend + bend.T
        ratio = 0.5 if case % 2 else 3.0  # eps |A| <= |b| - eps |A|, or not
        bend *= ratio / (eps * np.linalg.norm(bend, 2))
        delta = eps * unit(rng.normal(size=d))
        push = slope + bend @ delta
        landed = delta + 10 ** rng.uniform(-3, 1) * push
        if np.linalg.norm(landed) < eps:
            continue
        landed = project(landed, eps)
        growth = angle(slope + bend @ landed, landed) - angle(push, delta)
        assert ratio > 0.5 or growth <= 1e-12
        grown += growth > 1e-12
    assert grown > 20  # without it, it can


def test_condition_6_must_hold_in_the_ball():
    """f = 10 times the first coordinate after a twist of the disc: its gradient is constant on the circle only."""

    def f(delta):
        twist = np.pi * (1 - delta @ delta) ** 2
        return 10 * (np.cos(twist) * delta[0] - np.sin(twist) * delta[1])

    def f_gradient(delta, h=1e-6):
        return np.array([(f(delta + h * e) - f(delta - h * e)) / (2 * h) for e in np.eye(2)])

    eta, y = 0.01, -30.0
    assert max(angle(f_gradient(p), np.array([1.0, 0.0])) for p in circle(1.0, 60)) < 1e-4
    disc = [r * p for r in np.linspace(0, 1, 21) for p in circle(1.0, 60)]
    lowest = min(np.linalg.norm(f_gradient(p)) for p in disc)
    x = np.sqrt(eta) / (20 * 0.9 * lowest)  # |y - f| >= 20; the gradient vanishes nowhere, since a twist keeps areas
    assert lowest > 1 and 1e-4 + np.arcsin(x) <= np.pi / 4  # (6) on the sphere
    start = np.array([0.01, -0.01])
    landed = project(start + 2 * eta * (f(start) - y) * f_gradient(start), 1.0)
    assert angle(f_gradient(landed), landed) > np.pi - np.arccos(1 - x)  # and yet next to the maximum of L


def test_condition_6_in_the_ball_keeps_every_step_from_the_maxima():
    """A step that ends outside the ball lands within 90 degrees of its direction, from anywhere in the ball."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        start = rng.uniform() ** 0.3 * unit(rng.normal(size=3))
        push = unit(rng.normal(size=3)) * 10 ** rng.uniform(-2, 1)
        if np.linalg.norm(start + push) > 1:
            assert angle(project(start + push, 1.0), push) < np.pi / 2
    for x in np.linspace(0, np.sin(np.pi / 4), 500):  # and (6) leaves room for both definitions of the sets
        cone = np.pi / 4 - np.arcsin(x)
        assert max(cone + np.arccos(1 - x), cone + np.arcsin(x)) <= np.pi / 2 + 1e-12


def test_the_two_sets_of_one_name_differ_and_6_bounds_the_smaller():
    for x in np.linspace(0.01, 0.99, 99):
        assert 1 - x < np.sqrt(1 - x**2)
    x = np.sin(np.pi / 4)  # (6) with parallel gradients: twice the half-angle must be at most 90 degrees
    assert 2 * np.arccos(np.sqrt(1 - x**2)) <= np.pi / 2 + 1e-12 < 2 * np.arccos(1 - x)


# A.1 and A.3


def test_a1_step_size_lacks_a_factor_two():
    """With |df| small the Hessian of L is 2 |y - f| d2f: the printed bound on 1 / eta is half of what is needed."""
    U, M, B = 3.0, 2.0, 0.1
    needed = max(
        np.linalg.norm(2 * np.outer(df, df) - 2 * r * bend, 2)
        for r in (-U, U)
        for bend in (M * np.diag([1.0, -1.0]), M * np.eye(2))
        for df in (np.zeros(2), np.array([B, 0]), np.array([0, B]))
    )
    assert M * U + 2 * B**2 < needed <= 2 * M * U + 2 * B**2 + 1e-12


def test_a1_width_must_be_large_against_d_to_the_seven_halves():
    rng = np.random.default_rng(0)
    for d in (2, 8, 32):
        white = rng.normal(size=(4000, d))
        third = np.mean(np.linalg.norm(white, axis=1) ** 3)
        assert third >= np.mean(np.linalg.norm(white, axis=1) ** 2) ** 1.5  # Jensen, and the mean square is d

    def remainder(d, m):
        return d**0.25 * d**1.5 / np.sqrt(m)

    sizes = np.array([4.0, 16.0, 64.0, 256.0])
    assert (np.diff(remainder(sizes, sizes**2.5)) > 0).all()  # printed: it grows with d
    assert np.ptp(remainder(sizes, sizes**3.5)) < 1e-12  # mended: it does not, and falls for anything above
    assert 1 - 4 * np.exp(-11 / 8) < 0 < 1 - 4 * np.exp(-12 / 8)  # with c = 1


def test_a3_dominating_term_must_exceed_the_sum():
    """|y - f| = L = 1, and the three terms as the printed inequality allows: equal."""
    bend, slope = np.eye(2), np.array([1.0, 0.0])
    for radial, dominates in ((1.0, False), (2.0 + 1e-9, True)):
        assert radial >= max(np.linalg.norm(bend, 2), slope @ slope)  # printed
        xi = 2 * radial * np.eye(2) - 2 * bend - 2 * np.outer(slope, slope)
        assert (np.linalg.eigvalsh(xi).min() > 0) == dominates


# A.5


def test_a5_xi_grows_as_one_over_the_radius():
    """f linear, so that its Hessian, and with it the printed bound, is zero."""
    slope, y = np.array([0.6, 0.8]), 2.0
    for eps in (1.0, 0.1, 0.01):
        delta = eps * slope
        xi = signed_xi(delta, y, slope, np.zeros((2, 2)), -1)
        U, M, B = y + eps, 0.0, 1.0
        assert M < np.linalg.norm(xi, 2) <= 2 * U * (M + B / eps) + 2 * B**2
        assert np.linalg.norm(xi, 2) > 1 / eps


def test_a5_descent_as_printed_needs_a_sixteenth_and_the_sharp_constant_does_not():
    """The first two terms at |Gamma| = sqrt(eta) and |dL| = 1, with the error C eta^2 / eps of Lemma 4.2."""
    eta, eps, C = sp.symbols("eta epsilon C", positive=True)
    terms = -(eta**2) + sp.sqrt(eta) * C * eta**2 / eps
    assert sp.solve(terms, eta) == [eps**2 / C**2]
    printed, sharp = (terms.subs({C: c, eps: 1}) for c in (4, 1 / sp.sqrt(3)))
    assert printed.subs(eta, sp.Rational(1, 17)) < 0 < printed.subs(eta, sp.Rational(1, 15))
    assert printed.subs(eta, 1) > 0 > sharp.subs(eta, 1)  # at the paper's eta = eps^2
    assert sharp.subs(eta, sp.Rational(29, 10)) < 0 < sharp.subs(eta, sp.Rational(31, 10))


def test_a5_descent_below_two_over_the_smoothness_whatever_the_radius():
    """L a quadratic with eigenvalues up to 3: descent at any radius below 2/3, far above eps^2 / 16, and not beyond."""
    rng, most = np.random.default_rng(0), 3.0
    hessian, slope = np.diag([most, -1.0, 0.5]), np.array([0.3, -0.2, 0.1])

    def loss(z):
        return 0.5 * z @ hessian @ z + slope @ z

    def rise(eps, eta):
        starts = [eps * unit(v) * rng.uniform() ** (1 / 3) for v in rng.normal(size=(400, 3))]
        return max(loss(project(z - eta * (hessian @ z + slope), eps)) - loss(z) for z in starts)

    for eps in (0.1, 1.0, 3.0):
        assert 1.9 / most > eps**2 / 16
        assert rise(eps, 1.9 / most) <= 0
    assert rise(3.0, 2.5 / most) > 0


def test_lemma_a6_normal_part_is_of_first_order_and_cancels():
    """L = -d1 + c (d1 - 1) d2 has a minimum of the circle at (1, 0); t is the tangent there."""
    d1, d2, c, alpha = sp.symbols("delta_1 delta_2 c alpha", real=True)
    point = sp.Matrix([d1, d2])
    loss = -d1 + c * (d1 - 1) * d2
    gradient = sp.Matrix([loss.diff(d1), loss.diff(d2)])
    multiplier = (point.T * gradient)[0] / (2 * (point.T * point)[0])
    gamma, xi = gradient - multiplier * 2 * point, sp.hessian(loss, (d1, d2)) - 2 * multiplier * sp.eye(2)
    normal_map = -2 * point * sp.Matrix([[multiplier.diff(d1), multiplier.diff(d2)]])
    here = {d1: 1, d2: 0}
    t = sp.Matrix([0, 1])
    assert gamma.subs(here) == sp.zeros(2, 1) and sp.simplify(gamma.jacobian(point) - xi - normal_map) == sp.zeros(2)
    moved = (normal_map.subs(here) * alpha * t).norm()
    assert sp.simplify(moved - abs(alpha * c)) == 0  # first order: 4 alpha^2 / eps times any constant is less, soon
    assert (normal_map + xi).subs(here) * t == sp.Matrix([0, 1])  # mended: it cancels the normal part of Xi t
    assert (xi.subs(here) * t) == sp.Matrix([c, 1])


def test_lemmas_a6_and_a7_need_one_constant_and_a_small_eta_over_eps_to_the_fourth():
    eta, gamma = 1e-4, 1.0
    for c in (1.0, 3.0):
        after = np.sqrt(1 - gamma * eta) * c * np.sqrt(eta)  # the step of A.7, its small terms left out
        assert after <= c * np.sqrt(eta)  # the same c
        assert (after <= np.sqrt(eta)) == (c == 1)  # as printed
    for eps in (0.1, 0.01):  # the proof of A.6, with |Xi| of the order of 1 / eps and alpha = sqrt(eta)

        def left(alpha, eps=eps):
            return gamma * alpha - 4 * alpha**2 / eps * (1 / eps)

        assert left(np.sqrt(eps**2)) < gamma * eps / 2  # at eta = eps^2, which Theorem 3.1 allows
        assert left(np.sqrt(eps**4 / 64)) >= gamma * np.sqrt(eps**4 / 64) / 2 * (1 - 1e-9)


def test_radius_exponent_of_one_is_enough():
    """A.3 asks for phi B / eps >= M log m; A.1 for eps <= lambda (log m)^(-1/2). The constants are 1."""
    logarithm = np.log(np.logspace(1, 30, 60))
    for exponent, enough in ((0.5, False), (1.0, True), (2.0, True)):
        eps = logarithm**-exponent
        assert (1 / eps >= logarithm * (1 - 1e-12)).all() == enough
        assert (eps <= logarithm**-0.5 * (1 + 1e-12)).all()
    assert (logarithm**-2 < 0.5 * logarithm**-1).all()  # the printed radius of Theorem 3.1 is smaller without need


# Lemmas A.3 and A.8


def test_lemma_a3_bounds_the_normal_part_by_the_tangent_part():
    rng, eps = np.random.default_rng(1), 0.7
    broken = 0
    for _ in range(500):
        start, end = (eps * v / np.linalg.norm(v) for v in rng.normal(size=(2, 4)))
        step, normal = end - start, start / eps
        if np.linalg.norm(step) < eps:
            along = abs(step @ normal)
            assert along <= np.linalg.norm(tangent(start, step)) ** 2 / eps + 1e-12
            broken += along > along**2 / eps + 1e-12
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


def test_lemma_a8_induction_closes_by_condition_12():
    eta, gamma = sp.symbols("eta gamma", positive=True)
    top = 18 * eta / gamma
    assert sp.expand((1 - gamma * eta) * top + 9 * eta**2 - (1 - gamma * eta / 2) * top) == 0

    def step(distance, rate):
        return (1 - rate) * distance + 9 * rate**2  # gamma = 1

    halved = step(18 * 0.1, 0.1)  # eta_s = 0.1, eta_(s + 1) = 0.05: (12) fails
    assert 18 * 0.05 < halved <= 18 * 0.1  # printed, the induction is not closed by eta_s on the right
    for rates in (2 / np.arange(60.0, 400.0), np.full(300, 0.02), 0.5 * np.arange(100.0, 400.0) ** -0.6):
        assert (rates[:-1] * (1 - rates[:-1] / 2) <= rates[1:] * (1 + 1e-12)).all()  # (12) at k = 0
        for factor in (1.0, 4.0):  # and from further out the same factor stays
            distance = 18 * rates[0] * factor
            for now, after in itertools.pairwise(rates):
                distance = step(distance, now)
                assert distance <= 18 * factor * after * (1 + 1e-12)


# Section 5 and appendix B


def test_theorem_51_what_lies_between_two_minima_is_a_saddle():
    """x^2 + 2 y^2 + 3 z^2 on the sphere: minima at both ends of x, and no maximum on the lowest path between them."""
    form = np.diag([1.0, 2.0, 3.0])

    def index(axis, d):  # negative curvatures of the form along the sphere at an axis
        return int((np.delete(np.diag(form)[:d], axis) < form[axis, axis]).sum())

    assert index(0, 3) == 0
    assert index(1, 3) == 1 < 2  # on the lowest path: a saddle
    assert index(1, 2) == 1 == 2 - 1  # on the circle: a maximum, as printed
    path = np.array([[np.cos(t), np.sin(t), 0] for t in np.linspace(0, np.pi, 201)])
    heights = np.einsum("ni,ij,nj->n", path, form, path)
    assert heights.max() == pytest.approx(2) and heights.max() < np.diag(form).max()


def test_section_52_cross_entropy_has_other_properties():
    f = np.linspace(-40, 40, 8001)
    p = 1 / (1 + np.exp(-f))
    assert (np.log1p(np.exp(-f)) > 0).all()  # with y = 1 the loss is zero nowhere, so also not at y = f
    assert np.log1p(np.exp(-1.0)) > 0.3
    assert (p * (1 - p)).max() == pytest.approx(0.25) and (p * (1 - p) <= 0.25).all()
    assert np.abs(p - 1)[-1] < 1e-15  # right with a large margin: no positive lower bound


def test_b1_radius_is_larger_than_the_texts():
    """x uniform in the ball of radius ``scale``, as B.1 has it: the mean norm is d / (d + 1) of the scale."""
    r, d, scale = sp.symbols("r d s", positive=True)
    mean = sp.integrate(r * d * r ** (d - 1) / scale**d, (r, 0, scale))
    assert sp.simplify(mean - scale * d / (d + 1)) == 0
    assert sp.simplify((scale / mean).subs(d, 2)) == sp.Rational(3, 2)  # Figure 1 is drawn in two dimensions
    assert sp.simplify(scale - mean) != 0 and sp.limit(scale / mean, d, sp.oo) == 1
