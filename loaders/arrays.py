"""A published Zarr asset as lazy xarray data, read from the store without a copy.

Zarr takes an absent chunk for one full of fill values, so a lost object would become silent
nonsense. Here the manifest says which objects exist: one that it lists and the store lacks is
an error, and one that it does not list is never asked for. Whole objects (all metadata, and
chunks that are not sharded) are compared with their digest as they arrive; ranges of shards are
not.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, cast

import obstore.store
import xarray as xr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, ObjectStore, WrapperStore

from scidata.digest import Digest
from scidata.errors import Damage, InvalidError, StorageError
from scidata.loaders.places import AssetObjects, Place, Spread, damaged
from scidata.manifest import Manifest
from scidata.storage import STARTED_IN
from scidata.storage.refusals import refuses_ranges

SMALL, SMALL_OBJECTS = 64 * 2**10, 64
"""Bytes of an object that is kept once read, and how many of them: 4 MiB at most."""
METADATA = "zarr.json"
MAX_LABELS = 2**28
"""Elements of an array that names the places of a dimension: it is held in memory whole."""


class PublishedArrays(WrapperStore[Store]):
    """A read-only Zarr store that knows which objects exist and what they must hash to."""

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        where: str,
        elsewhere: Mapping[str, Store] = MappingProxyType({}),
    ) -> None:
        super().__init__(store)
        self.manifest = manifest
        self.where = where
        # What holds the objects, by their keys, that lie in another place than the rest.
        self._elsewhere = elsewhere
        # Labels and metadata, which xarray and zarr read several times while they open.
        self._small: dict[str, Buffer] = {}
        # The metadata of the nodes below the root by their keys, as the root has them.
        self._below: dict[str, bytes] | None = None

    def expect_nothing_of_root(self) -> None:
        """Do without the root's metadata of other nodes, and read theirs."""
        self._below = {}

    def kind_of(self, path: str) -> str | None:
        """Return ``group`` or ``array``, by a node's path, "" for the root; None if absent."""
        key = f"{path}/{METADATA}".lstrip("/")
        buffer = sync(self.get(key, default_buffer_prototype()))
        return None if buffer is None else str(json.loads(buffer.to_bytes()).get("node_type"))

    def arrays(self) -> list[str]:
        """Return the paths of all arrays."""
        keys = [k for k in self.manifest if k == METADATA or k.endswith(f"/{METADATA}")]
        nodes = [key.removesuffix(METADATA).rstrip("/") for key in keys]
        return [path for path in nodes if self.kind_of(path) == "array"]

    def _with_store(self, store: Store) -> "PublishedArrays":
        return PublishedArrays(store, self.manifest, self.where, self._elsewhere)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublishedArrays) and self.where == other.where

    __hash__ = None  # type: ignore[assignment]  # as every Zarr store

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return an object or a range of it; None only if the manifest does not list it."""
        if key not in self.manifest:
            return None
        if byte_range is None and key in self._small:
            return self._small[key]
        if byte_range is None and key.endswith(f"/{METADATA}"):
            held = await self._from_root(key, prototype)
            found = await self._fetch(key, prototype, None) if held is None else held
            check_index(key.split("/")[-2], found.to_bytes(), f"{key} in {self.where}")
            return found
        return await self._fetch(key, prototype, byte_range)

    async def _from_root(self, key: str, prototype: BufferPrototype) -> Buffer | None:
        """Take a node's metadata from the root's, if that holds it: one request for all."""
        if self._below is None:
            root = await self.get(METADATA, prototype)
            self._below = {} if root is None else _consolidated(root.to_bytes())
        held = self._below.get(key)
        return None if held is None else prototype.buffer.from_bytes(held)

    async def _fetch(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer:
        try:
            buffer = await self._get(key, prototype, byte_range)
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StorageError(
                f"{key} cannot be read: {type(error).__name__}",
                where=self.where,
                fix="check that the store can be reached, then run the same again",
            ) from error
        if buffer is None:
            raise damaged(key, self.where, Damage(path=key, state="missing"))
        if byte_range is None:
            self._compare(key, buffer)
            if key == METADATA or (len(buffer) <= SMALL and len(self._small) < SMALL_OBJECTS):
                self._small[key] = buffer
        return buffer

    async def _get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer | None:
        store = self._elsewhere.get(key, self._store)
        try:
            return await store.get(key, prototype, byte_range)
        except obstore.exceptions.BaseError as error:
            if byte_range is None or not refuses_ranges(error):
                raise
        whole = await store.get(key, prototype)
        return None if whole is None else whole[_slice(byte_range, len(whole))]

    def _compare(self, key: str, buffer: Buffer) -> None:
        expected, found = self.manifest[key], Digest.of(buffer.to_bytes())
        if found != expected:
            damage = Damage(path=key, state="bad", expected=str(expected), found=str(found))
            raise damaged(key, self.where, damage)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Answer from the manifest: how groups without consolidated metadata are opened."""
        base = f"{prefix.rstrip('/')}/" if prefix else ""
        below = (path.removeprefix(base) for path in self.manifest if path.startswith(base))
        for name in dict.fromkeys(path.partition("/")[0] for path in below):
            yield name

    async def exists(self, key: str) -> bool:
        """Answer from the manifest, without a request."""
        return key in self.manifest


def check_index(name: str, metadata: bytes, where: str) -> None:
    """Refuse labels so many that to open the array would fill the memory.

    xarray reads the labels of a dimension when it opens a store, and an array without chunks
    costs its publisher nothing, of whatever shape.

    Raises
    ------
    InvalidError
        If an array that is its own dimension has more than `MAX_LABELS` elements.
    """
    try:
        node = json.loads(metadata)
    except (ValueError, RecursionError):
        return  # zarr will say so
    shape = node.get("shape") if isinstance(node, dict) else None
    if shape is None or node.get("dimension_names") != [name]:
        return
    if not isinstance(shape, list) or len(shape) != 1 or not 0 <= int(shape[0]) <= MAX_LABELS:
        raise InvalidError(
            f"{name!r} labels its dimension with an array of the shape {str(shape)[:80]}",
            where=where,
            fix="do not trust this version; scidata show says who published it",
        )


def _slice(asked: ByteRequest, size: int) -> slice:
    if isinstance(asked, RangeByteRequest):
        return slice(asked.start, asked.end)
    if isinstance(asked, OffsetByteRequest):
        return slice(asked.offset, size)
    return slice(max(size - asked.suffix, 0), size)


def open_arrays(
    objects: AssetObjects,
    manifest: Manifest,
    *,
    where: str,
    consolidated: bool = True,
) -> xr.Dataset:
    """Open the root of a Zarr asset lazily.

    Parameters
    ----------
    objects : obstore ObjectStore or Spread
        The asset's own objects, ``zarr.json`` at the root.
    manifest : Manifest
        Of the same objects, relative to the asset.
    where : str
        For messages, such as ``tevolop@1.0.0/data/grid.zarr``.
    consolidated : bool
        False if the root is known not to hold the metadata of the arrays.

    Raises
    ------
    IntegrityError
        When an object is missing from the store or differs from the manifest.
    StorageError
        When the store cannot be read.
    """
    store = published_arrays(objects, manifest, where)
    if not consolidated:
        store.expect_nothing_of_root()
    return open_group(store, "")


def published_arrays(objects: AssetObjects, manifest: Manifest, where: str) -> PublishedArrays:
    """Return a Zarr store of an asset's objects; parameters as for `open_arrays`."""
    if not isinstance(objects, Spread):
        return PublishedArrays(_zarr_store(objects), manifest, where)
    stores = [_zarr_store(view) for view in objects.views]
    elsewhere = {path: stores[number] for path, number in objects.number.items() if number}
    return PublishedArrays(stores[0], manifest, where, elsewhere)


def _zarr_store(objects: obstore.store.ObjectStore) -> Store:
    if os.getpid() != STARTED_IN:
        return _without_rust(objects)
    return ObjectStore(objects, read_only=True)


def open_group(store: PublishedArrays, group: str) -> xr.Dataset:
    """Open a group by its path, "" for the root; it must be there."""
    # consolidated=False: the store itself answers from the root's metadata, in every group.
    # Any: what chunks=None returns is not in xarray's stubs as lazy arrays, but it is one.
    arrays: Any = xr.open_zarr(
        store,
        group=group or None,
        chunks=None,
        zarr_format=3 if METADATA in store.manifest else 2,
        consolidated=False,
        decode_timedelta=False,
    )
    return cast("xr.Dataset", arrays)


def _without_rust(objects: obstore.store.ObjectStore) -> Store:
    """Return the same objects through Python only, for processes made by fork."""
    place = Place.of(objects)
    if isinstance(objects, obstore.store.LocalStore):
        return LocalStore(str(objects.prefix), read_only=True)
    if place is not None:
        from zarr.storage import FsspecStore

        files, root = place.through_python(), place.url.removeprefix("s3://")
        return FsspecStore(files, read_only=True, path=root)
    raise StorageError(
        f"{type(objects).__name__} cannot be read by a process made by fork",
        where="stream",
        fix="give DataLoader multiprocessing_context='spawn', or num_workers=0",
    )


def _consolidated(root: bytes) -> dict[str, bytes]:
    held = json.loads(root).get("consolidated_metadata") or {}
    nodes: dict[str, Any] = held.get("metadata") or {}  # Any: JSON
    return {f"{path}/{METADATA}": json.dumps(node).encode() for path, node in nodes.items()}
