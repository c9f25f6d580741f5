"""Let the built book stand on its own: maths and widgets are served from its own folder.

While building, MathJax and the Jupyter widgets' scripts are taken from the npm registry (`npm pack`), checked
against the digests below and kept in `book/_static/vendor`, which git ignores. Where npm is missing or fails,
the pages load the same two files from a public CDN, and the build says so.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)
VENDOR = Path(__file__).resolve().parent.parent / "_static" / "vendor"
CDN = "https://cdn.jsdelivr.net/npm"


@dataclass(frozen=True)
class Package:
    """One npm package: which file the pages load, and which files that one needs beside it."""

    name: str
    version: str
    sha256: str
    script: str
    files: str

    @property
    def folder(self) -> str:
        """The folder under `vendor`: it carries the version, so that a new one is never mixed with an old one."""
        return f"{self.name.rsplit('/', 1)[-1]}-{self.version}"


MATHJAX = Package(
    "mathjax",
    "3.2.2",
    "1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09",
    "es5/tex-svg-full.js",  # every TeX extension and every glyph in one file
    r"es5/tex-svg-full\.js",
)
WIDGETS = Package(
    "@jupyter-widgets/html-manager",
    "1.0.15",
    "2b9d65cb7913e1c7d671757a10008b32c9c2448d4429513371e55c07d6107638",
    "dist/embed.js",  # the one that needs no require.js
    r"dist/(embed\.js|.*\.woff2?)",
)


def unpack(archive: Path, package: Package, target: Path) -> None:
    """Check an npm archive's digest and copy the wanted files out of it."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise ValueError(f"{package.name} {package.version} has sha256 {digest}, expected {package.sha256}")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as partial, tarfile.open(archive) as tar:
        for member in tar.getmembers():
            member.name = member.name.removeprefix("package/")
            if member.isfile() and re.fullmatch(package.files, member.name):
                tar.extract(member, partial, filter="data")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(partial, target)


def fetch(package: Package, vendor: Path | None = None) -> None:
    """Bring a package into `vendor`, or another folder, with npm, unless it is there."""
    vendor = vendor or VENDOR
    target = vendor / package.folder
    if (target / package.script).is_file():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    vendor.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=180)
        unpack(next(Path(folder).glob("*.tgz")), package, target)


def address(package: Package) -> str:
    """Where pages find a package's script: in the book, or else on the CDN."""
    try:
        fetch(package)
    except (OSError, ValueError, StopIteration, subprocess.SubprocessError) as error:
        logger.info("offline: %s comes from %s, because it could not be fetched: %s", package.name, CDN, error)
        return f"{CDN}/{package.name}@{package.version}/{package.script}"
    logger.info("offline: %s %s is served by the book itself", package.name, package.version)
    return f"vendor/{package.folder}/{package.script}"


def use_own_scripts(_app: Sphinx, config: Config) -> None:
    """Point Sphinx and MyST-NB at the scripts, before either reads its settings."""
    config.mathjax_path = address(MATHJAX)
    config.nb_ipywidgets_js = {address(WIDGETS): {}}


def add_own_scripts(app: Sphinx) -> None:
    """Load the book's repairs for static widgets ahead of the theme's icons and of MathJax."""
    app.add_js_file("widgets.js", priority=10)


def drop_thebe(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Leave out the scripts for kernels on a server: the book has none, and they fail on every page."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if "thebe" not in f"{s}{getattr(s, 'attributes', '')}".lower()]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", use_own_scripts, priority=900)
    app.connect("builder-inited", add_own_scripts)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
