"""The experiments of the chapter, and the trial of the bounds."""

from __future__ import annotations

import numpy as np

from advnb.experiments import find, live
from advnb.papers.lazy.bounds import trials as bound_trials


class TestTrials:
    def test_every_experiment_is_found(self):
        names = set(find("advnb.papers.lazy"))
        assert names == {f"lazy.{name}" for name in (
            "algorithm_1", "bounds", "chosen_units", "cone", "deviations", "exits", "failures", "figure_4_ceiling",
            "figure_4_elsewhere", "figure_4_elsewhere_edge", "figure_4_gradient", "figure_4_images", "figure_4_left",
            "figure_4_left_edge", "figure_4_longer", "figure_4_plane", "figure_4_right", "figure_4_right_edge",
            "figure_7", "figures_2_3", "figures_5_6", "flip_probabilities", "hidden", "late", "late_toys", "line_4",
            "many", "masking", "one_direction", "one_step", "outside", "resist", "searches", "shrinking",
            "speaks_from", "standardised", "starts", "theorem_3_1", "three_layers", "value_failures",
            "worst_weights")}  # fmt: skip

    def test_bounds_trial(self):
        row = live(bound_trials.BOUNDS, seeds=1, only={"d": 25}).iloc[0]
        assert (np.diff(row["flips"]) >= 0).all() and (np.array(row["flips_nearby"]) >= row["flips"]).all()
        assert (np.array(row["gradient_low"]) <= row["gradient_high"]).all()
        assert row["gradient_high"][0] <= row["gradient_start"] and row["value"][0] >= row["value_start"]
