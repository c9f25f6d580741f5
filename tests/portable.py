"""Test everything as on other processors and with other numbers of threads: what holds here should hold there.

Usage: python tests/portable.py [SETTING ...] [--steps STEP ...]

A setting makes torch and the libraries under it compute as a lesser processor would; `a+b` sets both. Each step runs
in processes of its own, and what it says goes to `_build/portable/SETTING.STEP.log`. The exit status is 1 if a step
of any setting failed. A `native` failure has nothing to do with the processor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "_build" / "portable"
SETTINGS = {
    "native": {},
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "onednn-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "onednn-sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "mkl-avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "threads-1": {"OMP_NUM_THREADS": "1"},
    "threads-2": {"OMP_NUM_THREADS": "2"},
    "threads-4": {"OMP_NUM_THREADS": "4"},
}
VARIABLES = {name for variables in SETTINGS.values() for name in variables}
STEPS = {
    # without the benchmarks: how fast another processor is cannot be emulated
    "tests": ["-m", "pytest", "-q", "-m", "not browser and not slow", "--ignore=tests/benchmarks"],
    "notebooks": ["-m", "pytest", "-q", "book"],
    "ledger": ["-m", "advnb", "claims"],
    "verify": [str(Path(__file__).resolve()), "--steps", "verify-here"],
}
SEES = "import torch; print(torch.backends.cpu.get_cpu_capability(), 'x', torch.get_num_threads())"
CHEAP = 2.0
"""Seconds that half the stored trials of an experiment took at most, if it is verified here."""


def environment(setting: str) -> dict[str, str]:
    """This process's environment with the variables of a setting, and no others of theirs."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    for part in setting.split("+"):
        if part not in SETTINGS:
            raise ValueError(f"no setting is named {part!r}; there are: {', '.join(SETTINGS)}")
        kept |= SETTINGS[part]
    return kept


def python(arguments: list[str], setting: str, log: Path) -> bool:
    """Run Python as a setting has it, with what it says in a log; return whether it succeeded."""
    with log.open("w") as said:
        options = {"cwd": ROOT, "env": environment(setting), "stdout": said, "stderr": subprocess.STDOUT}
        return subprocess.run([sys.executable, *arguments], **options).returncode == 0


def row(setting: str, steps: list[str]) -> list[str]:
    """What became of each step under a setting, after what torch sees there."""
    sees = LOGS / f"{setting}.torch.log"
    python(["-c", SEES], setting, sees)
    cells = [setting, sees.read_text().strip()]
    for step in steps:
        start = time.monotonic()
        held = python(STEPS[step], setting, LOGS / f"{setting}.{step}.log")
        cells.append(f"{'ok' if held else 'FAILED'} {time.monotonic() - start:.0f} s")
    return cells


def verify_here() -> int:
    """Compute two stored trials of every cheap experiment again; the exit status is 1 if any differs."""
    from advnb.data import present
    from advnb.experiments import find, verify
    from advnb.experiments.read import load, stored_scales
    from advnb.experiments.verification import VerificationError

    here = {one.name for one in present() if not one.missing}
    differ = False
    for name, experiment in find("advnb.papers").items():
        stored = load(name) if stored_scales(name) else None
        if stored is None or stored["run_seconds"].median() > CHEAP:
            continue
        if absent := set(stored.get("data", ())) - here:
            said = f"skipped without {' and '.join(sorted(absent))} in ADVNB_DATA"
        else:
            try:
                report = verify(experiment, sample=2)
                said = f"{report['used'][report['promised']].max():.3g} of the tolerance is used"
                if not report["promised"].all():
                    said += f" (up to {report['used'].max():.3g} by what a like processor alone repeats)"
            except VerificationError as error:
                differ, said = True, f"DIFFERS: {error}"
        print(f"{name}: {said}", flush=True)
    return int(differ)


def main(argv: list[str] | None = None) -> int:
    """Run the steps under the settings and print the table of both."""
    parser = argparse.ArgumentParser(description="Test everything as on other processors.")
    parser.add_argument("settings", nargs="*", default=list(SETTINGS), metavar="SETTING", help=", ".join(SETTINGS))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=[*STEPS, "verify-here"])
    arguments = parser.parse_args(argv)
    if arguments.steps == ["verify-here"]:
        return verify_here()
    try:
        for setting in arguments.settings:
            environment(setting)
    except ValueError as error:
        parser.error(str(error))
    LOGS.mkdir(parents=True, exist_ok=True)
    width = max(map(len, arguments.settings))
    show(["setting", "torch sees", *arguments.steps], width)
    failed = False
    for setting in arguments.settings:
        cells = row(setting, arguments.steps)
        show(cells, width)
        failed |= any(cell.startswith("FAILED") for cell in cells)
    print(f"What each step said is in {LOGS}/SETTING.STEP.log")
    return int(failed)


def show(cells: list[str], width: int) -> None:
    """Print one row of the table."""
    print("".join(cell.ljust(width + 2 if k == 0 else 16) for k, cell in enumerate(cells)).rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
