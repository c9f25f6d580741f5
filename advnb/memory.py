"""Memory that the process keeps: on a CPU a network's activations are asked for and given back thousands of times.

The C library of most Linux systems (glibc) returns large blocks to the system as soon as they are free, and the system
clears every page again before it hands it out: up to half of the time of an attack goes there.
"""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["VARIABLES", "keep_freed"]

VARIABLES = {"MALLOC_MMAP_THRESHOLD_": 32 << 20, "MALLOC_TRIM_THRESHOLD_": 1 << 30}
"""What to set in the environment for the same from a process's start, in bytes; ``make`` does.

Blocks of up to 32 MiB, the most that glibc takes, come from memory that stays; 1 GiB of it may be free.
"""

PARAMETERS = {"MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_TRIM_THRESHOLD_": -1}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD


def keep_freed() -> bool:
    """Let this process keep up to 1 GiB of memory that it has freed; return whether its C library does so.

    For scripts and notebooks that were started without :data:`VARIABLES`; a variable that is set is left as it is. No
    number changes, and more memory is held than needed for the moment. Does nothing where the library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    taken = [library.mallopt(PARAMETERS[name], VARIABLES[name]) for name in VARIABLES if name not in os.environ]
    return all(taken)
