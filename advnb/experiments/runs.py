"""Running experiments: every trial once, in one process or on a cluster, each stored as it finishes.

Trials fan out through joblib, whose backends are the engines people already have (``engines``). The process that was
started stores each result as it comes in (``store``). A run that ends early, however it ends, is continued by giving
the same command again.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from filelock import FileLock, Timeout
from tqdm import tqdm

from advnb import checks
from advnb.experiments.attempts import attempt
from advnb.experiments.declare import SCALES, Experiment, Tolerance, Trial, find
from advnb.experiments.engines import CLUSTERS, engine
from advnb.experiments.plain import canonical
from advnb.experiments.provenance import device_name, resolve_device
from advnb.experiments.read import results_folder, table
from advnb.experiments.store import Record, ResultsFile, Writer, key
from advnb.experiments.verification import verify

__all__ = ["SCALES", "Experiment", "Outcome", "Tolerance", "Trial", "find", "live", "run", "verify"]


@dataclass
class Outcome:
    """What became of the trials that a run was asked for.

    Attributes:
        asked: how many there are.
        before: settled when the run began: stored, or failed earlier and not to be tried again.
        stored: stored by this run.
        failed: raised in this run; the errors are stored.
        elsewhere: stored by another process in the meantime.
        left: still to be run, because the time was up.
        error: one of the errors, as "type: message".
    """

    asked: int
    before: int = 0
    stored: int = 0
    failed: int = 0
    elsewhere: int = 0
    left: int = 0
    error: str | None = None


def run(
    experiment: Experiment,
    scale: str,
    *,
    jobs: int | None = None,
    backend: str | None = None,
    address: str | None = None,
    device: str = "auto",
    seeds: int | Iterable[int] | None = None,
    only: Mapping[str, Any] | None = None,
    time_limit: float | None = None,
    retry_errors: bool = False,
    progress: bool = True,
    results: Path | str | None = None,
) -> Outcome:
    """Run the trials of ``experiment`` at ``scale`` that are not stored yet, and store each as it finishes.

    A trial that raises is stored with its error, and tried again only if ``retry_errors``. Several processes may
    run one experiment: all but the first take the trials in random order, so that they seldom meet on one.
    ``jobs``, ``backend`` and ``address`` are those of ``engines.engine``; ``seeds`` and ``only`` choose
    trials as in ``Experiment.trials``; ``device`` may be "auto" and is resolved where the trial runs.
    ``time_limit`` is in minutes: no trial is begun after it, nor one whose like took longer than what is left,
    and those under way are finished and stored. ``progress`` draws a bar with the time left on stderr.

    Raises ``ValueError`` for a wrong argument and ``ResultsError`` for a damaged results file, before anything
    is computed.
    """
    trials = experiment.trials(scale, seeds=seeds, only=only)
    deadline = _Deadline(time_limit)
    here = None if backend in CLUSTERS else device_name(resolve_device(device))
    file = ResultsFile(results_folder(results), experiment.name, scale)
    with engine(jobs, backend, address) as execute, Writer(file) as writer, _first(file) as first:
        _same_dtype(experiment, writer)
        deadline.learn(writer.stored.values(), here)
        todo = [trial for trial in trials if _is_open(trial, writer, retry_errors)]
        if not first:
            random.SystemRandom().shuffle(todo)
        outcome = Outcome(asked=len(trials), before=len(trials) - len(todo))
        tasks = (
            joblib.delayed(attempt)(experiment.trial, trial, device, experiment.dtype)
            for trial in deadline.allowed(todo)
            if _is_open(trial, writer, retry_errors)
        )
        tried = set()
        with _bar(f"{experiment.name} {scale}", outcome, progress) as bar:
            for record in execute(tasks):
                tried.add(key(record))
                deadline.learn([record], None)
                _settle({"experiment": experiment.name, "scale": scale, **record}, writer, outcome)
                bar.set_postfix(failed=outcome.failed, refresh=False)
                bar.update()
    waiting = (trial for trial in todo if trial.key not in tried)
    outcome.left = sum(_is_open(trial, writer, retry_errors) for trial in waiting)
    outcome.elsewhere = len(todo) - outcome.stored - outcome.failed - outcome.left
    return outcome


def live(
    experiment: Experiment,
    scale: str = "live",
    *,
    jobs: int = 1,
    device: str = "cpu",
    seeds: int | Iterable[int] | None = None,
    only: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Run an experiment here and now, store nothing, and return the table that ``results.load`` would.

    Raises what a trial raises.
    """
    trials = experiment.trials(scale, seeds=seeds, only=only)
    resolve_device(device)
    tasks = (
        joblib.delayed(attempt)(experiment.trial, trial, device, experiment.dtype, catch=False)
        for trial in trials
    )
    with engine(jobs, None, None) as execute, _bar(experiment.name, Outcome(len(trials)), progress) as bar:
        records = []
        for record in execute(tasks):
            records.append({"scale": scale, **record})
            bar.update()
    return table(records)


class _Deadline:
    """Which trials may still begin: those that should end in time, judged by trials with equal parameters."""

    def __init__(self, minutes: float | None) -> None:
        self.end = float("inf")
        if minutes is not None:
            self.end = time.monotonic() + 60 * checks.positive("time_limit", minutes)
        self.longest: dict[str, float] = {}

    def learn(self, records: Iterable[Record], device: str | None) -> None:
        """Note how long trials took; of those on another ``device`` nothing is learnt (None: on any)."""
        for record in records:
            if device in (None, record["provenance"]["device_name"]):
                params = canonical(record["params"])
                self.longest[params] = max(self.longest.get(params, 0.0), record["provenance"]["seconds"])

    def allowed(self, trials: Iterable[Trial]) -> Iterator[Trial]:
        for trial in trials:
            if time.monotonic() + self.longest.get(canonical(trial.params), 0.0) < self.end:
                yield trial


@contextmanager
def _first(file: ResultsFile) -> Iterator[bool]:
    """Tell whether this is the only process that runs the experiment, and claim that place until the end."""
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(f"{file.path}.run.lock").acquire(timeout=0))
            first = True
        except Timeout:
            first = False
        yield first


def _is_open(trial: Trial, writer: Writer, retry_errors: bool) -> bool:
    record = writer.stored.get(trial.key)
    return record is None or (retry_errors and "error" in record)


def _settle(record: Record, writer: Writer, outcome: Outcome) -> None:
    stored = writer.append(record)
    if "error" in record:
        outcome.failed += 1
        outcome.error = f"{record['error']['type']}: {record['error']['message']}"
    elif stored:
        outcome.stored += 1


def _same_dtype(experiment: Experiment, writer: Writer) -> None:
    """Raised if the file holds trials of another precision, which no one table should mix."""
    stored = {record["provenance"].get("dtype") for record in writer.stored.values()}
    if stored - {experiment.dtype}:
        raise ValueError(
            f"{writer.file.path} holds trials in {', '.join(map(str, stored))}, and {experiment.name} now "
            f"declares dtype {experiment.dtype!r}: move the file away to run it anew"
        )


def _bar(title: str, outcome: Outcome, progress: bool) -> tqdm:
    return tqdm(
        total=outcome.asked,
        initial=outcome.before,
        desc=title,
        unit="trial",
        file=sys.stderr,
        disable=not progress,
    )
