"""The page on speed reads what was measured: its ratios are those within a turn, its limits those that were asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from advnb.papers import speed


def row(case, variant, seconds, baseline="plain limit", **seen):
    return {"case": case, "title": case.title(), "baseline": baseline, "variant": variant, "seconds": seconds} | seen


@pytest.fixture
def run(tmp_path):
    rows = [
        row("mnist.pgd10", "plain limit", [1.0, 2.0, 4.0]),
        row("mnist.pgd10", "advnb", [0.4, 1.0, 1.2], accuracy=0.5, loss=1.0),
        row("mnist.pgd10", "advnb, fold=False", [1.0, 2.0, 4.0], accuracy=0.502, loss=1.01),
        row("mnist.pgd10", "foolbox", [1.2, 2.4, 4.8], accuracy=0.5, loss=1.0),
        row("frame", "frame", [0.2, 0.2], baseline="frame"),
        {"case": "profile", "variant": "advnb, fold=False", "parts": {"convolution": 3.0, "BatchNorm": 1.0}},
        {"case": "profile", "variant": "advnb", "parts": {"convolution": 2.0}},
    ]
    about = {"device_name": "A processor", "threads": 1, "capability": "AVX2", "torch": "2", "commit": "abc",
             "date": "2026-01-01T00:00:00", "trial": False, "libraries": {"foolbox": "3"}}  # fmt: skip
    (tmp_path / "speed.json").write_text(json.dumps({"about": about, "rows": rows}))
    return speed.measured(tmp_path / "speed.json")


def test_a_ratio_is_the_median_of_those_within_a_turn(run):
    ours = run.case("mnist.pgd10").loc["advnb"]
    assert ours["ratio"] == pytest.approx(0.4) and ours["seconds"] == 1.0  # of 0.4, 0.5 and 0.3
    assert (ours["low"], ours["high"]) == (pytest.approx(0.35), pytest.approx(0.45))
    assert run.value("mnist.pgd10", "plain limit") == 1 and np.isnan(run.value("mnist.pgd10", "ART"))
    assert list(run.parts.loc["advnb"]) == [2.0, 0.0]


def test_a_case_that_was_not_measured_is_refused(run):
    with pytest.raises(ValueError, match=r"case must be one of .*; got 'mnist.pgd11'"):
        run.case("mnist.pgd11")


def test_limits_are_reached_or_not_or_were_not_measured(run):
    by_words = {limit.says: limit for limit in speed.LIMITS}
    assert len(by_words) == len(speed.LIMITS)
    verdict = lambda says: by_words[says].verdict(run)  # noqa: E731
    assert verdict("PGD-10 on MNIST, of the plain limit") == "reached"
    assert verdict("its accuracy under attack, from that of the network as written") == "reached"
    assert verdict("its mean loss under attack, likewise") == "not reached"
    assert verdict("the fastest library on MNIST, of our PGD-10") == "reached"
    assert verdict("PGD-10 on MNIST in native bfloat16") == "not measured"
    assert verdict("seconds for a frame of the landscape's explorer") == "not reached"


def test_the_label_says_what_was_measured_where(run):
    assert run.label == "A processor, 1 thread, AVX2; torch 2, foolbox 3; commit abc, 2026-01-01"


def test_the_picture_has_a_dot_a_variant_and_names_it(run):
    ax = Figure().subplots()
    speed.draw_ratios(ax, run, ["mnist.pgd10"])
    dots = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert dots == [pytest.approx(value) for value in (0.4, 1.0, 1.2)]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["advnb", "advnb, fold=False", "foolbox"]
    assert ax.get_xscale() == "log" and [text.get_text() for text in ax.texts] == ["Mnist.Pgd10"]


def test_the_parts_of_a_step_are_shares_of_the_first(run):
    ax = Figure().subplots()
    speed.draw_parts(ax, run)
    assert sorted(bar.get_width() for bar in ax.patches) == [0.0, 0.25, 0.5, 0.75]


def test_the_table_has_ratios_with_their_quartiles_and_strength(run):
    table = speed.shown(run, ["mnist.pgd10"])
    assert table.loc[("Mnist.Pgd10", "advnb"), "of the baseline"] == "0.40 [0.35, 0.45]"
    assert table.loc[("Mnist.Pgd10", "advnb"), "accuracy under attack"] == "0.500"


def test_what_is_stored_answers_every_limit_and_says_why_where_it_does_not_hold():
    run = speed.measured()
    table = speed.reached(run)
    assert list(table["what"]) == [limit.says for limit in speed.LIMITS]
    assert set(table["outcome"]) <= {"reached", "not reached", "not measured"}
    for case in dict.fromkeys(run.cases["case"]):
        rows = run.case(case)
        assert rows["baseline"].iloc[0] in rows.index and rows.index.is_unique
        assert (rows["low"] <= rows["ratio"]).all() and (rows["ratio"] <= rows["high"]).all()
    assert speed.check(run).count("\n") >= len(speed.LIMITS)
