"""A trial of every stored run is computed again, as `python -m advnb verify` does it, within its tolerance.

One trial a file, drawn with a fixed seed from those that took at most `DEAR` seconds where they were stored: the same
tree verifies the same trials everywhere. `make test` spends about a minute here; what it leaves is verified by
`python -m advnb verify NAME --sample K --seed S`.
"""

from __future__ import annotations

import os
import random
from functools import cache

import portable
import pytest
import torch

from advnb.data import present
from advnb.experiments import SCALES, find, verify
from advnb.experiments.provenance import device_name
from advnb.experiments.read import results_folder, succeeded
from advnb.experiments.store import ResultsFile, Writer

pytestmark = pytest.mark.slow  # all together, though no trial is

SEED = 0
DEAR = 3.0
"""Seconds that a trial may have taken if it is drawn here."""

TOO_DEAR = {
    "convergence.ablations": 6, "convergence.autoattack": 55, "convergence.c_max": 18,
    "convergence.c_max_elsewhere": 52, "convergence.cost": 12, "convergence.figure_1_cifar10": 54,
    "convergence.figure_1_digits": 8, "convergence.figure_1_mnist": 170, "convergence.figure_2": 9,
    "convergence.figure_2_longer": 54, "convergence.figure_4b": 35, "convergence.spending": 14,
    "convergence.tables_cifar10": 77, "convergence.tables_digits": 4, "convergence.tables_mnist": 71,
    "dynamics.fig3": 18, "dynamics.restarts_digits": 31, "dynamics.restarts_mnist": 37, "lazy.exits": 14,
    "lazy.figure_4_images": 60, "lazy.late": 68, "lazy.late_toys": 25,
    "lazy.figure_4_longer": 7, "lazy.figure_7": 11, "lazy.standardised": 16, "lazy.three_layers": 6,
    "primer.lesson": 9,
}  # fmt: skip
"""Experiments without a trial that cheap, and the seconds that their cheapest one took."""

TAKEN_OVER = {"convergence.figure_3"}
"""Experiments whose cheap trials found a network that another trial had trained: verified, they train it again."""

CAPABILITY = "AVX512"
"""What torch used where all stored trials were computed; the names of processors do not tell."""

STORED = sorted(path.name.removesuffix(".jsonl") for path in results_folder().glob("*.jsonl"))
"""Names of all results files, `paper.experiment.scale`."""


def name_of(stored):
    """The experiment that a results file stores."""
    return stored.rsplit(".", 1)[0]


@cache
def records(stored):
    """The trials of a results file that did not raise, the cheapest first."""
    name, scale = stored.rsplit(".", 1)
    return sorted(succeeded(name, scale), key=lambda record: record["provenance"]["seconds"])


def seconds(stored):
    """What the cheapest trial of a results file took."""
    return records(stored)[0]["provenance"]["seconds"]


def computes_alike(origin):
    """Whether this process rounds as the one did whose provenance this is, as far as can be known."""
    emulates = (portable.VARIABLES - {"OMP_NUM_THREADS"}) & os.environ.keys()
    here = device_name("cpu"), torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    return not emulates and here == (origin["device_name"], origin["threads"], CAPABILITY)


def drawn(stored):
    """The trial of a results file that is computed again."""
    cheap = [record for record in records(stored) if record["provenance"]["seconds"] <= DEAR]
    return random.Random(f"{SEED}/{stored}").choice(cheap)


def test_there_are_stored_runs():
    assert len(STORED) > 50 and {stored.rsplit(".", 1)[1] for stored in STORED} <= set(SCALES)


def test_what_is_too_dear_is_listed_with_what_it_costs():
    dear = {name_of(stored): seconds(stored) for stored in STORED if seconds(stored) > DEAR}
    assert dear.keys() == TOO_DEAR.keys()
    assert {name_of(stored) for stored in STORED} - dear.keys() >= TAKEN_OVER
    # Within a factor of two: stored anew, a run takes another time.
    assert {name for name, cost in dear.items() if not 0.5 < cost / TOO_DEAR[name] < 2} == set()


@pytest.mark.parametrize("stored", [s for s in STORED if name_of(s) not in TOO_DEAR.keys() | TAKEN_OVER])
def test_a_stored_trial_can_be_had_again(stored, tmp_path):
    name, scale = stored.rsplit(".", 1)
    record = drawn(stored)
    here = {one.name for one in present() if not one.missing}
    if absent := {record["params"].get("data", "digits")} - here:
        pytest.skip(f"needs {' and '.join(absent)} in ADVNB_DATA")
    with Writer(ResultsFile(tmp_path, name, scale)) as alone:
        alone.append(record)
    report = verify(find()[name], sample=1, scale=scale, results=tmp_path, alike=computes_alike(record["provenance"]))
    assert report["holds"][report["promised"]].all() and report["trials"].eq(1).all() and report["promised"].any()
