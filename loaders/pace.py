"""How far to fetch ahead of the memory that is free: as far as the store's latency asks for it.

What comes at some rate has to be asked for a latency before: rate times latency must be under
way. More would only lie in memory until the processor's cache has lost it.
"""

import asyncio
from collections import deque

_LATELY = 32
"""Answers that rate and latency are taken from."""


class Pace:
    """Rate and latency of late, and what is fetched ahead of its place. Of one event loop."""

    def __init__(self) -> None:
        self._waits: deque[float] = deque(maxlen=_LATELY)
        self._came: deque[tuple[float, int]] = deque(maxlen=_LATELY)
        self._ahead: dict[asyncio.Event, int] = {}
        self._news = asyncio.Event()

    def answered(self, nbytes: int, *, at: float, took: float) -> None:
        """Count an answer: its bytes, when it came, and the seconds since it was asked for."""
        self._came.append((at, nbytes))
        self._waits.append(took)
        self._news.set()

    @property
    def asked_for(self) -> float:
        """Rate times latency, B; the fastest answer is the one that waited for nothing else."""
        if len(self._came) < 2:  # noqa: PLR2004  # a rate is between two
            return 0.0
        elapsed = self._came[-1][0] - self._came[0][0]
        came = sum(nbytes for _, nbytes in self._came) - self._came[0][1]
        return min(self._waits) * came / max(elapsed, 1e-3)

    async def keep(self, nbytes: int, ready: asyncio.Event) -> None:
        """Wait until so much more may be fetched for a place, or the place is ready."""
        while not ready.is_set() and self._held() + nbytes > self.asked_for:
            self._news.clear()
            await self._news.wait()
        self._ahead[ready] = self._ahead.get(ready, 0) + nbytes

    def tell(self, ready: asyncio.Event) -> None:
        """Say that a place is ready."""
        ready.set()
        self._news.set()

    def leave(self, ready: asyncio.Event) -> None:
        """Forget a place."""
        self._ahead.pop(ready, None)
        self._news.set()

    def _held(self) -> int:
        return sum(n for ready, n in self._ahead.items() if not ready.is_set())
