"""Many slow calls at once, in bounded memory, that stop when their caller does."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
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
    # A queue, not wait(): that looks at every call in flight for each one that is done.
    done: SimpleQueue[Future[B]] = SimpleQueue()
    with ThreadPoolExecutor(threads, thread_name_prefix="each") as pool:

        def submit(count: int) -> int:
            begun = 0
            for item in islice(ahead, count):
                pool.submit(function, item).add_done_callback(done.put)
                begun += 1
            return begun

        try:
            waiting = submit(2 * threads)
            while waiting:
                result = done.get().result()
                waiting += submit(1) - 1
                yield result
        finally:
            if stop is not None:
                stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
