"""Every erratum of kind *statement* or *gap* is checked, its checks exist, and each check belongs to an erratum."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from erratum import KINDS, label, paper

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(
    r"^:::\{erratum\} (?P<title>.+)\n(?P<options>(?::\w+:.*\n)+)\n(?P<body>(?:(?!:::).*\n)+):::$", re.MULTILINE
)

UNCHECKED: set[str] = set()
"""The labels of entries that need a check and have none yet. This can only shrink."""


class Entry(NamedTuple):
    """An erratum as it stands in the source."""

    title: str
    label: str
    kind: str
    checks: list[str]
    body: str

    @property
    def tests(self):
        return [(f"test_errata_{paper(self.label)}.py", check) for check in self.checks]


def entries(source):
    found = []
    for entry in ENTRY.finditer(source):
        options = dict(re.findall(r"^:(\w+): *(.*)$", entry["options"], re.MULTILINE))
        checks = options.get("check", "").split()
        found.append(Entry(entry["title"], options["label"], options["kind"], checks, entry["body"]))
    return found


SOURCE = "".join(file.read_text() for file in sorted((ROOT / "book" / "errata").glob("*.md")))
ENTRIES = entries(SOURCE)
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)


def written():
    """The test functions in the files of the papers."""
    found = set()
    for file in Path(__file__).parent.glob("test_errata_*.py"):
        if file.name != Path(__file__).name:
            body = ast.parse(file.read_text()).body
            found |= {
                (file.name, f.name) for f in body if isinstance(f, ast.FunctionDef) and f.name.startswith("test_")
            }
    return found


def test_all_entries_are_read():
    assert len(ENTRIES) == SOURCE.count("{erratum}") > 60
    assert len({entry.label for entry in ENTRIES}) == len(ENTRIES)


@each
def test_an_entry_says_what_is_printed_and_what_should_be(entry):
    assert entry.kind in KINDS and label(entry.label) == entry.label
    assert entry.body.startswith("*Printed:*") and entry.body.count("*Printed:*") == 1
    assert entry.body.count("\n\n*Should be:*") == 1


@each
def test_a_statement_or_a_gap_has_a_check(entry):
    needed = entry.kind in {"statement", "gap"}
    assert (needed and not entry.checks) == (entry.label in UNCHECKED)


@each
def test_checks_exist(entry):
    assert set(entry.tests) <= written()


def test_nothing_excused_is_gone():
    assert {entry.label for entry in ENTRIES} >= UNCHECKED


def test_every_test_belongs_to_an_entry():
    assert written() - {test for entry in ENTRIES for test in entry.tests} == set()
