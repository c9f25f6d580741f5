"""Workers that run out of memory, die, or cannot be started."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from joblib.externals.loky import get_reusable_executor
from test_kills import HERE, PATIENCE
from toy.sums import FATAL, WALK

from advnb.__main__ import main
from advnb.experiments.store import ResultsFile, key

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="needs signals and limits"), pytest.mark.timeout(600)]


@pytest.fixture
def fatal(tmp_path, monkeypatch, capfd):
    """Run the trials that die in one way; return the exit code and what was said."""
    cured = tmp_path / "cured"
    monkeypatch.setenv("TOY_CURED", str(cured))

    def fatal(how, *options):
        asked = ["run", FATAL.name, "--scale", "live", "--only", f"how={how}", "--quiet", "--results", str(tmp_path)]
        code = main([*asked, *options], "toy.sums")
        out, err = capfd.readouterr()
        return code, out + err

    fatal.cured = cured
    get_reusable_executor(reuse=False).shutdown(kill_workers=True)  # its workers know the variable of another test
    return fatal


def stored(folder):
    """The trials that have succeeded, each of which must be there once."""
    good = [record for record in ResultsFile(folder, FATAL.name, "live").read() if "values" in record]
    assert len({key(record) for record in good}) == len(good)
    assert all(record["values"]["half"] == record["params"]["n"] / 2 for record in good)
    return {record["params"]["n"] for record in good}


@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_runs_out_in_a_worker(fatal, tmp_path, jobs, row):
    code, said = fatal("memory", "--jobs", str(jobs))
    assert code == 1 and "MemoryError: Unable to allocate 128. GiB" in said and "--retry-errors tries" in said
    before = stored(tmp_path)
    fatal.cured.touch()
    assert fatal("memory", "--jobs", str(jobs), "--retry-errors")[0] == 0
    outcome = "the trial is stored as one that failed, all others as they are; --retry-errors runs it again"
    told = "n=1, how=memory, seed=0: MemoryError: Unable to allocate 128. GiB [...] --retry-errors tries them again"
    lost = len(set(range(6)) - stored(tmp_path)) + (before != {0, 2, 3, 4, 5})
    row("workers", f"memory runs out in a trial, {jobs} job{'s' * (jobs > 1)}", 1, outcome, told, lost)


def test_a_worker_is_killed(fatal, tmp_path, row):
    """As the system does where memory is short."""
    code, said = fatal("always", "--jobs", "2")
    said = said[said.index("advnb: a worker process has died") :]
    assert code == 2 and "Traceback" not in said
    assert "What has finished is stored, and the same command goes on; if memory ran out, with fewer jobs" in said
    before = stored(tmp_path) if ResultsFile(tmp_path, FATAL.name, "live").path.exists() else set()
    fatal.cured.touch()
    assert fatal("always", "--jobs", "2")[0] == 0
    lost = len(set(range(6)) - stored(tmp_path)) + (1 in before)
    row(
        "workers",
        "a worker process is killed (SIGKILL) in a trial",
        1,
        "exit code 2; the same command goes on",
        said,
        lost,
    )


@pytest.fixture(scope="module")
def address():
    distributed = pytest.importorskip("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [HERE / "without_torch", HERE.parent, HERE.parents[1]])))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TOY_CURED", "set by each test")
        with distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            yield cluster.scheduler_address


@pytest.mark.slow
def test_a_dask_worker_is_killed_in_mid_trial(fatal, address, tmp_path, row):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(address, timeout=PATIENCE, set_as_default=False) as client:
        client.run(os.environ.__setitem__, "TOY_CURED", str(fatal.cured))
        client.register_plugin(Environment(str(fatal.cured)))  # of workers that are started again, too
    assert fatal("once", "--backend", "dask", "--address", address)[0] == 0
    outcome = "the other worker runs the trial again; it is stored once"
    row("workers", "a dask worker is killed in mid-trial", 1, outcome, "", len(set(range(6)) - stored(tmp_path)))


try:
    from distributed import WorkerPlugin
except ImportError:
    WorkerPlugin = object


class Environment(WorkerPlugin):
    """Tells a worker where the cure would be."""

    name = "cure"

    def __init__(self, cured):
        self.cured = cured

    def setup(self, worker):
        os.environ["TOY_CURED"] = self.cured


def test_the_shared_memory_is_full(tmp_path, row):
    """A /dev/shm of the test's own, of one page that is taken."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("needs a mount namespace of its own")
    fill = "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full"
    asked = f"run {WALK.name} --scale live --quiet --results {tmp_path}"
    places = os.pathsep.join(map(str, [HERE / "without_torch", HERE.parent, HERE.parents[1]]))
    program = f"import sys; from advnb.__main__ import main; sys.exit(main(sys.argv[1:], {'toy.sums'!r}))"

    def call(jobs):
        script = f'{fill} && exec "{sys.executable}" -c "$0" {asked.replace("toy.walk", "toy.logged")} --jobs {jobs}'
        variables = {**os.environ, "PYTHONPATH": places, "TOY_LOG": str(tmp_path / "log")}
        command = [*alone, "sh", "-c", script, program]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE)

    done = call(2)
    assert "joblib backend 'loky' is not available on your system, falling back to threading" in done.stderr
    assert done.returncode == 0, done.stderr
    outcome = "joblib says so and takes threads for processes; all trials are stored"
    told = "joblib backend 'loky' is not available on your system, falling back to threading."
    lost = 50 - len(ResultsFile(tmp_path, "toy.logged", "live").read())
    row("workers", "/dev/shm is full", 1, outcome, told, lost)


class KilledWorker(Exception):
    """As dask raises where several workers have died over one task."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "workers cannot be started or reached: [Errno 28] No space"),
        (KilledWorker("Attempted to run task on 4 workers."), "workers have died over a trial: Attempted to run task"),
    ],
)
def test_workers_that_cannot_be_started_or_die_one_after_the_other(fatal, monkeypatch, error, told):
    def parallel(**_):
        raise error

    monkeypatch.setattr("joblib.Parallel", parallel)
    code, said = fatal("always", "--jobs", "2")
    assert code == 2 and told in said and "What has finished is stored, and the same command goes on" in said
    assert "make room there or take one job" in said or "if memory ran out, with fewer jobs" in said
