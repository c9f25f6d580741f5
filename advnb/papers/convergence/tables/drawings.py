"""The pictures and tables of the page: paper beside ours, Figures 4a and 4b, and FOSC over the epochs (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from advnb.book import figures
from advnb.book.figures import Table
from advnb.experiments import label
from advnb.papers.convergence.judge import ATTACKS
from advnb.papers.convergence.paired import gain, median, of_defence, over_seeds
from advnb.papers.convergence.recipes import RECIPES
from advnb.papers.convergence.tables.claims import BLACK, FIGURE_5, NAMES, TRAINED, by_training_eps, points
from advnb.papers.convergence.tables.paper import TABLE_1, TABLE_2
from advnb.papers.convergence.tables.trials import STAGES, TEST_EPS

COLOURS = {"unsecured": figures.CYCLE[6], "standard": figures.CYCLE[0], "curriculum": figures.CYCLE[4],
           "dynamic": figures.CYCLE[1]}  # fmt: skip
"""A defence has one colour on both pages."""

HEADS = {"clean": "Clean", "fgsm": "FGSM", "pgd10": "PGD-10", "pgd20": "PGD-20", "cw": "C&W"}
SHADES = ("#7FB3D5", "#2E86C1", "#17202A")
"""Early, middle and late epochs, from light to dark."""


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
    mean, low, high = (f"{value + 1e-7:.1f}" for value in (found.mean, max(0.0, found.low), min(100.0, found.high)))
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
    axes[0].legend(fontsize=7.5)


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


def draw_alignment(ax: Axes, table: pd.DataFrame) -> None:
    """Draw every network: its median FOSC under PGD-10 after training against its accuracy under PGD-20."""
    for name in TRAINED:
        rows = table[table["defence"] == name]
        at = [median(cell[-1]) for cell in rows["pgd_fosc"]]
        ax.plot(at, rows["pgd20"], "o", color=COLOURS[name], label=name.capitalize())
    ax.locator_params(axis="x", nbins=5)
    ax.set(xlabel="median FOSC", ylabel="accuracy under PGD-20", title=NAMES[str(table["data"].iloc[0])])
    ax.legend()
