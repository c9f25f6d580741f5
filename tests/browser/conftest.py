"""One headless Chromium for the whole session, on the book as it was built.

The tests read `_build/html` (or the folder in ADVNB_BOOK) and build nothing. Where no browser starts they are skipped
and counted, and fail if CI is set; where there is no book they are skipped, and fail if ADVNB_BOOK names one.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import chrome
import pictures
import probes
import pytest
from selenium import webdriver

BOOK = Path(os.environ.get("ADVNB_BOOK", Path(__file__).resolve().parents[2] / "_build" / "html")).resolve()
NOT_PAGES = {"search.html", "genindex.html", "prf-prf.html"}
STATE = re.compile(r'<script type="application/vnd.jupyter.widget-state\+json">(.*?)</script>', re.DOTALL)


def text_of(path: Path) -> str:
    """What a page holds, even where a build is still writing it, while tests are collected that need no book."""
    return path.read_text(encoding="utf-8", errors="replace")


@functools.cache
def built_pages() -> list[Path]:
    """Every page with content, in a fixed order."""
    files = (path for path in BOOK.rglob("*.html") if path.relative_to(BOOK).parts[0][0] != "_")
    return sorted(
        path for path in files if path.name not in NOT_PAGES and 'http-equiv="refresh"' not in text_of(path).lower()
    )


@functools.cache
def shown(path: Path) -> set[str]:
    """What there is to work on a page: "sortable" tables, the widgets that its explore() offer without a kernel, and
    "live" if some are for a kernel alone.
    """
    page = text_of(path)
    found = {"sortable"} if "advnb-sortable" in page else set()
    for text in STATE.findall(page):
        models = json.loads(text)["state"]
        children = {
            name: [child.removeprefix("IPY_MODEL_") for child in model["state"].get("children", ())]
            for name, model in models.items()
        }
        for name, model in models.items():
            classes = model["state"].get("_dom_classes", ())
            found |= {"live"} if "advnb-live-only" in classes else set()
            if "advnb-controls" in classes:
                rows = [below for child in children[name] for below in (child, *children[child])]
                found |= {models[row]["model_name"].removesuffix("Model") for row in rows}
    return found


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Half as many again as there are cores: a worker waits for its browser, and that for its next frame."""
    cores = yield
    return cores + cores // 2


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each page, or for each that shows what `pytest.mark.shows` names; with none of them it fails."""
    if "page" not in metafunc.fixturenames:
        return
    wanted = {name for mark in metafunc.definition.iter_markers("shows") for name in mark.args}
    pages = built_pages()
    found = [page for page in pages if wanted <= shown(page)]
    none = [pytest.param(None, id="no page", marks=() if pages else no_book())]
    metafunc.parametrize("page", found or none, ids=name_of, indirect=True, scope="module")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of a page after each other, so that it is opened once: first what looks, then what moves its controls,
    at last what puts a foreign script into it.
    """
    order = {page: number for number, page in enumerate(built_pages())}

    def place(item: pytest.Item) -> tuple[int, bool]:
        page = item.callspec.params.get("page") if hasattr(item, "callspec") else None
        return order.get(page, -1), page is not None and item.path.name == "test_policy.py"

    places = [number for number, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    for number, item in zip(places, sorted((items[number] for number in places), key=place), strict=True):
        items[number] = item


def name_of(page: Path) -> str:
    return page.relative_to(BOOK).as_posix()


def no_book() -> list[pytest.MarkDecorator]:
    """The mark of tests that have no book to test; none if a book was named, so that they fail."""
    if "ADVNB_BOOK" in os.environ:
        return []
    return [pytest.mark.skip(reason=f"no built book in {BOOK}: run `make book` first")]


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book."""
    if not built_pages() and "ADVNB_BOOK" not in os.environ:
        pytest.skip(f"no built book in {BOOK}: run `make book` first")
    return BOOK


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A fresh browser with an empty profile."""
    try:
        driver = chrome.start(tmp_path_factory.mktemp("profile"))
    except chrome.NoBrowser as missing:
        (pytest.fail if chrome.required() else pytest.skip)(str(missing))
    driver.set_script_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def opened() -> list[probes.Visit]:
    """The page of the book that was opened last."""
    return []


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, opened: list[probes.Visit]) -> probes.Visit:
    """One page of the book, opened from disk at desktop width and finished, maybe for the tests of another module."""
    if request.param is None:
        pytest.fail(f"no page of the book in {BOOK} shows what is tested here: see `shows` in {request.node.name}")
    browser = request.getfixturevalue("browser")
    probes.resize(browser, probes.DESKTOP)
    if not (opened and opened[0].path == request.param and probes.is_open(opened[0])):
        opened[:] = [probes.visit(browser, request.param, BOOK)]
    return opened[0]


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the picture to move that the test file names as PICTURE, and the same without scripts."""
    name = request.module.PICTURE
    return pictures.write(tmp_path_factory.mktemp(name), name).parent


@pytest.fixture
def picture(browser: webdriver.Chrome, folder: Path) -> probes.Visit:
    """The page of :func:`folder`, opened from disk at desktop width."""
    probes.resize(browser, probes.DESKTOP)
    return probes.visit(browser, folder / "page.html", folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of a browser, and how to get one."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(chrome.NONE_STARTS in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(chrome.not_run(count), yellow=True)
