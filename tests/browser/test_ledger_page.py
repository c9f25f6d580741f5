"""The ledger: filtered by keyboard and by address, sorted, read on a phone, whole without JavaScript."""

from __future__ import annotations

import shutil
from pathlib import Path

import probes
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from advnb.book.ledger import ledger as read_ledger
from advnb.book.ledger import ledger_html, totals, totals_html

pytestmark = pytest.mark.browser

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
CLAIMS = read_ledger()
FIRST = CLAIMS.iloc[-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page with the book's ledger and its scripts, and the same without scripts."""
    folder = tmp_path_factory.mktemp("ledger")
    for name in ("widgets.js", "ledger.js", "ledger.css", "book.css", "widgets.css"):
        shutil.copy(STATIC / name, folder)
    sheets = "".join(f'<link rel="stylesheet" href="{name}.css">' for name in ("book", "widgets", "ledger"))
    scripts = '<script src="widgets.js"></script><script src="ledger.js"></script>'
    body = f"<main class='bd-content'><h1>Ledger</h1>{totals_html(totals(CLAIMS))}{ledger_html(CLAIMS)}</main>"
    for name, head in {"page": sheets + scripts, "plain": sheets}.items():
        start = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        )
        (folder / f"{name}.html").write_text(f"{start}<title>T</title>{head}{body}", encoding="utf-8")
    return folder


@pytest.fixture
def ledger(browser, folder):
    probes.resize(browser, probes.DESKTOP)
    return probes.visit(browser, folder / "page.html", folder)


def shown(page):
    """The ids of the rows that show."""
    return page(
        "return [...document.querySelectorAll('tbody tr[id]')].filter((r) => r.checkVisibility()).map((r) => r.id)"
    )


def names(claims):
    return [f"{claim.chapter}-{claim.id}" for claim in claims.itertuples()]


def field(page, name):
    return page.browser.find_element(By.CSS_SELECTOR, f".advnb-filter [name={name}]")


def count(page):
    return page.browser.find_element(By.CSS_SELECTOR, ".advnb-count[role=status]").text


def test_everything_shows_at_first_and_without_scripts(browser, folder, ledger):
    assert probes.console_errors(ledger) == []
    assert shown(ledger) == names(CLAIMS) and count(ledger) == f"{len(CLAIMS)} of {len(CLAIMS)} claims"
    plain = probes.visit(browser, folder / "plain.html", folder)
    assert shown(plain) == names(CLAIMS) and browser.find_elements(By.TAG_NAME, "form") == []


@pytest.mark.parametrize("name", ["chapter", "verdict", "scale"])
def test_it_filters_by_choice_and_says_how_many_are_left(ledger, name):
    select = Select(field(ledger, name))
    values = sorted(set(CLAIMS[name].dropna()) | ({"exact"} if name == "scale" else set()))
    assert sorted(option.text for option in select.options[1:]) == values
    select.select_by_visible_text(values[0])
    exact = CLAIMS["scale"].isna() & (CLAIMS["verdict"] != "not run")
    expected = CLAIMS[exact if values[0] == "exact" else CLAIMS[name] == values[0]]
    probes.wait(ledger, lambda: count(ledger) == f"{len(expected)} of {len(CLAIMS)} claims")
    assert shown(ledger) == names(expected)


def test_it_filters_by_every_word_and_the_keyboard_shows_all_again(ledger):
    field(ledger, "text").send_keys("lemma MEDIAN")
    words = CLAIMS[["chapter", "statement", "says", "measured", "scale", "verdict", "why"]]
    text = words.fillna("").agg(" ".join, axis=1).str.lower()
    assert shown(ledger) == names(CLAIMS[text.str.contains("lemma") & text.str.contains("median")])
    assert ledger.browser.current_url.endswith("#text=lemma+MEDIAN")
    ledger.browser.find_element(By.CSS_SELECTOR, ".advnb-filter [type=reset]").send_keys(Keys.ENTER)
    assert len(probes.wait(ledger, lambda: len(shown(ledger)) == len(CLAIMS) and shown(ledger))) == len(CLAIMS)
    assert field(ledger, "text").get_attribute("value") == ""


def test_parts_of_the_totals_lead_to_what_they_count(ledger):
    for part in ledger.browser.find_elements(By.CSS_SELECTOR, ".advnb-bar a"):
        part.send_keys(Keys.ENTER)
        number, verdict = part.text.split(maxsplit=1)
        probes.wait(ledger, lambda number=number: count(ledger).startswith(f"{number} of "))
        assert shown(ledger) == names(CLAIMS[CLAIMS["verdict"] == verdict.strip()])


def test_a_row_that_is_asked_for_is_never_hidden(browser, folder, ledger):
    row = f"{FIRST.chapter}-{FIRST.id}"
    field(ledger, "text").send_keys("no claim says this")
    assert shown(ledger) == []
    ledger("location.hash = arguments[0]", row)
    probes.wait(ledger, lambda: row in shown(ledger))


def test_verdicts_sort_in_their_own_order(ledger):
    heading = ledger.browser.find_elements(By.CSS_SELECTOR, ".advnb-ledger thead button")[-1]
    heading.send_keys(Keys.ENTER)
    ranks = ledger("return [...document.querySelectorAll('.advnb-ledger td.verdict')].map((c) => c.dataset.sort)")
    assert ranks == sorted(ranks)


def test_the_head_stays_in_sight(ledger):
    top = "return [document.querySelector('.advnb-ledger'), document.querySelector('.advnb-ledger thead th')]"
    ledger("document.querySelector('.advnb-ledger').scrollTop = 3000")
    box, head = ledger(top + ".map((e) => e.getBoundingClientRect().top)")
    assert abs(box - head) < 3


def test_on_a_phone_rows_are_cards_with_the_verdict_in_sight(ledger):
    probes.resize(ledger.browser, 390)
    try:
        assert probes.overflow(ledger) == []
        hidden = ledger(
            "return [...document.querySelectorAll('.advnb-ledger tbody tr')].filter((row) => {"
            " const [card, verdict] = [row, row.querySelector('.verdict')].map((e) => e.getBoundingClientRect());"
            " return verdict.right > innerWidth || verdict.left < 0 || verdict.top - card.top > 120;"
            "}).map((row) => row.id)"
        )
        assert hidden == []
    finally:
        probes.resize(ledger.browser, probes.DESKTOP)
