"""A run that is killed goes on where it was, and several runs share one file."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from toy.sums import LOGGED, SLOW

from advnb.experiments import run
from advnb.experiments.store import ResultsFile, Writer, key, settled

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOY_LOG", str(path))
    return path


def start(experiment, folder, **options):
    """Run an experiment in a child process."""
    context = multiprocessing.get_context("fork")
    child = context.Process(
        target=run, args=(experiment, "live"), kwargs={"results": folder, "progress": False, **options}
    )
    child.start()
    return child


def lines(folder, name="toy.logged.live.jsonl"):
    """What is stored, whole lines only, whatever state a kill has left the file in."""
    path = Path(folder) / name
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content.split(b"\n")[:-1]], content.split(b"\n")[-1]


def values(folder, experiment):
    records = ResultsFile(Path(folder), experiment.name, "live").read()
    assert Counter(map(key, records)).most_common(1)[0][1] == 1, "a trial is stored twice"
    return {trial: record["values"] for trial, record in settled(records).items()}


def test_a_run_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path, log):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run(LOGGED, "live", results=undisturbed, progress=False)
    moments = random.Random(0)
    patience = 0.05
    kills = 0
    while True:
        before, _ = lines(killed)
        log.write_text("")
        child = start(LOGGED, killed)
        child.join(moments.uniform(0, patience))
        finished = child.exitcode == 0
        if not finished:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
        ran = Counter(map(int, log.read_text().split()))
        assert ran.keys().isdisjoint(record["seed"] for record in before), "a stored trial was run again"
        assert max(ran.values(), default=0) <= 1
        assert lines(killed)[0][: len(before)] == before, "a stored trial was lost"
        if finished:
            break
        if len(lines(killed)[0]) == len(before):
            patience *= 1.1  # or a slow machine would never get anywhere
    assert kills >= 3
    assert values(killed, LOGGED) == values(undisturbed, LOGGED)


@pytest.mark.parametrize("written", [1, 40, 90, 1000, -1], ids=lambda n: f"after {n} bytes")
def test_killed_in_the_middle_of_a_write(tmp_path, log, monkeypatch, written):
    whole = Writer._write

    def dying(writer, handle, line):
        if len(writer.stored) == 3:
            handle.write(line[:written])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(writer, handle, line)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_write", dying)
        child = start(LOGGED, tmp_path, seeds=6)
        child.join()
    before, tail = lines(tmp_path)
    assert (child.exitcode, len(before)) == (-signal.SIGKILL, 3) and tail
    log.write_text("")
    outcome = run(LOGGED, "live", seeds=6, results=tmp_path, progress=False)
    complete = written == -1  # only the newline is missing: the trial has finished
    assert outcome.stored == (2 if complete else 3)
    assert log.read_text().split() == (["4", "5"] if complete else ["3", "4", "5"])
    assert lines(tmp_path)[0][:3] == before
    assert len(values(tmp_path, LOGGED)) == 6


def test_processes_on_one_file_store_each_trial_once(tmp_path, log):
    children = [start(LOGGED, tmp_path / "together") for _ in range(3)]
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    run(LOGGED, "live", results=tmp_path / "alone", progress=False)
    assert values(tmp_path / "together", LOGGED) == values(tmp_path / "alone", LOGGED)


def test_two_processes_divide_the_work(tmp_path, log):
    """Were they to go in step, each trial would be run twice."""
    trials = len(LOGGED.trials("live"))
    children = [start(LOGGED, tmp_path / "together") for _ in range(2)]
    for child in children:
        child.join(60)
    assert len(log.read_text().split()) < 1.5 * trials


def test_one_process_is_killed_while_another_goes_on(tmp_path, log):
    first, second = start(LOGGED, tmp_path / "r"), start(LOGGED, tmp_path / "r")
    time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second.join(60)
    assert second.exitcode == 0
    assert len(values(tmp_path / "r", LOGGED)) == len(LOGGED.trials("live"))


@pytest.mark.slow
def test_the_command_line_with_two_workers_is_killed_and_goes_on(tmp_path):
    """As a user has it: a process group with workers, killed as a whole."""
    code = "import sys; from advnb.__main__ import main; sys.exit(main(sys.argv[1:], 'toy'))"
    command = [sys.executable, "-c", code, "run", "toy.slow", "--scale", "live", "--jobs", "2", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "ADVNB_RESULTS": str(tmp_path)}
    path = ResultsFile(tmp_path, SLOW.name, "live").path
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    while not (path.exists() and path.stat().st_size):
        assert child.poll() is None
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.05))
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    before = lines(tmp_path, path.name)[0]
    assert before
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path, path.name)[0][: len(before)] == before
    stored = values(tmp_path, SLOW)
    assert stored.keys() == {trial.key for trial in SLOW.trials("live")}
    assert all(one["square"] == json.loads(trial)[1] ** 2 for trial, one in stored.items())
