"""The audit's page: a sound network, and for each flag a fault planted into it, its data or its attack.

A fault is a function (network, x, y, ball) -> what to audit instead, any of ``model``, ``x``, ``y``, ``ball`` and
``attack``. Tests and page plant the same ones.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from advnb.attacks import pgd
from advnb.audit import FLAGS, Report, audit
from advnb.balls import Ball, Linf
from advnb.book import figures
from advnb.data import load
from advnb.experiments import Experiment
from advnb.losses import cross_entropy
from advnb.models import digits_cnn
from advnb.training import Unsecured, fit

__all__ = [
    "BALL", "FAULTS", "MATRIX", "Fault", "Faulty", "Glossary", "audited", "check", "draw_matrix", "examples", "raised",
    "sound",
]  # fmt: skip

BALL = Linf(0.1)
EXAMPLES = 100
GREY = 255

Planted = dict[str, Any]


class Faulty(nn.Module):
    """A network with a fault: ``run(model, x)`` in place of ``model(x)``; in eval mode."""

    def __init__(self, model: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.run = model, run
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the faulty run gives."""
        return self.run(self.model, x)


class Watchful(nn.Module):
    """A stateful defence: it turns the gradient round once ``patience`` queries in a row have been alike.

    Two batches are alike if their pixels differ by less than ``near`` on the average. The outputs are never changed.
    """

    def __init__(self, model: nn.Module, patience: int = 15, near: float = 0.03) -> None:
        super().__init__()
        self.model, self.patience, self.near = model, patience, near
        self.last, self.alike = torch.empty(0), 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs, with their gradient or its opposite."""
        here = x.detach()
        alike = here.shape == self.last.shape and bool((here - self.last).abs().mean() < self.near)
        self.last, self.alike = here, self.alike + 1 if alike else 0
        output = self.model(x)
        return output if self.alike < self.patience else 2 * output.detach() - output


class Fault(NamedTuple):
    """A fault by the ``flag`` that should be raised, in words, and how it is planted."""

    flag: str
    what: str
    plant: Callable[[nn.Module, Tensor, Tensor, Ball], Planted]


def _model(run: Callable[[nn.Module, Tensor], Tensor]) -> Callable[..., Planted]:
    return lambda model, x, y, ball: {"model": Faulty(model, run)}


def _attack(made: Callable[[Ball], Callable[..., Tensor]]) -> Callable[..., Planted]:
    return lambda model, x, y, ball: {"attack": made(ball)}


def _training(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> Planted:
    return {"model": deepcopy(model).train()}


def _stale(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> Planted:
    stale = deepcopy(model)
    for part in stale.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
    return {"model": stale}


def _misled(model: nn.Module, x: Tensor) -> Tensor:
    """The network itself, with a backward that gives an arbitrary gradient."""
    wave = torch.cos(1e4 * x) / 1e4
    return model(x.detach() + wave - wave.detach())


def _quantised(model: nn.Module, x: Tensor, levels: int) -> Tensor:
    return model((levels * x).round() / levels)


def _straight_through(model: nn.Module, x: Tensor) -> Tensor:
    return model(x + ((16 * x).round() / 16 - x).detach())


def _half_detached(model: nn.Module, x: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return model(torch.cat([left, right.detach()], -1))


def _only_first_batch(ball: Ball, size: int = 20) -> Callable[..., Tensor]:
    """An attack with its return inside the loop over batches."""

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x_adv = x.clone()
        for rows in torch.arange(len(x)).split(size):
            x_adv[rows] = pgd(model, x[rows], y[rows], ball, random_start=False, fold=False)
            break
        return x_adv

    return attack


def _until_one_falls(ball: Ball) -> Callable[..., Tensor]:
    """An attack that leaves its loop over steps for the whole batch once the first example has fallen."""

    def attack(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        path = pgd(model, x, y, ball, steps=40, random_start=False, trace="x", fold=False)[1].x
        right = [int((model(point).argmax(1) == y).sum()) for point in path]
        return path[next((k for k, count in enumerate(right) if count < right[0]), -1)]

    return attack


def _with_memory(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> Planted:
    """A fallback that knows the data: an input further than eps from all of x gets the label of the nearest."""
    memory = x.flatten(1)

    def run(model: nn.Module, points: Tensor) -> Tensor:
        away = torch.cdist(points.detach().flatten(1), memory, p=float("inf"))
        distance, nearest = away.min(1)
        known = 20 * nn.functional.one_hot(y[nearest], 10).to(points)
        return torch.where(distance[:, None] > 1.01 * ball.eps, known + 0 * model(points), model(points))

    return {"model": Faulty(model, run)}


def _triggered(model: nn.Module, x: Tensor) -> Tensor:
    """The network without a gradient wherever the first pixel, which is 0 in every digit, is not 0."""
    free = x.flatten(1).clone()
    free[:, 0] = free[:, 0].detach()
    alive = (free[:, :1] == 0).to(x)
    return model((alive * free + (1 - alive) * free.detach()).view(x.shape))


FAULTS = {
    "train mode": Fault("train-mode", "the network was left in train mode", _training),
    "noise in the network": Fault(
        "random-output", "Gaussian noise of 0.1 is added to the input in each call",
        _model(lambda model, x: model(x + 0.1 * torch.randn_like(x))),
    ),
    "normalised over the batch": Fault(
        "batch-dependence", "the mean logits of the batch are subtracted",
        _model(lambda model, x: model(x) - model(x).mean(0)),
    ),
    "stale normalisation": Fault(
        "stale-normalisation", "the running statistics of BatchNorm are those of a fresh network", _stale
    ),
    "wrong units of x": Fault(
        "pixel-units", "the network takes grey levels and gets pixels in [0, 1]",
        _model(lambda model, x: model(x / GREY)),
    ),
    "wrong units of eps": Fault(
        "eps-units", "network and data are in grey levels, eps is not",
        lambda model, x, y, ball: {
            "model": Faulty(model, lambda model, x: model(x / GREY)),
            "x": x * GREY,
            "ball": Linf(ball.eps, box=(0.0, 255.0)),
        },
    ),
    "shifted labels": Fault("labels", "each label is one too large", lambda model, x, y, ball: {"y": (y + 1) % 10}),
    "untrained network": Fault(
        "clean-accuracy", "the weights were never loaded",
        lambda model, x, y, ball: {"model": digits_cnn(generator=torch.Generator().manual_seed(0)).eval()},
    ),
    "softmax outputs": Fault(
        "probabilities", "the network ends in a softmax", _model(lambda model, x: model(x).softmax(1))
    ),
    "clipped logits": Fault(
        "clipped-logits", "the logits are clipped to [-4, 4]", _model(lambda model, x: model(x).clamp(-4, 4))
    ),
    "quantised input": Fault(
        "piecewise-constant", "pixels are rounded to 16 levels, with a straight-through gradient",
        _model(_straight_through),
    ),
    "detached graph": Fault("no-gradient", "the input is detached", _model(lambda model, x: model(x.detach()))),
    "sixteen levels": Fault(
        "dead-gradient", "pixels are rounded to 16 levels; autograd's gradient of that is zero",
        _model(partial(_quantised, levels=16)),
    ),
    "huge logits": Fault(
        "saturated-loss", "the logits are multiplied by 1000", _model(lambda model, x: 1000 * model(x))
    ),
    "masked gradient": Fault("wrong-gradient", "the backward gives an arbitrary gradient", _model(_misled)),
    "half of the graph": Fault("wrong-gradient", "one half of the image is detached", _model(_half_detached)),
    "too large a ball": Fault(
        "outside", "the attack projects onto a ball of twice the radius",
        _attack(lambda ball: partial(pgd, ball=Linf(2 * ball.eps), fold=False)),
    ),
    "wrong sign": Fault(
        "loss-falls", "the attack descends",
        _attack(lambda ball: partial(pgd, ball=ball, fold=False, loss=lambda z, y: -cross_entropy(z, y))),
    ),
    "return in the loop over batches": Fault(
        "early-return", "only the first batch of 20 is attacked", _attack(_only_first_batch)
    ),
    "tiny steps": Fault(
        "short-reach", "ten steps of eps / 50 cannot cross the ball",
        _attack(lambda ball: partial(pgd, ball=ball, fold=False, steps=10, step_size=ball.eps / 50)),
    ),
    "too few steps": Fault(
        "unfinished", "two steps of eps / 2",
        _attack(lambda ball: partial(pgd, ball=ball, fold=False, steps=2, step_size=ball.eps / 2)),
    ),
    "return at the first success": Fault(
        "unfinished", "the loop ends for all once one example has fallen", _attack(_until_one_falls)
    ),
    "trigger pixel": Fault(
        "start-dependence", "the gradient is cut where the first pixel is not 0", _model(_triggered)
    ),
    "a watchful model": Fault(
        "more-steps-weaker", "after 15 queries in a row the gradient is turned round",
        lambda model, x, y, ball: {"model": Watchful(model)},
    ),
    "a model with a memory": Fault(
        "larger-ball-weaker", "far from the data the label of the nearest example is returned", _with_memory
    ),
    "four levels": Fault("unbounded", "pixels are rounded to 4 levels", _model(partial(_quantised, levels=4))),
    "eight levels": Fault(
        "gradient-free-wins", "pixels are rounded to 8 levels", _model(partial(_quantised, levels=8))
    ),
    "noise for an attack": Fault(
        "overstated", "the number is that of random noise",
        _attack(lambda ball: lambda model, x, y, generator: ball.sample(x, generator=generator)),
    ),
}  # fmt: skip
"""The faults by name."""


@cache
def sound(seed: int) -> nn.Module:
    """Return a digits CNN trained on clean digits for a few seconds, in eval mode."""
    model = digits_cnn(generator=torch.Generator().manual_seed(seed))
    fit(model, load("digits"), Unsecured(), epochs=5, lr=0.05, seed=seed, progress=False)
    return model.eval()


def examples(n: int = EXAMPLES) -> tuple[Tensor, Tensor]:
    """Return the first ``n`` test digits and their labels."""
    test = load("digits").test
    return test.x[:n], test.y[:n]


def audited(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, fault: str | None = None, **options: Any) -> Report:
    """Return the audit of ``model`` with the ``fault`` of that name planted, or without one."""
    case: Planted = {"model": model, "x": x, "y": y, "ball": ball}
    case |= FAULTS[fault].plant(model, x, y, ball) if fault else {}
    return audit(**case, **options)


def caught(*, fault: str, seed: int, device: str) -> dict[str, Any]:
    """Trial: what an audit measures of a network with ``fault`` planted ("none": without), in the order of ``FLAGS``.

    ``raised`` holds a 1 for each flag that was raised. ``named`` is 1 if that of the fault was, or without a fault if
    none was.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # for the fault that draws from the global generator
        report = audited(sound(seed), *examples(), BALL, None if fault == "none" else fault, progress=False)
    named = report.passed if fault == "none" else FAULTS[fault].flag in report.flags
    table = report.table.assign(raised=report.table["raised"].astype(int))
    return {"measured": table["measured"].tolist(), "raised": table["raised"].tolist(), "named": int(named)}


MATRIX = Experiment(
    "trust.faults",
    caught,
    {"live": {"fault": ["none", *FAULTS]}},
    {"live": 3},
    devices=["cpu"],
    unchecked=["measured", "raised"],
)
"""Every fault in networks from three seeds. Training on another processor ends at another network, of which other
numbers are measured and other flags beside the fault's own may be raised; that one must be."""


def raised(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the share of networks in which each fault (a row) has raised each flag (a column)."""
    by_fault = {fault: np.mean(part["raised"].tolist(), axis=0) for fault, part in runs.groupby("fault")}
    return pd.DataFrame(by_fault, index=list(FLAGS)).T.reindex(["none", *FAULTS])


def draw_matrix(ax: Axes, shares: pd.DataFrame) -> None:
    """Draw the table of :func:`raised`: the darker the more often; a frame where the fault aims at the flag."""
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, shrink=0.4, label="share of the networks")
    ax.set_xticks(range(len(shares.columns)), shares.columns, rotation=90)
    ax.set_yticks(range(len(shares)), shares.index)
    ax.grid(False)
    for row, fault in enumerate(shares.index):
        if fault in FAULTS:
            column = list(shares.columns).index(FAULTS[fault].flag)
            ax.plot(
                column, row, "s", markersize=9, markerfacecolor="none", markeredgecolor=figures.COLOURS["adversarial"]
            )


@dataclass(frozen=True)
class Glossary:
    """The flags about "model", "data" or "attack", each with what raises it, what it means, what to do, and a fault."""

    about: str

    def _entries(self) -> list[tuple[str, str]]:
        entries = []
        for name, flag in FLAGS.items():
            faults = [f"{key} ({fault.what})" for key, fault in FAULTS.items() if fault.flag == name]
            if flag.about == self.about:
                text = f"Raised if {flag.raised_if}. {flag.means} {flag.do} Planted here: {'; '.join(faults)}."
                entries.append((name, text))
        return entries

    def _repr_html_(self) -> str:
        rows = "".join(f"<dt><code>{name}</code></dt><dd>{html.escape(text)}</dd>" for name, text in self._entries())
        return f"<dl>{rows}</dl>"

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self._entries())


def check(shares: pd.DataFrame) -> str:
    """Say of the table of :func:`raised` which faults were not always named, and what a sound network raises."""
    always = [fault for fault in FAULTS if shares.loc[fault, FAULTS[fault].flag] == 1]
    missed = ", ".join(fault for fault in FAULTS if fault not in always) or "none"
    false = ", ".join(name for name in shares.columns if shares[name]["none"] > 0) or "none"
    return f"{len(always)} of {len(FAULTS)} faults named in every network; not always: {missed}; false alarms: {false}"
