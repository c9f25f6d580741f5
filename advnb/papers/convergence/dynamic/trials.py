"""Algorithm 1: what the threshold does to each example, dropping against masking, and the ablations."""

from __future__ import annotations

from typing import Any, cast

import torch
from scipy import stats
from torch import Tensor, nn

from advnb.attacks import Trace, pgd
from advnb.data import Split
from advnb.experiments import Experiment, Tolerance, under_way
from advnb.losses import resolve, values
from advnb.papers.convergence import costs
from advnb.papers.convergence.followed import VARIANTS, cost, followed
from advnb.papers.convergence.judge import column
from advnb.papers.convergence.recipes import RECIPES, PrintedIndicator, images, make_defence, percentiles, trained
from advnb.papers.convergence.robustness.trials import SHORT_DIGITS, SMALL_MNIST
from advnb.papers.convergence.tables.trials import TRAINED
from advnb.training import Dynamic, fit

WATCHED = 300
"""Training images whose steps are counted after every epoch."""

EASY, HARD = slice(0, WATCHED // 4), slice(-(WATCHED // 4), None)
"""The quarters of the images with the smallest and the largest clean loss."""


def rests_at(defence: Dynamic, trace: Trace, c_t: float) -> Tensor:
    """Return at which iterate each example rests, (n,), read off the trace of a PGD that let none rest.

    Where an example goes does not depend on which others rest, so one trace holds every threshold.
    """
    fosc = trace.fosc[1:]
    done = fosc >= c_t if isinstance(defence, PrintedIndicator) else fosc <= c_t
    first = torch.where(done.any(0), done.double().argmax(0) + 1, len(fosc))
    return first


SEEN = ("taken", "fosc", "under", "within", "strength", "easy", "hard", "rank")
"""Fields of :func:`watch`, one entry an epoch."""


def watch(model: nn.Module, defence: Dynamic, split: Split, epoch: int) -> dict[str, Any]:
    """Return what Dynamic's rule does to the examples of ``split`` in the state after ``epoch``.

    Fields: ``taken``, the share of examples that rest after 1 .. K steps; ``fosc``, percentiles of FOSC where they
    rest; ``under`` the share at or below c_t, ``within`` that between c_t / 2 and c_t; ``strength``, the mean loss
    gained over the clean example as a share of what all K steps gain; ``easy`` and ``hard``, the mean steps of the
    quarters with the smallest and the largest clean loss; ``rank``, Spearman's correlation of steps with clean loss.
    """
    start = defence.ball.sample(split.x, generator=torch.Generator().manual_seed(epoch))
    _, trace = defence.attack(model, split.x, split.y, start, gap=defence.gap, trace=True)
    c_t = defence.threshold(epoch)
    rest = rests_at(defence, trace, c_t)
    fosc, loss = (table.gather(0, rest[None])[0] for table in (trace.fosc, trace.loss))
    with torch.no_grad():
        clean = values(resolve("cross_entropy"), model(split.x), split.y)
    order, steps = clean.argsort(), rest.double()
    mixed = len(rest.unique()) > 1
    return {
        "taken": (torch.bincount(rest, minlength=defence.steps + 1)[1:] / len(rest)).tolist(),
        "fosc": percentiles(fosc),
        "under": float((fosc <= c_t).double().mean()),
        "within": float(((fosc <= c_t) & (fosc >= c_t / 2)).double().mean()),
        "strength": float((loss - clean).mean() / (trace.loss[-1] - clean).mean()),
        "easy": float(steps[order[EASY]].mean()),
        "hard": float(steps[order[HARD]].mean()),
        "rank": float(stats.spearmanr(steps, clean).statistic) if mixed else 0.0,
    }


def spending(
    *, data: str, defence: str, examples: int, epochs: int, batch: int, seed: int, device: str
) -> dict[str, Any]:
    """Trial: train by a kind of Dynamic and return :func:`watch` after every epoch, with the history.

    Each field has one entry an epoch; ``steps``, ``gradients`` and ``c_t`` are the history's.
    """
    recipe, split = RECIPES[data], images(data, examples, 1, device).train
    model = recipe.network(generator=torch.Generator().manual_seed(seed)).to(device)
    trainer = cast(Dynamic, make_defence(defence, recipe, epochs))
    away = under_way()

    def look(net: nn.Module, row: dict[str, Any]) -> None:
        row |= watch(net, trainer, split[:WATCHED], row["epoch"])

    history = fit(
        model, split, trainer, epochs=epochs, batch=batch, seed=seed, progress=False,
        milestones=[round(share * epochs) for share in recipe.milestones],
        callback=look, checkpoint=None if away is None else away.checkpoint,
    )  # fmt: skip
    kept = {name: column(history, name) for name in ("steps", "gradients", "c_t", "adversarial_accuracy")}
    return kept | {name: history[name].tolist() for name in SEEN}


def dropping(*, c_t: float, seed: int, device: str, n: int = 256) -> dict[str, Any]:
    """Trial: examples at rest dropped from the batch, against the same carried along behind a mask.

    ``differs`` counts the pixels in which the two differ. ``dropped`` and ``masked`` are gradients computed, an
    example.
    """
    model, _ = trained(data="digits", defence="standard", examples=512, epochs=4, batch=32, seed=seed, device=device)
    recipe, split = RECIPES["digits"], images("digits", n, 1, device).train
    defence = cast(Dynamic, make_defence("dynamic", recipe, 1))
    start = defence.ball.sample(split.x, generator=torch.Generator().manual_seed(seed))
    same: dict[str, Any] = {"steps": defence.steps, "step_size": defence.step_size, "start": start, "gap": defence.gap,
                            "fold": False}  # fmt: skip
    x_dropped, kept = pgd(model, split.x, split.y, defence.ball, fosc_below=c_t, trace="steps", **same)
    _, carried = pgd(model, split.x, split.y, defence.ball, trace="x", **same)
    rest = rests_at(defence, carried, c_t)
    x_masked = carried.x[rest, torch.arange(n)]
    most = (rest.reshape(-1, 64).max(1).values + 1).clamp_max(defence.steps)  # pgd takes 64 images at a time
    return {
        "differs": int((x_dropped != x_masked).sum()),
        "dropped": float((kept.steps + 1).clamp_max(defence.steps).double().mean()),
        "masked": float(most.double().mean()),
    }


KINDS = ["dynamic", "dynamic_box", "dynamic_printed"]

SPENDING = Experiment(
    "convergence.spending",
    spending,
    {
        "live": {
            "data": "digits",
            "examples": 800,
            "epochs": 8,
            "batch": 32,
            "defence": ["dynamic", "dynamic_printed"],
        },
        "laptop": {"data": "digits", "examples": 800, "epochs": 12, "batch": 32, "defence": KINDS},
        "full": {"data": "mnist", "examples": 60_000, "epochs": 50, "batch": 128, "defence": KINDS},
    },
    {"live": 1, "laptop": 5, "full": 3},
    tolerance=TRAINED,
    unchecked=("fosc", "taken", "rank"),
    goes_on=True,
    cost=costs.spending,
)
"""How many steps each example takes, epoch by epoch."""

SPENDING_MNIST = Experiment(
    "convergence.spending_mnist",
    spending,
    {"laptop": {"data": "mnist", "examples": 1500, "epochs": 12, "batch": 32, "defence": ["dynamic"]}},
    {"laptop": 2},
    tolerance=TRAINED,
    unchecked=("fosc", "taken", "rank"),
    goes_on=True,
    cost=costs.spending,
)
"""The same on MNIST."""

DROPPING = Experiment(
    "convergence.dropping",
    dropping,
    {"live": {"c_t": [0.5, 0.25, 0.1]}},
    {"live": 2},
    devices=("cpu",),
    tolerances={"differs": Tolerance(0, 0), "dropped": Tolerance(0.1, 0.2), "masked": Tolerance(0.1, 0.2)},
)
"""The two are the same bits on any processor; how many gradients they take depends on the trained network."""

ABLATED = [name for name in VARIANTS if name not in ("small_steps", "fgsm_pgd")]

ABLATIONS = Experiment(
    "convergence.ablations",
    followed,
    {"laptop": {**SHORT_DIGITS, "look": False, "variant": ABLATED}},
    {"laptop": 5},
    tolerance=TRAINED,
    goes_on=True,
    cost=cost,
)
"""Standard and Dynamic, each with one thing changed, on digits."""

ABLATIONS_MNIST = Experiment(
    "convergence.ablations_mnist",
    followed,
    {"laptop": {**SMALL_MNIST, "look": False, "variant": [name for name in ABLATED if name != "train_mode"]}},
    {"laptop": 2},
    tolerance=TRAINED,
    goes_on=True,
    cost=cost,
)
"""The same on MNIST, but for train mode, whose attacks cannot be folded and take three times as long."""
