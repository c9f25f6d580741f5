"""The layers for a frozen network against torch's own: values, gradients, gradients of gradients."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from advnb import kernels
from advnb.fold import fold
from advnb.kernels import FewChannels, Flattened, turned


@pytest.fixture(autouse=True)
def none_is_small(monkeypatch):
    monkeypatch.setattr(kernels, "SMALL", 1)


def frozen(layer: nn.Module) -> nn.Module:
    return layer.double().requires_grad_(False)


def images(c: int, h: int, w: int, n: int = 2, last: bool = False) -> torch.Tensor:
    x = torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last) if last else x


def gradients(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    output = layer(x)
    weights = torch.arange(output.numel(), dtype=x.dtype).cos().view(output.shape)
    return output.detach(), torch.autograd.grad((output * weights).sum(), x)[0]


CONVOLUTIONS = [
    (c, o, kernel, padding, side)
    for c, o, (kernel, padding), side in product(
        (1, 2, 3, 4),
        (5,),
        ((3, 1), (3, 0), (3, 2), (5, 2), (5, 1), (1, 0), ((3, 5), (1, 2))),
        ((8, 8), (12, 6), (7, 9)),
    )
]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_of_few_channels_is_that_of_torch(last, bias):
    for c, o, kernel, padding, side in CONVOLUTIONS:
        layer = frozen(nn.Conv2d(c, o, kernel, padding=padding, bias=bias))
        mine, x = FewChannels.of(copy.deepcopy(layer)), images(c, *side, last=last)
        assert isinstance(mine, FewChannels) and mine.state_dict().keys() == layer.state_dict().keys()
        for one, other in zip(gradients(mine, x), gradients(layer, x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding_mode": "circular", "padding": 1}, {"padding": "same"},
     {"padding": 3}],
    ids=str,
)  # fmt: skip
def test_other_convolutions_are_left_to_torch(options):
    layer = nn.Conv2d(2, 4, 3, **options)
    assert FewChannels.of(layer) is layer
    x = torch.rand(2, 2, 8, 8)
    model = nn.Sequential(layer, nn.ReLU()).eval()
    torch.testing.assert_close(fold(model)(x), model(x))
    assert FewChannels.of(wide := nn.Conv2d(5, 4, 3)) is wide


@pytest.mark.parametrize("block", [1, 2, 4])
def test_the_turned_weight_gives_the_input_gradient(block):
    weight, grad = torch.rand(5, 2, 3, 3, dtype=torch.float64), torch.rand(2, 5, 8, 8, dtype=torch.float64)
    found = F.pixel_shuffle(F.conv2d(grad, turned(weight, block), stride=block, padding=1), block)
    expected = nn.grad.conv2d_input((2, 2, 8, 8), weight, grad, padding=1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("c", [1, 3])
def test_gradients_of_first_and_second_order_agree_with_finite_differences(c):
    layer = FewChannels.of(frozen(nn.Conv2d(c, 3, 3, padding=1)))
    x = images(c, 4, 4).requires_grad_()
    assert gradcheck(layer, x) and gradgradcheck(layer, x)
    assert gradgradcheck(lambda x: layer(x).pow(3), x)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 1, 1), (2, 12), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("last", [False, True])
def test_a_linear_layer_after_flattening_is_that_of_torch(shape, last):
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    if last and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    layer = frozen(nn.Linear(x[0].numel(), 5))
    mine = Flattened.of(copy.deepcopy(layer))
    for one, other in zip(gradients(mine, x), gradients(nn.Sequential(nn.Flatten(), layer), x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert gradcheck(mine, x.requires_grad_()) and gradgradcheck(lambda x: mine(x).pow(3), x)


def test_new_weights_are_used_at_once():
    for layer, x in ((FewChannels.of(frozen(nn.Conv2d(1, 2, 3))), images(1, 8, 8)),
                     (Flattened.of(frozen(nn.Linear(48, 2))), images(3, 4, 4, last=True))):  # fmt: skip
        before = gradients(layer, x)
        with torch.no_grad():
            layer.weight.mul_(2)
            layer.bias.mul_(2)
        for one, other in zip(gradients(layer, x), before, strict=True):
            torch.testing.assert_close(one, 2 * other)


def test_a_folded_network_in_channels_last_or_not_and_of_odd_sides():
    for side in (7, 8, 10):
        model = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(6 * (side // 2) ** 2, 3),
        ).eval()  # fmt: skip
        x = torch.rand(5, 1, side, side)
        for part in (x, x.contiguous(memory_format=torch.channels_last), x.expand(5, 1, side, side), x[::2]):
            for one, other in zip(gradients(fold(model), part), gradients(model, part), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
