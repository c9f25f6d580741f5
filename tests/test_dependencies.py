"""`make audit` fails for a vulnerability or a foreign licence, and says so where it could not ask."""

from __future__ import annotations

import json
from types import SimpleNamespace

import dependencies
import pytest

GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "own", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("licence", "wrong"),
    [
        ("MIT", []), ("MIT License", []), ("Apache Software License; MIT License", []), ("MPL-2.0 AND MIT", []),
        ("GPL-3.0 OR MIT", []), ("Mozilla Public License 2.0 (MPL 2.0)", []), ("DFSG approved; MIT License", []),
        ("GPL-3.0", ["GPL-3.0"]), ("MIT AND GPL-3.0", ["GPL-3.0"]), ("UNKNOWN", ["UNKNOWN"]),
        ("MIT License; Other/Proprietary License", ["Other/Proprietary License"]),
    ],
)  # fmt: skip
def test_a_licence_outside_the_list_is_found(licence, wrong):
    assert dependencies.outside("package", licence) == wrong


def test_what_a_person_has_read_is_passed_by_and_its_like_is_not():
    assert dependencies.outside("docutils", "GPL") == [] and dependencies.outside("nvidia-cublas", "Proprietary") == []
    assert dependencies.outside("docutils-more", "GPL") == ["GPL"]


def test_a_known_vulnerability_is_found():
    found, said = dependencies.judged([GOOD, BAD, SKIPPED])
    assert found == ["bad 2: CVE-1, fixed in 3"] and "2 packages asked about" in said and "unknown: own" in said


def test_a_service_that_knows_nothing_was_not_reached():
    found, said = dependencies.judged([SKIPPED, SKIPPED, GOOD])
    assert found == [] and said.startswith("NO NETWORK: the advisory service cannot be reached")


@pytest.fixture
def tools(monkeypatch):
    """What the two tools and npm say, by the name of each; the audit's environment is not made."""
    licences = json.dumps([{"Name": "good", "License": "MIT"}])
    said = {"pip-audit": json.dumps({"dependencies": [GOOD]}), "pip-licenses": licences, "npm": ""}

    def run(command, *arguments):
        return SimpleNamespace(stdout=said[str(command)], stderr="a\nno route to host", returncode=0)

    monkeypatch.setattr(dependencies, "tool", lambda name: name)
    monkeypatch.setattr(dependencies.shutil, "which", lambda name: name)
    monkeypatch.setattr(dependencies, "run", run)
    return said


@pytest.mark.parametrize(
    ("changes", "status", "line"),
    [
        ({}, 0, "1 packages asked about, 0 vulnerabilities"),
        ({"pip-audit": json.dumps({"dependencies": [BAD]})}, 1, "bad 2: CVE-1"),
        ({"pip-audit": "Traceback"}, 0, "NO NETWORK: the advisory service cannot be reached"),
        ({"pip-licenses": json.dumps([{"Name": "odd", "License": "GPL-3.0"}])}, 1, "odd: GPL-3.0"),
        ({"npm": "SSPL-1.0"}, 1, "mathjax (npm): SSPL-1.0"),
    ],
)
def test_the_exit_status_tells_whether_there_is_a_reason_to_act(tools, capsys, changes, status, line):
    tools |= changes
    assert dependencies.main() == status
    out = capsys.readouterr().out
    assert line in out and "mathjax (npm)" in out and "axe-core (npm)" in out


def test_without_the_tools_it_says_so_and_is_no_failure(monkeypatch, capsys):
    def tool(name):
        raise OSError("pip-audit cannot be installed: no matching distribution")

    monkeypatch.setattr(dependencies, "tool", tool)
    assert dependencies.main() == 0
    assert "NOT AUDITED: pip-audit cannot be installed" in capsys.readouterr().err
