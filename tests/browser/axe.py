"""axe-core, which looks for what keeps people from reading or using a page; fetched with npm like the book's scripts.

What the book can help must not be there. What comes with the theme or with the widgets, and no few lines of the
book's mend, is named in `THEIRS` with its reason, and counted against nobody.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import offline
import probes

AXE = offline.Package(
    "axe-core",
    "4.14.1",
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
    "axe.min.js",
    r"axe\.min\.js",
)
FOLDER = Path(__file__).resolve().parents[2] / "_build" / "vendor"  # it is no part of the book
NOT_FETCHED = "axe-core could not be fetched with npm"
RUN = """
const [options, done] = arguments;
axe.run(document, { ...options, resultTypes: ["violations"], preload: false }).then(({ violations }) =>
  done(violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, html, any, all, none }) =>
    [id, impact, target.flat().join(" "), html, [...any, ...all, ...none][0]?.message ?? ""]))),
  (error) => done([["axe itself", "critical", "", "", String(error)]]));
"""

COLOURS = ("color-contrast", "link-in-text-block")
"""The rules that look at colours: most of axe's time, and all that a theme can change."""

SOME = {
    "all": {},
    "colours": {"runOnly": {"type": "rule", "values": COLOURS}},
    "the rest": {"rules": {rule: {"enabled": False} for rule in COLOURS}},
}

THEIRS: dict[str, tuple[str, str]] = {}
"""Rule: (what it is found in, why it stays)."""


@functools.cache
def script() -> str:
    """The source of axe-core; `OSError` or `subprocess.SubprocessError` if npm is missing or fails."""
    offline.fetch(AXE, FOLDER)
    return (FOLDER / AXE.folder / AXE.script).read_text(encoding="utf-8")


def violations(page: probes.Visit, theme: str, rules: str = "all") -> list[str]:
    """What axe finds in an open page in a theme by some of its rules (of `SOME`), one line a place."""
    if not page("return !!window.axe"):
        page(script())
    probes.show(page, theme)
    probes.out_of_reach(page)  # which waits until the page's scripts have taken note of its width
    found = page.browser.execute_async_script(RUN, SOME[rules])
    return [f"{rule} ({impact}): {where}: {why}" for rule, impact, where, html, why in found if not theirs(rule, html)]


def theirs(rule: str, html: str) -> bool:
    """Whether a place is one that the theme or the widgets made."""
    return rule in THEIRS and THEIRS[rule][0] in html


def missing() -> str | None:
    """Why axe cannot run here, or None if it can."""
    try:
        script()
    except (OSError, ValueError, StopIteration, subprocess.SubprocessError) as error:
        return f"{NOT_FETCHED}: {error}"
    return None
