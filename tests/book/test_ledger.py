"""The ledger: computed from stored runs, compared with what is written down, shown as tables; and the book's own."""

import json
import re
import types
from functools import lru_cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
import toy.pages
import where
from toy.sums import DRIFTING, WALK

from advnb.__main__ import main
from advnb.book import claims
from advnb.book.claims import VERDICTS, Page
from advnb.book.ledger import differences, ledger, ledger_html, pages, totals, totals_html, write
from advnb.experiments import ResultsError, find, run

BOOK = Path(__file__).parents[2] / "book"
PAGE = toy.pages.PAGE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    run(WALK, "laptop", results=tmp_path, progress=False)
    run(DRIFTING, "live", results=tmp_path, progress=False)
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    write(PAGE)
    return tmp_path


def path(folder):
    return folder / "claims" / "toy.walks.json"


def change(folder, pattern, text):
    before = path(folder).read_text()
    after = re.sub(pattern, text, before, count=1)
    assert after != before
    path(folder).write_text(after)


def test_what_was_written_is_read(folder):
    assert differences(PAGE) == []
    table = ledger()
    assert table["id"].tolist() == list(PAGE.claims)
    assert set(table["chapter"]) == {"toy"} and table["numbers"][2] == {"difference": 1}


def test_writing_twice_changes_no_byte(folder):
    before = path(folder).read_bytes()
    assert write(PAGE) is False
    assert path(folder).read_bytes() == before


def test_the_last_digits_of_a_number_may_differ(folder):
    change(folder, r'"five": (\d\.\d{8})', r'"five": \g<1>9')
    assert differences(PAGE) == []


@pytest.mark.parametrize(
    ("pattern", "text", "said"),
    [
        (r'"five": \d', '"five": 9', "theorem-3.1.rate: numbers is"),
        (r'"measured": "\d', '"measured": "9', "theorem-3.1.rate: measured is"),
        ('"reproduced in part"', '"reproduced"', "verdict is 'reproduced in part', written down 'reproduced'"),
        ('"ten > five"', '"ten > 0"', "condition is 'ten > five', written down 'ten > 0'"),
        ('"seeds": 5', '"seeds": 50', "seeds is 5, written down 50"),
        ('"id": "lemma-4"', '"id": "lemma-5"', "lemma-4 is not written down"),
        ('"id": "lemma-4"', '"id": "lemma-5"', "lemma-5 is written down and no longer declared"),
    ],
)
def test_every_difference_is_told(folder, pattern, text, said):
    change(folder, pattern, text)
    assert any(said in line for line in differences(PAGE)), differences(PAGE)


def test_a_change_of_order_is_told(folder):
    rows = json.loads(path(folder).read_text())
    path(folder).write_text(json.dumps(rows[::-1]))
    assert differences(PAGE) == ["toy/walks: the order of the claims has changed"]


def test_new_evidence_is_a_difference(folder):
    run(WALK, "laptop", seeds=range(8), results=folder, progress=False)
    said = differences(PAGE)
    assert any("theorem-3.1.rate: seeds is 8, written down 5" in line for line in said)
    assert any("figure-2 FAILS: 32 ends" in line for line in said)


def test_a_failing_claim_is_told_and_not_written(folder):
    page = Page("toy/walks", title="Walks")
    page.claim("lemma-1", says="no", holds=lambda n: n > 3, verdict="reproduced")(lambda: ("3", {"n": 3}))
    before = path(folder).read_bytes()
    assert any("lemma-1 FAILS: 3 (n > 3)" in line for line in differences(page))
    with pytest.raises(AssertionError, match="1 of 1 claims of toy/walks fail"):
        write(page)
    assert path(folder).read_bytes() == before


def test_the_command_compares_and_writes(folder, capsys):
    assert main(["claims"], "toy") == 0
    assert "4 claims are as they are written down" in capsys.readouterr().out
    change(folder, '"seeds": 5', '"seeds": 50')
    before = path(folder).read_bytes()
    assert main(["claims"], "toy") == 1
    assert "seeds is 5, written down 50" in capsys.readouterr().out and path(folder).read_bytes() == before
    assert main(["claims", "--write"], "toy") == 0
    assert "written: toy/walks" in capsys.readouterr().out
    assert main(["claims", "--write"], "toy") == 0
    assert "nothing has changed" in capsys.readouterr().out


def test_the_command_needs_the_evidence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    assert main(["claims"], "toy") != 0
    assert "toy.walk is stored at no scale" in capsys.readouterr().err


# Reading what is written


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-20], "not a file of claims"),
        (lambda text: "{}", "it must hold a list of claims of its page"),
        (lambda text: text.replace('"says"', '"said"'), "it must hold a list of claims of its page, each with id"),
        (lambda text: text.replace("toy/walks", "toy/runs"), "it must hold a list of claims of its page"),
        (lambda text: text.replace('"lemma-4"', '"figure-2"'), "claim 'figure-2' of toy is written down twice"),
    ],
)
def test_a_file_that_is_not_sound_is_refused(folder, spoil, message):
    path(folder).write_text(spoil(path(folder).read_text()))
    with pytest.raises(ResultsError, match=message):
        ledger()


def test_totals_count_verdicts(folder):
    table = totals(ledger())
    assert table.columns.tolist() == [*VERDICTS, "all"] and table.index.tolist() == ["toy", "all"]
    assert table.loc["all"].tolist() == [1, 1, 1, 0, 1, 4]
    page = totals_html(table)
    assert re.findall(r"flex-grow: (\d+)", page) == ["1", "1", "1", "1"], "one part a verdict that occurs"
    assert '<a href="#verdict=reproduced+in+part"><strong>1</strong> reproduced in part</a>' in page
    assert '<a href="#chapter=toy&amp;verdict=not+run" aria-label="1 claims: toy, not run">1</a>' in page
    assert page.count("<td>0</td>") == 2, "what counts nothing leads nowhere"


def test_the_ledger_is_a_table_with_addresses_and_links(folder):
    page = ledger_html(ledger())
    assert re.findall(r'<tr id="(.*?)"', page) == ["toy-theorem-3.1.rate", "toy-figure-2", "toy-lemma-4", "toy-table-2"]
    assert '<a href="toy/walks.ipynb#claim-theorem-3.1.rate">Theorem 3.1 (rate)</a>' in page
    assert "<details><summary>Why</summary>on average over seeds &amp; scales</details>" in page
    assert page.count("<details>") == 1, "only where there is a reason"
    assert re.findall(r'data-scale="(.*?)"', page) == ["laptop", "laptop", "exact", ""]
    assert re.findall(r'data-sort="(.*?)"', page) == ["1", "0", "2", "4"]
    assert "two &lt; three" in page


def test_a_ledger_without_claims(tmp_path):
    table = ledger(tmp_path)
    assert table.empty and totals(table).loc["all"].sum() == 0


# Pages


def package(**attributes):
    module = types.ModuleType("advnb_pages")
    vars(module).update(attributes)
    return module


def test_pages_are_found_by_name():
    assert pages("toy") == {"toy/walks": PAGE}


def test_a_draft_is_no_part_of_the_ledger():
    """Also if it plans claims of a page that is there, under their names."""
    second = Page("toy/walks", title="Planned", draft=True)
    second.claim("figure-2", says="no", verdict="not run")(lambda: ("", {}))
    assert pages(package(a=PAGE, b=Page("toy/planned", title="Planned", draft=True), c=second)) == {"toy/walks": PAGE}


def test_two_pages_may_not_have_one_name():
    twin = Page("toy/walks", title="Others")
    with pytest.raises(ValueError, match="two pages are named 'toy/walks'"):
        pages(package(a=PAGE, b=twin))


def test_two_pages_of_a_chapter_may_not_share_an_id():
    other = Page("toy/runs", title="Others")
    other.claim("figure-2", says="no", verdict="not run")(lambda: ("", {}))
    with pytest.raises(ValueError, match="claim 'figure-2' of toy is declared by toy/walks and by toy/runs"):
        pages(package(a=PAGE, b=other))


# The book's own


def test_contributing_says_where_everything_is():
    text = (BOOK.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert text.split("<!-- where is what -->")[1].strip() == where.where_is_what()
    for cell in re.findall(r"`(advnb/[\w/.]+)`", text.split("<!-- where is what -->")[1]):
        assert (BOOK.parent / cell).exists(), cell


CLAIMS = [claim for page in pages().values() for claim in page]
ids = [f"{claim.page}:{claim.id}" for claim in CLAIMS]


@pytest.fixture(scope="module")
def found():
    """Every claim of the book, judged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ADVNB_RESULTS", raising=False)
        return {(f.claim.page, f.claim.id): f for page in pages().values() for f in page.judge()}


def test_there_are_claims():
    assert len(CLAIMS) >= 100


@pytest.mark.parametrize("page", pages().values(), ids=list(pages()))
def test_what_is_written_down_is_what_the_stored_runs_say(page, monkeypatch):
    monkeypatch.delenv("ADVNB_RESULTS", raising=False)
    assert differences(page) == []


@lru_cache
def shown(page):
    """The claims that a page shows: ``PAGE["id"]``, ``PAGE.group("id", ...)``."""
    cells = nbformat.read(BOOK / f"{page}.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code" and "PAGE" in cell.source]
    calls = [match for source in code for match in re.findall(r'PAGE(?:\.group\(|\[)([\s"\w.,-]*)[\])]', source)]
    return {id for call in calls for id in re.findall(r'"(.*?)"', call)}


@pytest.mark.parametrize("claim", CLAIMS, ids=ids)
def test_a_claim_leads_to_its_page_and_to_its_evidence(claim):
    assert claim.id in shown(claim.page), "its page does not show it"
    assert set(claim.evidence) <= set(find())


def other_numbers(numbers):
    """The numbers of a finding with one of them changed, in several ways."""

    def others(value):
        if isinstance(value, bool):
            return [not value]
        if isinstance(value, int | float):
            return [-value, value + 1, value - 1, 1e3 * value + 1e3, -1e3, 0.0, value / 2, 2 * value]
        if isinstance(value, list):
            changed = [others(entry) for entry in value]
            return [[], *([row[k % len(row)] for row in changed] for k in range(8))]
        return ["something else"]

    for name, value in numbers.items():
        for other in others(value):
            yield {**numbers, name: other}


@pytest.mark.parametrize("claim", CLAIMS, ids=ids)
def test_a_condition_can_fail(claim, found):
    """Some outcome of the measurement refutes the claim; and with it, every number counts for something."""
    if claim.holds is None:
        return
    numbers = found[claim.page, claim.id].numbers

    def holds(changed):
        try:
            return bool(claim.holds(**changed))
        except (IndexError, ValueError, TypeError, ZeroDivisionError):
            return False

    assert not all(holds(changed) for changed in other_numbers(numbers)), "no outcome would refute it"


@pytest.mark.parametrize("page", pages().values(), ids=list(pages()))
def test_no_text_sits_on_a_rounding_edge(page, found, monkeypatch):
    """The last digits of stored numbers are the processor's: what is said of them must not hang on these."""
    monkeypatch.delenv("ADVNB_RESULTS", raising=False)
    exact = claims._table
    trials = find()

    def shaken(name, results):
        table = exact(name, results)
        parameters = {key for scale in trials[name].scales for t in trials[name].trials(scale) for key in t.params}
        drift = 1 + 1e-9 * np.random.default_rng(0).choice([-1, 1], len(table))  # one a trial: its grids stay grids

        def shake(value, factor):
            if isinstance(value, np.ndarray) and value.dtype == float:
                return np.where(value == np.round(value), value, value * factor)  # counts and flags are exact
            return value * factor if isinstance(value, float) and value % 1 else value

        for column in table.columns.difference([*parameters, "seed"]):
            table[column] = [shake(value, factor) for value, factor in zip(table[column], drift, strict=True)]
        return table

    monkeypatch.setattr(claims, "_table", shaken)
    said = {f.claim.id: f.measured for f in page.judge()}
    assert said == {id: found[page.name, id].measured for id in said}
