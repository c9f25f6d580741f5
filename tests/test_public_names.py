"""Each module says in ``__all__`` what it offers: every public function and class, and nothing that is not there."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "advnb"
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if "papers" not in file.parts and file.name != "__main__.py"]


def module(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defined(file: Path) -> set[str]:
    """The public functions and classes that the file defines at its top level."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")}


@pytest.mark.parametrize("file", FILES, ids=module)
def test_all_names_what_a_module_offers(file):
    there = importlib.import_module(module(file))
    offered = getattr(there, "__all__", [])
    assert len(set(offered)) == len(offered)
    assert defined(file) <= set(offered)
    assert all(hasattr(there, name) and not name.startswith("_") for name in offered)
