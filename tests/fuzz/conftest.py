"""The tally of the fuzz tests, written down at the end if ADVNB_TALLY is set."""

from __future__ import annotations

import os

import pytest

from fuzz.outcomes import Tally


@pytest.fixture(scope="session")
def tally():
    """Counts what was tried; `ADVNB_TALLY=1 python -m pytest tests/fuzz` writes book/results/trust/fuzzing.json."""
    counts = Tally()
    yield counts
    if os.environ.get("ADVNB_TALLY"):
        counts.write()
