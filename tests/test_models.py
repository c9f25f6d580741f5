"""The two-layer network's closed forms against autograd, and the classifiers' shapes, sizes and seeds."""

from __future__ import annotations

import math
from functools import partial

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from advnb.models import Normalise, TwoLayer, cifar_cnn, digits_cnn, example_cnn, initialise, mnist_cnn, wide_resnet


@st.composite
def nets(draw, activations=("relu", "softplus")):
    """A float64 network, and points in rows or as small images."""
    seed, m = draw(st.integers(0, 2**31)), draw(st.integers(1, 30))
    shape = draw(st.sampled_from([(1,), (4,), (1, 2, 3)]))
    net = TwoLayer(
        math.prod(shape),
        m,
        activation=draw(st.sampled_from(activations)),
        init=draw(st.sampled_from(["lazy", "xavier"])),
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
        bias=draw(st.booleans()),
    )
    generator = torch.Generator().manual_seed(seed + 1)
    if net.hidden_bias is not None and net.top_bias is not None:
        for bias in (net.hidden_bias, net.top_bias):
            nn.init.normal_(bias, generator=generator)
    scale = draw(st.sampled_from([0.1, 1.0, 100.0]))  # 100: softplus and sigmoid far out in their tails
    return net, scale * torch.randn((3, *shape), generator=generator, dtype=torch.float64)


def by_autograd(net: TwoLayer, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return gradient.flatten(1), x


@settings(deadline=None, max_examples=100)
@given(nets())
def test_value_and_gradient_are_autograds(problem):
    net, x = problem
    gradient, _ = by_autograd(net, x)
    value, closed_form = net.value_and_gradient(x)
    torch.testing.assert_close(value, net(x).detach(), rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(closed_form, gradient.detach(), rtol=0, atol=1e-10)
    assert torch.equal(net.input_gradient(x), closed_form)
    assert not closed_form.requires_grad


@settings(deadline=None, max_examples=60)
@given(nets(activations=("softplus",)))
def test_the_hessian_is_autograds(problem):
    net, x = problem
    gradient, point = by_autograd(net, x)
    columns = [torch.autograd.grad(gradient[:, j].sum(), point, retain_graph=True)[0] for j in range(net.d)]
    expected = torch.stack([column.flatten(1) for column in columns], 1)
    torch.testing.assert_close(net.hessian(x), expected, rtol=0, atol=1e-10)


def test_a_relu_networks_hessian_is_zero():
    net = TwoLayer(3, 5, dtype=torch.float64)
    x = torch.randn(2, 3, dtype=torch.float64)
    assert torch.equal(net.hessian(x), torch.zeros(2, 3, 3, dtype=torch.float64))


def test_a_network_computed_by_hand():
    """Two units on the line: f(x) = (relu(2x) - relu(x - 1)) / sqrt(2) + 1."""
    net = TwoLayer(1, 2, bias=True, dtype=torch.float64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0], [1.0]]))
        net.signs.copy_(torch.tensor([1.0, -1.0]))
        net.hidden_bias.copy_(torch.tensor([0.0, -1.0]))
        net.top_bias.fill_(1.0)
    x = torch.tensor([[-1.0], [0.5], [3.0]], dtype=torch.float64)
    value, gradient = net.value_and_gradient(x)
    torch.testing.assert_close(value * 2**0.5, torch.tensor([0, 1.0, 4.0], dtype=torch.float64) + 2**0.5)
    torch.testing.assert_close(gradient * 2**0.5, torch.tensor([[0.0], [2.0], [1.0]], dtype=torch.float64))


@pytest.mark.parametrize(("init", "scale"), [("lazy", 1.0), ("xavier", 0.1)])
def test_initial_weights_and_signs_follow_their_laws(init, scale):
    net = TwoLayer(100, 400, init=init, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = net.weight.detach().flatten().numpy()
    assert scipy.stats.kstest(weights, "norm", args=(0, scale)).pvalue > 0.01
    assert set(net.signs.tolist()) == {-1.0, 1.0}
    assert scipy.stats.binomtest(int((net.signs > 0).sum()), 400).pvalue > 0.01


def test_only_weights_and_biases_train_and_everything_is_saved():
    net = TwoLayer(3, 4, activation="softplus", bias=True, generator=torch.Generator().manual_seed(0))
    assert {name for name, _ in net.named_parameters()} == {"weight", "hidden_bias", "top_bias"}
    assert {name for name, _ in TwoLayer(3, 4).named_parameters()} == {"weight"}
    other = TwoLayer(3, 4, activation="softplus", bias=True, generator=torch.Generator().manual_seed(1))
    x = torch.randn(5, 3)
    assert not torch.equal(net(x), other(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x), other(x))
    net(x).sum().backward()
    assert net.weight.grad is not None
    assert net.signs.grad is None


def test_two_layer_arguments():
    with pytest.raises(ValueError, match="activation must be one of 'relu', 'softplus'; got 'tanh'"):
        TwoLayer(2, 3, activation="tanh")
    with pytest.raises(ValueError, match="init must be one of 'lazy', 'xavier'; got 'kaiming'"):
        TwoLayer(2, 3, init="kaiming")
    with pytest.raises(ValueError, match="m must be at least 1; got 0"):
        TwoLayer(2, 0)
    for call in (lambda net, x: net(x), lambda net, x: net.input_gradient(x)):
        with pytest.raises(ValueError, match=r"x must hold 4 numbers an example; got shape \(2, 1, 3\)"):
            call(TwoLayer(4, 3), torch.zeros(2, 1, 3))


def conv(c, f, k=3, bias=True):
    return f * c * k * k + bias * f


def dense(a, b):
    return a * b + b


def wide_parameters(blocks, width, classes):
    """Convolutions without bias, two BatchNorms (2 numbers a channel) a block, 1x1 shortcuts where shapes change."""
    total, channels = conv(3, 16, bias=False), 16
    for filters in (16 * width, 32 * width, 64 * width):
        for k in range(blocks):
            c = channels if k == 0 else filters
            total += 2 * c + conv(c, filters, bias=False) + 2 * filters + conv(filters, filters, bias=False)
            total += conv(c, filters, 1, bias=False) if k == 0 and not (c == filters and filters == 16) else 0
        channels = filters
    return total + 2 * channels + dense(channels, classes)


CLASSIFIERS = {
    "mnist": (
        mnist_cnn,
        (1, 28, 28),
        conv(1, 32) + 64 + conv(32, 64) + 128 + dense(64 * 7 * 7, 128) + dense(128, 10),
    ),
    "digits": (digits_cnn, (1, 8, 8), conv(1, 16) + 32 + conv(16, 32) + 64 + dense(32 * 4, 64) + dense(64, 10)),
    "cifar": (
        cifar_cnn,
        (3, 32, 32),
        sum(conv(c, f) + 2 * f for c, f in [(3, 64), (64, 64), (64, 128), (128, 128), (128, 196), (196, 196)])
        + dense(196 * 4 * 4, 256) + 512 + dense(256, 10),
    ),
    "narrow": (
        partial(cifar_cnn, width=1 / 16),
        (3, 32, 32),
        sum(conv(c, f) + 2 * f for c, f in [(3, 4), (4, 4), (4, 8), (8, 8), (8, 12), (12, 12)])
        + dense(12 * 4 * 4, 16) + 32 + dense(16, 10),
    ),
    "example": (example_cnn, (1, 28, 28), conv(1, 32) + conv(32, 64) + dense(64 * 12 * 12, 128) + dense(128, 10)),
    "wide": (
        lambda classes=10, generator=None: wide_resnet(10, 2, classes, generator=generator),
        (3, 32, 32),
        wide_parameters(1, 2, 10),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_has_the_papers_size_and_can_be_traced(name):
    build, shape, parameters = CLASSIFIERS[name]
    model = build(generator=torch.Generator().manual_seed(0)).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    x = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
    logits = model(x)
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()
    assert not torch.equal(logits[0], logits[1])
    torch.testing.assert_close(fx.symbolic_trace(model)(x), logits)
    assert build(classes=3)(x).shape == (2, 3)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_generator_seeds_a_classifier_and_spares_the_global_state(name):
    build, shape, _ = CLASSIFIERS[name]
    state = torch.get_rng_state()
    a, b, c = (build(generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    pairs = [(a.state_dict()[key], b.state_dict()[key], c.state_dict()[key]) for key in a.state_dict()]
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert not all(torch.equal(one, three) for one, _, three in pairs)
    assert all(not parameter.is_meta for parameter in [*a.parameters(), *a.buffers()])
    a.train()(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert all(parameter.grad is not None for parameter in a.parameters())


def test_two_layer_spares_the_global_state_too():
    state = torch.get_rng_state()
    a, b = (TwoLayer(5, 7, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(a.weight, b.weight)
    assert torch.equal(a.signs, b.signs)


def test_the_wide_resnet_of_the_paper_has_46_million_parameters():
    with torch.device("meta"):
        model = wide_resnet()
    assert sum(parameter.numel() for parameter in model.parameters()) == wide_parameters(5, 10, 10) == 46_160_474
    assert len([module for module in model.modules() if isinstance(module, nn.Conv2d)]) == 1 + 2 * 15 + 3


def test_initial_weights_follow_torchs_default_law():
    model = mnist_cnn(generator=torch.Generator().manual_seed(0))
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5
            law = {"cdf": "uniform", "args": (-bound, 2 * bound)}
            for parameter in (module.weight, module.bias):
                assert scipy.stats.kstest(parameter.detach().flatten().numpy(), **law).pvalue > 1e-3
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.running_var == 1).all()
            assert (module.running_mean == 0).all()


def test_initialise_draws_afresh_in_place():
    model = digits_cnn()
    again = initialise(model, torch.Generator().manual_seed(4))
    assert again is model
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(model.eval()(x), digits_cnn(generator=torch.Generator().manual_seed(4)).eval()(x))


def test_normalisation_lives_inside_the_model():
    plain, normalised = (
        mnist_cnn(normalisation=values, generator=torch.Generator().manual_seed(0)).eval()
        for values in (None, ((0.25,), (0.5,)))
    )
    x = torch.rand((2, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalised(x), plain((x - 0.25) / 0.5))
    assert {"0.mean", "0.std"} <= set(normalised.state_dict())
    assert isinstance(example_cnn()[0], Normalise)
    for values in (((0.5,), (0.0,)), ((0.5, 0.5), (1.0,))):
        with pytest.raises(ValueError, match="normalisation must hold a mean and a std above 0 a channel"):
            Normalise(*values)


def test_other_sides_and_channels():
    x = torch.rand(2, 3, 16, 16)
    for build in (mnist_cnn, digits_cnn, cifar_cnn):
        assert build(in_channels=3, side=16)(x).shape == (2, 10)
    assert example_cnn(in_channels=3, side=16, normalisation=None)(x).shape == (2, 10)
    assert wide_resnet(10, 1)(x).shape == (2, 10)


def test_classifier_arguments():
    with pytest.raises(ValueError, match=r"depth must be 6 k \+ 4 .*; got 12"):
        wide_resnet(12)
    with pytest.raises(ValueError, match="side must be at least 8; got 4"):
        cifar_cnn(side=4)
    with pytest.raises(ValueError, match="width must be a finite number above 0; got 0"):
        cifar_cnn(width=0)
    with pytest.raises(ValueError, match="classes must be at least 1; got 0"):
        mnist_cnn(classes=0)
    with pytest.raises(ValueError, match="in_channels must be at least 1; got 0"):
        wide_resnet(10, 1, in_channels=0)
    with pytest.raises(ValueError, match=r"normalisation must hold one value for each of 1 channels; got \(0.1, 0.2\)"):
        mnist_cnn(normalisation=((0.1, 0.2), (1.0, 1.0)))
    with pytest.raises(TypeError, match="unexpected keyword argument 'padding'"):
        cifar_cnn(padding=1)


def test_a_two_layer_network_can_be_traced():
    net = TwoLayer(6, 4, activation="softplus", generator=torch.Generator().manual_seed(0))
    x = torch.rand((3, 1, 2, 3), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(fx.symbolic_trace(net)(x), net(x))
