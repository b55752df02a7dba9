"""A file in HDF5 or NetCDF-4, streamed in place: h5py reads where its chunks lie.

The file is not trusted: links to other files, data in other files and virtual datasets are
refused, and so are filters that `scidata.loaders.codecs` does not know.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, StorageError
from scidata.loaders.codecs import Codec
from scidata.loaders.layout import Coordinates, Extent, Index, Labels, Layout, understood
from scidata.loaders.source import Asset

SLAB_BYTES = 2**20
"""Data that are stored in one piece are read in slabs of about this size."""

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "zlib",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    32001: "blosc",
    32015: "zstd",
}


@dataclass(frozen=True)
class Listed:
    """Chunks whose places the file lists."""

    path: str
    extents: Mapping[Coordinates, Extent]

    def object_of(self, chunk: Coordinates) -> str | None:
        """Name the file."""
        return self.path

    def index_bytes(self) -> int:
        """There is no index to fetch."""
        return 0

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Look the chunk up; one that was never written is fill value."""
        return self.extents.get(chunk)


@dataclass(frozen=True)
class Slabs:
    """Numbers in one piece, in parts of some rows."""

    path: str
    start: int
    stop: int
    slab: int
    """Bytes."""

    def object_of(self, chunk: Coordinates) -> str | None:
        """Name the file."""
        return self.path

    def index_bytes(self) -> int:
        """There is no index to fetch."""
        return 0

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Compute where the rows lie; the last part may be shorter."""
        first = self.start + (chunk[0] if chunk else 0) * self.slab
        return Extent(path, first, min(first + self.slab, self.stop))


class Hdf5Contents:
    """An opened file in HDF5 or NetCDF-4."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._bytes = asset.open(asset.path)
        try:
            self._file = h5py.File(self._bytes, "r")
            self._sets = dict(_datasets(self._file))
        except StorageError:
            self._bytes.close()
            raise
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            self._bytes.close()
            raise InvalidError(
                f"it is not a sound HDF5 file: {error}",
                where=asset.where,
                fix="run scidata verify on this version; NetCDF-3 files have to be converted",
            ) from error
        self._dims = _dimensions(self._sets)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of every dimension."""
        return {
            dim: size
            for name, held in self._sets.items()
            for dim, size in zip(self._dims[name], held.shape, strict=True)
        }

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._bytes.close()

    def labels(self, dimension: str) -> Labels | None:
        """Return the labels of a dimension, if its scale holds any."""
        held = self._sets.get(dimension)
        if held is None or self._dims[dimension] != (dimension,) or _is_empty_scale(held):
            return None
        import xarray as xr

        attributes = dict(_attributes(held))
        array = xr.Dataset({dimension: ((dimension,), _read(held), attributes)})
        return Labels(dimension, xr.decode_cf(array)[dimension].values)

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a small variable whole."""
        return _read(self._sets[name]) if name in self._sets else None

    def layouts(self, names: Sequence[str]) -> Mapping[str, Layout]:
        """Say where the chunks of some variables lie."""
        return {name: self._layout(name) for name in dict.fromkeys(names) if name in self._sets}

    def _layout(self, name: str) -> Layout:
        held, where = self._sets[name], f"{name} in {self._asset.where}"
        if held.external or held.is_virtual:
            raise InvalidError(
                "its numbers lie in other files",
                where=where,
                fix="publish a file that holds its own data",
            )
        chunks = held.chunks or _slab(held)
        table = _listed(held, self._asset.path, where) if held.chunks else None
        return understood(
            asset=self._asset.key,
            name=name,
            where=where,
            dims=self._dims[name],
            shape=held.shape,
            chunks=chunks,
            stored=held.dtype,
            fill=held.fillvalue,
            attributes=dict(_attributes(held)),
            codecs=list(_codecs(held, where)),
            table=table or _slabs(held, self._asset.path, chunks),
            partial=not held.chunks,
        )


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the datasets of a file; links that leave it are not followed."""
    todo, seen = [""], set[int]()
    while todo:
        group = todo.pop()
        address = h5py.h5o.get_info(file[group or "/"].id).addr
        if address in seen:  # hard links may go round in circles
            continue
        seen.add(address)
        for name in file[group or "/"]:
            path = f"{group}/{name}".strip("/")
            link = file.get(path, getlink=True)
            if not isinstance(link, h5py.HardLink):
                continue
            held = file[path]
            if isinstance(held, h5py.Group):
                todo.append(path)
            elif isinstance(held, h5py.Dataset) and held.shape is not None:
                yield path, held


def _read(held: h5py.Dataset) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = held.asstr()[...] if held.dtype.kind == "O" else held[...]
    return found


def _dimensions(sets: Mapping[str, h5py.Dataset]) -> dict[str, tuple[str, ...]]:
    """Name the dimensions: by their scales, else as NetCDF does, by their length."""
    phony: list[int] = []
    found = {}
    for name in sorted(sets):
        held, dims = sets[name], list[str]()
        for axis, size in enumerate(held.shape):
            scales = [scale.name.strip("/") for scale in held.dims[axis].values()]
            own = held.is_scale and len(held.shape) == 1
            dims.append(name if own else scales[0] if scales else _phony(phony, size, dims))
        found[name] = tuple(dims)
    return found


def _phony(phony: list[int], size: int, taken: Sequence[str]) -> str:
    for n, known in enumerate(phony):
        if known == size and f"phony_dim_{n}" not in taken:
            return f"phony_dim_{n}"
    phony.append(size)
    return f"phony_dim_{len(phony) - 1}"


def _is_empty_scale(held: h5py.Dataset) -> bool:
    name = held.attrs.get("NAME", b"")
    return bytes(name).startswith(b"This is a netCDF dimension but not a netCDF variable")


def _attributes(held: h5py.Dataset) -> Iterator[tuple[str, Any]]:
    hidden = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS"}
    for name in held.attrs:
        if name in hidden or name.startswith(("_Netcdf4", "_NC")):
            continue
        value = held.attrs[name]
        yield name, value.decode() if isinstance(value, bytes) else value


def _codecs(held: h5py.Dataset, where: str) -> Iterator[Codec]:
    big = held.dtype.byteorder == ">"
    yield {"name": "bytes", "configuration": {"endian": "big" if big else "little"}}
    properties = held.id.get_create_plist()
    for n in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(n)
        label = _FILTERS.get(code, name.decode(errors="replace") or str(code))
        yield {"name": label, "configuration": {"elementsize": held.dtype.itemsize}}


def _listed(held: h5py.Dataset, path: str, where: str) -> Listed:
    extents: dict[Coordinates, Extent] = {}

    def note(info: Any) -> None:  # Any: h5py's StoreInfo
        if info.filter_mask:
            raise InvalidError(
                "a chunk of it was written without its filters",
                where=where,
                fix="rewrite the file, with h5repack for example",
            )
        at = tuple(o // c for o, c in zip(info.chunk_offset, held.chunks, strict=True))
        extents[at] = Extent(path, info.byte_offset, info.byte_offset + info.size)

    held.id.chunk_iter(note)
    return Listed(path, extents)


def _slab(held: h5py.Dataset) -> tuple[int, ...]:
    if not held.shape:
        return ()
    row = prod(held.shape[1:]) * held.dtype.itemsize
    rows = min(max(SLAB_BYTES // max(row, 1), 1), max(held.shape[0], 1))
    return (rows, *held.shape[1:])


def _slabs(held: h5py.Dataset, path: str, chunks: tuple[int, ...]) -> Slabs | Listed:
    start = held.id.get_offset()
    if start is None:  # nothing was ever written
        return Listed(path, {})
    return Slabs(
        path,
        start,
        start + held.nbytes,
        int(np.prod(chunks, dtype=np.int64)) * held.dtype.itemsize,
    )
