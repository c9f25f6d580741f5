"""The claims of section 5.1, of Figure 7 and of the released code, judged on stored runs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy import stats

from advnb.book.claims import MOVED, Page
from advnb.book.rounding import about, at_most, interval
from advnb.papers.lazy.flips import by_radius, exponents, tally

PAGE = Page("lazy/deviations", title="Deviations")

UNIT, PIXELS, LONG = "lazy.figures_5_6", "lazy.figures_2_3", "lazy.exits"
HISTOGRAMS, RELEASED, SHRUNK = "lazy.figure_7", "lazy.deviations", "lazy.shrinking"

Measured = tuple[str, dict[str, Any]]


def trained(unit: pd.DataFrame, pixels: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all networks of Figures 2, 3, 5 and 6 that left the ball."""
    both = pd.concat([by_radius(unit), by_radius(pixels).assign(reduction="mean")])
    return both.query("radius > 0 and reached")


def reach(table: pd.DataFrame, by: list[str], radii: tuple[float, ...]) -> pd.DataFrame:
    """Return for each setting and radius how many networks left the ball."""
    cells = {}
    for setting, part in table.groupby(by):
        for radius in radii:
            left = by_radius(part).query("radius == @radius")["reached"]
            cells[*setting, radius] = f"{left.sum()} of {len(left)}" if len(left) else "not asked"
    return pd.Series(cells).rename_axis([*by, "C0"]).unstack("C0")


@PAGE.claim(
    "section-5.1.exit",
    says="networks are trained until their weights leave the lazy regime of C0 = 10, 20, 30, 40",
    evidence=(UNIT, PIXELS, LONG),
    holds=lambda summed_40, short_20, long_40: summed_40 > 0.7 and short_20 < 0.5 and long_40 > 0.9,
    verdict="reproduced in part",
    why="how long that takes is not said: a thousand steps with a summed loss and unit rows, up to a million with an "
    "averaged one on pixels, where d > 100 was not run to the end",
)
def _exit(unit: pd.DataFrame, pixels: pd.DataFrame, long: pd.DataFrame) -> Measured:
    summed = by_radius(unit).query("m == 1000 and reduction == 'sum' and radius == 40")["reached"]
    short = by_radius(pixels).query("m == 1000 and not bias and radius == 20")["reached"]
    late = by_radius(long).query("d <= 100 and radius == 40")
    text = (
        f"summed loss, unit rows: C0 = 40 reached by {tally(summed)} networks within 1500 steps; pixels, averaged: "
        f"C0 = 20 by {tally(short)} within 3000, and C0 = 40 at d ≤ 100 by {tally(late['reached'])} that were given "
        f"more, in the median after {about(late['step'].median(), 1)} steps"
    )
    return text, {"summed_40": summed.mean(), "short_20": short.mean(), "long_40": late["reached"].mean()}


@PAGE.claim(
    "section-5.1.test-error",
    says="each trained model achieves a test error of less than 1%",
    evidence=(UNIT, PIXELS),
    holds=lambda below, radii_above: 0.5 < below < 1 and radii_above == [10],
    verdict="reproduced in part",
    why="most, not each; those above are all at C0 = 10, most of them with unit rows, for which training has only just "
    "begun there" + MOVED,
)
def _test_error(unit: pd.DataFrame, pixels: pd.DataFrame) -> Measured:
    rows = trained(unit, pixels)
    below = rows["test_error"] < 0.01
    text = f"{tally(below)} networks do; the largest error is {100 * rows['test_error'].max():.1f}%"
    return text, {"below": below.mean(), "radii_above": sorted(set(rows.loc[~below, "radius"]))}


@PAGE.claim(
    "section-5.1.shrinking",
    says="images are downsampled to simulate data of dimension d (how is not said)",
    evidence=SHRUNK,
    holds=lambda factor_25, factor_196: factor_25 > 1.1 > factor_196,
    verdict="reproduced in part",
    why="at d = 196 the choice changes the step by less than a tenth, at d = 25 by more, and with it the slope. The "
    "condition was moved: it had bounds on both sides of what was measured",
)
def _shrinking(runs: pd.DataFrame) -> Measured:
    rows = by_radius(runs).query("radius == 10 and reached and units == 'unit'")
    means = rows.pivot_table(index="d", columns="mode", values="relative")
    factor = means.max(axis=1) / means.min(axis=1)
    fits = exponents(rows, "relative", by="mode")["all d"]
    text = (
        f"the mean flipping step of unit rows differs between ways of shrinking by a factor of {about(factor[25])} at "
        f"d = 25 and {about(factor[196])} at d = 196; exponents for d ≤ 196: "
        + ", ".join(f"{fit} ({mode})" for mode, fit in fits.items())
    )
    return text, {"factor_25": factor[25], "factor_196": factor[196]}


def ratios(rows: pd.DataFrame, name: str, first: Any, second: Any) -> pd.Series:
    """Return the flipping step with ``second`` over that with ``first``, for networks that left the ball both times."""
    by = [other for other in ("units", "reduction", "stop", "bias", "d", "seed") if other != name]
    cells = rows.query("reached").pivot_table(index=by, columns=name, values="relative")
    return (cells[second] / cells[first]).dropna()


@PAGE.claim(
    "released-code.stop",
    statement="Released code (stop)",
    says="the code keeps the network after the first epoch that ends outside the ball; the paper, one inside",
    evidence=RELEASED,
    holds=lambda averaged, summed, longer: averaged < 1.2 < min(summed, longer),
    verdict="not reproduced",
    why="harmless if the batch's loss is averaged; if it is summed, one epoch goes far beyond the ball, and the curves "
    "are those of another C0. The condition was moved, to one bound of a fifth for all three",
)
def _stop(runs: pd.DataFrame) -> Measured:
    rows = by_radius(runs).query("radius == 10 and units == 'unit'")
    beyond = rows.query("stop == 'epoch' and reached").set_index("reduction")["moved"] / 10
    mean, summed = beyond["mean"], beyond["sum"].median()
    longer = ratios(rows.query("reduction == 'sum'"), "stop", "step", "epoch").median()
    text = (
        f"unit rows: the kept network is at {about(mean.median())} times C0 in the median "
        f"({at_most(mean.max(), 0.05)}) with an averaged loss, {about(summed)} times with a summed one, where its "
        f"flipping step is {about(longer)} times as long"
    )
    return text, {"averaged": mean.max(), "summed": summed, "longer": longer}


@PAGE.claim(
    "released-code.biases",
    statement="Released code (biases)",
    says="the code's network of Figures 2 and 3 has biases in both layers; section 2 has none",
    evidence=RELEASED,
    holds=lambda pixels, unit_25, unit_784: min(pixels, unit_25) > 1 and max(pixels, unit_25) < unit_784,
    verdict="reproduced in part",
    why="they make the step a little longer for the pixels of Figures 2 and 3; for rows of norm 1 a trained bias acts "
    "like one more pixel of size 1, which counts more the larger d is. The condition was moved: it said that pixels "
    "hardly matter, with a bound of 1.15 beside a measured 1.14",
)
def _biases(runs: pd.DataFrame) -> Measured:
    rows = by_radius(runs).query("radius == 10 and stop == 'step' and reduction == 'mean'")
    ratio = ratios(rows, "bias", False, True)
    pixels, unit = ratio.xs("pixels"), ratio.xs("unit")
    at_25, at_784 = (unit.xs(d, level="d").median() for d in (25, 784))
    text = (
        f"with biases the flipping step on pixels is {about(pixels.median())} times as long in the median "
        f"(networks: {interval(pixels.min(), pixels.max())}), on unit rows {about(at_25)} times at d = 25 and "
        f"{about(at_784)} times at d = 784"
    )
    return text, {"pixels": pixels.median(), "unit_25": at_25, "unit_784": at_784}


@PAGE.claim(
    "released-code.zeros",
    statement="Released code (zeros)",
    says="an image that is wrong before any step counts as 0 in the code's mean step",
    evidence=(UNIT, PIXELS),
    holds=lambda lowest: lowest > 0.95,
    verdict="reproduced",
    why="it changes no mean by a twentieth, as few images are wrong" + MOVED,
)
def _zeros(unit: pd.DataFrame, pixels: pd.DataFrame) -> Measured:
    rows = trained(unit, pixels)
    counted = rows["norm_released"] / rows["norm"]
    text = (
        f"this lowers the mean by {at_most(100 * (1 - counted.min()), 0.5)}%, in the median network by "
        f"{100 * (1 - counted.median()):.1f}%"
    )
    return text, {"lowest": counted.min()}


OF_HISTOGRAMS = {"step": "norm", "size": "eta", "gradient": "gradient_norm"}
"""What the histograms of Figure 7 are of, and the stored fields."""


def shapes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what the histograms look like in numbers: a row a network and a quantity.

    ``p normal`` is the p-value of D'Agostino and Pearson's test that the sample is normal.
    """
    rows = []
    for _, trial in runs.iterrows():
        for field in OF_HISTOGRAMS.values():
            values = trial[field]
            shape = {
                "mean": values.mean(),
                "spread": values.std(),
                "skewness": stats.skew(values),
                "kurtosis": stats.kurtosis(values),
                "p normal": stats.normaltest(values).pvalue,
            }
            rows.append({**trial[["units", "m", "seed"]], "of": field, **shape})
    return pd.DataFrame(rows).set_index(["units", "m", "seed", "of"])


@PAGE.claim(
    "figure-7.gaussian",
    says="the histograms of step, gradient and step size exhibit a Gaussian distribution",
    evidence=HISTOGRAMS,
    holds=lambda step, size, gradient, skewness: gradient < 0.5 < min(step, size) and skewness < 1,
    verdict="reproduced in part",
    why="the step and the step size lean to one side, by less than what is called a strong skewness; the gradient's "
    "histograms mostly pass for Gaussian. The condition was moved, so that all three are in it",
)
def _gaussian(runs: pd.DataFrame) -> Measured:
    found = shapes(runs)
    rejected = (found["p normal"] < 0.01).groupby("of").sum()
    skewness, kurtosis = found["skewness"], found["kurtosis"]
    text = (
        f"skewness from {about(skewness.min())} to {about(skewness.max())}, excess kurtosis from "
        f"{about(kurtosis.min())} to {about(kurtosis.max())}; normality rejected at 1% for {rejected['norm']} of "
        f"{len(runs)} networks (step), {rejected['eta']} (step size), {rejected['gradient_norm']} (gradient)"
    )
    shares = {name: rejected[of] / len(runs) for name, of in OF_HISTOGRAMS.items()}
    return text, {**shares, "skewness": skewness.abs().max()}


@PAGE.claim(
    "figure-7.eta",
    says="η concentrates around 0.045 (d = 784, m = 1e5, C0 = 10)",
    evidence=(UNIT, PIXELS),
    holds=lambda unit, pixels: max(unit, pixels) < 0.9 * 0.045,
    verdict="not reproduced",
    why="a tenth of it for unit rows, with which Figure 7 stands, and two thirds of it for pixels; 0.0045 would fit"
    + MOVED,
)
def _figure_7_eta(unit: pd.DataFrame, pixels: pd.DataFrame) -> Measured:
    at_784 = (
        by_radius(unit).query("d == 784 and radius == 10")["eta"],
        by_radius(pixels).query("d == 784 and radius == 10 and not bias and reached")["eta"],
    )
    rows, images = (f"{about(e.mean())} (networks: {about(e.min())} to {about(e.max())})" for e in at_784)
    text = f"unit rows: {rows} over widths, seeds and reductions; pixels: {images}"
    return text, {"unit": at_784[0].max(), "pixels": at_784[1].max()}
