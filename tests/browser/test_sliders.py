"""Every explore() of the built book, moved by hand: the picture follows, with no kernel behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

import probes
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"


def all_of(page, selector):
    """(explore, control) for each control of a kind that a static page offers, of which there must be one."""
    explores = page.browser.find_elements(By.CSS_SELECTOR, ".advnb-explore")
    pairs = [
        (explore, control)
        for explore in explores
        for control in explore.find_elements(By.CSS_SELECTOR, f".advnb-controls {selector}")
    ]
    assert pairs, f"{len(explores)} explore() and no {selector}"
    for explore, control in pairs:
        page("arguments[0].scrollIntoView({block: 'center'})", explore)
        yield explore, control


def text_of(slider):
    return slider.find_element(By.CSS_SELECTOR, ".widget-readout").text


@pytest.mark.shows("SelectionSlider")
def test_sliders_follow_the_keyboard(page):
    for explore, slider in all_of(page, ".widget-slider"):
        handle = slider.find_element(By.CSS_SELECTOR, "[role=slider]")
        handle.send_keys(Keys.HOME)
        seen = {text_of(slider): probes.picture(explore)}
        for _ in range(60):
            before = text_of(slider)
            handle.send_keys(Keys.ARROW_RIGHT)
            if text_of(slider) == before:
                break
            seen[text_of(slider)] = probes.picture(explore)
        assert len(seen) > 1
        assert len(set(seen.values())) > 1, f"{slider.text}: {len(seen)} positions and one picture"
        assert handle.get_attribute("aria-valuetext") == text_of(slider)
        handle.send_keys(Keys.HOME)
        assert seen[text_of(slider)] == probes.picture(explore)


@pytest.mark.shows("SelectionSlider")
def test_sliders_follow_the_mouse(page):
    for explore, slider in all_of(page, ".widget-slider"):
        handle = slider.find_element(By.CSS_SELECTOR, "[role=slider]")
        handle.send_keys(Keys.HOME)
        before = text_of(slider), probes.picture(explore)
        track = slider.find_element(By.CSS_SELECTOR, ".noUi-target")
        ActionChains(page.browser).drag_and_drop_by_offset(handle, track.size["width"], 0).perform()
        assert text_of(slider) != before[0]
        handle.send_keys(Keys.HOME)
        assert (text_of(slider), probes.picture(explore)) == before


@pytest.mark.shows("ToggleButtons")
def test_buttons_change_the_picture(page):
    for explore, group in all_of(page, ".widget-toggle-buttons"):
        seen = set()
        for button in group.find_elements(By.TAG_NAME, "button"):
            button.send_keys(Keys.ENTER)
            seen.add(probes.picture(explore))
            WebDriverWait(page.browser, 2).until(lambda _, b=button: b.get_attribute("aria-pressed") == "true")
        assert len(seen) > 1


@pytest.mark.shows("Play")
def test_play_plays(page):
    for explore, play in all_of(page, ".widget-play"):
        control = play.find_element(By.XPATH, "./following-sibling::*")
        if handles := control.find_elements(By.CSS_SELECTOR, "[role=slider]"):
            handles[0].send_keys(Keys.HOME)
        else:
            control.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        page("arguments[0].scrollIntoView({block: 'center'})", play)
        before = probes.picture(explore)
        start, stop = play.find_elements(By.TAG_NAME, "button")[:2]
        start.click()
        changed = lambda _, e=explore, b=before: probes.picture(e) != b  # noqa: E731
        WebDriverWait(page.browser, 5, 0.05).until(changed)
        stop.click()


@pytest.mark.shows("SelectionSlider")
def test_what_a_slider_has_changed_is_announced(page):
    said = "return arguments[0].querySelector(':scope > [aria-live=polite]')?.textContent"
    for explore, slider in all_of(page, ".widget-slider"):
        handle = slider.find_element(By.CSS_SELECTOR, "[role=slider]")
        for key in (Keys.END, Keys.HOME):
            handle.send_keys(key)
            address = probes.picture(explore)
            alt = page("return arguments[0].querySelector(`img[src='${arguments[1]}']`).alt", explore, address)
            WebDriverWait(page.browser, 3, 0.1).until(lambda _, e=explore, a=alt: page(said, e) == a)


@pytest.mark.shows("SelectionSlider")
def test_the_page_does_not_jump(page):
    for explore, slider in all_of(page, ".widget-slider"):
        height = explore.size["height"]
        slider.find_element(By.CSS_SELECTOR, "[role=slider]").send_keys(Keys.END)
        probes.picture(explore)
        assert explore.size["height"] == height


@pytest.mark.shows("live")
def test_what_needs_a_kernel_is_not_offered(page):
    hidden = page.browser.find_elements(By.CSS_SELECTOR, ".advnb-live-only > *")
    assert hidden and not any(element.is_displayed() for element in hidden)


INTERACT = """<!doctype html><html lang="en"><title>T</title><body>
<script src="widgets.js"></script><script type="application/vnd.jupyter.widget-state+json">{}</script>
<div class="widget-interact"><div id="control"></div><div id="picture" class="widget-output"></div></div>"""


def test_what_interact_shows_stays_and_its_controls_are_retired(browser, tmp_path):
    """No page of the book uses `interact`; a reader's notebook may."""
    shutil.copy(STATIC / "widgets.js", tmp_path)
    (tmp_path / "page.html").write_text(INTERACT)
    visit = probes.visit(browser, tmp_path / "page.html", tmp_path)
    inert = "return ['control', 'picture'].map((name) => document.getElementById(name).inert)"
    WebDriverWait(browser, 5, 0.02).until(lambda _: visit(inert) == [True, False])
