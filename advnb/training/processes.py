"""The processes that share one training run: this one alone, or all that torchrun started.

One process needs nothing of this: every operation then is the identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Ranks", "current", "join", "own_device"]

_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """Process number ``rank`` of ``size``; number 0 writes the files and shows the progress."""

    rank: int = 0
    size: int = 1

    def share(self, n: int) -> tuple[slice, float]:
        """Return this process's consecutive part of ``n`` rows and the weight of its rows, 1.

        The parts differ by one row at most. A process left without a row gets the first one with weight 0: all of
        them must take part in an update.
        """
        begin, end = n * self.rank // self.size, n * (self.rank + 1) // self.size
        return (slice(begin, end), 1.0) if begin < end else (slice(0, 1), 0.0)

    def total(self, values: list[float], device: torch.device) -> list[float]:
        """Add up ``values`` over the processes, entry by entry."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def reduce(self, values: Tensor) -> Tensor:
        """Add up ``values`` over the processes, entry by entry, where they are: the host need not wait for them."""
        if self.size > 1:
            values = values.double()
            dist.all_reduce(values)
        return values

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return a module that averages the gradients over the processes; all start from rank 0's weights."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process rank 0's buffers (BatchNorm's running statistics)."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def same_everywhere(self, name: str, value: int, device: torch.device) -> None:
        """Raise on every process if they do not all hold the same ``value``."""
        if self.size > 1:
            seen = torch.tensor([value, -value], device=device)
            dist.all_reduce(seen, op=dist.ReduceOp.MAX)
            if seen[0] != -seen[1]:
                raise RuntimeError(
                    f"{name} must be the same in every process; it is {value} in rank {self.rank} and ranges over "
                    f"[{-int(seen[1])}, {int(seen[0])}]. Do all of them see the same files?"
                )


@contextmanager
def join(device: torch.device) -> Iterator[Ranks]:
    """Join the process group that torchrun's environment variables describe, and leave it again afterwards.

    A group that the caller has set up is used as it is. Gloo serves the CPU, NCCL an Nvidia GPU.
    """
    started = int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _TORCHRUN) else 1
    mine = dist.is_available() and not dist.is_initialized() and started > 1
    if mine:
        store, rank, size = next(dist.rendezvous("env://"))
        turn = store.add(f"advnb/{rank}", 1)  # a second group must not read the first one's addresses
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.PrefixStore(f"advnb/{turn}", store), rank=rank, world_size=size)
    try:
        yield current()
    finally:
        if mine:
            dist.destroy_process_group()


def current() -> Ranks:
    """Return the group that this process has joined, itself alone if there is none."""
    joined = dist.is_available() and dist.is_initialized()
    return Ranks(dist.get_rank(), dist.get_world_size()) if joined else Ranks()


def own_device(device: torch.device) -> torch.device:
    """Return the device for this process: under torchrun each one takes the GPU of its local rank."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
