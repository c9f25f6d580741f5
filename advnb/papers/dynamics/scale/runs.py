"""The experiments of Figures 2 and 3 at their three scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from advnb.experiments import Experiment, Tolerance
from advnb.papers.dynamics.scale.escape import escape
from advnb.papers.dynamics.scale.precision import precision
from advnb.papers.dynamics.scale.training import along_training

SCALES = [0.1, 10.0, 1000.0]
RATIOS = [10.0, 1.0, 0.1, 0.01, 0.001]
RUNS = (("constant", "constant"), ("relative", "constant"), ("relative", "relative"))
"""(climb, step): the paper's trajectory; the same from a settled maximum; all in shares of eps."""

_PLAIN = {"units": "norm", "loss": "cross_entropy"}
_DIGITS = {"data": "digits", "version": "2017", "images": 2, "scale": SCALES, "ratio": [10.0, 0.001]} | _PLAIN
_MNIST = {"data": "mnist", "version": "2017", "images": 6, "scale": SCALES, "ratio": RATIOS} | _PLAIN
_FULL = _MNIST | {"version": "2019", "images": 20}


def _runs(grid: Mapping[str, Any], runs: Iterable[tuple[str, str]] = RUNS) -> list[dict[str, Any]]:
    return [{**grid, "climb": climb, "step": step} for climb, step in runs]


_ENDS = (RUNS[0], RUNS[2])
_SAME_RADIUS = [{"scale": a, "ratio": b} for a, b in ((0.1, 10.0), (1000.0, 0.001))]
_THREE = _MNIST | {"ratio": [10.0, 0.1, 0.001]}
_FEW = _MNIST | {"ratio": [10.0, 0.001], "convention": "minus", "images": 3}

FIG2 = Experiment(
    "dynamics.fig2",
    escape,
    grids={
        "live": _runs(_DIGITS | {"convention": "minus"}, _ENDS),
        "laptop": [
            *_runs(_MNIST | {"convention": "minus"}, _ENDS),
            *_runs(_THREE | {"convention": "minus"}, RUNS[1:2]),
            *_runs(_THREE | {"convention": "plus"}, _ENDS),
        ],
        "full": _runs(_FULL | {"convention": ["minus", "plus"]}),
    },
    seeds={"live": 1, "laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
)
"""Figure 2: scales x ratios, both conventions, the paper's steps and eps-relative ones."""

FIG2_CHOICES = Experiment(
    "dynamics.fig2_choices",
    escape,
    grids={
        scale: [
            *_runs(grid | {"units": "pixels"}, _ENDS),
            *_runs(grid | {"loss": "squared"}, _ENDS),
            *_runs(
                grid | {"scale": [10.0, 1000.0], "ratio": 10.0, "lr": [1e2, 1e4]}, [("relative", "constant")]
            ),
            *(
                run
                for cell in _SAME_RADIUS
                for run in _runs(grid | cell | {"version": "2019", "images": images}, _ENDS)
            ),
        ]
        for scale, grid, images in (("laptop", _FEW, 2), ("full", _FULL | {"convention": "minus"}, 20))
    },
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
)
"""What the paper leaves open, one choice changed at a time: units, loss, learning rate, version of the CNN."""

FIG2_PRECISION = Experiment(
    "dynamics.fig2_precision",
    precision,
    grids={
        "laptop": {"data": "mnist", "version": "2017", "scale": SCALES, "ratio": [10.0, 0.1, 0.001], "units": "norm",
                   "images": 6},
        "full": {"data": "mnist", "version": "2019", "scale": SCALES, "ratio": RATIOS, "units": "norm", "images": 20},
    },
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-3),
)  # fmt: skip
"""The same start in float32 and float64."""


def _training(version: str, images: int) -> list[dict[str, Any]]:
    grid = {"data": "mnist", "version": version, "epochs": [[0, 10, 100]], "examples": 200, "images": images}
    paper = [
        {**grid, "units": "norm", "scale": scale, "ratio": ratio, "lr": 0.01 * ratio, "optimizer": "sgd"}
        for scale, ratios in ((0.1, RATIOS), (10.0, [10.0, 0.1, 0.001]))
        for ratio in ratios
    ]
    return [*paper, {**grid, "units": "pixels", "scale": 1.0, "ratio": 0.1, "lr": 1e-3, "optimizer": "adam"}]


FIG3 = Experiment(
    "dynamics.fig3",
    along_training,
    grids={"laptop": _training("2017", 6), "full": _training("2019", 20)},
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-5),
)
"""Figure 3 at the paper's learning rates, at two input scales, and one setting in which the network learns."""
