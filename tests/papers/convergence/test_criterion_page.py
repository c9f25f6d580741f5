"""Equation (4) and Figure 1: what is measured, on cases that are known, the trial, the zeros, and the pictures."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from advnb.balls import Linf
from advnb.criterion import convergence
from advnb.data import Split
from advnb.models import digits_cnn
from advnb.papers.convergence import strength
from advnb.papers.convergence.criterion import claims, drawings, measures, trials
from advnb.papers.convergence.recipes import images

BALL = Linf(0.2)


@pytest.fixture(scope="module")
def scene():
    model = digits_cnn(generator=torch.Generator().manual_seed(0)).eval()
    split = images("digits", 40, 24, "cpu").test
    start = BALL.sample(split.x, generator=torch.Generator().manual_seed(1))
    return model, split, start, *measures.along(model, split, BALL, start, 4)


@pytest.fixture(scope="module")
def table():
    """Two networks, hardly trained, on few images."""
    how = {"data": "digits", "tests": 40, "device": "cpu", "examples": 100, "epochs": 4, "batch": 16, "lr": 0.05}
    return pd.DataFrame([{**trials.examined(**how, seed=seed), "seed": seed} for seed in (0, 1)]).map(
        lambda value: np.array(value) if isinstance(value, list) else value
    )


class TestMeasured:
    def test_it_is_what_the_criterion_says(self, scene):
        model, split, start, points, path = scene
        at = convergence(model, points[3], split.x, split.y, BALL, start=start)
        rows = path[path["step"] == 3]
        for name, values in (("raw", at.closed_form), ("box", at.fosc), ("start", at.from_start), ("loss", at.loss)):
            np.testing.assert_allclose(rows[name], values, rtol=1e-5)
        np.testing.assert_allclose(rows["relative"] * BALL.eps * rows["norm"], rows["raw"], rtol=1e-5, atol=1e-7)
        assert rows["relative"].between(0, 2).all() and (rows["box"] <= rows["raw"] * (1 + 1e-6)).all()
        assert rows["right"].tolist() == (model(points[3]).argmax(1) == split.y).tolist()

    def test_the_margin_is_that_of_the_weighted_wrong_logits(self, scene):
        model, split, _, points, path = scene
        x = points[2].clone().requires_grad_()
        logits = model(x)
        wrong = logits.masked_fill(torch.nn.functional.one_hot(split.y, 10).bool(), float("-inf"))
        weights = wrong.softmax(1).detach()
        gain = (weights * logits).sum() - logits.gather(1, split.y[:, None]).sum()
        (grad,) = torch.autograd.grad(gain, x)
        expected = Linf(BALL.eps, box=None).gap(grad, points[2], split.x)
        np.testing.assert_allclose(path[path["step"] == 2]["margin"], expected, rtol=1e-3)

    def test_a_network_without_slope_has_none(self, scene):
        split = scene[1]
        flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
        torch.nn.init.zeros_(flat[1].weight)
        rows = measures.measured(flat, split.x, split, BALL)
        assert (rows[["raw", "relative", "box", "start", "margin", "norm"]] == 0).all(axis=None)
        with torch.no_grad():
            flat[1].bias.zero_()[split.y[0]] = 1e3  # a loss of exactly 0 leaves nothing to divide by
        assert measures.measured(flat, split.x[:1], split[:1], BALL)["margin"].tolist() == [0]

    def test_it_follows_the_attack(self, scene):
        *_, points, path = scene
        assert points.shape == (5, 24, 1, 8, 8) and len(path) == 5 * 24
        assert measures.paths(path, "loss").shape == (5, 24) and measures.paths(path, "loss", 2).shape == (3, 24)


class TestGroups:
    fosc = pd.DataFrame({"raw": [0.3, 0.1, 0.2, 0.05], "right": [0, 1, 0, 1], "loss": 1.0, "norm": [3, 1, 2, 0.5]})

    def test_groups_are_consecutive_and_of_one_size(self):
        found = measures.groups(self.fosc, n=2)
        assert found["fosc"].tolist() == pytest.approx([0.075, 0.25])
        assert found["right"].tolist() == [1, 0] and found["norm"].tolist() == [0.75, 2.5]

    def test_ties_are_shared_out(self):
        assert len(measures.groups(self.fosc.assign(raw=0.0), n=4)) == 4

    def test_bins_are_of_one_width_and_leave_out_what_lies_beyond(self):
        found = measures.bins(self.fosc, top=0.2, n=4)
        assert found["count"].tolist() == [0, 1, 1, 1] and found["right"].tolist() == [0, 1, 1, 0]
        assert found["fosc"].tolist() == pytest.approx([0.025, 0.075, 0.125, 0.175])


def test_correlations_have_the_sign_and_an_interval():
    generator = np.random.default_rng(0)
    raw = generator.normal(size=200)
    noise = {name: generator.normal(size=200) for name in ("relative", "box", "start", "margin", "norm")}
    table = pd.DataFrame({"raw": raw, **noise, "right": raw > 0, "loss": -np.exp(raw)}).astype(float)
    found = measures.correlations(table, draws=50)
    assert found.loc[("raw", "loss"), "spearman"] == pytest.approx(-1)
    assert -1 < found.loc[("raw", "loss"), "pearson"] < -0.5
    row = found.loc["box", "right"]
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"] and abs(row["spearman"]) < 0.2
    assert measures.correlations(table.assign(right=1.0), draws=2).loc[("raw", "right"), "spearman"] is not None


def test_correlation_along_the_steps_is_each_examples_own():
    step, example = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    raw = np.array([[3, 1, 1], [2, 2, 1], [1, 3, 1], [0, 4, 1]], float).ravel()
    path = pd.DataFrame({"step": step, "example": example, "raw": raw, "loss": step.astype(float)})
    found = measures.within(path, "raw", 3)
    assert found[0] == pytest.approx(-1) and found[1] == pytest.approx(1) and np.isnan(found[2])


def test_pairs_of_attacks_agree_or_not():
    one = pd.DataFrame({"raw": [0.1, 0.1, 0.3, 0.2], "loss": [2.0, 1.0, 1.0, 1.0], "right": [0, 1, 1, 1]})
    two = pd.DataFrame({"raw": [0.2, 0.2, 0.2, 0.2], "loss": [1.0, 2.0, 1.0, 3.0], "right": [1, 1, 0, 0]})
    # First: agrees twice. Second: by loss not. Third: same loss, by outcome yes. Fourth: a tie.
    assert measures.pairs({"one": one, "two": two}, "raw") == [1, 2, 2, 2]


def test_short_numbers():
    assert measures.short(np.array([[1 / 3, 2.0]])) == [[0.33333, 2.0]] and measures.short(1e-9 / 3) == 3.3333e-10


class TestTrial:
    def test_what_is_said_twice_agrees(self, table):
        row = table.iloc[0]
        assert row["attack_right"][1] == pytest.approx(row["path_right"][10], abs=1e-4)
        assert row["attack_raw"][2] == pytest.approx(row["path_raw"][0][20], rel=1e-3)
        assert row["groups_raw"][1].mean() == pytest.approx(row["attack_right"][1], abs=1e-4)
        assert row["bins_raw"][0].sum() == pytest.approx(40 * row["within_range_raw"], abs=0.01)
        np.testing.assert_allclose(row["lines_loss"].shape, (20, 21))

    def test_the_start_is_its_own_centre(self, table):
        assert (claims.field(table, "start_negative", 0) == 0).all()
        assert (claims.field(table, "path_start")[:, 0, 0] >= claims.field(table, "path_box")[:, 0, 0] * 0).all()

    def test_the_linear_programme_agrees(self, table):
        assert claims.field(table, "by_lp", 0).max() < 1e-9 and claims.field(table, "by_lp", 1).max() < 1e-4

    def test_what_is_out_of_reach_is_a_share(self, table):
        for name in ("out_of_reach", "out_of_reach_median"):
            assert ((claims.field(table, name) > 0) & (claims.field(table, name) < 1)).all()

    def test_every_claim_can_be_judged(self, table):
        for claim in (*claims.PAGE, *strength.PAGE):
            text, numbers = claim.measure(*[table] * len(claim.evidence))
            assert text and isinstance(claim.holds(**numbers), bool | np.bool_)


def test_zeros_are_where_they_are_said_to_be():
    found = claims.zeros()
    assert [found[name] for name in ("interior", "corner", "mixed", "minimum")] == [0, 0, 0, 0]
    assert found["elsewhere"] == pytest.approx(0.25**2 / 2 * 0.375, rel=1)  # next to the mixed zero


@pytest.mark.parametrize("seed", range(3))
def test_other_coordinates_leave_it_alone(seed):
    assert claims.affine_difference(seed) < 1e-9


def test_correlations_over_groups(table):
    assert strength.claims.linear(table, "right").shape == (2,)
    few = pd.DataFrame({"bins_raw": [np.array([[20, 20, 5, 20], [0.1, 0.2, 0.9, 0.4], [1, 2, 9, 4]])]})
    assert strength.claims.printed_groups(few, "right")[0] == pytest.approx(1)  # without the group of five
    none = pd.DataFrame({"bins_raw": [np.zeros((3, 4))]})
    assert strength.claims.printed_groups(none, "loss").tolist() == [0]


class TestDrawings:
    def test_figure_1a(self, table):
        _, axes = plt.subplots(3)
        strength.drawings.draw_groups(axes, table, "digits")
        assert [len(ax.lines) for ax in axes] == [2, 2, 2] and len(axes[0].lines[0].get_xdata()) == 20
        assert [ax.get_ylabel() for ax in axes] == ["accuracy", "mean loss", "mean ‖g‖₁"]
        np.testing.assert_allclose(axes[1].lines[1].get_ydata(), table["groups_raw"][1][2])

    def test_figure_1b(self, table):
        _, axes = plt.subplots(2)
        strength.drawings.draw_lines(axes, table, "digits", network=1)
        assert [len(ax.lines) for ax in axes] == [21, 21]
        np.testing.assert_allclose(axes[1].lines[3].get_ydata(), table["lines_loss"][1][3][:11])

    def test_every_reading_has_a_dot_a_network(self, table):
        _, ax = plt.subplots()
        strength.drawings.draw_readings(ax, table, "digits")
        assert len(ax.lines) == 5 * 4 + 1 and len(ax.lines[0].get_xdata()) == 2
        assert [label.get_text() for label in ax.get_yticklabels()] == list(reversed(measures.VARIANTS.values()))

    @pytest.mark.parametrize(
        ("draw", "lines"),
        [
            (drawings.draw_range, 5),
            (strength.drawings.draw_medians, 5),
            (strength.drawings.draw_within, 4),
            (strength.drawings.draw_attacks, 12),
        ],
    )
    def test_three_panels(self, table, draw, lines):
        _, axes = plt.subplots(1, 3)
        drawings.three(axes, draw, {"CIFAR-10": table, "MNIST": table, "digits": table}, "share")
        assert [len(ax.lines) for ax in axes] == [lines] * 3
        assert [ax.get_ylabel() for ax in axes] == ["share", "", ""] and axes[1].get_title() == "MNIST"

    def test_negative_shares(self, table):
        _, ax = plt.subplots()
        drawings.draw_negative(ax, {"digits": table})
        assert len(ax.lines) == 1 and ax.lines[0].get_ydata()[0] == 0

    def test_ideas(self):
        _, axes = plt.subplots(1, 2)
        drawings.draw_idea(axes[0])
        gains = [text.get_text().split()[-1] for text in axes[0].get_legend().get_texts()[2:]]
        assert [float(gain) for gain in gains] == pytest.approx(
            [0.37 * 0.8 + 0.33 * 0.6, 0.22 * 0.8 + 0.33 * 0.6], abs=6e-3
        )
        drawings.draw_zeros(axes[1])
        assert axes[1].lines[0].get_xydata().tolist() == [[0.125, 0.25]]

    def test_stories(self):
        steps, n = np.arange(5), 24
        kinds = pd.DataFrame({"step": np.repeat(steps, n), "example": np.tile(np.arange(n), 5), "right": 1.0})
        flat = kinds.assign(raw=1.0 + kinds["example"] / 100, loss=kinds["step"].astype(float), box=0.0)
        falls, rises, safe = (flat["example"] == k for k in (3, 5, 7))
        flat.loc[falls, "raw"], flat.loc[rises, "raw"] = 4.0 - steps, 1.0 + steps
        flat.loc[(falls | rises) & (flat["step"] == 4), "right"] = 0
        flat.loc[safe, "raw"] = 0.001
        assert list(drawings.stories(flat, 4).values()) == [3, 7, 5]

    def test_a_story(self, scene):
        model, split, _, points, path = scene
        _, axes = plt.subplots(1, 3)
        drawings.draw_story(axes, model, split, points, path, example=2, step=3)
        dots = [line.get_xydata()[0].tolist() for line in axes[2].lines if line.get_marker() == "o"]
        at = path[(path["example"] == 2) & (path["step"] == 3)].iloc[0]
        assert dots == [[3, at["raw"]], [3, at["box"]], [3, at["loss"]]]
        assert sum(bar.get_height() for bar in axes[1].patches) == pytest.approx(1)
        heights, label = [bar.get_height() for bar in axes[1].patches], int(split.y[2])
        said = drawings.say_story(model, split, points, path, example=2, step=3)
        assert said.startswith(f"A {label}, to which the network gives a probability of {heights[label]:.2f};")
        assert f"first choice is {np.argmax(heights)}. FOSC is {at['raw']:.2g}, within" in said
        assert said.endswith(f"the box {at['box']:.2g}, and the loss {at['loss']:.2g}")

    def test_stored_tables_go_by_their_names(self):
        found = drawings.stored(partial("{}".format))
        assert found == {"CIFAR-10": "convergence.figure_1_cifar10", "MNIST": "convergence.figure_1_mnist",
                         "digits": "convergence.figure_1_digits"}  # fmt: skip


def test_prediction_in_batches(scene):
    model, split, *_ = scene
    assert isinstance(split, Split)
    assert torch.equal(measures.predicted(model, split.x, batch=7), model(split.x).argmax(1))
