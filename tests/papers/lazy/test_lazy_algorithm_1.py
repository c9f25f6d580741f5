"""Projected adversarial training: its attacks by hand, its projection, what it keeps, the ceiling of the images."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.data import Split
from advnb.experiments import live
from advnb.flip import minimal_flip
from advnb.losses import logistic
from advnb.models import TwoLayer
from advnb.papers.lazy import ball
from advnb.papers.lazy.adversarial import craft, robust_accuracy, robust_ceiling, train_projected
from advnb.papers.lazy.algorithm_1 import drawings, trials, variants
from advnb.papers.lazy.algorithm_1.claims import versus
from advnb.papers.lazy.laws import Law

F64 = torch.float64


def scene(seed: int = 0, d: int = 10, m: int = 60, n: int = 40) -> tuple[TwoLayer, Split]:
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=F64)
    x = torch.randn(n, d, generator=generator, dtype=F64)
    x = x / x.norm(dim=1, keepdim=True)
    return net, Split(x, torch.where(x[:, 0] > 0, 1.0, -1.0).to(F64))


class TestCraft:
    @pytest.mark.parametrize("direction", ["raw", "unit"])
    def test_one_step_by_hand(self, direction):
        net, split = scene()
        x = split.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(logistic(net(x), split.y).sum(), x)
        move = gradient if direction == "raw" else gradient / gradient.norm(dim=1, keepdim=True)
        step = 2.5 * 0.01 * move
        step = step * (0.01 / step.norm(dim=1, keepdim=True)).clamp(max=1)
        crafted = craft(net, split.x, split.y, 0.01, steps=1, direction=direction)
        assert torch.allclose(crafted, split.x + step, atol=1e-12)

    @pytest.mark.parametrize("direction", ["raw", "unit"])
    def test_stays_in_the_ball_and_raises_the_loss(self, direction):
        net, split = scene(1)
        crafted = craft(net, split.x, split.y, 0.2, steps=20, direction=direction)
        assert (crafted - split.x).norm(dim=1).max() <= 0.2
        with torch.no_grad():
            assert (logistic(net(crafted), split.y) > logistic(net(split.x), split.y)).all()

    def test_raw_gradients_are_masked_where_the_output_is_large(self):
        net, split = scene(2)
        with torch.no_grad():
            net.weight.mul_(1e4)
        right = (net(split.x) * split.y > 0).detach()
        assert right.any()
        raw, unit = (craft(net, split.x, split.y, 1.0, direction=name) for name in ("raw", "unit"))
        still = (raw - split.x).norm(dim=1) < 1e-6
        assert (still & right).any() and ((unit - split.x).norm(dim=1) > 0.5).all()
        rates = robust_accuracy(net, split, 0.9)
        assert rates["unit"] < rates["raw"]

    def test_robust_accuracy_agrees_with_its_parts(self):
        net, split = scene(3)
        rates = robust_accuracy(net, split, 0.05, steps=10)
        right = net(split.x) * split.y > 0
        assert rates["clean"] == right.double().mean().item()
        norm = minimal_flip(net, split.x).norm
        assert rates["exact"] == (right & (norm > 0.05)).double().mean().item()
        assert rates["worst"] <= min(rates["raw"], rates["unit"], rates["exact"]) <= rates["clean"]


class TestCeiling:
    def test_by_hand(self):
        """On a line: + at 0 and 10, - at 1 and 2. The two - are near the first +; nothing is near the second."""
        split = Split(torch.tensor([[0.0], [10.0], [1.0], [2.0]]), torch.tensor([1.0, 1.0, -1.0, -1.0]))
        shares = [robust_ceiling(split, budget) for budget in (0.4, 0.5, 1.0, 4.0, 5.0)]
        assert shares == [1.0, 0.75, 0.75, 0.5, 0.5]

    def test_against_every_subset(self):
        generator = torch.Generator().manual_seed(0)
        for _ in range(20):
            x = torch.randn(9, 2, generator=generator)
            y = torch.randn(9, generator=generator).sign()
            clash = (torch.cdist(x, x) <= 1.0) & (y[:, None] != y)
            best = max(
                len(chosen)
                for bits in range(2**9)
                if not clash[chosen := [i for i in range(9) if bits >> i & 1]][:, chosen].any()
            )
            assert robust_ceiling(Split(x, y), 0.5) == pytest.approx(best / 9)

    def test_errors(self):
        split = Split(torch.zeros(2, 1), torch.tensor([1.0, -1.0]))
        with pytest.raises(ValueError, match="budget must be a finite number above 0"):
            robust_ceiling(split, 0.0)
        with pytest.raises(ValueError, match="y must hold the labels -1 and"):
            robust_ceiling(Split(split.x, split.y * 2), 0.1)


class TestTraining:
    def test_a_step_by_hand(self):
        """One epoch of one batch: a step of the summed loss at the adversaries, then the projection."""
        net, split = scene(4)
        other, _ = scene(4)
        start = other.weight.detach().clone()
        crafted = craft(other, split.x, split.y, 0.1, steps=5)
        logistic(other(crafted), split.y).sum().backward()
        moved = ball.project(start - 0.2 * other.weight.grad, start, 0.05)
        train_projected(net, split, 0.1, 0.05, epochs=1, lr=0.2, batch=40, steps=5, reduction="sum")
        assert torch.allclose(net.weight, moved, atol=1e-12)

    @pytest.mark.parametrize("projection", ["step", "epoch", "none"])
    def test_only_projection_keeps_the_weights_in_the_ball(self, projection):
        net, split = scene(5)
        start = net.weight.detach().clone()
        train_projected(net, split, 0.05, 0.1, epochs=10, lr=0.5, steps=5, reduction="sum", projection=projection)
        assert (ball.movement(net.weight.detach(), start).max() <= 0.1) == (projection != "none")

    def test_the_released_code_keeps_weights_outside(self):
        net, split = scene(5)
        start = net.weight.detach().clone()
        outcome = train_projected(net, split, 0.05, 0.1, epochs=10, lr=0.5, steps=5, reduction="sum", keep="released")
        assert ball.movement(net.weight.detach(), start).max() > 0.1
        assert outcome.before != outcome.accuracy

    def test_robust_training_helps(self):
        """Two pairs of points: far apart along the first axis, or close together along the second."""
        x = torch.tensor([[0.6, 0.05], [0.6, -0.05]], dtype=F64).repeat(20, 1)
        x = torch.cat([x, -x]) + 0.05 * torch.randn(80, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
        split = Split(x, x[:, 0].sign())
        rates = {}
        for budget in (1e-6, 0.4):
            net = TwoLayer(2, 60, generator=torch.Generator().manual_seed(1), dtype=F64)
            train_projected(net, split, budget, 0.3, epochs=40, steps=10, reduction="sum", projection="step")
            rates[budget] = robust_accuracy(net, split, 0.4)["worst"]
        assert rates[0.4] > rates[1e-6] + 0.1

    def test_the_best_epoch_comes_back(self):
        net, split = scene(7)
        outcome = train_projected(net, split, 0.1, 0.5, epochs=40, lr=0.5, steps=5, reduction="sum", patience=5,
                                  generator=torch.Generator().manual_seed(0))  # fmt: skip
        assert outcome.accuracy[outcome.best - 1] == max(outcome.accuracy)
        crafted = craft(net, split.x, split.y, 0.1, steps=5)
        assert (net(crafted) * split.y > 0).double().mean().item() == max(outcome.accuracy)
        assert len(outcome.accuracy) <= outcome.best + 5

    def test_hopeless_training_does_not_return_the_initial_network(self):
        net, split = scene(8)
        start = net.weight.detach().clone()
        outcome = train_projected(net, split, 3.0, 0.01, epochs=8, steps=20, direction="unit", patience=2)
        assert max(outcome.accuracy) == 0 and outcome.best == len(outcome.accuracy) == 8
        assert not torch.equal(net.weight, start)

    def test_errors(self):
        net, split = scene()
        good = {"epochs": 1, "steps": 1}
        for change, message in (
            ({"projection": "batch"}, "projection must be one of 'epoch', 'none', 'step'"),
            ({"keep": "all"}, "keep must be one of 'projected', 'released'"),
            ({"reduction": "max"}, "reduction must be one of 'mean', 'sum'"),
            ({"direction": "sign"}, "direction must be one of 'raw', 'unit'"),
            ({"epochs": 0}, "epochs must be at least 1"),
            ({"steps": 0}, "steps must be at least 1"),
            ({"patience": 0}, "patience must be at least 1"),
        ):
            with pytest.raises(ValueError, match=message):
                train_projected(net, split, 0.1, 0.1, **(good | change))
        with pytest.raises(ValueError, match="radius must be a finite number above 0"):
            train_projected(net, split, 0.1, 0.0, **good)
        with pytest.raises(ValueError, match="y must hold the labels -1 and"):
            train_projected(net, Split(split.x, split.y * 2), 0.1, 0.1, **good)


class TestTrials:
    def test_the_factor_changes_no_sign(self):
        table = live(trials.MASKING, seeds=1, only={"factor": [1, 300]})
        quiet, loud = (table.query(f"factor == {factor}").iloc[0] for factor in (1, 300))
        for name in ("clean", "unit", "exact"):
            assert quiet[name] == pytest.approx(loud[name], abs=0.02)
        assert loud["raw"] > quiet["raw"] + 0.5 and abs(quiet["raw"] - quiet["unit"]) < 0.05

    def test_line_4_as_printed_makes_one_step(self):
        """Against autograd: x plus alpha times the gradient of the loss, with alpha = 2.5 budgets / steps."""
        row = live(trials.LINE_4, seeds=1).iloc[0]
        net, test, start = trials.on_digits(0.2, seed=0)
        x = test.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(logistic(net(x), test.y).sum(), x)
        step = 2.5 * 0.4 / 100 * gradient
        assert row["length"] * 0.4 == pytest.approx(step.norm(dim=1).max().item(), rel=1e-5)
        with torch.no_grad():
            assert row["printed"] == pytest.approx((net(x + step) * test.y > 0).double().mean().item())
            net.weight.copy_(start)
            assert row["initial"] == pytest.approx((net(x) * test.y > 0).double().mean().item())
        assert row["printed"] > row["meant"] + 0.5


class TestVariants:
    @pytest.fixture
    def table(self):
        """Each variant in one cell and two seeds, with its own robust accuracy; ``keep`` is stored for one only."""
        rows = [
            {"projection": projection, "keep": keep, "direction": kind, "seed": seed, "side": 10, "m": 1000,
             "c0": 10.0, "budget": 0.12, "worst": worst + seed / 100, "moved": 10.0 + worst}
            for projection, keep, kind, worst in (
                ("none", None, "raw", 0.9), ("epoch", None, "raw", 0.5), ("step", None, "raw", 0.51),
                ("epoch", None, "unit", 0.52), ("epoch", "released", "raw", 0.6),
            )
            for seed in (0, 1)
        ]  # fmt: skip
        return variants(pd.DataFrame(rows))

    def test_each_has_a_name(self, table):
        assert table["projected"].unique().tolist() == [
            "never", "each epoch", "each step", "each epoch, kept before",
        ]  # fmt: skip
        assert (table["d"] == 100).all()

    def test_versus_compares_within_a_seed(self, table):
        for other, gain in ((("each step",), 0.01), (("each epoch", "unit"), 0.02), (("never",), 0.4)):
            found = versus(table, *other)
            assert found.index.names == ["d", "budget", "seed"] and found.to_numpy() == pytest.approx([gain] * 2)

    def test_the_picture_has_a_row_a_variant(self, table):
        axes = Figure().subplots(1, 2)
        drawings.draw_variants(axes, table)
        rows = [label.get_text() for label in axes[0].get_yticklabels()]
        assert rows == [
            "each epoch, raw", "each epoch, unit", "each step, raw", "each epoch, kept before, raw", "never, raw",
        ]  # fmt: skip
        assert axes[0].yaxis_inverted() and axes[1].yaxis_inverted()
        (dots,) = axes[0].get_lines()
        found = dict(zip(dots.get_ydata(), dots.get_xdata(), strict=True))
        assert found == pytest.approx({0: 0.51, 1: 0.53, 2: 0.52, 3: 0.61, 4: 0.91})  # the later seed of each
        assert axes[1].get_lines()[0].get_xdata().max() == pytest.approx(10.9)

    def test_leaving_the_ball_is_drawn_from_its_edge(self, table):
        axes, law = Figure().subplots(1, 2), Law(0.3, 0.3)
        points = pd.DataFrame({"relative": [0.5, 2.0], "worst": [1.0, 0.0]})
        drawings.draw_beyond(axes, table, points, law)
        chain = axes[0].get_lines()[0]
        assert chain.get_xdata() == pytest.approx([10.5, 10.9]) and chain.get_ydata() == pytest.approx([0.505, 0.905])
        _, free = axes[1].get_lines()
        assert free.get_xdata() == pytest.approx([0.12 / law.relative(10.9, 100)] * 2)
        assert free.get_ydata() == pytest.approx([0.9, 0.91])


def test_masking_shows_three_attacks():
    table = pd.DataFrame({"factor": [1, 1, 300, 300], "seed": [0, 1] * 2, "raw": [0.1, 0.3, 1.0, 1.0],
                          "unit": [0.1, 0.3] * 2, "exact": [0.4, 0.4] * 2})  # fmt: skip
    ax = Figure().subplots()
    drawings.draw_masking(ax, table)
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert lines["PGD, raw"] == pytest.approx([0.2, 1.0]) and lines["PGD, unit"] == pytest.approx([0.2, 0.2])
    assert lines["one exact step"] == pytest.approx([0.4, 0.4])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "300"]
