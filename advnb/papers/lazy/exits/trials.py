"""Long trajectories of Figure 3's networks, until they have left the ball of C0 = 40 or their steps are spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advnb.experiments import Experiment
from advnb.papers.lazy import costs
from advnb.papers.lazy.flips import FULL, LAPTOP, LIVE, TRAINED, flips_after_training
from advnb.papers.lazy.task import SIDES

RADII = [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0]
"""The paper's C0, and those halfway."""

STEPS = {5: 1_000_000, 7: 1_000_000, 10: 1_000_000, 14: 600_000, 20: 300_000, 25: 200_000, 28: 200_000}
"""The most steps that an image side gets: what a core does in about five minutes. What is not reached says so."""

_TRAINING: dict[str, Any] = {"radii": [RADII], "training": True}


def _long(side: int, steps: int) -> dict[str, Any]:
    return {**LAPTOP, **_TRAINING, "units": "pixels", "side": side, "m": 1000, "steps": steps}


def _standardised(m: int, steps: int, radii: list[float], sides: Sequence[int]) -> dict[str, Any]:
    return {**LAPTOP, "units": "standardised", "side": list(sides), "m": m, "steps": steps, "radii": [radii]}


EXITS = Experiment(
    "lazy.exits",
    flips_after_training,
    {
        "live": {**LIVE, "side": [4], "units": "pixels", "m": 200, "radii": [[2.5, 5.0]], "training": True},
        "laptop": [_long(side, steps) for side, steps in STEPS.items()],
        "full": {**FULL, **_TRAINING, "units": ["pixels", "standardised"], "m": [1000, 100_000], "steps": 10_000_000},
    },
    {"live": 2, "laptop": 5, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""Figure 3 at m = 1000, as its width drops out (Figures 2 and 5): pixels, averaged loss, no biases.

To verify a trial takes what it took: half a minute at d = 25, minutes at 49, up to an hour at 100 (``provenance``). A
test runs some of them again to the exits from C0 = 5 and 10, which takes seconds.
"""

STANDARDISED = Experiment(
    "lazy.standardised",
    flips_after_training,
    {
        "live": {**LIVE, "side": [4, 6], "units": "standardised", "m": 200, "radii": [[5.0]]},
        "laptop": [
            _standardised(1000, 30_000, [10.0, 20.0], SIDES[:4]),
            _standardised(1000, 10_000, [10.0, 20.0], SIDES[4:]),
        ],
        "full": {**FULL, "units": "standardised", "m": [1000, 10_000, 100_000], "radii": [[10.0, 20.0]],
                 "steps": 100_000},
    },
    {"live": 2, "laptop": 3, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""Figures 2 and 3 with standardised pixels, without biases."""
