"""Beyond the tables: AutoAttack's verdict, what robust accuracy costs, and a rule for c_max."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advnb.attacks import cw, fgsm, pgd
from advnb.balls import Linf
from advnb.criterion import convergence
from advnb.data import Split
from advnb.evaluation import accuracy
from advnb.experiments import Experiment
from advnb.fold import fold
from advnb.papers.convergence.judge import column
from advnb.papers.convergence.recipes import LOOKED_AT, RECIPES, images, trained
from advnb.papers.convergence.tables.trials import DIGITS, FOUR, MNIST, STAGES, TRAINED, judged
from advnb.training import Standard, fit

PROBE = 3
"""Epochs on FGSM's examples before c_max is estimated."""

RULE = 0.3
"""The rule: c_max is this share of :func:`weak_fosc`.

It is the largest, and so the cheapest, whose accuracy under PGD-20 was within a point of the best of the sweep
:data:`C_MAX` on digits at eps = 0.2; on no other data was it formed.
"""


def autoattack(
    model: nn.Module, split: Split, ball: Linf, *, seed: int, queries: int = 1000
) -> tuple[Tensor, dict[str, float]]:
    """Attack by AutoAttack of the Adversarial Robustness Toolbox (ART), each image until one attack succeeds.

    The attacks are APGD on the cross entropy and on the difference of logits ratio, 100 steps from one start each, then
    Square with ``queries``: no targeted attack and no FAB, which the original has. Returns the examples, inside
    ``ball``, and the accuracy left after each attack, as ``apgd_ce``, ``apgd_dlr`` and ``square``. ART draws from
    numpy's global generator, which is seeded with ``seed`` and put back. Raises ``ImportError`` if ART is missing.
    """
    try:
        from art.attacks.evasion import AutoAttack, AutoProjectedGradientDescent, SquareAttack
        from art.estimators.classification import PyTorchClassifier
    except ImportError as error:
        needs = "adversarial-robustness-toolbox and multiprocess (pip install -r requirements.txt)"
        raise ImportError(f"autoattack needs the packages {needs}: {error}") from error
    x, y = split.x.cpu().numpy(), split.y.cpu().numpy()
    with torch.no_grad():
        classes = model(split.x[:1]).shape[1]
    place = "cpu" if split.x.device.type == "cpu" else "gpu"
    network = PyTorchClassifier(fold(model), nn.CrossEntropyLoss(), x.shape[1:], nb_classes=classes,
                                clip_values=(0.0, 1.0), device_type=place)  # fmt: skip
    apgd = functools.partial(AutoProjectedGradientDescent, network, eps=ball.eps, eps_step=2 * ball.eps, max_iter=100,
                             nb_random_init=1, batch_size=64, verbose=False)  # fmt: skip
    attacks = [
        apgd(loss_type="cross_entropy"),
        apgd(loss_type="difference_logits_ratio"),
        SquareAttack(network, eps=ball.eps, max_iter=queries, batch_size=64, verbose=False),
    ]
    whole = AutoAttack(network, eps=ball.eps, eps_step=2 * ball.eps, attacks=attacks, batch_size=64)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        found = torch.as_tensor(whole.generate(x, y), device=split.x.device)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    by = whole.best_attacks  # -2: wrong before any attack, -1: right after all of them, else which attack did it
    left = {name: float(np.mean((by == -1) | (by > k))) for k, name in enumerate(("apgd_ce", "apgd_dlr", "square"))}
    return ball.project(found, split.x), left


def attacked(*, data: str, defence: str, tests: int, seed: int, device: str, **training: Any) -> dict[str, Any]:
    """Trial: take the network that the tables judge, and judge it by AutoAttack on ``tests`` test images.

    Fields, accuracies on the same images: ``clean``, ``pgd20``, ``cw``; ``apgd_ce``, ``apgd_dlr`` and ``square`` after
    each attack in turn; ``autoattack`` on what all of them left, put back into the ball.
    """
    model, _ = trained(data=data, defence=defence, seed=seed, stages=STAGES, device=device, **training)
    split, ball = images(data, 1, tests, device).test, Linf(RECIPES[data].eps)
    x_adv, left = autoattack(model, split, ball, seed=seed)
    found = {
        "clean": split.x,
        "pgd20": pgd(fold(model), split.x, split.y, ball, steps=20),
        "cw": cw(fold(model), split.x, split.y, ball, steps=30),
        "autoattack": x_adv,
    }
    return {name: accuracy(model, Split(x, split.y)) for name, x in found.items()} | left


def weak_fosc(*, data: str, examples: int, batch: int, seed: int, device: str, eps: float, lr: float = 0.01) -> float:
    """Return the mean FOSC of FGSM's examples on a network that was trained on such for :data:`PROBE` epochs.

    FOSC is the closed form, on the first training images. FGSM trains fast, two gradients an example, and the examples
    of its first epochs are such as Dynamic should begin with.
    """
    ball = Linf(eps)
    split = images(data, examples, 1, device).train
    model = RECIPES[data].network(generator=torch.Generator().manual_seed(seed)).to(device)
    weak = Standard(ball, steps=1, step_size=eps, fold=True)
    fit(model, split, weak, epochs=PROBE, batch=batch, lr=lr, seed=seed, progress=False)
    first = split[:LOOKED_AT]
    x_adv = fgsm(model, first.x, first.y, ball, fold=False)
    return float(convergence(model, x_adv, first.x, first.y, ball).closed_form.mean())


def ruled(*, data: str, factor: float, examples: int, epochs: int, batch: int, tests: int, seed: int, device: str,
          eps: float | None = None) -> dict[str, Any]:  # fmt: skip
    """Trial: train by Dynamic with c_max = ``factor`` times :func:`weak_fosc`; with factor 0 that is Standard.

    Fields: ``weak``, ``c_max``, accuracy ``clean`` and under ``pgd20`` on ``tests`` test images, and
    ``epoch_gradients`` and ``epoch_steps``, means an example.
    """
    size = RECIPES[data].eps if eps is None else eps
    same: dict[str, Any] = {"data": data, "examples": examples, "batch": batch, "seed": seed, "device": device}
    weak = weak_fosc(**same, eps=size)
    model, history = trained(**same, defence="dynamic", epochs=epochs, eps=size, c_max=factor * weak)
    split, ball = images(data, 1, tests, device).test, Linf(size)
    x_adv = pgd(fold(model), split.x, split.y, ball, steps=20)
    return {
        "weak": weak,
        "c_max": factor * weak,
        "clean": accuracy(model, split),
        "pgd20": accuracy(model, Split(x_adv, split.y)),
        "epoch_gradients": column(history, "gradients"),
        "epoch_steps": column(history, "steps"),
    }


AUTOATTACK = Experiment(
    "convergence.autoattack",
    attacked,
    {"laptop": {**MNIST, "tests": 200, "defence": FOUR[1:]}},
    {"laptop": 3},
    tolerance=TRAINED,
)
"""The MNIST networks of the tables, judged by AutoAttack."""

FEWER: dict[str, Any] = {**DIGITS, "keep": False, "transfers": False}
COST = Experiment(
    "convergence.cost",
    judged,
    {
        "laptop": [
            {**FEWER, "defence": FOUR[1:], "epochs": [5, 10]},
            *({**FEWER, "defence": "standard", "steps": k, "step_size": 0.2 * 2.5 / k} for k in (2, 4)),
        ]
    },
    {"laptop": 3},
    tolerance=TRAINED,
    unchecked=("weights",),
)
"""Fewer epochs, and Standard with fewer and longer steps; tables_digits has the runs at full length."""

SWEPT: dict[str, Any] = {"data": "digits", "examples": 1297, "tests": 500, "epochs": 20, "batch": 32}
C_MAX = Experiment(
    "convergence.c_max",
    ruled,
    {"laptop": {**SWEPT, "eps": [0.2, 0.1], "factor": [0, 0.1, 0.3, 1.0, 3.0, 10.0]}},
    {"laptop": 3},
    tolerance=TRAINED,
)
"""The rule formed: Dynamic on digits with c_max over two decades, at two eps."""

C_MAX_ELSEWHERE = Experiment(
    "convergence.c_max_elsewhere",
    ruled,
    {"laptop": {"data": "mnist", "examples": 1500, "tests": 1000, "epochs": 12, "batch": 32,
                "factor": [0, RULE / 4, RULE, 4 * RULE]}},
    {"laptop": 2},
    tolerance=TRAINED,
)  # fmt: skip
"""The rule, a quarter and four times it, on MNIST, on which it was not formed."""
