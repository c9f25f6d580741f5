"""Who does the work: joblib's backends, on this machine or on a dask or ray cluster that is already running."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

from advnb import checks

__all__ = ["BACKENDS", "CLUSTERS", "Execute", "engine"]

BACKENDS = ("loky", "threading", "dask", "ray")
CLUSTERS = {"dask": ("distributed", "dask scheduler"), "ray": ("ray", "ray start --head")}
"""The backends that need a cluster, the package that each needs and what starts one."""

Execute = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
"""Calls a function with each tuple of arguments, taken as they are needed, and yields the results in any order."""

CONNECT_SECONDS = 15
"""How long to wait for a dask scheduler to answer."""

CLOCKS_APART = 1.0
"""By how many seconds the clock of a worker may differ from the one here, where a time limit is to be kept."""


@contextmanager
def engine(
    jobs: int | None, backend: str | None = None, address: str | None = None, timed: bool = False
) -> Iterator[Execute]:
    """Give what executes calls and yields each result as it comes (from ray, each round of results).

    ``jobs`` is how many trials run at once, -1 for one a core; None means 1 on this machine and all workers of a
    cluster. Local worker processes share the cores out among themselves (joblib sets their number of threads).
    ``address`` is that of a dask scheduler (``tcp://host:8786``) or of a ray cluster (``auto`` finds a local one).

    Raises ``ValueError`` for a wrong argument, ``ModuleNotFoundError`` if the backend is not installed, and
    ``ConnectionError`` if no cluster answers at the address or, where work is ``timed``, has clocks of its own, and
    where a worker dies (of a cluster: several, one after the other, over the same work).
    """
    import joblib  # slow to import, and only runs need it

    name = checks.choice("backend", backend or "loky", BACKENDS)
    if jobs is not None and jobs != -1:
        checks.count("jobs", jobs)
    if name not in CLUSTERS and address:
        raise ValueError(f"address is for the backends dask and ray; got {address!r} with {name!r}")
    options: dict[str, Any] = {"n_jobs": jobs or (-1 if name in CLUSTERS else 1)}
    with ExitStack() as stack:
        if name in CLUSTERS:
            options |= _connect(name, address, stack)
        stack.enter_context(joblib.parallel_config(name, **options))
        parallel = stack.enter_context(joblib.Parallel()) if name == "ray" else None

        def execute(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
            calls = (joblib.delayed(function)(*one) for one in arguments)
            with _deaths_told():
                if parallel is None:
                    yield from joblib.Parallel(return_as="generator_unordered")(calls)
                else:  # ray gives all results of a call at once: one trial a worker and call, so each is stored soon
                    while batch := list(islice(calls, joblib.effective_n_jobs())):
                        yield from parallel(batch)

        if timed and name in CLUSTERS:
            _check_clocks(execute, joblib.effective_n_jobs())
        yield execute


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Say of workers that have died, or could not be started, what is safe and what to do."""
    safe = "What has finished is stored, and the same command goes on; if memory ran out, with fewer jobs"
    try:
        yield
    except BrokenExecutor as error:
        what = str(error).partition("\n")[0]
        raise ConnectionError(f"a worker process has died: {what} {safe}") from error
    except OSError as error:
        room = "If /dev/shm is full, make room there or take one job"
        raise ConnectionError(f"workers cannot be started or reached: {error}. {room}. {safe}") from error
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # distributed's, which need not be installed
            raise ConnectionError(f"workers have died over a trial: {error} {safe}") from error
        raise


def _connect(name: str, address: str | None, stack: ExitStack) -> dict[str, Any]:
    """Connect to a cluster until the ``stack`` closes; return what joblib must know of it."""
    package, start = CLUSTERS[name]
    if not address:
        raise ValueError(f"backend {name!r} needs the address of a running cluster (started by `{start}`)")
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"backend {name!r} needs the package {package}: pip install {package}")
    library = importlib.import_module(package)
    try:
        if name == "dask":
            client = library.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
            return {"client": stack.enter_context(client)}
        importlib.import_module("ray.util.joblib").register_ray()
        library.init(address=address, ignore_reinit_error=True)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no {name} cluster answers at {address!r}: {error}") from error
    return {}


def _check_clocks(execute: Execute, workers: int) -> None:
    """Raised if the clock of a worker, by which its trials may begin, is not the one here."""
    start = time.time()
    for there in execute(_clock, [()] * workers):
        if not start - CLOCKS_APART < there < time.time() + CLOCKS_APART:
            off = f"that of a worker is {there - time.time():+.0f} s off: set it, or run without the limit"
            raise ConnectionError(f"a time limit needs clocks that agree; {off}")


def _clock() -> float:
    time.sleep(0.1)  # so that each worker is asked, and none twice
    return time.time()
