"""Balls: nearest points, uniform draws and exact support functions, against brute force and against scipy."""

from __future__ import annotations

import itertools
import math
import re
import sys

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advnb.balls import L2, Ball, Linf

UNIT = (0.0, 1.0)
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 5e-2}


@st.composite
def cases(draw, dtypes=(torch.float32, torch.float64, torch.bfloat16), boxes=(None, UNIT, (-2.0, 0.5))):
    """A ball, centres x in its box (some on the box's faces), points x_adv anywhere and a gradient with zeros."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.sampled_from([(1,), (3,), (2, 3), (1, 4, 4)]))
    box = draw(st.sampled_from(boxes))
    low, high = box if box is not None else (-1.0, 1.0)
    norm = draw(st.sampled_from([Linf, L2]))
    eps = draw(st.floats(1e-3, high - low if norm is Linf and box is not None else 5.0))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    n = draw(st.integers(1, 5))

    def normal() -> torch.Tensor:
        return torch.randn((n, *shape), generator=generator, dtype=torch.float64)

    def rare() -> torch.Tensor:
        return torch.rand((n, *shape), generator=generator) < 0.3

    x = torch.rand((n, *shape), generator=generator, dtype=torch.float64) * (high - low) + low
    x = torch.where(rare(), torch.where(normal() > 0, high, low), x)
    x_adv = x + draw(st.sampled_from([0.0, 0.01, 1.0, 30.0])) * eps * normal()
    grad = normal().masked_fill(rare(), 0) * draw(st.sampled_from([1e-30, 1.0, 1e4]))
    x, x_adv, grad = (tensor.to(dtype) for tensor in (x, x_adv, grad))
    return norm(eps, box=box), x.clamp(low, high), x_adv, grad, generator


def flat(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.double().flatten(1) for tensor in tensors]


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(1)


@settings(deadline=None, max_examples=200)
@given(cases())
def test_a_projected_point_lies_inside_and_stays_put(case):
    ball, x, x_adv, _, _ = case
    z = ball.project(x_adv, x)
    assert z.shape == x.shape
    assert z.dtype == x.dtype
    assert ball.contains(z, x).all()
    assert torch.equal(ball.project(z, x), z)
    if isinstance(ball, L2):
        assert (ball.violation(z, x) == 0).all()


@settings(deadline=None, max_examples=100)
@given(cases())
def test_points_inside_come_back_bit_for_bit(case):
    ball, x, _, _, generator = case
    inside = ball.sample(x, generator)
    assert torch.equal(ball.project(inside, x), inside)
    assert torch.equal(ball.project(x, x), x)


@settings(deadline=None, max_examples=200)
@given(cases(dtypes=(torch.float32, torch.float64)))
def test_no_sampled_point_is_nearer_than_the_projection(case):
    """The variational inequality <x_adv - z, x' - z> <= 0 for every x' in the set characterises the projection z."""
    ball, x, x_adv, _, generator = case
    z, start, centre = flat(ball.project(x_adv, x), x_adv, x)
    scale = ((start - z).norm(dim=1) + ball.eps) * (ball.eps + centre.norm(dim=1))
    for _ in range(20):
        other = flat(ball.sample(x, generator))[0]
        assert (inner(start - z, other - z) <= TOLERANCE[x.dtype] * scale).all()


@settings(deadline=None, max_examples=25)
@given(cases(dtypes=(torch.float64,), boxes=(UNIT,)))
def test_projection_onto_a_boxed_l2_ball_is_scipys(case):
    ball, x, x_adv, _, _ = case
    ball = L2(ball.eps, box=ball.box)
    z, start, centre = (tensor.numpy() for tensor in flat(ball.project(x_adv, x), x_adv, x))
    for i in range(len(z)):
        result = scipy.optimize.minimize(
            lambda v, i=i: ((v - start[i]) ** 2).sum(),
            centre[i],
            jac=lambda v, i=i: 2 * (v - start[i]),
            bounds=[UNIT] * len(z[i]),
            constraints={
                "type": "ineq",
                "fun": lambda v, i=i: ball.eps**2 - ((v - centre[i]) ** 2).sum(),
                "jac": lambda v, i=i: -2 * (v - centre[i]),
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        ours, theirs = (np.linalg.norm(v - start[i]) for v in (z[i], result.x))
        slack = np.linalg.norm(result.x - centre[i]) - ball.eps  # how far scipy's point is outside the ball
        assert ours <= theirs + max(slack, 0) + 1e-6 * (1 + theirs)


def test_a_boxed_projection_solved_by_hand():
    """x = (0.9, 0.5), eps = 0.5: the first coordinate stops at the face 1, the second uses what is left of eps."""
    x, x_adv = (torch.tensor([[0.9, 0.5]], dtype=torch.float64), torch.tensor([[9.0, 9.0]], dtype=torch.float64))
    left = math.sqrt(0.5**2 - 0.1**2)
    expected = torch.tensor([[1.0, 0.5 + left]], dtype=torch.float64)
    torch.testing.assert_close(L2(0.5, box=UNIT).project(x_adv, x), expected, rtol=0, atol=1e-14)
    # Without the box, the point is simply pulled back along the straight line.
    direction = torch.tensor([[8.1, 8.5]], dtype=torch.float64) / math.hypot(8.1, 8.5)
    torch.testing.assert_close(L2(0.5).project(x_adv, x), x + 0.5 * direction, rtol=0, atol=1e-14)


def test_linf_moves_each_coordinate_on_its_own():
    x = torch.tensor([[0.0, 0.5, 0.9]])
    x_adv = torch.tensor([[-3.0, 0.55, 3.0]])
    torch.testing.assert_close(Linf(0.2).project(x_adv, x), torch.tensor([[0.0, 0.55, 1.0]]))
    torch.testing.assert_close(Linf(0.2, box=None).project(x_adv, x), torch.tensor([[-0.2, 0.55, 1.1]]))


@settings(deadline=None, max_examples=200)
@given(cases())
def test_support_bounds_every_point_and_gap_is_never_negative(case):
    ball, x, x_adv, grad, generator = case
    support = ball.support(grad, x)
    z = ball.project(x_adv, x)
    gap = ball.gap(grad, z, x)
    assert support.dtype == torch.promote_types(x.dtype, torch.float32)
    assert (gap >= 0).all()
    assert torch.equal(ball.gap(grad, x, x), support)
    rows, g, zs = flat(x, grad, z)
    slack = TOLERANCE[x.dtype] * g.abs().sum(1) * (ball.eps + rows.abs().amax(1))
    torch.testing.assert_close(gap.double(), support.double() - inner(zs - rows, g), rtol=0, atol=float(slack.max()))
    for _ in range(10):
        other = flat(ball.sample(x, generator))[0]
        assert (inner(other - rows, g) <= support.double() + slack).all()


@settings(deadline=None, max_examples=60)
@given(cases(dtypes=(torch.float64,)))
def test_linf_support_is_the_best_corner(case):
    ball, x, _, grad, _ = case
    ball = Linf(min(ball.eps, ball.box[1] - ball.box[0]) if ball.box else ball.eps, box=ball.box)
    rows, g = (tensor[:, :6] for tensor in flat(x, grad))
    low, high = rows - ball.eps, rows + ball.eps
    if ball.box is not None:
        low, high = low.clamp_min(ball.box[0]), high.clamp_max(ball.box[1])
    corners = [
        inner(torch.where(torch.tensor(corner), high, low) - rows, g)
        for corner in itertools.product([False, True], repeat=rows.shape[1])
    ]
    torch.testing.assert_close(ball.support(g, rows), torch.stack(corners).amax(0), rtol=1e-12, atol=0)


def dual_support(g: np.ndarray, x: np.ndarray, ball: L2) -> float:
    """The same maximum by Lagrange duality: min over nu > 0 of max_d <d, g> - nu (||d||^2 - eps^2) over the box."""
    low, high = ball.box[0] - x, ball.box[1] - x

    def dual(log_nu: float) -> float:
        nu = math.exp(log_nu)
        d = np.clip(g / (2 * nu), low, high)
        return float(d @ g - nu * (d @ d - ball.eps**2))

    best = scipy.optimize.minimize_scalar(dual, bounds=(-60, 60), method="bounded", options={"xatol": 1e-9})
    return min(best.fun, float(np.where(g > 0, high, low) @ g))


@settings(deadline=None, max_examples=60)
@given(cases(dtypes=(torch.float64,), boxes=(UNIT, (-2.0, 0.5))))
def test_boxed_l2_support_is_the_dual_minimum(case):
    ball, x, _, grad, _ = case
    ball = L2(ball.eps, box=ball.box)
    grad = grad / grad.abs().max().clamp_min(1e-300)  # the dual is searched on an absolute scale
    rows, g = flat(x, grad)
    ours = ball.support(g, rows).numpy()
    theirs = [dual_support(gradient, centre, ball) for gradient, centre in zip(g.numpy(), rows.numpy(), strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)


def test_boxed_l2_support_where_only_the_box_binds():
    x, g = (
        torch.tensor([[0.25, 1.0, 0.0, 0.5]], dtype=torch.float64),
        torch.tensor([[2.0, 1.0, -1.0, 0.0]], dtype=torch.float64),
    )
    # Only the first coordinate can move: the second and third sit on the face that they are pushed to.
    torch.testing.assert_close(L2(100.0, box=UNIT).support(g, x), torch.tensor([1.5], dtype=torch.float64))
    torch.testing.assert_close(L2(0.5, box=UNIT).support(g, x), torch.tensor([1.0], dtype=torch.float64))
    assert L2(1.0, box=UNIT).support(torch.zeros(1, 4).double(), x).item() == 0


def test_boxed_l2_newton_ends_with_breakpoints_over_thirty_decades():
    d = 200
    x = torch.zeros(1, d, dtype=torch.float64)
    g = torch.logspace(0, -30, d, dtype=torch.float64)[None]
    for eps in (1e-3, 0.9, 3.3, 10.0, 14.0):
        ball = L2(eps, box=UNIT)
        best = ball.project(x + g * 1e40, x)  # towards the gradient, from far away: another route to the maximiser
        torch.testing.assert_close(ball.support(g, x), inner(best, g), rtol=1e-12, atol=0)


def test_gap_is_zero_at_a_linear_models_maximiser():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        x = torch.rand((20, 5), generator=generator, dtype=dtype)
        g = torch.randn((20, 5), generator=generator, dtype=dtype)
        for ball in (Linf(0.3), Linf(0.3, box=None), L2(0.3), L2(0.8, box=UNIT)):
            best = ball.project(x + 1e6 * ball.ascent(g), x) if isinstance(ball, Linf) else argmax(ball, g, x)
            gap = ball.gap(g, best, x)
            assert (gap <= 20 * torch.finfo(dtype).eps * ball.dual_norm(g)).all()
            if isinstance(ball, Linf):
                assert (gap == 0).all()


def argmax(ball: Ball, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The point of the ball farthest along g: the projection of a point far out along g itself."""
    return ball.project(x + 1e3 * g, x) if ball.box is None else ball.project(x.double() + 1e6 * g, x.double()).to(x)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_ascent_has_unit_norm_and_reaches_the_dual_norm(case):
    ball, _, _, grad, _ = case
    v = ball.ascent(grad)
    assert v.dtype == grad.dtype
    nonzero = grad.flatten(1).abs().amax(1) > 0
    torch.testing.assert_close(ball.norm(v).double(), nonzero.double(), rtol=0, atol=TOLERANCE[grad.dtype])
    g, direction = flat(grad, v)
    expected = g.norm(dim=1) if isinstance(ball, L2) else g.abs().sum(1)
    scale = expected.clamp_min(1e-300)
    assert ((inner(direction, g) - expected).abs() / scale <= TOLERANCE[grad.dtype]).all()


def test_l2_ascent_survives_gradients_whose_square_underflows():
    g = torch.tensor([[3e-30, -4e-30], [0.0, 0.0], [3e30, 4e30]])
    torch.testing.assert_close(L2(1.0).ascent(g), torch.tensor([[0.6, -0.8], [0.0, 0.0], [0.6, 0.8]]))


@pytest.mark.parametrize(("ball", "power"), [(L2(0.7), 3), (Linf(0.7, box=None), 3)])
def test_draws_are_uniform_in_the_ball(ball, power):
    """(||delta|| / eps)^d is uniform on [0, 1] in both norms, and so is the sign of each coordinate."""
    x = torch.full((4000, 3), 5.0, dtype=torch.float64)
    delta = ball.sample(x, torch.Generator().manual_seed(1)) - x
    radius = (ball.norm(delta) / ball.eps) ** power
    assert scipy.stats.kstest(radius.numpy(), "uniform").pvalue > 0.01
    halves = (delta > 0).double().mean(0)
    assert ((halves - 0.5).abs() < 4 * 0.5 / math.sqrt(len(x))).all()
    if isinstance(ball, L2):  # on the sphere in three dimensions each coordinate is uniform (Archimedes)
        height = delta[:, 0] / ball.norm(delta)
        assert scipy.stats.kstest(height.numpy(), "uniform", args=(-1, 2)).pvalue > 0.01


def test_draws_are_seeded_and_leave_the_global_state_alone():
    x = torch.rand(6, 2, 3, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    for ball in (Linf(0.1), L2(0.4, box=UNIT)):
        a, b, c = (ball.sample(x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())


def test_balls_are_values():
    assert Linf(0.1) == Linf(0.1, box=(0, 1))
    assert len({L2(1), L2(1.0), L2(1.0, box=UNIT), Linf(1.0)}) == 3
    assert (Linf(0.1).box, L2(0.1).box) == (UNIT, None)
    assert L2(sys.float_info.min).eps == sys.float_info.min
    assert [type(bound) for bound in L2(1.0, box=(np.float64(0), 1)).box] == [float, float]
    assert type(L2(1).eps) is type(Linf(np.float64(0.5)).eps) is float
    with pytest.raises(AttributeError):
        L2(1.0).eps = 2.0


def test_an_eps_in_other_units_is_told():
    said = "eps must be at most the side of the box; got 8, wider than the box [0, 1]: probably in 0-255 units, "
    with pytest.raises(ValueError, match=f"^{re.escape(said)}so divide by 255$"):
        Linf(8)
    assert Linf(1).eps == 1


def test_containment_and_violation():
    x = torch.tensor([[0.5, 0.5]])
    points = torch.tensor([[0.6, 0.5], [0.75, 0.5], [0.5, 1.125]])
    centre = x.expand(3, 2)
    torch.testing.assert_close(Linf(0.125).violation(points, centre), torch.tensor([0.0, 0.125, 0.5]))
    torch.testing.assert_close(L2(0.625, box=UNIT).violation(points, centre), torch.tensor([0.0, 0.0, 0.125]))
    assert Linf(0.125).contains(points, centre).tolist() == [True, False, False]


def test_a_draw_is_the_generators_next_numbers():
    """Stored runs depend on it: x + (2 u - 1) eps for Linf with u uniform, in the dtype of x."""
    for dtype in (torch.float32, torch.float64):
        x = torch.full((3, 2), 5.0, dtype=dtype)
        u = torch.rand((3, 2), generator=torch.Generator().manual_seed(7), dtype=dtype)
        drawn = Linf(0.5, box=None).sample(x, torch.Generator().manual_seed(7))
        torch.testing.assert_close(drawn, x + (2 * u - 1) * 0.5, rtol=0, atol=2 * torch.finfo(dtype).eps * 5)


def test_how_much_rounding_counts_as_inside():
    """Four units of it, and 1e-5 of the box; both ends belong to it."""
    zero, unit = torch.zeros(1, 1, dtype=torch.float64), torch.finfo(torch.float64).eps
    for ball in (Linf(1.0, box=None), L2(1.0)):
        assert ball.contains(zero + 1 + 4 * unit, zero).item()
        assert not ball.contains(zero + 1 + 5 * unit, zero).item()
    for ball in (Linf(1.0), L2(1.0, box=UNIT)):
        assert ball.contains(zero - 1e-5, zero).item()
        assert not ball.contains(zero - 1.0001e-5, zero).item()


def test_the_largest_ball_is_one_whose_squared_diameters_are_finite():
    """(4 eps)^2 d must not overflow: twice as far as two points of the ball are from each other."""
    for d in (1, 4):
        x, most = torch.zeros(1, d, dtype=torch.float64), math.sqrt(sys.float_info.max / d) / 4
        assert L2(most).check_examples(x) is x
        with pytest.raises(ValueError, match="eps must be at most"):
            L2(math.nextafter(most, math.inf)).check_examples(x)


def test_a_point_on_the_sphere_is_inside():
    """With 3, 4 and 5 its distance is exact."""
    x = torch.zeros(1, 2, dtype=torch.float64)
    point = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    for ball in (L2(5.0), L2(5.0, box=(-9.0, 9.0)), Linf(4.0, box=None)):
        assert torch.equal(ball.project(point, x), point)


def test_a_gap_takes_a_gradient_of_another_precision():
    x = torch.full((2, 3), 0.5)
    for ball in (Linf(0.1), L2(0.1), L2(0.1, box=UNIT)):
        torch.testing.assert_close(ball.gap(x.double(), x, x).float(), ball.gap(x, x, x), rtol=1e-6, atol=0)


def test_errors():
    x = torch.full((2, 3), 0.5)
    with pytest.raises(ValueError, match=r"^x_adv must have the shape of x, \(2, 3\); got \(3, 3\)"):
        Linf(0.1).contains(torch.ones(3, 3), x)
    with pytest.raises(ValueError, match=r"^x_adv must have the shape of x, \(2, 3\); got \(3, 3\)"):
        L2(0.1).gap(x, torch.ones(3, 3), x)
    with pytest.raises(ValueError, match=r"x_adv must have the shape of x, \(2, 3\); got \(3, 3\)"):
        Linf(0.1).project(torch.ones(3, 3), x)
    with pytest.raises(ValueError, match="x_adv must have the dtype of x"):
        L2(0.1).project(x.double(), x)
    with pytest.raises(ValueError, match=r"grad must have the shape of x, \(2, 3\); got \(2, 2\)"):
        L2(0.1).gap(torch.ones(2, 2), x, x)
    for method in (lambda ball: ball.sample(x + 1), lambda ball: ball.support(x, x + 1)):
        with pytest.raises(ValueError, match=r"x must lie in the box \[0, 1\]"):
            method(L2(0.1, box=UNIT))
    with pytest.raises(ValueError, match="x must be finite"):
        L2(0.1).sample(x * torch.nan)
    with pytest.raises(TypeError, match="abstract"):
        Ball(0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_cpu_generator_draws_the_same_on_a_gpu():
    x = torch.rand(5, 4)
    for ball in (Linf(0.1), L2(0.4, box=UNIT)):
        here, there = (ball.sample(x.to(device), torch.Generator().manual_seed(0)) for device in ("cpu", "cuda"))
        torch.testing.assert_close(here, there.cpu())
