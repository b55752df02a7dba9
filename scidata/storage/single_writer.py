"""For stores that ignore conditions: look, then write. Right only if one writer exists."""

from collections.abc import Iterator
from pathlib import Path

import obstore.store

from scidata.digest import Block, Digest
from scidata.errors import NotFoundError
from scidata.storage.base import ObjectFacts, Store


class SingleWriterStore:
    """Any store, whose `create` and `copy` ask whether the key is taken before they write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.address = store.address
        self.writable = store.writable
        self.lists = store.lists

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists; another writer in between is overwritten."""
        try:
            self._store.head(key)
        except NotFoundError:
            return self._store.create(key, source, digest=digest)
        return False

    def copy(self, source: str, key: str) -> bool:
        """Copy an object unless the key exists, with the same reservation."""
        try:
            self._store.head(key)
        except NotFoundError:
            return self._store.copy(source, key)
        return False

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        return self._store.read(key, limit=limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from `start`."""
        return self._store.stream(key, start=start)

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and the recorded digest."""
        return self._store.head(key)

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield the objects whose key starts with `prefix`."""
        return self._store.list(prefix)

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of keys that have several."""
        return self._store.folders()

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object."""
        self._store.replace(key, data)

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        self._store.delete(key)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below a prefix."""
        return self._store.objects(prefix)
