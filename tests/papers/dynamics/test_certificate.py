"""The page *certificate*: its trial against the parts it is made of, its exponents, what its drawings show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from advnb.book import figures
from advnb.papers import dynamics
from advnb.papers.dynamics import bounds, certificate
from advnb.papers.dynamics.certificate.trials import STEP, radii, true_radius


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


@pytest.fixture(scope="module")
def table():
    rows = [
        {"d": d, "m": m, "seed": seed} | radii(d=d, m=m, seed=seed)
        for d, m in ((2, 16), (2, 64), (3, 16))
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows).assign(run_scale="live", run_device_name="here", run_date="2026-01-01")


def test_the_radii_stand_in_their_order(table):
    assert (table["certified"] > 0).all()
    assert (table["certified"] <= table["optimised"]).all()
    assert (table["hessian_room"] >= 1).all() and (table["gradient_room"] >= 1).all()
    circle = table[table["d"] == 2]
    assert (circle["certified"] <= circle["true"]).all()
    assert table[table["d"] == 3]["true"].isna().all()


def test_the_true_radius_is_where_a_second_minimum_appears():
    problem = dynamics.draw(2, 16, 1.0, seed=0)
    found = true_radius(problem, 0.1)
    assert dynamics.circle_points(dynamics.uncrossed(problem.having(eps=found))).minima == 1
    assert dynamics.circle_points(dynamics.uncrossed(problem.having(eps=found * STEP))).minima == 2
    assert true_radius(problem, 0.1, largest=0.15) <= 0.15


def test_the_sampled_radius_is_that_of_random_points():
    problem = dynamics.draw(8, 64, 1.0, seed=0)
    found = bounds.condition_radii(problem)
    eps = found["sampled"]
    delta = dynamics.in_ball(problem.having(eps=eps), 200, seed=9)
    assert found["optimised"] <= eps * 1.03  # a search starts from such points; both are known to two per cent
    hessian = np.linalg.norm(problem.f_hessian(delta).numpy(), 2, axis=(1, 2))
    assert eps * hessian.max() < 1.5 * float(problem.f_gradient(delta).norm(dim=-1).min())


def test_exponents_are_those_of_the_table():
    rows = [
        {"d": d, "m": m, "seed": seed, "certified": (1 + seed) * d**0.6 * m**-0.1}
        for d, m in ((4, 4096), (8, 4096), (64, 4096), (8, 64))
        for seed in range(3)
    ]
    made = pd.DataFrame(rows)
    assert certificate.over_dimension(made, "certified").value == pytest.approx(0.6)
    assert certificate.over_width(made, 8, "certified").value == pytest.approx(-0.1)


def test_the_shaded_radii_are_the_certified_ones(ax):
    shaded = certificate.draw_condition(ax, 2, 16, 0, (0.1, 3.0, 6))
    radius = bounds.certified_radius(dynamics.draw(2, 16, 1.0, seed=0))
    assert shaded <= radius < shaded * 30 ** (1 / 5)
    above, below = ax.lines[0].get_ydata(), ax.lines[1].get_ydata()
    assert (above >= below).all()  # the bound on the Hessian over what is found
    assert (ax.lines[2].get_ydata() <= ax.lines[3].get_ydata())[:3].all()


def test_radii_are_drawn_network_by_network(ax, table):
    certificate.draw_radii(ax, table, 16)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert [text.split(":")[0] for text in lines] == ["certified", "searched", "at 64 random points", "true"]
    part = table[(table["d"] == 2) & (table["m"] == 16)].sort_values("true")
    assert np.array_equal(lines["certified: proved"], part["certified"])
    assert "d = 2, m = 16" in ax.get_title("left")


def test_growth_has_medians_and_a_guide(ax, table):
    certificate.draw_growth(ax, table[table["d"] == 2], "m", -1 / 6)
    medians = table[table["d"] == 2].groupby("m")["certified"].median()
    guide = next(line for line in ax.lines if str(line.get_label()).startswith("slope"))
    assert guide.get_ydata()[0] == medians[16]
    assert guide.get_ydata()[1] / guide.get_ydata()[0] == pytest.approx(4 ** (-1 / 6))
    assert ax.containers[0][0].get_ydata()[0] == medians[16]
