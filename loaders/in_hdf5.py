"""A file in HDF5 or NetCDF-4, streamed in place: h5py reads where its chunks lie.

The file is not trusted: links to other files, data in other files and virtual datasets are
refused, and so are filters that `scidata.loaders.codecs` does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, StorageError
from scidata.loaders.layout import Coordinates, Extent, Index, Labels, Layout, understood
from scidata.loaders.source import Asset
from scidata.references import hdf5

SLAB_BYTES = 2**20
"""Data that are stored in one piece are read in slabs of about this size."""


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
            self._sets = dict(hdf5.datasets(self._file))
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
        self._dims = hdf5.dimensions(self._sets)

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
        if held is None or self._dims[dimension] != (dimension,) or hdf5.is_empty_scale(held):
            return None
        import xarray as xr

        attributes = dict(hdf5.attributes(held))
        array = xr.Dataset({dimension: ((dimension,), hdf5.read(held), attributes)})
        return Labels(dimension, xr.decode_cf(array)[dimension].values)

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a small variable whole."""
        return hdf5.read(self._sets[name]) if name in self._sets else None

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
        if hdf5.is_compact(held):
            raise InvalidError(
                "its numbers are part of the file's header",
                where=where,
                fix="rewrite the file, with h5repack for example, or read with to_xarray",
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
            fill=hdf5.fill_value(held),
            attributes=dict(hdf5.attributes(held)),
            codecs=list(hdf5.codecs(held)),
            table=table or _slabs(held, self._asset.path, chunks),
            partial=not held.chunks,
        )


def _listed(held: h5py.Dataset, path: str, where: str) -> Listed:
    spans = hdf5.chunk_spans(held)
    if spans is None:
        raise InvalidError(
            "a chunk of it was written without its filters",
            where=where,
            fix="rewrite the file, with h5repack for example",
        )
    return Listed(path, {at: Extent(path, low, low + n) for at, (low, n) in spans.items()})


def _slab(held: h5py.Dataset) -> tuple[int, ...]:
    if not held.shape:
        return ()
    row = prod(held.shape[1:]) * held.dtype.itemsize
    rows = min(max(SLAB_BYTES // max(row, 1), 1), max(held.shape[0], 1))
    return (rows, *held.shape[1:])


def _slabs(held: h5py.Dataset, path: str, chunks: tuple[int, ...]) -> Slabs | Listed:
    start = hdf5.contiguous_start(held)
    if start is None:  # nothing was ever written
        return Listed(path, {})
    return Slabs(
        path,
        start,
        start + held.nbytes,
        int(np.prod(chunks, dtype=np.int64)) * held.dtype.itemsize,
    )
