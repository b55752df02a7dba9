"""Many computations on several cores or machines, by Dask; results come in order."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from scidata.about import __version__
from scidata.errors import InvalidError, NotFoundError

A = TypeVar("A")
B = TypeVar("B")

_WORKERS: ContextVar[int] = ContextVar("workers", default=0)
"""Of the scheduler in whose ``with`` the caller is; 0 without one."""
_AHEAD = 4
"""Items a worker, computed in one go: results wait in memory until they are taken."""
_WAIT_S = 10


@contextmanager
def scheduled(scheduler: str | None) -> Iterator[None]:
    """Let `spread` use a scheduler of Dask inside the ``with``.

    Parameters
    ----------
    scheduler : str or None
        ``threads`` or ``processes`` of this machine, as many as it has cores; the address of
        a running scheduler, such as ``tcp://host:8786``; or None, and nothing is spread.

    Raises
    ------
    InvalidError
        If there is no such scheduler, Dask is not installed, or a worker has another scidata.
    NotFoundError
        If nobody answers at the address.
    """
    if scheduler is None:
        yield
    elif "://" in scheduler:
        yield from _distant(scheduler)
    else:
        yield from _near(scheduler)


def spread(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield ``function(item)`` of every item, in order, computed wherever `scheduled` says.

    Function, items and results travel by pickle if workers are other processes.
    """
    workers = _WORKERS.get()
    if not workers:
        yield from map(function, items)
        return
    import dask

    ahead = iter(items)
    task = dask.delayed(function, pure=False)  # type: ignore[attr-defined]  # lazily exported
    while batch := list(islice(ahead, _AHEAD * workers)):
        results = dask.compute(*map(task, batch))  # type: ignore[attr-defined,no-untyped-call]  # as above
        yield from results


def _near(scheduler: str) -> Iterator[None]:
    _require("dask")
    from dask import config

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = cores or 1
    pool: Executor
    if scheduler == "threads":
        pool = ThreadPoolExecutor(workers)
    elif scheduler == "processes":
        # Spawned: a fork of a process with threads can hang.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    else:
        raise InvalidError(
            f"no scheduler {scheduler!r}",
            where="--scheduler",
            fix="give threads, processes or the address of one, such as tcp://localhost:8786",
        )
    with pool, config.set(scheduler=scheduler, pool=pool), _of(workers):
        yield


def _distant(address: str) -> Iterator[None]:
    _require("distributed")
    from distributed import Client

    try:
        client: Any = Client(address, timeout=_WAIT_S)  # type: ignore[no-untyped-call]  # Dask's
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"no Dask scheduler answers at {address}: {error}",
            where="--scheduler",
            fix="start one with: dask scheduler",
        ) from error
    with client:
        releases = set(client.run(_release).values())
        if releases != {__version__}:
            held = ", ".join(sorted(releases)) or "no worker"
            raise InvalidError(
                f"the workers at {address} have scidata {held}, here it is {__version__}",
                where="--scheduler",
                fix="install the same release there, and start workers with: dask worker",
            )
        threads = client.nthreads()
        with _of(sum(threads.values())):
            yield


@contextmanager
def _of(workers: int) -> Iterator[None]:
    token = _WORKERS.set(workers)
    try:
        yield
    finally:
        _WORKERS.reset(token)


def _release() -> str:
    return __version__


def _require(module: str) -> None:
    if find_spec(module) is None:
        raise InvalidError(
            f"--scheduler works with {module}, which is not installed",
            where="--scheduler",
            fix='pip install "fair-scidata[dask]"',
        )
