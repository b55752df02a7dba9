"""Decoded chunks that stay in memory until a later batch needs them, for the shuffle ``exact``.

The order of an epoch is known, so it is known as well when each chunk is needed next: of those
that fit, the ones that are needed soonest stay. That keeps several times as much as is asked
for again as the chunks used last would.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import prod
from typing import TypeAlias

import numpy as np

from scidata.loaders.layout import Coordinates, Layout
from scidata.loaders.requests import Numbers, Parts, Read, Wanted, wanted

_Named: TypeAlias = tuple[int, Coordinates]


@dataclass(eq=False)
class Plan:
    """What some batches need."""

    number: int
    wanted: list[Wanted]
    held: list[tuple[_Named, Wanted | None]] = field(default_factory=list)
    """Chunks that come with this plan and stay, and those that are copied once it has come."""


@dataclass(eq=False)
class _Kept:
    numbers: Numbers
    come: int
    """Plan that has to be done before it can be read, or go."""
    next: int | None
    """Plan that needs it next, of those that are known."""


class Retained:
    """Chunks in memory. Plans are made, begun and done, each in one order, by one thread.

    Parameters
    ----------
    limit : int, B
        Of all chunks together.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._kept: dict[_Named, _Kept] = {}
        self._needed: dict[_Named, deque[int]] = {}
        # By the layout, whose chunks are of one size.
        self._free: defaultdict[int, list[Numbers]] = defaultdict(list)
        self._furthest: defaultdict[int, list[tuple[int, _Named]]] = defaultdict(list)
        self._planned, self._done = 0, -1

    def plan(self, reads: Sequence[Read]) -> Plan:
        """Find the chunks that boxes touch, and note when each is needed."""
        found = Plan(self._planned, wanted(reads))
        self._planned += 1
        for chunk in found.wanted:
            self._needed.setdefault(_named(chunk), deque()).append(found.number)
        return found

    def begin(self, plan: Plan) -> list[Wanted]:
        """Copy what is in memory to where it goes; return what has to be fetched."""
        missing = []
        for chunk in plan.wanted:
            named = _named(chunk)
            needed, kept = self._next(named), self._kept.get(named)
            if kept is None:
                missing.append(chunk)
                if needed is not None and chunk.path is not None:
                    self._keep(chunk, needed, plan)
                continue
            kept.next = needed
            if kept.come > self._done:
                kept.come = plan.number
                plan.held.append((named, chunk))
            else:
                _copy(kept.numbers, chunk)
                self._settle(named, kept)
        return missing

    def done(self, plan: Plan) -> None:
        """Say that what a plan had to fetch, and all before it, has come."""
        self._done = plan.number
        for named, chunk in plan.held:
            kept = self._kept[named]
            if chunk is not None:
                _copy(kept.numbers, chunk)
            if kept.come == plan.number:  # else a later one waits for it
                self._settle(named, kept)

    def _next(self, named: _Named) -> int | None:
        needed = self._needed[named]
        needed.popleft()
        if needed:
            return needed[0]
        del self._needed[named]
        return None

    def _settle(self, named: _Named, kept: _Kept) -> None:
        if kept.next is None:
            self._drop(named)
        else:
            heappush(self._furthest[named[0]], (-kept.next, named))

    def _keep(self, chunk: Wanted, needed: int, plan: Plan) -> None:
        named = _named(chunk)
        if (numbers := self._room(chunk.layout, needed)) is not None:
            chunk.parts.append((_all_of(chunk, numbers), 0))
            self._kept[named] = _Kept(numbers, plan.number, needed)
            plan.held.append((named, None))

    def _room(self, layout: Layout, needed: int) -> Numbers | None:
        """Return memory for a chunk, if need be of one that is needed later than it."""
        free, furthest = self._free[id(layout)], self._furthest[id(layout)]
        nbytes = prod(layout.chunks) * layout.dtype.itemsize
        if not free and nbytes <= self._left:
            self._left -= nbytes
            return np.empty(layout.chunks, layout.dtype)
        while not free and furthest and -furthest[0][0] > needed:
            later, named = heappop(furthest)
            kept = self._kept.get(named)
            # Else it was needed meanwhile, and stands here once more or is gone.
            if kept is not None and kept.come <= self._done and kept.next == -later:
                self._drop(named)
        return free.pop() if free else None

    def _drop(self, named: _Named) -> None:
        self._free[named[0]].append(self._kept.pop(named).numbers)


def _named(chunk: Wanted) -> _Named:
    return id(chunk.layout), chunk.place


def _copy(numbers: Numbers, chunk: Wanted) -> None:
    for held, row in chunk.parts:
        out, source = held[row]
        np.copyto(out, numbers[source])


def _all_of(chunk: Wanted, numbers: Numbers) -> Parts:
    """Say that all of a chunk goes to some memory, as far as the array reaches."""
    layout = chunk.layout
    sizes = tuple(
        min(size, length - at * size)
        for at, size, length in zip(chunk.place, layout.chunks, layout.shape, strict=True)
    )
    read = Read(layout, np.zeros((1, len(sizes)), np.int64), sizes, numbers[None])
    ends = np.array([(0,) * len(sizes), sizes], np.int64)
    return Parts(read, np.zeros(1, np.int64), np.concatenate([ends, ends])[None])
