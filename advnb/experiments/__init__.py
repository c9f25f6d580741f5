"""Experiments: declared once, run in stretches, stored trial by trial, read as tables, verified by running again.

``declare`` says what an experiment is, ``runs`` runs it (``engines``: who does the work), ``store`` is its file and
what a file can hold, ``read`` gives the tables, ``verification`` computes a sample again, ``provenance`` says where
a number comes from. Nothing here knows a paper, an attack or a model.
"""

from advnb.experiments.declare import SCALES, Experiment, Tolerance, Trial, find
from advnb.experiments.read import label, load, stored_scales, unroll
from advnb.experiments.runs import Outcome, live, run
from advnb.experiments.store import NotStored, ResultsError
from advnb.experiments.stretches import TimeIsUp, UnderWay, kept_folder, under_way
from advnb.experiments.verification import VerificationError, verify

__all__ = [
    "SCALES", "Experiment", "NotStored", "Outcome", "ResultsError", "TimeIsUp", "Tolerance", "Trial", "UnderWay",
    "VerificationError", "find", "kept_folder", "label", "live", "load", "run", "stored_scales", "under_way", "unroll",
    "verify",
]  # fmt: skip
