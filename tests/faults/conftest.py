"""What is broken on purpose: each test injects a fault and says, as a row of the book's table, what happened.

A row is compared with the one in `book/results/trust/faults.json`; `pytest tests/faults --write-faults` writes it
there instead.
"""

import json
import re
import tempfile
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "book" / "results" / "trust" / "faults.json"
AREAS = ["results file", "checkpoint", "ledger", "data", "workers", "pages"]
PLACES = re.compile(rf"{re.escape(tempfile.gettempdir())}[\w./-]*/")


def pytest_addoption(parser):
    parser.addoption("--write-faults", action="store_true", help="write the table of faults instead of comparing")


@pytest.fixture
def row(request):
    """Write or compare a row. `tried` is exact only if `counted`: the bytes of some files are a library's."""
    writes = request.config.getoption("--write-faults", default=False)

    def row(area, kind, tried, outcome, message="", lost=0, counted=False):
        said = " ".join(PLACES.sub("", str(message)).split())
        made = {"area": area, "kind": kind, "tried": tried, "outcome": outcome, "message": said, "lost": lost}
        rows = json.loads(TABLE.read_text()) if TABLE.exists() else []
        place = next((k for k, one in enumerate(rows) if (one["area"], one["kind"]) == (area, kind)), None)
        if writes:
            rows = [*rows, made] if place is None else [*rows[:place], made, *rows[place + 1 :]]
            rows.sort(key=lambda one: AREAS.index(one["area"]))
            TABLE.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
            return
        assert lost == 0
        assert place is not None, f"the table lacks {area}: {kind} (pytest tests/faults --write-faults)"
        written = rows[place]
        assert tried == written["tried"] if counted else tried >= written["tried"] / 2
        assert {**made, "tried": 0} == {**written, "tried": 0}

    return row
