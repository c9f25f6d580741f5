"""SGD on the logistic loss that notices, exactly, when it leaves the lazy regime (section 5.1).

One trajectory serves every radius: the networks trained with C0 = 10 and C0 = 40 are the same network at two times.
A step costs two matrix products, over the pixels that are not 0 in all images: the weights of the others stay where
they are. How far the weights have moved is not computed at each step: a step moves no unit by more than
lr sum_i |r_i| ||x_i|| / sqrt(m), with r_i the derivative of the loss at example i, and as long as the sum of these
bounds stays inside, so do the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from advnb import checks
from advnb.experiments import UnderWay
from advnb.models import TwoLayer
from advnb.papers.lazy.ball import largest_movement

REDUCTIONS = ("mean", "sum")
STOPS = ("step", "epoch")


@dataclass(frozen=True)
class Exit:
    """Where a trajectory met a radius.

    Attributes:
        radius: C0 of the ball.
        reached: whether the weights left that ball within the steps allowed.
        step: how many steps the network that is shown has taken.
        moved: its sqrt(m) max_s ||w_s - w_{s,0}||; at most ``radius`` unless the stop is that of the released code.
        after: the same one step later, at the first iterate outside; that of the network itself if there is none.
    """

    radius: float
    reached: bool
    step: int
    moved: float
    after: float


@dataclass(frozen=True)
class Trajectory:
    """What :func:`lazy_sgd` saw: one ``Exit`` a radius, and how far the weights had ``moved`` after ``steps``."""

    exits: list[Exit]
    steps: list[int]
    moved: list[float]


Visit = Callable[[TwoLayer, Exit], Any]


def lazy_sgd(
    net: TwoLayer,
    x: Tensor,
    y: Tensor,
    radii: Sequence[float],
    *,
    steps: int,
    lr: float = 0.1,
    batch: int = 64,
    reduction: str = "mean",
    stop: str = "step",
    generator: torch.Generator | None = None,
    visit: Visit | None = None,
    away: UnderWay | None = None,
    seen: list[Any] | None = None,
) -> Trajectory:
    """Train ``net`` in place until it has left the largest of the lazy regimes, or for ``steps`` steps.

    Parameters
    ----------
    net
        A ReLU network; its biases, if it has any, are trained too, but do not count as movement.
    x, y
        Examples (n, d) and labels -1/+1 (n,).
    radii
        C0 of each ball, ascending.
    lr, batch, reduction
        SGD over a fresh permutation each epoch; the loss is the mean of a batch, or its sum.
    stop
        ``"step"``: show the last iterate inside the ball. ``"epoch"``, as the released code: show the network after
        the first epoch that ends outside.
    visit
        Called with the network and its ``Exit`` as each radius is met, and at the end for radii that were not. It
        must leave the network as it is.
    away, seen
        Where the trajectory is put away between epochs and taken up again; it needs a ``generator``. ``seen`` is a list
        that ``visit`` fills with plain data, which is put away with it and filled again.

    Raises
    ------
    ValueError, TypeError
        On labels other than -1 and +1, radii that do not ascend, unknown names, sizes out of range.
    """
    run = _Run(net, x, y, radii, lr, batch, reduction, stop, generator, visit)
    limit = checks.count("steps", steps)
    run.go_on(away, [] if seen is None else seen)
    for x, y, norms, epoch_ends in run.batches():
        if run.count >= limit or not run.open:
            break
        run.step(x, y, norms)
        if stop == "epoch" and epoch_ends:
            run.leave_if_outside([parameter.data for parameter in run.live.parameters()])
    return run.close()


@dataclass
class _Run:
    """The state of one trajectory: iterate, its distance from the start, and the radii still ahead."""

    net: TwoLayer
    x: Tensor
    y: Tensor
    radii: Sequence[float]
    lr: float
    batch: int
    reduction: str
    stop: str
    generator: torch.Generator | None
    visit: Visit | None

    def __post_init__(self) -> None:
        _check(self.net, self.x, self.y, self.radii)
        self.mean = checks.choice("reduction", self.reduction, REDUCTIONS) == "mean"
        self.by_step = checks.choice("stop", self.stop, STOPS) == "step"
        checks.positive("lr", self.lr)
        checks.count("batch", self.batch)
        self.norms = torch.linalg.vector_norm(self.x, dim=1)
        largest = torch.linalg.vector_norm(self.net.weight.detach(), dim=1).max()
        self.columns = self.x.any(dim=0).nonzero().squeeze(1)
        self.x = self.x[:, self.columns]
        self.live = _restricted(self.net, self.columns)
        self.start = self.live.weight.detach().clone()
        self.memory = self.start.new_empty(self.batch, self.net.m)
        self.rounding = float(4 * self.net.m**0.5 * torch.finfo(self.x.dtype).eps * largest)
        self.open = [float(radius) for radius in self.radii]
        self.bound, self.count, self.look_next = 0.0, 0, 1
        self.exits: list[Exit] = []
        self.path: list[tuple[int, float]] = [(0, 0.0)]
        self.away: UnderWay | None = None
        self.seen: list[Any] = []

    def go_on(self, away: UnderWay | None, seen: list[Any]) -> None:
        """Take up the trajectory that was put away, if one was, and put it away from now on."""
        if away is None or self.generator is None:
            return
        self.away, self.seen = away, seen
        if (state := away.load()) is None:
            return
        self._set([weight.to(self.x.device) for weight in state["weights"]])
        self.generator.set_state(state["generator"])
        self.bound, self.count, self.look_next, self.open = (state[k] for k in ("bound", "count", "look_next", "open"))
        self.exits = [Exit(**exit) for exit in state["exits"]]
        self.path = [(step, moved) for step, moved in state["path"]]
        seen[:] = state["seen"]

    def _state(self) -> dict[str, Any]:
        """Return what :meth:`go_on` takes up, between two epochs."""
        assert self.generator is not None  # or nothing is put away
        weights = [parameter.detach().cpu().clone() for parameter in self.live.parameters()]
        kept = {name: getattr(self, name) for name in ("bound", "count", "look_next", "open", "seen")}
        exits, path = [vars(exit) for exit in self.exits], [list(entry) for entry in self.path]
        return {**kept, "weights": weights, "generator": self.generator.get_state(), "exits": exits, "path": path}

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor, bool]]:
        """Yield the images, labels and norms of each batch and whether it is the last of its epoch, without end."""
        while True:
            if self.away is not None:
                self.away.save(self._state)
            order = torch.randperm(len(self.x), generator=self.generator).to(self.x.device)
            parts = [values[order].split(self.batch) for values in (self.x, self.y, self.norms)]
            for k, (x, y, norms) in enumerate(zip(*parts, strict=True)):
                yield x, y, norms, k == len(parts[0]) - 1

    def step(self, x: Tensor, y: Tensor, norms: Tensor) -> None:
        """Take one step; show the iterate before it to every radius that the step crosses."""
        push, slopes = logistic_push(self.live, x, y, memory=self.memory[: len(x)])
        push.mul_(self.lr / len(x) if self.mean else self.lr)
        self.bound += float(push.abs() @ norms) + self.rounding
        unsure = self.by_step and self.bound > self.open[0]
        previous = [parameter.detach().clone() for parameter in self.live.parameters()] if unsure else None
        apply_push(self.live, x, push, slopes)
        self.count += 1
        if previous is not None:
            self.leave_if_outside(previous)
        elif self.count >= self.look_next:
            self.look()

    def look(self) -> float:
        """Measure the movement, which also tightens the bound, and record it."""
        self.bound = largest_movement(self.live.weight.data, self.start)
        if self.count >= self.look_next:
            self.path.append((self.count, self.bound))
            self.look_next = max(self.count + 1, int(self.count * 1.25))
        return self.bound

    def leave_if_outside(self, shown: list[Tensor]) -> None:
        """Close every radius below the present movement, showing the network with the parameters ``shown``."""
        moved = self.look()
        if not self.open or moved <= self.open[0]:
            return
        current = [parameter.data for parameter in self.live.parameters()]
        self._set(shown)
        before = largest_movement(self.live.weight.data, self.start)
        while self.open and moved > self.open[0]:
            self._show(Exit(self.open.pop(0), True, self.count - int(self.by_step), before, moved))
        self._set(current)

    def _set(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.live.parameters(), values, strict=True):
            parameter.data = value

    def close(self) -> Trajectory:
        """Show the last network to the radii that were not reached."""
        moved = largest_movement(self.live.weight.data, self.start)
        if self.path[-1][0] < self.count:
            self.path.append((self.count, moved))
        for radius in self.open:
            self._show(Exit(radius, False, self.count, moved, moved))
        self._write()
        return Trajectory(self.exits, [k for k, _ in self.path], [size for _, size in self.path])

    def _show(self, exit: Exit) -> None:
        self.exits.append(exit)
        if self.visit is not None:
            self._write()
            self.visit(self.net, exit)

    def _write(self) -> None:
        """Put the live network's weights, and its biases, into the network that was given."""
        self.net.weight.data[:, self.columns] = self.live.weight.data
        for name in ("hidden_bias", "top_bias"):
            if (trained := getattr(self.live, name)) is not None:
                getattr(self.net, name).data.copy_(trained.data)


def _restricted(net: TwoLayer, columns: Tensor) -> TwoLayer:
    """Return a copy of ``net`` that sees only the given columns of its input.

    Its weights lie in memory column by column: both products of a step are faster that way, at small d by a quarter.
    """
    live = TwoLayer(len(columns), net.m, bias=net.top_bias is not None, dtype=net.weight.dtype,
                    device=net.weight.device, generator=torch.Generator(net.weight.device))  # fmt: skip
    live.weight.data = net.weight.detach()[:, columns].t().contiguous().t()
    live.signs.copy_(net.signs)
    if net.hidden_bias is not None and net.top_bias is not None:
        live.hidden_bias, live.top_bias = copy.deepcopy(net.hidden_bias), copy.deepcopy(net.top_bias)
    return live


@torch.no_grad()
def logistic_push(net: TwoLayer, x: Tensor, y: Tensor, *, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return -d loss_i / d f(x_i) = y_i / (1 + exp(y_i f(x_i))) (n,) and a_s sigma'(h_s) (n, m).

    The latter lies in ``memory``, if given. One matrix product; what follows happens in its place, as new memory of
    that size costs as much as the product.
    """
    hidden = torch.mm(x, net.weight.t(), out=memory)
    if net.hidden_bias is not None:
        hidden += net.hidden_bias
    hidden.clamp_min_(0)
    f = hidden @ net.signs / net.m**0.5
    if net.top_bias is not None:
        f = f + net.top_bias
    return y * torch.sigmoid(-y * f), hidden.sign_().mul_(net.signs)


@torch.no_grad()
def apply_push(net: TwoLayer, x: Tensor, push: Tensor, slopes: Tensor) -> None:
    """Add sum_i push_i grad f(x_i) to the parameters of ``net``: one matrix product, in place."""
    scaled = push / net.m**0.5
    net.weight.addmm_(slopes.T, x * scaled[:, None])
    if net.hidden_bias is not None and net.top_bias is not None:
        net.hidden_bias.addmv_(slopes.T, scaled)
        net.top_bias.add_(push.sum())


def _check(net: TwoLayer, x: Tensor, y: Tensor, radii: Sequence[float]) -> None:
    if not isinstance(net, TwoLayer) or net.activation != "relu":
        raise TypeError("net must be a TwoLayer network with activation 'relu'")
    checks.images("x", x)
    checks.real_targets(y, len(x), signs=True)
    sizes = [checks.positive("radii", radius) for radius in radii]
    if not sizes or sizes != sorted(set(sizes)):
        raise ValueError(f"radii must be distinct and ascending; got {list(radii)}")
