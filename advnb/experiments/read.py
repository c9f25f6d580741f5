"""Reading stored runs: tidy tables, means with bootstrap intervals, and the label that says where they are from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from advnb import checks
from advnb.experiments.declare import SCALES
from advnb.experiments.plain import canonical
from advnb.experiments.provenance import FIELDS, PACKAGE
from advnb.experiments.store import NotStored, Record, ResultsFile, settled


def results_folder(folder: Path | str | None = None) -> Path:
    """Return the folder of the results files.

    That is ``folder`` if given, else what the environment variable ADVNB_RESULTS names, else ``book/results`` of
    the checkout that the package runs from, else ``results`` in the current folder.
    """
    named = folder or os.environ.get("ADVNB_RESULTS")
    if named:
        return Path(named)
    book = PACKAGE.parent / "book"
    return book / "results" if book.is_dir() else Path("results")


def stored_scales(name: str, folder: Path | str | None = None) -> list[str]:
    """Return the scales at which the experiment ``name`` is stored, from the smallest to the largest."""
    return [scale for scale in SCALES if ResultsFile(results_folder(folder), name, scale).path.exists()]


def load(name: str, scale: str | None = None, *, results: Path | str | None = None) -> pd.DataFrame:
    """Return the stored trials of the experiment ``name`` as a tidy table, one row a trial.

    Columns: the parameters, ``seed``, the returned fields (arrays as numpy arrays), and the provenance as
    ``run_scale``, ``run_version``, ``run_commit``, ``run_torch``, ``run_device``, ``run_device_name``,
    ``run_dtype``, ``run_threads``, ``run_seconds`` and ``run_date``. Rows are sorted by parameters and seed,
    whatever order the trials finished in. Trials that raised are left out.

    ``scale`` is the largest stored one unless given. Raises ``NotStored`` if it is not stored or holds no
    trial that succeeded, and ``ResultsError`` if the file is damaged.
    """
    stored = stored_scales(name, results)
    wanted = scale or (stored[-1] if stored else SCALES[0])
    checks.choice("scale", wanted, SCALES)
    command = f"python -m advnb run {name} --scale {wanted}"
    if wanted not in stored:
        there = f"only at {' and '.join(stored)} scale" if stored else "at no scale"
        raise NotStored(f"{name} is stored {there} in {results_folder(results)}; to run it: {command}")
    records = ResultsFile(results_folder(results), name, wanted).read()
    good = [record for record in settled(records).values() if "values" in record]
    if not good:
        failed = f"{len(records)} trials raised, none succeeded" if records else "the file is empty"
        raise NotStored(f"{name} holds no result at {wanted} scale: {failed}; to run it: {command}")
    return table(good)


def table(records: Iterable[Record]) -> pd.DataFrame:
    """Return records of trials that succeeded as the table that ``load`` describes."""
    rows = [
        {
            **record["params"],
            "seed": record["seed"],
            **{name: _cell(value) for name, value in record["values"].items()},
            "run_scale": record["scale"],
            **{f"run_{name}": record["provenance"].get(name) for name in FIELDS},
        }
        for record in sorted(records, key=_order)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    last = [name for name in names if name.startswith("run_")]
    return pd.DataFrame(rows, columns=[name for name in names if name not in last] + last)


def unroll(table: pd.DataFrame, fields: str | Sequence[str], *, index: str = "step") -> pd.DataFrame:
    """Return ``table`` with one row for each entry of the array ``fields``, numbered from 0 by ``index``.

    The arrays of one row must have one length. All other columns are repeated.
    """
    names = [fields] if isinstance(fields, str) else list(fields)
    checks.columns("fields", names, table.columns)
    rows = table.copy()
    rows[index] = [list(range(len(cell))) for cell in table[names[0]]]
    rows = rows.explode([*names, index], ignore_index=True)
    return rows.astype({index: int}).infer_objects()


def label(table: pd.DataFrame) -> str:
    """Return where the rows of ``table`` come from: "laptop scale, 5 seeds, AMD EPYC, 2026-11-21".

    A live run has no date: it is as old as the page that shows it, and a notebook run again must not change.
    """
    scales = " and ".join(scale for scale in SCALES if scale in set(table["run_scale"]))
    seeds = table["seed"].nunique()
    devices = " and ".join(sorted(set(table["run_device_name"])))
    origin = f"{scales} scale, {seeds} seed{'s' if seeds != 1 else ''}, {devices}"
    days = sorted({date[:10] for date in table.loc[table["run_scale"] != "live", "run_date"]})
    if not days:
        return origin
    return f"{origin}, {days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}"


def _cell(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    try:
        return np.array(value)
    except ValueError:  # rows of several lengths
        return value


def _order(record: Record) -> tuple[Any, ...]:
    """Sort numbers as numbers, and after them all else as text."""
    values = [*record["params"].values(), record["seed"]]
    return tuple(
        (0, value, "") if isinstance(value, int | float) else (1, 0, canonical(value)) for value in values
    )
