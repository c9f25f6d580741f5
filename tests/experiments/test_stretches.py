"""Trials longer than a stretch: stopped to the second, killed at any moment, taken up here or elsewhere."""

import contextlib
import os
import re
import shutil
import threading
import time

import long_trials
import pytest
import torch

from advnb import __main__ as command
from advnb.experiments import TimeIsUp, UnderWay, kept_folder, live, load, run, under_way
from advnb.experiments.runs import GRACE
from advnb.experiments.store import ResultsFile
from advnb.experiments.stretches import state_of, stopped_at


def inside(folder, patch):
    """Let trials log and put themselves away in ``folder``."""
    patch.setenv("ADVNB_KEPT", str(folder / "kept"))
    patch.setenv("TOY_LOG", str(folder / "log"))
    return folder


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    return inside(tmp_path, monkeypatch) / "kept"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture
def workers(place, monkeypatch):
    """Where two worker processes log and put themselves away: one place, as they take long to start."""
    inside(place, monkeypatch)
    warm = place / "warm"
    shutil.rmtree(warm, ignore_errors=True)
    run(long_trials.EPOCHS, "laptop", results=warm, progress=False, jobs=2, allow_changes=True)
    return place


LIMIT = 1.5
"""Seconds in which workers that have started do a few epochs, however busy the machine."""


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


def whole(seed):
    """What ``long_trials.epochs`` returns where nothing stops it."""
    return long_trials.epochs(count=12, seconds=0.0, seed=seed, device="cpu")["total"]


def go(folder, experiment=long_trials.EPOCHS, **options):
    return run(experiment, "live", **{"seeds": 1, "results": folder / "results", "progress": False, **options})


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_longer_than_the_limit_is_stopped_to_the_second_and_goes_on(request, tmp_path, jobs):
    folder = tmp_path if jobs == 1 else request.getfixturevalue("workers")
    totals = [whole(seed) for seed in range(2)]
    (folder / "log").unlink()
    rounds = 0
    while True:
        start = time.monotonic()
        outcome = go(folder, time_limit=0.5 / 60, seeds=2, jobs=jobs)
        assert time.monotonic() - start < 1.5
        rounds += 1
        if not outcome.left:
            break
        assert rounds < 20
    assert rounds > 1
    assert load("toy.epochs", results=folder / "results").sort_values("seed").total.tolist() == totals
    twice = len(did(folder)) - len(set(did(folder)))
    assert twice <= rounds * jobs  # an epoch that was done and not put away, at most once a stretch and trial
    assert not list((kept_folder() / "under_way").glob("*.pt"))


def test_the_time_of_all_stretches_is_stored(tmp_path):
    """Without it a trial that was taken up would seem to be a short one."""
    while go(tmp_path, time_limit=0.3 / 60).left:
        pass
    table = load("toy.epochs", results=tmp_path / "results")
    assert len(begun(tmp_path)) > 1
    assert table.run_seconds[0] > 12 * 0.05
    assert table.run_cpu_seconds[0] < table.run_seconds[0]


def elsewhere(folder, patch):
    """Carry what is put away to another place, as to another machine."""
    shutil.copytree(folder / "kept", folder / "carried")
    shutil.rmtree(folder / "kept")
    patch.setenv("ADVNB_KEPT", str(folder / "carried"))


def test_workers_in_one_long_call_are_killed_and_their_trials_go_on_elsewhere(workers, monkeypatch):
    """An epoch at most is lost."""
    log, results = workers / "log", workers / "killed"
    log.unlink(missing_ok=True)
    held = long_trials.hold()
    start = time.monotonic()
    outcome = go(workers, seeds=2, jobs=2, time_limit=LIMIT / 60, results=results)
    assert time.monotonic() - start < LIMIT + GRACE + 1.5
    assert (outcome.stored, outcome.failed, outcome.left) == (0, 0, 2)
    assert sorted(did(workers)) == [(str(k), str(n)) for k in range(2) for n in range(1, long_trials.HELD + 2)]
    held.unlink()
    elsewhere(workers, monkeypatch)
    assert go(workers, seeds=2, results=results).stored == 2
    twice = {one for one in did(workers) if did(workers).count(one) > 1}
    assert twice == {(str(seed), str(long_trials.HELD + 1)) for seed in range(2)}
    assert load("toy.epochs", results=results).total.tolist() == [whole(seed) for seed in range(2)]


def test_a_trial_with_a_checkpoint_goes_on_elsewhere(tmp_path, monkeypatch):
    weights = long_trials.trained(rounds=8, seconds=0.0, seed=0, device="cpu")["weights"]
    (tmp_path / "log").unlink()
    assert go(tmp_path, long_trials.TRAINED, time_limit=0.5 / 60).left == 1
    elsewhere(tmp_path, monkeypatch)
    assert go(tmp_path, long_trials.TRAINED).stored == 1
    assert 8 <= len(did(tmp_path)) <= 8 + 1
    assert load("toy.trained", results=tmp_path / "results").weights[0].tolist() == weights
    assert not list((kept_folder() / "under_way").glob("*.pt"))


def test_a_process_in_the_middle_of_one_long_call_is_left(monkeypatch, capsys):
    left = threading.Event()
    monkeypatch.setattr(command.os, "_exit", lambda code: left.set() if code == 0 else None)
    with command._ended_at(time.time() + 0.1, "toy.one_call at live scale"):
        assert left.wait(5)
    assert "the time is up in the middle of a long call" in capsys.readouterr().out
    left.clear()
    with command._ended_at(time.time() + 0.1, "toy"):
        pass
    assert not left.wait(0.2)


def test_the_limit_of_a_command_counts_from_its_beginning(monkeypatch, capsys):
    """Where the modules took longer to load than the limit is, no trial is begun."""
    seen = []
    monkeypatch.setattr(command, "_leave", seen.append)
    monkeypatch.setattr(command, "run", lambda *args, time_limit, **rest: seen.append(time_limit) or command.Outcome(1))
    line = {"seeds": None, "only": [], "time_limit": 1.0}
    for ago in (30.0, 90.0):
        command._run("toy", "toy.walk", "live", True, time.time() - ago, **line)
    assert seen == [pytest.approx(0.5, abs=0.05), 0, pytest.approx(0, abs=1e-6), 0]
    command._run("toy", "toy.walk", "live", True, None, **line)
    assert seen[4:] == [1.0]


def test_a_state_is_forgotten_only_when_the_line_is_written(tmp_path, monkeypatch):
    """A kill between the end of a trial and its line costs what an epoch costs."""
    (trial,) = long_trials.EPOCHS.trials("live", seeds=1)
    state = state_of(long_trials.epochs, trial.key, "float32")
    file = ResultsFile(tmp_path / "results", "toy.epochs", "live")
    there = []
    monkeypatch.setattr(UnderWay, "forget", lambda self: there.append((self.path, file.read())))
    go(tmp_path)
    ((path, records),) = there
    assert path == state.path
    assert len(records) == 1
    assert state.path.exists()


def test_what_a_killed_process_left_half_written_is_removed_with_the_state(tmp_path):
    state = UnderWay(tmp_path / "one.pt")
    old, fresh = (tmp_path / f".one.pt.{pid}.part" for pid in (1, 2))
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    state.forget()
    assert [path.name for path in tmp_path.glob(".*")] == [fresh.name]


def test_another_code_does_not_take_the_state_up(tmp_path, monkeypatch):
    from advnb.experiments import stretches

    go(tmp_path, time_limit=0.3 / 60)
    assert len(list((kept_folder() / "under_way").glob("*.spent.pt"))) == 1
    monkeypatch.setattr(stretches, "_code", lambda module: "other")
    go(tmp_path, time_limit=0.3 / 60)
    assert begun(tmp_path) == [0, 0]


def test_a_trial_that_raises_keeps_its_state(tmp_path, monkeypatch):
    go(tmp_path, time_limit=0.3 / 60)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "nowhere" / "log"))
    assert go(tmp_path).failed == 1
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    go(tmp_path, retry_errors=True)
    assert begun(tmp_path)[-1] > 0
