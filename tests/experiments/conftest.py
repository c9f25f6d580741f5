"""Worker processes for tests that run trials in parallel."""

from __future__ import annotations

import os

import pytest
from joblib import executor


@pytest.fixture(autouse=True)
def workers_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib keeps its workers for the calls to come, also for those of a test that has set other variables: told the
    variables, it starts new workers where they have changed.
    """
    kept = executor.MemmappingExecutor.get_memmapping_executor

    def started(jobs: int, **options: object) -> executor.MemmappingExecutor:
        here = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return kept(jobs, **{**options, "env": {**here, **(options.get("env") or {})}})

    monkeypatch.setattr(executor.MemmappingExecutor, "get_memmapping_executor", staticmethod(started))
