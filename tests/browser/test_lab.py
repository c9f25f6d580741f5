"""What `make lab` opens: a trusted notebook that reads as the page does, and runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import probes
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "dynamics/rate.ipynb": ("What to take away", "Deng et al. (2020)", "deng2020dynamics"),
    "trust.ipynb": ("is this robustness number sound?", "Croce and Hein, 2020", "croce2020reliable"),
}
"""Notebooks that are opened: what their first cell says, a citation as it reads, and its key, which must not show."""
SECONDS = 120  # at most, for each thing waited for; a quiet machine takes a few


@pytest.fixture
def lab(tmp_path: Path, notebook: str) -> Iterator[str]:
    """The address of a JupyterLab on one trusted notebook, by the commands of `make lab`, with settings of its own."""
    folder = tmp_path / "book"
    folder.mkdir()
    copied = shutil.copy(ROOT / "book" / notebook, folder)
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1"}
    jupyter = [str(Path(sys.executable).with_name("jupyter"))]
    subprocess.run([*jupyter, "trust", copied], env=environment, check=True, capture_output=True)
    port = 8899
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.token=", "--ServerApp.port_retries=0"]
    with (tmp_path / "log").open("w") as log:
        command = [*jupyter, "lab", f"--notebook-dir={folder}", *options]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://localhost:{port}"
    try:
        _wait_for(f"{address}/api")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(address: str) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"no JupyterLab at {address} after {SECONDS} s")


def test_make_lab_trusts_the_notebooks_and_opens_them():
    said = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    trust, opened = (said.index(command) for command in ("jupyter trust book/", "jupyter lab --notebook-dir=book"))
    assert trust < opened


@pytest.mark.parametrize("notebook", PAGES)
def test_a_notebook_opens_trusted_reads_like_its_page_and_runs(browser, lab, notebook):
    said, citation, key = PAGES[notebook]
    probes.resize(browser, probes.DESKTOP)
    wait = WebDriverWait(browser, SECONDS, 0.2)
    browser.get(f"{lab}/lab/tree/{Path(notebook).name}?reset")
    cells = lambda name: browser.find_elements(By.CSS_SELECTOR, f".jp-Notebook .{name}")  # noqa: E731
    wait.until(lambda _: said in "".join(cell.text for cell in cells("jp-MarkdownCell")[:1]))
    wait.until(lambda _: "bibliography.md" not in cells("jp-MarkdownCell")[0].text)  # which MyST has read by then
    text = cells("jp-MarkdownCell")[0].text
    assert citation in text and key not in text and "{doc}" not in text
    trusted = 'return !!document.querySelector(\'[title*="Notebook trusted"], [aria-label*="Notebook trusted"]\')'
    wait.until(lambda driver: driver.execute_script(trusted))
    first = cells("jp-CodeCell")[0]
    first.find_element(By.CSS_SELECTOR, ".cm-content").click()
    browser.switch_to.active_element.send_keys(Keys.CONTROL, Keys.ENTER)
    prompt = lambda: first.find_element(By.CSS_SELECTOR, ".jp-InputPrompt").text  # noqa: E731
    wait.until(lambda _: "*" in prompt())
    wait.until(lambda _: prompt().strip("[]: ").isdigit())
    assert "Error" not in first.text
