"""Whole objects, compared with the manifest before a byte of them is decoded.

Each is fetched whole, once however many of its chunks are asked for at a time, and kept: in the
cache on disk if there is one, else in memory while it is likely to be asked for again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scidata.digest import Digest
from scidata.errors import Damage
from scidata.loaders.cache import Cache
from scidata.loaders.fetch import Buffer, Objects, Range
from scidata.loaders.places import damaged
from scidata.manifest import Manifest

AT_ONCE = 3
"""Objects that are fetched side by side."""
OPEN_FILES = 128
"""Files of the cache that stay open."""
TRIES = 2
"""A byte that was flipped on its way comes right the second time."""


class Held(Protocol):
    """An object that is here, whole."""

    def read(self, start: int, stop: int) -> Buffer:
        """Return bytes `start` to `stop`, or as many as there are."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class InMemory:
    """An object in memory."""

    data: memoryview

    def read(self, start: int, stop: int) -> Buffer:
        """Return bytes `start` to `stop`, or as many as there are, without a copy."""
        return self.data[start:stop]

    def __len__(self) -> int:
        return len(self.data)


@dataclass
class CheckedObjects:
    """Objects that were compared with their digests.

    Parameters
    ----------
    objects : Objects
        Where they come from.
    manifest : Manifest
        Of the asset.
    where : str
        For messages.
    cache : Cache, optional
        Where they stay.
    in_memory : int, B
        Objects that are kept in memory, where there is no cache.
    limit : int, B
        A larger object is refused, since it would be in memory as a whole.
    """

    objects: Objects
    manifest: Manifest
    where: str
    cache: Cache | None
    in_memory: int
    limit: int
    _kept: OrderedDict[str, Held] = field(default_factory=OrderedDict)
    _coming: "dict[str, asyncio.Task[Held]]" = field(default_factory=dict)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return ranges of an object that was compared."""
        held = await self._held(path)
        if (last := max(stop for _, stop in ranges)) > len(held):
            found = f"{len(held)} bytes, of which those up to {last} were asked for"
            raise damaged(path, self.where, _bad(path, "what its index says", found))
        return [held.read(start, stop) for start, stop in ranges]

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Return the last or the first bytes of an object that was compared."""
        held = await self._held(path)
        start = max(len(held) - length, 0) if at_end else 0
        return held.read(start, start + length)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Return an object that was compared."""
        held = await self._held(path)
        return held.read(0, len(held))

    async def _held(self, path: str) -> Held:
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        task = self._coming.get(path)
        if task is None:
            task = asyncio.create_task(self._fetch(path))
            self._coming[path] = task
            task.add_done_callback(lambda _: self._coming.pop(path, None))
        # Shielded: others may wait for the same object.
        return await asyncio.shield(task)

    async def _fetch(self, path: str) -> Held:
        digest = self.manifest[path]
        async with self._turns:
            held = await asyncio.to_thread(self.cache.get, digest) if self.cache else None
            return self._keep(path, held or await self._compared(path, digest))

    async def _compared(self, path: str, digest: Digest) -> Held:
        found = digest
        for _ in range(TRIES):
            data = memoryview(await self.objects.whole(path, limit=self.limit))
            found = await asyncio.to_thread(Digest.of, data)
            if found == digest:
                cache = self.cache
                cached = await asyncio.to_thread(cache.put, digest, data) if cache else None
                return cached or InMemory(data)
        raise damaged(path, self.where, _bad(path, str(digest), str(found)))

    def _keep(self, path: str, held: Held) -> Held:
        """Keep what is in memory up to the limit, and as many files open."""
        self._kept[path] = held
        while len(self._kept) > 1 and (
            len(self._kept) > OPEN_FILES or self._bytes_in_memory() > self.in_memory
        ):
            self._kept.popitem(last=False)
        return held

    def _bytes_in_memory(self) -> int:
        return sum(len(held) for held in self._kept.values() if isinstance(held, InMemory))


def _bad(path: str, expected: str, found: str) -> Damage:
    return Damage(path=path, state="bad", expected=expected, found=found)
