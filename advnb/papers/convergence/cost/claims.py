"""The claims about AutoAttack, cost and c_max, which the paper leaves open; conditions set before the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from advnb.book.claims import Page
from advnb.book.rounding import about, at_most
from advnb.papers.convergence.cost.trials import RULE
from advnb.papers.convergence.paired import Difference, gain, of_defence, over_seeds
from advnb.papers.convergence.tables.claims import ALL, NAMES, TRAINED, judged, points

PAGE = Page("convergence/cost", title="AutoAttack, cost and c_max")

Measured = tuple[str, dict[str, Any]]


@PAGE.claim(
    "autoattack.rank",
    says="Dynamic almost achieves the best robustness among all the defense models; here under AutoAttack",
    evidence="convergence.autoattack",
    holds=lambda standard, curriculum: standard <= 0,
    verdict="not reproduced",
    statement="Table 1 (AutoAttack)",
    why="ahead of Curriculum, not of Standard; the condition set before the runs (both intervals above 0) "
    "failed. 200 images, and few seeds",
)
def _rank(runs: pd.DataFrame) -> Measured:
    found = {other: gain(runs, "autoattack", "dynamic", other) for other in TRAINED[:2]}
    each = ", ".join(f"{100 * of_defence(runs, 'autoattack', n).mean() + 1e-5:.1f}% {n.capitalize()}" for n in TRAINED)
    said = ", ".join(f"{points(g)} over {other.capitalize()}" for other, g in found.items())
    return f"MNIST under AutoAttack: {each}; Dynamic in points {said}", {other: g.low for other, g in found.items()}


@PAGE.claim(
    "autoattack.gap",
    says="PGD is regarded as the strongest first-order attack, and C&W is among the strongest attacks to date",
    evidence="convergence.autoattack",
    holds=lambda gap, least: gap > 0.02 and least >= 0,
    verdict="reproduced in part",
    statement="Section 2.1 (strongest attacks)",
    why="said in 2019, and AutoAttack is of 2020: it takes more, and most from the defences that began on weak "
    "examples; the condition set before the runs (less than two points) failed",
)
def _gap(runs: pd.DataFrame) -> Measured:
    tables = runs[runs["defence"].isin(TRAINED)].assign(least=lambda t: t[["pgd20", "cw"]].astype(float).min(axis=1))
    gaps = (tables["least"] - tables["autoattack"].astype(float)).groupby(tables["defence"]).mean()
    said = ", ".join(f"{100 * gaps[name] + 1e-5:.1f} for {name.capitalize()}" for name in TRAINED)
    return f"accuracy that AutoAttack takes beyond the better of PGD-20 and C&W, in points: {said}", {
        "gap": float(gaps.max()),
        "least": float(gaps.min()),
    }


def spent(row: Any) -> float:
    """Return the gradients that a network's training took, an example: those of the attack, and one of the weights."""
    return float(np.sum(row["epoch_gradients"])) + int(row["epochs"])


@PAGE.claim(
    "cost.saved",
    says="the perturbation process stops for examples whose FOSC is already smaller than c_t: Dynamic costs less",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits: mnist > 0.1 and cifar10 > 0.1,
    verdict="reproduced",
    statement="Algorithm 1 (cost)",
)
def _saved(*tables: pd.DataFrame) -> Measured:
    share = {
        data: {
            name: over_seeds((1 - of_defence(table, spent, name) / of_defence(table, spent, "standard")).dropna())
            for name in TRAINED[1:]
        }
        for data, table in judged(*tables).items()
    }
    said = ", ".join(
        f"{100 * each['dynamic'].mean:.0f}% on {NAMES[data]} (Curriculum {100 * each['curriculum'].mean:.0f}%)"
        for data, each in share.items()
    )
    return f"share of Standard's gradients that Dynamic does not compute: {said}", {
        data: each["dynamic"].low for data, each in share.items()
    }


def frontier(runs: pd.DataFrame, full: pd.DataFrame) -> pd.DataFrame:
    """Return cost and accuracy under PGD-20 of every cell (a defence, its epochs and steps) and seed."""
    rows = pd.concat([runs, judged(full)["digits"]], ignore_index=True)
    rows = rows[rows["defence"].isin(TRAINED) & rows["seed"].isin(runs["seed"])]
    steps = rows["steps"].fillna(10) if "steps" in rows else 10
    found = rows.assign(cost=rows.apply(spent, axis=1), steps=steps, pgd20=rows["pgd20"].astype(float))
    return found[["defence", "epochs", "steps", "seed", "cost", "pgd20", "clean"]]


def at_equal_cost(cells: pd.DataFrame, one: str, other: str = "standard") -> Difference:
    """Return the lead of ``one`` defence at full length over the best cell of the ``other`` that costs no more."""
    mine = cells[(cells["defence"] == one) & (cells["epochs"] == cells["epochs"].max())].set_index("seed")
    theirs = cells[cells["defence"] == other].groupby(["epochs", "steps"])[["cost", "pgd20"]].mean()
    cell = theirs[theirs["cost"] <= mine["cost"].mean()]["pgd20"].idxmax()
    best = cells[cells["defence"] == other].set_index(["epochs", "steps"]).loc[[cell]].set_index("seed")
    return over_seeds((mine["pgd20"] - best["pgd20"]).dropna())


@PAGE.claim(
    "cost.frontier",
    says="Dynamic is the better defence; here at equal cost, against Standard with fewer epochs or fewer steps",
    evidence=("convergence.cost", "convergence.tables_digits"),
    holds=lambda dynamic, dynamic_mean: dynamic_mean <= 0,
    verdict="not reproduced",
    statement="Table 1 (at equal cost)",
    why="Standard with fewer, longer steps is as robust and cheaper; the condition set before the runs (an "
    "interval above 0) failed",
)
def _frontier(runs: pd.DataFrame, full: pd.DataFrame) -> Measured:
    cells = frontier(runs, full)
    found = {name: at_equal_cost(cells, name) for name in TRAINED[1:]}
    said = ", ".join(f"{name.capitalize()} {points(g)}" for name, g in found.items())
    return f"digits, accuracy under PGD-20 less that of the best Standard that costs no more, in points: {said}", {
        "dynamic": found["dynamic"].low,
        "dynamic_mean": found["dynamic"].mean,
    }


@PAGE.claim(
    "cost.bfloat16",
    says="(not in the paper) attacks computed in bfloat16 while training leave the robustness alone",
    evidence="convergence.tables_digits",
    holds=lambda low, high: low > -0.03 and high < 0.03,
    verdict="reproduced",
    why="digits; the condition, three points, was written after the runs",
    statement="Section 5.1 (bfloat16)",
)
def _bfloat16(runs: pd.DataFrame) -> Measured:
    short = runs[runs["bfloat16"].eq(True)]
    found = {
        name: over_seeds(
            (of_defence(short, "pgd20", name) - of_defence(judged(runs)["digits"], "pgd20", name)).dropna()
        )
        for name in ("standard", "dynamic")
    }
    said = ", ".join(f"{points(g)} for {name.capitalize()}" for name, g in found.items())
    return f"accuracy under PGD-20 less that of the same seed in float32, in points: {said}", {
        "low": min(g.low for g in found.values()),
        "high": max(g.high for g in found.values()),
    }


def by_factor(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean accuracy under PGD-20 for each factor of the rule (rows; 0 is Standard) and eps (columns)."""
    size = runs["eps"].astype(float) if "eps" in runs else pd.Series(np.nan, runs.index)
    rows = pd.DataFrame({"eps": size.fillna(0.3), "factor": runs["factor"], "pgd20": runs["pgd20"].astype(float)})
    return rows.groupby(["factor", "eps"])["pgd20"].mean().unstack("eps")


def regret(runs: pd.DataFrame, factor: float) -> tuple[float, float]:
    """Return how far ``factor`` lies behind the best one, and the worst behind the best.

    Each is the largest over eps, over the factors above 0.
    """
    means = by_factor(runs).drop(index=0, errors="ignore")
    grid, rule = means.to_numpy(), means.index.get_loc(factor)
    return float((grid.max(0) - grid[rule]).max()), float((grid.max(0) - grid.min(0)).max())


@PAGE.claim(
    "c-max.formed",
    says="c_max can be estimated by the average FOSC value on a batch of weak adversarial examples such as FGSM",
    evidence="convergence.c_max",
    holds=lambda behind, spread: behind > 0.02 and spread > 0.02,
    verdict="reproduced in part",
    statement="Section 4.1 (c_max, digits)",
    why="it can, but the paper does not say on which network: near its own 0.5 on a trained one; on one of three "
    "epochs the estimate is too large. The condition set before the runs (within a point of the best) failed",
)
def _formed(runs: pd.DataFrame) -> Measured:
    behind, spread = regret(runs, 1.0)
    weak = runs.groupby("eps")["weak"].agg(["min", "max"])
    values = ", ".join(f"{about(row['min'])} to {about(row['max'])} at eps = {eps:g}" for eps, row in weak.iterrows())
    return (
        f"after 3 epochs on FGSM the mean FOSC of FGSM is {values}; with it as c_max accuracy under PGD-20 is "
        f"{at_most(100 * behind, 0.1)} points behind the best factor of two decades, the worst factor "
        f"{about(100 * spread)}"
    ), {"behind": behind, "spread": spread}


@PAGE.claim(
    "c-max.elsewhere",
    says="(not in the paper) 0.3 times that average, the largest share within a point of the best on digits, is a good "
    "c_max on other data",
    evidence="convergence.c_max_elsewhere",
    holds=lambda behind, spread: behind < 0.02 and spread > 0.03,
    verdict="reproduced in part",
    statement="Section 4.1 (c_max, MNIST)",
    why="one other data set and two seeds, and Standard was not run at that size; the condition was set when "
    "the rule was formed, before these runs",
)
def _elsewhere(runs: pd.DataFrame) -> Measured:
    behind, spread = regret(runs, RULE)
    low, high = (about(RULE * value) for value in (runs["weak"].min(), runs["weak"].max()))
    return (
        f"the rule gives c_max = {low} to {high}; accuracy under PGD-20 is {at_most(100 * behind, 0.1)} points behind "
        f"the best of a quarter, one and four times that, the worst of them {about(100 * spread)}"
    ), {"behind": behind, "spread": spread}
