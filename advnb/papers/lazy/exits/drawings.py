"""The pictures of the page: movement over steps, forecasts against exits, and the table of Figure 3's cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.lazy.drawings import ticks
from advnb.papers.lazy.exits.claims import C0
from advnb.papers.lazy.exits.forecasts import reached
from advnb.papers.lazy.laws import movement_law
from advnb.papers.lazy.task import SIDES

BEFORE = 3000
"""The steps from which the first edition of this book extrapolated."""

TOYS = {"equal": "equal", "two": "one in ten harder", "exponential": "exponential tail"}
"""The toy tasks, and what their curves are called."""


def draw_movement(ax: Axes, runs: pd.DataFrame, dims: Sequence[int] = (25, 49, 100)) -> None:
    """Draw the movement against the steps, a line a network and a colour a d, with the paper's C0 as level lines.

    Dashed: a + b log t, fitted to the first ``BEFORE`` steps of the first seed and extrapolated.
    """
    for colour, d in zip(figures.CYCLE, dims, strict=False):
        part = runs[runs["side"] ** 2 == d].sort_values("seed")
        for k, trial in enumerate(part.to_dict("records")):
            steps, moved = np.asarray(trial["path_steps"], float), np.asarray(trial["path_moved"], float)
            ax.plot(steps[1:], moved[1:], color=colour, lw=1, label=f"d = {d}" if k == 0 else None)
            if k == 0:
                early = steps <= BEFORE
                a, b, _ = movement_law(steps[early], moved[early])
                on = np.geomspace(BEFORE, 10 * steps[-1])
                ax.plot(on, a + b * np.log(on), color=colour, ls="--")
    for radius in C0:
        ax.axhline(radius, **(figures.line("paper") | {"marker": ""}))
    ax.set(xscale="log", xlabel="steps", ylabel="movement: the least C0 that holds the weights", xlim=(10, None))
    ax.set(ylim=(0, 1.1 * C0[-1]))
    ax.legend()


def draw_forecasts(ax: Axes, squared: pd.DataFrame, plain: pd.DataFrame) -> None:
    """Draw true against foreseen steps of the exits of ``forecasts.AHEAD``, with 90% intervals and the diagonal.

    ``squared`` has been through ``with_intervals``, whose intervals make good what the law missed elsewhere and need
    not hold its own number; ``plain`` are the forecasts of a + b log t, drawn as crosses.
    """
    done = squared.dropna(subset=["miss"])
    for colour, (d, part) in zip(figures.CYCLE, done.groupby("d"), strict=False):
        ax.plot(part["foreseen"], part["steps"], "o", color=colour, ms=3.5, label=f"d = {d}")
        ax.hlines(part["steps"], part["low"], part["high"], color=colour, lw=0.8)
    others = plain.dropna(subset=["miss"])
    ax.plot(others["foreseen"], others["steps"], "x", color=figures.COLOURS["measured"], label="a + b log t")
    ends = np.array([done["steps"].min(), done["steps"].max()])
    ax.plot(ends, ends, **(figures.line("paper") | {"marker": ""}))
    ax.set(xscale="log", yscale="log", xlabel="foreseen steps", ylabel="steps to the exit")
    ax.legend()


def cells(runs: pd.DataFrame, forecasts: pd.DataFrame, units: str = "pixels") -> pd.DataFrame:
    """Return Figure 3's cells as text: the median number of steps to the exit and how many networks reached it.

    A cell that no network reached has the steps that were spent, and the median forecast of ``forecasts`` if there is
    one; a dimension of the paper that was not run at all says so.
    """
    rows = reached(runs, units)
    table = {}
    for d in (side**2 for side in SIDES):
        here = rows[rows["d"] == d]
        table[d] = {f"C0 = {c0:g}": _cell(here[here["radius"] == c0], forecasts, d, c0) for c0 in C0}
    return pd.DataFrame(table).T.rename_axis("d")


def _cell(rows: pd.DataFrame, forecasts: pd.DataFrame, d: int, c0: float) -> str:
    if rows.empty:
        return "not run"
    went = np.isfinite(rows["steps"])
    text = f"{_count(rows['steps'][went].median())} ({went.sum()} of {len(rows)})" if went.any() else ""
    if not went.all():
        text = text or f"not in {_count(rows['asked'].max())}"
        ahead = forecasts[(forecasts["d"] == d) & (forecasts["radius"] == c0) & forecasts["miss"].isna()]
        text += f"; foreseen {_count(ahead['foreseen'].median())}" if len(ahead) else ""
    return text


def _count(steps: float) -> str:
    """Return a number of steps with two digits, as text: 27,000."""
    digits = max(0, int(np.floor(np.log10(steps))) - 1)
    return f"{round(steps, -digits):,.0f}"


def draw_late(axes: Sequence[Axes], runs: pd.DataFrame, toys: pd.DataFrame) -> None:
    """Draw ||W - W_0|| and gamma of networks against the steps, and ||W - W_0|| on the toy tasks, on three Axes.

    A colour is a d, a line a network; dashed in black, the network of the first seed with frozen activations.
    """
    for colour, (d, part) in zip(figures.CYCLE, runs.groupby(runs["side"] ** 2), strict=False):
        for trial in part.sort_values("seed").to_dict("records"):
            first = trial["seed"] == 0
            if trial["frozen"] and first:
                axes[0].plot(trial["step"], trial["norm"], color=figures.INK, ls="--", lw=0.9)
            elif not trial["frozen"]:
                label = f"d = {d}" if first else None
                axes[0].plot(trial["step"], trial["norm"], color=colour, lw=1, label=label)
                axes[1].plot(trial["step"], trial["slope"], color=colour, lw=1)
    greys = (figures.COLOURS["paper"], figures.COLOURS["start"], figures.COLOURS["bound"])
    for colour, (data, label) in zip(greys, TOYS.items(), strict=True):
        toy = toys[toys["data"] == data].sort_values("seed").iloc[0]
        axes[2].plot(toy["step"], toy["norm"], color=colour, label=label)
        axes[1].plot(toy["step"], toy["slope"], color=colour, ls=":")
    axes[0].set(title="‖W − W_0‖, MNIST", xscale="log", xlabel="steps")
    axes[1].set(title="γ = ‖∇L‖ / L", xscale="log", yscale="log", xlabel="steps")
    ticks(axes[1].yaxis, [0.05, 0.1, 0.2, 0.5])
    axes[2].set(title="‖W − W_0‖, toys", xscale="log", xlabel="steps")
    axes[0].legend()
    axes[2].legend()
