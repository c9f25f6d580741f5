"""Places of pictures that can be moved: a frame, the scripts, and the numbers beside them."""

from types import SimpleNamespace

import movable
import pytest

PLACE = '<div class="advnb-movable" data-picture="landscape">What is <em>here</em>.</div>'


def test_a_page_gets_each_picture_once_and_in_order():
    assert movable.places(f"<p>a</p>{PLACE}{PLACE}") == ["landscape"]
    assert movable.places("<p>none</p>") == []
    with pytest.raises(KeyError, match=r"data-picture must be one of .*landscape.*; got 'other'"):
        movable.places(PLACE.replace("landscape", "other"))


def test_the_frame_and_the_sentence_stand_in_the_place():
    page = movable.framed(PLACE, "../_static")
    assert '<img src="../_static/movable/landscape.png" alt="The loss of' in page
    assert "<p>What is <em>here</em>.</p></div>" in page


def test_what_all_pictures_need_comes_first_and_the_numbers_before_what_draws_them():
    scripts = movable.scripts(["landscape"])
    assert scripts[0] == "movable/movable.js"
    assert scripts.index("movable/landscape.numbers.js") < scripts.index("movable/landscape.js")


def test_only_pages_with_a_place_load_anything():
    added = []
    app = SimpleNamespace(add_css_file=added.append, add_js_file=lambda name, **how: added.append((name, how)))
    context = {"body": "<p>none</p>"}
    movable.fill_places(app, "book/page", "page.html", context, None)
    movable.fill_places(app, "search", "search.html", {}, None)
    assert added == [] and context["body"] == "<p>none</p>"
    context = {"body": PLACE}
    movable.fill_places(app, "book/toy/page", "page.html", context, None)
    assert 'src="../../_static/movable/landscape.png"' in context["body"]
    assert added[0] == "movable/movable.css"
    assert all(how == {"loading_method": "defer"} for _, how in added[1:]) and len(added) == 5


def test_numbers_and_frames_are_written_unless_the_build_failed(tmp_path):
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    movable.write_numbers(app, ValueError("no book"))
    assert list(tmp_path.iterdir()) == []
    movable.write_numbers(app, None)
    written = {path.name for path in (tmp_path / "_static" / "movable").iterdir()}
    assert written >= {f"{name}.{kind}" for name in movable.PICTURES for kind in ("numbers.js", "png")}
    assert any(name.startswith("transition.") and name.endswith(".html") for name in written)
