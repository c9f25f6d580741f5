"""The floor plan: which module may import which. It is drawn once, here, and every module is held against it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "advnb"

MAY_IMPORT = {
    "checks": set(),
    "balls": {"checks"},
    "losses": {"checks"},
    "incremental": set(),
    "models": {"checks", "incremental"},
    "data": {"checks"},
    "gradients": {"checks", "balls", "losses"},
    "kernels": set(),
    "memory": set(),
    "fold": {"checks", "kernels"},
    "flip": {"checks", "models"},
    "attacks": {"checks", "balls", "losses", "gradients", "fold", "flip"},
    "criterion": {"checks", "balls", "losses", "gradients"},
    "evaluation": {"checks", "data", "losses", "gradients", "statistics", "fold", "attacks"},
    "audit": {"checks", "balls", "losses", "gradients", "attacks", "criterion", "evaluation", "statistics"},
    "training": {"checks", "balls", "data", "losses", "gradients", "fold", "attacks", "criterion"},
    "statistics": {"checks"},
    "experiments": {"checks"},
    "book": {"checks", "experiments", "statistics"},
    "papers": {
        "checks", "balls", "losses", "models", "data", "gradients", "fold", "flip", "attacks", "criterion",
        "evaluation", "audit", "training", "statistics", "experiments", "book",
    },
    "__main__": {"data", "experiments", "book", "memory"},
}  # fmt: skip
"""Each room, and the rooms that it may import from. Within a room modules import each other freely."""


def modules():
    return sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


def imports(file):
    """The modules of the package that a file imports, anywhere in it, as tuples of names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "advnb":
            path = tuple(node.module.split(".")[1:])
            yield from ([(alias.name,) for alias in node.names] if not path else [path])
        elif isinstance(node, ast.Import):
            yield from (tuple(a.name.split(".")[1:]) for a in node.names if a.name.startswith("advnb."))


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_room_and_every_room_is_there():
    assert {room(file) for file in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_follow_the_plan(file):
    rooms = {path[0] for path in imports(file)} - {room(file), "__version__", "BEGAN"}
    assert rooms <= MAY_IMPORT[room(file)]


def test_the_plan_has_no_circle():
    """Rooms can be put in an order in which each imports only those before it."""
    placed = set()
    while waiting := {name for name, needs in MAY_IMPORT.items() if name not in placed}:
        ready = {name for name in waiting if MAY_IMPORT[name] <= placed}
        assert ready, f"these import each other in a circle: {sorted(waiting)}"
        placed |= ready


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "papers").glob("*/**/*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_no_chapter_imports_another(file):
    own = file.relative_to(PACKAGE / "papers").parts[0]
    others = {path[1] for path in imports(file) if path[0] == "papers" and path[1:]}
    assert others <= {own}
