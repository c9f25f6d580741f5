"""Our PGD against foolbox's, from the same starts, on a CNN trained on digits.

Where the two differ: foolbox sums the cross entropy and we keep it per example (the gradients are the same); its L2
normalisation divides by at least 1e-12, ours leaves a zero gradient at zero; and in L2 with a box it projects onto
the ball and then clips, which ends inside the ball, short of the nearest point of ball and box that we go to. So
the plain comparison is made in L-infinity with and without a box (there the two projections are one) and in L2
without a box. In L2 with a box it is made with our projection put into their loop, which leaves the rest of
the two attacks to be compared, and our loss must not be below that of their own attack.
"""

from __future__ import annotations

import foolbox
import pytest
import torch
from torch import Tensor, nn

from advnb.attacks import pgd
from advnb.balls import L2, Ball, Linf
from advnb.losses import cross_entropy

STEPS = 20
FOOLBOX = {
    Linf: foolbox.attacks.LinfProjectedGradientDescentAttack,
    L2: foolbox.attacks.L2ProjectedGradientDescentAttack,
}
NO_BOX = (-10.0, 10.0)
"""Bounds for foolbox, which insists on some, that no pixel ever reaches."""

BALLS = [Linf(0.05), Linf(0.1), Linf(0.1, box=None), L2(0.3), L2(0.6)]
BOXED = [L2(0.3, box=(0.0, 1.0)), L2(0.6, box=(0.0, 1.0))]
STARTS = ["at x", "random"]


def theirs(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, start: Tensor, *, project: bool = False) -> Tensor:
    """Foolbox's PGD with our step size, from ``start`` in place of its own draw; ``project`` with our projection."""
    attack = FOOLBOX[type(ball)](abs_stepsize=ball.eps / 4, steps=STEPS, random_start=True)
    attack.get_random_start = lambda x0, epsilon: type(x0)(start)
    if project:
        attack.project = lambda x_adv, x0, epsilon: type(x0)(ball.project(x_adv.raw, x0.raw))
    wrapped = foolbox.PyTorchModel(model, bounds=ball.box or NO_BOX, device=x.device)
    return attack.run(wrapped, x, y, epsilon=ball.eps)


def ours(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, start: Tensor) -> Tensor:
    return pgd(model, x, y, ball, steps=STEPS, step_size=ball.eps / 4, start=start)


def scores(model: nn.Module, x: Tensor, y: Tensor) -> tuple[int, float]:
    """Number of correct examples and mean cross entropy."""
    with torch.no_grad():
        logits = model(x)
    return int((logits.argmax(1) == y).sum()), cross_entropy(logits, y).double().mean().item()


def assert_agree(model: nn.Module, y: Tensor, ours: Tensor, theirs: Tensor) -> None:
    """Accuracy within one example of 500, mean loss within 1e-3."""
    (our_hits, our_loss), (their_hits, their_loss) = scores(model, ours, y), scores(model, theirs, y)
    assert len(y) == 500
    assert abs(our_hits - their_hits) <= 1
    assert abs(our_loss - their_loss) <= 1e-3


@pytest.fixture(params=STARTS)
def begin(request, digits):
    """ball -> the start: x itself, or a uniform draw in the ball."""
    if request.param == "at x":
        return lambda ball: digits.test.x
    return lambda ball: ball.sample(digits.test.x, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("ball", [*BALLS, *BOXED], ids=str)
def test_there_is_something_to_agree_on(trained, digits, ball):
    x, y = digits.test.x, digits.test.y
    clean_hits, clean_loss = scores(trained, x, y)
    hits, loss = scores(trained, ours(trained, x, y, ball, x), y)
    assert clean_hits >= 475 and hits <= clean_hits - 50 and loss >= 2 * clean_loss


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_pgd_agrees_with_foolbox(trained, digits, ball, begin):
    x, y, start = digits.test.x, digits.test.y, begin(ball)
    assert_agree(trained, y, ours(trained, x, y, ball, start), theirs(trained, x, y, ball, start))


@pytest.mark.parametrize("ball", BOXED, ids=str)
def test_in_l2_with_a_box_only_the_projection_differs(trained, digits, ball, begin):
    x, y, start = digits.test.x, digits.test.y, begin(ball)
    mine = ours(trained, x, y, ball, start)
    assert_agree(trained, y, mine, theirs(trained, x, y, ball, start, project=True))
    _, their_loss = scores(trained, theirs(trained, x, y, ball, start), y)
    assert scores(trained, mine, y)[1] >= their_loss


def test_start_at_x_is_the_attack_without_a_random_start(trained, digits):
    x, y, ball = digits.test.x, digits.test.y, Linf(0.1)
    attack = FOOLBOX[Linf](abs_stepsize=ball.eps / 4, steps=STEPS, random_start=False)
    library = attack.run(foolbox.PyTorchModel(trained, bounds=(0, 1), device="cpu"), x, y, epsilon=ball.eps)
    mine = pgd(trained, x, y, ball, steps=STEPS, step_size=ball.eps / 4, random_start=False)
    assert_agree(trained, y, mine, library)
