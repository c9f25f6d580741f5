"""Every page of the built book, opened from disk: complete, correct to the eye, fit for a phone and for the night."""

from __future__ import annotations

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


def test_fits_a_phone(page):
    probes.resize(page.browser, 390)
    try:
        assert probes.overflow(page) == []
    finally:
        probes.resize(page.browser, probes.DESKTOP)
