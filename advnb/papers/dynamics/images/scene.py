"""A scene of Figures 2 and 3: a network, images at an input scale, their ball and the sign of the objective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from advnb import checks
from advnb.balls import L2
from advnb.data import Dataset, load, unit_norm
from advnb.gradients import frozen, loss_and_gradient
from advnb.models import example_cnn, initialise
from advnb.papers.dynamics.losses import ScalarLoss, scalar_loss
from advnb.papers.dynamics.problem import CONVENTIONS

UNITS = ("norm", "pixels")
RADIUS_OF = ("norm", "scale")


@dataclass(frozen=True)
class Scene:
    """One classifier, a batch of images with labels -1/+1, their ball and the objective L = sign * l(m).

    ``net`` returns two logits an image; ``x`` (n, ...) is in the units of the input scale; ``loss`` names a
    scalar loss of the margin and ``convention`` its sign.
    """

    net: nn.Module
    x: Tensor
    y: Tensor
    ball: L2
    loss: str = "cross_entropy"
    convention: str = "minus"

    def __post_init__(self) -> None:
        scalar_loss(self.loss)
        checks.choice("convention", self.convention, CONVENTIONS)
        checks.images("x", self.x)
        checks.real_targets(self.y, len(self.x), signs=True)
        checks.eval_mode(self.net)

    @property
    def sign(self) -> float:
        """+1 or -1: the sign of the loss in L."""
        return CONVENTIONS[self.convention]

    @property
    def scalar(self) -> ScalarLoss:
        """The loss as a function of the margin (the target of the margin is 1)."""
        return scalar_loss(self.loss)

    def objective(self, margin: Tensor) -> Tensor:
        """L at the given margins, like ``margin``."""
        return self.sign * self.scalar.value(margin, torch.ones_like(margin))

    def height(self, margin: Tensor) -> Tensor:
        """A stand-in for L that does not saturate: for the cross entropy the margin, signed to rise with L; else L."""
        return -self.sign * margin if self.loss == "cross_entropy" else self.objective(margin)

    def margin(self, points: Tensor) -> Tensor:
        """m at points (n, ...) around the n images, shape (n,)."""
        with torch.no_grad():
            return signed_margin(self.net(points), self.y)

    def margin_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """m (n,) and its gradient, like ``points``."""
        with frozen(self.net):
            margin, grad, _ = loss_and_gradient(self.net, points, self.y, signed_margin)
        return margin, grad


def signed_margin(output: Tensor, y: Tensor) -> Tensor:
    """m = y (z_1 - z_0) for logits (n, 2) and labels y in {-1, +1}, shape (n,)."""
    return y * (output[:, 1] - output[:, 0])


def draw_scene(
    *, data: str, version: str, scale: float, ratio: float, units: str, loss: str, convention: str, images: int,
    seed: int, radius_of: str = "norm", device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64,
) -> Scene:  # fmt: skip
    """A freshly initialised network and ``images`` test images, half of them odd, in balls of one radius.

    ``units="norm"`` gives every image the Euclidean norm ``scale``; ``"pixels"`` multiplies pixels in [0, 1] by it.
    ``radius_of="norm"`` is eps = ratio * mean ||x|| (equation (2) of the paper, for the Euclidean norm), ``"scale"`` is
    eps = ratio * scale (its appendix B.1). The two agree for norms; with pixels the first is 9 times larger on MNIST.
    """
    checks.choice("radius_of", radius_of, RADIUS_OF)
    net = classifier(version, seed=seed).to(device, dtype).eval()
    split = parity(data).test.subset(images, seed=seed).to(device, dtype)
    x = at_scale(split.x, scale, units)
    eps = ratio * (scale if radius_of == "scale" else float(x.flatten(1).norm(dim=1).mean()))
    return Scene(net, x, split.y, L2(eps), loss, convention)


def at_scale(x: Tensor, scale: float, units: str) -> Tensor:
    """Images in [0, 1] at an input scale: see :func:`draw_scene`."""
    checks.positive("scale", scale)
    if checks.choice("units", units, UNITS) == "pixels":
        return scale * x
    return scale * unit_norm(x).view_as(x)


@lru_cache(maxsize=2)
def parity(data: str) -> Dataset:
    """Digits or MNIST as odd (+1) against even (-1), at 28 x 28 pixels."""
    return load(data, progress=False).resize(28).odd_even()


def class_index(y: Tensor) -> Tensor:
    """Labels -1 and +1 as the classes 0 and 1."""
    return (y > 0).long()


def classifier(version: str, *, seed: int) -> nn.Module:
    """The MNIST network of the PyTorch examples with two outputs, without dropout and without normalisation.

    ``"2017"``: convolutions 5x5 with 10 and 20 filters, each with 2x2 max-pool and ReLU; dense 50. ``"2019"``: 3x3 with
    32 and 64 filters, one pool; dense 128. Both had dropout to take out; the paper does not say which it used.
    """
    generator = torch.Generator().manual_seed(seed)
    if checks.choice("version", version, ("2017", "2019")) == "2019":
        net = example_cnn(classes=2, normalisation=None, generator=generator)
        return nn.Sequential(*(layer for layer in net.children() if not isinstance(layer, nn.Dropout))).eval()
    with torch.device("meta"):
        blocks = [(nn.Conv2d(a, b, 5), nn.MaxPool2d(2), nn.ReLU()) for a, b in ((1, 10), (10, 20))]
        dense = (nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 2))
        net = nn.Sequential(*blocks[0], *blocks[1], nn.Flatten(), *dense)
    return initialise(net.to_empty(device="cpu"), generator).eval()


def per_row(weight: Tensor, like: Tensor) -> Tensor:
    """One factor a row (n,), shaped to multiply ``like`` (n, ...)."""
    return weight.view(-1, *[1] * (like.ndim - 1))
