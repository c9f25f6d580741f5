"""The attacks of an audit: stronger ones that must do more, weaker ones that must not; what they leave, compared."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from advnb import criterion, evaluation, gradients
from advnb.attacks import ascend, cw, pgd
from advnb.audit import probes
from advnb.audit.probes import Subject, share
from advnb.audit.report import Cost
from advnb.balls import Ball, Linf
from advnb.evaluation import Attack

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ROWS", "Course", "cost", "declared_reach"]

CLEAN, AUDITED, PLAIN, ON = "clean", "audited attack", "PGD", "PGD from where that ended"
MARGIN, LARGER, UNBOUNDED = "PGD on the margin", "PGD in twice the ball", "PGD in an unbounded ball"
NOISE, SEARCH = "random noise", "search without gradients"
ROWS = 8
"""Attacks of every audit, beside the starts of PGD and the sources."""

MORE = 4
"""How many times the steps the audit's own attacks take."""

NOISES = 10
"""Random points of the ball that are tried."""

SEARCH_STEPS, SEARCH_PAIRS = 20, 10
"""Steps of the search without gradients, and pairs of points that it evaluates for each."""


def cost(*, steps: int = 10, restarts: int = 3, sources: int = 0, given: bool = False) -> Cost:
    """Return what :func:`advnb.audit.audit` takes with such arguments, less what the attack ``given`` to it takes.

    A gradient costs about as much as three forward passes. Gradients of the ``sources`` are counted like the model's.
    """
    own = 3 + MORE * (restarts + 2) + sources
    looks = 1 + probes.OUTPUTS + NOISES + 2 * SEARCH_STEPS * SEARCH_PAIRS + 6 + given + restarts + sources
    return Cost(probes.GRADIENTS + steps * own + 2, looks)


@dataclass
class Course:
    """An audit under way: what was ``measured`` so far, and which examples each attack has left ``right``.

    ``losses`` and ``right`` are (n,) for each attack, ``fosc`` is known of the clean examples and of where the audited
    attack has ended, which is ``crafted``.
    """

    subject: Subject
    steps: int
    generator: torch.Generator
    bar: tqdm
    measured: dict[str, float]
    right: dict[str, Tensor] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)
    fosc: dict[str, criterion.Convergence] = field(default_factory=dict)
    white: list[str] = field(default_factory=list)
    chance: float = 0.5
    crafted: Tensor | None = None

    @property
    def has_graph(self) -> bool:
        """Whether gradients can be had."""
        return self.measured["no-gradient"] == 0

    def left(self, *names: str) -> float:
        """Return the accuracy that these attacks leave together."""
        return share(torch.stack([self.right[name] for name in names]).all(0))

    def put(self, name: str, *points: Tensor) -> None:
        """Judge what the attack of that name has made: one batch of points, or several of which the worst counts."""
        found = []
        for x_adv in points:
            rows = gradients.chunks(x_adv, None)
            parts = [evaluation.score(self.subject.model, x_adv[c], self.subject.y[c]) for c in rows]
            found.append([torch.cat(part) for part in zip(*parts, strict=True)])
        right, losses = (torch.stack(part) for part in zip(*found, strict=True))
        self.right[name], self.losses[name] = right.all(0), losses.amax(0)
        self.bar.update()

    def pgd(self, ball: Ball | None = None, *, more: bool = False, **options: Any) -> Tensor:
        """Return what PGD makes of the examples, with a few steps of eps / 4, or with more steps that shrink."""
        subject, ball = self.subject, ball or self.subject.ball
        steps, eps = self.steps * (MORE if more else 1), ball.eps
        size = (lambda k: eps / 4 * (1 - k / steps)) if more else eps / 4
        model, loss = options.pop("model", subject.model), options.pop("loss", subject.loss)
        options |= {"steps": steps, "step_size": size, "loss": loss, "generator": self.generator, "fold": False}
        return pgd(model, subject.x, subject.y, ball, **options)

    def probe(self) -> None:
        """Measure what can be measured without an attack."""
        subject = self.subject
        of_output, output = probes.output_probes(subject)
        self.put(CLEAN, subject.x)
        of_gradient, of_margin = probes.gradient_probes(subject, self.right[CLEAN])
        of_steps = probes.small_steps(subject, of_margin, partial(torch.rand, generator=self.generator))
        both = {name: max(found, of_gradient.get(name, found)) for name, found in of_output.items()}
        self.measured |= of_gradient | both | probes.data_probes(subject, output) | of_steps
        self.chance = 1 / output.shape[1] if output.ndim == 2 else 0.5
        self.measured["clean-accuracy"] = self.chance - _interval(self.right[CLEAN])[0]

    def audit(self, attack: Attack | None) -> None:
        """Run the attack whose number is audited, and look at where it has gone."""
        subject = self.subject
        if attack is None and not self.has_graph:
            return
        if attack is None:
            found, reach = self.pgd(), self.steps * subject.ball.eps / 4
        else:
            found = evaluation.craft(subject.model, attack, self.generator, subject.x, subject.y).detach()
            reach = declared_reach(attack, subject.ball)
        self.crafted = found
        self.put(AUDITED, found)
        self.white = [AUDITED]
        self.measured["outside"] = share(~subject.ball.contains(found, subject.x))
        self.measured["loss-falls"] = share((self.losses[AUDITED] < self.losses[CLEAN])[self.right[CLEAN]])
        self.measured["short-reach"] = max(0.0, 1 - reach / subject.ball.eps)

    def strengthen(self, restarts: int, *, given: bool) -> None:
        """Go on from where the audited attack ended, and attack with more steps, starts, losses, and larger balls."""
        subject, ball = self.subject, self.subject.ball
        assert self.crafted is not None
        end = ball.project(self.crafted, subject.x)
        plain = PLAIN if given else AUDITED
        if given:
            self.put(PLAIN, self.pgd())
        self.put(ON, self.pgd(start=end))
        starts = [f"PGD, {MORE * self.steps} steps, start {k}" for k in range(1, restarts + 1)]
        for name in starts:
            self.put(name, self.pgd(more=True))
        self.put(MARGIN, self.pgd(more=True, loss=subject.margin))
        self.put(LARGER, self.pgd(replace(ball, eps=_twice(ball))))
        self.put(UNBOUNDED, self.pgd(replace(ball, eps=_everything(subject)), more=True, loss=subject.margin))
        self.white = [AUDITED, plain, ON, *starts, MARGIN]
        for name, at in ((CLEAN, subject.x), (AUDITED, end)):
            self.fosc[name] = criterion.convergence(subject.model, at, subject.x, subject.y, ball, loss=subject.loss)
        self.measured |= {
            "unfinished": self.left(AUDITED) - self.left(AUDITED, ON),
            "start-dependence": self.left(starts[0]) - self.left(*starts),
            "more-steps-weaker": self.left(starts[0]) - self.left(plain),
            "larger-ball-weaker": self.left(LARGER) - self.left(plain),
            "unbounded": self.left(UNBOUNDED) / self.chance,
        }

    def search(self, sources: Mapping[str, nn.Module]) -> None:
        """Attack with noise, with a search that knows no gradient, and through other models."""
        subject = self.subject
        ball, x = subject.ball, subject.x
        self.put(NOISE, *(ball.sample(x, generator=self.generator) for _ in range(NOISES)))
        end = ascend(self._estimate, x, ball, start=x, steps=SEARCH_STEPS, step_size=ball.eps / 4)
        self.put(SEARCH, end)
        for name, source in sources.items():
            self.put(f"PGD on {name}", self.pgd(model=source))
        blind = [NOISE, SEARCH, *(f"PGD on {name}" for name in sources)]
        best = min(self.left(name) for name in self.white or [CLEAN])
        self.measured["gradient-free-wins"] = best - min(self.left(name) for name in blind)
        if self.crafted is not None:
            self._look_back(torch.stack([self.right[name] for name in [*self.white, *blind]]).all(0))

    def _estimate(self, points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Estimate the margin's gradient from its differences over random steps of eps / 2; for :func:`ascend`."""
        subject, size = self.subject, self.subject.ball.eps / 2
        total, values = torch.zeros_like(points), points.new_zeros(len(points))
        for _ in range(SEARCH_PAIRS):
            move = torch.randn(points.shape, generator=self.generator).to(points)
            ends = [subject.ball.project(points + sign * self._length(move, size), subject.x) for sign in (1, -1)]
            gain = subject.margins(ends[0]) - subject.margins(ends[1])
            total += gain.to(points).view(-1, *[1] * (points.ndim - 1)) * move
        return values, total

    def _length(self, move: Tensor, size: float) -> Tensor:
        """Give a random direction the length ``size`` in the ball's norm, as signs for L-infinity."""
        return size * (move.sign() if isinstance(self.subject.ball, Linf) else self.subject.ball.ascent(move))

    def _look_back(self, survive: Tensor) -> None:
        """Look at the examples that the audited attack leaves right though some attack of the audit breaks them."""
        subject, measured = self.subject, self.measured
        assert self.crafted is not None
        missed = self.right[AUDITED] & ~survive
        still = (self.crafted == subject.x).flatten(1).all(1)
        measured["early-return"] = share(missed & still)
        if bool((missed & ~still).any()):
            far = subject.ball.norm(self.crafted - subject.x) / _reachable(subject)
            measured["short-reach"] = max(measured["short-reach"], 1 - float(far[missed & ~still].max()))
        measured["overstated"] = self.left(AUDITED) - share(survive)

    def table(self) -> pd.DataFrame:
        """Return the accuracies as :class:`advnb.audit.Report` describes them."""
        import pandas as pd

        rows = {}
        for name, right in self.right.items():
            low, high = _interval(right)
            row = {"accuracy": share(right), "low": low, "high": high, "loss": float(self.losses[name].double().mean())}
            if name in self.fosc:
                at = self.fosc[name]
                row |= {"fosc": float(at.fosc.median()), "gradient": float(at.gradient_norm.median())}
            rows[name] = row
        columns = ["accuracy", "low", "high", "loss", "fosc", "gradient"]
        return pd.DataFrame(rows).T.reindex(columns=columns).rename_axis("attack")


def declared_reach(attack: Attack, ball: Ball) -> float:
    """Return the sum of an attack's step sizes, infinite where its arguments do not tell.

    They do if it has ``steps`` and ``step_size``, by default or fixed by ``functools.partial``; those of :func:`pgd`
    and :func:`cw` are eps / 4 by default.
    """
    fixed = getattr(attack, "keywords", {})
    function = getattr(attack, "func", attack)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return math.inf
    known = {one.name: one.default for one in parameters if one.default is not one.empty} | fixed
    steps, size = known.get("steps"), known.get("step_size")
    if size is None and function in (pgd, cw):
        size = known.get("ball", ball).eps / 4
    if not isinstance(steps, int) or known.get("direction", "steepest") != "steepest":
        return math.inf
    if callable(size):
        return float(sum(size(k) for k in range(steps)))
    return steps * float(size) if isinstance(size, int | float) else math.inf


def _interval(right: Tensor) -> tuple[float, float]:
    from advnb.statistics import wilson

    return wilson(int(right.sum()), len(right))


def _twice(ball: Ball) -> float:
    """Return twice the radius, or the whole box if that is less."""
    side = ball.box[1] - ball.box[0] if isinstance(ball, Linf) and ball.box else math.inf
    return min(2 * ball.eps, side)


def _everything(subject: Subject) -> float:
    """Return a radius that holds the whole box, or without a box every example twice over."""
    ball, x = subject.ball, subject.x
    if ball.box is None:
        return max(4 * float(ball.norm(x - x.mean(0)).max()), 4 * ball.eps)
    side = ball.box[1] - ball.box[0]
    return side if isinstance(ball, Linf) else side * math.sqrt(x[0].numel())


def _reachable(subject: Subject) -> Tensor:
    """Return how far the ball's edge is from each example inside the box, shape (n,)."""
    ball, x = subject.ball, subject.x
    if ball.box is None:
        return torch.full((len(x),), ball.eps, device=x.device)
    low, high = ball.box
    corner = torch.where(x < (low + high) / 2, high, low).to(x)
    return ball.norm(ball.project(corner, x) - x)
