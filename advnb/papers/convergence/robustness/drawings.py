"""The pictures of the page: Figure 2's cross tests and densities, what indicates robustness, and Figure 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from advnb.book import figures
from advnb.papers.convergence.followed import of_variant
from advnb.papers.convergence.percentiles import median
from advnb.papers.convergence.robustness.claims import EARLY, LATE, MIDDLE, NAMES, accuracy
from advnb.papers.convergence.robustness.trials import COUNTS, SIZE, SIZES

FIELDS = {"own_fosc": "FOSC", "own_box": "FOSC within the box", "own_loss": "loss"}
"""What is measured at the examples that a network trains on."""

VARIANTS = {"standard": "PGD, ε/4", "small_steps": "PGD, ε/8", "fgsm_pgd": "FGSM, then PGD"}
"""The ways of training of Figure 3."""

STAGES = {EARLY: "early", MIDDLE: "middle", LATE: "late"}


def draw_cross(ax: Axes, runs: Mapping[Any, pd.DataFrame], field: str) -> None:
    """Draw accuracy over the test attacks, a line for each way of training, with the range of the seeds.

    The colours are those of the densities beside it, whose legend serves both. ``runs`` is that of ``claims.of_sizes``
    (with ``field`` "by_size") or ``claims.of_counts`` ("by_count").
    """
    attacks = [NAMES[size] for size in SIZES] if field == "by_size" else [str(count) for count in COUNTS]
    places = np.arange(len(attacks))
    for k, (setting, rows) in enumerate(runs.items()):
        values = np.array(rows[field].tolist())
        name = NAMES[setting] if field == "by_size" else f"{setting} steps"
        ax.plot(places, values.mean(0), ".-", color=figures.CYCLE[k], label=name)
        ax.fill_between(places, values.min(0), values.max(0), color=figures.CYCLE[k], alpha=0.12)
    ax.set_xticks(places, attacks)
    ax.set(xlabel="tested with steps of" if field == "by_size" else "steps in the test", ylabel="robust accuracy")


def draw_densities(ax: Axes, settings: Mapping[str, Iterable[Any]], xlabel: str) -> None:
    """Draw a density for each entry, by Gaussian kernels as in the paper, from the percentiles of its seeds."""
    pooled = {name: np.concatenate([np.asarray(row, float) for row in rows]) for name, rows in settings.items()}
    right = max(float(np.quantile(values, 0.98)) for values in pooled.values())
    at = np.linspace(0, 1.05 * right, 200)
    for k, (name, values) in enumerate(pooled.items()):
        ax.plot(at, stats.gaussian_kde(values)(at), color=figures.CYCLE[k], label=name)
    ax.set(xlabel=xlabel, ylabel="density", xlim=(0, at[-1]), ylim=(0, None))
    ax.legend()


def named(runs: Mapping[Any, pd.DataFrame], field: str) -> dict[str, list[Any]]:
    """Return the percentiles of ``field`` for each way of training, by its name on the page."""
    return {NAMES.get(name, f"{name} steps"): rows[field].tolist() for name, rows in runs.items()}


def draw_indicator(ax: Axes, runs: pd.DataFrame, field: str) -> None:
    """Draw the accuracy of every run against the median of ``field`` at what it trained on last."""
    both = (accuracy(runs, "by_size") + accuracy(runs, "by_count")) / 2
    at, counted = runs[field].map(median), np.isclose(runs["size"], SIZE)
    ax.plot(at[counted], both[counted], "x", color=figures.CYCLE[-1], label="ε/6, 10 to 40 steps")
    for k, size in enumerate(SIZES):
        here = np.isclose(runs["size"], size)
        ax.plot(at[here], both[here], "o", color=figures.CYCLE[k], label=f"{NAMES[size]}, 20 steps")
    ax.set(xlabel=f"median {FIELDS[field]}", ylabel="robust accuracy")


def draw_stages(ax: Axes, runs: pd.DataFrame, variant: str, near: float = 0.1) -> None:
    """Draw the densities of FOSC at the three stages of Figure 3 for one way of training; [0, near] is shaded."""
    rows = of_variant(runs, variant, "own_fosc")
    draw_densities(ax, {name: [row[stage] for row in rows.tolist()] for stage, name in STAGES.items()}, "FOSC")
    ax.axvspan(0, near, color=figures.FAINT, alpha=0.15, lw=0)
    ax.set_title(VARIANTS[variant])


def draw_first(ax: Axes, runs: pd.DataFrame, field: str = "pgd20") -> None:
    """Draw Figure 3b: the accuracy of each way of training, a dot a seed, seeds joined."""
    table = pd.DataFrame({name: of_variant(runs, variant, field) for variant, name in VARIANTS.items()})
    for _, row in table.iterrows():
        ax.plot(np.arange(len(row)), row, "-", color=figures.FAINT, lw=0.6)
    ax.plot(np.arange(table.shape[1]), table.T, "o", color=figures.COLOURS["measured"])
    ax.set_xticks(np.arange(table.shape[1]), table.columns.tolist())
    ax.set(ylabel="accuracy under PGD-20", xlim=(-0.4, table.shape[1] - 0.6))
