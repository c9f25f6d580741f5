"""Networks in float64 that the chapter's tests start from: random ones with points on the sphere, and by hand."""

import math

import torch

from advnb.models import TwoLayer
from advnb.papers.lazy.task import random_start


def start(seed: int, d: int, m: int, n: int = 1) -> tuple[TwoLayer, torch.Tensor]:
    return random_start(d, m, n, torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(weight: list[list[float]], signs: list[float]) -> TwoLayer:
    net = TwoLayer(len(weight[0]), len(weight), dtype=torch.float64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(weight))
        net.signs.copy_(torch.tensor(signs))
    return net


def linear() -> TwoLayer:
    """f(x) = 3 x_1 - 4 x_2 where both units are on."""
    return network([[10 * math.sqrt(2), 0.0], [7 * math.sqrt(2), 4 * math.sqrt(2)]], [1.0, -1.0])
