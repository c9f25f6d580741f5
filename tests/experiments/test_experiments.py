"""Declaring, running and verifying experiments."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import toy
from joblib._parallel_backends import ThreadingBackend
from toy.sums import BROKEN, DRIFTING, ODD, PICKY, SLOW, TIMED, WALK, WHERE, odd, walk

from advnb import experiments
from advnb.experiments import Experiment, Tolerance, Trial, engines, find, kept_folder, live, provenance, run, verify
from advnb.experiments import read as results
from advnb.experiments.provenance import checkout, device_name, resolve_device
from advnb.experiments.store import NotStored, ResultsFile, plain
from advnb.experiments.verification import VerificationError, compare


def go(experiment, folder, scale="live", **options):
    return run(experiment, scale, results=folder, progress=False, **options)


def records(experiment, folder, scale="live"):
    return ResultsFile(folder, experiment.name, scale).read()


def counts(outcome):
    return outcome.asked, outcome.before, outcome.stored, outcome.failed, outcome.left


# Declaring


def test_a_grid_is_a_product_or_a_list_of_products():
    assert [trial.params for trial in WALK.trials("live", seeds=1)] == [
        {"steps": 1, "scale": 0.1},
        {"steps": 3, "scale": 0.1},
    ]
    assert [(trial.params["steps"], trial.seed) for trial in WALK.trials("full")] == [
        (100, 3),
        (20, 3),
        (100, 1),
        (20, 1),
    ]
    assert len(WALK.trials("laptop")) == 2 * 2 * 5


def test_every_setting_comes_at_the_first_seed_before_the_second():
    assert [trial.seed for trial in WALK.trials("laptop")] == [s for s in range(5) for _ in range(4)]


def test_seeds_and_only_choose():
    assert [trial.seed for trial in WALK.trials("live", seeds=[7, 7, 5], only={"steps": 3})] == [7, 5]
    assert len(WALK.trials("laptop", only={"scale": [0.1, 1.0], "steps": 5})) == 10
    assert len(WALK.trials("laptop", only={"scale": 1})) == 10  # 1 == 1.0


def test_numpy_and_torch_grids_are_plain():
    grid = {"steps": np.array([1, 2]), "scale": torch.tensor([0.5], dtype=torch.float64)}
    one = Experiment("toy.other", walk, grids={"live": grid}, seeds={"live": 1})
    assert [trial.params for trial in one.trials("live")] == [{"steps": 1, "scale": 0.5}, {"steps": 2, "scale": 0.5}]
    assert type(one.trials("live")[0].params["steps"]) is int


def test_a_trial_key_does_not_depend_on_the_order_of_parameters():
    assert Trial({"a": 1, "b": 2}, 0).key == Trial({"b": 2, "a": 1}, 0).key != Trial({"a": 1, "b": 2}, 1).key


GRIDS = {"live": {"steps": [1], "scale": [1.0]}}
SEEDS = {"live": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "walk"}, "name must look like 'paper.experiment', in lower case; got 'walk'"),
        ({"name": "Toy.walk"}, "name must look like"),
        ({"name": "toy.../walk"}, "name must look like"),
        ({"dtype": "half"}, "dtype must be one of 'float32', 'float64'; got 'half'"),
        ({"devices": ["tpu"]}, "devices must be one of 'cpu', 'cuda'; got 'tpu'"),
        ({"devices": []}, "devices must be one of 'cpu', 'cuda'; got ''"),
        ({"grids": {}, "seeds": {}}, r"must name the same scales, at least one; got \[\] and \[\]"),
        ({"grids": {"huge": {}}}, "scale must be one of 'full', 'laptop', 'live'; got 'huge'"),
        ({"seeds": {"live": 1, "full": 1}}, "grids and seeds must name the same scales"),
        ({"grids": {"live": []}}, "a grid must hold at least one setting"),
        ({"grids": {"live": {"steps": [], "scale": 1}}}, "a grid must hold at least one setting"),
        ({"grids": {"live": {"steps": [1, 1], "scale": 1}}}, "must hold each setting once; got .* twice"),
        ({"grids": {"live": {"steps": [1], "scale": [math.nan]}}}, "grid value 'scale' must be finite"),
        ({"grids": {"live": {"steps": [1], "scale": object()}}}, "grid value 'scale' must be a number"),
        ({"grids": {"live": {"steps": [1], "seed": [1]}}}, "'seed' is given to every trial"),
        ({"grids": {"live": {"steps": [1], "dtype": ["float16"]}}}, "'dtype' is given to every trial"),
        ({"grids": {"live": {"steps": [1]}}}, "trial cannot be called with .*missing a required argument: 'scale'"),
        ({"grids": {"live": {"steps": 1, "scale": 1, "m": 1}}}, "unexpected keyword argument 'm'"),
        ({"trial": lambda *, steps, scale, seed, device: {}}, "trial must be a function at the top level"),
        ({"trial": 3}, "trial must be a function at the top level of a module"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, message):
    arguments = {"name": "toy.other", "trial": walk, "grids": GRIDS, "seeds": SEEDS, **changes}
    with pytest.raises((ValueError, TypeError), match=message):
        Experiment(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "huge"}, "scale must be one of 'full', 'laptop', 'live'; got 'huge'"),
        ({"scale": "live", "seeds": []}, "seeds must hold at least one seed"),
        ({"scale": "live", "seeds": [-1]}, "a seed must be at least 0; got -1"),
        ({"scale": "live", "seeds": [0.5]}, "a seed must be a whole number; got 0.5"),
        ({"scale": "live", "only": {"width": 1}}, r"only must name parameters \(steps, scale\); got 'width'"),
        ({"scale": "live", "only": {"steps": 9}}, r"only steps=9 leaves no trial; there are \[1, 3\]"),
        (
            {"scale": "full", "only": {"steps": [20, 100], "scale": 3}},
            r"only scale=3 leaves no trial; there are \[1.0, 2.0\]",
        ),
    ],
)
def test_a_wrong_choice_of_trials_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WALK.trials(**arguments)


def test_a_scale_that_is_not_declared_is_refused(tmp_path):
    with pytest.raises(ValueError, match="scale must be one of 'live'; got 'full'"):
        go(ODD, tmp_path, "full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rtol", [-1.0, math.nan, math.inf])
def test_a_wrong_tolerance_is_refused(rtol):
    with pytest.raises(ValueError, match="rtol must be a finite number of at least 0"):
        Tolerance(rtol=rtol)


def test_find_looks_through_a_package():
    found = find(toy)
    assert list(found) == sorted(found) and found["toy.walk"] is WALK
    assert find("toy.sums") == found


def test_find_refuses_two_of_one_name(monkeypatch):
    second = Experiment("toy.walk", walk, grids=GRIDS, seeds=SEEDS)
    monkeypatch.setattr(toy.sums, "SECOND", second, raising=False)
    with pytest.raises(ValueError, match=r"two experiments are named 'toy.walk': the second is in toy.sums"):
        find(toy)


# Running


def test_a_run_stores_every_trial_with_its_provenance(tmp_path):
    assert counts(go(WALK, tmp_path)) == (4, 0, 4, 0, 0)
    stored = records(WALK, tmp_path)
    assert len(stored) == 4
    for record in stored:
        expected = walk(**record["params"], seed=record["seed"], device="cpu", dtype=torch.float64)
        assert record["values"]["path"] == expected["path"].tolist()
        origin = record["provenance"]
        assert " ".join(origin) == "version commit torch device device_name dtype threads seconds cpu_seconds date"
        assert origin["torch"] == torch.__version__ and origin["commit"] == checkout()[0]
        assert (origin["device"], origin["device_name"]) == ("cpu", device_name("cpu"))
        assert origin["dtype"] == "float64" and origin["threads"] == torch.get_num_threads()
        assert 0 <= origin["cpu_seconds"] < 10
        assert 0 <= origin["seconds"] < 10 and re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]{8}\+00:00", origin["date"])


def test_a_second_run_does_nothing(tmp_path):
    go(WALK, tmp_path)
    before = ResultsFile(tmp_path, "toy.walk", "live").path.read_bytes()
    assert counts(go(WALK, tmp_path)) == (4, 4, 0, 0, 0)
    assert ResultsFile(tmp_path, "toy.walk", "live").path.read_bytes() == before


def test_a_run_is_widened_by_more_seeds(tmp_path):
    go(WALK, tmp_path)
    assert counts(go(WALK, tmp_path, seeds=range(4), only={"steps": 1})) == (4, 2, 2, 0, 0)


@pytest.mark.parametrize("value", ["one", "another", None])
def test_workers_have_the_variables_of_the_test_that_asks_for_them(monkeypatch, value):
    if value:
        monkeypatch.setenv("ADVNB_OF_A_TEST", value)
    given = joblib.Parallel(2)(joblib.delayed(os.getenv)("ADVNB_OF_A_TEST") for _ in range(4))
    assert given == [value] * 4


@pytest.mark.parametrize("options", [{"jobs": 2, "backend": "threading"}, {"jobs": 2}], ids=["threads", "processes"])
def test_jobs_change_nothing_but_the_time(tmp_path, options):
    go(WALK, tmp_path / "one", "laptop")
    go(WALK, tmp_path / "two", "laptop", **options)
    one, two = (results.load("toy.walk", results=tmp_path / name) for name in ("one", "two"))
    fields = ["steps", "scale", "seed", "end", "path", "far", "up"]
    pd.testing.assert_frame_equal(one[fields], two[fields], check_exact=True)


def test_values_of_every_kind_come_back(tmp_path):
    go(ODD, tmp_path)
    table = results.load("toy.odd", results=tmp_path).set_index("kind")
    assert math.isnan(table.value["nan"]) and table.value["inf"] == -math.inf
    assert table.value["third"] == 1 / 3 and table.value["float32"] == float(np.float32(0.1))
    assert table.value["whole"] == 2**40 and table["name"]["nan"] == "nan" and table["nothing"].isna().all()
    assert table.tensor["nan"].tolist() == [[1.5, math.inf]]


def test_bfloat16_and_tuples_are_plain():
    assert plain("x", (torch.tensor([0.5], dtype=torch.bfloat16), np.bool_(True), None, "a")) == [
        [0.5],
        True,
        None,
        "a",
    ]


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, {"a": 1}, b"x"])
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(TypeError, match="x must be a number, a text, None or a small array of them; got"):
        plain("x", value)


def test_errors_are_recorded_and_tried_again_only_when_asked(tmp_path, monkeypatch):
    assert counts(go(PICKY, tmp_path)) == (4, 0, 2, 2, 0)
    assert counts(go(PICKY, tmp_path)) == (4, 2, 0, 0, 0)
    error = next(record["error"] for record in records(PICKY, tmp_path) if record["params"]["n"] == 1)
    assert error["type"] == "RuntimeError" and error["message"] == "1 is odd, in ~/secret"
    assert re.fullmatch(r".*sums\.py:\d+ in picky", error["traceback"]) and "/" not in error["traceback"]
    assert results.load("toy.picky", results=tmp_path).n.tolist() == [0, 2]
    (tmp_path / "cure").touch()
    monkeypatch.setenv("TOY_CURED", str(tmp_path / "cure"))
    assert counts(go(PICKY, tmp_path)) == (4, 2, 0, 0, 0)
    assert counts(go(PICKY, tmp_path, retry_errors=True)) == (4, 2, 2, 0, 0)
    assert results.load("toy.picky", results=tmp_path).n.tolist() == [0, 1, 2, 3]
    assert counts(go(PICKY, tmp_path, retry_errors=True)) == (4, 4, 0, 0, 0)


def test_failures_are_named_when_they_happen_and_whenever_they_are_met_again(tmp_path):
    first, again = go(PICKY, tmp_path), go(PICKY, tmp_path)
    assert (first.failed, first.failed_before, again.failed, again.failed_before) == (2, 0, 0, 2)
    for outcome in (first, again):
        assert [error.partition(" (")[0] for error in outcome.errors] == [
            f"n={n}, seed=0: RuntimeError: {n} is odd, in ~/secret" for n in (1, 3)
        ]
        assert re.fullmatch(r".* \(sums\.py:\d+ in picky\)", outcome.errors[0])
    assert go(PICKY, tmp_path, only={"n": [0, 1]}).failed_before == 1


def test_errors_that_the_time_leaves_over_are_told_as_left(tmp_path):
    go(PICKY, tmp_path)
    assert counts(go(PICKY, tmp_path, retry_errors=True, time_limit=1e-9)) == (4, 2, 0, 0, 2)


def test_a_trial_that_fails_again_is_recorded_again(tmp_path):
    go(PICKY, tmp_path)
    assert counts(go(PICKY, tmp_path, retry_errors=True)) == (4, 2, 0, 2, 0)
    assert len(records(PICKY, tmp_path)) == 6


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("object", "TypeError: the returned field 'x' must be a number, a text, None or a small array"),
        ("list", "TypeError: a trial must return a dict of named numbers; got list"),
        ("big", "ValueError: a trial may return at most 10000 numbers; got 10001"),
        ("clash", "ValueError: the returned field 'kind' has the name of a parameter"),
        ("seed", "ValueError: a returned field must be named by an identifier, not 'seed' or 'run_...'; got 'seed'"),
        ("empty", "TypeError: a trial must return a dict of named numbers; got an empty dict"),
    ],
)
def test_what_no_trial_may_return_is_recorded_as_an_error(tmp_path, kind, message):
    outcome = go(BROKEN, tmp_path, only={"kind": kind})
    assert outcome.failed == 1 and outcome.errors[0].startswith(f"kind={kind}, seed=0: {message}")


def test_a_time_limit_stops_in_time_and_the_next_run_goes_on(tmp_path):
    start = time.monotonic()
    first = go(SLOW, tmp_path, "laptop", time_limit=1 / 60)
    assert time.monotonic() - start < 4
    assert 0 < first.stored < 11 and first.left == 50 - first.stored and first.failed == 0
    second = go(SLOW, tmp_path, "laptop", time_limit=1 / 60)
    assert second.before == first.stored and second.left < first.left


def test_no_trial_begins_that_would_not_end_in_time(tmp_path):
    """Judged by equal trials on this device; short ones still fit."""
    go(SLOW, tmp_path, "full", seeds=1)
    outcome = go(SLOW, tmp_path, "full", time_limit=0.9 / 60)
    stored = results.load("toy.slow", results=tmp_path)
    assert (stored.seconds == 1.0).sum() == 1 and outcome.left >= 19
    assert (stored.seconds == 0.0).sum() == 1 + outcome.stored > 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_at_the_limit_no_trial_begins_and_those_under_way_are_stopped_in_any_worker(tmp_path, backend):
    """The trials that are handed out ahead of time are not begun when their turn comes too late."""
    go(TIMED, tmp_path / "warm", only={"seconds": 0.0}, jobs=2, backend=backend)  # processes take long to start
    options = {"only": {"seconds": 1.5}, "jobs": 2, "backend": backend, "time_limit": 1 / 60}
    start = time.time()
    outcome = go(TIMED, tmp_path, **options)
    assert time.time() - start < 3.5  # a sleep is one call, which ends first
    assert (outcome.stored, outcome.left, outcome.elsewhere) == (0, 8, 0)


@pytest.mark.parametrize(("ahead", "told"), [(5, r"\+5 s off"), (-5, "-5 s off")])
def test_a_time_limit_is_not_kept_by_workers_with_other_clocks(ahead, told):
    execute = lambda function, arguments: (function(*one) + ahead for one in arguments)  # noqa: E731
    with pytest.raises(ConnectionError, match=f"needs clocks that agree; that of a worker is {told}"):
        engines._check_clocks(execute, 2)
    engines._check_clocks(lambda function, arguments: (function(*one) for one in arguments), 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"jobs": 0}, ValueError, "jobs must be at least 1; got 0"),
        ({"jobs": -2}, ValueError, "jobs must be at least 1; got -2"),
        ({"backend": "mpi"}, ValueError, "backend must be one of 'dask', 'loky', 'ray', 'threading'; got 'mpi'"),
        ({"backend": "dask"}, ValueError, "backend 'dask' needs the address of a running cluster .*dask scheduler"),
        ({"backend": "ray"}, ValueError, "backend 'ray' needs the address of a running cluster .*ray start --head"),
        ({"address": "tcp://x:1"}, ValueError, "address is for the backends dask and ray; got 'tcp://x:1' with 'loky'"),
        (
            {"device": "tpu"},
            ValueError,
            "device must be one of 'auto', 'cpu', 'cuda', 'cuda:N' for toy.walk; got 'tpu'",
        ),
        ({"device": "cuda:x"}, ValueError, "device must be one of .*; got 'cuda:x'"),
        ({"device": "cuda:99"}, ValueError, "device 'cuda:99' is not there"),
        ({"time_limit": 0}, ValueError, "time_limit must be a finite number above 0; got 0"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        go(WALK, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ray(monkeypatch):
    """A stand-in for ray: threads behind its name, and a list of where it was asked to connect."""
    asked = []
    register = lambda: joblib.register_parallel_backend("ray", ThreadingBackend)  # noqa: E731
    ray = SimpleNamespace(init=lambda address, **options: asked.append(address), __spec__=ModuleSpec("ray", None))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.util.joblib", SimpleNamespace(register_ray=register))
    return asked


def test_a_cluster_that_gives_its_results_by_the_round(tmp_path, ray):
    options = {"backend": "ray", "address": "auto", "jobs": 2}
    assert counts(go(WALK, tmp_path, "laptop", seeds=1, only={"steps": 5}, **options)) == (2, 0, 2, 0, 0)
    assert counts(go(WALK, tmp_path, "laptop", time_limit=5, **options)) == (20, 2, 18, 0, 0)
    assert ray == ["auto", "auto"]


def test_a_backend_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="backend 'ray' needs the package ray: pip install ray"):
        go(WALK, tmp_path, backend="ray", address="auto")


def test_a_file_of_another_precision_is_not_continued(tmp_path):
    go(WALK, tmp_path)
    other = Experiment("toy.walk", walk, grids=WALK.grids, seeds=WALK.seeds, dtype="float32")
    with pytest.raises(ValueError, match=r"holds trials in float64, and toy.walk now declares dtype 'float32'"):
        go(other, tmp_path)


def test_nothing_is_kept_that_uncommitted_code_has_made(tmp_path, monkeypatch):
    changed = ("advnb/attacks.py", "advnb/papers/new.py")
    monkeypatch.setattr("advnb.experiments.runs.checkout", lambda: ("0123456789+changes", changed))
    message = r"toy.walk is not stored at laptop scale .*\(advnb/attacks.py, advnb/papers/new.py\): commit them"
    with pytest.raises(ValueError, match=message):
        go(WALK, tmp_path, "laptop")
    assert list(tmp_path.iterdir()) == []
    assert go(WALK, tmp_path, "live").stored == 4
    assert go(WALK, tmp_path, "laptop", allow_changes=True).stored == 20


def test_the_progress_bar_goes_to_stderr(tmp_path, capsys):
    run(WALK, "live", results=tmp_path)
    captured = capsys.readouterr()
    assert captured.out == "" and "toy.walk live" in captured.err and "4/4" in captured.err


def test_live_stores_nothing_and_gives_the_same_table(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    table = live(WALK)
    assert list(tmp_path.iterdir()) == []
    run(WALK, "live", progress=False)
    stored = results.load("toy.walk")
    assert table.columns.tolist() == stored.columns.tolist()
    names = [name for name in table if not name.startswith("run_")]
    pd.testing.assert_frame_equal(table[names], stored[names], check_exact=True)


def test_live_raises_what_a_trial_raises():
    with pytest.raises(RuntimeError, match="1 is odd"):
        live(PICKY)


def test_auto_is_the_gpu_if_there_is_one():
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_trials_that_cannot_use_a_gpu_run_on_the_cpu_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    go(WHERE, tmp_path)
    (record,) = records(WHERE, tmp_path)
    assert record["values"]["device_handed"] == record["provenance"]["device"] == "cpu"
    assert live(WHERE, device="auto").device_handed.tolist() == ["cpu"]
    assert verify(WHERE, results=tmp_path, device="auto").holds.all()


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_trials_that_cannot_use_a_gpu_are_not_sent_to_one(tmp_path, device):
    go(WHERE, tmp_path / "stored")
    message = f"device must be one of 'auto', 'cpu' for toy.where; got '{device}'"
    for call in (
        lambda: go(WHERE, tmp_path / "new", device=device),
        lambda: go(WHERE, tmp_path / "new", device=device, backend="dask", address="tcp://127.0.0.1:9"),
        lambda: live(WHERE, device=device),
        lambda: verify(WHERE, results=tmp_path / "stored", device=device),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not (tmp_path / "new").exists()


def test_the_commit_is_short_and_marks_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "package")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    look = checkout.__wrapped__  # it is asked once a process otherwise
    assert look() == (None, ())
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert look() == (None, ())
    subprocess.run([*git, "add", "package"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "first"], check=True)
    (tmp_path / "elsewhere.py").touch()
    head, changed = look()
    assert re.fullmatch(r"[0-9a-f]{10,}", head) and changed == ()
    (tmp_path / "package" / "__init__.py").write_text("x = 1")
    (tmp_path / "package" / "new.py").touch()
    assert look() == (f"{head}+changes", ("package/__init__.py", "package/new.py"))


# Verifying


def test_verify_finds_every_number_again(tmp_path):
    go(WALK, tmp_path, "laptop")
    report = verify(WALK, sample=7, results=tmp_path)
    assert report.field.tolist() == ["end", "path", "far", "up"]
    assert (report.trials == 7).all() and report.holds.all() and (report.deviation == 0).all()
    assert verify(WALK, sample=99, results=tmp_path).trials.tolist() == [20] * 4


def altered(tmp_path, change):
    """Change the values of one stored trial; a file that a careless hand has edited."""
    path = ResultsFile(tmp_path, "toy.walk", "live").path
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[2]["values"])
    del lines[2]["crc32"]  # it would be refused before anything is compared
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(end=values["end"] * (1 + 1e-9)), "end deviates by .*e-1. where .* is allowed"),
        (lambda values: values["path"].__setitem__(0, 0.5), "path deviates by 0"),
        (lambda values: values["path"].pop(), "path deviates by inf"),
        (lambda values: values.pop("far"), "far deviates by inf"),
        (lambda values: values.update(far=math.nan), "far deviates by inf"),
        (lambda values: values.update(far="far"), "far deviates by inf"),
        (lambda values: values.update(up=not values["up"]), "up deviates by 1 "),
    ],
)
def test_verify_fails_loudly_when_a_number_was_altered(tmp_path, change, message):
    go(WALK, tmp_path)
    altered(tmp_path, change)
    with pytest.raises(VerificationError, match=f"toy.walk at live scale cannot be had again: .*{message}") as raised:
        verify(WALK, sample=4, results=tmp_path)
    assert (~raised.value.report.holds).sum() == 1


def test_verify_tells_a_trial_that_depends_on_more_than_its_arguments(tmp_path, monkeypatch):
    go(DRIFTING, tmp_path)
    verify(DRIFTING, results=tmp_path)
    monkeypatch.setenv("TOY_DRIFT", "1e-3")
    with pytest.raises(VerificationError, match=r"value deviates by 0.001 where .* \(x=1.0, seed="):
        verify(DRIFTING, results=tmp_path)


def test_verify_leaves_unchecked_fields_out(tmp_path):
    go(SLOW, tmp_path, seeds=2)
    assert verify(SLOW, results=tmp_path).field.tolist() == ["slept", "square"]


def test_verify_reports_what_is_promised_on_a_like_processor_and_demands_it_when_told(tmp_path):
    go(WALK, tmp_path)
    altered(tmp_path, lambda values: values.update(far=-1.0))
    walk = dataclasses.replace(WALK, like_processor=["far"])
    report = verify(walk, sample=4, results=tmp_path).set_index("field")
    assert report.promised.to_dict() == {"end": True, "path": True, "far": False, "up": True}
    assert not report.holds["far"] and report.holds.sum() == 3
    with pytest.raises(VerificationError, match="far deviates by"):
        verify(walk, sample=4, results=tmp_path, alike=True)


def test_verify_takes_trials_that_succeeded(tmp_path):
    go(PICKY, tmp_path)
    assert verify(PICKY, sample=10, results=tmp_path).trials.tolist() == [2]


def test_verify_names_the_trials_that_raise(tmp_path, monkeypatch):
    go(DRIFTING, tmp_path)
    monkeypatch.setenv("TOY_DRIFT", "much")
    message = (
        r"toy.drifting at live scale cannot be had again: x=\d.0, seed=\d: ValueError: could not convert string "
        r"to float: 'much' \(sums.py:\d+ in drifting\); x="
    )
    with pytest.raises(VerificationError, match=message) as raised:
        verify(DRIFTING, sample=2, results=tmp_path)
    assert raised.value.report.empty and "holds" in raised.value.report


def lasting(*, seed, device):
    """A trial that takes over what an earlier call has kept."""
    file = kept_folder() / "lasting"
    taken = file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return {"taken": taken, "seed_again": seed}


def test_verify_takes_nothing_over_from_the_run_that_it_checks(tmp_path, monkeypatch):
    """Or it would compare what was kept with itself."""
    monkeypatch.setenv("ADVNB_KEPT", str(tmp_path / "kept"))
    experiment = Experiment("toy.lasting", lasting, {"live": {}}, {"live": 1}, devices=("cpu",))
    go(experiment, tmp_path)
    assert lasting(seed=0, device="cpu")["taken"]
    assert verify(experiment, results=tmp_path).holds.all()  # "taken" was False, and is again
    assert kept_folder() == tmp_path / "kept"


def test_verify_needs_a_field_to_compare(tmp_path):
    go(TIMED, tmp_path, seeds=1, only={"seconds": 0.0})
    with pytest.raises(ValueError, match=r"toy\.timed declares all its fields unchecked; nothing to verify"):
        verify(TIMED, results=tmp_path)


def test_verify_needs_something_stored(tmp_path):
    with pytest.raises(NotStored, match=r"toy.walk is stored at no scale in .*; to run it: python -m advnb run"):
        verify(WALK, results=tmp_path)
    go(WALK, tmp_path)
    with pytest.raises(NotStored, match=r"toy.walk is stored only at live scale in .*; to run it: .* --scale full"):
        verify(WALK, results=tmp_path, scale="full")
    with pytest.raises(ValueError, match="sample must be at least 1; got 0"):
        verify(WALK, results=tmp_path, sample=0)


@pytest.mark.parametrize(
    ("old", "new", "deviation"),
    [
        (1.0, 1.5, 0.5),
        ([1.0, math.nan], [1.0, math.nan], 0.0),
        ([1.0, math.inf], [1.0, math.inf], 0.0),
        (math.inf, -math.inf, math.inf),
        (math.nan, 1.0, math.inf),
        ([[1, 2]], [[1, 2, 3]], math.inf),
        ([], [], 0.0),
        ("a", "a", 0.0),
        ("a", "b", math.inf),
        (None, None, 0.0),
        (None, 1.0, math.inf),
    ],
)
def test_deviations(old, new, deviation):
    assert compare({"x": old}, {"x": new}, "x", Tolerance())[0] == deviation


def test_the_entry_that_uses_most_of_its_tolerance_is_reported():
    assert compare({"x": [100.0, 1.0]}, {"x": [100.5, 1.2]}, "x", Tolerance(0.1, 0)) == pytest.approx((0.2, 0.1))


def test_the_public_names():
    assert {"Experiment", "Tolerance", "Trial", "find", "live", "run", "verify"} <= set(experiments.__all__)


def test_odd_is_called_without_a_dtype():
    assert odd(kind="third", seed=0, device="cpu")["value"] == 1 / 3
