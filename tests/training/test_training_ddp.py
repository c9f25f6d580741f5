"""Two processes under torchrun train the same network as one, up to rounding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from advnb.training.processes import Ranks

WORKER = Path(__file__).with_name("ddp_worker.py")
PATIENCE = 150  # seconds for two processes to train, on a machine that is busy with other things


@pytest.mark.parametrize(("n", "size"), [(8, 2), (9, 2), (5, 4), (3, 4), (1, 2)])
def test_processes_share_every_row_once(n, size):
    rows, weights = torch.arange(n), []
    counted = torch.zeros(n)
    for rank in range(size):
        mine, weight = Ranks(rank, size).share(n)
        assert len(rows[mine]) >= 1
        counted[mine] += weight
        weights.append(weight * len(rows[mine]))
    assert (counted == 1).all()
    assert max(weights) - min(weights) <= 1


def test_one_process_is_left_alone():
    alone = Ranks()
    cpu = torch.device("cpu")
    assert alone.rank == 0 and alone.total([1.0, 2.0], cpu) == [1.0, 2.0]
    model = torch.nn.Linear(2, 2)
    assert alone.wrap(model, cpu) is model


def run(command, env):
    """Run a launcher to its end, or end it with all that it has started; return its exit status and what it said."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=env, **options) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except BaseException:  # the processes of a launcher that is killed would wait for each other
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
            raise
        return process.returncode, said


@pytest.mark.slow
@pytest.mark.timeout(3 * PATIENCE)
def test_two_processes_match_one(tmp_path):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", []), ("two", torchrun)):
        (tmp_path / name).mkdir()
        command = [sys.executable, *launcher, str(WORKER), str(tmp_path / name)]
        status, said = run(command, env)
        assert status == 0, said[-3000:]
    one = torch.load(tmp_path / "one" / "rank0.pt")
    for rank in (0, 1):
        two = torch.load(tmp_path / "two" / f"rank{rank}.pt")
        torch.testing.assert_close(two["weights"], one["weights"], rtol=1e-4, atol=1e-5)
        for name, column in one["history"].items():
            # A row that both processes were given, for want of others, is counted twice where attacks are counted.
            tolerance = 0.03 if name in ("steps", "gradients") else 1e-4
            assert two["history"][name] == pytest.approx(column, rel=tolerance, abs=1e-5), name
