"""The claims of the page on strength: Figure 1a and 1b, read across examples, along the steps and between attacks.

The conditions were written, from the paper's sentences, before the runs that judge them; where one failed, the claim
says so and its condition is now what contradicts the sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from advnb.book.claims import Page
from advnb.book.rounding import about, interval
from advnb.papers.convergence.criterion.claims import DATA, EVIDENCE, Array, Measured, field, means, named, percent
from advnb.papers.convergence.criterion.trials import ATTACKS, ENTROPY, LONG, STEPS

PAGE = Page("convergence/strength", title="FOSC and strength")

FEWEST = 10
"""Examples that a group of Figure 1a needs to be counted."""


def linear(table: pd.DataFrame, against: str, variant: str = "raw") -> Array:
    """Return Pearson's correlation over the twenty groups of one FOSC with ``right`` or ``loss``, one a network."""
    row = 1 + ("right", "loss", "norm").index(against)
    return np.array([np.corrcoef(groups[0], groups[row])[0, 1] for groups in field(table, f"groups_{variant}")])


def printed_groups(table: pd.DataFrame, against: str, variant: str = "raw") -> Array:
    """Return the same over Figure 1a's groups of equal width up to 0.1.

    Those with fewer than ten examples are left out; 0 if fewer than three are left, or all alike.
    """
    found = []
    for counts, right, loss in field(table, f"bins_{variant}"):
        full = counts >= FEWEST
        values = (right if against == "right" else loss)[full]
        middle = np.arange(len(counts))[full]
        found.append(np.corrcoef(middle, values)[0, 1] if full.sum() > 2 and np.ptp(values) > 0 else 0.0)
    return np.array(found)


def across_examples(tables: Sequence[pd.DataFrame], against: str, variant: str = "raw") -> str:
    """Return Spearman's correlations across examples as text, with the networks' 95% intervals taken together."""
    row, said = ("right", "loss", "norm").index(against), []
    for name, table in zip(DATA, tables, strict=True):
        value, low, high = field(table, f"spearman_{variant}", row).T
        said.append(f"{name} {about(value.mean())} {interval(low.min(), high.max())}")
    return ", ".join(said)


@PAGE.claim(
    "figure-1a.accuracy",
    says="FOSC has a linear correlation with accuracy: the lower the FOSC, the lower the accuracy",
    evidence=EVIDENCE,
    holds=lambda groups, printed, high: max(groups) < -0.5 and printed < -0.5 and high < 0,
    verdict="not reproduced",
    why="the opposite sign on every data set; the condition committed before the run, above 0.8, failed on all three",
)
def _accuracy(*tables: pd.DataFrame) -> Measured:
    groups = means(tables, linear, "right")
    printed = float(printed_groups(tables[0], "right").mean())
    return (
        f"Pearson's correlation over twenty equal groups {named(groups)}; over CIFAR-10's groups from 0 to 0.1 "
        f"{about(printed)}; Spearman's across examples {across_examples(tables, 'right')}"
    ), {"groups": groups, "printed": printed, "high": max(field(t, "spearman_raw", 0, 2).max() for t in tables)}


@PAGE.claim(
    "figure-1a.loss",
    says="FOSC has a linear correlation with the loss: the lower the FOSC, the higher the loss",
    evidence=EVIDENCE,
    holds=lambda groups, printed, low: min(groups) > 0.5 and printed > 0.5 and low > 0,
    verdict="not reproduced",
    why="the opposite sign on every data set; the condition committed before the run, below -0.8, failed on all three",
)
def _loss(*tables: pd.DataFrame) -> Measured:
    groups = means(tables, linear, "loss")
    printed = float(printed_groups(tables[0], "loss").mean())
    return (
        f"Pearson's correlation over twenty equal groups {named(groups)}; over CIFAR-10's groups from 0 to 0.1 "
        f"{about(printed)}; Spearman's across examples {across_examples(tables, 'loss')}"
    ), {"groups": groups, "printed": printed, "low": min(field(t, "spearman_raw", 1, 1).min() for t in tables)}


@PAGE.claim(
    "figure-1b.fosc",
    says="as the perturbation step increases, FOSC decreases consistently towards 0",
    evidence=EVIDENCE,
    holds=lambda down, left: down[0] > 0.8 and left[0] < 0.2 and max(down[1:]) < 0.6 and min(left[1:]) > 0.8,
    verdict="reproduced in part",
    why="as the paper says on CIFAR-10, its own data set; on MNIST it goes up, on digits nowhere, and the condition "
    "committed before the run, for all three, failed",
)
def _towards_zero(*tables: pd.DataFrame) -> Measured:
    down = means(tables, field, "down_raw", slice(STEPS))
    left = [median_left(table, "raw") for table in tables]
    boxed = [median_left(table, "box") for table in tables]
    return (
        f"it goes down at {named(down, percent)} of the steps 1 to 10; the median after ten steps is {named(left)} of "
        f"the median at the start (within the box {named(boxed)})"
    ), {"down": down, "left": left}


def median_left(table: pd.DataFrame, variant: str, step: int = STEPS) -> float:
    """Return the median FOSC at ``step`` over the median at the start, the mean over networks."""
    medians = field(table, f"path_{variant}", 2)
    return float((medians[:, step] / medians[:, 0]).mean())


def band(table: pd.DataFrame, name: str) -> Array:
    """Return the width from the 5th to the 95th percentile at step 10, one a network."""
    low, high = field(table, f"path_{name}", [1, 3], STEPS).T
    return high - low


def wider_than(table: pd.DataFrame, variant: str) -> Array:
    """Return how many times as wide as one FOSC's :func:`band` the loss's is."""
    return band(table, "loss") / band(table, variant)


def own_range(table: pd.DataFrame, name: str) -> Array:
    """Return :func:`band` over the same width of steps 0 to 10 taken together, one a network."""
    low, high = field(table, f"pooled_{name}", [0, 2]).T
    return band(table, name) / (high - low)


@PAGE.claim(
    "figure-1b.loss",
    says="the loss increases and stabilizes at a much wider range of values",
    evidence=EVIDENCE,
    holds=lambda up, late, wider: min(up) > 0.8 and max(late) < 0.1 and wider[0] > 2 and wider[1] < 1,
    verdict="reproduced in part",
    why="it rises and settles everywhere; its range is much the wider on CIFAR-10 and the narrower on MNIST, where the "
    "condition committed before the run failed",
)
def _stabilises(*tables: pd.DataFrame) -> Measured:
    up = means(tables, field, "up_loss", slice(STEPS))
    mean = [field(table, "path_loss", 0) for table in tables]
    late = [float(((m[:, LONG] - m[:, STEPS]) / (m[:, STEPS] - m[:, 0])).mean()) for m in mean]
    wider = means(tables, wider_than, "raw")
    return (
        f"it goes up at {named(up, percent)} of the steps 1 to 10; ten more steps add {named(late, percent)} of what "
        f"the first ten gained; from the 5th to the 95th percentile it is {named(wider)} times as wide as FOSC"
    ), {"up": up, "late": late, "wider": wider}


@PAGE.claim(
    "section-3.2.consistent",
    says="FOSC is more consistent than the loss",
    evidence=EVIDENCE,
    holds=lambda fosc, loss: fosc[0] < loss[0] / 2 and fosc[1] > 0.9 * loss[1],
    verdict="reproduced in part",
    why="on CIFAR-10 and digits; the condition committed before the run, for all three, failed on MNIST",
)
def _consistent(*tables: pd.DataFrame) -> Measured:
    fosc, boxed, relative, loss = (means(tables, own_range, name) for name in ("raw", "box", "relative", "loss"))
    return (
        "width over examples (5th to 95th percentile) after ten steps, as a share of its own over steps 0 to 10: FOSC "
        f"{named(fosc)}, within the box {named(boxed)}, over ε‖g‖₁ {named(relative)}; the loss {named(loss)}"
    ), {"fosc": fosc, "loss": loss}


@PAGE.claim(
    "section-3.2.along",
    statement="Section 3.2 (strength, along the steps)",
    says="the closer the FOSC to 0, the stronger the attack",
    evidence=EVIDENCE,
    holds=lambda median, relative: median[0] < -0.5 and median[1] > 0.5 and max(relative) < -0.5,
    verdict="reproduced in part",
    why="on CIFAR-10 for almost every image; on MNIST the opposite, and the condition committed before the run, for "
    "all three, failed; over ε‖g‖₁ it holds on all",
)
def _along(*tables: pd.DataFrame) -> Measured:
    median, boxed, relative = (means(tables, field, f"within_{name}", 0, 25) for name in ("raw", "box", "relative"))
    follows = means(tables, field, "follows_raw", 0)
    return (
        f"Spearman's correlation of FOSC with the loss along steps 0 to 10 of one image, its median over images: "
        f"{named(median)}; within the box {named(boxed)}, over ε‖g‖₁ {named(relative)}; at a step where the loss rises "
        f"FOSC falls for {named(follows, percent)}"
    ), {"median": median, "relative": relative}


@PAGE.claim(
    "section-3.2.between",
    statement="Section 3.2 (strength, between attacks)",
    says="the closer the FOSC to 0, the stronger the attack",
    evidence=EVIDENCE,
    holds=lambda ranks, entropy, fooled: ranks[0] < 0.5 and min(entropy) > 0.5 and min(fooled) > 0.6,
    verdict="reproduced in part",
    why="among attacks on the loss of which FOSC is taken; C&W, which maximises another, is among the strongest at a "
    "high FOSC, so that the condition committed before the run, for all six, failed",
)
def _between(*tables: pd.DataFrame) -> Measured:
    ranks, entropy = (means(tables, by_attack, "raw", n) for n in (len(ATTACKS), len(ENTROPY)))
    fooled = means(tables, agreeing, "raw", 2)
    loss = means(tables, agreeing, "raw", 0)
    return (
        f"Spearman's correlation over six attacks of mean FOSC with accuracy: {named(ranks)}, without C&W "
        f"{named(entropy)}; where one of two attacks fools the network, it has the lower FOSC in "
        f"{named(fooled, percent)}; the higher loss has the lower FOSC in {named(loss, percent)}"
    ), {"ranks": ranks, "entropy": entropy, "fooled": fooled}


def by_attack(table: pd.DataFrame, variant: str, attacks: int = len(ATTACKS)) -> Array:
    """Return Spearman's correlation over the first ``attacks`` of mean FOSC with accuracy, one a network."""
    both = (field(table, f"attack_{name}", slice(attacks)) for name in (variant, "right"))
    return np.array([stats.spearmanr(one, other).statistic for one, other in zip(*both, strict=True)])


def agreeing(table: pd.DataFrame, variant: str, first: int, which: str = "pairs") -> Array:
    """Return the share of pairs (``measures.pairs``) in which lower FOSC is stronger, by loss (0) or outcome (2)."""
    agree, of = field(table, f"{which}_{variant}", slice(first, first + 2)).T
    return agree / of


@PAGE.claim(
    "section-3.1.better",
    says="a smaller value of c(xᵏ) indicates a better solution of the inner maximization",
    evidence=EVIDENCE,
    holds=lambda missing: min(missing) > 0.3,
    verdict="reproduced",
    why="partly since a steep loss has more to miss: over ε‖g‖₁ less of it is left",
)
def _better(*tables: pd.DataFrame) -> Measured:
    missing, relative = (means(tables, field, f"short_of_best_{name}") for name in ("raw", "relative"))
    return (
        "Spearman's correlation, across PGD-10's examples, of FOSC with how far the loss is below the best that any of "
        f"six attacks found: {named(missing)}; over ε‖g‖₁ {named(relative)}"
    ), {"missing": missing}
