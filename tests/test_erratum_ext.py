"""What the build makes of errata: headings with an anchor and a kind, the names of tests, the table of counts."""

import re

import erratum
import pytest
from sphinx.application import Sphinx

FIRST = """\
# Errata

:::{errata-counts}
:::

(errata-lazy)=
## Lazy paper

See {ref}`erratum-lazy-lemma-b.9` and {ref}`the first <erratum-dynamics-section-5>`.

:::{erratum} Lemma B.9, $x$
:label: erratum-lazy-lemma-b.9
:kind: statement
:check: test_a test_b

*Printed:* one.
:::

:::{erratum} Section 2
:label: erratum-lazy-section-2
:kind: typo

*Printed:* two.
:::

## Dynamics paper

:::{erratum} Section 5
:label: erratum-dynamics-section-5
:kind: gap

*Printed:* three.
:::
"""


def build(folder, text):
    """Build a book of this page; return its HTML and what the build complained of."""
    (folder / "index.md").write_text(text)
    with (folder / "said").open("w") as said:
        options = {"extensions": ["myst_parser", "erratum"], "html_theme": "basic"}
        options |= {"myst_enable_extensions": ["colon_fence", "dollarmath"]}
        Sphinx(folder, None, folder / "out", folder / "trees", "html", options, None, said).build()
    twice = "already registered"  # Sphinx says so of its own nodes from the second build of a process on
    complaints = [line for line in (folder / "said").read_text().splitlines() if twice not in line]
    return (folder / "out" / "index.html").read_text(), "\n".join(complaints)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    html, said = build(tmp_path_factory.mktemp("book"), FIRST)
    assert said == ""
    return html


def test_an_erratum_is_a_section_of_its_own_with_the_kind_in_its_heading(page):
    section = page.split('<section class="erratum" id="erratum-lazy-lemma-b.9">')[1].split("</section>")[0]
    assert re.search(r"<h3>Lemma B\.9, .*<span class=\"erratum-kind\">\(statement\)</span>", section)
    assert '<a class="headerlink" href="#erratum-lazy-lemma-b.9"' in section


def test_its_tests_stand_at_its_end(page):
    section = page.split('id="erratum-lazy-lemma-b.9">')[1].split("</section>")[0]
    said = re.sub(r"<[^>]*>", "", section).strip().splitlines()[-1]
    assert said == "Check: tests/errata/test_errata_lazy.py::test_a, tests/errata/test_errata_lazy.py::test_b"
    assert page.count("Check: ") == 1


def test_references_take_the_heading_without_the_kind(page):
    links = dict(re.findall(r'<a class="reference internal" href="#(erratum-[^"]*)"><span[^>]*>(.*?)</span></a>', page))
    assert (
        links["erratum-lazy-lemma-b.9"].startswith("Lemma B.9") and "statement" not in links["erratum-lazy-lemma-b.9"]
    )
    assert links["erratum-dynamics-section-5"] == "the first"


def test_the_table_counts_by_paper_and_kind(page):
    table = page.split("<table")[1].split("</table>")[0]
    rows = [re.findall(r"<t[dh][^>]*>(?:<p>)?(.*?)(?:</p>)?\s*</t[dh]>", row) for row in table.split("<tr")[1:]]
    assert [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in rows] == [
        ["Paper", "typo", "gap", "statement", "all", "with a check"],
        ["Lazy", "1", "0", "1", "2", "1"],
        ["Dynamics", "0", "1", "0", "1", "0"],
        ["All", "1", "1", "1", "3", "1"],
    ]
    assert 'href="#errata-lazy"' in rows[1][0] or 'href="#lazy-paper"' in rows[1][0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (":kind: typo", "has no :label:"),
        (":label: erratum-lazy-a", "has no :kind:"),
        (":label: erratum-lazy-a\n:kind: slip", "slip"),
        (":label: lazy-A\n:kind: typo", "not of the form erratum-<paper>-<place>"),
    ],
)
def test_what_is_wrong_with_an_erratum_is_said(tmp_path, options, complaint):
    _, said = build(tmp_path, f"# Errata\n\n:::{{erratum}} Lemma 1\n{options}\n\n*Printed:* one.\n:::\n")
    assert complaint in said


def test_two_errata_cannot_have_one_label(tmp_path):
    entry = ":::{erratum} Lemma 1\n:label: erratum-lazy-a\n:kind: typo\n\n*Printed:* one.\n:::\n\n"
    _, said = build(tmp_path, f"# Errata\n\n{entry * 2}")
    assert "Two errata have the label 'erratum-lazy-a'" in said


def test_the_table_counts_the_pages_below_it_too(tmp_path):
    entry = (
        "(errata-{0})=\n# {0}\n\n:::{{erratum}} Lemma 1\n:label: erratum-{0}-a\n:kind: typo\n\n*Printed:* one.\n:::\n"
    )
    for paper in ("lazy", "dynamics"):
        (tmp_path / f"{paper}.md").write_text(entry.format(paper))
    top = "# Errata\n\n:::{errata-counts}\n:::\n\n:::{toctree}\ndynamics\nlazy\n:::\n"
    html, said = build(tmp_path, top)
    assert said == ""
    links = re.findall(r'href="(\w+\.html#errata-\w+)">(\w+)<', html.split("<table")[1])
    assert links == [("dynamics.html#errata-dynamics", "Dynamics"), ("lazy.html#errata-lazy", "Lazy")]
    (tmp_path / "lazy.md").write_text("# None left\n")
    again, said = build(tmp_path, top)
    assert said == "" and "Lazy" not in again.split("<table")[1].split("</table>")[0]


def test_a_label_names_its_paper():
    assert erratum.paper("erratum-lazy-lemma-b.9") == "lazy"
    with pytest.raises(ValueError, match="'erratum-Lazy' is not of the form"):
        erratum.label("erratum-Lazy")


def test_rows_hold_a_count_for_each_column():
    entries = [("lazy", "gap", True), ("dynamics", "typo", False), ("lazy", "typo", False)]
    assert erratum.rows(entries) == {"lazy": [1, 1, 0, 2, 1], "dynamics": [1, 0, 0, 1, 0]}
