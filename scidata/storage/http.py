"""A store that a web server offers for reading: a public bucket or a mirrored folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import obstore.store

from scidata.digest import Block, Digest
from scidata.errors import InvalidError, StorageError
from scidata.storage.addresses import split_url
from scidata.storage.base import ObjectFacts
from scidata.storage.keys import checked
from scidata.storage.objects import Objects
from scidata.storage.s3 import CLIENT, RETRY
from scidata.storage.staying import staying

if TYPE_CHECKING:
    from obstore.store import ClientConfig


class HttpStore:
    """Objects below an address; they can be read but neither listed nor written."""

    writable = False
    lists = False

    def __init__(self, url: str, *, stays: bool = False) -> None:
        """Open an address; with `stays` no other host is asked, whatever the server answers."""
        if not _is_plain(url):
            # The URL itself is not quoted: it may hold a secret.
            raise InvalidError(
                "the store's URL is not https://host/path",
                where="--store",
                fix="write https://host/path, without user, query or fragment",
            )
        self.url = url.rstrip("/")
        self.address = self.url
        self._client: ClientConfig = {**CLIENT, "allow_http": True}
        if stays:
            self._client |= staying(self.url, os.environ)
        self._objects = Objects(self._view(self.url), self.url)

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        return self._objects.read(key, limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from `start`."""
        return self._objects.stream(key, start)

    def head(self, key: str) -> ObjectFacts:
        """Return size and time."""
        return self._objects.head(key)

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Raise `StorageError`: http has no way to list."""
        raise StorageError(
            f"cannot list {prefix!r}: http offers no listing",
            where=self.url,
            fix="name the version (dataset@1.0.0), or use the store's s3:// address",
        )

    def folders(self) -> tuple[str, ...]:
        """Raise `StorageError`: http has no way to list."""
        return tuple(facts.key for facts in self.list())

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Raise `StorageError`: the store is read-only."""
        raise self._read_only(key)

    def copy(self, source: str, key: str) -> bool:
        """Raise `StorageError`: the store is read-only."""
        raise self._read_only(key)

    def replace(self, key: str, data: bytes) -> None:
        """Raise `StorageError`: the store is read-only."""
        raise self._read_only(key)

    def delete(self, key: str) -> None:
        """Raise `StorageError`: the store is read-only."""
        raise self._read_only(key)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below a prefix."""
        below = f"/{checked(prefix.rstrip('/'))}" if prefix else ""
        return self._view(self.url + below)

    def _view(self, url: str) -> obstore.store.HTTPStore:
        return obstore.store.HTTPStore(url, client_options=self._client, retry_config=RETRY)

    def _read_only(self, key: str) -> StorageError:
        return StorageError(
            f"cannot write {key!r}: https stores are read-only",
            where=self.url,
            fix="use the store's s3:// address or folder",
        )


def _is_plain(url: str) -> bool:
    parts = split_url(url)
    return (
        parts is not None
        and bool(parts.hostname)
        and parts.username is None
        and not (parts.query or parts.fragment)
    )
