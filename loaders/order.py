"""In which order the samples of an epoch come, decided before a byte is read.

Pure: numbers in, numbers out. An epoch is a list of `Piece`, each some samples of one tile
(what a tile is, `scidata.loaders.plan` says). A rank walks its share of the pieces in steps:
step s takes up piece s and gives samples of it and of the pieces before it, `reach` in all; so
at any time `reach` tiles are needed, every sample comes once, and where a batch begins is known
by arithmetic alone. That makes resuming exact, on another number of ranks, too.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError

IntArray: TypeAlias = npt.NDArray[np.int64]
LastBatch: TypeAlias = Literal["keep", "drop"]
Shuffle: TypeAlias = Literal["none", "window", "exact"]

SHUFFLES: tuple[Shuffle, ...] = ("none", "window", "exact")

_ROUNDS = 6
_GOLDEN = 0x9E3779B97F4A7C15
# What is put in order, so that no two orders of one epoch are alike.
_TILES, _SAMPLES, _STEPS, _PLACES = range(4)


def named(shuffle: bool | Shuffle) -> Shuffle:
    """Return the shuffle that a caller means: True is ``window``, False is ``none``."""
    if isinstance(shuffle, bool):
        return "window" if shuffle else "none"
    return shuffle


@dataclass(frozen=True)
class Progress:
    """How far an epoch came on some number of ranks: `batches` of each."""

    world_size: int
    batch_size: int
    last: LastBatch
    batches: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """What fixes the order of an epoch, and this process's share of it."""

    batch_size: int
    shuffle: Shuffle = "none"
    seed: int = 0
    epoch: int = 0
    rank: int = 0
    world_size: int = 1
    last: LastBatch = "keep"
    """`keep`: every sample once; shares differ by one sample at most. `drop`: every rank gets
    the same number of full batches, as synchronous training needs; the rest is left out."""
    history: tuple[Progress, ...] = ()
    """What of the epoch was seen on other numbers of ranks."""

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
            f"shuffle {self.shuffle!r} is none of {', '.join(SHUFFLES)}": self.shuffle
            not in SHUFFLES,
        }
        if wrong := [message for message, broken in faults.items() if broken]:
            raise InvalidError(
                "; ".join(wrong), where="stream", fix="see help(scidata.dataset.Dataset.stream)"
            )


@dataclass(frozen=True)
class Piece:
    """Some samples of one tile, by their places in the tile's own order."""

    tile: int
    places: range | IntArray

    def __len__(self) -> int:
        return len(self.places)

    def cut(self, start: int, stop: int | None = None) -> "Piece":
        """Return the samples at `start` to `stop` of this piece."""
        return Piece(self.tile, self.places[start:stop])


@dataclass(frozen=True)
class Stretch:
    """Samples in the order in which they come: tile and number in the tile, (n,) int64 each."""

    tiles: IntArray
    numbers: IntArray

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True)
class Walk:
    """One rank's way through an epoch."""

    pieces: tuple[Piece, ...]
    counts: tuple[int, ...]
    """Samples of every tile, to put each in order."""
    order: Order
    reach: int

    @cached_property
    def offsets(self) -> IntArray:
        """Samples before each step, and all of them at the end."""
        sizes = np.array([len(piece) for piece in self.pieces], np.int64)
        steps = np.zeros(len(sizes) + self.reach - 1 if len(sizes) else 0, np.int64)
        for age in range(self.reach):
            steps[age : age + len(sizes)] += _bound(sizes, age + 1, self.reach) - _bound(
                sizes, age, self.reach
            )
        return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)

    @property
    def samples(self) -> int:
        """Samples on this way."""
        return int(self.offsets[-1])

    def __len__(self) -> int:
        """Batches on this way."""
        return (self.samples + self.order.batch_size - 1) // self.order.batch_size

    def size(self, number: int) -> int:
        """Return how many samples a batch has."""
        return min(self.order.batch_size, self.samples - number * self.order.batch_size)

    def parts(self, number: int) -> Iterator[tuple[int, int, int]]:
        """Yield the steps that a batch goes through: step, first sample, one past the last."""
        low = number * self.order.batch_size
        high = low + self.size(number)
        step = bisect_right(self.offsets, low) - 1
        while low < high:
            last = min(high, int(self.offsets[step + 1]))
            if low < last:
                begin = int(self.offsets[step])
                yield step, low - begin, last - begin
            low, step = last, step + 1

    def batch(self, number: int) -> Iterator[tuple[int, Stretch]]:
        """Yield the steps that a batch goes through, and its samples in each."""
        for step, start, stop in self.parts(number):
            yield step, self.stretch(step, start, stop)

    def length(self, step: int) -> int:
        """Return how many samples a step has."""
        return int(self.offsets[step + 1] - self.offsets[step])

    def alive(self, step: int) -> range:
        """Return which pieces give samples in a step."""
        return range(max(step - self.reach + 1, 0), min(step + 1, len(self.pieces)))

    def stretch(self, step: int, start: int, stop: int) -> Stretch:
        """Return samples `start` to `stop` of a step."""
        pieces, places = self._places(step, start, stop)
        tiles, chosen = np.empty(len(pieces), np.int64), places
        for number in self.alive(step):
            here, piece = pieces == number, self.pieces[number]
            tiles[here] = piece.tile
            if not isinstance(piece.places, range) or piece.places.start:
                chosen[here] = _pick(piece.places, places[here])
        return Stretch(tiles, self._within(tiles, chosen))

    def rest(self, taken: int) -> Iterator[Piece]:
        """Yield what is left of this way when the first `taken` samples are gone."""
        if taken >= self.samples:
            return
        step = bisect_right(self.offsets, taken) - 1
        begin, end = int(self.offsets[step]), int(self.offsets[step + 1])
        left, places = self._places(step, taken - begin, end - begin)
        for number in self.alive(step):
            piece, age = self.pieces[number], step - number
            here = np.sort(places[left == number])
            later = int(_bound(np.int64(len(piece)), age + 1, self.reach))
            # One piece where they follow on each other, so that a range stays a range.
            if len(here) and here[-1] - here[0] + 1 == len(here) and here[-1] + 1 == later:
                yield piece.cut(int(here[0]))
                continue
            if len(here):
                yield Piece(piece.tile, _pick(piece.places, here))
            if later < len(piece):
                yield piece.cut(later)
        yield from self.pieces[step + 1 :]

    def _places(self, step: int, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return the piece of each sample and its place in that piece."""
        alive = self.alive(step)
        sizes = np.array([len(self.pieces[p]) for p in alive], np.int64)
        ages = step - np.arange(alive.start, alive.stop)
        firsts = _bound(sizes, ages, self.reach)
        given = _bound(sizes, ages + 1, self.reach) - firsts
        ends = np.cumsum(given)
        asked = np.arange(start, stop, dtype=np.int64)
        if self.order.shuffle == "window":
            asked = permuted(asked, int(ends[-1]), self._key(_STEPS, step))
        row = np.searchsorted(ends, asked, side="right")
        return alive.start + row, firsts[row] + asked - (ends - given)[row]

    def _within(self, tiles: IntArray, places: IntArray) -> IntArray:
        if self.order.shuffle == "none":
            return places
        drawn = mix(tiles.astype(np.uint64) ^ np.uint64(self._key(_SAMPLES, 0)))
        return permuted(places, self._lengths[tiles], drawn)

    @cached_property
    def _lengths(self) -> IntArray:
        return np.array(self.counts, np.int64)

    def _key(self, what: int, number: int) -> int:
        return key(self.order.seed, self.order.epoch, what, number)


def walk(counts: Sequence[int], order: Order, *, reach: int) -> Walk:
    """Return this rank's way through the epoch, or through what is left of it.

    Parameters
    ----------
    counts : sequence of int
        Samples of each tile; one tile only for the shuffle ``exact``.
    order : Order
    reach : int
        Tiles that samples are mixed from; 1 unless the shuffle is ``window``.
    """
    held = tuple(counts)
    tiles = np.arange(len(held), dtype=np.int64)
    if order.shuffle == "window":
        tiles = permuted(tiles, len(held), key(order.seed, order.epoch, _TILES, 0))
    pieces = tuple(Piece(t, range(held[t])) for t in tiles.tolist() if held[t])
    for past in order.history:
        then = replace(
            order,
            batch_size=past.batch_size,
            rank=0,
            world_size=past.world_size,
            last=past.last,
        )
        pieces = tuple(
            piece
            for rank in range(past.world_size)
            for piece in _seen(pieces, held, replace(then, rank=rank), reach, past.batches)
        )
    return Walk(tuple(share(pieces, order)), held, order, reach)


def _seen(
    pieces: Sequence[Piece], counts: tuple[int, ...], order: Order, reach: int, batches: int
) -> Iterator[Piece]:
    """Yield what a rank left; with `drop`, what it was never to have, too."""
    kept = Walk(tuple(share(pieces, order)), counts, order, reach)
    yield from kept.rest(batches * order.batch_size)
    if order.last == "drop" and order.rank == order.world_size - 1:
        total = sum(map(len, pieces))
        yield from _between(pieces, _bounds(total, order)[1], total)


def share(pieces: Sequence[Piece], order: Order) -> Iterator[Piece]:
    """Yield what belongs to this rank: neighbours in the order, so that few tiles are shared.

    With `keep` the shares of all ranks are disjoint and complete for any number of ranks.
    """
    start, stop = _bounds(sum(map(len, pieces)), order)
    yield from _between(pieces, start, stop)


def _bounds(total: int, order: Order) -> tuple[int, int]:
    if order.last == "keep":
        return (
            order.rank * total // order.world_size,
            (order.rank + 1) * total // order.world_size,
        )
    each = total // order.world_size // order.batch_size * order.batch_size
    return order.rank * each, (order.rank + 1) * each


def _between(pieces: Sequence[Piece], start: int, stop: int) -> Iterator[Piece]:
    at = 0
    for piece in pieces:
        low, high = max(start - at, 0), min(stop - at, len(piece))
        if low < high:
            yield piece.cut(low, high)
        at += len(piece)


def _bound(sizes: IntArray | np.int64, age: IntArray | int, reach: int) -> IntArray:
    """Return where the samples of an age begin: a piece is given out in `reach` even parts."""
    return np.asarray(sizes * age // reach, np.int64)


def _pick(places: range | IntArray, chosen: IntArray) -> IntArray:
    if isinstance(places, range):
        return chosen * places.step + places.start
    return places[chosen]


def key(*numbers: int) -> int:
    """Mix numbers to one of 64 bits."""
    mixed = np.zeros(1, np.uint64)
    for number in numbers:
        mixed = mix(mixed ^ np.uint64(number))
    return int(mixed[0])


def places(numbers: IntArray, axis: int, order: Order) -> npt.NDArray[np.uint64]:
    """Draw a number of 64 bits for each sample, such as where its crop lies along an axis."""
    drawn = key(order.seed, order.epoch, _PLACES, axis)
    return mix(numbers.astype(np.uint64) ^ np.uint64(drawn))


def permuted(
    positions: IntArray, count: IntArray | int, drawn: npt.NDArray[np.uint64] | int
) -> IntArray:
    """Return what stands at some positions of 0…count-1 in the order that a key fixes for good.

    A Feistel network that walks in cycles until it falls below `count`: a permutation of any
    length, of which any part can be had without the rest.

    Parameters
    ----------
    positions : (n,) int64, each in 0…count-1
    count : int or (n,) int64
    drawn : int or (n,) uint64
        The key; positions in one order have the same count and key.

    Returns
    -------
    (n,) int64

    Notes
    -----
    Cycle walking: Black and Rogaway, doi:10.1007/3-540-45760-7_9.
    """
    shape = positions.shape
    limit = np.broadcast_to(np.asarray(count, np.uint64), shape)
    keys = np.broadcast_to(np.asarray(drawn, np.uint64), shape)
    # Exact: a count is far below 2**53, where frexp tells the length of its bits.
    bits = np.maximum(np.frexp((limit - np.uint64(1)).astype(np.float64))[1], 2)
    found = positions.astype(np.uint64)
    walking = np.arange(len(found))
    while len(walking):
        found[walking] = _network(found[walking], bits[walking], keys[walking])
        walking = walking[found[walking] >= limit[walking]]
    return found.astype(np.int64)


def _network(
    values: npt.NDArray[np.uint64], bits: npt.NDArray[np.int32], keys: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    # Halves of unequal length, taken in turn: the domain is at most twice the count.
    low_bits = (bits // 2).astype(np.uint64)
    above_low = np.uint64(64) - low_bits
    above_high = np.uint64(64) - (bits.astype(np.uint64) - low_bits)
    high = values >> low_bits
    low = values ^ (high << low_bits)
    for n in range(_ROUNDS):
        salt = keys + np.uint64(n * _GOLDEN % 2**64)
        if n % 2:
            low ^= mix(high ^ salt) >> above_low
        else:
            high ^= mix(low ^ salt) >> above_high
    mixed: npt.NDArray[np.uint64] = high << low_bits | low
    return mixed


def mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble each value, one to one: the same for ever, which numpy.random does not promise.

    SplitMix64: Steele et al., doi:10.1145/2660193.2660195.
    """
    mixed = values + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
