"""advnb: attacks, convergence criteria and defences behind the book on the first-order adversary."""

import time
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

BEGAN = time.time()
"""When this process took the package up: from then the time limit of a command counts, before torch, which is slow."""

try:
    __version__ = version("advnb")
except PackageNotFoundError:  # a checkout that nobody has installed
    _PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
    __version__ = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
