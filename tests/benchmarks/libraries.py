"""PGD as the attack libraries offer it, called as their own tutorials do, from x, with our steps and step size.

Each function returns ``craft(x, y)``. A library that is not installed is named in :data:`MISSING`; torchattacks pins
an old version of `requests`, so `make bench` installs it alone, into a folder of its own.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

Craft = Callable[[Tensor, Tensor], Tensor]
ART_BATCH = 64  # as advnb's chunks; its own default of 32 takes as long
PACKAGES = {"torchattacks": "torchattacks", "foolbox": "foolbox", "ART": "adversarial-robustness-toolbox"}


def torchattacks(model: nn.Module, eps: float, steps: int) -> Craft:
    """Torchattacks' PGD."""
    import torchattacks as library

    attack = library.PGD(model, eps=eps, alpha=eps / 4, steps=steps, random_start=False)
    return attack


def foolbox(model: nn.Module, eps: float, steps: int) -> Craft:
    """Foolbox's PGD."""
    import foolbox as library

    attack = library.attacks.LinfProjectedGradientDescentAttack(abs_stepsize=eps / 4, steps=steps, random_start=False)
    network = library.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return lambda x, y: attack(network, x, y, epsilons=eps)[1]


def art(model: nn.Module, eps: float, steps: int) -> Craft:
    """The Adversarial Robustness Toolbox's PGD, which takes and returns numpy arrays."""
    import torch
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    def craft(x: Tensor, y: Tensor) -> Tensor:
        network = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), x.shape[1:], nb_classes=10, clip_values=(0.0, 1.0), device_type="cpu"
        )
        attack = ProjectedGradientDescent(
            network, eps=eps, eps_step=eps / 4, max_iter=steps, batch_size=ART_BATCH, verbose=False
        )
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return craft


ALL: dict[str, Callable[[nn.Module, float, int], Craft]] = {
    "torchattacks": torchattacks, "foolbox": foolbox, "ART": art,
}  # fmt: skip


def there() -> dict[str, Callable[[nn.Module, float, int], Craft]]:
    """The libraries that are installed."""
    modules = {"torchattacks": "torchattacks", "foolbox": "foolbox", "ART": "art"}
    return {name: make for name, make in ALL.items() if importlib.util.find_spec(modules[name])}


def versions() -> dict[str, str]:
    """The version of each library, or that it is not installed."""
    return {name: version(PACKAGES[name]) if name in there() else "not installed" for name in ALL}


def crafts(model: nn.Module, eps: float, steps: int) -> dict[str, Craft]:
    """Each installed library's PGD on a model in eval mode, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: make(model, eps, steps) for name, make in there().items()}


def quietly(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function without its warnings: the libraries have some of their own."""

    def silent() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()

    return silent
