"""What the figures leave open: the trial of Figure 7, the tables behind the claims, and what the pictures show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from advnb.experiments import live, load
from advnb.papers.lazy import deviations
from advnb.papers.lazy.deviations.claims import ratios
from advnb.papers.lazy.deviations.trials import FIGURE_7
from advnb.papers.lazy.laws import Law


@pytest.fixture
def axes():
    fig, axes = plt.subplots(1, 3)
    yield list(axes)
    plt.close(fig)


def test_histogram():
    row = live(FIGURE_7).iloc[0]
    assert len(row["norm"]) == len(row["eta"]) == 100 and row["reached"] and row["moved"] <= 5
    assert (np.diff(row["norm"]) >= 0).all()
    assert np.isfinite(row["gradient_norm"]).all()


def test_trained_networks_are_those_that_left_the_ball():
    rows = deviations.trained(load("lazy.figures_5_6", "laptop"), load("lazy.figures_2_3", "laptop"))
    assert rows["reached"].all() and rows["radius"].min() == 10 and set(rows["units"]) == {"unit", "pixels"}
    assert rows.query("units == 'pixels'")["reduction"].eq("mean").all()


def test_reach_counts():
    table = load("lazy.figures_5_6", "laptop").query("m == 1000")
    found = deviations.reach(table, ["reduction", "m"], (10.0, 40.0))
    assert found.columns.tolist() == [10.0, 40.0] and found.index.names == ["reduction", "m"]
    assert found.loc[("sum", 1000), 10.0] == "35 of 35"
    assert found.loc[("mean", 1000), 40.0] == "not asked"


def test_ratios_compare_networks_that_differ_in_one_choice():
    grid = [(stop, d, seed) for stop in ("step", "epoch") for d in (25, 784) for seed in (0, 1)]
    rows = pd.DataFrame(grid, columns=["stop", "d", "seed"])
    rows = rows.assign(units="unit", reduction="sum", bias=False, reached=True)
    rows["relative"] = np.where(rows["stop"] == "epoch", 3.0, 2.0) * rows["d"]
    rows.loc[(rows["stop"] == "step") & (rows["d"] == 784) & (rows["seed"] == 1), "reached"] = False
    found = ratios(rows, "stop", "step", "epoch")
    assert found.tolist() == [1.5] * 3
    assert set(found.index.get_level_values("d")) == {25, 784}


def test_shapes_know_a_normal_sample_from_a_skewed_one():
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "units": ["unit"], "m": [10], "seed": [0], "norm": [2 + generator.normal(size=500)],
            "gradient_norm": [generator.exponential(size=500)], "eta": [generator.uniform(size=500)],
        }
    )  # fmt: skip
    found = deviations.shapes(table).loc[("unit", 10, 0)]
    assert found.loc["norm", "p normal"] > 0.05 > 1e-6 > found.loc["gradient_norm", "p normal"]
    assert found.loc["norm", "mean"] == pytest.approx(2, abs=0.2)
    assert found.loc["gradient_norm", "skewness"] > 1 and found.loc["eta", "kurtosis"] < -1


def test_paths_are_drawn_with_their_law_and_the_papers_radii(axes):
    steps = np.array([0, 1, 10, 100, 1000, 10_000])
    moved = 3 * np.log(np.maximum(steps, 1))
    table = pd.DataFrame({"side": [5, 10, 28], "path_steps": [steps] * 3, "path_moved": [moved] * 3})
    deviations.draw_paths(axes[0], table, "unit rows")
    dotted = [line for line in axes[0].lines if line.get_linestyle() == ":"]
    assert [line.get_label() for line in dotted] == ["d = 25", "d = 100", "d = 784"]
    for line in dotted:
        t, y = line.get_xydata().T
        assert y == pytest.approx(3 * np.log(t))
    assert [line.get_ydata()[0] for line in axes[0].lines[-4:]] == [10, 20, 30, 40]
    assert axes[0].get_title() == "unit rows" and axes[0].get_xscale() == "log"


def test_kept_networks_are_filled_inside_the_ball_and_hollow_outside(axes):
    law = Law(0.35, 0.17)
    grid = [(r, s, d) for r in ("mean", "sum") for s in ("step", "epoch") for d in (25, 196, 784)]
    rows = pd.DataFrame(grid, columns=["reduction", "stop", "d"])
    rows["moved"] = np.where(rows["stop"] == "step", 9.9, np.where(rows["reduction"] == "sum", 25.0, 10.5))
    rows["relative"] = law.relative(rows["moved"], rows["d"])
    deviations.draw_kept(axes[:2], rows, law)
    for ax, title, outside in zip(axes[:2], ("averaged loss", "summed loss"), (10.5, 25.0), strict=True):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        filled = [line.get_xdata()[0] for line in points if line.get_markerfacecolor() != "none"]
        hollow = [line.get_xdata()[0] for line in points if line.get_markerfacecolor() == "none"]
        assert (ax.get_title(), filled, hollow) == (title, [9.9] * 3, [outside] * 3)
        assert ax.lines[-1].get_xdata()[0] == 10
        lines = [line for line in ax.lines if line.get_label().startswith("law")]
        assert [line.get_label() for line in lines] == ["law, d = 25", "law, d = 196", "law, d = 784"]
        assert lines[0].get_ydata() == pytest.approx(law.relative(lines[0].get_xdata(), 25))


def test_histograms_stand_beside_normal_densities(axes):
    generator = np.random.default_rng(1)
    sample = generator.normal(3, 0.5, size=500)
    table = pd.DataFrame({name: [sample, sample + 1] for name in ("norm", "gradient_norm", "eta")})
    deviations.draw_histograms(axes, table)
    assert [ax.get_title() for ax in axes] == ["flipping step ‖δ‖", "gradient ‖∇f‖", "step size η"]
    for ax in axes:
        assert len(ax.containers) == len(ax.lines) == 2
        x, y = ax.lines[1].get_xydata().T
        assert x[y.argmax()] == pytest.approx(4, abs=0.1) and ax.lines[1].get_linestyle() == "--"
