"""The exact flip against an independent oracle, a fine scan, a bisection, nets solved by hand and degenerate lines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from advnb import flip
from advnb.flip import minimal_flip
from advnb.models import TwoLayer

INF = math.inf


def network(weight, signs, hidden_bias=None, top_bias=0.0) -> TwoLayer:
    """A float64 network with given weights; its outputs carry the factor m^(-1/2)."""
    m, d = len(weight), len(weight[0])
    net = TwoLayer(d, m, dtype=torch.float64, bias=True)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(weight))
        net.signs.copy_(torch.tensor(signs))
        net.hidden_bias.copy_(torch.tensor(hidden_bias or [0.0] * m))
        net.top_bias.fill_(top_bias)
    return net


def random_net(seed: int, d: int, m: int, bias: bool, dtype=torch.float64) -> tuple[TwoLayer, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=dtype, bias=bias)
    if bias:
        for parameter in (net.hidden_bias, net.top_bias):
            torch.nn.init.normal_(parameter, generator=generator)
    return net, generator


def small_nets(count: int):
    """``count`` random networks of 1 to 8 units in 1 to 5 dimensions, every second one with biases, 4 points each."""
    for seed in range(count):
        choose = torch.Generator().manual_seed(10_000 + seed)
        d, m = (int(torch.randint(1, top, (1,), generator=choose)) for top in (6, 9))
        net, generator = random_net(seed, d, m, bias=seed % 2 == 0)
        yield net, torch.randn((4, d), generator=generator, dtype=torch.float64)


@torch.no_grad()
def along(net: TwoLayer, x: Tensor, eta: Tensor) -> Tensor:
    """f(x_i + eta_ij grad f(x_i)) for steps eta (n, k)."""
    points = x[:, None] + eta[..., None] * net.input_gradient(x)[:, None]
    return net(points.flatten(0, 1)).view(eta.shape)


def scanned(net: TwoLayer, x: Tensor, sign: int) -> Tensor:
    """The first zero with eta of that sign, one kink after the other, from evaluations of the network alone."""
    with torch.no_grad():
        rate, h = net.input_gradient(x) @ net.weight.T, net.preactivation(x)
    kinks = sign * -h / rate
    kinks = torch.where((kinks > 0) & kinks.isfinite(), kinks, INF).sort(1).values
    last = torch.where(kinks.isfinite(), kinks, 0).amax(1, keepdim=True)
    knots = torch.cat([torch.zeros_like(last), kinks.minimum(last), last + 1], 1)
    values = along(net, x, sign * knots) * net(x).detach().sign()[:, None]
    rounding = 1e-13 * (values.abs().amax(1) + h.abs().amax(1))
    zero = torch.full_like(values[:, 0], INF)
    for j in reversed(range(knots.shape[1] - 1)):
        left, right, a, b = knots[:, j], knots[:, j + 1], values[:, j], values[:, j + 1]
        crossing = left + (right - left) * a / (a - b)
        endless = j == knots.shape[1] - 2  # the last segment goes on for ever
        crosses = a - b > 1e-12 * (a.abs() + b.abs()) if endless else b <= rounding
        zero = torch.where(crosses & (right > left), crossing, zero)
    return zero


def test_thousands_of_small_nets_agree_with_a_walk_over_the_kinks():
    """4,800 lines; on some of them the shorter step is the one that raises |f| first."""
    uphill_wins = nowhere = 0
    for net, x in small_nets(1200):
        f = net(x).detach()
        downhill, uphill = torch.empty_like(f), torch.empty_like(f)
        for sign in (1, -1):
            zero = scanned(net, x, sign)
            downhill = torch.where(f.sign() == -sign, zero, downhill)
            uphill = torch.where(f.sign() == sign, zero, uphill)
        downhill, uphill = downhill.where(f != 0, 0), uphill.where(f != 0, 0)
        both, descent = minimal_flip(net, x), minimal_flip(net, x, direction="descent")
        torch.testing.assert_close(descent.eta.abs(), downhill, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(both.eta.abs(), downhill.minimum(uphill), rtol=1e-8, atol=1e-10)
        moved = (descent.eta != 0) & descent.eta.isfinite()
        assert (descent.eta.sign() == -f.sign())[moved].all()
        uphill_wins += int((uphill < downhill - 1e-9).sum())
        nowhere += int(both.eta.isinf().sum())
    assert uphill_wins > 10
    assert nowhere > 10


def test_no_sign_change_comes_earlier_on_a_fine_scan():
    """20,000 points on each side up to the answer keep the sign of f(x), and f is 0 at it and other behind."""
    for net, x in small_nets(150):
        result = minimal_flip(net, x)
        found = result.eta.isfinite() & (result.eta != 0)
        if not found.any():
            continue
        x, eta, f = x[found], result.eta[found], net(x[found]).detach()
        fractions = torch.linspace(0, 1 - 1e-7, 20_000, dtype=torch.float64)
        for side in (1, -1):
            values = along(net, x, side * eta[:, None] * fractions)
            assert (values * f[:, None] > 0).all()
        at = along(net, x, eta[:, None]).squeeze(1)
        assert (at.abs() <= 1e-10 * (1 + f.abs())).all()


@pytest.mark.parametrize(("d", "m"), [(25, 300), (49, 2000), (100, 1000)])
def test_wide_nets_agree_with_bisection(d, m):
    """f(x) and f(x + eta g) differ in sign at twice the first-order step; bisect that bracket to 1e-12."""
    for seed, bias in ((0, False), (1, True)):
        net, generator = random_net(seed, d, m, bias)
        x = torch.randn((200, d), generator=generator, dtype=torch.float64)
        x /= x.norm(dim=1, keepdim=True)
        f, gradient = net.value_and_gradient(x)
        high = -2 * f / gradient.square().sum(1)
        low = torch.zeros_like(high)
        bracketed = along(net, x, high[:, None]).squeeze(1) * f < 0
        for _ in range(60):
            middle = (low + high) / 2
            same = along(net, x, middle[:, None]).squeeze(1) * f > 0
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
        result = minimal_flip(net, x)
        assert bracketed.double().mean() > 0.9
        # The bisection finds some sign change, the exact flip the first one: never later, and nearly always the same.
        assert (result.eta.abs() <= high.abs() * (1 + 1e-10))[bracketed].all()
        equal = (result.eta - high).abs() <= 1e-10 * high.abs()
        assert equal[bracketed].double().mean() > 0.98
        torch.testing.assert_close(result.norm, result.eta.abs() * gradient.norm(dim=1))
        torch.testing.assert_close(result.gradient_norm, gradient.norm(dim=1))


def test_the_widths_of_the_paper_flip_just_behind_the_answer():
    net, generator = random_net(0, 50, 20_000, bias=False)
    x = torch.randn((20, 50), generator=generator, dtype=torch.float64)
    f, eta = net(x).detach(), minimal_flip(net, x).eta
    ratio = along(net, x, eta[:, None] * torch.tensor([1 - 1e-8, 1, 1 + 1e-8], dtype=torch.float64)) / f[:, None]
    assert (ratio[:, 0] > 0).all()
    assert (ratio[:, 1].abs() < 1e-11).all()
    assert (ratio[:, 2] < 0).all()


def test_newton_and_the_sort_of_the_kinks_agree(monkeypatch):
    """Where Newton's zero is certain, it is the one that the sorted kinks give; on small nets it often is not."""
    problems = list(small_nets(400))
    for d, m in ((25, 10_000), (100, 1000)):
        net, generator = random_net(7, d, m, bias=True)
        problems.append((net, torch.randn((50, d), generator=generator, dtype=torch.float64)))
    newton, shares = flip._Line.newton, []

    def counted(line):
        zero, certain = newton(line)
        shares.append(certain.double().mean().item())
        return zero, certain

    monkeypatch.setattr(flip._Line, "newton", counted)
    fast = [minimal_flip(net, x).eta for net, x in problems]
    assert 0.2 < sum(shares[:-2]) / 400 < 0.9
    assert shares[-2] > 0.3 and shares[-1] > 0.9

    monkeypatch.setattr(flip._Line, "newton", lambda line: (line.f, torch.zeros_like(line.f, dtype=torch.bool)))
    for quick, (net, x) in zip(fast, problems, strict=True):
        torch.testing.assert_close(quick, minimal_flip(net, x).eta, rtol=1e-9, atol=1e-12)


class TestSolvedByHand:
    """One-dimensional networks; with m units the gradient carries m^(-1/2), and so does f."""

    def test_a_straight_line_needs_the_first_order_step(self):
        # f(t) = t where t > -5, at x = 2: eta = -f / g^2 = -2.
        net = network([[1.0]], [1.0], [5.0], top_bias=-5.0)
        result = minimal_flip(net, torch.tensor([[2.0]], dtype=torch.float64))
        assert [round(value.item(), 12) for value in result] == [-2.0, 2.0, 1.0]

    def test_a_kink_on_the_way_bends_the_line(self):
        # sqrt(2) f(t) = relu(t) + relu(t - 1) - 1/2 at x = 2: down to 1/2 at t = 1, and to 0 at t = 1/2.
        net = network([[1.0], [1.0]], [1.0, 1.0], [0.0, -1.0], top_bias=-0.5 / 2**0.5)
        result = minimal_flip(net, torch.tensor([[2.0]], dtype=torch.float64))
        assert result.norm.item() == pytest.approx(1.5, abs=1e-12)
        assert result.gradient_norm.item() == pytest.approx(2**0.5, abs=1e-12)
        assert result.eta.item() == pytest.approx(-1.5 / 2**0.5, abs=1e-12)

    def test_the_other_direction_is_the_only_one(self):
        # sqrt(2) f(t) = relu(t) - 3 relu(t - 1) + 1 at x = 1/2: 1 or more on the left, 0 at t = 2 on the right.
        net = network([[1.0], [3.0]], [1.0, -1.0], [0.0, -3.0], top_bias=1 / 2**0.5)
        x = torch.tensor([[0.5]], dtype=torch.float64)
        assert minimal_flip(net, x).eta.item() == pytest.approx(1.5 * 2**0.5, abs=1e-12)
        assert minimal_flip(net, x, direction="descent").eta.item() == INF

    def test_the_first_of_three_zeros(self):
        # sqrt(3) f falls from 1 at t = 0 to -1 at 2, rises to 1 at 4 and falls for ever: zeros at 1, 3 and 5.
        net = network([[1.0], [2.0], [2.0]], [-1.0, 1.0, -1.0], [10.0, -4.0, -8.0], top_bias=11 / 3**0.5)
        result = minimal_flip(net, torch.tensor([[0.0], [3.5], [6.0]], dtype=torch.float64))
        assert result.norm.tolist() == pytest.approx([1.0, 0.5, 1.0], abs=1e-12)
        assert [value > 0 for value in result.eta.tolist()] == [False, False, True]

    def test_a_zero_that_is_only_touched_counts(self):
        # sqrt(2) f(t) = relu(t - 1) + relu(1 - t): a valley whose floor is 0 at t = 1.
        net = network([[1.0], [-1.0]], [1.0, 1.0], [-1.0, 1.0])
        result = minimal_flip(net, torch.tensor([[3.0], [-1.0]], dtype=torch.float64))
        assert result.norm.tolist() == pytest.approx([2.0, 2.0], abs=1e-12)

    def test_where_f_is_exactly_one(self):
        # 2 f(t) = relu(t - 1) + relu(1 - t), beside two units that are off.
        net = network([[1.0], [-1.0], [0.0], [0.0]], 4 * [1.0], [-1.0, 1.0, -1.0, -1.0])
        x = torch.tensor([[3.0], [-1.0]], dtype=torch.float64)
        assert net(x).tolist() == [1.0, 1.0]
        assert minimal_flip(net, x).norm.tolist() == pytest.approx([2.0, 2.0], abs=1e-12)
        # 2 f(t) = relu(t) - 3 relu(t - 1) + 3/2, which has its only zero on the side where it rises first.
        net = network([[1.0], [3.0], [0.0], [0.0]], [1.0, -1.0, 1.0, 1.0], [0.0, -3.0, -1.0, -1.0], top_bias=0.75)
        x = torch.tensor([[0.5]], dtype=torch.float64)
        assert net(x).item() == 1.0
        assert minimal_flip(net, x).norm.item() == pytest.approx(1.75, abs=1e-12)

    def test_a_valley_that_stays_above_zero_never_flips(self):
        net = network([[1.0], [-1.0]], [1.0, 1.0], [-1.0, 1.0], top_bias=1e-9)
        result = minimal_flip(net, torch.tensor([[3.0], [-1.0]], dtype=torch.float64))
        assert result.eta.tolist() == [INF, INF]
        assert result.norm.tolist() == [INF, INF]

    def test_a_valley_above_the_rounding_of_a_wide_network_never_flips(self):
        # The same valley beside 998 units that are off: f is rounded by some 1e-17, and its floor is 1e-13.
        off = 998
        net = network([[1.0], [-1.0]] + off * [[0.0]], (2 + off) * [1.0], [-1.0, 1.0] + off * [-1.0], top_bias=1e-13)
        assert minimal_flip(net, torch.tensor([[3.0], [-1.0]], dtype=torch.float64)).eta.tolist() == [INF, INF]

    def test_units_that_never_move_leave_the_zeros_where_they_are(self):
        # The three zeros from above, and a fourth unit that is 0, or 1, everywhere; then a valley that never ends.
        for constant in (0.0, 1.0):
            bias, top = [10.0, -4.0, -8.0, constant], (11 - constant) / 2
            net = network([[1.0], [2.0], [2.0], [0.0]], [-1.0, 1.0, -1.0, 1.0], bias, top_bias=top)
            result = minimal_flip(net, torch.tensor([[0.0], [3.5], [6.0]], dtype=torch.float64))
            assert result.norm.tolist() == pytest.approx([1.0, 0.5, 1.0], abs=1e-12)
            # The only zero on the other side, from above, behind the last kink.
            net = network([[1.0], [3.0], [0.0]], [1.0, -1.0, 1.0], [0.0, -3.0, constant], (1 - constant) / 3**0.5)
            at = torch.tensor([[0.5]], dtype=torch.float64)
            assert minimal_flip(net, at).norm.item() == pytest.approx(1.5, abs=1e-12)
            for sign in (1.0, -1.0):
                net = network([[1.0], [-1.0], [0.0]], 3 * [sign], [-1.0, 1.0, constant], top_bias=sign * 1e-9)
                result = minimal_flip(net, torch.tensor([[3.0], [-1.0]], dtype=torch.float64))
                assert result.eta.tolist() == [INF, INF]


class TestDegenerateLines:
    def test_a_zero_gradient_never_flips(self):
        net = network([[1.0], [2.0]], [1.0, -1.0], [-3.0, -3.0], top_bias=0.5)
        result = minimal_flip(net, torch.tensor([[0.0], [5.0]], dtype=torch.float64))
        assert (result.eta[0].item(), result.norm[0].item(), result.gradient_norm[0].item()) == (INF, INF, 0.0)
        assert result.eta[1].isfinite()

    def test_a_value_of_zero_needs_no_step(self):
        net = network([[1.0, 0.0]], [1.0])
        x = torch.tensor([[-1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)  # dead, and on the kink
        result = minimal_flip(net, x)
        assert result.eta.tolist() == [0.0, 0.0]
        assert result.norm.tolist() == [0.0, 0.0]

    def test_a_line_into_the_dead_zone_ends_where_it_begins(self):
        # Without biases the gradient of one unit points through the origin, where f becomes 0 and stays 0.
        for seed in range(50):
            net, generator = random_net(seed, 6, 1, bias=False)
            x = torch.randn((10, 6), generator=generator, dtype=torch.float64)
            f, gradient = net.value_and_gradient(x)
            alive = f != 0
            expected = -(f / gradient.square().sum(1))[alive]
            torch.testing.assert_close(minimal_flip(net, x).eta[alive], expected)

    def test_a_unit_exactly_on_its_kink_counts_from_there_on(self):
        # sqrt(2) f(t) = relu(t + 1) - 4 relu(t) at x = 0: the gradient sees one unit, the line to the right both.
        net = network([[1.0], [4.0]], [1.0, -1.0], [1.0, 0.0])
        result = minimal_flip(net, torch.tensor([[0.0]], dtype=torch.float64))
        assert result.norm.item() == pytest.approx(1 / 3, abs=1e-12)
        assert result.eta.item() > 0

    def test_tiny_and_huge_outputs(self):
        for scale in (1e-120, 1e120):
            net = network([[1.0], [1.0]], [1.0, 1.0], [0.0, -1.0], top_bias=-0.5 / 2**0.5)
            with torch.no_grad():
                net.signs.mul_(scale)
                net.top_bias.mul_(scale)
            norm = minimal_flip(net, torch.tensor([[2.0]], dtype=torch.float64)).norm
            assert norm.item() == pytest.approx(1.5, rel=1e-9)

    def test_no_answer_is_nan(self):
        for net, x in small_nets(100):
            for part in (*minimal_flip(net, x), *minimal_flip(net, x * 0), *minimal_flip(net, x * 1e100)):
                assert not part.isnan().any()


def test_single_precision_agrees_with_double():
    net, generator = random_net(0, 64, 5000, bias=True)
    x = torch.randn((100, 64), generator=generator, dtype=torch.float64)
    single = TwoLayer(64, 5000, bias=True)
    single.load_state_dict(net.state_dict())
    exact, rough = minimal_flip(net, x), minimal_flip(single, x.float())
    assert rough.eta.dtype == torch.float32
    # An error of 1e-6 in f moves the zero by about that over the slope ||g||^2.
    error = (rough.eta.double() - exact.eta).abs() * exact.gradient_norm.square()
    assert (error < 2e-5).all()


def test_images_and_chunks_change_nothing(monkeypatch):
    net, generator = random_net(0, 12, 40, bias=True)
    x = torch.randn((9, 12), generator=generator, dtype=torch.float64)
    whole = minimal_flip(net, x)
    monkeypatch.setattr(flip, "UNITS_AT_ONCE", 80)
    for part, expected in zip(minimal_flip(net, x.view(9, 3, 2, 2)), whole, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-12, atol=0)
    assert net.weight.grad is None


@pytest.mark.parametrize("power", [3, 30, -30])
def test_the_cone(power):
    """Scaling all weights and biases scales f and leaves the perturbation as it is: bit for bit, by a power of two."""
    scale, problems = 2.0**power, [*small_nets(20)]
    net, generator = random_net(3, 10, 50, bias=False)
    problems.append((net, torch.randn((30, 10), generator=generator, dtype=torch.float64)))
    for net, x in problems:
        before = minimal_flip(net, x)
        with torch.no_grad():
            for part in (net.weight, net.hidden_bias, net.top_bias):
                if part is not None:
                    part.mul_(scale)
        after = minimal_flip(net, x)
        assert torch.equal(after.norm, before.norm)
        assert torch.equal(after.eta * scale, before.eta)


def test_errors():
    net = TwoLayer(2, 3, dtype=torch.float64)
    x = torch.zeros(2, 2, dtype=torch.float64)
    with pytest.raises(TypeError, match="net must be a TwoLayer network; got Linear"):
        minimal_flip(torch.nn.Linear(2, 1), x)
    with pytest.raises(ValueError, match=r"net must have activation 'relu'.*; got 'softplus'"):
        minimal_flip(TwoLayer(2, 3, activation="softplus", dtype=torch.float64), x)
    with pytest.raises(TypeError, match=r"net must be in float32 or float64; got torch.bfloat16"):
        minimal_flip(TwoLayer(2, 3, dtype=torch.bfloat16), x.bfloat16())
    with pytest.raises(ValueError, match=r"x must have the dtype of net, torch.float64; got torch.float32"):
        minimal_flip(net, x.float())
    with pytest.raises(ValueError, match="x must be on the device of net, cpu; got meta"):
        flip._check(net, _Elsewhere(x))
    with pytest.raises(ValueError, match=r"x must hold 2 numbers an example; got shape \(2, 3\)"):
        minimal_flip(net, torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="x must be finite"):
        minimal_flip(net, x * torch.nan)
    with pytest.raises(ValueError, match="direction must be one of 'both', 'descent'; got 'up'"):
        minimal_flip(net, x, direction="up")


class _Elsewhere(torch.Tensor):
    """A tensor that says it is on another device."""

    @property
    def device(self):
        return torch.device("meta")
