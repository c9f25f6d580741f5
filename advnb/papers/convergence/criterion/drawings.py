"""The pictures of the page on equation (4): the idea of FOSC, its range, one example's path; what both pages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor, nn

from advnb.balls import Linf
from advnb.book import figures
from advnb.data import Split
from advnb.papers.convergence.criterion.claims import DATA, field
from advnb.papers.convergence.criterion.measures import VARIANTS, paths, within
from advnb.papers.convergence.criterion.trials import STEPS

Tables = Mapping[str, pd.DataFrame]
"""The stored table of each data set, by its name on the page (``claims.DATA``)."""

COLOURS = dict(zip(VARIANTS, figures.CYCLE, strict=False))
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
        ax.annotate(label, where, (-14, -9) if mark == "o" else (6, -9), textcoords="offset points")
    ax.set(aspect="equal", xlim=(-0.33, 0.3), ylim=(-0.3, 0.64), xticks=[], yticks=[], xlabel="pixel 1 (0 at the edge)")
    ax.spines["left"].set_visible(False)  # the legend is as wide as the picture
    ax.legend(loc="upper right", fontsize=8)


def draw_zeros(ax: Axes) -> None:
    """Draw FOSC over the ball for a concave loss whose best point has one pixel at its bound and one without slope."""
    line = np.linspace(-0.25, 0.25, 61)
    points = torch.tensor(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))
    gap = Linf(0.25, box=None).gap(torch.tensor([0.125, 1.0]) - points, points, torch.zeros_like(points))
    shown = ax.contourf(line, line, gap.reshape(61, 61), levels=12)
    ax.plot(0.125, 0.25, "*", color=figures.COLOURS["adversarial"], ms=14, clip_on=False)
    ax.annotate("FOSC = 0", (0.125, 0.25), (-8, -12), textcoords="offset points", ha="right", color="white")
    ax.set(aspect="equal", xlabel="pixel 1", ylabel="pixel 2")
    ax.figure.colorbar(shown, ax=ax, label="FOSC")


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


def beliefs(model: nn.Module, point: Tensor) -> Tensor:
    """Return the class probabilities (classes,) of one image (c, h, w)."""
    with torch.no_grad():
        probability: Tensor = model(point[None]).softmax(1)[0]
    return probability


def say_story(model: nn.Module, split: Split, points: Tensor, path: pd.DataFrame, example: int, step: int) -> str:
    """Say what :func:`draw_story` shows."""
    belief, label = beliefs(model, points[step, example]), int(split.y[example])
    now = {name: paths(path, name, STEPS)[example].to_numpy()[step] for name in ("raw", "box", "loss")}
    return (
        f"A {label}, to which the network gives a probability of {belief[label]:.2f}; its first choice is "
        f"{int(belief.argmax())}. FOSC is {now['raw']:.2g}, within the box {now['box']:.2g}, "
        f"and the loss {now['loss']:.2g}"
    )


def draw_story(
    axes: Sequence[Axes], model: nn.Module, split: Split, points: Tensor, path: pd.DataFrame, example: int, step: int
) -> None:
    """Draw one digit (of ``measures.along``) at one step: the image, the beliefs, and FOSC and loss along the way."""
    figures.show_images(axes[0], points[step, example : example + 1], titles=[f"step {step}"])
    belief, label = beliefs(model, points[step, example]), int(split.y[example])
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
    axes[2].legend(fontsize=8)


def stored(load: Callable[[str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the three stored tables by the names of their data sets; ``load`` is ``advnb.experiments.load``."""
    return {name: load(f"convergence.figure_1_{key}") for name, key in DATA.items()}
