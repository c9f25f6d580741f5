"""What must hold of every attack, whatever the network: ball, box, seeds, traces, and an untouched model."""

from __future__ import annotations

import math
import re
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from advnb import attacks, checks, gradients, losses
from advnb.attacks import PrecisionWarning, ZeroGradientWarning, ascend, cw, fgsm, pgd
from advnb.balls import L2, Linf
from advnb.criterion import fosc


def small_net(inputs: int, classes: int, seed: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, classes)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model.eval()


@st.composite
def problems(draw):
    """A batch of images of any shape and dtype, labels, a network and a ball."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    n, classes, seed = draw(st.integers(1, 5)), draw(st.integers(2, 4)), draw(st.integers(0, 10_000))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((n, *shape), generator=generator, dtype=dtype)
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.3, x.round(), x)  # pixels on the box's faces
    y = torch.randint(classes, (n,), generator=generator)
    eps = draw(st.floats(1e-4, 1.0))
    ball = draw(st.sampled_from([Linf(eps), L2(eps), L2(eps, box=(0.0, 1.0)), Linf(eps, box=None), L2(5 * eps)]))
    return small_net(x[0].numel(), classes, seed, dtype), x, y, ball, generator


def inside(x_adv, x, ball) -> bool:
    tolerance = 1e-5 if x.dtype == torch.float32 else 1e-10
    in_box = ball.box is None or bool(((x_adv >= ball.box[0]) & (x_adv <= ball.box[1])).all())
    return in_box and bool((ball.norm(x_adv - x) <= ball.eps * (1 + tolerance) + tolerance * 1e-2).all())


@settings(deadline=None, max_examples=60)
@given(problems(), st.integers(1, 6), st.sampled_from(["cross_entropy", "margin"]), st.booleans(), st.booleans())
def test_every_result_lies_in_the_ball_and_in_the_box(problem, steps, loss, random_start, raw):
    model, x, y, ball, generator = problem
    common = {"steps": steps, "random_start": random_start, "generator": generator}
    results = [
        pgd(model, x, y, ball, loss=loss, direction="gradient" if raw else "steepest", **common),
        fgsm(model, x, y, ball, loss=loss),
        cw(model, x, y, ball, **common),
        pgd(model, x, y, ball, step_size=10 * ball.eps, fosc_below=0.05, **common),
    ]
    for x_adv in results:
        assert x_adv.shape == x.shape
        assert x_adv.dtype == x.dtype
        assert inside(x_adv, x, ball)


@settings(deadline=None, max_examples=30)
@given(problems())
def test_a_trace_holds_the_loss_and_the_fosc_of_every_iterate(problem):
    model, x, y, ball, generator = problem
    x_adv, trace = pgd(model, x, y, ball, steps=4, generator=generator, trace="x")
    assert trace.loss.shape == trace.fosc.shape == (5, len(x))
    assert torch.equal(trace.x[-1], x_adv)
    for k in range(5):
        values, _, _ = gradients.loss_and_gradient(model, trace.x[k], y)
        torch.testing.assert_close(trace.loss[k], values)
        torch.testing.assert_close(trace.fosc[k], fosc(model, trace.x[k], x, y, ball))
    assert (trace.fosc >= 0).all()
    assert (trace.steps == 4).all()


def test_a_trace_costs_one_gradient_more_and_no_second_one():
    model, calls = small_net(4, 3, 0), []
    model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    x, y = torch.rand(3, 4), torch.tensor([0, 1, 2])
    pgd(model, x, y, Linf(0.1), steps=7)
    plain = sum(calls)
    calls.clear()
    pgd(model, x, y, Linf(0.1), steps=7, trace=True)
    assert (plain, sum(calls)) == (7, 8)
    calls.clear()
    pgd(model, x, y, Linf(0.1), steps=7, trace="before")
    assert sum(calls) == 7


def test_a_trace_before_each_step_is_the_whole_one_without_its_end(trained, digits):
    x, y = digits.test.x[:70], digits.test.y[:70]
    start = Linf(0.1).sample(x, torch.Generator().manual_seed(0))
    for options in ({}, {"fosc_below": 0.3}):
        x_adv, trace = pgd(trained, x, y, Linf(0.1), start=start, trace="before", **options)
        expected, full = pgd(trained, x, y, Linf(0.1), start=start, trace=True, **options)
        assert torch.equal(x_adv, expected) and torch.equal(trace.steps, full.steps) and trace.x is None
        assert torch.equal(trace.loss, full.loss[:-1]) and torch.equal(trace.fosc, full.fosc[:-1])


def test_pgd_reaches_a_linear_models_maximum_in_both_norms(linear):
    x, y = torch.full((2, 1, 2, 2), 0.5), torch.tensor([0, 1])
    for ball in (Linf(0.1), L2(0.2)):
        x_adv = pgd(linear, x, y, ball, steps=40, random_start=False, loss=lambda z, t: z[:, 2] - z[:, 1])
        weight = (linear[1].weight[2] - linear[1].weight[1]).view(1, 1, 2, 2)
        torch.testing.assert_close(x_adv, x + ball.eps * ball.ascent(weight.expand_as(x)))


def test_fgsm_is_one_signed_step_of_length_eps(trained, digits):
    x, y = digits.test.x[:50], digits.test.y[:50]
    _, grad, _ = gradients.loss_and_gradient(trained, x, y)
    expected = (x + 0.1 * grad.sign()).clamp(0, 1)
    torch.testing.assert_close(fgsm(trained, x, y, Linf(0.1)), expected)


def test_more_steps_hurt_more(trained, digits):
    x, y = digits.test.x, digits.test.y

    def accuracy(x_adv):
        with torch.no_grad():
            return float((trained(x_adv).argmax(1) == y).double().mean())

    clean, one, ten = (accuracy(x), accuracy(fgsm(trained, x, y, Linf(0.1))), accuracy(pgd(trained, x, y, Linf(0.1))))
    assert clean > 0.95
    assert one < clean - 0.2
    assert ten < one


def test_the_same_seed_gives_the_same_attack_in_any_chunks(trained, digits):
    x, y = digits.test.x[:70], digits.test.y[:70]
    whole = pgd(trained, x, y, Linf(0.1), generator=torch.Generator().manual_seed(3), chunk=70)
    again = pgd(trained, x, y, Linf(0.1), generator=torch.Generator().manual_seed(3), chunk=70)
    chunks = pgd(trained, x, y, Linf(0.1), generator=torch.Generator().manual_seed(3), chunk=16)
    other = pgd(trained, x, y, Linf(0.1), generator=torch.Generator().manual_seed(4), chunk=70)
    assert torch.equal(whole, again)
    assert (whole - chunks).abs().gt(1e-5).float().mean() < 1e-3  # rounding may turn a sign here and there
    assert (whole - other).abs().gt(1e-5).float().mean() > 1e-2


def test_examples_rest_at_the_first_iterate_below_the_fosc_threshold(trained, digits):
    x, y = digits.test.x[:60], digits.test.y[:60]
    start = Linf(0.1).sample(x, generator=torch.Generator().manual_seed(0))
    _, full = pgd(trained, x, y, Linf(0.1), start=start, steps=12, trace="x")
    threshold = float(full.fosc[4].median())
    x_adv, trace = pgd(trained, x, y, Linf(0.1), start=start, steps=12, fosc_below=threshold, trace="x")
    below = full.fosc[1:] <= threshold
    first = torch.where(below.any(0), below.int().argmax(0) + 1, 12)
    assert 0 < int((trace.steps < 12).sum()) < 60
    assert torch.equal(trace.steps, first)
    torch.testing.assert_close(x_adv, full.x[first, torch.arange(60)])
    torch.testing.assert_close(trace.fosc[-1], full.fosc[first, torch.arange(60)])


def test_a_step_is_a_quarter_of_eps_by_default():
    model, x, y = small_net(4, 3, 0), torch.rand(3, 4), torch.tensor([0, 1, 2])
    for ball in (Linf(0.2), L2(0.3)):
        x_adv = pgd(model, x, y, ball, steps=2, random_start=False)
        assert torch.equal(x_adv, pgd(model, x, y, ball, steps=2, random_start=False, step_size=ball.eps / 4))


def test_a_trace_of_the_steps_alone_holds_no_numbers():
    model, x, y = small_net(4, 3, 0), torch.rand(3, 4), torch.tensor([0, 1, 2])
    options = {"start": Linf(0.2).sample(x), "steps": 9, "fosc_below": 0.1}
    x_adv, trace = pgd(model, x, y, Linf(0.2), trace="steps", **options)
    expected, full = pgd(model, x, y, Linf(0.2), trace=True, **options)
    assert torch.equal(x_adv, expected) and torch.equal(trace.steps, full.steps)
    assert trace.loss.shape == trace.fosc.shape == (0, 3) and trace.x is None


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_gradient_that_is_not_finite_at_any_step_is_told_at_the_end(when):
    x, calls = torch.full((3, 2), 0.5), []

    def gradient(z, rows):
        calls.append(1)
        grad = torch.ones_like(z)
        grad[1] = torch.nan if len(calls) == when + 1 else 1.0
        return z.sum(1), grad

    with pytest.raises(checks.NotFinite, match="NaN or infinite for 1 of 3 examples"):
        ascend(gradient, x, Linf(0.1), start=x, steps=3, step_size=0.01)


def test_examples_without_a_gradient_are_counted():
    x = torch.full((3, 2), 0.5)
    flat = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    with pytest.warns(ZeroGradientWarning, match="exactly zero at the start for 2 of 3 examples"):
        ascend(lambda z, rows: (z.sum(1), flat), x, Linf(0.1), start=x, steps=1, step_size=0.01)


def test_a_step_schedule_is_called_with_k():
    seen = []

    def schedule(k: int) -> float:
        seen.append(k)
        return 0.1 / (k + 1)

    pgd(small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1]), Linf(0.5), steps=3, step_size=schedule)
    assert seen == [0, 1, 2]


def test_numbers_may_be_numpys():
    model, x, y = small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1])
    options = {"random_start": False, "loss": "margin"}
    mine = pgd(model, x, y, L2(0.5), steps=3, step_size=0.1, fosc_below=0.01, **options)
    theirs = pgd(
        model,
        x,
        y,
        L2(np.float64(0.5)),
        steps=np.int64(3),
        step_size=np.float64(0.1),
        fosc_below=np.float64(0.01),
        **options,
    )
    assert torch.equal(mine, theirs)


def test_ascend_takes_any_gradient_and_follows_raw_steps():
    """Maximise -||z - c||^2 over a ball that holds c: raw steps of size 1/4 halve the distance each time."""
    x, centre = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[0.3, 0.4]], dtype=torch.float64)

    def gradient(z, rows):
        return -(z - centre).square().sum(1), -2 * (z - centre)

    x_adv, trace = ascend(gradient, x, L2(1.0), start=x, steps=5, step_size=0.25, direction="gradient", trace=True)
    torch.testing.assert_close(x_adv, centre * (1 - 0.5**5))
    torch.testing.assert_close(trace.loss[:, 0], -0.25 * 0.25 ** torch.arange(6, dtype=torch.float64))


def test_pgd_follows_raw_gradients_on_request(linear):
    """Of a linear loss the gradient is its weight: three steps of 0.01 go 0.03 times as far, whatever its length."""
    x, weight = torch.full((2, 1, 2, 2), 0.5), (linear[1].weight[2] - linear[1].weight[1]).view(1, 1, 2, 2)
    options = {"steps": 3, "step_size": 0.01, "random_start": False, "loss": lambda z, t: z[:, 2] - z[:, 1]}
    x_adv = pgd(linear, x, torch.tensor([0, 1]), L2(0.5), direction="gradient", **options)
    torch.testing.assert_close(x_adv, (x + 0.03 * weight).detach())


def test_cw_rests_once_fooled_and_keeps_pushing_with_infinite_kappa(trained, digits):
    x, y = digits.test.x[:100], digits.test.y[:100]
    generator = torch.Generator().manual_seed(0)
    start = Linf(0.15).sample(x, generator=generator)
    rested = cw(trained, x, y, Linf(0.15), start=start)
    pushed = cw(trained, x, y, Linf(0.15), start=start, kappa=float("inf"))
    with torch.no_grad():
        fooled = losses.margin(trained(rested), y) >= 0
        gain = losses.margin(trained(pushed), y) - losses.margin(trained(rested), y)
    assert 0.5 < float(fooled.double().mean()) <= 1
    assert float(gain[fooled].mean()) > 0.5


def test_a_saturated_loss_is_reported_not_passed_off_as_robust(linear):
    with torch.no_grad():
        linear[1].weight.mul_(1e4)
    x = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    said = (
        "the gradient is exactly zero at the start for 1 of 1 examples, which the attack cannot move: the loss has "
        "saturated or the network is flat there. Try loss='margin' or float64"
    )
    with pytest.warns(ZeroGradientWarning, match=f"^{re.escape(said)}$"):
        x_adv = pgd(linear, x, torch.tensor([0]), Linf(0.1), random_start=False)
    assert torch.equal(x_adv, x)


@pytest.mark.parametrize("ball", [Linf(0.1), L2(0.3), L2(0.3, box=(0.0, 1.0))], ids=str)
@pytest.mark.parametrize("given", ["x", "start", "both"])
def test_no_autograd_graph_survives_a_step(ball, given):
    """Inputs that require grad are data to an attack: no step and no result hangs on the steps before it."""
    model, x, y = small_net(4, 3, 0), torch.rand(3, 4), torch.tensor([0, 1, 2])
    start = ball.sample(x)
    x, start = x.requires_grad_(given != "start"), start.requires_grad_(given != "x")
    seen = []

    def gradient(points, rows):
        seen.append(points)
        loss, grad, _ = gradients.loss_and_gradient(model, points, y if rows is None else y[rows])
        return loss, grad

    options = {"start": start, "steps": 3, "fosc_below": 0.0, "trace": "x"}
    for x_adv, trace in (ascend(gradient, x, ball, step_size=0.02, **options), pgd(model, x, y, ball, **options)):
        for part in (x_adv, trace.loss, trace.fosc, trace.x, *seen):
            assert not part.requires_grad
    for attack in (pgd, fgsm, cw):
        assert not attack(model, x, y, ball).requires_grad
    assert len(seen) == 4
    assert x.requires_grad == (given != "start") and x.grad is None


def test_a_gradient_that_brings_its_graph_leaves_none():
    """A gradient written with autograd, as a user may, hangs on the weights; the attack's result must not."""
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    x = torch.full((2, 2), 0.5)
    x_adv, trace = ascend(
        lambda z, rows: ((z * weight).sum(1), weight.expand_as(z)),
        x, Linf(0.1), start=x, steps=2, step_size=0.01, direction="gradient", trace=True,
    )  # fmt: skip
    assert not any(part.requires_grad for part in (x_adv, trace.loss, trace.fosc))


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1e39), (torch.float64, 1e308), (torch.float32, 3e38)])
def test_a_large_finite_gradient_is_followed(dtype, size):
    """Its entries are finite; only their sum is not, in the gradient's own dtype or in float32."""
    x = torch.full((2, 9), 0.5, dtype=dtype)
    x_adv = ascend(lambda z, rows: (z.sum(1), torch.full_like(z, size)), x, Linf(0.2), start=x, steps=3, step_size=0.05)
    torch.testing.assert_close(x_adv, x + 0.15)


def test_half_precision_crafting_is_about_as_strong(trained, digits):
    x, y = digits.test.x[:200], digits.test.y[:200]
    start = Linf(0.1).sample(x, generator=torch.Generator().manual_seed(0))
    accuracies = []
    for autocast in (None, torch.bfloat16):
        x_adv = pgd(trained, x, y, Linf(0.1), start=start, autocast=autocast)
        assert x_adv.dtype == torch.float32
        with torch.no_grad():
            accuracies.append(float((trained(x_adv).argmax(1) == y).double().mean()))
    assert abs(accuracies[0] - accuracies[1]) < 0.05


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_used_only_where_the_processor_has_it(trained, digits, monkeypatch, native):
    x, y = digits.test.x[:100], digits.test.y[:100]
    monkeypatch.setattr(attacks, "_has_bfloat16", lambda kind: native)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            x_adv, trace = pgd(trained, x, y, Linf(0.1), random_start=False, autocast=torch.bfloat16, trace=True)
    told = [warning for warning in caught if issubclass(warning.category, PrecisionWarning)]
    assert len(told) == (not native)  # once, not three times
    assert x_adv.dtype == trace.loss.dtype == trace.fosc.dtype == torch.float32
    full, full_trace = pgd(trained, x, y, Linf(0.1), random_start=False, trace=True)
    assert torch.equal(x_adv, full) == torch.equal(trace.loss, full_trace.loss) == (not native)
    torch.testing.assert_close(trace.fosc.mean(1), full_trace.fosc.mean(1), rtol=0.1, atol=0.02)


def test_what_has_no_bfloat16_is_named(monkeypatch):
    monkeypatch.setattr(attacks, "_has_bfloat16", lambda kind: kind != "cpu")
    said = "this cpu computes in bfloat16 only step by step, many times slower: the attack runs without autocast"
    with pytest.warns(PrecisionWarning, match=f"^{said}$"):
        fgsm(small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1]), Linf(0.1), autocast=torch.bfloat16)


@pytest.mark.parametrize("around", [False, True])
def test_every_forward_pass_is_in_the_precision_that_was_asked_for(monkeypatch, around):
    """Whatever the caller has switched on around the attack: one look at the outputs, and a pass a step."""
    monkeypatch.setattr(attacks, "_has_bfloat16", lambda kind: True)
    model, x, y, seen = small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1]), []
    model.register_forward_hook(
        lambda *_: seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
    )
    for wanted in (None, torch.bfloat16, torch.float16):
        with torch.autocast("cpu", torch.bfloat16, enabled=around):
            pgd(model, x, y, Linf(0.1), steps=2, autocast=wanted)
    assert seen == 3 * [None] + 3 * [torch.bfloat16] + 3 * [torch.float16]


@pytest.mark.parametrize("attack", [pgd, fgsm, cw])
def test_a_warning_names_the_line_that_called_the_attack(monkeypatch, attack):
    """Python shows a warning once for each line: a line of the package would be shown for the first attack alone."""
    monkeypatch.setattr(attacks, "_has_bfloat16", lambda kind: False)
    model, x, y = small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1])
    with torch.no_grad():
        model[3].weight.zero_()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        attack(model, x, y, Linf(0.1), autocast=torch.bfloat16)
    told = {warning.category: warning.filename for warning in caught}
    expected = {PrecisionWarning} if attack is cw else {PrecisionWarning, ZeroGradientWarning}
    assert told.keys() == expected and set(told.values()) == {__file__}


def test_what_the_processor_has_is_asked_of_torch(monkeypatch):
    assert attacks._has_bfloat16("meta")
    for has in ({}, {"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_bf16": False}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        assert attacks._has_bfloat16("cpu") == any(has.values())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert not attacks._has_bfloat16("cuda")


def test_an_older_torch_is_asked_by_the_name_that_it_knows(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has, raising=False)
        assert attacks._has_bfloat16("cpu") == has
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not attacks._has_bfloat16("cpu")


def test_chunks_are_few_equal_and_of_whole_tiles():
    for n in range(1, 80):
        for most in (4, 16, 30, 64):
            size = attacks._even(n, most)
            fewest = math.ceil(n / most)
            assert size <= most and math.ceil(n / size) == fewest
            assert size == most or (size % 4 == 0 and size - n / fewest < 4)


def test_a_threshold_that_nobody_reaches_changes_nothing():
    """With a threshold the gradient goes another way, by chunks of whole tiles."""
    x, y = torch.rand(9, 4, dtype=torch.float64), torch.arange(9) % 3
    for loss in ("cross_entropy", "margin", lambda z, t: z.square().sum(1)):
        options = {"loss": loss, "start": Linf(0.1).sample(x), "trace": "x", "chunk": 5}
        options["gap"] = lambda grad, point, x, start: (point - x).square().sum(1) + 1
        model = small_net(4, 3, 0, torch.float64)
        x_adv, trace = pgd(model, x, y, Linf(0.1), **options)
        other, traced = pgd(model, x, y, Linf(0.1), fosc_below=0, **options)
        for one, two in zip((x_adv, *trace), (other, *traced), strict=True):
            torch.testing.assert_close(one, two)


def test_a_trace_of_chunks_is_the_trace_of_the_whole():
    model, x, y = small_net(4, 3, 0, torch.float64), torch.rand(7, 4, dtype=torch.float64), torch.arange(7) % 3
    options = {"start": L2(0.2).sample(x), "steps": 3, "trace": "x"}
    x_adv, trace = pgd(model, x, y, L2(0.2), chunk=3, **options)
    expected, whole = pgd(model, x, y, L2(0.2), chunk=7, **options)
    for part, full in zip((x_adv, *trace), (expected, *whole), strict=True):
        torch.testing.assert_close(part, full)


@pytest.mark.parametrize("train_mode", [False, True])
def test_an_example_at_rest_repeats_its_last_row_of_the_trace(monkeypatch, train_mode):
    """In train mode too, where BatchNorm makes its loss depend on where the others are, and theirs on where it is."""
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)).double().train(train_mode)
    x = torch.rand(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ball, y, kinds = L2(0.3), torch.arange(12) % 2, (attacks._Batch, attacks._Carried)
    options = {"loss": "margin", "steps": 6, "random_start": False, "allow_train_mode": True, "trace": "x"}
    _, free = pgd(model, x, y, ball, **options)
    results = []
    for kind in kinds:
        monkeypatch.setattr(attacks, "_Batch", kind)
        results.append(pgd(model, x, y, ball, fosc_below=free.fosc[2].median().item(), **options))
    (x_adv, trace), (carried, other) = results
    for one, two in zip((x_adv, *trace), (carried, *other), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)
    assert len(trace.steps.unique()) > 1
    torch.testing.assert_close(trace.loss[0], losses.margin(model(x), y).detach())
    for i, k in enumerate(trace.steps.tolist()):
        assert torch.equal(x_adv[i], trace.x[k, i])
        for table in (trace.loss, trace.fosc, trace.x, other.loss, other.fosc):
            assert (table[k:, i] == table[k, i]).all()


def test_a_gap_stands_in_for_fosc_in_any_precision():
    """It hears where the examples began; at the threshold itself an example rests."""
    model, x, y = small_net(4, 3, 0), torch.rand(6, 4), torch.arange(6) % 3
    first = Linf(0.1).sample(x)

    def gap(grad, point, x, start):
        assert all((row == first).all(1).any() for row in start)
        return torch.arange(len(x), dtype=torch.float64) - 2

    _, trace = pgd(model, x, y, Linf(0.1), start=first, steps=3, gap=gap, fosc_below=0, trace=True)
    assert trace.fosc.dtype == torch.float32 and trace.steps.tolist() == [1, 1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match=r"^the result of gap must have the shape of the loss, \(6,\); got \(6, 4\)"):
        pgd(model, x, y, Linf(0.1), gap=lambda grad, *_: grad, trace=True)


def test_a_trace_is_in_single_precision_at_least():
    x, y = torch.rand(3, 4).bfloat16(), torch.tensor([0, 1, 2])
    model = small_net(4, 3, 0, torch.bfloat16)
    x_adv, trace = pgd(model, x, y, Linf(0.25), steps=2, random_start=False, trace="x")
    assert x_adv.dtype == trace.x.dtype == torch.bfloat16
    assert trace.loss.dtype == trace.fosc.dtype == torch.float32
    torch.testing.assert_close(trace.loss[0], losses.cross_entropy(model(x).float(), y).detach(), rtol=1e-6, atol=0)


def test_a_network_that_knows_its_gradient_along_a_path_is_asked_for_it():
    """Of f = <w, x>; whole tiles are asked for where examples may rest, so that these change nothing for the others."""
    weight, x, y = torch.tensor([1.0, -2.0]), torch.full((5, 2), 0.5), torch.ones(5)
    tiles, points = [], []

    class Knows(nn.Module):
        def forward(self, x):
            return x @ weight

        def along_path(self, *, tile):
            tiles.append(tile)
            return lambda z, rows: (points.append(z), (z @ weight, weight.expand_as(z)))[1]

    common = {"steps": 3, "step_size": 0.02, "loss": "logistic", "random_start": False}
    for options in ({}, {"fosc_below": 0.0}):
        x_adv = pgd(Knows().eval(), x, y, Linf(0.1), **common, **options)
        torch.testing.assert_close(x_adv, x - 0.06 * weight.sign())
    assert tiles == [1, 4] and len(points) == 6
    torch.testing.assert_close(pgd(Knows().eval(), x, y, Linf(0.1), fold=False, **common), x_adv)
    assert len(tiles) == 2
    points.clear()
    pgd(Knows().eval(), x, y, Linf(0.1), fosc_below=0.0, chunk=2, **common)
    assert [len(z) for z in points] == 3 * [2] + 3 * [2] + 3 * [1]


def test_cw_is_that_of_the_paper_by_default():
    """Section 5.1 of Wang et al. (2019): 30 steps; the hinge is flat from the first misclassified point on."""
    model, x = small_net(4, 3, 0), torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model[3].weight.mul_(0.01)  # no margin is as wide as 1
        model[3].bias.mul_(0.01)
    y = (model(x).argmax(1) + torch.arange(8) % 2) % 3  # every second one is misclassified
    _, trace = cw(model, x, y, Linf(0.1), trace=True)
    assert trace.loss.shape == (31, 8)
    assert cw(model, x, y, Linf(0.1), steps=2, trace=True)[1].loss.shape == (3, 8)
    wrong = losses.margin(model(x), y) > 0
    assert wrong.any() and not wrong.all()
    x_adv = cw(model, x, y, Linf(0.1), random_start=False)
    assert torch.equal(x_adv[wrong], x[wrong]) and (x_adv[~wrong] != x[~wrong]).any(1).all()
    with pytest.raises(ValueError, match=r"^margin needs logits of shape \(2, classes\)"):
        cw(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).eval(), x, y, Linf(0.1))
    said = "cw has its own loss, the margin; use pgd(..., loss=...) for another"
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        cw(model, x, y, Linf(0.1), loss="margin")


def test_cw_keeps_only_the_warning_of_its_own_flat_hinge_to_itself():
    model, x, y = small_net(4, 3, 0), torch.rand(2, 4), torch.tensor([0, 1])
    model.register_forward_hook(lambda *_: warnings.warn("of the model's own", UserWarning, stacklevel=1))
    with pytest.warns(UserWarning, match="of the model's own"):
        cw(model, x, y, Linf(0.1), steps=1)


@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("failing", [False, True])
def test_mode_and_gradient_flags_survive_every_attack(flags, failing):
    model = small_net(4, 3, 0)
    for layer, flag in zip((model[1], model[3]), flags, strict=True):
        layer.requires_grad_(flag)
    before = [parameter.requires_grad for parameter in model.parameters()]
    x, y = torch.rand(3, 4), torch.tensor([0, 1, 2])

    def broken(output, target):
        raise ValueError("broken on purpose")

    for attack in (fgsm, pgd, cw):
        if failing and attack is not cw:
            with pytest.raises(ValueError, match="broken on purpose"):
                attack(model, x, y, Linf(0.1), loss=broken)
        else:
            attack(model, x, y, Linf(0.1))
        assert [parameter.requires_grad for parameter in model.parameters()] == before
        assert not model.training
        assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_in_train_mode_can_be_attacked_on_request_and_keeps_its_statistics():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x_adv = pgd(model, torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1]), Linf(0.1), allow_train_mode=True)
    assert x_adv.shape == (5, 4)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_attacks_do_not_touch_the_global_random_state(trained, digits):
    state = torch.get_rng_state()
    pgd(trained, digits.test.x[:4], digits.test.y[:4], Linf(0.1), generator=torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.get_rng_state())


def test_no_warning_on_an_ordinary_attack(trained, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pgd(trained, digits.test.x[:20], digits.test.y[:20], Linf(0.1), steps=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_attacks_run_where_the_model_is(trained, digits):
    model, x, y = trained.cuda(), digits.test.x[:20].cuda(), digits.test.y[:20].cuda()
    x_adv = pgd(model, x, y, Linf(0.1), generator=torch.Generator().manual_seed(0))
    trained.cpu()
    assert x_adv.is_cuda
    assert inside(x_adv, x, Linf(0.1))
