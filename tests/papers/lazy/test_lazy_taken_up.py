"""Long trajectories that are put away between epochs and taken up again are those that were never stopped."""

import torch

from advnb.data import Split
from advnb.experiments import UnderWay, stretches
from advnb.models import TwoLayer
from advnb.papers.lazy.exits.late import late
from advnb.papers.lazy.sgd import lazy_sgd


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
