"""Accuracy of models, clean and under attack, as tables with confidence intervals.

An attack here is any callable ``attack(model, x, y) -> x_adv``, such as ``functools.partial(pgd,
ball=Linf(0.1))``. If it takes a ``generator``, it is given one; if it returns a pair (``trace=True``), the
first part counts. ``None`` stands for no attack. Models give logits (n, classes) for int64 labels, or one
output (n,) for labels in {-1, +1}.
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from tqdm.auto import tqdm

from advnb import checks, gradients, losses
from advnb.data import Split

Attack = Callable[..., Any]
"""(model, x, y[, generator]) -> x_adv, or a pair that begins with x_adv."""

Data = Split | tuple[Tensor, Tensor]
"""Examples (n, ...) with their labels (n,)."""


def accuracy(
    model: nn.Module,
    data: Data,
    *,
    attack: Attack | None = None,
    batch: int = 256,
    generator: torch.Generator | None = None,
    progress: bool = False,
    allow_train_mode: bool = False,
) -> float:
    """Return the fraction of ``data`` that ``model`` classifies correctly, in [0, 1], clean or attacked.

    Parameters
    ----------
    model, data
        A model in eval mode, and examples on its device.
    attack
        Crafts each batch before it is classified.
    batch
        Examples at a time. A random attack draws batch by batch, so its draws depend on this size.
    generator
        Handed to the attack if it takes one.
    progress
        Show a progress bar.
    allow_train_mode
        Evaluate in train mode all the same; the attack must be told separately. Buffers are restored.

    Raises
    ------
    ValueError, TypeError
        On a model in train mode, labels without a logit, outputs that are not finite, an empty set, data on
        another device, or an attack that returns something else than a batch like ``x``.
    """
    x, y = _examples(data)
    _check_model("model", model, x, allow_train_mode)
    hits = 0
    with tqdm(total=len(x), desc="accuracy", disable=not progress) as bar:
        for part_x, part_y in _batches(x, y, batch):
            x_adv = _craft(model, part_x, part_y, attack, generator)
            hits += int(_score(model, x_adv, part_y)[0].sum())
            bar.update(len(part_x))
    return hits / len(x)


def white_box(
    models: Mapping[str, nn.Module],
    data: Data,
    attacks: Mapping[str, Attack | None],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int = 256,
    progress: bool = True,
    allow_train_mode: bool = False,
) -> pd.DataFrame:
    """Attack every model with every attack, each attack knowing the model, and return one row a pair.

    Columns: ``model``, ``attack``, ``accuracy`` in [0, 1] with the Wilson interval ``low`` to ``high`` at
    ``confidence`` (from the finite test set alone, not from training), ``n``, ``loss`` (mean cross entropy,
    or logistic loss for one output, on the attacked examples) and ``seconds``. :func:`table` lays them out.

    The random draws of an attack (from a generator on the CPU) depend on ``seed``, the attack's name and
    ``batch``. Adding, renaming or reordering models or adding attacks therefore changes no other number, and
    all models meet the same draws.

    Raises
    ------
    ValueError, TypeError
        As :func:`accuracy`; also for no models, no attacks, or a confidence outside (0, 1). All models are
        checked before the first is attacked.
    """
    x, y = _examples(data)
    _check_named(models=models, attacks=attacks)
    _check_confidence(confidence)
    for name, model in models.items():
        _check_model(f"models[{name!r}]", model, x, allow_train_mode)
    rows = []
    with tqdm(total=len(models) * len(attacks) * len(x), desc="white box", disable=not progress) as bar:
        for model_name, model in models.items():
            for attack_name, attack in attacks.items():
                begin, scores = time.perf_counter(), _Scores()
                generator = _generator(seed, attack_name)
                for part_x, part_y in _batches(x, y, batch):
                    x_adv = _craft(model, part_x, part_y, attack, generator)
                    scores.add(*_score(model, x_adv, part_y))
                    bar.update(len(part_x))
                seconds = time.perf_counter() - begin
                row = {"model": model_name, "attack": attack_name}
                rows.append(row | scores.summary(confidence) | {"seconds": seconds})
    return pd.DataFrame(rows)


def transfer(
    sources: Mapping[str, nn.Module],
    targets: Mapping[str, nn.Module],
    data: Data,
    attacks: Mapping[str, Attack | None],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int = 256,
    progress: bool = True,
    allow_train_mode: bool = False,
) -> pd.DataFrame:
    """Craft on each source and classify with every target (the black-box setting): one row a triple.

    Columns: ``source``, ``target``, ``attack``, then as in :func:`white_box` without ``seconds``; ``loss`` is
    the target's. A target that is also a source gives the white-box number. Seeds and errors as there.
    """
    x, y = _examples(data)
    _check_named(sources=sources, targets=targets, attacks=attacks)
    _check_confidence(confidence)
    for kind, group in {"sources": sources, "targets": targets}.items():
        for name, model in group.items():
            _check_model(f"{kind}[{name!r}]", model, x, allow_train_mode)
    rows = []
    with tqdm(total=len(sources) * len(attacks) * len(x), desc="transfer", disable=not progress) as bar:
        for source_name, source in sources.items():
            for attack_name, attack in attacks.items():
                scores = {name: _Scores() for name in targets}
                generator = _generator(seed, attack_name)
                for part_x, part_y in _batches(x, y, batch):
                    x_adv = _craft(source, part_x, part_y, attack, generator)
                    for name, target in targets.items():
                        scores[name].add(*_score(target, x_adv, part_y))
                    bar.update(len(part_x))
                for name in targets:
                    row = {"source": source_name, "target": name, "attack": attack_name}
                    rows.append(row | scores[name].summary(confidence))
    return pd.DataFrame(rows)


def table(
    results: pd.DataFrame, *, rows: str = "attack", columns: str = "model", digits: int = 1
) -> pd.DataFrame:
    """Lay out the result of :func:`white_box` as ``rows`` x ``columns`` of "87.4 [86.1, 88.6]" (percent).

    The order of both is that of their first appearance. For :func:`transfer` select one attack and give
    ``rows="source", columns="target"``.

    Raises
    ------
    ValueError
        If a column is missing, or a cell would hold more than one result.
    """
    if missing := {rows, columns, "accuracy", "low", "high"} - set(results.columns):
        raise ValueError(
            f"results lacks the columns {', '.join(sorted(missing))}: is it a result of white_box?"
        )
    if results.duplicated([rows, columns]).any():
        raise ValueError(
            f"results has several rows for one pair of {rows} and {columns}: "
            "select one attack or one source first"
        )
    percent = 100 * results[["accuracy", "low", "high"]]
    cells = [f"{a:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]" for a, low, high in percent.to_numpy()]
    wide = results.assign(cell=cells).pivot(index=rows, columns=columns, values="cell")
    return wide.reindex(index=results[rows].unique(), columns=results[columns].unique())


class _Scores:
    """Adds up what a model did on the batches of one cell."""

    def __init__(self) -> None:
        self.hits, self.n, self.loss = 0, 0, 0.0

    def add(self, correct: Tensor, loss: Tensor) -> None:
        self.hits += int(correct.sum())
        self.n += len(correct)
        self.loss += float(loss.double().sum())

    def summary(self, confidence: float) -> dict[str, float]:
        interval = binomtest(self.hits, self.n).proportion_ci(confidence, method="wilson")
        return {
            "accuracy": self.hits / self.n,
            "low": float(interval.low),
            "high": float(interval.high),
            "n": self.n,
            "loss": self.loss / self.n,
        }


def _batches(x: Tensor, y: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = checks.count("batch", batch)
    return zip(x.split(size), y.split(size), strict=True)


def _craft(
    model: nn.Module, x: Tensor, y: Tensor, attack: Attack | None, generator: torch.Generator | None
) -> Tensor:
    if attack is None:
        return x
    options = {"generator": generator} if _takes_generator(attack) else {}
    result = attack(model, x, y, **options)
    x_adv = result[0] if isinstance(result, tuple) else result
    checks.images("the result of the attack", x_adv)
    checks.same_shape("the result of the attack", x_adv, "x", x)
    return x_adv


def _takes_generator(attack: Attack) -> bool:
    """Whether the attack takes a generator and has not been given one already (by ``functools.partial``)."""
    parameters = inspect.signature(attack).parameters.values()
    if any(p.name == "generator" and p.default in (None, p.empty) for p in parameters):
        return True
    fixed = getattr(attack, "keywords", {})
    return "generator" not in fixed and any(p.kind is p.VAR_KEYWORD for p in parameters)


def _score(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Which examples are classified correctly (n,), and their losses (n,); the model is left as it was."""
    with torch.no_grad(), gradients.frozen(model):
        output = model(x)
    loss = losses.resolve("logistic" if output.ndim == 1 else "cross_entropy")
    loss.check_targets(y, len(x))
    loss.check_output(output, y)
    if not bool(torch.isfinite(output).all()):
        raise ValueError("the model returned NaN or infinity: check its weights and the size of its logits")
    correct = output * y > 0 if output.ndim == 1 else output.argmax(1) == y
    return correct, losses.values(loss, output, y)


def _generator(seed: int, attack: str) -> torch.Generator:
    """A generator that depends on the seed and the attack's name, never on which cells ran before.

    It lives on the CPU, from where the balls draw the same starts for every device.
    """
    digest = hashlib.sha256(f"{checks.count('seed', seed, minimum=0)}/{attack}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _examples(data: Data) -> tuple[Tensor, Tensor]:
    x, y = (data.x, data.y) if isinstance(data, Split) else data
    checks.images("x", x)
    if y.shape != (len(x),):
        raise ValueError(f"y must have shape ({len(x)},), one label an example; got {tuple(y.shape)}")
    return x, y


def _check_model(name: str, model: nn.Module, x: Tensor, allow_train_mode: bool) -> None:
    try:
        checks.eval_mode(model, allow_train_mode=allow_train_mode)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    devices = {str(parameter.device) for parameter in model.parameters()}
    if devices and str(x.device) not in devices:
        raise ValueError(
            f"{name} is on {', '.join(sorted(devices))} and x on {x.device}: move one with .to(device)"
        )


def _check_named(**groups: Mapping[str, object]) -> None:
    for name, group in groups.items():
        if not isinstance(group, Mapping):
            raise TypeError(f"{name} must be a mapping from names; got {type(group).__name__}")
        if not group:
            raise ValueError(f"{name} must hold at least one entry; got none")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1; got {confidence!r}")
