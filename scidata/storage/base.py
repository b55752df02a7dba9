"""The one protocol that every store follows: few verbs over keys and bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import obstore.store

from scidata.digest import Digest


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """What a listing tells of an object."""

    key: str
    size: int
    modified: str | None = None
    """UTC, ISO 8601, by the store's own clock; None where the store does not say."""


class Store(Protocol):
    """Where versions live: a folder, S3, memory, or read-only https.

    Keys are relative, ``/``-separated and obey `scidata.manifest.path_fault`. Every method
    raises `StorageError` when the store cannot be reached or refuses, after retrying what can
    pass next time; no credential is ever part of a message or of `url`.
    """

    @property
    def url(self) -> str:
        """Where the store is: ``s3://bucket/prefix``, ``file:///path``, ``https://…``."""
        ...

    @property
    def writable(self) -> bool:
        """Whether `create`, `replace` and `delete` can ever succeed."""
        ...

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object; `NotFoundError` if absent, `InvalidError` over `limit`."""
        ...

    def stream(self, key: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from offset `start`, in blocks; `NotFoundError` if absent."""
        ...

    def head(self, key: str) -> ObjectFacts:
        """Return size and time of one object; `NotFoundError` if absent."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield every object whose key starts with `prefix`, sorted by key, recursively."""
        ...

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object unless the key exists: True if written, False if it existed.

        Atomic: of any number of writers exactly one gets True, and no reader ever sees part of
        an object. Readers of the local store see full content only. `digest` is given to the
        store where it can refuse bytes that differ.
        """
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object (a catalog: a cache that can be rebuilt), atomically."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; absent is no error. For probes and uncommitted prefixes only."""
        ...

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below `prefix`, for Zarr and the streaming engine."""
        ...
