"""Many slow calls at once, in bounded memory, that stop when their caller does."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

REQUESTS = 16
"""Requests in flight: enough to hide 20 ms of network behind small objects."""

ONE_REQUEST = 8 * 2**20
"""Objects up to this size, in bytes, are read by one request, larger ones in blocks."""

A = TypeVar("A")
B = TypeVar("B")


def each(
    function: Callable[[A], B],
    items: Iterable[A],
    *,
    threads: int = REQUESTS,
    stop: threading.Event | None = None,
) -> Iterator[B]:
    """Yield ``function(item)`` of every item as each is done, in no order.

    Items are taken as threads become free, twice as many as there are threads at most. The
    first exception is raised here; calls that have not begun by then never do, and `stop` is
    set for those that have.
    """
    ahead = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="each") as pool:
        try:
            waiting: set[Future[B]] = {
                pool.submit(function, item) for item in islice(ahead, 2 * threads)
            }
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                waiting |= {pool.submit(function, item) for item in islice(ahead, len(done))}
        finally:
            if stop is not None:
                stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
