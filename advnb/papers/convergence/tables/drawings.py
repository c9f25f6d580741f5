"""The pictures and tables of the page: paper beside ours, Figures 4a and 4b, and FOSC over the epochs (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.book.figures import Table
from advnb.experiments import label
from advnb.papers.convergence.judge import ATTACKS
from advnb.papers.convergence.paired import gain, of_defence, over_seeds
from advnb.papers.convergence.recipes import RECIPES
from advnb.papers.convergence.tables.claims import BLACK, NAMES, TRAINED, by_training_eps, points
from advnb.papers.convergence.tables.paper import TABLE_1, TABLE_2
from advnb.papers.convergence.tables.trials import TEST_EPS

COLOURS = {"unsecured": figures.CYCLE[6], "standard": figures.CYCLE[0], "curriculum": figures.CYCLE[4],
           "dynamic": figures.CYCLE[1]}  # fmt: skip
"""A defence has one colour on both pages."""

HEADS = {"clean": "Clean", "fgsm": "FGSM", "pgd10": "PGD-10", "pgd20": "PGD-20", "cw": "C&W"}


def accuracies(table: pd.DataFrame, *, transferred: bool = False) -> Table:
    """Return Table 1, or with ``transferred`` Table 2, for the data set of ``table``: the paper's number, ours, seeds.

    Ours is the mean over seeds in per cent with Student's 95 percent interval. A cell that was not run says so.
    """
    data = str(table["data"].iloc[0])
    printed = (TABLE_2 if transferred else TABLE_1).get(data, {})
    fields = BLACK if transferred else ("clean", *ATTACKS)
    defences = TRAINED if transferred else ("unsecured", *TRAINED)
    rows = {
        name.capitalize(): {
            HEADS[field.removeprefix("black_")]: _cell(of_defence(table, field, name), printed.get(name, {}).get(field))
            for field in fields
        }
        | {"seeds": str(int((table["defence"] == name).sum()))}
        for name in defences
    }
    kind = "Table 2, black-box" if transferred else "Table 1, white-box"
    first = "paper | ours" if printed else "ours"
    caption = f"{kind}, {NAMES[data]}: {first} in per cent with 95% interval over seeds ({label(table)})"
    return figures.table(pd.DataFrame(rows).T, caption=caption)


def _cell(ours: pd.Series, printed: float | None) -> str:
    found = over_seeds(100 * ours)
    mean, low, high = (f"{value + 1e-5:.1f}" for value in (found.mean, max(0.0, found.low), min(100.0, found.high)))
    mine = "not run" if not found.seeds else mean if found.seeds < 2 else f"{mean} [{low}, {high}]"
    return mine if printed is None else f"{printed:.1f} | {mine}"


def gains(tables: dict[str, pd.DataFrame], fields: dict[str, Any] | None = None) -> Table:
    """Return the gains over Standard in points, paired by seed: a row a defence and data set, a column a field."""
    fields = fields or {HEADS[name]: name for name in ("clean", *ATTACKS)} | {"black-box, mean": BLACK}
    rows = {
        f"{name.capitalize()}, {NAMES[data]}": {
            head: points(gain(table, field, name, "standard")) for head, field in fields.items()
        }
        for data, table in tables.items()
        for name in TRAINED[1:]
    }
    return figures.table(pd.DataFrame(rows).T, caption="Gain over Standard in points with 95% interval, paired by seed")


def draw_gains(axes: Sequence[Axes], tables: dict[str, pd.DataFrame]) -> None:
    """Draw the gains over Standard under each attack, white-box and transferred, a panel a data set; dots are seeds."""
    fields = [*ATTACKS, *BLACK]
    places = np.arange(len(fields))
    for ax, (data, table) in zip(axes, tables.items(), strict=True):
        for shift, name in ((-0.15, "curriculum"), (0.15, "dynamic")):
            each = [(of_defence(table, f, name) - of_defence(table, f, "standard")).dropna() for f in fields]
            draw_intervals(ax, places + shift, each, label=name.capitalize(), color=COLOURS[name])
        if data in TABLE_1:
            mine, other = (TABLE_1[data][name] | TABLE_2[data][name] for name in ("dynamic", "standard"))
            ax.plot(places + 0.15, [mine[f] - other[f] for f in fields], "D", mfc="none", ms=5,
                    color=figures.COLOURS["paper"], label="paper: Dynamic")  # fmt: skip
        ax.axhline(0, color=figures.INK, lw=0.8)
        ax.axvline(len(ATTACKS) - 0.5, color=figures.FAINT, lw=0.8, ls=":")
        ax.set_xticks(places, [HEADS[f.removeprefix("black_")] for f in fields], rotation=60)
        ax.set(title=NAMES[data])
    axes[0].set_ylabel("gain over Standard, points")
    axes[0].legend(fontsize=8)


def draw_intervals(ax: Axes, at: Any, each: Sequence[pd.Series], fmt: str = "o", **look: Any) -> None:
    """Draw means of paired differences in points, with their intervals where there are two seeds; dots are seeds."""
    found = [over_seeds(100 * values) for values in each]
    middle = [g.mean for g in found]
    ends = np.nan_to_num([[g.mean - g.low for g in found], [g.high - g.mean for g in found]])
    ax.errorbar(at, middle, ends, fmt=fmt, ms=4, **look)
    for place, values in zip(at, each, strict=True):
        ax.plot([place] * len(values), 100 * values, "_", ms=5, color=look["color"], alpha=0.6)


def draw_test_eps(ax: Axes, table: pd.DataFrame) -> None:
    """Draw Figure 4a: accuracy under PGD-10 over the test eps, a line a defence; dots are seeds."""
    eps = np.array(TEST_EPS) * RECIPES[str(table["data"].iloc[0])].eps
    for name in TRAINED:
        rows = table[table["defence"] == name]
        if len(rows):
            values = np.array([np.asarray(cell, float) for cell in rows["at_eps"]])
            ax.plot(eps, values.mean(0), "-", color=COLOURS[name], label=name.capitalize())
            ax.plot(np.tile(eps, (len(values), 1)), values, ".", color=COLOURS[name], alpha=0.5, ms=4)
    ax.set(xlabel="test ε", ylabel="accuracy under PGD-10", title=NAMES[str(table["data"].iloc[0])])
    ax.legend()


def draw_training_eps(ax: Axes, small: pd.DataFrame, large: pd.DataFrame) -> None:
    """Draw Figure 4b as gains: accuracy under PGD-10 less that of Standard, trained and tested at each eps."""
    for name in TRAINED[1:]:
        found = by_training_eps(small, large, name)
        at = sorted(found)
        draw_intervals(ax, at, [found[eps] for eps in at], "o-", label=name.capitalize(), color=COLOURS[name])
    ax.axhline(0, color=figures.INK, lw=0.8)
    ax.set(xlabel="ε in training and test", ylabel="gain over Standard, points")
    ax.legend()
