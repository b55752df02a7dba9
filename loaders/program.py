"""What is decided before data are read: where samples stand, what is cut into tiles, and how.

The memory that a stream may hold is divided here, once: variables that are small as a whole,
bytes under way, batches, and the rest for tiles.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from scidata.errors import InvalidError, NotFoundError
from scidata.loaders.arrays import open_arrays, open_published
from scidata.loaders.engine import QUEUED, Program
from scidata.loaders.fetch import open_objects
from scidata.loaders.layout import Layout, Shards, layout
from scidata.loaders.meter import Gauge
from scidata.loaders.order import IntArray, Order
from scidata.loaders.plan import Axis, Tiling, cut, whole
from scidata.loaders.reader import IN_FLIGHT_BYTES, Reader
from scidata.loaders.samples import Field, fields, joined, lengths, select
from scidata.loaders.source import Asset, Source
from scidata.record.parts import Join

RESIDENT_SHARE = 8
"""Variables that are small as a whole may take this part of the memory: one in eight."""
TILE_SHARE = 24
"""Tiles are so small that this many fit, if chunks are."""
MIN_TILE, MAX_TILE = 2**20, 32 * 2**20
MIN_SLOTS = 2
_BATCHES = QUEUED + 2
"""Batches at once: those that wait, the one that is made, the one that the loop has."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source, opened in one process."""

    source: Source
    sizes: Mapping[str, int]
    program: Program
    in_flight: int

    def reader(self, gauge: Gauge, threads: int | None) -> Reader:
        """Begin to read in this process."""
        assets = [self.source.asset, *self.source.joined.values()]
        objects = {a.key: open_objects(a.objects, a.where) for a in assets}
        return Reader(objects, gauge, threads=threads, in_flight=self.in_flight)


def prepare(source: Source, order: Order, memory: int) -> Opened:
    """Open a source and decide how it is read.

    Raises
    ------
    InvalidError
        If the samples do not fit the asset, or the memory is too small for them.
    NotFoundError
        If the asset lacks an id of the split.
    """
    arrays = _labels(source.asset)
    sizes = {str(name): size for name, size in arrays.sizes.items()}
    labels = {str(n): c for n, c in arrays.coords.items() if c.dims == (n,)}
    axes = select(sizes, labels, source.samples, source.dimension, source.ids)
    layouts = dict(_layouts(source.asset, source.samples.inputs + source.samples.targets))
    found = [*fields(layouts, axes, source.samples, where=source.where)]
    found += _joined(source, arrays)
    _refuse_namesakes([*(f.name for f in found), *(axis.dimension for axis in axes)], source)
    in_flight = max(min(IN_FLIGHT_BYTES, memory // 8), 1)
    held = sum(f.nbytes for f in found) * order.batch_size * _BATCHES
    program = _program(found, axes, source, order, memory - in_flight - held, memory)
    return Opened(source=source, sizes=sizes, program=program, in_flight=in_flight)


def _refuse_namesakes(names: Sequence[str], source: Source) -> None:
    if same := [name for name, times in Counter(names).items() if times > 1]:
        raise InvalidError(
            f"a batch would hold {', '.join(map(repr, same))} twice",
            where=source.where,
            fix="give variables names of their own; a dimension gives the sample's index",
        )


def _labels(asset: Asset) -> xr.Dataset:
    return open_arrays(
        asset.objects, asset.manifest, where=asset.where, consolidated=asset.consolidated
    )


def _layouts(asset: Asset, names: Sequence[str]) -> Iterator[tuple[str, Layout]]:
    store = open_published(asset.objects, asset.manifest, asset.where)
    group = zarr.open_group(store, mode="r", use_consolidated=asset.consolidated or None)
    for name in dict.fromkeys(names):
        array = group.get(name)
        if isinstance(array, zarr.Array):
            yield name, layout(array, asset.manifest, asset=asset.key, where=asset.where)


def _joined(source: Source, arrays: xr.Dataset) -> Iterator[Field]:
    for join in source.samples.joins:
        asset = source.joined[join.asset]
        other = _labels(asset)
        held = dict(_layouts(asset, join.variables))
        if faults := [*_join_faults(join, held, arrays, other, source.samples.each[0])]:
            raise InvalidError(
                f"the samples in the record do not join: {'; '.join(faults)}",
                where=asset.where,
                fix="name rows by one variable along the first entry, and what has such rows",
            )
        rows = _rows(arrays[join.by], other, held[join.variables[0]].dims[0])
        for name in join.variables:
            yield joined(held[name], rows)


def _join_faults(
    join: Join, held: Mapping[str, Layout], arrays: xr.Dataset, other: xr.Dataset, each: str
) -> Iterator[str]:
    yield from (f"{name!r} is absent" for name in join.variables if name not in held)
    if join.by not in arrays:
        yield f"{join.by!r} is absent"
    elif arrays[join.by].dims != (each,):
        yield f"{join.by!r} is {arrays[join.by].dims}"
    dims = {layout.dims[:1] for layout in held.values()}
    if len(dims) > 1 or () in dims:
        yield f"the first dimensions of {', '.join(map(repr, held))} differ"
    for (name,) in dims - {()}:
        if name in other.coords and not other.indexes[name].is_unique:
            yield f"labels of {name!r} occur twice"


def _rows(by: xr.DataArray, other: xr.Dataset, dimension: str) -> IntArray:
    """Find which row of the other asset every entry names."""
    wanted, length = by.values, other.sizes[dimension]
    if dimension in other.coords:
        rows = pd.Index(other[dimension].values).get_indexer(pd.Index(wanted))
    else:
        rows = np.where((wanted >= 0) & (wanted < length), wanted, -1)
    if (rows < 0).any():
        missing = np.unique(wanted[rows < 0])
        raise NotFoundError(
            f"{len(missing)} values of {by.name!r} name no {dimension}, such as {missing[0]!r}",
            where="joins of the samples",
            fix="publish a version in which every value has its row",
        )
    found: IntArray = np.asarray(rows, np.int64)
    return found


def _program(
    found: Sequence[Field],
    axes: tuple[Axis, ...],
    source: Source,
    order: Order,
    free: int,
    memory: int,
) -> Program:
    resident, tiled = _divide(found, memory // RESIDENT_SHARE)
    crops = source.samples.crops or 1
    if not tiled or order.shuffle == "exact":
        return Program(
            resident=resident,
            tiled=tiled,
            tiling=whole(axes, crops),
            slots=0,
            reach=1,
            ahead=0,
        )
    free -= sum(f.layout.nbytes for f in resident)

    def weigh(extents: Sequence[int]) -> int:
        return sum(prod(f.extent(extents)) * f.layout.dtype.itemsize for f in tiled)

    units = [_unit(tiled, n, shards=source.verify) for n in range(len(axes))]
    target = min(max(free // TILE_SHARE, MIN_TILE), MAX_TILE)
    tiling = cut(axes, units, weigh, crops=crops, target=target)
    tile = weigh(lengths(tiling))
    count = len(tiling.counts)
    slots = min(free // max(tile, 1), count)
    if slots < min(MIN_SLOTS, count):
        # Of what is added, an eighth goes to the bytes under way.
        enough = memory + (MIN_SLOTS * tile - free) * 8 // 7 + 8
        raise InvalidError(
            f"memory {memory:,} is too little: {MIN_SLOTS} tiles of {tile:,} bytes, batches and "
            "what is under way do not fit",
            where=source.where,
            fix=f"give memory={enough:,} or more, a smaller batch_size, or "
            "shuffle='exact', which needs no tiles",
        )
    return _paced(resident, tiled, tiling, slots, order)


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
    for field in sorted(found, key=lambda f: f.layout.nbytes):
        if field.layout.nbytes <= limit:
            resident.add(field.name)
            limit -= field.layout.nbytes
        elif field.rows is not None:
            raise InvalidError(
                f"{field.name!r} has {field.layout.nbytes:,} bytes, which is more than a part "
                f"of the memory: rows are gathered from arrays in memory",
                where=field.layout.where,
                fix=f"give memory={RESIDENT_SHARE * field.layout.nbytes:,} or more",
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
