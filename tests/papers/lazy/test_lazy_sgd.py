"""Lazy training: the 2,infinity ball, exits that never overshoot, gradients against autograd, the cone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from advnb.flip import minimal_flip
from advnb.losses import logistic
from advnb.models import TwoLayer
from advnb.papers.lazy import ball, sgd
from advnb.papers.lazy.sgd import lazy_sgd
from advnb.papers.lazy.task import digit_pair

F64 = torch.float64
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def problem(seed: int, d: int = 6, m: int = 40, n: int = 30, bias: bool = False, dtype=F64):
    """A network and separable data: labels are the sign of the first coordinate."""
    generator = seeded(seed)
    net = TwoLayer(d, m, generator=generator, dtype=dtype, bias=bias)
    x = torch.randn(n, d, generator=generator, dtype=dtype)
    return net, x, torch.where(x[:, 0] > 0, 1.0, -1.0).to(dtype)


class TestBall:
    @DTYPES
    def test_projection_is_idempotent_and_inside(self, dtype):
        start, far = (torch.randn(500, 7, generator=seeded(k), dtype=dtype) for k in (0, 1))
        for radius in (0.01, 0.5, 3.0):
            once = ball.project(start + far, start, radius)
            assert ball.movement(once, start).max() <= radius
            assert torch.equal(ball.project(once, start, radius), once)

    @given(seed=st.integers(0, 1000), radius=st.floats(0.01, 5))
    @settings(max_examples=40, deadline=None)
    def test_projection_is_nearest(self, seed, radius):
        generator = seeded(seed)
        start, weight = (torch.randn(8, 3, generator=generator, dtype=F64) for _ in range(2))
        nearest = ball.project(weight, start, radius)
        offsets = torch.randn(200, 8, 3, generator=generator, dtype=F64)
        size = torch.rand(200, 8, 1, generator=generator, dtype=F64) * radius
        others = start + offsets / offsets.norm(dim=2, keepdim=True) * size
        assert ((others - weight).norm(dim=2) >= (nearest - weight).norm(dim=1) - 1e-9).all()

    def test_by_hand(self):
        start = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=F64)
        weight = torch.tensor([[1.0, 4.0], [0.3, 0.0]], dtype=F64)
        moved = ball.project(weight, start, 2.0)
        assert torch.allclose(moved, torch.tensor([[1.0, 2.0], [0.3, 0.0]], dtype=F64), atol=1e-12)
        assert ball.movement(weight, start).tolist() == [4.0, 0.3]
        assert ball.largest_movement(weight, start) == pytest.approx(4 * 2**0.5)

    def test_errors(self):
        w = torch.zeros(3, 2)
        with pytest.raises(ValueError, match=r"radius must be a finite number above 0; got 0"):
            ball.project(w, w, 0)
        with pytest.raises(ValueError, match=r"weight must have the shape of start, \(2, 2\); got \(3, 2\)"):
            ball.project(w, w[:2], 1.0)
        with pytest.raises(ValueError, match=r"weight must have the shape of start"):
            ball.movement(w, w[:2])


class TestGradient:
    @DTYPES
    @pytest.mark.parametrize("bias", [False, True])
    def test_one_step_is_that_of_autograd(self, bias, dtype):
        net, x, y = problem(0, bias=bias, dtype=dtype)
        other, _, _ = problem(0, bias=bias, dtype=dtype)
        logistic(other(x), y).sum().backward()
        push, slopes = sgd.logistic_push(net, x, y)
        sgd.apply_push(net, x, 0.1 * push, slopes)
        for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.allclose(mine, theirs - 0.1 * theirs.grad, atol=100 * torch.finfo(dtype).eps)

    def test_a_run_is_that_of_torch_sgd(self):
        net, x, y = problem(1, bias=True)
        other, _, _ = problem(1, bias=True)
        lazy_sgd(net, x, y, [1e6], steps=12, batch=8, generator=seeded(5))
        order = seeded(5)
        batches = [rows for _ in range(3) for rows in torch.randperm(30, generator=order).split(8)]
        optimiser = torch.optim.SGD(other.parameters(), lr=0.1)
        for rows in batches[:12]:
            optimiser.zero_grad()
            logistic(other(x[rows]), y[rows]).mean().backward()
            optimiser.step()
        for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-12)

    @DTYPES
    @pytest.mark.parametrize("bias", [False, True])
    def test_pixels_that_are_0_in_all_images_are_left_out_and_cost_no_accuracy(self, bias, dtype):
        """Against the plain step on all pixels: the same weights to rounding, and the very same where nothing moves."""
        net, x, y = problem(8, bias=bias, dtype=dtype)
        x[:, [2, 5]] = 0
        other, _, _ = problem(8, bias=bias, dtype=dtype)
        before = net.weight.detach().clone()
        run = lazy_sgd(net, x, y, [1e6], steps=200, batch=8, generator=seeded(5))
        order = seeded(5)
        batches = [rows for _ in range(60) for rows in torch.randperm(30, generator=order).split(8)]
        for rows in batches[:200]:
            push, slopes = sgd.logistic_push(other, x[rows], y[rows])
            sgd.apply_push(other, x[rows], push * 0.1 / len(rows), slopes)
        for mine, plain in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.allclose(mine, plain, atol=200 * torch.finfo(dtype).eps)
        assert torch.equal(net.weight[:, [2, 5]], before[:, [2, 5]])
        assert run.moved[-1] == pytest.approx(ball.largest_movement(net.weight.detach(), before), rel=1e-5)


def walk(seed: int, steps: int, **options) -> tuple[list[float], list[Tensor]]:
    """The movement after every step, and the weights, found by training again from the start each time."""
    weights = []
    for k in range(1, steps + 1):
        net, x, y = problem(seed, bias=options.get("bias", False))
        lazy_sgd(net, x, y, [1e6], steps=k, batch=8, lr=0.5, generator=seeded(seed))
        weights.append(net.weight.detach().clone())
    start = problem(seed)[0].weight.detach()
    return [ball.largest_movement(w, start) for w in weights], weights


class TestExit:
    @pytest.mark.parametrize("seed", range(4))
    def test_exact_and_never_beyond(self, seed):
        moved, weights = walk(seed, 40)
        start = problem(seed)[0].weight.detach()
        radii = [0.3 * max(moved), 0.6 * max(moved), 0.9 * max(moved)]
        net, x, y = problem(seed)
        seen = {}
        lazy_sgd(net, x, y, radii, steps=40, batch=8, lr=0.5, generator=seeded(seed),
                 visit=lambda net, exit: seen.update({exit.radius: (net.weight.detach().clone(), exit)}))  # fmt: skip
        assert list(seen) == radii
        for radius, (weight, exit) in seen.items():
            first = next(k for k, size in enumerate(moved) if size > radius)
            assert exit.reached and exit.step == first
            assert ball.largest_movement(weight, start) <= radius < exit.after
            assert exit.moved == pytest.approx(ball.largest_movement(weight, start), rel=1e-14)
            assert torch.equal(weight, weights[first - 1] if first else start)

    def test_biases_are_those_of_the_network_shown(self):
        net, x, y = problem(2, bias=True)
        shown = []

        def keep(net, exit):
            shown.append((exit.step, *(p.detach().clone() for p in net.parameters())))

        lazy_sgd(net, x, y, [1.0], steps=60, batch=8, lr=0.5, generator=seeded(2), visit=keep)
        again, x, y = problem(2, bias=True)
        lazy_sgd(again, x, y, [1e6], steps=shown[0][0], batch=8, lr=0.5, generator=seeded(2))
        assert all(torch.equal(p, q) for p, q in zip(shown[0][1:], again.parameters(), strict=True))

    def test_watching_does_not_change_the_trajectory(self):
        net, x, y = problem(3)
        other, _, _ = problem(3)
        lazy_sgd(net, x, y, [0.1, 0.2, 0.5, 1.0, 1e6], steps=50, batch=8, generator=seeded(1))
        lazy_sgd(other, x, y, [1e6], steps=50, batch=8, generator=seeded(1))
        assert torch.equal(net.weight, other.weight)

    def test_the_released_stop_overshoots_to_the_end_of_the_epoch(self):
        inside, outside = [], []
        for stop, seen in (("step", inside), ("epoch", outside)):
            net, x, y = problem(4)
            lazy_sgd(net, x, y, [1.0], steps=200, batch=5, lr=0.5, stop=stop, generator=seeded(4),
                     visit=lambda net, exit, seen=seen: seen.append(exit))  # fmt: skip
        assert inside[0].moved <= 1.0 < outside[0].moved == outside[0].after
        assert outside[0].step % 6 == 0  # 30 examples, 5 a batch
        assert inside[0].step < outside[0].step <= inside[0].step + 6

    def test_a_radius_that_is_not_reached_says_so(self):
        net, x, y = problem(5)
        path = lazy_sgd(net, x, y, [1e-3, 50.0], steps=20, batch=10, generator=seeded(0))
        first, last = path.exits
        assert first.reached and first.step == 0 and first.moved == 0
        assert not last.reached and last.step == 20 and last.moved == last.after < 50
        assert path.steps[0] == 0 and path.steps[-1] == 20 and path.moved[-1] == last.moved

    def test_the_sum_of_a_batch_is_its_mean_at_a_larger_rate(self):
        nets = [problem(6)[0], problem(6)[0]]
        _, x, y = problem(6)
        lazy_sgd(nets[0], x, y, [1e6], steps=6, batch=10, lr=0.1, generator=seeded(0))
        lazy_sgd(nets[1], x, y, [1e6], steps=6, batch=10, lr=0.01, reduction="sum", generator=seeded(0))
        assert torch.allclose(*(net.weight for net in nets), atol=1e-12)

    def test_errors(self):
        net, x, y = problem(0)
        cases = [
            ({"radii": [2.0, 1.0]}, "radii must be distinct and ascending"),
            ({"radii": []}, "radii must be distinct and ascending"),
            ({"radii": [-1.0]}, "radii must be a finite number above 0"),
            ({"stop": "batch"}, "stop must be one of 'epoch', 'step'"),
            ({"reduction": "max"}, "reduction must be one of 'mean', 'sum'"),
            ({"lr": 0}, "lr must be a finite number above 0"),
            ({"steps": 0}, "steps must be at least 1"),
            ({"y": y + 1}, "y must hold the labels -1 and \\+1"),
        ]
        for change, message in cases:
            arguments = {"x": x, "y": y, "radii": [1.0], "steps": 3} | change
            with pytest.raises(ValueError, match=message):
                lazy_sgd(net, **arguments)
        with pytest.raises(TypeError, match="net must be a TwoLayer network with activation 'relu'"):
            lazy_sgd(TwoLayer(6, 4, activation="softplus", dtype=F64), x, y, [1.0], steps=1)


class TestTask:
    def test_digits_in_all_units(self):
        unit = digit_pair("digits", 4, "unit")
        assert unit.train.x.shape[1] == 16
        assert torch.allclose(unit.train.x.norm(dim=1), torch.ones(len(unit.train)))
        pixels, standard = (digit_pair("digits", 8, units).test.x for units in ("pixels", "standardised"))
        assert torch.allclose(standard * 0.3081 + 0.1307, pixels, atol=1e-6)
        with pytest.raises(ValueError, match="units must be one of 'pixels', 'standardised', 'unit'"):
            digit_pair("digits", 8, "bytes")


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3), d=st.integers(1, 12), m=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_cone_scaling_the_weights_changes_no_sign_and_no_flip(seed, scale, d, m):
    net, x, _ = problem(seed, d=d, m=m, n=5)
    scaled, _, _ = problem(seed, d=d, m=m, n=5)
    with torch.no_grad():
        scaled.weight.mul_(scale)
        clear = net(x).abs() > 1e-9
        assert torch.equal(net(x).sign()[clear], scaled(x).sign()[clear])
    before, after = minimal_flip(net, x), minimal_flip(scaled, x)
    assert torch.equal(before.norm.isinf(), after.norm.isinf())
    finite = before.norm.isfinite() & clear
    assert torch.allclose(before.norm[finite], after.norm[finite], rtol=1e-6)
    assert torch.allclose(before.eta[finite], after.eta[finite] * scale, rtol=1e-6)


def test_the_lines_of_the_chapters_first_page_run(capsys):
    page = Path(__file__).parents[3] / "book" / "lazy" / "index.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    torch.manual_seed(0)
    exec(code, names)
    assert "radius=5.0, reached=True" in capsys.readouterr().out
    assert len(names["norm"]) == len(names["pair"].test)
