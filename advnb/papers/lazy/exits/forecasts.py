"""Forecasts of exits: the law of the movement fitted to the first part of a trajectory, judged on the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from advnb.papers.lazy.flips import by_radius
from advnb.papers.lazy.laws import movement_law, steps_to_reach

KNOWN, AHEAD = 20.0, (30.0, 40.0)
"""A trajectory is known up to its exit from the first ball; the exits from the others are foreseen."""

ROOT = 2.0
"""The movement is fitted as (a + b log t)^2. The square was chosen on one trajectory (d = 100, pixels, seed 0)."""

CONFIDENCE = 0.9


def reached(runs: pd.DataFrame, units: str) -> pd.DataFrame:
    """Return how long the networks of one kind of pixels took to leave each ball: a row a network and radius above 0.

    ``steps`` is the step of the exit, infinite where the steps that were allowed, ``asked``, did not suffice.
    """
    rows = by_radius(runs.assign(asked=runs["steps"]))
    rows = rows[(rows["units"] == units) & (rows["radius"] > 0)]
    return rows.assign(steps=(rows["step"] + 1.0).where(rows["reached"].astype(bool), np.inf))


def foreseen_exits(runs: pd.DataFrame, units: str, *, root: float = ROOT) -> pd.DataFrame:
    """Return a forecast for each network that left the ball of ``KNOWN`` and each radius of ``AHEAD``.

    The law sees the movement up to that exit and nothing later. ``foreseen`` is in steps; ``miss`` is log10 of the
    true over the foreseen number, NaN where the exit did not come.
    """
    exits = reached(runs, units).set_index(["d", "seed", "radius"])["steps"]
    rows: list[dict[str, Any]] = []
    for trial in runs[runs["units"] == units].to_dict("records"):
        d, seed = trial["side"] ** 2, trial["seed"]
        known = float(exits.loc[(d, seed, KNOWN)])
        if np.isfinite(known):
            steps, moved = np.asarray(trial["path_steps"]), np.asarray(trial["path_moved"])
            a, b, _ = movement_law(steps[steps <= known], moved[steps <= known], root=root)
            for radius in AHEAD:
                true, guess = float(exits.loc[(d, seed, radius)]), steps_to_reach(radius, a, b, root)
                miss = np.log10(true / guess) if np.isfinite(true) else np.nan
                rows.append({"d": d, "seed": seed, "radius": radius, "steps": true, "foreseen": guess, "miss": miss})
    return pd.DataFrame(rows, columns=["d", "seed", "radius", "steps", "foreseen", "miss"])


def with_intervals(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts with 90% intervals, ``low`` to ``high``, and whether the exit fell ``inside``.

    An interval rests on what the law missed at the *other* dimensions, at the same radius: Student's prediction
    interval for one more miss. It is NaN with fewer than three of them; ``inside`` is None where there is no exit.
    """
    rows = []
    for row in forecasts.to_dict("records"):
        other = forecasts[(forecasts["d"] != row["d"]) & (forecasts["radius"] == row["radius"])]["miss"].dropna()
        half = np.nan
        if len(other) >= 3:
            t = stats.t.ppf((1 + CONFIDENCE) / 2, len(other) - 1)
            half = t * other.std() * np.sqrt(1 + 1 / len(other))
        low, high = (row["foreseen"] * 10.0 ** (other.mean() + sign * half) for sign in (-1, 1))
        inside = bool(low <= row["steps"] <= high) if np.isfinite(row["miss"]) and np.isfinite(half) else None
        rows.append({**row, "low": low, "high": high, "inside": inside})
    return pd.DataFrame(rows)
