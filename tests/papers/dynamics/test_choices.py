"""The page on choices: what float32 does, which choice a variant changes, and what the pictures show."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from advnb.experiments import load
from advnb.papers.dynamics.choices import draw_starts, draw_variants, precision, variants
from advnb.papers.dynamics.images import CONSTANT, RELATIVE, by_network, medians, per_image, pick

SMALL = {"data": "digits", "version": "2017", "units": "norm", "images": 2, "seed": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def changed():
    return variants(load("dynamics.fig2_choices", "laptop"))


def test_float32_freezes_where_float64_moves_and_neither_moves_at_constant_steps():
    run = precision(**SMALL, scale=1000.0, ratio=10.0)
    assert min(run["margin_start"]) > 104  # exp(-104) is below the smallest float32
    assert run["zero32"] == [1.0, 1.0] and run["zero64"] == [0.0, 0.0]
    assert max(map(abs, run["relative32"])) < 1e-6 and min(run["relative64"]) > 0.5
    assert max(map(abs, run["constant32"] + run["constant64"])) < 1e-6
    near = precision(**SMALL, scale=0.1, ratio=0.1)
    assert near["zero32"] == [0.0, 0.0] and min(near["cosine32"]) > 0.9


def test_each_variant_changes_one_choice(changed):
    plain = {"units": "norm", "loss": "cross_entropy", "version": "2017", "climb": changed["step"]}
    differs = {name: changed[name] != value for name, value in plain.items()} | {"lr": changed["lr"].notna()}
    product = changed["variant"] == "pixels, ε = r s"
    assert product.any() and (product == (changed["radius_of"] == "scale")).all() and differs["units"][product].all()
    for variant, name in (("pixels", "units"), ("squared loss", "loss"), ("network of 2019", "version")):
        chosen = changed["variant"].isin([variant, "pixels, ε = r s"] if variant == "pixels" else [variant])
        assert chosen.any() and (chosen == differs[name]).all()
        assert not any(differs[other][chosen].any() for other in differs if other != name)
    rates = changed["variant"].str.startswith("learning rate")
    assert (rates == differs["lr"]).all() and (rates == differs["climb"]).all()
    assert set(changed["variant"][rates]) == {"learning rate 100", "learning rate 10000"}


def test_every_cell_of_a_variant_has_a_line_with_a_dot_for_each_rule(changed):
    ax = Figure().subplots()
    draw_variants(ax, changed)
    names = [label.get_text() for label in ax.get_yticklabels()]
    cells = changed[["variant", "scale", "ratio"]].drop_duplicates()
    assert len(names) == len(cells) and names[0] == "learning rate 100: scale 10, r = 10"
    dots = {marker: [line for line in ax.lines if line.get_marker() == marker] for marker in "so"}
    assert len(dots["s"]) == len(cells) + 1  # and one for the legend
    assert len(dots["o"]) == len(cells[~cells["variant"].str.startswith("learning")]) + 1
    y = names.index("pixels: scale 0.1, r = 10")
    (dot,) = (line for line in dots["o"] if list(line.get_ydata()) == [y])
    times = by_network(pick(changed, RELATIVE, variant="pixels", scale=0.1, ratio=10.0))
    assert len(times) == 3 and dot.get_xdata()[0] == np.quantile(times, 0.5, method="nearest")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["constant steps", "relative steps"]


def test_starts_are_drawn_by_radius_for_both_climbs():
    rows = per_image(load("dynamics.fig2", "laptop"))
    ax = Figure().subplots()
    draw_starts(ax, rows, "gain")
    constant, relative = ax.lines
    assert (constant.get_label(), relative.get_label()) == ("constant steps up", "relative steps up")
    found = medians(pick(rows, CONSTANT, convention="minus"), "eps", "gain")
    np.testing.assert_array_equal(constant.get_xdata(), found.index)
    np.testing.assert_array_equal(constant.get_ydata(), found["median"])
    assert relative.get_ydata().max() < constant.get_ydata().max()
