"""Layers for a frozen network on a CPU: the values of ``nn.Conv2d`` and ``nn.Linear``, with a faster input gradient.

A CPU's convolution kernels work on blocks of 16 channels and waste most of a block where there are fewer: the
gradient of a first layer with respect to images with one to four channels. A large matrix product after a flattened
image goes faster as a convolution that covers the whole image, in whose layout nothing need be copied.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FewChannels", "Flattened", "turned"]

BLOCK = 16
"""Channels that a kernel works on at a time."""

SMALL = 16
"""Sides of images below which torch's own kernels serve as well, and the root of that many inputs of a linear layer.

The stored runs on 8 x 8 digits stay what they are, to the last bit.
"""


def turned(weight: Tensor, block: int) -> Tensor:
    """Return the weight of the convolution that gives the input gradient of another, ``block`` x ``block`` pixels each.

    For ``weight`` (o, c, h, w), of stride 1, it is (c block^2, o, h + block - 1, w + block - 1), to be used with stride
    ``block`` on the gradient of the output; :func:`torch.nn.functional.pixel_shuffle` then puts the pixels in place.
    """
    o, c, h, w = weight.shape
    wide = weight.new_zeros((c, block, block, o, h + block - 1, w + block - 1))
    back = weight.flip(2, 3).transpose(0, 1)
    for i in range(block):
        for j in range(block):
            wide[:, i, j, :, i : i + h, j : j + w] = back
    return wide.flatten(0, 2).contiguous(memory_format=torch.channels_last)


class FewChannels(nn.Conv2d):
    """A convolution of images with few channels; the gradient of many pixels at a time fills a block of channels.

    The weights are not trained: no gradient is computed for them.
    """

    _cached: tuple[tuple[int, int, int], Tensor] | None = None

    @classmethod
    def of(cls, layer: nn.Conv2d) -> nn.Conv2d:
        """Return ``layer`` with this gradient, or as it is where torch's own serves as well."""
        plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"
        if type(layer) is not nn.Conv2d or not plain or isinstance(layer.padding, str):
            return layer
        if layer.in_channels > BLOCK // 4 or any(p >= k for p, k in zip(layer.padding, layer.kernel_size, strict=True)):
            return layer
        new = cls.__new__(cls)
        new.__dict__ = layer.__dict__
        return new

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of images (n, c, h, w)."""
        block = self.block(x)
        if block == 1:
            return super().forward(x)
        return _Convolution.apply(x, self.weight, self.bias, self.turned(block), self.padding, block)

    def block(self, x: Tensor) -> int:
        """Return the side of the squares of pixels whose gradients are computed at a time."""
        sides = x.shape[-2:]
        fits = [r for r in (4, 2) if self.in_channels * r * r <= BLOCK and all(side % r == 0 for side in sides)]
        return fits[0] if fits and x.ndim == 4 and min(sides) >= SMALL else 1

    def turned(self, block: int) -> Tensor:
        """Return :func:`turned` of the present weight, kept until that changes."""
        state = (block, self.weight.data_ptr(), self.weight._version)
        if self._cached is None or self._cached[0] != state:
            self._cached = (state, turned(self.weight.detach(), block))
        return self._cached[1]


class _Convolution(torch.autograd.Function):
    """A convolution of stride 1 whose input gradient is a convolution with the ``back`` weight, of stride ``block``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, back: Tensor, padding: tuple[int, int], block: int
    ) -> Tensor:
        ctx.save_for_backward(back)
        ctx.block, ctx.padding = block, [k - 1 - p for k, p in zip(weight.shape[2:], padding, strict=True)]
        return F.conv2d(x, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (back,) = ctx.saved_tensors  # of float32, the gradient perhaps of bfloat16
        found = F.conv2d(grads[0], back.to(grads[0].dtype), stride=ctx.block, padding=ctx.padding)
        return F.pixel_shuffle(found, ctx.block), None, None, None, None, None


class Flattened(nn.Linear):
    """A flattening and a linear layer in one, as a convolution that covers the whole image where there is one."""

    _cached: tuple[tuple[int, int], torch.Size, Tensor] | None = None

    @classmethod
    def of(cls, layer: nn.Linear) -> Flattened:
        """Return the linear ``layer`` with a flattening in front."""
        new = cls.__new__(cls)
        new.__dict__ = layer.__dict__
        return new

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, ...) to (n, out_features)."""
        if (
            self.in_features < SMALL**2
            or x.ndim != 4
            or x.shape[2:] == (1, 1)
            or not x.is_contiguous(memory_format=torch.channels_last)
        ):
            return super().forward(x.flatten(1))
        state = (self.weight.data_ptr(), self.weight._version)
        if self._cached is None or self._cached[:2] != (state, x.shape[1:]):
            kernel = self.weight.detach().unflatten(1, x.shape[1:])
            self._cached = (state, x.shape[1:], kernel.contiguous(memory_format=torch.channels_last))
        return F.conv2d(x, self._cached[2], self.bias).flatten(1)
