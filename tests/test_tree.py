"""A test run that changes, adds or removes a file is found out; what git ignores and earlier changes are not."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a file that is tracked, one that is not, one that is ignored and one that was changed."""
    for name in ("tracked", "untracked", "ignored", "edited"):
        (tmp_path / name).write_text("before")
    (tmp_path / ".gitignore").write_text("ignored\n_build/\n")
    for command in (["init", "-q"], ["add", "tracked", "edited", ".gitignore"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "edited").write_text("by hand")
    tree.remember(tmp_path)
    return tmp_path


def test_a_tree_that_stays_as_it_was_is_fine(checkout, capsys):
    (checkout / "ignored").write_text("after")
    (checkout / "tracked").write_text("before")
    assert tree.compare(checkout) == 0
    assert capsys.readouterr() == ("", "")


def test_what_is_not_as_it_was_is_named(checkout, capsys):
    (checkout / "tracked").unlink()
    (checkout / "untracked").write_text("after")
    (checkout / "edited").write_text("by a test")
    (checkout / "added").touch()
    assert tree.compare(checkout) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split() for line in said[1:]] == [
        ["new", "added"],
        ["gone", "tracked"],
        ["changed", "edited"],
        ["changed", "untracked"],
    ]


def test_outside_a_checkout_nothing_can_be_said(tmp_path, capsys):
    tree.remember(tmp_path)
    (tmp_path / "new").touch()
    assert tree.compare(tmp_path) == 0
    assert "no git checkout" in capsys.readouterr().out


def test_make_test_compares_at_its_end():
    recipe = (tree.ROOT / "Makefile").read_text().split("\ntest:")[1].split("\n\n")[0]
    lines = recipe.splitlines()
    assert "tree.py remember" in recipe and lines[-1].endswith("tree.py compare")
    assert recipe.index("tree.py remember") < recipe.index("$(PYTEST)")
