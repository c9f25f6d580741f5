"""explore(): the right picture for every position of the controls, the same bytes every time, clear errors."""

from __future__ import annotations

import io
import itertools
import re
from base64 import b64decode

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from ipywidgets.widgets.widget_link import Link
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from advnb.book.explore import MAX_FRAMES, explore, render


def draw(ax, eps, attack="pgd"):
    ax.plot([0, 1], [eps, eps if attack == "pgd" else 0])
    ax.set_title(f"{attack} {eps}")


SMALL = (2.0, 1.5)
CHOICES = {"eps": [0.0, 0.1, 0.25], "attack": ["fgsm", "pgd"]}


@pytest.fixture(autouse=True)
def no_widgets_left():
    """Links live as long as their widgets: leave none of an earlier test in the registry."""
    widgets.Widget.close_all()
    yield
    widgets.Widget.close_all()


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def controls(box):
    """The linked controls by label: what a static page offers."""
    kinds = (widgets.SelectionSlider, widgets.ToggleButtons, widgets.Dropdown)
    return {w.description: w for w in tree(box.children[0]) if isinstance(w, kinds)}


def links():
    return [w for w in _instances.values() if type(w) is Link]


def quick(function, choices, **options):
    """explore() with small pictures, for tests that are not about their size."""
    return explore(function, choices, **{"alt": "Loss", "size": SMALL} | options)


def shown(box, **indices):
    """The picture after the controls are moved and the browser has followed every link."""
    for name, index in indices.items():
        controls(box)[name].index = index
    for link in links():
        (source, trait), (target, other) = link.source, link.target
        setattr(target, other, getattr(source, trait))
    top = box.children[1]
    while isinstance(top, widgets.Stack):
        top = top.children[top.selected_index]
    return top.value


def png_bytes(picture):
    return b64decode(re.search('base64,([^"]+)', picture)[1])


def png(picture):
    return Image.open(io.BytesIO(png_bytes(picture)))


def test_every_position_shows_its_own_picture():
    choices = CHOICES | {"seed": [1, 2]}
    seen = set()

    def draw_all(ax, eps, attack, seed):
        draw(ax, eps * seed, attack)

    box = quick(draw_all, choices)
    for i, j, k in itertools.product(range(3), range(2), range(2)):
        picture = shown(box, eps=i, attack=j, seed=k)
        values = f"eps {choices['eps'][i]:g}, attack {choices['attack'][j]}, seed {choices['seed'][k]}"
        assert f'alt="Loss ({values})"' in picture
        params = {"eps": choices["eps"][i], "attack": choices["attack"][j], "seed": choices["seed"][k]}
        assert png_bytes(picture) == render(draw_all, params, SMALL)
        seen.add(picture)
    assert len(seen) == 12


def test_start_is_what_shows_first():
    box = quick(draw, CHOICES, start={"eps": 0.25, "attack": "pgd"})
    assert "(eps 0.25, attack pgd)" in shown(box)
    first = quick(draw, CHOICES)
    assert "(eps 0, attack fgsm)" in shown(first)


def test_two_calls_give_the_same_state():
    def state():
        widgets.Widget.close_all()
        box = quick(draw, CHOICES, play="eps", live={"eps": (0.0, 1.0)})
        order = {id_: i for i, id_ in enumerate(_instances)}
        text = repr([w.get_state() for w in _instances.values()])
        box.close()
        return re.sub("[0-9a-f]{32}", lambda m: str(order[m[0]]), text)

    assert state() == state()


def test_pictures_are_small_sized_and_do_not_depend_on_the_callers_settings():
    sizes = {"single": (5.6, 3.5), (3.0, 2.0): (3.0, 2.0)}
    for size, (width, height) in sizes.items():
        image = png(shown(quick(draw, {"eps": [0.1]}, size=size)))
        assert image.size == (round(120 * width), round(120 * height))
        assert image.mode == "P" and len(image.getcolors()) <= 128
        assert f'width="{round(96 * width)}" height="{round(96 * height)}"' in shown(
            quick(draw, {"eps": [0.1]}, size=size)
        )
    plain = render(draw, {"eps": 0.1}, (5, 3))
    assert len(plain) < 12_000
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "figure.dpi": 30}):
        assert render(draw, {"eps": 0.1}, (5, 3)) == plain


def test_a_function_may_make_its_own_figure_and_leaves_none_open():
    def own(eps):
        fig, axes = plt.subplots(1, 2)
        axes[0].plot([0, eps])
        return fig

    before = plt.get_fignums()
    box = quick(own, {"eps": [1, 2]}, size="wide")
    assert png(shown(box)).size == (960, 396)
    assert plt.get_fignums() == before


def test_few_values_are_buttons_more_numbers_a_slider_and_more_words_a_menu():
    choices = {"eps": range(5), "few": [1, 2, 3, 4], "name": ["a", "b"]}
    made = controls(quick(lambda ax, eps, few, name: draw(ax, eps), choices))
    kinds = {name: type(control).__name__ for name, control in made.items()}
    assert kinds == {"eps": "SelectionSlider", "few": "ToggleButtons", "name": "ToggleButtons"}
    made = controls(quick(lambda ax, name: draw(ax, 1), {"name": list("abcde")}))
    assert type(made["name"]).__name__ == "Dropdown"
    made = controls(quick(lambda ax, on: draw(ax, 1), {"on": [True, False]}))
    assert type(made["on"]).__name__ == "ToggleButtons"


def test_labels_and_formats_are_what_the_reader_sees():
    box = quick(
        draw,
        {"eps": [8 / 255, 16 / 255]},
        labels={"eps": "radius ε"},
        formats={"eps": lambda eps: f"{eps * 255:.0f}/255"},
    )
    assert controls(box)["radius ε"].options == ("8/255", "16/255")
    assert 'alt="Loss (radius ε 8/255)"' in shown(box)


def test_alt_text_is_escaped():
    box = quick(draw, {"eps": [1]}, alt='a < b, "quoted"')
    assert 'alt="a &lt; b, &quot;quoted&quot; (eps 1)"' in shown(box)


def test_alt_text_may_state_what_is_seen_at_each_value():
    box = quick(draw, {"eps": [1, 2]}, alt=lambda eps: f"The loss is {eps**2}")
    assert 'alt="The loss is 1 (eps 1)"' in shown(box)
    assert 'alt="The loss is 4 (eps 2)"' in shown(box, eps=1)


def test_an_alt_text_that_fails_names_its_parameters():
    with pytest.raises(RuntimeError, match=r"alt failed at eps=0: ZeroDivisionError: "):
        quick(draw, {"eps": [0]}, alt=lambda eps: f"{1 / eps}")


def test_play_is_linked_to_its_control():
    box = quick(draw, CHOICES, play="eps", start={"eps": 0.1})
    (player,) = [w for w in tree(box) if isinstance(w, widgets.Play)]
    assert (player.value, player.min, player.max) == (1, 0, 2)
    player.value = 2
    assert "(eps 0.25, attack fgsm)" in shown(box)


def live_row(box):
    stored, picture, row = box.children[1:]
    assert "advnb-live-only" in row._dom_classes
    assert (stored.layout.display == "none") == (picture.layout.display is None), "one picture, and only one"
    return row.children[1:], picture


def test_a_kernel_draws_any_value_in_place_of_the_stored_picture():
    box = quick(draw, CHOICES, live={"eps": (0.0, 1.0)})
    (slider,), picture = live_row(box)
    assert isinstance(slider, widgets.FloatSlider) and slider.value == 0.0
    assert picture.value == "" and picture.layout.display == "none"
    controls(box)["attack"].index = 1
    assert picture.value == "", "the stored pictures do until an input is moved"
    slider.value = 0.625
    live_row(box)
    assert "(eps 0.625, attack pgd)" in picture.value and picture.layout.display is None
    assert np.asarray(png(picture.value)).std() > 0


def test_a_kernel_spends_no_time_on_making_its_picture_small():
    """Its colours are those of the stored picture before these were reduced to a palette."""
    box = quick(draw, CHOICES, live={"eps": (0.0, 1.0)})
    (slider,), picture = live_row(box)
    slider.value = 0.1
    stored, drawn = png(shown(quick(draw, CHOICES, start={"eps": 0.1}))), png(picture.value)
    assert (stored.mode, drawn.mode) == ("P", "RGB") and stored.size == drawn.size
    assert len(png_bytes(picture.value)) < 100_000
    assert stored.tobytes() == drawn.quantize(128, dither=Image.Dither.NONE).tobytes()


def test_a_live_picture_follows_every_control():
    box = quick(draw, CHOICES, live={"eps": (0.0, 1.0)})
    (slider,), picture = live_row(box)
    slider.value = 0.625
    controls(box)["attack"].index = 1
    assert "(eps 0.625, attack pgd)" in picture.value
    controls(box)["eps"].index = 2
    assert slider.value == 0.25 and "(eps 0.25, attack pgd)" in picture.value
    slider.value = 0.1
    controls(box)["eps"].index = 1
    assert "(eps 0.1, attack pgd)" in picture.value


def test_live_may_set_a_parameter_that_has_no_choices():
    def seeded(ax, eps, seed=0):
        draw(ax, eps + seed)

    box = quick(seeded, {"eps": [1.0]}, live={"seed": (0, 9)})
    (slider,), picture = live_row(box)
    assert isinstance(slider, widgets.IntSlider)
    slider.value = 7
    assert "(eps 1, seed 7)" in picture.value


def test_a_live_error_is_shown_and_not_lost():
    def fussy(ax, eps):
        if eps > 1:
            raise ValueError("eps <too> large")

    box = quick(fussy, {"eps": [0.5]}, live={"eps": (0.0, 2.0)})
    (slider,), picture = live_row(box)
    slider.value = 1.5
    assert "draw failed at eps=1.5: ValueError: eps &lt;too&gt; large" in picture.value


def never(ax, eps):
    raise AssertionError("drawn before the arguments were checked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"choices": {}}, r"choices must hold 1 to 3 parameters; got 0"),
        ({"choices": {name: [1] for name in "abcd"}}, r"choices must hold 1 to 3 parameters; got 4"),
        ({"choices": {"eps": []}}, r"choices\['eps'\] must hold at least one value; got none"),
        ({"choices": {"eps": range(61)}}, r"at most 60 pictures; 61 eps makes 61"),
        ({"choices": {"eps": range(31), "b": [1, 2]}}, r"at most 60 pictures; 31 eps x 2 b makes 62"),
        ({"choices": {"epz": [1]}}, r"a name in choices must be one of 'eps'; got 'epz'"),
        ({"choices": {"eps": [1.0, 1.0000001]}}, r"must differ on the page; got \['1', '1'\]"),
        ({"start": {"epz": 1}}, r"a name in start must be one of 'eps'; got 'epz'"),
        ({"start": {"eps": 9}}, r"start\['eps'\] must be one of \[1, 2\]; got 9"),
        ({"labels": {"epz": "x"}}, r"a name in labels must be one of 'eps'; got 'epz'"),
        ({"formats": {"epz": str}}, r"a name in formats must be one of 'eps'; got 'epz'"),
        ({"play": "epz"}, r"play must be one of 'eps'; got 'epz'"),
        ({"live": {"epz": (0, 1)}}, r"a name in live must be one of 'eps'; got 'epz'"),
        ({"live": {"eps": (1, 1)}}, r"live\['eps'\] must be \(low, high\) with low < high; got \(1, 1\)"),
        ({"live": {"eps": (0, float("inf"))}}, r"live\['eps'\] must be \(low, high\)"),
        ({"live": {"eps": 3}}, r"live\['eps'\] must be \(low, high\) with low < high; got 3"),
        ({"alt": " "}, r"alt must say what the pictures show"),
        ({"size": "huge"}, r"size must be one of .*'single'.*; got 'huge'"),
        ({"size": (1, 2, 3)}, r"size must be a name or \(width, height\) in inches; got \(1, 2, 3\)"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        explore(never, **{"choices": {"eps": [1, 2]}, "alt": "Loss"} | arguments)


def test_the_limit_itself_is_allowed():
    box = explore(lambda eps: Figure(figsize=(0.5, 0.5)), {"eps": range(MAX_FRAMES)}, alt="Nothing")
    assert sum(isinstance(w, widgets.HTML) for w in tree(box)) == MAX_FRAMES


def test_a_drawing_that_fails_names_its_parameters():
    def fails(ax, eps, attack):
        if attack == "pgd":
            raise KeyError("gone")

    with pytest.raises(RuntimeError, match=r"draw failed at eps=0.0, attack='pgd': KeyError: 'gone'") as info:
        quick(fails, CHOICES)
    assert isinstance(info.value.__cause__, KeyError)


def test_a_drawing_that_returns_no_figure_is_told_so():
    with pytest.raises(RuntimeError, match="draw must take ax or return a Figure; it returned NoneType"):
        quick(lambda eps: None, {"eps": [1]})
