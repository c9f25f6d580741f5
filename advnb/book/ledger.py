"""The ledger: every claim of the book, judged on what is stored, and compared with what was written down before.

``book/results/claims`` holds a file a page, so that a change of any number shows in a diff. ``python -m advnb claims``
computes all of it again and says what differs; only ``--write`` (which ``make notebooks`` calls) writes.
"""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from advnb.book.claims import VERDICTS, Page
from advnb.experiments.read import results_folder
from advnb.experiments.store import ResultsError

__all__ = ["differences", "ledger", "ledger_markdown", "pages", "totals", "totals_markdown", "write"]

RTOL, ATOL = 1e-5, 1e-9
"""How far a number may lie from the one written down: the last digits are the processor's."""

COLUMNS = ("id", "page", "statement", "says", "measured", "verdict", "why", "scale", "seeds", "evidence", "condition",
           "numbers", "holds")  # fmt: skip


def pages(package: str | ModuleType = "advnb.papers") -> dict[str, Page]:
    """Return the pages that the modules of ``package`` declare, by name, without drafts.

    Raised if two pages have one name.
    """
    found: dict[str, Page] = {}
    root = importlib.import_module(package) if isinstance(package, str) else package
    for module in _modules(root):
        for value in vars(module).values():
            if isinstance(value, Page) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two pages are named {value.name!r}: the second is in {module.__name__}")
    _check_ids(found)
    return {name: page for name, page in sorted(found.items()) if not page.draft}


def write(page: Page, results: Path | str | None = None) -> bool:
    """Judge a page and write its claims down; return whether that changed anything.

    Raised (``AssertionError``) if a claim fails; the file is then left as it was.
    """
    page.check(results)
    if not differences(page, results):
        return False
    path = _path(page.name, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [finding.record() for finding in page.judge(results)]
    draft = path.with_suffix(".partial")
    draft.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return True


def differences(page: Page, results: Path | str | None = None) -> list[str]:
    """Return what a page's claims differ in from what is written down, a line each; a failing claim differs."""
    path = _path(page.name, results)
    old = {row["id"]: row for row in _stored(path)} if path.exists() else {}
    new = {finding.claim.id: finding.record() for finding in page.judge(results)}
    said = [f"{page.name}: {name} is written down and no longer declared" for name in old.keys() - new.keys()]
    for name, row in new.items():
        if row["holds"] is False:
            said.append(f"{page.name}: {name} FAILS: {row['measured']} ({row['condition']})")
        if name not in old:
            said.append(f"{page.name}: {name} is not written down")
            continue
        said += [
            f"{page.name}: {name}: {column} is {row[column]!r}, written down {old[name][column]!r}"
            for column in COLUMNS
            if not _same(row[column], old[name][column])
        ]
    if not said and list(old) != list(new):
        said.append(f"{page.name}: the order of the claims has changed")
    return said


def ledger(results: Path | str | None = None) -> pd.DataFrame:
    """Return all claims that are written down, one row each, in order of chapter, then page, then declaration.

    Raises ``ResultsError`` naming the file if one cannot be read or two claims of a chapter have one id.
    """
    rows: list[dict[str, Any]] = []
    for path in sorted((results_folder(results) / "claims").glob("*.json")):
        rows += _stored(path)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.insert(0, "chapter", [page.partition("/")[0] for page in table["page"]])
    twice = table[table.duplicated(["chapter", "id"])]
    if len(twice):
        raise ResultsError(f"claim {twice['id'].iloc[0]!r} of {twice['chapter'].iloc[0]} is written down twice")
    return table


def totals(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return how many claims of each chapter have each verdict, with their sums as "all"."""
    counts = pd.crosstab(ledger["chapter"], ledger["verdict"]).reindex(columns=list(VERDICTS), fill_value=0)
    counts.loc["all"] = counts.sum()
    counts["all"] = counts.sum(axis=1)
    return counts.astype(int).rename_axis(columns=None)


def ledger_markdown(ledger: pd.DataFrame) -> str:
    """Return the ledger as a Markdown table, each claim linked to its page from the book's root."""
    heads = ["Chapter", "Statement", "What the paper says", "What was measured", "Scale", "Seeds", "Verdict"]
    rows = [
        [
            claim["chapter"],
            f"[{claim['statement']}]({claim['page']}.ipynb)",
            claim["says"],
            claim["measured"],
            claim["scale"] if isinstance(claim["scale"], str) else "",
            str(claim["seeds"] or ""),
            claim["verdict"],
        ]
        for claim in ledger.to_dict("records")
    ]
    return _markdown([heads, *rows])


def totals_markdown(totals: pd.DataFrame) -> str:
    """Return the totals as a Markdown table."""
    rows = [[str(cell) for cell in row] for row in totals.itertuples()]
    return _markdown([["Chapter", *(str(verdict) for verdict in totals.columns)], *rows])


def _path(page: str, results: Path | str | None) -> Path:
    return results_folder(results) / "claims" / f"{page.replace('/', '.')}.json"


def _stored(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        sound = isinstance(rows, list) and all(set(row) == set(COLUMNS) for row in rows)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"{path}: not a file of claims: {error}") from error
    if not sound or any(path.stem != row["page"].replace("/", ".") for row in rows):
        raise ResultsError(f"{path}: it must hold a list of claims of its page, each with {', '.join(COLUMNS)}")
    return rows


def _same(a: Any, b: Any) -> bool:
    """Whether two pieces of plain data agree, floats up to their last digits."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=RTOL, abs_tol=ATOL) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


def _check_ids(found: dict[str, Page]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for page in found.values():
        for claim in page:
            other = seen.setdefault((claim.chapter, claim.id), page.name)
            if other != page.name:
                raise ValueError(f"claim {claim.id!r} of {claim.chapter} is declared by {other} and by {page.name}")


def _modules(root: ModuleType) -> Iterator[ModuleType]:
    yield root
    for info in pkgutil.iter_modules(getattr(root, "__path__", ()), f"{root.__name__}."):
        yield from _modules(importlib.import_module(info.name))


def _markdown(rows: list[list[str]]) -> str:
    cells = [[" ".join(cell.replace("|", r"\|").split()) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
