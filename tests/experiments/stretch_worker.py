"""Run an experiment of ``long_trials`` in a process of its own, which a test kills: NAME FOLDER [MINUTES] [JOBS]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import long_trials

from advnb.experiments import run

name, folder, *more = sys.argv[1:]
minutes, jobs = (float(more[0]) if more else None), (int(more[1]) if more[1:] else 1)
outcome = run(getattr(long_trials, name), "live", results=folder, time_limit=minutes, jobs=jobs, progress=False)
print(outcome.stored, outcome.left)
