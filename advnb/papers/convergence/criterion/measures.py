"""FOSC beside loss, gradient and prediction, example by example: in groups, along the steps, between attacks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from advnb.attacks import pgd
from advnb.balls import Ball
from advnb.criterion import convergence
from advnb.data import Split
from advnb.statistics import resampled

VARIANTS = {
    "raw": "closed form",
    "relative": "over ε‖g‖₁",
    "box": "within the box",
    "start": "from the start",
    "margin": "over 1 − p",
}
"""FOSC in five units: the paper's closed form, its share of eps ||g||_1 (in [0, 2]), the maximum over ball and box, the
released code's, centred on the attack's start, and the closed form over 1 - p_y. Cross entropy's gradient is 1 - p_y
times that of a margin, the logits of the wrong classes (weighted) against the right one's; the last is FOSC of that."""

AGAINST = ("right", "loss", "norm")
"""What FOSC is compared with: whether the example is still classified rightly, its loss, its ||g||_1."""


def measured(model: nn.Module, x_adv: Tensor, split: Split, ball: Ball, start: Tensor | None = None) -> pd.DataFrame:
    """Return the :data:`VARIANTS` of FOSC at ``x_adv`` and what it is :data:`AGAINST`, a row an example.

    ``start`` is where the attack began, by default at the images. A variant that divides by 0 is 0 there.
    """
    at = convergence(model, x_adv, split.x, split.y, ball, start=start)
    reach, doubt = ball.eps * at.gradient_norm, -torch.expm1(-at.loss)
    columns = {
        "right": predicted(model, x_adv) == split.y,
        "loss": at.loss,
        "norm": at.gradient_norm,
        "raw": at.closed_form,
        "relative": torch.where(reach > 0, at.closed_form / reach, 0),
        "box": at.fosc,
        "start": at.from_start,
        "margin": torch.where(doubt > 0, at.closed_form / doubt, 0),
    }
    return pd.DataFrame({name: values.double().cpu().numpy() for name, values in columns.items()})


def predicted(model: nn.Module, x: Tensor, batch: int = 256) -> Tensor:
    """Return the class of each row of ``x``, (n,)."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in x.split(batch)])


def along(model: nn.Module, split: Split, ball: Ball, start: Tensor, steps: int) -> tuple[Tensor, pd.DataFrame]:
    """Return the iterates (steps + 1, n, ...) of PGD with steps of eps/4, and :func:`measured` at all of them.

    The table has the further columns ``step`` and ``example``.
    """
    _, trace = pgd(model, split.x, split.y, ball, steps=steps, start=start, trace="x", fold=False)
    rows = [
        measured(model, x_k, split, ball, start).assign(step=k, example=np.arange(len(x_k)))
        for k, x_k in enumerate(trace.x)
    ]
    return trace.x, pd.concat(rows, ignore_index=True)


def paths(path: pd.DataFrame, name: str, steps: int | None = None) -> pd.DataFrame:
    """Return one column of :func:`along`'s table as (steps + 1, n), up to step ``steps``."""
    table = path.pivot(index="step", columns="example", values=name)
    return table if steps is None else table.loc[:steps]


def within(path: pd.DataFrame, name: str, steps: int) -> pd.Series:
    """Return Spearman's correlation of ``name`` with the loss over steps 0 to ``steps`` of each example.

    NaN where either is constant.
    """
    one, other = (paths(path, each, steps).rank() for each in (name, "loss"))
    return one.corrwith(other)


def groups(table: pd.DataFrame, by: str = "raw", n: int = 20) -> pd.DataFrame:
    """Return ``n`` consecutive groups of equally many examples, in order of ``by``: means of it and :data:`AGAINST`."""
    number = ((table[by].rank(method="first") - 1) * n // len(table)).astype(int)
    means = table.groupby(number)[[by, *AGAINST]].mean()
    return means.rename(columns={by: "fosc"}).rename_axis("group")


def bins(table: pd.DataFrame, by: str = "raw", top: float = 0.1, n: int = 20) -> pd.DataFrame:
    """Return ``n`` groups of equal width from 0 to ``top``, as Figure 1a has them: ``count``, and means as above.

    Means of an empty group are 0; examples beyond ``top`` are left out.
    """
    inside = table[(table[by] >= 0) & (table[by] <= top)]
    parts = inside.groupby(np.minimum((inside[by] * n / top).astype(int), n - 1))
    found = parts[list(AGAINST)].mean().assign(count=parts.size())
    return found.reindex(range(n), fill_value=0).assign(fosc=(np.arange(n) + 0.5) * top / n)


def correlations(table: pd.DataFrame, draws: int = 200) -> pd.DataFrame:
    """Return correlations across examples, a row for each of :data:`VARIANTS` and :data:`AGAINST`.

    ``spearman`` and ``pearson``, with the ends ``..._low`` and ``..._high`` of 95 percent bootstrap intervals over
    the examples. NaN where one of the two is the same for all.
    """
    rows = table[[*VARIANTS, *AGAINST]].to_numpy(float)
    low, high = resampled([rows], _correlated, draws=draws)
    index = pd.MultiIndex.from_product([VARIANTS, AGAINST], names=["variant", "against"])
    columns = {}
    for suffix, values in (("", _correlated(rows)), ("_low", low), ("_high", high)):
        for name, part in zip(("spearman", "pearson"), np.split(np.asarray(values), 2), strict=True):
            columns[name + suffix] = part
    return pd.DataFrame(columns, index=index)


def _correlated(rows: NDArray[np.float64]) -> list[float]:
    k = len(VARIANTS)
    with np.errstate(invalid="ignore"):
        both = [np.asarray(np.corrcoef(part, rowvar=False)) for part in (stats.rankdata(rows, axis=0), rows)]
    return [value for part in both for value in part[:k, k:].ravel().tolist()]


def pairs(attacks: Mapping[str, pd.DataFrame], by: str) -> list[int]:
    """Compare attacks on the same images two by two: how often the lower ``by`` goes with the stronger example.

    Returns [agreeing, all] pairs whose losses differ by more than 0.001, where stronger is the higher loss, then
    [agreeing, all] pairs of which one is misclassified and the other not. Equal values of ``by`` are left out.
    """
    counts = np.zeros(4, int)
    for one, other in combinations(attacks.values(), 2):
        lower, differ = one[by] < other[by], one[by] != other[by]
        gain = one["loss"] - other["loss"]
        clear, split = differ & (gain.abs() > 1e-3), differ & (one["right"] != other["right"])
        by_loss, by_class = lower == (gain > 0), lower == (one["right"] < other["right"])
        counts += [(by_loss & clear).sum(), clear.sum(), (by_class & split).sum(), split.sum()]
    return counts.tolist()


def short(values: Any) -> Any:
    """Return numbers as (nested) lists, to five digits."""
    if np.ndim(values):
        return [short(value) for value in np.asarray(values)]
    return float(f"{float(values):.5g}")
