"""The page of what was broken on purpose: the tables that tests have written, and a picture of them.

``book/results/trust`` holds a file a table, a row a fault, which the tests of it write and compare with what happens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from advnb import checks
from advnb.book import figures
from advnb.experiments.read import results_folder

__all__ = ["HEADS", "check", "draw_tried", "rows", "shown"]

HEADS = {"kind": "Fault", "tried": "Tried", "outcome": "What happened", "message": "What is said"}
"""The columns that the page shows, in words."""


def rows(name: str, results: Path | str | None = None) -> pd.DataFrame:
    """Return the table ``name`` ("faults", say) with its columns and rows in the order in which they were written.

    Raises ``FileNotFoundError`` if it was not written.
    """
    path = results_folder(results) / "trust" / f"{name}.json"
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))


def shown(faults: pd.DataFrame, areas: Sequence[str], caption: str) -> figures.Table:
    """Return the rows of ``areas`` as a table for the page. Raises ``ValueError`` if there is no such area."""
    for area in areas:
        checks.choice("area", area, faults["area"].unique())
    chosen = faults.loc[faults["area"].isin(areas), list(HEADS)]
    return figures.table(chosen, caption=caption, heads=HEADS, index=False)


def draw_tried(ax: Axes, faults: pd.DataFrame) -> None:
    """Draw how often each fault was injected, a bar each from top to bottom, coloured by what was broken."""
    for k, area in enumerate(faults["area"].unique()):
        part = faults[faults["area"] == area]
        ax.barh(-part.index, part["tried"], color=f"C{k}", label=area)
    ax.set_yticks(-faults.index, faults["kind"])
    ax.set(xscale="log", xlim=(0.8, None), xlabel="times injected")
    ax.legend(loc="lower right")


def check(faults: pd.DataFrame) -> str:
    """Say of all faults how many there are, how often they were injected, and how much was lost."""
    areas = faults["area"].nunique()
    return f"{len(faults)} faults in {areas} areas; stored results lost or doubled: {faults['lost'].sum()}"
