"""Each probe finds the fault it is for, planted in a page of its own, and passes that page without it."""

from __future__ import annotations

import probes
import pytest

pytestmark = pytest.mark.browser

GOOD = "<h1>Title</h1><p>Text.</p>"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAP///////yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
FAULTS = {
    "failed_requests": '<script src="gone.js"></script>',
    "external_requests": f'<img src="{{outside}}" alt="A picture"><img src="{PIXEL}" alt="A dot">',
    "console_errors": "<script>throw new Error('broken')</script>",
    "visible_errors": '<div class="output traceback">ValueError</div>',
    "raw_maths": "<p>where $x = 1$ holds</p>",
    "images": f'<img src="{PIXEL}">',
    "outline": "<h3>Deep</h3>",
    "dead_links": '<a href="#nowhere">link</a>',
    "overflow": '<div style="width: 3000px">wide</div>',
    "unnamed_controls": '<div class="jupyter-widgets"><button></button></div>',
    "formula_stops": '<mjx-container tabindex="0"><mjx-assistive-mml><math></math></mjx-assistive-mml></mjx-container>',
    "small_handles": '<div class="noUi-handle" style="width: 16px; height: 16px"></div>',
    "out_of_reach": '<div tabindex="-1" style="width: 9em; overflow-x: auto"><p style="width: 40em">wide</p></div>',
    "cut_off": '<div style="width: 9em; overflow: hidden"><table style="width: 40em"><tr><td>1</td></tr></table></div>',
    "hidden_scrolling": '<div class="advnb-scroll" style="width: 9em; overflow: auto"><p style="width: 40em">a</div>',
    "clipped_in_print": '<pre style="width: 9em; overflow: auto">a line of code that is longer than its box</pre>',
    "bells": "<style>.a::after { content: '\uf0f3' }</style>"
    '<div class="admonition"><p class="admonition-title a">Note</p></div>',
    "second_numbers": '<div class="proof"><p><span class="caption-number">Lemma 2 </span>(Lemma 4)</p></div>',
    "plain_verdicts": '<div class="advnb-claim reproduced"><strong class="verdict">Not reproduced.</strong></div>',
}


def open_page(browser, folder, body):
    outside = (folder.parent / "outside.html").as_uri()
    article = f'<article class="bd-article">{body}</article>'
    text = f'<!doctype html><html lang="en"><title>T</title><body>{article}</body></html>'
    (folder / "page.html").write_text(text.replace("{outside}", outside))
    probes.resize(browser, probes.DESKTOP)
    return probes.visit(browser, folder / "page.html", folder)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "book").mkdir()
    return tmp_path / "book"


@pytest.mark.parametrize("name", FAULTS)
def test_a_probe_finds_its_fault(browser, folder, name):
    probe = getattr(probes, name)
    assert probe(open_page(browser, folder, GOOD)) == []
    assert probe(open_page(browser, folder, GOOD + FAULTS[name])) != []


TABLE = '<table class="dataframe"><thead><tr><th>{}</th></tr></thead><tbody><tr><th>{}</th></tr></tbody></table>'


@pytest.mark.parametrize(("column", "row"), [("c_t", "a"), ("eta", "a"), ("step size", "train_mode")])
def test_names_of_the_code_are_found_in_heads(browser, folder, column, row):
    assert probes.raw_heads(open_page(browser, folder, TABLE.format("step size", "eta")), ["eta"]) == []
    assert len(probes.raw_heads(open_page(browser, folder, TABLE.format(column, row)), ["eta"])) == 1


@pytest.mark.parametrize(
    ("width", "scroll", "hint", "faults"),
    [(538, "auto", "", 0), (400, "auto", "", 1), (800, "auto", "", 1), (800, "auto", "scrolls", 0)],
)
def test_pictures_with_small_text_and_pictures_that_hide_a_part_are_found(browser, folder, width, scroll, hint, faults):
    style = (
        f"<style>a {{ display: block; overflow-x: {scroll}; width: 600px }} a::after {{ content: '{hint}' }}</style>"
    )
    image = f'<img src="{PIXEL}" alt="A picture" style="--drawn: 538px; width: {width}px">'
    page = open_page(browser, folder, f'{GOOD}{style}<div class="cell_output"><a href="#">{image}</a></div>')
    assert len(probes.illegible(page, 8, 9)) == faults


@pytest.mark.parametrize(
    "fault",
    [
        '<p style="color: #999">faint</p>',
        '<div style="background: #222"><p>dark on dark</p></div>',
        '<div class="cell_output"><img alt="none" src="data:image/svg+xml,<svg xmlns='
        "'http://www.w3.org/2000/svg' width='9' height='9'/>\"></div>",
    ],
)
def test_faint_text_and_clear_pictures_are_found(browser, folder, fault):
    assert probes.low_contrast(open_page(browser, folder, GOOD), "light") == []
    assert probes.low_contrast(open_page(browser, folder, GOOD + fault), "light") != []


def test_a_script_from_the_cdn_counts_only_in_a_book_that_has_its_own(tmp_path):
    visit = probes.Visit(None, tmp_path, tmp_path, [probes.CDN + "mathjax@3.2.2/es5/tex-svg.js"], [], [])
    assert probes.external_requests(visit) == []
    for name in ("mathjax-3.2.2", "html-manager-1.0.15"):
        (tmp_path / "_static" / "vendor" / name).mkdir(parents=True)
    assert probes.external_requests(visit) == visit.requests


def test_alt_text_that_is_a_file_name_is_a_fault(browser, folder):
    page = open_page(browser, folder, GOOD + f'<img src="{PIXEL}" alt="../_images/0a1b.png">')
    assert len(probes.images(page)) == 1
