"""The reference store: a dictionary. For tests and for models of what a store promises."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import obstore.store

from scidata.digest import Block, Digest
from scidata.storage import refusals
from scidata.storage.base import ObjectFacts
from scidata.storage.keys import checked, checked_prefix

BLOCK = 2**20


class MemoryStore:
    """Objects in this process's memory; safe to share between threads."""

    def __init__(
        self, name: str = "memory", *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._objects: dict[str, bytes] = {}
        self._modified: dict[str, str] = {}
        self._now = now
        self._lock = threading.Lock()
        self.url = f"memory://{name}"
        self.address = self.url
        self.writable = True
        self.lists = True

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return an object."""
        data = self._data(key)
        if len(data) > limit:
            raise refusals.too_large(len(data), limit, where=self._where(key))
        return data

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from `start`."""
        data = self._data(key)
        for position in range(start, len(data), BLOCK):
            yield data[position : position + BLOCK]

    def head(self, key: str) -> ObjectFacts:
        """Return size and digest."""
        data = self._data(key)
        return ObjectFacts(
            key=key, size=len(data), modified=self._modified[key], digest=Digest.of(data)
        )

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield the objects whose key starts with `prefix`."""
        checked_prefix(prefix)
        with self._lock:
            found = {k: len(v) for k, v in self._objects.items() if k.startswith(prefix)}
        for key in sorted(found, key=str.encode):
            yield ObjectFacts(key=key, size=found[key], modified=self._modified.get(key))

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of keys that have several."""
        with self._lock:
            return tuple(sorted({key.split("/")[0] for key in self._objects if "/" in key}))

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        found = Digest.of(data)
        if digest is not None and digest != found:
            raise refusals.other_bytes(digest, found, where=self._where(key))
        with self._lock:
            if checked(key) in self._objects:
                return False
            self._put(key, data)
            return True

    def copy(self, source: str, key: str) -> bool:
        """Write an object with the bytes of another, unless the key exists."""
        data = self._data(source)
        with self._lock:
            if checked(key) in self._objects:
                return False
            self._put(key, data)
        return True

    def replace(self, key: str, data: bytes) -> None:
        """Write an object."""
        with self._lock:
            self._put(checked(key), data)

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        with self._lock:
            self._objects.pop(checked(key), None)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return a copy of the objects below `prefix`."""
        view = obstore.store.MemoryStore()
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        for facts in self.list(folder):
            obstore.put(view, facts.key.removeprefix(folder), self._data(facts.key))
        return view

    def _put(self, key: str, data: bytes) -> None:
        self._objects[key] = data
        self._modified[key] = self._now().isoformat(timespec="seconds").replace("+00:00", "Z")

    def _data(self, key: str) -> bytes:
        with self._lock:
            data = self._objects.get(checked(key))
        if data is None:
            raise refusals.absent(self._where(key))
        return data

    def _where(self, key: str) -> str:
        return f"{key} in {self.url}"
