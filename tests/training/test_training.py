"""Training: what it learns, what it leaves alone, what it refuses, and that stopping it changes nothing."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from advnb import training
from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.data import Split, load
from advnb.data.augment import CropFlip
from advnb.evaluation import accuracy
from advnb.fold import is_folded
from advnb.models import TwoLayer, digits_cnn, mnist_cnn
from advnb.training import (
    CheckpointError,
    Defence,
    Diverged,
    Standard,
    Unsecured,
    checkpoints,
    defences,
    loop,
)  # fmt: skip
from advnb.training.loop import Run

BALL = Linf(0.2)
fit = partial(training.fit, progress=False)


def blobs(n: int = 50, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    return Split((torch.rand(n, 6, generator=generator) / 2 + y[:, None] / 6).clamp(0, 1), y)


def network(seed: int = 0, *, dropout: float = 0.3) -> nn.Module:
    """Batch norm and dropout, so that buffers and the global generator both matter to a resumed run."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


@dataclass
class Counting(Defence):
    """Trains on shifted examples; the shift depends on how many batches came before, so it must be stored."""

    ball: Linf = field(default_factory=lambda: Linf(0.1))
    batches: int = field(default=0, repr=False)

    def start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.ball.sample(x, generator=generator)

    def craft(self, model, x, y, *, epoch, generator, start):
        self.batches += 1
        return self.ball.project(start + 0.01 * (self.batches % 7), x)

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches = state["batches"]


OPTIONS: dict[str, Any] = {"batch": 16, "lr": 0.05, "milestones": (2, 4)}
DEFENCES = {
    "unsecured": Unsecured,
    "standard": lambda: Standard(Linf(0.1), steps=2),
    "train mode": lambda: Standard(Linf(0.1), steps=2, train_mode=True),
    "stateful": Counting,
    "curriculum": lambda: training.Curriculum(Linf(0.1), steps=3, until=4),
    "fgsm then pgd": lambda: training.FGSMThenPGD(Linf(0.1), steps=2, until=2),
    "dynamic": lambda: training.Dynamic(Linf(0.1), until=4, c_max="estimated"),
}


class Interrupted(Exception):
    pass


def stop_after(epochs: int):
    def callback(model: nn.Module, row: dict[str, Any]) -> None:
        if row["epoch"] > epochs:
            raise Interrupted

    return callback


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for (name, left), right in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


def assert_same_history(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


# --- what it learns ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def trained(digits) -> dict[str, tuple[nn.Module, pd.DataFrame]]:
    made = {}
    for name, defence in (("unsecured", Unsecured()), ("standard", Standard(BALL))):
        model = digits_cnn(generator=torch.Generator().manual_seed(0))
        made[name] = model, fit(model, digits, defence, epochs=8, batch=64, lr=0.05)
    return made


def test_digits_are_learned(digits, trained):
    model, history = trained["unsecured"]
    assert accuracy(model, digits.test) > 0.95
    assert history.accuracy.iloc[-1] > 0.95
    assert list(history.columns) == ["epoch", "lr", "loss", "accuracy", "adversarial_accuracy", "seconds"]
    assert list(history.epoch) == list(range(1, 9))
    assert (history.accuracy == history.adversarial_accuracy).all()


def test_standard_training_is_robust_where_unsecured_is_not(digits, trained):
    robust = {}
    for name, (model, _) in trained.items():
        attack = partial(pgd, ball=BALL, steps=20)
        generator = torch.Generator().manual_seed(0)
        robust[name] = accuracy(model, digits.test, attack=attack, generator=generator)
    assert robust["standard"] > robust["unsecured"] + 0.2
    history = trained["standard"][1]
    assert (history.accuracy > history.adversarial_accuracy).iloc[-1]


def test_one_update_is_the_gradient_step_on_the_mean_loss():
    data, lr = blobs(), 0.3
    model, twin = network(dropout=0), network(dropout=0)
    history = fit(model, data, Unsecured(), epochs=1, batch=50, lr=lr, momentum=0, weight_decay=0)
    output = twin(data.x)
    loss = nn.functional.cross_entropy(output, data.y)
    loss.backward()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter -= lr * parameter.grad
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert history.loss[0] == pytest.approx(loss.item(), rel=1e-6)
    assert history.adversarial_accuracy[0] == pytest.approx((output.argmax(1) == data.y).double().mean().item())


def test_the_update_uses_what_the_defence_crafted():
    """Training on examples moved by the defence equals training on data that were moved beforehand."""

    class Shift(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            return x + 0.1

    data = blobs()
    model, twin = network(), network()
    fit(model, data, Shift(), epochs=2, batch=20)
    fit(twin, Split(data.x + 0.1, data.y), Unsecured(), epochs=2, batch=20)
    assert_same(model, twin)


def test_scalar_networks_train_on_signs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 5, generator=generator)
    y = x[:, 0].sign()
    net = TwoLayer(5, 200, generator=generator)
    history = fit(net, (x, y), Unsecured(), epochs=60, batch=20, lr=0.5, loss="logistic")
    assert history.accuracy.iloc[-1] > 0.9
    assert history.loss.iloc[-1] < history.loss.iloc[0] / 2


def test_learning_rate_falls_at_the_milestones():
    history = fit(network(), blobs(), Unsecured(), epochs=5, lr=0.1, milestones=[2, 4], factor=0.5)
    assert history.lr.tolist() == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", torch.optim.RMSprop])
def test_optimizers_lower_the_loss(optimizer):
    history = fit(network(), blobs(), Unsecured(), epochs=20, lr=0.01, optimizer=optimizer)
    assert history.loss.iloc[-1] < history.loss.iloc[0]


def test_augmentation_reaches_the_defence_and_is_seeded():
    seen = []

    class Watch(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            seen.append(x)
            return x

    def flip(x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.where(torch.rand(len(x), 1, generator=generator) < 0.5, 1 - x, x)

    for _ in range(2):
        fit(network(), blobs(), Watch(), epochs=1, batch=50, augment=flip)
    rows = {tuple(row) for row in blobs().x.tolist()}
    untouched = sum(tuple(row) in rows for row in seen[0].tolist())
    assert 5 < untouched < 45
    assert torch.equal(seen[0], seen[1])


@dataclass
class Watching(Defence):
    """Computes in bfloat16, as it says, and notes how the images that it sees lie in memory."""

    autocast: torch.dtype | None = torch.bfloat16
    last: set[bool] = field(default_factory=set, repr=False)

    def craft(self, model, x, y, **moment):
        self.last.add(x.is_contiguous(memory_format=torch.channels_last))
        return x


@pytest.mark.parametrize(("kind", "autocast"), [("cpu", torch.bfloat16), ("cpu", None), ("cuda", torch.bfloat16)])
def test_images_and_model_are_laid_out_for_convolutions_in_bfloat16_where_these_want_it(monkeypatch, kind, autocast):
    """Asked of the kind of device, which is the CPU here: the layout, and that training is the same."""
    monkeypatch.setattr(loop, "CHANNELS_LAST", (kind,))
    generator = torch.Generator().manual_seed(0)
    data = Split(torch.rand(12, 3, 8, 8, generator=generator), torch.arange(12) % 3)
    nets, seen = [], []
    for defence in (Watching(autocast), Watching(None)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
        fit(net, data, defence, epochs=2, batch=4, augment=CropFlip(padding=1))
        nets.append(net)
        seen.append((defence.last, net[0].weight.is_contiguous(memory_format=torch.channels_last)))
    wanted = kind == "cpu" and autocast is not None
    assert seen == [({wanted}, wanted), ({False}, False)]
    for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_every_example_is_seen_once_an_epoch_in_a_new_order():
    seen: dict[int, list[Tensor]] = {}

    class Watch(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            seen.setdefault(epoch, []).append(x)
            return x

    data = blobs()
    fit(network(), data, Watch(), epochs=2, batch=16)
    first, second = (torch.cat(batches) for batches in seen.values())
    assert list(seen) == [1, 2] and [len(batch) for batch in seen[1]] == [16, 16, 16, 2]
    assert not torch.equal(first, second)
    for order in (first, second):
        assert torch.equal(order.sort(0).values, data.x.sort(0).values)


@pytest.mark.parametrize("train_mode", [False, True])
def test_the_defence_sees_the_mode_that_it_asks_for(train_mode):
    modes = []

    class Watch(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            modes.append({part.training for part in model.modules()})
            return x.clone()

    watch = Watch()
    watch.train_mode = train_mode
    model = network()
    model.register_forward_pre_hook(lambda module, inputs: updates.append(module.training))
    updates: list[bool] = []
    fit(model, blobs(), watch, epochs=1, batch=25)
    assert modes == [{train_mode}, {train_mode}]
    assert updates == [False] + 2 * [False, True]  # a look at the outputs, then per batch: clean accuracy, update
    assert not any(part.training for part in model.modules())


def test_hooks_act_on_the_weights():
    class Clip(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            return x

        def after_step(self, model):
            model[0].weight.clamp_(-0.1, 0.1)

        def after_epoch(self, model, epoch):
            model[-1].bias.fill_(epoch)

    model = network()
    fit(model, blobs(), Clip(), epochs=3, batch=16)
    assert model[0].weight.abs().max() <= 0.1
    assert model[-1].bias.tolist() == [3, 3, 3]


def test_standard_crafts_on_its_own_inside_the_ball():
    data, model = blobs(), network().eval()
    generator = torch.Generator().manual_seed(3)
    for random_start in (True, False):
        defence = Standard(Linf(0.1), steps=3, random_start=random_start)
        start = defence.start(data.x, generator)
        x_adv = defence.craft(model, data.x, data.y, epoch=1, generator=generator, start=start)
        assert torch.equal(start, data.x) != random_start
        assert Linf(0.1).contains(x_adv, data.x).all() and not torch.equal(x_adv, data.x)


@pytest.mark.parametrize("kind", ["standard", "dynamic"])
def test_by_default_a_folded_copy_is_attacked_that_sees_every_update(digits, kind, monkeypatch):
    """Folding changes rounding only: after two epochs the losses still agree closely."""
    make = partial(training.Dynamic, until=3, c_max=0.1) if kind == "dynamic" else Standard
    data, histories, attacked = digits.train[:256], [], set()
    monkeypatch.setattr(
        defences, "pgd", lambda model, *rest, **options: attacked.add(is_folded(model)) or pgd(model, *rest, **options)
    )
    for options in ({"fold": False}, {}):
        model = digits_cnn(generator=torch.Generator().manual_seed(0))
        attacked.clear()
        histories.append(fit(model, data, make(BALL, steps=3, **options), epochs=2, batch=64))
        assert attacked == {not options}
    assert histories[1].loss.tolist() == pytest.approx(histories[0].loss.tolist(), rel=1e-2)
    assert histories[0].loss[1] < histories[0].loss[0] * 0.99


def test_one_folded_update_is_the_unfolded_one_to_rounding(digits):
    """In float64, where no pixel takes the other sign: the weights after three updates agree to 1e-9."""
    x, y = digits.train.x[:96].double(), digits.train.y[:96]
    models = [digits_cnn(generator=torch.Generator().manual_seed(0)).double() for _ in range(2)]
    for model, fold in zip(models, (False, True), strict=True):
        fit(model, (x, y), Standard(BALL, steps=3, fold=fold), epochs=1, batch=32, lr=0.05)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("side", "fold", "changes"), [(28, True, True), (28, False, False), (8, True, False)])
def test_the_layout_of_examples_changes_with_the_folding_of_large_images_and_no_value_does(side, fold, changes):
    model = mnist_cnn(side=side, generator=torch.Generator().manual_seed(0)).double().eval()
    x, y = torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(1)).double(), torch.arange(4)
    models = model, copy.deepcopy(model)
    found = [
        Standard(BALL, steps=2, fold=flag).attack(net, x, y, x) for net, flag in zip(models, (fold, False), strict=True)
    ]
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)
    assert (found[0].stride(1) == 1) == changes  # one channel: side^2 otherwise
    assert all(parameter.is_contiguous() for parameter in model.parameters())


def test_unfolded_training_is_the_loop_written_by_hand(digits):
    """Two updates on PGD's examples by plain autograd, from the same draws."""
    data, lr = digits.train[:64], 0.05
    model, twin = (digits_cnn(generator=torch.Generator().manual_seed(0)) for _ in range(2))
    fit(model, data, Standard(BALL, steps=2, fold=False), epochs=1, batch=32, lr=lr, momentum=0, weight_decay=0)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(loop._derive(0, 1, 0, loop.ORDER)))
    for number, rows in enumerate(order.split(32), 1):
        x, y = data.x[rows], data.y[rows]
        z = BALL.sample(x, torch.Generator().manual_seed(loop._derive(0, 1, number, loop.NOISE)))
        for _ in range(2):
            z = z.detach().requires_grad_()
            (grad,) = torch.autograd.grad(nn.functional.cross_entropy(twin.eval()(z), y, reduction="sum"), z)
            z = (z + BALL.eps / 4 * grad.sign()).clamp(x - BALL.eps, x + BALL.eps).clamp(0, 1)
        twin.zero_grad()
        (nn.functional.cross_entropy(twin.train()(z.detach()), y, reduction="none") / 32).sum().backward()
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter -= lr * parameter.grad
    for (name, a), b in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7, msg=name)


def test_in_train_mode_nothing_is_folded():
    """The repr, by which a checkpoint knows its run, is what it was when fold had to be turned off."""
    for defence in (Standard(BALL, train_mode=True), Standard(BALL, train_mode=True, fold=True)):
        assert not defence.fold
        assert repr(defence) == repr(Standard(BALL, train_mode=True, fold=False))


def test_later_defences_need_a_line_each():
    class Strengthening(Standard):
        def craft(self, model, x, y, *, epoch, generator, start):
            return self.attack(model, x, y, start, steps=epoch, step_size=0.01)

    data, moved = blobs(), []

    class Watch(Strengthening):
        def craft(self, model, x, y, **options):
            x_adv = super().craft(model, x, y, **options)
            moved.append((x_adv - x).abs().max().item())
            return x_adv

    fit(network(), data, Watch(Linf(0.5), random_start=False), epochs=3, batch=50)
    assert moved == pytest.approx([0.01, 0.02, 0.03], rel=1e-4)


def test_a_later_defence_can_stop_each_example_by_its_fosc_and_see_how_far_it_went():
    """As "Dynamic" of Wang et al. (2019) does, with a threshold that falls from one epoch to the next."""
    steps: dict[int, list[Tensor]] = {}

    class Dynamic(Standard):
        def craft(self, model, x, y, *, epoch, start, **moment):
            threshold = {1: 1e9, 2: 0.0}[epoch]
            x_adv, trace = self.attack(model, x, y, start, fosc_below=threshold, trace=True)
            steps.setdefault(epoch, []).append(trace.steps)
            return x_adv

    fit(network(), blobs(), Dynamic(Linf(0.5), steps=4, step_size=0.01), epochs=2, batch=20)
    first, second = (torch.cat(parts) for parts in steps.values())
    assert (first == 1).all() and (second == 4).all() and len(first) == 50


def test_evaluate_adds_columns_and_callback_stops():
    rows = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        return {"weight": model[0].weight.detach().norm()}

    def callback(model: nn.Module, row: dict[str, Any]) -> bool:
        rows.append(row)
        return row["epoch"] == 2

    model = network()
    history = fit(model, blobs(), Unsecured(), epochs=9, evaluate=evaluate, callback=callback)
    assert history.epoch.tolist() == [1, 2] and len(rows) == 2
    assert history.weight.iloc[-1] == model[0].weight.detach().norm().item()


# --- what it leaves alone ---------------------------------------------------------------------------------------


def test_the_seed_decides_everything():
    models = [network() for _ in range(3)]
    for model, seed, elsewhere in zip(models, (1, 1, 2), (7, 8, 9), strict=True):
        torch.manual_seed(elsewhere)  # the global generator must not matter, not even to dropout
        fit(model, blobs(), Standard(Linf(0.1), steps=2), epochs=2, batch=16, seed=seed)
    assert_same(models[0], models[1])
    assert not torch.equal(models[0][0].weight, models[2][0].weight)


def test_the_global_generator_and_the_flags_are_left_alone():
    model = network()
    model[0].bias.requires_grad_(False)
    bias, flags = model[0].bias.clone(), [p.requires_grad for p in model.parameters()]
    before = torch.get_rng_state()
    fit(model, blobs(), Standard(Linf(0.1), steps=2), epochs=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert torch.equal(model[0].bias, bias)
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(Interrupted):
        fit(model, blobs(), Unsecured(), epochs=2, callback=stop_after(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training


# --- checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEFENCES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, name, optimizer):
    path = tmp_path / "deep" / "run.pt"
    whole, parts = network(), network()
    expected = fit(whole, blobs(), DEFENCES[name](), epochs=5, optimizer=optimizer, **OPTIONS)
    for done in (1, 3):
        parts = network(seed=done - 1)  # once there is a file, the weights at hand do not matter
        with pytest.raises(Interrupted):
            fit(
                parts, blobs(), DEFENCES[name](), epochs=5, optimizer=optimizer, checkpoint=path,
                callback=stop_after(done), **OPTIONS,
            )  # fmt: skip
    parts = network(seed=9)
    history = fit(parts, blobs(), DEFENCES[name](), epochs=5, optimizer=optimizer, checkpoint=path, **OPTIONS)
    assert_same(whole, parts)
    assert_same_history(history, expected)


@pytest.mark.parametrize("when", ["between epochs", "in the middle of a write"])
def test_a_killed_run_resumes_as_if_nothing_had_happened(tmp_path, when):
    path = tmp_path / "run.pt"
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch
from test_training import OPTIONS, DEFENCES, blobs, fit, network
from advnb.training import checkpoints
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
calls = []
def half(file):
    calls.append(1)
    if len(calls) == 3:
        os.ftruncate(file, os.fstat(file).st_size // 2); kill()
callback = None
if {when!r} == "between epochs":
    callback = lambda model, row: kill() if row["epoch"] == 3 else None
else:
    checkpoints.os.fsync = half
fit(network(), blobs(), DEFENCES["standard"](), epochs=5, checkpoint={str(path)!r}, callback=callback, **OPTIONS)
"""
    killed = subprocess.run([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert len(checkpoints.load(path, set())["history"]) == 2
    whole, resumed = network(), network(seed=1)
    torch.set_num_threads(1)
    expected = fit(whole, blobs(), DEFENCES["standard"](), epochs=5, **OPTIONS)
    history = fit(resumed, blobs(), DEFENCES["standard"](), epochs=5, checkpoint=path, **OPTIONS)
    assert_same(whole, resumed)
    assert_same_history(history, expected)


def test_a_finished_run_returns_at_once_and_can_be_extended(tmp_path, monkeypatch):
    path, whole, model = tmp_path / "run.pt", network(), network()
    expected = fit(whole, blobs(), Unsecured(), epochs=4, **OPTIONS)
    first = fit(model, blobs(), Unsecured(), epochs=2, checkpoint=path, **OPTIONS)
    again = network(seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "epoch", lambda *_: pytest.fail("a finished run trained again"))
        pd.testing.assert_frame_equal(fit(again, blobs(), Unsecured(), epochs=2, checkpoint=path, **OPTIONS), first)
    assert_same(again, model)
    assert_same_history(fit(again, blobs(), Unsecured(), epochs=4, checkpoint=path, **OPTIONS), expected)
    assert_same(again, whole)
    with pytest.raises(CheckpointError, match="holds 4 epochs, more than epochs=3"):
        fit(again, blobs(), Unsecured(), epochs=3, checkpoint=path, **OPTIONS)


def test_a_run_that_its_callback_stopped_stays_stopped(tmp_path):
    path = tmp_path / "run.pt"
    options = {"epochs": 5, "checkpoint": path, "callback": lambda model, row: row["epoch"] == 2}
    first = fit(network(), blobs(), Unsecured(), **options)
    pd.testing.assert_frame_equal(fit(network(), blobs(), Unsecured(), **options), first)
    assert len(first) == 2


def test_checkpoint_every_and_no_rubbish(tmp_path):
    path, stored = tmp_path / "run.pt", []

    def callback(model: nn.Module, row: dict[str, Any]) -> None:
        stored.append(len(checkpoints.load(path, set())["history"]) if path.exists() else 0)

    fit(network(), blobs(), Unsecured(), epochs=5, checkpoint=path, checkpoint_every=2, callback=callback)
    assert stored == [0, 0, 2, 2, 4]
    assert len(checkpoints.load(path, set())["history"]) == 5
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "run.pt"
    checkpoints.save(path, {"history": [1]})
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(path, {"history": lambda: None})
    assert checkpoints.load(path, set())["history"] == [1]
    assert os.listdir(tmp_path) == ["run.pt"]


CHANGES: dict[str, dict[str, Any]] = {
    "lr": {"lr": 0.07},
    "batch, momentum": {"batch": 8, "momentum": 0.5},
    "seed": {"seed": 1},
    "optimizer": {"optimizer": "adam"},
    "loss": {"loss": nn.CrossEntropyLoss(reduction="none")},
    "defence": {"defence": Standard(Linf(0.1))},
    "data": {"data": blobs(seed=1)},
    "model": {"model": nn.Linear(6, 3)},
}


@pytest.mark.parametrize("names", CHANGES)
def test_another_run_is_refused_by_name_and_nothing_is_changed(tmp_path, names):
    path = tmp_path / "run.pt"
    call = {"model": network(), "data": blobs(), "defence": Standard(Linf(0.2)), "epochs": 1, "checkpoint": path}
    fit(**call)
    before, other = path.read_bytes(), {**call, "model": network(seed=1), "epochs": 2, **CHANGES[names]}
    weights = {name: value.clone() for name, value in other["model"].state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"belongs to another run; it differs in {names}:\n"):
        fit(**other)
    assert path.read_bytes() == before
    assert all(torch.equal(value, weights[name]) for name, value in other["model"].state_dict().items())
    fit(**other, resume=False)
    assert len(checkpoints.load(path, set())["history"]) == 2


def test_callables_are_compared_without_their_addresses(tmp_path):
    def mean(output: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, y, reduction="none")

    assert "0x" in repr(mean) and "0x" not in checkpoints.describe(mean)
    assert checkpoints.describe(Standard(Linf(0.1), loss=mean)).count("mean") == 1


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "pickle", "foreign", "folder"])
def test_a_file_that_is_no_checkpoint_is_refused_and_left_alone(tmp_path, kind):
    path = tmp_path / "run.pt"
    fit(network(), blobs(), Unsecured(), epochs=1, checkpoint=path)
    if kind == "foreign":
        torch.save({"model": network().state_dict()}, path)
    elif kind == "pickle":
        torch.save(network(), path)  # needs code to be run on reading
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"truncated": path.read_bytes()[:-200], "text": b"epoch,loss\n", "empty": b""}[kind])
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(CheckpointError, match=r"run\.pt (cannot be read|was not written by)"):
        fit(network(), blobs(), Unsecured(), epochs=2, checkpoint=path)
    assert (path.read_bytes() if path.is_file() else None) == before


# --- divergence -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explode(Defence):
    """Behaves until epoch 3; then spoils the loss, the weights before an attack, or the very last update."""

    how: str

    def craft(self, model, x, y, *, epoch, generator, start):
        if epoch < 3:
            return x
        if self.how == "loss":
            return x * torch.inf
        if self.how == "attack":
            with torch.no_grad():
                model[0].weight.fill_(torch.nan)
            return pgd(model, x, y, BALL)
        return x

    def after_epoch(self, model, epoch):
        if self.how == "weights" and epoch == 3:
            model[0].weight.fill_(torch.nan)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("loss", "the loss is nan in epoch 3, batch 1"),
        ("attack", "the attack met a gradient that is NaN or infinite in epoch 3, batch 1"),
        ("weights", "a weight is NaN or infinite in epoch 3, batch 4"),
    ],
)
def test_divergence_is_named_and_the_last_good_checkpoint_kept(tmp_path, how, what):
    path = tmp_path / "run.pt"
    with pytest.raises(Diverged, match=what):
        fit(network(), blobs(), Explode(how), epochs=5, batch=16, checkpoint=path)
    state = checkpoints.load(path, set())
    assert len(state["history"]) == 2
    assert all(torch.isfinite(value).all() for value in state["model"].values())


@pytest.mark.parametrize("then", ["goes on", "raises", "meets it again"])
def test_what_went_wrong_first_is_named_though_it_is_read_at_the_end(then):
    """The loss is infinite in batch 2; what batch 3 does with the broken weights does not hide that."""
    seen = []

    class Bad(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            seen.append(len(seen) + 1)
            if seen[-1] == 3 and then == "raises":
                raise RuntimeError("an error that follows from it")
            if seen[-1] == 3 and then == "meets it again":
                return pgd(model, x, y, BALL)
            return x * torch.inf if seen[-1] == 2 else x

    with pytest.raises(Diverged, match="the loss is nan in epoch 1, batch 2"):
        fit(network(), blobs(), Bad(), epochs=2, batch=16)
    assert seen == ([1, 2, 3, 4] if then != "raises" else [1, 2, 3])


def test_data_outside_the_ball_s_box_are_refused_in_any_batch():
    data = blobs()
    data.x[40] = 1.5
    for random_start in (True, False):
        with pytest.raises(ValueError, match=r"x must lie in the box \[0, 1\]; it ranges over \[.*, 1.5\]"):
            fit(network(), data, Standard(BALL, steps=1, random_start=random_start), epochs=1, batch=16)


@pytest.mark.filterwarnings("ignore::advnb.attacks.ZeroGradientWarning")
def test_too_large_a_learning_rate_is_named():
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    with pytest.raises(Diverged, match=r"diverged: .* in epoch \d, batch \d"):
        fit(model, blobs(), Standard(Linf(0.1), steps=1), epochs=9, batch=16, lr=1e20)  # finite weights, NaN gradient


def test_an_error_of_the_defence_is_not_taken_for_divergence():
    class Broken(Defence):
        def craft(self, model, x, y, *, epoch, generator, start):
            raise ValueError("my own mistake")

    with pytest.raises(ValueError, match="my own mistake"):
        fit(network(), blobs(), Broken(), epochs=1)


# --- guards -----------------------------------------------------------------------------------------------------


class Lopsided(Defence):
    def craft(self, model, x, y, *, epoch, generator, start):
        return x[:-1]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": "sdg"}, "optimizer must be one of 'adam', 'sgd'; got 'sdg'"),
    ({"epochs": 0}, "epochs must be at least 1; got 0"),
    ({"epochs": 1.5}, "epochs must be a whole number; got 1.5"),
    ({"batch": 0}, "batch must be at least 1; got 0"),
    ({"lr": 0}, "lr must be a finite number above 0; got 0"),
    ({"lr": float("nan")}, "lr must be a finite number above 0; got nan"),
    ({"factor": -1}, "factor must be a finite number above 0; got -1"),
    ({"momentum": 1.0}, r"momentum must lie in \[0, 1\); got 1.0"),
    ({"momentum": -0.1}, r"momentum must lie in \[0, 1\); got -0.1"),
    ({"weight_decay": -1e-4}, "weight_decay must be finite and at least 0; got -0.0001"),
    ({"weight_decay": float("inf")}, "weight_decay must be finite and at least 0; got inf"),
    ({"weight_decay": "a little"}, "weight_decay must be a number; got 'a little'"),
    ({"milestones": [0]}, "milestones must be at least 1; got 0"),
    ({"seed": -1}, "seed must be at least 0; got -1"),
    ({"checkpoint_every": 0}, "checkpoint_every must be at least 1; got 0"),
    ({"loss": "hinge"}, "loss must be one of 'cross_entropy', .*; got 'hinge'"),
    ({"loss": nn.CrossEntropyLoss()}, r"loss must return one value an example, shape \(2,\)"),
    ({"defence": "standard"}, r"defence must be a Defence such as Unsecured\(\); got 'standard'"),
    ({"defence": Lopsided()}, "the result of craft must have the shape of its batch"),
    ({"defence": Defence()}, "Defence must define craft"),
    ({"augment": lambda x, g: x.double()}, "the result of augment must have the dtype of its batch"),
    ({"evaluate": lambda m: {"lr": 1.0}}, "evaluate must use other names than .*; got lr"),
    ({"data": [1, 2]}, r"data must be a Split, a pair \(x, y\) or, to train on, a Dataset; got list"),
    ({"data": (torch.rand(5, 6), torch.zeros(4, dtype=torch.int64))}, r"y must have shape \(5,\)"),
    ({"data": (torch.rand(0, 6), torch.zeros(0, dtype=torch.int64))}, "x must hold at least one example"),
    ({"data": (torch.rand(5, 6), torch.tensor([0, 1, 2, 2, 3]))}, r"y must hold labels in \[0, 3\)"),
    ({"data": (torch.rand(5, 6), torch.tensor([0, 1, 2, 2, -1]))}, r"y must hold labels in \[0, "),
    ({"data": (torch.rand(5, 6), torch.rand(5))}, "y must hold class indices as torch.int64"),
    ({"data": (torch.randint(255, (5, 6)), torch.zeros(5, dtype=torch.int64))}, "x must be a floating-point"),
    ({"model": "net"}, "model must be a torch.nn.Module; got str"),
    ({"model": nn.Flatten()}, "model must have parameters that require gradients"),
    ({"model": TwoLayer(6, 4)}, r"cross_entropy needs logits of shape \(2, classes\)"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_arguments_are_named(change, message):
    call = {"model": network(), "data": blobs(), "defence": Unsecured(), "epochs": 1, **change}
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        fit(**call)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ball": 0.1}, r"ball must be Linf\(eps\) or L2\(eps\); got float"),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"step_size": -0.1}, "step_size must be a finite number above 0; got -0.1"),
        ({"loss": "hinge"}, "loss must be one of"),
    ],
)
def test_bad_defences_are_refused_when_they_are_made(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Standard(**{"ball": Linf(0.1), **options})
