"""The claims of the page ``dynamics/scale``: Figures 2 and 3, and Question 2."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, interval
from advnb.papers.dynamics.images.escape import CONSTANT, RELATIVE, SCALES
from advnb.papers.dynamics.images.steps import RELATIVE_STEP, RULES
from advnb.papers.dynamics.images.tables import nearest, per_image, pick, spread
from advnb.papers.dynamics.scale.trials import EPOCHS

PAGE = Page("dynamics/scale", title="Scale")


def paper_steps(fig2: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The trajectories of Figure 2 as the paper runs them, one row an image, in the cells with these values."""
    return pick(per_image(fig2), CONSTANT, convention="minus", **values)


def half(fig2: pd.DataFrame, scale: float, ratio: float) -> pd.Series[float]:
    """Steps to half of the loss range, the paper's way, in one cell of Figure 2."""
    return paper_steps(fig2, scale=scale, ratio=ratio)["loss_half"]


def by_epoch(fig3: pd.DataFrame) -> pd.DataFrame:
    """Trials of Figure 3 with one row an epoch: the state of the network, and escapes as medians over its images.

    ``setting`` names the trial's setting, "learns" for the one that is not in the paper. ``range`` (of the margin over
    the ball) and ``gradient`` (at the images) are relative to epoch 0; ``half, constant`` and ``half, relative`` are
    steps to half of the loss range.
    """
    return pd.concat([_epochs(trial) for _, trial in fig3.iterrows()], ignore_index=True)


def _epochs(trial: pd.Series[Any]) -> pd.DataFrame:
    span = np.median(trial["relative_margin_peak"] - trial["relative_margin_floor"], axis=1)
    gradient = np.median(trial["constant_gradient_clean"], axis=1)
    learns = trial["optimizer"] == "adam"
    fields = {
        "setting": "learns" if learns else f"scale {trial['scale']:g}, r = {trial['ratio']:g}",
        "seed": trial["seed"],
        "epoch": EPOCHS,
        "train accuracy": trial["train_accuracy"],
        "test accuracy": trial["test_accuracy"],
        "under attack": trial["adversarial_accuracy"],
        "moved": trial["moved"],
        "spread": trial["spread"],
        "range": span / span[0],
        "gradient": gradient / gradient[0],
    }
    times = {f"half, {rule}": nearest(trial[f"{rule}_loss_half"], axis=1).round() for rule in RULES}
    return pd.DataFrame(fields | times)


def of_paper(state: pd.DataFrame, scale: float, *, largest: bool | None = None) -> pd.DataFrame:
    """The rows of :func:`by_epoch` at the paper's learning rates: all ratios, ratio 10, or the smaller ones."""
    rows = state[state["setting"].str.startswith(f"scale {scale:g},")]
    return rows if largest is None else rows[rows["setting"].str.endswith("r = 10") == largest]


def change(state: pd.DataFrame, epoch: int, rule: str = "constant") -> pd.Series[float]:
    """Escape time at an epoch over that at epoch 0, network by network."""
    times = state.pivot_table(index=["setting", "seed"], columns="epoch", values=f"half, {rule}", aggfunc="first")
    return times[epoch] / times[0]


@PAGE.claim(
    "figure-2.a",
    says="at input scale 0.1, PGD easily escapes the local maxima even with a ratio of 10",
    evidence="dynamics.fig2",
    holds=lambda steps: steps < 100,
    verdict="reproduced",
    why="the radius of that panel is at most one",
)
def _figure_2a(fig2: pd.DataFrame) -> Measured:
    times = half(fig2, 0.1, 10.0)
    return f"half of the loss range after {spread(times)} steps", {"steps": times.median()}


@PAGE.claim(
    "figure-2.b",
    says="at input scale 10, escaping is easier with a smaller ratio",
    evidence="dynamics.fig2",
    holds=lambda large, middle, small: large > 10 * middle > 10 * small,
    verdict="reproduced",
    why="each tenfold smaller ball takes about a tenth of the steps",
)
def _figure_2b(fig2: pd.DataFrame) -> Measured:
    large, next_, middle, small = (half(fig2, 10.0, ratio) for ratio in (10.0, 1.0, 0.1, 0.001))
    return (
        f"{spread(large)} steps at ratio 10, {spread(next_)} at 1, {spread(middle)} at 0.1, {spread(small)} at 0.001"
    ), {"large": large.median(), "middle": middle.median(), "small": small.median()}


@PAGE.claim(
    "figure-2.c",
    says="at input scale 1000, escaping is difficult even with a ratio of 0.001",
    evidence="dynamics.fig2",
    holds=lambda small, middle: small < 100 and middle == inf,
    verdict="reproduced in part",
    why="from a ratio of 0.1 up no escape within the run; at 0.001 it depends on how the scale is read, see Figure 2c "
    "(scale read as the largest pixel)",
)
def _figure_2c(fig2: pd.DataFrame) -> Measured:
    small = half(fig2, 1000.0, 0.001)
    return (
        f"{spread(small)} steps at ratio 0.001, where the radius is that of scale 0.1 and ratio 10 "
        f"({spread(half(fig2, 0.1, 10.0))} steps); {spread(half(fig2, 1000.0, 1.0))} at ratio 1"
    ), {"small": small.median(), "middle": half(fig2, 1000.0, 0.1).median()}


@PAGE.claim(
    "question-2.radius",
    statement="Section 5.1.1 (scale or radius)",
    says="smaller input scales help because everything depends only on the scale of the radius",
    evidence="dynamics.fig2",
    holds=lambda fastest, slowest, unsure, sure: slowest < 3 * fastest and sure > 2 * unsure,
    verdict="reproduced in part",
    why="the scale acts through the radius; and through saturation, as a fresh network is surer of larger inputs",
)
def _scale_or_radius(fig2: pd.DataFrame) -> Measured:
    """Steps at radius 1 at the three scales; and at scale 1000, for images that the network is sure of or not."""
    rows = paper_steps(fig2, eps=1.0)
    by_scale = rows.groupby("scale")["loss_half"].median()
    times, margin = (pick(rows, scale=1000.0)[name] for name in ("loss_half", "margin_start"))
    unsure, sure = nearest(times[margin < 0]), nearest(times[margin > 1])
    at = ", ".join(f"{about(by_scale[scale])} steps at scale {scale:g}" for scale in SCALES)
    return (
        f"at radius 1: {at} (medians); at scale 1000 {about(unsure)} for images with a start of negative margin, "
        f"{about(sure)} for those of a margin above 1"
    ), {"fastest": by_scale.min(), "slowest": by_scale.max(), "unsure": unsure, "sure": sure}


@PAGE.claim(
    "figure-2.travel",
    statement="Figure 2 (what decides the time)",
    says="escaping is slow at large input scales because the landscape is less regular there",
    evidence="dynamics.fig2",
    holds=lambda quotient, foreseen: 0.6 < quotient < 2.5 and foreseen > 0.9,
    verdict="not reproduced",
    why="travel and saturation explain the times; the bends of the landscape change them by a factor near one",
)
def _travel_time(fig2: pd.DataFrame) -> Measured:
    """Measured over foreseen time of what escapes, and whether what does not escape was foreseen to be slow."""
    rows = paper_steps(fig2)
    foreseen = rows["travel"] + rows["saturation"]
    quotient = (rows["loss_half"] / foreseen)[(rows["loss_half"] > 3) & (rows["loss_half"] < inf)]
    slow = (foreseen[rows["loss_half"] == inf] > 500).mean()
    return (
        f"escape time over the time foreseen for a linear margin: median {about(quotient.median())}, quartiles "
        f"{interval(*quotient.quantile([0.25, 0.75]))}; of the trajectories that do not escape, {100 * slow:.0f}% "
        "were foreseen to need over 500 steps"
    ), {"quotient": quotient.median(), "foreseen": slow}


@PAGE.claim(
    "question-2",
    says="at a fixed ratio, smaller input scales help: local maxima are left faster",
    evidence="dynamics.fig2",
    holds=lambda small, large, in_loss, in_margin: small < 100 < large and in_loss < 2.5 and in_margin < 2,
    verdict="reproduced in part",
    why="yes for a constant learning rate, where a small scale is a short way; with steps in proportion to the radius "
    "less than a factor of two is left in the loss, and nothing in the margin",
)
def _question_2(fig2: pd.DataFrame) -> Measured:
    """At ratio 10: the paper's steps at scales 0.1 and 1000, and the factor between scales with relative steps."""
    cells = pick(per_image(fig2), RELATIVE, convention="minus", ratio=10.0).groupby("scale")
    loss, margin = cells["loss_half"].median(), cells["height_half"].median()
    by_loss = ", ".join(f"{about(loss[scale])} steps at scale {scale:g}" for scale in SCALES)
    by_margin = ", ".join(about(margin[scale]) for scale in SCALES)
    return (
        f"ratio 10, steps relative to the radius: half of the loss range after {by_loss}; half of the margin's range "
        f"after {by_margin} (a linear function: {about(1 / RELATIVE_STEP)})"
    ), {
        "small": half(fig2, 0.1, 10.0).median(),
        "large": half(fig2, 1000.0, 10.0).median(),
        "in_loss": loss.max() / loss.min(),
        "in_margin": margin.max() / margin.min(),
    }


@PAGE.claim(
    "appendix-b.1.training",
    statement="Appendix B.1 (adversarial training)",
    says="the network is trained adversarially on 200 images at input scale 0.1 with learning rate 0.01 r",
    evidence="dynamics.fig3",
    holds=lambda accuracy: accuracy < 0.65,
    verdict="not reproduced",
    why="with plain SGD at these learning rates and this scale nothing is learned: the network stays as it was, or "
    "becomes constant",
)
def _training(fig3: pd.DataFrame) -> Measured:
    end = pick(of_paper(by_epoch(fig3), 0.1), epoch=100)
    accuracy, moved = (end[name].agg(["min", "max"]) for name in ("train accuracy", "moved"))
    return (
        f"training accuracy after 100 epochs between {about(accuracy['min'])} and {about(accuracy['max'])} over all "
        f"ratios and networks; weights moved by {about(moved['min'], 1)} to {about(moved['max'], 1)} of their norm"
    ), {"accuracy": accuracy["max"]}


def _farthest(change: pd.Series[float]) -> float:
    """How far a factor lies from 1, at most; NaN if one is."""
    return float(np.max(np.abs(change.to_numpy() - 1)))


@PAGE.claim(
    "figure-3.early",
    says="after a few epochs (10) escaping is still easy",
    evidence="dynamics.fig3",
    holds=lambda slowest, others_change: slowest < 200 and others_change <= 0.5,
    verdict="reproduced",
    why="far within the 1000 steps, although two to four times slower at ratio 10",
)
def _early(fig3: pd.DataFrame) -> Measured:
    state = by_epoch(fig3)
    large, small = of_paper(state, 0.1, largest=True), of_paper(state, 0.1, largest=False)
    before, after = (pick(large, epoch=epoch)["half, constant"] for epoch in (0, 10))
    return (
        f"half of the loss range after {spread(after)} steps at ratio 10 ({spread(before)} at epoch 0), "
        f"{spread(pick(small, epoch=10)['half, constant'])} at smaller ratios (unchanged)"
    ), {"slowest": after.max(), "others_change": _farthest(change(small, 10))}


@PAGE.claim(
    "figure-3.late",
    says="after many epochs (100) escaping is significantly harder",
    evidence="dynamics.fig3",
    holds=lambda slower, gradient, relative, others_change: (
        slower > 5 and gradient < 0.5 and relative < 1.2 and others_change <= 0.5
    ),
    verdict="reproduced in part",
    why="at the largest ratio, as the network becomes constant; not where the learning rate is too small to change it, "
    "and not with relative steps",
)
def _late(fig3: pd.DataFrame) -> Measured:
    """Factors by which constant and relative steps have changed at epoch 100, network by network."""
    state = by_epoch(fig3)
    large, small = of_paper(state, 0.1, largest=True), of_paper(state, 0.1, largest=False)
    before, after = pick(large, epoch=0), pick(large, epoch=100)
    return (
        f"ratio 10: {spread(after['half, constant'])} constant steps, with the gradient at "
        f"{about(100 * after['gradient'].median(), 1)}% of what it was; {spread(after['half, relative'])} relative "
        f"steps ({spread(before['half, relative'])} at epoch 0). Smaller ratios: unchanged"
    ), {
        "slower": change(large, 100).min(),
        "gradient": after["gradient"].max(),
        "relative": change(large, 100, "relative").max(),
        "others_change": _farthest(change(small, 100)),
    }


@PAGE.claim(
    "figure-3.learning",
    statement="Figure 3 (a network that learns)",
    says="after many epochs (100) escaping is significantly harder",
    evidence="dynamics.fig3",
    holds=lambda slower, relative, accuracy: slower > 2 and 1.2 < relative < 4 and accuracy > 0.9,
    verdict="reproduced",
    why="for another reason: a trained network is sure of its images, and the cross entropy is flat there; relative "
    "steps need twice as many",
)
def _learning(fig3: pd.DataFrame) -> Measured:
    state = pick(by_epoch(fig3), setting="learns")
    before, after = pick(state, epoch=0), pick(state, epoch=100)
    return (
        f"training accuracy {about(after['train accuracy'].median())}, gradient {about(after['gradient'].median(), 1)} "
        f"times its first value: {spread(after['half, constant'])} constant steps ({spread(before['half, constant'])} "
        f"at epoch 0), {spread(after['half, relative'])} relative steps ({spread(before['half, relative'])})"
    ), {
        "slower": change(state, 100).min(),
        "relative": change(state, 100, "relative").median(),
        "accuracy": after["train accuracy"].min(),
    }


@PAGE.claim(
    "figure-3.scales",
    statement="Figure 3 (caption, last sentence)",
    says="the influence of training is more significant on large input scales",
    evidence="dynamics.fig3",
    holds=lambda range_left_10, no_range_01, others_change: range_left_10 == no_range_01 == 0 and others_change <= 0.5,
    verdict="reproduced in part",
    why="at ratio 10 the network of the large scale is exactly constant after ten epochs, that of the small scale only "
    "nearly so after a hundred; at smaller ratios training changes neither",
)
def _scales(fig3: pd.DataFrame) -> Measured:
    """At ratio 10: networks of scale 10 with a loss range left after training, and of scale 0.1 with none."""
    state = by_epoch(fig3)

    def course(rows: pd.DataFrame) -> str:
        return ", ".join(spread(pick(rows, epoch=epoch)["half, constant"]) for epoch in EPOCHS)

    small, large = (of_paper(state, scale, largest=True) for scale in (0.1, 10))
    tenths = [pick(state, setting=f"scale {scale}, r = 0.1") for scale in (0.1, 10)]
    return (
        f"constant steps at epochs 0, 10, 100, ratio 10: {course(small)} at scale 0.1, {course(large)} at scale 10; "
        f"ratio 0.1: {course(tenths[0])} and {course(tenths[1])}"
    ), {
        "range_left_10": large[large["epoch"] > 0]["half, constant"].notna().sum(),
        "no_range_01": small["half, constant"].isna().sum(),
        "others_change": _farthest(change(of_paper(state, 10, largest=False), 100)),
    }
