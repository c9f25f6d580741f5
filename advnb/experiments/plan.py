"""What open trials will take and in which order they are worth their time, before any of them runs.

``cost`` counts what a trial asks of a device; a :class:`Speed` says how long the device takes for it. Speeds are fitted
to stored durations, experiment by experiment, and so every run that is stored corrects the next plan. Of the seeds of
a setting the fastest counts: what else a machine has to do only makes a trial slower.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from advnb import checks
from advnb.experiments.cost import Cost
from advnb.experiments.declare import SCALES, Experiment, Trial
from advnb.experiments.read import results_folder
from advnb.experiments.store import Record, ResultsFile, canonical, settled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PRIOR", "Speed", "benchmark", "estimates", "fitted", "measured", "of_throughput", "plan", "worth"]


@dataclass(frozen=True)
class Speed:
    """How fast a device is: operations and numbers written a second, and the seconds that a kernel call costs."""

    flops: float
    numbers: float
    call: float

    def seconds(self, cost: Cost) -> float:
        """Return how long ``cost`` takes."""
        return cost.flops / self.flops + cost.numbers / self.numbers + cost.calls * self.call


PRIOR = Speed(flops=4e10, numbers=1.5e9, call=1e-5)
"""About what one core of the processor behind the book's laptop runs does: where a fit starts, and what it stays near
where few durations are stored."""

SPREAD, NOISE = 2.0, 0.2
"""How far fitted speeds may leave the prior, and durations the fit, as standard deviations of logarithms."""

NEGLIGIBLE = 0.01
"""A share of the cost that stored trials may leave unspent and still count as having spent it."""

NUMBERS_PER_FLOP, CALL = 0.02, 1e-5
"""Of an accelerator with a given throughput: numbers it writes for each operation that it can do, seconds a call."""


def of_throughput(tflops: float) -> Speed:
    """Return the speed of an accelerator that sustains ``tflops`` 10^12 operations a second in matrix products.

    Its memory is taken to write one number in the time of fifty operations, and a kernel call to cost 10 microseconds;
    both are replaced by a fit as soon as a duration is stored from the device.
    """
    flops = 1e12 * checks.positive("tflops", tflops)
    return Speed(flops, NUMBERS_PER_FLOP * flops, CALL)


def benchmark(device: str = "cpu") -> Speed:
    """Measure the speed of ``device`` in about a second: a matrix product, a sum into memory, the smallest kernel."""
    x, y = torch.ones(1024, 1024, device=device), torch.ones(2**22, device=device)
    product, written, call = (
        _fastest(work, device) for work in (lambda: x @ x, lambda: torch.add(y, 1, out=y), lambda: x[:1, :1] + 1)
    )
    return Speed(2 * 1024**3 / product, len(y) / written, call)


def _fastest(work: Callable[[], Any], device: str, seconds: float = 0.3) -> float:
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    work(), wait()  # the first call also loads and allocates
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        work(), wait()
        best = min(best, time.perf_counter() - began)
    return best


def fitted(costs: Iterable[Cost], seconds: Iterable[float], prior: Speed = PRIOR) -> Speed:
    """Return the speed that explains ``seconds`` by ``costs`` best, and ``prior`` where there are none.

    Least squares of logarithms, robust (a trial that took over a kept network is none of its like), with a weak pull
    of each of the three towards ``prior``.
    """
    from scipy.optimize import least_squares  # slow to import

    parts = np.array([cost.parts[:3] for cost in costs]).reshape(-1, 3)
    durations = np.array(list(seconds))
    start = np.log([1 / prior.flops, 1 / prior.numbers, prior.call])
    if not len(durations):
        return prior

    def residuals(logs: Any) -> Any:
        off = (np.log(np.maximum(parts @ np.exp(logs), 1e-12)) - np.log(durations)) / NOISE
        return np.concatenate([np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1)), (logs - start) / SPREAD])

    per_flop, per_number, call = np.exp(least_squares(residuals, start).x)
    return Speed(1 / float(per_flop), 1 / float(per_number), float(call))


def measured(experiment: Experiment, scale: str, results: Path | str | None = None) -> dict[str, dict[str, Record]]:
    """Return the stored trials by device, and for each the fastest of every setting by its parameters."""
    file = ResultsFile(results_folder(results), experiment.name, scale)
    found: dict[str, dict[str, Record]] = {}
    for record in settled(file.read()).values() if file.path.exists() else ():
        if "values" in record:
            best = found.setdefault(record["provenance"]["device_name"], {})
            setting = canonical(record["params"])
            if setting not in best or _seconds(record) < _seconds(best[setting]):
                best[setting] = record
    return found


def _seconds(record: Record) -> float:
    """Return how long a trial took; on one core of a processor by the time that this worked for it, if it is stored."""
    origin = record["provenance"]
    alone = origin.get("device") == "cpu" and origin.get("threads") == 1
    return float(min(origin["seconds"], origin.get("cpu_seconds", math.inf)) if alone else origin["seconds"])


@dataclass(frozen=True)
class _Learnt:
    """What stored durations say of an experiment: the speed, and the share of the cost at most that trials spend."""

    speed: Speed
    share: float
    settings: int


_Points = list[tuple[Cost, Cost, float, str]]
"""Of stored settings: what was spent, the cost at most, the seconds and the device."""


def _points(experiment: Experiment, results: Path | str | None) -> _Points:
    """Return the stored settings of all scales but live, too short to be told from the time of everything around."""
    points: _Points = []
    for scale in experiment.scales:
        if scale != "live" and experiment.cost is not None:
            for device, best in measured(experiment, scale, results).items():
                for record in best.values():
                    trial = Trial(record["params"], record["seed"])
                    spent = experiment.cost_of(trial, record["values"])
                    points.append((spent, experiment.cost_of(trial), _seconds(record), device))
    return points


def _learnt(points: _Points, device: str, prior: Speed) -> _Learnt:
    """Return the speed on ``device``; the shares are those of trials on all devices."""
    here = [(spent, seconds) for spent, _, seconds, name in points if name == device]
    spent, most = sum(prior.seconds(point[0]) for point in points), sum(prior.seconds(point[1]) for point in points)
    speed = fitted([cost for cost, _ in here], [seconds for _, seconds in here], prior)
    return _Learnt(speed, spent / most if most else 1.0, len(here))


def estimates(experiment: Experiment, device: str, scale: str, results: Path | str | None = None) -> pd.DataFrame:
    """Return what stored trials took beside what the plan would have said without them, a row a setting.

    Columns ``setting``, ``seconds`` (the fastest seed) and ``planned``, by the speed fitted to all other settings.
    """
    import pandas as pd

    records = list(measured(experiment, scale, results).get(device, {}).values())
    costs = [experiment.cost_of(Trial(one["params"], one["seed"]), one["values"]) for one in records]
    seconds = [_seconds(one) for one in records]
    rows = []
    for k, cost in enumerate(costs):
        others = fitted(costs[:k] + costs[k + 1 :], seconds[:k] + seconds[k + 1 :])
        rows.append((canonical(records[k]["params"]), seconds[k], others.seconds(cost)))
    return pd.DataFrame(rows, columns=["setting", "seconds", "planned"])


def worth(seed: int) -> float:
    """Return what the seed number ``seed`` (from 0) of a setting adds: 1 for the first, then what the error falls by.

    The standard error of a mean over n seeds is 1 / sqrt(n) of the spread, so that seed n + 1 takes
    1 / sqrt(n) - 1 / sqrt(n + 1) off it.
    """
    return 1.0 if seed == 0 else 1 / math.sqrt(seed) - 1 / math.sqrt(seed + 1)


def plan(
    experiments: Sequence[Experiment],
    scale: str = "full",
    *,
    name: str | None = None,
    device: str = "",
    prior: Speed = PRIOR,
    cpu: tuple[str, Speed] | None = None,
    stakes: Mapping[str, float] | None = None,
    results: Path | str | None = None,
) -> pd.DataFrame:
    """Return the open trials of ``experiments`` at ``scale``, what they take, and in which order they are worth it.

    One row an experiment or, of the one called ``name``, one a setting. Time is that of ``device``, as stored durations
    name it: the speed is fitted to those of the experiment, near the speed of its chapter, and that near ``prior``,
    which is all there is where nothing is stored from the device. ``cpu``, a name and a speed, takes its place for the
    experiments that can use no accelerator. ``stakes`` says how much rests on an experiment (1
    where it says nothing). Its curves have a point a setting, so that a trial is worth its stakes over the number of
    settings, times :func:`worth` of its seed; rows come by worth a minute, the most first.

    Columns: ``experiment``, ``settings`` (or ``setting``), ``seeds`` open of them at most, ``trials``; ``gradients``,
    ``tflop`` and ``longest`` (minutes of the longest trial), counted at most; ``at_most`` (hours), and ``hours``, as
    much of it as stored trials have spent; ``hours_by``, "measured" where these ended early, which nothing can count
    beforehand, else "counted"; ``first``, hours to one seed of every setting; ``from``, the number of
    stored settings behind the speed; ``worth``, and ``per_minute``.

    Raises ``ValueError`` if an experiment that has the scale declares no cost.
    """
    import pandas as pd

    checks.choice("scale", scale, SCALES)
    points = {one.name: _points(one, results) for one in experiments}
    chapters = _by_chapter(points)
    rows: list[dict[str, Any]] = []
    for one in experiments:
        if scale in one.scales and name in (None, one.name):
            name_of, start = (device, prior) if cpu is None or "cuda" in one.devices else cpu
            known = _learnt(points[one.name], name_of, _learnt(chapters[_chapter(one.name)], name_of, start).speed)
            settings = len({canonical(trial.params) for trial in one.trials(scale)})
            stake = (1.0 if stakes is None else stakes.get(one.name, 0.25)) / settings
            opened = _open(one, scale, results).values()
            each = [_row(one, known, trials, numbers, stake) for trials, numbers in opened]
            rows += each if name else [_together(one.name, each)] if each else []
    table = pd.DataFrame(rows)
    return table.sort_values("per_minute", ascending=False, ignore_index=True) if len(table) else table


def _chapter(name: str) -> str:
    return name.partition(".")[0]


def _by_chapter(points: Mapping[str, _Points]) -> dict[str, _Points]:
    """Return all points of a chapter's experiments together, by chapter."""
    chapters: dict[str, _Points] = {}
    for name, of_one in points.items():
        chapters.setdefault(_chapter(name), []).extend(of_one)
    return chapters


def _open(experiment: Experiment, scale: str, results: Path | str | None) -> dict[str, tuple[list[Trial], list[int]]]:
    """Return by setting the trials that are not stored, and which seeds of the setting (counted from 0) these are."""
    file = ResultsFile(results_folder(results), experiment.name, scale)
    stored = settled(file.read()) if file.path.exists() else {}
    found: dict[str, tuple[list[Trial], list[int]]] = {}
    done: dict[str, int] = {}
    for trial in experiment.trials(scale):
        setting = canonical(trial.params)
        if "values" in stored.get(trial.key, ()):
            done[setting] = done.get(setting, 0) + 1
        else:
            found.setdefault(setting, ([], []))[0].append(trial)
    for setting, (trials, numbers) in found.items():
        numbers.extend(range(done.get(setting, 0), done.get(setting, 0) + len(trials)))
    return found


def _row(one: Experiment, known: _Learnt, trials: list[Trial], numbers: list[int], stake: float) -> dict[str, Any]:
    cost = one.cost_of(trials[0])  # the same for all seeds
    most = known.speed.seconds(cost) / 3600
    value = stake * sum(map(worth, numbers))
    return {
        "experiment": one.name,
        "setting": ", ".join(f"{name}={text}" for name, text in trials[0].params.items()),
        "seeds": len(trials),
        "trials": len(trials),
        "gradients": len(trials) * cost.gradients,
        "tflop": len(trials) * cost.flops / 1e12,
        "longest": 60 * most,
        "at_most": len(trials) * most,
        "hours": len(trials) * most * known.share,
        "hours_by": "counted" if known.share > 1 - NEGLIGIBLE else "measured",
        "first": most * known.share if numbers[0] == 0 else 0.0,
        "from": known.settings,
        "worth": value,
        "per_minute": value / (60 * len(trials) * most * known.share),
    }


def _together(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one row for all settings of an experiment."""
    summed = {
        key: rows[0][key] if key in ("hours_by", "from") else sum(row[key] for row in rows)
        for key in rows[0]
        if key not in ("experiment", "setting")
    }
    both = {"experiment": name, "settings": len(rows), **summed}
    both["longest"] = max(row["longest"] for row in rows)
    both["seeds"] = max(row["seeds"] for row in rows)
    both["per_minute"] = both["worth"] / (60 * both["hours"])
    return both
