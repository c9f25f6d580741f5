"""One network, trained to each radius C0 and flipped there: the trial behind Figures 2, 3, 5 and 6 and its tables.

The paper says neither whether the loss of a batch is summed or averaged nor in what units pixels enter; both decide
which radii training can reach (the movement grows like the logarithm of the steps), so both are parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import softplus

from advnb.data import Split
from advnb.experiments import Tolerance, under_way, unroll
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.sgd import Exit, lazy_sgd
from advnb.papers.lazy.task import SIDES, digit_pair
from advnb.statistics import exponent, wilson

RADII = (10.0, 20.0, 30.0, 40.0)
"""The paper's C0."""

TRAINED = Tolerance(rtol=0.02, atol=2e-3)
"""For float32 numbers behind thousands of SGD steps, at whose end another BLAS may leave the ball a step earlier."""

LIVE: dict[str, Any] = {"data": "digits", "side": [4, 6, 8], "steps": 2000, "tests": 100}
LAPTOP: dict[str, Any] = {"data": "mnist", "tests": 500}
FULL: dict[str, Any] = {"data": "mnist", "side": list(SIDES), "tests": 2115}
"""What the grids of a scale have in common."""

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
    training: bool = False,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial: the smallest flipping step of ``tests`` test images, at initialisation and at each radius C0.

    Each field named below has one entry a radius, the first of them for radius 0, the network before training; see
    :func:`flip_summary` and ``Exit``. ``path_steps`` and ``path_moved`` follow the movement over training. With
    ``training`` the mean logistic loss on the training set and the share that it has wrong are recorded as well,
    ``train_loss`` and ``train_error``.
    """
    generator = torch.Generator().manual_seed(seed)
    both = digit_pair(data, side, units, mode).to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype, bias=bias).to(device).eval()
    shown = both.test.subset(min(tests, len(both.test)), seed=seed)
    rows: list[Numbers] = []

    def look(net: TwoLayer, exit: Exit) -> None:
        fit = training_fit(net, both.train) if training else {}
        rows.append({**vars(exit), "test_error": error(net, both.test), **fit, **flip_summary(net, shown)})

    look(net, Exit(0.0, True, 0, 0.0, 0.0))
    run = lazy_sgd(net, both.train.x, both.train.y, radii, steps=steps, reduction=reduction, stop=stop,
                   generator=generator, visit=look, away=under_way(), seen=rows)  # fmt: skip
    return {
        "length": float(torch.linalg.vector_norm(shown.x, dim=1).mean()),
        "path_steps": run.steps,
        "path_moved": run.moved,
        **{name: [row[name] for row in rows] for name in rows[0]},
    }


@torch.no_grad()
def error(net: TwoLayer, split: Split) -> float:
    """Return the share of ``split`` with y f(x) <= 0."""
    return float((margins(net, split) <= 0).double().mean())


def training_fit(net: TwoLayer, split: Split) -> Numbers:
    """Return the mean logistic loss on ``split`` and the share of it with y f(x) <= 0."""
    margin = margins(net, split).double()
    return {"train_loss": float(softplus(-margin).mean()), "train_error": float((margin <= 0).double().mean())}


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


PER_RADIUS = ("reached", "step", "moved", "after", "test_error", "eta", "eta_median", "norm", "norm_median", "relative",
              "relative_median", "gradient", "gradient_median", "value", "flippable", "norm_released", "success",
              "robust_error")  # fmt: skip
"""Fields of :func:`flips_after_training` with one entry a radius, beside the radius itself."""

OF_TRAINING = ("train_loss", "train_error")
"""The same for the trials that record how training went."""


def by_radius(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and radius, with d = side^2, from a table of ``flips_after_training`` trials.

    ``radius`` is what was asked for, 0 for the network before training; ``moved`` is where the network is.
    """
    asked = table.assign(radius=table["radii"].map(lambda radii: [0.0, *radii]), d=table["side"] ** 2)
    recorded = OF_TRAINING if set(OF_TRAINING) <= set(table.columns) else ()
    return unroll(asked, ["radius", *PER_RADIUS, *recorded], index="entry")


def exponents(rows: pd.DataFrame, field: str, by: str = "radius") -> pd.DataFrame:
    """Fit field ~ d^p for each value of ``by``: a row a value, an ``Exponent`` over all d and one for d >= 100.

    ``rows`` come from :func:`by_radius`; radii that training did not reach are left out. All widths are taken together,
    with an intercept for each network (a seed at a width), and intervals resample the networks. A range of d with
    fewer than three values is left empty.
    """
    rows = rows[rows["reached"]].astype({"d": float})
    ranges = {"all d": rows, "d ≥ 100": rows[rows["d"] >= 100]}
    return pd.DataFrame(
        {
            name: {
                value: exponent(group, "d", field, ["seed", "m"])
                for value, group in part.groupby(by)
                if group["d"].nunique() >= 3
            }
            for name, part in ranges.items()
        },
        dtype=object,
    ).rename_axis(by)


def tally(hits: pd.Series) -> str:
    """Return how often ``hits`` is true, as text: a count and Wilson's interval in per cent."""
    low, high = wilson(int(np.sum(hits)), len(hits))
    return f"{np.sum(hits)} of {len(hits)} [{100 * low:.0f}%, {100 * high:.0f}%]"
