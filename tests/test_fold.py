"""A folded network computes the same function, faster, and shares nothing with the original."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.fold import fold
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

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.layer(x.flatten(1))
            return z if z.sum() > 0 else -z

    model, x = Branching().eval(), torch.rand(3, 4)
    torch.testing.assert_close(fold(model)(x), model(x))


def test_train_mode_is_refused():
    with pytest.raises(ValueError, match="model is in train mode"):
        fold(nn.Linear(2, 2))
