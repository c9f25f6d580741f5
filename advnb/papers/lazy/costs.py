"""What the chapter's trials cost, counted from the two-layer network (``advnb.experiments.cost``).

Each function takes the arguments of a trial and what it returned, or None. Loops that may end early (SGD at the last
radius, Algorithm 1's patience) are counted to their limit where nothing was returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnb.experiments.cost import Cost, Pass, counted
from advnb.models import TwoLayer
from advnb.papers.lazy.sgd import apply_push, logistic_push

ROWS = 64
"""Examples at which passes are counted; flops and numbers grow with them, calls do not."""

TRAIN = {"mnist": 12_665, "digits": 280}
"""Training images of the two digits: what bounds an epoch of SGD."""

BATCH = 64
"""The batch of ``lazy_sgd``."""

NEWTON = 4
"""Steps of Newton's method that a flip takes, at most, in most cases (``advnb.flip``): they move numbers, no flops."""

Given = Mapping[str, Any]
Values = Mapping[str, Any] | None


def _net(d: int, m: int) -> tuple[TwoLayer, Tensor, Tensor]:
    """Return a network without memory, and a batch with labels."""
    net = TwoLayer(1, 2)
    with torch.device("meta"):
        net.weight, net.signs, net.m, net.d = nn.Parameter(torch.empty(m, d)), torch.empty(m), m, d
        return net, torch.empty(ROWS, d), torch.empty(ROWS)


def _per_row(cost: Cost, gradients: float = 0.0) -> Pass:
    return Pass(cost.flops / ROWS, cost.numbers / ROWS, cost.calls, gradients)


@lru_cache(maxsize=4096)
def forward(d: int, m: int) -> Pass:
    """Return the pass that gives f(x)."""
    net, x, _ = _net(d, m)
    return _per_row(counted(lambda: net(x)))


@lru_cache(maxsize=4096)
def gradient(d: int, m: int) -> Pass:
    """Return the pass that gives f(x) and its gradient: two matrix products."""
    net, x, _ = _net(d, m)
    return _per_row(counted(lambda: net.value_and_gradient(x)), 1)


@lru_cache(maxsize=4096)
def flip(d: int, m: int) -> Pass:
    """Return the pass that gives the smallest flipping step: three matrix products, then Newton's method on them."""
    net, x, _ = _net(d, m)

    def work() -> None:
        h = net.preactivation(x)
        _, slope = net.at_preactivation(h)
        rate = F.linear(slope, net.weight)
        for _ in range(2 * NEWTON):
            (torch.addcmul(h, rate, net.signs).clamp_(min=0) * net.signs).sum(1)

    return _per_row(counted(work), 1)


@lru_cache(maxsize=4096)
def sgd_step(d: int, m: int, batch: int) -> Cost:
    """Return one step of SGD on the logistic loss: two matrix products over the batch, in place."""
    net, x, y = _net(d, m)

    def work() -> None:
        push, slopes = logistic_push(net, x, y)
        apply_push(net, x, push, slopes)

    once = _per_row(counted(work), 1)
    update = Cost(0, d * m, 0)  # the weights, written once a step however small the batch
    return once.over(batch) + update


def ascent(d: int, m: int, rows: int, steps: int) -> Cost:
    """Return ``steps`` gradients of ``rows`` examples in one batch, one after the other."""
    return gradient(d, m).over(rows * steps, steps)


def algorithm_1(d: int, m: int, given: Given, epochs: float, steps: int) -> Cost:
    """Return what ``train_projected`` takes in ``epochs``: adversaries once an epoch, batches of 32."""
    n = given["examples"]
    crafted = ascent(d, m, n, steps) + forward(d, m).over(n)
    twice = given.get("keep") == "released" and given.get("projection") == "epoch"
    return crafted + epochs * ((1 + twice) * crafted + n / 32 * sgd_step(d, m, 32))


def projected(given: Given, values: Values) -> Cost:
    """Return the cost of ``projected.projected``: Algorithm 1, then three attacks on the test images."""
    d, m, tests = given["side"] ** 2, given["m"], given["tests"]
    epochs = given["epochs"] if values is None else values["epochs_run"]
    judged = 2 * ascent(d, m, tests, given["test_steps"]) + flip(d, m).over(tests) + 3 * forward(d, m).over(tests)
    return algorithm_1(d, m, given, epochs, given["steps"]) + judged


def _sgd_steps(given: Given, values: Values) -> int:
    """Return the steps of a trajectory: as many as are allowed, or were taken."""
    if values is None:
        return int(given["steps"])
    last = values["step"][-1] if isinstance(values["step"], list) else values["step"]
    return int(last) + 1


def flips_after_training(given: Given, values: Values) -> Cost:
    """Return the cost of ``flips.flips_after_training``: SGD to the last radius, and a look at each."""
    d, m, radii = given["side"] ** 2, given["m"], given["radii"]
    n = TRAIN[given["data"]]
    look = flip(d, m).over(given["tests"]) + forward(d, m).over(given["tests"] + n / 6 + n * given["training"])
    return _sgd_steps(given, values) * sgd_step(d, m, BATCH) + (len(radii) + 1) * look


def histogram(given: Given, values: Values) -> Cost:
    """Return the cost of ``deviations.trials.histogram``: SGD to one radius, and one look."""
    d, m = given["side"] ** 2, given["m"]
    look = flip(d, m).over(given["tests"]) + forward(d, m).over(given["tests"])
    return _sgd_steps(given, values) * sgd_step(d, m, BATCH) + look


def late(given: Given, values: Values) -> Cost:
    """Return the cost of ``exits.late.late``: all its steps, and so many looks a decade at the training set."""
    d, m, steps = given["side"] ** 2, given["m"], given["steps"]
    looks = 1 + given["looks"] * max(0, len(str(steps)) - 2)
    rows = TRAIN.get(given["data"], 1000)
    return steps * sgd_step(d, m, given["batch"]) + gradient(d, m).over(looks * rows, looks * rows / 512)


def several_steps(d: int, m: int, rows: int) -> Cost:
    """Return the cost of ``several.several_steps``: eight radii, twenty steps at each."""
    return 8 * (ascent(d, m, rows, 20) + 2 * forward(d, m).over(rows))


def before_and_after(given: Given, values: Values) -> Cost:
    """Return the cost of ``one_step``'s trial: lazy SGD, Algorithm 1 for each budget, distances for each network."""
    d, m, tests, budgets = given["side"] ** 2, given["m"], given["tests"], len(given["budgets"])
    trained = algorithm_1(d, m, given, given["epochs"], given["attack_steps"])
    look = flip(d, m).over(tests) + gradient(d, m).over(tests) + several_steps(d, m, tests)
    return given["steps"] * sgd_step(d, m, BATCH) + budgets * trained + (2 + budgets) * look


def starts(given: Given, values: Values) -> Cost:
    """Return the cost of ``one_step``'s many starts: a flip of each image at each network."""
    d, m, networks = given["side"] ** 2, given["m"], given["networks"]
    return flip(d, m).over(networks * given["tests"], networks) + networks * Cost(0, 2 * d * m, 4)


def linearity(given: Given, values: Values) -> Cost:
    """Return the cost of Theorem 3.1 at the start: a gradient, a flip, and a value for each length."""
    d, m, rows = given["d"], given["m"], given["points"]
    lengths = len(given["lengths"])
    return (
        _drawn(d, m) + gradient(d, m).over(rows) + flip(d, m).over(rows) + forward(d, m).over(rows * lengths, lengths)
    )


def over_the_ball(given: Given, values: Values) -> Cost:
    """Return the cost of the lemmas' suprema: three rounds of moved weights a point and C0, 22 directions, a flip."""
    d, m, rows, radii = given["d"], given["m"], given["points"], len(given["c0"])
    with torch.device("meta"):
        weight, x, on = torch.empty(m, d), torch.empty(d), torch.empty(m)

    def moved() -> None:
        for _ in range(3):
            against = weight - x * on[:, None]
            stays = torch.where((against @ x > 0)[:, None], against, weight)
            stays = torch.where((on > 0)[:, None], weight + x, stays)
            on @ torch.where((on > 0)[:, None], weight - x, stays)

    once = counted(moved) + forward(d, m).over(3)
    return _drawn(d, m) + radii * rows * once + gradient(d, m).over(23 * rows, 23) + flip(d, m).over(rows)


def worst_weights(given: Given, values: Values) -> Cost:
    """Return the cost of weights against one x: at each point and C0 ten angles, a flip at each, then several steps."""
    d, m = given["d"], given["m"]
    built = gradient(d, m).over(1) + Cost(0, 2 * d * m, 10)  # the network is copied and moved
    each = 10 * (built + flip(d, m).over(1)) + built + several_steps(d, m, 1)
    return _drawn(d, m) + given["points"] * len(given["c0"]) * each


def separable(given: Given, values: Values) -> Cost:
    """Return the cost of the ceiling: all distances between two classes, once for each budget, without products."""
    half = given["tests"] / 2
    pairs = half * half
    return len(given["budgets"]) * Cost(0, pairs * (2 + given["side"] ** 2), 4)


def _drawn(d: int, m: int) -> Cost:
    return Cost(0, 2 * d * m, 4)
