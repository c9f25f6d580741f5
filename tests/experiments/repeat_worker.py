"""Compute the trials of `test_repeats.py` in a process of its own: its arguments are the threads, then the names."""

from __future__ import annotations

import json
import sys

import torch
from test_repeats import computed, disturb

if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    disturb(4)
    print(json.dumps({name: computed(name) for name in sys.argv[2:]}))
