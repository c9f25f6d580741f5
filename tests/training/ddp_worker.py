"""Train a small network, alone or as one of torchrun's processes, and store what came out.

Usage: python ddp_worker.py FOLDER, or python -m torch.distributed.run --nproc-per-node 2 ddp_worker.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from advnb.balls import L2
from advnb.data import Split
from advnb.training import Dynamic, fit


def examples() -> Split:
    """41 rows: in batches of 8 the last batch has one row, fewer than there are processes."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(41) % 3
    x = torch.rand(41, 6, generator=generator) / 2 + y[:, None] / 6
    return Split(x, y)


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def main(folder: Path) -> None:
    rank = int(os.environ.get("RANK", "0"))
    # Only rank 0's initial weights count: the others are told to start elsewhere.
    model = network(seed=rank)
    options = {"batch": 8, "lr": 0.1, "progress": False, "checkpoint": folder / "run.pt"}
    # An estimate over a batch that the processes share, and counts that they add up.
    defence = Dynamic(L2(0.3), steps=3, until=3, c_max="estimated")
    fit(model, examples(), defence, epochs=2, **options)
    history = fit(network(seed=5), examples(), defence, epochs=2, **options)  # finished: comes from the file
    resumed = network(seed=7)
    history = fit(resumed, examples(), defence, epochs=4, **options)
    assert not (dist.is_available() and dist.is_initialized())
    torch.save(
        {"weights": resumed.state_dict(), "history": history.drop(columns="seconds").to_dict("list")},
        folder / f"rank{rank}.pt",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
