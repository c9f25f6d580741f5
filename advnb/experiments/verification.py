"""Can the stored numbers be had again? A random sample of the stored trials is run anew and compared."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advnb import checks
from advnb.experiments.declare import Experiment, Tolerance, Trial
from advnb.experiments.read import succeeded
from advnb.experiments.runs import attempt, told
from advnb.experiments.stretches import KEPT

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VerificationError", "compare", "verify"]


class VerificationError(AssertionError):
    """Raised if stored numbers cannot be had again; ``report`` is the table that ``verify`` would return.

    The message tells of each field that deviates and of each trial that has raised: which, what, and where.
    """

    def __init__(self, message: str, report: pd.DataFrame) -> None:
        super().__init__(message)
        self.report = report


def verify(
    experiment: Experiment,
    *,
    sample: int = 5,
    scale: str | None = None,
    device: str | None = None,
    seed: int = 0,
    results: Path | str | None = None,
    alike: bool = False,
) -> pd.DataFrame:
    """Run ``sample`` randomly chosen stored trials again and compare what they return with what is stored.

    ``scale`` is the largest stored one unless given; ``device`` is the kind of device the trial was stored from
    if there is one here, else the CPU. ``seed`` chooses the sample. ``alike`` says that the processor here rounds as
    the one that stored, which makes the fields that the experiment declares as ``like_processor`` a promise too.

    Returns one row for each field, with the columns ``field``, ``trials``, ``deviation`` (the largest of
    |new - old|), ``allowed`` (atol + rtol |old| at the entry that used most of it), ``used`` (their ratio),
    ``holds``, ``promised`` and ``worst`` (the trial concerned).
    Raises ``VerificationError`` if any promised field deviates by more than the experiment's tolerance, is missing,
    or has another shape, and if a trial raises; and ``NotStored`` if nothing is stored. Nothing is taken from
    :func:`kept_folder`: what an earlier run left there is what is to be computed again.
    """
    import pandas as pd  # see read.table

    good = succeeded(experiment.name, scale, results)
    rows: list[tuple[str, float, float, str]] = []
    problems = []
    for record in random.Random(seed).sample(good, min(checks.count("sample", sample), len(good))):
        kind = "auto" if record["provenance"]["device"].startswith("cuda") else "cpu"
        trial, where = Trial(record["params"], record["seed"]), experiment.device(device or kind)
        with _nothing_kept():
            again = attempt(experiment.trial, trial, where, experiment.dtype)
        old, new = record["values"], again.get("values", {})
        fields = {name: experiment.tolerance_of(name) for name in [*old, *new] if new}
        rows += [(name, *compare(old, new, name, one), str(trial)) for name, one in fields.items() if one]
        problems += [] if new else [told(again)]
    if not rows and not problems:
        raise ValueError(f"{experiment.name} declares all its fields unchecked; nothing to verify")
    table = pd.DataFrame(rows, columns=["field", "deviation", "allowed", "worst"])
    table.insert(3, "used", (table["deviation"] / table["allowed"]).fillna(0.0))
    worst = table.loc[table.groupby("field", sort=False)["used"].idxmax()].reset_index(drop=True)
    worst.insert(1, "trials", worst["field"].map(table["field"].value_counts()))
    worst.insert(5, "holds", worst["used"] <= 1)
    worst.insert(6, "promised", alike | ~worst["field"].isin(experiment.like_processor))
    problems += [
        f"{row.field} deviates by {row.deviation:.3g} where {row.allowed:.3g} is allowed ({row.worst})"
        for row in worst[~worst["holds"] & worst["promised"]].itertuples()
    ]
    if problems:
        title = f"{experiment.name} at {good[0]['scale']} scale cannot be had again"
        raise VerificationError(f"{title}: {'; '.join(problems)}", worst)
    return worst


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Let :func:`kept_folder` be an empty one."""
    before = os.environ.get(KEPT)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[KEPT] = folder
        try:
            yield
        finally:
            os.environ.pop(KEPT) if before is None else os.environ.update({KEPT: before})


def compare(old: Mapping[str, Any], new: Mapping[str, Any], name: str, tolerance: Tolerance) -> tuple[float, float]:
    """Return the deviation of field ``name``, and what is allowed there, at the entry that uses most of it.

    NaN equals NaN and an infinity equals itself. Texts, None, and fields that are missing or of another shape
    on one side deviate by 0 or infinity.
    """
    same = name in old and name in new and old[name] == new[name]
    otherwise = 0.0 if same else float("inf"), tolerance.atol
    try:
        a, b = (np.asarray(values[name], dtype=float) for values in (old, new))
    except (KeyError, TypeError, ValueError):  # missing, or no numbers
        return otherwise
    if a.shape != b.shape or not a.size:
        return otherwise
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.nan_to_num(np.abs(b - a), nan=np.inf, posinf=np.inf)
        deviation = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, away).ravel()
        allowed = tolerance.atol + tolerance.rtol * np.nan_to_num(np.abs(a), nan=0.0, posinf=0.0).ravel()
        worst = int(np.argmax(np.where(deviation == 0, 0.0, deviation / allowed)))
    return float(deviation[worst]), float(allowed[worst])
