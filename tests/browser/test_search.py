"""The search: who looks for a statement by its name is led to the place that states it."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("Lemma 4.2", "#lazy-lemma-4-2"),
        ("Lemma A.3", "dynamics/lemmas.html#"),
        ("FOSC", "#convergence-fosc"),
        ("phase transition", "lazy/phase_transition.html"),
        ("Theorem 5.1", "#dyn-theorem-5-1"),
        ("lazy regime", "#lazy-regime"),
        ("Table 2", "#claim-table-2"),
    ],
)
def test_a_search_leads_to_the_statement(book, browser, words, place):
    browser.get(f"{(book / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    found = WebDriverWait(browser, 10, 0.05).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))
    assert place in found[0].get_attribute("href")
