"""What is decided before data are read: where samples stand, what is cut into tiles, and how.

The memory that a stream may hold is divided here, once: variables that are small as a whole,
bytes under way, batches, and the rest for tiles.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, NotFoundError
from scidata.loaders.checked import AT_ONCE, CheckedObjects
from scidata.loaders.contents import Contents, open_contents
from scidata.loaders.engine import EXACT_AHEAD, QUEUED, Program
from scidata.loaders.fetch import Objects, open_objects
from scidata.loaders.layout import Labels, Layout, Shards
from scidata.loaders.meter import Gauge
from scidata.loaders.order import IntArray, Order
from scidata.loaders.plan import Axis, Tiling, cut, whole
from scidata.loaders.reader import IN_FLIGHT_BYTES, Reader
from scidata.loaders.samples import Field, fields, joined, lengths, select
from scidata.loaders.source import Asset, Source
from scidata.record.contents import Join

RESIDENT_SHARE = 8
"""Variables that are small as a whole may take this part of the memory: one in eight."""
TILE_SHARE = 24
"""Tiles are so small that this many fit, if chunks are."""
MIN_TILE, MAX_TILE = 2**20, 32 * 2**20
MIN_SLOTS = 2
MOST_IN_FLIGHT_BYTES = 2 * IN_FLIGHT_BYTES
"""With what is left where one tile more does not fit."""
MOST_PACKED = 4
"""Stored bytes of so many tiles are looked for as fill what may be under way if they are this
part of their numbers; if they are fewer, less is under way."""
CHUNK_SHARE = 2
"""No chunk may take more than this part of the memory: each thread decodes one besides."""
BATCH_SHARE = 8
"""Batches are given at least one part in eight, so that an epoch that goes on with another
batch size, on other ranks, has the same tiles."""
GROUP_SHARE, MAX_GROUP = 3, 8
"""With the shuffle ``exact`` a third of the memory is for batches, if they are not too many."""
_BATCHES = QUEUED + 2
"""Batches at once: those that wait, the one that is made, the one that the loop has."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source, opened in one process."""

    source: Source
    sizes: Mapping[str, int]
    program: Program
    memory: int

    def reader(self, gauge: Gauge, threads: int | None) -> Reader:
        """Begin to read in this process."""
        assets = [self.source.asset, *self.source.joined.values()]
        objects = {asset.key: self._objects(asset) for asset in assets}
        return Reader(objects, gauge, threads=threads, in_flight=self.program.in_flight)

    def _objects(self, asset: Asset) -> Objects:
        objects = open_objects(asset.objects, asset.where)
        if not self.source.whole_objects:
            return objects
        return CheckedObjects(
            objects,
            asset.manifest,
            asset.where,
            self.source.cache,
            in_memory=min(self.program.in_flight, IN_FLIGHT_BYTES),
            limit=self.memory // AT_ONCE,
        )


def prepare(source: Source, order: Order, memory: int) -> Opened:
    """Open a source and decide how it is read.

    Raises
    ------
    InvalidError
        If the samples do not fit the asset, or the memory is too small for them.
    NotFoundError
        If the asset lacks an id of the split.
    """
    samples = source.samples
    with closing(open_contents(source.asset)) as held:
        sizes = dict(held.sizes)
        labels = held.labels(source.dimension)
        axes = select(sizes, labels, samples, source.dimension, source.ids)
        layouts = held.layouts(samples.inputs + samples.targets)
        found = [*fields(layouts, axes, samples, where=source.where)]
        found += _joined(source, held)
    _refuse_namesakes([*(f.name for f in found), *(axis.dimension for axis in axes)], source)
    in_flight = max(min(IN_FLIGHT_BYTES, memory // 8), 1)
    group = _group(found, order, memory)
    at_once = _BATCHES + (EXACT_AHEAD * group if order.shuffle == "exact" else 0)
    batches = _batch_bytes(found, order, source, memory, at_once)
    room = _Room(memory, memory - in_flight - max(batches, memory // BATCH_SHARE), in_flight)
    program = replace(_program(found, axes, source, order, room), group=group)
    return Opened(source=source, sizes=sizes, program=program, memory=memory)


def _group(found: Sequence[Field], order: Order, memory: int) -> int:
    """Return how many batches are planned together with the shuffle ``exact``."""
    batch = sum(f.nbytes for f in found) * order.batch_size
    return min(max(memory // GROUP_SHARE // (EXACT_AHEAD * max(batch, 1)), 1), MAX_GROUP)


def _batch_bytes(
    found: Sequence[Field], order: Order, source: Source, memory: int, at_once: int
) -> int:
    """Return what all batches at once take; chunks are looked at, too."""
    needed = sum(f.nbytes for f in found) * order.batch_size * at_once
    chunk = max((f.layout.decoder.nbytes for f in found), default=0)
    if needed > memory or chunk > memory // CHUNK_SHARE:
        enough = max(needed, CHUNK_SHARE * chunk)
        raise InvalidError(
            f"memory {memory:,} is too little for {at_once} batches of {order.batch_size} "
            f"samples, or for chunks of {chunk:,} bytes",
            where=source.where,
            fix=f"give memory of {_amount(2 * enough)}, or a smaller batch_size",
        )
    return needed


def _amount(nbytes: int) -> str:
    """Write it for Python, where memory is in bytes, and for settings, where it is in MiB."""
    return f"{nbytes:,} bytes ({-(-nbytes // 2**20):,} MiB)"


def _refuse_namesakes(names: Sequence[str], source: Source) -> None:
    if same := [name for name, times in Counter(names).items() if times > 1]:
        raise InvalidError(
            f"a batch would hold {', '.join(map(repr, same))} twice",
            where=source.where,
            fix="give variables names of their own; a dimension gives the sample's index",
        )


def _joined(source: Source, held: Contents) -> Iterator[Field]:
    entries = (held.sizes[source.samples.each[0]],)
    known: dict[tuple[str, str], Layout] = {}
    for join in source.samples.joins:
        asset = source.joined[join.asset]
        with closing(open_contents(asset)) as other:
            named, found = held.values(join.by), other.layouts(join.variables)
            # Two joins of one variable share it: it is in memory once.
            layouts = {
                name: known.setdefault((join.asset, name), found[name]) for name in found
            }
            if faults := [*_join_faults(join, named, layouts, entries)]:
                raise InvalidError(
                    f"the samples in the record do not join: {'; '.join(faults)}",
                    where=asset.where,
                    fix="name rows by one variable along the entries, and what has such rows",
                )
            assert named is not None  # noqa: S101  # else it was a fault
            dimension = layouts[join.variables[0]].dims[0]
            labels = other.labels(dimension)
            rows = _rows(join.by, named, labels, other.sizes[dimension])
            for name, called in join.named.items():
                yield replace(joined(layouts[name], rows), name=called)


def _join_faults(
    join: Join,
    named: npt.NDArray[Any] | None,
    layouts: Mapping[str, Layout],
    entries: tuple[int, ...],
) -> Iterator[str]:
    yield from (f"{name!r} is absent" for name in join.variables if name not in layouts)
    if named is None:
        yield f"{join.by!r} is absent"
    elif named.shape != entries:
        yield f"{join.by!r} has the shape {named.shape}, not {entries}"
    dims = {layout.dims[:1] for layout in layouts.values()}
    if len(dims) > 1 or () in dims:
        yield f"the first dimensions of {', '.join(map(repr, layouts))} differ"


def _rows(by: str, wanted: npt.NDArray[Any], labels: Labels | None, length: int) -> IntArray:
    """Find which row of the other asset every entry names."""
    if labels is not None:
        import pandas as pd

        if not pd.Index(labels.values).is_unique:
            raise InvalidError(
                f"labels of {labels.dimension!r} occur twice",
                where="joins of the samples",
                fix="publish a version whose labels differ",
            )
        rows = pd.Index(labels.values).get_indexer(pd.Index(wanted))
    else:
        rows = np.where((wanted >= 0) & (wanted < length), wanted, -1)
    if (rows < 0).any():
        missing = np.unique(wanted[rows < 0])
        raise NotFoundError(
            f"{len(missing)} values of {by!r} name no row, such as {missing.tolist()[0]!r}",
            where="joins of the samples",
            fix="publish a version in which every value has its row",
        )
    found: IntArray = np.asarray(rows, np.int64)
    return found


@dataclass(frozen=True)
class _Room:
    """Bytes: all that the stream may hold, what is free of it, and what may be under way."""

    all: int
    free: int
    in_flight: int


def _program(
    found: Sequence[Field], axes: tuple[Axis, ...], source: Source, order: Order, room: _Room
) -> Program:
    if order.shuffle == "exact" and source.verify and source.cache is None:
        raise InvalidError(
            "with the shuffle 'exact' every object would be fetched whole for every batch",
            where=source.where,
            fix="give a cache= beside verify=True, or shuffle='window'",
        )
    resident, tiled = _divide(found, room.all // RESIDENT_SHARE)
    crops = source.samples.crops or 1
    free = room.free - sum(
        held.nbytes for held in {id(f.layout): f.layout for f in resident}.values()
    )
    if not tiled or order.shuffle == "exact":
        return Program(
            resident=resident,
            tiled=tiled,
            tiling=whole(axes, crops),
            slots=0,
            reach=1,
            ahead=0,
            in_flight=room.in_flight,
            retained=max(free, 0),
        )

    def weigh(extents: Sequence[int]) -> int:
        return sum(prod(f.extent(extents)) * f.layout.dtype.itemsize for f in tiled)

    units = [_unit(tiled, n, shards=source.whole_objects) for n in range(len(axes))]
    target = min(max(free // TILE_SHARE, MIN_TILE), MAX_TILE, free // MIN_SLOTS)
    tiling = cut(axes, units, weigh, crops=crops, target=target)
    tile = weigh(lengths(tiling))
    count = len(tiling.counts)
    slots = min(free // max(tile, 1), count)
    if slots < min(MIN_SLOTS, count):
        # Of what is added, an eighth goes to the bytes under way.
        enough = room.all + (MIN_SLOTS * tile - free) * 8 // 7 + 8
        raise InvalidError(
            f"memory {room.all:,} is too little: {MIN_SLOTS} tiles of {tile:,} bytes, batches "
            "and what is under way do not fit",
            where=source.where,
            fix=f"give memory of {_amount(enough)} or more, a smaller batch_size, or "
            "shuffle='exact', which needs no tiles",
        )
    spare = min(free - slots * tile, MOST_IN_FLIGHT_BYTES - room.in_flight)
    in_flight = room.in_flight + max(spare, 0)
    return replace(
        _paced(resident, tiled, tiling, slots, order),
        in_flight=in_flight,
        further=-(-MOST_PACKED * in_flight // max(tile, 1)),
    )


def _paced(
    resident: tuple[Field, ...],
    tiled: tuple[Field, ...],
    tiling: Tiling,
    slots: int,
    order: Order,
) -> Program:
    """Divide the slots between what samples are mixed from and what is read ahead."""
    everything = slots == len(tiling.counts)
    ahead = max(min(slots // 4, 8), 1)
    reach = slots if everything else slots - ahead
    if order.shuffle != "window":
        reach, ahead = 1, slots if everything else slots - 1
    return Program(
        resident=resident,
        tiled=tiled,
        tiling=tiling,
        slots=slots,
        reach=max(reach, 1),
        ahead=ahead,
    )


def _divide(found: Sequence[Field], limit: int) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """Tell the variables that stay in memory from those that are cut into tiles."""
    resident: set[str] = set()
    held: set[int] = set()
    for field in sorted(found, key=lambda f: f.layout.nbytes):
        needed = 0 if id(field.layout) in held else field.layout.nbytes
        if needed <= limit:
            resident.add(field.name)
            held.add(id(field.layout))
            limit -= needed
        elif field.rows is not None:
            raise InvalidError(
                f"{field.name!r} has {field.layout.nbytes:,} bytes, which is more than a part "
                f"of the memory: rows are gathered from arrays in memory",
                where=field.layout.where,
                fix=f"give memory of {_amount(RESIDENT_SHARE * field.layout.nbytes)} or more",
            )
    return (
        tuple(f for f in found if f.name in resident),
        tuple(f for f in found if f.name not in resident),
    )


def _unit(tiled: Sequence[Field], axis: int, *, shards: bool) -> int:
    """Return how many steps along an axis are stored together: in a chunk, or in a shard."""
    steps = [
        _stored(field.layout, shards=shards)[dim]
        for field in tiled
        for dim, follows in enumerate(field.axes)
        if follows == axis
    ]
    return max(steps, default=1)


def _stored(held: Layout, *, shards: bool) -> tuple[int, ...]:
    if shards and isinstance(held.table, Shards):
        per_shard: Any = held.table.per_shard
        return tuple(c * n for c, n in zip(held.chunks, per_shard, strict=True))
    return held.chunks
