"""A sortable table sorts by number where there are numbers, both ways, and is worked from the keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import probes
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from advnb.book import figures

pytestmark = pytest.mark.browser

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
FRAME = pd.DataFrame({"attack": ["PGD", "cw", "FGSM", "none"], "accuracy": [0.5, 10.0, 9.0, None]})


@pytest.fixture
def table(browser, tmp_path):
    shutil.copy(STATIC / "widgets.js", tmp_path)
    page = figures.table(FRAME, index=False, sortable=True)._repr_html_()
    (tmp_path / "page.html").write_text(f"<script src='widgets.js'></script><article>{page}</article>")
    visit = probes.visit(browser, tmp_path / "page.html", tmp_path)
    assert probes.console_errors(visit) == []
    return browser.find_element(By.CSS_SELECTOR, "table.advnb-sortable")


def column(table, i):
    return [row.find_elements(By.TAG_NAME, "td")[i].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]


def test_a_column_of_numbers_sorts_by_size(table):
    heading = table.find_elements(By.CSS_SELECTOR, "thead th")[1]
    button = heading.find_element(By.TAG_NAME, "button")
    button.click()
    assert column(table, 1) == ["0.5", "9", "10", ""]
    assert column(table, 0) == ["PGD", "FGSM", "cw", "none"]
    assert heading.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert column(table, 1) == ["10", "9", "0.5", ""]
    assert heading.get_attribute("aria-sort") == "descending"


def test_a_column_of_words_sorts_by_letter(table):
    words, numbers = table.find_elements(By.CSS_SELECTOR, "thead th")
    numbers.find_element(By.TAG_NAME, "button").click()
    words.find_element(By.TAG_NAME, "button").click()
    assert column(table, 0) == ["cw", "FGSM", "none", "PGD"]
    assert numbers.get_attribute("aria-sort") is None


def test_columns_of_words_are_marked_also_where_a_cell_spans_rows(browser, tmp_path):
    shutil.copy(STATIC / "widgets.js", tmp_path)
    index = pd.MultiIndex.from_product([["MNIST", "CIFAR-10"], ["ours", "theirs"]], names=["data", "way"])
    frame = pd.DataFrame({"ratio": ["1.0 [0.9, 1.1]", "2", "", "3"], "why": ["", "loops", "copies", ""]}, index=index)
    (tmp_path / "page.html").write_text(f"<script src='widgets.js'></script>{figures.table(frame)._repr_html_()}")
    probes.visit(browser, tmp_path / "page.html", tmp_path)
    marked = {cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "table .words")} - {""}
    assert marked == {"data", "way", "why", "MNIST", "CIFAR-10", "ours", "theirs", "loops", "copies"}
    numbers = {cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "table td.numbers")} - {""}
    assert numbers == {"1.0 [0.9, 1.1]", "2", "3"}


@pytest.mark.shows("sortable")
def test_the_tables_of_the_book_sort(page):
    page("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
    tables = page.browser.find_elements(By.CSS_SELECTOR, "table.advnb-sortable")
    assert tables
    for table in tables:
        heading = table.find_element(By.CSS_SELECTOR, "thead tr:last-child th")
        page("arguments[0].scrollIntoView({block: 'center'})", heading)
        heading.find_element(By.TAG_NAME, "button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
