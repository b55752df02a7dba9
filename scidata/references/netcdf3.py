"""The header of a NetCDF-3 file: classic, 64-bit offset, and 64-bit data (CDF-1, -2, -5).

Source: "The NetCDF Classic Format Specification", Unidata. The numbers lie in one piece, or, of
variables along the unlimited dimension, record by record, so every reader of bytes can find
them; nothing is compressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

from scidata.errors import InvalidError
from scidata.references.stored import (
    LABEL_BYTES,
    MAX_CHUNKS,
    MAX_TEXTS,
    Along,
    Coordinates,
    Header,
    Span,
    StoredArray,
    Values,
    slabs,
)

MAGIC = b"CDF"
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 0x0A, 0x0B, 0x0C
_CLASSIC, _DATA64 = 1, 5
_MAX_NAMES = 10_000
_MAX_BYTES = 16 * 2**20
_TYPES: Mapping[int, str] = dict(
    enumerate((">i1", "S1", ">i2", ">i4", ">f4", ">f8", ">u1", ">u2", ">u4", ">i8", ">u8"), 1)
)
_CHAR = 2
_BIG: Mapping[str, Any] = {"name": "bytes", "configuration": {"endian": "big"}}  # Any: JSON


class _BadError(ValueError):
    """The bytes are no header."""


class _Variable(NamedTuple):
    name: str
    dims: tuple[int, ...]
    attributes: Mapping[str, Any]
    kind: int
    begin: int


@dataclass
class _Cursor:
    """Reads the header's numbers and names in their order."""

    file: IO[bytes]
    wide: bool
    """Counts have 8 bytes, as in CDF-5."""

    def take(self, count: int) -> bytes:
        if not 0 <= count <= _MAX_BYTES:
            raise _BadError(f"a piece of {count} bytes")
        data = self.file.read(count)
        if len(data) != count:
            raise _BadError("it is cut short")
        return data

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def count(self) -> int:
        return self.number(8 if self.wide else 4)

    def padded(self, count: int) -> bytes:
        return self.take(count + -count % 4)[:count]

    def name(self) -> str:
        return self.padded(self.count()).decode("utf-8")

    def listed(self, tag: int) -> int:
        """Return how many entries a list has; the tag of an empty one may be zero."""
        found, entries = self.number(4), self.count()
        if entries > _MAX_NAMES or (found != tag and (found or entries)):
            raise _BadError(f"a list of {entries} entries with the tag {found}")
        return entries

    def attributes(self) -> dict[str, Any]:
        return dict(self._attribute() for _ in range(self.listed(_ATTRIBUTES)))

    def _attribute(self) -> tuple[str, Any]:
        name, kind, count = self.name(), self.number(4), self.count()
        if kind not in _TYPES:
            raise _BadError(f"the type {kind}")
        data = self.padded(count * np.dtype(_TYPES[kind]).itemsize)
        if kind == _CHAR:
            return name, data.rstrip(b"\0").decode("utf-8", "replace")
        values = np.frombuffer(data, _TYPES[kind])
        values = values.astype(values.dtype.newbyteorder("="))
        return name, values[0] if count == 1 else values


def read_netcdf3(file: IO[bytes], along: Along, *, where: str) -> Header:
    """Read the header of a file, and the values that `along` asks for.

    Raises
    ------
    InvalidError
        If it is not a sound NetCDF-3 file.
    """
    try:
        return _read(file, along)
    except (_BadError, UnicodeDecodeError, OverflowError) as error:
        raise InvalidError(
            f"it is not a sound NetCDF-3 file: {error}",
            where=where,
            fix="leave the file out, or bring back a sound copy of it",
        ) from error


def _read(file: IO[bytes], along: Along) -> Header:
    file.seek(0)
    magic = file.read(4)
    if magic[:3] != MAGIC or magic[3] not in {_CLASSIC, 2, _DATA64}:
        raise _BadError("it does not begin with CDF and 1, 2 or 5")
    cursor = _Cursor(file, magic[3] == _DATA64)
    records = cursor.count()
    dims = [(cursor.name(), cursor.count()) for _ in range(cursor.listed(_DIMENSIONS))]
    notes = cursor.attributes()
    offset = 4 if magic[3] == _CLASSIC else 8
    variables = [_variable(cursor, len(dims), offset) for _ in range(cursor.listed(_VARIABLES))]
    size = file.seek(0, 2)
    shapes = _Shapes(dims, variables, records, size)
    arrays: dict[str, StoredArray] = {}
    omitted: dict[str, str] = {}
    for variable in variables:
        found = shapes.array(variable, file, along)
        if isinstance(found, str):
            omitted[variable.name] = found
        else:
            arrays[variable.name] = found
    return Header(arrays=arrays, omitted=omitted, attributes=notes)


def _variable(cursor: _Cursor, dims: int, offset: int) -> _Variable:
    name = cursor.name()
    ids = tuple(cursor.count() for _ in range(min(cursor.count(), _MAX_NAMES)))
    if any(n >= dims for n in ids):
        raise _BadError(f"{name!r} lies along a dimension that is not there")
    notes, kind = cursor.attributes(), cursor.number(4)
    cursor.count()  # its size, which says nothing of large variables
    if kind not in _TYPES:
        raise _BadError(f"{name!r} is of the type {kind}")
    return _Variable(name, ids, notes, kind, cursor.number(offset))


class _Shapes:
    """Knows which variables lie in records, and how large a record is."""

    def __init__(
        self, dims: list[tuple[str, int]], variables: list[_Variable], records: int, size: int
    ) -> None:
        self._dims, self._size = dims, size
        inside = [self._bytes(v) for v in variables if self._in_records(v)]
        # A single variable in records is not padded.
        self._record = inside[0] if len(inside) == 1 else sum(n + -n % 4 for n in inside)
        first = min((v.begin for v in variables if self._in_records(v)), default=size)
        if records in {2**32 - 1, 2**64 - 1}:  # as it is written while somebody streams
            records = (size - first) // max(self._record, 1)
        self._records = records

    def _in_records(self, variable: _Variable) -> bool:
        return bool(variable.dims) and self._dims[variable.dims[0]][1] == 0

    def _bytes(self, variable: _Variable) -> int:
        """Return the bytes of a variable, of one record if it lies in records."""
        lengths = [self._dims[n][1] for n in variable.dims]
        inner = lengths[1:] if self._in_records(variable) else lengths
        return prod(inner) * np.dtype(_TYPES[variable.kind]).itemsize

    def array(self, variable: _Variable, file: IO[bytes], along: Along) -> StoredArray | str:
        names = tuple(self._dims[n][0] for n in variable.dims)
        inside = self._in_records(variable)
        shape = tuple(self._dims[n][1] for n in variable.dims)
        shape = (self._records, *shape[1:]) if inside else shape
        dtype = np.dtype(_TYPES[variable.kind])
        chunks, spans = self._spans(variable, shape, dtype.itemsize)
        nbytes = prod(shape) * dtype.itemsize
        if any(start + length > self._size for start, length in spans.values()):
            raise _BadError(f"it ends before {variable.name!r} does")
        if variable.kind == _CHAR:
            if prod(shape[:-1]) > MAX_TEXTS or nbytes > LABEL_BYTES:
                return (
                    f"it holds {prod(shape[:-1]):,} texts, more than are copied into an index"
                )
            return _texts(variable, names, shape, _values(file, spans, dtype, chunks, shape))
        copied = along.copies(variable.name, names, nbytes)
        return StoredArray(
            dims=names,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            codecs=(_BIG,),
            attributes=variable.attributes,
            spans=spans,
            values=_values(file, spans, dtype, chunks, shape) if copied else None,
        )

    def _spans(
        self, variable: _Variable, shape: tuple[int, ...], itemsize: int
    ) -> tuple[tuple[int, ...], dict[Coordinates, Span]]:
        if not self._in_records(variable):
            return slabs(shape, itemsize, variable.begin)
        length, rest = self._bytes(variable), (0,) * (len(shape) - 1)
        if self._records > MAX_CHUNKS:
            raise _BadError(f"{self._records} records, more than {MAX_CHUNKS}")
        chunks = (1, *(max(n, 1) for n in shape[1:]))
        return chunks, {
            (n, *rest): (variable.begin + n * self._record, length)
            for n in range(self._records)
            if length
        }


def _values(
    file: IO[bytes],
    spans: Mapping[Coordinates, Span],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    shape: tuple[int, ...],
) -> Values:
    """Read a small variable whole: its chunks are whole rows, one after another."""
    parts = []
    for start, length in spans.values():
        file.seek(start)
        parts.append(np.frombuffer(file.read(length), dtype).reshape(chunks))
    if not parts:
        return np.zeros(shape, dtype)
    return np.concatenate(parts).reshape(shape) if shape else parts[0]


def _texts(
    variable: _Variable, names: tuple[str, ...], shape: tuple[int, ...], letters: Values
) -> StoredArray:
    """Join letters along the last dimension, as every reader of NetCDF does."""
    joined, width = (names[:-1], shape[-1]) if shape else (names, 1)
    count = prod(shape[:-1])
    rows = letters.reshape(count, width)
    texts = [row.tobytes().rstrip(b"\0 ").decode("utf-8", "replace") for row in rows]
    return StoredArray(
        dims=joined,
        shape=shape[:-1],
        chunks=shape[:-1],
        dtype=np.dtype(np.str_),
        attributes=variable.attributes,
        values=np.array(texts, np.str_).reshape(shape[:-1]),
    )
