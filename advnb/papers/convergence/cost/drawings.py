"""The pictures of the page: AutoAttack attack by attack, accuracy over cost, and accuracy over c_max."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.papers.convergence.cost.claims import by_factor
from advnb.papers.convergence.cost.trials import RULE
from advnb.papers.convergence.tables.claims import TRAINED
from advnb.papers.convergence.tables.drawings import COLOURS

JUDGES = {"clean": "clean", "pgd20": "PGD-20", "cw": "C&W", "apgd_ce": "APGD, cross entropy",
          "apgd_dlr": "then APGD, DLR", "square": "then Square"}  # fmt: skip
"""Accuracies of ``trials.attacked``; the last three are AutoAttack's, one attack after the other."""


def draw_judges(ax: Axes, runs: pd.DataFrame) -> None:
    """Draw what each attack leaves of the accuracy, a line a defence; dashes are seeds."""
    places = np.arange(len(JUDGES) - 1)
    for name in TRAINED:
        values = runs.loc[runs["defence"] == name, list(JUDGES)[1:]].to_numpy(float)
        ax.plot(places, values.mean(0), "o-", ms=4, color=COLOURS[name], label=name.capitalize())
        ax.plot(np.tile(places, (len(values), 1)), values, "_", color=COLOURS[name], alpha=0.6)
    ax.set_xticks(places, list(JUDGES.values())[1:], rotation=25, ha="right")
    ax.set(ylabel="accuracy")
    ax.legend()


def draw_frontier(ax: Axes, cells: pd.DataFrame) -> None:
    """Draw accuracy under PGD-20 over the gradients spent, a point a cell of ``claims.frontier`` (means over seeds).

    Runs of 10 steps are joined over their epochs; fewer steps are squares.
    """
    means = cells.groupby(["defence", "epochs", "steps"])[["cost", "pgd20"]].mean().reset_index()
    for name in TRAINED:
        mine = means[means["defence"] == name].sort_values("cost")
        full = mine[mine["steps"] == 10]
        ax.plot(full["cost"], full["pgd20"], "o-", ms=4, color=COLOURS[name], label=name.capitalize())
        fewer = mine[mine["steps"] != 10]
        ax.plot(fewer["cost"], fewer["pgd20"], "s", ms=5, mfc="none", color=COLOURS[name])
        for steps, x, y in fewer[["steps", "cost", "pgd20"]].to_numpy(float):
            ax.annotate(f"{steps:.0f} steps", (x, y), xytext=(5, -9), textcoords="offset points", fontsize=8)
    ax.set(xlabel="gradients an example", ylabel="accuracy under PGD-20", xlim=(0, None))
    ax.legend()


def draw_c_max(ax: Axes, runs: pd.DataFrame) -> None:
    """Draw accuracy under PGD-20 over c_max as a multiple of FGSM's FOSC, a line an eps; dashed is Standard."""
    means = by_factor(runs)
    for k, eps in enumerate(means.columns):
        line, colour = means[eps].drop(index=0, errors="ignore"), figures.CYCLE[k]
        ax.plot(line.index, line, "o-", ms=4, color=colour, label=f"Dynamic, ε = {eps:g}")
        sized = runs if "eps" not in runs else runs[runs["eps"] == eps]
        dynamic = sized[sized["factor"] > 0]
        ax.plot(dynamic["factor"], dynamic["pgd20"], "_", color=colour, alpha=0.6)
        if 0 in means.index:
            ax.axhline(float(means[eps].to_numpy()[0]), color=colour, ls="--", lw=1, label=f"Standard, ε = {eps:g}")
    ax.axvline(RULE, color=figures.FAINT, lw=0.8, ls=":", label="rule")
    ax.set(xscale="log", xlabel="$c_{max}$ / mean FOSC of FGSM", ylabel="accuracy under PGD-20")
    ax.set_xticks(line.index, [f"{factor:g}" for factor in line.index])
    ax.minorticks_off()
    ax.legend()
