"""A page of the book is one sitting: its limits, what it takes up of them, and the pages that do not meet them yet."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(f for f in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in f.parts)

PAGE = {
    "lines in a cell": 25,
    "columns of code": 100,
    "visible lines of code": 150,  # in cells that are not folded away
    "words": 3_000,
    "pixels": 14_000,  # high, in a window of 1,280, with what folds folded
}
LIMITS = {**PAGE, "lines of code": 2_500}  # the last in all notebooks together
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
ALL = "all notebooks"
CITATION = re.compile(r"\[[^\]]*\]\([^)\s]*bibliography\.md#[\w-]+\)")
"""A link to the bibliography, which counts as one word, as the role did in whose place it stands."""
NOT_YET: dict[str, set[str]] = {}
"""The limits that a page exceeds still. Testing fails where one is met, so that this can only shrink."""


def sizes(path: Path) -> dict[str, int]:
    """What a notebook takes up of each limit but the height, which only a browser knows."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = [line for cell in code for line in cell.source.splitlines()]
    return {
        "lines in a cell": max((len(cell.source.splitlines()) for cell in code), default=0),
        "columns of code": max(map(len, lines), default=0),
        "visible lines of code": sum(len(cell.source.splitlines()) for cell in code if not folded(cell)),
        "words": sum(len(CITATION.sub("Name", cell.source).split()) for cell in cells if cell.cell_type == "markdown"),
    }


def folded(cell: nbformat.NotebookNode) -> bool:
    """Whether a reader has to ask for the code of a cell, or cannot see it."""
    return not FOLDED.isdisjoint(cell.metadata.get("tags", []))


def code_lines() -> int:
    """How many lines of code all notebooks have."""
    cells = (cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells)
    return sum(len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code")


def name_of(page: Path, root: Path = ROOT) -> str:
    """The name of a page: of its source below the repository, or of its HTML below the built book."""
    return page.relative_to(root).with_suffix("").as_posix()


def faults(name: str, taken: dict[str, int]) -> list[str]:
    """What is too large on a page though it is not in `NOT_YET`, and what is in `NOT_YET` though it fits."""
    found = []
    for limit, size in taken.items():
        allowed, excused = LIMITS[limit], limit in NOT_YET.get(name, ())
        if size > allowed and not excused:
            found.append(f"{limit}: {size}, where {allowed} are allowed")
        if size <= allowed and excused:
            found.append(f"{limit}: {size}, which is allowed: take it off NOT_YET in tests/sitting.py")
    return found
