"""Figure 4: its trial, and the law that is fitted to its thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from advnb import statistics
from advnb.experiments import live
from advnb.papers.lazy import laws
from advnb.papers.lazy.phase_transition import trials as transition
from advnb.papers.lazy.projected import projected


def test_transition_falls_with_the_budget():
    table = live(transition.FIGURE_4_LEFT, seeds=1, only={"side": 8})
    worst = table.sort_values("budget")["worst"].to_numpy()
    assert (np.diff(worst) <= 0).all() and worst[0] > 0.5 > worst[-1]
    assert (table["moved"] <= 10.0).all()
    assert 0.1 < statistics.crossing(table["budget"], table["worst"], 0.5) < 0.8


def test_a_trial_needs_exactly_one_radius():
    cell = {"data": "digits", "side": 4, "m": 8, "budget": 0.1, "epochs": 1, "examples": 20, "tests": 10,
            "seed": 0, "device": "cpu", "dtype": torch.float32}  # fmt: skip
    for given in ({}, {"c0": 1.0, "radius": 1.0}):
        with pytest.raises(ValueError, match="give either c0 or radius"):
            projected(**cell, **given)


def test_the_law_is_recovered():
    c0, d = (part.ravel() for part in np.meshgrid([1.0, 5.0, 10.0, 30.0], [25.0, 100.0, 784.0]))
    gain, stiffness, quality = laws.fit_robust_radius(c0, d, laws.robust_radius(c0, d, 0.4, 0.2))
    assert (gain, stiffness, quality) == pytest.approx((0.4, 0.2, 1), rel=1e-4)
    assert laws.robust_radius(10.0, 200.0, 0.5, 0.0) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="three finite thresholds; got 2"):
        laws.fit_robust_radius([1, 2, 3], [1, 2, 3], [1.0, np.nan, 2.0])


def test_the_interval_of_the_law():
    generator = np.random.default_rng(3)
    c0, d, seed = (part.ravel() for part in np.meshgrid([2.0, 8.0, 30.0], [25.0, 200.0, 784.0], range(4)))
    radius = laws.robust_radius(c0, d, 0.4, 0.2) * np.exp(0.05 * generator.normal(size=len(d)))
    points = pd.DataFrame({"c0": c0, "d": d, "seed": seed, "radius": radius})
    law = laws.law_interval(points, ["c0", "d"], draws=100)
    for name, truth in (("gain", 0.4), ("stiffness", 0.2)):
        value, low, high = law[name]
        assert low < truth < high and low < value < high and high - low < 0.1
