"""Defences: what a network sees in place of a clean batch while it trains.

A defence is one method, ``craft``. The other methods of :class:`Defence` are optional: a defence overrides what
it needs and :func:`advnb.training.fit` never changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from advnb import checks, losses
from advnb.attacks import pgd
from advnb.balls import Ball, check_ball
from advnb.fold import Folding, arranged, is_folded
from advnb.losses import AnyLoss
from advnb.training import processes

__all__ = ["Curriculum", "Defence", "Dynamic", "FGSMThenPGD", "Standard", "Unsecured"]


class Defence:
    """The steps of training that a defence can take part in.

    Epochs are counted from 1. A dataclass makes a good defence: its ``repr`` lists its settings, and that is what a
    checkpoint compares before it lets a run go on.
    """

    train_mode: bool = False
    """Whether ``craft`` is to see the model in train mode (BatchNorm's batch statistics, dropout on)."""

    def before_epoch(self, epoch: int) -> None:
        """Get ready for an epoch; when it is the first, for a new run."""

    def start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw where the attack on each example of ``x`` (n, ...) begins; by default at the example.

        Several processes that share a batch each call this for the whole of it, with equal generators, and craft
        their own rows: so draw here whatever must not depend on how the batch is split.
        """
        return x

    def craft(
        self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, generator: torch.Generator, start: Tensor
    ) -> Tensor:
        """Return what the network is updated on, in the shape of ``x`` (n, ...), for targets ``y`` (n,).

        ``start`` holds these rows of what :meth:`start` drew; ``generator`` is for whatever else is random.
        """
        raise NotImplementedError(f"{type(self).__name__} must define craft")

    def network(self, model: nn.Module) -> nn.Module:
        """Return what gives ``model``'s outputs in eval mode, for the clean accuracy; by default ``model`` itself."""
        return model

    def weigh(self, loss: Tensor, epoch: int) -> Tensor:
        """Return what the update minimises the mean of, (n,), given the crafted examples' losses; by default these."""
        return loss

    def after_step(self, model: nn.Module) -> None:
        """Act on the weights after each update, without gradients (a projection, say)."""

    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Act on the weights after each epoch, without gradients, before the model is evaluated."""

    def report(self) -> dict[str, Tensor | float]:
        """Return sums over the examples crafted in this epoch; the history shows them as means, under these names."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to know of the epochs before: tensors, numbers, strings."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


@dataclass(frozen=True)
class Unsecured(Defence):
    """Train on the clean examples."""

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, **moment: Any) -> Tensor:
        """Return ``x`` itself."""
        return x


@dataclass(frozen=True)
class Standard(Defence):
    """Train on PGD's adversarial examples alone (Madry et al.; "Standard" in Wang et al. 2019, section 5).

    ``ball``, ``steps``, ``step_size``, ``random_start``, ``loss`` and ``autocast`` are those of
    :func:`advnb.attacks.pgd`. With ``train_mode`` the network is attacked as it is being updated, with batch statistics
    and dropout; by default the attack sees it in eval mode, as a later attacker will. There a folded copy is attacked
    (:class:`advnb.fold.Folding`), which takes over the weights before each batch: the same function up to rounding,
    faster where there are convolutions, and on a CPU its examples reach the update in the layout that is fastest
    there, channels-last. With ``fold=False`` it is the model as written, bit for bit; with
    ``train_mode`` it always is, and ``fold`` becomes False.

    The history gets two columns, means over the examples: ``steps`` taken and input ``gradients`` computed for them.
    """

    ball: Ball
    steps: int = 10
    step_size: float | None = None
    random_start: bool = True
    loss: AnyLoss = "cross_entropy"
    autocast: torch.dtype | None = None
    train_mode: bool = False
    fold: bool = True
    _sums: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _folding: Folding = field(default_factory=Folding, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_ball(self.ball)
        checks.count("steps", self.steps)
        if self.step_size is not None:
            checks.positive("step_size", self.step_size)
        losses.resolve(self.loss)
        if self.train_mode:  # batch statistics cannot be folded
            object.__setattr__(self, "fold", False)

    def start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw uniformly from the ball around each example, or return ``x`` when ``random_start`` is off."""
        return self.ball.sample(x, generator=generator) if self.random_start else x

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, start: Tensor, **moment: Any) -> Tensor:
        """Return PGD's examples from ``start``, inside the ball around ``x`` (n, ...)."""
        return self.attack(model, x, y, start)

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, start: Tensor, **changes: Any) -> Any:
        """Run PGD with this defence's settings, except for ``changes`` (say, ``fosc_below``), and count its steps."""
        network = self._folding(model, x[:2]) if self.fold else model
        options = {name: getattr(self, name) for name in ("steps", "step_size", "loss", "autocast")}
        options |= {"chunk": len(x) if self.train_mode else None, "allow_train_mode": self.train_mode} | changes
        asked = options.pop("trace", False)
        x_adv, trace = pgd(network, x, y, self.ball, start=start, trace=asked or "steps", fold=False, **options)
        most = options["steps"] + (asked in (True, "x"))  # an example at rest has seen the gradient that stopped it
        self._add(steps=trace.steps.sum(), gradients=(trace.steps + 1).clamp_max(most).sum())
        x_adv = arranged(x_adv) if is_folded(network) else x_adv  # the update, too, is faster so
        return (x_adv, trace) if asked else x_adv

    def network(self, model: nn.Module) -> nn.Module:
        """Return the folded copy that is attacked, or ``model``."""
        return self._folding(model) if self.fold else model

    def before_epoch(self, epoch: int) -> None:
        """Count from 0 again."""
        self._sums.clear()

    def report(self) -> dict[str, Tensor | float]:
        """Return the steps taken and the gradients computed in this epoch."""
        return dict(self._sums)

    def _add(self, **sums: Tensor | float) -> None:
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0) + value


@dataclass(frozen=True, kw_only=True)
class _Staged(Standard):
    """What changes until some epoch."""

    until: int

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("until", self.until)


@dataclass(frozen=True, kw_only=True)
class Curriculum(_Staged):
    """Train on PGD with more and more steps, from none on (Cai et al. 2018; "Curriculum" in Wang et al. 2019).

    Wang et al. do not state the schedule, and Cai et al. add a step when the accuracy under the present ones no longer
    grows. Here the steps grow evenly, from clean examples to all ``steps`` in epoch ``until`` + 1: choose most of the
    epochs. For another schedule override :meth:`steps_in`.
    """

    def steps_in(self, epoch: int) -> int:
        """Return the number of steps in ``epoch``, counted from 1."""
        return min(self.steps * (epoch - 1) // self.until, self.steps)

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, start: Tensor, **moment: Any) -> Tensor:
        """Return PGD's examples after this epoch's steps, ``x`` itself as long as there are none."""
        if steps := self.steps_in(epoch):
            return self.attack(model, x, y, start, steps=steps)
        self._add(steps=0, gradients=0)
        return x


@dataclass(frozen=True, kw_only=True)
class FGSMThenPGD(_Staged):
    """Train on FGSM's examples for ``until`` epochs, then on PGD's ("FGSM-PGD" in Wang et al. 2019, section 3.2).

    FGSM is one step of length eps from the example itself, eq. (2). The paper has 20 such epochs of 120.
    """

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, start: Tensor, **moment: Any) -> Tensor:
        """Return FGSM's examples in the first epochs, PGD's in the others."""
        if epoch <= self.until:
            return self.attack(model, x, y, x, steps=1, step_size=self.ball.eps)
        return self.attack(model, x, y, start)


@dataclass(frozen=True, kw_only=True)
class Dynamic(_Staged):
    """Train on examples that are weak at first and converged in the end: Wang et al. (2019), section 4.1, Algorithm 1.

    In epoch t, from 0, an example moves on only while its FOSC is above c_t = max(c_max - t c_max / T', 0), for at most
    ``steps`` steps. So says the text; the indicator printed in Algorithm 1 is the other way round. The first step is
    taken in any case, as in the released code. An example at rest is dropped from the batch, with the promise that
    ``fosc_below`` of :func:`advnb.attacks.pgd` makes. The history gets a third column, ``c_t``.

    ``until`` is T', in the paper 40 of 50 epochs on MNIST and 100 of 120 on CIFAR-10 (not stated for its Figure 3).
    From then on c_t is 0, and hardly an example rests before it has taken all steps: leave some epochs for that.

    ``c_max`` is 0.5 in the paper, for both data sets. FOSC scales with eps and with the gradient, so choose it for your
    own data: the mean of :func:`advnb.criterion.fosc` over a few FGSM examples on a network that has been trained.
    ``"estimated"`` takes that mean on the first batch (section 4.1 does not say when). The gradient of an untrained
    network is small and so is the estimate: on digits at eps = 0.2, 0.02 where it is 0.34 after 20 epochs of Standard.

    ``box_aware`` says which FOSC: the maximum over what the box leaves of the ball or (False) the paper's closed form,
    which has no box and to which its 0.5 belongs. That one cannot come near 0 where many pixels lie within eps of the
    box.
    """

    c_max: float | Literal["estimated"] = 0.5
    box_aware: bool = True
    _found: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.c_max != "estimated":
            checks.number("c_max", self.c_max, lambda v: 0 <= v < math.inf, "be finite and at least 0, or 'estimated'")

    def before_epoch(self, epoch: int) -> None:
        """Count from 0 again; estimate c_max anew in the first epoch."""
        super().before_epoch(epoch)
        if epoch == 1:
            self._found.clear()

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, start: Tensor, **moment: Any) -> Tensor:
        """Return PGD's examples, each at its first iterate after the start whose FOSC is at most c_t."""
        if self.c_max == "estimated" and not self._found:
            self._found["c_max"] = self._estimate(model, x, y)
        c_t = self.threshold(epoch)
        x_adv = self.attack(model, x, y, start, fosc_below=c_t, gap=self.gap)
        self._add(c_t=c_t * len(x))
        return x_adv

    def threshold(self, epoch: int) -> float:
        """Return c_t of ``epoch``, counted from 1; raises before an estimate of c_max was made."""
        c_max = self._found.get("c_max", self.c_max)
        if isinstance(c_max, str):
            raise ValueError("c_max is estimated from the first batch, and there has been none")
        return c_max * max(1 - (epoch - 1) / self.until, 0)

    def gap(self, grad: Tensor, x_adv: Tensor, x: Tensor, start: Tensor) -> Tensor:
        """Return what is compared with c_t, (n,): FOSC, with the box or without."""
        ball = self.ball if self.box_aware else replace(self.ball, box=None)
        return ball.gap(grad, x_adv, x)

    def state_dict(self) -> dict[str, Any]:
        """Return the estimate of c_max, if one was made."""
        return dict(self._found)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the estimate back."""
        self._found.update(state)

    def _estimate(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        """Return the mean FOSC of FGSM's examples of a batch, over all processes that share it."""
        _, trace = self.attack(model, x, y, x, steps=1, step_size=self.ball.eps, trace=True, gap=self.gap)
        self._add(steps=-len(x))  # nobody trains on these
        total, n = processes.current().total([trace.fosc[1].sum().item(), len(x)], x.device)
        return total / n
