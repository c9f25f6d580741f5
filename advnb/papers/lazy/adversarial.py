"""Projected adversarial training (section 5.2 and Algorithm 1) and the three ways to ask how robust its result is.

Algorithm 1 projects the weights at the end of each epoch, section 5.2 after each gradient step; adversaries come
once an epoch, for the whole training set. The released code also measures robust accuracy before it projects, so
that what it reports is the accuracy of weights outside the ball. Each of these is an option here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from advnb import checks
from advnb.attacks import Direction, ZeroGradientWarning, ascend
from advnb.balls import L2
from advnb.data import Split
from advnb.experiments import UnderWay
from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy import ball
from advnb.papers.lazy.sgd import REDUCTIONS, apply_push, logistic_push

PROJECTIONS = ("step", "epoch", "none")
DIRECTIONS: dict[str, Direction] = {"raw": "gradient", "unit": "steepest"}
STEP_SHARE = 2.5
"""The paper's step size times the number of steps, in budgets: alpha = 2.5 R / 100 for 100 steps."""


@dataclass
class Outcome:
    """How projected adversarial training went: robust accuracy on the training set after each epoch.

    ``accuracy`` is that of the epoch's weights, ``before`` that of the same weights before the epoch's projection
    (measured only if they are what is kept); ``best`` is the epoch whose weights were returned.
    """

    accuracy: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    best: int = 0


@torch.no_grad()
def craft(net: TwoLayer, x: Tensor, y: Tensor, budget: float, *, steps: int = 100, direction: str = "raw") -> Tensor:
    """Return adversarial examples in the L2 ball of radius ``budget``: projected ascent from x on the logistic loss.

    ``"raw"`` adds alpha times the gradient, as Algorithm 1 writes; where |f| is large this gradient all but vanishes
    and the attack stands still. ``"unit"`` steps along its direction, which is that of -y grad f and does not.
    alpha = 2.5 budget / steps.
    """
    checks.choice("direction", direction, DIRECTIONS)
    along = net.along_path()

    def gradient(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        labels = y if rows is None else y[rows]
        f, slope = net.value_and_gradient(points) if along is None else along(points, rows)
        scale = labels if direction == "unit" else labels * torch.sigmoid(-labels * f)
        return -labels * f, -scale[:, None] * slope

    radius = L2(budget)
    size = STEP_SHARE * budget / checks.count("steps", steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # a raw gradient may vanish: that is the question here
        return ascend(gradient, x, radius, start=x, steps=steps, step_size=size,
                      direction=DIRECTIONS[direction])  # fmt: skip


@torch.no_grad()
def robust_accuracy(net: TwoLayer, split: Split, budget: float, *, steps: int = 100) -> dict[str, float]:
    """Return the share of ``split`` that is right, and stays right against each attack within ``budget``.

    ``clean``; ``raw`` and ``unit``, PGD with those steps (see :func:`craft`); ``exact``, the one step of the smallest
    length that changes the sign; ``worst``, all of these at once.
    """
    right = net(split.x) * split.y > 0
    stays = {
        name: net(craft(net, split.x, split.y, budget, steps=steps, direction=name)) * split.y > 0
        for name in DIRECTIONS
    }
    stays["exact"] = right & (minimal_flip(net, split.x).norm > budget)
    stays["worst"] = right & stays["raw"] & stays["unit"] & stays["exact"]
    return {name: float(kept.double().mean()) for name, kept in {"clean": right, **stays}.items()}


def robust_ceiling(split: Split, budget: float) -> float:
    """Return the largest robust accuracy on ``split`` that any classifier can have within ``budget``.

    Of two examples of different classes at most 2 ``budget`` apart only one can be robust: their balls meet. The most
    examples of which no two are so close are all but as many as a maximum matching pairs up (König's theorem).
    """
    checks.real_targets(split.y, len(checks.images("x", split.x)), signs=True)
    x = split.x.flatten(1).double()
    apart = torch.cdist(x[split.y > 0], x[split.y < 0], compute_mode="donot_use_mm_for_euclid_dist")
    near = csr_array((apart <= 2 * checks.positive("budget", budget)).cpu().numpy())
    return 1 - int((maximum_bipartite_matching(near) >= 0).sum()) / len(split)


@torch.no_grad()
def train_projected(
    net: TwoLayer,
    train: Split,
    budget: float,
    radius: float,
    *,
    epochs: int,
    lr: float = 0.01,
    batch: int = 32,
    steps: int = 100,
    direction: str = "raw",
    projection: str = "epoch",
    reduction: str = "mean",
    keep: str = "projected",
    patience: int = 20,
    generator: torch.Generator | None = None,
    away: UnderWay | None = None,
) -> Outcome:
    """Train ``net`` in place by Algorithm 1 with perturbation budget R and weights within V = ``radius``.

    ``train`` has rows of norm 1 (n, d) and labels -1/+1. Training ends after ``epochs``, or when the robust accuracy on
    it, against the attack used for training, has not risen for ``patience`` of them; the weights of the best epoch are
    returned. While it is 0 the latest weights are the best and patience does not begin: the initial network would come
    back. ``lr`` is beta; the loss of a ``batch`` is averaged, or summed as line 9 has it (``reduction``).
    ``steps`` and ``direction`` are the attack's, see :func:`craft`. ``projection`` is made each ``"epoch"`` (line 11),
    each ``"step"`` (section 5.2) or never (``"none"``). ``keep`` is ``"projected"``, or ``"released"`` for the weights
    of an epoch before its projection, as in the released code. ``away`` is where the training is put away between
    epochs and taken up again, bit for bit; it needs a ``generator``.

    Raises ``ValueError`` or ``TypeError`` on unknown names, sizes out of range and labels other than -1 and +1.
    """
    _check_training(train, projection, keep, reduction, radius, epochs=epochs, batch=batch, patience=patience)
    start, outside = net.weight.detach().clone(), projection == "epoch" and keep == "released"
    run = _Epochs(net, start, generator, away)

    def project(when: str) -> None:
        if projection == when:
            net.weight.copy_(ball.project(net.weight, start, radius))

    def attacked() -> tuple[float, Tensor]:
        crafted = craft(net, train.x, train.y, budget, steps=steps, direction=direction)
        return float((net(crafted) * train.y > 0).double().mean()), crafted

    crafted = run.go_on(train.x.device)
    while run.count < epochs and run.since_best < patience:
        crafted = attacked()[1] if crafted is None else crafted
        for rows in torch.randperm(len(train), generator=generator).to(train.x.device).split(batch):
            push, slopes = logistic_push(net, crafted[rows], train.y[rows])
            apply_push(net, crafted[rows], push * (lr / len(rows) if reduction == "mean" else lr), slopes)
            project("step")
        before, weights = (attacked()[0], net.weight.detach().clone()) if outside else (None, None)
        project("epoch")
        after, crafted = attacked()
        run.note(after, after if before is None else before, weights)
        run.put_away(crafted)
    net.weight.copy_(run.kept)
    run.put_away(None)
    return run.outcome


@dataclass
class _Epochs:
    """A training between two epochs: the network, the weights that are kept, and how the epochs went."""

    net: TwoLayer
    kept: Tensor
    generator: torch.Generator | None
    away: UnderWay | None
    outcome: Outcome = field(default_factory=Outcome)
    best: float = 0.0
    ended: bool = False

    @property
    def count(self) -> int:
        """The epochs that have been run."""
        return len(self.outcome.accuracy)

    @property
    def since_best(self) -> int:
        """The epochs since the best one, 0 while there is none with a robust accuracy above 0."""
        return self.count - self.outcome.best if self.best > 0 else 0

    def note(self, accuracy: float, judged: float, weights: Tensor | None) -> None:
        """Note how an epoch went; ``weights``, or the network's, are kept if it is the best."""
        self.outcome.accuracy.append(accuracy)
        self.outcome.before.append(judged)
        if judged > self.best or self.best == 0:
            self.best, self.outcome.best = judged, self.count
            self.kept = self.net.weight.detach().clone() if weights is None else weights

    def go_on(self, device: torch.device) -> Tensor | None:
        """Take up the training that was put away, if one was; return its adversaries, None where there are none."""
        if self.away is None or self.generator is None or (state := self.away.load()) is None:
            return None
        self.net.weight.copy_(state["weights"])
        self.kept = state["kept"].to(device)
        self.generator.set_state(state["generator"])
        self.best, self.outcome = state["best"], Outcome(**state["outcome"])
        self.ended = state["crafted"] is None
        return None if self.ended else state["crafted"].to(device)

    def put_away(self, crafted: Tensor | None) -> None:
        """Put the training away with the adversaries of the next epoch; None at its end, if it was put away before."""
        if self.away is not None and self.generator is not None and not self.ended:
            self.away.save(lambda: self._state(crafted), now=crafted is None and self.away.path.exists())

    def _state(self, crafted: Tensor | None) -> dict[str, Any]:
        assert self.generator is not None  # or nothing is put away
        weights, kept = self.net.weight.detach().cpu(), self.kept.cpu()
        return {
            "weights": weights,
            "kept": weights if torch.equal(weights, kept) else kept,  # stored once: they are large
            "generator": self.generator.get_state(),
            "best": self.best,
            "outcome": vars(self.outcome),
            "crafted": None if crafted is None else crafted.cpu(),
        }


def _check_training(train: Split, projection: str, keep: str, reduction: str, radius: float, **counts: int) -> None:
    checks.choice("projection", projection, PROJECTIONS)
    checks.choice("keep", keep, ("projected", "released"))
    checks.choice("reduction", reduction, REDUCTIONS)
    checks.real_targets(train.y, len(checks.images("x", train.x)), signs=True)
    checks.positive("radius", radius)
    for name, value in counts.items():
        checks.count(name, value)
