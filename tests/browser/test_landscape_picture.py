"""The landscape that a reader can move: by mouse, finger and keyboard, and its numbers against the book's own."""

from __future__ import annotations

import math

import pictures
import probes
import pytest
import torch
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from advnb.papers.dynamics import circle_points
from advnb.papers.dynamics.landscape import movable as landscape

pytestmark = pytest.mark.browser

PICTURE = "landscape"
CLOSE = {"rel": 1e-6, "abs": 1e-6}


@pytest.fixture
def picture(browser, picture):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    yield picture
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def handle(page):
    return page.browser.find_element(By.CSS_SELECTOR, ".handle")


def state(page):
    return pictures.numbers(page, "picture.state")


def settled(page, **wanted):
    """Wait for the next frame, after which the picture has these values; then return its whole state."""

    def there():
        now = state(page)
        return all(now[name] == value for name, value in wanted.items()) and now

    found = probes.wait(page, there)
    pictures.drawn(page)
    return found


def agrees(page):
    """Compare loss, path and critical points with the book's functions, for what the page shows now."""
    now = state(page)
    shown = landscape.problem(*(now[name] for name in ("m", "seed", "eps", "y", "sign")))
    places = [[0.0, 0.0], [0.3, -0.2], [-0.6, 0.7], [0.0, 1.0]]
    where = [[c * now["eps"] for c in place] for place in places]
    losses = pictures.numbers(page, "arguments[0].map((p) => window.advnbNetwork.loss(picture.problem, ...p))", where)
    assert losses == pytest.approx(shown.objective(torch.tensor(where, dtype=torch.float64)).tolist(), **CLOSE)
    path = landscape.attack(shown, now["at"])
    assert pictures.numbers(page, "picture.ending.end") == pytest.approx(path.end[0].tolist(), **CLOSE)
    assert pictures.numbers(page, "picture.ending.value") == pytest.approx(float(path.value[-1]), **CLOSE)
    points = circle_points(shown)
    assert pictures.numbers(page, "picture.points.map((p) => p.theta)") == pytest.approx(points.theta.tolist(), **CLOSE)
    assert pictures.numbers(page, "picture.points.map((p) => p.minimum)") == points.minimum.tolist()
    assert pictures.numbers(page, "picture.points.map((p) => p.value)") == pytest.approx(points.value.tolist(), **CLOSE)
    assert pictures.result(page).startswith(f"{points.minima} local minim")


def test_it_starts_with_the_books_numbers(picture):
    assert probes.console_errors(picture) == [] and probes.external_requests(picture) == []
    assert state(picture) == landscape.START
    agrees(picture)


@pytest.mark.parametrize("m", landscape.WIDTHS)
@pytest.mark.parametrize("eps", [0.1, 2.0, 20.0, 100.0])
def test_numbers_agree_over_the_range_of_the_controls(picture, m, eps):
    for seed, y, sign in ((0, 1.0, -1.0), (7, -2.5, 1.0), (19, 0.0, -1.0)):
        values = {"m": m, "eps": eps, "seed": seed, "y": y, "sign": sign}
        pictures.numbers(picture, "Object.assign(picture.state, arguments[0]) && picture.frame()", values)
        agrees(picture)


def test_the_mouse_drags_the_start(picture):
    before = pictures.result(picture)
    ActionChains(picture.browser).drag_and_drop_by_offset(handle(picture), -90, 60).perform()
    now = settled(picture)
    assert now["at"][0] < 0 and now["at"][1] < landscape.START["at"][1]
    assert pictures.result(picture) != before
    agrees(picture)


def test_the_start_stays_in_the_ball(picture):
    ActionChains(picture.browser).drag_and_drop_by_offset(handle(picture), 400, 300).perform()
    assert math.hypot(*settled(picture)["at"]) == pytest.approx(1)
    agrees(picture)


def test_a_finger_drags_the_start(picture):
    box = picture(
        "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]",
        handle(picture),
    )
    x, y = box
    for kind, dx in (("touchStart", 0), ("touchMove", -40), ("touchMove", -100)):
        picture.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x + dx, "y": y}]}
        )
    picture.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert settled(picture)["at"][0] < 0
    agrees(picture)


def test_the_keyboard_moves_everything_and_the_result_is_said(picture):
    picture("document.querySelector('.advnb-movable').scrollIntoView()")
    handle(picture).send_keys(Keys.ARROW_LEFT * 10 + Keys.ARROW_DOWN * 5)
    at = settled(picture)["at"]
    assert at == pytest.approx([landscape.START["at"][0] - 0.2, landscape.START["at"][1] - 0.1])
    assert "right" in handle(picture).get_attribute("aria-valuetext")
    for label, name in (("radius ε", "eps"), ("target y", "y"), ("network", "seed")):
        before = state(picture)[name]
        slider = pictures.field(picture, label)
        slider.send_keys(Keys.ARROW_RIGHT)
        probes.wait(picture, lambda name=name, before=before: state(picture)[name] > before)
        assert slider.get_attribute("aria-valuetext")
    pictures.option(picture, "width m", "16").send_keys(Keys.ARROW_RIGHT)
    pictures.option(picture, "minimised", "L = −(y − f)²").send_keys(Keys.ARROW_RIGHT)
    settled(picture, m=32, sign=1)
    agrees(picture)
    said = "return document.querySelector('.advnb-movable [role=status]').textContent"
    probes.wait(picture, lambda: picture(said) == pictures.result(picture))


def test_buttons_follow_the_mouse(picture):
    pictures.option(picture, "width m", "64").click()
    settled(picture, m=64)
    picture.browser.find_element(By.XPATH, "//button[text()='Random start']").click()
    assert settled(picture)["at"] != landscape.START["at"]
    agrees(picture)


def test_pictures_say_what_they_show(picture):
    said = picture(
        "return [...document.querySelectorAll('.advnb-movable canvas')].map((c) => c.getAttribute('aria-label'))"
    )
    assert all("local minim" in text for text in said) and pictures.result(picture) in said[0]


def test_it_is_small_and_quick(picture, folder):
    assert pictures.kilobytes(folder, PICTURE) <= pictures.KILOBYTES
    pictures.numbers(picture, "Object.assign(picture.state, { m: 64 })")
    assert pictures.frame_in_units(picture, "picture.state.eps = 10 * 1.05 ** (i % 40)") < pictures.FRAME
