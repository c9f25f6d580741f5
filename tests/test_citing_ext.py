"""Citations of notebooks are links to entries of the bibliography, under the names and years of these."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import citing
import pytest
from pybtex.database import parse_file

BOOK = Path(__file__).resolve().parents[1] / "book"
ENTRIES = parse_file(BOOK / "references.bib").entries
LINK = re.compile(r"\[([^\]]*)\]\((?:\.\./)?bibliography\.md#([\w-]+)\)")
NOTEBOOKS = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def called(key):
    """The name and year by which a paper is cited."""
    names = [" ".join(author.last_names) for author in ENTRIES[key].persons["author"]]
    short = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return short, ENTRIES[key].fields["year"]


def test_there_are_citations():
    text = "".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    assert len(LINK.findall(text)) > 40


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(BOOK).as_posix())
def test_citations_name_their_paper(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for words, key in LINK.findall(text):
        name, year = called(key)
        assert words in (f"{name} ({year})", f"{name}, {year}"), f"{words!r} for {key}"


def test_the_build_knows_the_entries_by_their_keys():
    data = SimpleNamespace(entries={"deng2020dynamics": 1, "a_b": 2})
    domain = SimpleNamespace(bibdata=SimpleNamespace(data=data))
    env = SimpleNamespace(metadata={citing.BIBLIOGRAPHY: {}}, get_domain=lambda name: {"cite": domain}[name])
    citing.name_entries(None, env)
    known = env.metadata[citing.BIBLIOGRAPHY]["myst_slugs"]
    assert known["deng2020dynamics"][1] == "deng2020dynamics" and known["a_b"][1] == "a-b"
    env.metadata.clear()
    citing.name_entries(None, env)
    assert not env.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_cites_by_a_role_which_lab_shows_as_a_bare_key(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not any("{cite" in "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
