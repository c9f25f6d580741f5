"""The same experiment on ray, where it is installed; the book does not need it."""

from pathlib import Path

import pandas as pd
import pytest
from toy.sums import WALK

from advnb.experiments import read as results
from advnb.experiments import run

ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_two_ray_workers_give_the_results_of_one_process(tmp_path):
    environment = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=environment)
    try:
        outcome = run(WALK, "laptop", backend="ray", address="auto", results=tmp_path / "ray", progress=False)
    finally:
        ray.shutdown()
    assert (outcome.stored, outcome.failed, outcome.left) == (20, 0, 0)
    run(WALK, "laptop", results=tmp_path / "here", progress=False)
    there, here = (results.load("toy.walk", results=tmp_path / name) for name in ("ray", "here"))
    fields = [name for name in here if not name.startswith("run_")]
    pd.testing.assert_frame_equal(there[fields], here[fields], check_exact=True)
