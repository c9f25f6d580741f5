"""Pictures that a reader can move: a page that has the place of one gets its scripts, its numbers and a first frame.

The place is one line of Markdown, which reads well wherever no script fills it (``book/_static/movable/movable.js``):

    <div class="advnb-movable" data-picture="landscape">A sentence that says where the picture is.</div>

The numbers come from the chapter's module while the book is built, and lie beside the scripts.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from advnb.book import figures
from advnb.book.movable import script

PLACE = re.compile(
    r'<div class="advnb-movable" data-picture="(?P<name>[\w-]+)">(?P<text>(?:(?!<div|</div>).)*)</div>', re.DOTALL
)
FOLDER = "movable"


@dataclass(frozen=True)
class Picture:
    """Where a picture's numbers and frame come from, the scripts that draw it, and what the frame shows."""

    module: str
    scripts: tuple[str, ...]
    alt: str

    def numbers(self) -> Mapping[str, Any]:
        """The numbers that the page ships."""
        found: Callable[[], Mapping[str, Any]] = import_module(self.module).numbers
        return found()

    def pages(self) -> Mapping[str, str]:
        """The pages of stored trials that its points lead to, by file name; none unless its module has them."""
        found: Callable[[], Mapping[str, str]] = getattr(import_module(self.module), "pages", dict)
        return found()

    def frame(self, path: Path) -> None:
        """Write the picture as it starts."""
        draw: Callable[[Axes], None] = import_module(self.module).draw_frame
        with figures.style():
            drawn = Figure(figsize=figures.size("square"), layout="constrained")
            FigureCanvasAgg(drawn)
            draw(drawn.subplots())
            drawn.savefig(path, dpi=144)


PICTURES = {
    "landscape": Picture(
        "advnb.papers.dynamics.landscape.movable",
        ("network.js", "landscape.js"),
        "The loss of a two-layer network on a disc around an input, with three local minima on the circle; projected "
        "gradient descent from a start inside ends at one that is not the lowest.",
    ),
    "transition": Picture(
        "advnb.papers.lazy.phase_transition.movable",
        ("transition.js",),
        "Measured thresholds of robust accuracy against the dimension on logarithmic axes. They fall along the curves of "
        "the fitted law, one for each radius C0, nearly as one over the root of the dimension.",
    ),
    "step": Picture(
        "advnb.papers.lazy.one_step.movable",
        ("step.js",),
        "The output of a network on a digit falls along one step down the gradient, almost in a straight line, and "
        "crosses zero at the exact flip.",
    ),
}


def places(body: str) -> list[str]:
    """The names of the pictures that a page has a place for, each once; ``KeyError`` for one that there is not."""
    names = list(dict.fromkeys(place["name"] for place in PLACE.finditer(body)))
    for name in names:
        if name not in PICTURES:
            raise KeyError(f"data-picture must be one of {', '.join(PICTURES)}; got {name!r}")
    return names


def scripts(names: Iterable[str]) -> list[str]:
    """The scripts of these pictures below the static files, in the order in which a page must load them."""
    own = [file for name in names for file in (f"{name}.numbers.js", *PICTURES[name].scripts)]
    return [f"{FOLDER}/{file}" for file in dict.fromkeys(["movable.js", *own])]


def framed(body: str, root: str) -> str:
    """Put its frame into each place; ``root`` leads from the page to the static files."""

    def with_frame(place: re.Match[str]) -> str:
        name, text = place["name"], place["text"].strip()
        source = f"{root}/{FOLDER}/{name}.png"
        alt = html.escape(PICTURES[name].alt)
        return (
            f'<div class="advnb-movable" data-picture="{name}"><img src="{source}" alt="{alt}" width="422" height="422">'
            f"<p>{text}</p></div>"
        )

    return PLACE.sub(with_frame, body)


def fill_places(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Give a page that is being written what its pictures need."""
    body = context.get("body")
    if not isinstance(body, str) or not (names := places(body)):
        return
    root = "/".join([".."] * page.count("/") + ["_static"])
    context["body"] = framed(body, root)
    app.add_css_file(f"{FOLDER}/movable.css")
    for source in scripts(names):
        app.add_js_file(source, loading_method="defer")


def write(folder: Path, name: str) -> None:
    """Write the numbers, the frame and the pages of trials of a picture into the folder of the scripts."""
    picture = PICTURES[name]
    (folder / f"{name}.numbers.js").write_text(script(name, picture.numbers()), encoding="utf-8")
    picture.frame(folder / f"{name}.png")
    for file, page in picture.pages().items():
        (folder / file).write_text(page, encoding="utf-8")


def write_numbers(app: Sphinx, error: Exception | None) -> None:
    """Write what all pictures need beside their scripts."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        write(folder, name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", fill_places)
    app.connect("build-finished", write_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
