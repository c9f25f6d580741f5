"""Claims: what a paper says, how it is measured on stored runs, the condition that the sentence implies, the verdict.

A claim is declared once, in the module of its page, as a function from stored evidence to text and numbers:

>>> PAGE = Page("lazy/scaling", title="Scaling")
>>> @PAGE.claim(
...     "figure-5.slope",
...     says="the step falls as the root of d",
...     evidence="lazy.figures_5_6",
...     holds=lambda slope: -0.6 < slope < -0.4,
...     verdict="reproduced",
... )
... def slope(runs):
...     fit = exponent(runs, "d", "norm", "seed")
...     return f"norm ~ d^{fit}", {"slope": fit.value}

The condition sees nothing but the numbers, by name, and is kept with them: a reader can see what would refute the
claim. Everything is computed from stored runs alone, so the ledger is a pure function of ``book/results``
(``advnb.book.ledger``) and a notebook shows a claim by its id, as a frame: ``PAGE["figure-5.slope"]``; several that
belong together share a table: ``PAGE.group("lemma-a.3", "lemma-a.4")``.
"""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from advnb import checks
from advnb.experiments.read import load, results_folder
from advnb.experiments.store import plain

__all__ = ["MOVED", "VERDICTS", "Claim", "Finding", "Group", "Measured", "Page", "Verdicts"]

MOVED = "; the condition, once set beside its result, was rewritten from the sentence after the run"
"""What the ``why`` of such a claim ends in."""

VERDICTS = ("reproduced", "reproduced in part", "not reproduced", "vacuous here", "not run")
"""All verdicts there are; "vacuous here" is a bound that says nothing at any size that can be run."""

Numbers = Mapping[str, Any]
Measured = tuple[str, Numbers]
"""What was measured in words, and the numbers behind it, by name."""

Measure = Callable[..., Measured]
"""(one table for each experiment of the evidence) -> what was measured."""

_ID = r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*"
_PAGE = r"[a-z0-9_-]+(/[a-z0-9_-]+)*"


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, declared: how it is judged.

    Attributes:
        id: unique within the chapter: kind, number, and a part if there are several ("theorem-3.1.rate").
        page: the page that shows it, from the book's root, without its ending ("dynamics/landscape").
        statement: where the paper says it ("Theorem 3.1"); made from ``id`` unless given.
        says: what the paper says, in a sentence.
        evidence: the stored experiments that ``measure`` is called with, the one that names scale and seeds first;
            none for what is computed exactly.
        measure: returns what was measured, rounded coarsely, and the numbers that the condition needs.
        holds: the condition, ``holds(**numbers)``: whether what was measured bears the verdict out. A claim "not
            reproduced" holds when the measurement contradicts the paper again. It follows from the paper's sentence.
        verdict: one of :data:`VERDICTS`.
        why: what the verdict rests on, in a sentence; also says so where the condition was moved after a run.

    Raises ``ValueError`` or ``TypeError`` naming the claim if any of this is not so.
    """

    id: str
    page: str
    statement: str
    says: str
    evidence: tuple[str, ...]
    measure: Measure
    holds: Callable[..., bool] | None
    verdict: str
    why: str = ""

    def __post_init__(self) -> None:
        _named("id", self.id, _ID)
        try:
            checks.choice("verdict", self.verdict, VERDICTS)
            if not self.says.strip():
                raise ValueError("says must not be empty")
            if (self.holds is None) != (self.verdict == "not run"):
                raise TypeError(f"holds must be a condition on the numbers, or None if not run; got {self.holds!r}")
        except (ValueError, TypeError) as error:
            raise type(error)(f"claim {self.id!r}: {error}") from error

    @property
    def chapter(self) -> str:
        """The first part of the page's name."""
        return self.page.partition("/")[0]

    @property
    def condition(self) -> str:
        """The condition as it stands in the source, on one line."""
        return "" if self.holds is None else _source(self.holds)

    def judge(self, results: Path | str | None = None) -> Finding:
        """Measure the claim on what is stored; raises ``NotStored`` if evidence is missing, and what it raises."""
        tables = [_table(name, results) for name in self.evidence]
        if self.holds is None:
            return Finding(self, "", {}, None, None, 0)
        measured, numbers = self.measure(*tables)
        if not measured.strip():
            raise ValueError(f"claim {self.id!r}: measured must not be empty: a verdict needs evidence")
        kept = {name: plain(f"claim {self.id!r}: the number {name!r}", value) for name, value in numbers.items()}
        scale, seeds = (tables[0]["run_scale"].iloc[0], int(tables[0]["seed"].nunique())) if tables else (None, 0)
        return Finding(self, " ".join(measured.split()), kept, bool(self.holds(**numbers)), scale, seeds)


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured: shown as a frame on its page, kept as a row of the ledger."""

    claim: Claim
    measured: str
    numbers: Numbers
    holds: bool | None
    scale: str | None
    seeds: int

    @property
    def outcome(self) -> str:
        """ "holds", "FAILS" or "not run"."""
        return {True: "holds", False: "FAILS", None: "not run"}[self.holds]

    def record(self) -> dict[str, Any]:
        """Return the finding as plain data, the row of the ledger."""
        claim = self.claim
        return {
            "id": claim.id,
            "page": claim.page,
            "statement": claim.statement,
            "says": claim.says,
            "measured": self.measured,
            "verdict": claim.verdict,
            "why": claim.why,
            "scale": self.scale,
            "seeds": self.seeds,
            "evidence": list(claim.evidence),
            "condition": claim.condition,
            "numbers": dict(self.numbers),
            "holds": self.holds,
        }

    def __repr__(self) -> str:
        return f"{self.claim.statement}: {self.measured} ({self.claim.verdict}, {self.outcome})"

    def _repr_html_(self) -> str:
        claim, said = self.claim, html.escape
        measured = f"<p><em>Measured</em>{self._where()}: {said(_sentence(self.measured))}</p>" if self.measured else ""
        return (
            f'<div class="advnb-claim {self.css}" id="claim-{claim.id}">'
            f"<p><strong>{said(claim.statement)}</strong> <em>says:</em> {said(_sentence(claim.says))}</p>{measured}"
            f"{self._verdict()}{self._refuted_by()}</div>"
        )

    def row(self) -> str:
        """Return the finding as a row of a :class:`Group`: with the anchor, the words and the folds of its frame."""
        claim, said = self.claim, html.escape
        where = f"<small>{self._where().strip(' ()').capitalize()}</small>" if self.scale else ""
        return (
            f'<tr class="advnb-row {self.css}" id="claim-{claim.id}"><th scope="row"><strong>{said(claim.statement)}'
            f'</strong> <em>says:</em> {said(_sentence(claim.says))}</th><td class="measured">'
            f'{said(_sentence(self.measured))} {where}</td><td class="judged">{self._verdict()}{self._refuted_by()}'
            "</td></tr>"
        )

    @property
    def css(self) -> str:
        """The verdict as the name of a class of the style sheet."""
        return self.claim.verdict.replace(" ", "-")

    def _where(self) -> str:
        seeds = f", {self.seeds} seed{'s' if self.seeds > 1 else ''}" if self.seeds else ""
        return f" ({self.scale}{seeds})" if self.scale else ""

    def _verdict(self) -> str:
        claim = self.claim
        return (
            f'<p><strong class="verdict">{claim.verdict.capitalize()}{":" if claim.why else "."}</strong> '
            f"{html.escape(_sentence(claim.why))}</p>"
        )

    def _refuted_by(self) -> str:
        if self.holds is None:
            return ""
        numbers = ", ".join(f"{name} = {_short(value)}" for name, value in self.numbers.items())
        return (
            f"<details><summary>What would refute it</summary><p>The verdict stands while "
            f"<code>{html.escape(self.claim.condition)}</code>. Now {html.escape(numbers)}.</p></details>"
        )


class Page:
    """The claims of one page, in the order of their declaration.

    ``name`` is the page from the book's root without its ending ("lazy/scaling"), ``title`` what the ledger calls it.
    A ``draft`` is no part of the ledger: conditions are declared there before the runs that judge them.
    """

    def __init__(self, name: str, *, title: str, draft: bool = False) -> None:
        self.name = _named("name", name, _PAGE)
        self.title = title
        self.draft = draft
        self.claims: dict[str, Claim] = {}

    def claim(
        self,
        id: str,
        *,
        says: str,
        verdict: str,
        evidence: str | Sequence[str] = (),
        holds: Callable[..., bool] | None = None,
        why: str = "",
        statement: str | None = None,
    ) -> Callable[[Measure], Measure]:
        """Declare a claim of this page, as a decorator of its ``measure`` (see :class:`Claim`).

        Raised if the claim is not sound or its id is taken.
        """
        if id in self.claims:
            raise ValueError(f"claim {id!r} is there twice: each needs an id of its own")
        names = (evidence,) if isinstance(evidence, str) else tuple(evidence)

        def declare(measure: Measure) -> Measure:
            where = statement or _statement(id)
            self.claims[id] = Claim(id, self.name, where, says, names, measure, holds, verdict, why)
            return measure

        return declare

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims.values())

    def __getitem__(self, id: str) -> Finding:
        """Return the claim, judged, which a notebook shows as a frame."""
        checks.choice("id", id, self.claims)
        return self.claims[id].judge()

    def judge(self, results: Path | str | None = None) -> list[Finding]:
        """Return all claims of the page, judged."""
        return [claim.judge(results) for claim in self]

    def verdicts(self) -> Verdicts:
        """Return the table of the page's verdicts, each linked to its frame."""
        return Verdicts(self.judge())

    def group(self, *ids: str) -> Group:
        """Return several claims, judged, which a notebook shows as one table: says, measured, verdict.

        Raises ``ValueError`` if there are none, or for an id that the page has not, or has named already.
        """
        if not ids or len(set(ids)) < len(ids):
            raise ValueError(f"ids must name at least one claim, and each once; got {ids!r}")
        return Group([self[id] for id in ids])

    def check(self, results: Path | str | None = None) -> str:
        """Return the claims as text, ``claim | measured | holds``; raised (``AssertionError``) if any fails."""
        found = self.judge(results)
        rows = [("claim", "measured", "holds"), *((f.claim.id, f.measured or "-", f.outcome) for f in found)]
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        text = "\n".join(f"{a:<{first}} | {b:<{second}} | {c}" for a, b, c in rows)
        failing = [f.claim.id for f in found if f.holds is False]
        if failing:
            raise AssertionError(f"{len(failing)} of {len(found)} claims of {self.name} fail:\n{text}")
        return text


@dataclass(frozen=True)
class Verdicts:
    """What a page shows, in a table at its top."""

    findings: Sequence[Finding]

    def __repr__(self) -> str:
        return "\n".join(f"{f.claim.statement}: {f.claim.verdict}" for f in self.findings)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr class="{f.css}"><td><a href="#claim-{f.claim.id}">'
            f"{html.escape(f.claim.statement)}</a></td><td>{html.escape(f.claim.says)}</td>"
            f'<td class="verdict">{f.claim.verdict}</td></tr>'
            for f in self.findings
        )
        return (
            '<div class="advnb-scroll" role="region" tabindex="0" aria-label="Verdicts of this page">'
            '<table class="advnb-table advnb-verdicts"><caption>What this page finds</caption><thead><tr>'
            f"<th>Statement</th><th>What the paper says</th><th>Verdict</th></tr></thead><tbody>{rows}</tbody>"
            "</table></div>"
        )


@dataclass(frozen=True)
class Group:
    """Claims that belong together, in one table in place of a frame each; made by :meth:`Page.group`."""

    findings: Sequence[Finding]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.findings))

    def _repr_html_(self) -> str:
        names = html.escape(", ".join(f.claim.statement for f in self.findings))
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("What the paper says", "Measured", "Verdict"))
        return (
            f'<div class="advnb-scroll" role="region" tabindex="0" aria-label="{names}">'
            f'<table class="advnb-table advnb-verdicts advnb-group"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(f.row() for f in self.findings)}</tbody></table></div>"
        )


def _table(name: str, results: Path | str | None) -> pd.DataFrame:
    """Return a stored experiment, read once while its files stay as they are: many claims rest on one file."""
    folder = results_folder(results)
    files = tuple((path, path.stat().st_mtime_ns) for path in sorted(folder.glob(f"{name}.*.jsonl")))
    return _loaded(name, folder, files).copy()


@lru_cache(maxsize=64)
def _loaded(name: str, folder: Path, files: tuple[tuple[Path, int], ...]) -> pd.DataFrame:
    return load(name, results=folder)


@lru_cache
def _lambdas(file: str) -> dict[int, list[ast.Lambda]]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    found: dict[int, list[ast.Lambda]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found


def _source(function: Callable[..., bool]) -> str:
    """Return the body of a lambda as text; the first line of the docstring of any other function, or its name."""
    code = getattr(function, "__code__", None)
    file = inspect.getsourcefile(function) if code else None
    names = list(inspect.signature(function).parameters)
    nodes = _lambdas(file).get(code.co_firstlineno, []) if code and file and Path(file).is_file() else []
    for node in nodes:
        if [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)] == names:
            return ast.unparse(node.body)
    return (inspect.getdoc(function) or function.__name__).splitlines()[0]


def _short(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(_short, value[:8]))
        return f"[{shown}{', ...' if len(value) > 8 else ''}]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _statement(id: str) -> str:
    """Turn "theorem-3.1.rate" into "Theorem 3.1 (rate)"."""
    kind, _, rest = id.partition("-")
    found = re.match(r"([a-z]\.)?[0-9][0-9.]*[a-z]?(?![a-z0-9])|", rest)  # "3.1", "4b", or an appendix's "b.2"
    number = found.group().rstrip(".") if found else ""
    part = re.sub(r"[._-]+", " ", rest[len(number) :]).strip()
    if number[1:2] == ".":
        number = number[0].upper() + number[1:]
    return " ".join(filter(None, [kind.capitalize(), number, part and f"({part})"]))


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def _named(argument: str, value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{argument} must match {pattern}; got {value!r}")
    return value
