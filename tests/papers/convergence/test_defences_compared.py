"""Tables 1 to 3 and Figures 4 and 5: paired differences, and that every claim can hold and can fail."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from advnb.papers.convergence.paired import gain, over_seeds
from advnb.papers.convergence.stages import claims as staged
from advnb.papers.convergence.stages import drawings as stages
from advnb.papers.convergence.tables import claims, drawings
from advnb.papers.convergence.tables.paper import TABLE_1, TABLE_2, standard_error
from advnb.papers.convergence.tables.trials import STAGES

SEEDS = {"mnist": 5, "cifar10": 3, "digits": 5}
EPS = {"mnist": 0.3, "cifar10": 8 / 255, "digits": 0.2}


def percentiles(median, spread):
    """A lognormal distribution of FOSC as ``recipes.percentiles`` stores it."""
    levels = np.clip(np.linspace(0, 1, 51), 0.005, 0.995)
    return np.exp(np.log(median) + spread * stats.norm.ppf(levels))


def as_printed(data, *, order=1, noise=1e-4, seed=0):
    """A table of networks as ``judged`` returns them: the paper's accuracies, and FOSC as its Figure 5 tells it.

    With ``order=-1`` the trained defences change places: what is the best in the paper is the worst,
    and FOSC rises over training.
    """
    source = "cifar10" if data == "digits" else data
    white, black = (pd.DataFrame(table[source]).T / 100 for table in (TABLE_1, TABLE_2))
    swap = {"dynamic": "standard", "standard": "dynamic"} if order < 0 else {}
    stages = {"standard": [0.05, 0.2, 0.2, 0.2, 0.2], "curriculum": [0.3, 0.25, 0.2, 0.17, 0.15],
              "dynamic": [0.5, 0.3, 0.2, 0.1, 0.1]}  # fmt: skip
    rng = np.random.default_rng(seed)
    rows = []
    for name in ("unsecured", "standard", "curriculum", "dynamic"):
        for network in range(SEEDS[data]):
            of = swap.get(name, name)
            row = dict(white.loc[of]) | (dict(black.loc[of]) if of in black.index else {})
            row = {field: value + noise * rng.normal() * (value > 0) for field, value in row.items()}
            row["at_eps"] = np.linspace(row["clean"], row["pgd10"], 5)[1:]
            if name != "unsecured":
                like = {"curriculum": "dynamic", "dynamic": "curriculum"}.get(name, name) if order < 0 else name
                own = [percentiles(v, 1.2 if like == "curriculum" else 0.4) for v in stages[like][::order]]
                pgd = [percentiles(v * (1 + noise * rng.normal()), 0.4) for v in stages[name]]
                row |= {"own_fosc": np.array(own), "pgd_fosc": np.array(pgd), "pgd_zero": np.zeros(len(STAGES))}
            meta = {
                "data": data,
                "defence": name,
                "seed": network,
                "eps": None,
                "epochs": 20,
                "run_scale": "laptop",
                "run_device_name": "a processor",
                "run_date": "2026-11-21",
            }
            rows.append({**meta, **row})
    return pd.DataFrame(rows)


def smaller(order=1):
    """A table of ``figure_4b``: gains that shrink with eps, or grow with ``order=-1``."""
    parts = []
    for eps, share in zip((0.05, 0.1, 0.15), (0.2, 0.5, 0.8), strict=True):
        rows = as_printed("digits").query("defence != 'unsecured' and seed < 3").assign(eps=eps)
        gains = {"standard": 0, "curriculum": 0.01, "dynamic": 0.02}
        size = share if order > 0 else 2 - share
        parts.append(rows.assign(pgd10=0.5 + size * rows["defence"].map(gains)))
    return pd.concat(parts, ignore_index=True)


def evidence(claim, order=1):
    tables = {f"convergence.tables_{data}": as_printed(data, order=order) for data in SEEDS}
    tables["convergence.figure_4b"] = smaller(order)
    return [tables[name] for name in claim.evidence]


JUDGED = [claim for claim in (*claims.PAGE, *staged.PAGE) if claim.evidence]
EXACT = [claim for claim in claims.PAGE if not claim.evidence and claim.holds]

ALIKE = {"table-2.stronger", "table-2.curriculum"}
"""Sentences that are reproduced in part, whose condition holds on the paper's own numbers too."""

UNORDERED = {"table-1.clean", "table-1.zero", "table-2.higher", "table-2.stronger", "figure-4a.small"}
"""Sentences that say nothing of the order of the three trained defences."""


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_numbers_such_as_the_papers_bear_out_what_is_reproduced_and_refute_what_is_not(claim):
    text, numbers = claim.measure(*evidence(claim))
    assert text and all(np.isfinite(value) for value in numbers.values())
    assert claim.holds(**numbers) is (claim.verdict == "reproduced" or claim.id in ALIKE), (text, numbers)


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_every_condition_can_fail(claim):
    text, numbers = claim.measure(*evidence(claim))
    for name in numbers:
        if re.search(rf"\b{name}\b", claim.condition):
            assert not claim.holds(**{**numbers, name: float("nan")}), "one seed has no interval and proves nothing"
    if claim.id not in UNORDERED and claim.verdict == "reproduced":
        text, numbers = claim.measure(*evidence(claim, order=-1))
        assert not claim.holds(**numbers), (text, numbers)
    values = (-1.0, 0.0, 1.0, 8.0)
    assert any(not claim.holds(**{**numbers, name: value}) for name in numbers for value in values)


@pytest.mark.parametrize("claim", EXACT, ids=lambda claim: claim.id)
def test_what_is_computed_from_the_printed_numbers_holds_and_could_fail(claim):
    text, numbers = claim.measure()
    assert text and claim.holds(**numbers)
    assert not claim.holds(**dict.fromkeys(numbers, 8)) or not claim.holds(**dict.fromkeys(numbers, 0))


def test_a_gain_is_paired_by_seed_with_students_interval():
    table = pd.DataFrame({
        "defence": ["dynamic"] * 3 + ["standard"] * 4, "seed": [0, 1, 2, 0, 1, 2, 3],
        "pgd10": [0.5, 0.6, 0.9, 0.4, 0.5, 0.7, 0.1], "pgd20": [0.3] * 7,
    })  # fmt: skip
    found = gain(table, "pgd10", "dynamic", "standard")
    low, high = stats.ttest_1samp([0.1, 0.1, 0.2], 0).confidence_interval(0.95)
    assert (found.mean, found.low, found.high, found.seeds) == pytest.approx((0.4 / 3, low, high, 3))
    assert gain(table, ("pgd10", "pgd20"), "dynamic", "standard").mean == pytest.approx(0.2 / 3)
    assert gain(table, lambda row: 2 * row["pgd10"], "dynamic", "standard").mean == pytest.approx(0.8 / 3)


def test_one_seed_has_no_interval_and_none_no_mean():
    assert np.isnan([over_seeds([0.1]).low, over_seeds([0.1]).high, over_seeds([]).mean]).all()


def test_points_round_ties_one_way():
    assert (
        claims.points(over_seeds([0.0125 * (1 + 1e-9)] * 2))
        == claims.points(over_seeds([0.0125 * (1 - 1e-9)] * 2))
        == "+1.3 [1.3, 1.3]"
    )
    assert claims.points(over_seeds([-0.02, -0.02])) == "-2.0 [-2.0, -2.0]"


def test_the_standard_error_is_that_of_two_binomial_shares():
    assert standard_error(50, 50, 100) == pytest.approx(100 * np.sqrt(2 * 0.25 / 100))


class TestDrawings:
    def test_a_table_has_the_papers_number_ours_and_the_seeds(self):
        table = as_printed("cifar10")
        shown = drawings.accuracies(table).frame
        assert list(shown.index) == ["Unsecured", "Standard", "Curriculum", "Dynamic"]
        assert shown.loc["Dynamic", "PGD-20"].startswith("42.4 | 42.4 [") and shown.loc["Dynamic", "seeds"] == "3"
        black = drawings.accuracies(table, transferred=True).frame
        assert list(black.columns) == ["FGSM", "PGD-10", "PGD-20", "C&W", "seeds"] and "Unsecured" not in black.index
        digits = drawings.accuracies(as_printed("digits"))
        assert "|" not in digits.frame.loc["Dynamic", "PGD-20"] and "ours in per cent" in digits.caption

    def test_what_was_not_run_says_so(self):
        table = as_printed("mnist").query("defence != 'dynamic' and (defence != 'curriculum' or seed == 0)")
        shown = drawings.accuracies(table).frame
        assert shown.loc["Dynamic", "FGSM"] == "95.3 | not run" and shown.loc["Dynamic", "seeds"] == "0"
        assert "[" not in shown.loc["Curriculum", "FGSM"]

    def test_gains_are_paired_and_shown_for_both_defences(self):
        shown = drawings.gains({data: as_printed(data) for data in SEEDS}).frame
        assert shown.shape == (6, 6) and shown.loc["Dynamic, CIFAR-10", "FGSM"].startswith("+4.2 [")

    def test_the_gains_of_all_attacks_stand_beside_the_papers(self):
        axes = Figure().subplots(1, 2)
        drawings.draw_gains(axes, {"mnist": as_printed("mnist"), "digits": as_printed("digits")})
        assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [
            "paper: Dynamic",
            "Curriculum",
            "Dynamic",
        ]
        diamonds = next(line for line in axes[0].lines if line.get_label() == "paper: Dynamic")
        assert diamonds.get_ydata()[0] == pytest.approx(95.34 - 94.71)
        assert all(line.get_label() != "paper: Dynamic" for line in axes[1].lines)

    def test_figure_4_has_a_line_a_defence(self):
        axes = Figure().subplots(1, 2)
        drawings.draw_test_eps(axes[0], as_printed("cifar10"))
        assert len(axes[0].get_legend().get_texts()) == 3
        assert axes[0].lines[0].get_xdata()[-1] == pytest.approx(8 / 255)
        drawings.draw_training_eps(axes[1], smaller(), as_printed("digits"))
        dynamic = axes[1].get_legend_handles_labels()[0][1].lines[0]
        assert dynamic.get_xdata().tolist() == [0.05, 0.1, 0.15, 0.2]
        assert dynamic.get_ydata()[0] == pytest.approx(0.4)

    def test_figure_5_has_three_stages_a_defence_and_densities_of_mass_one(self):
        axes = Figure().subplots(1, 3)
        stages.draw_figure_5(axes, as_printed("cifar10"))
        assert [ax.get_title() for ax in axes] == ["Standard", "Curriculum", "Dynamic"]
        labels = [text.get_text() for text in axes[1].get_legend().get_texts()]
        assert labels == ["epoch 10", "epoch 15", "epoch 20"]
        ax = Figure().subplots()
        stages.draw_density(ax, np.random.default_rng(0).exponential(size=4000), right=12.0)
        x, y = ax.lines[0].get_data()
        assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02) and y[0] > y[80]

    def test_a_frame_of_the_widget_shows_both_attacks_and_says_the_epoch(self):
        ax = Figure().subplots()
        stages.draw_epoch(ax, as_printed("mnist"), "dynamic", 1 / 2)
        assert len(ax.lines) == 2 and ax.get_title() == "Dynamic, epoch 10 of 20"
        median = np.median(stages.pooled(as_printed("mnist"), "dynamic", 1 / 2))
        assert f"met in training is {median:.2g}," in stages.say_epoch(as_printed("mnist"), "dynamic", 1 / 2)

    def test_every_network_is_a_point(self):
        ax = Figure().subplots()
        stages.draw_alignment(ax, as_printed("cifar10"))
        assert [len(line.get_xdata()) for line in ax.lines] == [3, 3, 3]
