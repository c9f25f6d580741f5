"""Random lazy networks with points on the sphere, in float64: what the tests of the bounds start from."""

import torch

from advnb.models import TwoLayer
from advnb.papers.lazy.task import random_start


def start(seed: int, d: int, m: int, n: int = 1) -> tuple[TwoLayer, torch.Tensor]:
    return random_start(d, m, n, torch.Generator().manual_seed(seed), dtype=torch.float64)
