"""The same experiment on a real dask cluster: a scheduler and two worker processes, started here."""

import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from toy.sums import PICKY, WALK

from advnb.experiments import read as results
from advnb.experiments import run

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # where the workers find toy
        patch.setenv("OMP_NUM_THREADS", "1")
        with distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            yield cluster


@pytest.mark.slow
def test_two_workers_give_the_results_of_one_process(cluster, tmp_path):
    options = {"backend": "dask", "address": cluster.scheduler_address, "progress": False}
    outcome = run(WALK, "laptop", results=tmp_path / "dask", **options)
    assert (outcome.stored, outcome.failed, outcome.left) == (20, 0, 0)
    run(WALK, "laptop", results=tmp_path / "here", progress=False)
    there, here = (results.load("toy.walk", results=tmp_path / name) for name in ("dask", "here"))
    fields = [name for name in here if not name.startswith("run_")]
    pd.testing.assert_frame_equal(there[fields], here[fields], check_exact=True)
    assert run(WALK, "laptop", results=tmp_path / "dask", **options).before == 20


@pytest.mark.slow
def test_both_workers_work_and_errors_come_back(cluster, tmp_path):
    options = {"backend": "dask", "address": cluster.scheduler_address, "progress": False}
    outcome = run(PICKY, "live", seeds=10, results=tmp_path, **options)
    assert (outcome.stored, outcome.failed) == (20, 20) and "is odd" in outcome.errors[0]
    with distributed.Client(cluster.scheduler_address) as client:
        workers = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(workers) == 2 and min(workers.values()) > 0


@pytest.mark.slow
def test_a_time_limit_is_kept_if_the_clocks_agree(cluster, tmp_path, monkeypatch):
    options = {"backend": "dask", "address": cluster.scheduler_address, "progress": False, "time_limit": 5}
    assert run(WALK, "live", results=tmp_path, **options).stored == 4
    late = SimpleNamespace(time=lambda: time.time() - 60, sleep=time.sleep)
    monkeypatch.setattr("advnb.experiments.engines.time", late)
    with pytest.raises(ConnectionError, match=r"needs clocks that agree; that of a worker is \+60 s off"):
        run(WALK, "live", results=tmp_path, **options)


def test_no_scheduler_at_the_address(tmp_path, monkeypatch):
    monkeypatch.setattr("advnb.experiments.engines.CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match=r"no dask cluster answers at 'tcp://127.0.0.1:9'"):
        run(WALK, "live", backend="dask", address="tcp://127.0.0.1:9", results=tmp_path, progress=False)
