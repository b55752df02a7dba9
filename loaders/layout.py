"""Where the chunks of an array lie, and what their bytes mean, whatever format they are in.

A `Layout` is what the reader and its threads share. A chunk is absent, and full of the fill
value, only if the manifest does not list its object, or the index of its shard says so.
"""

import base64
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError
from scidata.loaders.codecs import Bytes, Codec, Numbers, decoder, without_crc
from scidata.manifest import Manifest

Coordinates: TypeAlias = tuple[int, ...]
"""Of a chunk in the grid of chunks."""

_ABSENT = 2**64 - 1
_CRC_BYTES = 4
MAX_INDEX_BYTES = 64 * 2**20
_WIDE = 4
_SINCE = " since "


class Extent(NamedTuple):
    """Where a chunk's bytes are; the whole object if `stop` is None."""

    path: str
    start: int
    stop: int | None


class Labels(NamedTuple):
    """Names of the entries of a dimension."""

    dimension: str
    values: npt.NDArray[Any]
    """(n,)"""


class Table(Protocol):
    """Finds chunks in objects."""

    def object_of(self, chunk: Coordinates) -> str | None:
        """Name the object that holds a chunk; None if there is none, so all is fill value."""
        ...

    def index_bytes(self) -> int:
        """Length of the index at an object's end or start; 0 if a chunk is a whole object."""
        ...

    def extent(self, chunk: Coordinates, path: str, index: "Index | None") -> Extent | None:
        """Say where in its object a chunk is; None if all of it is fill value."""
        ...


class Decodes(Protocol):
    """Turns the stored bytes of chunks into numbers; `codecs.Decoder` says more."""

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk's numbers."""
        ...

    def direct(self, out: Numbers) -> bool:
        """Tell whether a chunk can be decompressed straight into `out`."""
        ...

    def into(self, raw: Bytes, out: Numbers) -> None:
        """Decode a chunk into `out`, for which `direct` holds."""
        ...

    def decode(self, raw: Bytes, at: Extent) -> Numbers:
        """Return a chunk's numbers, valid until the same thread decodes again."""
        ...


Index: TypeAlias = npt.NDArray[np.uint64]
"""(chunks, 2): offset and length of every chunk of a shard."""


@dataclass(frozen=True)
class WholeObjects:
    """One object a chunk."""

    key: Callable[[Coordinates], str]
    manifest: Manifest

    def object_of(self, chunk: Coordinates) -> str | None:
        """Look it up in the manifest."""
        path = self.key(chunk)
        return path if path in self.manifest else None

    def index_bytes(self) -> int:
        """There is no index."""
        return 0

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Take all of the object."""
        return Extent(path, 0, None)


@dataclass(frozen=True)
class Shards:
    """Many chunks an object, found by the index in it."""

    key: Callable[[Coordinates], str]
    manifest: Manifest
    per_shard: Coordinates
    """Chunks along each dimension."""
    index_at_end: bool
    index_has_crc: bool

    def object_of(self, chunk: Coordinates) -> str | None:
        """Look the shard up in the manifest."""
        shard = tuple(c // n for c, n in zip(chunk, self.per_shard, strict=True))
        path = self.key(shard)
        return path if path in self.manifest else None

    def index_bytes(self) -> int:
        """Two numbers of 8 bytes a chunk, and a crc32c."""
        return 16 * math.prod(self.per_shard) + _CRC_BYTES * self.index_has_crc

    def parse(self, raw: bytes | memoryview) -> Index:
        """Read an index.

        Raises
        ------
        ValueError
            If it is cut short or its crc32c differs.
        """
        if len(raw) != self.index_bytes():
            raise ValueError(f"its index has {len(raw)} bytes, not {self.index_bytes()}")
        body = without_crc(raw) if self.index_has_crc else raw
        return np.frombuffer(body, "<u8").reshape(-1, 2).astype(np.uint64)

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Look the chunk up in the shard's index."""
        assert index is not None  # noqa: S101  # a table with an index is asked with it
        at = 0
        for c, n in zip(chunk, self.per_shard, strict=True):
            at = at * n + c % n
        offset, length = index[at].tolist()
        if offset == length == _ABSENT:
            return None
        if offset + length >= 2**63:
            raise ValueError(f"its index places a chunk at {offset}")
        return Extent(path, offset, offset + length)


@dataclass(frozen=True)
class Scaling:
    """CF packing: what is stored is scaled, shifted, and NaN where it is one of some values."""

    factor: float
    offset: float
    missing: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """An array of an asset, ready to be read in boxes."""

    asset: str
    """Key of the asset that it belongs to."""
    name: str
    where: str
    """For messages."""
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    """Of the numbers that are given out: what torch holds."""
    fill: Any
    """In `dtype`, after scaling."""
    decoder: Decodes
    table: Table
    scaling: Scaling | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def understood(
    *,
    asset: str,
    name: str,
    where: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    stored: np.dtype[Any],
    fill: Any,
    attributes: Mapping[str, Any],
    codecs: Sequence[Codec],
    table: Table,
    partial: bool = False,
) -> Layout:
    """Return a layout whose numbers are what xarray reads, in a type that torch holds."""
    stored, written = _meant(stored, attributes), stored
    if stored != written and fill is not None:
        fill = np.asarray(fill).astype(stored)[()]
    if _SINCE in str(attributes.get("units", "")):
        raise InvalidError(
            f"times ({attributes['units']}) do not go into tensors",
            where=where,
            fix="leave the variable out of the samples: batches hold the index of each sample",
        )
    scaling = _scaling(attributes, stored)
    dtype = tensor_dtype(stored, scaled=scaling is not None, where=where)
    value = 0 if fill is None else fill
    if scaling is not None:
        number = float(value)  # not in 16 bits
        absent = number in scaling.missing
        value = np.nan if absent else number * scaling.factor + scaling.offset
    return Layout(
        asset=asset,
        name=name,
        where=where,
        dims=dims,
        shape=tuple(shape),
        chunks=tuple(chunks),
        dtype=dtype,
        fill=np.asarray(value).astype(dtype)[()],
        decoder=decoder(codecs, stored, tuple(chunks), partial=partial, where=where),
        table=table,
        scaling=scaling,
    )


def tensor_dtype(stored: np.dtype[Any], *, scaled: bool, where: str) -> np.dtype[Any]:
    """Return float32 for floating and packed numbers; whole numbers keep their width.

    Packed numbers of 32 bits or more, and such with fill values, become float64. Unsigned ones
    of 16 and 32 bits become signed ones of twice the width, since torch hardly computes with
    them.

    Raises
    ------
    InvalidError
        If torch has no such numbers: texts, dates, complex numbers.
    """
    if scaled and stored.kind in "iu" and stored.itemsize >= _WIDE:
        return np.dtype(np.float64)  # float32 would make one of two neighbours
    if scaled or stored.kind == "f":
        return np.dtype(np.float32)
    if stored.kind == "u" and stored.itemsize in {2, 4}:
        return np.dtype(f"i{2 * stored.itemsize}")
    if stored.kind in "biu":
        return stored.newbyteorder("=")
    raise InvalidError(
        f"numbers of type {stored} do not go into tensors",
        where=where,
        fix="leave the variable out of the samples, or publish it as numbers",
    )


def _meant(stored: np.dtype[Any], attributes: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the type that ``_Unsigned`` names: NetCDF 3 had no word for unsigned numbers."""
    named = stored.kind, str(attributes.get("_Unsigned")).lower()
    kind = {("i", "true"): "u", ("u", "false"): "i"}.get(named)
    return stored if kind is None else np.dtype(stored.str.replace(stored.kind, kind))


def _scaling(attributes: Mapping[str, Any], stored: np.dtype[Any]) -> Scaling | None:
    """Read CF's packing, as xarray does; None if nothing comes of it."""
    factor = _number(attributes.get("scale_factor", 1.0))
    offset = _number(attributes.get("add_offset", 0.0))
    held = [attributes[n] for n in ("_FillValue", "missing_value") if n in attributes]
    missing = tuple(value for value in map(_number, held) if not math.isnan(value))
    if "_Unsigned" in attributes and stored.kind in "iu":
        missing = tuple(float(np.asarray(int(value)).astype(stored)) for value in missing)
    packed = "scale_factor" in attributes or "add_offset" in attributes
    if not packed and not missing:
        return None
    if stored.kind not in "iuf":
        return None
    return Scaling(factor, offset, missing)


def _number(value: Any) -> float:
    # Xarray writes the fill value of floating numbers in Zarr v3 as base64 of a double.
    try:
        if isinstance(value, str):
            return float(struct.unpack("<d", base64.b64decode(value))[0])
        return float(np.asarray(value).reshape(-1)[0])
    except (ValueError, TypeError, struct.error, IndexError) as error:
        raise InvalidError(
            f"{value!r} in its attributes is not a number",
            where="scale_factor, add_offset, _FillValue or missing_value",
            fix="publish a version whose attributes follow CF",
        ) from error
