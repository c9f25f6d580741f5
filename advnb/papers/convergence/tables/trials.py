"""The networks behind Tables 1 to 3 and Figures 4 and 5: trained by a defence, judged by every attack."""

from __future__ import annotations

from typing import Any

from advnb.experiments import Experiment, Tolerance
from advnb.papers.convergence import costs
from advnb.papers.convergence.judge import black, by_eps, column, staged, white
from advnb.papers.convergence.recipes import RECIPES, images, put_by, trained

STAGES = (1 / 12, 1 / 2, 3 / 4, 5 / 6, 1.0)
"""Shares of training after which FOSC is measured: epochs 10, 60, 90, 100 and 120 of 120 in Figure 5."""

TEST_EPS = (1 / 4, 1 / 2, 3 / 4, 1.0)
"""Shares of the recipe's eps at which Figure 4a tests: 2/255 to 8/255 on CIFAR-10."""

SURROGATE = 1000
"""The seed of the surrogate that the defences of seed 0 meet; those of seed s meet Standard of seed s - 1."""

MEASURED = ("own_fosc", "own_box", "own_loss", "own_zero", "pgd_fosc", "pgd_box", "pgd_loss", "pgd_zero")
"""Fields of ``recipes.look_inside``, one entry a stage."""

REPORTED = ("loss", "accuracy", "adversarial_accuracy", "steps", "gradients", "c_t")
"""Columns of the history that are kept, one entry an epoch; ``gradients`` and ``steps`` are means an example."""


def judged(*, data: str, defence: str, tests: int, seed: int, device: str, transfers: bool = True,
           **training: Any) -> dict[str, Any]:  # fmt: skip
    """Trial: train by ``defence`` (see ``recipes.trained``), then attack ``tests`` test images.

    Fields: the accuracies of Table 1 (``clean``, ``fgsm``, ``pgd10``, ``pgd20``, ``cw``), with ``transfers`` those of
    Table 2 (``black_...``, from Standard of another seed), ``at_eps`` at the shares :data:`TEST_EPS` of the recipe's
    eps, :data:`MEASURED` at :data:`STAGES`, and the history as ``epoch_...``. Networks that are kept are found again by
    ``weights``, a digest (``recipes.brought_back``).
    """
    same = {"data": data, "stages": STAGES, "device": device, **training}
    model, history = trained(defence=defence, seed=seed, **same)
    split, eps = images(data, 1, tests, device).test, RECIPES[data].eps
    at = training.get("eps") or eps
    result: dict[str, Any] = white(model, split, at)
    if transfers:
        surrogate, _ = trained(defence="standard", seed=seed - 1 if seed else SURROGATE, **same)
        result |= black(model, surrogate, split, at)
    result["at_eps"] = by_eps(model, split, [share * eps for share in TEST_EPS])
    result |= {name: staged(history, name) for name in MEASURED}
    if training.get("keep"):
        result["weights"] = put_by(model)
    return result | {f"epoch_{name}": column(history, name) for name in REPORTED}


FOUR = ["unsecured", "standard", "curriculum", "dynamic"]
TRAINED = Tolerance(rtol=0.1, atol=0.05)
"""Shares of a thousand images after training in float32, which another processor rounds into another network."""

SPREAD = dict.fromkeys(
    (f"{whose}_{what}" for whose in ("own", "pgd") for what in ("fosc", "box", "loss")), Tolerance(rtol=1.0, atol=0.05)
)
"""Percentiles of FOSC and loss, the outermost of some ten images: another rounding moved them by up to 30 percent on
MNIST, and two seeds differ by a factor of two."""

DIGITS: dict[str, Any] = {"data": "digits", "examples": 1297, "tests": 500, "epochs": 20, "batch": 32, "keep": True}
MNIST: dict[str, Any] = {"data": "mnist", "examples": 3000, "tests": 1000, "epochs": 20, "batch": 32, "keep": True}
CIFAR: dict[str, Any] = {"data": "cifar10", "examples": 3000, "tests": 1000, "epochs": 15, "batch": 32, "width": 0.25,
                         "keep": True}  # fmt: skip
"""The laptop's sizes. The batch is a quarter of the released code's 128, or a subset would leave few updates."""
FULL_MNIST: dict[str, Any] = {"data": "mnist", "examples": 60_000, "tests": 10_000, "epochs": 50, "keep": True}
FULL_CIFAR: dict[str, Any] = {"data": "cifar10", "examples": 50_000, "tests": 10_000, "epochs": 120, "augment": True,
                              "keep": True}  # fmt: skip
BFLOAT16: dict[str, Any] = {"defence": ["standard", "dynamic"], "bfloat16": True, "transfers": False}
"""Attacks in bfloat16 while training; judged in float32 like all others."""

TABLES_DIGITS = Experiment(
    "convergence.tables_digits",
    judged,
    {
        "live": {**DIGITS, "epochs": 8, "keep": False, "transfers": False, "defence": ["standard", "dynamic"]},
        "laptop": [{**DIGITS, "defence": FOUR}, {**DIGITS, **BFLOAT16}],
    },
    {"live": 1, "laptop": 5},
    tolerance=TRAINED,
    unchecked=("weights",),
    goes_on=True,
    cost=costs.judged,
)
"""All defences on digits at eps = 0.2, and whether attacks in bfloat16 leave the result alone."""

TABLES_MNIST = Experiment(
    "convergence.tables_mnist",
    judged,
    {"laptop": {**MNIST, "defence": FOUR}, "full": [{**FULL_MNIST, "defence": FOUR}, {**FULL_MNIST, **BFLOAT16}]},
    {"laptop": 5, "full": 5},
    tolerance=TRAINED,
    tolerances=SPREAD,
    unchecked=("weights",),
    goes_on=True,
    cost=costs.judged,
)
"""Tables 1 and 2, left halves."""

TABLES_CIFAR10 = Experiment(
    "convergence.tables_cifar10",
    judged,
    {"laptop": {**CIFAR, "defence": FOUR}, "full": [{**FULL_CIFAR, "defence": FOUR}, {**FULL_CIFAR, **BFLOAT16}]},
    {"laptop": 3, "full": 3},
    tolerance=TRAINED,
    tolerances=SPREAD,
    unchecked=("weights",),
    goes_on=True,
    cost=costs.judged,
)
"""Tables 1 and 2, right halves; Figures 4a and 5."""

TABLE_3 = Experiment(
    "convergence.table_3",
    judged,
    {"full": {**FULL_CIFAR, "network": "wide_resnet", "width": 10, "bfloat16": True, "transfers": False,
              "defence": ["standard", "curriculum", "dynamic"]}},
    {"full": 3},
    tolerance=TRAINED,
    unchecked=("weights",),
    goes_on=True,
    cost=costs.judged,
)  # fmt: skip
"""Table 3, on WideResNet-34-10: hours an epoch on a laptop."""

FIGURE_4B = Experiment(
    "convergence.figure_4b",
    judged,
    {
        "laptop": [
            {**DIGITS, "transfers": False, "defence": FOUR[1:], "eps": [0.05, 0.1, 0.15]},
            {**CIFAR, "transfers": False, "defence": ["standard", "dynamic"], "eps": [2 / 255, 4 / 255]},
        ],
        "full": {**FULL_CIFAR, "transfers": False, "defence": FOUR[1:], "eps": [2 / 255, 4 / 255, 6 / 255]},
    },
    {"laptop": 3, "full": 3},
    tolerance=TRAINED,
    unchecked=("weights",),
    goes_on=True,
    cost=costs.judged,
)
"""Trained and tested at smaller eps; the largest is that of the tables."""
