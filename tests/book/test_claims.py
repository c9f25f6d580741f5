"""Claims: what is accepted, how they are judged on stored runs, how a page shows them."""

import html.parser

import numpy as np
import pytest
from toy.pages import PAGE
from toy.sums import DRIFTING, WALK

from advnb.book.claims import Page
from advnb.experiments import NotStored, run

GOOD = {"id": "theorem-3.1.rate", "says": "PGD needs O(1/eta^2) steps", "verdict": "reproduced"}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """The results folder with what the toy page rests on."""
    run(WALK, "laptop", results=tmp_path, progress=False)
    run(DRIFTING, "live", results=tmp_path, progress=False)
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def page():
    return Page("dynamics/landscape", title="Landscape")


def declare(page, measure=lambda: ("3 steps", {"steps": 3}), **changes):
    page.claim(**{**GOOD, "holds": lambda steps: steps > 2, **changes})(measure)
    return page


# Declaring


@pytest.mark.parametrize(
    ("id", "statement"),
    [
        ("theorem-3.1.rate", "Theorem 3.1 (rate)"),
        ("figure-4b", "Figure 4b"),
        ("lemma-b.2", "Lemma B.2"),
        ("lemma-b.9.width-inequality", "Lemma B.9 (width inequality)"),
        ("section-5.2", "Section 5.2"),
        ("fosc", "Fosc"),
        ("algorithm-1.line-4", "Algorithm 1 (line 4)"),
    ],
)
def test_the_statement_comes_from_the_id(page, id, statement):
    assert declare(page, id=id).claims[id].statement == statement


def test_a_statement_may_be_given(page):
    assert declare(page, statement="Remark 3").claims[GOOD["id"]].statement == "Remark 3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "confirmed"}, "verdict must be one of 'not reproduced', 'not run', .*; got 'confirmed'"),
        ({"says": " "}, "says must not be empty"),
        ({"holds": None}, "holds must be a condition on the numbers, or None if not run; got None"),
        ({"verdict": "not run"}, "holds must be a condition on the numbers, or None if not run"),
        ({"id": "Theorem 3.1"}, "id must match .*; got 'Theorem 3.1'"),
    ],
)
def test_a_claim_that_is_not_sound_is_refused(page, changes, message):
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        declare(page, **changes)
    assert "id" in changes or str(raised.value).startswith("claim 'theorem-3.1.rate': ")
    assert list(page) == []


def test_an_id_may_be_taken_once(page):
    with pytest.raises(ValueError, match=r"claim 'theorem-3.1.rate' is there twice"):
        declare(declare(page))


@pytest.mark.parametrize("name", ["Dynamics", "a.ipynb", "/a", "", "a/"])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(ValueError, match="name must match"):
        Page(name, title="A page")


def test_the_condition_is_kept_as_it_stands_in_the_source(page):
    conditions = [claim.condition for claim in PAGE]
    assert conditions == ["ten > five", "ends == 20 and drifts == [1.0, 2.0]", "difference > 0", ""]

    def slow(steps):
        """More than two steps.

        And so on.
        """
        return steps > 2

    assert declare(page, holds=slow).claims[GOOD["id"]].condition == "More than two steps."


# Judging


def test_a_claim_is_judged_on_stored_evidence(stored):
    rate, ends, exact, table = PAGE.judge()
    assert rate.holds is True and rate.outcome == "holds"
    assert (rate.scale, rate.seeds) == ("laptop", 5)
    assert rate.numbers["ten"] > rate.numbers["five"] > 0
    assert rate.measured == f"{rate.numbers['ten']:.2f} against {rate.numbers['five']:.2f}"
    assert ends.numbers == {"ends": 20, "drifts": [1.0, 2.0]}
    assert (exact.scale, exact.seeds, exact.holds) == (None, 0, True)
    assert (table.holds, table.outcome, table.measured) == (None, "not run", "")


def test_what_is_stored_later_counts(stored):
    before = PAGE["figure-2"].seeds
    run(WALK, "laptop", seeds=range(7), results=stored, progress=False)
    assert (before, PAGE["theorem-3.1.rate"].seeds) == (5, 7)


def test_evidence_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    with pytest.raises(NotStored, match=r"toy.walk is stored at no scale .* to run it: python -m advnb run toy.walk"):
        PAGE.judge()


def test_a_function_cannot_spoil_the_evidence_of_the_next(stored, page):
    def spoil(walks):
        walks["far"] = 0.0
        return "nothing", {"far": 0.0}

    declare(page, spoil, evidence="toy.walk", holds=lambda far: far == 0)
    assert page.judge()[0].holds and PAGE["theorem-3.1.rate"].holds


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (("  ", {"steps": 3}), "measured must not be empty: a verdict needs evidence"),
        (("3", {"steps": object()}), "the number 'steps' must be a number"),
        (("3", {"stride": 3}), "unexpected keyword argument 'stride'"),
    ],
)
def test_a_measurement_that_is_not_sound_is_refused(page, found, message):
    with pytest.raises((ValueError, TypeError), match=message):
        declare(page, lambda: found).judge()


def test_numbers_may_be_numpys(page):
    finding = declare(page, lambda: ("3", {"steps": np.float32(3)})).judge()[0]
    assert finding.numbers == {"steps": 3.0} and finding.holds is True


def test_check_tabulates(stored):
    lines = PAGE.check().splitlines()
    assert [line.split(" | ")[0].strip() for line in lines] == ["claim", *PAGE.claims]
    assert [line.rsplit(" | ", 1)[1] for line in lines[1:]] == ["holds", "holds", "holds", "not run"]
    assert lines[3] == f"{'lemma-4':<16} | {'by 1':<{len(lines[0].split(' | ')[1])}} | holds"
    assert sorted(path.suffix for path in stored.iterdir()) == [".jsonl", ".jsonl", ".lock", ".lock", ".lock", ".lock"]


def test_a_claim_that_fails_fails_the_check(page):
    declare(declare(page), id="lemma-4.1", holds=lambda steps: steps > 3)
    with pytest.raises(AssertionError, match=r"1 of 2 claims of dynamics/landscape fail:(.|\n)*lemma-4.1 .*\| FAILS"):
        page.check()


# Showing


class Text(html.parser.HTMLParser):
    """The text of a piece of HTML, and its tags with their attributes."""

    def __init__(self, source):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(source)

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_a_frame_says_all_there_is(stored):
    frame = Text(PAGE["theorem-3.1.rate"]._repr_html_())
    numbers = PAGE["theorem-3.1.rate"].numbers
    assert frame.tags[0] == ("div", {"class": "advnb-claim reproduced-in-part", "id": "claim-theorem-3.1.rate"})
    assert "Theorem 3.1 (rate) says: a walk of ten steps goes further than one of five." in frame.text
    assert f"Measured (laptop, 5 seeds): {numbers['ten']:.2f} against {numbers['five']:.2f}." in frame.text
    assert "Reproduced in part: on average over seeds & scales." in frame.text
    assert f"The verdict stands while ten > five. Now five = {numbers['five']:.3g}," in frame.text


def test_what_is_not_run_has_no_condition():
    frame = Text(PAGE["table-2"]._repr_html_())
    assert frame.text == "Table 2 says: white-box accuracy!Not run. "
    assert "details" not in [tag for tag, _ in frame.tags]


def test_the_table_of_verdicts_leads_to_the_frames(stored):
    table = Text(PAGE.verdicts()._repr_html_())
    links = [attributes["href"] for tag, attributes in table.tags if tag == "a"]
    assert links == [f"#claim-{id}" for id in PAGE.claims]
    frames = [Text(PAGE[id]._repr_html_()).tags[0][1]["id"] for id in PAGE.claims]
    assert [link[1:] for link in links] == frames
    assert "two < three" in table.text and table.text.count("reproduced in part") == 1
    assert repr(PAGE.verdicts()).splitlines()[3] == "Table 2: not run"


def test_a_group_is_one_table_of_rows_with_the_anchors_of_frames(stored):
    group = PAGE.group("lemma-4", "theorem-3.1.rate")
    table = Text(group._repr_html_())
    rows = [attributes for tag, attributes in table.tags if tag == "tr"][1:]
    assert rows == [
        {"class": "advnb-row not-reproduced", "id": "claim-lemma-4"},
        {"class": "advnb-row reproduced-in-part", "id": "claim-theorem-3.1.rate"},
    ]
    assert [tag for tag, _ in table.tags].count("details") == 2
    assert "Laptop, 5 seeds" in table.text and "Reproduced in part: on average over seeds & scales." in table.text
    assert "The verdict stands while ten > five." in table.text and "two < three" in table.text
    assert repr(group).splitlines()[0] == "Lemma 4: by 1 (not reproduced, holds)"


def test_a_row_says_what_its_frame_says(stored):
    finding = PAGE["theorem-3.1.rate"]
    row, frame = Text(f"<table>{finding.row()}</table>").text, Text(finding._repr_html_()).text
    for part in (finding.claim.says, finding.measured, finding.claim.why, finding.claim.condition):
        assert part in row and part in frame


@pytest.mark.parametrize("ids", [(), ("lemma-4", "lemma-4")])
def test_a_group_names_each_claim_once(ids):
    with pytest.raises(ValueError, match=r"ids must name at least one claim, and each once; got \("):
        PAGE.group(*ids)


def test_an_unknown_id_is_refused():
    with pytest.raises(ValueError, match=r"id must be one of 'figure-2', 'lemma-4', .*; got 'lemma-5'"):
        PAGE["lemma-5"]
