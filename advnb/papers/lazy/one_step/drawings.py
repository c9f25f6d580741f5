"""The drawings of the page: shares over lengths and widths, and one image to play with."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import erf
from torch import Tensor

from advnb.book import figures
from advnb.flip import Flip, minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.one_step.tables import NETWORKS, at_length, mean_shares
from advnb.papers.lazy.one_step.trials import LENGTHS
from advnb.papers.lazy.ray import draw_ray
from advnb.papers.lazy.sgd import lazy_sgd
from advnb.papers.lazy.task import digit_pair

COLOURS = dict(zip(NETWORKS, map(figures.COLOURS.get, ("start", "clean", "adversarial", "bound")), strict=True))

DIMS = (25, 100, 784)


@lru_cache(maxsize=32)
def lazy_network(side: int, m: int, c0: float) -> TwoLayer:
    """Return a network at the edge of the ball of ``c0``, by SGD on two digits of ``side``^2 pixels; at 0 its start."""
    train = digit_pair("digits", side, "unit").train
    net = TwoLayer(side**2, m, generator=torch.Generator().manual_seed(1)).eval()
    seen = [copy.deepcopy(net)]
    if c0 > 0:
        lazy_sgd(net, train.x, train.y, [c0], steps=4000, lr=0.01, reduction="sum",
                 generator=torch.Generator().manual_seed(0),
                 visit=lambda net, exit: seen.append(copy.deepcopy(net)))  # fmt: skip
    return seen[-1]


def _first_digit(side: int, m: int, C0: float) -> tuple[TwoLayer, Tensor, Flip, Tensor, Tensor]:
    """Return a lazy network, the first test image (1, d), its exact flip downhill, f there and its gradient."""
    net = lazy_network(side, m, C0)
    x = digit_pair("digits", side, "unit").test.x[:1]
    return net, x, minimal_flip(net, x, direction="descent"), *net.value_and_gradient(x)


def say_image(side: int, m: int, C0: float) -> str:
    """Say what :func:`draw_image` shows."""
    _, _, flip, f, _ = _first_digit(side, m, C0)
    length = float(flip.norm)
    if not math.isfinite(length):
        return f"A digit of norm 1 with f = {float(f):.2g}, which no step along the gradient flips"
    return (
        f"A digit of norm 1 with f = {float(f):.2g} is flipped by a step of length {length:.2g}, "
        f"{length * side:.2g} over the root of the dimension"
    )


def draw_image(side: int, m: int, C0: float) -> Figure:
    """Draw one image of digits, the smallest step that flips it, the image after it, and f along the ray."""
    net, x, flip, f, gradient = _first_digit(side, m, C0)
    delta = -f.sign() * flip.norm * gradient / torch.linalg.vector_norm(gradient)
    figure = plt.figure(figsize=(5.6, 4.4))
    (top,), (bottom,) = figure.subfigures(2, 1, height_ratios=[1.15, 1], squeeze=False)
    most = float(x.max())
    for ax, image, title, low, cmap in zip(
        np.ravel(top.subplots(1, 3)),
        (x, delta, x + delta),
        (f"f = {float(f):.2f}", "smallest step", f"length {float(flip.norm):.2g}"),
        (0, -most, 0),
        ("gray", "PuOr", "gray"),
        strict=True,
    ):
        shown = figures.show_images(ax, image.view(1, side, side), titles=[title], limits=(low, most), cmap=cmap)
        if cmap == "PuOr":
            top.colorbar(shown, ax=ax, shrink=0.8, ticks=[-most, 0, most], format="{x:.1f}")
    ax = bottom.subplots()
    draw_ray(ax, net, x)
    ax.set(title=f"length times √d: {float(flip.norm) * side:.2f}", ylabel="f(x + δ), sign of f(x)")
    return figure


def draw_lengths(ax: Axes, start: pd.DataFrame, *, widths: Sequence[int] = (10, 10_000)) -> None:
    """Draw the share that a step of c / sqrt(d) flips at the start against c, a colour a d, with erf(c / sqrt(2)).

    ``start`` holds trials of Theorem 3.1. The first of ``widths`` is drawn in crosses, the other in dots.
    """
    c = np.linspace(0, 10, 200)
    ax.plot(c, erf(c / math.sqrt(2)), **(figures.line("bound") | {"marker": ""}))
    for k, (d, part) in enumerate(start[start["d"] >= 25].groupby("d")):
        for m, marker in zip(widths, "xo", strict=True):
            mean, _, _ = mean_shares(part[part["m"] == m], "success")
            label = f"d = {d}" if m == widths[-1] else None
            ax.plot(part["lengths"].iloc[0], mean, marker, color=figures.CYCLE[k], label=label)
    ax.set(xlabel="length of the step times √d", ylabel="share flipped")
    ax.legend(title=f"m = {widths[1]:,} (crosses: {widths[0]})")


def draw_widths(ax: Axes, start: pd.DataFrame) -> None:
    """Draw the share that a step of 3, 1 and 0.5 / sqrt(d) flips at the start against the width, a colour a d.

    Arrows mark d^2.4, where the window of Theorem 3.1 begins.
    """
    for k, (_, part) in enumerate(start[start["d"] >= 25].groupby("d")):
        opens = part["d"].iloc[0] ** 2.4
        for c, look in ((3.0, "-"), (1.0, "--"), (0.5, ":")):
            shares = at_length(part, "success", part["lengths"].iloc[0], c).groupby("m")["success"].mean()
            ax.semilogx(shares.index, shares, look, color=figures.CYCLE[k])
        ax.plot(opens, 0.03, "|", color=figures.CYCLE[k], markersize=12)
        ax.plot(opens, 0.03, ">", color=figures.CYCLE[k], markersize=4)
    for x, y, text in (
        (1.6e4, 0.97, "3 / √d"),
        (1.6e4, 0.68, "1 / √d"),
        (1.6e4, 0.39, "0.5 / √d"),
        (10, 0.03, "d^2.4"),
    ):
        ax.text(x, y, text, va="center", fontsize=8)
    ax.set(xlabel="width m", xlim=(7, 3e7))


def draw_shares(axes: Sequence[Axes], networks: pd.DataFrame, field: str, *, m: int = 1000) -> None:
    """Draw ``field``, shares at each length, for each kind of network in one panel for each of :data:`DIMS`.

    ``networks`` come from :func:`~advnb.papers.lazy.one_step.tables.by_network`. Bands hold all seeds; the dotted
    vertical line is at a step as long as the image.
    """
    for ax, d in zip(axes, DIMS, strict=True):
        part = networks[(networks["d"] == d) & (networks["m"] == m)]
        for name, colour in COLOURS.items():
            mean, low, high = mean_shares(part[part["network"] == name], field)
            ax.plot(LENGTHS, mean, color=colour, label=name)
            ax.fill_between(LENGTHS, low, high, color=colour, alpha=0.15)
        ax.axvline(math.sqrt(d), color=figures.FAINT, linewidth=0.8, linestyle=":")
        ax.set(title=f"d = {d}", xlabel="length times √d", xlim=(0, 10.5), ylim=(0, 1.03))
    axes[0].set_ylabel("share flipped by one step")
    axes[-1].legend(loc="lower right")


def draw_robust_error(axes: Sequence[Axes], networks: pd.DataFrame, *, m: int = 1000) -> None:
    """Draw the robust error against one step over the budget, as :func:`draw_shares`, and dotted against several."""
    draw_shares(axes, networks, "robust_error", m=m)
    for ax, d in zip(axes, DIMS, strict=True):
        part = networks[(networks["d"] == d) & (networks["m"] == m)]
        for name, colour in COLOURS.items():
            mean, _, _ = mean_shares(part[part["network"] == name], "several_error")
            ax.plot(LENGTHS, mean, ":", color=colour, linewidth=2)
        ax.axhline(0.9, color=figures.INK, linewidth=0.8)
        ax.set_xlabel("budget R √d")
    axes[0].set_ylabel("robust error")
