"""One step that a reader can move: drawn on, trained further, taken; its numbers against the book's exact flip."""

from __future__ import annotations

import math

import pictures
import probes
import pytest
import torch
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from advnb.flip import minimal_flip
from advnb.papers.lazy.one_step import movable as one_step
from advnb.papers.lazy.ray import along

pytestmark = pytest.mark.browser

PICTURE = "step"
CLOSE = {"rel": 1e-6, "abs": 1e-6}


@pytest.fixture(scope="module")
def nets():
    return one_step.networks()


def state(page):
    return pictures.numbers(page, "picture.state")


def cells(page):
    return page.browser.find_elements(By.CSS_SELECTOR, ".board button")


def handle(page):
    return page.browser.find_element(By.CSS_SELECTOR, ".handle")


def button(page, text):
    return page.browser.find_element(By.XPATH, f"//button[text()='{text}']")


def agrees(page, nets):
    """Compare f, the gradient, the flip and f along the step with the book's, on the digit that is shown."""
    net = nets[state(page)["c0"]]
    x = one_step.example(torch.tensor([pictures.numbers(page, "picture.greys")]))
    f, gradient = net.value_and_gradient(x)
    assert pictures.numbers(page, "picture.f") == pytest.approx(float(f), **CLOSE)
    assert pictures.numbers(page, "picture.slope") == pytest.approx(float(gradient.norm()), **CLOSE)
    flip = float(minimal_flip(net, x, direction="descent").norm)
    shown = pictures.numbers(page, "picture.flip")
    assert shown == pytest.approx(flip, **CLOSE) if math.isfinite(flip) else shown is None
    lengths = [0.0, 0.5, 1.7, state(page)["length"], 8.0]
    expected = f.sign() * along(net, x, torch.tensor(lengths, dtype=torch.float64) / one_step.D**0.5)
    assert pictures.numbers(page, "arguments[0].map((length) => picture.at(length))", lengths) == pytest.approx(
        expected.tolist(), **CLOSE
    )


def test_it_starts_with_the_books_numbers(picture, nets):
    assert probes.console_errors(picture) == [] and state(picture) == one_step.START
    agrees(picture, nets)


@pytest.mark.parametrize("c0", [0.0, *one_step.RADII])
def test_every_image_agrees_in_every_network(picture, nets, c0):
    pictures.option(picture, "training", f"C0 = {c0:g}" if c0 else "start").click()
    probes.wait(picture, lambda: state(picture)["c0"] == c0)
    slider = pictures.field(picture, "image")
    for image in range(2 * one_step.IMAGES):
        probes.wait(picture, lambda image=image: state(picture)["image"] == image)
        picture.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        agrees(picture, nets)
        slider.send_keys(Keys.ARROW_RIGHT)


def test_the_mouse_drags_the_step_and_the_button_takes_it_over_the_flip(picture, nets):
    ActionChains(picture.browser).drag_and_drop_by_offset(handle(picture), 60, 0).perform()
    assert state(picture)["length"] > one_step.START["length"] + 0.5
    button(picture, "Step to the flip").click()
    probes.wait(picture, lambda: "now" in pictures.result(picture))
    f, end = pictures.numbers(picture, "[picture.f, picture.at(picture.state.length)]")
    assert f * end <= 0 and abs(end) < 1e-3
    agrees(picture, nets)


def test_the_keyboard_moves_the_step_and_the_result_is_said(picture):
    handle(picture).send_keys(Keys.ARROW_RIGHT * 4)
    assert state(picture)["length"] == pytest.approx(one_step.START["length"] + 0.2)
    pictures.field(picture, "step × √d").send_keys(Keys.HOME)
    probes.wait(picture, lambda: state(picture)["length"] == 0)
    said = "return document.querySelector('.advnb-movable [role=status]').textContent"
    probes.wait(picture, lambda: picture(said) == pictures.result(picture))


def test_one_draws_with_the_mouse(picture, nets):
    before = pictures.numbers(picture, "picture.greys")
    pen = ActionChains(picture.browser).move_to_element(cells(picture)[0]).click_and_hold()
    pen.move_to_element(cells(picture)[1]).move_to_element(cells(picture)[2]).release().perform()
    now = probes.wait(picture, lambda: (g := pictures.numbers(picture, "picture.greys")) != before and g)
    assert now[:3] == [one_step.GREYS] * 3 and now[8:] == before[8:]
    picture.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    agrees(picture, nets)
    button(picture, "Image again").click()
    probes.wait(picture, lambda: pictures.numbers(picture, "picture.greys") == before)


def test_one_draws_with_the_keyboard(picture, nets):
    assert sum(cell.get_attribute("tabindex") == "0" for cell in cells(picture)) == 1
    cells(picture)[0].send_keys(Keys.ARROW_DOWN)
    picture.browser.switch_to.active_element.send_keys(Keys.SPACE)
    cell = picture.browser.switch_to.active_element
    probes.wait(picture, lambda: cell.get_attribute("aria-label").startswith("row 2, column 1: 16"))
    assert pictures.numbers(picture, "picture.greys")[8] == one_step.GREYS
    agrees(picture, nets)


def test_an_empty_board_says_so(picture):
    button(picture, "Clear the digit").click()
    probes.wait(picture, lambda: pictures.result(picture) == "There is no digit: draw one.")
    assert probes.console_errors(picture) == []


def test_it_is_small_and_quick(picture, folder):
    assert pictures.kilobytes(folder, PICTURE) <= pictures.KILOBYTES
    assert pictures.frame_in_units(picture, "picture.state.length = i / 8") < pictures.FRAME
