"""Faults planted into a network, its data or its attack: the audit names each."""

from __future__ import annotations

import pytest
import torch

from advnb.audit import FLAGS
from advnb.papers.trust import BALL, FAULTS, audited, examples

ASKED = {
    "wrong mode": "train mode", "masked gradients": "masked gradient", "clipped logits": "clipped logits",
    "quantised input": "quantised input", "stochastic layer": "noise in the network",
    "wrong units": "wrong units of x", "label shift": "shifted labels", "detached graph": "detached graph",
    "stale normalisation": "stale normalisation", "too few steps": "too few steps",
    "a step that cannot cross the ball": "tiny steps", "an early return": "return in the loop over batches",
}  # fmt: skip
"""The twelve faults that an audit must find whatever else it finds."""


def test_twelve_faults_are_among_them_and_every_flag_has_one():
    assert len(ASKED) == 12 and set(ASKED.values()) <= FAULTS.keys()
    assert {fault.flag for fault in FAULTS.values()} == FLAGS.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(trained, name):
    torch.manual_seed(0)  # for the layer that draws from the global generator
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    report = audited(trained, *examples(), BALL, name, progress=False)
    assert FAULTS[name].flag in report.flags, repr(report)
    assert all(bool((value == before[key]).all()) for key, value in trained.state_dict().items())
