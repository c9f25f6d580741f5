"""What the step that can be moved is given: networks of lazy SGD, rounded, and digits in whole greys."""

from base64 import b64decode

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from advnb.papers.lazy.ball import largest_movement
from advnb.papers.lazy.one_step import movable
from advnb.papers.lazy.task import digit_pair


@pytest.fixture(scope="module")
def networks():
    return movable.networks()


def test_each_network_lies_in_its_ball_and_knows_its_digits(networks):
    test, start = digit_pair("digits", 8, "unit").test, networks[0.0].weight.data
    for c0, net in networks.items():
        assert largest_movement(net.weight.data, start) <= c0 + movable.M**0.5 * movable.UNIT * movable.D**0.5
        right = (net(test.x.double()).sign() == test.y).double().mean()
        assert right > 0.85 or c0 == 0
    assert sorted(networks) == [0.0, *movable.RADII]


def test_what_is_shipped_is_exactly_the_network(networks):
    shipped = movable.numbers()
    for row in shipped["networks"]:
        whole = np.frombuffer(b64decode(row["weight"]["data"]), "<i2").reshape(movable.M, movable.D)
        assert np.array_equal(whole * shipped["unit"], networks[row["c0"]].weight.data)


def test_images_are_the_test_digits_of_the_chapter():
    x = movable.example(movable.images())
    test = digit_pair("digits", 8, "unit").test.x.double()
    nearest = torch.cdist(x, test).min(dim=1).values
    assert len(x) == 2 * movable.IMAGES and float(nearest.max()) < 1e-6


def test_the_frame_marks_the_flip():
    ax = Figure().subplots()
    movable.draw_frame(ax)
    assert "flip at" in ax.get_title()
