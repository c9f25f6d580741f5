"""advnb: attacks, convergence criteria and defences behind the book on the first-order adversary."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    __version__ = version("advnb")
except PackageNotFoundError:  # a checkout that nobody has installed
    _PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
    __version__ = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
