"""Can the stored numbers be had again? A random sample of the stored trials is run anew and compared."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from advnb import checks
from advnb.experiments.attempts import attempt
from advnb.experiments.declare import SCALES, Experiment, Tolerance, Trial
from advnb.experiments.read import results_folder, stored_scales
from advnb.experiments.store import NotStored, Record, ResultsFile, settled


class VerificationError(AssertionError):
    """Raised if a stored number cannot be had again; ``report`` is the table that ``verify`` would return."""

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
) -> pd.DataFrame:
    """Run ``sample`` randomly chosen stored trials again and compare what they return with what is stored.

    ``scale`` is the largest stored one unless given; ``device`` is the kind of device the trial was stored from
    if there is one here, else the CPU. ``seed`` chooses the sample.

    Returns one row for each field, with the columns ``field``, ``trials``, ``deviation`` (the largest of
    |new - old|), ``allowed`` (atol + rtol |old| at the entry that used most of it), ``used`` (their ratio),
    ``holds`` and ``worst`` (the trial concerned).
    Raises ``VerificationError`` if any field deviates by more than the experiment's tolerance, is missing, or
    has another shape; ``NotStored`` if nothing is stored; and what a trial raises.
    """
    stored = stored_scales(experiment.name, results)
    if scale is not None:
        checks.choice("scale", scale, SCALES)
    if not stored or scale not in (None, *stored):
        raise NotStored(
            f"{experiment.name} is stored at {' and '.join(stored) or 'no'} scale; nothing to verify"
        )
    file = ResultsFile(results_folder(results), experiment.name, scale or stored[-1])
    good = [record for record in settled(file.read()).values() if "values" in record]
    if not good:
        raise NotStored(f"{file.path} holds no trial that succeeded; nothing to verify")
    chosen = random.Random(seed).sample(good, min(checks.count("sample", sample), len(good)))
    rows = [row for record in chosen for row in _again(experiment, record, device)]
    return _report(experiment, file.scale, rows)


def _again(experiment: Experiment, record: Record, device: str | None) -> list[dict[str, Any]]:
    trial = Trial(record["params"], record["seed"])
    if device is None:
        gpu = record["provenance"]["device"].startswith("cuda") and torch.cuda.is_available()
        device = "cuda" if gpu else "cpu"
    new = attempt(experiment.trial, trial, device, experiment.dtype, catch=False)["values"]
    old = record["values"]
    rows = []
    for name in dict.fromkeys([*old, *new]):
        tolerance = experiment.tolerance_of(name)
        if tolerance is not None:
            deviation, allowed = compare(old, new, name, tolerance)
            used = 0.0 if deviation == 0 else deviation / allowed if allowed else float("inf")
            rows.append(
                {"field": name, "deviation": deviation, "allowed": allowed, "used": used, "worst": str(trial)}
            )
    return rows


def compare(
    old: Mapping[str, Any], new: Mapping[str, Any], name: str, tolerance: Tolerance
) -> tuple[float, float]:
    """Return the deviation of field ``name``, and what is allowed there, at the entry that uses most of it.

    NaN equals NaN and an infinity equals itself. Texts, None, and fields that are missing or of another shape
    on one side deviate by 0 or infinity.
    """
    if name not in old or name not in new:
        return float("inf"), tolerance.atol
    try:
        a, b = np.asarray(old[name], dtype=float), np.asarray(new[name], dtype=float)
    except (TypeError, ValueError):
        return (0.0 if old[name] == new[name] else float("inf")), tolerance.atol
    if a.shape != b.shape:
        return float("inf"), tolerance.atol
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(a) & np.isfinite(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.where(same, 0.0, np.where(finite, np.abs(b - a), np.inf)).ravel()
        allowed = np.where(finite, tolerance.atol + tolerance.rtol * np.abs(a), tolerance.atol).ravel()
        if not len(deviation):
            return 0.0, tolerance.atol
        worst = int(np.argmax(np.where(deviation == 0, 0.0, deviation / allowed)))
    return float(deviation[worst]), float(allowed[worst])


def _report(experiment: Experiment, scale: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    if not rows:
        raise ValueError(f"{experiment.name} declares all its fields unchecked; nothing to verify")
    table = pd.DataFrame(rows)
    worst = table.loc[table.groupby("field", sort=False)["used"].idxmax()].reset_index(drop=True)
    worst.insert(1, "trials", worst["field"].map(table["field"].value_counts()))
    worst.insert(5, "holds", worst["used"] <= 1)
    bad = worst[~worst["holds"]]
    if len(bad):
        lines = "; ".join(
            f"{row.field} deviates by {row.deviation:.3g} where {row.allowed:.3g} is allowed ({row.worst})"
            for row in bad.itertuples()
        )
        raise VerificationError(f"{experiment.name} at {scale} scale cannot be had again: {lines}", worst)
    return worst
