"""Which requests bring the chunks that some boxes need; decided before anything is fetched.

Pure. Each chunk is asked for once, however many boxes touch it; neighbours in an object come by
one request, and small requests are handled together.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.loaders.layout import Coordinates, Extent, Layout
from scidata.loaders.order import IntArray

REQUEST_BYTES = 4 * 2**20
"""Most bytes of a request for several chunks; one chunk is never divided."""
GAP_BYTES = 64 * 2**10
"""A gap between two chunks that is cheaper to read than a request of its own."""
BUNDLE_BYTES = 2**20
"""Small requests are decoded together up to this size: each change of threads costs."""
Numbers: TypeAlias = npt.NDArray[Any]
Slices: TypeAlias = tuple[slice, ...]


@dataclass(eq=False)
class Read:
    """Boxes of an array, all of one size, and where their numbers go."""

    layout: Layout
    starts: IntArray
    """(boxes, dimensions) int64: their first indices."""
    sizes: tuple[int, ...]
    """Of each, along every dimension."""
    out: Numbers | None = None
    """(boxes, *sizes) in the layout's dtype; None until it is known."""


def box(layout: Layout, start: Sequence[int], out: Numbers) -> Read:
    """Read one box, of the shape of `out`."""
    starts = np.array(start, np.int64).reshape(1, -1)
    return Read(layout, starts, out.shape, out.reshape(1, *out.shape))


@dataclass(frozen=True)
class Parts:
    """What boxes need of the chunks that they touch, a row for each box and chunk that meet.

    Numbers in an array, not slices in lists: what lives as long as a request under way is
    visited by the garbage collector again and again.
    """

    read: Read
    boxes: IntArray
    """(rows,) int64"""
    bounds: IntArray
    """(rows, 4, dimensions) int64: begin and end of a part in its chunk, then in its box."""

    def __getitem__(self, row: int) -> tuple[Numbers, Slices]:
        """Return where a part goes, and which part of its chunk it is."""
        first, last, low, high = self.bounds[row].tolist()
        assert self.read.out is not None  # noqa: S101  # nothing is decoded before
        # The dots: of a box without dimensions, too, a view and no copy.
        out = self.read.out[(self.boxes[row], ..., *map(slice, low, high))]
        return out, tuple(map(slice, first, last))


class Wanted(NamedTuple):
    """A chunk that boxes touch."""

    layout: Layout
    place: Coordinates
    path: str | None
    """Of its object; None if it is fill value."""
    parts: list[tuple[Parts, int]]
    """All the places that it goes to, each a row of what some boxes need."""


class Chunk(NamedTuple):
    """A chunk that is needed."""

    layout: Layout
    extent: Extent
    parts: list[tuple[Parts, int]]
    """All the places that it goes to, each a row of what some boxes need."""


class Request(NamedTuple):
    """Chunks that lie side by side in an object."""

    path: str
    start: int
    stop: int | None
    """None: to the end of the object."""
    chunks: list[Chunk]

    @property
    def layout(self) -> Layout:
        """Of its first chunk; all belong to one asset."""
        return self.chunks[0].layout

    @property
    def nbytes(self) -> int:
        """Bytes that it asks for, or may bring."""
        return self.layout.decoder.nbytes if self.stop is None else self.stop - self.start


def parts(read: Read) -> tuple[Parts, Iterator[tuple[Coordinates, list[int]]]]:
    """Return what boxes need of chunks; and each of these chunks once, with the rows of it."""
    chunks, sizes = np.array(read.layout.chunks, np.int64), np.array(read.sizes, np.int64)
    lows, highs = read.starts // chunks, -(-(read.starts + sizes) // chunks)
    counts = highs - lows
    touched = counts.prod(axis=1)
    boxes = np.repeat(np.arange(len(touched)), touched)
    # Which of the chunks of its box a row has, and by that its place in the grid of chunks.
    left = np.arange(len(boxes)) - np.repeat(np.cumsum(touched) - touched, touched)
    places = np.empty((len(boxes), len(chunks)), np.int64)
    for dim in reversed(range(len(chunks))):
        left, places[:, dim] = np.divmod(left, counts[boxes, dim])
    places += lows[boxes]
    begins, starts = places * chunks, read.starts[boxes]
    firsts, lasts = np.maximum(begins, starts), np.minimum(begins + chunks, starts + sizes)
    bounds = np.stack(
        [firsts - begins, lasts - begins, firsts - starts, lasts - starts], axis=1
    )
    return Parts(read, boxes, bounds), _once(places, read.layout)


def _once(places: IntArray, layout: Layout) -> Iterator[tuple[Coordinates, list[int]]]:
    """Yield each place in the grid of chunks once, and the rows that have it."""
    numbers = np.zeros(len(places), np.int64)
    for dim, (length, size) in enumerate(zip(layout.shape, layout.chunks, strict=True)):
        numbers = numbers * -(-length // size) + places[:, dim]
    ordered = np.argsort(numbers, kind="stable")
    firsts = np.flatnonzero(np.diff(numbers[ordered], prepend=-1))
    rows, ends = ordered.tolist(), [*firsts[1:].tolist(), len(ordered)]
    coordinates = places[ordered[firsts]].tolist()
    for place, low, high in zip(coordinates, firsts.tolist(), ends, strict=False):
        yield tuple(place), rows[low:high]


def wanted(reads: Sequence[Read]) -> list[Wanted]:
    """Find the chunks that boxes touch, each once however many reads ask for it."""
    found: dict[tuple[int, Coordinates], Wanted] = {}
    for read in reads:
        layout = read.layout
        held, chunks = parts(read)
        for place, rows in chunks:
            named = id(layout), place
            if named not in found:
                found[named] = Wanted(layout, place, layout.table.object_of(place), [])
            found[named].parts.extend((held, row) for row in rows)
    return [*found.values()]


def requests(chunks: Iterable[Chunk]) -> Iterator[Request]:
    """Put neighbours in an object into one request."""
    ordered = sorted(chunks, key=lambda c: (c.layout.asset, c.extent.path, c.extent.start))
    for (_, path), held in groupby(ordered, key=lambda c: (c.layout.asset, c.extent.path)):
        start, stop, together = 0, None, list[Chunk]()
        for chunk in held:
            _, first, last = chunk.extent
            if together and not _joins(start, stop, chunk.extent):
                yield Request(path, start, stop, together)
                together = []
            if not together:
                start, stop = first, last
            elif stop is not None and last is not None:
                stop = max(stop, last)
            together.append(chunk)
        yield Request(path, start, stop, together)


def _joins(start: int, stop: int | None, extent: Extent) -> bool:
    if stop is None or extent.stop is None:
        return False
    return extent.start - stop <= GAP_BYTES and extent.stop - start <= REQUEST_BYTES


def bundles(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Put small requests together: they are sent at once, and decoded by one thread."""
    bundle: list[Request] = []
    held = 0
    for request in requests:
        if bundle and held + request.nbytes > BUNDLE_BYTES:
            yield bundle
            bundle, held = [], 0
        bundle.append(request)
        held += request.nbytes
    if bundle:
        yield bundle
