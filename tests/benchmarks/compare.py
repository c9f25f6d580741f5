"""Measure what attacks, training and the rest take, beside the plain limits and the libraries people use.

Usage: python tests/benchmarks/compare.py [--few] [--trial] [--only CASE ...] [PATH]

Everything that is compared is timed in turns within one run, on one thread. What was measured goes to PATH, by default
book/results/measured/speed.json, from which the page on speed takes its numbers: run it on a quiet machine and a clean
checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import cases
import libraries
import torch

from advnb import __version__
from advnb.experiments.provenance import checkout, device_name

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "book" / "results" / "measured" / "speed.json"


def about(trial: bool) -> dict[str, Any]:
    """What was measured, on what, when."""
    return {
        "version": __version__,
        "commit": checkout()[0],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device_name": device_name("cpu"),
        "cores": torch.multiprocessing.cpu_count(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": cases.native_bfloat16(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "libraries": libraries.versions(),
        "trial": trial,
    }


def say(rows: list[dict[str, Any]]) -> None:
    """Print a line a variant: its time, and what that is of the baseline's."""
    for row in rows:
        if "seconds" in row:
            base = next(r for r in rows if r["variant"] == row["baseline"])
            ratio = median(a / b for a, b in zip(row["seconds"], base["seconds"], strict=True))
            print(f"  {row['variant']:40} {median(row['seconds']):9.4f} s {ratio:8.3f}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measure every case and write all of them down."""
    parser = argparse.ArgumentParser(description="Measure what attacks and training take.")
    parser.add_argument("path", nargs="?", type=Path, default=STORED, metavar="PATH")
    parser.add_argument("--few", action="store_true", help="a little of each, to see that all of it runs")
    parser.add_argument("--trial", action="store_true", help="mark what is written as measured on a busy machine")
    parser.add_argument("--only", nargs="+", default=[], metavar="CASE", help="some cases, and nothing written down")
    arguments = parser.parse_args(argv)
    every = cases.all_cases(arguments.few)
    if unknown := set(arguments.only) - set(every):
        parser.error(f"no case is named {', '.join(sorted(unknown))}; there are: {', '.join(every)}")
    torch.set_num_threads(1)
    head = json.dumps(about(arguments.trial or arguments.few))  # now: the checkout may change while this runs
    start, rows = time.perf_counter(), []
    for name in arguments.only or every:
        found = every[name]()
        print(f"{found[0]['title']} ({time.perf_counter() - start:.0f} s)", flush=True)
        say(found)
        rows += found
    if arguments.only:
        print("nothing is written down: that would mix several runs")
        return 0
    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    arguments.path.write_text(f'{{"about": {head},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"written to {arguments.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
