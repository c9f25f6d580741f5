"""The attacks of Wang et al. (2019), section 5.1, on trained networks, white-box and transferred from a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor, nn

from advnb.attacks import cw, fgsm, pgd
from advnb.balls import Linf
from advnb.data import Split
from advnb.evaluation import Attack, transfer, white_box
from advnb.fold import fold

ATTACKS = ("fgsm", "pgd10", "pgd20", "cw")
"""FGSM, PGD with 10 and 20 steps of eps/4, and C&W's margin by PGD with 30 steps: the columns of Tables 1 to 3."""


def folded(attack: Attack, model: nn.Module, x: Tensor, y: Tensor, **options: Any) -> Tensor:
    """Craft on a folded copy of ``model``, which is the same function up to rounding and faster to attack."""
    return attack(fold(model), x, y, **options)


def attacks(eps: float) -> dict[str, Attack]:
    """Return the four attacks of section 5.1, by name."""
    ball = Linf(eps)
    four: dict[str, Attack] = {
        "fgsm": fgsm, "pgd10": pgd, "pgd20": partial(pgd, steps=20), "cw": partial(cw, steps=30)
    }  # fmt: skip
    return {name: partial(folded, partial(attack, ball=ball)) for name, attack in four.items()}


def white(model: nn.Module, split: Split, eps: float) -> dict[str, float]:
    """Return the accuracies of Table 1 in [0, 1]: ``clean`` and one for each of :data:`ATTACKS`."""
    results = white_box({"model": model}, split, {"clean": None, **attacks(eps)}, progress=False)
    return _by_attack(results)


def black(model: nn.Module, surrogate: nn.Module, split: Split, eps: float) -> dict[str, float]:
    """Return the accuracies of Table 2: each of :data:`ATTACKS` crafted on ``surrogate``, as ``black_...``."""
    results = transfer({"surrogate": surrogate}, {"model": model}, split, attacks(eps), progress=False)
    return {f"black_{name}": value for name, value in _by_attack(results).items()}


def by_eps(model: nn.Module, split: Split, sizes: Sequence[float]) -> list[float]:
    """Return the accuracy under PGD-10 with steps of eps/4 at each eps of ``sizes`` (Figure 4a)."""
    grid = {f"{eps}": partial(folded, partial(pgd, ball=Linf(eps))) for eps in sizes}
    return list(_by_attack(white_box({"model": model}, split, grid, progress=False)).values())


def _by_attack(results: pd.DataFrame) -> dict[str, float]:
    return dict(zip(results["attack"], results["accuracy"].tolist(), strict=True))


def column(history: pd.DataFrame, name: str) -> list[float]:
    """Return one column of a history to five digits, or nothing where the defence does not report it."""
    return [] if name not in history else [float(f"{value:.5g}") for value in history[name]]


def staged(history: pd.DataFrame, name: str) -> list[list[float]]:
    """Return what was measured under ``name`` at the stages of a run, in order of the epochs."""
    return history[name].dropna().tolist()
