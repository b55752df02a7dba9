"""What an opened asset holds, whatever its format: dimensions, labels, values, layouts.

One file a format: `in_zarr`, `in_hdf5`, `in_parquet`. Each names the arrays of an asset and
says where their chunks lie; everything after that is the same for all.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy.typing as npt

from scidata.errors import InvalidError
from scidata.formats.media import HDF5_SUFFIXES
from scidata.loaders.layout import Labels, Layout
from scidata.loaders.source import Asset


class Contents(Protocol):
    """An asset, opened in one process."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of every dimension."""
        ...

    def labels(self, dimension: str) -> Labels | None:
        """Return the labels of a dimension, if it has any."""
        ...

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a small variable whole; None if there is none of that name."""
        ...

    def layouts(self, names: Sequence[str]) -> Mapping[str, Layout]:
        """Say where the chunks of some variables lie; those that are absent are left out."""
        ...

    def close(self) -> None:
        """Let go of files; layouts stay good."""
        ...


_FORMATS: Mapping[str, tuple[str, str]] = {
    "zarr": ("scidata.loaders.in_zarr", "ZarrContents"),
    "references": ("scidata.loaders.in_references", "ReferencedContents"),
    "parquet": ("scidata.loaders.in_parquet", "ParquetContents"),
    **dict.fromkeys(HDF5_SUFFIXES, ("scidata.loaders.in_hdf5", "Hdf5Contents")),
}
"""Module and class, imported when the first asset of the kind is opened."""


def open_contents(asset: Asset) -> Contents:
    """Open an asset.

    Raises
    ------
    InvalidError
        If nothing here reads assets of its kind.
    """
    suffix = PurePosixPath(asset.path).suffix.lower()
    named = _FORMATS.get(asset.kind) or _FORMATS.get(suffix)
    if named is None:
        raise InvalidError(
            f"assets of kind {asset.kind!r} are not streamed",
            where=asset.where,
            fix="choose a Zarr store, a Parquet table, or a file in HDF5 or NetCDF-4",
        )
    module, name = named
    opened: Contents = getattr(import_module(module), name)(asset)
    return opened
