"""The trial of Figure 2, climb to a local maximum, check it, run down; and the experiments that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from advnb import checks
from advnb.experiments import Experiment, Tolerance
from advnb.papers.dynamics.images import costs
from advnb.papers.dynamics.images.maximum import local_maximum
from advnb.papers.dynamics.images.scene import Scene, draw_scene
from advnb.papers.dynamics.images.steps import LEARNING_RATE, RELATIVE_STEP, RULES, escape_steps, shrinking, travel

STEPS = {"constant": 1000, "relative": 400}
"""Steps of a trajectory: the paper's 1000, and eight times across the ball."""
SETTLE = 200
"""Shrinking relative steps that settle at a local maximum or minimum."""
SHARES = (0.5, 0.9)
"""Shares of the loss range at which a trajectory counts as escaped."""
SHOWN_IMAGES = 3
EASY = STEPS["constant"] // 10
"""Steps within which the escape of a paper's trajectory is easy: a tenth of its run."""

SCALES = [0.1, 10.0, 1000.0]
RATIOS = [10.0, 1.0, 0.1, 0.01, 0.001]
CONSTANT, SETTLED, RELATIVE = ("constant", "constant"), ("relative", "constant"), ("relative", "relative")
"""(climb, step): the paper's trajectory; the same from a settled maximum; all in shares of eps."""

CLIMBED = (
    "margin_start", "margin_end", "margin_peak", "margin_floor", "gradient_start", "slack", "curvature", "beaten",
    "gain", "travelled", "radius", "loss_half", "loss_ninety", "height_half", "height_ninety", "path",
)  # fmt: skip
"""Fields after a climb, promised on a like processor alone: hundreds of steps over kinks make another path of a last
bit. As on a processor without AVX and FMA, two thirds of the trials of ``fig2_choices`` and ``fig2_sign`` left the
tolerances, by up to 10^4 of them at ``margin_end``; only what precedes the climb repeats. The claims rest on medians
over networks and shares of trajectories: with those trials in place of the stored ones every claim still held."""

Numbers = dict[str, Any]


def escape(*, climb: str, step: str, seed: int, dtype: torch.dtype, lr: float = LEARNING_RATE, **scene: Any) -> Numbers:
    """Trial of Figure 2: climb to a local maximum of L from a random start, then run downhill (section 5.1, B.1).

    ``climb="constant"`` is the paper's way up, 1000 steps at learning rate ``lr``; ``"relative"`` takes shrinking
    steps of a share of eps, which settle. ``step`` is the rule of the way down, ``scene`` what :func:`draw_scene`
    takes. The fields are those of :func:`run_escape`.
    """
    return run_escape(draw_scene(seed=seed, dtype=dtype, **scene), climb=climb, step=step, lr=lr, seed=seed)


def run_escape(scene: Scene, *, climb: str, step: str, seed: int, lr: float = LEARNING_RATE) -> Numbers:
    """Climb, check the maximum, run down; plain numbers, one entry an image.

    ``margin_*``: at the clean image, where the climb ended (start), at the end of the way down, at the best
    maximum (peak) and minimum (floor) that shrinking relative steps reach. ``gain``: what the peak adds to the
    start, as a share of the range from floor to peak. ``travelled``: the way from random start to start, over eps.
    ``loss_half`` ... ``height_ninety``: :func:`escape_steps` of L and of the margin. ``path``: margins at
    :func:`shown_steps` for the first images.
    """
    generator = torch.Generator().manual_seed(seed)
    start = scene.ball.sample(scene.x, generator=generator)
    size = {"constant": lr, "relative": RELATIVE_STEP}
    top = start_from(scene, start, climb=climb, lr=lr)
    _, up = travel(scene, top, uphill=True, rule="relative", steps=SETTLE, size=shrinking())
    _, down = travel(scene, top, uphill=False, rule="relative", steps=SETTLE, size=shrinking())
    _, path = travel(scene, top, uphill=False, rule=step, steps=STEPS[step], size=size[step])
    margin, grad = scene.margin_gradient(scene.x)
    _, grad_start = scene.margin_gradient(top)
    check = local_maximum(scene, top, generator=generator)
    height = scene.height(path)
    floor = torch.minimum(scene.height(down[-1]), height.amin(0))
    peak = torch.maximum(scene.height(up[-1]), height[0])
    goal = torch.minimum(scene.objective(down[-1]), scene.objective(path).amin(0))
    first = {
        f"{yardstick}_{name}": escape_steps(values, end_value, share)
        for yardstick, values, end_value in (("loss", scene.objective(path), goal), ("height", height, floor))
        for name, share in zip(("half", "ninety"), SHARES, strict=True)
    }
    fields = {
        "margin_clean": margin,
        "margin_start": path[0],
        "margin_end": path[-1],
        "margin_peak": up[-1],
        "margin_floor": down[-1],
        "gradient_clean": grad.flatten(1).norm(dim=1),
        "gradient_start": grad_start.flatten(1).norm(dim=1),
        "slack": check.slack,
        "curvature": check.curvature,
        "beaten": check.beaten,
        "gain": (peak - height[0]) / (peak - floor),
        "travelled": scene.ball.norm(top - start) / scene.ball.eps,
        "radius": scene.ball.norm(top - scene.x) / scene.ball.eps,
        **first,
        "path": path[shown_steps(step), :SHOWN_IMAGES].T,
    }
    return {"eps": scene.ball.eps, **{name: rounded(value) for name, value in fields.items()}}


def start_from(scene: Scene, start: Tensor, *, climb: str, lr: float = LEARNING_RATE) -> Tensor:
    """The local maximum of L where a climb from ``start`` ends, by the paper's steps or by shrinking relative ones."""
    if checks.choice("climb", climb, RULES) == "relative":
        return travel(scene, start, uphill=True, rule=climb, steps=SETTLE, size=shrinking())[0]
    return travel(scene, start, uphill=True, rule=climb, steps=STEPS[climb], size=lr)[0]


def shown_steps(rule: str) -> list[int]:
    """Steps at which a stored trajectory is kept: all of the first eight, then geometrically to the last."""
    last = STEPS[checks.choice("rule", rule, RULES)]
    return sorted({*range(8), *(round(8 * (last / 8) ** (k / 25)) for k in range(26))})


def rounded(values: Tensor, digits: int = 6) -> list[float]:
    """``values`` as nested lists of floats with so many significant digits, which keeps stored runs small."""
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]  # type: ignore[misc]
    return [float(f"{value:.{digits - 1}e}") for value in values.tolist()]


def _runs(grid: Mapping[str, Any], *kinds: tuple[str, str]) -> list[Numbers]:
    return [{**grid, "climb": climb, "step": step} for climb, step in kinds]


_MNIST = {"data": "mnist", "version": "2017", "images": 4, "scale": SCALES, "ratio": RATIOS, "units": "norm",
          "loss": "cross_entropy", "convention": "minus"}  # fmt: skip
_DIGITS = _MNIST | {"data": "digits", "images": 2, "ratio": [10.0, 0.001]}
_TWO = _MNIST | {"ratio": [10.0, 0.001]}
_FULL = _MNIST | {"version": "2019", "images": 20}


def _variants(grid: Mapping[str, Any], images: int) -> list[Numbers]:
    """One choice changed at a time; the network of 2019 at two cells that have one radius."""
    settled = {**grid, "scale": [10.0, 1000.0], "ratio": 10.0, "lr": [1e2, 1e4]}
    later = {**grid, "version": "2019", "images": images}
    return [
        *_runs({**grid, "units": "pixels"}, CONSTANT, RELATIVE),
        *_runs({**grid, "units": "pixels", "radius_of": "scale", "scale": 1000.0}, CONSTANT, RELATIVE),
        *_runs({**grid, "loss": "squared"}, CONSTANT, RELATIVE),
        *_runs(settled, SETTLED),
        *_runs({**later, "scale": 0.1, "ratio": 10.0}, CONSTANT, RELATIVE),
        *_runs({**later, "scale": 1000.0, "ratio": 0.001}, CONSTANT, RELATIVE),
    ]


FIG2 = Experiment(
    "dynamics.fig2",
    escape,
    grids={
        "live": _runs(_DIGITS, CONSTANT, RELATIVE),
        "laptop": [*_runs(_MNIST, CONSTANT, RELATIVE), *_runs(_TWO, SETTLED)],
        "full": _runs(_FULL, CONSTANT, SETTLED, RELATIVE),
    },
    seeds={"live": 1, "laptop": 10, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
    like_processor=CLIMBED,
    cost=costs.escape,
)
"""Figure 2: scales x ratios, the paper's steps and eps-relative ones, convention "minus"."""

FIG2_SIGN = Experiment(
    "dynamics.fig2_sign",
    escape,
    grids={
        "laptop": _runs(_MNIST | {"ratio": 10.0, "convention": "plus"}, CONSTANT, RELATIVE),
        "full": _runs(_FULL | {"convention": "plus"}, CONSTANT, SETTLED, RELATIVE),
    },
    seeds={"laptop": 6, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
    like_processor=CLIMBED,
    cost=costs.escape,
)
"""Figure 2 from the other end: convention "plus"."""

FIG2_CHOICES = Experiment(
    "dynamics.fig2_choices",
    escape,
    grids={"laptop": _variants(_TWO | {"images": 3}, 2), "full": _variants(_FULL, 20)},
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
    like_processor=CLIMBED,
    cost=costs.escape,
)
"""What the paper leaves open, one choice changed at a time: units, radius, loss, learning rate, version of the CNN."""
