"""Sliders over pictures that move on a static page as well as on a running kernel.

:func:`explore` draws every combination of a few parameter values once, and links sliders, buttons and menus
to the pictures in the browser, so the built book needs no kernel to show them. With a kernel, an extra row
computes any value in a range through the same drawing function.

The pictures are small PNGs (128 colours) inside HTML widgets, because an ``<img>`` there carries a size and
an alt text of its own and an Image widget does not. Keep to about 40 pictures a page. What a kernel draws on demand
is not stored: it comes in all its colours, a third sooner.
"""

from __future__ import annotations

import html
import inspect
import io
import itertools
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from advnb import checks
from advnb.book import figures

if TYPE_CHECKING:  # imported where they are used: together half a second, and who imports this has not drawn yet
    import ipywidgets as widgets
    from matplotlib.figure import Figure

__all__ = ["explore", "render"]

MAX_FRAMES = 60
"""Pictures one call may draw: at about 10 KB each, more would make a page slow to load."""

MAX_PARAMETERS = 3
BUTTONS = 4
"""Up to so many values show at a glance; more take a slider or a menu."""

DPI = 120  # 1.25 pixels a CSS pixel: sharper than 96 on a phone at about the same number of bytes
COLOURS = 128
PLAY_INTERVAL = 500  # milliseconds a picture

Params = dict[str, Any]
Draw = Callable[..., Any]


def explore(
    draw: Draw,
    choices: Mapping[str, Sequence[Any]],
    *,
    alt: str | Callable[..., str],
    start: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    play: str | None = None,
    live: Mapping[str, tuple[float, float]] | None = None,
    size: str | tuple[float, float] = "single",
) -> widgets.VBox:
    """Return controls over every picture that ``draw`` makes from ``choices``.

    Parameters
    ----------
    draw
        ``draw(ax, **params)`` draws on the Axes that it is given; a function that has no parameter ``ax``
        makes and returns a Figure. It must depend on nothing but its parameters.
    choices
        Values of one to three parameters, by name. Up to four values are buttons; more are a slider if they are
        numbers and a menu if not. All combinations are drawn, at most 60.
    alt
        What the pictures show, for those who do not see them: a text, or a function of the parameters that says
        what is seen at their values; each picture adds the values themselves.
    start
        Values shown first; the first of ``choices`` where not given.
    labels
        Names on the page (``{"eps": "radius ε"}``); the parameter's own name where not given.
    formats
        Functions from a value to its text; numbers show as ``%g`` and the rest as ``str`` where not given.
    play
        The parameter that a play button steps through, if any.
    live
        Ranges (low, high) of parameters that a reader with a kernel may set freely; their picture takes the place
        of the stored one. Two whole numbers make a slider of whole numbers. The built book hides this row.
    size
        A name in ``figures.SIZES`` or (width, height) in inches.

    Raises ``ValueError`` for unknown names or values, empty choices or too many pictures, before anything is
    drawn, and ``RuntimeError`` naming the parameter values if ``draw`` or ``alt`` fails.
    """
    import ipywidgets as widgets

    spec = _Spec(draw, choices, alt, dict(labels or {}), dict(formats or {}), size)
    spec.check(play, live)
    first = spec.first(start)
    controls = {name: _control(spec, name, first[name]) for name in spec.choices}
    rows = [_row(control, play == name) for name, control in controls.items()]
    pictures = _pictures(spec, controls, first)
    parts = [widgets.VBox(rows).add_class("advnb-controls"), pictures.add_class("advnb-pictures")]
    if live:
        parts += _live(spec, controls, pictures, live)
    return widgets.VBox(parts).add_class("advnb-explore")


@dataclass
class _Spec:
    """What is drawn and how it is called on the page."""

    draw: Draw
    choices: Mapping[str, Sequence[Any]]
    alt: str | Callable[..., str]
    labels: dict[str, str]
    formats: dict[str, Callable[[Any], str]]
    size: str | tuple[float, float]
    parameters: dict[str, inspect.Parameter] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = dict(inspect.signature(self.draw).parameters)
        self.choices = {name: list(values) for name, values in self.choices.items()}

    def check(self, play: str | None, live: Mapping[str, tuple[float, float]] | None) -> None:
        """Raise for anything that can be seen to be wrong without drawing."""
        if isinstance(self.alt, str) and not self.alt.strip():
            raise ValueError("alt must say what the pictures show, for readers who do not see them; got ''")
        _check_choices(self.choices)
        if isinstance(self.size, str):
            figures.size(self.size)
        elif len(self.size) != 2:
            raise ValueError(f"size must be a name or (width, height) in inches; got {self.size!r}")
        self._check_takes("choices", self.choices)
        self._check_takes("live", live or ())
        for argument, names in (("labels", self.labels), ("formats", self.formats)):
            for name in names:
                checks.choice(f"a name in {argument}", name, {*self.choices, *(live or {})})
        if play is not None:
            checks.choice("play", play, self.choices)
        for name, values in self.choices.items():
            texts = [self.text(name, value) for value in values]
            if len(set(texts)) < len(texts):
                raise ValueError(f"choices[{name!r}] must differ on the page; got {texts}: use formats")
        for name, bounds in (live or {}).items():
            _check_range(f"live[{name!r}]", bounds)

    def _check_takes(self, argument: str, names: Iterable[str]) -> None:
        takes = [name for name in self.parameters if name != "ax"]
        if any(p.kind is p.VAR_KEYWORD for p in self.parameters.values()):
            return
        for name in names:
            checks.choice(f"a name in {argument}", name, takes)

    def first(self, start: Mapping[str, Any] | None) -> dict[str, int]:
        """Return the index of the value shown first, by name."""
        for name in start or {}:
            checks.choice("a name in start", name, self.choices)
        indices = dict.fromkeys(self.choices, 0)
        for name, value in (start or {}).items():
            if value not in self.choices[name]:
                raise ValueError(f"start[{name!r}] must be one of {list(self.choices[name])}; got {value!r}")
            indices[name] = list(self.choices[name]).index(value)
        return indices

    def label(self, name: str) -> str:
        return self.labels.get(name, name)

    def text(self, name: str, value: Any) -> str:
        if name in self.formats:
            return self.formats[name](value)
        return f"{value:g}" if _is_number(value) else str(value)

    def picture(self, params: Params, *, small: bool = True) -> str:
        """Draw one picture, as an ``<img>`` with its alt text and size; raises if ``draw`` or ``alt`` fails."""
        said = ", ".join(f"{self.label(name)} {self.text(name, value)}" for name, value in params.items())
        inches = figures.size(self.size) if isinstance(self.size, str) else self.size
        doing = "draw"
        try:
            png = render(self.draw, params, inches, small=small)
            doing = "alt"
            seen = self.alt if isinstance(self.alt, str) else self.alt(**params)
        except Exception as error:
            raise RuntimeError(f"{doing} failed at {_call(params)}: {type(error).__name__}: {error}") from error
        width, height = (round(96 * pixels / DPI) for pixels in _png_size(png))
        return (
            f'<img class="advnb-frame" width="{width}" height="{height}" '
            f'style="--drawn:{width}px;max-width:100%;height:auto" alt="{html.escape(f"{seen} ({said})")}" '
            f'src="data:image/png;base64,{b64encode(png).decode()}">'
        )


def render(draw: Draw, params: Params, inches: tuple[float, float], *, small: bool = True) -> bytes:
    """Call ``draw`` in the book's style and return a PNG of 128 colours, the same bytes every time.

    With ``small=False`` it has all its colours and three times the bytes, and is there a third sooner.
    Raises ``TypeError`` if ``draw`` neither takes ``ax`` nor returns a Figure.
    """
    import matplotlib as mpl
    import numpy as np
    from matplotlib import pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with figures.style(), mpl.rc_context({"figure.figsize": inches}):
        figure: Figure | None
        if "ax" in inspect.signature(draw).parameters:
            figure = Figure()
            draw(figure.subplots(), **params)
        else:
            figure = draw(**params)
            if not isinstance(figure, Figure):
                raise TypeError(f"draw must take ax or return a Figure; it returned {type(figure).__name__}")
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        plt.close(figure)
    buffer = io.BytesIO()
    if small:
        pixels.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    else:
        pixels.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _check_choices(choices: Mapping[str, Sequence[Any]]) -> None:
    if not 1 <= len(choices) <= MAX_PARAMETERS:
        raise ValueError(f"choices must hold 1 to {MAX_PARAMETERS} parameters; got {len(choices)}")
    for name, values in choices.items():
        if not values:
            raise ValueError(f"choices[{name!r}] must hold at least one value; got none")
    frames = math.prod(map(len, choices.values()))
    if frames > MAX_FRAMES:
        product = " x ".join(f"{len(values)} {name}" for name, values in choices.items())
        raise ValueError(f"choices may make at most {MAX_FRAMES} pictures; {product} makes {frames}")


def _check_range(name: str, bounds: Any) -> None:
    try:
        low, high = map(float, bounds)
        ordered = low < high and math.isfinite(low) and math.isfinite(high)
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ValueError(f"{name} must be (low, high) with low < high; got {bounds!r}")


def _control(spec: _Spec, name: str, index: int) -> widgets.DOMWidget:
    """Buttons for a few values, else a slider for numbers and a menu for the rest; all share ``index``."""
    import ipywidgets as widgets

    values = spec.choices[name]
    texts = [spec.text(name, value) for value in values]
    longest = max(len(spec.label(other)) for other in spec.choices)
    options: dict[str, Any] = {
        "options": texts,
        "index": index,
        "description": spec.label(name),
        "tooltip": "",  # the label's hover text would read "null" without
        "style": {"description_width": f"{0.6 * longest:.1f}em"},
    }
    if len(values) <= BUTTONS:
        options["style"] |= {"button_width": "auto"}
        return widgets.ToggleButtons(**options)
    if all(map(_is_number, values)):
        return widgets.SelectionSlider(layout=widgets.Layout(width="100%", max_width="32em"), **options)
    return widgets.Dropdown(layout=widgets.Layout(width="max-content", max_width="100%"), **options)


def _row(control: widgets.DOMWidget, play: bool) -> widgets.Widget:
    """The control, with a play button before it if asked."""
    import ipywidgets as widgets

    if not play:
        return control
    last = len(control.options) - 1
    player = widgets.Play(value=control.index, max=last, interval=PLAY_INTERVAL)
    widgets.jslink((player, "value"), (control, "index"))
    return widgets.HBox([player, control]).add_class("advnb-play")


def _pictures(spec: _Spec, controls: Mapping[str, widgets.DOMWidget], first: Mapping[str, int]) -> widgets.Widget:
    """Every picture, in Stacks nested in the order of the parameters, each linked to its control."""
    import ipywidgets as widgets
    from ipywidgets.widgets.widget_string import HTMLStyle

    names = list(spec.choices)
    look = {"layout": widgets.Layout(margin="0"), "style": HTMLStyle()}
    combinations = itertools.product(*spec.choices.values())
    level: list[widgets.Widget] = [
        widgets.HTML(spec.picture(dict(zip(names, values, strict=True))), **look) for values in combinations
    ]
    for name in reversed(names):
        n = len(spec.choices[name])
        groups = [level[i : i + n] for i in range(0, len(level), n)]
        level = [widgets.Stack(group, selected_index=first[name]) for group in groups]
        for stack in level:
            widgets.jslink((controls[name], "index"), (stack, "selected_index"))
    return level[0]


def _live(
    spec: _Spec,
    controls: Mapping[str, widgets.DOMWidget],
    stored: widgets.Widget,
    live: Mapping[str, tuple[float, float]],
) -> list[widgets.Widget]:
    """The picture that takes the place of the stored ones once an input is moved, and the row of inputs."""
    import ipywidgets as widgets

    inputs = {name: _live_input(spec, name, *bounds, controls.get(name)) for name, bounds in live.items()}
    picture = widgets.HTML(layout=widgets.Layout(display="none"))

    def show(_: object) -> None:
        params = {name: spec.choices[name][control.index] for name, control in controls.items()}
        params |= {name: control.value for name, control in inputs.items()}
        try:
            picture.value = spec.picture(params, small=False)
        except RuntimeError as error:  # a callback's exception would vanish into the kernel's log
            picture.value = f'<p role="alert">{html.escape(str(error))}</p>'
        stored.layout.display, picture.layout.display = "none", None

    def follow(name: str) -> None:
        if stored.layout.display != "none":
            return
        chosen, before = spec.choices[name][controls[name].index], picture.value
        if name in inputs:
            inputs[name].value = chosen  # which shows it, unless the input was there already
        if picture.value == before:
            show(None)

    for control in inputs.values():
        control.observe(show, "value")
    for name, control in controls.items():
        control.observe(lambda _, name=name: follow(name), "index")
    heading = widgets.HTML("<b>Any value, computed by the kernel</b>")
    return [picture, widgets.VBox([heading, *inputs.values()]).add_class("advnb-live-only")]


def _live_input(
    spec: _Spec, name: str, low: float, high: float, control: widgets.DOMWidget | None
) -> widgets.DOMWidget:
    """A slider from ``low`` to ``high``, at the parameter's first value or in the middle."""
    import ipywidgets as widgets

    value = (low + high) / 2 if control is None else min(max(spec.choices[name][control.index], low), high)
    options: dict[str, Any] = {
        "min": low,
        "max": high,
        "description": spec.label(name),
        "continuous_update": False,
        "style": {"description_width": "initial"},
        "layout": widgets.Layout(width="100%", max_width="32em"),
    }
    if isinstance(low, Integral) and isinstance(high, Integral):
        return widgets.IntSlider(int(value), **options)
    return widgets.FloatSlider(value, step=(high - low) / 200, readout_format=".4g", **options)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _call(params: Params) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


def _png_size(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])  # its header begins with them
