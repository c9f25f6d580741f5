"""The chapter's experiments, declared: which trial, over which grid, with how many seeds, at each scale.

All run on a CPU in float64, whatever the device: the closed forms of a two-layer net leave a GPU nothing to
do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from advnb.experiments import Experiment, Tolerance
from advnb.papers.dynamics import convergence, counts
from advnb.trials import Grid

LOOSE = Tolerance(rtol=1e-4, atol=1e-9)
"""For numbers at the end of thousands of steps, which another BLAS changes in their last digits."""

ROUNDING = ("afterwards", "newton_residual", "constant", "final", "residual", "l43_identity")
"""Fields that are rounding error themselves."""


def _float64(
    name: str, trial: Callable[..., Mapping[str, Any]], grids: Mapping[str, Grid], seeds: Mapping[str, int]
) -> Experiment:
    return Experiment(
        f"dynamics.{name}", trial, grids, seeds, dtype="float64", tolerance=LOOSE, unchecked=ROUNDING
    )


SIZES = [(2, 64), (8, 256), (16, 1024)]
"""(d, m) with m at least d^2.5, as Theorem 3.1 asks."""

THEOREM_3_1 = _float64(
    "theorem_3_1",
    convergence.stationarity,
    {
        "live": [{"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1]} for d, m in SIZES[:2]],
        "laptop": [
            *({"d": d, "m": m, "eps": 0.2, "eta_ratio": [1.0, 0.3, 0.1, 0.03, 0.01]} for d, m in SIZES),
            *({"d": d, "m": m, "eps": 0.05, "eta_ratio": [1.0, 0.3, 0.1, 0.03]} for d, m in SIZES[:2]),
            {"d": 8, "m": 256, "eps": 0.02, "eta_ratio": [1.0, 0.3, 0.1]},
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": [1.0, 0.3, 0.1, 0.03, 0.01, 0.003]}
            for d, m in [*SIZES, (32, 8192)]
        ],
    },
    {"live": 3, "laptop": 5, "full": 20},
)

GENERAL_LOSS_RATE = _float64(
    "general_loss_rate",
    convergence.stationarity,
    {
        scale: {
            "d": 8,
            "m": 256,
            "eps": 0.2,
            "loss": ["squared", "cross_entropy", "pseudo_huber"],
            "eta_ratio": [0.3, 0.1, 0.03],
        }
        for scale in ("live", "laptop")
    },
    {"live": 2, "laptop": 5},
)

COROLLARY_3_1 = _float64(
    "corollary_3_1",
    convergence.shrinking_rate,
    {
        "live": {"d": 4, "m": 128, "eps": 0.2, "beta_ratio": [2.0, 4.0, 8.0, 16.0]},
        "laptop": [
            {"d": d, "m": m, "eps": 0.2, "beta_ratio": [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0]}
            for d, m in SIZES[:2]
        ],
        "full": [
            {
                "d": d,
                "m": m,
                "eps": [0.05, 0.2],
                "beta_ratio": [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0],
            }
            for d, m in SIZES
        ],
    },
    {"live": 2, "laptop": 5, "full": 20},
)

STEP_LEMMAS = _float64(
    "step_lemmas",
    convergence.step_lemmas,
    {
        "live": [{"d": d, "m": m, "eps": 0.2, "eta_ratio": [0.3, 0.1]} for d, m in SIZES[:2]],
        "laptop": [
            *({"d": d, "m": m, "eps": 0.2, "eta_ratio": [0.3, 0.1, 0.03]} for d, m in SIZES),
            *({"d": d, "m": m, "eps": 0.05, "eta_ratio": [0.3, 0.1]} for d, m in SIZES[:2]),
        ],
        "full": [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.2], "eta_ratio": [0.3, 0.1, 0.03, 0.01]} for d, m in SIZES
        ],
    },
    {"live": 3, "laptop": 5, "full": 40},
)

CONSTANTS = _float64(
    "constants",
    counts.constants,
    {
        "live": [
            {"d": [2, 4, 8, 16, 32], "m": 1024, "eps": 0.1, "points": 64},
            {"d": 8, "m": [64, 256, 4096], "eps": 0.1, "points": 64},
            {"d": 8, "m": 1024, "eps": [0.01, 0.03, 0.3, 1.0, 3.0], "points": 64},
        ],
        "laptop": [
            {"d": [2, 4, 8, 16, 32, 64], "m": 4096, "eps": 0.1, "points": 64},
            {"d": 8, "m": [64, 256, 1024, 16384], "eps": 0.1, "points": 64},
            {"d": 8, "m": 4096, "eps": [0.01, 0.03, 0.3, 1.0, 3.0], "points": 64},
        ],
    },
    {"live": 5, "laptop": 20},
)

CURVATURE = _float64(
    "curvature",
    counts.curvature_by_angle,
    {
        scale: [
            {"d": d, "m": m, "eps": [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0], "convention": ["minus", "plus"]}
            for d, m in sizes
        ]
        for scale, sizes in (("live", SIZES[:2]), ("laptop", SIZES))
    },
    {"live": 10, "laptop": 20},
)

GEOMETRY = _float64(
    "geometry",
    counts.geometry,
    {
        "live": {"d": [2, 3, 10], "eta_over_eps": [0.01, 0.05, 0.2, 1.0]},
        "laptop": {"d": [2, 3, 10, 100], "eta_over_eps": [0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0]},
    },
    {"live": 5, "laptop": 10},
)

FIGURE_1 = _float64(
    "figure_1",
    counts.landscape,
    {
        scale: {"scale": [0.01, 1.0, 100.0], "ratio": [0.1, 1.0, 10.0], "m": 16}
        for scale in ("live", "laptop", "full")
    },
    {"live": 20, "laptop": 200, "full": 2000},
)

FIGURE_1_ESCAPE = _float64(
    "figure_1_escape",
    counts.escape,
    {
        scale: {"scale": [0.01, 1.0, 100.0], "ratio": [0.1, 1.0, 10.0], "convention": ["minus", "plus"]}
        for scale in ("live", "laptop", "full")
    },
    {"live": 4, "laptop": 50, "full": 1000},
)

FIGURE_4 = _float64(
    "figure_4",
    counts.landscape,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "ratio": 10.0, "m": [4, 16, 64]},
        "laptop": {
            "scale": [0.01, 1.0, 10.0, 100.0],
            "ratio": 10.0,
            "m": [4, 8, 16, 32, 64, 128, 256],
        },
        "full": {"scale": [0.01, 0.1, 1.0, 10.0, 100.0], "ratio": 10.0, "m": [4, 16, 64, 256, 1024, 4096]},
    },
    {"live": 10, "laptop": 50, "full": 300},
)

THEOREM_5_1 = _float64(
    "theorem_5_1",
    counts.count_against_eps,
    {
        "live": {"scale": [0.01, 1.0, 100.0], "m": [16]},
        "laptop": [{"scale": [0.01, 1.0, 10.0, 100.0], "m": 16}, {"scale": 1.0, "m": [64, 256]}],
        "full": {"scale": [0.01, 1.0, 10.0, 100.0], "m": [16, 64, 256, 1024]},
    },
    {"live": 6, "laptop": 60, "full": 500},
)

THEOREM_5_1_HIGH = _float64(
    "theorem_5_1_high",
    counts.count_on_sphere,
    {
        "live": {"d": [3, 8], "m": 256, "eps": [0.1, 1.0, 10.0, 100.0]},
        "laptop": {"d": [3, 4, 8, 16], "m": [64, 256], "eps": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]},
        "full": {
            "d": [3, 4, 8, 16, 32],
            "m": [64, 1024, 8192],
            "eps": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
        },
    },
    {"live": 3, "laptop": 10, "full": 50},
)

GENERAL_LOSS = _float64(
    "general_loss",
    counts.general_loss,
    {
        scale: {
            "loss": ["squared", "cross_entropy", "pseudo_huber"],
            "scale": [0.01, 1.0, 100.0],
            "ratio": [0.1, 1.0, 10.0],
            "m": 16,
        }
        for scale in ("live", "laptop")
    },
    {"live": 5, "laptop": 30},
)
