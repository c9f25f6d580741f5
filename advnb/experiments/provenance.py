"""Where a number comes from: code, library, device, precision, duration and date of the trial behind it.

Nothing here names a user, a host or a folder: provenance is published with the results.
"""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import advnb

PACKAGE = Path(advnb.__file__).resolve().parent

FIELDS = ("version", "commit", "torch", "device", "device_name", "dtype", "threads", "seconds", "date")
"""The fields of the provenance stored with a trial, in this order."""


def resolve_device(device: str) -> str:
    """Return "cpu", "cuda" or "cuda:N"; "auto" is the GPU if there is one.

    Raised if the name is unknown, or if it names a GPU that is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = str(device).partition(":")
    if device != "cpu" and (kind != "cuda" or (number and not number.isdigit())):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device!r} is not there: torch sees {torch.cuda.device_count()} GPU(s)")
    return str(device)


def provenance(device: str, dtype: str, seconds: float) -> dict[str, Any]:
    """Return the provenance of a trial that has just ended on ``device`` after ``seconds``."""
    return {
        "version": advnb.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "device": device,
        "device_name": device_name(device),
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 6),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def commit() -> str | None:
    """Return the commit that the package is running from, or None where it does not lie in a git checkout.

    "+changes" follows if files of the package differ from it (other files of the checkout do not matter).
    Asked once a process, since that is the code the process has loaded.
    """
    # Tracked, or else the checkout around it is another project's (a virtual environment inside it, say).
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    head = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--", ".")
    return head and head + ("+changes" if changed else "")


@lru_cache
def device_name(device: str) -> str:
    """Return the model name of the processor or GPU."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine() or "unknown CPU"


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
