"""The runs of section 3.2's Figure 3 and of the ablations: a defence or a variant of it, followed while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from advnb.attacks import fgsm
from advnb.balls import Linf
from advnb.criterion import convergence
from advnb.data import Split
from advnb.evaluation import accuracy
from advnb.experiments.cost import Cost
from advnb.papers.convergence import costs
from advnb.papers.convergence.judge import attacks, column, staged
from advnb.papers.convergence.recipes import LOOKED_AT, RECIPES, images, trained
from advnb.papers.convergence.tables.trials import MEASURED, STAGES

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "standard": {"defence": "standard"},
    "small_steps": {"defence": "standard", "size": 1 / 8},
    "fgsm_pgd": {"defence": "fgsm_pgd"},
    "warm_up": {"defence": "standard", "warm_up": 2},
    "low_lr": {"defence": "standard", "lr": 0.003},
    "high_lr": {"defence": "standard", "lr": 0.03},
    "train_mode": {"defence": "standard", "train_mode": True, "fold": False},
    "dynamic": {"defence": "dynamic"},
    "dynamic_box": {"defence": "dynamic_box"},
    "dynamic_printed": {"defence": "dynamic_printed"},
    "dynamic_centre": {"defence": "dynamic_centre"},
    "dynamic_weighted": {"defence": "dynamic_weighted"},
    "dynamic_estimated": {"defence": "dynamic", "c_max": "estimated"},
}
"""What ``recipes.trained`` is called with, by name; ``size`` is a step in units of eps, 1/4 where not given."""

STANDARDS = ("standard", "warm_up", "low_lr", "high_lr")
"""Standard as section 5.1 has it, and three ways off its plateau."""

REPORTED = ("accuracy", "adversarial_accuracy", "steps", "gradients", "c_t")
"""Columns of the history that are kept as ``epoch_...``, one entry an epoch."""


def followed(
    *, data: str, variant: str, tests: int, seed: int, device: str, look: bool = True, **training: Any
) -> dict[str, Any]:
    """Trial: train one of :data:`VARIANTS` and attack ``tests`` test images.

    Fields: the accuracies ``clean`` and ``pgd20``; ``fgsm_fosc`` and ``fgsm_box``, the mean FOSC of FGSM's examples on
    the trained network; the history as ``epoch_...``; and with ``look`` what ``recipes.look_inside`` measures at
    ``tables.trials.STAGES``.
    """
    options = dict(VARIANTS[variant])
    if "size" in options:
        options["step_size"] = options.pop("size") * RECIPES[data].eps
    model, history = trained(
        data=data, seed=seed, device=device, stages=STAGES if look else (), **{**training, **options}
    )
    ball, seen = Linf(RECIPES[data].eps), images(data, training["examples"], tests, device)
    weak = at_fgsm(model, seen.train[:LOOKED_AT], ball)
    return {
        **tested(model, seen.test, ball.eps),
        "fgsm_fosc": float(weak.closed_form.mean()),
        "fgsm_box": float(weak.fosc.mean()),
        **{name: staged(history, name) for name in MEASURED if look},
        **{f"epoch_{name}": column(history, name) for name in REPORTED},
    }


def cost(given: Mapping[str, Any], values: Mapping[str, Any] | None) -> Cost:
    """Return the cost of :func:`followed`: a variant trained, and PGD-20."""
    options = {name: value for name, value in VARIANTS[given["variant"]].items() if name == "defence"}
    asked = {**given, **options, "stages": STAGES if given["look"] else ()}
    few = costs.crafted(given, given["tests"], 20) + costs.crafted(given, LOOKED_AT, 3)
    return costs.training(asked, values) + few


def of_variant(table: pd.DataFrame, variant: str, field: str = "pgd20") -> pd.Series:
    """Return ``field`` of a variant's networks, over the seeds."""
    return table[table["variant"] == variant].set_index("seed")[field].sort_index()


def tested(model: nn.Module, split: Split, eps: float) -> dict[str, float]:
    """Return the accuracies ``clean`` and ``pgd20``, in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    attack = attacks(eps)["pgd20"]
    return {"clean": accuracy(model, split), "pgd20": accuracy(model, split, attack=attack, generator=generator)}


def at_fgsm(model: nn.Module, split: Split, ball: Linf) -> Any:
    """Return ``criterion.convergence`` at FGSM's examples of ``split``."""
    x_adv: Tensor = fgsm(model, split.x, split.y, ball, fold=False)
    return convergence(model, x_adv, split.x, split.y, ball)
