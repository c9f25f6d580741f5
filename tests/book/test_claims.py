"""Claims: what is accepted, what is stored, what the ledger shows, and that the book's own claims are sound."""

import doctest
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy.sums import WALK

import advnb.book.claims
from advnb.book.claims import (
    VERDICTS,
    Claims,
    about,
    at_least,
    at_most,
    dangling,
    interval,
    ledger,
    ledger_markdown,
    totals,
    totals_markdown,
)
from advnb.experiments import live, run
from advnb.experiments.read import results_folder
from advnb.experiments.store import ResultsError

BOOK = Path(__file__).parents[2] / "book"

GOOD = {
    "id": "theorem-3.1.rate",
    "says": "PGD needs O(1/eta^2) steps",
    "measured": "slope -0.98 [-1.1, -0.9]",
    "scale": "laptop",
    "seeds": 20,
    "verdict": "reproduced in part",
    "holds": True,
}


@pytest.fixture
def claims():
    return Claims(paper="dynamics", notebook="dynamics/landscape")


def test_a_claim_is_shown_as_the_book_shows_it(claims):
    claim = claims.add(**GOOD, why="the rate holds with room to spare")
    assert claim._repr_markdown_() == (
        "> **Theorem 3.1 (rate)** *says:* PGD needs O(1/eta^2) steps. *Measured* (laptop, 20 seeds): slope -0.98 "
        "[-1.1, -0.9]. **Reproduced in part:** the rate holds with room to spare."
    )
    not_run = claims.add(id="table-2", says="White-box accuracy!", verdict="not run")
    assert not_run._repr_markdown_() == "> **Table 2** *says:* White-box accuracy! **Not run.**"


@pytest.mark.parametrize(
    ("id", "statement"),
    [
        ("theorem-3.1.rate", "Theorem 3.1 (rate)"),
        ("figure-4b", "Figure 4b"),
        ("figure-4.left-panel", "Figure 4 (left panel)"),
        ("lemma-b.2", "Lemma B.2"),
        ("sentence-eta", "Sentence (eta)"),
    ],
)
def test_the_statement_comes_from_the_id(claims, id, statement):
    assert claims.add(**{**GOOD, "id": id}).statement == statement


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "confirmed"}, "verdict must be one of 'not reproduced', 'not run', .*; got 'confirmed'"),
        ({"measured": "  "}, "measured must not be empty: a verdict needs evidence"),
        ({"scale": None}, "scale must be one of 'full', 'laptop', 'live'; got None"),
        ({"scale": "big"}, "scale must be one of"),
        ({"seeds": 0}, "seeds must be at least 1; got 0"),
        ({"says": ""}, "says must not be empty"),
        ({"holds": None}, "holds must be True or False, computed from what was measured; got None"),
        ({"holds": 0.97}, "holds must be True or False"),
        ({"id": "Theorem 3.1"}, "id must match .*; got 'Theorem 3.1'"),
    ],
)
def test_a_claim_that_is_not_sound_is_refused(claims, changes, message):
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        claims.add(**{**GOOD, **changes})
    assert "id" in changes or str(raised.value).startswith("claim 'theorem-3.1.rate': ")
    assert list(claims) == []


def test_an_id_may_be_taken_once(claims):
    claims.add(**GOOD)
    with pytest.raises(ValueError, match=r"claim 'theorem-3.1.rate' is there twice"):
        claims.add(**GOOD)


@pytest.mark.parametrize(
    ("paper", "notebook"), [("Dynamics", "a"), ("dynamics", "a.ipynb"), ("dynamics", "/a"), ("", "a")]
)
def test_a_wrong_name_is_refused(paper, notebook):
    with pytest.raises(ValueError, match=r"(paper|notebook) must match"):
        Claims(paper, notebook)


def test_scale_and_seeds_come_from_the_evidence(claims):
    table = live(WALK)
    claim = claims.add(**{**GOOD, "scale": None, "seeds": 0}, evidence=table)
    assert (claim.scale, claim.seeds) == ("live", 2)
    mixed = pd.concat([table, table.assign(run_scale="full")])
    with pytest.raises(ValueError, match="evidence must be of one scale; got full, live"):
        claims.add(**{**GOOD, "id": "other"}, evidence=mixed)


def test_check_tabulates_and_stores(claims, tmp_path):
    claims.add(**{**GOOD, "holds": np.bool_(True)})
    claims.add(id="table-2", says="...", verdict="not run")
    assert claims.check(tmp_path).splitlines() == [
        "claim            | measured                 | holds",
        "theorem-3.1.rate | slope -0.98 [-1.1, -0.9] | holds",
        "table-2          | -                        | not run",
    ]
    path = tmp_path / "claims" / "dynamics.landscape.json"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    stored = json.loads(path.read_text())
    assert stored == [asdict(claim) for claim in claims]
    assert {"id", "paper", "says", "measured", "scale", "seeds", "verdict", "notebook"} <= stored[0].keys()
    before = path.read_bytes()
    claims.check(tmp_path)
    assert path.read_bytes() == before


def test_a_claim_that_fails_fails_and_is_not_stored(claims, tmp_path):
    claims.add(**GOOD)
    claims.check(tmp_path)
    before = (tmp_path / "claims" / "dynamics.landscape.json").read_bytes()
    claims.add(**{**GOOD, "id": "lemma-4.1", "holds": False})
    with pytest.raises(AssertionError, match=r"1 of 2 claims fail:(.|\n)*lemma-4.1 +\| slope .* \| FAILS"):
        claims.check(tmp_path)
    assert (tmp_path / "claims" / "dynamics.landscape.json").read_bytes() == before


def test_no_claims_are_no_check(claims, tmp_path):
    with pytest.raises(ValueError, match="dynamics/landscape has added no claim"):
        claims.check(tmp_path)


def test_a_claim_may_not_rest_on_results_that_are_not_stored(claims, tmp_path):
    claims.add(**GOOD, experiment="toy.walk")
    with pytest.raises(ValueError, match=r"rests on toy.walk.laptop.jsonl, which is not stored in"):
        claims.check(tmp_path)
    run(WALK, "laptop", results=tmp_path, progress=False)
    claims.check(tmp_path)


# The ledger


@pytest.fixture
def stored(tmp_path):
    for paper, name, verdicts in [
        ("lazy", "figure_4", ["reproduced", "not run"]),
        ("dynamics", "landscape", ["reproduced", "vacuous here"]),
        ("dynamics", "rates", ["not reproduced"]),
    ]:
        claims = Claims(paper, f"{paper}/{name}")
        for number, verdict in enumerate(verdicts, 1):
            claims.add(**{**GOOD, "id": f"{name}-{number}", "says": r"$\|x\|$ | more", "verdict": verdict,
                          "holds": None if verdict == "not run" else True})  # fmt: skip
        claims.check(tmp_path)
    return tmp_path


def test_the_ledger_holds_all_claims(stored):
    table = ledger(stored)
    assert table.paper.tolist() == ["dynamics"] * 3 + ["lazy"] * 2
    assert table.id.tolist() == ["landscape-1", "landscape-2", "rates-1", "figure_4-1", "figure_4-2"]


def test_totals_count_verdicts(stored):
    table = totals(ledger(stored))
    assert table.columns.tolist() == [*VERDICTS, "all"] and table.index.tolist() == [
        "dynamics",
        "lazy",
        "all",
    ]
    assert table.loc["all"].tolist() == [2, 0, 1, 1, 1, 5]
    assert totals_markdown(table).splitlines()[-1] == "| all | 2 | 0 | 1 | 1 | 1 | 5 |"


def test_the_ledger_is_a_table_with_links(stored):
    lines = ledger_markdown(ledger(stored)).splitlines()
    assert len(lines) == 2 + 5
    assert lines[2].startswith(
        r"| dynamics | [Landscape 1](dynamics/landscape.ipynb) | $\\|x\\|$ \| more | slope"
    )


def test_a_ledger_without_claims(tmp_path):
    table = ledger(tmp_path)
    assert table.empty and totals(table).loc["all"].sum() == 0
    assert ledger_markdown(table).startswith("No claims are stored yet")


def test_a_dangling_notebook_is_found(stored):
    book = stored / "book"
    (book / "dynamics").mkdir(parents=True)
    (book / "dynamics" / "landscape.ipynb").touch()
    assert dangling(ledger(stored), book) == ["dynamics/rates", "lazy/figure_4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-20], "not a file of claims"),
        (lambda text: "{}", "it must hold a list of claims; got dict"),
        (lambda text: text.replace('"says"', '"said"'), "unexpected keyword argument 'said'"),
        (lambda text: text.replace('"vacuous here"', '"vacuous"'), "verdict must be one of"),
        (lambda text: text.replace('"slope -0.98 [-1.1, -0.9]"', '""'), "measured must not be empty"),
        (lambda text: text.replace("dynamics/landscape", "dynamics/other"), "is not at home here"),
        (lambda text: text.replace("landscape-1", "rates-1"), "claim 'rates-1' of dynamics is stored twice"),
    ],
)
def test_a_stored_claim_that_is_not_sound_is_refused(stored, change, message):
    path = stored / "claims" / "dynamics.landscape.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ResultsError, match=message):
        ledger(stored)


# Rounding


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.12"),
        (1234.5, "1200"),
        (0.996, "1.0"),
        (-0.05, "-0.050"),
        (0, "0"),
        (-0.0, "0"),
        (1e-7, "1.0e-7"),
        (9.99e-8, "1.0e-7"),
        (999_999, "1.0e6"),
        (np.float32(0.5), "0.50"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_rounded_coarsely(value, text):
    assert about(value) == text


def test_intervals_are_rounded_coarsely():
    assert interval(-0.01234, 0.0345, digits=1) == "[-0.01, 0.03]"


@pytest.mark.parametrize("value", [0.101, 0.149999, 0.15])
def test_bounds_stay_when_the_value_drifts(value):
    assert at_most(value, 0.05) == "at most 0.15"
    assert at_least(value + 0.05, 0.05) in ("at least 0.15", "at least 0.2")


def test_a_bound_needs_a_number_and_a_step():
    with pytest.raises(ValueError, match="value must be finite; got nan"):
        at_most(float("nan"), 0.05)
    with pytest.raises(ValueError, match="step must be a finite number above 0; got 0"):
        at_least(1.0, 0)


def test_examples_in_the_documentation():
    failed, attempted = doctest.testmod(advnb.book.claims)
    assert attempted and not failed


# The book's own


@pytest.mark.parametrize(
    "path", sorted((BOOK / "results" / "claims").glob("*.json")), ids=lambda path: path.stem
)
def test_a_stored_file_of_the_book_holds(path):
    claims = json.loads(path.read_text())
    assert claims and all(claim["holds"] is not False for claim in claims)
    for claim in claims:
        assert (BOOK / claim["paper"]).is_dir() or (BOOK / f"{claim['paper']}.ipynb").is_file(), claim[
            "paper"
        ]
        if claim["experiment"] and claim["verdict"] != "not run":
            assert (BOOK / "results" / f"{claim['experiment']}.{claim['scale']}.jsonl").is_file(), claim["id"]


def test_the_books_claims_are_sound_and_lead_to_notebooks(monkeypatch):
    monkeypatch.delenv("ADVNB_RESULTS", raising=False)
    assert results_folder() == BOOK / "results"
    assert dangling(ledger(), BOOK) == []
