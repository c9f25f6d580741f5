"""Citations that read well in JupyterLab too: links to entries of the bibliography.

A role such as `cite:t` shows its bare key there, with a warning sign. So a notebook names a paper as readers do,
`[Deng et al. (2020)](../bibliography.md#deng2020dynamics)`, and this lets such links find their entry.
"""

from __future__ import annotations

from docutils.nodes import make_id
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

BIBLIOGRAPHY = "book/bibliography"


def name_entries(_app: Sphinx, env: BuildEnvironment) -> None:
    """Let MyST's links know the entries of the bibliography by their keys, as it knows headings by their words."""
    if BIBLIOGRAPHY not in env.metadata:
        return
    entries = env.get_domain("cite").bibdata.data.entries  # type: ignore[attr-defined]
    known = env.metadata[BIBLIOGRAPHY].setdefault("myst_slugs", {})
    known.update({key: (0, make_id(key), key) for key in entries})


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinxcontrib.bibtex")
    app.connect("env-updated", name_entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
