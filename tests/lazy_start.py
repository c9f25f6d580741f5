"""Random lazy networks with points on the sphere, in float64: what the tests of the bounds start from."""

import torch

from advnb.models import TwoLayer


def start(seed: int, d: int, m: int, n: int = 1) -> tuple[TwoLayer, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, generator=generator, dtype=torch.float64)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return net, x / x.norm(dim=1, keepdim=True)
