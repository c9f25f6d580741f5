"""What the build adds for readers: links between claims and their ledger, and statements called by the paper's name."""

from types import SimpleNamespace

import proofs
import pytest
import reader

FRAME = (
    '<div class="advnb-claim not-reproduced" id="claim-lemma-4.2"><p><strong>Lemma 4.2</strong> <em>says:</em> a.</p>'
    '<p><strong class="verdict">Not reproduced.</strong> b.</p><details></details></div>'
)


def test_a_frame_leads_to_its_row():
    page = reader.link_frames(f"{FRAME}<p>text</p>{FRAME.replace('4.2', '4.3')}", "toy/walks", "../claims.html")
    link = '<a class="to-ledger" href="../claims.html#toy-lemma-4.2" aria-label="In the ledger: Lemma 4.2">In the'
    assert f"</strong> b. {link}" in page
    assert page.count("to-ledger") == 2 and "#toy-lemma-4.3" in page
    assert reader.link_frames("<p>no claim</p>", "toy/walks", "../claims.html") == "<p>no claim</p>"


def test_a_row_of_a_group_leads_to_its_row():
    row = (
        '<tr class="advnb-row reproduced" id="claim-lemma-4.1"><th scope="row"><strong>Lemma 4.1</strong></th>'
        '<td>a</td><td><p><strong class="verdict">Reproduced.</strong> b.</p></td></tr>'
    )
    page = reader.link_frames(f"{row}{row.replace('4.1', '4.5')}{FRAME}", "toy/walks", "../claims.html")
    link = '<a class="to-ledger" href="../claims.html#toy-lemma-4.1" aria-label="In the ledger: Lemma 4.1">In the'
    assert f"</strong> b. {link}" in page
    assert page.count("to-ledger") == 3 and "#toy-lemma-4.5" in page and "#toy-lemma-4.2" in page


def test_links_to_notebooks_that_are_pages_lead_to_the_pages():
    def linked(link):
        return reader.link_pages(f'<a href="{link}">', "book/toy/walks", {"book/toy/runs", "book/claims"})

    assert linked("runs.ipynb#claim-a.b") == '<a href="runs.html#claim-a.b">'
    assert linked("../claims.ipynb") == '<a href="../claims.html">'
    assert linked("gone.ipynb") == '<a href="gone.ipynb">'


def test_what_others_leave_for_screen_readers_is_mended():
    table = '<th></th><th id="a"><p></p></th><th>b</th>'
    assert reader.mend(table) == '<td></td><td id="a"></td><th>b</th>'
    assert reader.mend('<summary aria-label="Toggle hidden content">Show') == "<summary>Show"
    assert reader.mend('<div class="citation" role="doc-biblioentry">') == '<div class="citation" role="listitem">'


def test_a_picture_says_how_wide_it_was_drawn():
    drawn = '<img style="--drawn: 538px; width: 538px; height: 336px;" />'
    assert reader.mend('<img style="width: 538px; height: 336px;" />') == drawn
    assert reader.mend('<img style="width: 100%;" />') == '<img style="width: 100%;" />'


@pytest.mark.parametrize("ledger", [set(), {"book/claims"}])
def test_frames_are_linked_where_the_book_has_a_ledger(ledger):
    builder = SimpleNamespace(get_relative_uri=lambda page, target: "../claims.html")
    app = SimpleNamespace(env=SimpleNamespace(found_docs={"book/toy/walks", *ledger}), builder=builder)
    context = {"body": FRAME}
    reader.link_claims(app, "book/toy/walks", "page.html", context, None)
    assert ("#toy-lemma-4.2" in context["body"]) == bool(ledger)
    reader.link_claims(app, "search", "search.html", {}, None)


@pytest.mark.parametrize(
    ("kind", "title", "heading", "reference"),
    [
        ("Theorem", "Deng et al., Theorem 3.1", "Deng et al., Theorem 3.1", "Theorem 3.1"),
        ("Theorem", "Deng et al., Theorem 5.1 (informal)", "Deng et al., Theorem 5.1 (informal)", "Theorem 5.1"),
        ("Theorem", "Wang et al. (2019), Theorem 1", "Wang et al. (2019), Theorem 1", "Theorem 1"),
        ("Lemma", "Wang et al., Lemmas 4.4 and B.9", "Wang et al., Lemmas 4.4 and B.9", "Lemmas 4.4 and B.9"),
        ("Lemma", "Mended: Lemma B.7", "Lemma B.7, mended", "Lemma B.7, mended"),
        ("Lemma", "Mended: the second set", "Lemma (Mended: the second set)", "Lemma (Mended: the second set)"),
        ("Definition", "Definition 2.1: the regime", "Definition 2.1: the regime", "Definition 2.1"),
        ("Proposition", "Travel time", "Proposition (Travel time)", "Proposition (Travel time)"),
        ("Proposition", "", "Proposition", "Proposition"),
    ],
)
def test_statements_go_by_their_name(kind, title, heading, reference):
    assert proofs.heading(kind, title) == heading
    assert proofs.reference(kind, title) == reference


def test_headings_lose_the_number_of_the_book():
    start = '<p class="admonition-title"><span class="caption-number">Theorem 3 </span> '
    page = f"{start}(Deng et al., Theorem 5.1 (informal))</p><p>(see Theorem 3)</p>"
    assert proofs.retitle(page) == (
        '<p class="admonition-title">Deng et al., Theorem 5.1 (informal)</p><p>(see Theorem 3)</p>'
    )


def test_the_index_lists_names_page_by_page():
    entries = {
        "a": {"realtype": "theorem", "docname": "x", "title": "Theorem 1"},
        "b": {"realtype": "lemma", "docname": "y", "title": "Small"},
        "c": {"realtype": "lemma", "docname": "x", "title": "Lemma 2"},
    }
    titles = {name: SimpleNamespace(astext=lambda name=name: f"Page {name}") for name in "xy"}
    index = proofs.Names(SimpleNamespace(env=SimpleNamespace(proof_list=entries, titles=titles)))
    content, collapse = index.generate()
    assert [(page, [(entry[0], entry[3]) for entry in found]) for page, found in content] == [
        ("Page x", [("Theorem 1", "a"), ("Lemma 2", "c")]),
        ("Page y", [("Lemma (Small)", "b")]),
    ]
    assert not collapse
