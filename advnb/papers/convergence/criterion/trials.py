"""Equation (4) and Figure 1 of Wang et al. (2019): networks trained by Standard, their test images under attack."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.optimize import linprog
from torch import Tensor, nn

from advnb.attacks import cw, fgsm, pgd
from advnb.balls import Linf
from advnb.criterion import fosc
from advnb.data import Split
from advnb.experiments import Experiment, Tolerance
from advnb.fold import fold
from advnb.papers.convergence import costs
from advnb.papers.convergence.criterion.measures import (
    VARIANTS,
    along,
    bins,
    correlations,
    groups,
    measured,
    pairs,
    paths,
    short,
    within,
)
from advnb.papers.convergence.recipes import RECIPES, images, percentiles, trained
from advnb.papers.convergence.tables.trials import CIFAR, DIGITS, FULL_CIFAR, FULL_MNIST, MNIST, STAGES

STEPS, LONG = 10, 20
"""Figure 1's PGD-10, and the same attack followed for as many steps again."""

LINES = 20
"""Examples whose paths are kept: the lines of Figure 1b."""

SOLVED = 20
"""Examples whose inner problem, linearised, is given to a linear programme."""

ATTACKS = ("fgsm", "pgd10", "pgd20", "pgd40", "shrinking", "cw")
"""FGSM; 10, 20 steps of eps/4; 40 of eps/10; 40 that shrink from eps/4 to 0; C&W's margin by 30 steps of eps/4."""

ENTROPY = ATTACKS[:-1]
"""The attacks that maximise the loss of which FOSC is taken."""

PROFILE = (*VARIANTS, "loss", "norm")


def examined(*, data: str, tests: int, seed: int, device: str, **training: Any) -> dict[str, Any]:
    """Trial: train by Standard (``recipes.trained``), attack ``tests`` test images, measure FOSC in every way.

    The fields are those of :func:`across`, :func:`by_step`, :func:`between` and :func:`reach`.
    """
    model, _ = trained(data=data, defence="standard", seed=seed, device=device, stages=STAGES, **training)
    net, ball = fold(model), Linf(RECIPES[data].eps)
    split = images(data, 1, tests, device).test
    start = ball.sample(split.x, generator=torch.Generator().manual_seed(seed))
    points, path = along(net, split, ball, start, LONG)
    attacks = attacked(net, split, ball, points, path)
    best = np.maximum.reduce([paths(path, "loss").max().to_numpy(), *(t["loss"].to_numpy() for t in attacks.values())])
    return (
        across(attacks["pgd10"], best)
        | by_step(path)
        | between(attacks)
        | reach(net, split, ball, points[STEPS], attacks)
    )


def attacked(net: nn.Module, split: Split, ball: Linf, points: Tensor, path: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return ``measures.measured`` at what each of :data:`ATTACKS` makes; all but FGSM begin at ``points[0]``."""
    start, x, y = points[0], split.x, split.y
    go = partial(pgd, net, x, y, ball, steps=40, start=start)
    here = {
        "pgd40": go(step_size=ball.eps / 10),
        "shrinking": go(step_size=lambda k: ball.eps / 4 * (1 - k / 40)),
        "cw": cw(net, x, y, ball, steps=30, start=start),
    }
    walked = {f"pgd{k}": path[path["step"] == k].set_index("example") for k in (STEPS, LONG)}
    found = {"fgsm": measured(net, fgsm(net, x, y, ball), split, ball), **walked}
    return found | {name: measured(net, x_adv, split, ball, start) for name, x_adv in here.items()}


def across(table: pd.DataFrame, best: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return Figure 1a: what FOSC goes with across the examples of one attack.

    For each of ``VARIANTS``: ``groups_...``, rows fosc, right, loss, norm of twenty groups; ``spearman_...`` and
    ``pearson_...``, rows right, loss, norm, each [value, low, high]; ``short_of_best_...``, Spearman's correlation
    with how far the loss is below the ``best`` that any attack found. ``bins_...`` are the paper's groups, of equal
    width up to 0.1: rows count, right, loss; ``within_range_...`` the share of examples there, ``percentiles_...``
    and ``fades``, the share whose gradient is below 1e-6 in L1 norm.
    """
    found: dict[str, Any] = {"fades": short((table["norm"] < 1e-6).mean())}
    tied, missing = correlations(table), pd.Series(best - table["loss"].to_numpy())
    for name in VARIANTS:
        found[f"groups_{name}"] = short(groups(table, name).to_numpy().T)
        for kind in ("spearman", "pearson"):
            found[f"{kind}_{name}"] = short(tied.loc[name, [kind, f"{kind}_low", f"{kind}_high"]].to_numpy())
        found[f"short_of_best_{name}"] = short(missing.corr(table[name].reset_index(drop=True), method="spearman"))
    for name in ("raw", "box"):
        found[f"bins_{name}"] = short(bins(table, name)[["count", "right", "loss"]].to_numpy().T)
        found[f"within_range_{name}"] = short((table[name] <= 0.1).mean())
        found[f"percentiles_{name}"] = percentiles(torch.tensor(table[name].to_numpy()))
    return found


def by_step(path: pd.DataFrame) -> dict[str, Any]:
    """Return Figure 1b: what happens along the steps 0 to 20.

    ``path_...``: rows mean, 5th, 50th and 95th percentile by step, of the variants, the loss and the gradient's norm;
    ``pooled_...`` those percentiles over steps 0 to 10 together; ``path_right`` the accuracy. ``down_...``: shares of
    examples whose FOSC falls at a step, ``up_loss`` whose loss rises; ``follows_...``: shares of steps 1 to 10 at
    which FOSC falls, among those at which the loss rises, and falls. ``within_...``: percentiles over examples of
    the correlation with the loss along the steps 0 to 10, then 0 to 20. ``start_negative``: shares by step.
    ``lines_...``: the first twenty examples.
    """
    right, loss = paths(path, "right"), paths(path, "loss")
    rises = loss.diff().iloc[1:] > 0
    found = {"path_right": short(right.mean(axis=1)), "up_loss": short(rises.mean(axis=1))}
    for name in PROFILE:
        values = paths(path, name)
        bands = values.quantile([0.05, 0.5, 0.95], axis=1).to_numpy()
        found[f"path_{name}"] = [short(values.mean(axis=1)), *short(bands)]
        found[f"pooled_{name}"] = short(np.quantile(values.loc[:STEPS], [0.05, 0.5, 0.95]))
    for name in VARIANTS:
        falls = paths(path, name).diff().iloc[1:] < 0
        found[f"down_{name}"] = short(falls.mean(axis=1))
        early, up = falls.loc[:STEPS].to_numpy(), rises.loc[:STEPS].to_numpy()
        found[f"follows_{name}"] = short([early[up].mean(), early[~up].mean()])
        ranks = (within(path, name, steps).dropna() for steps in (STEPS, LONG))
        found[f"within_{name}"] = [percentiles(torch.tensor(rank.to_numpy())) for rank in ranks]
    found["start_negative"] = short((paths(path, "start") < 0).mean(axis=1))
    for name in ("raw", "box", "loss"):
        found[f"lines_{name}"] = short(paths(path, name).iloc[:, :LINES].to_numpy().T)
    return found


def between(attacks: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what the attacks reach on the same images.

    ``attack_...``: means over images for each of :data:`ATTACKS`, of the variants, loss, norm and ``right``;
    ``pairs_...``: ``measures.pairs`` among the attacks on the cross entropy, ``pairs_cw_...`` of C&W with PGD-20.
    """
    found = {
        f"attack_{name}": short([attacks[attack][name].mean() for attack in ATTACKS]) for name in ("right", *PROFILE)
    }
    for name in VARIANTS:
        found[f"pairs_{name}"] = pairs({attack: attacks[attack] for attack in ENTROPY}, name)
        found[f"pairs_cw_{name}"] = pairs({attack: attacks[attack] for attack in ("pgd20", "cw")}, name)
    return found


def reach(net: nn.Module, split: Split, ball: Linf, x_adv: Tensor, attacks: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what the closed form counts and the box puts out of reach, and what a linear programme finds.

    ``out_of_reach`` is the share of its sum over images, ``out_of_reach_median`` the median over images of the share,
    each at the images themselves, FGSM's and PGD-10's examples; ``floor`` percentiles of the difference at the last.
    ``least`` is the smallest of the printed formula over eps ||g||_1, there without any rounding up to 0. ``by_lp``:
    largest differences over eps ||g||_1 between the optimum of a linear programme and the printed formula for the
    ball, then the module's FOSC for ball and box, over twenty PGD-10 examples.
    """
    clean = measured(net, split.x, split, ball)
    tables = {"clean": clean, **{name: attacks[name] for name in ("fgsm", "pgd10")}}
    last, around = attacks["pgd10"], measured(net, x_adv, split, ball)
    share = {name: 1 - t["box"] / t["raw"].where(t["raw"] > 0) for name, t in tables.items()}
    return {
        "clean": short(clean["right"].mean()),
        "out_of_reach": short([1 - t["box"].sum() / t["raw"].sum() for t in tables.values()]),
        "out_of_reach_median": short([values.median() for values in share.values()]),
        "floor": percentiles(torch.tensor((last["raw"] - last["box"]).to_numpy())),
        "least": short((around["start"] / (ball.eps * around["norm"])).min()),
        "by_lp": solved(net, x_adv[:SOLVED], split[:SOLVED], ball),
    }


def solved(net: nn.Module, x_adv: Tensor, split: Split, ball: Linf) -> list[float]:
    """Return how far equation (4) by a linear programme is from the printed formula, and from ``fosc`` in the box."""
    point = x_adv.clone().requires_grad_()
    (grad,) = torch.autograd.grad(F.cross_entropy(net(point), split.y, reduction="sum"), point)
    module = fosc(net, x_adv, split.x, split.y, ball).double().cpu().numpy()
    rows = (part.detach().flatten(1).double().cpu().numpy() for part in (grad, x_adv, split.x))
    worst = [0.0, 0.0]
    for g, at, centre, in_box in zip(*rows, module, strict=True):
        low, high = centre - ball.eps, centre + ball.eps
        reach = max(ball.eps * np.abs(g).sum(), 1e-30)
        printed = reach - (at - centre) @ g
        whole = -linprog(-g, bounds=np.c_[low, high]).fun - at @ g
        boxed = -linprog(-g, bounds=np.c_[low, high].clip(0, 1)).fun - at @ g
        worst = [max(worst[0], abs(whole - printed) / reach), max(worst[1], abs(boxed - in_box) / reach)]
    return worst


RETRAINED = Tolerance(rtol=0.3, atol=0.3)
"""Training in float32 takes another processor to another network: correlations and shares move by their spread over
seeds."""

SIZES = tuple(
    f"{kind}_{name}" for kind in ("path", "pooled", "attack") for name in ("raw", "box", "start", "margin", "norm")
)
"""Gradients, and FOSC in their units: on MNIST two seeds differ by a factor of three."""

ONE_BY_ONE = tuple(
    f"{kind}_{name}"
    for kind, names in {
        "lines": ("raw", "box", "loss"), "bins": ("raw", "box"), "percentiles": ("raw", "box"), "groups": VARIANTS,
        "pairs": VARIANTS, "pairs_cw": VARIANTS, "within": VARIANTS,
    }.items()
    for name in names
)  # fmt: skip
"""Single examples, counts, groups and the tails of distributions, of which another network has others."""

KEPT: dict[str, Any] = {
    "tolerance": RETRAINED,
    "tolerances": dict.fromkeys((*SIZES, "floor"), Tolerance(rtol=3.0, atol=0.3)),
    "unchecked": ONE_BY_ONE,
    "goes_on": True,
    "cost": costs.examined,
}

FEW = {f"follows_{name}": Tolerance(rtol=0.0, atol=0.65) for name in VARIANTS}
"""Of CIFAR-10: there the loss falls at a dozen of 5,000 steps, and two shares of a dozen differ by chance by up to 0.6,
three standard deviations. One tolerance is for both numbers of a field, also the share of thousands."""

FIGURE_1_CIFAR10 = Experiment(
    "convergence.figure_1_cifar10",
    examined,
    {"laptop": {**CIFAR, "tests": 500}, "full": FULL_CIFAR},
    {"laptop": 3, "full": 3},
    **KEPT | {"tolerances": KEPT["tolerances"] | FEW},
)
"""Figure 1 on the paper's data set."""

FIGURE_1_MNIST = Experiment(
    "convergence.figure_1_mnist", examined, {"laptop": MNIST, "full": FULL_MNIST}, {"laptop": 3, "full": 3}, **KEPT
)

FIGURE_1_DIGITS = Experiment(
    "convergence.figure_1_digits",
    examined,
    {"live": {**DIGITS, "epochs": 8, "tests": 200, "keep": False}, "laptop": DIGITS},
    {"live": 1, "laptop": 5},
    **KEPT,
)
