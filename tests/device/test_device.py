"""What to run first where there is a GPU: every attack, criterion, defence and chapter there, held against the CPU.

``pytest tests/device`` takes the GPU if there is one; ``ADVNB_TEST_DEVICE`` names another device. Without a GPU the
CPU is held against itself, which says that this script runs, and what only a GPU can show is skipped.
"""

import copy
import os
import time

import pytest
import torch

from advnb.attacks import cw, fgsm, minimal_flip, pgd
from advnb.balls import L2, Linf
from advnb.criterion import convergence, fosc, from_start
from advnb.data import Split
from advnb.data.augment import CropFlip
from advnb.evaluation import accuracy
from advnb.experiments import find, live
from advnb.experiments.store import plain
from advnb.experiments.verification import compare
from advnb.fold import fold
from advnb.models import TwoLayer, cifar_cnn
from advnb.papers.convergence import costs
from advnb.training import Curriculum, Dynamic, FGSMThenPGD, Standard, Unsecured, fit

DEVICE = os.environ.get("ADVNB_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
CUDA = DEVICE.startswith("cuda")
only_cuda = pytest.mark.skipif(not CUDA, reason="only a GPU can show this")

EXPERIMENTS = find()
LINF, BALL = Linf(0.1), L2(1.0)
SHORT = {"ball": LINF, "steps": 4}
DEFENCES = {
    "unsecured": Unsecured(),
    "standard": Standard(**SHORT),
    "curriculum": Curriculum(**SHORT, until=2),
    "fgsm_pgd": FGSMThenPGD(**SHORT, until=1),
    "dynamic": Dynamic(**SHORT, until=2, c_max=0.2),
    "train mode": Standard(**SHORT, train_mode=True, fold=False),
}


@pytest.fixture(scope="module")
def few(digits):
    return digits.test[:96]


def both(trained):
    """The network on the CPU and on the device."""
    return trained, copy.deepcopy(trained).to(DEVICE)


ATTACKS = {
    "fgsm": lambda net, x, y: fgsm(net, x, y, LINF),
    "pgd": lambda net, x, y: pgd(net, x, y, LINF, steps=10, start=x),
    "pgd, folded": lambda net, x, y: pgd(fold(net), x, y, LINF, steps=10, start=x),
    "pgd, L2": lambda net, x, y: pgd(net, x, y, BALL, steps=10, start=x),
    "pgd, at rest": lambda net, x, y: pgd(net, x, y, LINF, steps=10, start=x, fosc_below=0.05),
    "cw": lambda net, x, y: cw(net, x, y, LINF, steps=10, start=x),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_as_strong_as_on_the_cpu(name, trained, few):
    """Not the same pixels: where a gradient is near 0 rounding decides its sign."""
    here, there = both(trained)
    x_cpu = ATTACKS[name](here, few.x, few.y)
    x_there = ATTACKS[name](there, few.x.to(DEVICE), few.y.to(DEVICE))
    assert x_there.device.type == torch.device(DEVICE).type
    assert ((x_there.cpu() - x_cpu).abs() > 1e-4).double().mean() < 0.02
    right = [float((here(x).argmax(1) == few.y).double().mean()) for x in (x_cpu, x_there.cpu())]
    assert abs(right[0] - right[1]) <= 2 / len(few)


def test_the_criterion_is_that_of_the_cpu(trained, few):
    here, there = both(trained)
    x_adv = pgd(here, few.x, few.y, LINF, steps=3, start=few.x)
    at_cpu = convergence(here, x_adv, few.x, few.y, LINF, start=few.x)
    moved = [part.to(DEVICE) for part in (x_adv, few.x, few.y)]
    at_there = convergence(there, *moved, LINF, start=moved[1])
    for name in ("loss", "fosc", "closed_form", "gradient_norm"):
        torch.testing.assert_close(getattr(at_there, name).cpu(), getattr(at_cpu, name), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        fosc(there, *moved, LINF).cpu(), fosc(here, x_adv, few.x, few.y, LINF), rtol=1e-3, atol=1e-4
    )
    grad = torch.randn(few.x.shape, generator=torch.Generator().manual_seed(0))
    centred = from_start(grad, x_adv, few.x, LINF), from_start(grad.to(DEVICE), moved[0], moved[1], LINF)
    torch.testing.assert_close(centred[1].cpu(), centred[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DEFENCES)
def test_a_defence_trains_as_on_the_cpu(name, trained, digits):
    """From the same weights, without a random start: two epochs of 256 images end at about the same loss."""
    defence = DEFENCES[name]
    if hasattr(defence, "random_start"):
        defence = type(defence)(**{**vars_of(defence), "random_start": False})
    rows = []
    for device in ("cpu", DEVICE):
        net = copy.deepcopy(trained).to(device)
        part = Split(digits.train.x[:256].to(device), digits.train.y[:256].to(device))
        rows.append(fit(net, part, defence, epochs=2, batch=64, seed=0, progress=False).iloc[-1])
    assert abs(rows[0]["loss"] - rows[1]["loss"]) < 0.05 * max(rows[0]["loss"], 0.1)
    assert abs(rows[0]["adversarial_accuracy"] - rows[1]["adversarial_accuracy"]) < 0.03


def vars_of(defence):
    return {name: value for name, value in vars(defence).items() if not name.startswith("_")}


def test_the_smallest_flip_is_that_of_the_cpu():
    net = TwoLayer(49, 300, generator=torch.Generator().manual_seed(0)).eval()
    x = torch.nn.functional.normalize(torch.randn(40, 49, generator=torch.Generator().manual_seed(1)))
    here, there = minimal_flip(net, x), minimal_flip(copy.deepcopy(net).to(DEVICE), x.to(DEVICE))
    torch.testing.assert_close(there.norm.cpu(), here.norm, rtol=1e-3, atol=1e-5)


def test_augmentation_stays_on_the_device_and_draws_there():
    x = torch.rand(16, 3, 32, 32, device=DEVICE).to(memory_format=torch.channels_last)
    out = CropFlip()(x, torch.Generator(DEVICE).manual_seed(0))
    assert out.device == x.device
    assert out.is_contiguous(memory_format=torch.channels_last)


LIVE = {
    "lazy.figure_4_left": {"side": 4, "budget": 0.1},
    "lazy.figures_2_3": {"side": 4, "m": 200},
    "convergence.tables_digits": {"defence": "standard"},
    "dynamics.fig2": {"scale": 0.1, "ratio": 0.001, "climb": "constant"},
}
"""A live experiment of each chapter, one setting of it."""


@pytest.mark.parametrize("name", LIVE)
def test_a_live_experiment_is_that_of_the_cpu_within_its_tolerance(name):
    experiment = EXPERIMENTS[name]
    here, there = (live(experiment, device=device, seeds=1, only=LIVE[name]) for device in ("cpu", DEVICE))
    for field in (column for column in here if not column.startswith("run_")):
        if field in experiment.like_processor or not (tolerance := experiment.tolerance_of(field)):
            continue
        for old, new in zip(here[field], there[field], strict=True):
            deviation, allowed = compare({field: plain(field, old)}, {field: plain(field, new)}, field, tolerance)
            assert deviation <= allowed, (field, old, new)


@only_cuda
def test_a_batch_of_training_waits_for_nothing(trained, digits):
    """Twice the batches of an epoch synchronise the host as often as once: what is read is read once an epoch."""
    from torch.profiler import ProfilerActivity, profile

    def waits(n):
        net, part = copy.deepcopy(trained).to(DEVICE), digits.train[:n].to(DEVICE)
        fit(net, part, Standard(**SHORT), epochs=1, batch=64, progress=False)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            fit(net, part, Standard(**SHORT), epochs=1, batch=64, progress=False)
        names = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")
        return sum(one.count for one in seen.key_averages() if one.key in names)

    assert waits(1024) <= waits(512) + 1


@only_cuda
def test_the_share_of_the_matrix_peak_of_a_pgd_10_epoch(record_property):
    """The CIFAR-10 CNN in bfloat16, channels last: counted operations a second over those of a large product.

    Recorded, and held to be sensible; the goal is 40 percent, with CUDA graphs.
    """
    n, batch = 5120, 512
    x = torch.rand(n, 3, 32, 32, device=DEVICE).to(memory_format=torch.channels_last)
    y = torch.arange(n, device=DEVICE) % 10
    net = cifar_cnn(generator=torch.Generator().manual_seed(0)).to(DEVICE, memory_format=torch.channels_last)
    defence = Standard(ball=Linf(8 / 255), steps=10, autocast=torch.bfloat16)
    run = {"epochs": 1, "batch": batch, "progress": False, "augment": CropFlip()}
    fit(net, (x, y), defence, **run)
    torch.cuda.synchronize()
    began = time.perf_counter()
    fit(net, (x, y), defence, **run)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    given = {"data": "cifar10", "examples": n, "epochs": 1, "batch": batch, "defence": "standard"}
    reached = costs.training(given).flops / seconds
    share = reached / matrix_peak()
    record_property("share_of_peak", share)
    record_property("tflops", reached / 1e12)
    record_property("seconds_per_epoch_of_50000", seconds * 50_000 / n)
    assert 0.01 < share < 1


def matrix_peak(size=8192):
    """Operations a second of a large product in bfloat16."""
    a = torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16)
    a @ a
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(10):
        a @ a
    torch.cuda.synchronize()
    return 10 * 2 * size**3 / (time.perf_counter() - began)


def test_accuracy_is_that_of_the_cpu(trained, few):
    here, there = both(trained)
    assert abs(accuracy(here, few) - accuracy(there, few.to(DEVICE))) <= 1 / len(few)
