"""The page of the audit: what is drawn and said of the stored faults, and the list of flags."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from advnb.audit import FLAGS
from advnb.papers import trust
from advnb.papers.trust import FAULTS, Glossary, check, draw_matrix, raised

NAMES = list(FLAGS)


@pytest.fixture
def runs():
    """Two networks in which each fault raises its flag and nothing else."""
    rows = []
    for seed in (0, 1):
        for fault in ["none", *FAULTS]:
            hits = np.zeros(len(FLAGS), dtype=int)
            if fault in FAULTS:
                hits[NAMES.index(FAULTS[fault].flag)] = 1
            rows.append({"fault": fault, "seed": seed, "raised": hits})
    return pd.DataFrame(rows)


def test_what_is_raised_is_a_share_of_the_networks(runs):
    runs.at[1, "raised"] = np.zeros(len(FLAGS), dtype=int)  # "train mode" of seed 0
    shares = raised(runs)
    assert list(shares.index) == ["none", *FAULTS] and list(shares.columns) == NAMES
    assert shares.loc["train mode", "train-mode"] == 0.5 and shares.loc["tiny steps", "short-reach"] == 1


def test_the_check_counts_what_was_named_and_tells_of_misses_and_false_alarms(runs):
    every = f"{len(FAULTS)} of {len(FAULTS)} faults named in every network; not always: none; false alarms: none"
    assert check(raised(runs)) == every
    shares = raised(runs)
    shares.loc["train mode", "train-mode"], shares.loc["none", "labels"] = 0.5, 0.5
    said = check(shares)
    assert said.startswith(f"{len(FAULTS) - 1} of") and "not always: train mode;" in said and "alarms: labels" in said


def test_the_matrix_has_a_frame_at_the_flag_of_each_fault(runs):
    fig, ax = plt.subplots()
    shares = raised(runs)
    draw_matrix(ax, shares)
    assert np.array_equal(ax.images[0].get_array(), shares)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["none", *FAULTS]
    frames = {(int(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in ax.lines}
    assert frames == {(NAMES.index(fault.flag), row) for row, fault in enumerate(FAULTS.values(), 1)}
    plt.close(fig)


@pytest.mark.parametrize("show", [repr, Glossary._repr_html_])
def test_each_flag_is_listed_once_with_what_it_means_and_a_fault(show):
    said = {about: show(Glossary(about)) for about in ("model", "data", "attack")}
    for name, flag in FLAGS.items():
        for about, text in said.items():
            assert (f"{name}:" in text or f">{name}<" in text) == (about == flag.about)
        faults = [key for key, fault in FAULTS.items() if fault.flag == name]
        assert faults and all(key in said[flag.about] for key in faults)


def test_a_trial_tells_whether_the_fault_was_named_and_leaves_the_global_generator(monkeypatch, trained):
    monkeypatch.setattr(trust, "sound", lambda seed: trained)
    before = torch.get_rng_state()
    values = trust.caught(fault="tiny steps", seed=0, device="cpu")
    assert values["named"] == 1 and values["raised"][NAMES.index("short-reach")] == 1
    assert len(values["measured"]) == len(values["raised"]) == len(FLAGS)
    assert torch.equal(torch.get_rng_state(), before)
