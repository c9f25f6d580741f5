"""A folded network computes the same function, faster, and shares nothing with the original."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnb.attacks import cw, fgsm, pgd
from advnb.balls import Linf
from advnb.fold import Folding, fold, is_folded
from advnb.gradients import loss_and_gradient
from advnb.kernels import FewChannels
from advnb.losses import cross_entropy
from advnb.models import cifar_cnn, digits_cnn, initialise, mnist_cnn, wide_resnet


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
    spatial = [kind for kind in kinds if issubclass(kind, nn.Conv2d | nn.MaxPool2d | nn.ReLU)]
    assert spatial[:6] == [FewChannels, nn.MaxPool2d, nn.ReLU, nn.Conv2d, nn.MaxPool2d, nn.ReLU]


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


def small() -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))
    return warmed(initialise(model, torch.Generator().manual_seed(0)), (1, 8, 8))


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


# --- attacks fold by themselves ---------------------------------------------------------------------------------


def test_by_default_an_attack_is_as_strong_as_on_the_model_as_it_is(trained, digits):
    x, y, ball = digits.test.x[:500], digits.test.y[:500], Linf(0.1)
    start = ball.sample(x, generator=torch.Generator().manual_seed(0))
    for attack in (partial(pgd, start=start), partial(pgd, start=start, steps=40), fgsm, partial(cw, start=start)):
        found = []
        for fold_it in (True, False):
            x_adv = attack(trained, x, y, ball, fold=fold_it)
            with torch.no_grad():
                output = trained(x_adv)
            found.append((int((output.argmax(1) == y).sum()), float(cross_entropy(output, y).mean())))
        (right, loss), (right_plain, loss_plain) = found
        assert abs(right - right_plain) <= 1 and abs(loss - loss_plain) <= 1e-3 * max(1.0, loss_plain)


class Watched(nn.Module):
    """Appends to a list at each call, of its copies too."""

    def __init__(self, calls: list[int]) -> None:
        super().__init__()
        self.rest, self.note = small(), lambda: calls.append(1)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.note()
        return self.rest(x)


@pytest.mark.parametrize(
    ("n", "steps", "options", "expected"),
    # checked, traced, compared; or checked and a gradient a step; from 256 gradients of one example on
    [(64, 10, {}, 3), (64, 10, {"fold": True}, 3), (64, 10, {"fold": False}, 11), (8, 10, {}, 11), (32, 8, {}, 3),
     (51, 5, {}, 6)],
)  # fmt: skip
def test_a_copy_is_attacked_where_that_pays(n, steps, options, expected):
    calls, y = [], torch.zeros(n, dtype=torch.int64)
    pgd(Watched(calls), torch.rand(n, 1, 8, 8), y, Linf(0.1), steps=steps, **options)
    assert len(calls) == expected


def test_a_folding_serves_many_attacks():
    calls = []
    model, folding, y = Watched(calls), Folding(), torch.zeros(4, dtype=torch.int64)
    for k in range(3):
        pgd(model, X, y, Linf(0.1), fold=folding)
        assert len(calls) == 3 + k  # only checked, once the copy is there
    fgsm(folding(model), X, y, Linf(0.1))
    assert len(calls) == 5


PLAIN = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)),
    **{what: lambda what=what: Around(ODD[what]) for what in ("counts", "branches", "has a gradient of its own")},
}


@pytest.mark.parametrize("what", PLAIN)
def test_what_is_not_folded_is_attacked_bit_for_bit_as_it_is(what):
    model = initialise(PLAIN[what](), torch.Generator().manual_seed(0)).eval()
    x, y = torch.rand(64, 1, 8, 8), torch.zeros(64, dtype=torch.int64)
    one, other = (pgd(model, x, y, Linf(0.1), random_start=False, fold=fold_it) for fold_it in (True, False))
    assert torch.equal(one, other)


def test_errors_are_those_of_the_model():
    x, y = torch.rand(64, 1, 8, 8), torch.zeros(64, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"cannot take x.*to have 1 channels, but got 0 channels"):
        pgd(Around(ODD["fails"]), x, y, Linf(0.1))
    with pytest.raises(ValueError, match="the loss does not depend on x"):
        pgd(Around(ODD["runs without a gradient"]), x, y, Linf(0.1))
    with pytest.raises(TypeError, match="fold must be True, False or a Folding; got 'yes'"):
        pgd(small(), x, y, Linf(0.1), fold="yes")
    with pytest.raises(ValueError, match="model is in train mode"):
        pgd(small().train(), x, y, Linf(0.1))


def test_a_model_in_train_mode_is_attacked_as_it_is():
    model, x, y = small().train(), torch.rand(64, 1, 8, 8), torch.zeros(64, dtype=torch.int64)
    one, other = (
        pgd(model, x, y, Linf(0.1), random_start=False, fold=fold_it, allow_train_mode=True)
        for fold_it in (True, False)
    )
    assert torch.equal(one, other)


def test_a_folded_attack_leaves_the_model_and_the_random_state_alone():
    model, x = digits_cnn(generator=torch.Generator().manual_seed(0)).eval(), torch.rand(64, 1, 8, 8)
    y, before, state = torch.zeros(64, dtype=torch.int64), copy.deepcopy(model.state_dict()), torch.get_rng_state()
    pgd(model, x, y, Linf(0.1), random_start=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(part.requires_grad and part.grad is None for part in model.parameters()) and not model.training
