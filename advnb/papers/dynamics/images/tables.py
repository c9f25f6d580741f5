"""Stored escapes as tables with one row an image, and escape times as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from advnb.book.rounding import about
from advnb.experiments.read import unroll
from advnb.papers.dynamics.images.escape import CONSTANT, RELATIVE, SETTLED, SHARES, STEPS
from advnb.papers.dynamics.images.steps import LEARNING_RATE, predicted_steps
from advnb.statistics import bootstrap, median_interval

NAMES = {
    CONSTANT: "the paper's steps",
    SETTLED: "the paper's steps from a settled maximum",
    RELATIVE: "steps relative to ε",
}
"""What a kind of run is called on the page."""


def by_image(table: pd.DataFrame) -> pd.DataFrame:
    """Trials with one row an image, for every array but ``path``.

    Radii that differ by rounding become equal, and steps whole numbers: no text or count hangs on their last digits.
    """
    table = table.drop(columns="path", errors="ignore")
    arrays = [str(name) for name, cell in table.iloc[0].items() if isinstance(cell, np.ndarray)]
    rows = unroll(table, arrays, index="image")
    steps = {str(name): rows[name].round() for name in rows if str(name).endswith(("_half", "_ninety"))}
    return rows.assign(eps=rows["eps"].map("{:.5g}".format).astype(float), **steps)


def per_image(table: pd.DataFrame) -> pd.DataFrame:
    """Trials of :func:`escape` with one row an image, and what :func:`predicted_steps` foresees.

    ``travel`` and ``saturation`` are steps to half of the range of the cross entropy at the trial's learning rate, with
    the gradient at the clean image; NaN for another loss.
    """
    rows = by_image(table)
    lr = rows["lr"].fillna(LEARNING_RATE) if "lr" in rows else pd.Series(LEARNING_RATE, rows.index)
    fields = ("margin_start", "margin_floor", "gradient_clean")
    start, floor, gradient = (torch.tensor(rows[name].to_numpy(float)) for name in fields)
    parts = pd.DataFrame(torch.stack(predicted_steps(start, floor, gradient, SHARES[0], 1.0), dim=1).numpy())
    parts = parts.div(lr, axis=0).where(rows["loss"] == "cross_entropy")
    return rows.assign(travel=parts[0], saturation=parts[1])


def pick(rows: pd.DataFrame, run: tuple[str, str] | None = None, **values: Any) -> pd.DataFrame:
    """The rows that have these values, of one kind of run (climb, step) if given."""
    if run is not None:
        values |= dict(zip(("climb", "step"), run, strict=True))
    return rows[np.logical_and.reduce([rows[name] == value for name, value in values.items()])]


def nearest(values: ArrayLike, axis: int | None = None) -> Any:
    """The median as one of the values, so that infinite escape times are allowed."""
    return np.quantile(np.asarray(values, float), 0.5, axis=axis, method="nearest")


def by_network(rows: pd.DataFrame, field: str = "loss_half") -> pd.Series[float]:
    """One value a network: the median of ``field`` over the images of each seed."""
    return rows.groupby("seed")[field].agg(nearest)


def percent(rows: pd.DataFrame, passed: pd.Series[bool]) -> str:
    """The share of ``rows`` that passed, with its 95% interval over networks, as text: "50% [40, 60]"."""
    shares = 100 * passed.groupby(rows["seed"]).mean()
    low, high = bootstrap(shares)
    ends = "" if low == high or np.isnan(low) else f" [{low:.0f}, {high:.0f}]"
    return f"{shares.mean():.0f}%{ends}"


def spread(values: ArrayLike, limit: int = STEPS["constant"]) -> str:
    """Median of escape times, one a network, and the 95% interval of the median, as text.

    A trajectory that is still inside took longer than all others; networks without a loss range (NaN) are counted.
    """
    times = np.asarray(values, float)
    left = times[~np.isnan(times)]
    if len(left) == 0:
        return "no range left"
    ends = median_interval(left)
    low, middle, high = (_steps(value, limit) for value in (ends[0], nearest(left), ends[1]))
    text = middle if low == middle == high or np.isnan(ends[0]) else f"{middle} [{low}, {high}]"
    return text if len(left) == len(times) else f"{text}, no range left in {len(times) - len(left)} of {len(times)}"


def _steps(value: float, limit: int) -> str:
    if value > limit:
        return f"over {limit}"
    return f"{value:g}" if value < 10 else about(value)


def escapes(rows: pd.DataFrame, by: list[str], field: str = "loss_half") -> pd.Series[str]:
    """The :func:`spread` of ``field`` over networks in each group of ``by``."""
    return rows.groupby(by)[[field, "seed"]].apply(lambda group: spread(by_network(group, field)))


def medians(rows: pd.DataFrame, by: str, field: str = "loss_half") -> pd.DataFrame:
    """Median over networks of ``field``, with the ``low`` and ``high`` end of its 95% interval, for each ``by``."""
    networks = {key: by_network(group, field) for key, group in rows.groupby(by)}
    found = {key: (nearest(values), *median_interval(values)) for key, values in networks.items()}
    return pd.DataFrame.from_dict(found, orient="index", columns=["median", "low", "high"])
