"""Networks in the manner of others: attacked with the same strength as by their libraries, or refused with a reason.

The architectures follow what the tutorials of foolbox, ART and torchattacks train, a residual network as timm builds
them, and a vision transformer, each small enough for 8 x 8 digits and trained here within seconds. The same networks
come back in bfloat16, compiled, and with channels last.
"""

from __future__ import annotations

import copy
import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import foolbox
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from advnb.attacks import cw, pgd
from advnb.audit import audit
from advnb.balls import Linf
from advnb.criterion import fosc
from advnb.data import load
from advnb.losses import correct

BALL, STEPS, N = Linf(0.1), 20, 100
CLOSE = 4
"""Examples of 100 by which two attacks from different random starts may differ."""


def foolbox_tutorial() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip


def art_tutorial() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 10, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def torchattacks_tutorial() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 100), nn.ReLU(),
        nn.Linear(100, 10),
    )  # fmt: skip


class Block(nn.Module):
    """Two convolutions with BatchNorm beside a shortcut, which has a convolution where the stride is 2."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        short = [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)] if stride > 1 else []
        self.short, self.act = nn.Sequential(*short), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.short(x))


def residual() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True), Block(16, 16, 1),
        Block(16, 32, 2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


class Transformer(nn.Module):
    """Patches of 2 x 2 pixels as tokens, places learned, two layers of attention, the mean token classified."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches, self.place = nn.Conv2d(1, width, 2, 2), nn.Parameter(0.1 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2) + self.place).mean(1))


NETWORKS = {
    "foolbox": foolbox_tutorial, "art": art_tutorial, "torchattacks": torchattacks_tutorial, "residual": residual,
    "transformer": Transformer,
}  # fmt: skip


@cache
def trained_on_digits(name: str) -> nn.Module:
    """The network of that name after some epochs of Adam, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, train = NETWORKS[name]().train(), load("digits").train
        optimiser = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(12):
            for rows in torch.randperm(len(train)).split(64):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(train.x[rows]), train.y[rows]).backward()
                optimiser.step()
    return model.eval()


@pytest.fixture
def x(digits) -> Tensor:
    return digits.test.x[:N]


@pytest.fixture
def y(digits) -> Tensor:
    return digits.test.y[:N]


def hits(model: nn.Module, x: Tensor, y: Tensor) -> int:
    with torch.no_grad():
        return int(correct(model(x), y).sum())


def left_by_ours(model: nn.Module, x: Tensor, y: Tensor) -> int:
    return hits(model, pgd(model, x, y, BALL, steps=STEPS, generator=torch.Generator().manual_seed(0)), y)


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_is_as_strong_as_that_of_foolbox(name, x, y):
    model = trained_on_digits(name)
    assert hits(model, x, y) >= 90
    attack = foolbox.attacks.LinfProjectedGradientDescentAttack(abs_stepsize=BALL.eps / 4, steps=STEPS)
    theirs = attack.run(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilon=BALL.eps)
    assert abs(left_by_ours(model, x, y) - hits(model, theirs, y)) <= CLOSE


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_is_as_strong_as_that_of_art(name, x, y):
    model = trained_on_digits(name)
    network = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), nb_classes=10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = ProjectedGradientDescent(
        network, eps=BALL.eps, eps_step=BALL.eps / 4, max_iter=STEPS, num_random_init=1, batch_size=N, verbose=False
    )
    theirs = torch.as_tensor(attack.generate(x.numpy(), y.numpy()))
    assert abs(left_by_ours(model, x, y) - hits(model.eval(), theirs, y)) <= CLOSE


@pytest.fixture(scope="module")
def torchattacks() -> ModuleType:
    """The library, where `make bench` installs it: apart, since it pins an old requests, which Jupyter is beyond."""
    beside = str(Path(__file__).resolve().parents[2] / "_build" / "benchmark")
    sys.path.append(beside)  # last: nothing else is taken from there
    try:
        return importlib.import_module("torchattacks")
    except ImportError:
        pytest.skip("torchattacks is not installed: `make bench` brings it")
    finally:
        sys.path.remove(beside)


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_is_as_strong_as_that_of_torchattacks(name, torchattacks, x, y):
    model = trained_on_digits(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torchattacks.PGD(model, eps=BALL.eps, alpha=BALL.eps / 4, steps=STEPS, random_start=True)(x, y)
    assert bool(BALL.contains(theirs, x).all())
    assert abs(left_by_ours(model, x, y) - hits(model.eval(), theirs, y)) <= CLOSE


@pytest.mark.parametrize("name", NETWORKS)
def test_cw_fosc_and_audit_work(name, x, y):
    model = trained_on_digits(name)
    x_adv = cw(model, x, y, BALL, generator=torch.Generator().manual_seed(0))
    assert hits(model, x_adv, y) <= left_by_ours(model, x, y) + 15  # another loss, which may well find less
    assert bool(BALL.contains(x_adv, x).all())
    gap = fosc(model, x_adv, x, y, BALL)
    assert gap.shape == (N,) and bool(torch.isfinite(gap).all()) and bool((gap >= 0).all())
    report = audit(model, x, y, BALL, progress=False)
    assert report.passed, repr(report)


def same_strength(model: nn.Module, variant: nn.Module, x: Tensor, y: Tensor, like: Tensor, close: int) -> None:
    """The variant, attacked on ``like``, keeps as many right as the model on x; its audit has nothing to say."""
    assert abs(left_by_ours(model, x, y) - left_by_ours(variant, like, y)) <= close
    x_adv = cw(variant, like, y, BALL, steps=10)
    assert x_adv.dtype == like.dtype and bool(BALL.contains(x_adv, like).all())
    assert bool((fosc(variant, x_adv, like, y, BALL) >= 0).all())
    report = audit(variant, like, y, BALL, restarts=2, progress=False)
    assert report.passed, repr(report)


@pytest.mark.parametrize("name", ["foolbox", "residual"])
def test_channels_last(name, x, y):
    model = trained_on_digits(name)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    same_strength(model, last, x, y, x.to(memory_format=torch.channels_last), 1)


@pytest.mark.parametrize("name", ["foolbox", "residual"])
def test_bfloat16(name, x, y):
    model = trained_on_digits(name)
    same_strength(model, copy.deepcopy(model).bfloat16(), x, y, x.bfloat16(), CLOSE)


def test_a_network_in_bfloat16_refuses_images_in_float32(x, y):
    model = copy.deepcopy(trained_on_digits("foolbox")).bfloat16()
    with pytest.raises(ValueError, match=r"(?i)cannot take x.*bfloat16"):
        pgd(model, x, y, BALL)


@pytest.mark.slow
def test_compiled(x, y):
    model = trained_on_digits("torchattacks")
    same_strength(model, torch.compile(model, backend="aot_eager"), x, y, x, 1)


class Wrapped(nn.Module):
    """A classifier of scikit-learn as a module that returns its decision function."""

    def __init__(self, classifier: LogisticRegression) -> None:
        super().__init__()
        self.classifier = classifier
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.classifier.decision_function(x.detach().flatten(1).numpy()), dtype=x.dtype)


@pytest.fixture(scope="module")
def logistic(digits) -> LogisticRegression:
    return LogisticRegression(max_iter=100).fit(digits.train.x.flatten(1).numpy(), digits.train.y.numpy())


def test_a_model_of_scikit_learn_without_gradients_is_refused_and_the_audit_says_why(logistic, x, y):
    model = Wrapped(logistic)
    for attack in (pgd, cw, lambda *arguments: fosc(model, x, x, y, BALL)):
        with pytest.raises(ValueError, match="the loss does not depend on x: does the model detach its input"):
            attack(model, x, y, BALL)
    report = audit(model, x, y, BALL, progress=False)
    assert report.flags[0] == "no-gradient" and report.attacks.accuracy["clean"] > 0.9
    assert report.attacks.accuracy["search without gradients"] < report.attacks.accuracy["clean"]


def test_a_model_of_scikit_learn_as_a_linear_layer_is_attacked_exactly(logistic, x, y):
    """The largest margin over the ball is known for each pair of classes: PGD leaves hardly an example more right."""
    layer = nn.Linear(64, 10)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(logistic.coef_))
        layer.bias.copy_(torch.as_tensor(logistic.intercept_))
    model, ball = nn.Sequential(nn.Flatten(), layer).eval(), Linf(0.05, box=None)
    with torch.no_grad():
        pairs, logits = layer.weight[None] - layer.weight[y][:, None], model(x)  # (n, classes, d), (n, classes)
        worst = logits - logits.gather(1, y[:, None]) + ball.eps * pairs.abs().sum(2)
        exact = int((worst.scatter(1, y[:, None], -torch.inf).amax(1) < 0).sum())
    x_adv = pgd(model, x, y, ball, steps=STEPS, loss="margin", random_start=False)
    assert 0 < exact <= hits(model, x_adv, y) <= exact + 2
    report = audit(model, x, y, ball, progress=False)
    assert report.passed, repr(report)
