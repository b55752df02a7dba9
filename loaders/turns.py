"""Who fetches when: bytes that may be under way, and turns at them. All of one event loop."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Bytes, or requests, that may be under way; whoever asks first gets them first."""

    def __init__(self, limit: int) -> None:
        self._free = self._limit = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> int:
        """Wait until `size` are free, or all are, and return what was taken."""
        size = min(size, self._limit)
        if self._waiting or self._free < size:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it had its turn a moment ago
                    self.give(size)
                raise
        else:
            self._free -= size
        return size

    def give(self, size: int) -> None:
        """Return what was taken."""
        self._free += size
        while self._waiting and (
            self._waiting[0][1].done() or self._waiting[0][0] <= self._free
        ):
            asked, turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited has gone
                self._free -= asked
                turn.set_result(None)


class Turns:
    """A queue: who came first has the turn until it leaves, whatever it waits for meanwhile."""

    def __init__(self) -> None:
        self._queue: deque[asyncio.Event] = deque()

    @contextmanager
    def drawn(self) -> Iterator[asyncio.Event]:
        """Stand in the queue; the event is set when it is this one's turn."""
        turn = asyncio.Event()
        self._queue.append(turn)
        self._call()
        try:
            yield turn
        finally:
            self._queue.remove(turn)
            self._call()

    def _call(self) -> None:
        if self._queue:
            self._queue[0].set()
