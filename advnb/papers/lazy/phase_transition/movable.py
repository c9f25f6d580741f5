"""The transition that a reader can move: the fitted law, the measured thresholds, and the trials behind each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.book.movable import trials_page
from advnb.experiments import load
from advnb.papers.lazy.drawings import ticks
from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.transition import ALONG, EDGES, STORED, cells, edge_law, edges, surface

PANELS = {
    "left": "Figure 4, left",
    "right": "Figure 4, right",
    "elsewhere": "off both panels",
    "plane": "three dimensions",
}
"""The panels and what the picture calls them; the law is fitted to all but the last, from d = 100 on."""

START: dict[str, Any] = {"view": "d", "d": 196.0, "c0": 10.0}
"""What is shown first: R against the dimension, and the place of the ring on the law."""

SHOWN = ["d", "m", "c0", "budget", "seed", "worst", "raw", "unit", "exact", "moved", "epochs_run"]
RUN = ["run_scale", "run_commit", "run_device", "run_date", "run_seconds"]
HEADS = {"c0": "C0 allowed", "budget": "R", "worst": "robust accuracy", "raw": "raw gradients",
         "unit": "unit gradients", "exact": "exact step", "moved": "C0 reached", "epochs_run": "epochs"}  # fmt: skip


def stored() -> pd.DataFrame:
    """Return all stored trials of the four experiments, as ``transition.cells``."""
    return pd.concat([surface(*map(load, STORED)), cells(plane=load("lazy.figure_4_plane"))], ignore_index=True)


def law(trials: pd.DataFrame) -> Law:
    """Return the law of the page (``transition.edge_law``)."""
    return edge_law(trials[trials["panel"].isin(list(EDGES))])


def measured(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the thresholds of ``transition.edges`` that lie inside their grids."""
    return edges(trials).dropna(subset=["c0", "budget"])


def behind(trials: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return each threshold of :func:`measured` as a dict with a ``name``, beside the trials that it was read from."""
    found: list[tuple[dict[str, Any], pd.DataFrame]] = []
    for row in measured(trials).to_dict("records"):
        point = {str(column): value for column, value in row.items()}
        along, by = ALONG.get(str(point["panel"]), ALONG["left"])
        same = trials[trials["panel"] == point["panel"]]
        for column in (*by, "seed"):
            same = same[same[column] == point[column]]
        name = "-".join(f"{column}{point[column]:g}" for column in (*by, "seed"))
        found.append(({**point, "name": name}, same.sort_values(along)))
    return found


def numbers() -> dict[str, Any]:
    """Return what the picture needs: the law, and each threshold with its trials' budgets, radii and accuracies."""
    trials = stored()
    fitted = law(trials)
    points = [
        {
            **{name: point[name] for name in ("panel", "d", "c0", "m", "seed", "budget")},
            "along": ALONG.get(point["panel"], ALONG["left"])[0],
            "at": part[ALONG.get(point["panel"], ALONG["left"])[0]].tolist(),
            "worst": part["worst"].tolist(),
            "moved": part["moved"].mean(),
            "trials": f"transition.{point['panel']}.html#{point['name']}",
        }
        for point, part in behind(trials)
    ]
    return {"law": fitted._asdict(), "panels": PANELS, "points": points, "start": START}


def pages() -> dict[str, str]:
    """Return the pages of stored trials that the points lead to, by file name: one an experiment, a table a point."""
    groups = behind(stored())
    return {
        f"transition.{panel}.html": trials_page(
            EDGES.get(panel, f"lazy.figure_4_{panel}"),
            {
                point["name"]: (
                    f"R50 = {point['budget']:.3g} at d = {point['d']}, m = {point['m']}, C0 = {point['c0']:.3g}, "
                    f"seed {point['seed']}",
                    part[SHOWN + RUN],
                )
                for point, part in groups
                if point["panel"] == panel
            },
            HEADS,
        )
        for panel in PANELS
    }


def draw_frame(ax: Axes) -> None:
    """Draw the picture as it starts, for those whose browser runs no scripts: thresholds and law over the dimension."""
    trials = stored()
    fitted, points = law(trials), measured(trials)
    d = np.geomspace(20, 900, 100)
    for c0, style in ((5, ":"), (START["c0"], "-"), (20, "--")):
        ax.plot(d, fitted.relative(c0, d), style, color=figures.INK, label=f"law, C0 = {c0:g}")
    for (panel, part), colour in zip(points.groupby("panel", sort=False), figures.CYCLE, strict=False):
        ax.plot(part["d"], part["budget"], "o", color=colour, markersize=4, label=PANELS[str(panel)])
    ax.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="R50")
    ticks(ax.xaxis, [25, 50, 100, 200, 400, 784])
    ticks(ax.yaxis, [0.05, 0.1, 0.2, 0.4])
    ax.legend(fontsize=8)
