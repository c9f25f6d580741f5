"""Trials that are longer than a stretch of time: stopped to the second, and taken up again where they were.

A trial that is stopped raises :class:`TimeIsUp` where it is. What it had put away by then, with :func:`under_way` or as
a checkpoint in :func:`kept_folder`, the same trial finds again, here or wherever the folder is carried.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from advnb.experiments.provenance import PACKAGE

__all__ = ["KEPT", "Spent", "TimeIsUp", "UnderWay", "kept_folder", "state_of", "stopped_at", "taken_up", "under_way"]

KEPT = "ADVNB_KEPT"

EVERY = 10.0
"""Seconds after which a trial's state is put away again; an epoch that is longer is put away at its end."""

LEFT_OVER = 60.0
"""Seconds after which what a killed process was just writing is no longer being written."""

AGAIN = 0.5
"""Seconds after which a trial that has swallowed :class:`TimeIsUp` (in a finaliser, say) meets it again."""


class TimeIsUp(BaseException):
    """Raised inside a trial when its time is up; no error, so that ``except Exception`` lets it pass."""


def kept_folder() -> Path:
    """Return where trials keep what others can take over (trained networks, say); it need not exist.

    The environment variable ``ADVNB_KEPT`` names it, else it lies in the user's cache folder.
    """
    import pooch

    return Path(os.environ.get(KEPT) or Path(pooch.os_cache("advnb")) / "kept")


class UnderWay:
    """What a trial that may be stopped puts away of itself: tensors, numbers, texts, lists and dicts of them.

    ``path`` is its file, which need not exist. It is replaced as a whole, so that a kill at any moment leaves the state
    before it. ``part(name)`` is another file, for one of several things that a trial does one after the other.
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path, self.every = path, every
        self._last = time.monotonic()

    def part(self, name: str) -> UnderWay:
        """Return the state called ``name`` beside this one."""
        return UnderWay(self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}"), self.every)

    @property
    def checkpoint(self) -> Path:
        """The path of a checkpoint (``training.fit``) beside the state."""
        return self.part("fit").path

    def load(self) -> dict[str, Any] | None:
        """Return what was put away, on the CPU, or None; a damaged file is told of by a warning, and left out."""
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises half a dozen unrelated types for a damaged file
            warnings.warn(f"{self.path} cannot be read ({type(error).__name__}): the trial begins again", stacklevel=2)
            return None
        return state

    def save(self, state: Mapping[str, Any] | Callable[[], Mapping[str, Any]], *, now: bool = False) -> None:
        """Put ``state`` away, or what it returns when called, if the last time is ``every`` seconds ago, or ``now``."""
        if not now and time.monotonic() - self._last < self.every:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                torch.save(dict(state() if callable(state) else state), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)
        self._last = time.monotonic()

    def forget(self) -> None:
        """Remove what was put away, all its parts, and what a killed process has left of one."""
        for file in [self.path, *self.path.parent.glob(f"{self.path.stem}.*{self.path.suffix}")]:
            file.unlink(missing_ok=True)
        for part in self.path.parent.glob(f".{self.path.stem}.*.part"):
            with suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > LEFT_OVER:
                    part.unlink()


class Spent:
    """The time that a trial has taken in earlier stretches, ``before``, by the names that it has in the provenance.

    Put away beside the trial's ``state``. What a kill has cut off is not in it.
    """

    def __init__(self, state: UnderWay) -> None:
        self._part = state.part("spent")
        self.before: dict[str, float] = self._part.load() or {}
        self._began = self._clocks()

    @staticmethod
    def _clocks() -> dict[str, float]:
        return {"seconds": time.perf_counter(), "cpu_seconds": time.process_time()}

    def note(self) -> None:
        """Note that a stretch of the trial ends here."""
        now = self._clocks()
        self._part.save({name: self.before.get(name, 0.0) + now[name] - self._began[name] for name in now}, now=True)


_now: ContextVar[UnderWay | None] = ContextVar("under_way", default=None)


def under_way() -> UnderWay | None:
    """Return where the trial that is running puts its state away; None where it is not ``run`` that runs it."""
    return _now.get()


def state_of(function: Callable[..., Any], key: str, dtype: str) -> UnderWay:
    """Return the state of a trial, found by its function, parameters and code."""
    name = f"{function.__module__}.{function.__qualname__}|{key}|{dtype}|{_code(function.__module__)}"
    return UnderWay(kept_folder() / "under_way" / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.pt")


@contextmanager
def taken_up(function: Callable[..., Any], key: str, dtype: str) -> Iterator[UnderWay]:
    """Let :func:`under_way` be the state of this trial."""
    state = state_of(function, key, dtype)
    token = _now.set(state)
    try:
        yield state
    finally:
        _now.reset(token)


@lru_cache
def _code(module: str) -> str:
    """Return a digest of the files that decide what a trial of ``module`` does; no other code takes its state up."""
    chapter = PACKAGE / "papers" / (module.split(".")[2:3] or ["none"])[0]
    rooms = (PACKAGE, PACKAGE / "data", PACKAGE / "training")
    files = {file for room in rooms for file in room.glob("*.py")} | set(chapter.rglob("*.py"))
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.name not in ("__main__.py", "claims.py", "drawings.py", "movable.py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def stopped_at(moment: float, again: float = AGAIN) -> Iterator[None]:
    """Raise :class:`TimeIsUp` in this thread at ``moment`` (of ``time.time``), unless the block has ended before.

    It is raised between two operations of Python, in any thread of any process; a call of the library that takes
    seconds is finished first. It is raised ``again`` after so many seconds for as long as the block has not ended.
    """
    thread, lock, over = threading.get_ident(), threading.Lock(), False
    raised, ended = threading.Event(), False
    timer: threading.Timer | None = None

    def strike() -> None:
        with lock:
            if over:
                return
            raised.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeIsUp))
        if again < float("inf"):
            begin(again)

    def begin(seconds: float) -> None:
        nonlocal timer
        timer = threading.Timer(seconds, strike)
        timer.daemon = True
        timer.start()

    if moment < float("inf"):
        begin(min(max(0.0, moment - time.time()), threading.TIMEOUT_MAX))
    try:
        yield
    finally:
        while not ended:
            with suppress(TimeIsUp):
                with lock:
                    over = True
                if timer is not None:
                    timer.cancel()
                if raised.is_set():  # take back what has not arrived yet
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
                ended = True
