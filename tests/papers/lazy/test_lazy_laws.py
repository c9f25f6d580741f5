"""The law of the flipping step: against its own limits, against networks built to follow it, and its errors."""

import numpy as np
import pandas as pd
import pytest
import torch

from advnb.flip import minimal_flip
from advnb.models import TwoLayer
from advnb.papers.lazy.laws import Law, constants_by_dimension, fit_law, movement_law, steps_to_reach


def rows(kappa, phi, length=3.0):
    grid = [(c0, d) for c0 in (0.0, 10.0, 40.0) for d in (25, 784)]
    return pd.DataFrame(
        {
            "radius": [c0 for c0, _ in grid],
            "moved": [c0 for c0, _ in grid],
            "d": [d for _, d in grid],
            "length": length,
            "gradient": [np.sqrt(d / 2 + (kappa * c0) ** 2) for c0, d in grid],
            "value": [phi * c0 * length for c0, _ in grid],
        }
    )


def test_constants_are_recovered_whatever_the_units_of_x():
    for length in (1.0, 9.2):
        law = fit_law(rows(0.35, 0.17, length))
        assert law == pytest.approx((0.35, 0.17), rel=1e-9)


def test_limits_of_the_law():
    law = Law(0.35, 0.17)
    assert law.exponent(10, 1e8) == pytest.approx(-0.5, abs=1e-5)
    assert law.exponent(10, law.turn(10)) == pytest.approx(-0.25)
    assert law.relative(1e9, 25) == pytest.approx(0.17 / 0.35)
    d = np.array([100.0, 100.01])
    slope = np.diff(np.log(law.relative(20, d))) / np.diff(np.log(d))
    assert slope[0] == pytest.approx(float(law.exponent(20, 100.0)), abs=1e-4)


def test_c0_is_the_inverse_and_infinite_beyond_the_limit():
    law = Law(0.4, 0.2)
    assert law.c0(law.relative([3.0, 12.0], 100), 100) == pytest.approx([3, 12])
    assert law.c0([0.5, 0.6], 100).tolist() == [np.inf, np.inf]


def test_the_step_is_the_cosine_of_gradient_and_x():
    net = TwoLayer(40, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64).eval()
    x = 3 * torch.randn(5, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cosine = torch.cosine_similarity(net.input_gradient(x), x).abs()
    linear = net(x).abs() / net.input_gradient(x).norm(dim=1) / x.norm(dim=1)
    assert torch.allclose(cosine, linear)


def test_eta_rises_with_c0_up_to_the_turn_and_falls_after_it():
    law, d = Law(0.35, 0.17), 100.0
    peak = np.sqrt(d / 2) / law.kappa
    eta = law.eta([0.8 * peak, peak, 1.25 * peak], d)
    assert law.turn(peak) == pytest.approx(d)
    assert eta[1] > eta[0] and eta[1] > eta[2]


def test_a_network_whose_units_all_move_one_way_follows_it():
    """Every unit moves by a_s C0 / sqrt(m) along x itself: kappa = phi = 1/2 up to the units that switch."""
    generator = torch.Generator().manual_seed(0)
    d, m, c0 = 400, 200_000, 10.0
    net = TwoLayer(d, m, generator=generator).eval()
    x = torch.nn.functional.normalize(torch.randn(1, d, generator=generator))
    before = net(x).item()
    with torch.no_grad():
        net.weight += c0 / m**0.5 * net.signs[:, None] * x
    law = Law(0.5, 0.5)
    _, norm, gradient = minimal_flip(net, x)
    assert abs(net(x).item() - before) == pytest.approx(law.phi * c0, rel=0.05)
    assert gradient.item() == pytest.approx(float(law.gradient(c0, d)), rel=0.05)
    # The step is long, 0.4 ||x||, and f is a little convex along it: units that x had switched on go off.
    assert norm.item() == pytest.approx(abs(net(x).item()) / gradient.item(), rel=0.25)


def test_it_needs_networks_that_moved():
    with pytest.raises(ValueError, match="networks that have moved"):
        fit_law(rows(0.35, 0.17).query("radius == 0"))


def test_movement_law():
    steps = np.array([0, 10, 100, 1000, 5000])
    a, b, quality = movement_law(steps, 2 + 3 * np.log(np.maximum(steps, 1)), after=50)
    assert (a, b, quality) == pytest.approx((2, 3, 1))
    assert steps_to_reach(2 + 3 * np.log(777), a, b) == pytest.approx(777)
    assert steps_to_reach(1.0, 0.0, 0.0) == steps_to_reach(1e6, 0.0, 1.0) == float("inf")
    with pytest.raises(ValueError, match="three recorded steps from step 50 on; got 1"):
        movement_law([1, 60], [1, 2], after=50)


def test_the_root_of_a_movement():
    steps = np.array([1, 10, 100, 1000, 5000])
    law = movement_law(steps, (1 + 0.5 * np.log(steps)) ** 2, after=50, root=2)
    assert law == pytest.approx((1, 0.5, 1))
    assert steps_to_reach((1 + 0.5 * np.log(1e6)) ** 2, *law[:2], root=2) == pytest.approx(1e6)


def test_the_middle_of_the_logarithmic_axis_is_where_the_law_begins():
    """Before step 100 of 10,000 this path moves ten times as fast."""
    steps = np.array([0, 1, 10, 99, 100, 500, 2000, 10_000])
    moved = np.where(steps < 100, 30 * np.log(np.maximum(steps, 1)), 2 + 3 * np.log(np.maximum(steps, 1)))
    assert movement_law(steps, moved) == pytest.approx((2, 3, 1))


def test_constants_by_dimension_are_medians():
    table = pd.concat([rows(0.3, 0.1), rows(0.35, 0.17), rows(0.4, 0.3)]).assign(step=7)
    found = constants_by_dimension(table.query("radius == 10"))
    assert found.index.tolist() == [25, 784]
    assert found.loc[25].to_dict() == pytest.approx({"κ": 0.35, "φ": 0.17, "|f|": 5.1, "steps": 7})


def test_the_slope_of_a_straight_line_through_the_law():
    law = Law(0.35, 0.17)
    assert law.slope(1e-3, [25, 100, 784]) == pytest.approx(-0.5, abs=1e-4)
    assert law.slope(1e5, [25, 100, 784]) == pytest.approx(0, abs=1e-4)
    assert law.slope(20, [100, 100.01]) == pytest.approx(float(law.exponent(20, 100.0)), abs=1e-4)
