"""The repository as a whole: style, types, notebooks fit to be shown, files that agree with each other."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import pytest
import sitting
import tree
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from sitting import NOTEBOOKS

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".md", ".ipynb", ".yml", ".toml", ".txt", ".sh", ".jsonl", ".json", ".js", ".css", ".bib", ".cff", ""}
UNSEEN = {"remove-cell", "remove-output"}
SETUP = {"remove-cell", "remove-input"}

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(ROOT).as_posix()))


def tracked():
    """What git tracks or would track."""
    files = tree.files()
    if files is None:
        pytest.skip("not a git checkout")
    return files


def run(*command):
    """Run a Python tool of this environment at the root; return its exit status and what it said."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"])
def test_style_and_types(command):
    status, said = run(*command.split())
    assert status == 0, said


def test_test_files_have_names_of_their_own():
    """Two of one name cannot be collected in one run, though each passes alone."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_large_files():
    assert {str(f): f.stat().st_size for f in tracked() if f.stat().st_size > 1_500_000} == {}


def test_no_paths_of_one_machine():
    pattern = re.compile(r"""(?<![\w.<>}/-])/(?:work|root|farm|home|Users)/[\w.-]+/?[\w./-]*""")
    found = {}
    for file in tracked():
        text = file.read_text(encoding="utf-8", errors="replace") if file.suffix in TEXT else ""
        if paths := pattern.findall(text):
            found[str(file.relative_to(ROOT))] = paths[:3]
    assert found == {}


def test_every_page_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = {toc["root"]}

    def collect(entry):
        if isinstance(entry, list):
            for part in entry:
                collect(part)
        elif isinstance(entry, dict):
            listed.update({entry["file"]} if "file" in entry else ())
            for key in ("parts", "chapters", "sections"):
                collect(entry.get(key, []))

    collect(toc)
    pages = NOTEBOOKS + sorted((ROOT / "book").rglob("*.md"))
    names = {f.relative_to(ROOT).with_suffix("").as_posix() for f in pages}
    assert listed == {name for name in names if "/_" not in name}


def code_cells(path):
    """Each code cell of a notebook with its number, its tags and the cell before it."""
    cells = nbformat.read(path, as_version=4).cells
    for number, cell in enumerate(cells, 1):
        if cell.cell_type == "code":
            yield number, cell, set(cell.metadata.get("tags", [])), cells[number - 2] if number > 1 else None


@notebooks
def test_notebook_was_executed_without_a_complaint(path):
    for number, cell, _, _ in code_cells(path):
        assert cell.source.strip(), f"cell {number} is empty"
        assert cell.execution_count is not None, f"cell {number} was not executed"
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {number} raised {output.get('ename')}"
            assert output.get("name") != "stderr", f"cell {number} wrote to stderr: {output.get('text')}"
    counts = [cell.execution_count for _, cell, _, _ in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "the cells were not executed once each, from top to bottom"


@notebooks
def test_notebook_has_prose_before_every_code_cell(path):
    for number, _, tags, before in code_cells(path):
        if not tags & SETUP:
            told = before is not None and before.cell_type == "markdown" and before.source.strip()
            assert told, f"code cell {number} has no prose before it"


@notebooks
def test_notebook_figures_have_alt_text(path):
    for number, cell, tags, _ in code_cells(path):
        shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        if shown and not tags & UNSEEN:
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 15, f"the figure of cell {number} needs an alt text in its metadata (mystnb.image.alt)"


@notebooks
def test_notebook_maths_needs_no_macros_of_the_book(path):
    """JupyterLab does not read _config.yml, so a macro defined there would show as an error."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    macros = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    used = re.compile(rf"\\({'|'.join(macros)})(?![A-Za-z])")
    prose = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"]
    assert [match.group() for text in prose for match in used.finditer(text)] == []


@notebooks
def test_notebook_checks_an_output(path):
    checked = [number for number, _, tags, _ in code_cells(path) if "nbval-check-output" in tags]
    assert checked, "no cell is tagged nbval-check-output"


@notebooks
def test_notebook_was_written_by_make_notebooks(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert "version" not in metadata["language_info"]
    state = metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    assert sorted(state) == [f"{k:032x}" for k in range(len(state))]


@notebooks
def test_notebook_is_one_sitting(path):
    assert sitting.faults(sitting.name_of(path), sitting.sizes(path)) == []


def test_the_notebooks_together_are_short():
    assert sitting.faults(sitting.ALL, {"lines of code": sitting.code_lines()}) == []


def test_what_is_not_short_yet_is_there():
    """The other tests find the limits that a listed page meets."""
    pages = [*NOTEBOOKS, *(ROOT / "book").rglob("*.md")]
    assert sitting.NOT_YET.keys() <= {sitting.ALL, *map(sitting.name_of, pages)}
    assert all(limits and limits <= sitting.LIMITS.keys() for limits in sitting.NOT_YET.values())


def test_a_page_that_is_too_long_or_listed_for_nothing_is_found(tmp_path, monkeypatch):
    cells = [
        nbformat.v4.new_markdown_cell("three short words"),
        nbformat.v4.new_code_cell("a = 1\n" * 26 + "b" * 101),
        nbformat.v4.new_code_cell("c = 1\n" * 9, metadata={"tags": ["hide-input"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "page.ipynb")
    taken = sitting.sizes(tmp_path / "page.ipynb")
    assert list(taken.values()) == [27, 101, 27, 3]
    assert sitting.faults("page", taken) == [
        "lines in a cell: 27, where 25 are allowed",
        "columns of code: 101, where 100 are allowed",
    ]
    monkeypatch.setattr(sitting, "NOT_YET", {"page": {"lines in a cell", "columns of code", "words"}})
    assert sitting.faults("page", taken) == ["words: 3, which is allowed: take it off NOT_YET in tests/sitting.py"]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_licence_and_citation_agree_with_the_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    licence = (ROOT / "LICENSE").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]["text"] == "MIT"
    assert licence.startswith("MIT License\n") and citation["authors"] == [{"name": "The advnb authors"}]
    assert "The advnb authors" in licence


def test_the_lines_in_the_readme_run(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text(code.replace("epochs=10", "epochs=1, progress=False"))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"0\.\d+ 0\.\d+\ntensor\(\d\S*\)\n", done.stdout)


def test_what_the_readme_links_to_is_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if not link.startswith("https://")]
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def pins():
    """The exact versions in requirements.txt, by name."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line.split("#")[0].strip() for line in lines]
    requirements = [Requirement(line) for line in wanted if line and not line.startswith("-")]
    assert all(re.fullmatch(r"==[\w.+!]+", str(r.specifier)) for r in requirements), "requirements.txt pins exactly"
    return {r.name.lower(): Version(str(r.specifier)[2:]) for r in requirements}


def test_pins_lie_within_the_bounds_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = pins()
    for requirement in map(Requirement, project["dependencies"]):
        assert requirement.name.lower() in pinned
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement


def imported(path):
    """Top-level names of what a module imports when it is loaded; imports inside functions are optional."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_every_import_of_the_package_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules = {"scikit-learn": "sklearn", "pillow": "PIL"}
    declared = {modules.get(Requirement(r).name, Requirement(r).name) for r in project["dependencies"]}
    declared |= {"cycler", "IPython"}  # matplotlib and ipywidgets cannot be without them
    found = {name for file in (ROOT / "advnb").rglob("*.py") for name in imported(file)}
    assert found - declared - set(sys.stdlib_module_names) == {"advnb"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"book", "test", "lab", "notebooks", "clean"} <= set(targets)
    assert re.findall(r"^  make (\w+) +\S", said, re.MULTILINE) == targets


def test_old_pythons_are_told_so(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.1' && exit 0\nexit 1\n")
    old.chmod(0o755)
    command = ["make", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "setup"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout and "is Python 3.9.1" in done.stdout


def test_shell_scripts_parse():
    assert subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT).returncode == 0


def test_a_test_that_hangs_fails_and_shows_where(tmp_path):
    (tmp_path / "test_hang.py").write_text("import time\n\ndef test_hang():\n    time.sleep(600)  # here\n")
    options = ["-c", "pyproject.toml", "-o", "timeout=1", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and "time.sleep(600)  # here" in done.stdout
    assert "Timeout (>1.0s) from pytest-timeout" in done.stdout


def test_every_test_has_a_time_limit(pytestconfig):
    """A cell's limit comes first, which stops the kernel and shows the cell; where Python hangs, the last one does."""
    cell, test = pytestconfig.getoption("nbval_cell_timeout"), float(pytestconfig.getini("timeout"))
    assert 60 <= cell < test < float(pytestconfig.getini("faulthandler_timeout"))
    assert pytestconfig.getini("faulthandler_exit_on_timeout") is True
