"""What the fuzz tests have found, each in a test of its own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from advnb.attacks import minimal_flip, pgd
from advnb.audit import audit
from advnb.balls import L2, Linf
from advnb.criterion import fosc
from advnb.evaluation import accuracy
from advnb.models import TwoLayer
from advnb.training import Unsecured, fit

X, Y = torch.tensor([[0.2, 0.4], [0.6, 0.8]]), torch.tensor([0, 1])


class Calls(nn.Module):
    """A model that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def linear() -> nn.Module:
    return nn.Linear(2, 2).eval()


def test_a_flip_of_weights_that_are_nan_is_no_robust_network():
    """It said that no step changes the sign."""
    net = TwoLayer(2, 4)
    with torch.no_grad():
        net.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="net or its gradient is NaN or infinite for 2 of 2 examples"):
        minimal_flip(net, X)


def test_a_model_that_writes_into_its_input_does_not_write_into_the_callers():
    """Two rows of x were changed before anything else was; under accuracy all of them."""
    inner, x = linear(), X.clone()
    model = Calls(lambda v: inner(v.mul_(0.5))).eval()
    for measure in (pgd, lambda *a: fosc(a[0], x, *a[1:]), lambda *a: audit(*a, progress=False)):
        with pytest.raises(ValueError, match="the model changes its input x in place"):
            measure(model, x, Y, Linf(0.1))
    assert accuracy(model, (x, Y)) in (0, 0.5, 1)
    assert torch.equal(x, X)


def test_a_ball_whose_norms_overflow_is_refused():
    """Distances were infinite, and compared with an infinite allowance for rounding, so every point lay inside."""
    half = X.half()
    for ball in (L2(1e30), L2(3e38), Linf(1e5, box=None), Linf(0.1, box=(-1e30, 1e30))):
        with pytest.raises(ValueError, match=r"(eps|box) must be at most 1.64e\+04 for x of 2 torch.float16"):
            ball.sample(half)
    with pytest.raises(ValueError, match=r"eps must be at most 3.26e\+18 for x of 2 torch.float32; got 1e\+30"):
        pgd(linear(), X, Y, L2(1e30))
    with pytest.raises(ValueError, match="x must be at most"):
        pgd(linear(), X * 1e30, Y, L2(1.0))
    assert L2(1e30).sample(X.double()).isfinite().all()


def test_an_eps_whose_quarter_is_zero_is_refused():
    with pytest.raises(ValueError, match=r"eps must be at least 2\.22507e-308"):
        L2(5e-324)


def test_a_graph_cut_behind_weights_of_its_own_is_named():
    """The weights of a function are not the model's, so the loss had a graph, if none to x."""
    inner = linear()
    with pytest.raises(ValueError, match="the loss does not depend on x"):
        pgd(Calls(lambda v: inner(v.detach())).eval(), X, Y, Linf(0.1))


def test_an_audit_flags_a_graph_cut_behind_weights_of_its_own():
    inner = linear()
    report = audit(Calls(lambda v: inner(v.detach())).eval(), X, Y, Linf(0.1), steps=1, restarts=1, progress=False)
    assert "no-gradient" in report.flags


@pytest.mark.parametrize("make", [lambda v: (v, v), lambda v: None, lambda v: {"logits": v}])
def test_a_model_that_returns_no_tensor_is_named(make):
    model = Calls(make).eval()
    for measure in (pgd, lambda *a: accuracy(a[0], a[1:3]), lambda *a: audit(*a, progress=False)):
        with pytest.raises(TypeError, match=r"the model must return its logits as a torch.Tensor; got \w+"):
            measure(model, X, Y, Linf(0.1))


def test_a_model_that_cannot_take_x_is_named_with_its_own_words():
    for x in (X.double(), torch.cat([X, X], 1).clamp(0, 1)):
        for measure in (pgd, lambda *a: accuracy(a[0], a[1:3])):
            with pytest.raises(
                ValueError, match=r"the model cannot take x of shape \(2, [24]\) in torch.float.*: mat1"
            ):
                measure(linear(), x, Y, Linf(0.1))


def test_a_model_that_runs_out_of_memory_says_so():
    def full(_):
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError, match="full"):
        pgd(Calls(full).eval(), X, Y, Linf(0.1))


def test_tensors_without_numbers_are_named():
    with pytest.raises(ValueError, match="x must hold numbers; it is on the device meta"):
        pgd(linear(), X.to("meta"), Y, Linf(0.1))
    with pytest.raises(ValueError, match="y must hold numbers; it is on the device meta"):
        pgd(linear(), X, Y.to("meta"), Linf(0.1))
    with pytest.raises(ValueError, match="y must hold numbers; it is on the device meta"):
        fit(linear(), (X, Y.to("meta")), Unsecured(), epochs=1, progress=False)


def test_inputs_made_in_inference_mode_are_named():
    with torch.inference_mode():
        x = X.clone()
    with pytest.raises(ValueError, match=r"x must be able to have a gradient.* x.clone\(\)"):
        pgd(linear(), x, Y, Linf(0.1))
    assert torch.equal(pgd(linear(), x.clone(), Y, Linf(0.1), steps=1), x) is False


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_targets_that_are_no_real_numbers_are_named(dtype):
    model = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).eval()
    with pytest.raises(TypeError, match="y must hold real numbers; got torch"):
        pgd(model, X, Y.to(dtype), Linf(0.1), loss="squared")


def test_data_that_are_no_pair_are_named():
    with pytest.raises(ValueError, match="data must be a pair"):
        accuracy(linear(), (X, Y, Y))
    with pytest.raises(TypeError, match=r"x must be a torch.Tensor; got NoneType"):
        accuracy(linear(), (None, Y))


def test_training_on_images_with_a_graph_behind_them():
    """The second epoch asked for a graph that the first update had freed."""
    x = X.clone().requires_grad_() * 1.0
    history = fit(nn.Linear(2, 2), (x, Y), Unsecured(), epochs=2, progress=False)
    assert history["loss"].notna().all()
