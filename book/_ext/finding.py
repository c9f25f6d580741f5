"""Finding: a search for "Lemma 4.2", "Figure 4" or "phase transition" leads to where the book states it.

The search knows the words of a page, not which of twelve pages states the lemma. So each statement, claim and page enters
its index under its name, the statements first.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

NAMED = re.compile(
    r"\b(?P<kind>Theorem|Lemma|Corollary|Proposition|Definition|Remark|Algorithm|Assumption|Equation|Figure|Table|Section"
    r"|Question|Appendix)(?:s|ta)? (?P<list>(?:\(?(?:[A-Z]\.)?\d[\w.]*\)?(?:, | and | to )?)+)"
)
NUMBER = re.compile(r"(?:[A-Z]\.)?\d(?:[\w.]*\w)?")


def names(title: str) -> list[str]:
    """What a reader would look for: the statements that a title names, one by one, and what it calls them.

    >>> names("Deng et al., Lemmas 4.1, 4.5, A.5 to A.7 (conclusions)")
    ['Lemma 4.1', 'Lemma 4.5', 'Lemma A.5', 'Lemma A.7', 'Lemma A.6']
    >>> names("Wang et al., equation (4): FOSC"), names("Theorem 1.1 and Corollary 3.1")
    (['Equation 4', 'FOSC'], ['Theorem 1.1', 'Corollary 3.1'])
    """
    found = []
    capital = re.sub(r"\bequation", "Equation", title)
    for match in NAMED.finditer(capital):
        numbers = NUMBER.findall(match["list"])
        for low, high in re.findall(rf"({NUMBER.pattern}) to ({NUMBER.pattern})", match["list"]):
            numbers += between(low, high)
        found += [f"{match['kind']} {number}" for number in numbers]
    if ": " in title:
        found.append(re.sub(r"^(the|a) ", "", title.partition(": ")[2]))
    return found


def between(low: str, high: str) -> list[str]:
    """The numbers between two of one section.

    >>> between("A.5", "A.8"), between("4.1", "A.1")
    (['A.6', 'A.7'], [])
    """
    (head, _, first), (other, _, last) = low.rpartition("."), high.rpartition(".")
    if head != other or not (first.isdigit() and last.isdigit()):
        return []
    return [f"{head}.{k}".lstrip(".") for k in range(int(first) + 1, int(last))]


def claims(page: Path) -> dict[str, str]:
    """The names of the statements that a page judges, each with the anchor of its first claim; none without a ledger."""
    if not page.is_file():
        return {}
    anchors: dict[str, str] = {}
    for claim in json.loads(page.read_text(encoding="utf-8")):
        for name in names(claim["statement"].partition(": ")[0]):
            anchors.setdefault(name, f"claim-{claim['id']}")
    return anchors


def enter(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Add an index node for every name of a page; what a chapter states is not entered for its claims too."""
    entries: dict[tuple[str, str], str] = {}
    title = next(doctree.findall(nodes.title), None)
    if title is not None:
        entries[title.astext().partition(": ")[0], ""] = "main"
    stated: set[str] = set()
    for label, entry in getattr(app.env, "proof_list", {}).items():
        if Path(entry["docname"]).parent == Path(docname).parent:
            stated |= set(names(entry["title"]))
        if entry["docname"] == docname:
            main = "" if "mended" in entry["title"].lower() else "main"  # the paper's own form comes first
            entries |= {(name, label): main for name in names(entry["title"])}
    ledger = Path(app.srcdir, "book", "results", "claims", docname.removeprefix("book/").replace("/", ".") + ".json")
    entries |= {item: "main" for item in claims(ledger).items() if item[0] not in stated}
    for section in doctree.findall(nodes.section):
        if section["ids"] and section["ids"][0].startswith("erratum-"):
            entries |= {(name, section["ids"][0]): "" for name in names(section[0].astext())}
    listed = [("single", name.replace(";", ","), anchor, main, None) for (name, anchor), main in entries.items()]
    doctree.append(addnodes.index(entries=listed))


def rewrite(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """All pages: Sphinx forgets the index entries of those that it does not write again."""
    return sorted(env.found_docs)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx: once all pages are read, and before the search reads them."""
    app.connect("env-updated", rewrite)
    app.connect("doctree-resolved", enter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
