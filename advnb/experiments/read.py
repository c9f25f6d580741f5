"""Reading stored runs: tidy tables, and the label that says where their numbers are from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advnb import checks
from advnb.experiments.declare import SCALES
from advnb.experiments.provenance import PACKAGE
from advnb.experiments.store import NotStored, Record, ResultsFile, canonical, settled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["label", "load", "results_folder", "stored_scales", "succeeded", "table", "unroll"]


def results_folder(folder: Path | str | None = None) -> Path:
    """Return the folder of the results files.

    That is ``folder`` if given, else what the environment variable ADVNB_RESULTS names, else ``book/results`` of
    the checkout that the package runs from, else ``results`` in the current folder.
    """
    book = PACKAGE.parent / "book"
    default = book / "results" if book.is_dir() else "results"
    return Path(folder or os.environ.get("ADVNB_RESULTS") or default)


def stored_scales(name: str, folder: Path | str | None = None) -> list[str]:
    """Return the scales at which the experiment ``name`` is stored, from the smallest to the largest."""
    return [scale for scale in SCALES if ResultsFile(results_folder(folder), name, scale).path.exists()]


def succeeded(name: str, scale: str | None = None, results: Path | str | None = None) -> list[Record]:
    """Return the stored trials of the experiment ``name`` that did not raise, in the order of the file.

    ``scale`` and what is raised are those of ``load``.
    """
    stored = stored_scales(name, results)
    wanted = checks.choice("scale", scale or (stored[-1] if stored else SCALES[0]), SCALES)
    command = f"python -m advnb run {name} --scale {wanted}"
    if wanted not in stored:
        there = f"only at {' and '.join(stored)} scale" if stored else "at no scale"
        raise NotStored(f"{name} is stored {there} in {results_folder(results)}; to run it: {command}")
    records = ResultsFile(results_folder(results), name, wanted).read()
    good = [record for record in settled(records).values() if "values" in record]
    if not good:
        failed = f"{len(records)} trials raised, none succeeded" if records else "the file is empty"
        raise NotStored(f"{name} holds no result at {wanted} scale: {failed}; to run it: {command}")
    return good


def load(name: str, scale: str | None = None, *, results: Path | str | None = None) -> pd.DataFrame:
    """Return the stored trials of the experiment ``name`` as a tidy table, one row a trial.

    Columns: the parameters, ``seed``, the returned fields (arrays as numpy arrays), and the provenance as
    ``run_scale``, ``run_version``, ``run_commit``, ``run_torch``, ``run_device``, ``run_device_name``,
    ``run_dtype``, ``run_threads``, ``run_seconds`` and ``run_date``. Rows are sorted by parameters and seed,
    whatever order the trials finished in. Trials that raised are left out.

    ``scale`` is the largest stored one unless given. Raises ``NotStored`` if it is not stored or holds no
    trial that succeeded, and ``ResultsError`` if the file is damaged.
    """
    return table(succeeded(name, scale, results))


def table(records: Iterable[Record]) -> pd.DataFrame:
    """Return records of trials that succeeded as the table that ``load`` describes."""
    import pandas as pd  # longer to import than all else here, and a run or its workers make no table

    rows = [
        {
            **record["params"],
            "seed": record["seed"],
            **{name: _cell(value) for name, value in record["values"].items()},
            "run_scale": record["scale"],
            **{f"run_{name}": value for name, value in record["provenance"].items()},
        }
        for record in sorted(records, key=_order)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame(rows, columns=sorted(names, key=lambda name: name.startswith("run_")))


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
    days = sorted({date[:10] for date in table.loc[table["run_scale"] != "live", "run_date"]})
    when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""
    parts = [f"{scales} scale", f"{seeds} seed{'s' if seeds != 1 else ''}", devices, when]
    return ", ".join(part for part in parts if part)


def _cell(value: Any) -> Any:
    with suppress(ValueError):  # rows of several lengths
        return np.array(value) if isinstance(value, list) else value
    return value


def _order(record: Record) -> tuple[Any, ...]:
    """Sort numbers as numbers, and after them all else as text."""
    values = [*record["params"].values(), record["seed"]]
    return tuple((0, one, "") if isinstance(one, int | float) else (1, 0, canonical(one)) for one in values)
