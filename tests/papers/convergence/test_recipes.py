"""Section 5.1's recipes: the right defence with the right schedule, the ablations' rules, runs that are kept."""

import math

import pytest
import torch

from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.criterion import convergence
from advnb.models import digits_cnn
from advnb.papers.convergence import recipes
from advnb.papers.convergence.judge import ATTACKS, attacks, black, by_eps, column, staged, white
from advnb.papers.convergence.recipes import (
    DEFENCES,
    RECIPES,
    PrintedIndicator,
    ReleasedCentre,
    ReleasedWeighting,
    at_stages,
    images,
    make_defence,
    percentiles,
    trained,
)  # fmt: skip
from advnb.papers.convergence.tables.trials import judged
from advnb.training import Curriculum, Dynamic, FGSMThenPGD, Standard, Unsecured

SMALL = {"data": "digits", "examples": 64, "epochs": 3, "batch": 32, "device": "cpu"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_KEPT", str(tmp_path))


@pytest.fixture(scope="module")
def network():
    model = digits_cnn(generator=torch.Generator().manual_seed(0)).eval()
    split = images("digits", 40, 24, "cpu").test
    return model, split.x, split.y


@pytest.mark.parametrize(
    ("name", "kind"),
    [("unsecured", Unsecured), ("standard", Standard), ("curriculum", Curriculum), ("fgsm_pgd", FGSMThenPGD),
     ("dynamic", Dynamic), ("dynamic_box", Dynamic), ("dynamic_printed", PrintedIndicator),
     ("dynamic_centre", ReleasedCentre), ("dynamic_weighted", ReleasedWeighting)],
)  # fmt: skip
def test_every_defence_has_its_kind(name, kind):
    assert type(make_defence(name, RECIPES["mnist"], 50)) is kind


def test_all_names_are_tested_above():
    assert set(DEFENCES) == {"unsecured", "standard", "curriculum", "fgsm_pgd", "dynamic", "dynamic_box",
                             "dynamic_printed", "dynamic_centre", "dynamic_weighted"}  # fmt: skip


def test_an_unknown_defence_is_refused():
    with pytest.raises(ValueError, match=r"defence must be one of .*'dynamic'.*; got 'magic'"):
        make_defence("magic", RECIPES["mnist"], 50)


def test_unknown_data_and_networks_are_refused():
    with pytest.raises(ValueError, match="data must be one of 'cifar10', 'digits', 'mnist'; got 'svhn'"):
        trained(**{**SMALL, "data": "svhn"}, defence="standard", seed=0)
    with pytest.raises(ValueError, match="network must be one of 'cnn', 'wide_resnet'; got 'mlp'"):
        trained(**SMALL, defence="standard", seed=0, network="mlp")


@pytest.mark.parametrize(("data", "epochs", "until", "eps"), [("mnist", 50, 40, 0.3), ("cifar10", 120, 100, 8 / 255)])
def test_the_papers_own_schedule(data, epochs, until, eps):
    """T' = 40 of 50 and 100 of 120 epochs, ten steps of eps/4 from a random start, c_max = 0.5 without the box."""
    dynamic = make_defence("dynamic", RECIPES[data], epochs)
    assert (dynamic.until, dynamic.c_max, dynamic.box_aware) == (until, 0.5, False)
    assert (dynamic.ball, dynamic.steps, dynamic.step_size) == (Linf(eps), 10, eps / 4)
    assert dynamic.random_start
    assert make_defence("fgsm_pgd", RECIPES["cifar10"], 120).until == 20


@pytest.mark.parametrize(("data", "epochs", "expected"), [("mnist", 50, [20, 40]), ("cifar10", 120, [60, 100])])
def test_the_learning_rate_drops_where_the_paper_drops_it(data, epochs, expected):
    assert [round(share * epochs) for share in RECIPES[data].milestones] == expected


def test_the_printed_indicator_is_the_other_way_round(network):
    """Where Dynamic's examples rest the printed ones move, and the other way round: at c_t = 0 none takes two steps."""
    model, x, y = network
    start = Linf(0.2).sample(x, generator=torch.Generator().manual_seed(1))
    taken = {}
    for name in ("dynamic", "dynamic_printed"):
        for c_t in (0.0, 1e6):
            defence = make_defence(name, RECIPES["digits"], 10, c_max=c_t)
            defence.before_epoch(1)
            defence.craft(model, x, y, epoch=1, start=start)
            taken[name, c_t] = float(defence.report()["steps"]) / len(x)
    assert taken == {("dynamic", 0.0): 10, ("dynamic", 1e6): 1, ("dynamic_printed", 0.0): 1,
                     ("dynamic_printed", 1e6): 10}  # fmt: skip


def test_the_released_centre_is_the_attacks_start():
    generator = torch.Generator().manual_seed(0)
    grad, x_adv, x, start = (torch.rand(5, 3, 4, generator=generator, dtype=torch.float64) for _ in range(4))
    defence = make_defence("dynamic_centre", RECIPES["digits"], 10)
    expected = [0.2 * g.abs().sum() - ((a - s) * g).sum() for g, a, s in zip(grad, x_adv, start, strict=True)]
    assert torch.allclose(defence.gap(grad, x_adv, x, start), torch.stack(expected))


def test_the_released_weights_start_in_the_second_epoch():
    loss = torch.tensor([1.0, 3.0], requires_grad=True)
    defence = make_defence("dynamic_weighted", RECIPES["digits"], 10)
    assert defence.weigh(loss, 1).tolist() == [1, 3]
    (gradient,) = torch.autograd.grad(defence.weigh(loss, 2).sum(), loss)
    assert gradient.tolist() == [1, 3]  # not [2, 6]: the weight is a constant


def test_percentiles_are_those_of_the_sample():
    values = torch.arange(101.0)
    assert percentiles(values) == [float(2 * k) for k in range(51)]


def test_stages_are_epochs_from_one():
    assert at_stages((1 / 12, 0.5, 1), 120) == [10, 60, 120]
    assert at_stages((0.01,), 10) == [1]


def test_a_look_inside_measures_what_the_defence_crafts(network):
    model, x, y = network
    defence = make_defence("standard", RECIPES["digits"], 10)
    split = images("digits", 40, 24, "cpu").test
    found = recipes.look_inside(model, defence, split, Linf(0.2), 3)
    generator = torch.Generator().manual_seed(3)
    start = Linf(0.2).sample(x, generator=generator)
    at = convergence(model, pgd(model, x, y, Linf(0.2), start=start), x, y, Linf(0.2))
    assert found["own_fosc"] == found["pgd_fosc"]  # Standard crafts by PGD-10 too
    assert found["own_fosc"][-1] == pytest.approx(float(at.closed_form.max()), rel=1e-3)
    assert found["own_box"][25] == pytest.approx(float(at.fosc.median()), rel=0.05)


def test_a_run_that_is_kept_comes_back_whole():
    """Weights and history, and what was measured on the way; one with other settings is another run."""
    same = {**SMALL, "defence": "dynamic", "seed": 1, "stages": (0.5, 1)}
    first, history = trained(**same, keep=True)
    again, known = trained(**same, keep=True)
    fresh, _ = trained(**same)
    for a, b, c in zip(first.parameters(), again.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert history.drop(columns="seconds").equals(known.drop(columns="seconds"))
    assert len(staged(known, "own_fosc")) == 2
    other, _ = trained(**{**same, "seed": 2}, keep=True)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_warm_up_and_width_change_the_network():
    plain, _ = trained(**SMALL, defence="standard", seed=0)
    warm, _ = trained(**SMALL, defence="standard", seed=0, warm_up=1)
    assert not torch.equal(next(plain.parameters()), next(warm.parameters()))
    narrow, _ = trained(**SMALL, defence="unsecured", seed=0, width=0.5)
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in plain.parameters())


def test_attacks_from_a_twin_are_those_of_the_network_itself(network):
    """The black-box numbers of a surrogate that is the network are its white-box numbers."""
    model, x, y = network
    own, taken = white(model, (x, y), 0.2), black(model, model, (x, y), 0.2)
    assert list(own) == ["clean", *ATTACKS]
    assert taken == {f"black_{name}": own[name] for name in ATTACKS}
    assert list(attacks(0.2)) == list(ATTACKS)


def test_accuracy_falls_with_eps(network):
    model, x, y = network
    assert by_eps(model, (x, y), [0.001, 0.3])[0] >= by_eps(model, (x, y), [0.001, 0.3])[1]


def test_columns_keep_five_digits(network):
    _, history = trained(**SMALL, defence="dynamic", seed=0)
    assert column(history, "c_t") == [0.5, 0.25, 0.0]
    assert column(history, "unknown") == []
    assert all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(column(history, "loss"), history["loss"], strict=True))


def test_a_judged_network_has_every_column():
    found = judged(**SMALL, defence="dynamic", tests=20, seed=1)
    assert {"clean", *ATTACKS, *(f"black_{name}" for name in ATTACKS)} <= set(found)
    assert len(found["at_eps"]) == 4
    assert [len(found[f"epoch_{name}"]) for name in ("loss", "steps", "c_t")] == [3, 3, 3]
    assert len(found["own_fosc"]) == len(set(at_stages((1 / 12, 1 / 2, 3 / 4, 5 / 6, 1), 3)))
    assert found["at_eps"][-1] == pytest.approx(found["pgd10"], abs=0.11)
