"""How the book's figures look: sizes, colours with fixed meanings, small plots that several chapters share.

Nothing happens at import. A notebook calls :func:`use` once, in its first cell; library code draws inside
:func:`style`. Every helper takes the Axes to draw on, so figures are composed by the caller.

Figures have an opaque near-white background and dark text, so they read the same on a light and on a dark
page. Colours come from the Okabe-Ito palette, which colour-blind readers can tell apart, and each meaning
(clean, adversarial, paper, measured) also has its own line style and marker.

Caption, number and alt text of a notebook figure are cell metadata, which MyST-NB reads while the book is
built::

    {"mystnb": {"image": {"alt": "Accuracy falls from 0.97 to 0.02 as eps grows from 0 to 0.3."},
                "figure": {"name": "fig-accuracy", "caption": "Accuracy under PGD on digits."}}}

``image.alt`` becomes the ``alt`` of the ``<img>``: without it the page shows a file name to a screen reader,
and the browser tests fail. ``figure`` wraps the picture in a numbered figure, so ``{numref}`fig-accuracy```
works. Use one figure a cell, and end the drawing line with ``;`` so that no text output joins the picture.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from advnb import checks
from advnb.experiments.read import label

if TYPE_CHECKING:  # imported where they are used, as in explore
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

__all__ = ["Table", "beside", "line", "provenance", "show_images", "size", "style", "table", "use"]

SIZES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"single": (5.6, 3.5), "wide": (8.0, 3.3), "tall": (5.6, 6.2), "square": (4.4, 4.4), "strip": (8.0, 1.7)}
)
"""Figure sizes in inches (width, height); the page shows 96 pixels an inch."""

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "clean": "#0072B2",
        "adversarial": "#D55E00",
        "measured": "#007A5A",
        "paper": "#5A5A5A",
        "bound": "#A8447F",
        "start": "#E69F00",
    }
)
"""What each colour means in every figure of the book."""

CYCLE: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe-Ito without its yellow, which does not show on white; for curves that have no fixed meaning."""

BACKGROUND = "#FCFCFA"
INK = "#222222"
FAINT = "#6A6A6A"

_LINES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "clean": ("-", "o"),
        "adversarial": ("-", "s"),
        "measured": ("-", "o"),
        "paper": ("--", "D"),
        "bound": (":", ""),
        "start": ("-", "o"),
    }
)

STYLE = Path(__file__).with_name("book.mplstyle")
"""Everything about the look that has no meaning: fonts, sizes, grid."""

SMALLEST = 8.0
"""Points of the smallest text in a picture: on a phone, where pictures keep 0.85 of their width, 9 pixels."""


@contextmanager
def style() -> Iterator[None]:
    """Apply the book's look inside a ``with`` block, and restore the caller's settings after it."""
    import matplotlib as mpl

    with mpl.rc_context(fname=STYLE):
        yield


def use() -> None:
    """Apply the book's look to the whole notebook; call it once, in the first cell.

    In IPython it also asks for pictures at twice the resolution, sized so that they stay sharp on phones.
    """
    from matplotlib import pyplot as plt

    plt.style.use(STYLE)
    try:
        from IPython import get_ipython
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        InlineBackend.instance(parent=shell).figure_formats = {"retina"}


def size(name: str) -> tuple[float, float]:
    """Return (width, height) in inches of a named size; raises ``ValueError`` for an unknown name."""
    return SIZES[checks.choice("size", name, SIZES)]


def line(meaning: str) -> dict[str, Any]:
    """Return the colour, line style and marker of a meaning: ``ax.plot(x, y, **line("paper"))``.

    Raises ``ValueError`` for a meaning that has no fixed look.
    """
    linestyle, marker = _LINES[checks.choice("meaning", meaning, _LINES)]
    return {"color": COLOURS[meaning], "linestyle": linestyle, "marker": marker}


def provenance(where: Axes | Figure, text: str) -> Text:
    """Write where the numbers come from (scale, seeds, device, date) small beside the picture.

    On a Figure the text takes a line of its own under everything. On one Axes among several it runs up the
    right-hand edge, where no label can collide with it. Raises ``ValueError`` if ``text`` is empty.
    """
    if not text.strip():
        raise ValueError("text must say where the numbers come from (scale, seeds, device, date); got ''")
    from matplotlib.axes import Axes
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    look: dict[str, Any] = {"fontsize": SMALLEST, "color": FAINT}
    if isinstance(where, Axes):
        look |= {"xycoords": "axes fraction", "textcoords": "offset points", "rotation": 90}
        return where.annotate(text, (1, 0), (4, 0), ha="left", va="bottom", **look)
    width, height = where.get_size_inches()
    wrapped = textwrap.fill(text, max(20, int(width * 72 / (0.55 * SMALLEST))))
    room = (wrapped.count("\n") + 1.7) * 1.3 * SMALLEST / 72 / height
    layout = where.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(rect=(0, room, 1, 1 - room))
        return where.text(0.995, 0.15 * room, wrapped, ha="right", va="bottom", **look)
    return where.text(0.995, 0, wrapped, ha="right", va="top", **look)


def show_images(
    ax: Axes,
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    cmap: str = "gray",
) -> AxesImage:
    """Draw a batch of images as one mosaic on ``ax``, each with its title above it.

    Parameters
    ----------
    images
        (n, h, w) or (n, 1, h, w), an array or a tensor on any device.
    titles
        ``n`` short texts, or None.
    columns
        Images a row; all in one row unless told.
    limits
        Values shown as the two ends of ``cmap``: (0, 1) for pixels, (-eps, eps) for a perturbation (with a
        diverging map such as ``"PuOr"``).

    Returns the matplotlib image, for a colour bar. Raises ``ValueError`` for another shape, another
    number of titles than ``n``, or limits out of order.
    """
    batch = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images, dtype=float)
    batch = batch[:, 0] if batch.ndim == 4 and batch.shape[1] == 1 else batch
    if batch.ndim != 3 or batch.size == 0:
        raise ValueError(f"images must have shape (n, h, w) or (n, 1, h, w) with n > 0; got {batch.shape}")
    n, h, w = batch.shape
    if titles is not None and len(titles) != n:
        raise ValueError(f"titles must hold one text an image, {n}; got {len(titles)}")
    columns = n if columns is None else min(n, checks.count("columns", columns))
    if not limits[0] < limits[1]:
        raise ValueError(f"limits must be (low, high) with low < high; got {limits!r}")
    gap, head = max(1, round(w / 14)), max(1, round(h / (14 if titles is None else 4)))
    mosaic = np.ma.masked_all((-(-n // columns) * (h + head), columns * (w + gap) - gap))
    for i, image in enumerate(batch.clip(*limits)):
        top, left = (i // columns) * (h + head) + head, (i % columns) * (w + gap)
        mosaic[top : top + h, left : left + w] = image
        if titles is not None:
            ax.text(left + w / 2 - 0.5, top - 0.5 - 0.04 * h, titles[i], ha="center", va="bottom", fontsize=SMALLEST)
    ax.set_axis_off()
    return ax.imshow(mosaic, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")


@dataclass(frozen=True)
class Table:
    """A table that shows as HTML on a page and as text in a terminal; made by :func:`table`."""

    frame: pd.DataFrame
    caption: str = ""
    digits: int = 3
    index: bool = True
    sortable: bool = False

    def _repr_html_(self) -> str:
        import pandas as pd

        def number(value: float) -> str:
            return "" if np.isnan(value) else f"{value:.{self.digits}g}"

        classes = "advnb-table advnb-sortable" if self.sortable else "advnb-table"
        with pd.option_context("display.max_colwidth", None):  # no text is cut short
            body = self.frame.to_html(border=0, classes=classes, float_format=number, index=self.index, na_rep="")
        caption = html.escape(self.caption)
        if caption:
            start = body.index(">") + 1
            body = f"{body[:start]}\n  <caption>{caption}</caption>{body[start:]}"
        name = caption or "table"
        return f'<div class="advnb-scroll" role="region" tabindex="0" aria-label="{name}">\n{body}\n</div>'

    def __repr__(self) -> str:
        text: str = self.frame.to_string(index=self.index, float_format=f"{{:.{self.digits}g}}".format)
        return f"{self.caption}\n{text}" if self.caption else text


def table(
    frame: pd.DataFrame,
    *,
    caption: str = "",
    heads: Mapping[str, str] | None = None,
    digits: int = 3,
    index: bool = True,
    sortable: bool = False,
) -> Table:
    """Return ``frame`` as a styled table for the page, with a caption; it scrolls sideways on a phone.

    ``heads`` has the words that the page shows for names of columns and of levels of the index. Floats show
    ``digits`` significant digits. In the built book a click on a heading of a ``sortable`` table sorts by that
    column. Raises ``TypeError`` if ``frame`` is not a DataFrame, and ``ValueError`` if ``heads`` names nothing in it.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame; got {type(frame).__name__}")
    if heads:
        frame = _in_words(frame, heads)
    return Table(frame, caption, checks.count("digits", digits), index, sortable)


def _in_words(frame: pd.DataFrame, heads: Mapping[str, str]) -> pd.DataFrame:
    names = {*frame.columns.names, *frame.index.names}
    for level in range(frame.columns.nlevels):
        names |= set(frame.columns.get_level_values(level))
    for head in heads:
        checks.choice("a name in heads", head, sorted(map(str, names)))
    words: Any = dict(heads)
    return frame.rename(columns=words).rename_axis(index=words, columns=words)


def beside(
    stored: pd.DataFrame,
    live: pd.DataFrame,
    by: Mapping[str, str],
    columns: Mapping[str, tuple[str, Any]],
    *,
    caption: str = "",
) -> Table:
    """Return the same summary of a stored and of a live run, side by side.

    ``by`` has the columns to group by with their heads, ``columns`` the heads with (column, aggregation).
    """
    import pandas as pd

    parts = {"stored": stored, "live": live}
    both = {f"{name}: {label(part)}": part.groupby(list(by)).agg(**columns) for name, part in parts.items()}
    return table(pd.concat(both, axis=1), caption=caption, heads=by)
