"""The two-layer network along a path, against autograd in float64, whatever switches on the way."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from advnb import incremental
from advnb.attacks import pgd
from advnb.balls import L2, Linf
from advnb.gradients import frozen, loss_and_gradient
from advnb.models import TwoLayer

F64 = torch.float64
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    """Look for switched units also where it would not pay."""
    monkeypatch.setattr(incremental, "WORTHWHILE", 0)
    monkeypatch.setattr(incremental, "WIDE", 0)


def network(d, m, seed=0, bias=False, dtype=F64):
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, bias=bias, dtype=dtype).eval()
    if bias:
        net.hidden_bias.data.normal_(generator=generator)
        net.top_bias.data.normal_(generator=generator)
    return net


def by_autograd(net, x):
    x = x.detach().requires_grad_()
    f = net(x)
    return f.detach(), torch.autograd.grad(f.sum(), x)[0]


def agree(net, along, x, rows=None, **tolerance):
    for found, expected in zip(along(x, rows), by_autograd(net, x), strict=True):
        torch.testing.assert_close(found, expected, **tolerance or TIGHT)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 12), st.integers(1, 70), st.integers(1, 6), st.booleans(), st.integers(0, 2**31),
    st.lists(st.sampled_from([0.0, 1e-3, 0.1, 1.0, 100.0]), max_size=12), st.sampled_from([1, 4]),
)  # fmt: skip
@example(3, 64, 2, True, 0, [0.01] * 12, 1)
def test_any_path_gives_what_autograd_gives(d, m, n, bias, seed, moves, tile):
    """Steps of every size: none, a few or all of the units switch, with a width that fills up words or does not."""
    net = network(d, m, seed, bias)
    generator = torch.Generator().manual_seed(seed)
    x, along = torch.randn((n, d), generator=generator, dtype=F64), net.along_path(tile=tile)
    for move in [0.0, *moves]:
        x = x + move * torch.randn((n, d), generator=generator, dtype=F64)
        agree(net, along, x)


def test_all_units_off_is_exactly_flat_and_back():
    """No rounding of the updates is left where the gradient is zero: its direction would be taken for one."""
    net = network(3, 200, dtype=torch.float32, bias=True)
    net.weight.data[:, 0] = net.weight.data[:, 0].abs()
    along = net.along_path()
    for place in (*torch.linspace(5, -50, 400), torch.tensor(5.0)):
        x = torch.tensor([[1.0, 0.3, -0.2], [0.5, 0.1, 0.1]]) * place
        f, gradient = along(x)
        expected = by_autograd(net, x)
        torch.testing.assert_close((f, gradient), expected, rtol=1e-5, atol=2e-5)
        assert torch.equal(gradient == 0, expected[1] == 0)
    assert not (gradient == 0).any()


@pytest.mark.parametrize("bias", [False, True])
def test_moves_of_a_few_coordinates(bias, monkeypatch):
    """The first product too is updated, none or a tenth of the coordinates moving, and is that of float64."""
    monkeypatch.setattr(incremental, "AGAIN", 0)
    updates, update = [], incremental.AlongPath._moved_on
    monkeypatch.setattr(incremental.AlongPath, "_moved_on", lambda *a: updates.append(1) or update(*a))
    net, exact = network(60, 300, bias=bias, dtype=torch.float32), network(60, 300, bias=bias)
    exact.load_state_dict({name: part.double() for name, part in net.state_dict().items()})
    generator = torch.Generator().manual_seed(0)
    x, along = torch.randn((10, 60), generator=generator), net.along_path()
    for k in range(80):
        moves = torch.rand((10, 60), generator=generator) < (1.0 if k % 40 == 39 else 0.1)
        x += 0.05 * moves * (k % 4 > 0)  # in place: what was passed before is not what it was
        h = exact.preactivation(x.double())
        f, gradient = along(x)
        value, expected = by_autograd(exact, x.double())
        torch.testing.assert_close(f.double(), value, rtol=1e-4, atol=1e-4)
        clear = (h.abs() > 1e-4).all(1)  # elsewhere a unit may be on the other side of its kink, by rounding
        torch.testing.assert_close(gradient[clear].double(), expected[clear], rtol=1e-4, atol=1e-4)
    assert len(updates) > 60


def test_all_units_switch_at_once():
    net = network(4, 96)
    along, x = net.along_path(), torch.randn(3, 4, dtype=F64)
    for sign in (1, -1, 1, 1, -1):
        agree(net, along, sign * x)


def test_at_kinks_the_derivative_is_that_of_torch():
    """A unit at exactly 0 is off, also when it comes from above."""
    net = TwoLayer(1, 3, bias=True, dtype=F64).eval()
    net.weight.data = torch.tensor([[1.0], [-2.0], [4.0]], dtype=F64)
    net.signs = torch.tensor([1.0, -1.0, 1.0], dtype=F64)
    net.hidden_bias.data = torch.tensor([-1.0, 2.0, 0.0], dtype=F64)
    along = net.along_path()
    for place in (0.5, 1.0, 1.5, 1.0, 0.5, 0.0, -0.5, 0.0, 1.0):
        agree(net, along, torch.tensor([[place]], dtype=F64))


def test_two_units_by_hand_along_every_order_of_four_points():
    """f(x) = (relu(2x) - relu(x - 1)) / sqrt(2): slopes 0, 2 and 1 on its three pieces, times 2^{-1/2}."""
    net = TwoLayer(1, 2, bias=True, dtype=F64).eval()
    net.weight.data, net.signs = torch.tensor([[2.0], [1.0]], dtype=F64), torch.tensor([1.0, -1.0], dtype=F64)
    net.hidden_bias.data = torch.tensor([0.0, -1.0], dtype=F64)
    answers = {-1.0: (0, 0), 0.5: (1, 2), 2.0: (3, 1), 3.0: (4, 1)}
    for order in itertools.permutations(answers):
        along = net.along_path()
        for place in order:
            f, gradient = along(torch.tensor([[place]], dtype=F64))
            assert (float(f) * 2**0.5, float(gradient) * 2**0.5) == pytest.approx(answers[place], abs=1e-12)


def test_rows_that_are_left_out_do_not_disturb_the_others():
    net, x = network(5, 80), torch.randn(6, 5, dtype=F64)
    along, rows = net.along_path(), None
    for rows in (None, torch.tensor([0, 2, 3, 5]), torch.tensor([2, 5]), torch.tensor([2, 5]), torch.tensor([5])):
        x = x + 0.01
        agree(net, along, x if rows is None else x[rows], rows)
    agree(net, along, x[[0, 1]], torch.tensor([0, 1]))  # rows that it does not know: a new path
    agree(net, along, x)


def test_after_points_that_do_not_fit_the_path_begins_anew():
    net, x = network(4, 40), torch.randn(3, 4, dtype=F64)
    along = net.along_path()
    agree(net, along, x)
    with pytest.raises(RuntimeError):
        along(torch.zeros(3, 5, dtype=F64))
    agree(net, along, x + 0.01)
    agree(net, along, torch.randn(7, 4, dtype=F64))


def test_a_gradient_once_returned_stays_as_it_is():
    net, x = network(4, 64), torch.randn(3, 4, dtype=F64)
    along = net.along_path()
    kept = [along(x + 0.01 * k)[1] for k in range(5)]
    for k, gradient in enumerate(kept):
        torch.testing.assert_close(gradient, by_autograd(net, x + 0.01 * k)[1], **TIGHT)


def test_what_is_no_plain_relu_network_makes_no_offer():
    class Mine(TwoLayer):
        def forward(self, x):
            return 2 * super().forward(x)

    watched = network(3, 4)
    watched.register_forward_hook(lambda *_: None)
    assert network(3, 4).along_path() is not None
    assert TwoLayer(3, 4, activation="softplus").along_path() is None
    assert Mine(3, 4).along_path() is None
    assert watched.along_path() is None


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("loss", ["logistic", "squared", lambda f, y: -y * f])
@pytest.mark.parametrize("ball", [L2(0.5), L2(0.5, (0.0, 1.0)), Linf(0.05)])
def test_an_attack_ends_where_it_ends_by_autograd(ball, loss, dtype, bias):
    net = network(36, 200, bias=bias, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(20, 1, 6, 6, generator=generator).to(dtype)
    y = torch.where(torch.rand(20, generator=generator) < 0.5, 1.0, -1.0).to(dtype)
    start = ball.sample(x, generator=generator)

    class AsWritten(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)

    options = {"start": start, "steps": 60, "step_size": ball.eps / 20, "loss": loss, "trace": True}
    (x_adv, trace), (plain, expected) = pgd(net, x, y, ball, **options), pgd(AsWritten().eval(), x, y, ball, **options)
    assert torch.equal(pgd(net, x, y, ball, fold=False, **options)[0], plain)  # as written, bit for bit
    assert bool(ball.contains(x_adv, x).all())
    torch.testing.assert_close(trace.loss[:3], expected.loss[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trace.loss[-1].mean(), expected.loss[-1].mean(), rtol=1e-3, atol=1e-6)
    if dtype == F64:
        torch.testing.assert_close(x_adv, plain, rtol=0, atol=1e-9)
    # Where it ends, its gradient is that of autograd.
    with frozen(net):
        value, _, _ = loss_and_gradient(net, x_adv, y, loss)
    torch.testing.assert_close(trace.loss[-1], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [8, 30])
def test_examples_that_rest_change_nothing_for_the_others_bit_for_bit(n):
    """As :func:`pgd` says of layers that take and make multiples of four numbers."""
    net = network(64, 256, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 64, generator=generator)
    y = torch.where(torch.rand(n, generator=generator) < 0.5, 1.0, -1.0)
    ball = L2(1.0)
    _, full = pgd(net, x, y, ball, start=x, steps=30, step_size=0.1, loss="logistic", fosc_below=0.0, trace="x")
    threshold = float(full.fosc[12].median())
    x_adv, trace = pgd(net, x, y, ball, start=x, steps=30, step_size=0.1, loss="logistic", fosc_below=threshold,
                       trace="x")  # fmt: skip
    assert (trace.steps < 30).sum() > 0
    for i, k in enumerate(trace.steps.tolist()):
        assert torch.equal(x_adv[i], full.x[k, i])
        assert torch.equal(trace.x[: k + 1, i], full.x[: k + 1, i])


def test_in_float32_a_hundred_steps_keep_the_gradient():
    """Few units switch a step: the gradient after a hundred updates is as good as one that is summed afresh."""
    net, exact = network(100, 2000, dtype=torch.float32), network(100, 2000)
    exact.weight.data = net.weight.data.double()
    exact.signs = net.signs.double()
    generator = torch.Generator().manual_seed(0)
    x, along = torch.randn((10, 100), generator=generator), net.along_path()
    worst = {"along": 0.0, "dense": 0.0}
    for _ in range(100):
        x = x + 0.02 * torch.randn((10, 100), generator=generator)
        on = net.preactivation(x) > 0  # units within rounding of their kinks may differ in float64
        expected = (on.double() * exact.signs) @ exact.weight.detach() / exact.m**0.5
        worst["along"] = max(worst["along"], float((along(x)[1].double() - expected).abs().max()))
        worst["dense"] = max(worst["dense"], float((net.input_gradient(x).double() - expected).abs().max()))
    assert worst["along"] < 5 * worst["dense"]
