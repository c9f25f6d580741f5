"""Trials longer than a stretch: stopped to the second, killed at any moment, taken up here or elsewhere."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import long_trials
import pytest
import torch

from advnb.experiments import TimeIsUp, UnderWay, kept_folder, live, load, run, under_way
from advnb.experiments.stretches import stopped_at

WORKER = Path(__file__).with_name("stretch_worker.py")


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVNB_KEPT", str(tmp_path / "kept"))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    return tmp_path / "kept"


def did(tmp_path):
    return re.findall(r"(\d+) did (\d+)", (tmp_path / "log").read_text())


def begun(tmp_path):
    return [int(epoch) for epoch in re.findall(r"from (\d+)", (tmp_path / "log").read_text())]


def spin():
    while True:
        time.sleep(0.005)


def test_a_block_is_stopped_at_the_moment():
    start = time.time()
    with pytest.raises(TimeIsUp), stopped_at(start + 0.3):
        spin()
    assert 0.29 < time.time() - start < 1.0


def test_a_block_that_has_ended_is_left_alone():
    with stopped_at(time.time() + 0.2):
        pass
    time.sleep(0.5)
    with stopped_at(float("inf")):
        pass


def test_except_exception_does_not_hold_it_and_who_swallows_it_meets_it_again():
    start = time.time()

    def deaf():
        with contextlib.suppress(BaseException):  # as a finaliser would
            spin()
        while True:
            with contextlib.suppress(Exception):
                spin()

    with pytest.raises(TimeIsUp), stopped_at(start + 0.1):
        deaf()
    assert time.time() - start < 2


def test_any_thread_is_stopped():
    seen = []

    def work():
        try:
            with stopped_at(time.time() + 0.2):
                spin()
        except TimeIsUp:
            seen.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert seen == [True]


def test_state_is_put_away_when_it_is_due_and_found_again(tmp_path):
    state = UnderWay(tmp_path / "deep" / "one.pt", every=60)
    assert state.load() is None
    state.save({"k": 1})
    assert state.load() is None  # not due yet
    state.save({"k": 2, "x": torch.ones(2)}, now=True)
    assert state.load()["k"] == 2
    state.part("other").save(lambda: {"k": 3}, now=True)
    assert state.part("other").load() == {"k": 3}
    state.forget()
    assert not list((tmp_path / "deep").iterdir())


def test_a_damaged_state_is_told_of_and_left_out(tmp_path):
    state = UnderWay(tmp_path / "one.pt")
    state.save({"k": 1}, now=True)
    state.path.write_bytes(state.path.read_bytes()[:50])
    with pytest.warns(UserWarning, match=r"one\.pt cannot be read .* begins again"):
        assert state.load() is None


def test_outside_a_run_nothing_is_put_away(kept):
    assert under_way() is None
    live(long_trials.EPOCHS, "laptop", seeds=1)
    assert not kept.exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_longer_than_the_limit_is_stopped_to_the_second_and_goes_on(tmp_path, jobs):
    whole = live(long_trials.EPOCHS).total.tolist()
    (tmp_path / "log").unlink()
    options = {"results": tmp_path / "results", "progress": False, "jobs": jobs}
    run(long_trials.EPOCHS, "laptop", **{**options, "results": tmp_path / "warm"})  # processes take long to start
    (tmp_path / "log").unlink()
    rounds = 0
    while True:
        start = time.monotonic()
        outcome = run(long_trials.EPOCHS, "live", time_limit=1.5 / 60, **options)
        assert time.monotonic() - start < 2.5
        rounds += 1
        if not outcome.left:
            break
        assert rounds < 12
    assert rounds > 1
    assert load("toy.epochs", results=tmp_path / "results").total.tolist() == whole
    twice = len(did(tmp_path)) - len(set(did(tmp_path)))
    assert twice <= rounds  # an epoch that was done and not put away, at most once a stretch
    assert not list((kept_folder() / "under_way").glob("*.pt"))


@pytest.mark.parametrize("name", ["EPOCHS", "TRAINED"])
def test_a_stretch_that_is_killed_loses_one_epoch_at_most_and_goes_on_elsewhere(tmp_path, name, monkeypatch):
    experiment = getattr(long_trials, name)
    whole = live(experiment, seeds=1)
    (tmp_path / "log").unlink()
    command = [sys.executable, str(WORKER), name, str(tmp_path / "results")]
    process = subprocess.Popen(command, env=os.environ.copy())
    deadline = time.monotonic() + 60
    while not (tmp_path / "log").exists() or len(did(tmp_path)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(did(tmp_path))
    shutil.copytree(tmp_path / "kept", tmp_path / "carried")
    shutil.rmtree(tmp_path / "kept")
    monkeypatch.setenv("ADVNB_KEPT", str(tmp_path / "carried"))
    outcome = run(experiment, "live", seeds=1, results=tmp_path / "results", progress=False)
    assert outcome.stored == 1
    total = {"EPOCHS": 12, "TRAINED": 8}[name]
    assert len([seed for seed, _ in did(tmp_path) if seed == "0"]) <= total + 1
    assert before >= 4
    after, field = load(experiment.name, results=tmp_path / "results"), {"EPOCHS": "total", "TRAINED": "weights"}[name]
    assert str(after[field][0]) == str(whole[field][0])


def test_another_code_does_not_take_the_state_up(tmp_path, monkeypatch):
    from advnb.experiments import stretches

    run(long_trials.EPOCHS, "live", seeds=1, results=tmp_path / "a", progress=False, time_limit=0.7 / 60)
    assert len(list((kept_folder() / "under_way").glob("*.pt"))) == 1
    monkeypatch.setattr(stretches, "_code", lambda module: "other")
    run(long_trials.EPOCHS, "live", seeds=1, results=tmp_path / "a", progress=False, time_limit=0.7 / 60)
    assert begun(tmp_path) == [0, 0]


def test_a_trial_that_raises_keeps_its_state(tmp_path, monkeypatch):
    run(long_trials.EPOCHS, "live", seeds=1, results=tmp_path / "a", progress=False, time_limit=0.7 / 60)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "nowhere" / "log"))
    outcome = run(long_trials.EPOCHS, "live", seeds=1, results=tmp_path / "a", progress=False)
    assert outcome.failed == 1
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    run(long_trials.EPOCHS, "live", seeds=1, results=tmp_path / "a", progress=False, retry_errors=True)
    assert begun(tmp_path)[-1] > 0
