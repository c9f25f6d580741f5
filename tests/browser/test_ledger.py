"""The ledger of claims, written in Markdown by a tagged cell, sorts like any other table."""

from __future__ import annotations

import shutil
from pathlib import Path

import probes
import pytest
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
PAGE = """<script src="widgets.js"></script><article><div class="cell tag_sortable"><table>
<thead><tr><th><p>Statement</p></th><th><p>Seeds</p></th></tr></thead>
<tbody><tr><td><p><a href="#b">Theorem 2</a></p></td><td><p>20</p></td></tr>
<tr><td><p><a href="#a">Figure 1</a></p></td><td><p></p></td></tr>
<tr><td><p><a href="#c">Lemma 3</a></p></td><td><p>3</p></td></tr></tbody></table></div></article>"""


def test_a_tagged_markdown_table_sorts_and_keeps_its_links(browser, tmp_path):
    shutil.copy(STATIC / "widgets.js", tmp_path)
    (tmp_path / "page.html").write_text(PAGE)
    visit = probes.visit(browser, tmp_path / "page.html", tmp_path)
    assert probes.console_errors(visit) == []
    statements, seeds = browser.find_elements(By.CSS_SELECTOR, ".tag_sortable thead th button")

    def links():
        return [a.get_attribute("href")[-2:] for a in browser.find_elements(By.CSS_SELECTOR, "tbody a")]

    statements.click()
    assert links() == ["#a", "#c", "#b"]
    seeds.click()
    assert links() == ["#c", "#b", "#a"]
