"""The claims of the page *landscape*: how many adversaries there are, and why some are slow to leave."""

from __future__ import annotations

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, share
from advnb.experiments import unroll
from advnb.statistics import exponent

PAGE = Page("dynamics/landscape", title="Landscape")


def cell(panels: pd.DataFrame, scale: float, ratio: float) -> pd.DataFrame:
    """Return the networks of one panel of Figure 1."""
    return panels[(panels["scale"] == scale) & (panels["ratio"] == ratio)]


@PAGE.claim(
    "theorem-5.1",
    says="below a threshold of the radius there is only one local minimum on the sphere, with high probability",
    evidence="dynamics.theorem_5_1",
    holds=lambda small, large: small > 0.95 > 0.5 > large,
    verdict="reproduced",
    why="counted exactly at d = 2, with a target that f cannot reach",
)
def _one_minimum(counts: pd.DataFrame) -> Measured:
    long = unroll(counts, ["eps", "counts"])
    small = long[long["eps"] < 0.02]["counts"] == 1
    large = long[(long["eps"] > 500) & (long["m"] == 16)]["counts"] == 1
    return (
        f"one minimum in {share(small)} of networks at the smallest radii, in {share(large)} at the largest",
        {"small": small.mean(), "large": large.mean()},
    )


@PAGE.claim(
    "theorem-5.1.threshold",
    says="such a threshold exists (its size is not given)",
    evidence="dynamics.theorem_5_1",
    holds=lambda contradicted: contradicted == 0,
    verdict="reproduced",
    why="a contraction argument gives an explicit threshold for every d",
)
def _threshold(counts: pd.DataFrame) -> Measured:
    safe = counts["threshold"] >= counts["certified"]
    quotient = (counts["threshold"] / counts["certified"]).replace(np.inf, np.nan).median()
    return (
        f"the certificate ε sup‖∂²f‖ < inf‖∂f‖ is never contradicted ({share(safe)}); the true threshold is about "
        f"{about(quotient, 1)} times larger in the median",
        {"contradicted": int((~safe).sum())},
    )


@PAGE.claim(
    "section-5.1.scale-or-radius",
    statement="Section 5.1.1",
    says="a smaller input scale makes the landscape more regular, because everything depends only on the scale of "
    "the radius",
    evidence="dynamics.theorem_5_1",
    holds=lambda small, one, large: large > 5 * one and 0.2 < small / one < 5,
    verdict="reproduced in part",
    why="at a fixed ratio a small input helps, through the radius alone; at a fixed radius a large input helps, "
    "since the softplus units around it are straight",
)
def _scale_or_radius(counts: pd.DataFrame) -> Measured:
    medians = counts[counts["m"] == 16].groupby("scale")["threshold"].median()
    return (
        f"median threshold {about(medians[0.01], 1)} at input norm 0.01, {about(medians[1.0], 1)} at norm 1, "
        f"{about(medians[100.0], 1)} at norm 100",
        {"small": medians[0.01], "one": medians[1.0], "large": medians[100.0]},
    )


@PAGE.claim(
    "assumption-3",
    statement="Section 2, assumption 3",
    says="the output stays away from the target on the whole ball (assumed)",
    evidence="dynamics.assumption_3",
    holds=lambda others: others == 0,
    verdict="reproduced in part",
    why="the assumption is needed: without it there are two minima at every radius; Figure 1 does not check it",
)
def _assumption(reached: pd.DataFrame) -> Measured:
    small = reached[reached["eps"] == reached["eps"].min()]
    return (
        f"with y = f(x), {share(small['minima'] == 2)} of networks have two minima at radius {small['eps'].iloc[0]:g}",
        {"others": int((small["minima"] != 2).sum())},
    )


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


@PAGE.claim(
    "theorem-5.1.high-dimension",
    says="one local minimum for a small radius, in every dimension",
    evidence="dynamics.theorem_5_1_high",
    holds=lambda cases, others: cases > 20 and others == 0,
    verdict="reproduced",
    why="by multi-start Newton, a lower bound on the count",
)
def _high_dimension(spheres: pd.DataFrame) -> Measured:
    certified = spheres[spheres["certificate"] < 1]
    largest = spheres[spheres["eps"] == 100]["minima"].mean()
    return (
        f"where the certificate holds ({len(certified)} cases, d = 3 to 16): one minimum in "
        f"{share(certified['minima'] == 1)}; at radius 100 a mean of {about(largest, 1)} or more",
        {"cases": len(certified), "others": int((certified["minima"] != 1).sum())},
    )


@PAGE.claim(
    "section-4.no-saddles",
    says="none of the critical points on the sphere are saddle points (for a small radius)",
    evidence="dynamics.theorem_5_1_high",
    holds=lambda certified, large: certified == 0 and large > 0.5,
    verdict="reproduced",
    why="as long as the radius is small; several minima on a sphere always come with saddles",
)
def _no_saddles(spheres: pd.DataFrame) -> Measured:
    certified = spheres[spheres["certificate"] < 1]["saddles"] > 0
    large = spheres[(spheres["eps"] == 100) & (spheres["d"] == 3)]["saddles"] > 0
    return (
        f"saddles in {share(certified)} of cases where the certificate holds; at radius 100 and d = 3 in "
        f"{share(large)}",
        {"certified": int(certified.sum()), "large": large.mean()},
    )


@PAGE.claim(
    "section-5.2.cross-entropy",
    says="the results hold for the cross entropy, whose second derivative lies between 0 and 1",
    evidence="dynamics.general_loss",
    holds=lambda curvature, others: curvature <= 0.25 + 1e-9 and others == 0,
    verdict="reproduced",
    why="the best bound is 1/4; the loss is monotone in f, so the landscape is that of the network",
)
def _cross_entropy(losses: pd.DataFrame) -> Measured:
    entropy = losses[losses["loss"] == "cross_entropy"]
    curvature = entropy["curvature_max"].max()
    return (
        f"largest second derivative {curvature:.3f}; minima equal to those of f in {share(entropy['same_as_f'])} of "
        "cases",
        {"curvature": curvature, "others": int((~entropy["same_as_f"].astype(bool)).sum())},
    )


@PAGE.claim(
    "section-5.2.lower-bound",
    says="the slope of the loss can be expected to stay above a positive constant on the ball",
    evidence="dynamics.general_loss",
    holds=lambda least, saturated: least > 0.05 and saturated > 0.2,
    verdict="reproduced in part",
    why="at a large scale the loss saturates: confident and right, the network gives the attacker no slope to climb",
)
def _lower_bound(losses: pd.DataFrame) -> Measured:
    entropy = losses[losses["loss"] == "cross_entropy"]
    least = entropy[entropy["scale"] == 0.01]["slope_min"].min()
    flat = entropy[entropy["scale"] == 100.0]["slope_min"] < 1e-6
    return (
        f"least slope of the cross entropy on the ball: {about(least, 1)} or more at scale 0.01; below 1e-6 for "
        f"{share(flat)} of cases at scale 100",
        {"least": least, "saturated": flat.mean()},
    )


@PAGE.claim(
    "section-5.2.pseudo-huber",
    says="the results hold for every loss with bounded derivatives",
    evidence="dynamics.general_loss",
    holds=lambda curvature, slope, others: curvature <= 1 and slope <= 1 and others == 0,
    verdict="reproduced",
    why="two losses that vanish at the same f have the same landscape on the circle",
)
def _pseudo_huber(losses: pd.DataFrame) -> Measured:
    huber, squared = (losses[losses["loss"] == name] for name in ("pseudo_huber", "squared"))
    same = huber["minima"].to_numpy() == squared["minima"].to_numpy()
    curvature, slope = huber["curvature_max"].max(), huber["slope_max"].max()
    return (
        f"pseudo-Huber: second derivative at most {about(curvature)}, slope at most {about(slope)}; as many minima as "
        f"the squared loss in {share(same)} of cases",
        {"curvature": curvature, "slope": slope, "others": int((~same).sum())},
    )
