"""What an experiment is: a trial function, and for each scale the parameters and seeds to call it with.

An experiment is declared at module level beside the code that it runs:

>>> def flips(*, d, m, seed, device, dtype):  # doctest: +SKIP
...     net = TwoLayer(d, m, generator=torch.Generator(device).manual_seed(seed), dtype=dtype, device=device)
...     return {"norm": minimal_flip(net, unit_rows(d, seed)).norm}
>>> FIGURE_4 = Experiment(  # doctest: +SKIP
...     "lazy.figure_4",
...     flips,
...     grids={"live": {"d": [8, 16], "m": 100}, "laptop": {"d": [64, 256, 784], "m": [1000, 10_000]}},
...     seeds={"live": 3, "laptop": 20},
... )

There is no registry: ``find`` imports the modules of a package and looks at their attributes.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch

from advnb import checks
from advnb.experiments.plain import canonical, plain

SCALES = ("live", "laptop", "full")
"""The scales, from the smallest to the largest."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}

Values = Mapping[str, Any]
Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Tolerance:
    """How far a recomputed number may lie from the stored one: ``|new - old| <= atol + rtol * |old|``."""

    rtol: float = 1e-6
    atol: float = 1e-9

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0; got {value!r}")


@dataclass(frozen=True)
class Trial:
    """One call of a trial function: its parameters (plain data) and its seed."""

    params: Mapping[str, Any]
    seed: int

    @cached_property
    def key(self) -> str:
        """The trial's identity inside a results file: equal text, equal trial."""
        return canonical([self.params, self.seed])

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in (*self.params.items(), ("seed", self.seed)))


@dataclass(frozen=True, eq=False)
class Experiment:
    """A named trial function with its grid of parameters, and its seeds, at each scale.

    Attributes:
        name: ``paper.experiment``, in lower case; it names the results files.
        trial: a function at the top level of a module, called as ``trial(**params, seed=, device=)``, with
            ``dtype=`` too if it takes one. It returns a dict of numbers and small arrays and depends on its
            arguments alone: it draws from generators made from ``seed``, never from the global ones.
        grids: for each scale a dict whose lists are varied (their product is taken) and whose single values
            are fixed, or a list of such dicts, one after the other.
        seeds: for each scale of ``grids`` how many seeds (n means 0 .. n - 1), or a list of them.
        dtype: "float32" or "float64"; handed to the trial and stored with it.
        tolerance: how far ``verify`` lets a recomputed field lie from the stored one.
        tolerances: the same for single fields.
        unchecked: fields that a second run need not repeat, such as times.

    Raises ``ValueError`` or ``TypeError`` when declared wrongly, at import.
    """

    name: str
    trial: Callable[..., Mapping[str, Any]]
    grids: Mapping[str, Grid]
    seeds: Mapping[str, int | Sequence[int]]
    dtype: str = "float32"
    tolerance: Tolerance = Tolerance()
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    unchecked: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(
            r"[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_]*", self.name
        ):
            raise ValueError(f"name must look like 'paper.experiment', in lower case; got {self.name!r}")
        checks.choice("dtype", self.dtype, DTYPES)
        if not self.grids:
            raise ValueError(f"{self.name}: grids must hold at least one of {', '.join(SCALES)}")
        for scale in (*self.grids, *self.seeds):
            checks.choice("scale", scale, SCALES)
        if set(self.grids) != set(self.seeds):
            raise ValueError(
                f"{self.name}: grids and seeds must name the same scales; "
                f"got {sorted(self.grids)} and {sorted(self.seeds)}"
            )
        _check_function(self.name, self.trial, self._settings)

    @cached_property
    def _settings(self) -> dict[str, list[dict[str, Any]]]:
        return {scale: _settings(self.name, grid) for scale, grid in self.grids.items()}

    @property
    def scales(self) -> list[str]:
        """The declared scales, from the smallest to the largest."""
        return [scale for scale in SCALES if scale in self.grids]

    def trials(
        self,
        scale: str,
        *,
        seeds: int | Iterable[int] | None = None,
        only: Mapping[str, Any] | None = None,
    ) -> list[Trial]:
        """Return the trials of a scale: all parameters at the first seed, then at the second, and so on.

        ``seeds`` replaces the declared seeds; ``only`` keeps the settings that have the given values, one or a
        list each. Raised if the scale is not declared, or ``only`` names no parameter or leaves no trial.
        """
        checks.choice("scale", scale, self.scales)
        settings = _chosen(self._settings[scale], only or {})
        wanted: int | Iterable[int] = self.seeds[scale] if seeds is None else seeds
        if isinstance(wanted, int):
            wanted = range(checks.count("seeds", wanted))
        numbers = [checks.count("a seed", seed, minimum=0) for seed in dict.fromkeys(wanted)]
        if not numbers:
            raise ValueError("seeds must hold at least one seed; got none")
        return [Trial(params, seed) for seed in numbers for params in settings]

    def tolerance_of(self, name: str) -> Tolerance | None:
        """Return the tolerance of the returned field ``name``, or None if a second run need not repeat it."""
        return None if name in self.unchecked else self.tolerances.get(name, self.tolerance)


def find(package: str | ModuleType = "advnb.papers") -> dict[str, Experiment]:
    """Return the experiments that the modules of ``package`` declare, by name, in order of name.

    ``package`` is a package, searched with all that is below it, or a single module. Raised if it cannot be
    imported, or if two different experiments have one name.
    """
    root = importlib.import_module(package) if isinstance(package, str) else package
    found: dict[str, Experiment] = {}
    for module in _modules(root):
        for value in vars(module).values():
            if isinstance(value, Experiment) and found.setdefault(value.name, value) is not value:
                raise ValueError(
                    f"two experiments are named {value.name!r}: the second is in {module.__name__}"
                )
    return dict(sorted(found.items()))


def _modules(root: ModuleType) -> Iterator[ModuleType]:
    yield root
    for info in pkgutil.iter_modules(getattr(root, "__path__", ()), f"{root.__name__}."):
        yield from _modules(importlib.import_module(info.name))


def _settings(name: str, grid: Grid) -> list[dict[str, Any]]:
    """Return the grid's parameters, one dict a setting; raised if it is empty or holds one twice."""
    parts = [grid] if isinstance(grid, Mapping) else list(grid)
    settings: dict[str, dict[str, Any]] = {}
    for part in parts:
        axes = {key: _axis(f"{name}: grid value {key!r}", value) for key, value in part.items()}
        for combination in itertools.product(*axes.values()):
            params = dict(zip(axes, combination, strict=True))
            if settings.setdefault(canonical(params), params) is not params:
                raise ValueError(f"{name}: a grid must hold each setting once; got {params} twice")
    if not settings:
        raise ValueError(f"{name}: a grid must hold at least one setting; got {grid!r}")
    return list(settings.values())


def _axis(name: str, value: Any) -> list[Any]:
    varied = isinstance(value, list | tuple | range | np.ndarray | torch.Tensor)
    values = plain(name, value) if varied else [plain(name, value)]
    try:
        json.dumps(values, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{name} must be finite; got {value!r}") from error
    return values


def _chosen(settings: list[dict[str, Any]], only: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings that have the wanted values; raised if there is no such parameter or setting."""
    known: dict[str, list[Any]] = {}
    for params in settings:
        for name, value in params.items():
            values = known.setdefault(name, [])
            values += [value] if value not in values else []
    for name in only:
        if name not in known:
            raise ValueError(
                f"only must name parameters ({', '.join(known) or 'there are none'}); got {name!r}"
            )
    lists = {name: wanted if isinstance(wanted, list | tuple) else [wanted] for name, wanted in only.items()}
    chosen = [
        params
        for params in settings
        if all(name in params and params[name] in wanted for name, wanted in lists.items())
    ]
    if not chosen:
        raise ValueError(f"only={dict(only)!r} leaves no trial; the grid holds {known}")
    return chosen


def _check_function(name: str, trial: Any, settings: Mapping[str, list[dict[str, Any]]]) -> None:
    """Raised if worker processes could not import the function, or if it does not take its arguments."""
    if not inspect.isfunction(trial) or "<" in trial.__qualname__:
        raise TypeError(
            f"{name}: trial must be a function at the top level of a module, where worker processes "
            f"can import it; got {getattr(trial, '__qualname__', trial)!r}"
        )
    signature = inspect.signature(trial)
    for params in itertools.chain.from_iterable(settings.values()):
        for reserved in ("seed", "device", "dtype"):
            if reserved in params:
                raise ValueError(
                    f"{name}: {reserved!r} is given to every trial and cannot be a parameter of the grid"
                )
        extra = {"dtype": None} if "dtype" in signature.parameters else {}
        try:
            signature.bind(**params, seed=0, device="cpu", **extra)
        except TypeError as error:
            raise TypeError(
                f"{name}: trial cannot be called with {params}, seed and device: {error}"
            ) from error
