"""Claims: what a paper says, what was measured here, and the verdict.

A notebook collects its claims and checks them in its last cell, which stores them as JSON beside the results;
the book's ledger page shows all that are stored. Numbers enter a claim computed, never typed in.

>>> claims = Claims(paper="lazy", notebook="lazy/figure_4")
>>> claim = claims.add(
...     id="figure-4.left",
...     says="The step that flips the prediction does not grow with the width.",
...     measured=f"slope {about(0.0123)} in log-log, 95% interval {interval(-0.011, 0.034)}",
...     scale="live",
...     seeds=20,
...     verdict="reproduced",
...     holds=-0.011 <= 0 <= 0.034,
... )
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from advnb import checks
from advnb.experiments.declare import SCALES
from advnb.experiments.read import results_folder
from advnb.experiments.store import ResultsError, ResultsFile

VERDICTS = ("reproduced", "reproduced in part", "not reproduced", "vacuous here", "not run")
"""All verdicts there are; "vacuous here" is a bound that says nothing at any size that can be run."""


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and what became of it.

    Attributes:
        id: unique within the paper: kind, number, and a part if there are several ("theorem-3.1.rate").
        paper: the chapter's name.
        statement: where the paper says it ("Theorem 3.1").
        says: what the paper says, in a sentence.
        measured: what was measured, rounded coarsely so that another CPU writes the same text.
        scale: "live", "laptop" or "full"; None only if it was not run.
        seeds: how many independent draws are behind it; 0 only if it was not run.
        verdict: one of ``VERDICTS``.
        why: what the verdict rests on, in a sentence; may be empty.
        holds: whether what was measured bears the verdict out, computed; None only if it was not run. A claim
            "not reproduced" holds when the measurement contradicts the paper again.
        notebook: the notebook that tests it, from the book's root, without its ending ("dynamics/landscape").
        experiment: the stored experiment behind it, or None if it was measured in the notebook.

    Raises ``ValueError`` or ``TypeError`` naming the claim if any of this is not so.
    """

    id: str
    paper: str
    statement: str
    says: str
    measured: str
    scale: str | None
    seeds: int
    verdict: str
    why: str
    holds: bool | None
    notebook: str
    experiment: str | None = None

    def __post_init__(self) -> None:
        _named("id", self.id, r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
        try:
            self._check()
        except (ValueError, TypeError) as error:
            raise type(error)(f"claim {self.id!r}: {error}") from error

    def _check(self) -> None:
        _named("paper", self.paper, r"[a-z][a-z0-9_]*")
        _named("notebook", self.notebook, r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
        checks.choice("verdict", self.verdict, VERDICTS)
        for name in ("statement", "says"):
            if not str(getattr(self, name)).strip():
                raise ValueError(f"{name} must not be empty")
        if self.verdict == "not run":
            return
        if not self.measured.strip():
            raise ValueError("measured must not be empty: a verdict needs evidence (or is 'not run')")
        checks.choice("scale", self.scale, SCALES)
        checks.count("seeds", self.seeds)
        if not isinstance(self.holds, bool):
            raise TypeError(
                f"holds must be True or False, computed from what was measured; got {self.holds!r}"
            )

    @property
    def outcome(self) -> str:
        """ "holds", "FAILS" or "not run"."""
        return {True: "holds", False: "FAILS", None: "not run"}[self.holds]

    def _repr_markdown_(self) -> str:
        """Return the claim as the block quote that the book shows for it."""
        where = (
            "" if self.scale is None else f" ({self.scale}, {self.seeds} seed{'s' if self.seeds > 1 else ''})"
        )
        measured = f"*Measured*{where}: {_sentence(self.measured)} " if self.measured else ""
        verdict = f"**{self.verdict.capitalize()}{':' if self.why else '.'}** {_sentence(self.why)}"
        return f"> **{self.statement}** *says:* {_sentence(self.says)} {measured}{verdict}".rstrip()


class Claims:
    """The claims that one notebook tests. ``paper`` and ``notebook`` are those of ``Claim``."""

    def __init__(self, paper: str, notebook: str) -> None:
        self.paper = _named("paper", paper, r"[a-z][a-z0-9_]*")
        self.notebook = _named("notebook", notebook, r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
        self.claims: dict[str, Claim] = {}

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims.values())

    def add(
        self,
        *,
        id: str,
        says: str,
        measured: str = "",
        verdict: str,
        holds: bool | np.bool_ | None = None,
        scale: str | None = None,
        seeds: int = 0,
        evidence: pd.DataFrame | None = None,
        experiment: str | None = None,
        statement: str | None = None,
        why: str = "",
    ) -> Claim:
        """Add a claim (see ``Claim``) and return it; as the last line of a cell it is shown as a block quote.

        ``evidence``, a table from ``results.load`` or ``experiments.live``, fills in ``scale`` and ``seeds``.
        ``statement`` is made from ``id`` unless given. Raised if the claim is not sound or its id is taken.
        """
        if id in self.claims:
            raise ValueError(f"claim {id!r} is there twice: each needs an id of its own")
        if evidence is not None:
            scale, seeds = _evidence(id, evidence)
        self.claims[id] = Claim(
            id=id,
            paper=self.paper,
            statement=statement or _statement(id),
            says=says,
            measured=measured,
            scale=scale,
            seeds=seeds,
            verdict=verdict,
            why=why,
            holds=bool(holds) if isinstance(holds, np.bool_) else holds,
            notebook=self.notebook,
            experiment=experiment,
        )
        return self.claims[id]

    def table(self) -> str:
        """Return the claims as text, ``claim | measured | holds`` or ``FAILS``, one line each."""
        rows = [("claim", "measured", "holds"), *((c.id, c.measured or "-", c.outcome) for c in self)]
        first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{a:<{first}} | {b:<{second}} | {c}" for a, b, c in rows)

    def check(self, results: Path | str | None = None) -> str:
        """Store the claims and return their table; raised (``AssertionError``, with the table) if any fails.

        They go to ``claims/<paper>.<notebook>.json`` in the results folder, the same bytes for the same claims.
        A stored file is not touched when a claim fails, when there are none, or when the results of an
        ``experiment`` that a claim names are not stored at its scale.
        """
        if not self.claims:
            raise ValueError(f"{self.notebook} has added no claim")
        folder = results_folder(results)
        for claim in self:
            if claim.experiment and claim.scale and claim.verdict != "not run":
                path = ResultsFile(folder, claim.experiment, claim.scale).path
                if not path.exists():
                    raise ValueError(
                        f"claim {claim.id!r} rests on {path.name}, which is not stored in {folder}"
                    )
        failing = [claim.id for claim in self if claim.holds is False]
        if failing:
            raise AssertionError(f"{len(failing)} of {len(self.claims)} claims fail:\n{self.table()}")
        path = folder / "claims" / f"{self.paper}.{self.notebook.split('/')[-1]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps([asdict(claim) for claim in self], indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
        return self.table()


def ledger(results: Path | str | None = None) -> pd.DataFrame:
    """Return all stored claims, one row each, with the attributes of ``Claim`` as columns.

    They are in order of paper, then of file, then as their notebook added them. Raises ``ResultsError`` naming
    the file if one cannot be read, a claim in it is not sound, or two claims of a paper have one id.
    """
    names = [field.name for field in fields(Claim)]
    claims: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted((results_folder(results) / "claims").glob("*.json")):
        for claim in _stored(path):
            if claims.setdefault((claim.paper, claim.id), asdict(claim)) != asdict(claim):
                raise ResultsError(f"{path}: claim {claim.id!r} of {claim.paper} is stored twice")
    return pd.DataFrame(list(claims.values()), columns=names).sort_values(
        "paper", kind="stable", ignore_index=True
    )


def totals(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return how many claims of each paper have each verdict, with their sums as "all"."""
    counts = pd.crosstab(ledger["paper"], ledger["verdict"]).reindex(columns=list(VERDICTS), fill_value=0)
    counts.loc["all"] = counts.sum()
    counts["all"] = counts.sum(axis=1)
    return counts.astype(int).rename_axis(columns=None)


def dangling(ledger: pd.DataFrame, book: Path) -> list[str]:
    """Return the notebooks that claims name and the folder ``book`` does not hold."""
    return [name for name in sorted(set(ledger["notebook"])) if not (book / f"{name}.ipynb").is_file()]


def ledger_markdown(ledger: pd.DataFrame) -> str:
    """Return the ledger as a Markdown table, each claim linked to its notebook from the book's root."""
    if ledger.empty:
        return "No claims are stored yet: the last cell of each chapter's notebooks stores them."
    heads = ["Paper", "Statement", "What the paper says", "What was measured", "Scale", "Seeds", "Verdict"]
    rows = [
        [
            claim["paper"],
            f"[{claim['statement']}]({claim['notebook']}.ipynb)",
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
    heads = ["Paper", *(str(verdict) for verdict in totals.columns)]
    return _markdown([heads, *rows])


def about(value: float, digits: int = 2) -> str:
    """Return ``value`` rounded to ``digits`` significant digits, as text that another CPU would write as well."""
    value = float(f"{float(value):.{checks.count('digits', digits) - 1}e}")
    if value == 0 or not math.isfinite(value):
        return f"{value:g}".replace("-0", "0")
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        return f"{value:.{max(0, digits - 1 - exponent)}f}"
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}"
    return f"{mantissa}e{exponent}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval as text, its ends rounded by ``about``."""
    return f"[{about(low, digits)}, {about(high, digits)}]"


def at_most(value: float, step: float) -> str:
    """Return "at most" and ``value`` rounded up to a multiple of ``step``: text that stays when the value drifts."""
    return f"at most {_multiple(value, step, math.ceil)}"


def at_least(value: float, step: float) -> str:
    """Return "at least" and ``value`` rounded down to a multiple of ``step``."""
    return f"at least {_multiple(value, step, math.floor)}"


def _multiple(value: float, step: float, whole: Callable[[float], int]) -> str:
    if not math.isfinite(value):
        raise ValueError(f"value must be finite; got {value!r}")
    return f"{whole(float(value) / checks.positive('step', step)) * step:.6g}"


def _stored(path: Path) -> list[Claim]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, list):
            raise TypeError(f"it must hold a list of claims; got {type(stored).__name__}")
        claims = [Claim(**claim) for claim in stored]
    except (ValueError, TypeError) as error:
        raise ResultsError(f"{path}: not a file of claims: {error}") from error
    for claim in claims:
        if path.name != f"{claim.paper}.{claim.notebook.split('/')[-1]}.json":
            raise ResultsError(
                f"{path}: claim {claim.id!r} of {claim.paper} in {claim.notebook} is not at home here"
            )
    return claims


def _evidence(id: str, table: pd.DataFrame) -> tuple[str, int]:
    scales = sorted(set(table["run_scale"]))
    if len(scales) != 1:
        raise ValueError(f"claim {id!r}: evidence must be of one scale; got {', '.join(scales) or 'no rows'}")
    return scales[0], int(table["seed"].nunique())


def _statement(id: str) -> str:
    """Turn "theorem-3.1.rate" into "Theorem 3.1 (rate)"."""
    kind, _, rest = id.partition("-")
    found = re.match(
        r"([a-z]\.)?[0-9][0-9.]*[a-z]?(?![a-z0-9])|", rest
    )  # "3.1", "4b", or an appendix's "b.2"
    number = found.group().rstrip(".") if found else ""
    part = re.sub(r"[._-]+", " ", rest[len(number) :]).strip()
    if number[1:2] == ".":
        number = number[0].upper() + number[1:]
    return " ".join(filter(None, [kind.capitalize(), number, part and f"({part})"]))


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def _markdown(rows: list[list[str]]) -> str:
    cells = [[" ".join(cell.replace("|", r"\|").split()) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _named(argument: str, value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{argument} must match {pattern}; got {value!r}")
    return value
