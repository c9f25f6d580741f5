"""The law of the transition that a reader can move: its numbers against the book's, its points and their trials."""

from __future__ import annotations

import axe
import numpy as np
import pictures
import probes
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from advnb.papers.lazy.laws import Law
from advnb.papers.lazy.phase_transition import movable as transition

pytestmark = pytest.mark.browser

PICTURE = "transition"
CLOSE = {"rel": 1e-6, "abs": 1e-6}


@pytest.fixture(scope="module")
def points():
    return transition.measured(transition.stored())


def state(page):
    return pictures.numbers(page, "picture.state")


def handle(page):
    return page.browser.find_element(By.CSS_SELECTOR, ".handle")


def dots(page):
    return page.browser.find_elements(By.CSS_SELECTOR, ".dot")


def about(page):
    return page.browser.find_element(By.CSS_SELECTOR, ".about").get_attribute("textContent")


def agrees(page, points):
    """Compare the law at the ring and at every point with the book's."""
    now = state(page)
    law = Law(now["kappa"], now["phi"])
    here = pictures.numbers(page, "picture.budget(picture.state.c0, picture.state.d)")
    assert here == pytest.approx(float(law.relative(now["c0"], now["d"])), **CLOSE)
    assert pictures.numbers(page, "picture.points.map((p) => picture.foreseen(p))") == pytest.approx(
        law.relative(points.c0, points.d), **CLOSE
    )
    back = pictures.numbers(page, "picture.c0Of(arguments[0], picture.state.d)", here)
    assert back == pytest.approx(float(law.c0(here, now["d"])), **CLOSE)


def test_it_starts_with_the_fitted_law_and_all_measured_points(picture, points):
    assert probes.console_errors(picture) == []
    law = transition.law(transition.stored())
    assert (state(picture)["kappa"], state(picture)["phi"]) == pytest.approx(tuple(law), **CLOSE)
    assert len(dots(picture)) == len(points)
    assert pictures.numbers(picture, "picture.points.map((p) => p.budget)") == pytest.approx(points.budget, **CLOSE)
    agrees(picture, points)
    ratios = np.abs(np.log(points.budget / law.relative(points.c0, points.d)))
    assert f"{100 * (np.exp(np.sort(ratios)[(len(ratios) - 1) // 2]) - 1):.0f}% of the law" in pictures.result(picture)


@pytest.mark.parametrize("view", ["d", "C0", "law"])
def test_the_mouse_drags_the_ring_along_the_law(picture, points, view):
    pictures.option(picture, "across", view).click()
    pictures.drawn(picture)
    before = state(picture)
    ActionChains(picture.browser).drag_and_drop_by_offset(handle(picture), 40, 30).perform()
    probes.wait(picture, lambda: (state(picture)["d"], state(picture)["c0"]) != (before["d"], before["c0"]))
    agrees(picture, points)


def test_the_keyboard_moves_the_ring_and_every_slider(picture, points):
    handle(picture).send_keys(Keys.ARROW_RIGHT * 3 + Keys.ARROW_UP * 2)
    now = state(picture)
    assert now["d"] == pytest.approx(transition.START["d"] * 1.05**3) and now["c0"] > transition.START["c0"]
    assert "R* = " in handle(picture).get_attribute("aria-valuetext")
    for label, name in (("dimension d", "d"), ("C0", "c0"), ("φ, of the margin", "phi"), ("κ, of the bend", "kappa")):
        before = state(picture)[name]
        slider = pictures.field(picture, label)
        slider.send_keys(Keys.ARROW_RIGHT * 2)
        assert state(picture)[name] > before and slider.get_attribute("aria-valuetext")
    agrees(picture, points)
    picture.browser.find_element(By.XPATH, "//button[text()='Fitted constants']").send_keys(Keys.ENTER)
    law = transition.law(transition.stored())
    probes.wait(picture, lambda: state(picture)["phi"] == pytest.approx(law.phi))
    said = "return document.querySelector('.advnb-movable [role=status]').textContent"
    probes.wait(picture, lambda: picture(said) == pictures.result(picture))


def test_points_say_their_values_and_lead_to_their_trials(picture, points, folder):
    dots(picture)[0].send_keys(Keys.ARROW_RIGHT)
    picture.browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    chosen = points.iloc[2]
    probes.wait(picture, lambda: f"seed {chosen.seed}" in about(picture) and f"d = {chosen.d}" in about(picture))
    assert sum(dot.get_attribute("tabindex") == "0" for dot in dots(picture)) == 1
    ActionChains(picture.browser).move_to_element(dots(picture)[-1]).perform()
    probes.wait(picture, lambda: f"d = {points.iloc[-1].d}" in about(picture))
    assert all("stored trials" in dot.get_attribute("aria-label") for dot in dots(picture))
    for link in {dot.get_dom_attribute("href") for dot in dots(picture)}:
        file, _, anchor = link.removeprefix(folder.as_uri() + "/").partition("#")
        assert f'id="{anchor}"' in (folder / file).read_text()


def test_it_is_small_and_quick(picture, folder):
    assert pictures.kilobytes(folder, PICTURE) <= pictures.KILOBYTES
    assert pictures.frame_in_units(picture, "picture.state.c0 = 2 * 1.05 ** i") < pictures.FRAME


def test_the_pages_of_trials_are_for_everyone_too(browser, folder, points):
    if why := axe.missing():
        pytest.skip(why)
    page = probes.visit(browser, folder / "_static" / "movable" / "transition.left.html", folder)
    assert axe.violations(page, "light") == []
    assert page("return document.querySelectorAll('table caption').length") == (points.panel == "left").sum()
