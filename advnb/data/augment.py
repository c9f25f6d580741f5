"""Augmentation where the images are: random shifts and flips of a whole batch at once, drawn from one generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from advnb import checks

__all__ = ["CropFlip"]


@dataclass(frozen=True)
class CropFlip:
    """Pad every image by ``padding`` black pixels, cut it out again at a random place, and mirror every other one.

    The usual augmentation of CIFAR-10, for ``training.fit``'s ``augment``. All is done on the images' device, from a
    generator there: each image draws its place uniformly from (2 padding + 1)^2, and its side (if ``flip``).
    """

    padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        checks.count("padding", self.padding, minimum=0)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images (n, c, h, w) augmented, in the memory layout of ``x``; raised if they are not images."""
        if x.ndim != 4:
            raise ValueError(f"augmentation needs images of shape (n, c, h, w); got {tuple(x.shape)}")
        n, c, h, w = x.shape
        draw = {"generator": generator, "device": x.device}
        down, right = torch.randint(2 * self.padding + 1, (2, n, 1), **draw)  # type: ignore[call-overload]
        rows = down + torch.arange(h, device=x.device)
        columns = torch.arange(w, device=x.device).expand(n, w)
        if self.flip:
            mirrored = torch.randint(2, (n, 1), **draw) == 1  # type: ignore[call-overload]
            columns = torch.where(mirrored, columns.flip(1), columns)
        columns = right + columns
        padded = functional.pad(x, (self.padding,) * 4)
        image, channel = (torch.arange(size, device=x.device) for size in (n, c))
        cut = padded[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None]]
        last = c > 1 and x.is_contiguous(memory_format=torch.channels_last)
        return cut.contiguous(memory_format=torch.channels_last) if last else cut
