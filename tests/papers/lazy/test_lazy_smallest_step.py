"""The searches for the smallest step, on networks solved by hand and against the exact flip; the ray that they walk."""

from __future__ import annotations

import math

import pytest
import torch
from lazy_start import linear, network, start
from matplotlib.figure import Figure

from advnb.experiments import live
from advnb.flip import minimal_flip
from advnb.papers.lazy.ray import along, draw_ray
from advnb.papers.lazy.smallest_step import SEARCHES, bisection, line_search

F64 = torch.float64
INF = math.inf


class TestSearches:
    def test_by_hand(self):
        """f falls along the line as 0.43 - 25 eta."""
        net, x = linear(), torch.tensor([[0.81, 0.5]], dtype=F64)
        found = line_search(net, x)
        assert found.eta.item() == pytest.approx(0.018) and found.passes.item() == 18
        assert line_search(net, x, steps=17) == (torch.tensor([INF]), torch.tensor([17]))
        halved = bisection(net, x)
        assert 0.0172 - 1e-12 <= halved.eta.item() <= 0.0172 + 1e-6
        assert halved.passes.item() <= 2 + 15  # at most one doubling; 0.0344 / 2^15 is about the width

    def test_no_flip_on_the_line(self):
        net = network([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
        x = torch.tensor([[1.0, 1.0], [1.0, 2.0]], dtype=F64)
        assert line_search(net, x, step=0.1, steps=30).eta.isinf().all()
        assert bisection(net, x).eta.isinf().all()

    def test_near_the_exact_answer(self):
        net, x = start(4, 50, 200, 100)
        exact = minimal_flip(net, x, direction="descent").eta.abs()
        above = line_search(net, x).eta - exact
        assert ((above > -1e-12) & (above <= 1e-3 + 1e-12)).all()
        assert (bisection(net, x).eta - exact).abs().max() <= 1e-6

    def test_errors(self):
        net, x = start(0, 3, 4, 2)
        for call, name in (
            (lambda: line_search(net, x, step=0.0), "step"),
            (lambda: line_search(net, x, steps=0), "steps"),
            (lambda: bisection(net, x, width=0.0), "width"),
            (lambda: bisection(net, x, doublings=0), "doublings"),
        ):
            with pytest.raises(ValueError, match=name):
                call()

    def test_the_trial_counts_what_the_grid_misses(self):
        table = live(SEARCHES, seeds=1).set_index("d")
        assert (table["found"] == 1).all() and (table["line_most"] < 1.01e-3).all()
        assert table["line_error"][25] < table["line_error"][784] and table["eta"][25] > table["eta"][784]
        assert table["line_passes"][25] == pytest.approx(1000 * table["eta"][25], rel=0.5)


class TestRay:
    def test_f_along_the_ray(self):
        """|f| falls as 0.4 - 5 t, to 0 at 0.08."""
        lengths = torch.tensor([0.0, 0.04, 0.08], dtype=F64)
        x = torch.tensor([[0.8, 0.5], [0.8, 0.7]], dtype=F64)
        for row in (x[:1], x[1:]):
            assert torch.allclose(along(linear(), row, lengths), 0.4 - 5 * lengths, atol=1e-6)

    def test_the_drawing(self):
        net, x = start(0, 12, 40, 1)
        norm, end = float(minimal_flip(net, x, direction="descent").norm), 0.5
        ax = Figure().subplots()
        draw_ray(ax, net, x, end=end)
        curve, tangent, _, kinks, dot = ax.lines
        assert (float(dot.get_xdata()[0]), float(dot.get_ydata()[0])) == (norm, 0)
        assert ax.get_title() == f"m = 40: flip at {norm:.3g}"
        t, f = torch.tensor(curve.get_xdata()), torch.tensor(curve.get_ydata())
        assert t[-1] == end and f[t < norm].min() > 0
        slope = (f[1] - f[0]) / (t[1] - t[0])
        assert float(tangent.get_ydata()[-1]) == pytest.approx(float(f[0] + slope * end), abs=1e-6)
        gradient = net.input_gradient(x)
        far = x - net(x).sign() * end * gradient / gradient.norm()
        switched = (net.preactivation(x) > 0) != (net.preactivation(far) > 0)
        assert len(kinks.get_xdata()) == int(switched.sum()) > 0

    def test_a_ray_without_a_flip_has_no_dot(self):
        net = network([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0])
        net.top_bias = torch.nn.Parameter(torch.tensor(0.3, dtype=F64))
        ax = Figure().subplots()
        draw_ray(ax, net, torch.tensor([[1.0, 0.0]], dtype=F64))
        assert len(ax.lines) == 4 and ax.get_title() == "m = 2: flip at inf"
