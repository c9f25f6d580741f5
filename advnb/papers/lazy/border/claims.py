"""The claims of the border: how large the ball is in which some weights resist every single step."""

from __future__ import annotations

import pandas as pd

from advnb.book.claims import Numbers, Page
from advnb.book.rounding import about
from advnb.experiments import unroll
from advnb.papers.lazy.border.threshold import thresholds
from advnb.papers.lazy.border.trials import PER_RATIO
from advnb.statistics import crossing

PAGE = Page("lazy/border", title="How far for all weights")


def by_ratio(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and C0 / sqrt(d) from a table of ``resisting_weights``."""
    return unroll(table, ["ratio", *PER_RATIO])


def half(rows: pd.DataFrame) -> pd.Series:
    """Return for each d the C0 / sqrt(d) at which half of the x are held; ``rows`` come from :func:`by_ratio`."""
    shares = rows.groupby(["d", "ratio"])["held"].mean()
    return pd.Series(
        {d: crossing(part.index.get_level_values("ratio"), part, 0.5) for d, part in shares.groupby("d")}, name="half"
    )


@PAGE.claim(
    "theorem-3.1.below",
    statement="Theorem 3.1 (below the border)",
    says="(not in the paper) for C0 < 0.46 √d and large m and d every W in the ball is flipped by one step downhill "
    "shorter than ‖x‖",
    evidence="lazy.resist",
    holds=lambda below, seeds: below <= 0.1 and seeds >= 10,
    verdict="reproduced",
    why="proved on this page for m → ∞, then d → ∞; weights built against it that hold one x in ten at d = 400 would "
    "refute it. There only constructions were tried",
)
def below(stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Give the share of x at which weights below the border were found to resist, at the largest d and the smallest."""
    low, _ = thresholds()
    rows = by_ratio(stored)
    inside = rows[rows["ratio"] < low]
    shares = {int(str(d)): part["held"] for d, part in inside.groupby("d")}
    largest = max(shares)
    text = f"weights within C0 < {about(low)} √d that no step shorter than ‖x‖ flips were found in " + ", ".join(
        f"{about(100 * held.mean(), 1)}% of tries at d = {d}" for d, held in shares.items()
    )
    return text, {"below": shares[largest].mean(), "seeds": stored["seed"].nunique()}


@PAGE.claim(
    "theorem-3.1.above",
    statement="Theorem 3.1 (above the border)",
    says="(not in the paper) for C0 > 0.58 √d and large m and d some W in the ball is flipped by no step along its "
    "gradient at x, of either sign and any length",
    evidence="lazy.resist",
    holds=lambda above, border, low, high: above >= 0.9 and low - 0.05 < border < high + 0.1,
    verdict="reproduced",
    why="proved on this page by a construction, for m → ∞, then d → ∞; the theorem's words for all W then ask for C0 "
    "below a fixed share of √d. At d = 400 only constructions were tried",
)
def above(stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Give the share of x held against all steps above the border, and where half of them are."""
    low, high = thresholds()
    rows = by_ratio(stored)
    beyond = rows[(rows["ratio"] > high + 0.1) & (rows["d"] == rows["d"].max())]
    halves, largest = half(rows), rows["d"].max()
    text = (
        f"the construction resists all steps in {about(100 * beyond['never'].mean())}% of tries at d = {largest} "
        f"and C0 ≥ {about(beyond['ratio'].min())} √d; half of the x are held from C0/√d = "
        + ", ".join(f"{about(value)} (d = {d})" for d, value in halves.items())
        + f" on, proved borders {about(low)} and {about(high)}"
    )
    return text, {"above": beyond["never"].mean(), "border": halves.iloc[-1], "low": low, "high": high}
