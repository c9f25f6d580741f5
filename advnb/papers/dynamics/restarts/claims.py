"""The claims of the page *restarts*: what another random start is worth. All but the first two are this book's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, interval
from advnb.experiments import unroll
from advnb.papers.dynamics.restarts.estimate import reached, summary
from advnb.papers.dynamics.restarts.networks import by_image
from advnb.papers.dynamics.restarts.trials import RULES, STARTS, STEPS
from advnb.statistics import bootstrap

PAGE = Page("dynamics/restarts", title="Restarts")

OURS = "This book"

CASE = ["data", "training", "eps"]

OFFERED = {"quarter": "ε/4", "madry": "2.5 ε/K", "shrinking": "ε/2 shrinking to 0"}
"""The step size rules in words."""


def successes(basins: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network, ``rule`` and number of ``steps``: ``successes``, and those at 10 percent."""
    parts = [
        unroll(basins.assign(rule=rule, successes=basins[rule], tenth=basins[f"{rule}_tenth"]), ["successes", "tenth"])
        for rule in RULES
    ]
    rows = pd.concat(parts, ignore_index=True).drop(
        columns=[f"{rule}{end}" for rule in RULES for end in ("", "_tenth")]
    )
    return rows.assign(steps=rows["step"].map(dict(enumerate(STEPS))))


def longest(basins: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the longest runs with steps that shrink: those that come to rest."""
    return successes(basins).query("rule == 'shrinking' and steps == @STEPS[-1]")


def table(rows: pd.DataFrame, by: list[str], starts: int = STARTS, field: str = "successes") -> pd.DataFrame:
    """Return :func:`estimate.summary` of ``field`` for each group of ``by``, a row a group."""
    return rows.groupby(by)[field].apply(lambda counts: summary(counts, starts)).unstack()


Row = Mapping[str, Any]


def shares(rows: pd.DataFrame, by: list[str], field: str = "successes") -> dict[Any, Row]:
    """Return :func:`table` as a mapping from the groups to their rows."""
    starts = int(rows["restarts"].iloc[0]) if "restarts" in rows else STARTS
    found: dict[Any, Any] = table(rows, by, starts, field).to_dict("index")
    return found


def for_practice(rows: pd.DataFrame, by: list[str], field: str = "successes") -> pd.DataFrame:
    """Return the table for practitioners: shares and restarts for 99 percent, in words, a row for each group of ``by``.

    "mean input" is what the mean share would need, "all inputs" what :func:`estimate.needed_over_inputs` finds.
    """
    starts = int(rows["restarts"].iloc[0]) if "restarts" in rows else STARTS
    found = table(rows, by, starts, field)
    names = {"mean": "mean share", "median": "median input", "q90": "90% of inputs", "all": "all inputs"}
    text = {name: found[column].map(lambda value: counted(value, starts)) for column, name in names.items()}
    shown = [told(row) for row in shares(rows, by, field).values()]
    return pd.DataFrame({"share of starts": shown, **text}, index=found.index)


def apart(first: Row, second: Row) -> int:
    """Return 1 if the interval of the share in ``first`` lies above that in ``second``, -1 if below, else 0."""
    return int(first["low"] > second["high"]) - int(first["high"] < second["low"])


def told(row: Row) -> str:
    """Return the mean share of a row of :func:`table` with its interval, as text."""
    return f"{about(row['share'])} {interval(row['low'], row['high'])}"


def counted(restarts: float, most: int = STARTS) -> str:
    """Return a number of restarts as text; more than ``most`` were not run."""
    return f"{restarts:.0f}" if restarts <= most else f"more than {most}"


@PAGE.claim(
    "section-5.1.global-minimum",
    statement="Section 5.1.1",
    says="below a threshold of the radius projected gradient descent reaches the global minimum with high probability",
    evidence="dynamics.restarts",
    # "With high probability": at the radii 0.01 and 0.1 at least 95 percent of starts, at every input scale, with
    # the interval. It would be refuted by an input whose one minimum PGD does not reach.
    holds=lambda lows: min(lows) >= 0.95,
    verdict="reproduced",
    why="there is one minimum on the sphere, and nothing holds a trajectory",
)
def _global(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("d == 2 and m == 16 and eps <= 0.1"), ["scale", "eps"])
    worst = min(found.values(), key=lambda row: float(row["low"]))
    return (
        f"{STEPS[-1]} steps from a random start end at the global maximum of the loss in a share of at least "
        f"{about(worst['share'], 3)} {interval(worst['low'], worst['high'], 3)} of starts at radii 0.01 and 0.1",
        {"lows": [row["low"] for row in found.values()]},
    )


@PAGE.claim(
    "question-2.restarts",
    statement="Question 2",
    says="at a fixed ratio a smaller input scale helps (here: more random starts reach the global maximum)",
    evidence="dynamics.restarts",
    # At both ratios "reproduced", at one "in part", at none "not reproduced".
    holds=lambda higher: higher == 2,
    verdict="reproduced",
    why="a smaller radius has fewer basins",
)
def _scale(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("d == 2 and m == 16"), ["scale", "eps"])
    pairs = {ratio: [found[scale, scale * ratio] for scale in (0.01, 100.0)] for ratio in (1.0, 10.0)}
    return (
        "share of starts that reach it: "
        + "; ".join(f"{told(a)} at scale 0.01, {told(b)} at 100 (ratio {r:g})" for r, (a, b) in pairs.items()),
        {"higher": sum(apart(a, b) == 1 for a, b in pairs.values())},
    )


@PAGE.claim(
    "restarts.radius",
    statement=OURS,
    says="(not in the paper) the share of starts that reach the global maximum falls with the radius, and five "
    "restarts are not enough for 99 percent of inputs at radius 1,000",
    evidence="dynamics.restarts",
    holds=lambda falls, enough: falls == 1 and enough > 5,
    verdict="reproduced",
    why="counted at d = 2, where the global maximum is known",
)
def _radius(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("d == 2 and m == 16 and scale == 1"), ["eps"])
    first, last = found[0.1], found[1000.0]
    return (
        f"{told(first)} at radius 0.1, {told(last)} at radius 1000, input norm 1; restarts for 99% there: median input "
        f"{counted(last['median'])}, 90% of inputs {counted(last['q90'])}, the whole set {counted(last['all'])}",
        {"falls": apart(first, last), "enough": min(last["all"], STARTS + 1)},
    )


@PAGE.claim(
    "restarts.radius-or-scale",
    statement=OURS,
    says="(not in the paper) at a fixed radius a larger input needs no more restarts",
    evidence="dynamics.restarts",
    holds=lambda lower: lower == 0,  # of the radii 10, 100 and 1000
    verdict="reproduced",
    why="it is the radius that decides: far from the origin the units are straight",
)
def _radius_or_scale(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("d == 2 and m == 16"), ["scale", "eps"])
    pairs = {eps: [found[scale, eps] for scale in (1.0, 100.0)] for eps in (10.0, 100.0, 1000.0)}
    return (
        "; ".join(f"{told(a)} at input norm 1, {told(b)} at 100 (radius {eps:g})" for eps, (a, b) in pairs.items()),
        {"lower": sum(apart(b, a) == -1 for a, b in pairs.values())},
    )


@PAGE.claim(
    "restarts.width",
    statement=OURS,
    says="(not in the paper) width does not change what a restart is worth",
    evidence="dynamics.restarts",
    # Of the radii 10 and 1000, width 4 against 256: before the run "reproduced" asked for no intervals apart.
    holds=lambda changed, lower: changed == 0 and lower == 2,
    verdict="reproduced in part",
    why="no intervals are apart, as the condition set before the run asked; but the wide networks have the lower share "
    "at both radii, which twenty networks do not decide (with the first fourteen the intervals were apart at one)",
)
def _width(basins: pd.DataFrame) -> Measured:
    rows = longest(basins).query("d == 2 and scale == 1 and m in (4, 256)")
    found = shares(rows, ["m", "eps"])
    pairs = {eps: [found[m, eps] for m in (4, 256)] for eps in (10.0, 1000.0)}
    return (
        "; ".join(f"{told(a)} at width 4, {told(b)} at 256 (radius {eps:g})" for eps, (a, b) in pairs.items()),
        {
            "changed": sum(apart(a, b) != 0 for a, b in pairs.values()),
            "lower": sum(b["share"] < a["share"] for a, b in pairs.values()),
        },
    )


@PAGE.claim(
    "restarts.dimension",
    statement=OURS,
    says="(not in the paper) at a fixed radius fewer starts reach the best loss known in a higher dimension; above "
    "d = 2 that loss is the best of very many starts, a lower bound of the maximum",
    evidence="dynamics.restarts",
    # Of the radii 10, 100 and 1000, d = 2 against 64: before the run two lower ones were to be enough.
    holds=lambda lower, higher: lower >= 2 and higher > 0,
    verdict="reproduced in part",
    why="the condition set before the run (two of three radii) holds, but at radius 10 it is the other way round, "
    "which it had not asked about",
)
def _dimension(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("m == 64"), ["d", "eps"])
    pairs = {eps: [found[d, eps] for d in (2, 64)] for eps in (10.0, 100.0, 1000.0)}
    return (
        "; ".join(f"{told(a)} at d = 2, {told(b)} at 64 (radius {eps:g})" for eps, (a, b) in pairs.items()),
        {side: sum(apart(a, b) == sign for a, b in pairs.values()) for side, sign in (("lower", 1), ("higher", -1))},
    )


@PAGE.claim(
    "restarts.budget",
    statement=OURS,
    says="(not in the paper) of a budget of 200 gradients, four starts of 50 steps find the global maximum more often "
    "than one of 200",
    evidence="dynamics.restarts",
    # At all three radii 10, 100, 1000 "reproduced", at some "in part", at none "not reproduced": the interval of the
    # mean difference over networks lies above 0.
    holds=lambda better: better == 3,
    verdict="reproduced",
    why="a trajectory that is in the wrong basin stays there however long it runs",
)
def _budget(basins: pd.DataFrame) -> Measured:
    rows = successes(basins).query("rule == 'shrinking' and d == 2 and m == 16 and scale == 1 and eps >= 10")
    parts, better = [], 0
    for eps, part in rows.groupby("eps"):
        counts = part.pivot_table(index="seed", columns="steps", values="successes")
        many, one = (reached(counts[steps], STARTS, 200 // steps) for steps in (50, 200))
        better += bootstrap(many - one)[0] > 0
        parts.append(f"{about(one.mean())} by one, {about(many.mean())} by four (radius {eps:g})")
    return f"probability of reaching the global maximum: {'; '.join(parts)}", {"better": int(better)}


@PAGE.claim(
    "restarts.mean",
    statement=OURS,
    says="(not in the paper) the mean share of successful starts understates the restarts that a test set needs",
    evidence="dynamics.restarts",
    # That it never overstates them is the proposition of the page (Jensen); that it matters is what may fail: at
    # least twice as many are needed at radius 1000.
    holds=lambda factor: 1 < factor < 2,
    verdict="reproduced in part",
    why="inputs differ in p, and the last of them are the hard ones; but the factor is below the two that the "
    "condition set before the run asked for (moved from reproduced)",
)
def _mean(basins: pd.DataFrame) -> Measured:
    found = shares(longest(basins).query("d == 2 and m == 16"), ["scale", "eps"])
    row = found[1.0, 1000.0]
    return (
        f"at radius 1000 and input norm 1 the mean share {about(row['share'])} would need {row['mean']:.0f} restarts "
        f"for 99%, and {counted(row['all'])} are needed",
        {"factor": min(row["all"], STARTS + 1) / row["mean"]},
    )


# On trained networks: what 20 starts find, from the longer of the two numbers of steps and Madry's step size.


def of_cnns(digits: pd.DataFrame, mnist: pd.DataFrame) -> pd.DataFrame:
    """Return both tables by image: runs of 40 steps of 2.5 eps / 40."""
    return pd.concat([by_image(digits), by_image(mnist)], ignore_index=True).query("rule == 'madry' and steps == 40")


def gains(rows: pd.DataFrame, k: int = 20) -> dict[Any, Row]:
    """Return for each (data, training, eps) the robust accuracy after one start and after ``k``, with its fall.

    ``low`` and ``high`` are the interval of the fall over images. An image that is wrong when clean counts as fooled.
    """
    found: dict[Any, Row] = {}
    for key, part in rows.groupby(CASE):
        starts = int(part["restarts"].iloc[0])
        one, many = (np.where(part["clean"], 1 - reached(part["fooled"], starts, n), 0.0) for n in (1, k))
        low, high = bootstrap(one - many)
        found[key] = {"one": one.mean(), "many": many.mean(), "fall": (one - many).mean(), "low": low, "high": high}
    return found


@PAGE.claim(
    "restarts.cnn-accuracy",
    statement=OURS,
    says="(not in the paper) on a trained CNN twenty starts lower the robust accuracy by at most a point against one",
    evidence=["dynamics.restarts_digits", "dynamics.restarts_mnist"],
    # At all of (data, training, eps) "reproduced", at some "in part", at none "not reproduced".
    holds=lambda within, of: 0 < within < of,
    verdict="reproduced in part",
    why="whether an image can be fooled is mostly decided by the first start, but not always",
)
def _cnn_accuracy(digits: pd.DataFrame, mnist: pd.DataFrame) -> Measured:
    found = gains(of_cnns(digits, mnist))
    (data, training, eps), row = max(found.items(), key=lambda case: float(case[1]["fall"]))
    within = sum(case["fall"] <= 0.01 for case in found.values())
    return (
        f"the fall is at most one point in {within} of {len(found)} cases; the largest is from {about(row['one'])} to "
        f"{about(row['many'])} ({data}, {training}, ε = {eps:g})",
        {"within": within, "of": len(found)},
    )


@PAGE.claim(
    "restarts.cnn-maximum",
    statement=OURS,
    says="(not in the paper) on a trained CNN fewer than half of the starts come within 1 percent of the best loss "
    "found, which is a lower bound of the maximum",
    evidence=["dynamics.restarts_digits", "dynamics.restarts_mnist"],
    # Before the run "reproduced" asked for less than half in every case of data, training and eps.
    holds=lambda shares, highest: max(shares) < 0.5 <= highest,
    verdict="reproduced in part",
    why="the condition set before the run holds, but in one case, MNIST trained against PGD at a small radius, by less "
    "than the interval of its share (with the first three of the six networks it did not hold there)",
)
def _cnn_maximum(digits: pd.DataFrame, mnist: pd.DataFrame) -> Measured:
    found = of_cases(of_cnns(digits, mnist))
    mean, high = ([float(row[name]) for row in found.values()] for name in ("share", "high"))
    return (
        f"the mean share of starts within 1% is between {about(min(mean), 1)} and {about(max(mean), 1)} over data, "
        f"training and ε; the upper end of the largest interval is {about(max(high), 1)}",
        {"shares": mean, "highest": max(high)},
    )


def of_cases(rows: pd.DataFrame, field: str = "reached") -> dict[Any, Row]:
    """Return :func:`shares` for each (data, training, eps) of the CNNs: starts that reach the best loss found."""
    parts = [shares(part, CASE, field) for _, part in rows.groupby("data")]
    return {case: row for part in parts for case, row in part.items()}


@PAGE.claim(
    "restarts.cnn-training",
    statement=OURS,
    says="(not in the paper) adversarial training makes starts agree: more come within 10 percent of the best loss",
    evidence=["dynamics.restarts_digits", "dynamics.restarts_mnist"],
    # At all of (data, eps) "reproduced", at some "in part", at none "not reproduced".
    holds=lambda more, of: 0 < more < of,
    verdict="reproduced in part",
    why="at the smaller radii; at the larger ones the intervals overlap (the rule was set before the run)",
)
def _cnn_training(digits: pd.DataFrame, mnist: pd.DataFrame) -> Measured:
    found = of_cases(of_cnns(digits, mnist), "tenth")
    cases = sorted({(data, eps) for data, _, eps in found})
    pairs = {(data, eps): [found[data, kind, eps] for kind in ("pgd", "natural")] for data, eps in cases}
    return (
        "; ".join(
            f"{about(a['share'])} against {about(b['share'])} ({data}, ε = {eps:g})"
            for (data, eps), (a, b) in pairs.items()
        ),
        {"more": sum(apart(a, b) == 1 for a, b in pairs.values()), "of": len(pairs)},
    )
