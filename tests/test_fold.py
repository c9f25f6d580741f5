"""A folded network computes the same function, faster, and shares nothing with the original."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.fold import Folding, fold, is_folded
from advnb.gradients import loss_and_gradient
from advnb.models import cifar_cnn, mnist_cnn, wide_resnet


def warmed(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give BatchNorm statistics of its own, so that folding has something to do."""
    generator = torch.Generator().manual_seed(1)
    model.train()
    for _ in range(3):
        model(torch.rand((8, *shape), generator=generator))
    return model.eval()


@pytest.mark.parametrize(
    ("build", "shape"), [(mnist_cnn, (1, 28, 28)), (cifar_cnn, (3, 32, 32)), (partial(wide_resnet, 10, 1), (3, 32, 32))]
)
def test_the_function_and_its_gradient_stay(build, shape):
    model = warmed(build(generator=torch.Generator().manual_seed(0)), shape).double()
    x = torch.rand((5, *shape), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = torch.arange(5)
    for before, after in zip(loss_and_gradient(model, x, y), loss_and_gradient(fold(model), x, y), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)


def test_batch_norm_is_gone_and_the_pool_comes_first():
    model = warmed(mnist_cnn(generator=torch.Generator().manual_seed(0)), (1, 28, 28))
    folded = fold(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    kinds = [type(dict(folded.network.named_modules()).get(str(node.target))) for node in folded.network.graph.nodes]
    spatial = [kind for kind in kinds if kind in (nn.Conv2d, nn.MaxPool2d, nn.ReLU)]
    assert spatial[:6] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU] * 2


def test_the_attack_is_equally_strong(trained, digits):
    x, y = digits.test.x, digits.test.y
    start = Linf(0.1).sample(x, generator=torch.Generator().manual_seed(0))
    accuracies = []
    for model in (trained, fold(trained)):
        x_adv = pgd(model, x, y, Linf(0.1), start=start)
        with torch.no_grad():
            accuracies.append(float((trained(x_adv).argmax(1) == y).double().mean()))
    assert abs(accuracies[0] - accuracies[1]) <= 2 / len(x)


def test_the_original_is_left_alone(trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    folded = fold(trained)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_a_network_that_cannot_be_traced_still_runs():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            z = self.layer(x.flatten(1))
            return z if z.sum() > 0 else -z

    model, x = Branching().eval(), torch.rand(3, 4)
    torch.testing.assert_close(fold(model)(x), model(x))


def test_train_mode_is_refused():
    with pytest.raises(ValueError, match="model is in train mode"):
        fold(nn.Linear(2, 2))


def small(**options) -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3, padding=1, **options), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)]
    return warmed(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8))


X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU())])
def test_a_model_with_nothing_to_fold_is_used_as_it_is(model):
    assert fold(model.eval()) is model and Folding()(model) is model and not is_folded(model)


def test_a_folded_model_is_not_folded_again():
    folded = fold(small())
    assert is_folded(folded) and fold(folded) is folded and Folding()(folded) is folded


def step(model: nn.Module) -> None:
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    model(X).sum().backward()
    optimiser.step()


def assign(model: nn.Module) -> None:
    model[0].weight.data = model[0].weight.data * 2


def write(model: nn.Module) -> None:
    model[0].weight.data.mul_(2)  # this does not raise the version of the parameter


def replace(model: nn.Module) -> None:
    model[0].weight = nn.Parameter(model[0].weight.detach() * 2)


def load(model: nn.Module) -> None:
    model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()})


def statistics(model: nn.Module) -> None:
    model.train()(X)
    model.eval()


def layer(model: nn.Module) -> None:
    model[0] = nn.Conv2d(1, 4, 3, padding=1).eval()


@pytest.mark.parametrize("change", [step, assign, write, replace, load, statistics, layer])
def test_the_copy_follows_its_model(change):
    model, folding = small(), Folding()
    copied = folding(model, X)
    before = copied(X)
    assert folding(model) is copied and folding(model, X) is copied
    change(model)
    after = folding(model, X)
    assert is_folded(after) and (after is copied) == (change is not layer)
    torch.testing.assert_close(after(X), model(X), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(after(X), before)


def test_the_copy_follows_its_model_to_another_dtype_and_back_from_train_mode():
    model, folding = small(), Folding()
    folding(model)
    assert folding(model.double())(X.double()).dtype == torch.float64
    assert folding(model.train()) is model
    assert is_folded(folding(model.eval())) and folding(model.bfloat16()) is model


def test_what_is_computed_from_a_buffer_is_computed_again():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.tensor([2.0]))
            self.rest = small()

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(x * self.scale.view(-1, 1, 1, 1))

    model, folding = Scaled().eval(), Folding()
    folding(model, X)
    model.scale.fill_(3.0)
    assert is_folded(folding(model))
    torch.testing.assert_close(folding(model)(X), model(X), rtol=1e-4, atol=1e-5)


def test_a_folding_is_copied_and_stored_without_its_copy():
    folding = Folding()
    folding(small())
    for other in (copy.deepcopy(folding), pickle.loads(pickle.dumps(folding))):
        assert isinstance(other, Folding) and other._copy is None


class Around(nn.Module):
    """A small network with something done to its input, its output or itself."""

    def __init__(self, act) -> None:
        super().__init__()
        self.rest, self.act, self.calls = small(), act, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self, x)


def counted(model: Around, x: Tensor) -> Tensor:
    model.calls += 1
    return model.rest(x)


def unhindered(model: Around, x: Tensor) -> Tensor:
    with torch.no_grad():
        noise = (8 * x).round() / 8 - x
    return model.rest(x + noise)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


ODD = {
    "draws a constant": lambda model, x: model.rest(x + 0.1 * torch.rand(1)),
    "draws": lambda model, x: model.rest(x + 1e-6 * torch.rand_like(x)),
    "counts": counted,
    "branches": lambda model, x: model.rest(x if x.mean() > 0.5 else -x),
    "asks for its type": lambda model, x: model.rest(2 * x if isinstance(x, Tensor) else x),
    "rounds with a straight-through gradient": unhindered,
    "has a gradient of its own": lambda model, x: model.rest(Doubled.apply(x)),
    "runs without a gradient": lambda model, x: model.rest(x.detach()),
    "changes its input": lambda model, x: model.rest(x.add_(0)),
    "returns a pair": lambda model, x: (model.rest(x), x),
    "fails": lambda model, x: model.rest(x[:, 2:]),
}


@pytest.mark.parametrize("what", ODD)
def test_a_model_whose_copy_is_or_may_be_another_function_is_used_as_it_is(what):
    model, folding, state = Around(ODD[what]), Folding(), torch.get_rng_state()
    for _ in range(2):
        assert folding(model, X) is model
    assert torch.equal(state, torch.get_rng_state())
    assert is_folded(folding(Around(lambda model, x: model.rest(2 * x)), X))


@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"])
@pytest.mark.parametrize("where", [None, 1])
def test_a_model_with_hooks_is_used_as_it_is(hook, where):
    model = small()
    assert is_folded(fold(model))
    handle = getattr(model if where is None else model[where], hook)(lambda *_: None)
    assert fold(model) is model
    handle.remove()
    assert is_folded(fold(model))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_what_is_not_a_plain_network_is_used_as_it_is():
    weighted = small()
    nn.utils.parametrizations.weight_norm(weighted[0]).eval()
    compiled = small()
    compiled[0].compile(backend="eager")
    for model in (weighted, compiled, torch.compile(small(), backend="eager"), torch.jit.trace(small(), X)):
        assert fold(model) is model
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_folded(fold(small()))


def test_batch_norm_stays_where_it_cannot_be_folded():
    """Without running statistics, and behind a layer that is read or called twice."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x)) + self.conv(self.conv(x))

    batch = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten()).eval()
    for model in (warmed(Twice(), (1, 8, 8)), batch):
        folded = fold(model)
        assert any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
        torch.testing.assert_close(folded(X), model(X))


@pytest.mark.parametrize("indices", [False, True])
def test_functions_are_rearranged_like_modules_but_not_a_pool_with_indices(indices):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            active = F.relu(self.conv(x))
            return torch.stack(F.max_pool2d(active, 2, return_indices=True)) if indices else F.max_pool2d(active, 2)

    model = Net().eval()
    folded = fold(model)
    torch.testing.assert_close(folded(X), model(X))
    names = [node.name for node in folded.network.graph.nodes]
    pool = next(name for name in names if "pool" in name)
    assert (names.index(pool) < names.index("relu")) == (not indices)
