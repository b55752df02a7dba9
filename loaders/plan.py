"""Which samples come in which order, decided before a byte is read.

Pure: numbers in, numbers out. The windows of a split are cut into tiles (some series, some
times) that fit into memory; an epoch is a sequence of blocks of tiles, each shuffled inside;
every rank gets one contiguous share of that sequence. So a batch is known from its number
alone, which makes resuming exact, and no count of workers can change the order.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError

IntArray: TypeAlias = npt.NDArray[np.int64]
LastBatch: TypeAlias = Literal["keep", "drop"]

# Per window: the row of its last step, its series and its time, 8 bytes each.
WINDOW_BYTES = 24


@dataclass(frozen=True)
class Tile:
    """Windows of some neighbouring series that end at some neighbouring times.

    The four numbers are positions in the split's list of series and in its list of ends.
    """

    series_start: int
    series_stop: int
    ends_start: int
    ends_stop: int
    bytes: int
    """What it takes in memory."""

    @property
    def windows(self) -> int:
        """How many samples it holds: series times ends."""
        return (self.series_stop - self.series_start) * (self.ends_stop - self.ends_start)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What fixes the order of an epoch, and this process's share of it."""

    batch_size: int
    shuffle: bool = False
    seed: int = 0
    epoch: int = 0
    rank: int = 0
    world_size: int = 1
    last: LastBatch = "keep"
    """`keep`: every sample once; shares differ by one sample at most. `drop`: every rank gets
    the same number of full batches, as synchronous training needs; the rest is left out."""

    def __post_init__(self) -> None:
        faults = {
            f"batch_size {self.batch_size} is not positive": self.batch_size < 1,
            f"world_size {self.world_size} is not positive": self.world_size < 1,
            f"rank {self.rank} is not in 0…{self.world_size - 1}": not (
                0 <= self.rank < max(self.world_size, 1)
            ),
            f"seed {self.seed} is not in 0…2**63-1": not 0 <= self.seed < 2**63,
            f"epoch {self.epoch} is negative": self.epoch < 0,
            f"last {self.last!r} is neither 'keep' nor 'drop'": self.last
            not in {"keep", "drop"},
        }
        if wrong := [message for message, broken in faults.items() if broken]:
            raise InvalidError(
                "; ".join(wrong), where="stream", fix="see help(scidata.dataset.Dataset.stream)"
            )


@dataclass(frozen=True)
class Piece:
    """Part of a batch: positions `start` to `stop` in the order of one block."""

    block: int
    start: int
    stop: int


def tiles(
    series: IntArray, ends: IntArray, *, chunk: int, window: int, cell_bytes: int, budget: int
) -> tuple[Tile, ...]:
    """Cut the windows of a split into tiles.

    Parameters
    ----------
    series, ends : (S,), (E,) int64, ascending
        Which series, and at which times their windows end (indices into the asset).
    chunk : int
        Series in a chunk of the published array: no tile crosses one, so none is read twice.
    window : int
        Steps in a window.
    cell_bytes : int
        Bytes in memory of one step of one series, all variables.
    budget : int
        Bytes that a tile may take; a chunk that is larger is cut along time.

    Returns
    -------
    tuple of Tile
        Together they hold each pair of series and end exactly once.
    """
    borders = np.flatnonzero(np.diff(series // chunk)) + 1
    starts = [0, *borders.tolist(), len(series)]
    found: list[Tile] = []
    for start, stop in pairwise(starts):
        if start < stop and len(ends):
            found += _cut((start, stop), ends, window, cell_bytes, budget)
    return tuple(found)


def _cut(
    series: tuple[int, int], ends: IntArray, window: int, cell_bytes: int, budget: int
) -> list[Tile]:
    start, stop = series

    def size(low: int, high: int) -> int:
        steps = int(ends[high - 1] - ends[low]) + window
        return (stop - start) * (steps * cell_bytes + (high - low) * WINDOW_BYTES)

    pieces = min(len(ends), -(-size(0, len(ends)) // max(budget, 1)))
    cuts = [round(i * len(ends) / pieces) for i in range(pieces + 1)]
    return [Tile(start, stop, low, high, size(low, high)) for low, high in pairwise(cuts)]


def blocks(found: Sequence[Tile], order: Order, *, budget: int) -> tuple[tuple[Tile, ...], ...]:
    """Group tiles into blocks, each in memory at once; other groups in every shuffled epoch."""
    if order.shuffle:
        found = [found[i] for i in permutation(len(found), order.seed, order.epoch, 0)]
    groups: list[list[Tile]] = []
    free = 0
    for tile in found:
        if not groups or tile.bytes > free:
            groups.append([])
            free = budget
        groups[-1].append(tile)
        free -= tile.bytes
    return tuple(map(tuple, groups))


def share(total: int, order: Order) -> tuple[int, int]:
    """Return the positions `start`, `stop` of the epoch that belong to this rank.

    With `keep` the shares of all ranks are disjoint and complete for any number of ranks.
    """
    if order.last == "keep":
        return (
            order.rank * total // order.world_size,
            (order.rank + 1) * total // order.world_size,
        )
    each = total // order.world_size // order.batch_size * order.batch_size
    return order.rank * each, (order.rank + 1) * each


def batch_count(total: int, order: Order) -> int:
    """How many batches this rank gets in an epoch of `total` samples."""
    start, stop = share(total, order)
    return -(-(stop - start) // order.batch_size)


def pieces(offsets: Sequence[int], order: Order, batch: int) -> Iterator[Piece]:
    """Yield where the samples of a batch lie.

    Parameters
    ----------
    offsets : sequence of int
        Running sum of the number of samples in each block, from 0: one more than blocks.
    order : Order
    batch : int
        Number of the batch in this rank's share.
    """
    start, stop = share(offsets[-1], order)
    low = start + batch * order.batch_size
    high = min(low + order.batch_size, stop)
    block = bisect_right(offsets, low) - 1
    while low < high:
        last = min(high, offsets[block + 1])
        if low < last:
            yield Piece(block, low - offsets[block], last - offsets[block])
        low, block = last, block + 1


def permutation(count: int, seed: int, epoch: int, block: int) -> IntArray:
    """Return 0…count-1 in an order that the four numbers fix for good.

    Returns
    -------
    (count,) int64
    """
    # A hash, not numpy.random: a resumed job must see the same order after an upgrade.
    salt = np.uint64(0)
    for number in (seed, epoch, block):
        salt = _mix(np.array([salt ^ np.uint64(number)], np.uint64))[0]
    keys = _mix(np.arange(count, dtype=np.uint64) ^ salt)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble each value, one to one.

    SplitMix64: Steele et al., doi:10.1145/2660193.2660195.
    """
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
