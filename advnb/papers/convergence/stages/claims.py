"""The claims of Figure 5: FOSC of what each defence trains on, stage by stage, and what it says of robustness.

The conditions were set before the runs, which are those of the tables; CIFAR-10 decides, as in the paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from advnb.book.claims import Page
from advnb.book.rounding import about
from advnb.papers.convergence.paired import Difference, below, distance, gain, median, of_defence, over_seeds, quantile
from advnb.papers.convergence.tables.claims import BOTH, NAMES, RUNS, TRAINED, judged, lows, points, told
from advnb.papers.convergence.tables.trials import STAGES

PAGE = Page("convergence/stages", title="FOSC over the epochs")

Measured = tuple[str, dict[str, Any]]

FIGURE_5 = {"standard": (1 / 12, 1 / 2, 5 / 6), "curriculum": (1 / 2, 3 / 4, 1.0), "dynamic": (1 / 12, 1 / 2, 5 / 6)}
"""Shares of training shown: epochs 10, 60, 100 for Standard and Dynamic, 60, 90, 120 for Curriculum."""


def distributions(row: Any, field: str = "own_fosc") -> list[np.ndarray]:
    """Return the percentiles of FOSC at the three stages that Figure 5 shows for the row's defence."""
    return [np.asarray(row[field][STAGES.index(share)], float) for share in FIGURE_5[row["defence"]]]


@PAGE.claim(
    "figure-5.decreasing",
    says="both Curriculum and Dynamic learn with adversarial examples of increasing convergence quality (decreasing "
    "FOSC)",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda curriculum, dynamic, mnist: curriculum < 1 and dynamic < 1,
    verdict="reproduced",
)
def _decreasing(*tables: pd.DataFrame) -> Measured:
    def falls(row: Any) -> float:
        first, _, last = (median(stage) for stage in distributions(row))
        return float(np.log(last / first))

    found = {
        data: {name: over_seeds(of_defence(t, falls, name)) for name in TRAINED[1:]}
        for data, t in judged(*tables).items()
    }
    said = "; ".join(
        f"{', '.join(f'{name.capitalize()} {ratio(g)}' for name, g in part.items())} on {NAMES[data]}"
        for data, part in found.items()
    )
    return f"median FOSC at the last stage over that at the first: {said}", {
        **{name: float(np.exp(g.high)) for name, g in found["cifar10"].items()},
        "mnist": max(float(np.exp(g.high)) for g in found["mnist"].values()),
    }


def ratio(logs: Difference) -> str:
    """Return the geometric mean of ratios with its interval, as text."""
    return f"{about(np.exp(logs.mean))} [{about(np.exp(logs.low))}, {about(np.exp(logs.high))}]"


@PAGE.claim(
    "figure-5.concentrated",
    says="Dynamic demonstrates more concentrated FOSC distributions than Curriculum",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda cifar10, mnist, cifar10_mean, mnist_mean: cifar10 >= 1 and mnist < 1,
    verdict="reproduced in part",
    why="the interquartile range, mean of three stages: smaller on MNIST; on CIFAR-10, where the condition "
    "was set, Dynamic starts from a wide one",
)
def _concentrated(*tables: pd.DataFrame) -> Measured:
    def spread(row: Any) -> float:
        return float(np.log(np.mean([quantile(s, 0.75) - quantile(s, 0.25) for s in distributions(row)])))

    found = {data: gain(table, spread, "dynamic", "curriculum") for data, table in judged(*tables).items()}
    said = ", ".join(f"{ratio(g)} on {NAMES[data]}" for data, g in found.items())
    return f"interquartile range of FOSC, Dynamic over Curriculum: {said}", {
        **{data: float(np.exp(g.high)) for data, g in found.items()},
        **{f"{data}_mean": float(np.exp(g.mean)) for data, g in found.items()},
    }


@PAGE.claim(
    "figure-5.separated",
    says="Dynamic's FOSC distributions are more separated at different stages of training than Curriculum's",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda cifar10, mnist: cifar10 > 0,
    verdict="reproduced",
    why="the Kolmogorov-Smirnov distance of consecutive stages, mean of two",
)
def _separated(*tables: pd.DataFrame) -> Measured:
    def separation(row: Any) -> float:
        early, middle, late = distributions(row)
        return (distance(early, middle) + distance(middle, late)) / 2

    found = {data: gain(table, separation, "dynamic", "curriculum") for data, table in judged(*tables).items()}
    return f"distance of consecutive stages, Dynamic less Curriculum, in points of 100: {told(found)}", lows(found)


@PAGE.claim(
    "figure-5.end",
    says="at the later stages Dynamic ends up with the best convergence quality (FOSC density over 40%), followed by "
    "Curriculum (over 30%) and Standard (less than 30%)",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda dynamic, curriculum, mnist, free: dynamic <= 0 and curriculum <= 0 and free < 0,
    verdict="not reproduced",
    why="by the paper's level the three are level, as FOSC is small in these networks; by a level without "
    "scale, added after the runs, Standard ends with the lowest FOSC on CIFAR-10",
)
def _end(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)

    def near(row: Any) -> float:
        return below(distributions(row)[2], 0.1)

    over = gain(runs["cifar10"], near, "dynamic", "curriculum")
    next_ = gain(runs["cifar10"], near, "curriculum", "standard")
    share = ", ".join(f"{100 * of_defence(runs['cifar10'], near, n).mean():.0f}% for {n.capitalize()}" for n in TRAINED)
    free = {data: {name: nearer(table, name) for name in TRAINED[1:]} for data, table in runs.items()}
    said = "; ".join(
        f"{', '.join(f'{n.capitalize()} {points(g)}' for n, g in part.items())} on {NAMES[data]}"
        for data, part in free.items()
    )
    return (
        f"share of FOSC below 0.1 on CIFAR-10: {share}, nearly all; below the level that 30% of Standard's lie "
        f"under, in points more than those 30: {said}"
    ), {
        "dynamic": over.low,
        "curriculum": next_.low,
        "mnist": min(g.low for g in free["mnist"].values()),
        "free": max(g.high for g in free["cifar10"].values()),
    }


def nearer(table: pd.DataFrame, defence: str, share: float = 0.3) -> Difference:
    """Return how much more than ``share`` of a defence's FOSC at the end lies below Standard's quantile there.

    The level is that of Standard's network of the same seed, so that the scale of FOSC does not matter.
    """
    level = of_defence(table, lambda row: quantile(distributions(row)[2], share), "standard")
    both = {seed for seed in level.index if seed in set(table.loc[table["defence"] == defence, "seed"])}
    part = table[table["seed"].isin(both)]
    return over_seeds(of_defence(part, lambda row: below(distributions(row)[2], level[row.name]), defence) - share)


@PAGE.claim(
    "figure-5.robustness",
    says="the convergence quality at the end is well aligned with the final robustness: the lower the FOSC, the better",
    evidence=BOTH,
    holds=lambda mnist, cifar10, within_mnist, within_cifar10: cifar10 < -0.5 and mnist >= -0.5,
    verdict="reproduced in part",
    why="over all networks of the three defences, on CIFAR-10 only, and with Standard at the lower end; "
    "within: after each defence's mean is taken off",
)
def _aligned(*tables: pd.DataFrame) -> Measured:
    found: dict[str, float] = {}
    for data, table in judged(*tables).items():
        rows = table[table["defence"].isin(TRAINED)]
        fosc = np.array([median(cell[-1]) for cell in rows["pgd_fosc"]])
        points_ = pd.DataFrame({"defence": rows["defence"], "fosc": fosc, "robust": rows["pgd20"].astype(float)})
        within = points_.groupby("defence")[["fosc", "robust"]].transform(lambda v: v - v.mean())
        found[data] = float(stats.spearmanr(points_["fosc"], points_["robust"]).statistic)
        found[f"within_{data}"] = float(stats.spearmanr(within["fosc"], within["robust"]).statistic)
    said = ", ".join(
        f"{about(found[d])} on {NAMES[d]} (within defences {about(found[f'within_{d}'])})" for d in RUNS if d in found
    )
    return f"Spearman's correlation of median FOSC under PGD-10 and accuracy under PGD-20: {said}", found
