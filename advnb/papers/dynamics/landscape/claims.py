"""The claims of the page *landscape*: how many adversaries there are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, share
from advnb.experiments import unroll

PAGE = Page("dynamics/landscape", title="Landscape")


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
