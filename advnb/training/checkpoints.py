"""Checkpoint files: written whole or not at all, read without running code, refused when they do not match.

A checkpoint is one file that ``torch.load(weights_only=True)`` reads, and the SHA-256 of all that after it: torch
compares no checksum, and a byte that has changed on the disk would come back as another weight. It is written under
another name in the same folder and renamed when it is safely on disk, so a process killed at any moment, or a full
disk, leaves the previous one intact.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "CheckpointError", "describe", "describe_model", "describe_tensors", "digest", "load", "refuse_mismatch", "save",
]  # fmt: skip

FORMAT = "advnb.training.fit/2"
DIGEST = 32
"""Bytes of a SHA-256."""

LEFT = "It was left as it is; move it away or give another path"


class CheckpointError(RuntimeError):
    """Raised if a checkpoint cannot be used or written; the file has been left as it was."""


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Replace ``path`` by a file that holds ``state`` (tensors, numbers, strings, lists and dicts of them).

    Raised (``CheckpointError``) if it cannot be written; ``path`` is then what it was.
    """
    whole = io.BytesIO()
    torch.save({"format": FORMAT, **state}, whole)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(whole.getbuffer())
            file.write(hashlib.sha256(whole.getbuffer()).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        _remove(part)
        before = "The one before it is whole" if path.is_file() else "There was none before it"
        raise CheckpointError(
            f"checkpoint {path} cannot be written ({error.strerror or error}). {before}: make room or give another "
            "path, and the same call goes on from there"
        ) from error
    except BaseException:
        _remove(part)
        raise


def load(path: Path, keys: set[str]) -> dict[str, Any]:
    """Return the state stored at ``path``, on the CPU; raises if it is damaged or is not one of :func:`save`'s."""
    try:
        content = path.read_bytes()
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen unrelated types for a damaged file
        raise CheckpointError(
            f"checkpoint {path} cannot be read ({type(error).__name__}): it is damaged or something else. {LEFT}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not keys <= state.keys():
        raise CheckpointError(f"checkpoint {path} was not written by this version of fit (format {FORMAT!r}). {LEFT}")
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        raise CheckpointError(f"checkpoint {path} is damaged: its contents have another SHA-256. {LEFT}")
    return state


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)


def refuse_mismatch(path: Path, saved: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise if the two fingerprints differ, naming every entry that does."""
    names = [name for name in sorted(saved.keys() | now.keys()) if saved.get(name) != now.get(name)]
    if names:
        lines = "".join(f"\n  {name}: stored {saved.get(name)}, now {now.get(name)}" for name in names)
        raise CheckpointError(
            f"checkpoint {path} belongs to another run; it differs in {', '.join(names)}:{lines}\n"
            "It was left as it is; give another path, or resume=False to overwrite it"
        )


def describe(value: object) -> str:
    """Return ``repr(value)`` without memory addresses, which change from one process to the next."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def describe_model(model: nn.Module) -> str:
    """Name the class, the number of weights and a digest of the structure (not of the weights themselves)."""
    entries = [(name, tuple(value.shape), str(value.dtype)) for name, value in model.state_dict().items()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    digest = hashlib.sha256(f"{describe(model)}{entries}{flags}".encode()).hexdigest()[:12]
    return f"{type(model).__name__} of {sum(p.numel() for p in model.parameters())} weights, structure {digest}"


def digest(model: nn.Module) -> str:
    """Return a digest of the names and the contents of all weights and buffers: equal text, equal network."""
    whole = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        whole.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return whole.hexdigest()[:32]


def describe_tensors(*tensors: Tensor) -> str:
    """Name shapes, dtypes and a digest of the contents."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    kinds = ", ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors)
    return f"{kinds}, contents {digest.hexdigest()[:12]}"
