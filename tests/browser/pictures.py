"""Pages with one picture that a reader can move, as the build makes them, and what to ask of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import movable
import probes
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
THEME = """:root { --pst-color-background: #fff; --pst-color-text-base: #222832; --pst-color-text-muted: #48566b;
--pst-color-primary: #0a7d91; --pst-color-accent: #8045e5; --pst-color-border: #d1d5da } html[data-theme="dark"] {
--pst-color-background: #14181e; --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af; background: #14181e;
color: #ced6dd } body { font: 16px sans-serif; margin: 1rem; max-width: 44rem }
.visually-hidden { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px }"""
FRAME = 3.2
"""At most so long, in the units of ``frame_in_units``: 16 ms where a million exponentials take 5 ms, as they do on two
cores of 2020. Measured are 0.1 (one step), 0.3 (the transition) and 1.6 (the landscape, at its widest network)."""

SENTENCE = "A sentence for those who see no picture."
KILOBYTES = 150


def write(folder: Path, name: str) -> Path:
    """Write a page with a picture and its files into a folder, and the same without scripts; return the page."""
    target = folder / "_static" / "movable"
    shutil.copytree(STATIC / "movable", target)
    movable.write(target, name)
    place = f'<div class="advnb-movable" data-picture="{name}">{SENTENCE}</div>'
    body = f"<main><h1>Picture</h1>{movable.framed(place, '_static')}</main>"
    sources = movable.scripts([name])
    tags = "".join(f'<script defer src="_static/{source}"></script>' for source in sources)
    for file, head in {"page": tags, "plain": ""}.items():
        text = (
            '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Picture</title>'
            '<meta name="viewport" content="width=device-width">'
            f'<link rel="stylesheet" href="_static/movable/movable.css"><style>{THEME}</style>{head}<body>{body}'
        )
        (folder / f"{file}.html").write_text(text, encoding="utf-8")
    return folder / "page.html"


def kilobytes(folder: Path, name: str) -> float:
    """What a page loads for its picture: scripts, numbers and style."""
    files = [f"_static/{source}" for source in movable.scripts([name])] + ["_static/movable/movable.css"]
    return sum((folder / file).stat().st_size for file in files) / 1000


def field(page: probes.Visit, label: str) -> WebElement:
    """The slider with this label."""
    return page.browser.find_element(By.XPATH, f"//label[text()='{label}']/following-sibling::input")


def option(page: probes.Visit, legend: str, text: str) -> WebElement:
    """One of the buttons under a legend."""
    where = f"//fieldset[legend='{legend}']//label[span='{text}']/input"
    return page.browser.find_element(By.XPATH, where)


def numbers(page: probes.Visit, expression: str, *arguments: object) -> object:
    """What the picture computes, in full: ``expression`` is in JavaScript and may use ``picture``."""
    code = "const picture = document.querySelector('.advnb-movable').picture; return " + expression
    return page.browser.execute_script(code, *arguments)


def drawn(page: probes.Visit) -> None:
    """Wait until what was asked for is drawn: a picture draws once a frame, and a handle lies where it was drawn."""
    page.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def result(page: probes.Visit) -> str:
    """What the picture says of itself."""
    return page.browser.find_element(By.CSS_SELECTOR, ".advnb-movable .result").get_attribute("textContent") or ""


def frame_in_units(page: probes.Visit, prepare: str = "") -> float:
    """The median time of a frame over that of a million exponentials: much the same on a slow and on a busy machine.

    ``prepare`` changes the picture before each frame, from the number ``i`` of it.
    """
    code = """
    const picture = document.querySelector(".advnb-movable").picture;
    const time = (act) => { const start = performance.now(); act(); return performance.now() - start; };
    const unit = () => { let sum = 0; for (let i = 0; i < 1e6; i++) sum += Math.exp(-(i % 97) / 9); return sum; };
    const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    const once = (_, i) => { PREPARE; return [time(() => picture.frame()), time(unit)]; };
    const pairs = Array.from({ length: 45 }, once).slice(5);
    return [median(pairs.map((p) => p[0])), median(pairs.map((p) => p[1])), median(pairs.map(([a, b]) => a / b))];
    """.replace("PREPARE", prepare)
    frame, unit, ratio = page.browser.execute_script(code)
    print(f"{frame:.2f} ms a frame, {unit:.2f} ms for a million exponentials")
    return float(ratio)
