"""The pictures of the page: densities of FOSC at three stages, a defence epoch by epoch, every network as a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from advnb.papers.convergence.paired import median
from advnb.papers.convergence.stages.claims import FIGURE_5
from advnb.papers.convergence.tables.claims import NAMES, TRAINED
from advnb.papers.convergence.tables.drawings import COLOURS
from advnb.papers.convergence.tables.trials import STAGES

SHADES = ("#7FB3D5", "#2E86C1", "#17202A")
"""Early, middle and late epochs, from light to dark."""


def pooled(table: pd.DataFrame, defence: str, share: float, field: str = "own_fosc") -> Any:
    """Return the percentiles of FOSC of all seeds of a defence at one stage, one after the other."""
    cells = table.loc[table["defence"] == defence, field]
    return np.concatenate([np.asarray(cell[STAGES.index(share)], float) for cell in cells])


def draw_density(ax: Axes, values: Any, *, right: float, **look: Any) -> None:
    """Draw the density of ``values`` up to ``right`` by Gaussian kernels, mirrored at 0, as FOSC is not negative."""
    at = np.linspace(0, right, 240)
    inside = values[values <= 3 * right]
    both = stats.gaussian_kde(np.concatenate([inside, -inside]), bw_method=0.15)
    ax.plot(at, 2 * both(at) * len(inside) / len(values), **look)


def reach(table: pd.DataFrame, field: str = "own_fosc") -> float:
    """Return how far to the right densities of FOSC are drawn: the largest of the 85th percentiles."""
    shown = [np.quantile(pooled(table, n, share, field), 0.85) for n, stages in FIGURE_5.items() for share in stages]
    return float(max(shown))


def draw_figure_5(axes: Sequence[Axes], table: pd.DataFrame) -> None:
    """Draw Figure 5: densities of FOSC of the examples met in training, a panel a defence, a line a stage."""
    right = reach(table)
    epochs = int(table["epochs"].iloc[0])
    for ax, (name, stages) in zip(axes, FIGURE_5.items(), strict=True):
        for share, shade in zip(stages, SHADES, strict=True):
            values = pooled(table, name, share)
            draw_density(ax, values, right=right, color=shade, label=f"epoch {max(1, round(share * epochs))}")
        ax.set(title=name.capitalize(), xlabel="FOSC", xlim=(0, right), ylim=(0, None))
        ax.legend()
    axes[0].set_ylabel("density")


def draw_epoch(ax: Axes, table: pd.DataFrame, defence: str, share: float) -> None:
    """Draw one frame of the widget: FOSC of what a defence trains on, and under PGD-10, at one stage of training."""
    epochs = int(table["epochs"].iloc[0])
    right = reach(table)
    for field, look, name in (("own_fosc", "-", "met in training"), ("pgd_fosc", "--", "under PGD-10")):
        draw_density(ax, pooled(table, defence, share, field), right=right, ls=look, color=COLOURS[defence], label=name)
    ax.set(title=f"{defence.capitalize()}, epoch {max(1, round(share * epochs))} of {epochs}", xlabel="FOSC",
           ylabel="density", xlim=(0, right), ylim=(0, None))  # fmt: skip
    ax.legend()


def say_epoch(table: pd.DataFrame, defence: str, share: float) -> str:
    """Say what :func:`draw_epoch` shows."""
    own, strong = (np.median(pooled(table, defence, share, field)) for field in ("own_fosc", "pgd_fosc"))
    return f"The median FOSC of the examples met in training is {own:.2g}, and of those under PGD-10 {strong:.2g}"


def draw_alignment(ax: Axes, table: pd.DataFrame) -> None:
    """Draw every network: its median FOSC under PGD-10 after training against its accuracy under PGD-20."""
    for name in TRAINED:
        rows = table[table["defence"] == name]
        at = [median(cell[-1]) for cell in rows["pgd_fosc"]]
        ax.plot(at, rows["pgd20"], "o", color=COLOURS[name], label=name.capitalize())
    ax.locator_params(axis="x", nbins=5)
    ax.set(xlabel="median FOSC", ylabel="accuracy under PGD-20", title=NAMES[str(table["data"].iloc[0])])
    ax.legend()
