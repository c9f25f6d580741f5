"""Numbers and small arrays as JSON, exactly: what a trial takes and gives, and what a results file holds.

Python writes the shortest decimal text that reads back as the same float64, so every float survives the
round trip bit for bit; a float32 is written as the float64 of equal value. NaN and the infinities are written
as the words ``NaN``, ``Infinity`` and ``-Infinity``: Python's json module reads them, strict JSON has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

MAX_NUMBERS = 10_000
"""How many numbers one trial may return: results files are read whole and kept in version control."""


def plain(name: str, value: Any) -> Any:
    """Return ``value`` as bool, int, float, str, None or (nested) lists of them.

    numpy and torch scalars become Python's; arrays, tensors and tuples become lists. Raised (``TypeError``,
    naming ``name``) if it is anything else.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        value = value.numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple | range):
        return [plain(name, item) for item in value]
    raise TypeError(
        f"{name} must be a number, a text, None or a small array of them; got {type(value).__name__}"
    )


def plain_values(values: Any, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a trial returned as plain data; raised if it is no dict of numbers and small arrays.

    ``taken`` holds the trial's parameters: a returned field may not bear the name of one, since both become
    columns of one table.
    """
    if not isinstance(values, Mapping) or not values:
        raise TypeError(f"a trial must return a dict of named numbers; got {_shown(values)}")
    result = {}
    for name, value in values.items():
        if not isinstance(name, str) or not name.isidentifier() or name == "seed" or name.startswith("run_"):
            raise ValueError(
                f"a returned field must be named by an identifier, not 'seed' or 'run_...'; got {name!r}"
            )
        if name in taken:
            raise ValueError(f"the returned field {name!r} has the name of a parameter: give it another")
        result[name] = plain(f"the returned field {name!r}", value)
    numbers = sum(_size(value) for value in result.values())
    if numbers > MAX_NUMBERS:
        raise ValueError(f"a trial may return at most {MAX_NUMBERS} numbers; got {numbers}")
    return result


def canonical(value: Any) -> str:
    """Return the one JSON text of plain data: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _size(value: Any) -> int:
    return sum(_size(item) for item in value) if isinstance(value, list) else 1


def _shown(value: Any) -> str:
    return "an empty dict" if isinstance(value, Mapping) else type(value).__name__
