"""What the trials of Figures 2 and 3 cost, counted from their convolutional networks (``advnb.experiments.cost``).

Each function takes the arguments of a trial and what it returned, or None; all their loops run to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from advnb.experiments.cost import Cost, Pass, passes
from advnb.papers.dynamics.images.scene import classifier

Given = Mapping[str, Any]
Values = Mapping[str, Any] | None


@lru_cache(maxsize=4)
def cnn(version: str) -> tuple[Pass, Pass, Pass]:
    """Return forward pass, input gradient and update of the network of Figures 2 and 3."""
    return passes(classifier(version, seed=0).to("meta"), (1, 28, 28))


def _escape(version: str, images: int, climb: str, step: str) -> Cost:
    """Return ``run_escape``: the climb, 200 settling steps up and down, the way down, and a check of the maximum."""
    forward, gradient, _ = cnn(version)
    steps = {"constant": 1000, "relative": 400}
    walked = (200 if climb == "relative" else steps[climb]) + 200 + 200 + steps[step] + 4 + 3
    return gradient.over(images * walked, walked) + forward.over(16 * images, 16)


def escape(given: Given, values: Values) -> Cost:
    """Return the cost of a trial of Figure 2."""
    return _escape(given["version"], given["images"], given["climb"], given["step"])


def precision(given: Given, values: Values) -> Cost:
    """Return the cost of ``choices.precision``: climb and descent, then 400 steps of two rules in two precisions."""
    _, gradient, _ = cnn(given["version"])
    walked = 200 + 200 + 2 * (2 * 400 + 1)
    return gradient.over(given["images"] * walked, walked)


def along_training(given: Given, values: Values) -> Cost:
    """Return the cost of a trial of Figure 3: training against two steps, and two escapes at each epoch looked at."""
    version, n, tests = given["version"], given["examples"], 500
    forward, gradient, update = cnn(version)
    epochs, batches = max(given["epochs"]), n / 64
    each = gradient.over(2 * n, 2 * batches) + forward.over(n, batches) + update.over(n, batches)
    look = gradient.over(10 * n, 10 * batches) + forward.over(2 * n + tests, 3)
    escapes = [_escape(version, given["images"], rule, rule) for rule in ("constant", "relative")]
    return epochs * each + len(given["epochs"]) * (look + escapes[0] + escapes[1])
