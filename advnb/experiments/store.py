"""A results file: one line of JSON for each finished trial, appended under a lock.

Python writes the shortest decimal text that reads back as the same float64, so every float survives the
round trip bit for bit; a float32 is written as the float64 of equal value. NaN and the infinities are written
as the words ``NaN``, ``Infinity`` and ``-Infinity``: Python's json module reads them, strict JSON has none.

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

A line ends in the CRC-32 of what stands before it, so that a digit that has changed on the disk is no other result.
Lines from before there was one have none; version control holds what they were.

A line is handed to the operating system before ``append`` returns, so it survives the death of the process.
What a power cut can cost is the lines of the last ``SYNC_SECONDS`` or since the trial before: the file is forced
onto the disk with the first line after that time, and when the writer closes. Where a line cannot be written (a full
disk, a folder that is read-only, a lock that nobody lets go), ``NotWritten`` says so and what to do.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

__all__ = ["MAX_NUMBERS", "NotStored", "NotWritten", "Record", "ResultsError", "ResultsFile", "Writer", "canonical",
           "key", "plain", "plain_values", "settled"]  # fmt: skip

MAX_NUMBERS = 10_000
"""How many numbers one trial may return: results files are read whole and kept in version control."""

SYNC_SECONDS = 1.0

LOCK_SECONDS = 600.0
"""How long to wait for other writers, who hold the lock while they write a line: a stopped one holds it for ever."""

Record = dict[str, Any]
"""experiment, scale, params, seed, then values or error, then provenance."""

CRC = b', "crc32": '
_KEYS = {"experiment", "scale", "params", "seed", "provenance"}


class ResultsError(ValueError):
    """Raised if a results file holds what no run has written; the message names file and line."""


class NotStored(LookupError):
    """Raised if results are asked for that are not stored; the message says which are and how to run them."""


def plain(name: str, value: Any) -> Any:
    """Return ``value`` as bool, int, float, str, None or (nested) lists of them.

    numpy and torch scalars become Python's; arrays, tensors and tuples become lists. Raised (``TypeError``,
    naming ``name``) if it is anything else.
    """
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | range):
        return [plain(name, item) for item in value]
    kind = type(value).__name__
    raise TypeError(f"{name} must be a number, a text, None or a small array of them; got {kind}")


def plain_values(values: Any, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a trial returned as plain data; raised if it is no dict of numbers and small arrays.

    ``taken`` holds the trial's parameters: a returned field may not bear the name of one, since both become
    columns of one table.
    """
    if not isinstance(values, Mapping) or not values:
        got = "an empty dict" if isinstance(values, Mapping) else type(values).__name__
        raise TypeError(f"a trial must return a dict of named numbers; got {got}")
    for name in values:
        if not isinstance(name, str) or not name.isidentifier() or name == "seed" or name.startswith("run_"):
            rule = "be named by an identifier, not 'seed' or 'run_...'"
            raise ValueError(f"a returned field must {rule}; got {name!r}")
        if name in taken:
            raise ValueError(f"the returned field {name!r} has the name of a parameter: give it another")
    result = {name: plain(f"the returned field {name!r}", value) for name, value in values.items()}
    numbers = _size(list(result.values()))
    if numbers > MAX_NUMBERS:
        raise ValueError(f"a trial may return at most {MAX_NUMBERS} numbers; got {numbers}")
    return result


def canonical(value: Any) -> str:
    """Return the one JSON text of plain data: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _size(value: Any) -> int:
    return sum(map(_size, value)) if isinstance(value, list) else 1


def key(record: Record) -> str:
    """Return the key of the trial that a record stores (``Trial.key``)."""
    return canonical([record["params"], record["seed"]])


def _line(record: Record) -> bytes:
    """Return the line that stores a record."""
    text = json.dumps(record).encode()
    return text[:-1] + CRC + b"%d}\n" % zlib.crc32(text)


def _is_intact(record: object, line: bytes) -> bool:
    """Whether the line is still what ``_line`` has made of its record; takes the checksum out of the record."""
    if not isinstance(record, dict) or "crc32" not in record:
        return True  # no record, or one from before there were checksums
    text, _, _ = line.rpartition(CRC)
    return bool(record.pop("crc32") == zlib.crc32(text + b"}"))


def settled(records: Iterable[Record], known: dict[str, Record] | None = None) -> dict[str, Record]:
    """Return one record a trial, by key: its values if it ever succeeded, else its latest error.

    ``known`` is what an earlier call has returned, which is brought up to date and returned.
    """
    best = {} if known is None else known
    for record in records:
        trial = key(record)
        if "values" not in best.get(trial, ()):
            best[trial] = record
    return best


class NotWritten(OSError):
    """Raised if a results file cannot be written; the message says why, what is safe and how to go on."""


class ResultsFile:
    """The results of one experiment at one scale: ``folder/NAME.SCALE.jsonl``, which need not exist yet."""

    def __init__(self, folder: Path, experiment: str, scale: str) -> None:
        self.path = folder / f"{experiment}.{scale}.jsonl"
        self.lock = FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS)  # under which it is written
        self.experiment, self.scale = experiment, scale
        # Every line begins like this, which tells a line cut short from a foreign one.
        self.head = json.dumps({"experiment": experiment, "scale": scale})[:-1].encode() + b","

    def read(self) -> list[Record]:
        """Return all records, in the order of the file; raised (``ResultsError``) if any is not sound."""
        content = self.path.read_bytes()
        if content[-1:] not in (b"", b"\n"):  # perhaps a run was just writing: look again when it is not
            with suppress(OSError, Timeout), self.lock.acquire(timeout=5):
                content = self.path.read_bytes()
        records, cut = self.parse(content)
        if cut:
            raise ResultsError(
                f"{self.path}:{len(records) + 1}: the last line is cut short. If the file was copied, copy it again; "
                f"if a run was killed, this mends it: python -m advnb run {self.experiment} --scale {self.scale}"
            )
        return records

    def parse(self, content: bytes, first: int = 1) -> tuple[list[Record], bytes]:
        """Return the records of ``content``, whose lines count from ``first``, and what is there of a line cut short.

        A last line that only lacks its newline is whole. Raised (``ResultsError``) if a line is none of this file.
        """
        *lines, tail = content.split(b"\n")
        cut = tail if self._is_cut(tail) else b""
        lines += [tail] if tail != cut else []
        return [self._record(line, number) for number, line in enumerate(lines, first)], cut

    def _is_cut(self, tail: bytes) -> bool:
        """Whether what follows the last newline is the beginning of a line, and not all of it."""
        try:
            json.JSONDecoder().raw_decode(tail.decode(errors="replace"))
        except (ValueError, RecursionError):
            return tail.startswith(self.head) or self.head.startswith(tail)
        return False  # all of a line is there, and perhaps something else after it

    def _record(self, line: bytes, number: int) -> Record:
        try:
            record = json.loads(line)
            problem = self._problem(record) if _is_intact(record, line) else "not what was stored (by its CRC-32)"
        except (ValueError, RecursionError) as error:  # the latter from brackets nested a thousand deep
            problem = f"not a line of JSON ({error}): {line[:60].decode(errors='replace')!r}"
        if problem:
            mend = "get the file from version control, or take the line out and its trial is run again"
            raise ResultsError(f"{self.path}:{number}: {problem}; {mend}")
        return record

    def _problem(self, record: object) -> str | None:
        if not isinstance(record, dict) or record.keys() not in (_KEYS | {"values"}, _KEYS | {"error"}):
            return f"not a stored trial: it must hold {', '.join(sorted(_KEYS))} and either values or error"
        owner, here = (f"{one['experiment']} at {one['scale']} scale" for one in (record, vars(self)))
        if owner != here:
            return f"a trial of {owner}, in a file of {here}"
        for name in record.keys() - {"experiment", "scale", "seed"}:
            if not isinstance(record[name], dict):
                return f"{name} must be an object; got {record[name]!r}"
        if not isinstance(record["seed"], int) or isinstance(record["seed"], bool):
            return f"seed must be a whole number; got {record['seed']!r}"
        return None


class Writer:
    """Appends finished trials to a results file, as a context manager; any number of processes may.

    On entry the file is checked, and mended if a killed run has left part of a line. Raised (``ResultsError``)
    if the file is not sound; it is then left as it was. ``stored`` is what the file holds, settled, by key, and
    ``first`` whether no other process was writing to it on entry.
    """

    def __init__(self, file: ResultsFile) -> None:
        self.file = file
        self.stored: dict[str, Record] = {}
        self.first = False
        self._claim = FileLock(f"{file.path}.run.lock")  # the first writer holds it until the end
        self._end = self._lines = 0  # how many bytes and lines have been read
        self._synced = time.monotonic()

    def __enter__(self) -> Writer:
        try:
            with self._told():
                self.file.path.parent.mkdir(parents=True, exist_ok=True)
                if self.file.path.exists():
                    with self.file.lock, self._open() as handle:
                        self._catch_up(handle)
                with suppress(Timeout):
                    self._claim.acquire(timeout=0)
            self.first = self._claim.is_locked
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._release()
        if self._end:
            with suppress(OSError) if any(error) else self._told(), self._open() as handle:
                os.fsync(handle.fileno())

    def append(self, record: Record) -> bool:
        """Store a finished trial; return False if another process has stored it in the meantime.

        Raised (``NotWritten``) if the file cannot be written; what it held before is whole.
        """
        line = _line(record)
        if not line.startswith(self.file.head):
            raise ValueError(f"a line of {self.file.path} must begin with {self.file.head!r}; got {line!r}")
        with self._told(), self.file.lock, self._open() as handle:
            self._catch_up(handle)
            if "values" in self.stored.get(key(record), ()):
                return False
            self._write(handle, line)
            self._catch_up(handle)
        return True

    def _release(self) -> None:
        """Let go of both locks, also of one that an interrupt has left behind in this process."""
        self.file.lock.release(force=True)
        self._claim.release(force=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say of an error in writing what is safe and what to do."""
        file, seconds = self.file, f"{LOCK_SECONDS:g} s"
        again = f"python -m advnb run {file.experiment} --scale {file.scale}"
        try:
            yield
        except Timeout as error:
            held = f"another process has held its lock for {seconds}: end that process if it is stopped"
            raise NotWritten(f"{file.path} cannot be written: {held}, then go on with: {again}") from error
        except OSError as error:
            mend = "make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else (
                "make it writable, or name another folder (--results, ADVNB_RESULTS)"
            )  # fmt: skip
            why = error.strerror or str(error)
            said = f"{file.path} cannot be written: {why}. What was stored before is whole: {mend}, then go on with"
            raise NotWritten(f"{said}: {again}") from error

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
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(handle.fileno())
            self._synced = time.monotonic()

    def _catch_up(self, handle: FileIO) -> None:
        """Read what has been appended since; must be called under the lock."""
        if handle.seek(0, os.SEEK_END) < self._end:  # replaced by a shorter file: begin again
            self.stored, self._end, self._lines = {}, 0, 0
        handle.seek(self._end)
        content = handle.read()
        records, cut = self.file.parse(content, self._lines + 1)
        end = self._end + len(content) - len(cut)
        if cut:
            handle.truncate(end)
        elif content[-1:] not in (b"", b"\n"):
            end += handle.write(b"\n")
        # Nothing counts as read before the file is as it should be: what interrupts this is made good by the next call.
        settled(records, self.stored)
        self._end, self._lines = end, self._lines + len(records)
