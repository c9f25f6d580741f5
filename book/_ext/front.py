"""What the front page says in numbers: the totals of the ledger, and a card for the finding of each chapter.

``{figure-of} lazy/border lazy-ratio`` shows a figure of another page, here that named ``lazy-ratio``, as it is stored there.

All of it is read from ``book/results/claims`` and from the notebooks while the book is built, so that no number is typed
in. ``{ledger-bar}`` is the bar of all claims by verdict. A card is

    :::{chapter-card} lazy/theorem-3.1.constants
    :verdict: vacuous here
    :figure: lazy-speaks

    A headline, which must be true as long as the claim has this verdict.
    :::

It shows the paper's sentence, what was measured and the verdict of the claim, and the figure of that name. The build
fails where the claim is gone or has another verdict, so that no headline outlives its finding.
"""

from __future__ import annotations

import base64
import html
import io
import json
import posixpath
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from advnb.book.ledger import bar_html, ledger, totals

FOLDER = "front"
LEDGER = "claims.ipynb"


def claim_named(claims: pd.DataFrame, name: str, verdict: str) -> dict[str, Any]:
    """The row of the ledger called CHAPTER/ID; ``ValueError`` if there is none or its verdict is another."""
    chapter, _, id = name.partition("/")
    found = claims[(claims["chapter"] == chapter) & (claims["id"] == id)].to_dict("records")
    if not found:
        raise ValueError(f"no claim of the ledger is called {name!r}: give CHAPTER/ID of one that there is")
    if found[0]["verdict"] != verdict:
        raise ValueError(
            f"{name} is {found[0]['verdict']!r} in the ledger, while the card says {verdict!r}: read its headline again"
        )
    return {str(key): value for key, value in found[0].items()}


def figure_named(notebook: Path, name: str) -> tuple[bytes, str]:
    """The stored picture and the alternative text of a notebook's figure; ``ValueError`` if it has no such figure."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        about = cell["metadata"].get("mystnb", {})
        if about.get("figure", {}).get("name") == name:
            for output in cell["outputs"]:
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output["data"]["image/png"]), about["image"]["alt"]
    raise ValueError(f"{notebook.name} has no figure called {name!r} with a picture")


def told(claim: dict[str, Any]) -> str:
    """What a card tells of its claim, with links to the claim's frame and to its row of the ledger."""
    said = {name: html.escape(str(claim[name])) for name in ("statement", "says", "measured")}
    verdict = claim["verdict"]
    row = f"{LEDGER}#{claim['chapter']}-{claim['id']}"
    return (
        f"<p><em>The paper says</em> ({said['statement']}): {said['says']}.</p>"
        f"<p><em>Measured:</em> {said['measured']}.</p>"
        f'<p class="verdict {verdict.replace(" ", "-")}"><strong>{verdict.capitalize()}</strong> '
        f'<a href="{claim["page"]}.ipynb#claim-{claim["id"]}">the evidence<span class="visually-hidden"> for '
        f"{said['statement']}</span></a> "
        f'<a href="{row}">in the ledger<span class="visually-hidden">: {said["statement"]}</span></a></p>'
    )


class LedgerBar(SphinxDirective):
    """The bar of all claims by verdict, each part a link to the ledger that is filtered so."""

    def run(self) -> list[nodes.Node]:
        """Return the bar."""
        _depend(self)
        return [nodes.raw("", bar_html(totals(ledger()), LEDGER), format="html")]


class ChapterCard(SphinxDirective):
    """The card of a chapter's finding."""

    has_content = True
    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "verdict": directives.unchanged_required,
        "figure": directives.unchanged_required,
        "on": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Return the card; the picture is written by ``write_figures``."""
        _depend(self)
        try:
            claim = claim_named(ledger(), self.arguments[0], self.options["verdict"])
            image = thumbnail(self, self.options.get("on", claim["page"]), self.options["figure"])
        except (KeyError, OSError, ValueError) as error:
            raise self.error(f"a card of the front page: {error}") from error
        card = nodes.container(classes=["advnb-finding"])
        words = nodes.container(classes=["words"])
        self.state.nested_parse(self.content, self.content_offset, words)
        words += nodes.raw("", told(claim), format="html")
        card += [nodes.raw("", image, format="html"), words]
        return [card]


class FigureOf(SphinxDirective):
    """A figure of another page, PAGE and NAME, that leads to where it stands."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Return the figure; the picture is written by ``write_figures``."""
        try:
            image = thumbnail(self, *self.arguments)
        except (KeyError, OSError, ValueError) as error:
            raise self.error(f"a figure of another page: {error}") from error
        return [nodes.raw("", f'<p class="advnb-figure-of">{image}</p>', format="html")]


def thumbnail(directive: SphinxDirective, page: str, name: str) -> str:
    """Return a link around the picture ``name`` of the notebook ``page`` of the book, and keep the picture for later."""
    env = directive.env
    notebook = Path(env.srcdir) / "book" / f"{page}.ipynb"
    env.note_dependency(str(notebook))
    picture, alt = figure_named(notebook, name)
    env.metadata[env.docname].setdefault(FOLDER, {})[name] = base64.b64encode(picture).decode()  # type: ignore[call-overload]
    drawn = Image.open(io.BytesIO(picture)).width // 2  # notebooks draw at twice the width that they show
    there = posixpath.relpath(f"book/{page}.ipynb", posixpath.dirname(env.docname))
    return (
        f'<a class="advnb-thumbnail" href="{there}#{name}"><img style="--drawn: {drawn}px" '
        f'src="{"../" * env.docname.count("/")}_static/{FOLDER}/{name}.png" alt="{html.escape(alt)}"></a>'
    )


def _depend(directive: SphinxDirective) -> None:
    """Let a page be made again when the ledger changes."""
    for path in sorted((Path(directive.env.srcdir) / "book" / "results" / "claims").glob("*.json")):
        directive.env.note_dependency(str(path))


def write_figures(app: Sphinx, error: Exception | None) -> None:
    """Write the pictures of the cards beside the static files."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / FOLDER
    for about in app.env.metadata.values():
        pictures: Any = about.get(FOLDER, {})
        for name, picture in pictures.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.png").write_bytes(base64.b64decode(picture))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("ledger-bar", LedgerBar)
    app.add_directive("chapter-card", ChapterCard)
    app.add_directive("figure-of", FigureOf)
    app.connect("build-finished", write_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
