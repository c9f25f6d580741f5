"""Long trajectories that are put away between epochs and taken up again are those that were never stopped."""

import pytest
import torch

from advnb.data import Split
from advnb.experiments import TimeIsUp, UnderWay, find, stretches
from advnb.experiments.declare import DTYPES
from advnb.models import TwoLayer
from advnb.papers.lazy.adversarial import train_projected
from advnb.papers.lazy.exits.late import late
from advnb.papers.lazy.sgd import lazy_sgd


class Cut(UnderWay):
    """Time that is up whenever another state has been put away, which is after each epoch."""

    def __init__(self, path):
        super().__init__(path, every=0)

    def part(self, name):
        return Cut(super().part(name).path)

    def save(self, state, *, now=False):
        before = self.path.read_bytes() if self.path.exists() else b""
        super().save(state, now=now)
        if self.path.read_bytes() != before:
            raise TimeIsUp


def in_stretches(work, most=200):
    """What ``work`` returns once it has been taken up as often as it was cut off, and how often that was."""
    for stretch in range(most):
        try:
            return work(), stretch
        except TimeIsUp:
            pass
    raise AssertionError(f"not done after {most} stretches")


def equal(a, b):
    """Whether two results are the same to the last bit, NaN among them."""
    return repr(a) == repr(b)


def trajectory(steps, away):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(150, 16, generator=generator)
    data = Split(x, torch.where(x[:, 0] > 0.5, 1.0, -1.0))
    net = TwoLayer(16, 40, generator=generator).eval()
    seen = []
    run = lazy_sgd(net, data.x, data.y, [0.5, 1.0, 2.0, 50.0], steps=steps, batch=20, generator=generator,
                   visit=lambda net, exit: seen.append(vars(exit)), away=away, seen=seen)  # fmt: skip
    return net.weight.detach().clone(), run, seen


def test_sgd_goes_on_where_it_was(tmp_path):
    away = UnderWay(tmp_path / "sgd.pt", every=0)
    trajectory(101, away)
    assert 0 < away.load()["count"] <= 101
    weight, run, seen = trajectory(400, away)
    whole_weight, whole, whole_seen = trajectory(400, None)
    assert torch.equal(weight, whole_weight)
    assert run == whole
    assert seen == whole_seen


def test_late_training_goes_on_where_it_was(tmp_path, monkeypatch):
    options = {"data": "digits", "side": 4, "m": 30, "frozen": True, "seed": 0, "device": "cpu", "dtype": torch.float32}
    whole = late(steps=300, **options)
    monkeypatch.setattr("advnb.papers.lazy.exits.late.under_way", lambda: UnderWay(tmp_path / "late.pt", every=0))
    part = late(steps=100, **options)
    assert len(part["step"]) < len(whole["step"])
    assert 0 < UnderWay(tmp_path / "late.pt").load()["count"] < 100
    assert late(steps=300, **options) == whole
    assert stretches.under_way() is None


@pytest.mark.parametrize("projection", ["epoch", "step", "none"])
@pytest.mark.parametrize("keep", ["projected", "released"])
@pytest.mark.parametrize("patience", [2, 20])
def test_projected_training_cut_off_after_each_epoch_is_the_whole(tmp_path, projection, keep, patience):
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(40, 10, generator=generator))
    data = Split(x, torch.where(x[:, 0] > 0, 1.0, -1.0))

    def train(away):
        generator = torch.Generator().manual_seed(1)
        net = TwoLayer(10, 60, generator=generator)
        outcome = train_projected(net, data, 0.1, 0.3, epochs=7, lr=0.1, batch=8, steps=4, projection=projection,
                                  keep=keep, patience=patience, generator=generator, away=away)  # fmt: skip
        return net.weight.detach().clone(), outcome, generator.get_state()

    whole, (found, stretches_taken) = train(None), in_stretches(lambda: train(Cut(tmp_path / "one.pt")))
    assert torch.equal(found[0], whole[0])
    assert found[1] == whole[1]
    assert torch.equal(found[2], whole[2])
    assert stretches_taken == len(whole[1].accuracy) + 1  # the end is put away too, where an epoch was


def test_projected_training_without_a_generator_is_not_put_away(tmp_path):
    x = torch.eye(4)
    train_projected(TwoLayer(4, 10), Split(x, torch.tensor([1.0, 1, -1, -1])), 0.1, 0.3, epochs=1, steps=1,
                    away=Cut(tmp_path / "one.pt"))  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_what_is_kept_is_put_away_once_where_it_is_the_last(tmp_path):
    away = UnderWay(tmp_path / "one.pt", every=0)
    x = torch.nn.functional.normalize(torch.randn(8, 400, generator=torch.Generator().manual_seed(0)))
    net = TwoLayer(400, 100, generator=torch.Generator().manual_seed(0))
    train_projected(net, Split(x, x[:, 0].sign()), 0.1, 0.3, epochs=1, steps=1, away=away,
                    generator=torch.Generator().manual_seed(1))  # fmt: skip
    assert away.path.stat().st_size < 1.2 * 4 * net.weight.numel()


SMALL = {
    "lazy.algorithm_1": {"epochs": 4, "examples": 40, "tests": 20, "side": 4, "m": 30, "steps": 2, "test_steps": 3},
    "lazy.one_step": {"epochs": 3, "examples": 40, "tests": 20, "side": 4, "m": 30, "steps": 30,
                      "budgets": [1.0, 2.0]},
    "lazy.figure_7": {"side": 4, "m": 50, "steps": 40},
}  # fmt: skip
"""Trials of epochs as small as they go."""


@pytest.mark.parametrize("name", SMALL)
def test_a_trial_cut_off_after_each_epoch_is_the_whole(tmp_path, monkeypatch, name):
    experiment = find("advnb.papers.lazy")[name]
    assert experiment.goes_on
    options = {**experiment.trials("live")[0].params, **SMALL[name]}
    module = experiment.trial.__module__

    def trial():
        return experiment.trial(**options, seed=0, device="cpu", dtype=DTYPES[experiment.dtype])

    whole = trial()
    monkeypatch.setattr(f"{module}.under_way", lambda: Cut(tmp_path / "one.pt"))
    found, taken = in_stretches(trial)
    assert equal(found, whole)
    assert taken >= 3
