"""One call of a trial function, and the record of it: what it returned or raised, where and how long."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from advnb.experiments.declare import DTYPES, Trial
from advnb.experiments.plain import plain_values
from advnb.experiments.provenance import provenance, resolve_device
from advnb.experiments.store import Record

FRAMES = 4
MESSAGE = 500
"""How much of an error is stored: the innermost frames, and characters of its message."""


def attempt(
    function: Callable[..., Mapping[str, Any]], trial: Trial, device: str, dtype: str, *, catch: bool = True
) -> Record:
    """Call a trial function once and return the record, without the names of experiment and scale.

    ``device`` is resolved here, on the machine that does the work; raised if it is not there. What the trial
    itself raises is recorded if ``catch``, and passed on otherwise.
    """
    device = resolve_device(device)
    arguments = {"dtype": DTYPES[dtype]} if _takes_dtype(function) else {}
    outcome: dict[str, Any]
    start = time.perf_counter()
    try:
        values = function(**trial.params, seed=trial.seed, device=device, **arguments)
        outcome = {"values": plain_values(values, trial.params)}
    except Exception as error:
        if not catch:
            raise
        outcome = {"error": _described(error)}
    seconds = time.perf_counter() - start
    return {
        "params": dict(trial.params),
        "seed": trial.seed,
        **outcome,
        "provenance": provenance(device, dtype, seconds),
    }


@lru_cache
def _takes_dtype(function: Callable[..., Mapping[str, Any]]) -> bool:
    return "dtype" in inspect.signature(function).parameters


def _described(error: Exception) -> dict[str, str]:
    """Return type, message and innermost frames of an error, with no path of this machine."""
    frames = traceback.extract_tb(error.__traceback__)[1:][-FRAMES:]  # without this module's own
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    message = str(error).replace(str(Path.home()), "~")[:MESSAGE]
    return {"type": type(error).__name__, "message": message, "traceback": "; ".join(places)}
