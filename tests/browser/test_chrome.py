"""Which browser the tests take, how they bring one, and what they say without; on machines that are made up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import chrome
import pytest
from selenium.common.exceptions import NoSuchDriverException, SessionNotCreatedException

HERE = Path(__file__).resolve().parent
BROKEN = SessionNotCreatedException("This version of ChromeDriver only supports Chrome version 99\nand more")
OFFLINE = NoSuchDriverException("Unable to obtain driver for chrome")


class Machine:
    """A machine on which the pairs in `starts` start; apt-get adds to them what `packages` promises."""

    def __init__(self):
        self.path = {"apt-get": "/usr/bin/apt-get"}
        self.starts = set()
        self.packages = {}
        self.tried, self.asked, self.quits = [], [], 0
        self.download = None

    def chrome(self, options, service):
        pair = options.binary_location or None, service.path or None
        self.tried.append(pair)
        if pair not in self.starts:
            raise BROKEN if all(pair) else OFFLINE
        return SimpleNamespace(quit=self.quit)

    def quit(self):
        self.quits += 1

    def run(self, command, *, env, timeout):
        assert env["DEBIAN_FRONTEND"] == "noninteractive" and timeout <= 900
        self.asked.append([word for word in command if not word.startswith("-")])
        new = self.packages.get(self.asked[-1][1], "nothing has to be installed")
        if isinstance(new, Exception):
            raise new
        if isinstance(new, tuple):
            self.starts.add(new)
            self.path |= {"chromium": new[0], "chromedriver": new[1]} if all(new) else {}
        return SimpleNamespace(returncode=0 if new else 100)

    def binary_paths(self, arguments):
        if self.download is None:
            raise OFFLINE
        return {"browser_path": str(self.download)}


@pytest.fixture
def machine(monkeypatch):
    """Root on Debian, without a browser and without a network."""
    one = Machine()
    monkeypatch.setattr(chrome.shutil, "which", lambda name: one.path.get(name))
    monkeypatch.setattr(chrome.webdriver, "Chrome", one.chrome)
    monkeypatch.setattr(chrome.subprocess, "run", one.run)
    monkeypatch.setattr(chrome, "SeleniumManager", lambda: one)
    monkeypatch.setattr(chrome.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.delenv("CI", raising=False)
    return one


DEBIAN = ("/usr/bin/chromium", "/usr/bin/chromedriver")


def test_the_browser_that_is_there_is_taken(machine):
    machine.path |= {"google-chrome": "/opt/chrome", "chromedriver": "/opt/driver"}
    machine.starts = {("/opt/chrome", "/opt/driver"), (None, None)}
    chrome.bring()
    assert machine.tried == [("/opt/chrome", "/opt/driver")]
    assert machine.asked == [] and machine.quits == 1


def test_selenium_brings_the_driver_of_a_browser_that_has_none(machine):
    machine.path["chromium"] = "/snap/chromium"
    machine.starts = {("/snap/chromium", None)}
    chrome.bring()
    assert machine.tried == [("/snap/chromium", None)] and machine.asked == []


def test_a_pair_that_does_not_start_gives_way_to_what_selenium_brings(machine):
    machine.path |= {"chromium": "/stub", "chromedriver": "/old"}
    machine.starts = {(None, None)}
    chrome.bring()
    assert machine.tried == [("/stub", "/old"), ("/stub", None), (None, None)] and machine.asked == []


def test_root_on_debian_installs_the_packages(machine, capsys):
    machine.packages = {"install": DEBIAN}
    chrome.bring()
    assert machine.asked == [["apt-get", "update"], ["apt-get", "install", "chromium", "chromium-driver"]]
    assert machine.tried[-1] == DEBIAN and machine.quits == 1
    assert "apt-get installs one" in capsys.readouterr().out


def test_root_on_ubuntu_installs_the_libraries_of_the_chrome_that_selenium_brings(machine, tmp_path):
    (tmp_path / "deb.deps").write_text("libnss3 (>= 2:3.35)\nlibgbm1\n\n")
    machine.download = tmp_path / "chrome"
    machine.packages = {"install": None, "satisfy": (None, None)}
    chrome.bring()
    assert machine.asked[1:] == [
        ["apt-get", "install", "chromium", "chromium-driver"],
        ["apt-get", "satisfy", "libnss3 (>= 2:3.35), libgbm1"],
    ]
    assert machine.quits == 1


@pytest.mark.parametrize("fault", [None, subprocess.TimeoutExpired("apt-get", 900), FileNotFoundError()])
def test_packages_that_cannot_be_had_leave_no_browser(machine, fault):
    machine.packages = {"install": fault}
    with pytest.raises(chrome.NoBrowser, match=r"no Chromium or Chrome starts \(selenium: browser, selenium: dr"):
        chrome.bring()
    assert len(machine.asked) == 2


def test_a_package_that_does_not_start_leaves_no_browser(machine):
    machine.path |= {"chromium": "/stub", "chromedriver": "/old"}
    with pytest.raises(chrome.NoBrowser) as raised:
        chrome.bring()
    assert "/stub, /old: This version of ChromeDriver only supports Chrome version 99;" in str(raised.value)
    assert "and more" not in str(raised.value)


@pytest.mark.parametrize("who", ["not root", "no apt-get", "windows"])
def test_others_are_not_asked_to_install(machine, monkeypatch, who):
    if who == "not root":
        monkeypatch.setattr(chrome.os, "geteuid", lambda: 1000, raising=False)
    elif who == "windows":
        monkeypatch.delattr(chrome.os, "geteuid", raising=False)
    else:
        del machine.path["apt-get"]
    with pytest.raises(chrome.NoBrowser):
        chrome.bring()
    assert machine.asked == []


def test_without_a_browser_make_test_goes_on(machine, capsys):
    assert chrome.main() == 0
    assert "The browser tests will be skipped: no Chromium or Chrome starts" in capsys.readouterr().err


def test_without_a_browser_a_build_machine_fails_and_is_told_how_to_get_one(machine, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    assert chrome.main() == 1
    said = capsys.readouterr().err
    assert "The browser tests cannot run: no Chromium" in said and "apt-get install chromium" in said


def test_with_a_browser_nothing_is_said(machine, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    machine.starts = {(None, None)}
    assert chrome.main() == 0
    assert capsys.readouterr() == ("", "")


def test_what_did_not_run_is_counted():
    assert chrome.not_run(1).startswith("1 browser test did not run: no Chromium or Chrome starts. To get one")
    assert chrome.not_run(238).startswith("238 browser tests did not run")


# The tests themselves, run on a machine without a browser and on books that lack what they test


@pytest.fixture
def without_a_browser(tmp_path, monkeypatch):
    """An environment in which no browser can be found or downloaded."""
    manager = tmp_path / "selenium-manager"
    manager.write_text("#!/bin/sh\nexit 1\n")
    manager.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SE_MANAGER_PATH", str(manager))
    monkeypatch.delenv("CI", raising=False)


def browser_tests(*arguments):
    """Run some of the tests beside this file, with the fixtures beside it; return the exit status and what was said.

    Without the plugins that they do not use: nbval and hypothesis take seconds to be imported.
    """
    options = ["-q", "-p", "no:cacheprovider", f"--confcutdir={HERE}", "-o", "addopts=-ra --strict-markers"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300, env=alone)
    return done.returncode, done.stdout + done.stderr


needs_posix = pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="the machine is a Linux")


@needs_posix
def test_without_a_browser_the_tests_are_skipped_and_counted(without_a_browser):
    status, said = browser_tests("test_probes.py", "-k", "clear_pictures or alt_text")
    assert status == 0 and "4 skipped" in said
    assert "4 browser tests did not run: no Chromium" in said and "apt-get install chromium" in said


@needs_posix
def test_without_a_browser_the_tests_fail_on_a_build_machine(without_a_browser, monkeypatch):
    monkeypatch.setenv("CI", "true")
    status, said = browser_tests("test_probes.py", "-k", "alt_text")
    assert status == 1 and "1 error" in said and "no Chromium or Chrome starts" in said


def test_a_book_without_controls_fails_every_test_of_controls(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("<h1>Title</h1>")
    monkeypatch.setenv("ADVNB_BOOK", str(tmp_path))
    status, said = browser_tests("test_sliders.py", "-k", "not interact")
    assert status == 1 and "7 errors" in said and "shows what is tested here" in said


def test_a_book_that_is_named_and_not_there_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_BOOK", str(tmp_path / "nowhere"))
    status, said = browser_tests("test_pages.py", "-k", "maths")
    assert status == 1 and "1 error" in said


@pytest.mark.browser
@needs_posix
def test_the_browser_that_selenium_brings_starts(tmp_path, monkeypatch):
    """As where none is on PATH and selenium downloads one: here its manager is a script that names this machine's."""
    browser, driver = next(chrome.candidates())
    if not (browser and driver):
        pytest.skip("this machine has no pair of browser and driver to lend")
    manager = tmp_path / "manager"
    found = f'{{"logs": [], "result": {{"code": 0, "driver_path": "{driver}", "browser_path": "{browser}"}}}}'
    manager.write_text(f"#!/bin/sh\necho '{found}'\n")
    manager.chmod(0o755)
    monkeypatch.setenv("SE_MANAGER_PATH", str(manager))
    monkeypatch.setattr(chrome.shutil, "which", lambda name: None)
    driven = chrome.start(tmp_path / "profile")
    try:
        driven.get("data:text/html,<title>brought</title>")
        assert driven.title == "brought"
    finally:
        driven.quit()
