"""Every page of the built book, opened from disk: complete, correct to the eye, fit for a phone and for the night."""

from __future__ import annotations

import axe
import probes
import pytest
import sitting

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize("width", [probes.DESKTOP, probes.PHONE])
def test_what_is_wide_can_be_scrolled_to(page, width):
    with probes.width_of(page, width):
        assert probes.overflow(page) == []
        assert probes.cut_off(page) == []
        assert probes.out_of_reach(page) == []


# Both widths and both themes, but not each with each: it is the slowest of these tests
@pytest.mark.parametrize(("theme", "width"), [("light", probes.DESKTOP), ("dark", probes.PHONE)])
def test_axe_finds_nothing_that_the_book_can_help(page, theme, width):
    if why := axe.missing():
        pytest.skip(why)
    with probes.width_of(page, width):
        assert axe.violations(page, theme) == []
