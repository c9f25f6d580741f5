"""What a search finds: the names of statements, one by one, and where each page states or judges them."""

import json
from types import SimpleNamespace

import finding
import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Lemma 4.2, mended", ["Lemma 4.2"]),
        ("Lemmas 4.1, A.1, A.2, Corollary A.1 (conclusions)", ["Lemma 4.1", "Lemma A.1", "Lemma A.2", "Corollary A.1"]),
        ("Wang et al., Lemma 4.3, and first part of Lemma B.4", ["Lemma 4.3", "Lemma B.4"]),
        ("Wang et al., Assumptions 1 to 3", ["Assumption 1", "Assumption 3", "Assumption 2"]),
        ("Wang et al., Definition 2.1: the lazy regime", ["Definition 2.1", "lazy regime"]),
        ("Figure 1a", ["Figure 1a"]),
        ("Travel time", []),
    ],
)
def test_names(title, found):
    assert finding.names(title) == found


@pytest.fixture
def book(tmp_path):
    """A book whose page toy/walks states Lemma 1 and judges it, a figure and a table."""
    folder = tmp_path / "book" / "results" / "claims"
    folder.mkdir(parents=True)
    judged = [("lemma-1", "Lemma 1"), ("figure-2.a", "Figure 2 (a)"), ("figure-2.b", "Figure 2 (b)")]
    text = json.dumps([{"id": id_, "statement": statement} for id_, statement in judged])
    (folder / "toy.walks.json").write_text(text)
    proofs = {
        "toy-lemma": {"docname": "book/toy/walks", "title": "Poe et al., Lemma 1: the long way"},
        "toy-mended": {"docname": "book/toy/walks", "title": "Mended: Lemma 1"},
        "other": {"docname": "book/other/page", "title": "Lemma 7"},
    }
    return SimpleNamespace(srcdir=tmp_path, env=SimpleNamespace(proof_list=proofs))


def entered(book, docname, *sections):
    document = new_document("page")
    document += nodes.title("", "Walks: where they lead")
    document += sections
    finding.enter(book, document, docname)
    (index,) = document.findall(addnodes.index)
    return {(name, anchor): main for _, name, anchor, main, _ in index["entries"]}


def test_a_page_enters_its_name_its_statements_and_what_it_judges_besides(book):
    assert entered(book, "book/toy/walks") == {
        ("Walks", ""): "main",
        ("Lemma 1", "toy-lemma"): "main",
        ("long way", "toy-lemma"): "main",
        ("Lemma 1", "toy-mended"): "",
        ("Figure 2", "claim-figure-2.a"): "main",
    }
    assert entered(book, "book/toy/index") == {("Walks", ""): "main"}


def test_errata_come_after_what_they_correct(book):
    erratum = nodes.section("", nodes.title("", "Lemma 1 (typo)"), ids=["erratum-toy-lemma-1"])
    assert entered(book, "book/errata", erratum)["Lemma 1", "erratum-toy-lemma-1"] == ""
