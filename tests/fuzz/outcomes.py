"""What may come of a fuzzed call, a right answer or a clear error, and the tally of what came.

The tally becomes ``book/results/trust/fuzzing.json`` (``ADVNB_TALLY`` set: see ``conftest.py``).
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from advnb.training import Diverged

ROOT = Path(__file__).resolve().parents[2]
TALLY = ROOT / "book" / "results" / "trust" / "fuzzing.json"
CLEAR = (ValueError, TypeError, Diverged)
OURS = "advnb."

EFFORT = os.environ.get("ADVNB_FUZZ")
"""How many times as many inputs as `make test` tries; then drawn at random, not the same each time."""


def budget(examples: int) -> Callable:
    """Return hypothesis settings for so many examples, times ``ADVNB_FUZZ``."""
    return settings(
        max_examples=examples * int(EFFORT or 1),
        derandomize=EFFORT is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # the problems are small: nothing is gained by shrinking them
        suppress_health_check=list(HealthCheck),
    )


class Tally:
    """How many inputs were tried by area and kind, what came of them and an example of an error."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.messages: dict[tuple[str, str], str] = {}

    def add(self, area: str, kind: str, error: BaseException | None, done: str = "right answers") -> None:
        """Count one input."""
        self.outcomes[area, kind]["clear errors" if error else done] += 1
        if error:
            said = re.sub(r"(/[^\s:]+)+/", "", str(error).splitlines()[0])
            self.messages[area, kind] = min(self.messages.get((area, kind), said), said)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, in the order of their names."""
        return [
            {
                "area": area,
                "kind": kind,
                "tried": sum(found.values()),
                "outcome": ", ".join(f"{count} {what}" for what, count in sorted(found.items(), reverse=True)),
                "message": self.messages.get((area, kind), ""),
                "lost": 0,
            }
            for (area, kind), found in sorted(self.outcomes.items())
        ]

    def write(self, path: Path = TALLY) -> None:
        """Write the table down; a test fails before this where an answer was wrong or an error unclear."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def attempt(call: Callable[[], Any], named: Sequence[str], allowed: tuple[type[BaseException], ...] = CLEAR) -> Any:
    """Return (result, None) or (None, error); fails if the error is of another type, or names nothing.

    What comes from the depths of torch is no clear error, though some of its types are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(), None
        except allowed as error:
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            module = where.tb_frame.f_globals.get("__name__", "") if where else ""
            assert module.startswith(OURS), f"an error from the depths, {module}: {error!r}"
            assert any(re.search(rf"\b{word}\b", str(error)) for word in named), f"names none of {named}: {error}"
            return None, error
