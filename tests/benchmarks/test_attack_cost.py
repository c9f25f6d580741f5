"""What an attack costs beyond its forward and backward passes, as ratios within one run.

The yardstick is K x (forward + gradient with respect to the input) of the network as written, in chunks of 64
images. Limits leave room for a noisy machine; typical values are in the docstrings.
"""

from __future__ import annotations

import pytest
import torch
from timing import best_of

from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.fold import fold
from advnb.gradients import frozen, loss_and_gradient
from advnb.models import mnist_cnn

STEPS = 5
SLACK = 1.35


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    model = mnist_cnn(generator=generator).eval()
    return (model, torch.rand(128, 1, 28, 28, generator=generator), torch.randint(10, (128,), generator=generator))


@pytest.mark.slow
def test_pgd_costs_little_more_than_its_gradients(problem):
    """Typically 1.0 for the plain attack, 1.1 with the trace of loss and FOSC, 0.5 on the folded network."""
    model, x, y = problem
    folded = fold(model)

    def gradients() -> None:
        with frozen(model):
            for rows in (slice(0, 64), slice(64, 128)):
                for _ in range(STEPS):
                    loss_and_gradient(model, x[rows], y[rows])

    options = {"steps": STEPS, "random_start": False}
    limit, plain, traced, fast = best_of(
        6,
        gradients,
        lambda: pgd(model, x, y, Linf(0.1), **options),
        lambda: pgd(model, x, y, Linf(0.1), trace=True, **options),
        lambda: pgd(folded, x, y, Linf(0.1), **options),
    )
    assert plain / limit < SLACK
    assert traced / limit < SLACK * (1 + 1 / STEPS)  # one gradient more, at the last point
    assert fast / limit < 0.85
