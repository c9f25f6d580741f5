"""Who does the work: joblib's backends, on this machine or on a dask or ray cluster that is already running."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from advnb import checks

BACKENDS = ("loky", "threading", "dask", "ray")
CLUSTERS = ("dask", "ray")

CONNECT_SECONDS = 15
"""How long to wait for a dask scheduler to answer."""


@contextmanager
def engine(jobs: int | None, backend: str | None, address: str | None) -> Iterator[joblib.Parallel]:
    """Give a ``joblib.Parallel`` that yields results as they come, in any order.

    ``jobs`` is how many trials run at once, -1 for one a core; None means 1 on this machine and all workers of a
    cluster. Local worker processes share the cores out among themselves (joblib sets their number of threads).
    ``address`` is that of a dask scheduler (``tcp://host:8786``) or of a ray cluster (``auto`` finds a local one).

    Raises ``ValueError`` for a wrong argument, ``ModuleNotFoundError`` if the backend is not installed, and
    ``ConnectionError`` if no cluster answers at the address.
    """
    name = checks.choice("backend", backend or "loky", BACKENDS)
    if jobs is not None and jobs != -1:
        checks.count("jobs", jobs)
    if name in CLUSTERS and not address:
        start = "dask scheduler" if name == "dask" else "ray start --head"
        raise ValueError(f"backend {name!r} needs the address of a running cluster (started by `{start}`)")
    if name not in CLUSTERS and address:
        raise ValueError(
            f"address is for the backends {' and '.join(CLUSTERS)}; got {address!r} with {name!r}"
        )
    n_jobs = jobs or (-1 if name in CLUSTERS else 1)
    if name == "dask":
        with _dask(str(address), n_jobs) as parallel:
            yield parallel
    elif name == "ray":
        with _ray(str(address), n_jobs) as parallel:
            yield parallel
    else:
        with joblib.parallel_config(name, n_jobs=n_jobs):
            yield _parallel()


@contextmanager
def _dask(address: str, n_jobs: int) -> Iterator[joblib.Parallel]:
    _installed("dask", "distributed")
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no dask scheduler answers at {address!r}: {error}") from error
    with client, joblib.parallel_config("dask", n_jobs=n_jobs, client=client):
        yield _parallel()


@contextmanager
def _ray(address: str, n_jobs: int) -> Iterator[joblib.Parallel]:
    _installed("ray", "ray")
    ray = importlib.import_module("ray")
    importlib.import_module("ray.util.joblib").register_ray()
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except ConnectionError as error:
        raise ConnectionError(f"no ray cluster answers at {address!r}: {error}") from error
    with joblib.parallel_config("ray", n_jobs=n_jobs):
        yield _parallel()


def _parallel() -> joblib.Parallel:
    return joblib.Parallel(return_as="generator_unordered")


def _installed(backend: str, package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"backend {backend!r} needs the package {package}: pip install {package}")
