"""The pictures of the page on strength: Figure 1a and 1b on three data sets, and every reading side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from advnb.book import figures
from advnb.papers.convergence.criterion.claims import Array, field
from advnb.papers.convergence.criterion.drawings import COLOURS, STEP
from advnb.papers.convergence.criterion.measures import VARIANTS
from advnb.papers.convergence.criterion.trials import ATTACKS, STEPS
from advnb.papers.convergence.strength.claims import by_attack

NAMES = dict(zip(ATTACKS, ("FGSM", "PGD-10", "PGD-20", "PGD-40, ε/10", "PGD-40, shrinking", "C&W"), strict=True))


def draw_groups(axes: Sequence[Axes], table: pd.DataFrame, title: str, variant: str = "raw") -> None:
    """Draw Figure 1a: accuracy, mean loss and mean ||g||_1 of the twenty groups over their FOSC, a line a network."""
    labels = (("right", "accuracy"), ("loss", "mean loss"), ("norm", "mean ‖g‖₁"))
    for row, (ax, (_, label)) in enumerate(zip(axes, labels, strict=False), 1):
        colour = figures.COLOURS[("measured", "adversarial", "bound")[row - 1]]
        for groups in field(table, f"groups_{variant}"):
            ax.plot(groups[0], groups[row], "o-", color=colour, ms=2.5, lw=0.9, alpha=0.8)
        ax.set(ylabel=label)
    axes[0].set(title=title, ylim=(-0.03, 1.03))
    axes[-1].set(xscale="log", xlabel=f"FOSC, {VARIANTS[variant]}")
    axes[-1].xaxis.set_minor_formatter(NullFormatter())


def draw_lines(axes: Sequence[Axes], table: pd.DataFrame, title: str, network: int = 0) -> None:
    """Draw Figure 1b: FOSC (above) and loss (below) of twenty examples of one network along the steps 0 to 10."""
    for ax, name, label in zip(axes, ("raw", "loss"), ("FOSC, closed form", "loss"), strict=True):
        lines = field(table, f"lines_{name}")[network]
        ax.plot(lines[:, : STEPS + 1].T, color=figures.CYCLE[5], lw=0.8)
        ax.plot(np.median(lines[:, : STEPS + 1], axis=0), color=figures.INK, label="median")
        ax.set(ylabel=label, ylim=(0, None), xticks=range(0, STEPS + 1, 2))
    axes[0].set(title=title)
    axes[0].legend()
    axes[-1].set(xlabel=STEP)


def draw_medians(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw medians over examples by step, each over its own at the start: FOSC in three units, ||g||_1 and the loss."""
    looks: dict[str, dict[str, Any]] = {
        name: {"color": COLOURS[name], "label": VARIANTS[name]} for name in ("raw", "relative", "box")
    }
    looks["norm"] = {"color": figures.COLOURS["bound"], "label": "‖g‖₁", "ls": ":"}
    looks["loss"] = {"color": figures.INK, "label": "loss", "ls": "--"}
    for name, look in looks.items():
        medians = field(table, f"path_{name}", 2)
        ax.plot((medians / medians[:, :1]).mean(0), lw=1.4, **look)
    ax.set(xlabel=STEP, title=title, yscale="log", xticks=range(0, 21, 5))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def draw_within(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw how the correlation of FOSC with the loss along steps 0 to 10 is distributed over examples."""
    for name in ("raw", "relative", "box"):
        percentiles = field(table, f"within_{name}", 0).mean(0)
        ax.plot(percentiles, np.linspace(0, 1, 51), color=COLOURS[name], label=VARIANTS[name])
    ax.axvline(0, color=figures.INK, lw=0.8)
    ax.set(xlim=(-1, 1), ylim=(0, 1), xlabel="Spearman's, FOSC and loss", title=title)


def draw_attacks(ax: Axes, table: pd.DataFrame, title: str, variant: str = "raw") -> None:
    """Draw accuracy over mean FOSC under each attack, means over networks; dots are networks."""
    for k, (attack, name) in enumerate(NAMES.items()):
        fosc, right = (field(table, f"attack_{each}", ATTACKS.index(attack)) for each in (variant, "right"))
        colour = figures.CYCLE[k]
        ax.plot(fosc, right, ".", color=colour, alpha=0.5)
        ax.plot(fosc.mean(), right.mean(), "os^DPX"[k], color=colour, label=name)
    ax.set(xlabel=f"mean FOSC, {VARIANTS[variant]}", title=title, xscale="log")
    # Less than a decade: the powers of ten alone would leave the axis without a number.
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 4)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())


READINGS: Mapping[str, Callable[[pd.DataFrame, str], Array]] = {
    "across examples, accuracy": lambda table, variant: field(table, f"spearman_{variant}", 0, 0),
    "across examples, loss": lambda table, variant: -field(table, f"spearman_{variant}", 1, 0),
    "along the steps, loss": lambda table, variant: -field(table, f"within_{variant}", 0, 25),
    "between attacks, accuracy": by_attack,
}
"""Rank correlations of one FOSC, one a network; 1 is the paper's sentence: lower FOSC, stronger attack."""


def draw_readings(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw every reading of every variant, a dot a network: to the right as the paper says, to the left against it."""
    marks = ("o", "s", "D", "^")
    for (label, reading), mark, colour in zip(READINGS.items(), marks, figures.CYCLE, strict=False):
        shift = 0.18 * (1.5 - marks.index(mark))
        for height, variant in enumerate(reversed(VARIANTS)):
            values = reading(table, variant)
            at = np.full(len(values), height + shift)
            ax.plot(values, at, mark, color=colour, ms=4.5, alpha=0.8, label=None if height else label)
    ax.axvline(0, color=figures.INK, lw=0.8)
    ax.set(xlim=(-1.08, 1.08), ylim=(-0.5, len(VARIANTS) - 0.5), title=title, xlabel="agreement")
    ax.set_yticks(range(len(VARIANTS)), list(reversed(VARIANTS.values())))
