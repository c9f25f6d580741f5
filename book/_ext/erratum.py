"""Errata: each has a heading, an anchor, a kind and the tests that check it, and the page counts them by itself.

In the text an erratum is a directive, and `{errata-counts}` stands for the table of how many there are::

    :::{erratum} Lemma 4.2
    :label: erratum-dynamics-lemma-4.2
    :kind: statement
    :check: test_lemma_42_fails_inwards_and_holds_outwards

    *Printed:* ...

    *Should be:* ...

    Why.
    :::

The label starts with `erratum-` and the paper; `{ref}` takes it, and it is the anchor in the page. The tests are
functions of `tests/errata/test_errata_<paper>.py`, as many as there are, between blanks. The table counts the entries of
its page and of the pages below it in the table of contents, and leads to the label `errata-<paper>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

KINDS = ("typo", "gap", "statement")
LABEL = re.compile(r"erratum-(?P<paper>[a-z]+)-[a-z0-9.-]+")
HEAD = ("Paper", *KINDS, "all", "with a check")


def label(argument: str) -> str:
    """The label of an erratum, which names its paper."""
    if not LABEL.fullmatch(argument := argument.strip()):
        raise ValueError(f"'{argument}' is not of the form erratum-<paper>-<place>, in small letters")
    return argument


def paper(name: str) -> str:
    """The paper of the erratum with this label.

    >>> paper("erratum-lazy-lemma-b.9")
    'lazy'
    """
    return label(name).split("-")[1]


class Erratum(SphinxDirective):
    """One entry: a section with the kind in its heading and the names of its tests at its end."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {
        "label": label,
        "kind": lambda argument: directives.choice(argument, KINDS),
        "check": str.split,
    }

    def run(self) -> list[nodes.Node]:
        """Return the section, known to `{ref}` by the heading without its kind."""
        for option in ("label", "kind"):
            if option not in self.options:
                raise self.error(f"The erratum '{self.arguments[0]}' has no :{option}:.")
        name, kind, checks = self.options["label"], self.options["kind"], self.options.get("check", [])
        document = self.state.document
        if name in document.ids:
            raise self.error(f"Two errata have the label '{name}'.")
        heading, messages = self.state.inline_text(self.arguments[0], self.lineno)
        section = nodes.section(ids=[name], classes=["erratum"])
        document.ids[name] = section
        noted(self.env).setdefault(self.env.docname, []).append((paper(name), kind, bool(checks)))
        title = nodes.title(self.arguments[0], "", *heading)
        domain = self.env.get_domain("std")
        domain.note_hyperlink_target(name, self.env.docname, name, title.astext())  # type: ignore[attr-defined]
        title += [nodes.Text(" "), nodes.inline("", f"({kind})", classes=["erratum-kind"])]
        section += title
        self.state.nested_parse(self.content, self.content_offset, section)
        section += [*messages, *([checked(paper(name), checks)] if checks else [])]
        return [section]


def checked(where: str, tests: list[str]) -> nodes.paragraph:
    """The line that names the tests of an entry, as pytest takes them."""
    line = nodes.paragraph("", "Check: ", classes=["erratum-check"])
    for number, test in enumerate(tests):
        line += [nodes.Text(", ")] * bool(number)
        name = f"tests/errata/test_errata_{where}.py::{test}"
        line += nodes.literal(name, name)
    return line


def noted(env: BuildEnvironment) -> dict[str, list[tuple[str, str, bool]]]:
    """The entries of each page: paper, kind, whether there is a check."""
    if not hasattr(env, "errata"):
        env.errata = {}  # type: ignore[attr-defined]
    return env.errata  # type: ignore[attr-defined,no-any-return]


def forget(_app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget the entries of a page that is read again, or gone."""
    noted(env).pop(docname, None)


def merge(_app: Sphinx, env: BuildEnvironment, docnames: Iterable[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    noted(env).update({name: noted(other)[name] for name in docnames if name in noted(other)})


class counts(nodes.General, nodes.Element):
    """Stands for the table until all entries are read."""


class Counts(SphinxDirective):
    """The table of how many entries there are, by paper and kind, and how many have a check."""

    def run(self) -> list[nodes.Node]:
        """Return what `count` replaces."""
        return [counts()]


def rows(entries: Iterable[tuple[str, str, bool]]) -> dict[str, list[int]]:
    """How many entries of (paper, kind, whether it has a check) each paper has: a count for each column of the table.

    >>> rows([("lazy", "gap", True), ("lazy", "typo", False)])
    {'lazy': [1, 1, 0, 2, 1]}
    """
    found: dict[str, list[int]] = {}
    for where, kind, has_check in entries:
        row = found.setdefault(where, [0] * (len(KINDS) + 2))
        for column, counted in enumerate([*(kind == one for one in KINDS), True, has_check]):
            row[column] += counted
    return found


def table(rows: list[list[nodes.Node]]) -> nodes.table:
    """A table with a head and a paper in the first column."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in HEAD), cols=len(HEAD))
    head = [nodes.paragraph("", text) for text in HEAD]
    lines = [nodes.row("", *(nodes.entry("", cell) for cell in line)) for line in [head, *rows]]
    group += [nodes.thead("", lines[0]), nodes.tbody("", *lines[1:])]
    return nodes.table("", group, classes=["errata-counts"])


def count(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the table where it belongs, when all pages have been read."""
    places = list(doctree.findall(counts))
    if not places:
        return
    pages = [docname, *app.env.toctree_includes.get(docname, [])]
    found = rows(entry for page in pages for entry in noted(app.env).get(page, []))
    labels = app.env.get_domain("std").anonlabels  # type: ignore[attr-defined]
    lines = []
    for where, numbers in found.items():
        page, anchor = labels.get(f"errata-{where}", (docname, ""))[:2]
        address = f"{app.builder.get_relative_uri(docname, page)}#{anchor}"
        link = nodes.reference("", where.title(), internal=True, refuri=address)
        lines.append([nodes.paragraph("", "", link), *(nodes.paragraph("", str(n)) for n in numbers)])
    totals = [sum(column) for column in zip(*found.values(), strict=True)]
    lines.append([nodes.paragraph("", text) for text in ("All", *map(str, totals))])
    for place in places:
        place.replace_self(table(lines).deepcopy())


def counting(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages above those with entries: their table changes with what is below."""
    return [page for page, below in env.toctree_includes.items() if set(below) & set(noted(env))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_node(counts)
    app.add_directive("erratum", Erratum)
    app.add_directive("errata-counts", Counts)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", counting)
    app.connect("doctree-resolved", count)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
