"""Weights beside the stored lines: found by the digest in the line, and refused when they are not what it says."""

import json

import pytest
import torch

from advnb.experiments import find
from advnb.experiments.provenance import PACKAGE
from advnb.experiments.store import MAX_NUMBERS
from advnb.models import digits_cnn
from advnb.papers.convergence.recipes import brought_back, put_by
from advnb.papers.convergence.tables.trials import MEASURED, REPORTED, STAGES
from advnb.training import CheckpointError
from advnb.training.checkpoints import digest

KILOBYTES = 64
"""What a stored line of a training trial may hold at the paper's 120 epochs."""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_KEPT", str(tmp_path))
    return tmp_path / "weights"


def net(seed):
    return digits_cnn(width=0.25, generator=torch.Generator().manual_seed(seed)).eval()


def test_weights_come_back_by_their_digest(kept):
    name = put_by(net(0))
    assert put_by(net(0)) == name
    assert [file.name for file in kept.iterdir()] == [f"{name}.pt"]
    back = brought_back(net(1), name)
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), net(0).parameters(), strict=True))


def test_a_digest_sees_every_weight_and_buffer():
    one, names = net(0), {digest(net(0))}
    for value in one.state_dict().values():
        value.view(-1)[0] += 1
        names.add(digest(one))
    assert len(names) == 1 + len(one.state_dict())


def test_other_weights_under_the_name_are_refused(kept):
    name = put_by(net(0))
    torch.save(net(1).state_dict(), kept / f"{name}.pt")
    with pytest.raises(CheckpointError, match="holds other weights than its name says"):
        brought_back(net(0), name)


def test_weights_that_are_not_there_are_told_of(kept):
    with pytest.raises(CheckpointError, match=r"no weights are kept as .*abc\.pt"):
        brought_back(net(0), "abc")


def test_a_line_of_a_full_training_trial_is_small_enough_for_the_repository():
    """The longest stored line of the laptop scale, with its histories drawn out to 120 epochs."""
    path = PACKAGE.parent / "book" / "results" / "convergence.tables_cifar10.laptop.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    longest = max(lines, key=lambda line: len(json.dumps(line)))
    for name in REPORTED:
        values = longest["values"][f"epoch_{name}"]
        longest["values"][f"epoch_{name}"] = (values * 120)[:120] if values else values
    longest["values"]["weights"] = "0" * 32
    assert len(json.dumps(longest)) < 1024 * KILOBYTES
    assert all(len(longest["values"][name]) == len(STAGES) for name in MEASURED if "pgd" in name)
    experiment = find()["convergence.tables_cifar10"]
    assert experiment.tolerance_of("weights") is None
    assert 120 * len(REPORTED) + len(STAGES) * 51 * len(MEASURED) <= MAX_NUMBERS
