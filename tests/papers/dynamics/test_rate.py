"""The theorem of the page *rate* against autograd, sympy, scipy and closed forms; its drawings."""

import math

import numpy as np
import pandas as pd
import pytest
import sympy as sp
import torch
from matplotlib.figure import Figure
from scipy.optimize import brentq, minimize_scalar

from advnb.book import figures
from advnb.experiments import live
from advnb.papers import dynamics
from advnb.papers.dynamics import rate
from advnb.papers.dynamics.rate.claims import by_step
from advnb.papers.dynamics.rate.trials import measured_factor, upside_down
from advnb.papers.dynamics.sphere import descend_sphere

F64 = torch.float64
CASES = [
    (2, 16, 0.3, "squared", "minus"),
    (5, 40, 1.0, "squared", "minus"),
    (5, 40, 3.0, "squared", "minus"),
    (9, 64, 0.5, "cross_entropy", "minus"),
    (9, 64, 0.5, "pseudo_huber", "minus"),
    (4, 64, 0.5, "squared", "plus"),
]


def strongest(d, m, eps, loss="squared", convention="minus", seed=0):
    y = 1.0 if loss == "cross_entropy" else None
    problem = dynamics.draw(d, m, eps, seed=seed, loss=loss, convention=convention, y=y, gap=2.0)
    return problem, dynamics.newton(problem, descend_sphere(problem, dynamics.in_ball(problem, 1, seed=seed))).delta


def projected(z, eps):
    """The projection onto the ball, written out for autograd."""
    return z * torch.clamp(eps / z.norm(), max=1.0)


def objective(problem, point):
    active = torch.nn.functional.softplus((problem.x + point) @ problem.W.T)
    f = active @ problem.a
    losses = {
        "squared": (f - problem.y) ** 2,
        "pseudo_huber": torch.sqrt(1 + (f - problem.y) ** 2) - 1,
        "cross_entropy": torch.nn.functional.softplus(-f),
    }
    return problem.sign * losses[problem.loss]


def step_map(problem, size, normalised):
    def step(point):
        (gradient,) = torch.autograd.grad(objective(problem, point), point, create_graph=True)
        return projected(point - size * (gradient / gradient.norm() if normalised else gradient), problem.eps)

    return step


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("eta", [0.01, 0.7, 50.0])
def test_the_jacobian_of_a_step_is_that_of_autograd(case, eta):
    problem, minimum = strongest(*case)
    map_ = step_map(problem, eta, normalised=False)
    exact = torch.autograd.functional.jacobian(map_, minimum[0])
    assert torch.allclose(map_(minimum[0].requires_grad_()), minimum[0], atol=1e-12)  # it rests there
    minimum = minimum.detach()
    assert torch.allclose(rate.step_jacobian(problem, minimum, eta)[0], exact, rtol=0, atol=1e-9)
    c, s = rate.bends(problem, minimum)[0], eta * float(rate.outward_pull(problem, minimum)) / problem.eps
    expected = sorted([0.0, *((1 - s * c) / (1 + s)).tolist()])
    assert sorted(torch.linalg.eigvals(exact).real.tolist()) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_fixed_length_has_the_same_factors(case):
    problem, minimum = strongest(*case)
    length = 0.8 * problem.eps
    exact = torch.autograd.functional.jacobian(step_map(problem, length, normalised=True), minimum[0])
    basis = dynamics.tangent_basis(minimum)[0]
    along = torch.linalg.eigvalsh((basis.T @ exact @ basis + (basis.T @ exact @ basis).T) / 2)
    c = rate.bends(problem, minimum)[0]
    assert along.tolist() == pytest.approx(sorted(((1 - 0.8 * c) / 1.8).tolist()), abs=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "pseudo_huber"])
def test_the_curvatures_belong_to_the_network_and_not_to_the_loss(loss):
    problem, minimum = strongest(6, 64, 0.7, loss)
    squared = problem.having(loss="squared", y=torch.tensor(5.0 * float(problem.sign) + 0.0, dtype=F64))
    f = problem.f_hessian(minimum)[0]
    basis = dynamics.tangent_basis(minimum)[0]
    sign = torch.sign(problem.slope(minimum))[0]
    plain = problem.eps * sign * torch.linalg.eigvalsh(basis.T @ f @ basis) / problem.f_gradient(minimum)[0].norm()
    assert sorted(plain.tolist()) == pytest.approx(rate.bends(problem, minimum)[0].tolist(), abs=1e-10)
    if float(torch.sign(squared.slope(minimum))[0]) == float(sign):
        assert torch.allclose(rate.bends(squared, minimum), rate.bends(problem, minimum), atol=1e-9)


def test_the_factor_is_one_less_the_effective_step_times_xi():
    eta, g, eps, h = sp.symbols("eta g epsilon h", positive=True)
    s, c = eta * g / eps, eps * h / g
    xi, effective = h + g / eps, eta / (1 + eta * g / eps)
    assert sp.simplify((1 - s * c) / (1 + s) - (1 - effective * xi)) == 0


def test_a_linear_loss_turns_like_a_compass_needle():
    """The exact map of one angle, tan' = sin / (cos + s): its derivative at 0 is 1 / (1 + s), the factor of c = 0."""
    for s in (0.1, 1.0, 30.0):
        for angle in (1e-3, 0.5, 1.2):
            _, _, landed = rate.one_step(s, 0.0, angle)
            assert landed[0] / landed[1] == pytest.approx(math.sin(angle) / (math.cos(angle) + s))
        assert rate.Rate(0.0, 0.0).factor(s) == pytest.approx(1 / (1 + s))


@pytest.mark.parametrize("least, most", [(-0.3, 0.5), (-0.5, 0.2), (0.1, 0.1), (-0.9, 3.0), (0.4, 2.0), (-0.2, -0.1)])
def test_the_best_and_the_repelling_step_are_those_of_a_numerical_search(least, most):
    r = rate.Rate(least, most)
    found = minimize_scalar(lambda u: r.factor(math.exp(u)), bounds=(-7, 16), method="bounded", options={"xatol": 1e-9})
    assert r.best_factor == pytest.approx(found.fun, abs=1e-6)
    assert r.best_factor <= found.fun + 1e-9
    if most > 1:
        root = brentq(lambda s: r.factor(s) - 1, 1e-6 + r.best_step, 1e6)
        assert r.repels_beyond == pytest.approx(root)
    else:
        assert math.isinf(r.repels_beyond)
        assert max(r.factor(s) for s in np.geomspace(1e-3, 1e9, 200)) < 1


def test_where_a_direction_is_no_minimum_every_step_repels():
    r = rate.Rate(-1.2, 0.3)
    assert r.repels_beyond == 0
    assert min(r.factor(s) for s in np.geomspace(1e-3, 1e6, 50)) > 1


def test_a_run_contracts_by_the_factor_and_beyond_the_threshold_it_leaves():
    problem, minimum = strongest(8, 256, 3.0, seed=4)
    r = rate.Rate.of(rate.bends(problem, minimum)[0])
    assert r.most > 1
    for s in (0.1, 0.9 * r.repels_beyond, 1.1 * r.repels_beyond):
        for direction in ("gradient", "steepest"):
            measured = measured_factor(problem, minimum, s, r.factor(s), direction=direction)
            assert math.log(measured) == pytest.approx(math.log(r.factor(s)), rel=1e-3)
    assert math.isnan(measured_factor(problem, minimum, 1.0, 1e-4))


def test_descent_rests_at_the_strongest_and_leaves_the_weakest_adversary():
    problem, minimum = strongest(6, 64, 0.3)
    other = upside_down(problem)
    weakest = dynamics.newton(problem, descend_sphere(other, -minimum)).delta
    assert float(problem.gamma(weakest).norm()) < 1e-12  # the gradient is parallel to the normal there
    for delta, moves in ((minimum, 0.0), (weakest, 1.0)):
        step = dynamics.pgd(problem, delta, steps=1, step_size=0.01).end - delta
        assert float(step.norm() / (0.01 * problem.gradient(delta).norm())) == pytest.approx(moves, abs=1e-9)
    with pytest.raises(ValueError, match="-dL must point outwards at every delta"):
        rate.bends(problem, weakest)


def test_a_ball_with_its_strongest_adversary_inside_has_no_point_of_rest():
    result = rate.CONTRACTION.trial(d=2, m=512, eps=3.0, seed=8)
    assert result["g"] < 0 and result["s"] == []
    runs = pd.DataFrame([{"d": 2, "m": 512, "eps": 3.0, "seed": 8, **result}])
    assert len(by_step(runs)) == 0


def test_what_raises():
    with pytest.raises(ValueError, match=r"least must be at most most; got 1.0 and 0.5"):
        rate.Rate(1.0, 0.5)
    with pytest.raises(ValueError, match=r"s must be .* got -1"):
        rate.Rate(0.0, 0.5).factor(-1.0)


@pytest.fixture(scope="module")
def runs():
    return live(rate.CONTRACTION, seeds=2)


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


def test_every_step_has_a_name(runs):
    rows = by_step(runs)
    assert len(rows) == sum(map(len, runs["s"]))
    first = rows[rows["position"] == "theorem"]
    assert np.allclose(first["s"], first["eps"] * first["g"])
    before, after = (rows.loc[rows["position"] == name, "s"].to_numpy() for name in ("before", "after"))
    assert np.allclose(before / after, 0.9 / 1.1)


def test_the_picture_of_a_step_has_the_offsets_of_the_theorem(ax):
    rate.draw_idea(ax, s=0.5, c=0.4, angle=1e-4)
    offset = {line.get_gid(): line.get_xdata()[1] for line in ax.lines if line.get_gid()}
    assert offset["b (1 - s c)"] / offset["b"] == pytest.approx(0.8)
    assert offset["b (1 - s c)/(1 + s)"] / offset["b"] == pytest.approx(0.8 / 1.5)


def test_the_curves_leave_the_band_where_the_step_repels(ax):
    rate.draw_curves(ax, (0.5, 2.0))
    inside, outside = ({tuple(p) for p in line.get_xydata() if abs(p[1]) > 1} for line in ax.lines[:2])
    assert not inside and min(s for s, _ in outside) == pytest.approx(2 / (2 - 1), rel=0.1)


def test_the_factors_and_the_steps_are_drawn_as_they_are_stored(ax, runs):
    rate.draw_agreement(ax, runs)
    drawn = next(line for line in ax.lines if line.get_label() == "d = 8")
    assert sorted(drawn.get_ydata()) == sorted(by_step(runs)["raw"].dropna())
    ax.clear()
    rate.draw_steps(ax, runs)
    lines = {line.get_label(): line for line in ax.lines}
    rows = by_step(runs)
    expected = rows[(rows["eps"] == 0.2) & (rows["s"] == 1.0)]["steps"].median()
    small = lines["ε = 0.2"]
    assert small.get_ydata()[list(small.get_xdata()).index(1.0)] == expected


def test_a_drawn_run_falls_with_the_law_or_is_said_to_repel(ax):
    rate.draw_run(ax, 0.2, 1.0)
    law = ax.lines[-1].get_ydata()
    run = ax.lines[0].get_ydata()
    assert math.log(run[20] / run[10]) == pytest.approx(math.log(law[20] / law[10]), rel=0.1)
    ax.clear()
    rate.draw_run(ax, 3.0, 100.0)
    assert "repels" in ax.lines[-1].get_label()


def test_what_is_said_of_a_run_is_what_it_shows(ax):
    rate.draw_run(ax, 0.2, 1.0)
    runs = np.array([line.get_ydata() for line in ax.lines[:5]])
    assert f"within 1e-9 radii of where they end after {int((runs.max(0) < 1e-9).argmax())} steps" in rate.say_run(
        0.2, 1.0
    )
    factor = ax.lines[-1].get_label().removeprefix("factor ")
    assert rate.say_run(0.2, 1.0).endswith(f"factor is {factor} a step")
    assert "radii from where they end after 40 steps" in rate.say_run(3.0, 100.0) and rate.say_run(3.0, 100.0).endswith(
        "repels"
    )
