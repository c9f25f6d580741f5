"""The pictures of the page: the idea of FOSC, Figure 1a and 1b on three data sets, and every reading side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from torch import Tensor, nn

from advnb.balls import Linf
from advnb.book import figures
from advnb.data import Split
from advnb.papers.convergence.criterion.claims import DATA, Array, by_attack, field
from advnb.papers.convergence.criterion.measures import VARIANTS, paths, within
from advnb.papers.convergence.criterion.trials import ATTACKS, STEPS

Tables = Mapping[str, pd.DataFrame]
"""The stored table of each data set, by its name on the page (``claims.DATA``)."""

COLOURS = dict(zip(VARIANTS, figures.CYCLE, strict=False))
NAMES = dict(zip(ATTACKS, ("FGSM", "PGD-10", "PGD-20", "PGD-40, ε/10", "PGD-40, shrinking", "C&W"), strict=True))
PAPER: dict[str, Any] = {"color": figures.COLOURS["paper"], "ls": "--", "lw": 1}
STEP = "PGD step"


def draw_idea(ax: Axes) -> None:
    """Draw a ball of two pixels cut by the box: where the gradient at x^k leads, in the ball and within the box."""
    ax.add_patch(Rectangle((-0.25, -0.25), 0.5, 0.5, fill=False, color=figures.INK, label="ball of radius ε"))
    ax.add_patch(Rectangle((-0.1, -0.25), 0.35, 0.5, color=figures.COLOURS["clean"], alpha=0.15, label="valid pixels"))
    g, point = (-0.8, 0.6), (0.12, -0.08)
    tip = (point[0] + 0.13 * g[0], point[1] + 0.13 * g[1])
    ax.annotate("", tip, point, arrowprops={"arrowstyle": "->", "lw": 1.8})
    ax.text(point[0] - 0.01, point[1] + 0.08, "$g$")
    ends = ((-0.25, "adversarial", "best in the ball"), (-0.1, "measured", "best within the box"))
    for left, meaning, label in ends:
        ax.plot([point[0], left], [point[1], 0.25], ":", color=figures.COLOURS[meaning], lw=1.2)
        gain = (left - point[0]) * g[0] + (0.25 - point[1]) * g[1]
        ax.plot(left, 0.25, "s", color=figures.COLOURS[meaning], label=f"{label}: gain {gain:.2f}")
    for mark, where, label in (("o", (0.0, 0.0), "$x^0$"), ("D", point, "$x^k$")):
        ax.plot(*where, mark, color=figures.INK)
        ax.annotate(label, where, (6, -9), textcoords="offset points")
    ax.set(aspect="equal", xlim=(-0.33, 0.3), ylim=(-0.3, 0.48), xticks=[], yticks=[], xlabel="pixel 1 (0 at the edge)")
    ax.legend(loc="upper right", fontsize=7)


def draw_zeros(ax: Axes) -> None:
    """Draw FOSC over the ball for a concave loss whose best point has one pixel at its bound and one without slope."""
    line = np.linspace(-0.25, 0.25, 61)
    points = torch.tensor(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))
    gap = Linf(0.25, box=None).gap(torch.tensor([0.125, 1.0]) - points, points, torch.zeros_like(points))
    shown = ax.contourf(line, line, gap.reshape(61, 61), levels=12)
    ax.plot(0.125, 0.25, "*", color=figures.COLOURS["adversarial"], ms=14, clip_on=False, label="FOSC = 0")
    ax.set(aspect="equal", xlabel="pixel 1", ylabel="pixel 2")
    ax.legend(loc="lower left", labelcolor="white")
    ax.figure.colorbar(shown, ax=ax, label="FOSC")


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


def draw_range(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw the distributions of the closed form and of FOSC within the box at PGD-10's examples, a line a network."""
    levels = np.linspace(0, 1, 51)
    for name in ("raw", "box"):
        for k, values in enumerate(field(table, f"percentiles_{name}")):
            ax.plot(values, levels, color=COLOURS[name], label=None if k else VARIANTS[name], lw=1)
    ax.axvline(0.1, **PAPER)
    ax.set(xscale="log", title=title, xlabel="FOSC", ylim=(0, 1), xlim=(1e-4, None))


def draw_negative(ax: Axes, tables: Tables) -> None:
    """Draw the share of images whose start-centred FOSC is negative at each step: mean over networks, and range."""
    for (name, table), colour in zip(tables.items(), figures.CYCLE, strict=False):
        shares = field(table, "start_negative")
        ax.plot(shares.mean(0), "o-", color=colour, ms=3, label=name)
        ax.fill_between(range(shares.shape[1]), shares.min(0), shares.max(0), color=colour, alpha=0.2)
    ax.set(xlabel=STEP, ylabel="share negative", ylim=(0, None), xticks=range(0, 21, 5))
    ax.legend()


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


def three(axes: Any, draw: Callable[..., None], tables: Tables, ylabel: str = "", **options: Any) -> None:
    """Draw each data set into its own column of ``axes`` (3,) or (rows, 3), with one label and one legend.

    Where ``draw`` labels its rows itself the label is taken from all columns but the first.
    """
    for column, (name, table) in enumerate(tables.items()):
        draw(axes[..., column] if np.ndim(axes) > 1 else axes[column], table, name, **options)
    if ylabel:
        axes[0].set(ylabel=ylabel)
    for ax in np.atleast_2d(axes)[:, 1:].ravel():
        ax.set(ylabel="")


def stories(path: pd.DataFrame, steps: int = STEPS) -> dict[str, int]:
    """Choose three examples of ``measures.along``'s table: the paper's kind, a safe one, and the opposite kind.

    The first falls most in FOSC among those that are fooled on the way with FOSC and loss opposed; the second has the
    least FOSC in the end of those that are still right; in the third FOSC and loss rise together, the most.
    """
    right, fosc = (paths(path, name, steps) for name in ("right", "raw"))
    tied, last = within(path, "raw", steps), fosc.iloc[-1]
    fooled = (right.iloc[0] == 1) & (right.iloc[-1] == 0)
    falls, rises = tied.where(fooled).nsmallest(10).index, tied.where(fooled).nlargest(10).index
    drop = fosc.iloc[0] - last
    chosen = {
        "as the paper says": drop[falls].nlargest(1),
        "FOSC near 0, safe": last.where(right.iloc[-1] == 1).nsmallest(1),
        "FOSC rises": drop[rises].nsmallest(1),
    }
    return {name: int(row.index.to_numpy()[0]) for name, row in chosen.items()}


def draw_story(
    axes: Sequence[Axes], model: nn.Module, split: Split, points: Tensor, path: pd.DataFrame, example: int, step: int
) -> None:
    """Draw one digit (of ``measures.along``) at one step: the image, the beliefs, and FOSC and loss along the way."""
    figures.show_images(axes[0], points[step, example : example + 1], titles=[f"step {step}"])
    with torch.no_grad():
        belief = model(points[step, example : example + 1]).softmax(1)[0]
    label = int(split.y[example])
    colours = [figures.COLOURS["clean" if k == label else "adversarial"] for k in range(len(belief))]
    axes[1].bar(range(len(belief)), belief, color=colours)
    axes[1].set(ylim=(0, 1), xticks=range(len(belief)), ylabel="probability", xlabel="class (blue: the true one)")
    line: NDArray[np.float64] = paths(path, "raw", STEPS)[example].to_numpy()
    for values, name, colour in (
        (line, "FOSC, closed form", COLOURS["raw"]),
        (paths(path, "box", STEPS)[example].to_numpy(), "within the box", COLOURS["box"]),
        (paths(path, "loss", STEPS)[example].to_numpy(), "loss", figures.INK),
    ):
        axes[2].plot(values, "-", color=colour, label=name, lw=1.3)
        axes[2].plot(step, values[step], "o", color=colour)
    axes[2].set(ylim=(0, None), xlabel=STEP, xticks=range(0, STEPS + 1, 2))
    axes[2].legend(fontsize=7)


def stored(load: Callable[[str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the three stored tables by the names of their data sets; ``load`` is ``advnb.experiments.load``."""
    return {name: load(f"convergence.figure_1_{key}") for name, key in DATA.items()}
