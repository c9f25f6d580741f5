"""What the book ships to the pictures that a reader can move: numbers, as a script that pages load from disk.

A chapter's module returns the numbers as plain data and arrays (``packed``); the build writes :func:`script` of them
beside the page's other scripts (``book/_ext/movable.py``), and ``book/_static/movable`` draws them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from advnb import checks

__all__ = ["KINDS", "packed", "script"]

KINDS = ("float64", "int16", "int8", "uint8")
"""The kinds of numbers that ``movable.js`` unpacks."""


def packed(values: ArrayLike, kind: str = "float64") -> dict[str, str]:
    """Return an array as base64 of its little-endian numbers, row by row; ``movable.js`` has the inverse.

    Raises ``ValueError`` for an unknown kind, and for values that are not finite or not exact in it.
    """
    checks.choice("kind", kind, KINDS)
    array = np.asarray(values)
    stored = array.astype(np.dtype(kind).newbyteorder("<"))
    if not np.isfinite(array).all() or not np.array_equal(stored, array):
        raise ValueError(
            f"values must be finite and exact as {kind}; got {array.dtype} from {array.min()} to {array.max()}"
        )
    return {"kind": kind, "data": b64encode(stored.tobytes()).decode("ascii")}


def script(name: str, numbers: Mapping[str, Any]) -> str:
    """Return the script that gives the picture ``name`` its numbers; raises ``ValueError`` for NaN or infinity."""
    text = json.dumps(numbers, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return f"window.advnbMovable.ship({json.dumps(name)}, {text});\n"
