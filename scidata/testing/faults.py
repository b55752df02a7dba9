"""A store that fails on purpose, around any other: for tests of what survives a fault."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import obstore.store

from scidata.digest import Block, Digest
from scidata.errors import ScidataError, StorageError
from scidata.storage.base import KeepsUnfinished, ObjectFacts, Store, Unfinished

T = TypeVar("T")

Fault = Literal[
    "crash-before", "crash-after", "lost-response", "refused", "precondition", "cut", "flipped"
]
"""What happens at the chosen operation:

``crash-before``, ``crash-after``  the process dies: `Crash`, which no code may catch
``lost-response``                  done, but `StorageError` says it was not
``refused``                        not done; `StorageError` (a server's 503, a lost connection)
``precondition``                   `create`, `copy` say False though the key was free: not done
``cut``                            `read` and `stream` return only half of the object
``flipped``                        `read` and `stream` return one changed byte
"""
OPERATIONS = ("read", "stream", "head", "list", "create", "copy", "replace", "delete")


class Crash(BaseException):
    """Stands for ``kill -9``: not an `Exception`, so that nobody recovers from it."""


@dataclass
class FaultyStore:
    """Counts operations, and at operation number `at` (from 1) does what `fault` says, once.

    Parameters
    ----------
    store : Store
        The store that does the work.
    at : int
        Which operation fails; 0 for none, to count them.
    fault : Fault
    only : tuple of str
        Which verbs count.
    key : str
        Only operations on keys that contain this text count.
    before : callable, optional
        Called before each operation that counts: where a test lets others go first.
    """

    store: Store
    at: int = 0
    fault: Fault = "crash-before"
    only: tuple[str, ...] = OPERATIONS
    key: str = ""
    before: Callable[[], None] | None = None
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """The wrapped store's."""
        return self.store.url

    @property
    def address(self) -> str:
        """The wrapped store's."""
        return self.store.address

    @property
    def writable(self) -> bool:
        """The wrapped store's."""
        return self.store.writable

    @property
    def lists(self) -> bool:
        """The wrapped store's."""
        return self.store.lists

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Read, or fail."""
        due = self._due("read", key)
        data = self._around(due, lambda: self.store.read(key, limit=limit))
        return _spoilt(data, self.fault) if due else data

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Stream, or fail."""
        due = self._due("stream", key)
        if due and self.fault in {"cut", "flipped"}:
            yield _spoilt(b"".join(self.store.stream(key, start=start)), self.fault)
            return
        yield from self._around(due, lambda: self.store.stream(key, start=start))

    def head(self, key: str) -> ObjectFacts:
        """Head, or fail."""
        return self._around(self._due("head", key), lambda: self.store.head(key))

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """List, or fail."""
        return self._around(self._due("list", prefix), lambda: self.store.list(prefix))

    def folders(self) -> tuple[str, ...]:
        """List the folders, or fail; counts as a ``list``."""
        return self._around(self._due("list", ""), self.store.folders)

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Create, or fail."""
        due = self._due("create", key)
        if due and self.fault == "precondition":
            return False
        return self._around(due, lambda: self.store.create(key, source, digest=digest))

    def copy(self, source: str, key: str) -> bool:
        """Copy, or fail."""
        due = self._due("copy", key)
        if due and self.fault == "precondition":
            return False
        return self._around(due, lambda: self.store.copy(source, key))

    def replace(self, key: str, data: bytes) -> None:
        """Replace, or fail."""
        self._around(self._due("replace", key), lambda: self.store.replace(key, data))

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._around(self._due("delete", key), lambda: self.store.delete(key))

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the wrapped store's view; it never fails."""
        return self.store.objects(prefix)

    def unfinished(self) -> Iterator[Unfinished]:
        """List what killed writers left, or fail; counts as a ``list``."""
        inner = self.store
        if not isinstance(inner, KeepsUnfinished):
            return iter(())
        return self._around(self._due("list", ""), inner.unfinished)

    def discard(self, item: Unfinished) -> None:
        """Remove it, or fail; counts as a ``delete``."""
        inner = self.store
        if isinstance(inner, KeepsUnfinished):
            self._around(self._due("delete", item.name), lambda: inner.discard(item))

    def _due(self, operation: str, key: str) -> bool:
        if operation not in self.only or self.key not in key:
            return False
        if self.before is not None:
            self.before()
        with self._lock:
            self.count += 1
            return self.count == self.at

    def _around(self, due: bool, act: Callable[[], T]) -> T:
        if not due:
            return act()
        if self.fault == "crash-before":
            raise Crash
        if self.fault == "refused":
            raise _failure("the server is busy")
        if self.fault == "crash-after":
            with suppress(ScidataError):
                act()
            raise Crash
        result = act()
        if self.fault == "lost-response":
            raise _failure("the connection was lost")
        return result


def _failure(message: str) -> StorageError:
    return StorageError(message, where="a test", fix="run the same command again")


def _spoilt(data: bytes, fault: Fault) -> bytes:
    if fault == "cut":
        return data[: len(data) // 2]
    if fault == "flipped" and data:
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return data
