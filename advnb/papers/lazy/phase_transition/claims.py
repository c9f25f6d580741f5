"""The claims of the page: Figure 4, its two thresholds, and the one law for both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from advnb.book.claims import Page
from advnb.book.rounding import about, at_least, at_most, interval
from advnb.papers.lazy.transition import (
    EDGES,
    FORMS,
    STORED,
    both_grids,
    ceilings,
    cells,
    close,
    edge_law,
    edges,
    fit_form,
    large,
    over_seeds,
    surface,
)
from advnb.statistics import exponent, resampled

PAGE = Page("lazy/phase_transition", title="Phase transition")

Measured = tuple[str, dict[str, Any]]
FROM_100 = "d >= 100"
"""The dimensions to which the law is fitted; at d = 25 the images are a limit of their own."""


def means(points: pd.DataFrame, by: str, field: str = "constant") -> pd.Series:
    """Return the means over seeds of ``field``, one entry a value of ``by``."""
    return points.groupby(by)[field].mean()


def finest(points: pd.DataFrame) -> float:
    """Return the largest ratio of the neighbours on the grid between which a threshold lies."""
    return float((points["above"] / points["below"]).max())


def on_grid(table: pd.DataFrame) -> pd.Series:
    """Return mean robust accuracy over seeds by ``d`` and k = R sqrt(d), rounded to 0.01: points that were run."""
    table = table[table["d"] >= 100]
    k = (table["budget"] * table["d"] ** 0.5).round(2).rename("k")
    return table.groupby(["d", k])["worst"].mean()


@PAGE.claim(
    "figure-4.left.threshold",
    says="a sharp drop in robust accuracy about the 5/√d threshold",
    evidence=EDGES["left"],
    holds=lambda r50, r5, slope_50, slope_5: (
        min(r5) > 4
        and max(r5) < 6
        and abs(slope_50 + 0.5) < 0.1
        and abs(slope_5 + 0.5) < 0.1
        and not (min(r50) > 4 and max(r50) < 6)
    ),
    verdict="reproduced in part",
    why="“about 5” is read as 4 to 6: the end of the drop lies there at every d from 100 on, its middle does not; only "
    "thresholds that the fine grid brackets count, which was decided after its first seed",
)
def _left_threshold(*grids: pd.DataFrame) -> Measured:
    middle, end = (close(edges(both_grids("left", *grids), level)) for level in (0.5, 0.05))
    large, large_end = middle.query(FROM_100), end.query(FROM_100)
    slope, slope_end = (exponent(e, "d", "budget", by="seed") for e in (large, large_end))
    small = means(middle.query("d < 100"), "d")
    return (
        f"for d ≥ 100: R50 = {over_seeds(large, 'constant')}/√d and R5 = {over_seeds(large_end, 'constant')}/√d, "
        f"exponents of d {slope} and {slope_end}; R50 = {about(small[25])}/√d at d = 25; grid neighbours at most "
        f"{about(100 * (finest(large) - 1))}% apart"
    ), {
        "r50": means(large, "d").tolist(),
        "r5": means(large_end, "d").tolist(),
        "slope_50": slope.value,
        "slope_5": slope_end.value,
    }


@PAGE.claim(
    "figure-4.left.above",
    says="for perturbations slightly larger than 5/√d, robust accuracy drops to 0",
    evidence=EDGES["left"],
    holds=lambda one_step, two_steps: one_step < 0.05 and two_steps < 0.01,
    verdict="reproduced",
    why="at budgets that were run, less and more than 32 per cent above 5/√d; means over seeds, the worst dimension; "
    "that all such points count, and not two, was decided after the first seed",
)
def _left_above(*grids: pd.DataFrame) -> Measured:
    found = on_grid(both_grids("left", *grids))
    k = found.index.get_level_values("k")
    at_5, one, two = (float(found[part].max()) for part in (k == 5.0, (k > 5.0) & (k < 6.6), k >= 6.6))
    return (
        f"mean robust accuracy in the worst dimension from 100 on: {at_most(at_5, 0.01)} at 5/√d, {at_most(one, 0.01)} "
        f"up to 6.6/√d, {at_most(two, 0.01)} beyond"
    ), {"one_step": one, "two_steps": two}


@PAGE.claim(
    "figure-4.left.below",
    says="the trained networks are robust against smaller perturbations than 5/√d",
    evidence=EDGES["left"],
    holds=lambda far, half, just_below: far > 0.9 and half > 0.5 and just_below < 0.5,
    verdict="reproduced in part",
    why="robust on nine of ten images up to 1.5/√d and on most of them at half of 5/√d, but not just below 5/√d",
)
def _left_below(*grids: pd.DataFrame) -> Measured:
    found = on_grid(both_grids("left", *grids))
    k = found.index.get_level_values("k")
    far, half, below = found[k <= 1.5], found[(k > 2.3) & (k <= 2.5)], found[(k > 4.3) & (k < 4.8)]
    return (
        f"mean robust accuracy in the dimensions from 100 on: {at_least(far.min(), 0.01)} up to 1.5/√d, "
        f"{interval(half.min(), half.max())} at 2.5/√d, {interval(below.min(), below.max())} at 4.35/√d"
    ), {"far": far.min(), "half": half.min(), "just_below": below.max()}


@PAGE.claim(
    "section-5.2.range",
    says="the ranges 0.05 ≤ V ≤ 1 and 0.05 ≤ R ≤ 1 are wide enough to include the O(1/√d) and O(1/√m) bounds",
    evidence=(*EDGES["left"], *EDGES["right"], "lazy.figure_4_ceiling"),
    holds=lambda least, most, narrow, wide: least > 0.05 and most < 1 and wide < 1 < narrow,
    verdict="reproduced in part",
    why="the drop lies inside the range of R at every d, but outside that of V at the smallest width; the paper does "
    "not say which widths it had",
)
def _ranges(*grids: pd.DataFrame) -> Measured:
    *both, ceiling = grids
    left, right = both_grids("left", *both[:2]), both_grids("right", *both[2:])
    least, most = (means(edges(left, level), "d", "budget") for level in (0.5, 0.05))
    middle = edges(right)
    radius = means(middle.assign(radius=middle["c0"] / middle["m"] ** 0.5), "m", "radius")
    top = ceilings(ceiling).groupby(["budget", "d"])["ceiling"].mean().unstack("d").max(axis=1)
    first = float(top.index.to_numpy(float)[np.argmax(top.to_numpy() < 0.65)])
    return (
        f"R50 and R5 lie between {about(least.min())} and {about(most.max())}; V50 is {about(radius.max(), 3)} at "
        f"m = {radius.idxmax()} and {about(radius.min())} at m = {radius.idxmin()}; from R = {about(first)} on, no "
        "classifier is robust on more than 65% of the images at any d"
    ), {"least": least.min(), "most": most.max(), "narrow": radius.max(), "wide": radius.min()}


@PAGE.claim(
    "figure-4.right.transition",
    says="a phase transition in the robust test accuracy at V around O(1/√m)",
    evidence=EDGES["right"],
    holds=lambda slope, apart, drop: abs(slope + 0.5) < 0.1 and apart < 1.2 and drop < 2,
    verdict="reproduced",
    why="one constant serves all widths, and accuracy falls from one half to 5 per cent within a factor of two in V",
)
def _right_transition(*grids: pd.DataFrame) -> Measured:
    middle, end = (edges(both_grids("right", *grids), level) for level in (0.5, 0.05))
    slope = exponent(middle.assign(radius=middle["c0"] / middle["m"] ** 0.5), "m", "radius", by="seed")
    half, foot = means(middle, "m"), means(end, "m")
    v50, v5 = (over_seeds(rows, "constant", 3) for rows in (middle, end))
    return (
        f"V50 = {v50}/√m, exponent of m {slope}; V5 = {v5}/√m; grid neighbours at most "
        f"{about(100 * (finest(middle) - 1))}% apart"
    ), {"slope": slope.value, "apart": half.max() / half.min(), "drop": float((half / foot).max())}


@PAGE.claim(
    "figure-4.right.below",
    says="with a smaller radius than 25/√m the robust test accuracy quickly drops to 0",
    evidence=EDGES["right"],
    holds=lambda at_25, half, small: at_25 > 0.5 and half < 0.1 and small < 0.01,
    verdict="reproduced",
    why="“quickly” is read as: half of the radius leaves less than a tenth, two fifths nothing, at every width",
)
def _right_below(*grids: pd.DataFrame) -> Measured:
    found = both_grids("right", *grids).groupby(["m", "c0"])["worst"].mean()
    c0 = found.index.get_level_values("c0")
    at_25, half, small = found[c0 == 25], found[(c0 > 12) & (c0 < 12.5)], found[c0 < 10.2]
    return (
        f"mean robust accuracy of the widths: {interval(at_25.min(), at_25.max())} at 25/√m, "
        f"{interval(half.min(), half.max())} at 12.4/√m, {at_most(small.max(), 0.01)} up to 10/√m"
    ), {"at_25": at_25.min(), "half": half.max(), "small": small.max()}


@PAGE.claim(
    "figure-4.right.25",
    says="even a slight deviation from the 25/√m radius allows for networks completely robust against PGD",
    evidence=("lazy.figure_4_longer", "lazy.figure_4_images", *EDGES["right"], "lazy.figure_4_ceiling"),
    holds=lambda short, best_25, best_40: short < 0.9 < best_40 < 0.99 and best_25 < 0.99,
    verdict="reproduced in part",
    why="“completely” is read as 99 per cent of the images, as many as are right without an attack; more training and "
    "four times the images come closer, twelve times no further, and the sentence says “allows”",
)
def _right_25(longer: pd.DataFrame, images: pd.DataFrame, *others: pd.DataFrame) -> Measured:
    *right, ceiling = others
    short = both_grids("right", *right).query("24 < c0 < 29")
    table = pd.concat([longer.query("epochs == 200"), images]).groupby(["c0", "examples"])["worst"].mean()
    said = "; ".join(
        f"{', '.join(f'{about(value)} on {examples} images' for examples, value in table.loc[c0].items())} at {c0:g}/√m"
        for c0 in (25.0, 40.0)
    )
    top = ceilings(ceiling).query("d == 784 and budget == 0.2")["ceiling"].mean()
    return (
        f"after 30 epochs on 500 images {over_seeds(short, 'worst', 3)} from 25/√m to 29/√m; longer, "
        f"{said}; the images would allow {about(top)}"
    ), {
        "short": short["worst"].mean(),
        "best_25": float(table.loc[25.0].max()),
        "best_40": float(table.loc[40.0].max()),
    }


def forecasts(points: pd.DataFrame) -> tuple[float, float, float]:
    """Return the C0 at which the right panel turns: foreseen by the law, scaled from one cell, and measured.

    The law is fitted to all ``points`` but the right panel's; the cell is the left panel's at d = 784.
    """
    right = points["panel"] == "right"
    law = fit_form(points[~right])
    cell = points[(points["panel"] == "left") & (points["d"] == 784)]
    budget, d = points.loc[right, ["budget", "d"]].iloc[0]
    plain = cell["c0"].iloc[0] * budget / cell["budget"].mean()
    return float(law.c0(budget, d)), float(plain), float(points.loc[right, "c0"].mean())


def how_much_better(points: pd.DataFrame) -> tuple[float, float]:
    """Return by how much less the law is wrong than plain scaling, as logarithms: a 95 percent interval over seeds."""
    columns = ["panel", "d", "c0", "budget"]
    codes = {name: code for code, name in enumerate(points["panel"].unique())}
    names = {code: name for name, code in codes.items()}
    coded = points.assign(panel=points["panel"].map(codes))
    turned = [c for c in ("m",) if c in points]
    groups = [
        part[columns].to_numpy(float)
        for _, part in coded.groupby(["panel", "d", coded["c0"].where(coded["panel"] != codes["right"]), *turned],
                                     dropna=False)
    ]  # fmt: skip

    def gain(rows: Any) -> tuple[float]:
        table = pd.DataFrame(rows, columns=columns)
        law, plain, measured = forecasts(table.assign(panel=table["panel"].map(names)))
        return (abs(np.log(plain / measured)) - abs(np.log(law / measured)),)

    low, high = resampled(groups, gain)
    return float(low[0]), float(high[0])


@PAGE.claim(
    "figure-4.law",
    says="(not in the paper) one law for both panels foresees where the right one turns, better than C0/(R√d) constant",
    evidence=STORED,
    holds=lambda low: low <= 0,
    verdict="not reproduced",
    why="so close to proportionality the bend makes no difference: scaling from one cell does as well; before the runs "
    "the condition was that the law does better, low > 0",
)
def _one_law(*grids: pd.DataFrame) -> Measured:
    points = large(edges(surface(*grids)))
    law, plain, _ = forecasts(points)
    low, high = how_much_better(points)
    turn, others = points.query("panel == 'right'"), means(points.query("panel == 'left'"), "d")
    scaled = 10 * 0.2 * 28 / others
    return (
        f"the law, fitted to all else, foresees C0 = {about(law, 3)}, scaling from the left panel's cell at d = 784 "
        f"{about(plain, 3)}, from its other cells {interval(scaled.min(), scaled.max(), 3)}; measured "
        f"{over_seeds(turn, 'c0', 3)}; the law's error is smaller by {interval(low, high)} in log C0"
    ), {"low": low}


def held_out(points: pd.DataFrame) -> pd.DataFrame:
    """Return for each cell of panel ``elsewhere`` its R50 over what is foreseen from all other cells.

    ``squares`` is the law, ``sum`` and ``proportional`` the other ``transition.FORMS``, fitted to the same cells;
    ``one cell`` is plain scaling from the left panel at d = 784.
    """
    cell = points[(points["panel"] == "left") & (points["d"] == 784)]
    rows = {}
    for _, part in points[points["panel"] == "elsewhere"].groupby(["c0", "d"]):
        c0, d = float(part["c0"].iloc[0]), int(part["d"].iloc[0])
        others = points.drop(part.index)
        measured = part["budget"].mean()
        row = {"R50": measured, "least": part["budget"].min(), "most": part["budget"].max()}
        for form, budget in FORMS.items():
            kappa, phi = fit_form(others, form)
            row[form] = measured / float(budget(c0, d, phi, kappa))
        row["one cell"] = measured / (cell["budget"].mean() * c0 / 10 * (784 / d) ** 0.5)
        rows[c0, d] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["c0", "d"])


@PAGE.claim(
    "figure-4.law.elsewhere",
    says="(not in the paper) the law foresees thresholds that lie on neither panel, where plain scaling fails",
    evidence=STORED,
    holds=lambda law, proportional, one_cell: law < 1.25 and law < min(proportional, one_cell),
    verdict="reproduced",
)
def _elsewhere(*grids: pd.DataFrame) -> Measured:
    points = large(edges(surface(*grids)))
    found = held_out(points)
    off = np.exp(np.abs(np.log(found[[*FORMS, "one cell"]]))).max()
    wide = {name: about(100 * (value - 1)) for name, value in off.items()}
    return (
        f"cell by cell, each left out of the fit, the law is off by at most {wide['squares']}%, lengths that add "
        f"instead of squares by {wide['sum']}%, proportionality by {wide['proportional']}%, scaling from one cell by "
        f"{wide['one cell']}%"
    ), {"law": off["squares"], "proportional": off["proportional"], "one_cell": off["one cell"]}


def at_the_edge(runs: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds of the cells near the edge, with margin, gradient and its parts in units of the law.

    ``phi`` is |f| / C0 of what was moved, ``growth`` the gradient over sqrt(d / 2).
    """
    table = cells(gradient=runs)
    table = table.assign(phi=table["value"] / table["moved"], growth=table["gradient"] / (table["d"] / 2) ** 0.5)
    return table.groupby(["d", "c0", "m", "budget"], as_index=False).mean(numeric_only=True)


@PAGE.claim(
    "figure-4.law.margin",
    says="(not in the paper) what an adversarially trained network resists is its margin over its gradient",
    evidence="lazy.figure_4_gradient",
    holds=lambda gap: gap < 0.1,
    verdict="reproduced",
    why="written after a look at five of the ten cells with one seed",
)
def _margin(runs: pd.DataFrame) -> Measured:
    found = at_the_edge(runs)
    gap = (found["linear"] - found["worst"]).abs().max()
    return (
        f"the share of images with |f|/‖∇f‖ above the budget is robust accuracy to within {at_most(gap, 0.01)} in each "
        f"of {len(found)} cells near the edge"
    ), {"gap": gap}


@PAGE.claim(
    "figure-4.law.gradient",
    says="(not in the paper) the law bends because training lengthens the gradient",
    evidence=("lazy.figure_4_gradient", *STORED),
    holds=lambda growth, foretold: growth < 1.1 and foretold > 1.3,
    verdict="not reproduced",
    why="written after a look at five of the ten cells with one seed",
)
def _gradient(runs: pd.DataFrame, *grids: pd.DataFrame) -> Measured:
    found = at_the_edge(runs)
    law = edge_law(surface(*grids))
    foretold = float((law.gradient(found["c0"], found["d"]) / (found["d"] / 2) ** 0.5).max())
    growth = found["growth"].max()
    by_size = found.assign(size=found["c0"] / found["d"] ** 0.5).groupby("size")["phi"].mean()
    small, large = float(by_size.iloc[0]), float(by_size.iloc[-1])
    return (
        f"the fitted law has gradients of up to {about(foretold)} √(d/2); measured {at_most(growth, 0.01)} √(d/2); it "
        f"is the margin that falls behind, from {about(small)} C0 at the smallest C0/√d to {about(large)} C0 at the "
        "largest"
    ), {"growth": growth, "foretold": foretold}
