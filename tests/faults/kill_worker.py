"""`python -m advnb` on the toy experiments in an interpreter of its own, which waits for a line before it begins."""

import signal
import sys

from advnb.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
sys.stdout.write("ready\n")
sys.stdout.flush()
if sys.stdin.readline():
    sys.exit(main(sys.argv[1:], "toy.sums"))
