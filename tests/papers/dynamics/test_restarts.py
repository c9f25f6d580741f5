"""How many restarts an attack needs: the estimators against closed forms, the trials against brute force."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats

from advnb.balls import Linf
from advnb.book import figures
from advnb.data import load
from advnb.papers import dynamics
from advnb.papers.dynamics import restarts
from advnb.papers.dynamics.restarts import estimate, networks, trials

F64 = torch.float64


# the estimators


def test_needed_agrees_with_the_closed_form_and_with_counting():
    for p in (1e-4, 0.03, 0.1, 0.5, 0.9, 0.98):
        k = 1
        while (1 - p) ** k > 0.01 + 1e-15:
            k += 1
        assert estimate.needed(p) == k, p
    assert estimate.needed([0.0, 0.99, 1.0]).tolist() == [math.inf, 1.0, 1.0]
    assert estimate.needed(0.5, 0.75) == 2  # 1 - 1/4, exactly the level


def test_reached_is_unbiased_for_known_basins():
    """Successes of n starts are binomial: the expectation of the estimate over them is 1 - (1 - p)^k exactly."""
    n = 12
    for p in (0.05, 0.3, 0.8):
        weight = stats.binom.pmf(np.arange(n + 1), n, p)
        for k in (1, 3, n):
            assert weight @ estimate.reached(np.arange(n + 1), n, k) == pytest.approx(1 - (1 - p) ** k, abs=1e-12)


def test_reached_is_what_subsets_of_the_starts_say():
    from itertools import combinations

    won = [True, False, False, True, False, False]
    for k in (1, 2, 4, 6):
        subsets = list(combinations(won, k))
        assert estimate.reached(2, 6, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_needed_over_inputs_counts_what_a_test_set_needs():
    # Half of the inputs always succeed, half with p = 1/2: 1 - (1/2) 2^-k >= 0.99 needs k = 6; the mean p = 3/4 says 4.
    many = 100_000
    counts = np.array([many, many // 2])
    ks = np.arange(1, 8)
    covered = estimate.reached(counts[:, None], many, ks).mean(0)
    assert covered == pytest.approx(1 - 0.5 ** (ks + 1), abs=1e-4)
    assert estimate.needed_over_inputs(np.array([200, 100] * 5), 200) == 6
    assert estimate.needed(0.75) == 4
    assert estimate.needed_over_inputs(np.array([200, 0]), 200) == math.inf


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_share_never_overstates_the_restarts(seed):
    """The proposition of the page: mean (1 - p)^k >= (1 - mean p)^k, on shares drawn at random."""
    p = np.random.default_rng(seed).beta(0.6, 0.4, 30)
    k = int(estimate.needed(p.mean())) - 1
    assert k == 0 or ((1 - p) ** k).mean() >= (1 - p.mean()) ** k > 0.01


def test_intervals_hold_the_true_number_of_restarts():
    generator = np.random.default_rng(0)
    p, held = 0.2, 0
    for wins in generator.binomial(200, p, 300):
        low, high = estimate.interval(int(wins), 200)
        held += low <= estimate.needed(p) <= high
    assert held / 300 > 0.92
    assert estimate.interval(0, 200)[1] == math.inf


def test_summary_has_the_mean_and_the_spread():
    row = estimate.summary([200, 200, 100, 0], 200)
    assert row["share"] == 0.625 and row["mean"] == 5
    assert row["median"] == 7 and row["q90"] == math.inf and row["all"] == math.inf
    assert row["low"] < row["share"] < row["high"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: estimate.needed(0.5, 1.0), "level must lie between 0 and 1; got 1.0"),
        (lambda: estimate.needed([0.5, 1.5]), r"p must lie in \[0, 1\]; got 0.5 to 1.5"),
        (lambda: estimate.reached(3, 10, 11), "k must lie between 1 and the 10 starts; got 11 to 11"),
        (lambda: trials.step_size("half", 1.0, 10), "rule must be one of"),
        (lambda: networks.trained("cifar10", "pgd", examples=1, epochs=1, trained_eps=0.1, seed=0), "data must be"),
        (lambda: networks.trained("digits", "fgsm", examples=1, epochs=1, trained_eps=0.1, seed=0), "training must be"),
    ],
)
def test_what_raises(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# two-layer networks


def two_basins(offset: float) -> dynamics.Problem:
    """f = |z|, almost, in the first coordinate, moved: (y - f)^2 has one maximum on either side, y = 0."""
    W = torch.tensor([[300.0, 0.0], [-300.0, 0.0]], dtype=F64)
    x = torch.tensor([offset, 0.0], dtype=F64)
    return dynamics.Problem(W, torch.ones(2, dtype=F64) / 300, x, torch.tensor(0.0, dtype=F64), 1.0)


@pytest.mark.parametrize("rule", trials.RULES)
def test_the_share_of_starts_is_the_area_of_a_known_basin(rule):
    """Ascent on z^2 goes to the side that it starts on: the right one has the area of the disc right of z = -offset."""
    problem = two_basins(0.4)
    start = dynamics.in_ball(problem, 4000, seed=1)
    loss = trials.ends(problem, start, rule, (60,))[0]
    assert trials.highest(problem) == pytest.approx(1.4**2, rel=1e-6)
    found = float((loss > 0.6**2 + 0.05).double().mean())  # above the other side's maximum
    area = 1 - (math.acos(0.4) - 0.4 * math.sqrt(1 - 0.4**2)) / math.pi  # the disc less the cap left of -0.4
    assert found == pytest.approx(area, abs=0.025)


def test_the_highest_point_is_found_inside_the_disc_too():
    """f = -softplus(z) - softplus(-z), in both coordinates, is largest at 0, inside the disc; y is far below."""
    W = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]], dtype=F64)
    a = -torch.ones(4, dtype=F64)
    x = torch.tensor([0.2, 0.1], dtype=F64)
    problem = dynamics.Problem(W, a, x, torch.tensor(-50.0, dtype=F64), 1.0)
    assert trials.highest(problem) == pytest.approx((50 - 4 * math.log(2)) ** 2, rel=1e-6)


def test_one_run_with_constant_steps_serves_all_their_numbers():
    problem = dynamics.draw(3, 8, 2.0, seed=0)
    start = dynamics.in_ball(problem, 6)
    together = trials.ends(problem, start, "quarter", (3, 7))
    alone = torch.stack([trials.ends(problem, start, "quarter", (k,))[0] for k in (3, 7)])
    assert torch.equal(together, alone)


def test_below_the_threshold_all_starts_reach_the_maximum():
    row = trials.basins(d=2, m=16, scale=1.0, eps=0.05, seed=3)
    assert row["maxima"] == 1 and row["shrinking"][-1] == trials.STARTS and row["exact"]
    assert row["missed"] == pytest.approx(0, abs=1e-9)


def test_a_looser_tolerance_counts_no_fewer_starts():
    row = trials.basins(d=4, m=16, scale=1.0, eps=30.0, seed=0)
    for rule in trials.RULES:
        assert all(a <= b for a, b in zip(row[rule], row[f"{rule}_tenth"], strict=True))
    assert not row["exact"] and row["maxima"] == -1


# trained networks


def test_attacks_are_counted_image_by_image():
    model = networks.trained("digits", "natural", examples=300, epochs=1, trained_eps=0.1, seed=0)
    split = load("digits").subset(1, test=6, seed=0).test
    options = {"steps": 3, "rule": "madry", "restarts": 4}
    loss, fooled = networks.attacked(model, split, Linf(0.3), generator=torch.Generator().manual_seed(0), **options)
    clean, right = networks.score(model, split)
    assert loss.shape == fooled.shape == (6, 4) and bool((loss.mean(1) > clean).all())
    assert bool((fooled.sum(1) >= 0).all()) and right.shape == (6,)


def test_rows_by_image_are_in_the_order_of_the_lists():
    row = {
        "data": "digits", "training": "pgd", "seed": 0, "restarts": 9, "images": 2, "eps": [0.1, 0.2], "steps": [5],
        "rules": ["madry", "quarter"], "clean": [1, 0], "run_scale": "live",
        **{name: list(range(8)) for name in ("fooled", "reached", "tenth")},
    }  # fmt: skip
    rows = networks.by_image(pd.DataFrame([row]))
    last = rows.iloc[-1]
    assert len(rows) == 8 and rows["clean"].tolist() == [True, False] * 4
    assert (last["eps"], last["rule"], last["image"], last["fooled"]) == (0.2, "quarter", 1, 7)
    assert rows.query("eps == 0.2 and rule == 'madry'")["fooled"].tolist() == [4, 5]


# drawings and tables


@pytest.fixture
def ax():
    with figures.style():
        yield Figure().subplots()


@pytest.fixture(scope="module")
def basins():
    """Two networks of which one has p = 1 and the other p = 1/4 at radius 10, by hand."""
    shares = {1.0: (200, 200), 10.0: (200, 50)}
    rows = [
        {"d": 2, "m": 16, "scale": 1.0, "eps": eps, "seed": seed,
         **{f"{rule}{end}": np.array([0, 0, 0, wins]) for rule in trials.RULES for end in ("", "_tenth")}}
        for eps, both in shares.items() for seed, wins in enumerate(both)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_shares_are_drawn_with_their_mean_over_networks(ax, basins):
    (curve,) = restarts.draw_shares(ax, restarts.longest(basins), "scale", "‖x‖ =")
    assert curve.lines[0].get_ydata().tolist() == [1.0, 0.625] and curve.get_label() == "‖x‖ = 1"


def test_steps_have_a_curve_a_rule(ax, basins):
    restarts.draw_steps(ax, basins, 10.0)
    assert ax.get_legend_handles_labels()[1] == list(restarts.OFFERED.values())


def test_the_table_for_practice_says_what_all_inputs_need(basins):
    row = restarts.for_practice(restarts.longest(basins), ["eps"]).loc[10.0]
    # (1/2) (3/4)^k <= 0.01 needs k = 14 (13 without replacement), the mean share 5/8 only 5
    assert row["mean share"] == "5" and row["90% of inputs"] == "17" and row["all inputs"] in ("13", "14")


def test_basins_are_drawn_with_their_share(ax):
    share = restarts.draw_basins(ax, 10.0, resolution=15)
    assert ax.get_title("left") == f"radius 10: {100 * share:.0f}% of starts"
    won, lost = (len(part.get_offsets()) for part in ax.collections)
    assert share == pytest.approx(won / (won + lost)) and 0 < share < 1


def test_accuracy_falls_with_the_starts(ax):
    rows = pd.DataFrame(
        {"data": "digits", "training": "pgd", "eps": 0.1, "restarts": 4, "clean": [True, True], "fooled": [0, 2]}
    )
    restarts.draw_accuracy(ax, rows, "digits")
    (curve,) = ax.lines
    assert curve.get_xdata().tolist() == [1, 2, 3]
    assert curve.get_ydata() == pytest.approx([0.75, 0.5 + 0.5 / 6, 0.5])
