"""The pictures of the page: where the steps go, what the threshold reaches, and the ablations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advnb.book import figures
from advnb.papers.convergence.dynamic.claims import ABLATIONS, against, best_standard, dividing, epochs_of
from advnb.papers.convergence.followed import of_variant
from advnb.papers.convergence.paired import LEVELS

RULES = {"dynamic": "the text's rule", "dynamic_box": "within the box", "dynamic_printed": "as printed"}
"""The kinds of Dynamic whose steps are counted."""


def draw_taken(ax: Axes, runs: pd.DataFrame, defence: str) -> None:
    """Draw the share of examples that rest after 1 .. K steps, stacked, epoch by epoch; the mean over the seeds."""
    taken = epochs_of(runs, "taken", defence).mean(0)
    epochs, most = np.arange(1, len(taken) + 1), taken.shape[1]
    colours = mpl.colormaps["viridis_r"](np.linspace(0.05, 0.95, most))
    bottom = np.zeros(len(taken))
    for k in range(most):
        ax.bar(epochs, taken[:, k], bottom=bottom, width=1.0, color=colours[k], label=str(k + 1))
        bottom += taken[:, k]
    ax.set(xlabel="epoch", ylabel="share of the examples", xlim=(0.5, len(taken) + 0.5), ylim=(0, 1))
    ax.set_title(RULES[defence])
    ax.grid(False)


def draw_threshold(ax: Axes, runs: pd.DataFrame, defence: str = "dynamic") -> None:
    """Draw FOSC where the examples rest, its median and the band of the middle 80 percent, with c_t."""
    fosc = epochs_of(runs, "fosc", defence).mean(0)
    epochs = np.arange(1, len(fosc) + 1)
    low, middle, high = (fosc[:, np.searchsorted(LEVELS, level - 1e-9)] for level in (0.1, 0.5, 0.9))
    ax.fill_between(epochs, low, high, color=figures.COLOURS["measured"], alpha=0.2, label="middle 80%")
    ax.plot(epochs, middle, color=figures.COLOURS["measured"], label="median")
    ax.plot(epochs, epochs_of(runs, "c_t", defence).mean(0), **{**figures.line("paper"), "marker": ""}, label="$c_t$")
    ax.set(xlabel="epoch", ylabel="FOSC where it rests", ylim=(0, 0.8), title=RULES[defence])
    ax.legend(loc="upper right", fontsize=8)


def draw_strength(ax: Axes, runs: pd.DataFrame) -> None:
    """Draw the strength of the examples, the share of ten steps' gain in loss, for each rule, with the seeds' range."""
    for (defence, name), colour in zip(RULES.items(), figures.CYCLE, strict=False):
        values = epochs_of(runs, "strength", defence)
        epochs = np.arange(1, values.shape[1] + 1)
        ax.plot(epochs, values.mean(0), color=colour, label=name)
        ax.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.15)
    ax.set(xlabel="epoch", ylabel="strength", ylim=(0, 1.05))
    ax.legend()


def draw_quarters(ax: Axes, runs: pd.DataFrame, defence: str = "dynamic") -> None:
    """Draw the mean steps of the easiest and the hardest quarter; dotted where hardly an example differs."""
    divided = dividing(runs, defence=defence).mean(0) > 0.5
    for field, name, colour in (("easy", "easiest quarter", "clean"), ("hard", "hardest quarter", "adversarial")):
        values = epochs_of(runs, field, defence)
        epochs = np.arange(1, values.shape[1] + 1)
        ax.plot(epochs, values.mean(0), ":", color=figures.COLOURS[colour])
        shown = np.where(divided, values.mean(0), np.nan)
        ax.plot(epochs, shown, ".-", color=figures.COLOURS[colour], label=name)
    ax.set(xlabel="epoch", ylabel="steps taken", ylim=(0, None))
    ax.legend()


def draw_differences(
    ax: Axes, runs: pd.DataFrame, variants: Sequence[str] = tuple(ABLATIONS), field: str = "pgd20"
) -> None:
    """Draw each variant's accuracy less Dynamic's, in points: seeds as dots, the mean with Student's interval."""
    here = [name for name in variants if (runs["variant"] == name).any()]
    for k, name in enumerate(here):
        each = 100 * (of_variant(runs, name, field) - of_variant(runs, "dynamic", field))
        found = against(runs, name, field=field)
        ax.plot(each, np.full(len(each), k), ".", color=figures.FAINT, alpha=0.6)
        ax.plot([100 * found.low, 100 * found.high], [k, k], "-", color=figures.COLOURS["measured"])
        ax.plot([100 * found.mean], [k], "o", color=figures.COLOURS["measured"])
    low, high = (100 * edge for edge in _reach(runs, here, field))
    ax.axvline(0, **{**figures.line("paper"), "marker": ""})
    ax.set_yticks(range(len(here)), [ABLATIONS[name] for name in here])
    ax.set(xlabel="points against Dynamic", xlim=(low, high))
    ax.invert_yaxis()


def _reach(runs: pd.DataFrame, variants: Sequence[str], field: str) -> tuple[float, float]:
    """Return where the seeds lie, with a margin: two seeds' intervals would fill any picture."""
    each = np.concatenate([of_variant(runs, name, field) - of_variant(runs, "dynamic", field) for name in variants])
    return min(each.min(), 0) * 1.3 - 0.02, max(each.max(), 0) * 1.3 + 0.02


def of_epoch(epoch: int, rule: str, runs: pd.DataFrame) -> list[Any]:
    """Return an epoch's shares of examples that take 1 .. K steps, its levels of FOSC, and c_t; means over seeds."""
    return [epochs_of(runs, name, rule).mean(0)[epoch - 1] for name in ("taken", "fosc", "c_t")]


def say_epoch(epoch: int, rule: str, runs: pd.DataFrame) -> str:
    """Say what :func:`draw_epoch` shows."""
    taken, fosc, c_t = of_epoch(epoch, rule, runs)
    steps = float(np.arange(1, len(taken) + 1) @ taken / taken.sum())
    below = float(np.interp(c_t, fosc, LEVELS, left=0.0, right=1.0))
    return f"The examples take {steps:.1f} steps on average, and {below:.0%} of them rest below c_t, {c_t:.2g}"


def draw_epoch(epoch: int, rule: str, runs: pd.DataFrame) -> Figure:
    """Return a figure of one epoch: how many steps the examples take, and where their FOSC is against c_t."""
    figure = Figure(figsize=figures.size("wide"), layout="constrained")
    left, right = figure.subplots(1, 2)
    taken, fosc, c_t = of_epoch(epoch, rule, runs)
    left.bar(np.arange(1, len(taken) + 1), taken, color=figures.COLOURS["measured"])
    left.set(xlabel="steps taken", ylabel="share of the examples", ylim=(0, 1), xticks=np.arange(1, len(taken) + 1))
    right.plot(fosc, LEVELS, color=figures.COLOURS["measured"], label="examples")
    right.axvline(c_t, **{**figures.line("paper"), "marker": ""}, label=f"c_t = {c_t:.2g}")
    most = np.quantile(epochs_of(runs, "fosc", rule).mean(0)[:, -4], 0.9)
    right.set(xlabel="FOSC where it rests", ylabel="share below", xlim=(0, max(most, 0.6)), ylim=(0, 1))
    right.legend(loc="lower right")
    return figure


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies in per cent and input gradients an example and epoch, the mean over seeds, by variant."""
    rows = {}
    for variant, part in runs.groupby("variant"):
        rows[variant] = {
            "clean": 100 * part["clean"].mean(),
            "PGD-20": 100 * part["pgd20"].mean(),
            "gradients": float(np.mean([np.mean(row) for row in part["epoch_gradients"]])),
        }
    names = ["dynamic", *ABLATIONS]
    best = best_standard(runs)
    table = pd.DataFrame(rows).T.reindex([name for name in names if name in rows])
    called = {"dynamic": "Dynamic", **ABLATIONS}
    return table.rename(index={name: called[name] + (" (best)" if name == best else "") for name in names})
