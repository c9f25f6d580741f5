"""Where a number comes from: code, library, device, precision, duration and date of the trial behind it.

Nothing here names a user, a host or a folder: provenance is published with the results.
"""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from advnb import __version__

__all__ = ["PACKAGE", "checkout", "device_name", "provenance", "resolve_device"]

PACKAGE = Path(__file__).resolve().parents[1]


def resolve_device(device: str) -> str:
    """Return "cpu", "cuda" or "cuda:N"; "auto" is the GPU if there is one. Raised if the GPU is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device!r} is not there: torch sees {torch.cuda.device_count()} GPU(s)")
    return device


def provenance(device: str, dtype: str, seconds: float, cpu_seconds: float) -> dict[str, Any]:
    """Return the provenance of a trial that has just ended on ``device`` after ``seconds``.

    ``cpu_seconds`` are those that the processor has worked for this process: what else it had to do is not in them.
    """
    return {
        "version": __version__,
        "commit": checkout()[0],
        "torch": torch.__version__,
        "device": device,
        "device_name": device_name(device),
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 6),
        "cpu_seconds": round(cpu_seconds, 6),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def checkout() -> tuple[str | None, tuple[str, ...]]:
    """Return the commit that the package runs from, and its files that the commit does not hold as they are.

    "+changes" follows the commit if there are any (other files of the checkout do not matter); None and no files
    where the package lies in no git checkout. Asked once a process, since that is the code the process has loaded.
    """
    # Tracked, or else the checkout around it is another project's (a virtual environment inside it, say).
    head = _git("ls-files", "--error-unmatch", "__init__.py") and _git("rev-parse", "--short=10", "HEAD")
    if not head:
        return None, ()
    changed = (_git("status", "--porcelain", "--untracked-files=all", "--", ".") or "").splitlines()
    return head + ("+changes" if changed else ""), tuple(line[3:] for line in changed)


@lru_cache
def device_name(device: str) -> str:
    """Return the model name of the processor or GPU."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown CPU"


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.rstrip()
    return None
