"""Closed forms, the exact counter, Newton on the sphere, and the geometry of the lemmas of Deng et al."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advnb.experiments import find
from advnb.models import TwoLayer
from advnb.papers import dynamics
from advnb.papers.dynamics import circle, sphere
from advnb.papers.dynamics.bounds import ball_bounds
from advnb.papers.dynamics.convergence import shrinking as convergence
from advnb.papers.dynamics.descent import first_stationary, join, on_sphere_mask
from advnb.papers.dynamics.lemmas.quantities import angle_scan, lipschitz_bound
from advnb.papers.dynamics.panels import trials as counts

F64 = torch.float64
PROBLEMS = [
    (d, m, eps, loss, convention)
    for d, m, eps in ((2, 16, 0.3), (3, 5, 2.0), (7, 40, 1.0))
    for loss in dynamics.SCALAR_LOSSES
    for convention in dynamics.CONVENTIONS
]


def problem_of(d, m, eps, loss="squared", convention="minus", seed=0, **extra):
    y = {"cross_entropy": 1.0}.get(loss, 0.4)
    return dynamics.draw(d, m, eps, seed=seed, y=y, loss=loss, convention=convention, **extra)


def autograd_objective(problem):
    """L as a function of one delta, written out from section 2 with torch's own softplus in float64."""

    def value(delta):
        z = problem.W @ (problem.x + delta)
        f = (problem.a * torch.nn.functional.softplus(z, threshold=60)).sum()
        r = f - problem.y
        if problem.loss == "squared":
            loss = r**2
        elif problem.loss == "cross_entropy":  # the paper's own formula (section 5.2)
            p = torch.exp(f) / (1 + torch.exp(f))
            loss = -problem.y * torch.log(p) - (1 - problem.y) * torch.log(1 - p)
        elif problem.loss == "welsch":
            loss = 1 - torch.exp(-(r**2) / 2)
        else:
            loss = torch.sqrt(1 + r**2) - 1
        return loss if problem.convention == "plus" else -loss

    return value


# closed forms against autograd


@pytest.mark.parametrize("case", PROBLEMS)
def test_derivatives_agree_with_autograd(case):
    problem = problem_of(*case)
    value = autograd_objective(problem)
    delta = dynamics.in_ball(problem, 5, seed=3)
    for i, point in enumerate(delta):
        grad = torch.autograd.functional.jacobian(value, point)
        hess = torch.autograd.functional.hessian(value, point)
        assert float((problem.objective(delta)[i] - value(point)).abs()) < 1e-10
        assert float((problem.gradient(delta)[i] - grad).abs().max()) < 1e-10
        assert float((problem.hessian(delta)[i] - hess).abs().max()) < 1e-10
        # lambda*, Gamma and Xi from their definitions in section 4
        dc = 2 * point
        best = torch.linalg.lstsq(dc.unsqueeze(-1), grad.unsqueeze(-1)).solution.squeeze()
        assert float((problem.multiplier(delta)[i] - best).abs()) < 1e-10
        assert float((problem.gamma(delta)[i] - (grad - best * dc)).abs().max()) < 1e-10
        eye = torch.eye(problem.d, dtype=F64)
        assert float((problem.xi(delta)[i] - (hess - 2 * best * eye)).abs().max()) < 1e-10


@pytest.mark.parametrize("case", PROBLEMS[:6])
def test_gamma_changes_as_equation_11_says(case):
    problem = problem_of(*case)
    delta = dynamics.on_sphere(problem, 1, seed=1)[0]
    jacobian = torch.autograd.functional.jacobian(lambda p: problem.gamma(p.unsqueeze(0))[0], delta)
    slope = torch.autograd.functional.jacobian(lambda p: problem.multiplier(p.unsqueeze(0))[0], delta)
    expected = problem.xi(delta.unsqueeze(0))[0] - torch.outer(2 * delta, slope)
    assert float((jacobian - expected).abs().max()) < 1e-10


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_problem_agrees_with_the_two_layer_net():
    net = TwoLayer(6, 30, activation="softplus", init="xavier", dtype=F64, generator=seeded(1))
    x = torch.randn(6, dtype=F64, generator=seeded(2))
    problem = dynamics.from_net(net, x, 0.5, 1.0)
    delta = dynamics.in_ball(problem, 9)
    assert torch.allclose(problem.f(delta), net(x + delta), rtol=0, atol=1e-12)
    assert torch.allclose(problem.f_gradient(delta), net.input_gradient(x + delta), rtol=0, atol=1e-12)
    assert torch.allclose(problem.f_hessian(delta), net.hessian(x + delta), rtol=0, atol=1e-12)


def test_a_stack_of_nets_gives_what_each_net_gives():
    problems = [problem_of(3, 8, 0.7, seed=seed) for seed in range(4)]
    both = dynamics.stack(problems)
    delta = torch.stack([dynamics.in_ball(p, 5, seed=i) for i, p in enumerate(problems)])
    for name in ("objective", "gradient", "hessian", "gamma", "xi", "xi_tangent"):
        together = getattr(both, name)(delta)
        for i, p in enumerate(problems):
            assert torch.allclose(together[i], getattr(p, name)(delta[i]), rtol=0, atol=1e-12)
    path = dynamics.pgd(both, delta, steps=20, step_size=0.05)
    for i, p in enumerate(problems):
        alone = dynamics.pgd(p, delta[i], steps=20, step_size=0.05)
        assert torch.allclose(path.delta.reshape(21, 4, 5, 3)[:, i], alone.delta, rtol=0, atol=1e-12)


def test_losses_bound_their_curvature_and_know_their_sign():
    f = torch.linspace(-30, 30, 2001, dtype=F64)
    for loss in dynamics.SCALAR_LOSSES.values():
        for y in (0.0, 1.0):
            target = torch.tensor(y, dtype=F64)
            curvature = loss.curvature(f, target)
            assert float(curvature.max()) <= loss.curvature_bound * (1 + 1e-15)
            assert float(curvature.max()) > 0.99 * loss.curvature_bound  # the bound is the best one
            assert torch.equal(loss.sign(f, target), torch.sign(loss.slope(f, target)))
            assert loss.touches_zero == bool(
                (loss.slope(f, target) == 0).any() | (loss.sign(f, target).diff() != 0).any()
            )


def test_tangent_basis_is_orthonormal_and_tangent():
    delta = dynamics.on_sphere(problem_of(5, 4, 0.3), 50)
    delta[0] = torch.tensor([0.3, 0, 0, 0, 0])
    delta[1] = -delta[0]
    basis = dynamics.tangent_basis(delta)
    assert torch.allclose(basis.mT @ basis, torch.eye(4, dtype=F64).expand(50, 4, 4), rtol=0, atol=1e-14)
    assert float((basis.mT @ delta.unsqueeze(-1)).abs().max()) < 1e-15


# the exact counter on the circle


def brute_force_minima(problem, n=200_000):
    value = problem.objective(dynamics.at_angle(problem, torch.arange(n, dtype=F64) * (2 * math.pi / n)))
    return int(((value < value.roll(1)) & (value <= value.roll(-1))).sum())


@pytest.mark.parametrize("loss", dynamics.SCALAR_LOSSES)
@pytest.mark.parametrize("convention", dynamics.CONVENTIONS)
@pytest.mark.parametrize("eps", [0.1, 2.0, 30.0])
def test_count_of_minima_agrees_with_brute_force(eps, convention, loss):
    for seed in range(6):
        problem = dynamics.draw(
            2, 16, eps, seed=seed, scale=eps / 3, y=1.0, loss=loss, convention=convention, inside=True
        )
        f = problem.f(dynamics.at_angle(problem, torch.arange(60.0, dtype=F64)))
        far = {"cross_entropy": f.max(), "welsch": (f - 1).abs().max() * 3}.get(loss, 0.0)
        if far > 15:
            continue  # the brute force, not the counter, is blind where the loss is flat to rounding
        assert dynamics.circle_points(problem).minima == brute_force_minima(problem), seed


def two_opposite_units(y, convention, eps=2.0):
    """f = softplus(z) + softplus(-z) with z the first coordinate: 2 log(2 cosh(z / 2)), even in z."""
    W = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=F64)
    return dynamics.Problem(
        W, torch.ones(2, dtype=F64), torch.zeros(2, dtype=F64), torch.tensor(y, dtype=F64), eps, "squared", convention
    )


def test_count_agrees_with_a_case_solved_by_hand():
    # f has minima at theta = pi/2 and 3 pi/2 (z = 0, f = 2 log 2) and maxima at 0 and pi (z = +-eps).
    low, high = 2 * math.log(2), 2 * math.log(2 * math.cosh(1.0))
    beyond = dynamics.circle_points(two_opposite_units(high + 1, "minus"))
    assert beyond.minima == 2 and not beyond.crosses
    assert beyond.theta[beyond.minimum].tolist() == pytest.approx([math.pi / 2, 3 * math.pi / 2], abs=1e-12)
    # y between: f = y where cosh(z / 2) = exp(y / 2) / 2, four crossings; all four extrema of f are minima of -l.
    y = 0.5 * (low + high)
    opening = math.acos(2 * math.acosh(math.exp(y / 2) / 2) / 2.0)
    crossings = sorted([opening, math.pi - opening, math.pi + opening, 2 * math.pi - opening])
    for convention, minima in (("minus", [0.0, math.pi / 2, math.pi, 3 * math.pi / 2]), ("plus", crossings)):
        found = dynamics.circle_points(two_opposite_units(y, convention))
        assert found.crosses and len(found.theta) == 8
        where = ((found.theta[found.minimum] + 1e-9) % (2 * math.pi)) - 1e-9
        assert sorted(where.tolist()) == pytest.approx(minima, abs=1e-9)
    # inside the ball, the minima of f at z = 0 lie on a flat line: none is left inwards; with y below f the
    # minima of +l at theta = pi/2 keep still, those of -l at z = +-eps point outwards
    assert dynamics.circle_points(two_opposite_units(low - 1, "minus")).ball_minima == 2


@given(seed=st.integers(0, 10_000), log_eps=st.floats(-2, 2.5), m=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_on_the_circle_both_conventions_have_as_many_minima(seed, log_eps, m):
    problem = dynamics.draw(2, m, 10**log_eps, seed=seed, scale=1.0, y=1.0)
    minus = dynamics.circle_points(problem)
    plus = dynamics.circle_points(problem.having(convention="plus"))
    assert torch.equal(minus.minimum, ~plus.minimum)
    for name in ("theta", "minimum", "value", "f", "crossing", "inward"):
        assert torch.equal(getattr(minus.reversed(), name), getattr(plus, name)), name
    assert minus.minima == plus.minima == len(minus.theta) // 2
    assert bool((minus.minimum != minus.minimum.roll(1)).all())  # minima and maxima alternate


def test_a_target_in_reach_adds_minima_at_any_radius():
    for eps in (1e-3, 1e-2, 0.1):
        far = dynamics.draw(2, 32, eps, seed=2, gap=1.0)
        near = far.having(y=far.f(torch.zeros(1, 2, dtype=F64))[0])  # y = f(x): crossed at every radius
        assert dynamics.count_minima(far) == 1
        assert dynamics.count_minima(near) == 2


def test_counter_refuses_other_dimensions():
    with pytest.raises(ValueError, match=r"one net with d = 2; got W of shape \(4, 3\)"):
        dynamics.circle_points(problem_of(3, 4, 1.0))
    flat = dynamics.Problem(
        torch.zeros(1, 2, dtype=F64),
        torch.ones(1, dtype=F64),
        torch.zeros(2, dtype=F64),
        torch.tensor(3.0, dtype=F64),
        1.0,
    )
    with pytest.raises(ValueError, match="constant on the circle"):
        dynamics.circle_points(flat)


def test_slope_and_bend_on_the_circle_are_derivatives_of_f():
    problem = problem_of(2, 12, 1.5)
    for theta in (0.1, 2.0, 5.5):
        t = torch.tensor(theta, dtype=F64, requires_grad=True)

        def f(angle):
            return problem.f(dynamics.at_angle(problem, angle.reshape(1)))[0]

        slope = torch.autograd.grad(f(t), t, create_graph=True)[0]
        bend = torch.autograd.grad(slope, t)[0]
        at = torch.tensor([theta], dtype=F64)
        assert float(circle.f_slope(problem, at)[0]) == pytest.approx(slope.item(), abs=1e-11)
        assert float(circle.f_bend(problem, at)[0]) == pytest.approx(bend.item(), abs=1e-11)


# Newton on the sphere


@pytest.mark.parametrize("d, eps", [(2, 0.5), (3, 0.5), (8, 1.0), (3, 10.0)])
@pytest.mark.parametrize("convention", dynamics.CONVENTIONS)
def test_newton_finds_critical_points_with_their_inertia(d, eps, convention):
    problem = dynamics.uncrossed(dynamics.draw(d, 64, eps, seed=1, convention=convention))
    census = dynamics.critical_points(problem, 60)
    points = census.points
    scale = float(problem.gradient(points.delta).norm(dim=-1).max())
    assert float(points.residual.max()) < 1e-10 * max(1.0, scale)
    assert torch.allclose(points.delta.norm(dim=-1), torch.full((census.count,), eps, dtype=F64), rtol=1e-12)
    assert {0, d - 1} <= set(points.index.tolist())
    for delta, index in zip(points.delta, points.index.tolist(), strict=True):
        # inertia from finite displacements along the sphere, not from Xi
        basis = dynamics.tangent_basis(delta.unsqueeze(0))[0]

        def value(u, delta=delta, basis=basis):
            moved = delta + 1e-3 * eps * basis @ u
            return float(problem.objective((eps * moved / moved.norm()).unsqueeze(0))[0])

        eye = torch.eye(d - 1, dtype=F64)
        second = torch.tensor(
            [[value(a + b) - value(a - b) - value(b - a) + value(-a - b) for b in eye] for a in eye], dtype=F64
        )
        assert int((torch.linalg.eigvalsh(second) < 0).sum()) == index


def test_newton_reaches_1e_12_in_absolute_terms():
    problem = dynamics.draw(6, 300, 0.1, seed=3)
    found = dynamics.newton(problem, dynamics.on_sphere(problem, 20))
    assert bool(found.converged.all()) and float(found.residual.max()) <= 1e-12


def test_descent_on_the_sphere_never_climbs_and_ends_at_minima():
    problem = dynamics.draw(4, 30, 20.0, seed=0, y=1.0)
    start = dynamics.on_sphere(problem, 40)
    end = dynamics.descend_sphere(problem, start)
    assert bool((problem.objective(end) <= problem.objective(start)).all())
    assert bool((sphere.describe(problem, end).eigenvalues[:, 0] > -1e-9).all())


def test_multi_start_count_agrees_with_the_exact_one_on_the_circle():
    for seed in range(12):
        problem = dynamics.uncrossed(dynamics.draw(2, 12, 8.0, seed=seed))
        exact = dynamics.circle_points(problem)
        census = dynamics.minima(problem, 200)
        assert census.count == exact.minima and census.lost == 0
        angles = torch.atan2(census.points.delta[:, 1], census.points.delta[:, 0]) % (2 * math.pi)
        assert angles.sort().values.tolist() == pytest.approx(exact.theta[exact.minimum].tolist(), abs=1e-7)


# projected gradient descent


def test_pgd_is_the_papers_iteration():
    problem = problem_of(3, 8, 0.5)
    start = dynamics.in_ball(problem, 4)
    path = dynamics.pgd(problem, start, steps=7, step_size=0.3)
    delta = start
    for t in range(7):
        assert torch.allclose(path.delta[t], delta, rtol=0, atol=1e-14)
        delta = delta - 0.3 * problem.gradient(delta)
        delta = delta * (problem.eps / delta.norm(dim=-1, keepdim=True)).clamp_max(1.0)
    assert torch.allclose(path.end, delta, rtol=0, atol=1e-14)
    assert torch.allclose(path.value[-1], problem.objective(path.end))
    expected = problem.eps * problem.gradient(delta).norm(dim=-1) + (problem.gradient(delta) * delta).sum(-1)
    assert torch.allclose(path.gap[-1], expected, atol=1e-12)
    first = dynamics.pgd(problem, start, steps=3, step_size=0.3)
    second = dynamics.pgd(problem, first.end, steps=4, step_size=0.3)
    assert torch.equal(join(first, second).delta, path.delta)


def test_pgd_at_constant_step_does_not_stop_at_root_eta():
    problem = dynamics.draw(4, 128, 0.2, seed=0)
    eta = 0.3 * problem.eps**2
    path = dynamics.pgd(problem, dynamics.in_ball(problem, 8), steps=1500, step_size=eta)
    stop = first_stationary(problem, path, math.sqrt(eta))
    assert bool((stop > 0).all()) and bool(on_sphere_mask(problem, path.end).all())
    assert float(problem.gamma(path.end).norm(dim=-1).max()) < 1e-12
    for t, row in zip(stop.tolist(), range(8), strict=True):
        before = problem.gamma(path.delta[:, row]).norm(dim=-1) <= math.sqrt(eta)
        assert not bool((before & on_sphere_mask(problem, path.delta[:, row]))[:t].any())


def test_pgd_refuses_a_start_outside_and_bad_steps():
    problem = problem_of(3, 4, 0.5)
    with pytest.raises(ValueError, match=r"start must lie in the ball of radius 0.5; it reaches norm 0.6"):
        dynamics.pgd(problem, torch.tensor([[0.6, 0.0, 0.0]], dtype=F64), steps=1, step_size=0.1)
    with pytest.raises(ValueError, match="step_size must be a finite number above 0"):
        dynamics.pgd(problem, torch.zeros(1, 3, dtype=F64), steps=1, step_size=0.0)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        dynamics.pgd(problem, torch.zeros(1, 3, dtype=F64), steps=0, step_size=0.1)


def test_remark_3_schedule_meets_condition_3_and_lemma_a8s_other_one_need_not():
    for beta, z in ((0.1, 5), (3.0, 2), (40.0, 100)):
        assert dynamics.schedule_condition(dynamics.shrinking(beta, z), beta) <= 1 + 1e-12
    assert dynamics.schedule_condition(lambda s: 1 / (s + 50), 1.0) > 1.5  # gamma < 2: condition (12) fails
    assert dynamics.schedule_condition(lambda s: 1 / (s + 50), 2.5) <= 1


# the geometry of Lemmas 4.2, A.3, A.4


points = st.integers(0, 2**31 - 1)


@given(seed=points, d=st.integers(2, 12), log_ratio=st.floats(-4, 1.5), eps=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=200, deadline=None)
def test_mended_lemma_4_2_holds_for_every_direction_and_length(seed, d, log_ratio, eps):
    problem = problem_of(d, 2, eps)
    delta = dynamics.on_sphere(problem, 64, seed=seed)
    step = 10**log_ratio * dynamics.on_sphere(problem, 64, seed=seed + 1)
    step[:8] = -(10**log_ratio) * delta[:8]  # straight in
    step[8:16] = 10**log_ratio * delta[8:16]  # straight out
    error = dynamics.projection_error(problem, delta, step)
    assert bool((error <= dynamics.mended_bound(problem, delta, step) * (1 + 1e-9) + 1e-12 * eps).all())
    outward = (step * delta).sum(-1) >= 0  # there the printed constant 4 is more than enough
    assert bool((error <= dynamics.printed_bound(problem, step) * (1 + 1e-9) + 1e-12 * eps)[outward].all())


def test_printed_lemma_4_2_fails_inwards():
    problem = problem_of(3, 2, 1.0)
    delta = dynamics.on_sphere(problem, 1)
    step = -0.1 * delta  # eta = 0.1, v = -delta / eps
    assert float(dynamics.projection_error(problem, delta, step)) == pytest.approx(0.1)
    assert float(dynamics.printed_bound(problem, step)) == pytest.approx(0.04)


@given(seed=points, d=st.integers(2, 12))
@settings(max_examples=100, deadline=None)
def test_lemmas_a3_and_a4(seed, d):
    problem = problem_of(d, 2, 0.7)
    terms = dynamics.chord_terms(
        problem, dynamics.on_sphere(problem, 64, seed=seed), dynamics.on_sphere(problem, 64, seed=seed + 1)
    )
    assert torch.allclose(terms.normal, terms.half_square, atol=1e-12)  # Lemma A.3 holds with equality
    near = terms.relative < math.sqrt(2)
    assert bool((terms.normal <= terms.tangent**2 / 0.7 + 1e-12)[near].all())
    assert bool((terms.cross <= terms.relative + 1e-12).all())


def test_lemma_a3s_printed_second_bound_fails():
    problem = problem_of(2, 2, 1.0)
    terms = dynamics.chord_terms(
        problem,
        dynamics.at_angle(problem, torch.tensor([0.5], dtype=F64)),
        dynamics.at_angle(problem, torch.tensor([0.0], dtype=F64)),
    )
    assert float(terms.relative) < 1
    assert float(terms.normal) > float(terms.normal**2)  # ||P_c|| <= ||P_c||^2 / eps is false


def test_cross_term_is_the_worst_direction():
    problem = problem_of(4, 2, 1.0)
    delta, other = dynamics.on_sphere(problem, 30, seed=1), dynamics.on_sphere(problem, 30, seed=2)
    terms = dynamics.chord_terms(problem, delta, other)
    v = torch.randn(5000, 30, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    v = dynamics.tangent_part(delta, v)
    v = v / v.norm(dim=-1, keepdim=True)
    seen = dynamics.normal_part(other, v).norm(dim=-1).amax(0)
    assert bool((seen <= terms.cross + 1e-12).all()) and bool((seen >= 0.98 * terms.cross).all())


# lemmas 4.3, 4.4, theorem 5.1


def test_gamma_is_the_sine_of_the_angle_and_lemma_4_3_needs_both_sides():
    scan = angle_scan(problem_of(5, 60, 0.2))
    assert torch.allclose(scan.gamma, (1 - scan.cosine**2).clamp_min(0).sqrt() * scan.grad_L, atol=1e-7)
    facing = scan.cosine <= -0.9  # satisfies "cosine <= beta" for every beta, and yet Gamma is small
    assert bool(facing.any()) and float(scan.gamma[facing].min()) < 0.1 * float(scan.grad_L.min())


@pytest.mark.parametrize("d", [2, 3, 8])
def test_lemma_4_4_holds_for_plus_and_is_reversed_for_minus(d):
    for convention, sign in (("plus", 1), ("minus", -1)):
        scan = angle_scan(dynamics.draw(d, 200, 0.05, seed=0, convention=convention))
        near = scan.cosine.abs() > 0.5
        assert bool(near.any()) and bool((sign * scan.definite_tangent[near] > 0).all())


@pytest.mark.parametrize("d", [2, 3, 6])
def test_certificate_means_one_minimum_and_one_maximum(d):
    certified = 0
    for seed in range(8):
        for eps in (0.3, 1.0, 3.0):
            problem = dynamics.uncrossed(dynamics.draw(d, 64, eps, seed=seed))
            if ball_bounds(problem).single:
                certified += 1
                census = dynamics.critical_points(problem, 60)
                assert sorted(census.points.index.tolist()) == [0, d - 1]
    assert certified >= 5


def test_lipschitz_bound_holds_and_uncrossed_is_out_of_reach():
    problem = problem_of(3, 10, 5.0)
    delta = dynamics.in_ball(problem, 2000)
    assert float(problem.f_gradient(delta).norm(dim=-1).max()) <= lipschitz_bound(problem)
    assert float(problem.f(delta).max()) < float(dynamics.uncrossed(problem).y)


# bad input


def test_problem_refuses_what_does_not_fit():
    good = problem_of(3, 4, 1.0)
    with pytest.raises(ValueError, match="eps must be a finite number above 0; got -1"):
        good.having(eps=-1.0)
    with pytest.raises(ValueError, match="convention must be one of 'minus', 'plus'; got 'max'"):
        good.having(convention="max")
    with pytest.raises(ValueError, match="loss must be one of 'cross_entropy', 'pseudo_huber', 'squared'"):
        good.having(loss="hinge")
    with pytest.raises(ValueError, match=r"W must have the shape .* got \(4, 3\)"):
        good.having(x=torch.zeros(2, dtype=F64))
    with pytest.raises(ValueError, match=r"y must have one entry a net, shape \(\); got \(2,\)"):
        good.having(y=torch.zeros(2, dtype=F64))
    with pytest.raises(ValueError, match="y must be 0 or 1 for the cross entropy"):
        good.having(loss="cross_entropy", y=torch.tensor(0.3, dtype=F64))
    with pytest.raises(ValueError, match="must share eps, loss and convention"):
        dynamics.stack([good, good.having(eps=2.0)])
    with pytest.raises(ValueError, match="d must be at least 2; got 1"):
        dynamics.draw(1, 4, 1.0, seed=0)
    with pytest.raises(ValueError, match="scale must be a finite number above 0; got 0"):
        dynamics.draw(2, 4, 1.0, seed=0, scale=0)
    relu = TwoLayer(3, 4, dtype=F64)
    with pytest.raises(ValueError, match="net must use the softplus activation of section 2; got 'relu'"):
        dynamics.from_net(relu, torch.zeros(3), 1.0, 1.0)
    biased = TwoLayer(3, 4, activation="softplus", bias=True, dtype=F64)
    with pytest.raises(ValueError, match="net must have no biases"):
        dynamics.from_net(biased, torch.zeros(3), 1.0, 1.0)


# fits and experiments


def test_every_experiment_runs_its_smallest_trial_and_repeats_it():
    experiments = find("advnb.papers.dynamics").values()
    takes = {one.name: inspect.signature(one.trial).parameters for one in experiments}
    declared = [one for one in experiments if "dtype" not in takes[one.name] and "live" in one.scales]
    assert len(declared) >= 11
    for experiment in declared:
        trial = experiment.trials("live")[0]
        first = experiment.trial(**trial.params, seed=trial.seed, device="cpu")
        again = experiment.trial(**trial.params, seed=trial.seed, device="cpu")
        assert first == again, experiment.name
        assert not set(first) & set(trial.params), experiment.name


def test_shrinking_rate_follows_the_linearised_exponent():
    for ratio in (2.0, 8.0):
        result = convergence.shrinking_rate(d=3, m=64, eps=0.3, beta_ratio=ratio, seed=0)
        assert result["slope"] == pytest.approx(-4 / ratio, rel=0.1)
        assert result["constant"] < result["final"]  # the step that does not shrink is ahead


def test_shrinking_rate_does_not_begin_where_no_trajectory_has_arrived():
    """Step 0 is not where one that never arrives has arrived."""
    problem = {"d": 3, "m": 64, "eps": 0.01, "beta_ratio": 2.0, "seed": 0}
    with pytest.raises(RuntimeError, match=r"3 of 3 starts have not arrived after 250 steps: .* limit is 1$"):
        convergence.shrinking_rate(**problem, limit=1)


def test_escape_stalls_where_the_residual_vanishes_and_only_in_the_minus_convention():
    def slopes(convention):
        return [counts.escape(scale=100.0, ratio=10.0, convention=convention, seed=s)["slope"] for s in range(6)]

    assert sorted(slopes("minus"))[2] < 0.01 and min(slopes("plus")) > 0.5


def test_pictures_show_the_counted_points():
    from matplotlib.figure import Figure

    from advnb.papers.dynamics.landscape.drawings import profile
    from advnb.papers.dynamics.panels.drawings import panel

    problem = dynamics.draw(2, 16, 10.0, seed=0, scale=1.0, y=1.0)
    for draw in (panel, profile):
        ax = Figure().subplots()
        points = draw(ax, problem)
        shown = {line.get_label(): len(line.get_xdata()) for line in ax.get_lines()}
        assert shown["local minimum of L"] == points.minima == dynamics.count_minima(problem)
        assert shown["local maximum of L"] == len(points.theta) - points.minima
