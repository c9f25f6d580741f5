"""``fit``: the arguments of a training run, checked, and the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from advnb import checks, losses
from advnb.data import Dataset, Split
from advnb.losses import Loss, PerExample
from advnb.training import processes
from advnb.training.defences import Defence
from advnb.training.loop import Augment, Callback, Evaluate, MakeOptimizer, Run, Settings, own_random_state

Data = Dataset | Split | tuple[Tensor, Tensor]


def fit(
    model: nn.Module,
    data: Data,
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
    loss: str | PerExample = "cross_entropy",
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
    settings = Settings(
        epochs, batch, lr, momentum, weight_decay, tuple(milestones), factor, optimizer, loss, augment, seed,
        checkpoint_every,
    )  # fmt: skip
    if not isinstance(defence, Defence):
        raise TypeError(f"defence must be a Defence such as Unsecured(); got {defence!r}")
    home = _device(model)
    place = processes.own_device(home if device is None else torch.device(device))
    split = _split(data).to(place)
    _check_output(model.to(place).eval(), split, settings.objective)
    path = None if checkpoint is None else Path(checkpoint)
    with own_random_state(place), processes.join(place) as group:
        run = Run(model, defence, settings, split, group)
        if path is not None:
            run.open(path, resume)
        group.same_everywhere("the number of epochs already trained", len(run.history), place)
        try:
            run.train(path, evaluate, callback, progress)
        finally:
            model.eval()
            model.zero_grad()
        history = pd.DataFrame(run.history)
        del run  # the process group must outlive what uses it
    return history


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


def _split(data: Data) -> Split:
    """Return the examples of ``data``, or of its training half."""
    if isinstance(data, Dataset):
        data = data.train
    if not isinstance(data, Split | tuple):
        raise TypeError(f"data must be a Dataset, a Split or a pair (x, y); got {type(data).__name__}")
    split = data if isinstance(data, Split) else Split(*data)
    checks.images("x", split.x)
    return split


def _check_output(model: nn.Module, split: Split, objective: Loss) -> None:
    """Look at two outputs, so that a wrong label or a reduced loss is refused before the first update."""
    objective.check_targets(split.y, len(split))
    few = split[:2]
    with torch.no_grad():
        output = model(few.x)
    objective.check_output(output, few.y)
    if objective.targets == "classes":
        checks.class_labels(split.y, len(split), output.shape[1])
    losses.values(objective, output, few.y)
