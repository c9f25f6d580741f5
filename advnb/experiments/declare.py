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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import torch

from advnb import checks
from advnb.experiments.cost import Cost, Count
from advnb.experiments.store import canonical, plain

__all__ = ["DEVICES", "DTYPES", "SCALES", "Experiment", "Grid", "Seeds", "Tolerance", "Trial", "find"]

SCALES = ("live", "laptop", "full")
"""The scales, from the smallest to the largest."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}

DEVICES = {"cpu": "cpu", "cuda": "cuda(:[0-9]+)?"}
"""Kinds of device, and what a device of each kind is called (a regular expression)."""

Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Seeds = int | Sequence[int]
"""How many seeds (n means 0 .. n - 1), or which."""


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
        seeds: for each scale of ``grids`` how many seeds, or a list of them.
        dtype: "float32" or "float64"; handed to the trial and stored with it.
        devices: the kinds of device that the trial can work on, "cpu" and "cuda": those on which it computes
            when it is handed one, since the device it is handed is stored as the one that did the work.
        tolerance: how far ``verify`` lets a recomputed field lie from the stored one.
        tolerances: the same for single fields.
        unchecked: fields that a second run need not repeat, such as times.
        like_processor: fields that a second run repeats on a processor that rounds as the first one did, and need
            not on another: what stands at the end of a path on which a last bit grows.
        goes_on: whether a trial that was stopped is taken up where it was (``stretches.under_way``, a checkpoint in
            ``stretches.kept_folder``), so that it may begin though it cannot end in time.
        cost: what a trial takes, counted from its model (``cost.Count``); for every experiment with a full grid.

    Raises ``ValueError`` or ``TypeError`` when declared wrongly, at import.
    """

    name: str
    trial: Callable[..., Mapping[str, Any]]
    grids: Mapping[str, Grid]
    seeds: Mapping[str, Seeds]
    dtype: str = "float32"
    devices: Sequence[str] = ("cpu", "cuda")
    tolerance: Tolerance = Tolerance()
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    unchecked: Sequence[str] = ()
    like_processor: Sequence[str] = ()
    goes_on: bool = False
    cost: Count | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z0-9][a-z0-9_]*", str(self.name)):
            raise ValueError(f"name must look like 'paper.experiment', in lower case; got {self.name!r}")
        checks.choice("dtype", self.dtype, DTYPES)
        for kind in self.devices or [""]:
            checks.choice("devices", kind, DEVICES)
        for scale in (*self.grids, *self.seeds):
            checks.choice("scale", scale, SCALES)
        if not self.grids or set(self.grids) != set(self.seeds):
            got = f"{sorted(self.grids)} and {sorted(self.seeds)}"
            raise ValueError(f"{self.name}: grids and seeds must name the same scales, at least one; got {got}")
        _check_function(self.name, self.trial, itertools.chain.from_iterable(self._settings.values()))

    @cached_property
    def _settings(self) -> dict[str, list[dict[str, Any]]]:
        return {scale: _settings(self.name, grid) for scale, grid in self.grids.items()}

    @property
    def scales(self) -> list[str]:
        """The declared scales, from the smallest to the largest."""
        return [scale for scale in SCALES if scale in self.grids]

    def trials(self, scale: str, *, seeds: Seeds | None = None, only: Mapping[str, Any] | None = None) -> list[Trial]:
        """Return the trials of a scale: all parameters at the first seed, then at the second, and so on.

        ``seeds`` replaces the declared seeds; ``only`` keeps the settings that have the given values, one or a
        list each. Raised if the scale is not declared, or ``only`` names no parameter or leaves no trial.
        """
        checks.choice("scale", scale, self.scales)
        settings = _chosen(self._settings[scale], only or {})
        wanted = self.seeds[scale] if seeds is None else seeds
        if isinstance(wanted, int):
            wanted = range(checks.count("seeds", wanted))
        numbers = [checks.count("a seed", seed, minimum=0) for seed in dict.fromkeys(wanted)]
        if not numbers:
            raise ValueError("seeds must hold at least one seed; got none")
        return [Trial(params, seed) for seed in numbers for params in settings]

    def device(self, asked: str) -> str:
        """Return ``asked``, or the only kind of device there is for "auto"; raised if trials cannot use it."""
        if asked == "auto":
            return asked if len(self.devices) > 1 else self.devices[0]
        if not any(re.fullmatch(DEVICES[kind], str(asked)) for kind in self.devices):
            names = ["'auto'", *("'cuda', 'cuda:N'" if kind == "cuda" else "'cpu'" for kind in self.devices)]
            raise ValueError(f"device must be one of {', '.join(names)} for {self.name}; got {asked!r}")
        return asked

    def cost_of(self, trial: Trial, values: Mapping[str, Any] | None = None) -> Cost:
        """Return what a trial takes, at most; given the ``values`` that it returned, what it took.

        Raises ``ValueError`` if the experiment declares no cost.
        """
        if self.cost is None:
            raise ValueError(f"{self.name} declares no cost: what its trials take cannot be said before they run")
        parameters = inspect.signature(self.trial).parameters.values()
        usual = {one.name: one.default for one in parameters if one.default is not one.empty}
        return self.cost({**usual, **trial.params}, values)

    def tolerance_of(self, name: str) -> Tolerance | None:
        """Return the tolerance of the returned field ``name``, or None if a second run need not repeat it."""
        return None if name in self.unchecked else self.tolerances.get(name, self.tolerance)


def find(package: str | ModuleType = "advnb.papers") -> dict[str, Experiment]:
    """Return the experiments that the modules of ``package`` declare, by name, in order of name.

    ``package`` is a package, searched with all that is below it, or a single module. Raised if it cannot be
    imported, or if two different experiments have one name.
    """
    root = importlib.import_module(package) if isinstance(package, str) else package
    below = pkgutil.walk_packages(getattr(root, "__path__", ()), f"{root.__name__}.")
    found: dict[str, Experiment] = {}
    for module in (root, *(importlib.import_module(info.name) for info in below)):
        for value in vars(module).values():
            if isinstance(value, Experiment) and found.setdefault(value.name, value) is not value:
                second = f"the second is in {module.__name__}"
                raise ValueError(f"two experiments are named {value.name!r}: {second}")
    return dict(sorted(found.items()))


def _settings(name: str, grid: Grid) -> list[dict[str, Any]]:
    """Return the grid's parameters, one dict a setting; raised if it is empty or holds one twice."""
    settings: dict[str, dict[str, Any]] = {}
    for part in [grid] if isinstance(grid, Mapping) else grid:
        axes = {key: _axis(f"{name}: grid value {key!r}", value) for key, value in part.items()}
        for combination in itertools.product(*axes.values()):
            params = dict(zip(axes, combination, strict=True))
            if settings.setdefault(canonical(params), params) is not params:
                raise ValueError(f"{name}: a grid must hold each setting once; got {params} twice")
    if not settings:
        raise ValueError(f"{name}: a grid must hold at least one setting; got {grid!r}")
    return list(settings.values())


def _axis(name: str, value: Any) -> list[Any]:
    values = plain(name, value)
    try:
        json.dumps(values, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{name} must be finite; got {value!r}") from error
    return values if isinstance(values, list) else [values]


def _chosen(settings: list[dict[str, Any]], only: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings that have the wanted values; raised if there is no such parameter or setting."""
    names = list(dict.fromkeys(name for params in settings for name in params))
    for name, value in only.items():
        if name not in names:
            raise ValueError(f"only must name parameters ({', '.join(names) or 'none'}); got {name!r}")
        there = {canonical(params[name]): params[name] for params in settings if name in params}
        wanted = value if isinstance(value, list | tuple) else [value]
        settings = [params for params in settings if name in params and params[name] in wanted]
        if not settings:
            raise ValueError(f"only {name}={value!r} leaves no trial; there are {list(there.values())}")
    return settings


def _check_function(name: str, trial: Any, settings: Iterable[Mapping[str, Any]]) -> None:
    """Raised if worker processes could not import the function, or if it does not take its arguments."""
    if not inspect.isfunction(trial) or "<" in trial.__qualname__:
        rule = "must be a function at the top level of a module, where worker processes can import it"
        raise TypeError(f"{name}: trial {rule}; got {getattr(trial, '__qualname__', trial)!r}")
    signature = inspect.signature(trial)
    given = {"seed": 0, "device": "cpu"} | ({"dtype": None} if "dtype" in signature.parameters else {})
    for params in settings:
        if taken := sorted(params.keys() & {*given, "dtype"}):
            raise ValueError(f"{name}: {taken[0]!r} is given to every trial: it cannot be varied by the grid")
        try:
            signature.bind(**params, **given)
        except TypeError as error:
            call = ", ".join([str(params), *given])
            raise TypeError(f"{name}: trial cannot be called with {call}: {error}") from error
