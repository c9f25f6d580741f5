"""The audit: is this robustness number sound? One call, on a model and an attack of one's own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from advnb import checks, gradients
from advnb.attacks import ZeroGradientWarning
from advnb.audit import probes
from advnb.audit.course import ROWS, Course, cost
from advnb.audit.report import Report, checks_table
from advnb.balls import Ball, check_ball
from advnb.evaluation import Attack

__all__ = ["audit"]


def audit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    attack: Attack | None = None,
    steps: int = 10,
    restarts: int = 3,
    sources: Mapping[str, nn.Module] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Ask of a robustness number what the literature's checklists ask, and return a :class:`Report`.

    The number is the accuracy of ``model`` on ``x`` (n, ...) and ``y`` (n,) under ``attack``, any callable
    ``attack(model, x, y[, generator]) -> x_adv``; by default it is PGD with ``steps`` steps of eps / 4. What is looked
    for stands in :data:`advnb.audit.FLAGS`. The model gives logits (n, classes), or one output (n,) for labels in
    {-1, +1}; x and ``ball`` are as for :func:`advnb.attacks.pgd`. About a hundred examples are enough: the limits of
    the flags are shares of several percent.

    The audit's own attacks take ``steps`` steps, or four times as many, from ``restarts`` starts; ``sources`` are other
    models by name, whose adversarial examples are tried too. Everything random in them follows from ``seed``. What it
    takes is :func:`cost`: with the defaults about 240 gradients and 430 forward passes an example.

    The model is left as it was. One in train mode is flagged, and audited in eval mode otherwise.

    Raises ValueError or TypeError where an attack would, but for a model in train mode or without a graph back to x:
    inputs outside the box, labels without a logit, outputs or gradients that are not finite, sizes out of range.
    """
    check_ball(ball)
    checks.eval_mode(model, allow_train_mode=True)
    ball.check_examples(x)
    checks.alike("y", checks.per_example(y, len(x)), "x", x, ("device",))
    sources = sources or {}
    for name, source in sources.items():
        checks.eval_mode(source, name=f"sources[{name!r}]")
    steps, restarts = checks.count("steps", steps), checks.count("restarts", restarts)
    generator, given = torch.Generator().manual_seed(checks.count("seed", seed, minimum=0)), attack is not None
    with probes.evaluating(model) as training, warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # it has flags of its own
        subject = _subject(model, x.detach(), y, ball)
        rows = ROWS + given + restarts + len(sources)
        with tqdm(total=rows, desc="audit", unit="attack", disable=not progress) as bar:
            course = Course(subject, steps, generator, bar, {"train-mode": training})
            course.probe()
            course.audit(attack)
            if course.has_graph:
                course.strengthen(restarts, given=given)
            course.search(sources)
    takes = cost(steps=steps, restarts=restarts, sources=len(sources), given=given)
    return Report(checks_table(course.measured), course.table(), takes)


def _subject(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> probes.Subject:
    """Return what is audited; raises if outputs and labels do not fit each other."""
    output = gradients.few_outputs(model, x)
    loss, margin = probes.objectives(output)
    loss.check_targets(y, len(x))
    loss.check_output(output, len(x[:2]), y)
    return probes.Subject(model, x, y, ball, loss, margin)
