"""What attacks and criteria share: the frozen network, its loss and gradient, and the check that these are finite."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advnb import checks, gradients

TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_one_bad_entry_anywhere_is_seen(dtype, bad):
    for place in (0, 17, 999):
        grad = torch.ones(3, 1000, dtype=dtype)
        grad[1, place] = bad
        with pytest.raises(checks.NotFinite, match="is NaN or infinite for 1 of 3 examples"):
            gradients.check_finite(gradients.checksum(grad))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_finite_entries_pass_also_where_their_sum_does_not(dtype):
    grad = torch.full((2, 3, 5), torch.finfo(dtype).max, dtype=dtype)
    grad[1] *= -1
    assert not torch.isfinite(grad[0].sum())
    gradients.check_finite(gradients.checksum(grad))


def test_a_frozen_network_computes_no_gradient_of_its_weights_and_is_given_back():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    model[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="on purpose"), gradients.frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        model(torch.rand(5, 4))
        raise RuntimeError("on purpose")
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_loss_and_gradient_are_per_example_and_hold_no_graph(linear):
    x, y = torch.rand(3, 1, 2, 2, requires_grad=True), torch.tensor([0, 1, 2])
    loss, grad, output = gradients.loss_and_gradient(linear, x, y)
    expected = torch.stack([row.softmax(0) - nn.functional.one_hot(t, 3) for row, t in zip(linear(x), y, strict=True)])
    torch.testing.assert_close(grad.flatten(1), expected @ linear[1].weight)
    assert loss.shape == (3,) and grad.shape == x.shape and output.shape == (3, 3)
    assert not any(part.requires_grad for part in (loss, grad, output))


def test_images_go_through_a_cpu_in_chunks():
    images, rows = torch.zeros(100, 1, 2, 2), torch.zeros(100, 4)
    assert gradients.chunks(images, None) == [slice(0, 64), slice(64, 128)]
    assert gradients.chunks(rows, None) == gradients.chunks(images.to("meta"), None) == [slice(0, 100)]
    assert [len(images[part]) for part in gradients.chunks(images, 30)] == [30, 30, 30, 10]
