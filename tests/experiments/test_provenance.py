"""Every stored line comes from code that anyone can have: a commit of this history, without uncommitted changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from advnb.experiments.read import results_folder

ROOT = Path(__file__).resolve().parents[2]
STORED = sorted(results_folder().glob("*.jsonl"))


@cache
def commits(path: Path) -> set[str | None]:
    """The commits that the lines of a results file name."""
    with path.open(encoding="utf-8") as lines:
        return {json.loads(line)["provenance"]["commit"] for line in lines}


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


@cache
def history() -> list[str]:
    """The commits of this checkout's history, in full."""
    if git("ls-files", "--error-unmatch", "README.md").returncode:
        pytest.skip("not a git checkout")
    if git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        pytest.skip("a shallow clone, which has not all of the history")
    return git("rev-list", "HEAD").stdout.split()


def test_there_are_stored_runs():
    assert len(STORED) > 50


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_no_line_comes_from_uncommitted_changes(path):
    assert {commit for commit in commits(path) if not re.fullmatch("[0-9a-f]{7,40}", str(commit))} == set()


def test_every_line_names_a_commit_of_the_history():
    named = set[str | None]().union(*map(commits, STORED))
    assert len(named) > 1
    there = {str(commit): sum(full.startswith(str(commit)) for full in history()) for commit in named}
    assert {commit: count for commit, count in there.items() if count != 1} == {}
