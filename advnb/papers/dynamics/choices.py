"""The page ``dynamics/choices``: what the escapes of Figure 2 hang on, one choice at a time.

Its trial of float32 against float64, its claims and its drawings; ``advnb.papers.dynamics.images`` has the rest.
"""

from __future__ import annotations

import copy
import warnings
from math import inf
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from advnb.attacks import ZeroGradientWarning, pgd
from advnb.book import figures
from advnb.book.claims import Measured, Numbers, Page
from advnb.book.rounding import about
from advnb.experiments import Experiment, Tolerance
from advnb.gradients import frozen, loss_and_gradient
from advnb.papers.dynamics.images import RATIOS, SCALES, costs
from advnb.papers.dynamics.images.escape import CONSTANT, EASY, RELATIVE, SETTLE, STEPS, rounded, start_from
from advnb.papers.dynamics.images.scene import Scene, class_index, draw_scene
from advnb.papers.dynamics.images.steps import LEARNING_RATE, RELATIVE_STEP, RULES, shrinking, travel
from advnb.papers.dynamics.images.tables import by_image, by_network, medians, nearest, per_image, percent, pick, spread
from advnb.statistics import median_interval

PAGE = Page("dynamics/choices", title="Choices")

LOOKS = {"constant": (figures.CYCLE[0], "s"), "relative": (figures.CYCLE[1], "o")}
"""Colour and marker of the two rules of a step."""


def precision(*, seed: int, **choices: Any) -> Numbers:
    """Trial: the cross entropy of two logits as a script would write it, in float32 and float64, convention "minus".

    From one local maximum in float64. For each dtype (suffix 32 or 64), an entry an image: ``zero``, whether the
    gradient of the loss is exactly zero there; ``cosine`` with the exact direction; and the share of the margin's
    range that 400 steps cover, ``constant`` with raw steps at lr 1 and ``relative`` with steps of 0.02 eps along the
    gradient that this dtype returns. ``choices`` are the other arguments of :func:`draw_scene`.
    """
    scene = draw_scene(loss="cross_entropy", convention="minus", seed=seed, **choices)
    generator = torch.Generator().manual_seed(seed)
    top = start_from(scene, scene.ball.sample(scene.x, generator=generator), climb="relative")
    _, down = travel(scene, top, uphill=False, rule="relative", steps=SETTLE, size=shrinking())
    fields = {"margin_start": down[0], "margin_floor": down[-1]}
    for suffix, dtype in (("32", torch.float32), ("64", torch.float64)):
        shares = _plain_script(scene, top, dtype)
        covered = {name: (down[0] - m) / (down[0] - down[-1]) for name, m in shares.items() if name in RULES}
        fields |= {f"{name}{suffix}": value for name, value in (shares | covered).items()}
    return {"eps": scene.ball.eps, **{name: rounded(value) for name, value in fields.items()}}


def _plain_script(scene: Scene, top: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Gradient at ``top`` and margins after raw and relative steps on ``cross_entropy`` in ``dtype``; all (n,)."""
    net, x, start = copy.deepcopy(scene.net).to(dtype), scene.x.to(dtype), top.to(dtype)
    start, labels = scene.ball.project(start, x), class_index(scene.y)
    _, exact = scene.margin_gradient(top)
    with frozen(net), warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)
        _, grad, _ = loss_and_gradient(net, start, labels, "cross_entropy")
        sizes = {"constant": LEARNING_RATE, "relative": RELATIVE_STEP * scene.ball.eps}
        ends = {
            rule: pgd(net, x, labels, scene.ball, steps=STEPS["relative"], step_size=size, start=start,
                      direction="gradient" if rule == "constant" else "steepest")
            for rule, size in sizes.items()
        }  # fmt: skip
    size = grad.flatten(1).abs().amax(1)
    unit = grad.flatten(1).to(exact.dtype) / size[:, None]  # so that no square underflows; NaN where zero
    cosine = nn.functional.cosine_similarity(-exact.flatten(1), unit)
    margins = {rule: scene.margin(end.to(top.dtype)) for rule, end in ends.items()}
    return {"zero": (size == 0).to(top.dtype), "cosine": cosine, **margins}


FIG2_PRECISION = Experiment(
    "dynamics.fig2_precision",
    precision,
    grids={
        "laptop": {"data": "mnist", "version": "2017", "scale": SCALES, "ratio": [10.0, 0.001], "units": "norm",
                   "images": 4},
        "full": {"data": "mnist", "version": "2019", "scale": SCALES, "ratio": RATIOS, "units": "norm", "images": 20},
    },
    seeds={"laptop": 6, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-3),
    like_processor=["margin_start", "margin_floor"]
    + [f"{name}{suffix}" for name in ("zero", "cosine", *RULES) for suffix in ("32", "64")],  # all after a climb
    cost=costs.precision,
)  # fmt: skip
"""The same start in float32 and float64."""


def variants(choices: pd.DataFrame) -> pd.DataFrame:
    """Trials of ``dynamics.fig2_choices`` with one row an image; ``variant`` names the choice that is changed."""
    rows = per_image(choices)
    changed = {
        "pixels, ε = r s": (rows["units"] == "pixels") & (rows["radius_of"] == "scale"),
        "pixels": rows["units"] == "pixels",
        "squared loss": rows["loss"] == "squared",
        "network of 2019": rows["version"] == "2019",
    }
    rate = "learning rate " + rows["lr"].map("{:g}".format)
    return rows.assign(variant=np.select(list(changed.values()), list(changed), rate))


@PAGE.claim(
    "question-1.images",
    statement="Question 1 (on images)",
    says="projected gradient ascent truly finds a local maximum rapidly",
    evidence="dynamics.fig2",
    holds=lambda unbeaten, curved, settled: min(unbeaten, curved, settled) > 0.95,
    verdict="reproduced",
    why="for steps in proportion to the radius, at every scale and ratio, as far as sampled neighbours can tell; a "
    "first-order test alone would miss it, because the maxima sit on kinks",
)
def _settled_starts(fig2: pd.DataFrame) -> Measured:
    """Shares of starts with no sampled neighbour above, with negative curvatures, with less than a tenth to gain."""
    tops = pick(per_image(fig2), RELATIVE, convention="minus")
    tests = {"unbeaten": tops["beaten"] == 0, "curved": tops["curvature"] < 0, "settled": tops["gain"] < 0.1}
    unbeaten, curved, settled = (percent(tops, passed) for passed in tests.values())
    return (
        f"{SETTLE} shrinking relative steps, {len(tops)} starts at nine radii: no sampled neighbour is higher in "
        f"{unbeaten}, all sampled curvatures are negative in {curved}, and {SETTLE} more steps add less than a tenth "
        f"of the range in {settled}"
    ), {name: passed.mean() for name, passed in tests.items()}


@PAGE.claim(
    "appendix-b.1.maxima",
    statement="Appendix B.1 (the starts)",
    says="1000 steps of PGD with a learning rate of 1 achieve good enough local maxima",
    evidence="dynamics.fig2",
    holds=lambda moderate, large: moderate < 0.1 < large,
    verdict="reproduced in part",
    why="good enough (less than a tenth of the range left to gain) at moderate radii; in the large balls, where the "
    "figure finds escaping hard, the start is no maximum but close to a random point",
)
def _paper_starts(fig2: pd.DataFrame) -> Measured:
    starts = pick(per_image(fig2), CONSTANT, convention="minus")
    starts = starts.groupby("eps")[["gain", "travelled"]].median()
    moderate, large = starts.loc[0.01:1], starts.loc[100:]
    return (
        f"left to gain: at most {about(100 * moderate['gain'].max(), 1)}% of the range for radii from 0.01 to 1, but "
        f"{about(100 * large['gain'].min(), 1)}% or more from radius 100 on, where the climb has come "
        f"{about(large['travelled'].min(), 1)} radii far in the worst case"
    ), {"moderate": moderate["gain"].max(), "large": large["gain"].min()}


@PAGE.claim(
    "section-3.sign",
    statement="Section 3 and appendix A (the sign of L)",
    says="local maxima of L are hard to leave at a large radius, for either reading of the sign (the paper does not "
    "compare them)",
    evidence=["dynamics.fig2_sign", "dynamics.fig2"],
    holds=lambda weak, strong: weak == inf and strong < inf,
    verdict="reproduced in part",
    why="only for the weak end, where the slope of the cross entropy vanishes; leaving the strong end takes travel "
    "time",
)
def _sign(plus: pd.DataFrame, minus: pd.DataFrame) -> Measured:
    """The quick end of the interval over networks for the weak maxima, the slow end for the strong ones."""
    weak, strong = (by_network(pick(per_image(t), CONSTANT, scale=10.0, ratio=10.0)) for t in (minus, plus))
    return (
        f"radius 100, scale 10, the paper's steps: {spread(weak)} steps with L = -loss, {spread(strong)} with L = +loss"
    ), {"weak": median_interval(weak)[0], "strong": median_interval(strong)[1]}


def _panel_c(choices: pd.DataFrame, variant: str) -> Measured:
    """Figure 2c's smallest ratio in a variant: shares of trajectories that are stuck, and that escape easily."""
    rows = pick(variants(choices), variant=variant, scale=1000.0, ratio=0.001)
    constant, relative = (pick(rows, run) for run in (CONSTANT, RELATIVE))
    stuck, easy = constant["loss_half"] == inf, constant["loss_half"] <= EASY
    sure = constant["margin_start"] > 0
    return (
        f"radius {about(rows['eps'].median())}: with constant steps {percent(constant, stuck)} of the trajectories are "
        f"not out after 1000 steps and {percent(constant, easy)} are after {EASY}; of the stuck ones "
        f"{100 * sure[stuck].mean():.0f}% start where the network is right. Relative steps: "
        f"{spread(by_network(relative), STEPS['relative'])}"
    ), {"stuck": stuck.mean(), "easy": easy.mean()}


@PAGE.claim(
    "figure-2.c.pixels",
    statement="Figure 2c (scale read as the largest pixel)",
    says="at input scale 1000, escaping is difficult even with a ratio of 0.001",
    evidence="dynamics.fig2_choices",
    holds=lambda stuck, easy: min(stuck, easy) > 0.25,
    verdict="reproduced in part",
    why="read so, the network is nine times surer, and where it is right the loss is flat; where it is wrong the "
    "escape is easy",
)
def _pixels(choices: pd.DataFrame) -> Measured:
    return _panel_c(choices, "pixels")


@PAGE.claim(
    "figure-2.c.product",
    statement="Figure 2c (radius as in appendix B.1)",
    says="with the radius as the product of the ratio and the input scale, escaping is difficult at scale 1000 even "
    "with a ratio of 0.001",
    evidence="dynamics.fig2_choices",
    holds=lambda stuck, easy: min(stuck, easy) > 0.25,
    verdict="reproduced in part",
    why="a ball nine times smaller changes nothing where the loss is flat",
)
def _product(choices: pd.DataFrame) -> Measured:
    return _panel_c(choices, "pixels, ε = r s")


@PAGE.claim(
    "figure-2.learning-rate",
    statement="Figure 2 (learning rate)",
    says="if the input scale is large, escaping from the local maxima is difficult",
    evidence=["dynamics.fig2_choices", "dynamics.fig2"],
    holds=lambda one, hundredfold, largest_ball: hundredfold < one == inf == largest_ball,
    verdict="reproduced in part",
    why="the learning rate of 1 is what fails at radius 100; at radius 10,000 it is the slope of the loss",
)
def _learning_rate(choices: pd.DataFrame, fig2: pd.DataFrame) -> Measured:
    """Steps at larger learning rates in two balls: median networks, and the fastest network in the largest ball."""
    rows = variants(choices)
    hundred, myriad = (by_network(pick(rows, scale=10.0, lr=rate)) for rate in (1e2, 1e4))
    stuck = [by_network(pick(rows, scale=1000.0, lr=rate)) for rate in (1e2, 1e4)]
    one = by_network(pick(per_image(fig2), CONSTANT, convention="minus", scale=10.0, ratio=10.0))
    return (
        f"radius 100 at scale 10: {spread(one)} steps at learning rate 1, {spread(hundred)} at 100, {spread(myriad)} "
        f"at 10,000; radius 10,000 at scale 1000: {spread(stuck[0])} at 100, {spread(stuck[1])} at 10,000"
    ), {"one": nearest(one), "hundredfold": nearest(hundred), "largest_ball": min(map(nearest, stuck))}


@PAGE.claim(
    "figure-2.precision",
    statement="Figure 2 (float32 or landscape)",
    says="a large input scale makes local maxima hard to leave (precision is not discussed)",
    evidence="dynamics.fig2_precision",
    holds=lambda zero32, zero64, relative32, relative64, constant64, zero32_elsewhere: (
        zero32 > 0.5 > zero64 and relative64 > 0.5 > max(relative32, constant64) and zero32_elsewhere == 0
    ),
    verdict="reproduced in part",
    why="with constant steps float64 is as stuck as float32, by the slope of the loss; with relative steps only the "
    "rounding of float32 holds the attack (stuck: less than half of the range is covered)",
)
def _float32_or_landscape(precision: pd.DataFrame) -> Measured:
    """Shares of vanished gradients, and medians of the range that is covered, in the largest balls."""
    rows = by_image(precision)
    large = rows[rows["eps"] > 1000]
    covered = large[["relative32", "relative64", "constant32", "constant64"]].median()
    percent = {name: f"{100 * abs(value):.0f}%" for name, value in covered.items()}
    zero = large[["zero32", "zero64"]].mean()
    return (
        f"largest radius, margin {about(large['margin_start'].median())} at the start: gradient exactly zero in "
        f"{100 * zero['zero32']:.0f}% of starts in float32, {100 * zero['zero64']:.0f}% in float64; relative steps "
        f"then cover {percent['relative32']} and {percent['relative64']} of the range, constant steps "
        f"{percent['constant32']} and {percent['constant64']}; cosine between the gradient of float64 and the exact "
        f"one: {about(large['cosine64'].median(), 1)}"
    ), {**zero, **covered.drop("constant32"), "zero32_elsewhere": rows[rows["eps"] <= 100]["zero32"].max()}


def draw_variants(ax: Axes, rows: pd.DataFrame) -> None:
    """Steps to half of the loss range for each variant of Figure 2: medians over networks, and their range.

    What has not escaped lies beyond the dotted line of the constant steps' last step.
    """
    limit, names = STEPS["constant"], []
    for y, ((variant, scale, ratio), cell) in enumerate(rows.groupby(["variant", "scale", "ratio"])):
        names.append(f"{variant}: scale {scale:g}, r = {ratio:g}")
        for rule, (colour, marker) in LOOKS.items():
            times = pick(cell, step=rule)
            if len(times):
                networks = by_network(times.fillna({"loss_half": inf}))
                low, middle, high = np.clip([networks.min(), nearest(networks), networks.max()], 0.8, 2.2 * limit)
                ax.plot([low, high], [y, y], color=colour, alpha=0.35, linewidth=4)
                ax.plot(middle, y, marker, color=colour)
    for rule, (colour, marker) in LOOKS.items():
        ax.plot([], [], marker, color=colour, label=f"{rule} steps")
    ax.axvline(limit, color=figures.FAINT, linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(xlabel="steps to half of the loss range", xlim=(0.6, 4 * limit))
    ax.legend(loc="upper left")


def draw_starts(ax: Axes, rows: pd.DataFrame, field: str) -> None:
    """A measure of the starts (a column of ``per_image``) against the radius, for both climbs: medians, intervals."""
    for run in (CONSTANT, RELATIVE):
        values = medians(pick(rows, run, convention="minus"), "eps", field)
        colour, marker = LOOKS[run[0]]
        ax.semilogx(values.index, values["median"], f"{marker}-", color=colour, label=f"{run[0]} steps up")
        ax.fill_between(values.index, values["low"], values["high"], color=colour, alpha=0.2, linewidth=0)
    titles = {"gain": "left to gain, as a share of the range", "travelled": "way from the random start, in radii"}
    ax.set(xlabel="radius ε", title=titles.get(field, field))
