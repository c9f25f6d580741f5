"""The module as a package: a wheel holds all of it, and outside the repository it imports, runs and stores."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import advnb

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def python(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_version_is_that_of_the_project():
    assert advnb.__version__ == VERSION


def test_a_checkout_that_is_not_installed_knows_its_version(tmp_path):
    """Alone on the path, with a version that no metadata has."""
    (tmp_path / "advnb").mkdir()
    shutil.copy(ROOT / "advnb" / "__init__.py", tmp_path / "advnb")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "advnb"\nversion = "9.8.7"\n')
    code = "import sys; sys.path.insert(0, sys.argv[1]); import advnb; print(advnb.__version__)"
    assert python("-I", "-S", "-c", code, tmp_path) == "9.8.7\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy: building leaves folders behind, and the repository is to stay as it is."""
    pytest.importorskip("setuptools", minversion="70.1")  # which builds wheels by itself
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "advnb", source / "advnb", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    (file,) = out.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_holds_every_file(wheel):
    files = {file for file in (ROOT / "advnb").rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert {file.relative_to(ROOT).as_posix() for file in files} <= set(zipfile.ZipFile(wheel).namelist())
    assert ROOT / "advnb" / "py.typed" in files
    assert wheel.name == f"advnb-{VERSION}-py3-none-any.whl"


@pytest.mark.slow
def test_outside_the_repository_it_imports_runs_and_stores(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    variables = {name: value for name, value in os.environ.items() if name != "ADVNB_RESULTS"}
    options = {"cwd": elsewhere, "env": {**variables, "PYTHONPATH": str(site)}}
    assert python("-c", "import advnb; print(advnb.__file__)", **options) == f"{site}/advnb/__init__.py\n"
    (script,) = site.glob("*/advnb*")  # bin, or Scripts
    command = [script, "run", "dynamics.geometry", "--scale", "live", "--seeds", "0", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, **options)
    assert done.returncode == 0 and ", 0 done before, " in done.stdout, done.stderr
    (results,) = (elsewhere / "results").glob("*.jsonl")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert f" {len(lines)} stored now" in done.stdout
    origins = {(line["provenance"]["version"], line["provenance"]["commit"]) for line in lines}
    assert origins == {(VERSION, None)}
