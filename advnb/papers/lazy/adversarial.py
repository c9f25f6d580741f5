"""Projected adversarial training (section 5.2 and Algorithm 1) and the three ways to ask how robust its result is.

Algorithm 1 projects the weights at the end of each epoch, section 5.2 after each gradient step; adversaries come
once an epoch, for the whole training set. The released code also measures robust accuracy before it projects, so
that what it reports is the accuracy of weights outside the ball. Each of these is an option here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from advnb import checks
from advnb.attacks import Direction, ZeroGradientWarning, ascend
from advnb.balls import L2
from advnb.data import Split
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
) -> Outcome:
    """Train ``net`` in place by Algorithm 1 with perturbation budget R and weights within V = ``radius``.

    ``train`` has rows of norm 1 (n, d) and labels -1/+1. Training ends after ``epochs``, or when the robust accuracy on
    it, against the attack used for training, has not risen for ``patience`` of them; the weights of the best epoch are
    returned. While it is 0 the latest weights are the best and patience does not begin: the initial network would come
    back. ``lr`` is beta; the loss of a ``batch`` is averaged, or summed as line 9 has it (``reduction``).
    ``steps`` and ``direction`` are the attack's, see :func:`craft`. ``projection`` is made each ``"epoch"`` (line 11),
    each ``"step"`` (section 5.2) or never (``"none"``). ``keep`` is ``"projected"``, or ``"released"`` for the weights
    of an epoch before its projection, as in the released code.

    Raises ``ValueError`` or ``TypeError`` on unknown names, sizes out of range and labels other than -1 and +1.
    """
    _check_training(train, projection, keep, reduction, radius, epochs=epochs, batch=batch, patience=patience)
    start, outcome = net.weight.detach().clone(), Outcome()
    outside = projection == "epoch" and keep == "released"

    def project(when: str) -> None:
        if projection == when:
            net.weight.copy_(ball.project(net.weight, start, radius))

    def attacked() -> tuple[float, Tensor]:
        crafted = craft(net, train.x, train.y, budget, steps=steps, direction=direction)
        return float((net(crafted) * train.y > 0).double().mean()), crafted

    best, kept, (_, crafted) = 0.0, start, attacked()
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(train), generator=generator).to(train.x.device).split(batch):
            push, slopes = logistic_push(net, crafted[rows], train.y[rows])
            apply_push(net, crafted[rows], push * (lr / len(rows) if reduction == "mean" else lr), slopes)
            project("step")
        before, weights = attacked()[0] if outside else None, net.weight.detach().clone()
        project("epoch")
        after, crafted = attacked()
        judged = after if before is None else before
        outcome.accuracy.append(after)
        outcome.before.append(judged)
        if judged > best or best == 0:
            best, outcome.best, kept = judged, epoch, weights if outside else net.weight.detach().clone()
        if best > 0 and epoch - outcome.best >= patience:
            break
    net.weight.copy_(kept)
    return outcome


def _check_training(train: Split, projection: str, keep: str, reduction: str, radius: float, **counts: int) -> None:
    checks.choice("projection", projection, PROJECTIONS)
    checks.choice("keep", keep, ("projected", "released"))
    checks.choice("reduction", reduction, REDUCTIONS)
    checks.real_targets(train.y, len(checks.images("x", train.x)), signs=True)
    checks.positive("radius", radius)
    for name, value in counts.items():
        checks.count(name, value)
