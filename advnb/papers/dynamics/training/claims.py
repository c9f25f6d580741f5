"""The claims of the page ``dynamics/training``: Figure 3.

Every setting has five networks. Escaping is *harder* (*easier*) in a setting where the steps of a network after
training, over those of the same network before, are at least doubled (at most halved) in the median, and more (fewer)
in every network: by chance alone all five would agree once in 32 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about
from advnb.papers.dynamics.images.escape import EASY
from advnb.papers.dynamics.images.steps import RULES
from advnb.papers.dynamics.images.tables import nearest, pick, spread
from advnb.papers.dynamics.training.trials import EPOCHS
from advnb.statistics import wilson

PAGE = Page("dynamics/training", title="Training")

ENOUGH = 5
"""Networks with a loss range left that a comparison needs."""

SETTING = ["optimizer", "reading", "scale", "ratio"]
"""What tells the settings apart in the tables of this page."""


def by_epoch(fig3: pd.DataFrame) -> pd.DataFrame:
    """Trials of Figure 3 with one row for each network and epoch.

    ``learned``: the training accuracy is significantly above one half (the 95% interval lies above it). ``range`` of
    the loss over the ball, norm of the margin's ``gradient`` at the images, and ``force``, the norm of the gradient of
    L where the escape starts, are medians over images; so are ``constant`` and ``relative``, steps to half of the
    range, NaN where there is none.
    """
    return pd.concat([_epochs(trial) for _, trial in fig3.iterrows()], ignore_index=True)


def _epochs(trial: pd.Series[Any]) -> pd.DataFrame:
    def loss(name: str) -> Any:
        return np.logaddexp(0, -trial[name])

    accuracy = trial["train_accuracy"]
    right = [round(share * trial["examples"]) for share in accuracy]
    slope = 1 / (1 + np.exp(np.minimum(trial["constant_margin_start"], 700)))
    fields = {
        "optimizer": {"sgd": "SGD", "adam": "Adam"}[trial["optimizer"]],
        "reading": trial["units"],
        "scale": trial["scale"],
        "ratio": trial["ratio"],
        "seed": trial["seed"],
        "epoch": EPOCHS,
        "accuracy": accuracy,
        "test accuracy": trial["test_accuracy"],
        "under attack": trial["adversarial_accuracy"],
        "learned": [wilson(hits, trial["examples"])[0] > 0.5 for hits in right],
        "moved": trial["moved"],
        "range": np.median(loss("relative_margin_floor") - loss("relative_margin_peak"), axis=1),
        "gradient": np.median(trial["constant_gradient_clean"], axis=1),
        "force": np.median(slope * trial["constant_gradient_start"], axis=1),
    }
    return pd.DataFrame(fields | {rule: nearest(trial[f"{rule}_loss_half"], axis=1).round() for rule in RULES})


def change(state: pd.DataFrame, epoch: int, field: str = "constant") -> pd.DataFrame:
    """``field`` at an epoch over that at epoch 0: a row a setting, a column a network; NaN where no range is left."""
    times = state.pivot_table(index=[*SETTING, "seed"], columns="epoch", values=field, aggfunc="first", dropna=False)
    with np.errstate(invalid="ignore"):
        return (times[epoch] / times[0]).unstack("seed").dropna(how="all")


def compared(state: pd.DataFrame, epoch: int, field: str = "constant") -> pd.DataFrame:
    """A row a setting: the median ``factor`` of :func:`change`, ``low``, ``high``, whether ``harder`` or ``easier``."""
    factors = change(state, epoch, field)
    table = pd.DataFrame({"low": factors.min(axis=1), "high": factors.max(axis=1), "left": factors.count(axis=1)})
    table["factor"] = [nearest(row[~np.isnan(row)]) for row in factors.to_numpy()]
    enough = table["left"] >= ENOUGH
    table["harder"] = enough & (table["factor"] >= 2) & (table["low"] > 1)
    table["easier"] = enough & (table["factor"] <= 0.5) & (table["high"] < 1)
    return table


def learning(state: pd.DataFrame) -> pd.Series[bool]:
    """For each setting whether all its networks have learned after the last epoch."""
    return pick(state, epoch=EPOCHS[-1]).groupby(SETTING)["learned"].all()


def small(state: pd.DataFrame) -> pd.DataFrame:
    """The settings at the input scale of Figure 3, 0.1."""
    return pick(state, scale=0.1)


def named(settings: pd.Index[Any]) -> str:
    """Settings as text: "SGD (norm, r = 10), Adam (pixels, r = 1)"; "none" if there are none."""
    return ", ".join(f"{name} ({reading}, r = {ratio:g})" for name, reading, _, ratio in settings) or "none"


@PAGE.claim(
    "appendix-b.1.training",
    statement="Appendix B.1 (adversarial training)",
    says="the CNN is trained on 100 odd and 100 even images at input scale 0.1 with a learning rate of 0.01 r",
    evidence="dynamics.fig3",
    holds=lambda settings_that_learn, settings: 0 < settings_that_learn < settings,
    verdict="reproduced in part",
    why="the optimiser, which the paper does not name, decides whether anything is learned",
)
def _training(fig3: pd.DataFrame) -> Measured:
    state = small(by_epoch(fig3))
    learned = learning(state)
    end = pick(state, epoch=EPOCHS[-1]).set_index(SETTING)
    others = end[~learned.reindex(end.index)]
    return (
        f"better than chance on the training images after 100 epochs, in all networks: {named(learned.index[learned])} "
        f"({learned.sum()} of {len(learned)} settings); elsewhere the median accuracy is "
        f"{about(others['accuracy'].median())}"
    ), {"settings_that_learn": learned.sum(), "settings": len(learned)}


@PAGE.claim(
    "figure-3.early",
    says="after a few epochs (10) escaping from local maxima is still easy",
    evidence="dynamics.fig3",
    holds=lambda easy, slowed, settings: easy > settings / 2 and (easy < settings or slowed > 0),
    verdict="reproduced in part",
    why="within a tenth of the paper's run wherever there is something to escape from; but in one setting it is "
    "already harder than before training, and in others the networks have become constant (these were counted among "
    "the settings when the condition was set, and left out after the run)",
)
def _early(fig3: pd.DataFrame) -> Measured:
    """Of the settings with a loss range at epoch 10: where escaping is easy then, and where harder than at epoch 0."""
    state = small(by_epoch(fig3))
    left = pick(state, epoch=10).dropna(subset="constant").groupby(SETTING)["constant"]
    times = left.agg(nearest)[left.size() >= ENOUGH]
    harder = compared(state, 10)["harder"].reindex(times.index, fill_value=False)
    constant = learning(state).index.difference(times.index)
    return (
        f"easy (at most {EASY} steps) in {(times <= EASY).sum()} of the {len(times)} settings in which the networks "
        f"have a loss range left; already harder than at epoch 0: {named(times.index[harder])}. Constant by then: "
        f"{named(constant)}"
    ), {"easy": (times <= EASY).sum(), "slowed": harder.sum(), "settings": len(times)}


@PAGE.claim(
    "figure-3.late",
    says="after a lot of training epochs (100) escaping is significantly harder",
    evidence="dynamics.fig3",
    holds=lambda harder, settings: 0 < harder < settings,
    verdict="reproduced in part",
    why="for SGD at the largest ratio, on its way to a constant network; not where the learning rate is too small to "
    "change the network, nor, at this scale, where it learns",
)
def _late(fig3: pd.DataFrame) -> Measured:
    """Settings in which escaping is harder after 100 epochs, with constant steps and with relative ones."""
    state = small(by_epoch(fig3))
    constant, relative = (compared(state, 100, rule) for rule in RULES)
    total = len(learning(state))
    return (
        f"harder in {constant['harder'].sum()} of {total} settings: {named(constant.index[constant['harder']])}; "
        f"easier: {named(constant.index[constant['easier']])}. With relative steps harder: "
        f"{named(relative.index[relative['harder']])}"
    ), {"harder": constant["harder"].sum(), "settings": total}


@PAGE.claim(
    "figure-3.learning",
    statement="Figure 3 (networks that learn)",
    says="after a lot of training epochs (100) escaping is significantly harder",
    evidence="dynamics.fig3",
    holds=lambda harder, settings: 0 < harder < settings,
    verdict="reproduced in part",
    why="at the large scale, where a trained network is sure of its images and the cross entropy is flat; at the small "
    "one its gradient has grown so much that one step crosses the ball, as before (the condition set before the run "
    "was: harder in every setting that learns)",
)
def _learning(fig3: pd.DataFrame) -> Measured:
    """The settings, at both scales, in which all networks learn: in how many of them escaping is harder."""
    state = by_epoch(fig3)
    learned = learning(state)
    constant, relative = (compared(state, 100, rule).reindex(learned.index[learned]) for rule in RULES)
    least, most = relative["factor"].min(), relative["factor"].max()
    ends = pick(state, epoch=EPOCHS[-1]).groupby(SETTING)["constant"], pick(state, epoch=0).groupby(SETTING)["constant"]
    after, before = ({setting: spread(steps) for setting, steps in part} for part in ends)
    told = [
        f"{_brief(key)}: {after[key]} constant steps after 100 epochs ({before[key]} before)" for key in constant.index
    ]
    return (
        f"all networks learn in {learned.sum()} settings: {'; '.join(told)}. With relative steps the factors are "
        f"{_times(least)} to {_times(most)}"
    ), {"harder": constant["harder"].sum(), "settings": learned.sum()}


@PAGE.claim(
    "figure-3.scales",
    statement="Figure 3 (caption, last sentence)",
    says="the influence of training is more significant on large input scales compared to small ones",
    evidence="dynamics.fig3",
    holds=lambda more, optimisers: 0 < more < optimisers,
    verdict="reproduced in part",
    why="where the network learns; plain SGD at this learning rate changes little at either scale",
)
def _scales(fig3: pd.DataFrame) -> Measured:
    """At ratio 0.1: for how many optimisers the factor of scale 10 exceeds that of scale 0.1, network by network."""
    factors = change(pick(by_epoch(fig3), reading="norm", ratio=0.1), 100)
    large, little = (factors.xs(scale, level="scale") for scale in (10.0, 0.1))
    above = {name[0]: (large.loc[name] / little.loc[name]).min() > 1 for name in large.index}
    listed = "; ".join(
        f"{name[0]}: {_factor(little.loc[name])} at scale 0.1, {_factor(large.loc[name])} at scale 10"
        for name in large.index
    )
    return f"steps after 100 epochs over steps before, ratio 0.1: {listed}", {
        "more": sum(above.values()),
        "optimisers": len(above),
    }


def _brief(setting: Any) -> str:
    return "{}, {}, scale {:g}".format(*setting)


def _factor(values: pd.Series[float]) -> str:
    low, high = _times(values.min()), _times(values.max())
    return f"{_times(nearest(values.dropna()))} [{low}, {high}]"


def _times(factor: float) -> str:
    """A factor as text: infinite for a trajectory that is not out at the end of its run."""
    return about(factor).replace("inf", "∞")


@PAGE.claim(
    "section-6.slope",
    statement="Section 6 (what training does to the gradient)",
    says="as adversarial training goes on, L goes to 0 and with it the gradient of L in the perturbation, so that "
    "adversaries are found more slowly",
    evidence="dynamics.fig3",
    holds=lambda smaller, larger: smaller > 0 and larger > 0,
    verdict="reproduced in part",
    why="where the ball is large the slope of the loss goes to 0 and the gradient of L with it; where it is small the "
    "network's own gradient grows by more (the condition set before the run was: a tenth or less in every setting "
    "that learns)",
)
def _slope(fig3: pd.DataFrame) -> Measured:
    """In the settings that learn: gradient of L at the start of the escape and gradient of the margin, over epoch 0."""
    state = by_epoch(fig3)
    learned = learning(state)
    force, gradient = (
        compared(state, 100, field).reindex(learned.index[learned])["factor"] for field in ("force", "gradient")
    )
    told = "; ".join(f"{_brief(key)}: {about(force[key], 1)} and {about(gradient[key], 1)}" for key in force.index)
    return (
        "where all networks learn, after 100 epochs the gradient of L at the start of the escape, and that of the "
        f"margin at the images, are these multiples of what they were: {told}"
    ), {"smaller": (force <= 0.1).sum(), "larger": (force > 1).sum()}
