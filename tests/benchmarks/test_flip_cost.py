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


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


def test_several_times_faster_than_a_bisection(record_property):
    net, x = problem(d=784, m=5000, n=100)
    exact = fastest(lambda: minimal_flip(net, x).eta, 3)
    bisected = fastest(lambda: bisection(net, x), 3)
    record_property("bisection / exact", bisected / exact)
    assert bisected > 2 * exact
    assert (bisection(net, x) - minimal_flip(net, x, direction="descent").eta.abs()).abs().max() < 2e-6
