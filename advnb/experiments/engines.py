"""Who does the work: joblib's backends, on this machine or on a dask or ray cluster that is already running."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import joblib

from advnb import checks

BACKENDS = ("loky", "threading", "dask", "ray")
CLUSTERS = ("dask", "ray")

Execute = Callable[[Iterable[Any]], Iterator[Any]]
"""Takes ``joblib.delayed`` calls, as they are needed, and yields their results in any order."""

CONNECT_SECONDS = 15
"""How long to wait for a dask scheduler to answer."""


@contextmanager
def engine(jobs: int | None, backend: str | None, address: str | None) -> Iterator[Execute]:
    """Give what executes calls and yields each result as it comes (from ray, each round of results).

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
        with _dask(str(address), n_jobs) as execute:
            yield execute
    elif name == "ray":
        with _ray(str(address), n_jobs) as execute:
            yield execute
    else:
        with joblib.parallel_config(name, n_jobs=n_jobs):
            yield joblib.Parallel(return_as="generator_unordered")


@contextmanager
def _dask(address: str, n_jobs: int) -> Iterator[Execute]:
    _installed("dask", "distributed")
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no dask scheduler answers at {address!r}: {error}") from error
    with client, joblib.parallel_config("dask", n_jobs=n_jobs, client=client):
        yield joblib.Parallel(return_as="generator_unordered")


@contextmanager
def _ray(address: str, n_jobs: int) -> Iterator[Execute]:
    _installed("ray", "ray")
    ray = importlib.import_module("ray")
    importlib.import_module("ray.util.joblib").register_ray()
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except ConnectionError as error:
        raise ConnectionError(f"no ray cluster answers at {address!r}: {error}") from error
    # Ray's backend gives all results of a call at once: one trial a worker and call, so that each is stored soon.
    with joblib.parallel_config("ray", n_jobs=n_jobs), joblib.Parallel() as parallel:

        def in_rounds(tasks: Iterable[Any]) -> Iterator[Any]:
            waiting = iter(tasks)
            while batch := list(islice(waiting, joblib.effective_n_jobs())):
                yield from parallel(batch)

        yield in_rounds


def _installed(backend: str, package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"backend {backend!r} needs the package {package}: pip install {package}")
