"""The claims of the page: Figures 2 and 3, and section 3.2's sentences on what makes a network robust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from advnb.book.claims import Page
from advnb.book.rounding import about, interval
from advnb.papers.convergence.compare import Gain, paired
from advnb.papers.convergence.followed import of_variant
from advnb.papers.convergence.percentiles import below, distance, median
from advnb.papers.convergence.robustness.trials import COUNTS, SIZE, SIZES
from advnb.papers.convergence.tables.trials import STAGES

PAGE = Page("convergence/robustness", title="FOSC and robustness", draft=True)

Measured = tuple[str, Mapping[str, Any]]
EARLY, MIDDLE, LATE = (STAGES.index(share) for share in (1 / 12, 1 / 2, 5 / 6))
"""Epochs 10, 60 and 100 of 120, the stages of Figure 3."""

NAMES = {1: "ε", 1 / 2: "ε/2", 1 / 4: "ε/4", 1 / 6: "ε/6", 1 / 8: "ε/8"}
"""What a step is called, given its size in units of eps."""


def of_sizes(runs: pd.DataFrame) -> dict[float, pd.DataFrame]:
    """Return the runs of Figure 2a by the size of the step, one row a seed."""
    return {size: runs[np.isclose(runs["size"], size)].set_index("seed").sort_index() for size in SIZES}


def of_counts(runs: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the runs of Figure 2b by the number of steps, one row a seed; those that were run."""
    part = runs[np.isclose(runs["size"], SIZE)]
    return {k: part[part["steps"] == k].set_index("seed").sort_index() for k in COUNTS if (part["steps"] == k).any()}


def accuracy(runs: pd.DataFrame, field: str) -> pd.Series:
    """Return each seed's accuracy, averaged over the attacks of ``field``."""
    return runs[field].map(np.mean)


def distances(runs: dict[Any, pd.DataFrame], field: str) -> list[float]:
    """Return the Kolmogorov-Smirnov distance of each pair of settings, its mean over the seeds."""
    names = list(runs)
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    return [
        float(np.mean([distance(runs[a][field][seed], runs[b][field][seed]) for seed in runs[a].index]))
        for a, b in pairs
    ]


@PAGE.claim(
    "figure-2a.best",
    says="the best robustness against all test attacks is observed for PGD-ε/2 or PGD-ε/4",
    evidence="convergence.figure_2",
    holds=lambda best, gain_low: all(size in (0.5, 0.25) for size in best) and gain_low > 0,
    verdict="reproduced",
    why="best of the four against each of the four attacks, and better than the other two steps by more than the seeds "
    "explain",
)
def _best_size(runs: pd.DataFrame) -> Measured:
    part = of_sizes(runs)
    mean = np.array([np.mean(rows["by_size"].tolist(), axis=0) for rows in part.values()])
    best = [SIZES[k] for k in mean.argmax(0)]
    each = {size: accuracy(rows, "by_size") for size, rows in part.items()}
    gain = paired((each[1 / 2] + each[1 / 4]) / 2 - (each[1] + each[1 / 8]) / 2)
    said = ", ".join(f"{100 * values.mean():.1f}% for {NAMES[size]}" for size, values in each.items())
    return (
        f"accuracy, mean over the four attacks: {said}; best against each attack: "
        f"{', '.join(NAMES[size] for size in best)}; ε/2 and ε/4 over ε and ε/8: {gain} points"
    ), {"best": best, "gain_low": gain.low}


@PAGE.claim(
    "figure-2c.concentrated",
    says="the FOSC distributions of PGD-ε/2 and PGD-ε/4 are more concentrated around 0",
    evidence="convergence.figure_2",
    holds=lambda middle, ends: max(middle) < min(ends),
    verdict="reproduced",
    why="medians of the last epoch's training examples, the paper's closed form",
)
def _concentrated(runs: pd.DataFrame) -> Measured:
    found = {size: rows["own_fosc"].map(median).mean() for size, rows in of_sizes(runs).items()}
    return "median FOSC: " + ", ".join(f"{about(value)} for {NAMES[size]}" for size, value in found.items()), {
        "middle": [found[1 / 2], found[1 / 4]],
        "ends": [found[1], found[1 / 8]],
    }


@PAGE.claim(
    "figure-2e.loss",
    says="the loss distributions are almost the same for different step sizes",
    evidence="convergence.figure_2",
    holds=lambda loss, fosc: loss < 0.15 and loss < fosc,
    verdict="reproduced",
    why="0.11 is where 300 examples of one distribution differ at the 5% level",
)
def _loss_sizes(runs: pd.DataFrame) -> Measured:
    return _apart(of_sizes(runs))


@PAGE.claim(
    "figure-2b.similar",
    says="when varying the step number, the final robustness values are very similar",
    evidence="convergence.figure_2",
    holds=lambda spread: spread < 0.03,
    verdict="reproduced",
    why="the mean over the four attacks; the standard error of 500 test images is 0.02",
)
def _similar(runs: pd.DataFrame) -> Measured:
    each = {count: accuracy(rows, "by_count").mean() for count, rows in of_counts(runs).items()}
    said = ", ".join(f"{100 * value:.1f}% for {count}" for count, value in each.items())
    return f"accuracy by training steps: {said}", {"spread": max(each.values()) - min(each.values())}


@PAGE.claim(
    "figure-2b.surface",
    says="increasing PGD steps brings only marginal or no gain when the steps are more than sufficient to reach the "
    "surface of the ball",
    evidence="convergence.figure_2",
    holds=lambda gain, gain_high: gain < 0.01 and gain_high < 0.03,
    verdict="reproduced",
    why="40 training steps against 20, both more than the 12 that cross the ball",
)
def _marginal(runs: pd.DataFrame) -> Measured:
    part = of_counts(runs)
    ten, twenty, forty = (accuracy(part[count], "by_count") for count in (10, 20, 40))
    gain = paired(forty - twenty)
    return f"in points, 40 steps over 20: {gain}; 20 over 10: {paired(twenty - ten)}", {
        "gain": gain.mean,
        "gain_high": gain.high,
    }


@PAGE.claim(
    "figure-2d.similar",
    says="the similar robustness for different step numbers is reflected by similar FOSC distributions",
    evidence="convergence.figure_2",
    holds=lambda fosc: fosc < 0.15,
    verdict="reproduced",
)
def _fosc_counts(runs: pd.DataFrame) -> Measured:
    text, numbers = _apart(of_counts(runs))
    return text, {"fosc": numbers["fosc"]}


@PAGE.claim(
    "section-3.2.surface",
    says="12 steps of ε/6 following the same gradient direction reach the surface of the ball from any starting point",
    evidence="convergence.crossing",
    holds=lambda at_12, at_11: at_12 == 1 and at_11 < 1,
    verdict="reproduced",
    why="12 steps of ε/6 are the diameter of the ball, and one step fewer is not enough",
)
def _surface(runs: pd.DataFrame) -> Measured:
    six = runs[np.isclose(runs["size"], 1 / 6)].set_index("steps")["opposite"]
    return f"share of pixels at the surface, started opposite: {six[12]:.0%} after 12 steps, {six[11]:.0%} after 11", {
        "at_12": six[12],
        "at_11": six[11],
    }


@PAGE.claim(
    "figure-3.setting",
    says="10-step PGD-ε/4 and 10-step PGD-ε/8 are the best and the worst model observed in Figure 2a",
    evidence=("convergence.figure_2", "convergence.crossing"),
    holds=lambda best, worst, crosses: best == 0.25 and worst == 0.125 and crosses == 1,
    verdict="reproduced",
    why="Figure 2a has 20 steps",
)
def _setting(runs: pd.DataFrame, cross: pd.DataFrame) -> Measured:
    mean = {size: accuracy(rows, "by_size").mean() for size, rows in of_sizes(runs).items()}
    best, worst = max(mean, key=mean.__getitem__), min(mean, key=mean.__getitem__)
    ten = cross.query("size == 0.125 and steps == 10")["uniform"].iloc[0]
    return (
        f"with 20 steps {NAMES[best]} is best and {NAMES[worst]} worst; 10 steps of ε/8 bring {ten:.0%} of the "
        "pixels of a uniform start to the surface, 20 steps all"
    ), {"best": best, "worst": worst, "crosses": ten}


@PAGE.claim(
    "section-3.2.indicator",
    says="FOSC is a more reliable indicator of the final robustness of PGD adversarial training, compared to the loss",
    evidence="convergence.figure_2",
    holds=lambda fosc, gain_low: fosc < -0.5 and gain_low > 0,
    verdict="reproduced",
    why="Spearman's correlation over the eight ways of training, for each seed; a loss may point either way",
)
def _indicator(runs: pd.DataFrame) -> Measured:
    fosc, box, loss = (ranks(runs, name) for name in ("own_fosc", "own_box", "own_loss"))
    gain = paired(fosc.abs() - loss.abs())
    return (
        f"rank correlation of accuracy with the median FOSC {about(fosc.mean())} {interval(fosc.min(), fosc.max())}, "
        f"within the box {about(box.mean())} {interval(box.min(), box.max())}, with the median loss "
        f"{about(loss.mean())} {interval(loss.min(), loss.max())} (range of the seeds); |FOSC| less |loss|: "
        f"{plainly(gain)}"
    ), {"fosc": fosc.mean(), "gain_low": gain.low}


def ranks(runs: pd.DataFrame, field: str) -> pd.Series:
    """Return, for each seed, Spearman's correlation over the ways of training of accuracy with the median of ``field``.

    Accuracy is the mean over all eight attacks.
    """
    table = runs.assign(accuracy=(accuracy(runs, "by_size") + accuracy(runs, "by_count")) / 2,
                        at=runs[field].map(median))  # fmt: skip
    found = {seed: stats.spearmanr(rows["accuracy"], rows["at"]).statistic for seed, rows in table.groupby("seed")}
    return pd.Series(found)


def staged_median(runs: pd.DataFrame, variant: str, stage: int, field: str = "own_fosc") -> pd.Series:
    """Return the median of ``field`` at a stage of training, over the seeds."""
    return of_variant(runs, variant, field).map(lambda rows: median(rows[stage]))


@PAGE.claim(
    "figure-3a.early",
    says="for both models, FOSC at the early stage is significantly lower than at the following two stages",
    evidence="convergence.figure_3",
    holds=lambda highs: max(highs) < 0,
    verdict="reproduced",
    why="medians of the training examples, early less the lower of the two later stages",
)
def _early(runs: pd.DataFrame) -> Measured:
    found = [early_less(runs, variant) for variant in ("standard", "small_steps")]
    text = ", ".join(f"{plainly(each)} with {name}" for each, name in zip(found, ("ε/4", "ε/8"), strict=True))
    loss = staged_median(runs, "standard", EARLY, "own_loss").mean()
    return (
        f"median FOSC, early less later: {text}; the median loss at the early stage is {about(loss)} with ε/4, of "
        f"{about(np.log(10), 3)} for a network that says nothing"
    ), {"highs": [each.high for each in found]}


@PAGE.claim(
    "figure-3b.robustness",
    says="with FGSM in place of PGD in the first 20 of 120 epochs the final robustness is significantly improved",
    evidence="convergence.figure_3",
    holds=lambda low: low > 0,
    verdict="reproduced",
    why="paired by seed",
)
def _fgsm_first(runs: pd.DataFrame) -> Measured:
    gain = _gain(runs, "fgsm_pgd")
    return f"accuracy under PGD-20, FGSM-PGD over PGD: {gain} points", {"low": gain.low}


@PAGE.claim(
    "figure-3c.later",
    says="the convergence quality of the examples found by PGD at the later stage is significantly improved: the "
    "density in [0, 0.1] rises from less than 30% to above 35%",
    evidence="convergence.figure_3",
    holds=lambda low: low > 0,
    verdict="reproduced",
    why="the share of the training examples with FOSC below 0.1, at epoch 100 of 120",
)
def _later(runs: pd.DataFrame) -> Measured:
    share = {name: near_zero(runs, name) for name in ("standard", "fgsm_pgd")}
    gain = paired(share["fgsm_pgd"] - share["standard"])
    return (
        f"share in [0, 0.1]: {share['standard'].mean():.1%} with PGD, {share['fgsm_pgd'].mean():.1%} with FGSM-PGD, "
        f"{gain} points"
    ), {"low": gain.low}


@PAGE.claim(
    "section-3.2.early",
    says="strong PGD attacks are not necessary for the early stage of training",
    evidence="convergence.figure_3",
    holds=lambda low: low > -0.02,
    verdict="reproduced",
    why="without them the accuracy under PGD-20 falls by less than 2 points, whatever the seed",
)
def _not_necessary(runs: pd.DataFrame) -> Measured:
    return _fgsm_first(runs)


def plainly(found: Gain) -> str:
    """Return a difference that is not one of shares, with its interval, as text."""
    return f"{about(found.mean)} {interval(found.low, found.high)}"


def near_zero(runs: pd.DataFrame, variant: str, stage: int = LATE, level: float = 0.1) -> pd.Series:
    """Return the share of the training examples with FOSC below ``level`` at a stage, over the seeds."""
    return of_variant(runs, variant, "own_fosc").map(lambda rows: below(rows[stage], level))


def _gain(runs: pd.DataFrame, variant: str) -> Gain:
    return paired(of_variant(runs, variant) - of_variant(runs, "standard"))


def early_less(runs: pd.DataFrame, variant: str) -> Gain:
    """Return the median FOSC at the early stage less the lower one of the two later stages, paired by seed."""
    early, middle, late = (staged_median(runs, variant, stage) for stage in (EARLY, MIDDLE, LATE))
    return paired(early - pd.concat([middle, late], axis=1).min(axis=1))


def _apart(runs: dict[Any, pd.DataFrame]) -> Measured:
    loss, fosc = (max(distances(runs, name)) for name in ("own_loss", "own_fosc"))
    return f"largest Kolmogorov-Smirnov distance of two settings: {about(loss)} for the loss, {about(fosc)} for FOSC", {
        "loss": loss,
        "fosc": fosc,
    }
