"""Run `toy.logged` in an interpreter of its own, which shares no lock with any other; for the tests that kill it.

Usage: python run_worker.py FOLDER SEEDS [BYTES]

Says "ready" when all is imported and begins when a line comes in. With BYTES it kills itself while it stores a
trial after the third, once that many bytes of the line are written (-1: all but the newline).
"""

from __future__ import annotations

import os
import signal
import sys

from toy.sums import LOGGED

from advnb.experiments import run
from advnb.experiments.store import Writer


def die_in_a_write(size: int) -> None:
    """Let the process kill itself in the middle of a line."""
    whole = Writer._write

    def dying(writer, handle, line):
        if len(writer.stored) >= 3:
            handle.write(line[:size])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(writer, handle, line)

    Writer._write = dying


def main(folder: str, seeds: str, size: str | None = None) -> None:
    if size is not None:
        die_in_a_write(int(size))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():  # the test has ended
        return
    run(LOGGED, "live", seeds=int(seeds), results=folder, progress=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
