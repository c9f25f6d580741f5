"""The primer: attacks, FOSC and adversarial training on digits, claims of the papers that all three build on."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from advnb.attacks import Trace, ZeroGradientWarning, cw, fgsm, pgd
from advnb.balls import Linf
from advnb.book import figures
from advnb.book.claims import Page
from advnb.book.rounding import at_least, at_most
from advnb.data import Split, load
from advnb.evaluation import accuracy
from advnb.experiments import Experiment, Tolerance
from advnb.models import digits_cnn
from advnb.training import Defence, Standard, Unsecured, fit

__all__ = ["EPS", "GRID", "LESSON", "PAGE", "Scaled", "draw_belief", "draw_sweep", "draw_traces", "masking",
           "say_belief", "sweep", "train"]  # fmt: skip

PAGE = Page("primer", title="Primer")

EPS = 0.15
GRID = (0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Sizes of the ball: that of the page, and those of its figure."""

STEPS = 40
"""Of the attack whose path the page shows."""


class Scaled(nn.Module):
    """A model with its logits (n, classes) multiplied by ``factor``: the same answers, another loss."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor
        self.train(model.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled logits."""
        return self.factor * self.model(x)


def train(defence: Defence, seed: int, epochs: int, device: str = "cpu") -> nn.Module:
    """Return a digits CNN trained from ``seed`` against ``defence``."""
    model = digits_cnn(generator=torch.Generator().manual_seed(seed)).to(device)
    fit(model, load("digits"), defence, epochs=epochs, lr=0.05, seed=seed, progress=False)
    return model


def sweep(model: nn.Module, data: Split, seed: int) -> pd.DataFrame:
    """Return the accuracy under noise, FGSM and PGD-10 at each size of ``GRID``: a row a size, a column an attack."""
    rows = {}
    for eps in GRID:
        ball, generator = Linf(eps), torch.Generator().manual_seed(seed)
        crafted = {
            "random noise": ball.sample(data.x, generator=generator),
            "FGSM": fgsm(model, data.x, data.y, ball, fold=False),
            "PGD-10": pgd(model, data.x, data.y, ball, generator=generator, fold=False),
        }
        rows[eps] = {name: accuracy(model, (x_adv, data.y)) for name, x_adv in crafted.items()}
    return pd.DataFrame(rows).T.rename_axis("eps")


def masking(model: nn.Module, data: Split, ball: Linf, factor: float = 1000.0) -> dict[str, float]:
    """Return the accuracy with logits times ``factor`` under 20 steps on the cross entropy and on the margin."""
    loud = Scaled(model, factor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # that is what the page is about to show
        on_entropy = pgd(loud, data.x, data.y, ball, steps=20, random_start=False, fold=False)
    on_margin = cw(loud, data.x, data.y, ball, steps=20, random_start=False, fold=False)
    crafted = {"PGD on cross entropy": on_entropy, "PGD on the margin": on_margin}
    return {name: accuracy(loud, (x_adv, data.y)) for name, x_adv in crafted.items()}


def lesson(*, seed: int, device: str, epochs: int) -> dict[str, Any]:
    """Trial: a network trained on clean digits for ``epochs`` and one by *Standard* for twice as many, attacked.

    ``noise``, ``fgsm`` and ``pgd`` are accuracies at the sizes of ``GRID``; ``left_constant`` and ``left_shrinking``
    the last mean FOSC of 40 steps over the largest on the way, with steps of eps / 4 and with steps that shrink
    to 0; ``masked`` and ``margin`` those of :func:`masking`; ``robust`` and ``fragile`` the accuracies of the two
    networks under PGD-20.
    """
    data = load("digits").test.to(device)
    ball, generator = Linf(EPS), torch.Generator().manual_seed(seed)
    model = train(Unsecured(), seed, epochs, device)
    robust = train(Standard(ball, fold=False), seed, 2 * epochs, device)
    table = sweep(model, data, seed)
    start = ball.sample(data.x, generator=generator)
    options: dict[str, Any] = {"steps": STEPS, "start": start, "trace": True, "fold": False}
    left = [
        _left_over(pgd(model, data.x, data.y, ball, step_size=size, **options)[1])
        for size in (EPS / 4, lambda k: EPS / 4 * (1 - k / STEPS))
    ]
    hidden = masking(model, data, ball)
    twenty = partial(pgd, ball=ball, steps=20, generator=generator, fold=False)
    return {
        "clean": accuracy(model, data),
        "noise": table["random noise"].tolist(),
        "fgsm": table["FGSM"].tolist(),
        "pgd": table["PGD-10"].tolist(),
        "left_constant": left[0],
        "left_shrinking": left[1],
        "masked": hidden["PGD on cross entropy"],
        "margin": hidden["PGD on the margin"],
        "fragile": accuracy(model, data, attack=twenty),
        "robust": accuracy(robust, data, attack=twenty),
    }


def _left_over(trace: Trace) -> float:
    means = trace.fosc.mean(1)
    return float(means[-1] / means.max())


LESSON = Experiment(
    "primer.lesson",
    lesson,
    {"live": {"epochs": 10}, "laptop": {"epochs": 10}},
    {"live": 3, "laptop": 10},
    tolerance=Tolerance(rtol=0.0, atol=0.05),
    tolerances={"left_constant": Tolerance(atol=0.1), "left_shrinking": Tolerance(atol=0.1)},
)
"""What the primer shows, network by network. Training amplifies the last bits: another processor ends at another
network, whose accuracies differ by about their spread over seeds."""

AT = GRID.index(EPS)


@PAGE.claim(
    "fgsm",
    statement="Goodfellow et al., section 4",
    says="One step along the sign of the gradient fools a network that random noise of the same size does not.",
    evidence="primer.lesson",
    holds=lambda noise, fgsm: noise < 0.05 and fgsm > 0.2,
    verdict="reproduced",
)
def _fgsm(lessons: pd.DataFrame) -> tuple[str, dict[str, float]]:
    clean = lessons["clean"].to_numpy()
    noise = float((clean - np.stack(lessons["noise"].tolist())[:, AT]).max())
    step = float((clean - np.stack(lessons["fgsm"].tolist())[:, AT]).min())
    return (
        f"of accuracy, noise costs {at_most(noise, 0.05)} and FGSM {at_least(step, 0.1)}, on any network",
        {"noise": noise, "fgsm": step},
    )


@PAGE.claim(
    "pgd",
    statement="Madry et al., section 3",
    says="PGD is a stronger adversary than a single gradient step.",
    evidence="primer.lesson",
    holds=lambda least_gain: least_gain > 0,
    verdict="reproduced",
)
def _pgd(lessons: pd.DataFrame) -> tuple[str, dict[str, float]]:
    within = [k for k, eps in enumerate(GRID) if 0.1 <= eps <= 0.2]
    gain = float((np.stack(lessons["fgsm"].tolist()) - np.stack(lessons["pgd"].tolist()))[:, within].min())
    return (
        f"with eps from 0.1 to 0.2, PGD-10 leaves a network {at_least(gain, 0.02)} less accuracy than FGSM",
        {"least_gain": gain},
    )


@PAGE.claim(
    "fosc",
    statement="Wang et al. (2019), section 3.2",
    says="Along the steps of PGD, FOSC decreases consistently towards 0.",
    evidence="primer.lesson",
    holds=lambda constant, least, most: constant > 0.35 and 0.1 < least < most < 0.4,
    verdict="reproduced in part",
    why="it rises, then falls, and levels off above 0",
)
def _fosc(lessons: pd.DataFrame) -> tuple[str, dict[str, float]]:
    constant = lessons["left_constant"].min()
    least, most = lessons["left_shrinking"].min(), lessons["left_shrinking"].max()
    return (
        f"the mean FOSC rises first; of its peak, {at_least(constant, 0.1)} is left with constant steps of eps/4, "
        f"{at_least(least, 0.1)} and {at_most(most, 0.1)} with shrinking ones",
        {"constant": constant, "least": least, "most": most},
    )


@PAGE.claim(
    "standard",
    statement="Madry et al., section 5",
    says="Training on PGD's examples gives a network that withstands PGD.",
    evidence="primer.lesson",
    holds=lambda robust, fragile: robust > fragile + 0.2,
    verdict="reproduced",
)
def _standard(lessons: pd.DataFrame) -> tuple[str, dict[str, float]]:
    robust, fragile = lessons["robust"].min(), lessons["fragile"].max()
    return (
        f"under PGD-20 the networks trained so keep {at_least(robust, 0.1)} of the digits, the others "
        f"{at_most(fragile, 0.1)}",
        {"robust": robust, "fragile": fragile},
    )


@PAGE.claim(
    "masking",
    statement="Carlini and Wagner, section V",
    says="An attack on cross entropy can fail where one on the margin succeeds, because the loss saturates.",
    evidence="primer.lesson",
    holds=lambda hidden: hidden > 0.2,
    verdict="reproduced",
)
def _masking(lessons: pd.DataFrame) -> tuple[str, dict[str, float]]:
    hidden = (lessons["masked"] - lessons["margin"]).min()
    return (
        f"with logits times 1000, PGD on cross entropy leaves {at_least(hidden, 0.1)} more of the digits right than "
        "PGD on the margin",
        {"hidden": hidden},
    )


def draw_sweep(ax: Axes, tables: list[pd.DataFrame]) -> None:
    """Draw accuracy against eps for each attack: the mean over the tables of :func:`sweep`, and their range."""
    for name, colour in zip(tables[0].columns, figures.CYCLE, strict=False):
        seeds = pd.concat([table[name] for table in tables], axis=1)
        ax.plot(seeds.index, seeds.mean(axis=1), "o-", color=colour, label=name)
        ax.fill_between(seeds.index, seeds.min(axis=1), seeds.max(axis=1), color=colour, alpha=0.2)
    ax.set(xlabel=r"$\epsilon$ (pixels in [0, 1])", ylabel="test accuracy", ylim=(-0.02, 1.02))
    ax.legend()


def draw_traces(ax: Axes, label: str, steady: Tensor, shrinking: Tensor, examples: int = 12) -> None:
    """Draw a quantity (steps + 1, n) along an attack: single examples thin, the means of two step rules thick."""
    ax.plot(steady[:, :examples], color=figures.CYCLE[5], linewidth=0.8)
    ax.plot(steady.mean(1), color=figures.INK, label=r"mean, steps of $\epsilon/4$")
    ax.plot(shrinking.mean(1), "--", color=figures.CYCLE[1], label="mean, shrinking steps")
    ax.set(xlabel="PGD step", ylabel=label, xticks=range(0, len(steady), 10))


def attacked(model: nn.Module, x: Tensor, y: Tensor, eps: float, step: int) -> tuple[Tensor, Tensor]:
    """Return one digit (1, 1, h, w) after ``step`` steps of PGD from a fixed start, and its class probabilities."""
    ball = Linf(eps)
    begin = ball.sample(x, generator=torch.Generator().manual_seed(0))
    point = begin if step == 0 else pgd(model, x, y, ball, steps=step, start=begin)
    with torch.no_grad():
        return point, model(point).softmax(1)[0]


def say_belief(model: nn.Module, x: Tensor, y: Tensor, eps: float, step: int) -> str:
    """Say what :func:`draw_belief` shows."""
    _, probability = attacked(model, x, y, eps, step)
    return (
        f"A {int(y[0])}, to which the network gives a probability of {probability[y[0]]:.2f}; "
        f"its first choice is {int(probability.argmax())}"
    )


def draw_belief(axes: list[Axes], model: nn.Module, x: Tensor, y: Tensor, eps: float, step: int) -> None:
    """Draw one digit (1, 1, h, w) after ``step`` steps of PGD, its perturbation, and the class probabilities."""
    point, probability = attacked(model, x, y, eps, step)
    figures.show_images(axes[0], point, titles=[f"step {step}"])
    moved = figures.show_images(axes[1], point - x, titles=["perturbation"], limits=(-eps, eps), cmap="PuOr")
    bar = axes[1].figure.colorbar(moved, ax=axes[1], location="bottom", shrink=0.9, ticks=[-eps, 0, eps])
    bar.ax.set_xticklabels(["-ε", "0", "ε"])
    meaning = ["clean" if label == int(y[0]) else "adversarial" for label in range(len(probability))]
    axes[2].bar(range(len(probability)), probability, color=[figures.COLOURS[name] for name in meaning])
    axes[2].set(ylim=(0, 1), xticks=range(len(probability)), ylabel="probability")
    axes[2].set_xlabel("class (blue: the true one)")
