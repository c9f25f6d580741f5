"""Accuracy, the white-box and the transfer table, against models and attacks whose results are known by hand."""

from __future__ import annotations

import copy
from functools import partial

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from advnb import gradients
from advnb.attacks import cw, fgsm, pgd
from advnb.balls import Linf
from advnb.data import Split
from advnb.evaluation import accuracy, table, transfer, white_box
from advnb.fold import is_folded


class Threshold(nn.Module):
    """Class 1 where the only pixel exceeds ``at``; the logits are (0, slope (x - at))."""

    def __init__(self, at: float = 0.5, slope: float = 10.0) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(at))
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        score = self.slope * (x.flatten(1)[:, 0] - self.at)
        return torch.stack([torch.zeros_like(score), score], 1)


class Scalar(nn.Module):
    """One output f(x) = x - 1/2 for labels in {-1, +1}."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, 0] - 0.5


def pixels(n: int = 100) -> Split:
    """Pixels (k + 1/2) / n with class 1 above one half: 90 of 100 survive eps = 0.05."""
    x = ((torch.arange(n) + 0.5) / n).reshape(n, 1, 1, 1)
    return Split(x, (x.flatten() > 0.5).long())


def model(at: float = 0.5) -> nn.Module:
    return Threshold(at).eval()


def jitter(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A random attack with no gradient: uniform noise of 0.2."""
    return x + 0.4 * (torch.rand(x.shape, generator=generator) - 0.5)


ATTACKS = {"clean": None, "fgsm": partial(fgsm, ball=Linf(0.05)), "noise": jitter}


# accuracy


def test_accuracy_clean_and_attacked_by_hand():
    assert accuracy(model(), pixels()) == 1.0
    assert accuracy(model(0.6), pixels()) == 0.9
    assert accuracy(model(), pixels(), attack=partial(fgsm, ball=Linf(0.05))) == 0.9
    assert accuracy(model(), pixels(), attack=partial(pgd, ball=Linf(0.1), random_start=False)) == 0.8


@pytest.fixture
def seen(monkeypatch) -> list[nn.Module]:
    """The networks that attacks take gradients of, in order."""
    found: list[nn.Module] = []

    def watched(model: nn.Module, *rest, **options):
        found.append(model)
        return gradient(model, *rest, **options)

    gradient = gradients.loss_and_gradient
    monkeypatch.setattr(gradients, "loss_and_gradient", watched)
    return found


def test_one_folded_copy_is_attacked_and_the_model_judges(trained, digits, seen):
    """White box, over two batches and two attacks: one copy. In float64 no pixel differs from the unfolded attack's."""
    exact = copy.deepcopy(trained).double()
    data = Split(digits.test.x[:80].double(), digits.test.y[:80])
    attacks = {"pgd": partial(pgd, ball=Linf(0.2), steps=3), "cw": partial(partial(cw, kappa=1), ball=Linf(0.2))}
    tables = []
    for fold in (True, False):
        seen.clear()
        tables.append(white_box({"m": exact}, data, attacks, batch=40, fold=fold, progress=False))
        assert {is_folded(network) for network in seen} == {fold}
        assert len(set(map(id, seen))) == 1
    assert tables[0].accuracy.tolist() == tables[1].accuracy.tolist()
    assert tables[0].loss.tolist() == pytest.approx(tables[1].loss.tolist(), rel=1e-9)
    for fold in (True, False):
        seen.clear()
        accuracy(exact, data, attack=attacks["pgd"], fold=fold)
        transfer({"s": exact}, {"t": exact}, data, attacks, fold=fold, progress=False)
        assert {is_folded(network) for network in seen} == {fold}


def test_an_attack_that_was_told_is_not_told_again_and_a_user_s_sees_the_model(trained, digits, seen):
    data, given = digits.test[:300], []

    def own(model, x, y, **options):
        given.append((model, options))
        return x

    accuracy(trained, data, attack=partial(pgd, ball=Linf(0.1), steps=1, fold=False))
    assert not any(map(is_folded, seen))
    accuracy(trained, data, attack=own)
    assert all(model is trained and set(options) <= {"generator"} for model, options in given)


@pytest.mark.parametrize("batch", [1, 7, 100, 1000])
def test_batch_size_changes_nothing_for_a_deterministic_attack(batch):
    attack = partial(pgd, ball=Linf(0.1), steps=5, random_start=False)
    assert accuracy(model(), pixels(), attack=attack, batch=batch) == 0.8


def test_pairs_tuples_and_attacks_with_options():
    data = (pixels().x, pixels().y)
    traced = partial(pgd, ball=Linf(0.05), random_start=False, trace=True)
    assert accuracy(model(), data, attack=traced) == 0.9
    assert accuracy(model(), data, attack=partial(cw, ball=Linf(0.05), random_start=False)) == 0.9
    assert accuracy(model(), data, attack=lambda net, x, y: 1 - x) == 0.0


def test_one_output_and_signs():
    signs = Split(pixels().x, pixels().y * 2.0 - 1)
    assert accuracy(Scalar().eval(), signs) == 1.0
    assert accuracy(Scalar().eval(), signs, attack=partial(fgsm, ball=Linf(0.05), loss="logistic")) == 0.9
    assert white_box({"f": Scalar().eval()}, signs, {"clean": None}, progress=False).loss[0] == pytest.approx(
        torch.nn.functional.softplus(-(pixels().x.flatten() - 0.5).abs()).mean().item()
    )


def test_the_generator_reaches_the_attack_and_one_given_before_is_kept():
    seeded = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    first = accuracy(model(), pixels(), attack=jitter, generator=seeded())
    assert first == accuracy(model(), pixels(), attack=jitter, generator=seeded()) < 1
    assert first == accuracy(model(), pixels(), attack=partial(jitter, generator=seeded()))
    seen = []

    def free(net, x, y, **options):
        seen.append(sorted(options))
        return x

    accuracy(model(), pixels(), attack=free)
    assert seen == [["generator"]]


def test_model_is_left_as_it_was_also_after_an_error():
    net = model()
    net.at.requires_grad_(True)

    def broken(net, x, y):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        accuracy(net, pixels(), attack=broken)
    accuracy(net, pixels(), attack=ATTACKS["fgsm"])
    assert not net.training and net.at.requires_grad and net.at.grad is None


def test_insisting_on_train_mode_keeps_the_buffers():
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1), nn.Linear(1, 2)).train()
    before = net[1].running_mean.clone()
    accuracy(net, pixels(), allow_train_mode=True)
    assert torch.equal(net[1].running_mean, before) and net.training


# white_box


def test_white_box_by_hand():
    results = white_box({"good": model(), "bad": model(0.6)}, pixels(), ATTACKS, progress=False)
    assert list(results.columns) == ["model", "attack", "accuracy", "low", "high", "n", "loss", "seconds"]
    assert results[["model", "attack"]].to_numpy().tolist() == [
        [name, attack] for name in ("good", "bad") for attack in ATTACKS
    ]
    cell = results.set_index(["model", "attack"])
    assert cell.accuracy["good", "clean"] == 1.0 and cell.accuracy["good", "fgsm"] == 0.9
    assert cell.accuracy["bad", "clean"] == 0.9 and (results.n == 100).all() and (results.seconds > 0).all()
    x = pixels().x.flatten()
    expected = torch.nn.functional.softplus(-10 * (x - 0.5).abs() + 0.5).mean()
    assert cell.loss["good", "fgsm"] == pytest.approx(expected.item(), rel=1e-5)


def test_interval_is_wilsons():
    row = white_box({"m": model()}, pixels(), {"fgsm": ATTACKS["fgsm"]}, progress=False).iloc[0]
    z, p, n = 1.959963984540054, 0.9, 100
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert (row.low, row.high) == pytest.approx((centre - half, centre + half))
    wide = white_box({"m": model()}, pixels(), {"fgsm": ATTACKS["fgsm"]}, confidence=0.99, progress=False).iloc[0]
    assert wide.low < row.low < row.accuracy < row.high < wide.high


def numbers(results: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ("model", "source", "target", "attack") if name in results]
    return results.drop(columns="seconds", errors="ignore").set_index(keys).sort_index()


def test_no_cell_depends_on_another():
    noise = {"noise": jitter}
    alone = numbers(white_box({"m": model()}, pixels(), noise, progress=False))
    torch.manual_seed(99)
    more = numbers(
        white_box({"other": model(0.3), "m": model()}, pixels(), {"a": jitter, **noise, "b": jitter}, progress=False)
    )
    pd.testing.assert_frame_equal(more.loc[[("m", "noise")]], alone)
    assert more.loss["m", "a"] != more.loss["m", "b"]  # attacks do not share their draws
    again = numbers(white_box({"m": model()}, pixels(), noise, progress=False))
    pd.testing.assert_frame_equal(again, alone)
    other = numbers(white_box({"m": model()}, pixels(), noise, seed=1, progress=False))
    assert other.loss.iloc[0] != alone.loss.iloc[0]


def test_white_box_draws_nothing_from_the_global_generator():
    state = torch.get_rng_state()
    white_box({"m": model()}, pixels(), {"pgd": partial(pgd, ball=Linf(0.05))}, progress=False)
    assert torch.equal(torch.get_rng_state(), state)


def test_progress_bar_counts_examples(capsys):
    white_box({"m": model()}, pixels(), {"clean": None}, progress=True)
    assert "100/100" in capsys.readouterr().err
    white_box({"m": model()}, pixels(), {"clean": None}, progress=False)
    assert capsys.readouterr().err == ""


# table and transfer


def test_table_keeps_the_order_and_formats_percent():
    laid = table(white_box({"good": model(), "bad": model(0.6)}, pixels(), ATTACKS, progress=False))
    assert list(laid.columns) == ["good", "bad"] and list(laid.index) == list(ATTACKS)
    assert laid.loc["fgsm", "good"] == "90.0 [82.6, 94.5]"
    assert laid.loc["clean", "good"] == "100.0 [96.3, 100.0]"


def test_transfer_crafts_on_the_source_and_scores_on_the_target():
    models = {"half": model(0.5), "higher": model(0.6)}
    result = transfer(models, models, pixels(), {"fgsm": ATTACKS["fgsm"]}, progress=False)
    assert list(result.columns) == ["source", "target", "attack", "accuracy", "low", "high", "n", "loss"]
    accuracies = result.set_index(["source", "target"]).accuracy
    assert accuracies["half", "half"] == 0.9
    assert accuracies["higher", "higher"] == accuracies["half", "higher"] == 0.85  # wrong on 0.5 to 0.65
    own = white_box(models, pixels(), {"fgsm": ATTACKS["fgsm"], "noise": jitter}, progress=False)
    both = transfer(models, models, pixels(), {"fgsm": ATTACKS["fgsm"], "noise": jitter}, progress=False)
    diagonal = both[both.source == both.target]
    assert diagonal.accuracy.tolist() == own.accuracy.tolist()
    laid = table(result, rows="source", columns="target", digits=0)
    assert laid.loc["half", "half"] == "90 [83, 94]"


# errors


def test_train_mode_names_the_model_before_anything_is_attacked():
    called = []

    def attack(net, x, y):
        called.append(net)
        return x

    with pytest.raises(ValueError, match=r"models\['late'\] is in train mode: call models\['late'\].eval\(\)"):
        white_box({"m": model(), "late": model().train()}, pixels(), {"a": attack}, progress=False)
    with pytest.raises(ValueError, match="model is in train mode"):
        accuracy(model().train(), pixels())
    with pytest.raises(ValueError, match=r"targets\['t'\] is in train mode"):
        transfer({"s": model()}, {"t": model().train()}, pixels(), {"a": attack}, progress=False)
    with pytest.raises(TypeError, match=r"models\['f'\] must be a torch.nn.Module"):
        white_box({"f": lambda x: x}, pixels(), {"a": attack}, progress=False)
    assert called == []


def test_bad_data():
    with pytest.raises(ValueError, match="x must hold at least one example"):
        accuracy(model(), (torch.zeros(0, 1, 1, 1), torch.zeros(0, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"y must have shape \(100,\), one label an example; got \(3,\)"):
        accuracy(model(), (pixels().x, pixels().y[:3]))
    with pytest.raises(ValueError, match=r"y must hold labels in \[0, 2\); it ranges over \[0, 2\]"):
        accuracy(model(), (pixels().x, pixels().y * 2))
    with pytest.raises(TypeError, match=r"y must hold class indices as torch.int64; got torch.float32"):
        accuracy(model(), (pixels().x, pixels().y.float()))
    with pytest.raises(ValueError, match="y must hold the labels -1 and"):
        accuracy(Scalar().eval(), pixels())
    with pytest.raises(ValueError, match="batch must be at least 1; got 0"):
        accuracy(model(), pixels(), batch=0)
    with pytest.raises(ValueError, match=r"model is on cpu and x on meta: move one with \.to\(device\)"):
        from advnb.evaluation import _check_model

        _check_model("model", model(), pixels().x.to("meta"), False)


def test_bad_attacks_and_outputs():
    with pytest.raises(ValueError, match=r"the result of the attack must have the shape of x, \(100, 1, 1, 1\)"):
        accuracy(model(), pixels(), attack=lambda net, x, y: x[:1])
    with pytest.raises(ValueError, match="the result of the attack must be finite"):
        accuracy(model(), pixels(), attack=lambda net, x, y: x * float("nan"))
    with pytest.raises(TypeError, match=r"the result of the attack must be a torch\.Tensor; got NoneType"):
        accuracy(model(), pixels(), attack=lambda net, x, y: None)
    with pytest.raises(ValueError, match="the model returned NaN or infinity"):
        accuracy(model(float("nan")), pixels())


def test_bad_tables():
    with pytest.raises(ValueError, match="models must hold at least one entry; got none"):
        white_box({}, pixels(), ATTACKS)
    with pytest.raises(ValueError, match="attacks must hold at least one entry; got none"):
        transfer({"s": model()}, {"t": model()}, pixels(), {})
    with pytest.raises(TypeError, match="attacks must be a mapping from names; got list"):
        white_box({"m": model()}, pixels(), [None])
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1; got 95"):
        white_box({"m": model()}, pixels(), ATTACKS, confidence=95)
    with pytest.raises(ValueError, match="seed must be at least 0; got -1"):
        white_box({"m": model()}, pixels(), ATTACKS, seed=-1, progress=False)
    with pytest.raises(ValueError, match="results lacks the columns accuracy, attack, high, low, model"):
        table(pd.DataFrame({"a": [1]}))
    result = transfer({"a": model(), "b": model()}, {"t": model()}, pixels(), {"clean": None}, progress=False)
    with pytest.raises(ValueError, match="several rows for one pair of attack and target"):
        table(result, columns="target")
