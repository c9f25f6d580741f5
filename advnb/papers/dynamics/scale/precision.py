"""What a plain script does in float32 and in float64, from one start."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from advnb.attacks import ZeroGradientWarning, pgd
from advnb.gradients import frozen, loss_and_gradient
from advnb.papers.dynamics.scale.escape import SETTLE, STEPS, Numbers, rounded, start_from
from advnb.papers.dynamics.scale.scene import Scene, class_index, draw_scene
from advnb.papers.dynamics.scale.steps import LEARNING_RATE, RELATIVE_STEP, RULES, shrinking, travel


def precision(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    images: int,
    seed: int,
    device: str,
) -> Numbers:
    """Trial: the cross entropy of two logits as a script would write it, in float32 and float64, convention "minus".

    From one local maximum in float64. For each dtype (suffix 32 or 64), an entry an image: ``zero``, whether the
    gradient of the loss is exactly zero there; ``cosine`` with the exact direction; and the share of the margin's
    range that 400 steps cover, ``constant`` with raw steps at lr 1 and ``relative`` with steps of 0.02 eps along the
    gradient that this dtype returns.
    """
    scene = draw_scene(data=data, version=version, scale=scale, ratio=ratio, units=units, loss="cross_entropy",
                       convention="minus", images=images, seed=seed, device=device)  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    top = start_from(scene, scene.ball.sample(scene.x, generator=generator), climb="relative")
    _, down = travel(scene, top, uphill=False, rule="relative", steps=SETTLE, size=shrinking())
    fields = {"margin_start": down[0], "margin_floor": down[-1]}
    for suffix, dtype in (("32", torch.float32), ("64", torch.float64)):
        shares = _plain_script(scene, top, dtype)
        covered = {name: (down[0] - m) / (down[0] - down[-1]) for name, m in shares.items() if name in RULES}
        fields |= {f"{name}{suffix}": value for name, value in (shares | covered).items()}
    return {"eps": scene.ball.eps, **{name: rounded(value) for name, value in fields.items()}}


def _plain_script(scene: Scene, top: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Gradient at ``top`` and margins after raw and relative steps on ``cross_entropy`` in ``dtype``; all (n,)."""
    net, x, start = copy.deepcopy(scene.net).to(dtype), scene.x.to(dtype), top.to(dtype)
    start, labels = scene.ball.project(start, x), class_index(scene.y)
    _, exact = scene.margin_gradient(top)
    with frozen(net), warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)
        _, grad, _ = loss_and_gradient(net, start, labels, "cross_entropy")
        sizes = {"constant": LEARNING_RATE, "relative": RELATIVE_STEP * scene.ball.eps}
        ends = {
            rule: pgd(net, x, labels, scene.ball, steps=STEPS["relative"], step_size=size, start=start,
                      direction="gradient" if rule == "constant" else "steepest")
            for rule, size in sizes.items()
        }  # fmt: skip
    size = grad.flatten(1).abs().amax(1)
    unit = grad.flatten(1).to(exact.dtype) / size[:, None]  # so that no square underflows; NaN where zero
    cosine = nn.functional.cosine_similarity(-exact.flatten(1), unit)
    margins = {rule: scene.margin(end.to(top.dtype)) for rule, end in ends.items()}
    return {"zero": (size == 0).to(top.dtype), "cosine": cosine, **margins}
