"""The trials of the scaling figures and of the bounds, and the fits they are read with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from advnb.data import Split
from advnb.experiments import find, live
from advnb.models import TwoLayer
from advnb.papers.lazy import laws
from advnb.papers.lazy.bounds import trials as bound_trials
from advnb.papers.lazy.scaling import experiments as runs
from advnb.papers.lazy.scaling import tables, trials

F64 = torch.float64


class TestTrials:
    def test_every_experiment_is_found(self):
        names = set(find("advnb.papers.lazy"))
        assert names == {f"lazy.{name}" for name in (
            "algorithm_1", "bounds", "deviations", "figure_4_ceiling", "figure_4_elsewhere", "figure_4_left",
            "figure_4_longer", "figure_4_plane", "figure_4_right", "figure_7", "figures_2_3",
            "figures_5_6", "one_step", "shrinking", "theorem_3_1", "worst_weights")}  # fmt: skip

    def test_flips_after_training(self):
        table = live(runs.FIGURES_5_6, seeds=1, only={"side": [4, 6, 8], "m": 200})
        rows = tables.by_radius(table)
        assert rows["d"].tolist() == [16] * 3 + [36] * 3 + [64] * 3
        assert (rows["moved"] <= rows["radius"]).all() and rows["reached"].all()
        assert np.allclose(rows["norm"], rows["relative"], rtol=1e-5)
        assert (rows["norm_released"] <= rows["norm"] + 1e-6).all()
        for _, row in rows.iterrows():
            assert (np.diff(row["success"]) >= 0).all() and (np.diff(row["robust_error"]) >= 0).all()
            assert (np.array(row["robust_error"]) >= row["success"]).all()
        fitted = tables.exponents(rows, ["gradient", "eta"])
        assert fitted["radius"].tolist() == [0, 5, 10] and set(fitted["range"]) == {"all d"}
        assert fitted["gradient"][0].value == pytest.approx(0.5, abs=0.2)

    def test_the_summary_by_hand(self):
        """f(x) = x_1 from the first unit: the step is -1 everywhere, its length the slope 1 times x_1."""
        net = TwoLayer(2, 1, dtype=F64)
        with torch.no_grad():
            net.weight.copy_(torch.tensor([[1.0, 0.0]]))
            net.signs.fill_(1.0)
        split = Split(torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=F64), torch.tensor([1.0, -1.0], dtype=F64))
        row = trials.flip_summary(net, split)
        assert (row["eta"], row["norm"], row["gradient"], row["value"]) == (2.0, 2.0, 1.0, 2.0)
        assert row["relative"] == pytest.approx((3 / 5 + 1) / 2)
        assert row["norm_released"] == 1.5 and row["flippable"] == 1.0  # the second example was wrong already
        reached = (
            [c >= 3 / 5 * 2**0.5 for c in trials.STEP_LENGTHS],
            [c >= 2**0.5 for c in trials.STEP_LENGTHS],
        )
        assert row["success"] == [(a + b) / 2 for a, b in zip(*reached, strict=True)]
        assert row["robust_error"] == [(a + 1) / 2 for a in reached[0]]

    def test_histogram(self):
        row = live(runs.FIGURE_7).iloc[0]
        assert len(row["norm"]) == len(row["eta"]) == 100 and row["reached"] and row["moved"] <= 5
        assert (np.diff(row["norm"]) >= 0).all()
        assert np.isfinite(row["gradient_norm"]).all()

    def test_bounds_trial(self):
        row = live(bound_trials.BOUNDS, seeds=1, only={"d": 25}).iloc[0]
        assert (np.diff(row["flips"]) >= 0).all() and (np.array(row["flips_nearby"]) >= row["flips"]).all()
        assert (np.array(row["gradient_low"]) <= row["gradient_high"]).all()
        assert row["gradient_high"][0] <= row["gradient_start"] and row["value"][0] >= row["value_start"]


class TestFits:
    def test_movement_law(self):
        steps = np.array([0, 10, 100, 1000, 5000])
        a, b, quality = laws.movement_law(steps, 2 + 3 * np.log(np.maximum(steps, 1)))
        assert (a, b, quality) == pytest.approx((2, 3, 1))
        assert laws.steps_to_reach(2 + 3 * np.log(777), a, b) == pytest.approx(777)
        assert laws.steps_to_reach(1.0, 0.0, 0.0) == laws.steps_to_reach(1e6, 0.0, 1.0) == float("inf")
        with pytest.raises(ValueError, match="three recorded steps from step 50 on; got 1"):
            laws.movement_law([1, 60], [1, 2])

    def test_exponents_leave_out_what_was_not_reached(self):
        rows = pd.DataFrame([
            {"data": "mnist", "radius": r, "seed": seed, "d": d, "reached": r == 1.0, "norm": d**-0.5}
            for r in (1.0, 2.0) for seed in (0, 1) for d in (25, 100, 400, 784)
        ])  # fmt: skip
        table = tables.exponents(rows, ["norm"])
        assert table["radius"].tolist() == [1.0, 1.0] and table["range"].tolist() == ["all d", "d >= 100"]
        assert all(fit.value == pytest.approx(-0.5) for fit in table["norm"])
