"""Every explore() of the built book, moved by hand: the picture follows, with no kernel behind it."""

from __future__ import annotations

import probes
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

pytestmark = pytest.mark.browser


def explores(page):
    found = page.browser.find_elements(By.CSS_SELECTOR, ".advnb-explore")
    assert found
    return found


def all_of(page, selector):
    """(explore, control) for each control that a static page offers."""
    for explore in explores(page):
        for control in explore.find_elements(By.CSS_SELECTOR, f".advnb-controls {selector}"):
            page("arguments[0].scrollIntoView({block: 'center'})", explore)
            yield explore, control


def text_of(slider):
    return slider.find_element(By.CSS_SELECTOR, ".widget-readout").text


def test_sliders_follow_the_keyboard(explore_page):
    for explore, slider in all_of(explore_page, ".widget-slider"):
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


def test_sliders_follow_the_mouse(explore_page):
    for explore, slider in all_of(explore_page, ".widget-slider"):
        handle = slider.find_element(By.CSS_SELECTOR, "[role=slider]")
        handle.send_keys(Keys.HOME)
        before = text_of(slider), probes.picture(explore)
        track = slider.find_element(By.CSS_SELECTOR, ".noUi-target")
        ActionChains(explore_page.browser).drag_and_drop_by_offset(handle, track.size["width"], 0).perform()
        assert text_of(slider) != before[0]
        handle.send_keys(Keys.HOME)
        assert (text_of(slider), probes.picture(explore)) == before


def test_menus_change_the_picture(explore_page):
    for explore, menu in all_of(explore_page, "select"):
        select = Select(menu)
        seen = set()
        for option in range(len(select.options)):
            select.select_by_index(option)
            seen.add(probes.picture(explore))
        assert len(seen) > 1


def test_buttons_change_the_picture(explore_page):
    for explore, group in all_of(explore_page, ".widget-toggle-buttons"):
        seen = set()
        for button in group.find_elements(By.TAG_NAME, "button"):
            button.send_keys(Keys.ENTER)
            seen.add(probes.picture(explore))
            WebDriverWait(explore_page.browser, 2).until(
                lambda _, b=button: b.get_attribute("aria-pressed") == "true"
            )
        assert len(seen) > 1


def test_play_plays(explore_page):
    for explore, play in all_of(explore_page, ".widget-play"):
        slider = play.find_element(By.XPATH, "./following-sibling::*")
        slider.find_element(By.CSS_SELECTOR, "[role=slider]").send_keys(Keys.HOME)
        before = probes.picture(explore)
        start, stop = play.find_elements(By.TAG_NAME, "button")[:2]
        start.click()
        changed = lambda _, e=explore, b=before: probes.picture(e) != b  # noqa: E731
        WebDriverWait(explore_page.browser, 5, 0.05).until(changed)
        stop.click()


def test_the_page_does_not_jump(explore_page):
    for explore, slider in all_of(explore_page, ".widget-slider"):
        height = explore.size["height"]
        slider.find_element(By.CSS_SELECTOR, "[role=slider]").send_keys(Keys.END)
        probes.picture(explore)
        assert explore.size["height"] == height


def test_what_needs_a_kernel_is_not_offered(explore_page):
    hidden = explore_page.browser.find_elements(By.CSS_SELECTOR, ".advnb-live-only > *")
    assert not any(element.is_displayed() for element in hidden)
    controls = "return [...document.querySelectorAll('.widget-interact > :not(.widget-output)')]"
    assert all(explore_page(f"{controls}.map((e) => e.inert)"))
