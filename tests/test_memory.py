"""Freed memory stays with the process: pages are not asked of the system again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from advnb import memory

ROOT = Path(__file__).resolve().parents[1]
GLIBC = platform.libc_ver()[0] == "glibc"

FAULTS = """
import ctypes
import resource
import sys
from advnb import memory
if "call" in sys.argv and not memory.keep_freed():
    raise SystemExit("refused")
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def layers():
    blocks = [c.malloc(20_000_000) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, 20_000_000)
    for block in blocks:
        c.free(block)
layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments: str, **variables: str) -> int:
    """How often a fresh process is given a page by the system when it asks five times for 80 MB and frees them."""
    env = {name: value for name, value in os.environ.items() if name not in memory.VARIABLES} | variables
    command = [sys.executable, "-c", FAULTS, *arguments]
    return int(subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_memory_is_kept_by_the_call_and_by_the_variables_and_not_otherwise():
    once = 80_000_000 // os.sysconf("SC_PAGESIZE")
    told = page_faults(**{name: str(value) for name, value in memory.VARIABLES.items()})
    assert max(page_faults("call"), told) < once / 20
    assert page_faults() > 4 * once


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("it was called"))
    assert memory.keep_freed() is False


def test_what_the_reader_has_set_stays(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            asked.append((parameter, value))
            return 1

    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("ctypes.CDLL", lambda name: Library)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    assert memory.keep_freed() is True
    assert asked == [(-3, memory.VARIABLES["MALLOC_MMAP_THRESHOLD_"])]


def test_make_sets_the_same():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, value in memory.VARIABLES.items():
        assert f"export {name} ?= {value}\n" in makefile
