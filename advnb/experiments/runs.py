"""Running experiments: every trial once, in one process or on a cluster, each stored as it finishes.

Trials fan out through joblib, whose backends are the engines people already have (``engines``). The process that was
started stores each result as it comes in (``store``). A run that ends early, however it ends, is continued by giving
the same command again.
"""

from __future__ import annotations

import inspect
import random
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from advnb import checks
from advnb.experiments.declare import DTYPES, Experiment, Seeds, Trial
from advnb.experiments.engines import CLUSTERS, engine
from advnb.experiments.provenance import checkout, device_name, provenance, resolve_device
from advnb.experiments.read import results_folder, table
from advnb.experiments.store import Record, ResultsFile, Writer, canonical, key, plain_values
from advnb.experiments.stretches import Spent, TimeIsUp, state_of, stopped_at, taken_up

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Outcome", "attempt", "live", "run", "told"]

FRAMES = 4
MESSAGE = 500
"""How much of an error is stored: the innermost frames, and characters of its message."""

GRACE = 1.0
"""Seconds after which a run whose time is up waits no longer for workers: they may be in a call that takes minutes."""


@dataclass
class Outcome:
    """What became of the trials that a run was asked for, and how many that were.

    ``before`` were stored when the run began, and ``failed_before`` had raised in an earlier one and were not to be
    tried again. ``stored`` and ``failed`` (the errors are stored) are the work of this run, ``elsewhere`` that of
    another process in the meantime; ``left`` are still to be run, because the time was up. ``errors`` holds a text
    for each trial that has failed, now or before: which, what it raised, and where.
    """

    asked: int
    before: int = 0
    failed_before: int = 0
    stored: int = 0
    failed: int = 0
    elsewhere: int = 0
    left: int = 0
    errors: list[str] = field(default_factory=list)


def run(
    experiment: Experiment,
    scale: str,
    *,
    jobs: int | None = None,
    backend: str | None = None,
    address: str | None = None,
    device: str = "auto",
    seeds: Seeds | None = None,
    only: Mapping[str, Any] | None = None,
    time_limit: float | None = None,
    retry_errors: bool = False,
    allow_changes: bool = False,
    progress: bool = True,
    results: Path | str | None = None,
) -> Outcome:
    """Run the trials of ``experiment`` at ``scale`` that are not stored yet, and store each as it finishes.

    A trial that raises is stored with its error, and tried again only if ``retry_errors``. Several processes may
    run one experiment: all but the first take the trials in random order, so that they seldom meet on one.
    ``jobs``, ``backend`` and ``address`` are those of ``engines.engine``; ``seeds`` and ``only`` choose
    trials as in ``Experiment.trials``; ``device`` is one that the experiment can use, or "auto", which is resolved
    where the trial runs. ``time_limit`` is in minutes, by the clock of the worker: a trial that is under way then
    is stopped, and is taken up again by the next run if the experiment ``goes_on``; if not, none is begun whose like
    took longer than what is left. A worker that is not done a second later, in the middle of one long call, is killed
    (of a cluster: left behind); in this very process such a call is waited for. ``allow_changes``
    stores at a scale above live although the package has uncommitted changes. ``progress`` draws a bar on stderr.

    Raises ``ValueError`` for a wrong argument and for uncommitted changes, ``ResultsError`` for a damaged results
    file, and ``ConnectionError`` for workers out of reach or with other clocks, before anything is computed.
    """
    deadline = _Deadline(time_limit, experiment.goes_on)
    trials = experiment.trials(scale, seeds=seeds, only=only)
    device = experiment.device(device)
    here = None if backend in CLUSTERS else device_name(resolve_device(device))
    _check_committed(experiment, scale, allow_changes)
    file = ResultsFile(results_folder(results), experiment.name, scale)
    with engine(jobs, backend, address, time_limit is not None) as execute, Writer(file) as writer:
        _check_dtype(experiment, writer)
        deadline.learn(writer.stored.values(), here)
        todo = [trial for trial in trials if _is_open(trial, writer, retry_errors)]
        if not writer.first:
            random.SystemRandom().shuffle(todo)
        fixed = (device, experiment.dtype, experiment.goes_on, backend in CLUSTERS)
        tasks = (
            (latest, deadline.end, experiment.trial, trial, *fixed)
            for trial, latest in deadline.allowed(todo)
            if _is_open(trial, writer, retry_errors)
        )
        known = [] if retry_errors else [writer.stored.get(trial.key, {}) for trial in trials]
        errors = [told(record) for record in known if "error" in record]
        outcome = Outcome(len(trials), len(trials) - len(todo) - len(errors), len(errors), errors=errors)
        tried = set()
        with _bar(f"{experiment.name} {scale}", len(trials), progress, len(trials) - len(todo)) as bar:
            for record in deadline.waited_for(execute(_in_time, tasks)):
                tried.add(key(record))
                deadline.learn([record], None)
                _settle({"experiment": experiment.name, "scale": scale, **record}, writer, outcome)
                if "values" in record:  # and not before the line is written, or a kill in between would cost the trial
                    state_of(experiment.trial, key(record), experiment.dtype).forget()
                bar.set_postfix(failed=outcome.failed, refresh=False)
                bar.update()
    outcome.left = sum(trial.key not in tried and _is_open(trial, writer, retry_errors) for trial in todo)
    outcome.elsewhere = len(todo) - outcome.stored - outcome.failed - outcome.left
    return outcome


def live(
    experiment: Experiment,
    scale: str = "live",
    *,
    jobs: int = 1,
    device: str = "cpu",
    seeds: Seeds | None = None,
    only: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Run an experiment here and now, store nothing, and return what ``load`` would; raises what a trial raises."""
    trials = experiment.trials(scale, seeds=seeds, only=only)
    device = resolve_device(experiment.device(device))
    tasks = ((experiment.trial, trial, device, experiment.dtype, False) for trial in trials)
    records = []
    with engine(jobs) as execute, _bar(experiment.name, len(trials), progress) as bar:
        for record in execute(attempt, tasks):
            records.append({"scale": scale, **record})
            bar.update()
    return table(records)


def attempt(
    function: Callable[..., Mapping[str, Any]], trial: Trial, device: str, dtype: str, catch: bool = True
) -> Record:
    """Call a trial function once and return the record, without the names of experiment and scale.

    ``device`` is resolved here, on the machine that does the work; raised if it is not there. What the trial
    itself raises is recorded if ``catch``, and passed on otherwise.
    """
    device = resolve_device(device)
    arguments = {"dtype": DTYPES[dtype]} if "dtype" in inspect.signature(function).parameters else {}
    outcome: dict[str, Any]
    start, worked = time.perf_counter(), time.process_time()
    try:
        values = function(**trial.params, seed=trial.seed, device=device, **arguments)
        outcome = {"values": plain_values(values, trial.params)}
    except Exception as error:
        if not catch:
            raise
        frames = traceback.extract_tb(error.__traceback__)[1:][-FRAMES:]  # without this one
        places = "; ".join(f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
        message = str(error).replace(str(Path.home()), "~")[:MESSAGE]  # no path of this machine
        outcome = {"error": {"type": type(error).__name__, "message": message, "traceback": places}}
    origin = provenance(device, dtype, time.perf_counter() - start, time.process_time() - worked)
    return {"params": dict(trial.params), "seed": trial.seed, **outcome, "provenance": origin}


def told(failed: Record) -> str:
    """Return the record of a trial that raised as text: which it is, what it raised, and where."""
    trial, error = Trial(failed["params"], failed["seed"]), failed["error"]
    return f"{trial}: {error['type']}: {error['message']} ({error['traceback']})"


def _in_time(
    latest: float,
    end: float,
    function: Callable[..., Mapping[str, Any]],
    trial: Trial,
    device: str,
    dtype: str,
    goes_on: bool,
    away: bool,
) -> Record | None:
    """``attempt``; None if the trial has waited for its worker until it may not begin any more, or is stopped.

    Of one that ``goes_on`` the time of all its stretches is stored. ``away`` from the process that stores the record,
    perhaps on another disk, the worker forgets the trial's state.
    """
    if time.time() >= latest:
        return None
    with taken_up(function, trial.key, dtype) as state:
        spent = Spent(state)
        try:
            with stopped_at(end):
                record = attempt(function, trial, device, dtype)
        except TimeIsUp:
            if goes_on:
                spent.note()
            return None
        for name, seconds in spent.before.items():
            record["provenance"][name] = round(record["provenance"][name] + seconds, 6)
        if away and "values" in record:
            state.forget()
        return record


_NO_MORE: Record = {}


class _Deadline:
    """When trials may begin at the latest, so that they should end in time, judged by trials with equal parameters.

    In wall-clock time, which the processes of a machine have in common.
    """

    def __init__(self, minutes: float | None, goes_on: bool) -> None:
        limit = float("inf") if minutes is None else checks.positive("time_limit", minutes)
        self.end = time.time() + 60 * limit
        self.longest: dict[str, float] = {}
        self.goes_on = goes_on

    def learn(self, records: Iterable[Record], device: str | None) -> None:
        """Note how long trials took; of those on another ``device`` nothing is learnt (None: on any)."""
        for record in records:
            if device in (None, record["provenance"]["device_name"]):
                params = canonical(record["params"])
                self.longest[params] = max(self.longest.get(params, 0.0), record["provenance"]["seconds"])

    def allowed(self, trials: Iterable[Trial]) -> Iterator[tuple[Trial, float]]:
        """Yield the trials that may begin when they are asked for, each with its latest moment."""
        for trial in trials:
            latest = self.end - (0.0 if self.goes_on else self.longest.get(canonical(trial.params), 0.0))
            if time.time() < latest:
                yield trial, latest

    def waited_for(self, results: Iterator[Record | None]) -> Iterator[Record]:
        """Yield what comes until the end and a grace; ``results`` is stopped where it waits then."""
        while True:
            try:
                with stopped_at(self.end + GRACE, again=float("inf")):  # once: it has workers to kill
                    record = next(results, _NO_MORE)
            except TimeIsUp:
                return
            if record is _NO_MORE:
                return
            if record is not None:
                yield record


def _is_open(trial: Trial, writer: Writer, retry_errors: bool) -> bool:
    record = writer.stored.get(trial.key)
    return record is None or (retry_errors and "error" in record)


def _settle(record: Record, writer: Writer, outcome: Outcome) -> None:
    stored = writer.append(record)
    if "error" in record:
        outcome.failed += 1
        outcome.errors.append(told(record))
    elif stored:
        outcome.stored += 1


def _check_committed(experiment: Experiment, scale: str, allow_changes: bool) -> None:
    """Raised if what is to be kept would come from code that nobody can check out."""
    changed = ", ".join(checkout()[1])
    if changed and scale != "live" and not allow_changes:
        why = f"{experiment.name} is not stored at {scale} scale while the package has uncommitted changes"
        raise ValueError(f"{why} ({changed}): commit them, or say allow_changes=True (--allow-changes)")


def _check_dtype(experiment: Experiment, writer: Writer) -> None:
    """Raised if the file holds trials of another precision, which no one table should mix."""
    stored = {str(record["provenance"].get("dtype")) for record in writer.stored.values()}
    if stored - {experiment.dtype}:
        now = f"{experiment.name} now declares dtype {experiment.dtype!r}: move the file away to run it anew"
        raise ValueError(f"{writer.file.path} holds trials in {', '.join(stored)}, and {now}")


def _bar(title: str, total: int, progress: bool, done: int = 0) -> tqdm:
    return tqdm(total=total, initial=done, desc=title, unit="trial", disable=not progress)
