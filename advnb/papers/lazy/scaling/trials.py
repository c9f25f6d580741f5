"""Networks of Figures 2, 3, 5 and 6: zeros against ones at seven dimensions, three widths and up to four radii."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from advnb.experiments import Experiment
from advnb.papers.lazy import costs
from advnb.papers.lazy.flips import FULL, LAPTOP, LIVE, RADII, TRAINED, flips_after_training
from advnb.papers.lazy.task import SIDES

WIDTHS = (1000, 10_000, 100_000)


def _grid(m: int, steps: int, radii: Iterable[float], sides: Iterable[int] = SIDES, **rest: Any) -> dict[str, Any]:
    return {**LAPTOP, "side": list(sides), "m": m, "steps": steps, "radii": [list(radii)], **rest}


FIGURES_2_3 = Experiment(
    "lazy.figures_2_3",
    flips_after_training,
    {
        "live": {**LIVE, "units": "pixels", "m": [200, 1000], "radii": [[10.0, 20.0]], "bias": False},
        "laptop": [
            _grid(1000, 3000, [10.0, 20.0], units="pixels", bias=[False, True]),
            _grid(10_000, 3000, [10.0], units="pixels", bias=False),
            _grid(100_000, 2000, [10.0], sides=SIDES[:3], units="pixels", bias=False),
            _grid(100_000, 3000, [10.0], sides=SIDES[3:], units="pixels", bias=False),
        ],
        "full": {**FULL, "units": ["pixels", "standardised"], "m": list(WIDTHS), "radii": [list(RADII)],
                 "bias": [False, True], "reduction": ["mean", "sum"], "steps": 100_000},
    },
    {"live": 2, "laptop": 5, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""Figures 2 and 3: images that are not normalised, with and without the released code's biases."""

FIGURES_5_6 = Experiment(
    "lazy.figures_5_6",
    flips_after_training,
    {
        "live": {**LIVE, "units": "unit", "m": [200, 1000], "radii": [[5.0, 10.0]]},
        "laptop": [
            _grid(1000, 1500, RADII, units="unit", reduction="sum"),
            _grid(10_000, 1000, RADII[:3], units="unit", reduction="sum"),
            _grid(10_000, 3000, [40.0], units="unit", reduction="sum"),
            _grid(100_000, 60, [10.0], units="unit", reduction="sum"),
            _grid(100_000, 500, [20.0, 30.0], units="unit", reduction="sum"),
            _grid(1000, 4000, [10.0, 20.0], units="unit", reduction="mean"),
            _grid(10_000, 1500, [10.0], units="unit", reduction="mean"),
        ],
        "full": {**FULL, "units": "unit", "m": list(WIDTHS), "radii": [list(RADII)], "reduction": ["sum", "mean"],
                 "steps": 100_000},
    },
    {"live": 2, "laptop": 5, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.flips_after_training,
)  # fmt: skip
"""Figures 5 and 6: rows of norm 1 and no biases, as in section 2."""
