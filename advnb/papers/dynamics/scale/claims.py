"""The claims of the page ``dynamics/scale``: Figure 2, and Question 2.

An escape is easy when half of the loss range is covered in a tenth of the paper's 1000 steps, and difficult when it is
not covered in all of them.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, interval
from advnb.papers.dynamics.images.escape import CONSTANT, RATIOS, RELATIVE, SCALES, STEPS
from advnb.papers.dynamics.images.steps import RELATIVE_STEP
from advnb.papers.dynamics.images.tables import by_network, nearest, per_image, pick, spread
from advnb.statistics import bootstrap, median_interval

PAGE = Page("dynamics/scale", title="Scale")


def paper_steps(fig2: pd.DataFrame, **values: float) -> pd.DataFrame:
    """The trajectories of Figure 2 as the paper runs them, one row an image, in the cells with these values."""
    return pick(per_image(fig2), CONSTANT, convention="minus", **values)


def half(fig2: pd.DataFrame, scale: float, ratio: float) -> pd.Series[float]:
    """Steps to half of the loss range, the paper's way, in one cell of Figure 2: one number a network."""
    return by_network(paper_steps(fig2, scale=scale, ratio=ratio))


def explained(rows: pd.DataFrame) -> pd.Series[float]:
    """Share of the variance of log(steps) that the time of a linear margin explains, with nothing fitted, by network.

    Of the trajectories that escape in more than three steps, below which whole steps are too coarse.
    """
    timed = rows[(rows["loss_half"] > 3) & (rows["loss_half"] < inf)]
    steps, foreseen = np.log(timed["loss_half"]), np.log(timed["travel"] + timed["saturation"])
    parts = pd.DataFrame({"seed": timed["seed"], "left": (steps - foreseen) ** 2, "steps": steps}).groupby("seed")
    return 1 - parts["left"].mean() / parts["steps"].var(ddof=0)


def surer(rows: pd.DataFrame) -> pd.Series[float]:
    """Steps of the images of which a network is surer than of half of its images, over those of the others."""
    sure = rows["margin_start"] > rows.groupby("seed")["margin_start"].transform("median")
    return by_network(rows[sure]) / by_network(rows[~sure])


@PAGE.claim(
    "figure-2.a",
    says="at input scale 0.1, PGD easily escapes the local maxima even with a ratio of 10",
    evidence="dynamics.fig2",
    holds=lambda upper, slowest: upper <= 100 and slowest < inf,
    verdict="reproduced",
    why="the radius of that panel is at most one; easily: half of the loss range in a tenth of the paper's run",
)
def _figure_2a(fig2: pd.DataFrame) -> Measured:
    """The upper end of the interval over networks, and the slowest of all trajectories."""
    times, slowest = half(fig2, 0.1, 10.0), paper_steps(fig2, scale=0.1, ratio=10.0)["loss_half"].max()
    return f"half of the loss range after {spread(times)} steps, in all trajectories after {about(slowest)} at most", {
        "upper": median_interval(times)[1],
        "slowest": slowest,
    }


@PAGE.claim(
    "figure-2.b",
    says="at input scale 10, escaping is easier with a smaller ratio",
    evidence="dynamics.fig2",
    holds=lambda ordered: ordered == 1,
    verdict="reproduced",
    why="each tenfold smaller ball takes about a tenth of the steps",
)
def _figure_2b(fig2: pd.DataFrame) -> Measured:
    """The share of networks in which each of the five ratios takes more steps than the next smaller one."""
    times = pd.DataFrame({ratio: half(fig2, 10.0, ratio) for ratio in RATIOS})
    falls = [times[large] > times[small] for large, small in pairwise(RATIOS)]
    ordered = pd.concat(falls, axis=1).all(axis=1)
    listed = ", ".join(f"{spread(times[ratio])} at {ratio:g}" for ratio in RATIOS)
    return f"steps by ratio: {listed}; in this order in {ordered.sum()} of {len(ordered)} networks", {
        "ordered": ordered.mean()
    }


@PAGE.claim(
    "figure-2.c",
    says="at input scale 1000, escaping is difficult even with a ratio of 0.001",
    evidence="dynamics.fig2",
    holds=lambda large, small: large == inf and small <= 100,
    verdict="reproduced in part",
    why="from a ratio of 0.1 up no escape within the run; at 0.001 it is easy for most networks, unless the scale is "
    "read as that of the pixels, see Figure 2c (scale read as the largest pixel)",
)
def _figure_2c(fig2: pd.DataFrame) -> Measured:
    """The lower end of the interval over networks at ratio 0.1, and the median network at 0.001."""
    large, small = half(fig2, 1000.0, 0.1), half(fig2, 1000.0, 0.001)
    return (
        f"{spread(large)} steps at ratio 0.1; {spread(small)} at 0.001, where the radius is that of scale 0.1 and "
        f"ratio 10 ({spread(half(fig2, 0.1, 10.0))} steps)"
    ), {"large": median_interval(large)[0], "small": nearest(small)}


@PAGE.claim(
    "figure-2.caption",
    statement="Figure 2 (caption, second sentence)",
    says="for a fixed perturbation ratio, a smaller input scale means that escaping from local maxima is easier",
    evidence="dynamics.fig2",
    holds=lambda never_slower, faster: never_slower == 1 and faster == 1,
    verdict="reproduced",
    why="for the paper's steps, of a constant learning rate",
)
def _caption(fig2: pd.DataFrame) -> Measured:
    """Shares of networks and ratios at which no smaller scale is slower, and scale 0.1 is faster than 1000."""
    times = {scale: pd.DataFrame({ratio: half(fig2, scale, ratio) for ratio in RATIOS}) for scale in SCALES}
    small, middle, large = (times[scale] for scale in SCALES)
    never, faster = ((small <= middle) & (middle <= large)).to_numpy(), (small < large).to_numpy()
    listed = ", ".join(f"{spread(times[scale][0.1])} at scale {scale:g}" for scale in SCALES)
    return (
        f"no smaller scale is slower in {never.sum()} of {never.size} cells (networks times ratios); at ratio 0.1 "
        f"{listed}"
    ), {"never_slower": never.mean(), "faster": faster.mean()}


@PAGE.claim(
    "question-2.radius",
    statement="Section 5.1.1 (scale or radius)",
    says="a smaller input scale helps because all concentration results depend only on the scale of the radius",
    evidence="dynamics.fig2",
    holds=lambda by_radius, by_scale, sure: abs(by_scale) < by_radius / 2 and sure > 1,
    verdict="reproduced in part",
    why="the scale acts through the radius; and, beyond the paper's reason, through saturation, as a fresh network is "
    "surer of larger inputs",
)
def _scale_or_radius(fig2: pd.DataFrame) -> Measured:
    """Exponents of the steps in the radius (scale 10) and, at radius 1, in the scale; and what being sure costs.

    The first two are medians over networks; ``sure`` is the lower end of an interval over networks at scale 1000.
    """
    by_radius = np.log10((half(fig2, 10.0, 1.0) / half(fig2, 10.0, 0.1)).median())
    by_scale = np.log10((half(fig2, 1000.0, 0.001) / half(fig2, 0.1, 10.0)).median()) / np.log10(SCALES[-1] / SCALES[0])
    factor = surer(paper_steps(fig2, scale=1000.0, ratio=0.001))
    ends = interval(*median_interval(factor)).replace("inf", "∞")
    at = ", ".join(
        f"{spread(half(fig2, scale, ratio))} at scale {scale:g}"
        for scale, ratio in zip(SCALES, (10, 0.1, 0.001), strict=True)
    )
    return (
        f"steps at radius 1: {at}; they grow as the radius to the power {about(by_radius)} at scale 10, and "
        f"as the scale to the power {about(by_scale, 1)} at radius 1. At scale 1000 the half of the images that "
        f"a network is surer of needs {about(nearest(factor))} {ends} times the steps of "
        "the others"
    ), {"by_radius": by_radius, "by_scale": by_scale, "sure": median_interval(factor)[0]}


@PAGE.claim(
    "figure-2.travel",
    statement="Figures 1 and 2 (captions: what decides the time)",
    says="for large input scales the ratio has to be reduced, so that the landscape becomes more regular and escaping "
    "from the local maxima faster",
    evidence="dynamics.fig2",
    holds=lambda faster, explained, foreseen: faster > 1 and explained > 0.5 and foreseen > 0.5,
    verdict="reproduced in part",
    why="reducing the ratio does make it faster; but a linear margin, with the most regular landscape there is, is as "
    "slow: travel and saturation explain most of the times",
)
def _travel_time(fig2: pd.DataFrame) -> Measured:
    """The gain from a smaller ratio, and how far a linear margin explains the times, and the escapes that fail."""
    rows = paper_steps(fig2)
    faster = half(fig2, 10.0, 1.0) / half(fig2, 10.0, 0.1)
    share = explained(rows)
    low, high = bootstrap(share, np.mean)
    foreseen = rows["travel"] + rows["saturation"]
    quotient = (rows["loss_half"] / foreseen)[(rows["loss_half"] > 3) & (rows["loss_half"] < inf)]
    slow = (foreseen[rows["loss_half"] == inf] > STEPS["constant"]).mean()
    return (
        f"a tenth of the ratio at scale 10: {about(faster.median())} times faster. The time foreseen for a linear "
        f"margin explains {about(100 * share.mean())}% {interval(100 * low, 100 * high)} of the variance of "
        f"log(steps); measured over foreseen: median {about(quotient.median())}, quartiles "
        f"{interval(*quotient.quantile([0.25, 0.75]))}. Of the trajectories that do not escape, {100 * slow:.0f}% were "
        "foreseen not to"
    ), {"faster": faster.min(), "explained": low, "foreseen": slow}


@PAGE.claim(
    "question-2",
    says="when the ratio is fixed, smaller input scales help the optimisation of adversarial training: the answer is "
    "positive",
    evidence="dynamics.fig2",
    holds=lambda constant, in_loss, in_margin: constant > 10 and in_loss < 2 and in_margin < 2,
    verdict="reproduced in part",
    why="yes for a constant learning rate, where a small scale is a short way; with steps in proportion to the radius "
    "the smallest scale does not even halve the time",
)
def _question_2(fig2: pd.DataFrame) -> Measured:
    """At ratio 10: by what factor scale 0.1 is faster than 1000 with the paper's steps, and all scales differ else."""
    constant = half(fig2, 1000.0, 10.0) / half(fig2, 0.1, 10.0)
    cells = pick(per_image(fig2), RELATIVE, convention="minus", ratio=10.0)
    loss, margin = (
        {scale: by_network(pick(cells, scale=scale), f"{name}_half") for scale in SCALES} for name in ("loss", "height")
    )
    by_loss = ", ".join(f"{spread(loss[scale])} steps at scale {scale:g}" for scale in SCALES)
    by_margin = ", ".join(spread(margin[scale]) for scale in SCALES)
    middle = [[times.median() for times in parts.values()] for parts in (loss, margin)]
    return (
        f"ratio 10, steps relative to the radius: half of the loss range after {by_loss}; half of the margin's range "
        f"after {by_margin} (a linear function: {about(1 / RELATIVE_STEP)})"
    ), {
        "constant": constant.min(),
        "in_loss": max(middle[0]) / min(middle[0]),
        "in_margin": max(middle[1]) / min(middle[1]),
    }
