"""What in Algorithm 1 matters: its variants, its line 4 as printed, and an attack that a large output stops."""

from __future__ import annotations

import torch

from advnb.data import Split
from advnb.experiments import Experiment, Tolerance
from advnb.models import TwoLayer
from advnb.papers.lazy.adversarial import STEP_SHARE, craft, robust_accuracy, train_projected
from advnb.papers.lazy.projected import FULL, LIVE, ROUNDED, SMALL, experiment
from advnb.papers.lazy.task import digit_pair

ALGORITHM_1 = experiment(
    "algorithm_1",
    {
        scale: [
            {**grid, "projection": ["epoch", "step", "none"], "direction": ["raw", "unit"]},
            {**grid, "projection": "epoch", "keep": "released", "direction": "raw"},
        ]
        for scale, grid in {
            "live": {**LIVE, "side": 8, "m": 200, "c0": 10.0, "budget": 0.3},
            "laptop": {**SMALL, "side": [10, 20], "m": 1000, "c0": 10.0, "budget": [0.12, 0.3]},
            "full": {**FULL, "side": [10, 20, 28], "m": 1000, "c0": 10.0, "budget": [0.05, 0.12, 0.2, 0.3],
                     "reduction": ["sum", "mean"]},
        }.items()
    },
    {"live": 2, "laptop": 3, "full": 5},
)  # fmt: skip
"""Algorithm 1 and the released code's version of it, and training that may leave the ball."""


def on_digits(
    budget: float, *, seed: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[TwoLayer, Split, torch.Tensor]:
    """Return 200 units after Algorithm 1 on 200 digits within C0 = 10, 100 test images, the weights at the start."""
    generator = torch.Generator().manual_seed(seed)
    digits = digit_pair("digits", 8, "unit").subset(200, test=100, seed=seed).to(device, dtype)
    net = TwoLayer(64, 200, generator=generator, dtype=dtype).to(device).eval()
    start = net.weight.detach().clone()
    train_projected(net, digits.train, budget, 10 / 200**0.5, epochs=25, lr=0.1, steps=8, reduction="sum",
                    generator=generator)  # fmt: skip
    return net, digits.test, start


@torch.no_grad()
def masked(
    *, factor: float, trained_at: float, budget: float, seed: int, device: str, dtype: torch.dtype
) -> dict[str, float]:
    """Trial: robust accuracies at ``budget`` of a network trained on digits, its weights multiplied by ``factor``.

    The network is homogeneous in its weights: no sign changes anywhere, whatever the factor. Fields are those of
    ``adversarial.robust_accuracy``.
    """
    net, test, _ = on_digits(trained_at, seed=seed, device=device, dtype=dtype)
    net.weight.mul_(factor)
    return robust_accuracy(net, test, budget, steps=20)


MASKING = Experiment(
    "lazy.masking",
    masked,
    {"live": {"factor": [1, 3, 10, 30, 100, 300], "trained_at": 0.2, "budget": 0.4}},
    {"live": 3},
    tolerance=ROUNDED,  # a hundred images, of which three may change sides on another processor
)
"""One classifier, ever louder: which attack is fooled?"""


@torch.no_grad()
def restarted(
    *, trained_at: float, budget: float, steps: int, seed: int, device: str, dtype: torch.dtype
) -> dict[str, float]:
    """Trial: line 4 of Algorithm 1 as printed, where each step begins at the clean images, and as meant.

    Fields: robust accuracy against the attack ``printed`` and ``meant``; ``length``, the longest perturbation as
    printed in budgets; ``initial``, the clean accuracy of the network before training.
    """
    net, test, start = on_digits(trained_at, seed=seed, device=device, dtype=dtype)
    x, y = test.x, test.y
    f, slope = net.value_and_gradient(x)
    printed = x - STEP_SHARE * budget / steps * (y * torch.sigmoid(-y * f))[:, None] * slope
    found = {
        "printed": _right(net, printed, y),
        "meant": _right(net, craft(net, x, y, budget, steps=steps), y),
        "length": float(torch.linalg.vector_norm(printed - x, dim=1).max()) / budget,
    }
    net.weight.copy_(start)
    return {**found, "initial": _right(net, x, y)}


def _right(net: TwoLayer, x: torch.Tensor, y: torch.Tensor) -> float:
    return float((net(x) * y > 0).double().mean())


LINE_4 = Experiment(
    "lazy.line_4",
    restarted,
    {"live": {"trained_at": 0.2, "budget": 0.4, "steps": 100}},
    {"live": 3},
    tolerance=ROUNDED,
    tolerances={"length": Tolerance(rtol=0.01)},  # an extreme of smooth functions: 3e-5 between processors
)
"""What the loop over k does if every step begins at the clean images."""
