"""The papers' networks: the two-layer net with its derivatives in closed form, and the image classifiers.

All of them take images or rows in the units of the data and normalise inside, if at all. With a ``generator``
each is reproducible and leaves torch's global random state alone. The options of every classifier are
``normalisation``, which puts a :class:`Normalise` with these values in front, and ``generator``. Those of Wang et al.
(2019), and the one for digits, also take ``width``, which multiplies the sizes of all layers but the last, rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from advnb import checks
from advnb.incremental import AlongPath

__all__ = [
    "Activation", "Init", "Normalisation", "Normalise", "TwoLayer", "WideBlock", "cifar_cnn", "digits_cnn",
    "example_cnn", "initialise", "mnist_cnn", "wide_resnet",
]  # fmt: skip

Activation = Literal["relu", "softplus"]
Init = Literal["lazy", "xavier"]

Normalisation = tuple[Sequence[float], Sequence[float]]
"""(means, standard deviations), one of each a channel."""

SOFTPLUS_LINEAR_ABOVE = 50.0
"""Where softplus(h) may be replaced by h: their difference exp(-50) is far below float64 rounding."""


class TwoLayer(nn.Module):
    """The two-layer network f(x) = m^{-1/2} sum_s a_s sigma(<w_s, x> + b_s) + c with a fixed top layer.

    With ReLU this is the network of Wang et al. (2022), section 2; with softplus log(1 + e^h) and Xavier
    weights that of Deng et al. (2020), section 2. The signs a_s are uniform on {-1, +1} and are not trained.

    ``d`` is the dimension of the input and ``m`` the width. ``activation`` is ``"relu"`` (derivative 0 at 0, as in
    torch) or ``"softplus"``; ``init`` is ``"lazy"``, w_s ~ N(0, I), or ``"xavier"``, w_s ~ N(0, I / d). ``generator``
    draws the weights, then the signs; torch's global one if None. ``bias`` adds b (m,) as ``hidden_bias`` and c () as
    ``top_bias``, both trained and 0 at the start. The papers have neither; the released code of Wang et al. does.

    ``weight`` is W (m, d), the trained parameter, and ``signs`` (m,) a buffer. Both are in the ``state_dict``.
    """

    signs: Tensor

    def __init__(
        self,
        d: int,
        m: int,
        activation: Activation = "relu",
        init: Init = "lazy",
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.d, self.m = checks.count("d", d), checks.count("m", m)
        self.activation = checks.choice("activation", activation, ("relu", "softplus"))
        self.init = checks.choice("init", init, ("lazy", "xavier"))
        target = torch.empty(0, device=device, dtype=dtype)
        drawn_on = generator.device if generator is not None else target.device
        weight = torch.randn(m, d, generator=generator, device=drawn_on, dtype=target.dtype)
        signs = torch.randint(2, (m,), generator=generator, device=drawn_on) * 2 - 1
        scale = 1.0 if init == "lazy" else d**-0.5
        self.weight = nn.Parameter(weight.mul_(scale).to(target))
        self.register_buffer("signs", signs.to(target))
        self.hidden_bias = nn.Parameter(target.new_zeros(m)) if bias else None
        self.top_bias = nn.Parameter(target.new_zeros(())) if bias else None

    def extra_repr(self) -> str:
        """Return the arguments that made this network."""
        return f"{self.d}, {self.m}, activation={self.activation!r}, init={self.init!r}"

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), for ``x`` of shape (n, d) or (n, ...) with d entries a row."""
        h = self.preactivation(x)
        hidden = h.relu() if self.activation == "relu" else F.softplus(h, threshold=SOFTPLUS_LINEAR_ABOVE)
        return self._top(hidden @ self.signs)

    def preactivation(self, x: Tensor) -> Tensor:
        """Return h = x W^T + b, shape (n, m); raises if a row of ``x`` does not hold d numbers."""
        return F.linear(_rows(x, self.d), self.weight, self.hidden_bias)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(x) (n,) and its gradient in x (n, d) for two matrix products; no autograd graph."""
        return self.at_preactivation(self.preactivation(x))

    @torch.no_grad()
    def at_preactivation(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return f (n,) and its input gradient (n, d) at points whose preactivations ``h`` (n, m) are known."""
        if self.activation == "relu":
            hidden = h.relu()
            # In place: what a step costs beside its products is the memory it touches.
            top, slopes = hidden @ self.signs, hidden.sign_().mul_(self.signs)
        else:
            slopes = h.sigmoid() * self.signs
            top = F.softplus(h, threshold=SOFTPLUS_LINEAR_ABOVE) @ self.signs
        return self._top(top), (slopes @ self.weight) / self.m**0.5

    @torch.no_grad()
    def input_gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of f in x: m^{-1/2} sum_s a_s sigma'(h_s) w_s, shape (n, d)."""
        return self.value_and_gradient(x)[1]

    def along_path(self, *, tile: int = 1) -> AlongPath | None:
        """Return a function like :meth:`value_and_gradient` for the points of a path, for as long as weights stand.

        It takes ``(points, rows)``, see :class:`advnb.incremental.AlongPath`. An attack asks its model for this, which
        any module may offer that has one output (n,). None where it would not be this network: with softplus, in a
        subclass, and where hooks look on.
        """
        hooks = (self._forward_hooks, self._forward_pre_hooks, self._backward_hooks, self._backward_pre_hooks)
        if self.activation != "relu" or type(self) is not TwoLayer or any(hooks):
            return None
        bias = None if self.hidden_bias is None else self.hidden_bias.detach()
        constant = None if self.top_bias is None else self.top_bias.detach()
        return AlongPath(self.weight.detach(), self.signs / self.m**0.5, bias, constant, tile=tile)

    @torch.no_grad()
    def hessian(self, x: Tensor) -> Tensor:
        """Return the Hessian of f in x, m^{-1/2} sum_s a_s sigma''(h_s) w_s w_s^T, shape (n, d, d).

        Zero with ReLU, whose Hessian is zero almost everywhere (and undefined where some h_s is 0).
        """
        h = self.preactivation(x)
        if self.activation == "relu":
            return h.new_zeros((len(h), self.d, self.d))
        curvature = h.sigmoid() * (-h).sigmoid() * self.signs / self.m**0.5
        return torch.stack([(self.weight.T * row) @ self.weight for row in curvature])

    def _top(self, total: Tensor) -> Tensor:
        output = total / self.m**0.5
        return output if self.top_bias is None else output + self.top_bias


def _rows(x: Tensor, d: int) -> Tensor:
    rows = x.flatten(1)
    if rows.shape[1] != d:
        raise ValueError(f"x must hold {d} numbers an example; got shape {tuple(x.shape)}")
    return rows


fx.wrap("_rows")  # traced as one call, so that its check is no obstacle to torch.fx


class Normalise(nn.Module):
    """Subtracts a mean from each channel and divides it by a standard deviation, inside the network.

    So eps keeps the units of the images. Raises if a standard deviation is not above 0 or the lengths differ.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"normalisation must hold a mean and a std above 0 a channel; got {mean}, {std}")
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.get_default_dtype()).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (x - mean) / std for images (n, c, h, w)."""
        return (x - self.mean) / self.std


def mnist_cnn(classes: int = 10, in_channels: int = 1, side: int = 28, **options: Any) -> nn.Module:
    """Build the 4-layer CNN of Wang et al. (2019), section 5.1, for MNIST; returns logits (n, classes).

    Convolutions 3x3 with 32 and 64 filters, each with BatchNorm, ReLU and 2x2 max-pool; dense 128; dense 10. The paper
    states neither these sizes (they are its released code's) nor the padding: here borders are padded by one pixel.
    Weights follow torch's default law.
    """
    return _cnn(((32,), (64,)), 128, False, classes, in_channels, side, **options)


def digits_cnn(classes: int = 10, in_channels: int = 1, side: int = 8, **options: Any) -> nn.Module:
    """Build :func:`mnist_cnn` at half the width, for 8x8 digits: trains in seconds on a CPU."""
    return _cnn(((16,), (32,)), 64, False, classes, in_channels, side, **options)


def cifar_cnn(classes: int = 10, in_channels: int = 3, side: int = 32, **options: Any) -> nn.Module:
    """Build the 8-layer CNN of Wang et al. (2019), section 5.1, for CIFAR-10; returns logits (n, classes).

    Pairs of 3x3 convolutions with 64, 128 and 196 filters, each with BatchNorm and ReLU, and a 2x2 max-pool after each
    pair; dense 256 with BatchNorm and ReLU; dense 10. Borders are padded by one pixel.
    """
    return _cnn(((64, 64), (128, 128), (196, 196)), 256, True, classes, in_channels, side, **options)


def example_cnn(classes: int = 10, in_channels: int = 1, side: int = 28, **options: Any) -> nn.Module:
    """Build the MNIST network of the PyTorch examples; returns logits (n, classes), no softmax.

    Convolutions 3x3 with 32 and 64 filters and no padding, a ReLU each, one 2x2 max-pool, dropout 1/4, dense 128, ReLU,
    dropout 1/2, dense 10. Its usual normalisation of MNIST is inside; give another, or None, for other data.
    """
    options = {"normalisation": ((0.1307,), (0.3081,)), **options}

    def layers() -> Iterable[nn.Module]:
        rest = checks.count("side", side, minimum=6) - 4
        return [
            *(nn.Conv2d(in_channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(64 * (rest // 2) ** 2, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, classes)),
        ]

    return _build(layers, classes, in_channels, **options)


def wide_resnet(depth: int = 34, width: int = 10, classes: int = 10, in_channels: int = 3, **options: Any) -> nn.Module:
    """Build the pre-activation WideResNet-depth-width of Zagoruyko and Komodakis (2016), without dropout.

    Three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times ``width`` filters; the last two start with stride
    2. Images of any side of at least 4, logits (n, classes). Raises unless depth is 6 k + 4.
    """
    if checks.count("depth", depth, minimum=10) % 6 != 4:
        raise ValueError(f"depth must be 6 k + 4 (10, 16, 22, 28, 34, ...); got {depth}")

    def layers() -> Iterator[nn.Module]:
        channels = 16
        yield nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        for filters, first_stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for k in range((depth - 4) // 6):
                yield WideBlock(channels, filters, first_stride if k == 0 else 1)
                channels = filters
        yield from (nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        yield nn.Linear(channels, classes)

    return _build(layers, classes, in_channels, **options)


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after BatchNorm and ReLU, added to the input.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(channels), nn.ReLU()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(filters), nn.ReLU()
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        same = channels == filters and stride == 1
        self.shortcut = None if same else nn.Conv2d(channels, filters, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, h, w) to (n, filters, h / stride, w / stride)."""
        active = self.relu1(self.bn1(x))
        skip = x if self.shortcut is None else self.shortcut(active)
        return skip + self.conv2(self.relu2(self.bn2(self.conv1(active))))


def _cnn(
    groups: Sequence[Sequence[int]], dense: int, norm: bool, classes: int, in_channels: int, side: int,
    width: float = 1.0, **options: Any,
) -> nn.Module:  # fmt: skip
    """Assemble 3x3 convolutions with BatchNorm and ReLU, a 2x2 max-pool after each group of them, and two dense layers.

    ``groups`` holds the numbers of filters, ``norm`` puts BatchNorm between the dense layers too.
    """
    checks.positive("width", width)
    groups = [[max(1, round(width * filters)) for filters in group] for group in groups]
    dense = max(1, round(width * dense))

    def layers() -> Iterator[nn.Module]:
        shrunk = 2 ** len(groups)
        channels, left = in_channels, checks.count("side", side, minimum=shrunk) // shrunk
        for group in groups:
            for filters in group:
                yield from (nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU())
                channels = filters
            yield nn.MaxPool2d(2)
        yield from (nn.Flatten(), nn.Linear(channels * left**2, dense))
        yield from (nn.BatchNorm1d(dense), nn.ReLU()) if norm else (nn.ReLU(),)
        yield nn.Linear(dense, classes)

    return _build(layers, classes, in_channels, **options)


def _build(
    layers: Callable[[], Iterable[nn.Module]],
    classes: int,
    in_channels: int,
    normalisation: Normalisation | None = None,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Assemble the layers; with a generator, draw every weight from it and nothing from the global state."""
    checks.count("classes", classes)
    checks.count("in_channels", in_channels)
    if normalisation is not None and len(normalisation[0]) not in (1, in_channels):
        raise ValueError(
            f"normalisation must hold one value for each of {in_channels} channels; got {normalisation[0]}"
        )
    entry = [] if normalisation is None else [Normalise(*normalisation)]
    with torch.random.fork_rng(devices=[], enabled=generator is not None):  # torch's constructors draw from there
        model = nn.Sequential(*entry, *layers())
    return model if generator is None else initialise(model, generator)


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw the weights of ``model`` afresh from ``generator``, in place, and return the model.

    Convolutions and dense layers get torch's default law, uniform on +-1 / sqrt(fan-in) for weights and biases alike;
    other layers with ``reset_parameters``, such as BatchNorm, are reset.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in module.parameters(recurse=False):
                drawn = torch.empty(parameter.shape, dtype=parameter.dtype, device=generator.device)
                parameter.copy_(drawn.uniform_(-bound, bound, generator=generator))
        elif callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    return model
