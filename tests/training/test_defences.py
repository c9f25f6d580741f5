"""The defences that grow stronger from epoch to epoch: their schedules, who moves on, what they count and remember."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from test_training import BALL, assert_same, assert_same_history, blobs, fit, network
from torch import Tensor, nn

from advnb import gradients
from advnb.attacks import Gap, fgsm, pgd
from advnb.balls import L2, Ball, Linf
from advnb.criterion import fosc, from_start
from advnb.fold import fold
from advnb.models import digits_cnn
from advnb.training import Curriculum, Defence, Dynamic, FGSMThenPGD, Standard, Unsecured

SMALL = Linf(0.1)


def mlp(*widths: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for d, m in itertools.pairwise(widths):
            layers += [nn.Linear(d, m), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def nets(digits, trained) -> dict[str, nn.Module]:
    dense = mlp(64, 100, 32, 10)
    fit(dense, digits.train[:512], Standard(BALL, steps=2), epochs=3, batch=64, lr=0.1)
    return {"cnn": trained, "mlp": dense}


def crafted(defence: Defence, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    start = defence.start(x, generator)
    return defence.craft(model, x, y, epoch=epoch, generator=generator, start=start)


# --- schedules --------------------------------------------------------------------------------------------------


def test_curriculum_takes_a_step_more_every_few_epochs():
    history = fit(network(), blobs(), Curriculum(SMALL, steps=4, until=8), epochs=11, batch=25)
    assert history.steps.tolist() == history.gradients.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
    assert [Curriculum(SMALL, steps=10, until=3).steps_in(epoch) for epoch in range(1, 6)] == [0, 3, 6, 10, 10]


def test_curriculum_begins_as_unsecured_training_and_ends_as_standard():
    data, model = blobs(), network().eval()
    curriculum = Curriculum(SMALL, steps=3, until=6)
    assert crafted(curriculum, model, data.x, data.y, epoch=2) is data.x
    expected = crafted(Standard(SMALL, steps=3), model, data.x, data.y)
    assert torch.equal(crafted(curriculum, model, data.x, data.y, epoch=7), expected)
    clean, unsecured = network(), network()
    fit(clean, data, curriculum, epochs=2)
    fit(unsecured, data, Unsecured(), epochs=2)
    assert_same(clean, unsecured)


def test_fgsm_comes_first_and_starts_at_the_example():
    data, model, defence = blobs(), network().eval(), FGSMThenPGD(SMALL, steps=3, until=2)
    for epoch in (1, 2):
        assert torch.equal(crafted(defence, model, data.x, data.y, epoch=epoch), fgsm(model, data.x, data.y, SMALL))
    expected = crafted(Standard(SMALL, steps=3), model, data.x, data.y)
    assert torch.equal(crafted(defence, model, data.x, data.y, epoch=3), expected)
    assert fit(network(), data, defence, epochs=4).steps.tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("until", [1, 3, 40])
def test_the_threshold_falls_to_zero_in_a_straight_line(until):
    defence = Dynamic(SMALL, c_max=0.3, until=until)
    for t in range(until + 5):
        assert defence.threshold(t + 1) == pytest.approx(max(0.3 - t * 0.3 / until, 0), abs=1e-16)
    assert defence.threshold(until + 1) == 0


# --- who moves on -----------------------------------------------------------------------------------------------


def masked(
    model: nn.Module, x: Tensor, y: Tensor, ball: Ball, start: Tensor, c_t: float, gap: Gap | None = None
) -> tuple[Tensor, Tensor]:
    """Algorithm 1 with the text's indicator V: ten steps of eps / 4, everyone carried along; points and steps taken."""
    z, moving, steps = start, torch.ones(len(x), dtype=torch.bool), torch.zeros(len(x), dtype=torch.int64)
    with gradients.frozen(model):
        for k in range(10):
            _, grad, _ = gradients.loss_and_gradient(model, z, y)
            if k > 0:
                moving = moving & ((gap(grad, z, x, start) if gap else ball.gap(grad, z, x)) > c_t)
            after = ball.project(z + ball.eps / 4 * ball.ascent(grad), x)
            z = torch.where(moving.view(-1, *[1] * (x.ndim - 1)), after, z)
            steps += moving
    return z, steps


@pytest.mark.parametrize("ball", [BALL, L2(1.0), L2(1.0, box=(0.0, 1.0))], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["cnn", "mlp", "folded cnn"])
def test_dropping_an_example_is_carrying_it_along_bit_for_bit(nets, digits, name, dtype, ball):
    """Also when one to three rows are left, which a matrix product on a CPU would round in another way."""
    model = copy.deepcopy(nets[name.removeprefix("folded ")]).to(dtype)
    model = fold(model) if name == "folded cnn" else model
    x, y = digits.test.x[:64].to(dtype), digits.test.y[:64]
    start = ball.sample(x, torch.Generator().manual_seed(0))
    _, trace = pgd(model, x, y, ball, start=start, trace=True, fold=False)
    c_t = trace.fosc[2].median().item()
    for lonely in (0, 1, 2, 3, 6):

        def gap(grad: Tensor, z: Tensor, x: Tensor, origin: Tensor, chosen: Tensor = start[:lonely]) -> Tensor:
            goes_on = (origin.flatten(1)[:, None] == chosen.flatten(1)).all(2).any(1)
            return ball.gap(grad, z, x).masked_fill(goes_on, torch.inf)

        expected, steps = masked(model, x, y, ball, start, c_t, gap)
        assert (steps == 10).sum() == (steps > 8).sum() == lonely
        x_adv, seen = pgd(model, x, y, ball, start=start, fosc_below=c_t, gap=gap, trace="steps", fold=False)
        assert torch.equal(x_adv, expected)
        assert torch.equal(seen.steps, steps)
        assert seen.loss.shape == seen.fosc.shape == (0, 64)


def test_in_train_mode_batch_norm_sees_the_examples_that_rest():
    data, model = blobs(48), network(dropout=0).train()
    start = SMALL.sample(data.x, torch.Generator().manual_seed(0))
    dropped = pgd(network(dropout=0).eval(), data.x, data.y, SMALL, start=start)
    expected, steps = masked(model, data.x, data.y, SMALL, start, c_t=0.02)
    x_adv, trace = pgd(model, data.x, data.y, SMALL, start=start, fosc_below=0.02, trace="steps", allow_train_mode=True)
    assert 1 < steps.double().mean() < 9
    assert torch.equal(x_adv, expected) and torch.equal(trace.steps, steps)
    assert not torch.equal(x_adv, dropped)


def test_dynamic_moves_on_while_fosc_is_above_its_threshold(nets, digits):
    model, x, y = nets["cnn"], digits.test.x[:64], digits.test.y[:64]
    standard = Standard(BALL)
    start = standard.start(x, torch.Generator().manual_seed(0))
    for box_aware in (True, False):
        ball = BALL if box_aware else replace(BALL, box=None)
        c_max = float(fosc(model, fgsm(model, x, y, BALL), x, y, ball).mean())
        defence = Dynamic(BALL, c_max=c_max, until=4, box_aware=box_aware)
        for epoch in (1, 3, 5):
            x_adv = crafted(defence, model, x, y, epoch=epoch)
            seen = fosc(model, x_adv, x, y, ball)
            _, trace = pgd(
                model, x, y, BALL, start=start, fosc_below=defence.threshold(epoch), trace="x",
                gap=lambda grad, z, x, start, ball=ball: ball.gap(grad, z, x),
            )  # fmt: skip
            assert torch.equal(trace.x[-1], x_adv)
            resting = trace.steps < 10
            assert (seen[resting] <= defence.threshold(epoch) + 1e-6).all()
            assert (trace.steps >= 1).all()


def test_at_threshold_zero_where_nobody_rests_dynamic_is_standard():
    data = blobs(48)
    models = [network(), network()]
    dynamic = Dynamic(Linf(0.1, box=None), steps=3, until=1, c_max=0, box_aware=False)
    histories = [
        fit(model, data, defence, epochs=3, batch=16)
        for model, defence in zip(models, (dynamic, Standard(Linf(0.1, box=None), steps=3)), strict=True)
    ]
    assert histories[0].steps.tolist() == [3, 3, 3]
    assert_same(*models)
    assert_same_history(histories[0].drop(columns="c_t"), histories[1])


# --- what is counted and remembered -----------------------------------------------------------------------------


def test_the_history_holds_the_steps_taken_and_the_gradients_computed():
    rows: list[int] = []
    model, data = network(), blobs()
    inputs = {"on": False}

    class Watch(Dynamic):
        def craft(self, model, x, y, **moment):
            inputs["on"] = True
            x_adv = super().craft(model, x, y, **moment)
            inputs["on"] = False
            return x_adv

    def count(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if inputs["on"] and torch.is_grad_enabled():
            rows.append(len(args[0]))

    model.register_forward_pre_hook(count)
    defence = Watch(SMALL, until=3, c_max=0.05)
    history = fit(model, data, defence, epochs=4, batch=25)
    gradients_computed = (history.gradients * 50).round().astype(int)
    filled = sum(rows)  # with the rows that make a multiple of four, at most three a step
    assert 0 <= filled - gradients_computed.sum() <= 3 * len(rows)
    assert history.c_t.tolist() == pytest.approx([0.05, 0.05 * 2 / 3, 0.05 / 3, 0])
    assert (history.steps >= 1).all() and (history.steps <= history.gradients).all()
    assert history.steps[0] < 9 and history.steps[3] > history.steps[0]
    assert list(history.columns)[-3:] == ["steps", "gradients", "c_t"]
    standard = fit(network(), data, Standard(SMALL, steps=3), epochs=1)
    assert standard[["steps", "gradients"]].to_numpy().tolist() == [[3, 3]]


def test_an_example_that_rests_needs_one_gradient_more_than_it_takes_steps(nets, digits):
    model, x, y = nets["cnn"], digits.test.x[:64], digits.test.y[:64]
    defence = Dynamic(BALL, until=1, c_max=0.3)
    crafted(defence, model, x, y)
    _, trace = pgd(model, x, y, BALL, fosc_below=0.3, generator=torch.Generator().manual_seed(0), trace="steps")
    report = {name: float(total) for name, total in defence.report().items()}
    resting = int((trace.steps < 10).sum())
    assert 0 < resting < 64
    assert report["steps"] == trace.steps.sum()
    assert report["gradients"] == trace.steps.sum() + resting
    assert report["c_t"] == pytest.approx(0.3 * 64)


@pytest.mark.parametrize("box_aware", [True, False])
def test_c_max_is_estimated_on_the_first_batch_and_kept(box_aware):
    data, model = blobs(), network().eval()
    ball = SMALL if box_aware else replace(SMALL, box=None)
    defence = Dynamic(SMALL, until=4, c_max="estimated", box_aware=box_aware)
    with pytest.raises(ValueError, match="c_max is estimated from the first batch, and there has been none"):
        defence.threshold(1)
    crafted(defence, model, data.x, data.y)
    x_fgsm = fgsm(model, data.x, data.y, SMALL)
    expected = fosc(model, x_fgsm, data.x, data.y, ball).mean().item()
    assert defence.threshold(1) == pytest.approx(expected, rel=1e-5)
    assert defence.state_dict() == {"c_max": defence.threshold(1)}
    given = Dynamic(SMALL, until=4, c_max=defence.threshold(1), box_aware=box_aware)
    crafted(given, model, data.x, data.y)
    assert defence.report()["steps"] == given.report()["steps"]
    assert defence.report()["gradients"] == given.report()["gradients"] + 2 * len(data.x)
    crafted(defence, network(seed=1).eval(), data.x, data.y, epoch=3)
    assert defence.threshold(3) == pytest.approx(expected / 2, rel=1e-5)


def test_a_defence_can_be_used_again():
    """Neither the estimate nor the counts of another run, finished or not, reach the next one."""
    data, defence = blobs(), Dynamic(SMALL, until=3, c_max="estimated")
    fresh = fit(network(), data, Dynamic(SMALL, until=3, c_max="estimated"), epochs=2, batch=25)
    fit(network(seed=5), data, defence, epochs=2, batch=10)
    crafted(defence, network(seed=6).eval(), data.x, data.y)
    assert_same_history(fit(network(), data, defence, epochs=2, batch=25), fresh)


# --- what is left alone -----------------------------------------------------------------------------------------

DEFENCES = {
    "standard": Standard,
    "curriculum": partial(Curriculum, until=1),
    "fgsm then pgd": partial(FGSMThenPGD, until=1),
    "dynamic": partial(Dynamic, until=3, c_max=0.05),
    "dynamic, estimated": partial(Dynamic, until=3, c_max="estimated"),
}


@pytest.mark.parametrize("train_mode", [False, True])
@pytest.mark.parametrize("name", DEFENCES)
def test_crafting_leaves_batch_norm_alone_in_either_mode(name, train_mode):
    data, model = blobs(), network()
    defence = DEFENCES[name](SMALL, steps=3, train_mode=train_mode)
    before = {key: value.clone() for key, value in model.train(train_mode).state_dict().items()}
    examples = [crafted(defence, model, data.x, data.y, epoch=epoch) for epoch in (1, 2)]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training == train_mode
    assert all(SMALL.contains(x_adv, data.x).all() for x_adv in examples)
    fit(model, data, defence, epochs=2, batch=25)
    assert model[1].num_batches_tracked == 4  # one for each update


def test_in_train_mode_the_attack_sees_the_whole_batch(digits):
    """Not the 64 images that go through a network at a time in eval mode on a CPU."""
    model = digits_cnn(generator=torch.Generator().manual_seed(0)).train()
    x, y = digits.test.x[:80], digits.test.y[:80]
    start = SMALL.sample(x, torch.Generator().manual_seed(0))
    whole = pgd(model, x, y, SMALL, steps=2, start=start, chunk=80, allow_train_mode=True)
    assert torch.equal(crafted(Standard(SMALL, steps=2, train_mode=True), model, x, y), whole)
    parts = pgd(model, x, y, SMALL, steps=2, start=start, chunk=64, allow_train_mode=True)
    assert not torch.equal(parts, whole)


def test_the_mode_of_the_attack_matters():
    data, model = blobs(), network(dropout=0).train()
    kept = [crafted(Standard(SMALL, train_mode=mode), model.train(mode), data.x, data.y) for mode in (False, True)]
    assert not torch.equal(*kept)


# --- a user's own model, and a user's own rule ------------------------------------------------------------------


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x - 0.5)


@pytest.mark.parametrize("name", DEFENCES)
def test_five_lines_are_enough(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Own()
    history = fit(model, (blobs().x, blobs().y), DEFENCES[name](Linf(0.1)), epochs=8, batch=16, lr=0.5)
    assert history.accuracy.iloc[-1] > history.accuracy.iloc[0]


def test_another_gap_takes_foscs_place_in_the_rule_and_in_the_trace(nets, digits):
    """Two of the paper's variants: the indicator as printed, and FOSC around the start, which can be negative."""
    model, x, y = nets["cnn"], digits.test.x[:64], digits.test.y[:64]
    start = BALL.sample(x, torch.Generator().manual_seed(0))
    attack = partial(pgd, model, x, y, BALL, start=start, trace="x")
    _, full = attack()

    def printed(grad: Tensor, z: Tensor, x: Tensor, start: Tensor) -> Tensor:
        return -BALL.gap(grad, z, x)

    c_t = float(full.fosc[1].quantile(0.5))  # between two values
    _, trace = attack(gap=printed, fosc_below=-c_t)
    torch.testing.assert_close(trace.fosc[:2], -full.fosc[:2])
    stopped = trace.steps == 1
    assert 0.3 < stopped.double().mean() < 0.7
    assert (full.fosc[1][stopped] > c_t).all() and (full.fosc[1][~stopped] <= c_t).all()

    def centred(grad: Tensor, z: Tensor, x: Tensor, start: Tensor) -> Tensor:
        return from_start(grad, z, start, BALL)

    _, trace = pgd(model, x, y, replace(BALL, box=None), start=start, trace="x", gap=centred, fold=False)
    for k in (0, 10):
        _, grad, _ = gradients.loss_and_gradient(model, trace.x[k], y)
        torch.testing.assert_close(trace.fosc[k], from_start(grad, trace.x[k], start, BALL))
    assert (trace.fosc < 0).any()


def test_losses_can_be_weighed():
    """The released code of Wang et al. weighs each loss by itself from the second epoch on."""

    @dataclass(frozen=True)
    class Weighed(Unsecured):
        def weigh(self, loss: Tensor, epoch: int) -> Tensor:
            return loss if epoch == 1 else loss * loss.detach()

    data, models = blobs(), [network(dropout=0) for _ in range(3)]
    options: dict[str, Any] = {"batch": 50, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    fit(models[0], data, Weighed(), epochs=1, **options)
    fit(models[1], data, Unsecured(), epochs=1, **options)
    assert_same(*models[:2])
    history = fit(models[2], data, Weighed(), epochs=2, **options)
    loss = nn.functional.cross_entropy(models[0].train()(data.x), data.y, reduction="none")
    (loss * loss.detach()).mean().backward()
    with torch.no_grad():
        for parameter in models[0].parameters():
            parameter -= 0.1 * parameter.grad
    for a, b in zip(models[0].parameters(), models[2].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert history.loss[1] == pytest.approx(loss.mean().item(), rel=1e-5)  # the history holds the plain losses


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Curriculum, until=0), "until must be at least 1; got 0"),
        (partial(FGSMThenPGD, until=1.5), "until must be a whole number; got 1.5"),
        (partial(Dynamic, until=None), "until must be a whole number; got None"),
        (partial(Dynamic, until=3, c_max=-1), "c_max must be finite and at least 0, or 'estimated'; got -1"),
        (partial(Dynamic, until=3, c_max=math.inf), "c_max must be finite and at least 0, or 'estimated'; got inf"),
        (partial(Dynamic, until=3, c_max="guessed"), "c_max must be a number; got 'guessed'"),
        (partial(Dynamic, until=3, steps=0), "steps must be at least 1; got 0"),
    ],
)
def test_bad_schedules_are_refused_when_they_are_made(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(SMALL)


def test_bad_hooks_are_refused():
    class Reduced(Unsecured):
        def weigh(self, loss, epoch):
            return loss.mean()

    class Taken(Unsecured):
        def report(self):
            return {"loss": 1.0}

    class Flat(Dynamic):
        def gap(self, grad, x_adv, x, start):
            return grad.sum()

    for defence, message in (
        (Reduced(), r"the result of weigh must have the shape of the losses, \(50,\); got \(\)"),
        (Taken(), "report must use other names than the history's own columns; got loss"),
        (Flat(SMALL, until=1), r"the result of gap must have the shape of the loss, \(50,\); got \(\)"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(network(), blobs(), defence, epochs=1)
