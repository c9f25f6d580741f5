"""The same question on trained convolutional networks: digits and MNIST, L-infinity balls, cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from advnb import checks, losses
from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.data import Split, load
from advnb.experiments import Experiment, Tolerance
from advnb.fold import fold
from advnb.models import digits_cnn, mnist_cnn
from advnb.papers.dynamics.restarts.trials import TOLERANCES, step_size
from advnb.papers.dynamics.settings import Numbers
from advnb.training import Defence, Standard, Unsecured, fit

CNNS = {"digits": digits_cnn, "mnist": mnist_cnn}
TRAININGS = ("natural", "pgd")


def trained(
    data: str, training: str, *, examples: int, epochs: int, trained_eps: float, seed: int, device: str = "cpu"
) -> nn.Module:
    """Train the CNN for ``data`` for a few epochs, in eval mode: on clean images, or on those of PGD-7 within eps.

    One epoch on clean images comes first in both cases: adversarial training alone may not get off the ground.
    """
    checks.choice("data", data, CNNS)
    checks.choice("training", training, TRAININGS)
    model = CNNS[data](generator=torch.Generator().manual_seed(seed)).to(device)
    split = load(data, progress=False).subset(examples, test=1, seed=0).to(device).train
    options: dict[str, Any] = {"batch": 64, "lr": 0.02, "seed": seed, "progress": False}
    fit(model, split, Unsecured(), epochs=1, **options)
    ball = Linf(trained_eps)
    defence: Defence = (
        Unsecured() if training == "natural" else Standard(ball=ball, steps=7, step_size=ball.eps / 4, fold=True)
    )
    fit(model, split, defence, epochs=epochs, **options)
    return fold(model)


def attacked(
    model: nn.Module, split: Split, ball: Linf, *, steps: int, rule: str, restarts: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return loss and success of PGD from ``restarts`` random starts for each image, both (n, restarts).

    An attack succeeds where the network is wrong at the last iterate.
    """
    x, y = split.x.repeat_interleave(restarts, 0), split.y.repeat_interleave(restarts, 0)
    size = step_size(rule, ball.eps, steps)
    x_adv = pgd(model, x, y, ball, steps=steps, step_size=size, generator=generator)
    loss, correct = score(model, Split(x_adv, y))
    return loss.view(-1, restarts), ~correct.view(-1, restarts)


def score(model: nn.Module, split: Split) -> tuple[Tensor, Tensor]:
    """Return the cross entropy and whether the network is right, both (n,)."""
    with torch.no_grad():
        output = torch.cat([model(part) for part in split.x.split(256)])
    return losses.values(losses.resolve("cross_entropy"), output, split.y), losses.correct(output, split.y)


def restarts_of_a_cnn(
    *,
    data: str,
    training: str,
    examples: int,
    epochs: int,
    trained_eps: float,
    images: int,
    restarts: int,
    eps: Sequence[float],
    steps: Sequence[int],
    rules: Sequence[str],
    seed: int,
    device: str = "cpu",
) -> Numbers:
    """What each of ``restarts`` random starts of PGD achieves on a trained CNN, image by image.

    ``fooled`` counts the starts that fool the network, ``reached`` those whose last loss misses no more than 1 percent
    of the gain of the best loss, and ``tenth`` no more than 10 percent: one number for each of ``eps``, ``steps``,
    ``rules`` and test ``images``, in that order (:func:`by_image`). The best loss is that of all starts of an image at
    an eps, whatever their steps and rule: a lower bound of the maximum. The gain is counted from the clean loss.
    ``clean``: whether the clean images are classified rightly. ``..._share``: means over the images.
    """
    model = trained(data, training, examples=examples, epochs=epochs, trained_eps=trained_eps, seed=seed, device=device)
    split = load(data, progress=False).subset(1, test=images, seed=seed).to(device).test
    before, right = score(model, split)
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {"fooled": [], "reached": [], "tenth": []}
    for size in eps:
        runs = [
            attacked(model, split, Linf(size), steps=k, rule=r, restarts=restarts, generator=generator)
            for k in steps for r in rules
        ]  # fmt: skip
        best = torch.stack([loss.amax(1) for loss, _ in runs]).amax(0)
        for loss, fooled in runs:
            found["fooled"].append(fooled.sum(1))
            for name, tolerance in zip(("reached", "tenth"), TOLERANCES, strict=True):
                found[name].append((loss >= (best - tolerance * (best - before).clamp_min(0))[:, None]).sum(1))
    counts = {name: torch.stack(parts) for name, parts in found.items()}
    return {
        "clean": right.int().tolist(),
        **{name: part.flatten().tolist() for name, part in counts.items()},
        **{f"{name}_share": (part.double().mean(1) / restarts).tolist() for name, part in counts.items()},
    }


def by_image(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network, eps, steps, rule and image of the experiments below."""
    parts = []
    for row in table.to_dict("records"):
        index = pd.MultiIndex.from_product(
            [row["eps"], row["steps"], row["rules"], range(row["images"])], names=["eps", "steps", "rule", "image"]
        )
        part = pd.DataFrame({name: row[name] for name in ("fooled", "reached", "tenth")}, index=index).reset_index()
        clean = np.tile(row["clean"], len(part) // row["images"])
        same = {name: row[name] for name in ("data", "training", "seed", "restarts", "run_scale")}
        parts.append(part.assign(clean=clean == 1, **same))
    return pd.concat(parts, ignore_index=True)


TRAINED = Tolerance(rtol=0.0, atol=0.1)
"""For shares of some hundred images of a network trained in float32, which another processor rounds into another."""

DIGITS = {"data": "digits", "training": list(TRAININGS), "trained_eps": 0.2, "rules": [["quarter", "madry"]]}
MNIST = {"data": "mnist", "training": list(TRAININGS), "trained_eps": 0.3, "rules": [["madry"]]}
ONE_BY_ONE = ("clean", "fooled", "reached", "tenth")

RESTARTS_DIGITS = Experiment(
    "dynamics.restarts_digits",
    restarts_of_a_cnn,
    grids={
        "live": DIGITS
        | {"examples": 1000, "epochs": 6, "images": 30, "restarts": 20, "eps": [[0.1, 0.2]], "steps": [[10, 40]]},
        "laptop": DIGITS
        | {"examples": 1297, "epochs": 20, "images": 100, "restarts": 50, "eps": [[0.1, 0.2]], "steps": [[10, 40]]},
    },
    seeds={"live": 1, "laptop": 5},
    tolerance=TRAINED,
    unchecked=ONE_BY_ONE,
)

RESTARTS_MNIST = Experiment(
    "dynamics.restarts_mnist",
    restarts_of_a_cnn,
    grids={
        "laptop": MNIST
        | {"examples": 4000, "epochs": 4, "images": 60, "restarts": 20, "eps": [[0.1, 0.3]], "steps": [[10, 40]]}
    },
    seeds={"laptop": 3},
    tolerance=TRAINED,
    unchecked=ONE_BY_ONE,
)
