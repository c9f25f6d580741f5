"""FOSC against its definition: the maximum over the ball, searched by brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advnb import gradients
from advnb.balls import L2, Linf
from advnb.criterion import convergence, fosc, from_start
from advnb.models import TwoLayer


def small_net(d: int, classes: int, seed: int, dtype: torch.dtype) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(d, 8), nn.Softplus(), nn.Linear(8, classes)).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype))
    return net.eval()


@st.composite
def problems(draw, dtypes=(torch.float32, torch.float64)):
    seed, d, n = draw(st.integers(0, 2**31)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from(dtypes))
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((n, d), generator=generator, dtype=dtype)
    x = torch.where(torch.rand((n, d), generator=generator) < 0.3, x.round(), x)
    y = torch.randint(3, (n,), generator=generator)
    eps = draw(st.floats(1e-3, 1.0))
    ball = draw(st.sampled_from([Linf(eps), Linf(eps, box=None), L2(eps), L2(eps, box=(0.0, 1.0))]))
    return small_net(d, 3, seed, dtype), x, y, ball, generator


@settings(deadline=None, max_examples=60)
@given(problems(dtypes=(torch.float64,)), st.sampled_from(["cross_entropy", "margin"]))
def test_linf_fosc_is_the_maximum_over_the_corners(problem, loss):
    model, x, y, ball, generator = problem
    ball = Linf(ball.eps, box=ball.box)
    x_adv = ball.sample(x, generator)
    _, grad, _ = gradients.loss_and_gradient(model, x_adv, y, loss)
    low, high = x - ball.eps, x + ball.eps
    if ball.box is not None:
        low, high = low.clamp_min(0), high.clamp_max(1)
    corners = [
        ((torch.where(torch.tensor(corner), high, low) - x_adv) * grad).sum(1)
        for corner in itertools.product([False, True], repeat=x.shape[1])
    ]
    expected = torch.stack(corners).amax(0)
    torch.testing.assert_close(fosc(model, x_adv, x, y, ball, loss=loss), expected, rtol=1e-10, atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_without_a_box_fosc_is_the_papers_closed_form(problem):
    """eps ||g||_1 - <x_adv - x, g>, section 3.1 of Wang et al. (2019); in L2 the norm of g is L2."""
    model, x, y, ball, generator = problem
    ball = type(ball)(ball.eps, box=None)
    x_adv = ball.sample(x, generator)
    _, grad, _ = gradients.loss_and_gradient(model, x_adv, y)
    norm = grad.abs().sum(1) if isinstance(ball, Linf) else grad.norm(dim=1)
    closed_form = ball.eps * norm - ((x_adv - x) * grad).sum(1)
    tolerance = (1e-12 if x.dtype == torch.float64 else 2e-6) * (1 + float(norm.max()))
    torch.testing.assert_close(fosc(model, x_adv, x, y, ball), closed_form, rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=100)
@given(problems())
def test_no_point_of_the_set_gains_more_to_first_order(problem):
    model, x, y, ball, generator = problem
    x_adv = ball.sample(x, generator)
    measured = convergence(model, x_adv, x, y, ball)
    loss, grad, _ = gradients.loss_and_gradient(model, x_adv, y)
    torch.testing.assert_close(measured.loss, loss)
    torch.testing.assert_close(measured.gradient_norm, ball.dual_norm(grad))
    assert (measured.fosc >= 0).all()
    assert ((measured.relative >= 0) & (measured.relative <= 2 + 1e-5)).all()
    torch.testing.assert_close(measured.relative * ball.eps * measured.gradient_norm, measured.fosc)
    assert torch.equal(fosc(model, x_adv, x, y, ball), measured.fosc)
    for _ in range(10):
        gain = ((ball.sample(x, generator) - x_adv) * grad).sum(1)
        assert (gain <= measured.fosc + 1e-5 * (1 + measured.gradient_norm)).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6), st.sampled_from([None, (0.0, 1.0)]))
def test_in_two_dimensions_fosc_is_the_maximum_over_a_fine_grid(seed, eps, box):
    """Linf and L2, cut by the box or not: no point of the grid gains more, and its best one hardly less."""
    generator = torch.Generator().manual_seed(seed)
    model, x = small_net(2, 3, seed, torch.float64), torch.rand((5, 2), generator=generator, dtype=torch.float64)
    y, side = torch.arange(5) % 3, torch.linspace(-eps, eps, 101, dtype=torch.float64)
    square = torch.cartesian_prod(side, side)
    angle = torch.linspace(0, 2 * torch.pi, 2001, dtype=torch.float64)
    circle = eps * torch.stack([angle.cos(), angle.sin()], 1)
    for ball, moves in ((Linf(eps, box=box), square), (L2(eps, box=box), torch.cat([square, circle]))):
        moves = moves[ball.norm(moves) <= eps * (1 + 1e-12)]
        x_adv = ball.sample(x, generator)
        points = x[:, None] + moves
        if box is not None:  # a move of the grid that leaves the box ends on its face: still inside the ball
            points = points.clamp(*box)
        measured = convergence(model, x_adv, x, y, ball)
        _, grad, _ = gradients.loss_and_gradient(model, x_adv, y)
        best = ((points - x_adv[:, None]) * grad[:, None]).sum(2).amax(1)
        assert (best <= measured.fosc + 1e-12).all()
        assert (measured.fosc - best <= 0.02 * eps * grad.norm(dim=1)).all()
        assert (measured.closed_form >= measured.fosc - 1e-12).all()


@settings(deadline=None, max_examples=40)
@given(problems(dtypes=(torch.float64,)))
def test_around_the_start_fosc_is_the_closed_form_moved_there(problem):
    model, x, y, ball, generator = problem
    x_adv, start = ball.sample(x, generator), ball.sample(x, generator)
    _, grad, _ = gradients.loss_and_gradient(model, x_adv, y)
    measured = convergence(model, x_adv, x, y, ball, start=start)
    expected = ball.eps * ball.dual_norm(grad) - ((x_adv - start) * grad).sum(1)
    torch.testing.assert_close(measured.from_start, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(measured.from_start, from_start(grad, x_adv, start, ball))
    torch.testing.assert_close(measured.closed_form, fosc(model, x_adv, x, y, replace(ball, box=None)), rtol=0, atol=0)
    around_x = convergence(model, x_adv, x, y, ball)
    torch.testing.assert_close(around_x.from_start, around_x.closed_form, rtol=1e-9, atol=1e-12)


def test_what_the_box_puts_out_of_reach_and_what_is_negative_around_the_start():
    """By hand, for f(x) = <w, x> with w = (1, -2, 0.5, 3) and eps = 1/4."""
    weight = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    model = nn.Sequential(nn.Linear(4, 1, bias=False, dtype=torch.float64), nn.Flatten(0)).eval()
    with torch.no_grad():
        model[0].weight.copy_(weight)
    x, y = torch.tensor([[0.5, 0.0, 1.0, 0.5]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    best = torch.tensor([[0.75, 0.0, 1.0, 0.75]], dtype=torch.float64)
    worst = torch.tensor([[0.25, 0.25, 0.75, 0.25]], dtype=torch.float64)
    measure = partial(convergence, model, x=x, y=y, ball=Linf(0.25), loss=lambda f, _: f)
    at_x, at_best = measure(x), measure(best, start=worst)
    assert at_x.closed_form.item() == 0.25 * 6.5 and at_x.fosc.item() == 0.25 * 4
    assert at_x.out_of_reach.item() == pytest.approx(2.5 / 6.5)
    assert at_best.closed_form.item() == 0.25 * 2.5 and at_best.fosc.item() == 0
    assert at_best.out_of_reach.item() == 1
    # From the worst corner of what the box leaves the best one is two steps of eps away in two coordinates.
    assert at_best.from_start.item() == pytest.approx(0.25 * 6.5 - (0.5 * 1 + 0.25 * 2 + 0.25 * 0.5 + 0.5 * 3))
    assert at_best.from_start.item() < 0
    assert measure(x, ball=Linf(0.25, box=None)).out_of_reach.item() == 0
    flat = convergence(model, x, x, y, Linf(0.25), loss=lambda f, _: 0 * f)
    assert flat.fosc.item() == flat.closed_form.item() == flat.out_of_reach.item() == flat.from_start.item() == 0


def test_fosc_is_zero_at_a_linear_models_maximum_and_the_full_reach_at_its_minimum():
    net = TwoLayer(4, 1, dtype=torch.float64).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 3.0]]))  # f(x) = <w, x> where that is positive
        net.signs.fill_(1)
    x, y = torch.tensor([[0.5, 0.0, 1.0, 0.5]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def output(f, _):
        return f

    for ball, reach in ((Linf(0.25, box=None), 0.25 * 6.5), (L2(0.25), 0.25 * 14.25**0.5)):
        step = ball.eps * ball.ascent(net.weight.detach())
        for sign, expected in ((1, 0.0), (0, reach), (-1, 2 * reach)):
            value = fosc(net, x + sign * step, x, y, ball, loss=output)
            torch.testing.assert_close(value, torch.tensor([expected], dtype=torch.float64), rtol=1e-12, atol=1e-15)
    # In the box [0, 1] the second and the third coordinate cannot follow the gradient: FOSC is 0 there all the same.
    boxed = Linf(0.25)
    best = torch.tensor([[0.75, 0.0, 1.0, 0.75]], dtype=torch.float64)
    assert fosc(net, best, x, y, boxed, loss=output).item() == 0
    assert fosc(net, x, x, y, boxed, loss=output).item() == 0.25 * 4


def test_a_flat_network_has_fosc_and_relative_fosc_zero():
    model = small_net(3, 3, 0, torch.float32)
    with torch.no_grad():
        model[1].weight.zero_()
    x, y = torch.rand(4, 3), torch.tensor([0, 1, 2, 0])
    measured = convergence(model, x, x, y, Linf(0.1))
    assert (measured.gradient_norm == 0).all()
    assert (measured.fosc == 0).all()
    assert (measured.relative == 0).all()


def test_half_precision_inputs_are_measured_in_single_precision():
    model = small_net(50, 3, 0, torch.float32)
    x = torch.rand((20, 50), generator=torch.Generator().manual_seed(0)).bfloat16()
    x_adv = Linf(0.1).sample(x, torch.Generator().manual_seed(1))
    y = torch.arange(20) % 3
    half = fosc(model.bfloat16(), x_adv, x, y, Linf(0.1))
    assert half.dtype == torch.float32
    _, grad, _ = gradients.loss_and_gradient(model, x_adv, y)
    exact = Linf(0.1).gap(grad.double(), x_adv.double(), x.double())
    torch.testing.assert_close(half.double(), exact, rtol=1e-5, atol=1e-6)


def test_chunks_change_nothing_and_the_model_keeps_its_state():
    model = small_net(4, 3, 0, torch.float64)
    model[1].weight.requires_grad_(False)
    x = torch.rand((7, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(7) % 3
    x_adv = L2(0.3).sample(x, torch.Generator().manual_seed(0))
    whole, parts = (convergence(model, x_adv, x, y, L2(0.3), chunk=chunk) for chunk in (None, 2))
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b)
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_result_holds_no_graph_when_the_inputs_require_grad():
    model, ball = small_net(4, 3, 0, torch.float32), Linf(0.1)
    x, y = torch.rand((3, 4), generator=torch.Generator().manual_seed(0)), torch.arange(3)
    x_adv = ball.sample(x).requires_grad_()
    for part in convergence(model, x_adv, x.requires_grad_(), y, ball):
        assert not part.requires_grad
    assert x_adv.grad is None


def test_a_model_in_train_mode_is_measured_only_if_the_caller_insists():
    model, x, y = small_net(3, 3, 0, torch.float32), torch.full((2, 3), 0.5), torch.tensor([0, 1])
    expected = convergence(model, x, x, y, Linf(0.1))
    model.train()
    with pytest.raises(ValueError, match="model is in train mode"):
        convergence(model, x, x, y, Linf(0.1))
    with pytest.raises(ValueError, match="model is in train mode"):
        fosc(model, x, x, y, Linf(0.1))
    insisted = convergence(model, x, x, y, Linf(0.1), allow_train_mode=True)
    assert all(torch.equal(a, b) for a, b in zip(insisted, expected, strict=True))


def test_around_the_start_half_precision_is_summed_in_single_precision():
    generator = torch.Generator().manual_seed(0)
    grad, x_adv, start = (torch.rand((20, 50), generator=generator).bfloat16() for _ in range(3))
    found = from_start(grad, x_adv, start, Linf(0.1))
    expected = 0.1 * grad.double().abs().sum(1) - ((x_adv.double() - start.double()) * grad.double()).sum(1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_errors():
    model, x, y = small_net(3, 3, 0, torch.float32), torch.full((2, 3), 0.5), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"x_adv must lie in the ball of radius 0.1 .*; 1 of 2 .* by up to 0.1"):
        fosc(model, x + torch.tensor([[0.0], [0.2]]), x, y, Linf(0.1))
    with pytest.raises(ValueError, match="and in its box; 2 of 2"):
        fosc(model, x + 0.7, x, y, L2(5.0, box=(0.0, 1.0)))
    with pytest.raises(ValueError, match=r"start must lie in the ball of radius 0.1 .*; 2 of 2 examples do not"):
        convergence(model, x, x, y, Linf(0.1), start=x - 0.2)
    with pytest.raises(ValueError, match=r"loss must return one value an example, shape \(2,\).* already reduced"):
        convergence(model, x, x, y, Linf(0.1), loss=nn.functional.cross_entropy)
    with pytest.raises(TypeError, match=r"ball must be Linf\(eps\) or L2\(eps\); got float"):
        fosc(model, x, x, y, 0.1)
    with pytest.raises(ValueError, match=r"x_adv must have the shape of x, \(2, 3\); got \(1, 3\)"):
        fosc(model, x[:1], x, y, Linf(0.1))
    with pytest.raises(ValueError, match="chunk must be at least 1; got 0"):
        fosc(model, x, x, y, Linf(0.1), chunk=0)
    with pytest.raises(ValueError, match="y must be on the device of x, cpu; got meta"):
        fosc(model, x, x, y.to("meta"), Linf(0.1), loss=lambda z, t: z.sum(1))
    with torch.no_grad():
        model[3].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="gradient of the loss is NaN or infinite for 2 of 2 examples"):
        fosc(model, x, x, y, Linf(0.1))
