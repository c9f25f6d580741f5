"""What raises, and with which words: every guard of the attacks and of the criterion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from advnb import checks, losses
from advnb.attacks import ascend, cw, fgsm, pgd
from advnb.balls import L2, Linf
from advnb.criterion import fosc


@pytest.fixture
def x() -> torch.Tensor:
    return torch.full((3, 1, 2, 2), 0.5)


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, 1, 2])


ATTACKS = [fgsm, pgd, cw]


@pytest.mark.parametrize("ball", [Linf, L2])
@pytest.mark.parametrize(
    ("eps", "error", "match"),
    [
        (-0.1, ValueError, "eps must be a finite number above 0; got -0.1"),
        (0, ValueError, "eps must be a finite number above 0; got 0"),
        (float("nan"), ValueError, "eps must be a finite number above 0; got nan"),
        (float("inf"), ValueError, "eps must be a finite number above 0; got inf"),
        ("8/255", TypeError, "eps must be a number; got '8/255'"),
        (None, TypeError, "eps must be a number; got None"),
        (True, TypeError, "eps must be a number; got True"),
    ],
)
def test_eps(ball, eps, error, match):
    with pytest.raises(error, match=match):
        ball(eps)


def test_eps_wider_than_the_box_in_linf():
    with pytest.raises(ValueError, match=r"eps .*8.* wider than the box .*255"):
        Linf(8)
    assert L2(8, box=(0.0, 1.0)).eps == 8  # a radius may be larger than the box's side
    assert Linf(8, box=(0.0, 255.0)).eps == 8


@pytest.mark.parametrize("box", [(1.0, 0.0), (0.0, 0.0), (0.0,), 3.0, "ab", "01", (0.0, None), (0.0, torch.ones(2))])
@pytest.mark.parametrize("ball", [Linf, L2])
def test_box(ball, box):
    with pytest.raises(ValueError, match="box must be"):
        ball(0.1, box=box)


@pytest.mark.parametrize("attack", ATTACKS)
class TestEveryAttack:
    def test_inputs_outside_the_box(self, attack, linear, x, y):
        with pytest.raises(ValueError, match=r"x must lie in the box \[0, 1\]; it ranges over \[0.5, 127\]"):
            attack(linear, torch.where(torch.arange(4).view(2, 2) == 0, 127.0, x), y, Linf(0.1))

    def test_integer_pixels(self, attack, linear, x, y):
        with pytest.raises(TypeError, match=r"x must be a floating-point tensor .*0-255.*uint8"):
            attack(linear, (x * 255).to(torch.uint8), y, Linf(0.1))

    def test_numpy_input(self, attack, linear, x, y):
        with pytest.raises(TypeError, match=r"x must be a torch.Tensor; got ndarray"):
            attack(linear, x.numpy(), y, Linf(0.1))

    def test_nan_input(self, attack, linear, x, y):
        with pytest.raises(ValueError, match="x must be finite"):
            attack(linear, torch.full_like(x, float("nan")), y, Linf(0.1))

    def test_empty_batch(self, attack, linear, x, y):
        with pytest.raises(ValueError, match="x must hold at least one example; got an empty batch"):
            attack(linear, x[:0], y[:0], Linf(0.1))

    def test_unbatched_input(self, attack, linear, y):
        with pytest.raises(ValueError, match="x must be a batch with at least two dimensions"):
            attack(linear, torch.rand(4), y, Linf(0.1))

    def test_label_count(self, attack, linear, x, y):
        with pytest.raises(ValueError, match=r"y must have shape \(3,\), one label an example; got \(2,\)"):
            attack(linear, x, y[:2], Linf(0.1))

    def test_label_type(self, attack, linear, x, y):
        with pytest.raises(TypeError, match=r"y must hold class indices as torch.int64; got torch.float32"):
            attack(linear, x, y.float(), Linf(0.1))
        with pytest.raises(TypeError, match=r"y must be a torch.Tensor; got list"):
            attack(linear, x, [0, 1, 2], Linf(0.1))

    def test_label_range(self, attack, linear, x):
        with pytest.raises(ValueError, match=r"y must hold labels in \[0, 3\); it ranges over \[0, 3\]"):
            attack(linear, x, torch.tensor([0, 1, 3]), Linf(0.1))
        with pytest.raises(ValueError, match=r"y must hold labels in \[0, .*\[-1, 2\]"):
            attack(linear, x, torch.tensor([0, -1, 2]), Linf(0.1))

    def test_train_mode(self, attack, linear, x, y):
        with pytest.raises(ValueError, match=r"model is in train mode: call model.eval\(\).*allow_train_mode=True"):
            attack(linear.train(), x, y, Linf(0.1))
        assert attack(linear, x, y, Linf(0.1), allow_train_mode=True).shape == x.shape
        assert linear.training

    def test_one_layer_left_in_train_mode(self, attack, linear, x, y):
        linear[1].train()
        with pytest.raises(ValueError, match="model is in train mode"):
            attack(linear, x, y, Linf(0.1))

    def test_a_function_is_no_model(self, attack, x, y):
        with pytest.raises(TypeError, match=r"model must be a torch.nn.Module that returns logits; got function"):
            attack(lambda z: z, x, y, Linf(0.1))

    def test_a_number_is_no_ball(self, attack, linear, x, y):
        with pytest.raises(TypeError, match=r"ball must be Linf\(eps\) or L2\(eps\); got float"):
            attack(linear, x, y, 0.1)

    def test_output_without_classes(self, attack, x, y):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).eval()
        with pytest.raises(ValueError, match=r"needs logits of shape .* at least two classes; .*returned \(2, 1\)"):
            attack(model, x, y, Linf(0.1))

    def test_nan_gradient_names_how_many_and_leaves_the_model_alone(self, attack, x, y):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
        with torch.no_grad():
            model[1].weight[0, 0] = float("nan")
        with pytest.raises(ValueError, match="NaN or infinite for 3 of 3 examples"):
            attack(model, x, y, Linf(0.1))
        assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_reduced_loss(attack, linear, x, y):
    with pytest.raises(ValueError, match=r"shape \(3,\); .* returned \(\). Is it already reduced"):
        attack(linear, x, y, Linf(0.1), loss=nn.functional.cross_entropy)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_unknown_loss(attack, linear, x, y):
    with pytest.raises(ValueError, match=r"loss must be one of 'cross_entropy', .*'squared'; got 'hinge'"):
        attack(linear, x, y, Linf(0.1), loss="hinge")


def test_loss_that_ignores_the_input(linear, x, y):
    with pytest.raises(ValueError, match="the loss does not depend on x"):
        pgd(linear, x, y, Linf(0.1), loss=lambda output, target: output.detach().sum(1))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"steps": 2.5}, ValueError, "steps must be a whole number; got 2.5"),
        ({"step_size": 0.0}, ValueError, "step_size must be a finite number above 0; got 0.0"),
        ({"step_size": -1}, ValueError, "step_size must be a finite number above 0; got -1"),
        ({"step_size": "big"}, TypeError, "step_size must be a number; got 'big'"),
        ({"direction": "sign"}, ValueError, "direction must be one of 'gradient', 'steepest'; got 'sign'"),
        ({"random_start": 1}, TypeError, "random_start must be True or False; got 1"),
        ({"allow_train_mode": "no"}, TypeError, "allow_train_mode must be True or False; got 'no'"),
        ({"generator": 0}, TypeError, "generator must be a torch.Generator or None; got 0"),
        ({"autocast": "bf16"}, TypeError, "autocast must be a dtype of torch or None; got 'bf16'"),
        ({"gap": 0.1}, TypeError, r"gap must be a function \(grad, x_k, x, start\) -> \(n,\) or None; got 0.1"),
        ({"trace": 1}, ValueError, "trace must be one of 'before', 'steps', 'x'; got 1"),
        ({"step_size": lambda k: -0.1}, ValueError, r"step_size\(0\) must be finite and at least 0; got -0.1"),
        ({"step_size": lambda k: "0.1"}, TypeError, r"step_size\(0\) must be a number; got '0.1'"),
        ({"loss": lambda output, y: 0.1}, TypeError, "loss must return a torch.Tensor; '<lambda>' returned 0.1"),
        ({"fosc_below": -0.1}, ValueError, "fosc_below must be at least 0; got -0.1"),
        ({"fosc_below": float("nan")}, ValueError, "fosc_below must be at least 0; got nan"),
        ({"fosc_below": "small"}, TypeError, "fosc_below must be a number; got 'small'"),
        ({"fosc_below": float("nan"), "gap": min}, ValueError, "fosc_below must be at least -inf; got nan"),
        ({"trace": "all"}, ValueError, "trace must be one of 'before', 'steps', 'x'; got 'all'"),
        ({"chunk": 0}, ValueError, "chunk must be at least 1; got 0"),
    ],
)
def test_pgd_options(linear, x, y, options, error, match):
    with pytest.raises(error, match=match):
        pgd(linear, x, y, Linf(0.1), **options)


def test_start(linear, x, y):
    with pytest.raises(ValueError, match=r"start must have the shape of x, \(3, 1, 2, 2\); got \(2, 1, 2, 2\)"):
        pgd(linear, x, y, Linf(0.1), start=x[:2])
    with pytest.raises(ValueError, match=r"start must have the dtype of x, torch.float32; got torch.float64"):
        pgd(linear, x, y, Linf(0.1), start=x.double())
    with pytest.raises(ValueError, match=r"start must lie in the ball of radius 0.1 around x"):
        pgd(linear, x, y, Linf(0.1), start=x + 0.2)


@pytest.mark.parametrize(
    ("loss", "target", "error", "match"),
    [
        ("logistic", [0.0, 1.0, 1.0], ValueError, r"y must hold the labels -1 and \+1; got \[0.0, 1.0\]"),
        ("squared", [0.0, float("nan"), 1.0], ValueError, "y must be finite"),
        ("squared", [0.0, 1.0], ValueError, r"y must have shape \(3,\), one target an example; got \(2,\)"),
        ("logistic", [1.0, -1.0, 1.0], ValueError, r"one output an example, shape \(2,\); .*returned \(2, 3\)"),
    ],
)
def test_scalar_losses(linear, x, loss, target, error, match):
    with pytest.raises(error, match=match):
        pgd(linear, x, torch.tensor(target), Linf(0.1), loss=loss)


def test_cw_options(linear, x, y):
    with pytest.raises(ValueError, match="kappa must be at least 0; got -1"):
        cw(linear, x, y, Linf(0.1), kappa=-1)
    with pytest.raises(TypeError, match="kappa must be a number; got None"):
        cw(linear, x, y, Linf(0.1), kappa=None)
    with pytest.raises(TypeError, match="cw has its own loss"):
        cw(linear, x, y, Linf(0.1), loss="cross_entropy")


def test_fosc_guards(linear, x, y):
    with pytest.raises(ValueError, match="in the ball"):
        fosc(linear, x + 0.2, x, y, Linf(0.1))
    with pytest.raises(ValueError, match="model is in train mode"):
        fosc(linear.train(), x, x, y, Linf(0.1))
    linear.eval()
    with pytest.raises(ValueError, match="Is it already reduced"):
        fosc(linear, x, x, y, Linf(0.1), loss=nn.functional.cross_entropy)
    with pytest.raises(ValueError, match=r"labels in \[0, 3\)"):
        fosc(linear, x, x, y + 1, Linf(0.1))


def test_a_failed_step_leaves_the_flags(linear, x, y):
    linear[1].bias.requires_grad_(False)

    def fails_at_the_third_call(output, target, calls=[]):  # noqa: B006 - the list is the counter
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("third call")
        return losses.cross_entropy(output, target)

    with pytest.raises(RuntimeError, match="third call"):
        pgd(linear, x, y, Linf(0.1), loss=fails_at_the_third_call)
    assert [parameter.requires_grad for parameter in linear.parameters()] == [True, False]
    assert not linear.training


def test_ascend_reports_a_gradient_that_turns_bad_on_the_way():
    x = torch.full((2, 3), 0.5)

    def gradient(z, rows):
        return z.sum(1), torch.where(z > 0.55, float("nan"), 1.0)

    with pytest.raises(ValueError, match="NaN or infinite for 2 of 2 examples"):
        ascend(gradient, x, Linf(0.2), start=x, steps=5, step_size=0.03)


@pytest.mark.parametrize(
    ("value", "error", "given"),
    [
        (2.5, ValueError, "2.5"),
        (float("nan"), ValueError, "nan"),
        (float("inf"), ValueError, "inf"),
        (None, TypeError, "None"),
        (True, TypeError, "True"),
        ("3", TypeError, "'3'"),
        ([3], TypeError, r"\[3\]"),
        (1j, TypeError, "1j"),
        (torch.ones(2), TypeError, r"tensor\(\[1., 1.\]\)"),
    ],
)
def test_count(value, error, given):
    with pytest.raises(error, match=f"n must be a whole number; got {given}"):
        checks.count("n", value)


def test_count_takes_whole_numbers_of_any_type():
    for value in (3, 3.0, np.int64(3), np.float32(3), torch.tensor(3)):
        assert checks.count("n", value) == 3 and type(checks.count("n", value)) is int
    assert checks.count("n", 2**63 + 1) == 2**63 + 1
    with pytest.raises(ValueError, match="n must be at least 3; got 2"):
        checks.count("n", 2, minimum=3)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([1], TypeError, r"s must be a number; got \[1\]"),
        (torch.ones(2), TypeError, r"s must be a number; got tensor"),
        (10**400, ValueError, "s must be a finite number above 0; got 1000"),
        (-(10**400), ValueError, "s must be a finite number above 0; got -1000"),
    ],
)
def test_positive(value, error, match):
    with pytest.raises(error, match=match):
        checks.positive("s", value)


def test_alike():
    with pytest.raises(ValueError, match="a must be on the device of b, meta; got cpu"):
        checks.alike("a", torch.zeros(1), "b", torch.zeros(1, device="meta"))
