"""Forbid the built pages to load or run anything that is not the book's: a content security policy in each of them.

The policy stands in a ``<meta>`` tag, before anything that loads, since a page opened from disk has no server to send
it. It is written when the build has finished, from the page as it then is:

* scripts run from the book's own folder, or from exactly the packages that :mod:`offline` had to leave on the CDN;
* a script within the page, or in an attribute such as ``onclick``, runs only if it is one that the build wrote: the
  policy lists the sha256 of each, so that ``'unsafe-inline'`` is not needed. The theme writes such scripts;
* ``'unsafe-eval'`` is given to pages with widgets alone: the widgets' script compiles the schema of their state with
  it. It turns text of the book into code, and loads nothing;
* styles may stand within the page: MathJax, the widgets and the theme's icons write them as they draw, with other
  content for each formula, so that no list of digests can hold them. A style loads no script;
* pictures and fonts come from the book or stand within the page (``data:``), and nothing else is loaded at all.

``file:`` stands beside ``'self'`` because browsers do not agree on what ``'self'`` is for a page opened from disk; on
a page that came by http it matches nothing that could be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import offline
from sphinx.application import Sphinx
from sphinx.config import Config

META = re.compile(r'\s*<meta http-equiv="Content-Security-Policy" content="[^"]*" ?/?>')
CHARSET = re.compile(r'<meta charset="?[\w-]+"? ?/?>', re.IGNORECASE)
OWN = ("'self'", "file:")
WIDGETS = "application/vnd.jupyter.widget-state+json"
SCRIPT_TYPES = {"", "text/javascript", "application/javascript", "module"}
"""Types of a ``<script>`` that runs; those of widgets' states and of configurations are data."""


class Inline(HTMLParser):
    """What runs within a page: the texts of its scripts and of its attributes for events."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: set[str] = set()
        self.handlers: set[str] = set()
        self._text: list[str] | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.handlers |= {value for name, value in attributes if name.startswith("on") and value}
        if tag == "script" and "src" not in given and (given.get("type") or "").lower() in SCRIPT_TYPES:
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._text is not None:
            self.scripts.add("".join(self._text))
            self._text = None


def digest(text: str) -> str:
    """A script's sha256 as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(page: str, packages: Sequence[str] = ()) -> str:
    """The policy of a page, given its HTML and the addresses of the packages that it takes from the CDN."""
    inline = Inline(page)
    scripts = [*OWN, *packages, *sorted(map(digest, inline.scripts | inline.handlers))]
    scripts += ["'unsafe-hashes'"] if inline.handlers else []  # without it the digests do not count for attributes
    scripts += ["'unsafe-eval'"] if WIDGETS in page else []
    directives = {
        "default-src": ["'none'"],
        "script-src": scripts,
        "style-src": [*OWN, "'unsafe-inline'"],
        "img-src": [*OWN, "data:", "blob:"],
        "font-src": [*OWN, "data:", *packages],
        "connect-src": OWN,
        "form-action": OWN,
        "base-uri": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def guarded(page: str, packages: Sequence[str] = ()) -> str:
    """The page with its policy, which takes the place of an earlier one, right after the declaration of its charset."""
    page = META.sub("", page)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(page, packages)}">'
    start = CHARSET.search(page)
    if start is None:
        return tag + page
    return f"{page[: start.end()]}\n    {tag}{page[start.end() :]}"


def packages_elsewhere(config: Config) -> list[str]:
    """The folders on the CDN of the packages that the book does not serve itself."""
    used = [config.mathjax_path, *config.nb_ipywidgets_js]
    folders = (f"{offline.CDN}/{package.name}@{package.version}/" for package in (offline.MATHJAX, offline.WIDGETS))
    return [folder for folder in folders if any(address.startswith(folder) for address in used)]


def guard_pages(app: Sphinx, error: Exception | None) -> None:
    """Write its policy into every page of the book, whoever wrote the page."""
    if error is not None or app.builder.format != "html":
        return
    packages = packages_elsewhere(app.config)
    for file in Path(app.outdir).rglob("*.html"):
        if file.name.endswith("-macros.html"):  # templates of the theme among its static files: no one's page
            file.unlink()
            continue
        page = file.read_text(encoding="utf-8")
        if (after := guarded(page, packages)) != page:
            file.write_text(after, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after all that write pages."""
    app.connect("build-finished", guard_pages, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
