"""The quantities of the lemmas against oracles of other kinds, and what the pictures of their page show."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.papers import dynamics
from advnb.papers.dynamics import lemmas
from advnb.papers.dynamics.bounds import ball_bounds
from advnb.papers.dynamics.lemmas import drawings, trials
from advnb.papers.dynamics.lemmas.quantities import angle_scan, extremes, needle

F64 = torch.float64


@pytest.fixture(scope="module")
def problem():
    return dynamics.draw(3, 64, 0.5, seed=1)


# suprema


def dense_disc(eps, rings=41, spokes=180):
    radius, theta = torch.meshgrid(
        torch.linspace(0, eps, rings, dtype=F64), torch.arange(spokes, dtype=F64) * 2 * math.pi / spokes, indexing="ij"
    )
    return torch.stack((radius * theta.cos(), radius * theta.sin()), -1).reshape(-1, 2)


@pytest.mark.parametrize("seed", range(3))
def test_extremes_agree_with_a_dense_grid_of_the_disc(seed):
    problem = dynamics.draw(2, 24, 1.0, seed=seed)
    found, points = extremes(problem), dense_disc(1.0)
    grad, hess = problem.f_gradient(points), problem.f_hessian(points)
    size, unit = grad.norm(dim=-1), grad / grad.norm(dim=-1, keepdim=True)
    assert found.grad_min == pytest.approx(float(size.min()), rel=2e-3) and found.grad_min <= float(size.min()) + 1e-9
    assert found.grad_max == pytest.approx(float(size.max()), rel=2e-3) and found.grad_max >= float(size.max()) - 1e-9
    assert found.turn == pytest.approx(1 - float((unit @ unit.T).min()), rel=2e-3)
    assert found.hess_max == pytest.approx(float(torch.linalg.matrix_norm(hess, ord=2).max()), rel=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_lipschitz_constant_is_the_steepest_change_of_the_hessian(seed):
    """Differences over a short way, from a dense grid in many directions: just below the supremum of ||d3f||."""
    problem = dynamics.draw(2, 24, 1.0, seed=seed)
    points, h = dense_disc(1.0 - 1e-4, 31, 90), 1e-4
    steepest = 0.0
    for theta in torch.linspace(0, math.pi, 25, dtype=F64)[:-1]:
        way = h * torch.stack((theta.cos(), theta.sin()))
        change = torch.linalg.matrix_norm(problem.f_hessian(points + way) - problem.f_hessian(points), ord=2) / h
        steepest = max(steepest, float(change.max()))
    assert extremes(problem).hess_lipschitz == pytest.approx(steepest, rel=1e-2)


@pytest.mark.parametrize("d, m, eps", [(2, 16, 0.3), (5, 100, 0.1), (9, 40, 1.0)])
def test_samples_lie_below_what_is_reached_and_that_below_what_is_proved(d, m, eps):
    problem = dynamics.draw(d, m, eps, seed=4)
    delta = torch.cat((dynamics.in_ball(problem, 64), dynamics.on_sphere(problem, 64, seed=1)))
    grad, hess = problem.f_gradient(delta), problem.f_hessian(delta)
    size, curvature = grad.norm(dim=-1), torch.linalg.matrix_norm(hess, ord=2)
    unit = grad / size.unsqueeze(-1)
    change = torch.linalg.matrix_norm(hess[:64] - hess[64:], ord=2) / (delta[:64] - delta[64:]).norm(dim=-1)
    found, bounds = extremes(problem), ball_bounds(problem)
    for sampled, reached, proved in (
        (-size.min(), -found.grad_min, -bounds.gradient_low),
        (size.max(), found.grad_max, bounds.gradient_high),
        (1 - (unit @ unit.T).min(), found.turn, 2 * bounds.contraction**2),
        (curvature.max(), found.hess_max, bounds.hessian),
        (change.max(), found.hess_lipschitz, bounds.hessian_lipschitz),
    ):
        assert float(sampled) <= reached + 1e-6 * abs(reached) and reached <= proved + 1e-6 * abs(proved)


def test_extremes_are_of_one_net():
    stack = dynamics.stack([dynamics.draw(2, 4, 1.0, seed=seed) for seed in range(2)])
    with pytest.raises(ValueError, match=r"problem must be one net, .*; got W of shape \(2, 4, 2\)"):
        extremes(stack)


# one step


@pytest.mark.parametrize("length", [1e-3, 0.3, 1.5])
def test_where_a_step_ends_inside_the_error_is_its_inward_part(length):
    problem = dynamics.draw(4, 2, 1.0, seed=0)
    delta = dynamics.on_sphere(problem, 500, seed=1)
    step = length * dynamics.on_sphere(problem, 500, seed=2)
    inside = (delta + step).norm(dim=-1) < 1
    error = dynamics.projection_error(problem, delta, step)
    assert bool(inside.any())
    assert torch.allclose(error[inside], -(step * delta).sum(-1)[inside], atol=1e-15)
    assert bool((error[~inside] <= length**2 / math.sqrt(3) + 1e-15).all())


def test_geometry_finds_the_constant_of_short_steps():
    found = trials.geometry(d=3, eta_over_eps=1e-3, seed=0, pairs=200)
    assert 0.999 < found["l42_sharp"] <= found["l42_mended"] < 1 + 1e-9


# curvature


@pytest.mark.parametrize("convention", dynamics.CONVENTIONS)
def test_the_reversed_eigenvalue_is_that_of_the_opposite_sign(convention):
    scan = angle_scan(dynamics.draw(4, 50, 0.1, seed=2, convention=convention), 40)
    other = {"minus": "plus", "plus": "minus"}[convention]
    there = angle_scan(dynamics.draw(4, 50, 0.1, seed=2, convention=other), 40)
    assert torch.allclose(scan.reversed, there.definite, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("convention", dynamics.CONVENTIONS)
def test_what_is_proved_of_the_eigenvalues_holds_at_many_points(convention):
    eps = 0.1
    found = trials.curvature_by_angle(d=3, m=40, eps=eps, seed=1, convention=convention)
    problem = dynamics.draw(3, 40, eps, seed=1, convention=convention)
    delta = dynamics.on_sphere(problem, 4000)
    near = delta[problem.angle_cosine(delta).abs() >= 0.9]
    smallest = float(torch.linalg.eigvalsh(problem.xi(near)).abs().min())
    assert len(near) > 100 and 0 < found["proved"] <= eps * smallest < 1.5 * found["proved"]


# the needle


def test_the_needle_is_at_rest_at_a_minimum_and_opposite_at_a_maximum(problem):
    low, high = drawings.poles(problem)
    assert needle(problem, torch.stack((low, high))).tolist() == pytest.approx([0.0, math.pi], abs=1e-6)
    delta = dynamics.on_sphere(problem, 30)
    plain = torch.arccos(dynamics.cosine(-problem.gradient(delta), delta))
    assert torch.allclose(needle(problem, delta), plain, atol=1e-7)


@pytest.mark.parametrize("eta", [1e-3, 0.05, 3.0])
def test_the_needle_never_turns_away_where_the_map_contracts(eta):
    problem = dynamics.draw(6, 80, 0.3, seed=0)
    assert ball_bounds(problem).contraction <= 1
    delta = dynamics.on_sphere(problem, 300)
    moved = delta - eta * problem.gradient(delta)
    outside = moved.norm(dim=-1) >= problem.eps
    after = problem.ball.project(moved, torch.zeros_like(moved))
    assert bool(outside.any())
    assert bool((needle(problem, after) <= needle(problem, delta) + 1e-12)[outside].all())


def test_three_units_meet_condition_6_and_are_left_again():
    problem = lemmas.forked()
    delta = dynamics.in_ball(problem, 500)
    slope = torch.stack([torch.autograd.functional.jacobian(lambda p: problem.f(p[None])[0], p) for p in delta])
    written = torch.stack((torch.ones(500, dtype=F64), -0.1 + 0.2 * torch.sigmoid(0.2 * 3**0.5 * delta[:, 1])), -1)
    assert torch.allclose(slope, written, atol=1e-12)
    found = lemmas.trials.forked_trajectories()
    assert found["condition"] < 0.3 and found["leave_section4"] == found["leave_appendix"] == 1


def test_visits_are_counted_from_the_first():
    low, high = 0.1, math.pi - 0.1
    angle = torch.tensor([[1.0, 1.0, high], [low, 1.0, 1.0], [low, low, 1.0], [1.0, low, 1.0]], dtype=F64)
    assert trials.visits(angle, torch.ones(4, 3, dtype=torch.bool), 0.2) == pytest.approx((1 / 3, 1 / 3))
    assert trials.visits(angle, torch.zeros(4, 3, dtype=torch.bool), 0.2) == (0, 0)
    section4, appendix = trials.openings(0.01).values()
    assert section4 == pytest.approx(math.acos(0.99)) and section4 > appendix == pytest.approx(math.asin(0.01))


# pictures


def test_the_poles_are_the_lowest_and_the_highest_point(problem):
    low, high = drawings.poles(problem)
    value = problem.objective(dynamics.on_sphere(problem, 2000))
    ends = problem.objective(torch.stack((low, high)))
    assert float(ends[0]) <= float(value.min()) and float(ends[1]) >= float(value.max())


def test_bowl_and_dome_have_the_curvature_of_the_landscape(problem):
    for start, through in (drawings.poles(problem), drawings.poles(problem)[::-1]):
        near = torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2], dtype=F64)
        value = problem.objective(drawings.great_circle(problem, start, through, near))
        bend = (value[0] - 2 * value[2] + value[4]) / 0.04
        curve = drawings.parabola(problem, start, through, near)
        assert float((curve[0] - 2 * curve[2] + curve[4]) / 0.04) == pytest.approx(float(bend), rel=1e-4)
    low, high = drawings.poles(problem)
    sides = [
        drawings.parabola(problem, *pair, torch.tensor([0.0, 9.0], dtype=F64)) for pair in ((low, high), (high, low))
    ]
    assert sides[0][1] > sides[0][0] and sides[1][1] < sides[1][0]


def test_the_sphere_is_coloured_by_the_objective(problem):
    ax = Figure().add_subplot(projection="3d")
    colours = lemmas.draw_sphere(ax, problem, lines=30)
    value = problem.objective(torch.stack(drawings.poles(problem)))
    assert [colours.norm.vmin, colours.norm.vmax] == pytest.approx(value.tolist(), abs=0.02)
    assert [text.get_text() for text in ax.texts] == ["minimum", "maximum"]


def test_the_profile_shows_the_landscape_and_both_parabolas(problem):
    ax = Figure().subplots()
    lemmas.draw_profile(ax, problem)
    labels = [line.get_label() for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert labels == ["L along a great circle", "bowl at the minimum", "dome at the maximum"]
    landscape = ax.get_lines()[0].get_ydata()
    assert landscape[60] == pytest.approx(float(problem.objective(drawings.poles(problem)[0][None])))


def test_a_bracket_is_drawn_from_what_is_reached_to_what_is_proved():
    table = pd.DataFrame({"d": [2, 2, 4], "a_reached": [1.0, 3.0, 2.0], "a_proved": [4.0, 6.0, 3.0], "seed": [0, 1, 0]})
    ax = Figure().subplots()
    lemmas.draw_bracket(ax, table, "d", {"a": "sup a"})
    (line,) = ax.get_lines()
    assert line.get_label() == "sup a" and list(line.get_ydata()) == [2, 2]
    edges = ax.collections[0].get_paths()[0].vertices
    assert np.isin([5.0, 3.0], edges[:, 1]).all()


def test_the_needle_is_drawn_with_the_edge_of_the_set(problem):
    ax = Figure().subplots()
    start = dynamics.in_ball(problem, 4)
    lemmas.draw_needle(ax, problem, start, 0.01, 20, 0.5)
    assert [len(line.get_ydata()) for line in ax.get_lines()] == [21] * 4 + [2]
    assert ax.get_lines()[-1].get_ydata()[0] == pytest.approx(math.degrees(0.5))
    assert ax.get_lines()[0].get_ydata()[0] == pytest.approx(math.degrees(float(needle(problem, start)[0])))


def test_the_tangent_step_is_drawn_with_the_angle_from_which_it_ends_inside():
    ax = Figure().subplots()
    lemmas.draw_tangent_step(ax, 0.5)
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels[:3] == ["error", "printed bound", "mended bound"]
    error, mended = (np.asarray(ax.get_lines()[i].get_ydata()) for i in (0, 2))
    degrees, edge = np.asarray(ax.get_lines()[0].get_xdata()), ax.get_lines()[3].get_xdata()[0]
    assert edge == pytest.approx(90 + math.degrees(math.asin(0.25)))
    beyond = degrees > edge
    assert np.allclose(error[beyond], -0.5 * np.cos(np.radians(degrees[beyond])))
    assert (error <= mended + 1e-12).all() and np.allclose(error[-100:], mended[-100:])
