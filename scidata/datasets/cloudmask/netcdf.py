"""Numbers of NetCDF files, classic or of HDF5, decoded as their attributes say.

The files are not trusted: links to other files, data in other files and objects of any size are
refused before they are read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from scidata.datasets.cloudmask.scene import refuse
from scidata.errors import InvalidError
from scidata.references.hdf5 import READING
from scidata.references.netcdf3 import MAGIC, read_netcdf3
from scidata.references.stored import Along, StoredArray

Values: TypeAlias = npt.NDArray[Any]
Attributes: TypeAlias = Mapping[str, Any]  # Any: numbers and texts of any type

MOST_BYTES = 512 * 2**20
"""Of one array; a channel of the 0.5 km grid has 14 million as it is stored."""


class NetCdf:
    """Arrays of one open file, by name."""

    def __init__(self, held: Mapping[str, Any], file: IO[bytes], name: str) -> None:
        self._held = held
        self._file = file
        self._name = name

    def __contains__(self, variable: str) -> bool:
        return variable in self._held

    def shape(self, variable: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        found: tuple[int, ...] = self._held[variable].shape
        return found

    def raw(self, variable: str) -> Values:
        """Return an array as it is stored.

        Raises
        ------
        InvalidError
            If it is larger than half a gigabyte, or cannot be read.
        """
        held = self._held[variable]
        if prod(held.shape) * held.dtype.itemsize > MOST_BYTES:
            raise refuse(self._name, "size", f"{variable} has the shape {held.shape}")
        try:
            return _stored(held, self._file) if isinstance(held, StoredArray) else held[...]
        except READING as error:
            message = f"{variable} cannot be read: {error}"
            raise refuse(self._name, "hdf5", message) from error

    def decoded(self, variable: str) -> npt.NDArray[np.float32]:
        """Return an array in its unit: scaled, and NaN where it holds its fill value."""
        stored, notes = self.raw(variable), self.attributes(variable)
        values = stored.astype(np.float64)
        if "_FillValue" in notes:
            values[stored == _number(notes["_FillValue"])] = np.nan
        values *= _number(notes.get("scale_factor", 1))
        values += _number(notes.get("add_offset", 0))
        return values.astype(np.float32)

    def attributes(self, variable: str) -> Attributes:
        """Return the attributes of an array."""
        held = self._held[variable]
        return dict(held.attributes if isinstance(held, StoredArray) else held.attrs)


@contextmanager
def opened(path: Path, name: str) -> Iterator[NetCdf]:
    """Open a file.

    Parameters
    ----------
    path : Path
    name : str
        For messages.

    Raises
    ------
    InvalidError
        If it is damaged, or neither HDF5 nor NetCDF.
    """
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        file.seek(0)
        if magic == MAGIC:
            header = read_netcdf3(file, Along(dimension="", kind="new"), where=name)
            yield NetCdf(header.arrays, file, name)
            return
        try:
            with h5py.File(file, "r") as root:
                yield NetCdf(dict(_arrays(root)), file, name)
        except InvalidError:
            raise
        except READING as error:
            message = f"it is no sound NetCDF file: {error}"
            raise refuse(name, "netcdf", message) from error


def _arrays(root: Any) -> Iterator[tuple[str, Any]]:  # Any: h5py has no types
    for key in root:
        if not isinstance(root.get(key, getlink=True), h5py.HardLink):
            continue
        held = root[key]
        if not isinstance(held, h5py.Dataset) or held.external or held.is_virtual:
            continue
        if held.shape is not None and held.dtype.kind in "iuf":
            yield key, held


def _stored(held: StoredArray, file: IO[bytes]) -> Values:
    if held.values is not None:
        return held.values
    parts = []
    for start, length in held.spans.values():
        file.seek(start)
        parts.append(np.frombuffer(file.read(length), held.dtype))
    joined = np.concatenate(parts) if parts else np.empty(0, held.dtype)
    return joined.reshape(held.shape)


def _number(value: Any) -> float:  # Any: a number, or an array of one
    return float(np.asarray(value).ravel()[0])
