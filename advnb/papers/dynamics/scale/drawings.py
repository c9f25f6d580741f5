"""The pictures of the page ``dynamics/scale``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.experiments.read import label
from advnb.papers.dynamics.images.drawings import covered, draw_band, objective
from advnb.papers.dynamics.images.escape import CONSTANT, RATIOS, SCALES, SHARES, STEPS, shown_steps
from advnb.papers.dynamics.images.steps import RELATIVE_STEP, linear_steps
from advnb.papers.dynamics.images.tables import NAMES, by_image, by_network, medians, pick, spread


def draw_against_radius(ax: Axes, rows: pd.DataFrame, live_rows: pd.DataFrame, run: tuple[str, str]) -> None:
    """Steps to half of the loss range against the radius: medians with intervals, open markers for the live run.

    The line is the travel time of a linear function: for constant steps with the median gradient and a loss of slope
    1/2, the cross entropy at a margin near zero. Medians above the dotted line have not escaped.
    """
    limit = STEPS[run[1]]
    for colour, scale in zip(figures.CYCLE, SCALES, strict=False):
        for table, face in ((rows, colour), (live_rows, "none")):
            times = medians(pick(table, run, convention="minus", scale=scale), "eps").clip(0.8, 2.2 * limit)
            look = {"color": colour, "markerfacecolor": face, "markersize": 6}
            name = f"scale {scale:g}" if face == colour else None
            ax.loglog(times.index, times["median"], "o", label=name, **look)
            ax.vlines(times.index, times["low"], times["high"], color=colour, linewidth=2, alpha=0.5)
    radii = np.geomspace(rows["eps"].min(), rows["eps"].max(), 60)
    size, gradient = (0.5 if run[1] == "constant" else RELATIVE_STEP), rows["gradient_clean"].median()
    line = [linear_steps(SHARES[0], eps, torch.tensor([gradient]), size, run[1]).item() for eps in radii]
    ax.loglog(radii, line, **figures.line("bound") | {"label": "a linear function"})
    ax.axhline(limit, color=figures.FAINT, linewidth=0.8, linestyle=":")
    ax.set(xlabel="radius ε", title=NAMES[run], ylim=(0.5, 4 * limit))
    ax.legend(loc="lower right")


def draw_covered(ax: Axes, fig2: pd.DataFrame, scale: float, run: tuple[str, str]) -> None:
    """Share of the loss range covered against the step, a curve for each ratio: medians over images, quartiles."""
    for colour, ratio in zip(figures.CYCLE, RATIOS, strict=False):
        trials = pick(fig2, run, scale=scale, ratio=ratio)
        if len(trials):
            both = zip(trials["path"], trials["margin_floor"], strict=True)
            shares = np.concatenate([covered(path, floor, "minus") for path, floor in both])
            draw_band(ax, run[1], shares, colour, f"r = {ratio:g}, ε = {trials['eps'].iloc[0]:g}")
    ax.set(ylabel="share of the loss range covered", title=f"input scale {scale:g}, {NAMES[run]}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    figures.provenance(ax.figure, label(fig2))  # type: ignore[arg-type]


def say_covered(fig2: pd.DataFrame, scale: float, run: tuple[str, str]) -> str:
    """Say what :func:`draw_covered` shows."""
    rows = pick(by_image(fig2), run, scale=scale)
    times = ", ".join(f"{spread(by_network(pick(rows, ratio=ratio)))} at r = {ratio:g}" for ratio in RATIOS)
    return f"Steps to half of the loss range: {times}"


def draw_objective(ax: Axes, fig2: pd.DataFrame, scale: float) -> None:
    """A panel of Figure 2 as the paper draws it: L along the way down, of one image in one network, a curve a ratio."""
    for colour, ratio in zip(figures.CYCLE, RATIOS, strict=False):
        trial = pick(fig2, CONSTANT, convention="minus", scale=scale, ratio=ratio, seed=0).iloc[0]
        ax.plot(shown_steps("constant"), objective(trial["path"][0], "minus"), color=colour, label=f"r = {ratio:g}")
    ax.set(title=f"({'abc'[SCALES.index(scale)]}) input scale {scale:g}", xlabel="step")


def draw_foreseen(ax: Axes, rows: pd.DataFrame, latest: float = 1e5) -> None:
    """Measured against foreseen steps to half of the loss range, a dot a trajectory; edges hold what is beyond them."""
    limit = STEPS["constant"]
    for colour, scale in zip(figures.CYCLE, SCALES, strict=False):
        cell = pick(rows, scale=scale)
        foreseen = (cell["travel"] + cell["saturation"]).clip(0.5, latest)
        times = cell["loss_half"].clip(0.5, 2.2 * limit)
        ax.loglog(foreseen, times, "o", color=colour, markersize=3.5, alpha=0.6, label=f"scale {scale:g}")
    ax.loglog([0.5, limit], [0.5, limit], **figures.line("bound") | {"label": "as foreseen"})
    ax.axhline(limit, color=figures.FAINT, linewidth=0.8, linestyle=":")
    ax.set(xlabel="travel + saturation, foreseen", ylabel="steps, measured", ylim=(0.4, 4 * limit))
    ax.legend(loc="lower right")
