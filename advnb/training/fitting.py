"""``fit``: the arguments of a training run, checked, and the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from advnb import gradients, losses
from advnb.data import Dataset, Examples, as_split
from advnb.losses import AnyLoss
from advnb.training import processes
from advnb.training.defences import Defence
from advnb.training.loop import Augment, Callback, Evaluate, MakeOptimizer, Run, Settings, own_random_state

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit"]


def fit(
    model: nn.Module,
    data: Dataset | Examples,
    defence: Defence,
    *,
    epochs: int,
    batch: int = 128,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    milestones: Sequence[int] = (),
    factor: float = 0.1,
    optimizer: str | MakeOptimizer = "sgd",
    loss: AnyLoss = "cross_entropy",
    augment: Augment | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    evaluate: Evaluate | None = None,
    callback: Callback | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = True,
    progress: bool = True,
) -> pd.DataFrame:
    """Train ``model`` in place against ``defence``, leave it in eval mode, and return the history of its epochs.

    Parameters
    ----------
    model, data, defence
        ``data`` is a Dataset (its training half), a Split or a pair (x, y): x (n, ...), y (n,) class indices, or real
        targets for a model with one output. It is kept on the device; a batch is an index.
    epochs, batch, seed
        Passes over the data, examples an update (the last batch may be smaller), and the seed of all randomness.
    lr, momentum, weight_decay, optimizer
        ``"sgd"``, ``"adam"`` (which has no use for ``momentum``), or a callable ``optimizer(parameters, lr=lr)``.
    milestones, factor
        The learning rate is multiplied by ``factor`` once that many epochs are finished.
    loss
        What the update minimises, as a mean over the batch; a name from ``advnb.losses`` or (output, y) -> (n,).
    augment
        ``augment(x, generator)`` returns another batch of the same shape, before the defence sees it.
    device
        Where to train; by default where the model is. The model stays there.
    evaluate
        ``evaluate(model)`` after each epoch, in eval mode, returns further columns of the history.
    callback
        ``callback(model, row)`` after each epoch, before it is stored; a true result ends the training.
    checkpoint, checkpoint_every, resume
        A file to store the run in, every so many epochs and at the end. If it exists the run goes on from it, or
        returns at once when it was finished; weights of ``model`` are then replaced. ``epochs`` may have grown.

    Returns
    -------
    One row an epoch: ``epoch`` (from 1), ``lr``, ``loss`` (on the crafted batches), ``accuracy`` (clean batches in eval
    mode, just before they are used; one more forward pass, unless the defence returns the clean batch),
    ``adversarial_accuracy`` (crafted batches, from the update's own pass in train mode), ``seconds``, and the
    columns of ``evaluate``.

    Raises
    ------
    ValueError, TypeError
        On settings out of range, empty data, labels without a logit, a reduced loss.
    Diverged
        When the loss or a weight is NaN or infinite, naming epoch and batch.
    CheckpointError
        When the file is damaged or belongs to a run with other settings; the file is left as it is.

    Notes
    -----
    A resumed run equals an uninterrupted one bit for bit on a CPU, ``seconds`` apart. Under ``torchrun`` the same call
    shares each batch between the processes (DistributedDataParallel) and matches one process up to rounding,
    except that BatchNorm in train mode sees its own process's rows only (``nn.SyncBatchNorm`` mends that on GPUs).
    """
    import pandas as pd

    settings = Settings(
        epochs, batch, lr, momentum, weight_decay, tuple(milestones), factor, optimizer, loss, augment, seed,
        checkpoint_every,
    )  # fmt: skip
    if not isinstance(defence, Defence):
        raise TypeError(f"defence must be a Defence such as Unsecured(); got {defence!r}")
    home = _device(model)
    place = processes.own_device(home if device is None else torch.device(device))
    split = as_split(data.train if isinstance(data, Dataset) else data).to(place)
    settings.objective.check_targets(split.y, len(split))
    output = gradients.check_model(model.to(place).eval(), split.x, split.y, settings.objective)
    losses.values(settings.objective, output, split.y[: len(output)])  # a reduced loss is refused here
    with own_random_state(place), processes.join(place) as group:
        # No name keeps the run: the process group must outlive it.
        history = Run(model, defence, settings, split, group).train(
            None if checkpoint is None else Path(checkpoint), resume, evaluate, callback, progress
        )
    return pd.DataFrame(history)


def _device(model: nn.Module) -> torch.device:
    """Return where the trained parameters of ``model`` are; raises if there are none."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    devices = {parameter.device for parameter in model.parameters() if parameter.requires_grad}
    if len(devices) != 1:
        raise ValueError(
            f"model must have parameters that require gradients, on one device; found {len(devices)}"
        )
    return devices.pop()
