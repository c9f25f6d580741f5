"""Tables of the page's trials: a row a network, shares at one length, means with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advnb import statistics
from advnb.experiments import unroll
from advnb.papers.lazy.flips import STEP_LENGTHS, by_radius
from advnb.papers.lazy.one_step.trials import LENGTHS
from advnb.papers.lazy.spread import mean_over_seeds

Shares = NDArray[np.float64]

NETWORKS = ("start", "lazy SGD", "adversarial 3", "adversarial 6")
"""The networks of the stored run; the number is the training budget in units of 1 / sqrt(d)."""

PER_NETWORK = ("moved", "error", "value", "gradient", "flippable", "one", "several", "saved", "one_nine",
               "several_nine", "success", "robust_error", "several_error")  # fmt: skip
"""Fields of ``before_and_after`` with one entry a network."""


def by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and ``network`` from a table of ``before_and_after``, with d = side^2.

    Networks are named as in :data:`NETWORKS`; ``adversarial`` tells how they were trained. ``length`` is the mean
    length of the one-step flip, ``one`` the same times sqrt(d).
    """
    names: list[Any] = [
        ["start", "lazy SGD", *(f"adversarial {budget:g}" for budget in budgets)] for budgets in table["budgets"]
    ]
    rows = unroll(table.assign(d=table["side"] ** 2, network=names), ["network", *PER_NETWORK])
    return rows.assign(
        length=rows["one"] / np.sqrt(rows["d"]), adversarial=rows["network"].str.startswith("adversarial")
    )


def at_length(table: pd.DataFrame, field: str, lengths: Sequence[float], c: float) -> pd.DataFrame:
    """Return ``table`` with ``field``, shares at each of ``lengths``, taken at the length ``c`` alone.

    Raises ``ValueError`` if ``c`` is not one of ``lengths``.
    """
    at = int(np.argmin(np.abs(np.asarray(lengths) - c)))
    if not np.isclose(lengths[at], c):
        raise ValueError(f"c must be one of the lengths {list(map(float, lengths))}; got {c!r}")
    return table.assign(**{field: [float(row[at]) for row in table[field]]})


def flipped_by(networks: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return the least recorded c with which a step of c / sqrt(d) < ||x|| flips ``share``, by network and d.

    ``networks`` are rows of :func:`by_network`; the share is a mean over seeds. Infinite where no such step does.
    """
    lengths = np.asarray(LENGTHS)

    def least(part: pd.DataFrame) -> float:
        enough = lengths[(mean_shares(part, "success")[0] >= share) & (lengths < part["d"].iloc[0] ** 0.5)]
        return float(enough[0]) if len(enough) else float("inf")

    found = [{"network": name, "d": d, "c": least(part)} for (name, d), part in networks.groupby(["network", "d"])]
    return pd.DataFrame(found).pivot(index="network", columns="d", values="c")


def mean_shares(rows: pd.DataFrame, field: str) -> tuple[Shares, Shares, Shares]:
    """Return the mean, smallest and largest over ``rows`` of ``field``, shares at each length."""
    shares = np.stack(rows[field].to_list())
    return shares.mean(0), shares.min(0), shares.max(0)


def lost_at(networks: pd.DataFrame) -> pd.DataFrame:
    """Return the R sqrt(d) at which nine images in ten are lost, as text: a row a kind of network and d.

    ``networks`` are rows of :func:`by_network` at one width.
    """
    rows = {
        (name, d): {
            "clean error": mean_over_seeds(part, "error", 1),
            "one step": mean_over_seeds(part, "one_nine"),
            "several steps": mean_over_seeds(part, "several_nine"),
            "‖x‖ √d": part["d"].iloc[0] ** 0.5,
        }
        for (name, d), part in networks.groupby(["network", "d"])
    }
    return pd.DataFrame(rows).T.rename_axis(index=["network", "d"]).loc[list(NETWORKS)]


def lost_by_width(table: pd.DataFrame, radius: float = 10.0) -> pd.DataFrame:
    """Return the R sqrt(d) at which one step brings the robust error to 0.9, a row a d and a column a width.

    ``table`` holds trials of ``flips_after_training``: lazy SGD with summed losses, up to
    ``radius`` = C0.
    """
    rows = by_radius(table)
    rows = rows[rows["reached"] & (rows["radius"] == radius) & (rows["reduction"] == "sum")]
    lost = [statistics.crossing(STEP_LENGTHS, row, 0.9) for row in rows["robust_error"]]
    return rows.assign(lost=lost).pivot_table(index="d", columns="m", values="lost")
