"""What the chapter's trials cost, counted from the networks of section 5.1 (``advnb.experiments.cost``).

Each function takes the arguments of a trial and what it returned, or None. Dynamic's examples may rest before the last
step: without a result all steps are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from advnb.experiments.cost import Cost, Pass, passes
from advnb.fold import fold
from advnb.gradients import CPU_CHUNK
from advnb.models import wide_resnet
from advnb.papers.convergence.recipes import EARLY, LOOKED_AT, RECIPES, STEPS

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}

TABLE = 1 + 10 + 20 + 30
"""Gradients an image that ``judge.attacks`` take: FGSM, PGD-10, PGD-20, C&W with 30 steps."""

Given = Mapping[str, Any]
Values = Mapping[str, Any] | None


@lru_cache(maxsize=64)
def network(data: str, name: str, width: float | None) -> tuple[Pass, Pass, Pass]:
    """Return forward pass, input gradient (on the folded network) and update of a network of section 5.1."""
    generator = torch.Generator().manual_seed(0)
    if name == "wide_resnet":
        net = wide_resnet(width=int(width or 10), generator=generator)
    else:
        net = RECIPES[data].network(generator=generator, **({} if width is None else {"width": width}))
    net = net.to("meta").eval()
    forward, _, update = passes(net, SHAPES[data])
    return forward, passes(fold(net), SHAPES[data])[1], update


def _passes(given: Given) -> tuple[Pass, Pass, Pass]:
    return network(given["data"], given.get("network", "cnn"), given.get("width"))


def _chunks(rows: float, batch: float) -> float:
    """Batches in which ``rows`` go through an attack: at most ``CPU_CHUNK`` at a time, within each batch."""
    return rows / batch * -(-batch // CPU_CHUNK)


def crafted(given: Given, rows: float, steps: float, batch: float = CPU_CHUNK) -> Cost:
    """Return ``steps`` input gradients of ``rows`` examples."""
    return steps * _passes(given)[1].over(rows, _chunks(rows, batch))


def steps_taken(defence: str, epochs: int, steps: int, values: Values) -> float:
    """Return the gradients an example takes over all epochs, at most or as recorded."""
    if values is not None and (recorded := values.get("epoch_gradients") or values.get("gradients")):
        return float(sum(recorded))
    if defence == "unsecured":
        return 0.0
    if defence == "curriculum":
        until = max(1, round(RECIPES["mnist"].until * epochs))
        return float(sum(min(steps * epoch // until, steps) for epoch in range(epochs)))
    if defence == "fgsm_pgd":
        early = max(1, round(EARLY * epochs))
        return float(early + steps * (epochs - early))
    return float(steps * epochs)


def training(given: Given, values: Values = None) -> Cost:
    """Return what ``recipes.trained`` takes: for each batch the attack, a clean look and the update; a look inside."""
    forward, _, update = _passes(given)
    n, epochs, batch = given["examples"], given["epochs"], given.get("batch", 128)
    defence = given.get("defence", "standard")
    steps = given.get("steps", STEPS)
    batches = n / batch
    craft = crafted(given, n, steps_taken(defence, epochs, steps, values), batch)
    each = update.over(n, batches) + (forward.over(n, batches) if defence != "unsecured" else Cost())
    looks = len(given.get("stages", ()))
    return craft + epochs * each + looks * crafted(given, LOOKED_AT, 2 * STEPS + 2)


def judged(given: Given, values: Values) -> Cost:
    """Return the cost of ``tables.trials.judged``: training, the attacks of both tables, four budgets.

    The surrogate is a network that the trials of the seed before have kept; that of the first seed is not counted.
    """
    asked = {**given, "stages": range(5)}
    tests, forward = given["tests"], _passes(given)[0]
    tables = 1 + given["transfers"]
    attacked = crafted(given, tests, tables * TABLE + 4 * STEPS) + forward.over(9 * tests, 9 * tests / CPU_CHUNK)
    return training(asked, values) + attacked


def cross_tested(given: Given, values: Values) -> Cost:
    """Return the cost of Figure 2: Standard with these steps, and 80 + 100 steps of attacks on each test image."""
    return training({**given, "stages": (1.0,)}) + crafted(given, given["tests"], 4 * 20 + 100)


def examined(given: Given, values: Values) -> Cost:
    """Return the cost of Figure 1: Standard, then six attacks followed step by step on each test image."""
    asked = {**given, "stages": range(5), "defence": "standard"}
    return training(asked) + crafted(given, given["tests"], 21 + 40 + 40 + 30 + 1 + 21 + 6)


def spending(given: Given, values: Values) -> Cost:
    """Return the cost of ``dynamic.trials.spending``: a kind of Dynamic, and a trace of 300 images after each epoch."""
    return training(given, values) + given["epochs"] * crafted(given, 300, STEPS + 1)
