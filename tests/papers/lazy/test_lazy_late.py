"""Late training: the trial against plain SGD and autograd, the proposition against scipy, the tables of the claims."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special
from scipy.integrate import quad, solve_ivp
from scipy.optimize import minimize, nnls
from torch.nn.functional import softplus

from advnb.data import present
from advnb.experiments import load
from advnb.experiments.read import succeeded
from advnb.experiments.verification import compare
from advnb.models import TwoLayer
from advnb.papers.lazy.exits.claims import decades, foreseen_norm
from advnb.papers.lazy.exits.drawings import draw_late
from advnb.papers.lazy.exits.late import DIFFICULTIES, LATE, LATE_TOYS, PER_LOOK, _Late, _toy, late
from advnb.papers.lazy.sgd import lazy_sgd
from advnb.papers.lazy.task import digit_pair

SETTING = {"data": "digits", "side": 4, "m": 60, "device": "cpu", "dtype": torch.float64}


def test_the_trained_network_is_that_of_lazy_sgd():
    """Same seed, same batches, same movement: both draw the weights first and a permutation an epoch."""
    found = late(**SETTING, steps=300, frozen=False, seed=3)
    generator = torch.Generator().manual_seed(3)
    train = digit_pair("digits", 4, "pixels").to("cpu", torch.float64).train
    net = TwoLayer(16, 60, generator=generator, dtype=torch.float64).eval()
    lazy_sgd(net, train.x, train.y, [1e6], steps=found["step"][-1], generator=generator)
    margin = train.y * net(train.x).detach()
    assert found["loss"][-1] == pytest.approx(float(softplus(-margin).mean()), rel=1e-10)
    assert found["wrong"][-1] == float((margin <= 0).double().mean())


@pytest.mark.parametrize("frozen", [False, True])
def test_loss_and_slope_are_those_of_autograd(frozen):
    """Of the network itself, and of its first-order expansion at the start, f + <grad_W f, W - W_0>."""
    train = digit_pair("digits", 4, "pixels").to("cpu", torch.float64).train
    net = TwoLayer(16, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64).eval()
    run = _Late(net, train, frozen)
    for chosen in torch.arange(256).split(64):
        run.step(chosen, 5.0)
    weight = net.weight.detach().clone().requires_grad_()
    start = TwoLayer(16, 60, dtype=torch.float64)
    start.signs.copy_(net.signs)

    def f(w):
        return torch.func.functional_call(start, {"weight": w}, (train.x,))

    if frozen:
        value, change = torch.func.jvp(f, (run.start,), (weight - run.start,))
        out = value + change
    else:
        out = f(weight)
    loss = softplus(-train.y * out).mean()
    (gradient,) = torch.autograd.grad(loss, weight)
    seen = run.look()
    moved = (weight - run.start).detach()
    assert seen["loss"] == pytest.approx(loss.item(), rel=1e-10)
    assert seen["slope"] == pytest.approx((gradient.norm() / loss).item(), rel=1e-10)
    assert seen["norm"] == pytest.approx(float(moved.norm()), rel=1e-10)
    assert seen["straight"] == pytest.approx(-float((moved * gradient).sum() / moved.norm() / gradient.norm()))


def test_difficulties_of_the_toys():
    for name, hardest in zip(DIFFICULTIES, (1, 5, 1 + np.log(2000)), strict=True):
        task = _toy(name, 5, seed=0)
        difficulty = 1 / torch.linalg.vector_norm(task.x, dim=1)
        assert difficulty.min() == pytest.approx(1, abs=1e-3) and difficulty.max() == pytest.approx(hardest)
        assert torch.linalg.matrix_rank(task.x) == 1 and (task.y == 1).all()
    assert (1 / torch.linalg.vector_norm(_toy("two", 5, 0).x, dim=1) > 2).sum() == 100


def test_equal_examples_all_push_and_an_example_that_is_done_does_not():
    found = {name: late(**SETTING | {"data": name}, steps=1000, frozen=True, seed=0) for name in DIFFICULTIES}
    assert found["equal"]["examples"] == pytest.approx([1000] * len(found["equal"]["step"]))
    assert found["two"]["examples"][-1] < 500
    assert all(len(found["two"][name]) == len(found["two"]["step"]) for name in PER_LOOK)


def test_steps_out_of_range_are_refused():
    with pytest.raises(ValueError, match="steps"):
        late(**SETTING, steps=0, frozen=False, seed=0)


def trial(power, **fields):
    step = np.unique(np.round(10 ** np.arange(1, 5.01, 0.125)))
    return {"data": "mnist", "side": 5, "frozen": False, "seed": 0, "step": step.tolist(),
            "norm": (np.log(step) ** power).tolist(), **fields}  # fmt: skip


def test_a_line_in_log_t_has_no_bend_and_its_square_has_a_straight_root():
    found = decades(pd.DataFrame([trial(1), trial(2)]), "norm")
    assert found["bend"].tolist() == pytest.approx([1, (25 - 16) / (16 - 9)])
    assert found["root"][1] == pytest.approx(1, abs=1e-3) and found["root"][0] < 0.9


def test_the_path_is_the_integral_of_one_over_gamma():
    """With L = 1 / t and gamma = 1 / (2 log t), what moves is (log t)^2."""
    step = np.array(trial(2)["step"])
    one = trial(2, loss=(1 / step).tolist(), slope=(1 / (2 * np.log(step))).tolist())
    late_steps = step >= 100
    assert foreseen_norm(one) == pytest.approx(np.log(step[late_steps]) ** 2, rel=1e-6)


def mean_exponential(z, w):
    """Return L(w), the mean of exp(-<z_i, w>), and the weighted mean sum_i p_i z_i = -grad log L."""
    shares = np.exp(-z @ w)
    return shares.mean(), shares @ z / shares.sum()


def flow(z, until):
    """Follow w' = -grad log L from 0 to tau = ``until`` by scipy: tau, w (k, d), the path's length and the time t."""

    def right(_, state):
        loss, descent = mean_exponential(z, state[: z.shape[1]])
        return np.concatenate([descent, [np.linalg.norm(descent), 1 / loss]])

    at = np.geomspace(1e-2, until, 60)
    found = solve_ivp(right, (0, until), np.zeros(z.shape[1] + 2), t_eval=at, rtol=1e-9, atol=1e-10)
    return at, found.y[:-2].T, found.y[-2], found.y[-1]


def margin(z):
    """Return the largest margin, the distance of the hull of the z_i from 0, by non-negative least squares."""
    heavy = 1e4
    weights, _ = nnls(np.vstack([z.T, heavy * np.ones(len(z))]), np.concatenate([np.zeros(z.shape[1]), [heavy]]))
    return np.linalg.norm(weights @ z) / weights.sum()


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_convex_in_log_loss_with_slopes_up_to_one_over_the_margin(seed):
    """Parts 1 and 2 of the proposition on random separable data, integrated by scipy."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((15, 3)) + np.array([3.0, 0, 0])
    z = z[z[:, 0] > 0.2]
    tau, w, length, time = flow(z, 60.0)
    loss, descent = (np.array(part) for part in zip(*(mean_exponential(z, one) for one in w), strict=True))
    gamma, least = np.linalg.norm(descent, axis=1), margin(z)
    far = {"type": "ineq", "fun": lambda v: z @ v - 1}
    support = minimize(lambda v: v @ v, [5.0, 0, 0], jac=lambda v: 2 * v, constraints=far, method="SLSQP").x
    assert least == pytest.approx(1 / np.linalg.norm(support), rel=1e-4)
    assert (np.diff(gamma) < 1e-9).all()
    assert (gamma >= least - 1e-5).all() and (gamma <= least + np.sqrt(np.log(len(z)) / tau)).all()
    slopes = np.diff(length) / np.diff(-np.log(loss))
    assert (slopes >= 1 / gamma[:-1] - 1e-5).all() and (slopes <= 1 / gamma[1:] + 1e-5).all()
    squares = np.concatenate([[0], np.cumsum(np.diff(time) * (gamma[1:] ** 2 + gamma[:-1] ** 2) / 2)])
    assert np.allclose(squares[-20:] - squares[-20], 1 / loss[-20:] - 1 / loss[-20], rtol=0.02)


def test_gamma_falls_at_twice_the_variance_of_the_speeds():
    z = np.array([[1.0, 0.5], [2.0, -1.0], [0.3, 0.1], [1.5, 2.0]])
    w, step = np.array([0.4, -0.2]), 1e-5
    shares = np.exp(-z @ w) / np.exp(-z @ w).sum()
    _, g = mean_exponential(z, w)
    speeds = z @ g
    variance = shares @ speeds**2 - (shares @ speeds) ** 2
    change = (mean_exponential(z, w + step * g)[1] ** 2).sum() - (mean_exponential(z, w - step * g)[1] ** 2).sum()
    assert change / (2 * step) == pytest.approx(-2 * variance, rel=1e-6)
    _, _, length, _ = flow(np.tile([[0.6, 0.8]], (7, 1)), 30.0)  # equal examples: gamma stays, the path is straight
    assert length[-1] == pytest.approx(30.0, rel=1e-6)


def test_an_exponential_tail_of_difficulties_gives_the_square_of_a_logarithm():
    """Part 3: E exp(-w / r), r of rate c, is 2 sqrt(c w) K_1(2 sqrt(c w)); then t = int dw / (-L') by quadrature."""
    c = 0.7

    def loss(w):
        x = 2 * np.sqrt(c * w)
        return x * special.kv(1, x)

    drawn, _ = quad(lambda r: c * np.exp(-c * r - 9.0 / r), 0, np.inf)
    assert drawn == pytest.approx(loss(9.0), rel=1e-8)
    w = np.geomspace(1, 3e4, 4000)
    falls = 2 * c * special.kv(0, 2 * np.sqrt(c * w))  # -L', as (x K_1)' = -x K_0
    assert falls[100] == pytest.approx((loss(w[100] - 1e-4) - loss(w[100] + 1e-4)) / 2e-4, rel=1e-5)
    log_t = np.log(np.cumsum(np.gradient(w) / falls))
    slope = np.diff(np.sqrt(w))[-1] / np.diff(log_t)[-1]
    assert slope == pytest.approx(1 / (2 * np.sqrt(c)), rel=0.02)
    assert -np.log(loss(w[-1])) == pytest.approx(2 * np.sqrt(c * w[-1]), rel=0.05)


@pytest.mark.slow
@pytest.mark.skipif(not any(one.name == "mnist" and not one.missing for one in present()), reason="needs mnist")
@pytest.mark.parametrize("experiment", [LATE, LATE_TOYS], ids=lambda one: one.name)
def test_the_first_part_of_stored_trials_can_be_had_again(experiment):
    """Two decades of steps instead of five: a whole trial costs ``verify`` one or two minutes."""
    for record in succeeded(experiment.name, "laptop")[::7]:
        short = {**record["params"], "steps": 1000}
        again = late(**short, seed=record["seed"], device="cpu", dtype=torch.float32)
        for name in PER_LOOK:
            old = {name: record["values"][name][: len(again["step"])]}
            deviation, allowed = compare(old, again, name, experiment.tolerance_of(name))
            assert deviation <= allowed, (name, record["params"])


def test_the_drawing_has_a_line_a_network_and_the_first_frozen_one_dashed():
    runs, toys = load("lazy.late", "laptop"), load("lazy.late_toys", "laptop")
    fig, axes = plt.subplots(1, 3)
    draw_late(axes, runs, toys)
    dashed = [line for line in axes[0].lines if line.get_linestyle() == "--"]
    assert len(dashed) == runs["side"].nunique() and len(axes[0].lines) - len(dashed) == (~runs["frozen"]).sum()
    solid = next(line for line in axes[0].lines if line.get_label() == "d = 25")
    assert dashed[0].get_ydata() == pytest.approx(solid.get_ydata(), rel=0.05)
    assert [line.get_label() for line in axes[2].lines] == ["equal", "one in ten harder", "exponential tail"]
    plt.close(fig)
