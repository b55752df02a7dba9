"""Reading ranges of objects before their reader asks for them, in bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


class Ahead:
    """What all streams of a store share: threads, and how many ranges may wait in memory.

    Parameters
    ----------
    most : int
        Ranges in flight, and ranges in memory ahead of the readers. Besides these each stream
        may have one, so that none ever waits for another's reader.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.Semaphore(most)
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="ranges")

    def read(
        self, get: Callable[[int, int], bytes], starts: range, size: int
    ) -> Iterator[bytes]:
        """Yield ``get(start, end)`` of each range in order; the last one ends at `size`."""
        waiting: deque[tuple[Future[bytes], bool]] = deque()
        left = deque(starts)
        try:
            while left or waiting:
                while left and (not waiting or self._free.acquire(blocking=False)):
                    lent = bool(waiting)
                    start = left.popleft()
                    end = min(start + starts.step, size)
                    waiting.append((self._pool.submit(get, start, end), lent))
                yield self._next(waiting)
        finally:
            for future, lent in waiting:
                future.cancel()
                if lent:
                    self._free.release()

    def _next(self, waiting: deque[tuple[Future[bytes], bool]]) -> bytes:
        future, lent = waiting.popleft()
        try:
            return future.result()
        finally:
            if lent:
                self._free.release()
