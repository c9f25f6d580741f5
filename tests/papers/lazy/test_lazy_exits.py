"""The page of exits: forecasts of trajectories that follow the law, and of those that do not; growth from C0 to C0."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from advnb.data import present
from advnb.experiments.read import succeeded
from advnb.experiments.verification import compare
from advnb.papers.lazy.exits import cells, draw_forecasts, draw_movement
from advnb.papers.lazy.exits.claims import PAGE, growth
from advnb.papers.lazy.exits.forecasts import foreseen_exits, reached, with_intervals
from advnb.papers.lazy.exits.trials import EXITS, RADII
from advnb.papers.lazy.flips import OF_TRAINING, PER_RADIUS, flips_after_training

SIDES = (5, 7, 10, 14)


def stored(bend=0.0, last=40.0, noise=0.02):
    """Trajectories with movement (b log t + bend (log t)^2)^2 that end at the exit from ``last``; fields grow as C0."""
    rows = []
    for side in SIDES:
        for seed in range(3):
            draw = np.random.default_rng(100 * side + seed)
            b = 0.5 * (1 + noise * draw.standard_normal())
            t = np.unique(np.round(np.geomspace(1, 1e9, 400)))
            moved = (b * np.log(t) + bend * np.log(t) ** 2) ** 2
            exits = [int(t[np.argmax(moved > radius)]) for radius in RADII]
            kept = moved <= last
            each = {name: [0.0] * (len(RADII) + 1) for name in PER_RADIUS}
            each["reached"] = [True, *(radius <= last for radius in RADII)]
            each["step"] = [0, *(exit - 1 for exit in exits)]
            each |= {name: [1.0, *RADII] for name in ("gradient", "relative", "eta")}
            rows.append({
                "side": side, "seed": seed, "units": "pixels", "m": 1000, "steps": 10**9, "radii": RADII,
                "path_steps": t[kept].tolist(), "path_moved": moved[kept].tolist(), **each,
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_steps_of_exits_and_what_was_not_reached():
    rows = reached(stored(last=30.0), "pixels")
    assert set(rows["radius"]) == set(RADII)
    assert np.isinf(rows[rows["radius"] > 30]["steps"]).all() and np.isfinite(rows[rows["radius"] <= 30]["steps"]).all()
    assert reached(stored(), "standardised").empty


def test_a_movement_that_follows_the_law_is_foreseen_from_its_first_part():
    found = foreseen_exits(stored(), "pixels")
    assert len(found) == 2 * 3 * len(SIDES)
    assert found["miss"].abs().max() < 0.05  # the grid of the path, and the exit a step later
    plain = foreseen_exits(stored(), "pixels", root=1.0)
    assert plain["miss"].max() < -0.3  # a + b log t comes far too late


def test_what_was_not_reached_has_a_forecast_and_no_miss():
    found = with_intervals(foreseen_exits(stored(last=30.0), "pixels"))
    far = found[found["radius"] == 40]
    assert far["miss"].isna().all() and far["inside"].isna().all() and np.isfinite(far["foreseen"]).all()
    assert foreseen_exits(stored(last=15.0), "pixels").empty


def test_intervals_rest_on_the_other_dimensions():
    """One dimension misses by a factor of ten: it lies outside, and makes the intervals of the others wide."""
    table = foreseen_exits(stored(), "pixels").assign(miss=lambda rows: 0.05 * np.sin(np.arange(len(rows))))
    table["steps"] = table["foreseen"] * 10 ** table["miss"]
    calm = with_intervals(table)
    assert calm["inside"].mean() > 0.8 and (calm["high"] < 2 * calm["low"]).all()
    odd = table["d"] == 49
    table.loc[odd, "miss"] = 1.0
    table.loc[odd, "steps"] = 10 * table.loc[odd, "foreseen"]
    found = with_intervals(table)
    assert not found[odd.to_numpy()]["inside"].astype(bool).any()
    assert (found[~odd.to_numpy()]["high"] > 5 * found[~odd.to_numpy()]["low"]).all()


def test_growth_is_that_of_means_where_all_seeds_went():
    ratios = growth(stored(), "gradient")
    assert ratios.columns.tolist() == [20.0, 30.0, 40.0] and ratios.index.tolist() == [25, 49, 100, 196]
    assert ratios.loc[100].tolist() == [2.0, 1.5, pytest.approx(4 / 3)]
    assert growth(stored(last=30.0), "gradient")[40.0].isna().all()


@pytest.mark.parametrize("claim", [c for c in PAGE if c.evidence == ("lazy.exits",)], ids=lambda claim: claim.id)
def test_claims_are_judged_on_such_trajectories(claim):
    text, numbers = claim.measure(stored())
    assert text and isinstance(claim.holds(**numbers), bool | np.bool_)


def test_long_trials_grow_by_side():
    trials = EXITS.trials("laptop", seeds=1)
    assert len(trials) == 7 and {trial.params["m"] for trial in trials} == {1000}


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_cells_tell_what_was_reached_and_what_was_not_run():
    table = cells(stored(last=30.0), foreseen_exits(stored(last=30.0), "pixels"))
    assert table.columns.tolist() == ["C0 = 10", "C0 = 20", "C0 = 30", "C0 = 40"]
    assert (table.loc[784] == "not run").all()
    assert table.loc[25, "C0 = 10"].endswith("(3 of 3)")
    assert table.loc[25, "C0 = 40"].startswith("not in 1,000,000,000; foreseen ")


def test_movement_is_drawn_for_every_network_beside_the_old_law(ax):
    draw_movement(ax, stored(), dims=(25, 100))
    lines = [line for line in ax.lines if len(line.get_xdata()) > 10]
    solid = [line for line in lines if line.get_linestyle() == "-"]
    dashed = [line for line in lines if line.get_linestyle() == "--"]
    assert len(solid) == 6 and len(dashed) == 2
    levels = sorted(line.get_ydata()[0] for line in ax.lines if line not in lines)
    assert levels == [10, 20, 30, 40]
    assert dashed[0].get_ydata()[-1] < solid[0].get_ydata()[-1]  # the law in log t stays behind


def test_forecasts_lie_on_the_diagonal_where_the_law_holds(ax):
    squared = with_intervals(foreseen_exits(stored(), "pixels"))
    draw_forecasts(ax, squared, foreseen_exits(stored(), "pixels", root=1.0))
    assert len(ax.collections) == len(SIDES)
    points = ax.lines[0].get_xydata()
    assert points[:, 1] == pytest.approx(points[:, 0], rel=0.15)


@pytest.mark.slow
@pytest.mark.skipif(not any(one.name == "mnist" and not one.missing for one in present()), reason="needs mnist")
@pytest.mark.parametrize("side, seed", [(5, 0), (5, 3), (7, 1)])
def test_the_first_part_of_a_stored_trajectory_can_be_had_again(side, seed):
    """To the exits from C0 = 5 and 10, in seconds: a whole trajectory costs ``verify`` minutes to an hour."""
    record = next(r for r in succeeded("lazy.exits", "laptop") if (r["params"]["side"], r["seed"]) == (side, seed))
    short = {**record["params"], "radii": RADII[:2]}
    again = flips_after_training(**short, seed=seed, device="cpu", dtype=torch.float32)
    for name in (*PER_RADIUS, *OF_TRAINING):
        deviation, allowed = compare({name: record["values"][name][:3]}, again, name, EXITS.tolerance_of(name))
        assert deviation <= allowed, name
    steps, old = again["path_steps"][:-1], record["values"]
    assert old["path_steps"][: len(steps)] == steps
    assert again["path_moved"][:-1] == pytest.approx(old["path_moved"][: len(steps)], rel=0.02)
