"""Many slow calls at once, in bounded memory, that stop when their caller does."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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


class Budget:
    """An amount of memory that several threads share: who would go beyond it waits.

    Parameters
    ----------
    limit : int
        Bytes. A single loan may be larger; then it is the only one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lent = 0
        self._changed = threading.Condition()

    def take(self, count: int) -> None:
        """Borrow bytes, as soon as there are as many."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lent or self._lent + count <= self._limit)
            self._lent += count

    def give(self, count: int) -> None:
        """Return bytes."""
        with self._changed:
            self._lent -= count
            self._changed.notify_all()

    @contextmanager
    def loan(self, count: int) -> Iterator[None]:
        """Hold bytes for the time of a ``with``."""
        self.take(count)
        try:
            yield
        finally:
            self.give(count)


class Debt:
    """What one task owes a `Budget`: returned at its end, even for calls that never began."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._owed = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Borrow bytes, as soon as there are as many."""
        self._budget.take(count)
        with self._lock:
            self._owed += count

    def give(self, count: int) -> None:
        """Return bytes."""
        with self._lock:
            self._owed -= count
        self._budget.give(count)

    def settle(self) -> None:
        """Return the rest."""
        self.give(self._owed)
