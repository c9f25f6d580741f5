"""Every page of the built book, opened from disk: complete, correct to the eye, fit for a phone and for the night."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import axe
import probes
import pytest
import sitting

from advnb.book import figures

pytestmark = pytest.mark.browser

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
WORDS = {"T", "accuracy", "beaten", "clean", "constant", "contraction", "convention", "cosine", "curvature", "d",
         "data", "exact", "f", "gain", "gradient", "gradients", "length", "loss", "m", "measured", "minima",
         "optimizer", "radius", "ratio", "relative", "slack", "spread", "steps", "strength", "training",
         "travelled", "variant"}  # fmt: skip
"""Names of stored fields that are words of readers, or the papers' symbols that the text before a table explains."""
PHONE_PIXELS = 9.0
"""The least size of text in a picture on a phone, in pixels."""


@functools.cache
def fields() -> frozenset[str]:
    """The names of what stored runs hold, as far as they are no words."""
    names: set[str] = set()
    for path in RESULTS.glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            trial = json.loads(next(lines))
        names |= {*trial["params"], *trial["values"]}
    return frozenset(names - WORDS)


def test_nothing_fails_to_load(page):
    assert probes.failed_requests(page) == []


def test_the_book_asks_nobody(page):
    assert page.requests
    assert probes.external_requests(page) == []


def test_the_console_is_clean(page):
    assert probes.console_errors(page) == []


def test_no_error_shows(page):
    assert probes.visible_errors(page) == []


def test_maths_is_rendered(page):
    assert probes.raw_maths(page) == []


def test_pictures_load_and_say_what_they_show(page):
    assert probes.images(page) == []


def test_headings_make_an_outline(page):
    assert probes.outline(page) == []


def test_links_lead_somewhere(page):
    assert probes.dead_links(page) == []


def test_controls_have_names(page):
    assert probes.unnamed_controls(page) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_stands_out(page, theme):
    assert probes.low_contrast(page, theme) == []


def test_is_one_sitting(page):
    assert sitting.faults(sitting.name_of(page.path, page.book), {"pixels": probes.height(page)}) == []


def test_formulas_are_read_and_passed_by(page):
    assert probes.formula_stops(page) == []


def test_a_page_prints_whole(page):
    assert probes.clipped_in_print(page) == []


def test_sliders_have_handles_for_fingers(page):
    assert probes.small_handles(page) == []


def test_boxes_have_no_bells_and_statements_no_second_number(page):
    assert probes.bells(page) == []
    assert probes.second_numbers(page) == []


def test_verdicts_have_their_colour_and_their_row(page):
    assert probes.plain_verdicts(page) == []


def test_tables_have_heads_of_words(page):
    assert fields()
    assert probes.raw_heads(page, fields()) == []


@pytest.mark.parametrize("width", [probes.DESKTOP, probes.PHONE])
def test_what_is_wide_can_be_scrolled_to(page, width):
    with probes.width_of(page, width):
        assert probes.overflow(page) == []
        assert probes.cut_off(page) == []
        assert probes.out_of_reach(page) == []
        assert probes.hidden_scrolling(page) == []
        if width == probes.PHONE:
            assert probes.illegible(page, figures.SMALLEST, PHONE_PIXELS) == []


def test_axe_finds_nothing_that_the_book_can_help(page):
    """The dark theme changes colours and nothing else, so there only the rules of colours are asked."""
    if why := axe.missing():
        pytest.skip(why)
    assert axe.violations(page, "light") == []
    assert axe.violations(page, "dark", "colours") == []


def test_axe_finds_nothing_on_a_phone(page):
    """With the contrast by our own probe: axe takes seconds for it, and has looked at the same text on a desktop."""
    if why := axe.missing():
        pytest.skip(why)
    with probes.width_of(page, probes.PHONE):
        assert axe.violations(page, "light", "the rest") == []
        assert {theme: probes.low_contrast(page, theme) for theme in ("dark", "light")} == {"dark": [], "light": []}
