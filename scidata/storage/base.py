"""The one protocol that every store follows: few verbs over keys and bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import obstore.store

from scidata.digest import Block, Digest


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """What a listing tells of an object."""

    key: str
    size: int
    modified: str | None = None
    """UTC, ISO 8601, by the store's own clock; None where the store does not say."""
    etag: str | None = None
    """What changes with the bytes, without its quotes; None where the store has none."""
    digest: Digest | None = None
    """What the writer told the store, which checked it on arrival; only `Store.head` fills it
    in, and only where the store keeps one and did check: S3 compares nothing taken in parts."""
    parts: int = 0
    """In how many parts S3 took the object; 0 if in one request. Filled in as `digest`."""


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What a killed writer left in a store that is no object yet: no reader ever sees it."""

    name: str
    """As the store calls it; of no use but to `KeepsUnfinished.discard`."""
    size: int | None
    """Bytes, where the store says so."""
    modified: str | None
    """UTC, ISO 8601, by the store's own clock: when it began, or grew."""


@runtime_checkable
class KeepsUnfinished(Protocol):
    """A store in which killed writers leave something behind: a folder, and S3."""

    def unfinished(self) -> Iterator[Unfinished]:
        """Yield what was begun and neither finished nor removed."""
        ...

    def discard(self, item: Unfinished) -> None:
        """Remove it; absent is no error."""
        ...


class Store(Protocol):
    """Where versions live: a folder, S3, memory, or read-only https.

    Keys are relative, ``/``-separated and obey `scidata.paths.path_fault`. Every method
    raises `StorageError` when the store cannot be reached or refuses, after retrying what can
    pass next time; no credential is ever part of a message or of `url`.
    """

    @property
    def url(self) -> str:
        """Where the store is: ``s3://bucket/prefix``, ``file:///path``, ``https://…``."""
        ...

    @property
    def address(self) -> str:
        """`url` and, where one is set, the server it is reached at: tells two stores apart."""
        ...

    @property
    def writable(self) -> bool:
        """Whether `create`, `copy`, `replace` and `delete` can ever succeed."""
        ...

    @property
    def lists(self) -> bool:
        """Whether `list` and `folders` can ever succeed."""
        ...

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object: `NotFoundError` if absent, `InvalidError` over `limit`, B."""
        ...

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        """Yield an object's bytes from offset `start`, in blocks of a few MiB at most.

        `NotFoundError` if absent; nothing is yielded if `start` is at or past the end.
        """
        ...

    def head(self, key: str) -> ObjectFacts:
        """Return size and time of one object; `NotFoundError` if absent."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield every object whose key starts with `prefix`, sorted by key, recursively.

        Where nothing was written yet, that is none.
        """
        ...

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of all keys that have several, sorted, by one request.

        `NotFoundError` if a store must be there before it can be read, as a folder must, and
        is not.
        """
        ...

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists: True if written, False if it existed.

        Atomic: of any number of writers at most one gets True, and no reader ever sees part of
        an object. False may also mean that this very call wrote it and the answer was lost on
        its way: compare the content before calling it a conflict. If `digest` is given, bytes
        that differ from it raise `IntegrityError` and nothing is written.
        """
        ...

    def copy(self, source: str, key: str) -> bool:
        """Write an object with the bytes of another, unless the key exists; as `create`.

        The bytes go nowhere: a folder links them, S3 copies them itself. `NotFoundError` if
        there is no source; `StorageError` also where the store cannot copy.
        """
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object (a catalog: a cache that can be rebuilt), atomically."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; absent is no error. For probes and uncommitted prefixes only."""
        ...

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below `prefix`, for Zarr and the streaming engine.

        A folder is walked first: `InvalidError` if it is, or holds, a link.
        """
        ...
