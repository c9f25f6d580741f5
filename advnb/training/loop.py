"""The training loop: :func:`fit`, its settings, epochs, batches and updates, the same for every defence.

All randomness is a function of (seed, epoch, batch): nothing is drawn from the global generators, and there is no
generator whose state could be lost. Modules that insist on the global ones (dropout) find them seeded by the
same rule at the start of each epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import MultiStepLR
from tqdm.auto import tqdm

from advnb import checks, gradients, losses
from advnb.data import Dataset, Examples, Split, as_split
from advnb.losses import AnyLoss, Loss
from advnb.training import checkpoints, processes
from advnb.training.defences import Defence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Augment", "Callback", "Diverged", "Evaluate", "MakeOptimizer", "Row", "Run", "Settings", "fit"]

Row = dict[str, Any]
Augment = Callable[[Tensor, torch.Generator], Tensor]
MakeOptimizer = Callable[..., Optimizer]
Evaluate = Callable[[nn.Module], Mapping[str, float]]
Callback = Callable[[nn.Module, Row], bool | None]

PARTS = ("model", "optimizer", "schedule", "defence")
"""What of a run has a ``state_dict`` to be stored."""

ORDER, NOISE, MODULES = 1, 2, 3
"""What a derived seed is for: the order of an epoch, the noise of a batch, modules that draw globally."""


CHANNELS_LAST = ("cuda",)
"""Kinds of device whose convolutions in bfloat16 read images with their channels last in memory."""

ATTACK = "the attack met a gradient that is NaN or infinite"


class Diverged(ArithmeticError):
    """Raised if the loss or the weights stop being finite. The last checkpoint is from before that."""


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

    Returns one row an epoch: ``epoch`` (from 1), ``lr``, ``loss`` (on the crafted batches), ``accuracy`` (clean batches
    in eval mode, just before they are used; one more forward pass, unless the defence returns the clean batch),
    ``adversarial_accuracy`` (crafted batches, from the update's own pass in train mode), ``seconds``, what the defence
    reports (means over the examples; of attacks ``steps`` and ``gradients``), and the columns of ``evaluate``.

    Raises ValueError or TypeError on settings out of range, empty data, labels without a logit or a reduced loss;
    Diverged when the loss or a weight is NaN or infinite, naming epoch and batch (all of an epoch's numbers are read
    from the device together, at its end); CheckpointError when the file is damaged or belongs to a run with other
    settings: it is left as it is.

    A resumed run equals an uninterrupted one bit for bit on a CPU, ``seconds`` apart. Under ``torchrun`` the same call
    shares each batch between the processes (DistributedDataParallel) and matches one process up to rounding,
    except that BatchNorm in train mode sees its own process's rows only (``nn.SyncBatchNorm`` mends that on GPUs).

    Parameters
    ----------
    model, data, defence
        ``data`` is a Dataset (its training half), a Split or a pair (x, y): x (n, ...), y (n,) class indices, or real
        targets for a model with one output. It is kept on the device, a batch is an index; where the attacks compute in
        bfloat16 on a GPU, images and model are laid out with their channels last.
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
    split = Split(split.x.detach(), split.y.detach())  # a graph behind them would be freed by the first update
    settings.objective.check_targets(split.y, len(split))
    output = gradients.check_model(model.to(place).eval(), split.x, split.y, settings.objective)
    losses.values(settings.objective, output, split.y[: len(output)])  # a reduced loss is refused here
    if place.type in CHANNELS_LAST and split.x.ndim == 4 and getattr(defence, "autocast", None) == torch.bfloat16:
        split = Split(split.x.to(memory_format=torch.channels_last), split.y)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    cuda = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(cuda), processes.join(place) as group:  # the group must outlive the run: it has no name
        history = Run(model, defence, settings, split, group).train(
            None if checkpoint is None else Path(checkpoint), resume, evaluate, callback, progress
        )
    return pd.DataFrame(history)


@dataclass(frozen=True)
class Settings:
    """What :func:`advnb.training.fit` was asked for, checked; the meanings are documented there."""

    epochs: int
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    milestones: tuple[int, ...]
    factor: float
    optimizer: str | MakeOptimizer
    loss: AnyLoss
    augment: Augment | None
    seed: int
    checkpoint_every: int

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch", 1), ("seed", 0), ("checkpoint_every", 1)):
            checks.count(name, getattr(self, name), minimum=minimum)
        for epoch in self.milestones:
            checks.count("milestones", epoch)
        checks.positive("lr", self.lr)
        checks.positive("factor", self.factor)
        checks.number("momentum", self.momentum, lambda v: 0 <= v < 1, "lie in [0, 1)")
        checks.number("weight_decay", self.weight_decay, lambda v: 0 <= v < math.inf, "be finite and at least 0")
        if not callable(self.optimizer):
            checks.choice("optimizer", self.optimizer, ("sgd", "adam"))
        losses.resolve(self.loss)

    @property
    def objective(self) -> Loss:
        """The loss to minimise."""
        return losses.resolve(self.loss)

    def make_optimizer(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of those parameters that require gradients."""
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if callable(self.optimizer):
            return self.optimizer(weights, lr=self.lr)
        if self.optimizer == "adam":
            return Adam(weights, lr=self.lr, weight_decay=self.weight_decay)
        return SGD(weights, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def fingerprint(self) -> dict[str, str]:
        """Return every setting that decides the weights after a given epoch."""
        names = {field.name for field in fields(self)} - {"epochs", "checkpoint_every"}
        return {name: checkpoints.describe(getattr(self, name)) for name in names}


class Run:
    """A training run between two epochs: weights, optimiser, schedule and the history so far."""

    def __init__(
        self, model: nn.Module, defence: Defence, settings: Settings, split: Split, group: processes.Ranks
    ) -> None:
        self.model, self.defence, self.settings = model, defence, settings
        self.split, self.group = split, group
        self.device = split.x.device
        self.objective = settings.objective
        self.optimizer = settings.make_optimizer(model)
        self.schedule = MultiStepLR(self.optimizer, list(settings.milestones), settings.factor)
        self.network = group.wrap(model, self.device)
        self.noise = torch.Generator(self.device)
        self.fingerprint: dict[str, str] = {}
        self.later, self.now, self.sums = checks.Later(), (0, 0), np.zeros(3)
        self.history: list[Row] = []
        self.stopped = False

    def train(
        self, path: Path | None, resume: bool, evaluate: Evaluate | None, callback: Callback | None, progress: bool
    ) -> list[Row]:
        """Train the epochs that are missing and return the history; the run is stored at ``path`` as it grows."""
        if path is not None:
            self.open(path, resume)
        self.group.same_everywhere("the number of epochs already trained", len(self.history), self.device)
        epochs, every = self.settings.epochs, self.settings.checkpoint_every
        batches = math.ceil(len(self.split) / self.settings.batch)
        done = len(self.history) * batches
        hidden = not (progress and self.group.rank == 0)
        try:
            with tqdm(total=epochs * batches, initial=done, unit="batch", leave=False, disable=hidden) as bar:
                while len(self.history) < epochs and not self.stopped:
                    row = self.epoch(len(self.history) + 1, bar)
                    if evaluate is not None:
                        row |= _columns("evaluate", evaluate(self.model), row)
                    self.history.append(row)
                    stop = callback is not None and bool(callback(self.model, row))
                    self.stopped = self.group.total([stop], self.device) != [0]
                    if path and (self.stopped or row["epoch"] == epochs or row["epoch"] % every == 0):
                        self.store(path)
        finally:
            self.model.eval()
            self.model.zero_grad()
        return self.history

    def epoch(self, epoch: int, bar: tqdm) -> Row:
        """Pass over the data once; return the row of history that it makes."""
        began, seed, rate = time.perf_counter(), self.settings.seed, self.optimizer.param_groups[0]["lr"]
        torch.default_generator.manual_seed(_derive(seed, epoch, 0, MODULES + self.group.rank))
        if self.device.type == "cuda":  # this one, and no other
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(torch.initial_seed())
        shuffle = torch.Generator().manual_seed(_derive(seed, epoch, 0, ORDER))
        order = torch.randperm(len(self.split), generator=shuffle).to(self.device)
        self.sums, crafted = np.zeros(3), 0
        try:
            self.defence.before_epoch(epoch)
            for number, rows in enumerate(order.split(self.settings.batch), 1):
                self.step(rows, epoch, number)
                crafted += max(len(rows), self.group.size)
                bar.update()
            self.schedule.step()
            with torch.no_grad():
                self.defence.after_epoch(self.model, epoch)
            report = self.finish()
        except Exception:
            self.read()  # what has not been looked at yet came before, and may be why
            raise
        self.group.share_buffers(self.model.eval())
        totals = self.group.total(list(report.values()), self.device)
        seconds = time.perf_counter() - began
        shares = zip(("loss", "accuracy", "adversarial_accuracy"), (self.sums / len(self.split)).tolist(), strict=True)
        row = {"epoch": epoch, "lr": rate, **dict(shares), "seconds": seconds}
        means = {name: total / crafted for name, total in zip(report, totals, strict=True)}
        return row | _columns("report", means, row)

    def step(self, rows: Tensor, epoch: int, number: int) -> None:
        """Update on one batch; its loss and hits wait on the device for the end of the epoch."""
        noise = self.noise.manual_seed(_derive(self.settings.seed, epoch, number, NOISE))
        x, y = self.split.x[rows], self.split.y[rows]
        if self.settings.augment is not None:
            x = checks.alike("the result of augment", self.settings.augment(x, noise), "its batch", x)
        self.later.add(self.split.y[:0], partial(self.turn, epoch, number))
        with self.later:
            start = self.defence.start(x, noise)
        mine, weight = self.group.share(len(x))
        x, y, start = x[mine], y[mine], start[mine]
        x_adv = self.craft(x, y, start, noise, epoch, number)
        clean = None
        if x_adv is not x:
            with torch.no_grad():
                clean = losses.correct(self.defence.network(self.model.eval())(x), y).sum()
        output = self.network.train()(x_adv)
        each = losses.values(self.objective, output, y)
        loss, weighed = weight * each.sum(), self.defence.weigh(each, epoch)
        crafted = weight * losses.correct(output, y).sum()
        local = torch.stack([loss.detach(), crafted if clean is None else weight * clean, crafted])
        self.later.add(self.group.reduce(local), self.count)
        self.optimizer.zero_grad()
        scale = weight * self.group.size / len(rows)  # processes average their gradients: undo that
        (scale * checks.alike("the result of weigh", weighed, "the losses", each).sum()).backward()
        self.optimizer.step()
        with torch.no_grad():
            self.defence.after_step(self.model)

    def turn(self, epoch: int, number: int) -> None:
        """Note which batch the numbers that are read next belong to."""
        self.now = epoch, number

    def count(self, *sums: float) -> None:
        """Add a batch's losses, clean hits and hits as crafted to those of the epoch; raise if a loss is not finite."""
        if not math.isfinite(sums[0]):
            raise Diverged(_where(f"the loss is {sums[0]}", *self.now))
        self.sums += sums

    def finish(self) -> dict[str, float]:
        """Read all that waits, with the defence's report and a check of the weights; return the report."""
        found = dict(self.defence.report())
        for name, value in found.items():
            if isinstance(value, Tensor):
                self.later.add(value, partial(found.__setitem__, name))
        for parameter in self.model.parameters():
            self.later.add(torch.isfinite(parameter).all(), self.check_weights)
        self.read()
        return {name: float(value) for name, value in found.items()}

    def check_weights(self, finite: float) -> None:
        """Raise if a weight is not finite."""
        if not finite:
            raise Diverged(_where("a weight is NaN or infinite", *self.now))

    def read(self) -> None:
        """Read what waits on the device; raise if it says that training diverged."""
        try:
            self.later.read()
        except checks.NotFinite as error:
            raise Diverged(_where(ATTACK, *self.now)) from error

    def craft(self, x: Tensor, y: Tensor, start: Tensor, noise: torch.Generator, epoch: int, number: int) -> Tensor:
        """Let the defence at the model, in the mode it asks for; its answer is data, with no graph attached."""
        self.model.train(self.defence.train_mode)
        try:
            with self.later:
                x_adv = self.defence.craft(self.model, x, y, epoch=epoch, generator=noise, start=start)
        except checks.NotFinite as error:
            self.read()
            raise Diverged(_where(ATTACK, epoch, number)) from error
        return x if x_adv is x else checks.alike("the result of craft", x_adv, "its batch", x).detach()

    def open(self, path: Path, resume: bool) -> None:
        """Take up the run stored at ``path`` if there is one; refuse it before anything is changed."""
        self.fingerprint = {
            **self.settings.fingerprint(),
            "model": checkpoints.describe_model(self.model),
            "data": checkpoints.describe_tensors(self.split.x, self.split.y),
            "defence": checkpoints.describe(self.defence),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and path.exists():
            self.restore(path)

    def store(self, path: Path) -> None:
        """Write the run to ``path``, from one process; the others wait for the file."""
        if self.group.rank == 0:
            state = {name: getattr(self, name).state_dict() for name in PARTS}
            state |= {"fingerprint": self.fingerprint, "history": self.history, "stopped": self.stopped}
            checkpoints.save(path, state)
        self.group.total([0.0], self.device)

    def restore(self, path: Path) -> None:
        """Go on from the run stored at ``path``; raises if it is another one or has gone further than asked."""
        state = checkpoints.load(path, {*PARTS, "fingerprint", "history", "stopped"})
        checkpoints.refuse_mismatch(path, state["fingerprint"], self.fingerprint)
        if len(state["history"]) > self.settings.epochs:
            raise checkpoints.CheckpointError(
                f"checkpoint {path} holds {len(state['history'])} epochs, more than epochs={self.settings.epochs}"
            )
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.history, self.stopped = state["history"], state["stopped"]


def _columns(source: str, extra: Mapping[str, float], row: Row) -> Row:
    """Return what ``source`` adds to a row as plain numbers, which a checkpoint can hold."""
    if taken := ", ".join(sorted(extra.keys() & row.keys())):
        raise ValueError(f"{source} must use other names than the history's own columns; got {taken}")
    return {name: float(value) for name, value in extra.items()}


def _where(what: str, epoch: int, number: int) -> str:
    return (
        f"training diverged: {what} in epoch {epoch}, batch {number}. "
        "A lower lr may help; the checkpoint, if any, is from an earlier epoch"
    )


def _derive(seed: int, epoch: int, number: int, purpose: int) -> int:
    """Return a seed that is a function of its arguments; distinct arguments give unrelated streams."""
    return int(np.random.SeedSequence((seed, epoch, number, purpose)).generate_state(1, np.uint64)[0] >> 1)


def _device(model: nn.Module) -> torch.device:
    """Return where the trained parameters of ``model`` are; raises if there are none."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    devices = {parameter.device for parameter in model.parameters() if parameter.requires_grad}
    if len(devices) != 1:
        raise ValueError(f"model must have parameters that require gradients, on one device; found {len(devices)}")
    return devices.pop()
