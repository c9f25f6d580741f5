"""Figures 2 and 3: their trials on a few images, what the claims read off them, and what the pictures show."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from advnb.models import digits_cnn
from advnb.papers.convergence import followed
from advnb.papers.convergence.recipes import RECIPES, images
from advnb.papers.convergence.robustness import claims, drawings, trials
from advnb.papers.convergence.tables.trials import STAGES

TINY = {"data": "digits", "examples": 64, "epochs": 2, "batch": 32, "tests": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def runs():
    """Figure 2 on a few images."""
    settings = [{"size": size, "steps": 20} for size in trials.SIZES]
    settings += [{"size": trials.SIZE, "steps": steps} for steps in trials.COUNTS]
    rows = [{**own, "seed": seed, **trials.cross_tested(**TINY, **own, seed=seed)}
            for own in settings for seed in (0, 1)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def stages():
    """Figure 3 on a few images."""
    longer = {**TINY, "epochs": 12}
    rows = [{"variant": variant, "seed": seed, **followed.followed(**longer, variant=variant, seed=seed)}
            for variant in drawings.VARIANTS for seed in (0, 1)]  # fmt: skip
    return pd.DataFrame(rows)


def test_twelve_steps_of_a_sixth_cross_the_ball_and_ten_of_an_eighth_do_not():
    reached = {(size, steps): trials.crossing(size=size, steps=steps, seed=0, device="cpu")
               for size, steps in ((1 / 6, 11), (1 / 6, 12), (1 / 8, 10), (1 / 8, 16))}  # fmt: skip
    assert [reached[key]["opposite"] for key in reached] == [0, 1, 0, 1]
    assert reached[1 / 8, 10]["uniform"] == pytest.approx(0.625, abs=0.05)


def test_the_attacks_are_those_of_figure_2():
    grid, eps = trials.grid(0.2), 0.2
    model = digits_cnn(generator=torch.Generator().manual_seed(0)).eval()
    split = images("digits", 1, 16, "cpu").test
    for attack in (*grid["by_size"], *grid["by_count"]):
        x_adv = attack(model, split.x, split.y, generator=torch.Generator().manual_seed(0))
        assert float((x_adv - split.x).abs().max()) <= eps + 1e-6
    assert [attack.keywords["step_size"] / eps for attack in grid["by_size"]] == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8])
    assert {attack.keywords["steps"] for attack in grid["by_size"]} == {20}
    assert [attack.keywords["steps"] for attack in grid["by_count"]] == [10, 20, 30, 40]
    assert [attack.keywords["step_size"] / eps for attack in grid["by_count"]] == pytest.approx([1 / 6] * 4)


def test_a_run_of_figure_2_is_tested_by_all_its_attacks(runs):
    first = runs.iloc[0]
    assert len(first["by_size"]) == len(first["by_count"]) == 4 and len(first["own_fosc"]) == 51
    assert (np.diff(first["own_loss"]) >= 0).all()


def test_the_settings_are_told_apart(runs):
    assert [len(rows) for rows in claims.of_sizes(runs).values()] == [2] * 4
    assert [len(rows) for rows in claims.of_counts(runs).values()] == [2] * 4
    assert len(claims.distances(claims.of_counts(runs), "own_fosc")) == 6


def test_ranks_see_an_order_and_its_absence():
    def run(seed, k, value):
        return {"seed": seed, "by_size": [k / 8] * 4, "by_count": [k / 8] * 4, "own_fosc": [value] * 51}

    table = pd.DataFrame([run(0, k, -k) for k in range(8)] + [run(1, k, k) for k in range(8)])
    assert claims.ranks(table, "own_fosc").to_dict() == pytest.approx({0: -1, 1: 1})


def test_a_followed_run_has_every_stage(stages):
    assert len(stages["own_fosc"].iloc[0]) == len(STAGES)
    assert {len(row) for row in stages["epoch_steps"]} == {12}
    first = stages.set_index(["variant", "seed"])["epoch_steps"]
    assert list(first["fgsm_pgd", 0][:3]) == [1, 1, 10] and list(first["standard", 0][:2]) == [10, 10]


def test_every_variant_is_one_that_can_be_trained():
    for variant in followed.VARIANTS:
        found = followed.followed(**TINY, variant=variant, seed=0)
        assert 0 <= found["pgd20"] <= found["clean"] + 0.2 and found["fgsm_fosc"] >= found["fgsm_box"] >= 0


def test_the_small_steps_are_an_eighth_of_the_radius(monkeypatch):
    seen = {}
    monkeypatch.setattr(followed, "trained", lambda **options: seen.update(options) or exit_with(options))
    with pytest.raises(StopIteration):
        followed.followed(**TINY, variant="small_steps", seed=0)
    assert seen["step_size"] == RECIPES["digits"].eps / 8 and "size" not in seen


def exit_with(options):
    raise StopIteration(str(options))


def test_the_cross_tests_are_drawn(runs):
    ax = Figure().subplots()
    drawings.draw_cross(ax, claims.of_sizes(runs), "by_size")
    assert [line.get_label() for line in ax.lines] == ["ε", "ε/2", "ε/4", "ε/8"]
    rows = claims.of_sizes(runs)[1]["by_size"]
    assert ax.lines[0].get_ydata() == pytest.approx(np.mean(rows.tolist(), axis=0))
    ax = Figure().subplots()
    drawings.draw_cross(ax, claims.of_counts(runs), "by_count")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["10", "20", "30", "40"]


def test_a_density_integrates_to_one():
    ax = Figure().subplots()
    drawings.draw_densities(ax, {"a": [np.linspace(1, 2, 51)], "b": [np.linspace(2, 4, 51)] * 2}, "FOSC")
    for line in ax.lines:
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.1)
    assert [line.get_label() for line in ax.lines] == ["a", "b"]


def test_every_run_is_a_point_beside_its_indicator(runs):
    ax = Figure().subplots()
    drawings.draw_indicator(ax, runs, "own_loss")
    assert sum(len(line.get_xdata()) for line in ax.lines) == len(runs)
    assert ax.get_xlabel() == "median loss"


def test_figure_3_is_drawn(stages):
    ax = Figure().subplots()
    drawings.draw_stages(ax, stages, "fgsm_pgd")
    assert [line.get_label() for line in ax.lines] == ["early", "middle", "late"]
    assert ax.get_title() == "FGSM, then PGD"
    ax = Figure().subplots()
    drawings.draw_first(ax, stages)
    assert len(ax.lines) == 2 + 2  # a line a seed, then the seeds' dots
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(drawings.VARIANTS.values())


def test_an_early_fall_is_seen():
    def run(seed, early):
        rows = [[early] * 51, [0.5 + 0.01 * seed] * 51, [0.4] * 51, [0.4] * 51, [0.4] * 51]
        return {"seed": seed, "variant": "standard", "own_fosc": rows}

    table = pd.DataFrame([run(0, 0.2), run(1, 0.21)])
    assert claims.staged_median(table, "standard", claims.EARLY).to_dict() == pytest.approx({0: 0.2, 1: 0.21})
    assert claims.near_zero(table, "standard", claims.EARLY, 0.205).to_dict() == pytest.approx({0: 1, 1: 0})
    assert claims.early_less(table, "standard").mean == pytest.approx(-0.195)
