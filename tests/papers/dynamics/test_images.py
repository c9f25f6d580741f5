"""Escape from local maxima on images: the statistic on cases solved by hand, the maximum check, trials and tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from advnb.balls import L2
from advnb.experiments import live
from advnb.papers.dynamics import images as di
from advnb.papers.dynamics.choices import FIG2_PRECISION
from advnb.papers.dynamics.images import (
    SETTLED,
    Scene,
    by_image,
    by_network,
    escapes,
    medians,
    nearest,
    percent,
    pick,
    spread,
    start_from,
)
from advnb.papers.dynamics.images.escape import FIG2_CHOICES, STEPS, escape, shown_steps
from advnb.papers.dynamics.images.scene import classifier
from advnb.papers.dynamics.images.steps import cross_entropy_steps, linear_steps
from advnb.papers.dynamics.training.trials import FIG3

F64 = torch.float64


class Margin(nn.Module):
    """Logits (0, m(x)): a classifier whose margin for the label +1 is a function of our choice."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        m = self.function(x)
        return torch.stack((torch.zeros_like(m), m), dim=1)


def scene(function, x: Tensor, eps: float, **choices) -> Scene:
    return Scene(Margin(function).eval(), x, torch.ones(len(x), dtype=F64), L2(eps), **choices)


def linear(slope: float, offset: float = 0.0, d: int = 5):
    w = torch.linspace(1.0, 2.0, d, dtype=F64)
    w = slope * w / w.norm()
    return w, lambda x: x @ w + offset


# -- the statistic -----------------------------------------------------------------------------------------------


@given(share=st.floats(0.05, 0.95), size=st.floats(0.02, 0.3))
@settings(max_examples=15, deadline=None)
def test_relative_steps_cross_a_linear_landscape_in_the_time_of_the_formula(share, size):
    w, margin = linear(3.0)
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps=0.7)
    top = 0.7 * w[None] / w.norm()
    _, path = di.travel(there, top, uphill=False, rule="relative", steps=math.ceil(2 / size) + 1, size=size)
    steps = di.escape_steps(there.height(path), torch.tensor([-0.7 * 3.0], dtype=F64), share)
    exact = linear_steps(share, 0.7, torch.tensor([3.0], dtype=F64), size, "relative")
    assert exact.item() == pytest.approx(2 * share / size)
    assert exact.item() - 1e-6 <= steps.item() < exact.item() + 1 + 1e-6


@pytest.mark.parametrize("eps", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_constant_steps_cross_a_linear_loss_in_two_eps_over_lr_times_gradient(eps, share):
    # At a margin of -60 the cross entropy has slope -1 to 1e-26: L is linear.
    w, margin = linear(0.4, offset=-60.0)
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps)
    top = eps * w[None] / w.norm()
    lr = 0.07
    _, path = di.travel(there, top, uphill=False, rule="constant", steps=50, size=lr)
    goal = there.objective(torch.tensor([-60.0 - 0.4 * eps], dtype=F64))
    steps = di.escape_steps(there.objective(path), goal, share).item()
    exact = linear_steps(share, eps, torch.tensor([0.4], dtype=F64), lr, "constant").item()
    assert exact == pytest.approx(2 * share * eps / (lr * 0.4))
    assert steps == math.ceil(exact) if exact < 50 else math.isinf(steps)


@pytest.mark.parametrize("convention", ["minus", "plus"])
def test_cross_entropy_time_is_travel_plus_saturation(convention):
    w, margin = linear(1.0)
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps=4.0, convention=convention)
    sign = 1.0 if convention == "minus" else -1.0
    lr = 0.04
    _, path = di.travel(there, sign * 4.0 * w[None] / w.norm(), uphill=False, rule="constant", steps=3000, size=lr)
    assert path[0].item() == pytest.approx(4.0 * sign)
    target = torch.tensor([-2.0 * sign], dtype=F64)
    measured = int((sign * (path[:, 0] - target) <= 0).to(torch.int8).argmax())
    travel, saturation = cross_entropy_steps(path[0], target, torch.ones(1, dtype=F64), lr)
    assert travel.item() == pytest.approx(6.0 / lr)
    assert measured == pytest.approx((travel + saturation).item(), rel=0.02)


@pytest.mark.parametrize("convention", ["minus", "plus"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_predicted_steps_foresee_the_escape_from_a_linear_margin(convention, share):
    w, margin = linear(1.0, offset=0.5)
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps=2.0, convention=convention)
    sign, lr = (1.0 if convention == "minus" else -1.0), 0.02
    _, path = di.travel(there, sign * 2.0 * w[None] / w.norm(), uphill=False, rule="constant", steps=2500, size=lr)
    floor = torch.tensor([0.5 - 2.0 * sign], dtype=F64)
    measured = di.escape_steps(there.objective(path), there.objective(floor), share).item()
    travel, saturation = di.predicted_steps(path[0], floor, torch.ones(1, dtype=F64), share, lr)
    assert measured == pytest.approx((travel + saturation).item(), rel=0.02)


def test_escape_steps_reads_a_path_by_hand():
    path = torch.tensor([[4.0, 4.0, 4.0], [3.0, 4.0, 4.0], [1.0, 3.9, 4.0], [0.0, 3.8, 4.0]], dtype=F64)
    goal = torch.tensor([0.0, 0.0, 4.0], dtype=F64)
    half, ninety = di.escape_steps(path, goal, 0.5), di.escape_steps(path, goal, 0.9)
    assert half[0] == 2 and ninety[0] == 3
    assert half[1] == math.inf  # the path never gets there
    assert half[2].isnan()  # there was nothing to cover


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_escape_steps_refuses_a_share_outside_the_range(share):
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\]; got"):
        di.escape_steps(torch.zeros(2, 1), torch.zeros(1), share)


# -- trajectories ------------------------------------------------------------------------------------------------


@given(factor=st.sampled_from([0.125, 8.0, 1024.0]), seed=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_relative_steps_do_not_see_the_scale_of_a_homogeneous_net(factor, seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(k, 16, generator=generator, dtype=F64) for k in (6, 1))
    x = torch.randn(3, 6, generator=generator, dtype=F64)

    def path(scale: float) -> Tensor:
        there = scene(lambda z: (torch.relu(z @ first) @ second.T)[:, 0], scale * x, eps=0.5 * scale)
        start = there.ball.sample(there.x, generator=torch.Generator().manual_seed(seed))
        return di.travel(there, start, uphill=True, rule="relative", steps=30, size=0.1)[1]

    torch.testing.assert_close(path(factor), factor * path(1.0), rtol=1e-9, atol=1e-9 * factor)


@pytest.mark.parametrize("convention", ["minus", "plus"])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
@pytest.mark.parametrize("rule", ["constant", "relative"])
def test_downhill_lowers_the_objective_and_stays_in_the_ball(convention, loss, rule):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(4, 8, generator=generator, dtype=F64)
    there = scene(lambda z: torch.tanh(z @ w).sum(1), torch.randn(5, 4, generator=generator, dtype=F64), eps=0.6,
                  convention=convention, loss=loss)  # fmt: skip
    start = there.ball.sample(there.x, generator=generator)
    for uphill, sign in ((True, 1), (False, -1)):
        end, path = di.travel(there, start, uphill=uphill, rule=rule, steps=40, size=0.005)
        change = sign * (there.objective(path[-1]) - there.objective(path[0]))
        assert bool((change > 0).all()) and bool(there.ball.contains(end, there.x).all())
        torch.testing.assert_close(there.margin(end), path[-1])


def test_travel_refuses_an_unknown_rule():
    _, margin = linear(1.0)
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps=1.0)
    with pytest.raises(ValueError, match="rule must be one of 'constant', 'relative'; got 'normalised'"):
        di.travel(there, there.x, uphill=True, rule="normalised", steps=1, size=1.0)


def test_height_rises_with_the_objective_under_both_conventions():
    margins = torch.linspace(-3, 3, 7, dtype=F64)
    for convention in ("minus", "plus"):
        there = scene(linear(1.0)[1], torch.zeros(7, 5, dtype=F64), eps=1.0, convention=convention)
        assert torch.equal(there.height(margins).argsort(), there.objective(margins).argsort())


# -- the check of a local maximum --------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["minus", "plus"])
def test_linear_margin_at_its_maximum_has_curvature_minus_one(convention):
    w, margin = linear(2.0)
    sign = 1.0 if convention == "minus" else -1.0
    there = scene(margin, torch.zeros(1, 5, dtype=F64), eps=1.5, convention=convention)
    top = sign * 1.5 * w[None] / w.norm()
    arc = 0.05
    found = di.local_maximum(there, top, generator=torch.Generator().manual_seed(0), arc=arc)
    assert found.slack.item() == pytest.approx(0.0, abs=1e-12)
    assert found.curvature.item() == pytest.approx(2 * (math.cos(arc) - 1) / arc**2, rel=1e-9)
    assert found.beaten.item() == 0.0


@pytest.mark.parametrize(("axis", "ratio"), [(0, (1.0 - 3.0) / 3.0), (1, (3.0 - 1.0) / 1.0)])
def test_quadratic_margin_is_told_apart_from_its_saddle(axis, ratio):
    # m = 3 x^2 + y^2 on a circle: a maximum along x, a minimum along y, both first-order points.
    there = scene(lambda z: z**2 @ torch.tensor([3.0, 1.0], dtype=F64), torch.zeros(1, 2, dtype=F64), eps=0.8)
    point = torch.zeros(1, 2, dtype=F64)
    point[0, axis] = 0.8
    arc = 0.05
    found = di.local_maximum(there, point, generator=torch.Generator().manual_seed(1), arc=arc)
    assert found.slack.item() == pytest.approx(0.0, abs=1e-12)
    assert found.curvature.item() == pytest.approx(ratio * (math.sin(arc) / arc) ** 2, rel=1e-9)
    assert found.beaten.item() == (0.0 if axis == 0 else 1.0)


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.5])
def test_slack_is_one_minus_the_cosine_to_the_gradient(angle):
    there = scene(lambda z: z[:, 0], torch.zeros(1, 2, dtype=F64), eps=0.5)
    point = 0.5 * torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=F64)
    found = di.local_maximum(there, point, generator=torch.Generator().manual_seed(1))
    assert found.slack.item() == pytest.approx(1 - math.cos(angle))
    assert found.beaten.item() > 0  # the circle through the gradient's tangent leads upwards


# -- scenes ------------------------------------------------------------------------------------------------------


def draw(**changes) -> Scene:
    settings = {"data": "digits", "version": "2017", "scale": 10.0, "ratio": 0.1, "units": "norm", "images": 4}
    settings |= {"loss": "cross_entropy", "convention": "minus", "seed": 0}
    return di.draw_scene(**(settings | changes))


def test_the_two_readings_of_input_scale():
    by_norm, by_pixel = draw(), draw(units="pixels")
    norms = by_pixel.x.flatten(1).norm(dim=1)
    torch.testing.assert_close(by_norm.x.flatten(1).norm(dim=1), torch.full((4,), 10.0, dtype=F64))
    assert by_norm.ball.eps == pytest.approx(1.0) == draw(radius_of="scale").ball.eps
    assert draw(units="pixels", radius_of="scale").ball.eps == pytest.approx(1.0)
    assert by_pixel.ball.eps == pytest.approx(0.1 * norms.mean().item())
    assert by_pixel.x.max() <= 10.0 and norms.min() > 20.0
    torch.testing.assert_close(by_pixel.x / norms.view(-1, 1, 1, 1), by_norm.x / 10.0)


def test_half_the_images_are_odd_and_the_scale_changes_nothing_else():
    first, second = draw(scale=0.1), draw(scale=1000.0)
    assert first.y.sum() == 0 and torch.equal(first.y, second.y)
    torch.testing.assert_close(1e4 * first.x, second.x)
    for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("version", "weights"), [("2017", 21_432), ("2019", 1_198_850)])
def test_both_versions_of_the_example_network(version, weights):
    net = classifier(version, seed=0)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 2)
    assert not any(isinstance(part, nn.Dropout) for part in net.modules())
    state = torch.random.get_rng_state()
    classifier(version, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2018"}, "version must be one of '2017', '2019'; got '2018'"),
        ({"units": "pixel"}, "units must be one of 'norm', 'pixels'; got 'pixel'"),
        ({"radius_of": "pixels"}, "radius_of must be one of 'norm', 'scale'; got 'pixels'"),
        ({"scale": -1.0}, "scale must be a finite number above 0; got -1.0"),
        ({"convention": "max"}, "convention must be one of 'minus', 'plus'; got 'max'"),
        ({"loss": "hinge"}, "loss must be one of"),
    ],
)
def test_scenes_refuse_what_they_do_not_know(change, message):
    with pytest.raises(ValueError, match=message):
        draw(**change)


# -- trials ------------------------------------------------------------------------------------------------------

SMALL = {"data": "digits", "version": "2017", "units": "norm", "images": 2, "seed": 0, "device": "cpu"}


def test_a_live_trial_is_a_function_of_its_parameters_and_seed():
    trial = next(t for t in di.FIG2.trials("live") if t.params["step"] == "relative" and t.params["scale"] == 10.0)
    run = lambda seed: escape(**trial.params, seed=seed, device="cpu", dtype=F64)  # noqa: E731
    first = run(0)
    assert first == run(0) != run(1)
    assert len(first["path"]) == 2 and len(first["path"][0]) == len(shown_steps("relative")) <= 60
    assert all(value <= 0.15 for value in first["gain"])
    assert all(20 <= steps <= 100 for steps in first["height_half"])  # 50 on a linear landscape


def test_per_image_gives_each_image_a_row_with_what_was_foreseen():
    table = live(di.FIG2, only={"scale": 1000.0, "ratio": 0.001, "step": "relative"})
    rows = di.per_image(table)
    assert len(rows) == 2 and list(rows["image"]) == [0, 1]
    assert set(rows["eps"]) == {1.0}  # 1000 * 0.001, whatever the rounding
    first = {
        name: torch.tensor([rows[name][0]], dtype=F64) for name in ("margin_start", "margin_floor", "gradient_clean")
    }
    travel, saturation = di.predicted_steps(*first.values(), share=0.5)
    assert rows["travel"][0] == pytest.approx(travel.item())
    assert rows["saturation"][0] == pytest.approx(saturation.item())
    slower = di.per_image(table.assign(lr=0.1))
    assert slower["travel"][1] == pytest.approx(10 * rows["travel"][1])
    assert di.per_image(table.assign(loss="squared"))["travel"].isna().all()


def test_shown_steps_hold_the_first_and_the_last():
    for rule, last in STEPS.items():
        steps = shown_steps(rule)
        assert steps[:4] == [0, 1, 2, 3] and steps[-1] == last and len(steps) <= 60


@pytest.mark.parametrize(
    "experiment", [di.FIG2, di.FIG2_SIGN, FIG2_CHOICES, FIG2_PRECISION, FIG3], ids=lambda e: e.name
)
def test_the_laptop_grids_have_networks_enough(experiment):
    trials = experiment.trials("laptop")
    least = {di.FIG2.name: 10, di.FIG2_SIGN.name: 6, FIG2_PRECISION.name: 6, FIG3.name: 5}.get(experiment.name, 3)
    assert {trial.seed for trial in trials} >= set(range(least))
    assert all(trial.params["data"] == "mnist" for trial in trials)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shown_steps("raw"), "rule must be one of 'constant', 'relative'; got 'raw'"),
        (lambda: start_from(None, None, climb="raw"), "climb must be one of 'constant', 'relative'; got 'raw'"),
    ],
)
def test_rules_that_are_not_known_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([1] * 6, "1"),
        ([3, 21, 21, 21, 21, 190], "21 [3, 190]"),
        ([20, 330, 330, 330, 330, math.inf], "330 [20, over 1000]"),
        ([3, 21, 190], "21"),
        ([20, *[330] * 5, *[math.nan] * 2], "330 [20, 330], no range left in 2 of 8"),
        ([math.inf, math.inf], "over 1000"),
        ([math.nan, math.nan], "no range left"),
    ],
)
def test_escape_times_as_text_have_an_interval_and_room_for_what_does_not_escape(times, text):
    assert spread(times) == text


def test_the_limit_of_a_run_can_be_told():
    assert spread([390.0] * 5 + [410.0], 400) == "390 [390, over 400]"


def test_a_network_is_one_value_whatever_the_number_of_its_images():
    rows = pd.DataFrame({"seed": np.repeat(range(6), 3), "loss_half": [5.0, 7.0, math.inf] * 6, "scale": 1.0})
    assert list(by_network(rows)) == [7.0] * 6
    assert escapes(rows, ["scale"])[1.0] == "7"
    found = medians(rows.assign(loss_half=np.repeat([1.0, 2.0, 3.0, 4.0, 5.0, math.inf], 3)), "scale")
    assert list(found.loc[1.0]) == [3.0, 1.0, math.inf]


def test_a_share_of_trajectories_is_resampled_over_networks():
    rows = pd.DataFrame({"seed": [0, 0, 1, 1, 2, 2]})
    assert percent(rows, pd.Series([True, False] * 3)) == "50%"  # every network has one half
    assert percent(rows, pd.Series([True, True, False, False, True, True])) == "67% [0, 100]"


def test_nearest_is_one_of_the_values_along_an_axis():
    assert list(nearest([[1.0, 2.0, math.inf], [math.inf, math.inf, 4.0]], axis=1)) == [2.0, math.inf]


def test_pick_keeps_the_rows_of_one_kind_of_run():
    rows = pd.DataFrame({"climb": ["relative"] * 3, "step": ["constant", "constant", "relative"], "seed": [0, 1, 0]})
    assert list(pick(rows, SETTLED).index) == [0, 1]
    assert list(pick(rows, SETTLED, seed=1).index) == [1]
    assert list(pick(rows, seed=0).index) == [0, 2]


def test_rounding_decides_neither_which_radii_are_equal_nor_a_step_more_or_less():
    eps, half = [1.0 + 1e-9, 1.0 - 1e-9], [np.array([3.0 + 1e-9, math.inf]), np.array([21.0, math.nan])]
    rows = by_image(pd.DataFrame({"eps": eps, "loss_half": half, "path": [[0.1]] * 2}))
    assert set(rows["eps"]) == {1.0} and "path" not in rows
    np.testing.assert_array_equal(rows["loss_half"], [3.0, math.inf, 21.0, math.nan])
