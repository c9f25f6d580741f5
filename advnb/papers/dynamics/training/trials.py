"""The trial of Figure 3: escapes of a network on its way through adversarial training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnb.attacks import ZeroGradientWarning, pgd
from advnb.balls import L2
from advnb.data import Split
from advnb.experiments import Experiment, Tolerance
from advnb.papers.dynamics.images import costs
from advnb.papers.dynamics.images.escape import RATIOS, Numbers, rounded, run_escape
from advnb.papers.dynamics.images.scene import Scene, at_scale, class_index, draw_scene, parity
from advnb.papers.dynamics.images.steps import RULES
from advnb.training import Standard, fit

TEST_IMAGES = 500

FIG3_FIELDS = ("margin_clean", "margin_start", "margin_peak", "margin_floor", "gradient_clean", "gradient_start",
               "loss_half", "height_half", "path")  # fmt: skip
EPOCHS = [0, 10, 100]


def along_training(
    *, data: str, scale: float, units: str, lr: float, optimizer: str, epochs: list[int], examples: int, seed: int,
    device: str, dtype: torch.dtype, **choices: Any,
) -> Numbers:  # fmt: skip
    """Trial of Figure 3: escapes of networks along adversarial training, at the given ``epochs`` (0 comes first).

    SGD without momentum (or Adam) at ``lr``, batches of 64, on ``examples`` training images (half odd), against two
    PGD steps of eps along the unit gradient from a random start; the paper gives the learning rate, 0.01 r, and the
    number of images.
    One list an epoch: the accuracies, ``moved`` (distance of the weights from the initial ones over their norm),
    ``spread`` (standard deviation over the training images of z_1 - z_0: 0 for a constant classifier), and the
    fields of :func:`run_escape` that Figure 3 needs, with the step rule in front. ``choices`` are the other arguments
    of :func:`draw_scene`.
    """
    shared: Numbers = {"data": data, "scale": scale, "units": units, "seed": seed, "device": device, "dtype": dtype}
    scene = draw_scene(loss="cross_entropy", convention="minus", **shared, **choices)

    def drawn(part: Split, count: int, seed: int) -> Split:
        part = part.subset(count, seed=seed).to(device, dtype)
        return Split(at_scale(part.x, scale, units), class_index(part.y))

    train, test = parity(data).train, parity(data).test
    train, test = drawn(train, examples, seed), drawn(test, TEST_IMAGES, seed + 1)
    initial = nn.utils.parameters_to_vector(scene.net.parameters()).detach().clone()
    rows: list[Numbers] = []

    def look(net: nn.Module, row: Mapping[str, Any]) -> None:
        if row["epoch"] in epochs:
            rows.append({**_accuracies(net, train, test, initial, scene.ball, seed), **_escapes(scene, seed)})

    look(scene.net, {"epoch": 0})
    defence = Standard(scene.ball, steps=2, step_size=scene.ball.eps, fold=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # a network that has become constant
        fit(scene.net, train, defence, epochs=max(epochs), batch=64, lr=lr, momentum=0.0, weight_decay=0.0,
            optimizer=optimizer, seed=seed, callback=look, progress=False)  # fmt: skip
    return {"eps": scene.ball.eps, **{name: [row[name] for row in rows] for name in rows[0]}}


@torch.no_grad()
def _accuracies(net: nn.Module, train: Split, test: Split, initial: Tensor, ball: L2, seed: int) -> dict[str, float]:
    logits = net(train.x)
    weights = nn.utils.parameters_to_vector(net.parameters())
    generator = torch.Generator().manual_seed(seed)
    crafted = pgd(net, train.x, train.y, ball, steps=10, loss="margin", generator=generator)
    values = {
        "train_accuracy": (logits.argmax(1) == train.y).double().mean(),
        "test_accuracy": (net(test.x).argmax(1) == test.y).double().mean(),
        "adversarial_accuracy": (net(crafted).argmax(1) == train.y).double().mean(),
        "moved": (weights - initial).norm() / initial.norm(),
        "spread": (logits[:, 1] - logits[:, 0]).std(),
    }
    return {name: rounded(value[None])[0] for name, value in values.items()}


def _escapes(scene: Scene, seed: int) -> Numbers:
    """The trajectories of Figure 3 on the network as it is now, under both step rules."""
    ends = {rule: run_escape(scene, climb=rule, step=rule, seed=seed) for rule in RULES}
    return {f"{rule}_{name}": end[name] for rule, end in ends.items() for name in FIG3_FIELDS}


_NORM, _PIXELS = {"units": "norm"}, {"units": "pixels", "radius_of": "scale"}
"""The two readings of an input scale s: images of norm s, or pixels in [0, s]; eps = r s for both (appendix B.1)."""

_CELLS = [
    (_NORM, 0.1, "sgd", [10.0, 0.1]),
    (_NORM, 0.1, "adam", [10.0, 1.0, 0.1]),
    (_PIXELS, 0.1, "sgd", [10.0]),
    (_PIXELS, 0.1, "adam", [1.0, 0.1]),
    (_NORM, 10.0, "sgd", [0.1]),
    (_NORM, 10.0, "adam", [0.1]),
]
_ALL = [(units, scale, name, RATIOS) for units in (_NORM, _PIXELS) for scale in (0.1, 10.0) for name in ("sgd", "adam")]


def _training(cells: Sequence[tuple[Numbers, float, str, list[float]]], version: str, images: int) -> list[Numbers]:
    grid = {"data": "mnist", "version": version, "epochs": [EPOCHS], "examples": 200, "images": images}
    return [
        {**grid, **units, "scale": scale, "ratio": ratio, "lr": 0.01 * ratio, "optimizer": optimizer}
        for units, scale, optimizer, ratios in cells
        for ratio in ratios
    ]


FIG3 = Experiment(
    "dynamics.fig3",
    along_training,
    grids={"laptop": _training(_CELLS, "2017", 4), "full": _training(_ALL, "2019", 20)},
    seeds={"laptop": 5, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-5),
    cost=costs.along_training,
)
"""Figure 3 at the paper's learning rates: two optimisers, two readings of an input scale, two scales."""
