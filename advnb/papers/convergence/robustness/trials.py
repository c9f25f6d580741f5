"""Figures 2 and 3: networks trained with other steps, or with FGSM first, and the FOSC of what they train on."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.evaluation import Attack, white_box
from advnb.experiments import Experiment
from advnb.papers.convergence import costs
from advnb.papers.convergence.followed import cost, followed
from advnb.papers.convergence.judge import column, folded, staged
from advnb.papers.convergence.recipes import RECIPES, images, trained
from advnb.papers.convergence.tables.trials import CIFAR, DIGITS, FULL_CIFAR, MEASURED, MNIST, TRAINED

SIZES, STEPS = (1, 1 / 2, 1 / 4, 1 / 8), 20
"""Figure 2a: sizes of a step, in units of eps, and the number of steps."""

COUNTS, SIZE = (10, 20, 30, 40), 1 / 6
"""Figure 2b: numbers of steps, and their size in units of eps."""


def grid(eps: float) -> dict[str, list[Attack]]:
    """Return the attacks of Figure 2a (``by_size``) and of Figure 2b (``by_count``), in the order of their settings."""
    attack = partial(folded, partial(pgd, ball=Linf(eps)))
    return {
        "by_size": [partial(attack, steps=STEPS, step_size=size * eps) for size in SIZES],
        "by_count": [partial(attack, steps=count, step_size=SIZE * eps) for count in COUNTS],
    }


def cross_tested(
    *, data: str, size: float, steps: int, tests: int, seed: int, device: str, **training: Any
) -> dict[str, Any]:
    """Trial: train Standard with ``steps`` steps of ``size`` eps, test it against all attacks of Figure 2.

    Fields: the accuracies ``clean``, ``by_size`` and ``by_count`` (one entry for each of :data:`SIZES` and
    :data:`COUNTS`), ``recipes.look_inside`` after the last epoch, and ``epoch_adversarial_accuracy``.
    """
    eps = RECIPES[data].eps
    model, history = trained(
        data=data, defence="standard", seed=seed, device=device, stages=(1.0,), steps=steps, step_size=size * eps,
        **training,
    )  # fmt: skip
    split = images(data, 1, tests, device).test
    named = {f"{kind} {k}": attack for kind, several in grid(eps).items() for k, attack in enumerate(several)}
    found = white_box({"model": model}, split, {"clean": None, **named}, progress=False)["accuracy"].tolist()
    return {
        "clean": found[0],
        "by_size": found[1 : 1 + len(SIZES)],
        "by_count": found[1 + len(SIZES) :],
        **{name: staged(history, name)[0] for name in MEASURED},
        "epoch_adversarial_accuracy": column(history, "adversarial_accuracy"),
    }


def crossing(*, seed: int, device: str, size: float, steps: int, d: int = 1000) -> dict[str, float]:
    """Trial: the share of coordinates that PGD brings to the surface when all gradients agree.

    The gradient is that of a linear loss. ``opposite`` starts at the far end of the ball, ``uniform`` anywhere in it.
    """
    generator = torch.Generator().manual_seed(seed)
    ball, x, y = Linf(1.0, box=None), torch.zeros(2, d, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    start = torch.stack([-torch.ones(d, dtype=torch.float64), ball.sample(x[:1], generator=generator)[0]])
    end = pgd(torch.nn.Flatten().eval(), x, y, ball, start=start, steps=steps, step_size=size, loss=_linear)
    reached = (end > 1 - 1e-9).double().mean(1).tolist()
    return {"opposite": reached[0], "uniform": reached[1]}


def _linear(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return y * output.sum(1)


def variants(base: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of Figures 2a and 2b at the sizes ``base``."""
    return [{**base, "size": list(SIZES), "steps": STEPS}, {**base, "size": SIZE, "steps": list(COUNTS)}]


SHORT_DIGITS: dict[str, Any] = {**DIGITS, "examples": 800, "epochs": 12}
SMALL_CIFAR: dict[str, Any] = {**CIFAR, "examples": 1500, "epochs": 8, "tests": 500}
SMALL_MNIST: dict[str, Any] = {**MNIST, "examples": 1500, "epochs": 12}
"""Fewer images than in the tables, and about half the epochs."""

FIGURE_2 = Experiment(
    "convergence.figure_2",
    cross_tested,
    {"laptop": variants(SHORT_DIGITS), "full": variants(FULL_CIFAR)},
    {"laptop": 3, "full": 3},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.cross_tested,
)
"""Figure 2, on digits; on CIFAR-10 at the paper's size."""

FIGURE_2_LONGER = Experiment(
    "convergence.figure_2_longer",
    cross_tested,
    {"laptop": {**DIGITS, "size": list(SIZES), "steps": STEPS}},
    {"laptop": 3},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.cross_tested,
)
"""Figure 2a on all digits with 20 epochs: after 12 epochs of 800 images the start of training decides."""

FIGURE_2_CIFAR10 = Experiment(
    "convergence.figure_2_cifar10",
    cross_tested,
    {"laptop": [{**SMALL_CIFAR, "size": list(SIZES), "steps": STEPS},
                {**SMALL_CIFAR, "size": SIZE, "steps": [10, 40]}]},
    {"laptop": 2},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.cross_tested,
)  # fmt: skip
"""Figure 2 on CIFAR-10 at reduced width, images and epochs."""

FIGURE_3 = Experiment(
    "convergence.figure_3",
    followed,
    {
        "laptop": {**DIGITS, "variant": ["standard", "small_steps", "fgsm_pgd"]},
        "full": {**FULL_CIFAR, "variant": ["standard", "small_steps", "fgsm_pgd"]},
    },
    {"laptop": 5, "full": 3},
    tolerance=TRAINED,
    goes_on=True,
    cost=cost,
)
"""Figure 3, on digits; on CIFAR-10 at the paper's size."""

FIGURE_3_MNIST = Experiment(
    "convergence.figure_3_mnist",
    followed,
    {"laptop": {**SMALL_MNIST, "variant": ["standard", "small_steps", "fgsm_pgd"]}},
    {"laptop": 2},
    tolerance=TRAINED,
    goes_on=True,
    cost=cost,
)
"""Figure 3 on MNIST."""

CROSSING = Experiment(
    "convergence.crossing",
    crossing,
    {"live": [{"size": 1 / 6, "steps": [11, 12]}, {"size": 1 / 8, "steps": [10, 16, 20]},
              {"size": 1 / 4, "steps": [8, 10]}]},
    {"live": 1},
    dtype="float64",
    devices=("cpu",),
)  # fmt: skip
"""How far the steps of Figures 2 and 3 reach."""
