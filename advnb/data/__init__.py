"""Data sets as tensors in memory: digits (embedded, needs no network), MNIST and CIFAR-10.

``load(name)`` returns a ``Dataset`` with two ``Split`` objects: images ``x`` of shape (n, c, h, w) as float32 in [0,
1], labels ``y`` as int64. Every method returns a new object and leaves the old one as it was. A data set lives in the
memory of one device, so there are no loaders and no worker processes: a batch is an index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from advnb import checks
from advnb.data import sources
from advnb.data.sources import AlteredFile, DataError, MissingFile, TruncatedFile, present

__all__ = [
    "AlteredFile", "DataError", "Dataset", "Examples", "MissingFile", "Split", "TruncatedFile", "as_split", "load",
    "present", "unit_norm",
]  # fmt: skip

DIGITS = tuple("0123456789")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, eq=False)
class Split:
    """Examples ``x`` (n, ...) with labels ``y`` (n,): class indices (int64) or real targets (floating)."""

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        checks.per_example(self.y, len(self.x))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | Tensor) -> Split:
        """Return the examples that a slice, an index tensor or a boolean mask selects."""
        return Split(self.x[index], self.y[index])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Split:
        """Return a copy on ``device``; ``dtype`` converts ``x`` and real targets, never class indices."""
        y_dtype = dtype if self.y.is_floating_point() else None
        return Split(self.x.to(device=device, dtype=dtype), self.y.to(device=device, dtype=y_dtype))

    def subset(self, n: int, *, seed: int = 0, stratified: bool = True) -> Split:
        """Return ``n`` examples in random order, the same for the same seed; raises if there are not as many.

        Stratified: each label keeps its share of the whole, up to rounding. Subsets of one seed are nested:
        the first ``k`` examples of ``subset(n)`` are ``subset(k)``.
        """
        if checks.count("n", n) > len(self):
            raise ValueError(f"n must be at most the {len(self)} examples there are; got {n}")
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        if stratified:
            order = order[_stratified_order(self.y.cpu()[order])]
        return self[order[:n].to(self.x.device)]


Examples = Split | tuple[Tensor, Tensor]
"""Examples (n, ...) with their labels (n,)."""


def as_split(data: Examples) -> Split:
    """Return a Split or a pair (x, y) as a Split; raised if ``x`` is not a batch of finite floating-point examples."""
    if not isinstance(data, Split | tuple):
        raise TypeError(f"data must be a Split, a pair (x, y) or, to train on, a Dataset; got {type(data).__name__}")
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ValueError(f"data must be a pair (x, y); got {len(data)} parts")
        checks.images("x", data[0])
        data = Split(*data)
    checks.images("x", data.x)
    checks.with_data("y", data.y)
    return data


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test examples with the name of the data set and the names of its classes."""

    train: Split
    test: Split
    name: str
    classes: tuple[str, ...]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Dataset:
        """Return the data on ``device``; ``dtype`` converts images and real targets."""
        return self._map(lambda split: split.to(device, dtype))

    def resize(self, side: int, *, mode: str = "area") -> Dataset:
        """Return the images at ``side`` x ``side`` pixels, which may be more than there are, still in [0, 1].

        ``"area"`` averages, for output pixel i of s out of h, the input rows floor(i h / s) to ceil((i + 1) h / s) - 1
        (columns alike), all with equal weight. Where s divides h these are disjoint blocks, exact area averaging;
        elsewhere neighbouring windows share a row. ``"bilinear"`` interpolates between the four nearest pixels (and
        so skips pixels when it shrinks an image by more than 2); ``"antialiased"`` widens the bilinear kernel to the
        shrinking factor. Raises if ``side`` is below 1, the mode is unknown, or the data are not images any more.
        """
        checks.count("side", side)
        options: dict[str, Any] = {"mode": "area"}
        if checks.choice("mode", mode, ("area", "bilinear", "antialiased")) != "area":
            options = {"mode": "bilinear", "align_corners": False, "antialias": mode == "antialiased"}
        if self.train.x.ndim != 4:
            raise ValueError(
                f"resize needs images of shape (n, c, h, w); got {tuple(self.train.x.shape)}: resize before unit_norm"
            )
        return self._map(lambda split: replace(split, x=functional.interpolate(split.x, (side, side), **options)))

    def relabel(self, targets: Mapping[int, float], classes: tuple[str, ...]) -> Dataset:
        """Return the examples of the classes (by index) in ``targets``, with these real targets in the dtype of ``x``.

        Examples of other classes are dropped. ``classes`` names the new ones in ascending order of their targets.
        Raises if the labels are real targets already, or an index is no class.
        """
        if self.train.y.is_floating_point():
            raise ValueError(f"{self.name} has real targets already: relabel the data set that was loaded")
        if unknown := sorted(set(targets) - set(range(len(self.classes)))):
            there = f"the classes of {self.name} are 0 to {len(self.classes) - 1}"
            raise ValueError(f"{there}; got {', '.join(map(str, unknown))}")
        table = torch.full((len(self.classes),), torch.nan, dtype=self.train.x.dtype)
        table[list(targets)] = torch.tensor(list(targets.values()), dtype=table.dtype)

        def relabelled(split: Split) -> Split:
            y = table.to(split.y.device)[split.y]
            return Split(split.x, y)[~y.isnan()]

        return replace(self._map(relabelled), classes=classes)

    def two_classes(self, first: int, second: int) -> Dataset:
        """Return the examples of two different classes (by index), ``first`` with target -1 and ``second`` +1."""
        if first == second:
            raise ValueError(f"two_classes needs two different classes; got {first} twice")
        names = tuple(self.classes[k] for k in (first, second) if 0 <= k < len(self.classes))
        return self.relabel({first: -1.0, second: 1.0}, names)

    def odd_even(self) -> Dataset:
        """Return all examples of a set of digits, odd ones with target +1 and even ones -1."""
        if not all(name.isdigit() for name in self.classes):
            raise ValueError(f"odd_even needs classes that are numbers; {self.name} has {', '.join(self.classes)}")
        parity = {k: 1.0 if int(name) % 2 else -1.0 for k, name in enumerate(self.classes)}
        return self.relabel(parity, ("even", "odd"))

    def subset(
        self, n: int | None = None, *, test: int | None = None, seed: int = 0, stratified: bool = True
    ) -> Dataset:
        """Return ``n`` training and ``test`` test examples drawn by ``Split.subset``; None keeps them all."""

        def some(split: Split, size: int | None) -> Split:
            return split if size is None else split.subset(size, seed=seed, stratified=stratified)

        return replace(self, train=some(self.train, n), test=some(self.test, test))

    def unit_norm(self) -> Dataset:
        """Return the data with ``x`` flattened to rows (n, d) of Euclidean norm 1; see ``unit_norm(x)``."""
        return self._map(lambda split: replace(split, x=unit_norm(split.x)))

    def _map(self, change: Callable[[Split], Split]) -> Dataset:
        return replace(self, train=change(self.train), test=change(self.test))


def load(name: str, *, progress: bool = True) -> Dataset:
    """Load ``"digits"`` (images of 1 x 8 x 8), ``"mnist"`` (1 x 28 x 28) or ``"cifar10"`` (3 x 32 x 32).

    Digits come with scikit-learn; their test set is a fixed stratified draw of 500 of the 1797 (seed 0), since no
    test set was published with them. MNIST and CIFAR-10 are read from the folder that ``ADVNB_DATA`` names (else from
    pooch's cache folder) and downloaded there on first use. MNIST keeps its published order; CIFAR-10 comes in the
    order of its records' digests, so that every copy of it gives the same tensors.

    Raises TruncatedFile or AlteredFile if a file on disk is not the published one; it is left as it was. Raises
    MissingFile if a file is not there and cannot be downloaded; the message says what to put where by hand.
    """
    if checks.choice("name", name, ("digits", "mnist", "cifar10")) == "digits":
        return _digits()
    read, classes = (sources.read_mnist, DIGITS) if name == "mnist" else (sources.read_cifar10, CIFAR10_CLASSES)
    train, test = (_images(*read(half, progress=progress)) for half in sources.HALVES)
    return Dataset(train, test, name, classes)


def unit_norm(x: Tensor) -> Tensor:
    """Return ``x`` (n, ...) flattened to rows (n, d) divided by their Euclidean norms; raises if a row is all zero."""
    rows = checks.images("x", x).flatten(1)
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    if zero := int((norms == 0).sum()):
        raise ValueError(f"unit_norm: {zero} of {len(rows)} rows are all zero and cannot have norm 1")
    return rows / norms


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()  # pixels 0..16: counts of set bits in 4 x 4 blocks
    x = torch.from_numpy((bunch.images / 16).astype(np.float32))[:, None]
    y = torch.from_numpy(bunch.target.astype(np.int64))
    train, test = train_test_split(np.arange(len(y)), test_size=500, stratify=bunch.target, random_state=0)
    return Dataset(Split(x[train], y[train]), Split(x[test], y[test]), "digits", DIGITS)


def _images(pixels: sources.Bytes, labels: sources.Bytes) -> Split:
    """Bytes (n, h, w) or (n, c, h, w) and labels as a split of float32 images in [0, 1] and int64 labels."""
    x = torch.tensor(pixels).float().div_(255)
    return Split(x if x.ndim == 4 else x[:, None], torch.tensor(labels).long())


def _stratified_order(y: Tensor) -> Tensor:
    """Indices such that every prefix holds each label in proportion, ties in the order of ``y``.

    The r-th example of a label that has N of them gets the place (r + 1/2) / N.
    """
    place = torch.empty(len(y), dtype=torch.float64)
    for label in y.unique():
        mine = (y == label).nonzero().flatten()
        place[mine] = (torch.arange(len(mine), dtype=torch.float64) + 0.5) / len(mine)
    return place.argsort(stable=True)
