"""Equal arguments, equal bits: trials of every experiment, computed again on this machine.

A trial at live scale is drawn for each experiment with a fixed seed; where there is no live scale, the cheapest stored
trial. They are computed here one after the other, and again in a fresh process, in another order and after torch's,
numpy's and Python's global generators were disturbed. `TOO_DEAR` lists what would take too long.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from advnb.data import present
from advnb.experiments import Trial, find
from advnb.experiments.read import stored_scales, succeeded
from advnb.experiments.runs import attempt, told
from advnb.experiments.store import canonical

pytestmark = pytest.mark.slow

SEED = 0
DEAR = 3.0
"""Seconds that the cheapest stored trial of an experiment without a live scale may have taken."""
TAKEN_OVER = {"convergence.figure_3"}
"""Experiments whose cheap trials found a network that another trial had trained."""
WORKER = Path(__file__).with_name("repeat_worker.py")


def drawn(name: str) -> Trial | None:
    """The trial of an experiment that is computed twice; None if there is none that is cheap."""
    experiment = find()[name]
    if "live" in experiment.scales:
        return random.Random(f"{SEED}/{name}").choice(experiment.trials("live"))
    stored = [record for scale in stored_scales(name) for record in succeeded(name, scale)]
    record = min(stored, key=lambda record: record["provenance"]["seconds"], default=None)
    if record is None or record["provenance"]["seconds"] > DEAR or name in TAKEN_OVER:
        return None
    return Trial(record["params"], record["seed"])


NAMES = sorted(find())
TRIALS = {name: trial for name in NAMES if (trial := drawn(name))}
TOO_DEAR = sorted(set(NAMES) - TRIALS.keys())


def computed(name: str) -> str:
    """The values of an experiment's trial, every digit of them, as text; raised if the trial raises."""
    experiment = find()[name]
    record = attempt(experiment.trial, TRIALS[name], "cpu", experiment.dtype)
    assert "values" in record, told(record)
    return canonical({key: value for key, value in record["values"].items() if key not in experiment.unchecked})


def disturb(seed: int) -> None:
    """Leave the global generators in a state of their own."""
    torch.manual_seed(seed)
    torch.randn(seed % 97)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def needed(name: str) -> set[str]:
    """The data sets that a trial reads and that are not here."""
    absent = {one.name for one in present() if one.missing}
    return {str(TRIALS[name].params.get("data", "digits"))} & absent


@cache
def first() -> dict[str, str]:
    """What each trial returns, computed in order."""
    disturb(1)
    return {name: computed(name) for name in TRIALS if not needed(name)}


@cache
def fresh() -> dict[str, str]:
    """The same in a process of its own, shuffled, with other generators and another seed for the hashes of texts."""
    names = [name for name in TRIALS if not needed(name)]
    random.Random(3).shuffle(names)
    environment = os.environ | {"PYTHONHASHSEED": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", str(WORKER), str(torch.get_num_threads()), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_experiment_with_a_live_scale_is_here():
    assert len(TRIALS) > 70 and not any("live" in find()[name].scales for name in TOO_DEAR)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_gives_the_same_bits_whatever_came_before_it(name):
    if absent := needed(name):
        pytest.skip(f"needs {' and '.join(absent)} in ADVNB_DATA")
    same = first()[name] == fresh()[name]  # not the texts themselves: a diff of long ones takes minutes
    assert same, f"{name} gives other numbers in another process: {TRIALS[name]}"
