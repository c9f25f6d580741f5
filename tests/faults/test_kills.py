"""`python -m advnb run` is killed, or interrupted, at random moments while it stores trials, and goes on each time.

Every run is a fresh interpreter, in which torch is a stand-in: a start then takes a fraction of a second.
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
from contextlib import suppress
from pathlib import Path

import pytest
from toy.sums import KILLED

from advnb.experiments.store import ResultsFile

HERE = Path(__file__).parent
PATIENCE = 120  # seconds for an interpreter to start or to end, on a machine that is busy with other things
SEEDS = 400
LONG = [
    pytest.mark.skipif("not config.getoption('--write-faults', False)", reason="minutes; --write-faults runs it"),
    pytest.mark.timeout(3600),
]
WIDTH = 200

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="needs signals"), pytest.mark.timeout(1800)]


class Run:
    """A run of `toy.killed` in a session of its own, which has been started and waits to begin."""

    def __init__(self, folder, jobs):
        self.folder = folder
        places = [HERE / "without_torch", HERE.parent, HERE.parents[1]]
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, places)),
            "PATH": "",  # no git, which every start would ask for the commit
            "JOBLIB_TEMP_FOLDER": str(folder.parent),  # what a killed run leaves in there goes with the test
            "TOY_LOG": str(folder.parent / "log"),
        }
        asked = ["run", KILLED.name, "--scale", "live", "--jobs", str(jobs), "--quiet", "--results", str(folder)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, str(HERE / "kill_worker.py"), *asked]
        self.process = subprocess.Popen(command, env=variables, start_new_session=True, text=True, **pipes)

    def begin(self):
        said, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert said and self.process.stdout.readline() == "ready\n", self.process.stderr.read()
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()

    def signal(self, number):
        """Send a signal to all processes of the run; return the exit status and what was said."""
        os.killpg(self.process.pid, number)
        said = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, said

    def is_left(self):
        """Whether a process of the run is still there; wait a little for those that are about to end."""
        end = time.monotonic() + PATIENCE / 4
        while time.monotonic() < end:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return False
            time.sleep(0.01)
        return True

    def close(self):
        """End whatever there is left of it, also the semaphores, whose owner can no more."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)
        for left in Path("/dev/shm").glob(f"sem.loky-{self.process.pid}-*"):
            left.unlink(missing_ok=True)


@pytest.fixture
def start(tmp_path):
    (tmp_path / "log").touch()
    runs = []

    def start(folder, jobs):
        runs.append(Run(folder, jobs))
        return runs[-1]

    yield start
    for one in runs:
        one.close()


def lines(folder):
    """The whole lines that are there, whatever state the file is in."""
    path = ResultsFile(folder, KILLED.name, "live").path
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def lost(folder, seeds):
    """How many of the `seeds` are not stored exactly once, as they should be."""
    right = {seed: [(seed + 1) / (k + 3) for k in range(WIDTH)] for seed in seeds}
    counts = Counter()
    for record in ResultsFile(folder, KILLED.name, "live").read():
        assert record["values"]["row"] == right[record["seed"]]
        counts[record["seed"]] += 1
    return sum(counts[seed] != 1 for seed in seeds)


def disturb(tmp_path, start, jobs, times, number, moments):
    """Send the signal that often to runs that go on with one another's work; return what was lost and said."""
    round, gone, said, statuses, left = 0, 0, "", Counter(), 0
    log, done = tmp_path / "log", 0
    waiting = start(tmp_path / "0", jobs)
    while done < times:
        folder, child = waiting.folder, waiting
        before = lines(folder)
        log.write_text("")
        child.begin()
        full = len(before) > SEEDS - 60
        round += full
        waiting = start(tmp_path / str(round), jobs)  # starts up while this one runs
        if full:
            assert child.process.wait(PATIENCE) == 0
            gone += lost(folder, range(SEEDS))
            continue
        begun, end = moments.randrange(6), time.monotonic() + PATIENCE
        while len(log.read_bytes().splitlines()) < begun:
            assert child.process.poll() is None and time.monotonic() < end, child.process.communicate()
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.01))
        status, word = child.signal(number)
        statuses[status] += 1
        said = word if status == 130 else said
        left += child.is_left()
        done += 1
        gone += sum(a != b for a, b in zip(before, lines(folder), strict=False)) + (len(lines(folder)) < len(before))
        stored = {json.loads(line)["seed"] for line in before}
        gone += len(stored & set(map(int, log.read_text().split())))  # run again, though stored
        child.close()
    waiting.begin()
    assert waiting.process.wait(PATIENCE) == 0
    gone += lost(waiting.folder, range(SEEDS))
    return gone, said, statuses, left


def test_three_processes_write_one_file(tmp_path, start, row):
    runs = [start(tmp_path / "0", 1) for _ in range(3)]
    for one in runs:
        one.begin()
    assert [one.process.wait(PATIENCE) for one in runs] == [0, 0, 0]
    gone = lost(tmp_path / "0", range(SEEDS))
    row("results file", "three processes write one file", 1, "every trial is stored once", "", gone, counted=True)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=LONG)])
def test_a_run_that_is_killed_again_and_again(tmp_path, start, jobs, kills, row):
    gone, _, statuses, left = disturb(tmp_path, start, jobs, kills, signal.SIGKILL, random.Random(jobs))
    assert statuses == {-signal.SIGKILL: kills} and left == gone == 0
    if kills == 100:
        kind = f"killed (SIGKILL) at random moments, {jobs} job{'s' * (jobs > 1)}"
        outcome = "goes on by the same command; every trial is stored once, none that was stored is run again"
        row("results file", kind, kills, outcome, "", gone, counted=True)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("times", [3, pytest.param(25, marks=LONG)])
def test_a_run_that_is_interrupted_again_and_again(tmp_path, start, jobs, times, row):
    gone, said, statuses, left = disturb(tmp_path, start, jobs, times, signal.SIGINT, random.Random(jobs))
    assert left == gone == 0
    # One that comes before the command has begun, or after its end, is Python's own affair.
    assert statuses[130] + statuses[-signal.SIGINT] == times and statuses[130] > 0.6 * times, (statuses, said)
    # Perhaps not the last line: joblib's own processes may complain while they end.
    assert "advnb: interrupted: what has finished is stored; the same command goes on" in said.splitlines()
    if times == 25:
        kind = f"Ctrl-C (SIGINT) at random moments, {jobs} job{'s' * (jobs > 1)}"
        outcome = "exit code 130; no process is left; goes on by the same command"
        row("results file", kind, times, outcome, said.splitlines()[-1], gone, counted=True)
