"""Late training: the trial against plain SGD and autograd, and what is said of the conditions' tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import softplus

from advnb.models import TwoLayer
from advnb.papers.lazy.exits.claims import decades, foreseen_norm
from advnb.papers.lazy.exits.late import DIFFICULTIES, PER_LOOK, _Late, _toy, late
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
