"""Which requests bring the chunks that some boxes need; decided before anything is fetched.

Pure. Each chunk is asked for once, however many boxes touch it; neighbours in an object come by
one request, and small requests are handled together.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

import numpy.typing as npt

from scidata.loaders.layout import Coordinates, Extent, Layout

REQUEST_BYTES = 4 * 2**20
"""Most bytes of a request for several chunks; one chunk is never divided."""
GAP_BYTES = 64 * 2**10
"""A gap between two chunks that is cheaper to read than a request of its own."""
BUNDLE_BYTES = 2**20
"""Small requests are decoded together up to this size: each change of threads costs."""
Numbers: TypeAlias = npt.NDArray[Any]
Slices: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True)
class Read:
    """A box of an array, and where its numbers go."""

    layout: Layout
    start: tuple[int, ...]
    stop: tuple[int, ...]
    out: Numbers
    """Of the box's shape and the layout's dtype."""


@dataclass(frozen=True)
class Target:
    """Where part of a chunk goes."""

    out: Numbers
    source: Slices


@dataclass
class Chunk:
    """A chunk that is needed, and all the places that it goes to."""

    layout: Layout
    extent: Extent
    targets: list[Target] = field(default_factory=list)


def targets(read: Read) -> Iterator[tuple[Coordinates, Target]]:
    """Yield the chunks of a box, what of each is needed, and where it goes."""
    sizes = read.layout.chunks
    for chunk in read.layout.touched(read.start, read.stop):
        source, out = [], []
        for at, size, low, high in zip(chunk, sizes, read.start, read.stop, strict=True):
            first, last = max(at * size, low), min((at + 1) * size, high)
            source.append(slice(first - at * size, last - at * size))
            out.append(slice(first - low, last - low))
        yield chunk, Target(read.out[tuple(out)], tuple(source))


def requests(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Put neighbours in an object into one request."""
    ordered = sorted(chunks, key=lambda c: (*_object(c), c.extent.start))
    for _, held in groupby(ordered, key=_object):
        request: list[Chunk] = []
        for chunk in held:
            if request and not _joins(request, chunk):
                yield request
                request = []
            request.append(chunk)
        yield request


def bundles(requests: Iterable[list[Chunk]]) -> Iterator[list[list[Chunk]]]:
    """Put small requests together: they are sent at once, and decoded by one thread."""
    bundle: list[list[Chunk]] = []
    held = 0
    for request in requests:
        if bundle and held + bytes_of(request) > BUNDLE_BYTES:
            yield bundle
            bundle, held = [], 0
        bundle.append(request)
        held += bytes_of(request)
    if bundle:
        yield bundle


def bytes_of(request: Sequence[Chunk]) -> int:
    """Return the bytes that a request asks for, or may bring."""
    _, start, stop = span(request)
    return request[0].layout.decoder.nbytes if stop is None else stop - start


def _object(chunk: Chunk) -> tuple[str, str]:
    return chunk.layout.asset, chunk.extent.path


def _joins(request: Sequence[Chunk], chunk: Chunk) -> bool:
    last, stop = request[-1].extent.stop, chunk.extent.stop
    if last is None or stop is None:
        return False
    close = chunk.extent.start - last <= GAP_BYTES
    return close and stop - request[0].extent.start <= REQUEST_BYTES


def span(request: Sequence[Chunk]) -> tuple[str, int, int | None]:
    """Return the object of a request, its first byte, and one past its last; None for all."""
    stops = [chunk.extent.stop for chunk in request]
    whole = None in stops
    last = None if whole else max(stop for stop in stops if stop is not None)
    return request[0].extent.path, request[0].extent.start, last
