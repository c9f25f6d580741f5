"""A results file: one line of JSON for each finished trial, appended under a lock.

A trial is stored when its line *and the newline after it* are in the file. What can go wrong, and what is done:

- *A run is killed while it writes.* The file ends in the beginning of a line. ``Writer`` takes that piece
  off (or completes it, if only the newline is missing) before it appends anything; the trial is then run
  again. It does so only if the piece can begin a line of this very file and all lines before it are good.
- *Anything else* (a damaged line, a line of another experiment, merge marks, a file of another kind) is
  corruption: readers and writers raise ``ResultsError`` with file and line, and the file stays as it was.
- A reader cannot tell a line cut by a kill from a file cut by a failed copy. So it changes nothing and raises
  ``ResultsError`` for either, which says how to mend it.
- *Two processes run one experiment.* Each appends under the lock after reading what the other has stored, so
  lines never mix and a trial is stored once.

A line is handed to the operating system before ``append`` returns, so it survives the death of the process.
What a power cut can cost is the lines of the last ``SYNC_SECONDS`` or since the trial before: the file is forced
onto the disk with the first line after that time, and when the writer closes.
"""

from __future__ import annotations

import json
import os
import time
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from advnb.experiments.plain import canonical

SYNC_SECONDS = 1.0

Record = dict[str, Any]
"""experiment, scale, params, seed, then values or error, then provenance."""


class ResultsError(ValueError):
    """Raised if a results file holds what no run has written; the message names file and line."""


class NotStored(LookupError):
    """Raised if results are asked for that are not stored; the message says which are and how to run them."""


class ResultsFile:
    """The results of one experiment at one scale: ``folder/NAME.SCALE.jsonl``, which need not exist yet."""

    def __init__(self, folder: Path, experiment: str, scale: str) -> None:
        self.path = folder / f"{experiment}.{scale}.jsonl"
        self.experiment = experiment
        self.scale = scale
        # Every line begins like this, which tells a line cut short from a foreign one.
        self.head = json.dumps({"experiment": experiment, "scale": scale})[:-1].encode() + b","

    def lock(self) -> FileLock:
        """Return the lock under which the file is written."""
        return FileLock(f"{self.path}.lock")

    def read(self) -> list[Record]:
        """Return all records, in the order of the file; raised (``ResultsError``) if any is not sound."""
        content = self.path.read_bytes()
        if not content.endswith(b"\n") and self.path.with_name(f"{self.path.name}.lock").exists():
            try:  # perhaps a run was just writing: look again when it is not
                with self.lock().acquire(timeout=5):
                    content = self.path.read_bytes()
            except (OSError, Timeout):
                pass
        records, tail = self.parse(content)
        if tail:
            record = self.completed(tail, len(records) + 1)
            if record is None:
                raise ResultsError(
                    f"{self.path}:{len(records) + 1}: the last line is cut short. If a run was killed while "
                    f"writing it, this mends it: python -m advnb run {self.experiment} --scale {self.scale}. "
                    "If the file was copied, copy it again"
                )
            records.append(record)
        return records

    def parse(self, content: bytes, first: int = 1) -> tuple[list[Record], bytes]:
        """Return the records of all whole lines, and what follows the last newline.

        ``first`` is the number of the first line of ``content``.
        """
        *lines, tail = content.split(b"\n")
        return [self.record(line, number) for number, line in enumerate(lines, first)], tail

    def record(self, line: bytes, number: int) -> Record:
        """Return the record on one line; raised (``ResultsError``) if it is not one of this file."""
        try:
            record = json.loads(line)
        except ValueError as error:
            shown = line[:60].decode(errors="replace")
            raise ResultsError(f"{self.path}:{number}: not a line of JSON ({error}): {shown!r}") from error
        problem = self._problem(record)
        if problem:
            raise ResultsError(f"{self.path}:{number}: {problem}")
        return record

    def completed(self, tail: bytes, number: int) -> Record | None:
        """Return the record of a last line that only lacks its newline, or None if it is cut short.

        Raised (``ResultsError``) if it cannot be the beginning of a line of this file.
        """
        size = min(len(tail), len(self.head))
        if tail[:size] != self.head[:size]:
            return self.record(tail, number)  # foreign: this raises, unless it is sound after all
        try:
            json.loads(tail)
        except ValueError:
            return None
        return self.record(tail, number)

    def _problem(self, record: object) -> str | None:
        if not isinstance(record, dict) or record.keys() - {"values", "error"} != _KEYS:
            return f"not a stored trial: it must hold {', '.join(sorted(_KEYS))} and either values or error"
        owner = f"{record['experiment']} at {record['scale']} scale"
        if owner != f"{self.experiment} at {self.scale} scale":
            return f"a trial of {owner}, in a file of {self.experiment} at {self.scale} scale"
        if ("values" in record) == ("error" in record):
            return "a stored trial must hold either values or error"
        for key in record.keys() - {"experiment", "scale", "seed"}:
            if not isinstance(record[key], dict):
                return f"{key} must be an object; got {record[key]!r}"
        if not isinstance(record["seed"], int):
            return f"seed must be a whole number; got {record['seed']!r}"
        return None


_KEYS = {"experiment", "scale", "params", "seed", "provenance"}


def key(record: Record) -> str:
    """Return the key of the trial that a record stores (``Trial.key``)."""
    return canonical([record["params"], record["seed"]])


def settled(records: list[Record]) -> dict[str, Record]:
    """Return one record a trial, by key: its values if it ever succeeded, else its latest error."""
    best: dict[str, Record] = {}
    for record in records:
        trial = key(record)
        if "values" not in best.get(trial, ()):
            best[trial] = record
    return best


class Writer:
    """Appends finished trials to a results file, as a context manager; any number of processes may.

    On entry the file is checked, and mended if a killed run has left part of a line. Raised (``ResultsError``)
    if the file is not sound; it is then left as it was.
    """

    def __init__(self, file: ResultsFile) -> None:
        self.file = file
        self.stored: dict[str, Record] = {}
        self._lock = file.lock()
        self._end = 0  # everything before this byte has been read
        self._lines = 0
        self._synced = time.monotonic()
        self._unsynced = False

    def __enter__(self) -> Writer:
        self.file.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if self.file.path.exists():
                with self._open() as handle:
                    self._catch_up(handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unsynced:
            with self._open() as handle:
                os.fsync(handle.fileno())

    def append(self, record: Record) -> bool:
        """Store a finished trial; return False if another process has stored it in the meantime."""
        line = json.dumps(record).encode() + b"\n"
        if not line.startswith(self.file.head):
            raise ValueError(
                f"a line of {self.file.path.name} must begin with {self.file.head!r}; got {line!r}"
            )
        with self._lock, self._open() as handle:
            self._catch_up(handle)
            if "values" in self.stored.get(key(record), ()):
                return False
            self._write(handle, line)
            self._note([record], len(line))
        return True

    def _open(self) -> FileIO:
        return self.file.path.open("ab+", buffering=0)  # appends, whoever else has appended; and reads

    def _write(self, handle: FileIO, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[handle.write(rest) :]
        except OSError:  # a full disk: take back what has been written of the line
            handle.truncate(self._end)
            raise
        self._unsynced = True
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(handle.fileno())
            self._synced = time.monotonic()
            self._unsynced = False

    def _catch_up(self, handle: FileIO) -> None:
        """Read what has been appended since; must be called under the lock."""
        end = handle.seek(0, os.SEEK_END)
        if end < self._end:  # replaced by a shorter file: begin again
            self.stored, self._end, self._lines = {}, 0, 0
        if end == self._end:
            return
        handle.seek(self._end)
        records, tail = self.file.parse(handle.read(), self._lines + 1)
        if tail:
            last = self.file.completed(tail, self._lines + len(records) + 1)
            if last is None:
                end = handle.truncate(end - len(tail))
            else:
                end += handle.write(b"\n")
                records.append(last)
        self._note(records, end - self._end)

    def _note(self, records: list[Record], size: int) -> None:
        for trial, record in settled(records).items():
            if "values" not in self.stored.get(trial, ()):
                self.stored[trial] = record
        self._lines += len(records)
        self._end += size
