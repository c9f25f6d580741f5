"""What the built book adds for its readers to what notebooks have stored.

A claim's frame, or its row in a group, leads to its row in the ledger, and links of HTML outputs to notebooks, which are right in JupyterLab,
lead to the pages made from them. Small faults of the HTML that other programs write are mended on the way.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from sphinx.application import Sphinx

LEDGER = "book/claims"
FRAME = re.compile(
    r'(?P<start><(?:div class="advnb-claim|tr class="advnb-row) [\w-]+" id="claim-(?P<id>[\w.-]+)">'
    r'<(?:p|th scope="row")><strong>(?P<statement>.*?)</strong>.*?'
    r'<strong class="verdict">.*?)(?P<end></p>)',
    re.DOTALL,
)
EMPTY_HEAD = re.compile(r"<th(?P<attributes>( [^>]*)?)>(<p></p>)?</th>")
DRAWN = re.compile(r'style="(?P<size>width: (?P<width>\d+)px; height: \d+px;)"')
NOTEBOOK = re.compile(r'href="(?P<name>[\w./-]+)\.ipynb(?P<place>#[^"]*)?"')


def link_frames(body: str, page: str, ledger: str) -> str:
    """Let each claim's frame, or row of a group, end its verdict with a link to its row; ``page`` is from the book's root."""
    chapter = page.partition("/")[0]

    def linked(frame: re.Match[str]) -> str:
        name = f"In the ledger: {frame['statement']}"
        link = f'<a class="to-ledger" href="{ledger}#{chapter}-{frame["id"]}" aria-label="{name}">In the ledger</a>'
        return f"{frame['start']} {link}{frame['end']}"

    return FRAME.sub(linked, body)


def link_pages(body: str, page: str, pages: set[str]) -> str:
    """Let links to notebooks that are pages of the book lead to these pages."""

    def linked(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link["name"]))
        return f'href="{link["name"]}.html{link["place"] or ""}"' if target in pages else link.group()

    return NOTEBOOK.sub(linked, body)


def mend(body: str) -> str:
    """Mend what others write for screen readers: heads of nothing, folds named otherwise, a role.

    An entry of a bibliography, which is a list, is an item of it: its own role is no longer one. The width at which
    a picture was drawn becomes a property, by which the style sheet keeps its text legible on a phone.
    """
    body = DRAWN.sub(r'style="--drawn: \g<width>px; \g<size>"', body)
    body = EMPTY_HEAD.sub(r"<td\g<attributes>></td>", body)
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def link_claims(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Lead from frames to the ledger, and from the ledger to frames, in a page that is being written."""
    body = context.get("body")
    if not isinstance(body, str):
        return
    body = link_pages(mend(body), page, app.env.found_docs)
    if LEDGER in app.env.found_docs:
        body = link_frames(body, page.removeprefix("book/"), app.builder.get_relative_uri(page, LEDGER))
    context["body"] = body


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", link_claims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
