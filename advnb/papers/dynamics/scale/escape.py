"""The trial of Figure 2: climb to a local maximum, check it, run down, and say when half of the way was done."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from advnb import checks
from advnb.experiments.read import unroll
from advnb.papers.dynamics.scale.maximum import local_maximum
from advnb.papers.dynamics.scale.scene import Scene, draw_scene
from advnb.papers.dynamics.scale.steps import (
    LEARNING_RATE,
    RELATIVE_STEP,
    RULES,
    escape_steps,
    predicted_steps,
    shrinking,
    travel,
)

STEPS = {"constant": 1000, "relative": 400}
"""Steps of a trajectory: the paper's 1000, and eight times across the ball."""
SETTLE = 200
"""Shrinking relative steps that settle at a local maximum or minimum."""
SHARES = (0.5, 0.9)
"""Shares of the loss range at which a trajectory counts as escaped."""
SHOWN_IMAGES = 3
PER_IMAGE = (
    *(
        "margin_clean",
        "margin_start",
        "margin_end",
        "margin_peak",
        "margin_floor",
        "gradient_clean",
        "gradient_start",
    ),
    *("slack", "curvature", "beaten", "gain", "travelled", "radius"),
    *("loss_half", "loss_ninety", "height_half", "height_ninety"),
)
"""Fields of :func:`run_escape` that hold one number an image."""

Numbers = dict[str, Any]


def escape(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    loss: str,
    convention: str,
    climb: str,
    step: str,
    images: int,
    lr: float = LEARNING_RATE,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Figure 2: climb to a local maximum of L from a random start, then run downhill (section 5.1, B.1).

    ``climb="constant"`` is the paper's way up, 1000 steps at learning rate ``lr``; ``"relative"`` takes shrinking
    steps of a share of eps, which settle. ``step`` is the rule of the way down. The fields are those of
    :func:`run_escape`.
    """
    scene = draw_scene(data=data, version=version, scale=scale, ratio=ratio, units=units, loss=loss,
                       convention=convention, images=images, seed=seed, device=device, dtype=dtype)  # fmt: skip
    return run_escape(scene, climb=climb, step=step, lr=lr, seed=seed)


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


def per_image(table: pd.DataFrame) -> pd.DataFrame:
    """Trials of :func:`escape` with one row an image, and what :func:`predicted_steps` foresees.

    ``travel`` and ``saturation`` are steps to half of the range of the cross entropy at the trial's learning rate, with
    the gradient at the clean image; NaN for another loss.
    """
    rows = unroll(table.drop(columns="path"), list(PER_IMAGE), index="image")
    lr = rows["lr"].fillna(LEARNING_RATE) if "lr" in rows else pd.Series(LEARNING_RATE, rows.index)
    start, floor, gradient = (
        torch.tensor(rows[name].to_numpy(dtype=float))
        for name in ("margin_start", "margin_floor", "gradient_clean")
    )
    parts = pd.DataFrame(torch.stack(predicted_steps(start, floor, gradient, SHARES[0], 1.0), dim=1).numpy())
    parts = parts.div(lr, axis=0).where(rows["loss"] == "cross_entropy")
    eps = rows["eps"].map("{:.5g}".format).astype(float)  # equal radii are to be equal numbers
    return rows.assign(eps=eps, travel=parts[0], saturation=parts[1])


def shown_steps(rule: str) -> list[int]:
    """Steps at which a stored trajectory is kept: all of the first eight, then geometrically to the last."""
    last = STEPS[checks.choice("rule", rule, RULES)]
    return sorted({*range(8), *(round(8 * (last / 8) ** (k / 25)) for k in range(26))})


def rounded(values: Tensor, digits: int = 6) -> list[float]:
    """``values`` as nested lists of floats with so many significant digits, which keeps stored runs small."""
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]  # type: ignore[misc]
    return [float(f"{value:.{digits - 1}e}") for value in values.tolist()]
