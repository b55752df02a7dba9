"""What samples there are, and how they are cut into tiles that fit into memory.

Pure: numbers in, numbers out. A sample stands at one place along each of some axes: an entry,
or the first step of a window. The places of a split are cut along every axis into groups of
neighbours that are stored together; a tile is one group of each axis. What of an array a tile
needs, its `runs` tell: whole chunks along entries, so that what the split leaves out is not
read, and one stretch of steps along windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np

from scidata.loaders.order import IntArray, Order, places

Run: TypeAlias = tuple[int, int]
"""First index and one past the last."""


@dataclass(frozen=True)
class Axis:
    """Where samples stand along one dimension."""

    dimension: str
    length: int
    """Of the dimension in the asset."""
    starts: IntArray
    """(n,) int64, ascending: entries, or first steps of windows. Of random windows: empty."""
    size: int = 1
    """Steps in a window; 1 for entries."""
    random: bool = False
    """Windows stand anywhere, elsewhere in every epoch."""

    @property
    def places(self) -> int:
        """How many places samples stand at; a random window counts once."""
        return 1 if self.random else len(self.starts)

    @property
    def last(self) -> IntArray:
        """(n,) int64: last steps of the windows."""
        return self.starts + (self.size - 1)


@dataclass(frozen=True)
class Group:
    """Neighbouring places along one axis, and what of the dimension they need."""

    start: int
    stop: int
    """Positions in the axis's list of places."""
    runs: tuple[Run, ...]
    """Parts of the dimension, ascending."""

    @property
    def extent(self) -> int:
        """Length of all runs together."""
        return sum(stop - start for start, stop in self.runs)

    def local(self, indices: IntArray) -> IntArray:
        """Tell where indices of the dimension lie when the runs are put one after another."""
        begins = np.array([start for start, _ in self.runs], np.int64)
        lengths = np.array([stop - start for start, stop in self.runs], np.int64)
        before = np.cumsum(lengths) - lengths
        run = np.searchsorted(begins, indices, side="right") - 1
        return indices - begins[run] + before[run]


@dataclass(frozen=True)
class Points:
    """Places of some samples: first indices along every axis, (axes, n) int64."""

    starts: IntArray
    numbers: IntArray
    """(n,) int64: number of each sample in its split part, whatever the tiles."""


@dataclass(frozen=True)
class Located:
    """Samples of several tiles: where they stand in the asset, and in what tiles hold of it."""

    tiles: IntArray
    """(t,) int64: which tiles, each once."""
    which: IntArray
    """(n,) int64: of each sample the place of its tile in `tiles`."""
    starts: IntArray
    """(axes, n) int64: first indices in the asset."""
    local: IntArray
    """(axes, n) int64: first indices in the tile."""

    def __len__(self) -> int:
        return len(self.which)

    def cut(self, start: int, stop: int) -> "Located":
        """Return samples `start` to `stop`."""
        here = slice(start, stop)
        return Located(self.tiles, self.which[here], self.starts[:, here], self.local[:, here])


@dataclass(frozen=True)
class Tiling:
    """The tiles of a split part, numbered; the last axis moves first."""

    axes: tuple[Axis, ...]
    groups: tuple[tuple[Group, ...], ...]
    """Of every axis."""
    crops: int = 1
    """Samples at each place, if windows stand at random."""

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Groups along every axis."""
        return tuple(map(len, self.groups))

    @property
    def counts(self) -> IntArray:
        """(tiles,) int64: samples of each tile."""
        total = np.array([self.crops], np.int64)
        for groups in self.groups:
            sizes = np.array([g.stop - g.start for g in groups], np.int64)
            total = (total[:, None] * sizes).reshape(-1)
        return total

    @property
    def samples(self) -> int:
        """Samples of the split part."""
        return self.crops * prod(axis.places for axis in self.axes)

    def tile(self, number: int) -> tuple[Group, ...]:
        """Return the groups of a tile, one an axis."""
        found = np.unravel_index(number, self.shape)
        return tuple(groups[i] for groups, i in zip(self.groups, found, strict=True))

    def points(self, tile: int, numbers: IntArray, order: Order) -> Points:
        """Say where samples of a tile stand.

        Parameters
        ----------
        tile : int
        numbers : (n,) int64
            In the tile.
        order : Order
            Seed and epoch draw the places of random windows.
        """
        groups = self.tile(tile)
        sizes = [g.stop - g.start for g in groups]
        found = np.unravel_index(numbers, (*sizes, self.crops))
        positions = [g.start + i for g, i in zip(groups, found[:-1], strict=True)]
        full = (*(axis.places for axis in self.axes), self.crops)
        unique = np.ravel_multi_index((*positions, found[-1]), full).astype(np.int64)
        starts = [
            _drawn(axis, n, unique, order) if axis.random else axis.starts[at]
            for n, (axis, at) in enumerate(zip(self.axes, positions, strict=True))
        ]
        return Points(np.array(starts, np.int64).reshape(len(self.axes), -1), unique)

    def locate(self, tiles: IntArray, numbers: IntArray, order: Order) -> Located:
        """Say where samples stand; arguments as for `points`, a tile for each sample."""
        unique, which = np.unique(tiles, return_inverse=True)
        starts = np.empty((len(self.axes), len(tiles)), np.int64)
        local = np.empty_like(starts)
        for place, tile in enumerate(unique.tolist()):
            chosen = np.flatnonzero(which == place)
            points = self.points(tile, numbers[chosen], order)
            starts[:, chosen] = points.starts
            for n, group in enumerate(self.tile(tile)):
                local[n, chosen] = group.local(points.starts[n])
        return Located(unique, which.astype(np.int64), starts, local)


def _drawn(axis: Axis, n: int, numbers: IntArray, order: Order) -> IntArray:
    free = np.uint64(axis.length - axis.size + 1)
    return (places(numbers, n, order) % free).astype(np.int64)


def whole(axes: Sequence[Axis], crops: int = 1) -> Tiling:
    """Take all samples as one tile."""
    groups = tuple((Group(0, axis.places, ((0, axis.length),)),) for axis in axes)
    return Tiling(tuple(axes), groups, crops)


def cut(
    axes: Sequence[Axis],
    units: Sequence[int],
    weigh: Callable[[Sequence[int]], int],
    *,
    crops: int = 1,
    target: int,
) -> Tiling:
    """Cut the samples into tiles of about `target` bytes.

    Parameters
    ----------
    axes : sequence of Axis
    units : sequence of int
        Steps along each axis that are stored in one chunk.
    weigh : callable
        Bytes of a tile with these lengths along the axes.
    crops : int
        Samples at each place.
    target : int, B
        Tiles are larger only where one chunk, or a random window's axis, is.
    """
    lengths = _lengths(axes, units, weigh, target)
    groups = [
        _windows(axis, length) if axis.size > 1 or axis.random else _entries(axis, unit, length)
        for axis, unit, length in zip(axes, units, lengths, strict=True)
    ]
    return Tiling(tuple(axes), tuple(groups), crops)


def _lengths(
    axes: Sequence[Axis],
    units: Sequence[int],
    weigh: Callable[[Sequence[int]], int],
    target: int,
) -> list[int]:
    lengths = [axis.length for axis in axes]
    # Entries first: cutting along windows reads what two tiles share twice.
    for n in sorted(range(len(axes)), key=lambda n: axes[n].size > 1):
        if axes[n].random:
            continue
        fits = weigh([*lengths[:n], 1, *lengths[n + 1 :]])
        most = max(target // max(fits, 1), 1)
        least = units[n] if axes[n].size == 1 else max(units[n], 4 * axes[n].size)
        lengths[n] = min(max(most // units[n] * units[n], least), lengths[n])
    return lengths


def _entries(axis: Axis, unit: int, length: int) -> tuple[Group, ...]:
    """Group entries by the chunks that hold one, as many as fill `length`."""
    chunk_of = axis.starts // unit
    chunks, firsts = np.unique(chunk_of, return_index=True)
    per_group = max(length // unit, 1)
    found = []
    for low in range(0, len(chunks), per_group):
        held = chunks[low : low + per_group]
        stop = firsts[low + per_group] if low + per_group < len(chunks) else len(axis.starts)
        found.append(Group(int(firsts[low]), int(stop), _runs(held, unit, axis.length)))
    return tuple(found)


def _runs(chunks: IntArray, unit: int, length: int) -> tuple[Run, ...]:
    breaks = np.flatnonzero(np.diff(chunks) > 1) + 1
    return tuple(
        (int(part[0]) * unit, min((int(part[-1]) + 1) * unit, length))
        for part in np.split(chunks, breaks)
    )


def _windows(axis: Axis, length: int) -> tuple[Group, ...]:
    if axis.random:
        return (Group(0, 1, ((0, axis.length),)),)
    if not len(axis.starts):
        return ()
    owner = axis.starts // length
    firsts = np.flatnonzero(np.diff(owner, prepend=-1))
    stops = [*firsts[1:].tolist(), len(axis.starts)]
    return tuple(
        Group(low, high, ((int(axis.starts[low]), int(axis.starts[high - 1]) + axis.size),))
        for low, high in zip(firsts.tolist(), stops, strict=True)
    )
