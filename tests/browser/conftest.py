"""One headless Chromium for the whole session, on the book as it was built.

The tests read `_build/html` (or the folder in ADVNB_BOOK) and build nothing. Where the book or the browser is
missing they skip, unless ADVNB_REQUIRE_BROWSER=1, as in `make test`: then they fail and say what is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import probes
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

BOOK = Path(os.environ.get("ADVNB_BOOK", Path(__file__).resolve().parents[2] / "_build" / "html")).resolve()
NOT_PAGES = {"search.html", "genindex.html", "prf-prf.html"}
CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def built_pages() -> list[Path]:
    """Every page with content, in a fixed order."""
    files = (path for path in BOOK.rglob("*.html") if path.relative_to(BOOK).parts[0][0] != "_")
    return sorted(
        path
        for path in files
        if path.name not in NOT_PAGES and 'http-equiv="refresh"' not in path.read_text().lower()
    )


def has_explore(path: Path) -> bool:
    return "advnb-explore" in path.read_text()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One set of tests a page; without a book, one test that says so."""
    for fixture, wanted in (("page", lambda path: True), ("explore_page", has_explore)):
        if fixture in metafunc.fixturenames:
            pages = [path for path in built_pages() if wanted(path)] or [None]
            names = [str(path.relative_to(BOOK)) if path else "no page" for path in pages]
            metafunc.parametrize(fixture, pages, ids=names, indirect=True, scope="module")


def missing(what: str) -> None:
    if os.environ.get("ADVNB_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


def binary() -> str | None:
    mac = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium")]
    return next((found for name in (*CHROMES, *mac) if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A fresh browser with an empty profile."""
    chrome = binary()
    if chrome is None:
        missing("no Chromium or Chrome on PATH: see tests/find_chromium.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = chrome or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:  # without a driver on PATH, selenium looks for one that fits the browser
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    except WebDriverException as error:
        missing(f"{chrome} did not start: {error.msg}")
    driver.set_script_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, browser: webdriver.Chrome) -> probes.Visit:
    """One page of the book, opened from disk at desktop width and finished."""
    if request.param is None:
        missing(f"no built page in {BOOK}: run `make book` first")
    probes.resize(browser, 1280)
    return probes.visit(browser, request.param, BOOK)


@pytest.fixture(scope="module")
def explore_page(request: pytest.FixtureRequest, browser: webdriver.Chrome) -> probes.Visit:
    """One page of the book that has an explore() on it."""
    if request.param is None:
        missing(f"no built page with an explore() in {BOOK}: run `make book` first")
    probes.resize(browser, 1280)
    return probes.visit(browser, request.param, BOOK)
