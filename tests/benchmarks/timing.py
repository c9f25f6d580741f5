"""Times to compare: every function of a case once a round, so that all of them see the same machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Clock = Callable[[], float]


@dataclass
class Case:
    """What is compared: ``variants`` do the same work each in its own way, and ``baseline`` names the yardstick.

    ``warm`` does a little of each, so that nothing is done for the first time while it is timed. ``rounds`` is how
    often each is timed. ``seen`` says of a variant's last result whatever is to be known besides its time.
    """

    name: str
    title: str
    baseline: str
    variants: Mapping[str, Callable[[], Any]]
    rounds: int = 7
    seen: Callable[[str, Any], dict[str, Any]] = lambda name, result: {}
    warm: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    clock: Clock = time.process_time

    def measure(self) -> list[dict[str, Any]]:
        """Return a row a variant: its seconds, round by round, and what was seen."""
        for name, function in self.variants.items():
            self.warm.get(name, function)()
        seconds: dict[str, list[float]] = {name: [] for name in self.variants}
        results: dict[str, Any] = {}
        order = list(self.variants)
        for turn in range(self.rounds):
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                start = self.clock()
                results[name] = self.variants[name]()
                seconds[name].append(round(self.clock() - start, 6))
        common = {"case": self.name, "title": self.title, "baseline": self.baseline}
        return [
            {**common, "variant": name, "seconds": seconds[name], **self.seen(name, results[name])} for name in order
        ]


def fresh(code: str, **variables: str) -> float:
    """Run code in an interpreter of its own, set up as a machine comes but for the variables; return what it prints."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_", "MALLOC_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def best_of(rounds: int, *functions: Callable[[], object]) -> list[float]:
    """Least processor time of each function, the rounds interleaved so that all of them see the same machine."""
    times = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            begin = time.process_time()
            function()
            times[i] = min(times[i], time.process_time() - begin)
    return times
