"""What the book ships to the pictures that a reader can move: numbers, as a script that pages load from disk.

A chapter's module returns the numbers as plain data and arrays (``packed``); the build writes :func:`script` of them
beside the page's other scripts (``book/_ext/movable.py``), and ``book/_static/movable`` draws them.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from advnb import checks

__all__ = ["KINDS", "packed", "script", "trials_page"]

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


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 70rem; padding: 0 1rem }}
div {{ overflow-x: auto }}
table {{ border-collapse: collapse; margin: 1.5rem 0; scroll-margin-top: 1rem }}
caption {{ font-weight: 600; text-align: left }}
th, td {{ border-bottom: 1px solid gray; padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap }}
table:target caption {{ border-left: 5px solid #d55e00; padding-left: 0.5rem }}
</style></head><body><main><h1>{title}</h1>
<p>A table a point of the picture. {commands} computes a sample of these trials again.</p>
{tables}</main></body></html>
"""


def trials_page(
    name: str | Sequence[str], groups: Mapping[str, tuple[str, pd.DataFrame]], heads: Mapping[str, str]
) -> str:
    """Return a page, in HTML that needs nothing else, of the stored trials behind the points of a picture.

    ``name`` is that of the experiment, or of several; ``groups`` has for each point its anchor, its caption and its
    trials; ``heads`` what columns are called.
    """
    tables = "\n".join(
        f'<div role="region" tabindex="0" aria-label="{html.escape(caption)}">'
        + _table(anchor, caption, trials.rename(columns={**_RUN, **heads}))
        + "</div>"
        for anchor, (caption, trials) in groups.items()
    )
    names = [html.escape(each) for each in ([name] if isinstance(name, str) else name)]
    commands = ", ".join(f"<code>python -m advnb verify {each}</code>" for each in names)
    return PAGE.format(title=f"Stored trials: {', '.join(names)}", commands=commands, tables=tables)


_RUN = {
    "run_scale": "scale",
    "run_commit": "commit",
    "run_device": "device",
    "run_date": "date",
    "run_seconds": "seconds",
}


def _table(anchor: str, caption: str, trials: pd.DataFrame) -> str:
    body = trials.to_html(index=False, border=0, float_format=lambda value: f"{value:.4g}", table_id=anchor)
    start = body.index(">") + 1
    return f"{body[:start]}<caption>{html.escape(caption)}</caption>{body[start:]}"
