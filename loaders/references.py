"""An index of references as the loaders see it: which range of which file a chunk is.

The index was compared with its digest in the commit record, and is not trusted all the same: it
may name files of its own asset only. Ranges of these files are read as they are; nothing of
them can be compared but by reading them whole.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import xarray as xr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from scidata.errors import InvalidError
from scidata.loaders.fetch import open_objects
from scidata.loaders.places import AssetObjects
from scidata.manifest import Manifest

METADATA = "zarr.json"
_BASE = "{{base}}/"
_INLINE = "base64:"


@dataclass(frozen=True)
class Range:
    """Where a chunk lies: in a file of the asset, from a byte on."""

    path: str
    start: int
    length: int


@dataclass(frozen=True, kw_only=True)
class References:
    """A parsed index."""

    nodes: Mapping[str, Mapping[str, Any]]  # Any: JSON
    """Metadata of arrays and groups by path, "" for the root."""
    held: Mapping[str, bytes]
    """Chunks that the index holds itself, by key."""
    ranges: Mapping[str, Range]
    """All others."""


def parse_references(data: bytes, manifest: Manifest, *, where: str) -> References:
    """Read an index; `manifest` is that of the asset, by paths in it.

    Raises
    ------
    InvalidError
        If it is no index, or names a file that is none of the asset's.
    """
    try:
        document = json.loads(data)
        encoded = str(document["templates"]["base"]).startswith("http")
        return _parsed(document["refs"], manifest, encoded=encoded)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidError(
            f"the index of references makes no sense: {error}",
            where=where,
            fix="do not trust this store; read from another copy",
        ) from error


def _parsed(refs: Mapping[str, Any], manifest: Manifest, *, encoded: bool) -> References:
    nodes: dict[str, Any] = {}
    held: dict[str, bytes] = {}
    ranges: dict[str, Range] = {}
    known: dict[str, str] = {}
    for key, value in refs.items():
        if key == METADATA or key.endswith(f"/{METADATA}"):
            nodes[key.removesuffix(METADATA).rstrip("/")] = json.loads(value)
        elif isinstance(value, str):
            held[key] = _held(value)
        else:
            target, start, length = value
            if target not in known:
                known[target] = _path(str(target), manifest, encoded=encoded)
            if not (type(start) is int and type(length) is int and min(start, length) >= 0):
                raise ValueError(f"{key!r} lies at {start!r}, {length!r}")
            ranges[key] = Range(known[target], start, length)
    return References(nodes=nodes, held=held, ranges=ranges)


def _held(value: str) -> bytes:
    if not value.startswith(_INLINE):
        raise ValueError("a chunk is written in another way than base64")
    try:
        return base64.b64decode(value.removeprefix(_INLINE), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _path(target: str, manifest: Manifest, *, encoded: bool) -> str:
    path = target.removeprefix(_BASE)
    path = unquote(path) if encoded else path
    if path == target or path not in manifest:
        raise ValueError(f"it names {target!r}, which is none of the asset's files")
    return path


class ReferencedArrays(Store):
    """A read-only Zarr store over ranges of files."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True
    supports_consolidated_metadata = False

    def __init__(self, references: References, objects: AssetObjects, where: str) -> None:
        super().__init__(read_only=True)
        self._references, self._where = references, where
        self._objects = objects
        self._opened = open_objects(objects, where)
        self._metadata = {
            f"{path}/{METADATA}".lstrip("/"): json.dumps(node).encode()
            for path, node in references.nodes.items()
        }

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]  # as every Zarr store

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a chunk or metadata, or a part of it; None if the index does not have it."""
        data = self._metadata.get(key) or self._references.held.get(key)
        if data is None and (at := self._references.ranges.get(key)) is not None:
            (found,) = await self._opened.read(at.path, [(at.start, at.start + at.length)])
            data = bytes(found)
        if data is None:
            return None
        return prototype.buffer.from_bytes(_part(data, byte_range))

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return several parts, one after another."""
        return [await self.get(key, prototype, asked) for key, asked in key_ranges]

    async def exists(self, key: str) -> bool:
        """Answer from the index."""
        held = self._references.held
        return key in self._metadata or key in held or key in self._references.ranges

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in (*self._metadata, *self._references.held, *self._references.ranges):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys that begin so."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names in a group: only arrays and groups are looked for."""
        base = f"{prefix.rstrip('/')}/" if prefix else ""
        below = (k.removeprefix(base) for k in self._metadata if k.startswith(base))
        for name in dict.fromkeys(key.partition("/")[0] for key in below):
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: what is published never changes."""
        raise NotImplementedError(key)

    async def delete(self, key: str) -> None:
        """Refuse: what is published never changes."""
        raise NotImplementedError(key)


def _part(data: bytes, asked: ByteRequest | None) -> bytes:
    if isinstance(asked, RangeByteRequest):
        return data[asked.start : asked.end]
    if isinstance(asked, OffsetByteRequest):
        return data[asked.offset :]
    if isinstance(asked, SuffixByteRequest):
        return data[max(len(data) - asked.suffix, 0) :]
    return data


def open_references(
    references: References, objects: AssetObjects, group: str, where: str
) -> xr.Dataset:
    """Open a group of an index lazily, "" for the root; it must be there."""
    import warnings

    store = ReferencedArrays(references, objects, where)
    with warnings.catch_warnings():
        # Zarr 3.1 warns of codecs that HDF5 has and the text of Zarr v3 has not.
        warnings.filterwarnings("ignore", "Numcodecs codecs", UserWarning)
        # Any: what chunks=None returns is not in xarray's stubs as lazy arrays, but it is one.
        arrays: Any = xr.open_zarr(
            store,
            group=group or None,
            chunks=None,
            zarr_format=3,
            consolidated=False,
            decode_timedelta=False,
        )
    return cast("xr.Dataset", arrays)
