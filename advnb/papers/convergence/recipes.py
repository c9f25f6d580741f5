"""How Wang et al. (2019), section 5.1, train: networks, schedules, and each defence under its name there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from advnb import checks
from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.criterion import convergence, from_start
from advnb.data import Dataset, Split, load
from advnb.data.augment import CropFlip
from advnb.experiments import kept_folder
from advnb.experiments.store import canonical
from advnb.fold import fold
from advnb.models import cifar_cnn, digits_cnn, mnist_cnn, wide_resnet
from advnb.training import CheckpointError, Curriculum, Defence, Dynamic, FGSMThenPGD, Standard, Unsecured, fit
from advnb.training.checkpoints import digest

PACKAGE = Path(__file__).resolve().parents[2]
DECIDES = (
    "attacks",
    "balls",
    "fold",
    "gradients",
    "losses",
    "models",
    "data",
    "training",
    "papers/convergence/recipes",
)
"""The modules on which a trained network depends: a stored one is not taken up by others."""

STEPS, RATIO = 10, 1 / 4
"""PGD-10 with steps of eps/4."""


@dataclass(frozen=True)
class Recipe:
    """What section 5.1 fixes for a data set; epochs as shares of all of them, so that a shorter run has them too.

    ``until`` is T' / T. For digits, which the paper does not have, eps is one that separates the defences.
    """

    network: Callable[..., nn.Module]
    eps: float
    milestones: tuple[float, float]
    until: float
    c_max: float = 0.5


RECIPES = {
    "digits": Recipe(digits_cnn, 0.2, (20 / 50, 40 / 50), 40 / 50),
    "mnist": Recipe(mnist_cnn, 0.3, (20 / 50, 40 / 50), 40 / 50),
    "cifar10": Recipe(cifar_cnn, 8 / 255, (60 / 120, 100 / 120), 100 / 120),
}

EARLY = 20 / 120
"""The share of epochs that FGSM-PGD trains with FGSM, section 3.2."""


@dataclass(frozen=True, kw_only=True)
class PrintedIndicator(Dynamic):
    """Dynamic with the indicator as Algorithm 1 prints it: an example moves on while its FOSC is at most c_t."""

    def craft(self, model: nn.Module, x: Tensor, y: Tensor, *, epoch: int, start: Tensor, **moment: Any) -> Tensor:
        """Return PGD's examples, each at its first iterate after the start whose FOSC is at least c_t."""
        c_t = self.threshold(epoch)
        self._add(c_t=c_t * len(x))
        return self.attack(model, x, y, start, fosc_below=-c_t, gap=lambda *known: -self.gap(*known))


@dataclass(frozen=True, kw_only=True)
class ReleasedCentre(Dynamic):
    """Dynamic with FOSC centred on the attack's random start in place of the clean example, as in the released code."""

    def gap(self, grad: Tensor, x_adv: Tensor, x: Tensor, start: Tensor) -> Tensor:
        """Return eps ||g||_1 - <x_adv - start, g>, (n,), which can be negative."""
        return from_start(grad, x_adv, start, self.ball)


@dataclass(frozen=True, kw_only=True)
class ReleasedWeighting(Dynamic):
    """Dynamic with each example's loss weighted by its own value from the second epoch on, as in the released code.

    There the weight is taken in inference mode; here it is the update's own loss, in train mode.
    """

    def weigh(self, loss: Tensor, epoch: int) -> Tensor:
        """Return the losses (n,), times themselves as constants after the first epoch."""
        return loss if epoch == 1 else loss * loss.detach()


STAGED: dict[str, type[Dynamic]] = {
    "dynamic": Dynamic,
    "dynamic_printed": PrintedIndicator,
    "dynamic_centre": ReleasedCentre,
    "dynamic_weighted": ReleasedWeighting,
}

DEFENCES = ("unsecured", "standard", "curriculum", "fgsm_pgd", "dynamic_box", *STAGED)
"""Names of defences in the chapter's experiments; ``dynamic_box`` is Dynamic with the box-aware FOSC."""


def make_defence(name: str, recipe: Recipe, epochs: int, **attack: Any) -> Defence:
    """Return the defence ``name`` with the recipe's eps and schedule; ``attack`` overrides settings of its attack.

    The attack is PGD-10 with steps of eps/4 from a random start on the folded network, FOSC the paper's closed form.
    """
    checks.choice("defence", name, DEFENCES)
    if name == "unsecured":
        return Unsecured()
    options: dict[str, Any] = {"ball": Linf(recipe.eps), "steps": STEPS, "step_size": RATIO * recipe.eps, "fold": True}
    options |= attack
    until = max(1, round(recipe.until * epochs))
    if name == "standard":
        return Standard(**options)
    if name == "curriculum":
        return Curriculum(**options, until=until)
    if name == "fgsm_pgd":
        return FGSMThenPGD(**options, until=max(1, round(EARLY * epochs)))
    staged = STAGED.get(name, Dynamic)
    return staged(**{"c_max": recipe.c_max, "box_aware": name == "dynamic_box", "until": until, **options})


def images(data: str, examples: int, tests: int, device: str) -> Dataset:
    """Return the first ``examples`` training and ``tests`` test images of a class-balanced order, always the same."""
    return load(data, progress=False).subset(examples, test=tests, seed=0).to(device)


def trained(
    *,
    data: str,
    defence: str,
    examples: int,
    epochs: int,
    seed: int,
    device: str,
    batch: int = 128,
    lr: float = 0.01,
    warm_up: int = 0,
    width: float | None = None,
    eps: float | None = None,
    network: str = "cnn",
    stages: Sequence[float] = (),
    bfloat16: bool = False,
    augment: bool = False,
    keep: bool = False,
    **attack: Any,
) -> tuple[nn.Module, pd.DataFrame]:
    """Train the network of section 5.1 by ``defence`` and return it in eval mode, with the history of its epochs.

    ``eps`` and ``attack`` replace what the recipe and :func:`make_defence` set; ``warm_up`` is a number of epochs on
    clean images before; ``bfloat16`` crafts in that precision; ``augment`` shifts
    and flips images (the released code rotates them too); ``width`` scales the CNN, or is that of WRN-34 with
    ``network="wide_resnet"``. After the epochs at the shares ``stages`` of all, the history also has what
    :func:`look_inside` measures. With ``keep`` the run is stored in ``experiments.kept_folder`` after every epoch, goes
    on from there when it was killed, and is returned at once when it is complete.
    """
    recipe = RECIPES[checks.choice("data", data, tuple(RECIPES))]
    recipe = recipe if eps is None else replace(recipe, eps=eps)
    attack |= {"autocast": torch.bfloat16} if bfloat16 else {}
    identity = {
        "data": data, "defence": defence, "examples": examples, "epochs": epochs, "seed": seed, "batch": batch,
        "lr": lr, "warm_up": warm_up, "width": width, "eps": eps, "network": network, "stages": list(stages), **attack,
        **({"augment": CropFlip()} if augment else {}),
    }  # fmt: skip
    model = _network(recipe, network, width, seed).to(device)
    split = images(data, examples, 1, device).train
    if warm_up:
        fit(model, split, Unsecured(), epochs=warm_up, batch=batch, lr=lr, seed=seed, progress=False)
    trainer = make_defence(defence, recipe, epochs, **attack)
    at = at_stages(stages, epochs)

    def look(net: nn.Module, row: dict[str, Any]) -> None:
        if row["epoch"] in at:
            row |= look_inside(net, trainer, split[:LOOKED_AT], Linf(recipe.eps), row["epoch"])

    history = fit(
        model, split, trainer, epochs=epochs, batch=batch, lr=lr, seed=seed, progress=False,
        milestones=[round(share * epochs) for share in recipe.milestones],
        augment=CropFlip() if augment else None, callback=look, checkpoint=_stored(identity) if keep else None,
    )  # fmt: skip
    return model, history


def put_by(model: nn.Module) -> str:
    """Keep the weights of ``model`` beside the kept runs, under their digest, which is returned for the stored line."""
    name = digest(model)
    path = kept_folder() / "weights" / f"{name}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        torch.save({key: value.cpu() for key, value in model.state_dict().items()}, part)
        part.replace(path)
    return name


def brought_back(model: nn.Module, name: str) -> nn.Module:
    """Load the weights kept under the digest ``name`` into ``model``, in eval mode, and return it.

    Raises ``CheckpointError`` if they are not there, or are not those that the digest is of.
    """
    path = kept_folder() / "weights" / f"{name}.pt"
    if not path.exists():
        raise CheckpointError(f"no weights are kept as {path}: carry them here, or run the trial again")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    if digest(model) != name:
        raise CheckpointError(f"{path} holds other weights than its name says: it is damaged; remove it")
    return model.eval()


LOOKED_AT = 300
"""Training images on which FOSC is measured during training."""


def percentiles(values: Tensor) -> list[float]:
    """Return the 0th, 2nd, ..., 100th percentile of ``values`` (n,), to five digits."""
    levels = torch.linspace(0, 1, 51, dtype=torch.float64, device=values.device)
    return [float(f"{value:.5g}") for value in torch.quantile(values.double(), levels).tolist()]


def look_inside(model: nn.Module, defence: Defence, split: Split, ball: Linf, epoch: int) -> dict[str, Any]:
    """Return percentiles of FOSC and loss over the examples that the network meets, in the state after ``epoch``.

    ``own_...`` are the examples that ``defence`` itself crafts in this epoch, ``pgd_...`` those of PGD-10 with steps of
    eps/4. ``..._fosc`` is the paper's closed form, ``..._box`` FOSC within the box, ``..._loss`` the loss, and
    ``..._zero`` the share whose gradient is below 1e-6 in L1 norm, where FOSC says nothing.
    """
    found: dict[str, Any] = {}
    generator = torch.Generator(split.x.device).manual_seed(epoch)
    start = ball.sample(split.x, generator=generator)
    crafted = {
        "own": defence.craft(model, split.x, split.y, epoch=epoch, generator=generator, start=start).detach(),
        "pgd": pgd(fold(model), split.x, split.y, ball, steps=STEPS, start=start),
    }
    for name, x_adv in crafted.items():
        at = convergence(model, x_adv, split.x, split.y, ball, start=start)
        found |= {
            f"{name}_fosc": percentiles(at.closed_form),
            f"{name}_box": percentiles(at.fosc),
            f"{name}_loss": percentiles(at.loss),
            f"{name}_zero": float((at.gradient_norm < 1e-6).double().mean()),
        }
    return found


def at_stages(shares: Sequence[float], epochs: int) -> list[int]:
    """Return the epochs, from 1, that lie at ``shares`` of all ``epochs``."""
    return [max(1, round(share * epochs)) for share in shares]


def _network(recipe: Recipe, name: str, width: float | None, seed: int) -> nn.Module:
    checks.choice("network", name, ("cnn", "wide_resnet"))
    generator = torch.Generator().manual_seed(seed)
    if name == "wide_resnet":
        return wide_resnet(width=int(width or 10), generator=generator)
    return recipe.network(generator=generator, **({} if width is None else {"width": width}))


def _stored(identity: dict[str, Any]) -> Path:
    """Where a run is kept: named by its settings and by the code that decides what becomes of it."""
    files = [PACKAGE / f"{name}.py" for name in DECIDES] + sorted(
        f for n in DECIDES for f in (PACKAGE / n).glob("*.py")
    )
    digest = hashlib.sha256(canonical({name: str(value) for name, value in identity.items()}).encode())
    for file in files:
        if file.exists():
            digest.update(file.read_bytes())
    return kept_folder() / f"{digest.hexdigest()[:24]}.pt"
