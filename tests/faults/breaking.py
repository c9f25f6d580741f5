"""Ways to break what a program stands on."""

import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path


def failing(number):
    """A function that fails as a call to the system does."""

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@contextmanager
def room(size):
    """No file can grow beyond `size` bytes: the kernel refuses the rest of a write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def unprivileged(folder):
    """Be a user whom permissions bind, with `folder` made reachable; root is bound by none."""
    if os.geteuid():
        yield
        return
    for place in (folder, *folder.parents):
        if place == Path(tempfile.gettempdir()):
            break
        place.chmod(place.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
