"""How many restarts an attack needs, from how many of its random starts succeed.

A start succeeds with a probability p that belongs to the input (the share of the ball that drains to the global
maximum). Of k independent starts at least one succeeds with probability 1 - (1 - p)^k.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

from advnb import checks
from advnb.statistics import bootstrap, wilson

Array = NDArray[np.float64]

LEVEL = 0.99


def needed(p: ArrayLike, level: float = LEVEL) -> Array:
    """Return ceil(log(1 - level) / log(1 - p)), the starts that succeed at least once with probability ``level``.

    ``p`` (...) are probabilities of success; infinite where p is 0, and 1 where p is at least ``level``.
    """
    checks.number("level", level, lambda v: 0 < v < 1, "lie between 0 and 1")
    shares = np.asarray(p, float)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"p must lie in [0, 1]; got {shares.min():g} to {shares.max():g}")
    with np.errstate(divide="ignore"):
        starts = np.log1p(-level) / np.log1p(-shares)
    return np.maximum(1.0, np.ceil(starts * (1 - 1e-12)))  # 2 starts at p = 0.9, not 3 for rounding


def reached(successes: ArrayLike, starts: int, k: ArrayLike) -> Array:
    """Return the unbiased estimate of 1 - (1 - p)^k from ``successes`` among ``starts`` independent starts.

    It is the probability that k of these starts, drawn without replacement, hold a success: 1 - C(n - s, k) / C(n, k).
    Raised if some ``k`` exceeds ``starts``: more restarts than were run say nothing without a model.
    """
    draws = np.asarray(k)
    if not ((draws >= 1) & (draws <= starts)).all():
        raise ValueError(f"k must lie between 1 and the {starts} starts; got {draws.min()} to {draws.max()}")
    found: Array = hypergeom.sf(0, starts, np.asarray(successes), draws)
    return found


def needed_over_inputs(successes: ArrayLike, starts: int, level: float = LEVEL) -> float:
    """Return the fewest restarts after which a share ``level`` of the inputs is expected to have had a success.

    ``successes`` (inputs,) of ``starts`` each. Infinite where all ``starts`` together do not suffice.
    """
    draws = np.arange(1, starts + 1)
    covered = reached(np.asarray(successes)[:, None], starts, draws).mean(0)
    enough = np.flatnonzero(covered >= level)
    return float(draws[enough[0]]) if len(enough) else float("inf")


def interval(successes: int, starts: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the 95 percent interval of :func:`needed` for one input, from Wilson's interval for its p."""
    low, high = wilson(successes, starts)
    return float(needed(high, level)), float(needed(low, level))


def summary(successes: ArrayLike, starts: int, level: float = LEVEL) -> pd.Series:
    """Return what ``successes`` (inputs,) of ``starts`` each say of restarts, for a row of a table.

    ``share``, ``low``, ``high``: mean share of starts that succeed, with a bootstrap interval over inputs. ``mean``:
    the restarts that this mean share would need. ``median``, ``q90``: quantiles over inputs of those that each needs
    (infinite where no start succeeded). ``all``: :func:`needed_over_inputs`, which is what a test set needs.
    """
    counts = np.asarray(successes)
    shares = counts / starts
    low, high = bootstrap(shares)
    each = needed(shares, level)
    median, ninety = np.quantile(each, (0.5, 0.9), method="higher")
    return pd.Series(
        {
            "share": shares.mean(), "low": low, "high": high, "mean": float(needed(shares.mean(), level)),
            "median": median, "q90": ninety, "all": needed_over_inputs(counts, starts, level),
        }
    )  # fmt: skip
