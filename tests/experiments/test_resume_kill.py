"""A run that is killed goes on where it was, and several runs share one file.

Every run is a fresh interpreter. A forked child would share locks with its siblings (tqdm's, for one), and one that
is killed while it holds such a lock leaves it locked for all that come after.
"""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from toy.sums import LOGGED, SLOW

from advnb.experiments import run
from advnb.experiments.store import ResultsFile, key, settled

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL"), pytest.mark.timeout(480)]

TESTS = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("run_worker.py")
PATIENCE = 120  # seconds for an interpreter to start or a run to end, on a machine that is busy with other things
KILLS = 16


def environment(**variables):
    """This process's environment, in which an interpreter finds the same advnb and the toy experiments."""
    places = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), **variables}


class Child:
    """A run of `toy.logged` in an interpreter of its own, which waits until it is told to begin."""

    def __init__(self, folder, seeds, *size):
        command = [sys.executable, str(WORKER), str(folder), str(seeds), *map(str, size)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment(OMP_NUM_THREADS="1"), **pipes)

    def begin(self):
        said, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert said and self.process.stdout.readline() == "ready\n", "the interpreter did not start"
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()

    def end(self):
        """Wait for the run to end and return its exit status."""
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        return self.end()


@pytest.fixture
def start():
    """Start children that do not outlive the test."""
    children = []

    def start(*arguments):
        children.append(Child(*arguments))
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.process.stdin.close()
        child.process.stdout.close()


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOY_LOG", str(path))
    return path


def wait_until(happened, process):
    """Wait, but not for ever and not for a process that has ended."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, f"the process has ended with {process.returncode}"
        assert time.monotonic() < end, f"nothing has happened for {PATIENCE} s"
        time.sleep(0.001)


def lines(folder, name="toy.logged.live.jsonl"):
    """What is stored, whole lines only, whatever state a kill has left the file in."""
    path = Path(folder) / name
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content.split(b"\n")[:-1]], content.split(b"\n")[-1]


def values(folder, experiment):
    records = ResultsFile(Path(folder), experiment.name, "live").read()
    assert Counter(map(key, records)).most_common(1)[0][1] == 1, "a trial is stored twice"
    return {trial: record["values"] for trial, record in settled(records).items()}


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path, start, log):
    undisturbed, killed, seeds = tmp_path / "undisturbed", tmp_path / "killed", 200
    began = time.monotonic()
    run(LOGGED, "live", seeds=seeds, results=undisturbed, progress=False)
    pace = (time.monotonic() - began) / seeds
    moments = random.Random(0)
    waiting = [start(killed, seeds)]
    for kill in range(KILLS + 1):
        before, _ = lines(killed)
        log.write_text("")
        child = waiting.pop()
        waiting.append(start(killed, seeds))  # starts up while this one runs
        child.begin()
        if kill < KILLS:  # at any moment of the start, or of one of the first trials
            begun = moments.randrange(4)
            wait_until(lambda n=begun: len(log.read_text().splitlines()) >= n, child.process)
            time.sleep(moments.uniform(0, 3 * pace))
            assert child.kill() == -signal.SIGKILL
        else:
            assert child.end() == 0
        ran = Counter(map(int, log.read_text().split()))
        assert ran.keys().isdisjoint(record["seed"] for record in before), "a stored trial was run again"
        assert max(ran.values(), default=0) <= 1
        assert lines(killed)[0][: len(before)] == before, "a stored trial was lost"
    assert values(killed, LOGGED) == values(undisturbed, LOGGED)


@pytest.mark.parametrize("written", [1, 40, 90, 1000, -1], ids=lambda n: f"after {n} bytes")
def test_killed_in_the_middle_of_a_write(tmp_path, start, log, written):
    child = start(tmp_path, 6, written)
    child.begin()
    assert child.end() == -signal.SIGKILL
    before, tail = lines(tmp_path)
    assert len(before) == 3 and tail
    log.write_text("")
    outcome = run(LOGGED, "live", seeds=6, results=tmp_path, progress=False)
    complete = written == -1  # only the newline is missing: the trial has finished
    assert outcome.stored == (2 if complete else 3)
    assert log.read_text().split() == (["4", "5"] if complete else ["3", "4", "5"])
    assert lines(tmp_path)[0][:3] == before
    assert len(values(tmp_path, LOGGED)) == 6


def test_processes_on_one_file_store_each_trial_once(tmp_path, start, log):
    children = [start(tmp_path / "together", 50) for _ in range(3)]
    for child in children:
        child.begin()
    assert [child.end() for child in children] == [0, 0, 0]
    run(LOGGED, "live", seeds=50, results=tmp_path / "alone", progress=False)
    assert values(tmp_path / "together", LOGGED) == values(tmp_path / "alone", LOGGED)


def test_two_processes_divide_the_work(tmp_path, start, log):
    """Were they to go in step, each trial would be run twice."""
    children = [start(tmp_path / "together", 50) for _ in range(2)]
    for child in children:
        child.begin()
    assert [child.end() for child in children] == [0, 0]
    assert 50 <= len(log.read_text().split()) < 75


def test_one_process_is_killed_in_a_write_while_another_goes_on(tmp_path, start, log):
    first, second = start(tmp_path / "r", 200, 1000), start(tmp_path / "r", 200)
    first.begin()
    second.begin()
    assert (first.end(), second.end()) == (-signal.SIGKILL, 0)
    assert len(values(tmp_path / "r", LOGGED)) == 200


@pytest.mark.slow
def test_the_command_line_with_two_workers_is_killed_and_goes_on(tmp_path):
    """As a user has it: a process group with workers, killed as a whole."""
    code = "import sys; from advnb.__main__ import main; sys.exit(main(sys.argv[1:], 'toy'))"
    command = [sys.executable, "-c", code, "run", "toy.slow", "--scale", "live", "--jobs", "2", "--quiet"]
    variables = environment(ADVNB_RESULTS=str(tmp_path))
    path = ResultsFile(tmp_path, SLOW.name, "live").path
    child = subprocess.Popen(command, env=variables, start_new_session=True)
    try:
        wait_until(lambda: path.exists() and path.stat().st_size, child)
        time.sleep(random.uniform(0, 0.05))
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(PATIENCE)
    before = lines(tmp_path, path.name)[0]
    assert before
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path, path.name)[0][: len(before)] == before
    stored = values(tmp_path, SLOW)
    assert stored.keys() == {trial.key for trial in SLOW.trials("live")}
    assert all(one["square"] == json.loads(trial)[1] ** 2 for trial, one in stored.items())
