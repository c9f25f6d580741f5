"""Late training, looked at beside its linearisation: how the loss falls, who still pushes, how far the weights go.

The linearised network keeps the activation patterns of the start, so that its features do not move: its value at x is
sum_s a_s 1[<w_{s,0}, x> > 0] <w_s, x> / sqrt(m), which is linear in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import softplus

from advnb import checks
from advnb.data import Split
from advnb.experiments import Experiment, UnderWay, under_way
from advnb.models import TwoLayer
from advnb.papers.lazy import costs
from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.flips import TRAINED
from advnb.papers.lazy.sgd import apply_push
from advnb.papers.lazy.task import SIDES, digit_pair

ROWS_AT_ONCE = 512

PER_LOOK = ("step", "moved", "norm", "loss", "slope", "straight", "examples", "weight", "least", "wrong")
"""Fields of :func:`late` with one entry a look."""

DIFFICULTIES = ("equal", "two", "exponential")
"""Toy tasks whose images are multiples of one image: equally hard ones, one in ten harder, or an exponential tail."""

Numbers = dict[str, Any]


def late(
    *,
    data: str,
    side: int,
    m: int,
    steps: int,
    frozen: bool,
    units: str = "pixels",
    looks: int = 8,
    lr: float = 0.1,
    batch: int = 64,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial: SGD on the averaged logistic loss, of the network or with the activations of its start ``frozen``.

    Both follow the same batches from the same weights. There are ``looks`` looks a decade of steps, and each field
    has an entry a look: ``step``; ``moved``, sqrt(m) max_s ||w_s - w_{s,0}||; ``norm``, the Frobenius norm of W - W_0;
    ``loss``, the mean L over the training set; ``slope``, gamma = ||grad L|| / L; ``straight``, the cosine of the angle
    between W - W_0 and -grad L; ``examples``, the effective number 1 / sum p_i^2 of examples that push, with p_i the
    share of |l'_i| in their sum; ``weight``, the sum of lr |l'| that all steps have spent, averaged over batches;
    ``least``, the smallest y f over ``norm``; ``wrong``, the share with y f <= 0. ``data`` is that of ``digit_pair``,
    or one of ``DIFFICULTIES``.
    """
    generator = torch.Generator().manual_seed(seed)
    train = _toy(data, side, seed) if data in DIFFICULTIES else digit_pair(data, side, units).train
    train = train.to(device, dtype)
    net = TwoLayer(side * side, m, generator=generator, dtype=dtype).to(device).eval()
    run = _Late(net, train, frozen)
    due = np.unique(np.round(10 ** np.arange(1, np.log10(checks.count("steps", steps)) + 1e-9, 1 / looks)))
    rows: list[Numbers] = []
    away = under_way()
    run.go_on(away, rows, generator)
    while run.count < due[-1]:
        if away is not None:
            away.save(lambda: run.state(rows, generator))
        order = torch.randperm(len(train), generator=generator)
        for chosen in order.split(batch):
            run.step(chosen, lr)
            if run.count in due:
                rows.append(run.look())
            if run.count == due[-1]:
                break
    return {name: [row[name] for row in rows] for name in PER_LOOK}


def _toy(difficulty: str, side: int, seed: int) -> Split:
    """Return 1,000 images s_i u, all labelled +1, with 1 / s_i the difficulty of image i and u of norm 1.

    The difficulties are 1 for all; 1 for nine in ten and 5 for the tenth; or 1 plus the quantiles of an exponential.
    """
    n = 1000
    harder = {"equal": np.zeros(n), "two": 4.0 * (np.arange(n) % 10 == 0),
              "exponential": stats.expon.ppf((np.arange(n) + 0.5) / n)}[difficulty]  # fmt: skip
    u = torch.randn(side * side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).abs()
    s = torch.from_numpy(1 / (1 + harder))
    return Split(s[:, None] * u / torch.linalg.vector_norm(u), torch.ones(n, dtype=torch.float64))


@dataclass
class _Late:
    """One trajectory: the network, its start, the slopes of its units where they are frozen, and what was spent."""

    net: TwoLayer
    train: Split
    frozen: bool
    count: int = 0
    weight: float = 0.0
    start: Tensor = field(init=False)
    on: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.start = self.net.weight.detach().clone()
        if self.frozen:
            self.on = torch.cat([self._slopes(self.net.preactivation(x)) for x in self.train.x.split(ROWS_AT_ONCE)])

    def go_on(self, away: UnderWay | None, rows: list[Numbers], generator: torch.Generator) -> None:
        """Take up the trajectory that was put away between two epochs, if one was."""
        if away is not None and (state := away.load()) is not None:
            self.net.weight.data.copy_(state["weights"])
            self.count, self.weight, rows[:] = state["count"], state["weight"], state["rows"]
            generator.set_state(state["generator"])

    def state(self, rows: list[Numbers], generator: torch.Generator) -> Numbers:
        """Return what :meth:`go_on` takes up."""
        weights = self.net.weight.detach().cpu().clone()
        spent = {"count": self.count, "weight": self.weight, "rows": rows}
        return {**spent, "weights": weights, "generator": generator.get_state()}

    @torch.no_grad()
    def _slopes(self, hidden: Tensor) -> Tensor:
        return (hidden > 0).to(hidden.dtype).mul_(self.net.signs)

    @torch.no_grad()
    def _push(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y_i f(x_i) (n,), -l'_i = y_i / (1 + exp(y_i f)) (n,) and a_s 1[s is on] (n, m) at ``chosen``."""
        x, y = self.train.x[chosen], self.train.y[chosen]
        hidden = self.net.preactivation(x)
        slopes = self._slopes(hidden) if self.on is None else self.on[chosen]
        margin = y * (hidden * slopes).sum(1) / self.net.m**0.5
        return margin, y * torch.sigmoid(-margin), slopes

    def step(self, chosen: Tensor, lr: float) -> None:
        """Take one step on the batch ``chosen``, averaged."""
        _, push, slopes = self._push(chosen)
        push = push * (lr / len(chosen))
        self.weight += float(push.abs().sum())
        apply_push(self.net, self.train.x[chosen], push, slopes)
        self.count += 1

    @torch.no_grad()
    def look(self) -> Numbers:
        """Return the fields of :func:`late` at the present iterate."""
        descent = torch.zeros_like(self.start)
        margins, pushes = [], []
        for chosen in torch.arange(len(self.train)).split(ROWS_AT_ONCE):
            margin, push, slopes = self._push(chosen)
            descent.addmm_(slopes.T, self.train.x[chosen] * push[:, None])
            margins.append(margin.double())
            pushes.append(push.double().abs())
        margin, push = torch.cat(margins), torch.cat(pushes)
        descent /= len(margin) * self.net.m**0.5
        moved = self.net.weight - self.start
        norm, loss = float(torch.linalg.vector_norm(moved)), float(softplus(-margin).mean())
        steepest = float(torch.linalg.vector_norm(descent))
        return {
            "step": self.count,
            "moved": largest_movement(self.net.weight.data, self.start),
            "norm": norm,
            "loss": loss,
            "slope": steepest / loss,
            "straight": float((moved * descent).sum()) / (norm * steepest),
            "examples": float(push.sum() ** 2 / (push**2).sum()),
            "weight": self.weight,
            "least": float(margin.min()) / norm,
            "wrong": float((margin <= 0).double().mean()),
        }


LATE = Experiment(
    "lazy.late",
    late,
    {
        "live": {"data": "digits", "side": 4, "m": 200, "steps": 1000, "frozen": [False, True]},
        "laptop": {"data": "mnist", "side": [5, 7, 10], "m": 1000, "steps": 100_000, "frozen": [False, True]},
        "full": {"data": "mnist", "side": list(SIDES), "m": [1000, 10_000], "steps": 10_000_000,
                 "frozen": [False, True]},
    },
    {"live": 2, "laptop": 5, "full": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.late,
)  # fmt: skip
"""Networks of ``lazy.exits`` over 100,000 steps, whatever ball they leave, and their linearisations beside them."""

LATE_TOYS = Experiment(
    "lazy.late_toys",
    late,
    {
        scale: {"data": list(DIFFICULTIES), "side": 5, "m": 200, "steps": steps, "frozen": True}
        for scale, steps in (("live", 1000), ("laptop", 100_000))
    },
    {"live": 2, "laptop": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=costs.late,
)
"""The same on tasks where it is known how hard each example is, linearised: the setting of the proposition."""
