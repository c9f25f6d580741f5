"""The front page of the built book: what its first screen holds, and where its links lead."""

from __future__ import annotations

import time

import conftest
import probes
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

from advnb.book.ledger import ledger

pytestmark = pytest.mark.browser

FRONT = conftest.BOOK / "book" / "intro.html"
CLAIMS = ledger()


@pytest.fixture
def front(browser):
    if not FRONT.exists():
        pytest.skip(f"no built book in {conftest.BOOK}: run `make book` first")
    probes.resize(browser, probes.DESKTOP)
    return probes.visit(browser, FRONT, conftest.BOOK)


def bottom(page, selector):
    return page("return document.querySelector(arguments[0]).getBoundingClientRect().bottom", selector)


def test_the_first_screen_has_the_totals_two_ways_in_and_a_picture(front):
    ways = front.browser.find_elements(By.CSS_SELECTOR, ".advnb-ways a")
    assert [way.text for way in ways] == ["Start with the primer", "Find a claim"]
    for selector in (".advnb-ways", ".advnb-bar", ".advnb-movable .disc", ".advnb-movable .controls"):
        assert bottom(front, selector) <= 900, selector


def test_the_bar_counts_the_claims_and_leads_to_them(front):
    parts = front.browser.find_elements(By.CSS_SELECTOR, ".advnb-bar a")
    shown = {verdict: int(count) for count, verdict in (part.text.split("\n") for part in parts)}
    assert shown == CLAIMS["verdict"].value_counts().to_dict()
    first = parts[0].text.split("\n")
    parts[0].click()
    count = lambda: front.browser.find_element(By.CSS_SELECTOR, ".advnb-count").text  # noqa: E731
    probes.wait(front, lambda: count() == f"{first[0]} of {len(CLAIMS)} claims")


def test_a_finding_is_one_click_from_its_evidence(front):
    cards = front.browser.find_elements(By.CSS_SELECTOR, ".advnb-finding")
    assert len(cards) == 3
    for card in cards:
        assert card.find_element(By.TAG_NAME, "img").get_attribute("alt")
        frame, row = card.find_elements(By.CSS_SELECTOR, ".verdict a")
        assert "#claim-" in frame.get_attribute("href") and "claims.html#" in row.get_attribute("href")
    cards[0].find_elements(By.CSS_SELECTOR, ".verdict a")[0].click()
    there = "return document.querySelector('.advnb-claim:target, :target .advnb-claim, [id]:target') !== null"
    assert probes.wait(front, lambda: front(there))


def test_the_picture_moves_without_a_click_elsewhere(front):
    said = "return document.querySelector('.advnb-movable .result').textContent"
    before = front(said)
    handle = front.browser.find_element(By.CSS_SELECTOR, ".advnb-movable .handle")
    ActionChains(front.browser).drag_and_drop_by_offset(handle, -60, 90).perform()
    assert front(said) != before


def test_a_new_reader_comes_to_a_claims_evidence_in_three_clicks(front):
    """From the front page by what is written on its links; the walk takes seconds, and it is printed how many."""
    browser, start = front.browser, time.perf_counter()
    find = lambda selector: browser.find_elements(By.CSS_SELECTOR, selector)  # noqa: E731
    next(way for way in find(".advnb-ways a") if way.text == "Find a claim").click()  # the first click
    probes.wait(front, lambda: find(".advnb-filter [name=text]"))[0].send_keys("lemma a.6")
    link = "tbody tr[id]:not([hidden]) th a"
    rows = probes.wait(
        front, lambda: (shown := [a for a in find(link) if a.is_displayed()]) and len(shown) < 9 and shown
    )
    statement = rows[0].text
    rows[0].click()  # the second
    frame = probes.wait(front, lambda: find("[id^=claim-]:target"))[0]
    assert statement.split(" (")[0] in frame.text and frame.find_elements(By.CSS_SELECTOR, "strong.verdict")
    fold = frame.find_element(By.TAG_NAME, "summary")
    front("arguments[0].scrollIntoView({block: 'center'})", fold)
    fold.click()  # the third: by which condition it was judged, on which stored runs
    assert frame.find_element(By.TAG_NAME, "details").text != fold.text
    print(f"three clicks, {time.perf_counter() - start:.1f} s")
