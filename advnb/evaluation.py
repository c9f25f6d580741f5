"""Accuracy of models, clean and under attack, as tables with confidence intervals.

An attack here is any callable ``attack(model, x, y) -> x_adv``, such as ``functools.partial(pgd, ball=Linf(0.1))``.
If it takes a ``generator``, it is given one; if it returns a pair (``trace=True``), the first part counts. ``None``
stands for no attack. The attacks of this package, with arguments bound by ``partial`` or not, run on one folded copy of
each model (:mod:`advnb.fold`), the same function up to rounding, unless ``fold`` is bound or False; what they craft is
always judged by the model as it is. Models give logits (n, classes) for int64 labels, or one output (n,) for labels in
{-1, +1}.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from advnb import checks, gradients, losses
from advnb.attacks import cw, fgsm, pgd
from advnb.data import Examples, Split, as_split
from advnb.fold import Folding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Attack", "accuracy", "craft", "score", "table", "transfer", "white_box"]

Attack = Callable[..., Any]
"""(model, x, y[, generator]) -> x_adv, or a pair that begins with x_adv."""

Models = Mapping[str, nn.Module]


def accuracy(
    model: nn.Module,
    data: Examples,
    *,
    attack: Attack | None = None,
    batch: int = 256,
    generator: torch.Generator | None = None,
    progress: bool = False,
    fold: bool = True,
    allow_train_mode: bool = False,
) -> float:
    """Return the fraction of ``data`` that ``model`` classifies correctly, in [0, 1], clean or attacked.

    ``model`` is in eval mode and the examples are on its device. ``attack`` crafts each ``batch`` of them before it is
    classified; it is handed the ``generator`` if it takes one. A random attack draws batch by batch, so its draws
    depend on that size. ``progress`` shows a bar. ``fold=False`` attacks the model as written. ``allow_train_mode``
    evaluates in train mode all the same (buffers are restored); the attack must be told separately.

    Raises ValueError or TypeError on a model in train mode, labels without a logit, outputs that are not finite, an
    empty set, data on another device, or an attack that returns something else than a batch like ``x``.
    """
    split = as_split(data)
    _check_model("model", model, split.x, allow_train_mode)
    with tqdm(total=len(split), desc="accuracy", disable=not progress) as bar:
        crafting = partial(craft, model, attack, generator, fold=Folding() if fold else False)
        scores = _attacked(crafting, {"model": model}, split, batch, bar)
    return int(scores["model"][0].sum()) / len(split)


def white_box(
    models: Models,
    data: Examples,
    attacks: Mapping[str, Attack | None],
    *,
    targets: Models | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int = 256,
    progress: bool = True,
    fold: bool = True,
    allow_train_mode: bool = False,
) -> pd.DataFrame:
    """Attack every model with every attack, each attack knowing the model, and return one row a pair.

    Columns: ``model``, ``attack``, ``accuracy`` in [0, 1] with the Wilson interval ``low`` to ``high`` at
    ``confidence`` (from the finite test set alone, not from training), ``n``, ``loss`` (mean cross entropy,
    or logistic loss for one output, on the attacked examples) and ``seconds``. :func:`table` lays them out.
    With ``targets`` these classify what was crafted, each in a row with its name as ``target``: see :func:`transfer`.

    The random draws of an attack (from a generator on the CPU) depend on ``seed``, the attack's name and
    ``batch``. Adding, renaming or reordering models or adding attacks therefore changes no other number, and
    all models meet the same draws.

    Raises as :func:`accuracy`; also for no models, no attacks, or a confidence outside (0, 1). All models are
    checked before the first is attacked.
    """
    import pandas as pd

    split, groups = as_split(data), {"models": models} if targets is None else {"sources": models, "targets": targets}
    _check_named(**groups, attacks=attacks)
    checks.number("confidence", confidence, lambda v: 0 < v < 1, "lie between 0 and 1")
    for kind, group in groups.items():
        for name, model in group.items():
            _check_model(f"{kind}[{name!r}]", model, split.x, allow_train_mode)
    rows = []
    what, foldings = "transfer" if targets else "white box", {name: Folding() if fold else False for name in models}
    with tqdm(total=len(models) * len(attacks) * len(split), desc=what, disable=not progress) as bar:
        for (source, model), (name, attack) in itertools.product(models.items(), attacks.items()):
            begin = time.perf_counter()
            crafting = partial(craft, model, attack, _generator(seed, name), fold=foldings[source])
            scores = _attacked(crafting, targets or {source: model}, split, batch, bar)
            seconds = time.perf_counter() - begin
            for target, found in scores.items():
                row = {"model": source, "target": target, "attack": name}
                rows.append(row | _summary(*found, confidence) | {"seconds": seconds})
    return pd.DataFrame(rows).drop(columns=[] if targets else "target")


def transfer(
    sources: Models, targets: Models, data: Examples, attacks: Mapping[str, Attack | None], **options: Any
) -> pd.DataFrame:
    """Craft on each source and classify with every target (the black-box setting): one row a triple.

    Columns: ``source``, ``target``, ``attack``, then as in :func:`white_box` without ``seconds``; ``loss`` is
    the target's. A target that is also a source gives the white-box number. Options and errors as there.
    """
    results = white_box(sources, data, attacks, targets=targets, **options)
    return results.drop(columns="seconds").rename(columns={"model": "source"})


def table(results: pd.DataFrame, *, rows: str = "attack", columns: str = "model", digits: int = 1) -> pd.DataFrame:
    """Lay out the result of :func:`white_box` as ``rows`` x ``columns`` of "87.4 [86.1, 88.6]" (percent).

    The order of both is that of their first appearance. For :func:`transfer` select one attack and give
    ``rows="source", columns="target"``. Raises if a column is missing, or a cell would hold more than one result.
    """
    if missing := {rows, columns, "accuracy", "low", "high"} - set(results.columns):
        raise ValueError(f"results lacks the columns {', '.join(sorted(missing))}: is it a result of white_box?")
    if results.duplicated([rows, columns]).any():
        raise ValueError(
            f"results has several rows for one pair of {rows} and {columns}: select one attack or one source first"
        )
    percent = 100 * results[["accuracy", "low", "high"]]
    cells = [f"{a:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]" for a, low, high in percent.to_numpy()]
    wide = results.assign(cell=cells).pivot(index=rows, columns=columns, values="cell")
    return wide.reindex(index=results[rows].unique(), columns=results[columns].unique())


def _attacked(
    crafting: Callable[[Tensor, Tensor], Tensor], targets: Models, split: Split, batch: int, bar: tqdm
) -> dict[str, tuple[Tensor, Tensor]]:
    """Craft batch by batch; return which examples each target gets right (n,), and its losses (n,)."""
    size = checks.count("batch", batch)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in targets}
    for x, y in zip(split.x.split(size), split.y.split(size), strict=True):
        x_adv = crafting(x, y)
        for name, target in targets.items():
            found[name].append(score(target, x_adv, y))
        bar.update(len(x))
    return {name: (torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])) for name, parts in found.items()}


def _summary(correct: Tensor, loss: Tensor, confidence: float) -> dict[str, float]:
    from advnb.statistics import wilson  # here: scipy and pandas take a second to be imported

    hits, n = int(correct.sum()), len(correct)
    low, high = wilson(hits, n, confidence=confidence)
    return {"accuracy": hits / n, "low": low, "high": high, "n": n, "loss": float(loss.double().mean())}


def craft(
    model: nn.Module, attack: Attack | None, generator: torch.Generator | None, x: Tensor, y: Tensor,
    fold: Folding | bool | None = None,
) -> Tensor:  # fmt: skip
    """Return what ``attack`` makes of ``x``, handed ``generator`` if it takes one; raises if it is no batch like x.

    With ``fold`` an attack of this package is handed that, unless it is bound to another.
    """
    if attack is None:
        return x
    options: dict[str, Any] = {"generator": generator} if _takes_generator(attack) else {}
    options |= {"fold": fold} if fold is not None and _takes_fold(attack) else {}
    result = attack(model, x, y, **options)
    x_adv = result[0] if isinstance(result, tuple) else result
    checks.images("the result of the attack", x_adv)
    checks.alike("the result of the attack", x_adv, "x", x)
    return x_adv


def _takes_generator(attack: Attack) -> bool:
    """Whether the attack takes a generator and has not been given one already (by ``functools.partial``)."""
    parameters = inspect.signature(attack).parameters.values()
    if any(p.name == "generator" and p.default in (None, p.empty) for p in parameters):
        return True
    fixed = getattr(attack, "keywords", {})
    return "generator" not in fixed and any(p.kind is p.VAR_KEYWORD for p in parameters)


def _takes_fold(attack: Attack) -> bool:
    """Whether the attack is one of this package that has not been told whether to fold (by ``functools.partial``)."""
    while isinstance(attack, partial):
        if "fold" in attack.keywords:
            return False
        attack = attack.func
    return attack in (pgd, fgsm, cw)


def score(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return which examples are classified correctly (n,), and their losses (n,); the model is left as it was.

    Raises if the outputs are not finite, or do not fit the labels.
    """
    with torch.no_grad(), gradients.frozen(model):
        output = gradients.outputs(model, x.clone())  # its own copy, should it write into it
    loss = losses.resolve("logistic" if output.ndim == 1 else "cross_entropy")
    loss.check_targets(y, len(x))
    loss.check_output(output, len(x), y)
    if not bool(torch.isfinite(output).all()):
        raise ValueError("the model returned NaN or infinity: check its weights and the size of its logits")
    return losses.correct(output, y), losses.values(loss, output, y)


def _generator(seed: int, attack: str) -> torch.Generator:
    """A generator that depends on the seed and the attack's name, never on which cells ran before.

    It lives on the CPU, from where the balls draw the same starts for every device.
    """
    digest = hashlib.sha256(f"{checks.count('seed', seed, minimum=0)}/{attack}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _check_model(name: str, model: nn.Module, x: Tensor, allow_train_mode: bool) -> None:
    checks.eval_mode(model, name=name, allow_train_mode=allow_train_mode)
    devices = {str(parameter.device) for parameter in model.parameters()}
    if devices and str(x.device) not in devices:
        raise ValueError(f"{name} is on {', '.join(sorted(devices))} and x on {x.device}: move one with .to(device)")


def _check_named(**groups: Mapping[str, object]) -> None:
    for name, group in groups.items():
        if not isinstance(group, Mapping):
            raise TypeError(f"{name} must be a mapping from names; got {type(group).__name__}")
        if not group:
            raise ValueError(f"{name} must hold at least one entry; got none")
