"""Figures: legible colours, no side effects, helpers that draw what they are given."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from advnb.book import figures


@pytest.fixture
def ax():
    with figures.style():
        yield Figure(figsize=(4, 3)).subplots()


def luminance(colour):
    c = np.array(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def seen_with(deficiency, colour):
    """A colour as seen without red or without green cones (Vienot, Brettel, Mollon 1999), in linear RGB."""
    c = np.array(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = {
        "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
        "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    }[deficiency]
    return np.clip(np.array(matrix) @ linear, 0, 1) ** (1 / 2.2)


def test_lines_and_text_stand_out_from_the_background():
    for colour in (figures.INK, figures.FAINT):
        assert contrast(colour, figures.BACKGROUND) > 4.5
    for meaning, colour in figures.COLOURS.items():
        assert contrast(colour, figures.BACKGROUND) > (2 if meaning == "start" else 3), meaning


@pytest.mark.parametrize("deficiency", ["protan", "deutan"])
def test_the_four_main_meanings_differ_to_every_eye(deficiency):
    meanings = ("clean", "adversarial", "paper", "measured")
    for a, b in combinations(meanings, 2):
        distance = np.linalg.norm(seen_with(deficiency, figures.COLOURS[a]) - seen_with(deficiency, figures.COLOURS[b]))
        same_line = figures.line(a)["linestyle"] == figures.line(b)["linestyle"]
        same_marker = figures.line(a)["marker"] == figures.line(b)["marker"]
        assert distance > 0.15 or not (same_line and same_marker), (a, b, distance)


def test_importing_changes_nothing():
    code = (
        "import matplotlib as m; m.rcParams['font.size']; before = dict(m.rcParams);"
        "import advnb.book.figures, advnb.book.explore; assert dict(m.rcParams) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_style_restores_the_callers_settings_also_after_an_error():
    before = dict(mpl.rcParams)
    with pytest.raises(KeyError), figures.style():
        assert mpl.rcParams["axes.facecolor"] == figures.BACKGROUND
        raise KeyError
    assert dict(mpl.rcParams) == before


def test_use_applies_every_setting():
    with mpl.rc_context():
        figures.use()
        wanted = mpl.rc_params_from_file(figures.STYLE, use_default_template=False)
        assert len(wanted) > 30 and {name: mpl.rcParams[name] for name in wanted} == dict(wanted)


def test_the_style_and_the_meanings_speak_of_the_same_colours():
    with figures.style():
        assert tuple(mpl.rcParams["axes.prop_cycle"].by_key()["color"]) == figures.CYCLE
        colours = ("text.color", "axes.labelcolor", "xtick.color"), ("axes.facecolor", "savefig.facecolor")
        for names, colour in zip(colours, (figures.INK, figures.BACKGROUND), strict=True):
            assert {to_rgb(mpl.rcParams[name]) for name in names} == {to_rgb(colour)}


def test_names_are_checked():
    assert figures.size("wide") == figures.SIZES["wide"]
    with pytest.raises(ValueError, match=r"size must be one of .*'wide'.*; got 'huge'"):
        figures.size("huge")
    with pytest.raises(ValueError, match=r"meaning must be one of 'adversarial', .*; got 'evil'"):
        figures.line("evil")


def test_provenance_stays_inside_the_figure_and_off_the_axes():
    with figures.style():
        fig, axes = plt.subplots(1, 2, figsize=(5, 3))
    axes[0].set_xlabel("radius")
    label = figures.provenance(fig, "live, 3 seeds, CPU, 2026-11-21, " * 6)
    beside = figures.provenance(axes[1], "live, 1 seed")
    fig.canvas.draw()
    box = label.get_window_extent()
    assert fig.bbox.fully_containsx(box.x0) and fig.bbox.fully_containsx(box.x1) and box.y0 >= 0
    for ax in axes:
        assert not box.overlaps(ax.get_tightbbox())
    assert not beside.get_window_extent().overlaps(axes[1].bbox)
    assert label.get_text().count("\n") > 0
    with pytest.raises(ValueError, match="text must say where the numbers come from"):
        figures.provenance(fig, " ")
    plt.close(fig)


def test_provenance_without_a_layout_engine_hangs_below():
    fig = Figure(figsize=(5, 3))
    assert figures.provenance(fig, "live").get_va() == "top"


def test_show_images_puts_each_image_in_its_place(ax):
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 8, 8) / 4
    image = figures.show_images(ax, images.requires_grad_(), titles=list("abcde"), columns=3)
    mosaic = np.ma.asarray(image.get_array())
    values, counts = np.unique(mosaic.compressed(), return_counts=True)
    np.testing.assert_allclose(values, [0, 0.25, 0.5, 0.75, 1])
    assert (counts == 64).all()
    assert mosaic.shape[1] == 3 * 8 + 2 * 1
    assert [text.get_text() for text in ax.texts] == list("abcde")
    assert len({text.get_position()[1] for text in ax.texts}) == 2


def test_show_images_keeps_the_sign_of_a_perturbation(ax):
    delta = np.stack([np.full((4, 4), -0.1), np.full((4, 4), 0.05)])
    image = figures.show_images(ax, delta, limits=(-0.1, 0.1), cmap="PuOr")
    np.testing.assert_allclose(np.unique(np.ma.asarray(image.get_array()).compressed()), [-0.1, 0.05], atol=1e-12)
    assert image.get_clim() == (-0.1, 0.1)


def test_show_images_says_what_it_takes(ax):
    for shape in ((2, 2, 4, 4), (2, 3, 4, 4), (0, 4, 4), (4, 4)):
        with pytest.raises(ValueError, match=rf"images must have shape \(n, h, w\) .*; got {re.escape(str(shape))}"):
            figures.show_images(ax, np.zeros(shape))
    with pytest.raises(ValueError, match="titles must hold one text an image, 2; got 1"):
        figures.show_images(ax, np.zeros((2, 4, 4)), titles=["a"])
    with pytest.raises(ValueError, match="columns must be at least 1; got 0"):
        figures.show_images(ax, np.zeros((2, 4, 4)), columns=0)
    with pytest.raises(ValueError, match=r"limits must be \(low, high\) with low < high; got \(1, 1\)"):
        figures.show_images(ax, np.zeros((2, 4, 4)), limits=(1, 1))


def test_table_is_escaped_captioned_and_rounded():
    frame = pd.DataFrame({"attack": ["<b>", "PGD"], "accuracy": [0.123456, np.nan]})
    table = figures.table(frame, caption='eps < 0.1 & "more"', index=False, digits=2, sortable=True)
    page = table._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "<caption>eps &lt; 0.1 &amp; &quot;more&quot;</caption>" in page
    assert "<td>0.12</td>" in page and "nan" not in page.lower()
    assert "advnb-sortable" in page and 'tabindex="0"' in page
    assert repr(table).splitlines()[0] == 'eps < 0.1 & "more"'
    assert "0.12" in repr(table)
    assert "advnb-sortable" not in figures.table(frame)._repr_html_()
    with pytest.raises(TypeError, match="frame must be a pandas DataFrame; got dict"):
        figures.table({"a": 1})
    with pytest.raises(ValueError, match="digits must be at least 1; got 0"):
        figures.table(frame, digits=0)


def test_heads_of_a_table_are_words():
    frame = pd.DataFrame({("live", "c_t"): [1.0]}, index=pd.Index([2], name="eps"))
    shown = figures.table(frame, heads={"c_t": "threshold", "eps": "radius"})._repr_html_()
    assert "<th>threshold</th>" in shown and "<th>radius</th>" in shown and "c_t" not in shown
    with pytest.raises(ValueError, match="a name in heads must be one of"):
        figures.table(frame, heads={"eta": "step"})


def test_no_text_in_a_picture_is_smaller_than_the_smallest():
    style = figures.STYLE.read_text(encoding="utf-8")
    sizes = re.findall(r"(?:size|labelsize):\s*([\d.]+)", style.replace("markersize", "").replace("figsize", ""))
    assert len(sizes) > 5 and min(map(float, sizes)) >= figures.SMALLEST
    root = Path(figures.__file__).parents[2]
    files = [*(root / "advnb").rglob("*.py"), *(root / "book").rglob("*.ipynb")]
    found = {
        (path.name, size)
        for path in files
        for size in re.findall(r"fontsize=([\d.]+)", path.read_text(encoding="utf-8"))
    }
    assert found and {(name, size) for name, size in found if float(size) < figures.SMALLEST} == set()
