"""The claims of the page *panels*: what the pictures of Figures 1, 4 and 5 show, and why an escape is slow."""

from __future__ import annotations

import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, share
from advnb.statistics import exponent

PAGE = Page("dynamics/panels", title="Panels")


def cell(panels: pd.DataFrame, scale: float, ratio: float) -> pd.DataFrame:
    """Return the networks of one panel of Figure 1."""
    return panels[(panels["scale"] == scale) & (panels["ratio"] == ratio)]


@PAGE.claim(
    "figure-1.counts",
    says="at input scale 0.01 there is one local minimum even at ratio 10; at scale 100 and ratio 10 there are many",
    evidence="dynamics.figure_1",
    holds=lambda single, many: single > 0.9 and many > 3,
    verdict="reproduced",
    why="the paper's single pictures are typical",
)
def _counts(panels: pd.DataFrame) -> Measured:
    calm, rough = cell(panels, 0.01, 10.0)["minus"], cell(panels, 100.0, 10.0)["minus"]
    return (
        f"one minimum in {share(calm == 1)} of networks at scale 0.01; a mean of {about(rough.mean())} minima at scale "
        f"100, one in {share(rough == 1)}",
        {"single": (calm == 1).mean(), "many": rough.mean()},
    )


@PAGE.claim(
    "figure-1.small-ratio",
    says="for a large input scale a small ratio makes the landscape regular again (panel g)",
    evidence="dynamics.figure_1",
    holds=lambda small, large: small > large + 0.3,
    verdict="reproduced",
    why="although the radius there equals that of scale 1 and ratio 10: far from the origin the units are straight",
)
def _small_ratio(panels: pd.DataFrame) -> Measured:
    small, large = (cell(panels, 100.0, ratio)["minus"] == 1 for ratio in (0.1, 10.0))
    return (
        f"one minimum in {share(small)} of networks at scale 100 and ratio 0.1, in {share(large)} at ratio 10",
        {"small": small.mean(), "large": large.mean()},
    )


@PAGE.claim(
    "figure-1.target",
    says="if the input scale is not small enough there are a lot of local minima",
    evidence="dynamics.figure_1",
    holds=lambda crosses, by_target: crosses > 0.5 and by_target > 0.4,
    verdict="reproduced in part",
    why="a good part of it is the target coming within reach, which assumption 3 excludes",
)
def _target(panels: pd.DataFrame) -> Measured:
    middle = cell(panels, 1.0, 10.0)
    by_target = (middle["minus"] - middle["f"]).mean()
    return (
        f"at scale 1 and ratio 10, f takes the value y on the circle for {share(middle['crosses'])} of networks; of "
        f"{about(middle['minus'].mean())} minima {about(by_target, 1)} are due to the target alone",
        {"crosses": middle["crosses"].mean(), "by_target": by_target},
    )


@PAGE.claim(
    "section-5.1.concentration",
    statement="Section 1.1",
    says="a smaller input scale makes the local optima concentrate, so that they have similar loss values",
    evidence="dynamics.figure_1",
    holds=lambda small, large: small < 0.05 and large > 0.4,
    verdict="reproduced",
    why="with one minimum there is no spread at all; with several they are far from equal",
)
def _concentration(panels: pd.DataFrame) -> Measured:
    small, large = (cell(panels, scale, 1.0)["spread"].mean() for scale in (0.01, 100.0))
    return (
        f"spread of the values at the minima, relative to the range on the circle: {about(small, 1)} at scale 0.01, "
        f"{about(large, 1)} at scale 100 (ratio 1)",
        {"small": small, "large": large},
    )


@PAGE.claim(
    "figure-1.escape",
    says="at a small scale PGD leaves a local maximum in a few steps; at a large scale it takes many",
    evidence="dynamics.figure_1_escape",
    holds=lambda easy, minus, plus: easy > 0.99 and minus < 0.9 and plus > 0.99,
    verdict="reproduced in part",
    why="only in the convention of section 3; with the other sign the escape is fast at every scale",
)
def _escape(escapes: pd.DataFrame) -> Measured:
    hard = cell(escapes, 100.0, 10.0).groupby("convention")["progress"].mean()
    easy = escapes[escapes["scale"] == 0.01]["progress"].mean()
    return (
        f"mean progress in ten steps: {about(easy)} at scale 0.01; at scale 100 and ratio 10, "
        f"{about(hard['minus'])} (minus) and {about(hard['plus'])} (plus)",
        {"easy": easy, "minus": hard["minus"], "plus": hard["plus"]},
    )


@PAGE.claim(
    "section-5.1.slow-escape",
    statement="Section 5.1.2",
    says="too close to a local maximum the progress of each step is very small (a matter of the landscape)",
    evidence="dynamics.figure_1_escape",
    holds=lambda slope, slope_away, gradient, steps, steps_easy: (
        slope < 0.01 and gradient > 0.3 and slope_away > 0.5 and steps < 2 * steps_easy
    ),
    verdict="reproduced in part",
    why="slow is the residual y - f, which vanishes at the weakest adversary; several minima trap a trajectory, they "
    "do not delay it",
)
def _slow_escape(escapes: pd.DataFrame) -> Measured:
    minus = escapes[escapes["convention"] == "minus"]
    factors = minus.groupby("crosses")[["slope", "grad_f"]].median().astype(float)
    slope, gradient = factors["slope"].to_dict(), factors["grad_f"].to_dict()
    hard = cell(minus, 100.0, 10.0)
    arrived = hard["unit_steps"] >= 0
    steps = hard[arrived]["unit_steps"].median()
    easy = escapes[escapes["scale"] == 0.01]["unit_steps"].median()
    return (
        f"at the start |l'(f)| is {about(slope[True], 1)} of its median where f takes the value y and "
        f"{about(slope[False], 1)} where it does not; ‖∂f‖ is {about(gradient[True], 1)} "
        f"and {about(gradient[False], 1)}. With steps of length ε/10, at scale 100 and ratio 10, "
        f"{share(arrived)} get half way down, in {steps:.0f} steps ({easy:.0f} at scale 0.01); the others end in "
        "another minimum",
        {
            "slope": slope[True],
            "slope_away": slope[False],
            "gradient": gradient[True],
            "steps": steps,
            "steps_easy": easy,
        },
    )


@PAGE.claim(
    "figure-4",
    says="wider networks lead to more regular landscapes in general",
    evidence="dynamics.figure_4",
    holds=lambda growth_low, near_narrow, near_wide: growth_low > 0.1 and near_wide > 0.8 * near_narrow,
    verdict="not reproduced",
    why="at a large radius f bends where each unit switches on, and more units mean more bends",
)
def _width(widths: pd.DataFrame) -> Measured:
    growth = exponent(widths[widths["scale"] == 100.0], "m", "f", by="seed")
    near = widths[widths["scale"] == 1.0].groupby("m")["f"].mean()
    return (
        f"at scale 100 the number of minima grows as the width to the power {growth}; at scale 1 it is "
        f"{about(near[4])} at width 4 and {about(near[256])} at width 256",
        {"growth_low": growth.low, "near_narrow": near[4], "near_wide": near[256]},
    )


@PAGE.claim(
    "figure-5",
    says="another random seed gives the same picture",
    evidence="dynamics.figure_1",
    holds=lambda rises, falls: rises > 0.9 and falls < 0.05,
    verdict="reproduced",
    why="seed by seed, on the same networks",
)
def _another_seed(panels: pd.DataFrame) -> Measured:
    order = panels.pivot_table(index="seed", columns=["scale", "ratio"], values="minus")
    rises, falls = (order[100.0, 10.0] > order[0.01, 10.0], order[100.0, 10.0] < order[0.01, 10.0])
    return (
        f"more minima at scale 100 than at scale 0.01 (ratio 10) in {share(rises)} of networks, fewer in "
        f"{share(falls)}",
        {"rises": rises.mean(), "falls": falls.mean()},
    )
