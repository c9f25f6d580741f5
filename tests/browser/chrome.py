"""Start a headless Chromium or Chrome for the browser tests, and bring one where there is none.

Usage: python tests/browser/chrome.py

As a command, for `make test`: start the browser that is there; else the one that selenium's own manager brings; else,
as root on a system with apt-get, install what is missing and try again. It fails only where the variable CI is set:
elsewhere the browser tests are skipped and counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.selenium_manager import SeleniumManager

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = tuple(f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium"))
DEBIAN_PACKAGES = ("chromium", "chromium-driver")
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
HOW_TO_GET = f"""\
To get one, with which `make test` runs them too:
  Debian             sudo apt-get install {" ".join(DEBIAN_PACKAGES)}
  Fedora             sudo dnf install chromium chromedriver
  macOS              brew install --cask google-chrome
  Ubuntu, Windows    Chrome from https://www.google.com/chrome/ (the chromium of Ubuntu is a snap, which does not do)"""
NONE_STARTS = "no Chromium or Chrome starts"
APT_SECONDS = 900


class NoBrowser(RuntimeError):
    """Raised if no browser starts; the message says what was tried."""


def required() -> bool:
    """Whether a missing browser is a failure: it is on build machines, which set CI."""
    return bool(os.environ.get("CI"))


def not_run(count: int) -> str:
    """What to say at the end of a test run that had to skip this many browser tests."""
    return f"{count} browser {'test' if count == 1 else 'tests'} did not run: {NONE_STARTS}. {HOW_TO_GET}"


def candidates() -> Iterator[tuple[str | None, str | None]]:
    """Browser and driver, best first; in place of None selenium's manager finds or downloads what fits."""
    browser = next((found for name in (*NAMES, *MAC) if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        yield browser, driver
    if browser:
        yield browser, None
    yield None, None


def start(profile: Path) -> webdriver.Chrome:
    """Start the first candidate that starts, with its profile in an empty folder; `NoBrowser` if none does."""
    tried = []
    for browser, driver in candidates():
        options = webdriver.ChromeOptions()
        options.binary_location = browser or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            return webdriver.Chrome(options, webdriver.ChromeService(driver))
        except WebDriverException as error:
            said = str(error.msg).split("; For documentation")[0].partition("\n")[0]
            tried.append(f"{browser or 'selenium: browser'}, {driver or 'selenium: driver'}: {said}")
    raise NoBrowser(f"{NONE_STARTS} ({'; '.join(tried)})")


def check() -> None:
    """Start a browser and end it again; `NoBrowser` if none starts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        start(Path(profile)).quit()


def installations() -> Iterator[list[str]]:
    """What to ask apt-get for, one after the other, until a browser starts; nothing unless this is root with apt-get.

    Ubuntu has none of the packages; there selenium's Chrome lacks libraries only, which a file beside it lists.
    """
    if getattr(os, "geteuid", lambda: 1)() != 0 or shutil.which("apt-get") is None:
        return
    yield ["install", *DEBIAN_PACKAGES]
    try:
        downloaded = SeleniumManager().binary_paths(["--browser", "chrome"])["browser_path"]
        needed = Path(downloaded).with_name("deb.deps").read_text().splitlines()
    except (WebDriverException, OSError, KeyError):
        return
    yield ["satisfy", ", ".join(line.strip() for line in needed if line.strip())]


def apt_get(*arguments: str) -> bool:
    """Run apt-get, which asks nothing, and return whether it succeeded."""
    command = ["apt-get", "-y", "-qq", "--no-install-recommends", *arguments]
    silent = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, env=silent, timeout=APT_SECONDS).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def bring() -> None:
    """See to it that a browser starts, and install one where that is possible; `NoBrowser` if none can be had."""
    try:
        return check()
    except NoBrowser as error:
        missing = error
    for number, wanted in enumerate(installations()):
        if number == 0:
            print("No browser starts: apt-get installs one for the browser tests.", flush=True)
            apt_get("update")
        if apt_get(*wanted):
            try:
                return check()
            except NoBrowser as error:
                missing = error
    raise missing


def main() -> int:
    """Bring a browser; the exit status is 1 where it is required and cannot be had."""
    try:
        bring()
    except NoBrowser as missing:
        if required():
            print(f"The browser tests cannot run: {missing}. {HOW_TO_GET}", file=sys.stderr)
            return 1
        print(f"The browser tests will be skipped: {missing}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
