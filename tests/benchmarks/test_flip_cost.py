"""The price of the exact flip against the searches it replaces, as ratios within one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from advnb.flip import minimal_flip
from advnb.models import TwoLayer

LINE_STEP, LINE_STEPS = 1e-3, 5000
BISECTION_WIDTH = 1e-6

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def line_search(net: TwoLayer, x: Tensor) -> Tensor:
    """The search of Wang et al. (2022), section 5.1: the first of 5,000 steps of 0.001 that flips; inf without one.

    An example that has flipped costs nothing from then on, and the search ends with the last one.
    """
    f, gradient = net.value_and_gradient(x)
    direction = -f.sign()[:, None] * gradient
    eta = torch.full_like(f, torch.inf)
    rows = torch.arange(len(x))
    for step in range(1, LINE_STEPS + 1):
        flipped = net(x[rows] + step * LINE_STEP * direction[rows]) * f[rows] < 0
        eta[rows[flipped]] = step * LINE_STEP
        rows = rows[~flipped]
        if len(rows) == 0:
            break
    return eta


@torch.no_grad()
def full_line_search(net: TwoLayer, x: Tensor) -> Tensor:
    """The same with all 5,000 steps for every example."""
    f, gradient = net.value_and_gradient(x)
    direction = -f.sign()[:, None] * gradient
    eta = torch.full_like(f, torch.inf)
    for step in range(LINE_STEPS, 0, -1):
        eta = torch.where(net(x + step * LINE_STEP * direction) * f < 0, step * LINE_STEP, eta)
    return eta


@torch.no_grad()
def bisection(net: TwoLayer, x: Tensor) -> Tensor:
    """Double the first-order step until the sign differs, then halve that bracket to a width of 1e-6."""
    f, gradient = net.value_and_gradient(x)
    direction = -f.sign()[:, None] * gradient
    low = torch.zeros_like(f)
    high = f.abs() / gradient.square().sum(1)
    while bool((same := net(x + high[:, None] * direction) * f > 0).any()):
        low, high = torch.where(same, high, low), torch.where(same, 2 * high, high)
    while float((high - low).max()) > BISECTION_WIDTH:
        middle = (low + high) / 2
        same = net(x + middle[:, None] * direction) * f > 0
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return high


def problem(d: int, m: int, n: int) -> tuple[TwoLayer, Tensor]:
    generator = torch.Generator().manual_seed(0)
    net = TwoLayer(d, m, generator=generator)
    x = torch.randn((n, d), generator=generator)
    return net, x / x.norm(dim=1, keepdim=True)


def fastest(function: Callable[[], Tensor], repeats: int) -> float:
    """Processor seconds of the fastest of several calls: other programs on the machine hardly count."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def test_at_least_twenty_times_faster_than_the_line_search(record_property):
    net, x = problem(d=100, m=1000, n=10)
    exact = fastest(lambda: minimal_flip(net, x).eta, 20)
    searched = fastest(lambda: full_line_search(net, x), 1)
    record_property("line search / exact", searched / exact)
    assert searched > 20 * exact
    # On its grid the search is right: it never finds less than the exact step, nor more than one step too much.
    eta = minimal_flip(net, x, direction="descent").eta.abs()
    for search in (line_search, full_line_search):
        excess = search(net, x) - eta
        assert (excess > -1e-6).all()
        assert (excess <= LINE_STEP + 1e-6).all()


@pytest.mark.parametrize(
    ("d", "m", "limit"),
    [(784, 1000, 3.5), (784, 10_000, 3.5), (100, 1000, 2.5), (100, 10_000, 2.5), (25, 1000, 1.5), (25, 10_000, 1.3)],
)
def test_several_times_faster_than_a_bisection(d, m, limit, record_property):
    """Typically 5 times at d = 784, 4 at 100, 2 to 3 at 25, where twenty forward passes cost little.

    Both look where |f| falls first, the only place where a bisection can: the exact step looks on both sides otherwise.
    """
    net, x = problem(d, m, n=100)
    times = [float("inf")] * 2
    for _ in range(5):
        for i, function in enumerate(
            (lambda: minimal_flip(net, x, direction="descent").eta, lambda: bisection(net, x))
        ):
            times[i] = min(times[i], fastest(function, max(1, 10_000 // m)))
    exact, bisected = times
    record_property("bisection / exact", bisected / exact)
    assert bisected > limit * exact
    assert (bisection(net, x) - minimal_flip(net, x, direction="descent").eta.abs()).abs().max() < 2e-6
