"""The ledger: every claim of the book, judged on what is stored, and compared with what was written down before.

``book/results/claims`` holds a file a page, so that a change of any number shows in a diff. ``python -m advnb claims``
computes all of it again and says what differs; only ``--write`` (which ``make notebooks`` calls) writes.
"""

from __future__ import annotations

import html
import importlib
import json
import math
import os
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from advnb.book.claims import VERDICTS, Page
from advnb.experiments.read import results_folder
from advnb.experiments.store import NotWritten, ResultsError

__all__ = ["bar_html", "differences", "ledger", "ledger_html", "pages", "totals", "totals_html", "write"]

RTOL, ATOL = 1e-5, 1e-9
"""How far a number may lie from the one written down: the last digits are the processor's."""

COLUMNS = ("id", "page", "statement", "says", "measured", "verdict", "why", "scale", "seeds", "evidence", "condition",
           "numbers", "holds")  # fmt: skip
HEADS = ("Chapter", "Statement", "What the paper says", "What was measured", "Scale", "Seeds", "Verdict")


def pages(package: str | ModuleType = "advnb.papers") -> dict[str, Page]:
    """Return the pages that the modules of ``package`` declare, by name, without drafts.

    Raised if two pages have one name, or two pages of a chapter one claim; a draft may share both with the page that
    it is a draft of.
    """
    found: dict[str, Page] = {}
    root = importlib.import_module(package) if isinstance(package, str) else package
    for module in _modules(root):
        for value in vars(module).values():
            if isinstance(value, Page) and not value.draft and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two pages are named {value.name!r}: the second is in {module.__name__}")
    _check_ids(found)
    return dict(sorted(found.items()))


def write(page: Page, results: Path | str | None = None) -> bool:
    """Judge a page and write its claims down; return whether that changed anything.

    Raised (``AssertionError``) if a claim fails, or (``NotWritten``) if there is no room; the file is then as it was.
    """
    page.check(results)
    if not differences(page, results):
        return False
    path = _path(page.name, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [finding.record() for finding in page.judge(results)]
    draft = path.with_suffix(f".{os.getpid()}.partial")
    try:
        draft.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        mend = "It is as it was: make room, or make the folder writable, and write it again"
        raise NotWritten(f"{path} cannot be written: {error.strerror or error}. {mend}") from error
    finally:
        draft.unlink(missing_ok=True)
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


def ledger_html(ledger: pd.DataFrame) -> str:
    """Return the ledger as an HTML table: a row a claim, which has an address and leads to the claim's frame.

    A row is named ``CHAPTER-ID`` and says in ``data-`` attributes what ``ledger.js`` filters by; links go from the
    book's root, to notebooks. What a verdict rests on is folded under it.
    """
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    rows = "\n".join(map(_row, ledger.to_dict("records")))
    return (
        '<div class="advnb-scroll advnb-ledger" role="region" tabindex="0" aria-label="All claims">\n'
        f'<table class="advnb-table advnb-verdicts advnb-sortable"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def bar_html(totals: pd.DataFrame, page: str = "") -> str:
    """Return all claims as a bar, a part a verdict; each leads to the ledger, filtered, which stands on ``page``."""
    everything = totals.loc["all"]
    parts = "".join(
        f'<li class="{_class(verdict)}" style="flex-grow: {count}">'
        f'<a href="{page}{_filtered(verdict=str(verdict))}"><strong>{count}</strong> {verdict}</a></li>'
        for verdict, count in everything.drop("all").items()
        if count
    )
    return f'<ul class="advnb-bar" aria-label="The {everything["all"]} claims by verdict">{parts}</ul>'


def totals_html(totals: pd.DataFrame) -> str:
    """Return the totals as a bar of all claims and a table by chapter; every part leads to the ledger, filtered."""
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Chapter", *totals.columns))
    rows = "\n".join(
        f'<tr><th scope="row">{chapter}</th>' + "".join(_count(chapter, *cell) for cell in counts.items()) + "</tr>"
        for chapter, counts in totals.iterrows()
    )
    return (
        f"{bar_html(totals)}\n"
        '<div class="advnb-scroll" role="region" tabindex="0" aria-label="Claims by chapter and verdict">'
        f'<table class="advnb-table"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )


def _row(claim: Mapping[Any, Any]) -> str:
    said = {name: html.escape(str(claim[name])) for name in ("statement", "says", "measured", "why")}
    scale = claim["scale"] if isinstance(claim["scale"], str) else "" if claim["verdict"] == "not run" else "exact"
    why = f"<details><summary>Why</summary>{said['why']}</details>" if claim["why"] else ""
    cells = {"says": said["says"], "measured": said["measured"], "scale": scale, "seeds": str(claim["seeds"] or "")}
    texts = "".join(f'<td class="{name}">{text}</td>' for name, text in cells.items())
    return (
        f'<tr id="{claim["chapter"]}-{claim["id"]}" class="{_class(claim["verdict"])}" '
        f'data-chapter="{claim["chapter"]}" data-verdict="{claim["verdict"]}" data-scale="{scale}">'
        f'<td class="chapter">{claim["chapter"]}</td>'
        f'<th scope="row"><a href="{claim["page"]}.ipynb#claim-{claim["id"]}">{said["statement"]}</a></th>'
        f'{texts}<td class="verdict" data-sort="{VERDICTS.index(claim["verdict"])}">{claim["verdict"]}{why}</td></tr>'
    )


def _count(chapter: Any, verdict: Any, count: int) -> str:
    """A cell of the totals; where it counts anything, it is a link to what it counts."""
    chosen = {"chapter": chapter, "verdict": verdict}
    link = _filtered(**{name: value for name, value in chosen.items() if value != "all"})
    named = f' aria-label="{count} claims: {chapter}, {verdict}"'
    return f'<td><a href="{link}"{named}>{count}</a></td>' if count else "<td>0</td>"


def _filtered(**chosen: str) -> str:
    """Where the ledger shows only the claims that are so: the part of an address that ``ledger.js`` reads."""
    return html.escape(f"#{urlencode(chosen or {'text': ''})}")


def _class(verdict: Any) -> str:
    return str(verdict).replace(" ", "-")


def _path(page: str, results: Path | str | None) -> Path:
    return results_folder(results) / "claims" / f"{page.replace('/', '.')}.json"


def _stored(path: Path) -> list[dict[str, Any]]:
    mend = "move it away, and it is written anew by: python -m advnb claims --write"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        sound = isinstance(rows, list) and all(set(row) == set(COLUMNS) for row in rows)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"{path}: not a file of claims: {error}; {mend}") from error
    if not sound or any(path.stem != str(row["page"]).replace("/", ".") for row in rows):
        must = f"it must hold a list of claims of its page, each with {', '.join(COLUMNS)}"
        raise ResultsError(f"{path}: {must}; {mend}")
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
