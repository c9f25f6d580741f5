"""What is heavy is imported where it is used: a fresh interpreter counts the modules that a room brings with it.

Modules are counted and not seconds, which another machine or a busy one would change. Beyond torch the three take
0.02, 0.04 and 0.03 s on the machine of the page on speed (`make bench` measures them).
"""

import subprocess
import sys

import pytest

HEAVY = {
    "IPython", "PIL", "art", "dask", "foolbox", "ipywidgets", "joblib", "matplotlib", "pandas", "pooch", "scipy",
    "sklearn", "torch.distributed.fsdp", "torch.fx.experimental.optimization", "torchvision",
}  # fmt: skip
MOST = 100  # of light ones; pandas alone brings four times as many
BROUGHT = """
import sys
import torch
before = set(sys.modules)
import {module}
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("module", ["advnb.attacks", "advnb.training", "advnb.evaluation", "advnb.book.explore"])
def test_nothing_heavy_is_imported_before_it_is_used(module):
    command = [sys.executable, "-c", BROUGHT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    brought = set(done.stdout.split())
    assert module in brought
    assert {name for name in brought if name in HEAVY or name.split(".")[0] in HEAVY} == set()
    assert len(brought) < MOST, sorted(brought)
