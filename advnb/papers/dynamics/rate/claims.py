"""The claims of the page *rate*: how fast projected gradient descent converges, and what Theorem 3.1 says of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, at_least, at_most, share
from advnb.papers.dynamics.convergence.claims import by_net, explode
from advnb.papers.dynamics.rate.trials import TINY
from advnb.statistics import bootstrap

PAGE = Page("dynamics/rate", title="The sharp rate")

LISTS = ["s", "predicted", "raw", "normalised", "least", "median", "steps", "arrived"]

NETWORK = ["d", "m", "eps", "loss", "convention", "seed"]


def by_step(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network and step size; ``position``: theorem, s, best, before or after the repelling."""
    rows = explode(runs[runs["g"] > 0], LISTS)
    for name, usual in (("loss", "squared"), ("convention", "minus")):
        rows[name] = rows[name].fillna(usual) if name in rows else usual
    order = rows.groupby(NETWORK).cumcount()
    names = {0: "theorem", 5: "best", 6: "before", 7: "after"}
    return rows.assign(position=order.map(names).fillna("s"))


def rate_error(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return |log measured / log predicted - 1|, where the predicted factor is a rate that can be measured."""
    good = rows[rows[name].notna() & (rows["predicted"] > TINY)]
    return (np.log(good[name]) / np.log(good["predicted"]) - 1).abs()


# The tolerance of a rate -log(factor): a run starts 1e-5 radii from the minimum, so that the next order is some 1e-5
# of it, and ends at 1e-9, where the rounding of each step, 1e-16 radii, adds up to 1e-16 / (1 - factor) / 1e-9, 1e-5
# at factor 0.99.
@PAGE.claim(
    "rate.factor",
    statement="Theorem (this book), factor",
    says="(not in the paper) near the minimum a step multiplies the distance by max|1 - s c|/(1 + s), and no less",
    evidence="dynamics.contraction",
    holds=lambda raw, normalised: raw < 1e-3 and normalised < 1e-3,
    verdict="reproduced",
    why="runs that start in the slowest direction, 1e-5 radii away; the tolerance is that distance and rounding",
)
def _factor(runs: pd.DataFrame) -> Measured:
    rows = by_step(runs)
    raw, normalised = rate_error(rows, "raw"), rate_error(rows, "normalised")
    return (
        f"{len(raw)} runs in {len(runs)} networks and radii, factors from "
        f"{about(rows.loc[raw.index, 'predicted'].min(), 1)} "
        f"to {about(rows.loc[raw.index, 'predicted'].max(), 1)}: the rate -log(factor) is as predicted to "
        f"{at_most(raw.max(), 0.0002)} of itself, with steps of fixed length {at_most(normalised.max(), 0.0002)}",
        {"raw": raw.max(), "normalised": normalised.max()},
    )


@PAGE.claim(
    "rate.uniform-starts",
    statement="Theorem (this book), uniform starts",
    says="(not in the paper) from uniform starts in the ball PGD converges with that rate or a better one",
    evidence="dynamics.contraction",
    holds=lambda least, median: least > 0.98 and 0.98 < median < 1.1,
    verdict="reproduced",
    why="from 1e-3 to 1e-9 radii; the factor is the limit's, and the faster directions have not all died out before. "
    "2% leave room for the next order at 1e-3 radii",
)
def _uniform(runs: pd.DataFrame) -> Measured:
    rows = by_step(runs)
    small = rows[(rows["eps"] <= 1) & (rows["predicted"] < 1)]
    return (
        f"measured over predicted rate: {at_least(rows['least'].min(), 0.01)}, in the median "
        f"{about(rows['median'].median(), 3)}; "
        f"{share(small['arrived'] == 1)} of the runs at radii up to 1 have all their starts arrive",
        {"least": rows["least"].min(), "median": rows["median"].median()},
    )


@PAGE.claim(
    "rate.repels",
    statement="Theorem (this book), too large a step",
    says="(not in the paper) steps beyond s = 2/(c_max - 1) repel; where c_max ≤ 1 no step does",
    evidence="dynamics.contraction",
    holds=lambda before, after, never, cases: before < 1 < after and never < 1 and cases >= 10,
    verdict="reproduced",
    why="0.9 and 1.1 times the threshold where there is one, and a step of 1,000 radii where there is none",
)
def _repels(runs: pd.DataFrame) -> Measured:
    rows = by_step(runs)
    before, after = (rows.loc[rows["position"] == name, "raw"].dropna() for name in ("before", "after"))
    never = rows[rows["repels_beyond"].isna()]["raw"].dropna()
    free = runs["repels_beyond"].isna()
    return (
        f"{len(after)} networks have a threshold: 0.9 of it attracts with factors {at_most(before.max(), 0.001)}, "
        "1.1 of it "
        f"repels with {at_least(after.min(), 0.001)}; in the others the largest factor at any step is "
        f"{about(never.max())}. "
        f"No threshold at ε ≤ 0.2: {share(free[runs['eps'] <= 0.2])}",
        {"before": before.max(), "after": after.min(), "never": never.max(), "cases": len(after)},
    )


@PAGE.claim(
    "rate.best-step",
    statement="Theorem (this book), best step",
    says="(not in the paper) the best step is s = 2/(c_min + c_max), or as large as can be where that is not positive",
    evidence="dynamics.contraction",
    holds=lambda beaten, fewer: beaten < 1e-3 and fewer > 1,
    verdict="reproduced",
    why="against each of the other steps of the network, by the measured factor",
)
def _best(runs: pd.DataFrame) -> Measured:
    rows = by_step(runs).assign(raw=lambda t: t["raw"].fillna(t["predicted"]))
    best = rows[rows["position"] == "best"].set_index(NETWORK)
    others = rows[rows["position"].isin(["theorem", "s"])].set_index(NETWORK)
    beaten = float((best["raw"].reindex(others.index) - others["raw"]).max())
    small = rows[(rows["eps"] == 0.2) & (rows["loss"] == "squared")]
    counts = small.groupby("position")["steps"].median()
    return (
        f"no other step has a smaller factor; at ε = 0.2 it takes {about(counts['best'])} steps to 1e-9 radii "
        "from uniform "
        f"starts in the median, η = ε² {about(counts['theorem'])}",
        {"beaten": beaten, "fewer": float(counts["theorem"] / counts["best"])},
    )


@PAGE.claim(
    "rate.theorem-3.1",
    statement="Theorem 3.1, sharp",
    says="(not in the paper) PGD takes (log(1/η)/2 + const)/(-log factor) steps to ‖Γ‖ ≤ √η: η^-1 log(1/η), not η^-2",
    evidence="dynamics.theorem_3_1",
    holds=lambda slope, low, high: low > 0.9 and high < 1.1 and 0.9 < slope < 1.1,
    verdict="reproduced",
    why="slope of steps·(-log factor) against log(1/η)/2, each net with a constant of its own; resampled over nets",
)
def _sharp(rate: pd.DataFrame) -> Measured:
    slopes = stopping_slopes(rate)
    low, high = bootstrap(slopes)
    return (
        f"slope {about(slopes.mean(), 3)} [{about(low, 3)}, {about(high, 3)}] over {len(slopes)} nets and radii",
        {"slope": slopes.mean(), "low": low, "high": high},
    )


def stopping_slopes(rate: pd.DataFrame) -> pd.Series:
    """Return for each net the slope of the median steps times the rate against log(1/eta)/2; 1 by the theorem.

    The largest step, eta = eps^2, is left out: there the way through the ball is counted in single steps.
    """
    table = by_net(rate[rate["eta_ratio"] < 1])
    table = table.assign(clock=table["steps"] * table["rate"], time=-np.log(table["eta"]) / 2)
    centred = table[["clock", "time"]] - table.groupby("net")[["clock", "time"]].transform("mean")
    products = (centred["clock"] * centred["time"]).groupby(table["net"]).sum()
    squares = (centred["time"] ** 2).groupby(table["net"]).sum()
    return (products / squares)[squares > 0]


@PAGE.claim(
    "section-4.fixed-point",
    says="where the gradient is parallel to the normal of the sphere, the point is a fixed point of projected "
    "gradient descent",
    evidence="dynamics.contraction",
    holds=lambda rest, leaves: rest < 1e-9 and leaves > 0.1,
    verdict="reproduced in part",
    why="where -∂L points outwards. At the weakest adversary it points inwards, nothing is projected, and PGD "
    "walks off",
)
def _fixed(runs: pd.DataFrame) -> Measured:
    leaves = runs["leaves"].dropna()
    return (
        f"one step moves the strongest adversary by {at_most(runs['rest'].max(), 1e-12)} of η‖∂L‖, the weakest "
        "(found in "
        f"{len(leaves)} of {len(runs)}) by {at_least(leaves.min(), 0.05)} of it, {about(leaves.median())} in the "
        "median",
        {"rest": runs["rest"].max(), "leaves": leaves.min()},
    )
