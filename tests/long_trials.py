"""Trials of epochs that put themselves away, for the tests of stretches: what they log says how often they began."""

import os
import time
from pathlib import Path

import torch

from advnb.experiments import Experiment, under_way
from advnb.models import digits_cnn
from advnb.training import Unsecured, fit

HELD, LONG = 3, 60.0
"""The epoch after which a trial is held where :func:`hold` says so, by one call of so many seconds."""


def log(text):
    with open(os.environ["TOY_LOG"], "a") as file:
        file.write(f"{text}\n")


def hold():
    """Hold trials from now on in the middle of their way; return the file that does."""
    held = Path(os.environ["TOY_LOG"] + ".held")
    held.touch()
    return held


def did(seed, epoch, seconds):
    """Log an epoch, which takes so many seconds; where trials are held nothing ends this before it is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    log(f"{seed} did {epoch}")
    if epoch == HELD + 1 and Path(os.environ["TOY_LOG"] + ".held").exists():
        time.sleep(LONG)


def epochs(*, count, seconds, seed, device):
    """Trial: add up random numbers, one an epoch, each ``seconds`` long."""
    away = under_way()
    generator = torch.Generator().manual_seed(seed)
    state = {"epoch": 0, "total": 0.0, "generator": generator.get_state()}
    if away is not None:
        away.every = 0.0
        state = away.load() or state
    log(f"{seed} from {state['epoch']}")
    generator.set_state(state["generator"])
    for epoch in range(state["epoch"] + 1, count + 1):
        state["total"] += float(torch.rand((), generator=generator))
        did(seed, epoch, seconds)
        state |= {"epoch": epoch, "generator": generator.get_state()}
        if away is not None:
            away.save(state)
    return {"total": state["total"]}


def trained(*, rounds, seconds, seed, device):
    """Trial: train a network with a checkpoint where the trial puts itself away, ``seconds`` more an epoch."""
    away = under_way()
    generator = torch.Generator().manual_seed(seed)
    model = digits_cnn(width=0.25, generator=generator)
    x, y = torch.rand(64, 1, 8, 8, generator=generator), torch.arange(64) % 10
    fit(model, (x, y), Unsecured(), epochs=rounds, batch=32, seed=seed, progress=False,
        callback=lambda net, row: did(seed, row["epoch"], seconds), checkpoint=away and away.checkpoint)  # fmt: skip
    return {"weights": [float(weight.detach().double().sum()) for weight in model.parameters()]}


EPOCHS = Experiment(
    "toy.epochs",
    epochs,
    {"live": {"count": 12, "seconds": 0.05}, "laptop": {"count": 1, "seconds": 0.0}},
    {"live": 2, "laptop": 2},
    goes_on=True,
)
TRAINED = Experiment("toy.trained", trained, {"live": {"rounds": 8, "seconds": 0.1}}, {"live": 1}, goes_on=True)
