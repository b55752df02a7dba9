"""A published Zarr asset as lazy xarray data, read from the store without a copy.

Zarr takes an absent chunk for one full of fill values, so a lost object would become silent
nonsense. Here the manifest says which objects exist: one that it lists and the store lacks is
an error, and one that it does not list is never asked for. Whole objects (all metadata, and
chunks that are not sharded) are compared with their digest as they arrive; ranges of shards are
not.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import obstore.store
import xarray as xr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, ObjectStore, WrapperStore

from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, StorageError
from scidata.manifest import Manifest
from scidata.storage import open_store

SMALL, SMALL_OBJECTS = 64 * 2**10, 64
"""Bytes of an object that is kept once read, and how many of them: 4 MiB at most."""

# Rust's threads do not survive a fork, and a read in the child would wait for ever.
IMPORTED_IN = os.getpid()


@dataclass(frozen=True)
class Place:
    """Where objects are, as it may travel to another process: never with credentials.

    obstore's own pickles hold the secret key, and do not open again with every configuration.
    """

    url: str
    endpoint: str | None = None
    anonymous: bool = False

    @classmethod
    def of(cls, objects: obstore.store.ObjectStore) -> "Place | None":
        """Say where objects are; None for those in this process's memory."""
        if isinstance(objects, obstore.store.LocalStore):
            return cls(str(objects.prefix))
        if isinstance(objects, obstore.store.HTTPStore):
            return cls(objects.url)
        if not isinstance(objects, obstore.store.S3Store):
            return None
        config: dict[str, Any] = dict(objects.config)  # Any: obstore leaves values untyped
        endpoint = config.get("endpoint_url_s3") or config.get("endpoint")
        url = f"s3://{config['bucket']}/{objects.prefix or ''}".rstrip("/")
        return cls(url, endpoint, str(config.get("skip_signature")).lower() == "true")

    def through_python(self, *, asynchronous: bool = True) -> Any:  # Any: no types
        """Return a file system for S3 or https that needs nothing from Rust."""
        if self.url.startswith("s3://"):
            import s3fs

            return s3fs.S3FileSystem(
                anon=self.anonymous,
                endpoint_url=self.endpoint,
                asynchronous=asynchronous,
                skip_instance_cache=True,
            )
        from fsspec.implementations.http import HTTPFileSystem

        return HTTPFileSystem(asynchronous=asynchronous, skip_instance_cache=True)

    def open(self) -> obstore.store.ObjectStore:
        """Open the objects; credentials come from this process's environment."""
        store = open_store(self.url, endpoint_url=self.endpoint, anonymous=self.anonymous)
        return store.objects()


class PublishedArrays(WrapperStore[Store]):
    """A read-only Zarr store that knows which objects exist and what they must hash to."""

    def __init__(self, store: Store, manifest: Manifest, where: str) -> None:
        super().__init__(store)
        self.manifest = manifest
        self.where = where
        # Labels and metadata, which xarray and zarr read several times while they open.
        self._small: dict[str, Buffer] = {}

    def _with_store(self, store: Store) -> "PublishedArrays":
        return PublishedArrays(store, self.manifest, self.where)

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
        try:
            buffer = await self._store.get(key, prototype, byte_range)
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
            if len(buffer) <= SMALL and len(self._small) < SMALL_OBJECTS:
                self._small[key] = buffer
        return buffer

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


def open_arrays(
    objects: obstore.store.ObjectStore, manifest: Manifest, *, where: str, consolidated: bool
) -> xr.Dataset:
    """Open a Zarr asset lazily.

    Parameters
    ----------
    objects : obstore ObjectStore
        The asset's own objects, ``zarr.json`` at the root.
    manifest : Manifest
        Of the same objects, relative to the asset.
    where : str
        For messages, such as ``tevolop@1.0.0/data/grid.zarr``.
    consolidated : bool
        Whether the root ``zarr.json`` holds all metadata.

    Raises
    ------
    IntegrityError
        When an object is missing from the store or differs from the manifest.
    StorageError
        When the store cannot be read.
    """
    store = open_published(objects, manifest, where)
    # Any: what chunks=None returns is not in xarray's stubs as lazy arrays, but it is one.
    arrays: Any = xr.open_zarr(
        store, chunks=None, consolidated=consolidated, decode_timedelta=False
    )
    return cast("xr.Dataset", arrays)


def open_published(
    objects: obstore.store.ObjectStore, manifest: Manifest, where: str
) -> PublishedArrays:
    """Return the objects of an asset as a Zarr store; also in processes made by fork."""
    inner: Store = ObjectStore(objects, read_only=True)
    if os.getpid() != IMPORTED_IN:
        inner = _without_rust(objects)
    return PublishedArrays(inner, manifest, where)


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


def damaged(key: str, where: str, damage: Damage) -> IntegrityError:
    """Say that an object is missing or differs from the manifest."""
    return IntegrityError(
        str(damage),
        where=where,
        fix="run scidata verify on this version; if it repeats, use another copy",
        damage=[damage],
    )
