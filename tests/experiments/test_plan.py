"""The plan: what it says of stored runs whose times it was not shown, what it learns from them, and its order."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from advnb import __main__ as command
from advnb.experiments import Experiment, Trial, find, run
from advnb.experiments.cost import Cost, counted
from advnb.experiments.plan import (
    PRIOR,
    Speed,
    _seconds,
    benchmark,
    estimates,
    fitted,
    measured,
    of_throughput,
    plan,
    worth,
)
from advnb.experiments.read import results_folder
from advnb.experiments.store import ResultsFile

EXPERIMENTS = find()
PROCESSOR = "AMD EPYC"
"""The processor that the laptop runs of the book are from."""

LARGE = [
    "convergence.figure_2", "convergence.tables_mnist", "dynamics.fig2", "dynamics.fig2_choices", "dynamics.fig3",
    "lazy.algorithm_1", "lazy.figure_4_left", "lazy.figure_4_longer", "lazy.figure_4_plane", "lazy.figure_4_right",
    "lazy.figures_2_3", "lazy.figures_5_6", "lazy.late", "lazy.one_step", "lazy.standardised",
]  # fmt: skip
"""Laptop runs of at least a minute over their settings, of four settings or more."""


PRODUCTS = 10


def product(*, n, seed, device):
    """Trial: matrix products, one after the other."""
    x = torch.ones(n, n)
    for _ in range(PRODUCTS):
        x @ x
    return {"n_again": n}


def product_cost(given, values):
    x = torch.empty(given["n"], given["n"], device="meta")
    return PRODUCTS * counted(lambda: x @ x, gradients=1)


PRODUCT = Experiment(
    "toy.product",
    product,
    {"live": {"n": 10}, "laptop": {"n": [256, 320, 384, 448, 512]}, "full": {"n": [256, 1024]}},
    {"live": 1, "laptop": 20, "full": 4},
    devices=("cpu",),
    cost=product_cost,
)


def line(experiment, trial, seconds, device=PROCESSOR, scale="laptop", values=None):
    origin = {"seconds": seconds, "device_name": device, "dtype": "float32", "commit": "0", "date": "2026-01-01"}
    record = {"experiment": experiment.name, "scale": scale, "params": trial.params, "seed": trial.seed}
    return json.dumps({**record, "values": values or {"n_again": 1}, "provenance": origin}) + "\n"


@pytest.mark.parametrize("name", LARGE)
def test_the_plan_of_a_large_laptop_run_is_right_within_30_percent(name):
    """The middle setting is, each planned without its own time; see the docstring of ``estimates``."""
    table = estimates(EXPERIMENTS[name], PROCESSOR, "laptop")
    assert len(table) >= 4
    assert table["seconds"].sum() > 60
    assert 0.7 < (table["planned"] / table["seconds"]).median() < 1.3


MINUTES = 5
"""From how many minutes of laptop runs on the sum over an experiment is held against its plan."""

STRETCHED = ["lazy.algorithm_1", "lazy.bounds", "lazy.exits", "lazy.figure_4_left_edge", "lazy.figures_5_6"]
"""Where other work has stretched the stored times of whole settings, up to twentyfold; trials of ``quiet`` stand in."""

QUIET = Path(__file__).with_name("quiet")
"""Some of their trials once more, with the processor's own clock, which other work does not stretch."""

TAKEN_OVER = ["convergence.figure_1_cifar10", "convergence.figure_1_mnist"]
"""One setting, whose network the tables' trials may have trained and kept: nothing stored says whether they had."""


def learnt_from_half(experiment, results=None):
    """What the plan says of each half of the settings, learnt from the other half, over what they took, in sum."""
    records = sorted(measured(experiment, "laptop", results)[PROCESSOR].values(), key=_seconds)
    costs = [experiment.cost_of(Trial(one["params"], one["seed"]), one["values"]) for one in records]
    seconds = [_seconds(one) for one in records]
    planned = 0.0
    for half in range(2):
        speed = fitted(costs[half::2], seconds[half::2])
        planned += sum(speed.seconds(cost) for cost in costs[1 - half :: 2])
    return planned / sum(seconds)


def test_learnt_from_half_of_the_settings_the_sum_of_the_others_is_right_within_30_percent():
    """For every experiment with minutes of laptop runs; one with a single setting is planned by the prior alone."""
    ratios = {}
    for name, experiment in EXPERIMENTS.items():
        file = ResultsFile(results_folder(None), name, "laptop")
        if experiment.cost is None or name in TAKEN_OVER or not file.path.exists():
            continue
        if sum(record["provenance"]["seconds"] for record in file.read()) > 60 * MINUTES:
            ratios[name] = learnt_from_half(experiment, QUIET if name in STRETCHED else None)
    assert len(ratios) > 30
    assert set(STRETCHED) <= set(ratios)
    assert {name: ratio for name, ratio in ratios.items() if not 0.7 < ratio < 1.3} == {}


def test_the_plan_of_a_run_made_now_is_right_within_30_percent(tmp_path):
    run(PRODUCT, "laptop", results=tmp_path, allow_changes=True, progress=False)
    (device,) = measured(PRODUCT, "laptop", tmp_path)
    table = estimates(PRODUCT, device, "laptop", tmp_path)
    assert 0.7 < (table["planned"] / table["seconds"]).median() < 1.3


def test_a_fit_finds_the_speed_behind_durations_and_shrugs_off_a_trial_that_took_over_a_network():
    true = Speed(2e11, 3e9, 4e-5)
    costs = [Cost(a * 1e9, b * 1e7, c * 1e3) for a in (1, 30) for b in (1, 30) for c in (1, 30)]
    seconds = [true.seconds(cost) for cost in costs]
    for changed in (seconds, [seconds[0] / 100, *seconds[1:]]):
        found = fitted(costs, changed)
        for cost, duration in zip(costs[1:], seconds[1:], strict=True):
            assert math.isclose(found.seconds(cost), duration, rel_tol=0.15)


def test_a_fit_of_nothing_is_the_prior():
    assert fitted([], []) == PRIOR


def test_the_speed_of_a_throughput_is_for_products_what_it_says():
    assert of_throughput(40).seconds(Cost(flops=40e12)) == 1.0
    with pytest.raises(ValueError, match="tflops must be"):
        of_throughput(0)


def test_the_benchmark_is_of_this_machine_and_positive():
    speed = benchmark()
    assert speed.flops > 1e8
    assert speed.numbers > 1e6
    assert 0 < speed.call < 0.01


def test_the_fastest_seed_of_a_setting_counts_and_other_devices_are_kept_apart(tmp_path):
    first, second = PRODUCT.trials("laptop")[0], PRODUCT.trials("laptop")[5]
    assert first.params == second.params
    path = tmp_path / "toy.product.laptop.jsonl"
    path.write_text(
        line(PRODUCT, first, 3.0) + line(PRODUCT, second, 2.0) + line(PRODUCT, PRODUCT.trials("laptop")[1], 9.0, "GPU")
    )
    found = measured(PRODUCT, "laptop", tmp_path)
    assert [record["provenance"]["seconds"] for record in found[PROCESSOR].values()] == [2.0]
    assert list(found) == [PROCESSOR, "GPU"]


@pytest.mark.parametrize(("threads", "kind", "counts"), [(1, "cpu", 1.0), (2, "cpu", 3.0), (1, "cuda", 3.0)])
def test_what_else_one_core_had_to_do_does_not_count_where_that_is_stored(tmp_path, threads, kind, counts):
    record = json.loads(line(PRODUCT, PRODUCT.trials("laptop")[0], 3.0))
    record["provenance"] |= {"cpu_seconds": 1.0, "threads": threads, "device": kind}
    (tmp_path / "toy.product.laptop.jsonl").write_text(json.dumps(record) + "\n")
    assert estimates(PRODUCT, PROCESSOR, "laptop", tmp_path)["seconds"].tolist() == [counts]


def test_a_stored_duration_corrects_the_plan_of_its_device_alone(tmp_path):
    def hours(device):
        return plan([PRODUCT], device=device, results=tmp_path)["hours"].sum()

    before = hours("GPU")
    trial = PRODUCT.trials("laptop")[3]
    slow = 50 * PRIOR.seconds(PRODUCT.cost_of(trial))
    (tmp_path / "toy.product.laptop.jsonl").write_text(line(PRODUCT, trial, slow, "GPU"))
    assert hours("GPU") > 10 * before
    assert math.isclose(hours("CPU"), before)


def test_only_open_trials_are_planned_and_the_seeds_of_a_setting_are_worth_less_and_less(tmp_path):
    everything = plan([PRODUCT], results=tmp_path)
    assert everything["trials"].tolist() == [8]
    assert math.isclose(everything["worth"][0], 1 + 1 - 1 / math.sqrt(4))
    trials = PRODUCT.trials("full")
    done = [trials[0], trials[2]]
    (tmp_path / "toy.product.full.jsonl").write_text("".join(line(PRODUCT, one, 0.1, scale="full") for one in done))
    table = plan([PRODUCT], name="toy.product", results=tmp_path)
    assert table["trials"].tolist() == [2, 4] or table["trials"].tolist() == [4, 2]
    left = table.set_index("trials")
    assert math.isclose(left["worth"][2], 0.5 * (worth(2) + worth(3)))
    assert left["first"][2] == 0
    assert left["first"][4] > 0


def test_rows_come_by_worth_a_minute_and_stakes_decide(tmp_path):
    table = plan([PRODUCT], name="toy.product", results=tmp_path)
    assert table["per_minute"].is_monotonic_decreasing
    assert "n=256" in table["setting"][0]
    high, low = (plan([PRODUCT], stakes={"toy.product": stake}, results=tmp_path)["worth"][0] for stake in (4.0, 1.0))
    assert math.isclose(high, 4 * low)


def test_what_is_spent_of_the_cost_at_most_shrinks_the_hours_and_not_the_most(tmp_path):
    left = EXPERIMENTS["lazy.figure_4_left"]
    trials = [trial for trial in left.trials("laptop") if trial.seed == 0][:4]
    spent = [left.cost_of(trial, {"epochs_run": 3}) for trial in trials]
    lines = [line(left, t, PRIOR.seconds(c), values={"epochs_run": 3}) for t, c in zip(trials, spent, strict=True)]
    (tmp_path / "lazy.figure_4_left.laptop.jsonl").write_text("".join(lines))
    table = plan([left], device=PROCESSOR, results=tmp_path)
    assert table["hours"][0] < 0.3 * table["at_most"][0]
    assert table["hours_by"].tolist() == ["measured"]
    assert plan([PRODUCT], results=tmp_path)["hours_by"].tolist() == ["counted"]


def test_an_experiment_that_can_use_no_accelerator_is_planned_on_the_processor(tmp_path):
    slow, fast = Speed(1e9, 1e7, 1e-4), Speed(1e14, 1e12, 1e-6)
    with_cpu = plan([PRODUCT], device="GPU", prior=fast, cpu=("CPU", slow), results=tmp_path)
    alone = plan([PRODUCT], device="CPU", prior=slow, results=tmp_path)
    assert math.isclose(with_cpu["hours"][0], alone["hours"][0])


@pytest.mark.parametrize(("where", "kind"), [("--device cpu", "cpu"), ("--tflops 40", "cuda")])
def test_the_command_prints_the_table_and_what_to_run_first(tmp_path, monkeypatch, capsys, where, kind):
    able = dataclasses.replace(PRODUCT, devices=("cpu", "cuda"))
    monkeypatch.setattr(command, "find", lambda package: {able.name: able})
    monkeypatch.setattr(command, "_stakes", lambda results: {})
    assert command.main(["plan", *where.split(), "--results", str(tmp_path)]) == 0
    head, row, taken, first = capsys.readouterr().out.splitlines()
    assert {"hours", "hours_by", "at_most", "per_minute"} <= set(head.split())
    assert row.split()[0] == "toy.product"
    assert "counted" in row.split()
    assert taken.startswith("8 trials")
    assert first == f"first: python -m advnb run toy.product --scale full --device {kind} --time-limit 10"
