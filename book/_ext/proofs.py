"""Theorems go by the paper's number alone: "Deng et al., Theorem 3.1", where sphinx-proof has "Theorem 3 (...)".

Statements of the book's own have a name and no number. References take the name, and the index lists names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import IndexEntry
from sphinx_proof.domain import ProofDomain, ProofIndex

NUMBERED = re.compile(
    r"\b(Theorem|Lemma|Corollary|Proposition|Definition|Remark|Algorithm|Assumption)s? ([A-Z]\.)?[0-9]"
)
TITLE = re.compile(
    r'<p class="admonition-title"><span class="caption-number">(?P<kind>[A-Z][a-z]+) [0-9.]+ </span> '
    r"\((?P<title>.*?)\)</p>"
)


def heading(kind: str, title: str) -> str:
    """What stands above a statement: the paper's name of it, or its kind and the book's name of it.

    >>> heading("Lemma", "Mended: Lemma B.7"), heading("Lemma", "Mended: the second set")
    ('Lemma B.7, mended', 'Lemma (Mended: the second set)')
    """
    if not NUMBERED.search(title):
        return f"{kind} ({title})" if title else kind
    return re.sub(r"^Mended: (.*)", r"\1, mended", title)


def reference(kind: str, title: str) -> str:
    """How the text calls a statement: its heading without authors, and without what explains it.

    >>> reference("Definition", "Wang et al., Definition 2.1: the lazy regime")
    'Definition 2.1'
    """
    named = heading(kind, title)
    return re.sub(r"^[^,:]* et al\.( \(\d{4}\))?, |: .*| \(.*\)$", "", named) if NUMBERED.search(title) else named


def retitle(body: str) -> str:
    """Put headings in place of sphinx-proof's numbers in a page."""

    def titled(found: re.Match[str]) -> str:
        return f'<p class="admonition-title">{heading(found["kind"], found["title"])}</p>'

    return TITLE.sub(titled, body)


def remember_titles(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the title of each statement beside what sphinx-proof keeps of it, for references and the index."""
    for node in doctree.findall(lambda node: isinstance(node, nodes.Element) and "realtype" in node):
        title = node.next_node(nodes.title)
        text = title.astext().strip() if title else ""
        app.env.proof_list[node["label"]]["title"] = re.sub(r"^\((.*)\)$", r"\1", text)


def retitle_page(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Replace the headings of a page that is being written."""
    if isinstance(context.get("body"), str):
        context["body"] = retitle(context["body"])


class Names(ProofIndex):
    """The statements by page and name."""

    localname = "Theorems, lemmas and definitions"
    shortname = "theorems"

    def generate(self, docnames: Any = None) -> tuple[list[tuple[str, list[IndexEntry]]], bool]:
        """Return a list of statements for each page, in the order of the text."""
        pages: dict[str, list[IndexEntry]] = defaultdict(list)
        env = self.domain.env
        for label, entry in getattr(env, "proof_list", {}).items():
            name = heading(entry["realtype"].title(), entry["title"])
            page = env.titles[entry["docname"]].astext()
            pages[page].append(IndexEntry(name, 0, entry["docname"], label, "", "", entry["realtype"]))
        return list(pages.items()), False


class NamedProofs(ProofDomain):
    """sphinx-proof's domain, which calls statements by their names."""

    indices: ClassVar[list[type[ProofIndex]]] = [Names]

    def resolve_xref(self, env, fromdocname, builder, typ, target, node, contnode):  # type: ignore[no-untyped-def]
        """Return sphinx-proof's reference, its text replaced unless the author wrote one."""
        found = super().resolve_xref(env, fromdocname, builder, typ, target, node, contnode)
        if found is not None and target in contnode[0]:
            entry = env.proof_list[target]
            found.clear()
            found += nodes.Text(reference(entry["realtype"].title(), entry["title"]))
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after sphinx-proof."""
    app.setup_extension("sphinx_proof")
    app.add_domain(NamedProofs, override=True)
    app.connect("doctree-read", remember_titles)
    app.connect("html-page-context", retitle_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
