"""Two hidden layers: the network against its formula, the first flip against a fine search, training, the drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from advnb.experiments import live
from advnb.papers.lazy import deeper
from advnb.papers.lazy.task import digit_pair

F64 = torch.float64


def network(seed: int = 0, d: int = 16, m: int = 60) -> tuple[deeper.ThreeLayer, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    net = deeper.ThreeLayer(d, m, draw, F64)
    x = torch.randn(6, d, generator=draw, dtype=F64)
    return net, x / x.norm(dim=1, keepdim=True)


def test_the_formula_unit_by_unit():
    net, x = network(m=4)
    hidden = [[max(0.0, float(w @ row)) for w in net.first] for row in x]
    for row, value in zip(hidden, net(x), strict=True):
        top = [max(0.0, sum(float(w[k]) * row[k] for k in range(4)) / 2) for w in net.second]
        assert float(value) == pytest.approx(sum(float(a) * t for a, t in zip(net.signs, top, strict=True)) / 2)


def test_the_first_flip_is_that_of_a_search_a_hundred_times_finer():
    net, x = network(1)
    found = deeper.first_flip(net, x)
    for row, length in zip(x, found, strict=True):
        row = row[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(row).sum(), row)
        side = net(row).sign().detach()
        line = torch.linspace(0, 1, 20_001, dtype=F64)[:, None]
        values = (side * net(row - line * side * slope / slope.norm())).detach()
        first = float(line[(values < 0).int().argmax()]) if (values < 0).any() else 1.0
        assert float(length) == pytest.approx(first, abs=2e-4)


def test_training_lowers_the_loss_and_is_repeatable():
    pair = digit_pair("digits", 4, "unit").train
    nets = []
    for _ in range(2):
        net = deeper.ThreeLayer(16, 50, torch.Generator().manual_seed(0), torch.float32)
        before = float((net(pair.x) * pair.y <= 0).double().mean())
        deeper.train(net, pair, steps=200, lr=0.5, generator=torch.Generator().manual_seed(1))
        assert float((net(pair.x) * pair.y <= 0).double().mean()) < before
        nets.append(net)
    assert torch.equal(nets[0].first, nets[1].first)


def test_the_trial_and_its_drawing():
    table = live(deeper.THREE_LAYERS, seeds=1)
    rows = deeper.by_net(table)
    assert rows["net"].tolist() == list(deeper.NETS) and rows["moved"][0] == 0 < rows["moved"][1] < rows["moved"][2]
    ax = Figure().subplots()
    deeper.draw_lengths(ax, rows)
    assert len(ax.lines) == 7 and np.allclose(ax.lines[-1].get_ydata(), [5, 28])
    assert [text.get_text() for text in ax.get_legend().texts] == list(deeper.NETS)


def test_errors():
    with pytest.raises(ValueError, match="d must"):
        deeper.ThreeLayer(0, 3, torch.Generator())
    assert math.isfinite(deeper.REACH)
