"""The command line, end to end, on the toy experiments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy.sums import WALK

from advnb.__main__ import _parser, main
from advnb.experiments import find
from advnb.experiments import read as results

PAPERS = find()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def call(capsys):
    def call(line):
        try:
            code = main(line.split(), "toy")
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return call


def row(text, *start):
    """The words of the line of a printed table that begins with ``start``."""
    rows = [line.split() for line in text.splitlines()]
    return next(words for words in rows if words[: len(start)] == list(start))


def test_list_counts_the_trials_at_each_scale(call):
    code, out, _ = call("list")
    assert code == 0
    assert row(out, "toy.walk")[:4] == ["toy.walk", "4", "20", "4"]
    assert row(out, "toy.odd")[:4] == ["toy.odd", "5", "-", "-"]
    assert "A random walk: its end, its path and how far it went." in out


def test_run_status_verify_and_load(call):
    assert row(call("status toy.walk")[1], "toy.walk", "live")[2:] == ["4", "0", "0", "0", "0", "0.00", "-", "-"]
    code, out, err = call("run toy.walk --scale live")
    assert (code, out) == (0, "toy.walk at live scale: 4 trials, 0 done before, 4 stored now\n")
    assert "4/4" in err
    assert call("run toy.walk --scale live")[1].startswith("toy.walk at live scale: 4 trials, 4 done before, 0 stored")
    assert row(call("status")[1], "toy.walk", "live")[2:6] == ["4", "4", "0", "0"]
    code, out, _ = call("verify toy.walk --sample 3")
    assert code == 0 and row(out, "end")[:3] == ["end", "3", "0"]
    assert len(results.load("toy.walk")) == 4


def test_run_takes_seeds_and_parameters(call):
    call("run toy.walk --scale laptop --seeds 0:2 7 --only steps=5 --only steps=10 scale=0.1 --quiet")
    table = results.load("toy.walk")
    assert sorted(set(table.seed)) == [0, 1, 7] and set(table["scale"]) == {0.1} and set(table.steps) == {5, 10}
    call("run toy.odd --scale live --only kind=nan --quiet")
    assert results.load("toy.odd").kind.tolist() == ["nan"]


def test_trials_outside_the_grid_are_told_apart(call):
    call("run toy.walk --scale live --seeds 0 9 --quiet")
    assert row(call("status toy.walk")[1], "toy.walk", "live")[2:6] == ["4", "2", "0", "2"]


def test_a_time_limit_says_what_is_left(call):
    code, out, _ = call("run toy.slow --scale laptop --time-limit 0.01 --quiet")
    assert code == 0 and " left: the time is up, the same command goes on" in out


def test_failures_are_told_and_tried_again_when_asked(call, folder, monkeypatch):
    code, out, _ = call("run toy.picky --scale live --quiet")
    summary, first, second, advice = out.splitlines()
    assert code == 1 and summary.endswith(": 4 trials, 0 done before, 2 stored now, 2 failed")
    assert first.startswith("  n=1, seed=0: RuntimeError: 1 is odd, in ~/secret (sums.py:")
    assert second.startswith("  n=3, seed=0: ") and advice == "  --retry-errors tries them again"
    assert row(call("status toy.picky")[1], "toy.picky", "live")[2:6] == ["4", "2", "2", "0"]
    code, again, _ = call("run toy.picky --scale live --quiet")
    assert code == 1 and again.startswith(
        "toy.picky at live scale: 4 trials, 2 done before, 0 stored now, 2 failed before\n"
    )
    assert again.splitlines()[1:] == [first, second, advice]
    (folder / "cure").touch()
    monkeypatch.setenv("TOY_CURED", str(folder / "cure"))
    code, out, _ = call("run toy.picky --scale live --quiet --retry-errors")
    assert code == 0 and "2 done before, 2 stored now" in out


def test_of_many_failures_some_are_named(call):
    out = call("run toy.picky --scale live --only n=1 --seeds 0:40 --quiet")[1]
    assert ", 40 failed\n" in out and len(out.splitlines()) == 13 and "\n  ...\n  --retry-errors" in out


def test_an_error_of_a_trial_under_verify_is_shown_as_what_it_is(call, monkeypatch):
    call("run toy.drifting --scale live --quiet")
    monkeypatch.setenv("TOY_DRIFT", "much")
    code, out, err = call("verify toy.drifting --sample 1")
    assert code == 1 and out == "no field could be compared\n"
    assert "ValueError: could not convert string to float: 'much' (sums.py:" in err
    assert "in drifting)" in err and "x=" in err and "seed=" in err


def test_code_that_is_not_committed_is_named(call, folder, monkeypatch):
    changed = ("0123456789+changes", ("advnb/attacks.py",))
    monkeypatch.setattr("advnb.experiments.runs.checkout", lambda: changed)
    code, _, err = call("run toy.walk --scale laptop --quiet")
    assert code == 2 and "(advnb/attacks.py)" in err and "--allow-changes" in err
    assert list(folder.iterdir()) == []
    assert call("run toy.walk --scale laptop --quiet --allow-changes")[0] == 0


def test_status_counts_what_nobody_can_check_out(call, folder):
    call("run toy.walk --scale live --quiet")
    path = folder / "toy.walk.live.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, commit in zip(lines, ["0123456789+changes", "0123456789", None, "9876543210+changes"], strict=True):
        line["provenance"]["commit"] = commit
        del line["crc32"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = call("status toy.walk")[1]
    assert out.split()[6] == "+changes" and row(out, "toy.walk", "live")[6] == "2"


def test_verify_exits_with_1_and_shows_the_table(call, folder):
    call("run toy.walk --scale live --quiet")
    path = folder / "toy.walk.live.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["values"]["end"] += 1
    del lines[0]["crc32"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, err = call("verify toy.walk")
    assert code == 1 and "False" in row(out, "end") and "True" in row(out, "far")
    assert "cannot be had again: end deviates by 1 where" in err


def test_verify_without_a_name_takes_all_and_goes_on_where_it_stopped(call, folder, tmp_path):
    for name in ("walk", "drifting"):
        assert call(f"run toy.{name} --scale live --quiet")[0] == 0
    log = tmp_path / "new" / "log.jsonl"
    code, out, _ = call(f"verify --sample 1 --log {log}")
    assert code == 0 and [line.split(",")[0] for line in out.splitlines()] == [
        "toy.drifting.live: held", "toy.walk.live: held"
    ]  # fmt: skip
    path = folder / "toy.walk.live.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["values"]["end"] += 1
    del lines[0]["crc32"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert call(f"verify --sample 1 --log {log}")[:2] == (0, "")
    code, out, _ = call(f"verify --sample 9 --log {log}")  # another sample, which nothing has held for
    assert code == 1 and "toy.drifting.live: held" in out and "toy.walk.live: FAILED, toy.walk at live scale" in out
    code, out, _ = call(f"verify --sample 9 --log {log}")
    assert code == 1 and "drifting" not in out and "toy.walk.live: FAILED" in out


def test_a_damaged_file_is_told_and_the_others_are_shown(call, folder):
    call("run toy.walk --scale live --quiet")
    (folder / "toy.walk.laptop.jsonl").write_text("what is this\n")
    code, out, err = call("status")
    assert code == 1 and "toy.walk.laptop.jsonl:1: not a line of JSON" in err
    assert row(out, "toy.walk", "live")[3] == "4"
    assert call("run toy.walk --scale laptop --quiet")[0] == 1
    assert (folder / "toy.walk.laptop.jsonl").read_text() == "what is this\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run toy.wlak --scale live", "no experiment is named 'toy.wlak'; there are: toy.broken, toy.drifting"),
        ("status toy.wlak", "no experiment is named 'toy.wlak'"),
        ("verify toy.wlak", "no experiment is named 'toy.wlak'"),
        ("verify toy.walk", "toy.walk is stored at no scale in"),
        ("run toy.walk", "the following arguments are required: --scale"),
        ("run toy.walk --scale huge", "invalid choice: 'huge'"),
        ("run toy.odd --scale full", "scale must be one of 'live'; got 'full'"),
        ("run toy.walk --scale live --jobs 0", "jobs must be at least 1; got 0"),
        ("run toy.walk --scale live --backend mpi", "backend must be one of"),
        ("run toy.walk --scale live --backend dask", "backend 'dask' needs the address of a running cluster"),
        ("run toy.walk --scale live --seeds one", "--seeds: takes whole numbers and ranges like 0:5; got 'one'"),
        ("run toy.walk --scale live --only steps", "--only: takes key=value, such as d=16; got 'steps'"),
        ("run toy.walk --scale live --only width=3", "only must name parameters (steps, scale); got 'width'"),
        ("run toy.walk --scale live --time-limit 0", "time_limit must be a finite number above 0"),
        (
            "run toy.walk --scale live --device tpu",
            "device must be one of 'auto', 'cpu', 'cuda', 'cuda:N' for toy.walk; got 'tpu'",
        ),
        ("run toy.where --scale live --device cuda", "device must be one of 'auto', 'cpu' for toy.where"),
        ("data imagenet", "imagenet"),
        ("", "the following arguments are required"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_writes_nothing(call, folder, line, message):
    code, _, err = call(line)
    assert code == 2 and message in err and "Traceback" not in err
    assert list(folder.iterdir()) == []


def test_an_interrupt_says_that_what_has_finished_is_stored(call, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("advnb.__main__.run", interrupted)
    code, _, err = call("run toy.walk --scale live")
    assert code == 130 and "what has finished is stored" in err


def test_data_says_what_is_here(call, monkeypatch, tmp_path):
    monkeypatch.setenv("ADVNB_DATA", str(tmp_path))
    code, out, _ = call("data digits")
    assert code == 0
    assert row(out, "digits")[1] == "embedded" and row(out, "mnist")[1] == row(out, "cifar10")[1] == "absent"


def test_a_package_without_experiments(capsys):
    assert main(["list"], "json") == 0
    assert capsys.readouterr().out == "no experiments are declared\n"


def test_another_folder_can_be_named(call, tmp_path):
    call(f"run toy.walk --scale live --quiet --results {tmp_path / 'other'}")
    assert len(results.load("toy.walk", results=tmp_path / "other")) == len(WALK.trials("live"))


@pytest.mark.slow
def test_the_papers_experiments_are_listed():
    done = subprocess.run([sys.executable, "-m", "advnb", "list"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("experiment"), done.stderr


def test_threads_that_wait_sleep_unless_the_reader_said_otherwise():
    """OpenMP reads the variable once, when torch loads it, so it has to stand before."""
    watch = """
import os, sys
class AtTorch:
    def find_spec(self, name, *rest):
        if name == "torch":
            print(os.environ["OMP_WAIT_POLICY"])
            raise SystemExit
sys.meta_path.insert(0, AtTorch())
import advnb.__main__
"""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, seen in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        done = subprocess.run([sys.executable, "-c", watch], env=kept | given, capture_output=True, text=True)
        assert done.stdout.split() == [seen], done.stderr


def commands_of_a_full_run():
    text = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## A full run")[2].partition("\n## ")[0]
    lines = section.partition("```\n")[2].partition("```")[0].splitlines()
    return [line.removeprefix("python -m advnb ").split() for line in lines if line.startswith("python -m advnb ")]


@pytest.mark.parametrize("words", commands_of_a_full_run(), ids=" ".join)
def test_the_commands_of_a_full_run_are_commands(words):
    asked = vars(_parser().parse_args(words))
    if words[0] == "run":
        experiment = PAPERS[asked["name"]]
        seeds = asked["seeds"] and [seed for word in asked["seeds"] for seed in word]
        assert experiment.trials(asked["scale"], seeds=seeds)
        assert experiment.device(asked["device"]) == asked["device"]
        assert asked["time_limit"] == 10
