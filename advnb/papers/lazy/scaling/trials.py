"""One network, trained and then flipped: the trials behind Figures 2, 3, 5, 6 and 7 and Corollary 3.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from advnb.data import Split
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.sgd import Exit, lazy_sgd
from advnb.papers.lazy.task import digit_pair

STEP_LENGTHS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)
"""Lengths of a step, in units of ||x|| / sqrt(d), at which success and robust error are recorded."""

ROWS_AT_ONCE = 256

Numbers = dict[str, Any]


def flips_after_training(
    *,
    data: str,
    side: int,
    m: int,
    units: str,
    radii: Sequence[float],
    steps: int,
    tests: int,
    bias: bool = False,
    reduction: str = "mean",
    stop: str = "step",
    mode: str = "area",
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial: the smallest flipping step of ``tests`` test images, at initialisation and at each radius C0.

    Each field named below has one entry a radius, the first of them for radius 0, the network before training; see
    :func:`flip_summary` and ``Exit``. ``path_steps`` and ``path_moved`` follow the movement over training.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, units, mode).to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype, bias=bias).to(device).eval()
    shown = both.test.subset(min(tests, len(both.test)), seed=seed)
    rows: list[Numbers] = []

    def look(net: TwoLayer, exit: Exit) -> None:
        rows.append({**vars(exit), "test_error": error(net, both.test), **flip_summary(net, shown)})

    look(net, Exit(0.0, True, 0, 0.0, 0.0))
    run = lazy_sgd(net, both.train.x, both.train.y, radii, steps=steps, reduction=reduction, stop=stop,
                   generator=generator, visit=look)  # fmt: skip
    return {
        "length": float(torch.linalg.vector_norm(shown.x, dim=1).mean()),
        "path_steps": run.steps,
        "path_moved": run.moved,
        **{name: [row[name] for row in rows] for name in rows[0]},
    }


def histogram(
    *,
    data: str,
    side: int,
    m: int,
    units: str,
    radius: float,
    steps: int,
    tests: int,
    bias: bool = False,
    reduction: str = "mean",
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Figure 7: ``eta``, ``norm`` and ``gradient_norm`` of ``tests`` test images, ascending each.

    ``wrong`` counts the images that were misclassified before any step.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, units).to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype, bias=bias).to(device).eval()
    shown = both.test.subset(min(tests, len(both.test)), seed=seed)
    fields: Numbers = {}

    def look(net: TwoLayer, exit: Exit) -> None:
        flip = minimal_flip(net, shown.x)
        for name, values in zip(("eta", "norm", "gradient_norm"), flip, strict=True):
            fields[name] = [float(f"{value:.4g}") for value in values.abs().sort().values.tolist()]
        fields.update(reached=exit.reached, step=exit.step, moved=exit.moved)
        fields["wrong"] = int((margins(net, shown) <= 0).sum())

    lazy_sgd(net, both.train.x, both.train.y, [radius], steps=steps, reduction=reduction,
             generator=generator, visit=look)  # fmt: skip
    return fields


@torch.no_grad()
def error(net: TwoLayer, split: Split) -> float:
    """Return the share of ``split`` with y f(x) <= 0."""
    return float((margins(net, split) <= 0).double().mean())


@torch.no_grad()
def margins(net: TwoLayer, split: Split) -> Tensor:
    """Return y f(x) for each example, (n,), a few rows at a time."""
    return torch.cat([net(x) for x in split.x.split(ROWS_AT_ONCE)]) * split.y


def flip_summary(net: TwoLayer, split: Split) -> Numbers:
    """Return what Figures 2 to 6 plot, over the examples of ``split`` whose prediction one step can flip.

    ``eta``, ``norm``, ``gradient`` and ``relative`` (norm over ||x||) are means, with ``_median`` medians; ``value`` is
    the mean of |f(x)|. ``flippable`` is the share that has a flip at all. ``norm_released`` is the mean of the
    released code, in which an example that was wrong from the start counts as 0. ``success`` and ``robust_error``
    have an entry for each of ``STEP_LENGTHS``: the share of examples that a step of at most c ||x|| / sqrt(d)
    flips, and the share that is wrong before or after such a step.
    """
    eta, norm, gradient = minimal_flip(net, split.x)
    margin = margins(net, split)
    length, d = torch.linalg.vector_norm(split.x, dim=1), split.x.shape[1]
    wrong, finite = margin <= 0, norm.isfinite()
    relative = norm / length
    reach = relative[:, None] * d**0.5 <= relative.new_tensor(STEP_LENGTHS)
    return {
        **_centre("eta", eta.abs()[finite]),
        **_centre("norm", norm[finite]),
        **_centre("relative", relative[finite]),
        **_centre("gradient", gradient),
        "value": float(margin.abs().mean()),
        "flippable": float(finite.double().mean()),
        "norm_released": float(norm.masked_fill(wrong, 0)[finite].mean()),
        "success": reach.double().mean(0).tolist(),
        "robust_error": (reach | wrong[:, None]).double().mean(0).tolist(),
    }


def _centre(name: str, values: Tensor) -> Numbers:
    if len(values) == 0:
        return {name: float("nan"), f"{name}_median": float("nan")}
    return {name: float(values.double().mean()), f"{name}_median": float(values.median())}
