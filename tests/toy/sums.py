"""Trials that are cheap, exact and of every kind that the tests need."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from advnb.experiments import Experiment, Tolerance


def walk(*, steps, scale, seed, device, dtype):
    """A random walk: its end, its path and how far it went."""
    generator = torch.Generator(device).manual_seed(seed)
    path = (scale * torch.randn(steps, generator=generator, dtype=dtype, device=device)).cumsum(0)
    return {"end": path[-1], "path": path, "far": path.abs().max().item(), "up": bool(path[-1] > 0)}


def odd(*, kind, seed, device):
    """Values that text does not hold easily."""
    values = {"nan": float("nan"), "inf": -np.inf, "third": 1 / 3, "float32": np.float32(0.1), "whole": np.int64(2**40)}
    return {"value": values[kind], "tensor": torch.tensor([[1.5, float("inf")]]), "name": kind, "nothing": None}


def logged(*, width, seed, device):
    """Note that it ran, and return much to write, so that a kill often falls into a write."""
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(f"{seed}\n")
    return {"row": [(seed + 1) / (k + 3) for k in range(width)]}


def slow(*, seconds, seed, device):
    """Sleep, then say so."""
    time.sleep(seconds)
    return {"slept": seconds, "square": seed * seed, "ms": time.perf_counter()}


def timed(*, seconds, seed, device):
    """Note when it began, and sleep."""
    began = time.time()
    time.sleep(seconds)
    return {"began": began}


def where(*, x, seed, device):
    """Return the device it was handed, and never look at it otherwise."""
    return {"device_handed": device}


def picky(*, n, seed, device):
    """Raise for odd n until the file that TOY_CURED names exists."""
    if n % 2 and not Path(os.environ.get("TOY_CURED", "/nowhere/at/all")).exists():
        raise RuntimeError(f"{n} is odd, in {Path.home()}/secret")
    return {"half": n / 2}


def fatal(*, n, how, seed, device):
    """Let memory run out, or the process die, at n = 1, unless there is the file of TOY_CURED ("once": make it)."""
    cured = Path(os.environ["TOY_CURED"])
    if n == 1 and not cured.exists():
        if how == "memory":
            return {"half": _without_memory(lambda: len(np.ones(2**34)))}
        if how == "once":
            cured.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return {"half": n / 2}


def _without_memory(call):
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**33, before[1]))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def broken(*, kind, seed, device):
    """Return what no trial may return."""
    wrong = {
        "object": {"x": object()},
        "list": [1],
        "big": {"x": np.zeros(10_001)},
        "clash": {"kind": 1},
        "seed": {"seed": 1},
        "empty": {},
    }
    return wrong[kind]


def drifting(*, x, seed, device):
    """Depend on the world, not on the arguments alone."""
    return {"value": x + float(os.environ.get("TOY_DRIFT", "0"))}


WALK = Experiment(
    "toy.walk",
    walk,
    grids={
        "live": {"steps": [1, 3], "scale": 0.1},
        "laptop": {"steps": [5, 10], "scale": [0.1, 1.0]},
        "full": [{"steps": 100, "scale": 1.0}, {"steps": [20], "scale": [2.0]}],
    },
    seeds={"live": 2, "laptop": 5, "full": [3, 1]},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-12, atol=0),
)
ODD = Experiment(
    "toy.odd", odd, grids={"live": {"kind": ["nan", "inf", "third", "float32", "whole"]}}, seeds={"live": 1}
)
SLOW = Experiment(
    "toy.slow",
    slow,
    grids={"live": {"seconds": [0.0, 0.01]}, "laptop": {"seconds": [0.1]}, "full": {"seconds": [1.0, 0.0]}},
    seeds={"live": 20, "laptop": 50, "full": 20},
    unchecked=["ms"],
)
TIMED = Experiment("toy.timed", timed, grids={"live": {"seconds": [0.0, 1.5]}}, seeds={"live": 8}, unchecked=["began"])
WHERE = Experiment("toy.where", where, grids={"live": {"x": 1}}, seeds={"live": 1}, devices=["cpu"])
LOGGED = Experiment("toy.logged", logged, grids={"live": {"width": 3000}}, seeds={"live": 50})
KILLED = Experiment("toy.killed", logged, grids={"live": {"width": 200}}, seeds={"live": 400})
PICKY = Experiment("toy.picky", picky, grids={"live": {"n": [0, 1, 2, 3]}}, seeds={"live": 1})
FATAL = Experiment(
    "toy.fatal",
    fatal,
    grids={"live": {"n": [0, 1, 2, 3, 4, 5], "how": ["memory", "always", "once"]}},
    seeds={"live": 1},
)
BROKEN = Experiment(
    "toy.broken",
    broken,
    grids={"live": {"kind": ["object", "list", "big", "clash", "seed", "empty"]}},
    seeds={"live": 1},
)
DRIFTING = Experiment("toy.drifting", drifting, grids={"live": {"x": [1.0, 2.0]}}, seeds={"live": 3})
