"""Bounds over the ball: against sympy, scipy's optimisers, dense sweeps and points drawn at random."""

import math

import numpy as np
import pytest
import scipy.optimize
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advnb.papers import dynamics
from advnb.papers.dynamics import bounds

F64 = torch.float64

nets = st.builds(
    lambda d, m, log_eps, scale, seed: dynamics.draw(d, m, 10.0**log_eps, seed=seed, scale=scale),
    st.sampled_from([2, 3, 7]),
    st.integers(1, 40),
    st.floats(-3, 2.5),
    st.sampled_from([0.01, 1.0, 30.0]),
    st.integers(0, 10_000),
)


def spectral(problem, delta):
    return torch.linalg.matrix_norm(problem.f_hessian(delta), ord=2)


def best(problem, objective, starts=8):
    """The largest value of ``objective(delta)`` on the ball that scipy's SLSQP finds from several starts."""
    begin = torch.cat((dynamics.in_ball(problem, starts, seed=5), dynamics.on_sphere(problem, starts, seed=6)))
    inside = {"type": "ineq", "fun": lambda t: problem.eps**2 - t @ t}
    found = []
    for start in begin.numpy():
        end = scipy.optimize.minimize(
            lambda t: -objective(torch.from_numpy(t)), start, method="SLSQP", constraints=[inside]
        ).x
        found.append(objective(torch.from_numpy(end * min(1.0, problem.eps / max(np.linalg.norm(end), 1e-300)))))
    return max(found)


# the formulas


def test_higher_derivatives_of_softplus_are_polynomials_in_the_second():
    z = sympy.symbols("z", real=True)
    s = 1 / (1 + sympy.exp(-z))
    p = sympy.diff(s, z)
    third, fourth = sympy.diff(p, z), sympy.diff(p, z, 2)
    assert sympy.simplify(third**2 - p**2 * (1 - 4 * p)) == 0
    assert sympy.simplify(fourth - p * (1 - 6 * p)) == 0


@given(low=st.floats(0, 0.25), high=st.floats(0, 0.25))
@settings(max_examples=100, deadline=None)
def test_sizes_over_an_interval_dominate_a_sweep_of_it(low, high):
    low, high = sorted((low, high))
    p = torch.linspace(low, high, 2001, dtype=F64)
    ends = torch.tensor([low], dtype=F64), torch.tensor([high], dtype=F64)
    for size, value in (
        (bounds._third_size, p * (1 - 4 * p).clamp_min(0).sqrt()),
        (bounds._fourth_size, (p * (1 - 6 * p)).abs()),
    ):
        assert float(value.max()) <= float(size(*ends)) <= float(value.max()) + 1e-5


# domination


@given(problem=nets, seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_bounds_dominate_whatever_is_sampled(problem, seed):
    found = bounds.ball_bounds(problem)
    delta = torch.cat((dynamics.in_ball(problem, 100, seed=seed), dynamics.on_sphere(problem, 100, seed=seed)))
    hessian, size, f = problem.f_hessian(delta), problem.f_gradient(delta).norm(dim=-1), problem.f(delta)
    change = torch.linalg.matrix_norm(hessian[1:] - hessian[:-1], ord=2) / (delta[1:] - delta[:-1]).norm(dim=-1)
    assert float(spectral(problem, delta).max()) <= found.hessian
    assert float(change.max()) <= found.hessian_lipschitz * (1 + 1e-6)  # of a difference of close points
    assert found.gradient_low <= float(size.min()) and float(size.max()) <= found.gradient_high
    assert found.output_low <= float(f.min()) and float(f.max()) <= found.output_high


@pytest.mark.parametrize(
    ("d", "m", "eps", "seed"), [(2, 16, 0.5, 0), (2, 16, 5.0, 1), (3, 40, 2.0, 2), (5, 30, 1.0, 3)]
)
def test_bounds_dominate_what_scipy_finds_and_the_search_finds_as_much(d, m, eps, seed):
    problem = dynamics.draw(d, m, eps, seed=seed)
    found, searched = bounds.ball_bounds(problem), bounds.optimised(problem)
    largest = best(problem, lambda t: float(spectral(problem, t.unsqueeze(0))))
    smallest = -best(problem, lambda t: -float(problem.f_gradient(t.unsqueeze(0)).norm()))
    assert largest <= found.hessian and searched.hessian <= found.hessian
    assert found.gradient_low <= min(smallest, searched.gradient)
    assert searched.hessian >= 0.995 * largest and searched.gradient <= 1.005 * smallest + 1e-9


def test_one_unit_through_the_origin_is_bounded_exactly():
    W, a = torch.tensor([[3.0, 4.0]], dtype=F64), torch.tensor([2.0], dtype=F64)
    problem = dynamics.Problem(W, a, torch.zeros(2, dtype=F64), torch.tensor(1.0, dtype=F64), 0.1)
    found = bounds.ball_bounds(problem)
    assert found.hessian == pytest.approx(2 * 25 / 4, rel=1e-6)  # at delta = 0
    steep = 2 * 5 / (1 + math.exp(5 * 0.1))  # softplus' at the far side
    assert found.gradient_low <= steep <= found.gradient_high and found.gradient_low > 0.9 * steep


def test_the_certificate_is_the_condition_and_the_target_is_checked():
    problem = dynamics.draw(4, 50, 0.3, seed=0)
    found = bounds.ball_bounds(problem)
    assert found.single == (found.eps * found.hessian < found.gradient_low) == (found.contraction < 1)
    f = float(problem.f(torch.zeros(1, 4, dtype=F64)))
    assert not found.excludes(f) and found.excludes(f + 100)


# pieces


@pytest.mark.parametrize("seed", range(4))
def test_the_quartic_bound_dominates_a_sweep_of_directions_and_beats_the_plain_eigenvalue(seed):
    problem = dynamics.draw(3, 200, 1.0, seed=seed)
    u = dynamics.on_sphere(problem, 200_000)
    largest = float((problem.a.abs() @ ((problem.W @ u.T) ** 4)).max())
    squares = bounds._squares(problem.W)
    assert torch.allclose(squares @ squares.T, (problem.W @ problem.W.T) ** 2)
    bound = bounds._quartic(squares, problem.a.abs())
    plain = float(torch.linalg.eigvalsh((squares * problem.a.abs().unsqueeze(-1)).mT @ squares)[-1])
    assert largest <= bound <= plain


@pytest.mark.parametrize("eps", [0.05, 0.7, 3.0])
@pytest.mark.parametrize("d", [2, 6])
def test_the_least_linear_gradient_is_that_of_scipy(d, eps):
    draws = torch.Generator().manual_seed(d)
    g, h = torch.randn(d, generator=draws, dtype=F64), torch.randn(d, d, generator=draws, dtype=F64)
    h = (h + h.T) / 2
    problem = dynamics.draw(d, 4, eps, seed=0)
    smallest = -best(problem, lambda t: -float((g + h @ t).norm()))
    found = bounds._least_linear(g, h, eps)
    assert found <= smallest + 1e-9 and found >= 0.995 * smallest - 1e-3


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_proved_extrema_are_those_of_a_dense_sweep(scale):
    theta = torch.linspace(0, 2 * math.pi, 400_001, dtype=F64)[:-1]
    for seed in range(4):
        for eps in (0.1, 3.0, 30.0):
            problem = dynamics.draw(2, 16, eps, seed=seed, scale=scale)
            up = torch.diff(problem.f(eps * torch.stack((theta.cos(), theta.sin()), -1)), append=theta[:1]) > 0
            up[-1] = up[-2]  # the last difference goes round
            assert bounds.proved_extrema(problem) == int((up != up.roll(1)).sum())


def test_proving_gives_up_rather_than_guess():
    problem = dynamics.draw(2, 16, 30.0, seed=0)
    assert bounds.proved_extrema(problem, halvings=1) is None
    assert bounds.proved_extrema(problem, budget=1) is None
    off = problem.having(W=problem.W.abs(), x=torch.tensor([-1e5, -1e5], dtype=F64), eps=1.0)
    assert bounds.proved_extrema(off) is None  # every unit is off: f is 0 to float precision


# the certificate


@pytest.mark.parametrize("d", [2, 3, 6])
def test_where_the_certificate_holds_there_is_one_minimum_one_maximum_and_nothing_else(d):
    for seed in range(6):
        problem = dynamics.uncrossed(dynamics.draw(d, 64, 1.0, seed=seed))
        radius = bounds.certified_radius(problem)
        assert radius > 0.1
        problem = dynamics.uncrossed(problem.having(eps=radius))
        assert sorted(dynamics.critical_points(problem, 60).points.index.tolist()) == [0, d - 1]
        if d == 2:
            theta = torch.linspace(0, 2 * math.pi, 20_001, dtype=F64)[:-1]
            value = problem.objective(radius * torch.stack((theta.cos(), theta.sin()), -1))
            assert int(((value < value.roll(1)) & (value < value.roll(-1))).sum()) == 1
            assert bounds.proved_extrema(problem) == 2


@given(problem=nets)
@settings(max_examples=25, deadline=None)
def test_the_radius_is_where_the_condition_ends_and_no_search_contradicts_it(problem):
    radius = bounds.certified_radius(problem)
    if 0 < radius < 1e5:
        expansion = bounds.expand(problem)
        assert expansion.bounds(radius).single and not expansion.bounds(radius * 1.001).single
        assert expansion.bounds(radius / 3).single
        assert bounds.optimised(problem.having(eps=radius), 6, steps=10).single(radius)
        delta = torch.cat([points(problem.having(eps=radius), 32) for points in (dynamics.in_ball, dynamics.on_sphere)])
        assert radius * spectral(problem, delta).max() < problem.f_gradient(delta).norm(dim=-1).min()


def test_a_net_that_is_too_large_for_squares_is_bounded_all_the_same():
    problem = dynamics.draw(bounds.LARGEST_SQUARE + 1, 200, 0.5, seed=0)
    found, searched = bounds.ball_bounds(problem), bounds.optimised(problem)
    assert searched.hessian <= found.hessian and found.gradient_low <= searched.gradient


# bad input


def test_what_is_refused():
    stacked = dynamics.stack([dynamics.draw(2, 4, 1.0, seed=s) for s in range(2)])
    with pytest.raises(
        ValueError, match=r"problem must be one net, with W of shape \(m, d\); got W of shape \(2, 4, 2\)"
    ):
        bounds.expand(stacked)
    with pytest.raises(ValueError, match=r"problem must be one net with d = 2; got W of shape \(5, 3\)"):
        bounds.proved_extrema(dynamics.draw(3, 5, 1.0, seed=0))
    problem = dynamics.draw(2, 4, 1.0, seed=0)
    with pytest.raises(ValueError, match="eps must be"):
        bounds.expand(problem).bounds(0.0)
    with pytest.raises(ValueError, match=r"high must be more than low = 1; got 0\.5"):
        bounds.certified_radius(problem, low=1.0, high=0.5)
    with pytest.raises(ValueError, match="starts must be"):
        bounds.optimised(problem, 2)
