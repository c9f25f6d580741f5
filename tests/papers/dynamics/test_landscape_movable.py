"""What the landscape that can be moved is given: the book's own networks, and its first frame."""

from base64 import b64decode

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from advnb.papers.dynamics import circle_points, pgd
from advnb.papers.dynamics.landscape import movable
from advnb.papers.dynamics.problem import draw


def array(packed):
    return np.frombuffer(b64decode(packed["data"]), packed["kind"])


def test_the_networks_are_those_that_the_chapter_draws():
    shipped = movable.numbers()["networks"]
    assert [(net["m"], net["seed"]) for net in shipped] == [
        (m, s) for m in movable.WIDTHS for s in range(movable.SEEDS)
    ]
    for net in shipped[:: movable.SEEDS + 3]:
        drawn = draw(2, net["m"], 1.0, seed=net["seed"])
        assert np.array_equal(array(net["W"]).reshape(-1, 2), drawn.W) and np.array_equal(net["x"], drawn.x)
        assert np.allclose(array(net["signs"]) / net["m"] ** 0.5, drawn.a)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_sign_is_that_of_the_objective(sign):
    problem = movable.problem(8, 3, 2.0, 0.5, sign)
    assert problem.sign == sign and float(problem.y) == 0.5 and problem.eps == 2.0


def test_the_frame_shows_the_attack_and_counts_the_minima():
    ax = Figure().subplots()
    movable.draw_frame(ax)
    start = {name: value for name, value in movable.START.items() if name != "at"}
    problem = movable.problem(**start)
    points = circle_points(problem)
    assert ax.get_title() == f"{points.minima} local minima of L on the circle"
    at = torch.tensor([movable.START["at"]], dtype=torch.float64) * problem.eps
    path = pgd(problem, at, steps=movable.STEPS, step_size=movable.STEP_SIZE)
    assert any(np.array_equal(line.get_xydata(), path.delta[:, 0]) for line in ax.lines)


def test_what_the_alternative_text_says_is_so():
    """Three minima, and the attack ends at one that is not the lowest."""
    start = {name: value for name, value in movable.START.items() if name != "at"}
    problem = movable.problem(**start)
    points, end = circle_points(problem), movable.attack(problem, movable.START["at"]).value[-1]
    values = points.value[points.minimum]
    assert points.minima == 3 and float((values - end).abs().min()) < 1e-6 and float(end - values.min()) > 1
