"""Files that a version adopted: read where they lie, under keys of the version's own store.

A version that adopts files names the places outside; here each stands for a folder of the
store, ``<dataset>/outside-<n>``, so that whoever reads objects by their keys reads these, too.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import obstore.store

from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError
from scidata.parallel import each
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.checksums import KeepsChecksums, Stored
from scidata.storage.foreign import is_near, open_place
from scidata.version import CommitRecord, OutsidePlace

PREFIX = "outside-"


def root_of(dataset: str, number: int) -> str:
    """Return the folder of the store that stands for a place outside."""
    return f"{dataset}/{PREFIX}{number}"


def address_of(place: OutsidePlace, path: str) -> str:
    """Return the absolute address of a file by its path below the place.

    Examples
    --------
    >>> place = OutsidePlace(path="data/a", url="https://example.org/in", files=1, bytes=1)
    >>> address_of(place, "b c.nc")
    'https://example.org/in/b%20c.nc'
    """
    web = place.url.startswith(("http://", "https://", "file://"))
    return f"{place.url}/{quote(path) if web else path}"


def reaching(store: Store, commit: CommitRecord) -> Store:
    """Return a store that also reads the files that a version adopted; most adopt none."""
    return OutsideStore(store, commit) if commit.outside else store


def open_outside(place: OutsidePlace, store: Store) -> Store:
    """Open a place outside: with the reader's credentials only where the reader chose it.

    A server that the commit record names, and the reader does not, is asked without any.

    Raises
    ------
    InvalidError
        If the address may not be asked.
    StorageError
        If it needs credentials that are not there.
    """
    known = {os.environ.get("AWS_ENDPOINT_URL_S3"), os.environ.get("AWS_ENDPOINT_URL")}
    known |= {store.address.removeprefix(store.url).removeprefix(" at ")}
    chosen = place.endpoint is None or place.endpoint in known
    return open_place(
        place.url,
        endpoint=place.endpoint,
        anonymous=place.anonymous or not chosen,
        near=is_near(store.address),
    )


class OutsideStore:
    """A store, and beside it what a version adopted. What lies outside is never written."""

    def __init__(self, store: Store, commit: CommitRecord) -> None:
        self._store, self._commit = store, commit
        self.url, self.address = store.url, store.address
        self.writable, self.lists = store.writable, store.lists

    @cached_property
    def _places(self) -> Mapping[str, tuple[str, Store]]:
        """What each place is called in keys, and the store there."""
        dataset, outside = self._commit.dataset, self._commit.outside
        return {
            f"{root_of(dataset, n)}/": (f"{place.path}/", open_outside(place, self._store))
            for n, place in enumerate(outside)
        }

    def _find(self, key: str) -> tuple[Store, str]:
        """Return the store that holds a key, and what it is called there."""
        if not key.startswith(f"{self._commit.dataset}/{PREFIX}"):
            return self._store, key
        for root, (folder, held) in self._places.items():
            if key.startswith(root + folder):
                return held, key.removeprefix(root + folder)
            if f"{key}/" == root + folder:
                return held, ""
        raise InvalidError(
            f"{key!r} lies in no place that {self._commit.name} names",
            where=self.address,
            fix="do not trust this store; read from another copy",
        )

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        """Return a small object."""
        held, name = self._find(key)
        return held.read(name, limit=limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes from `start`."""
        held, name = self._find(key)
        return held.stream(name, start=start)

    def head(self, key: str) -> ObjectFacts:
        """Return size, time and ETag."""
        held, name = self._find(key)
        return held.head(name)

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        """Yield the objects of the store itself."""
        return self._store.list(prefix)

    def folders(self) -> tuple[str, ...]:
        """Return the first parts of keys that have several."""
        return self._store.folders()

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        """Write an object of the store itself unless the key exists."""
        return self._store.create(key, source, digest=digest)

    def copy(self, source: str, key: str) -> bool:
        """Copy an object within the store itself; what lies outside is never copied."""
        return self._store.copy(source, key)

    def replace(self, key: str, data: bytes) -> None:
        """Write a mutable object of the store itself."""
        self._store.replace(key, data)

    def delete(self, key: str) -> None:
        """Remove an object of the store itself."""
        self._store.delete(key)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        """Return the Rust-backed view below a prefix."""
        held, name = self._find(prefix)
        return held.objects(name)

    def checksums(self, key: str) -> Stored:
        """Return what is kept of one object; of a place that keeps none, its size."""
        held, name = self._find(key)
        if isinstance(held, KeepsChecksums):
            return held.checksums(name)
        return Stored(size=held.head(name).size)

    @property
    def places(self) -> Mapping[str, Store]:
        """The stores outside, by the root and the folder that stand for each in keys."""
        return {root + folder: held for root, (folder, held) in self._places.items()}


def look(store: Store, keys: Mapping[str, str]) -> dict[str, ObjectFacts]:
    """Ask for size, time and ETag of files outside; those that are not there are left out.

    Parameters
    ----------
    keys : mapping of str to str
        Their keys, by path.
    """
    if not keys or not isinstance(store, OutsideStore):
        return {}
    found: dict[str, ObjectFacts] = {}
    for base, held in store.places.items():
        wanted = {k.removeprefix(base): p for p, k in keys.items() if k.startswith(base)}
        found |= {wanted[facts.key]: facts for facts in _looked(held, wanted)}
    return found


def _looked(held: Store, wanted: Mapping[str, str]) -> Iterator[ObjectFacts]:
    if held.lists:  # cheaper than a request for each
        yield from (facts for facts in held.list() if facts.key in wanted)
        return

    def ask(name: str) -> ObjectFacts | None:
        try:
            return held.head(name)
        except NotFoundError:
            return None

    for facts in each(ask, wanted):
        if facts is not None:
            yield facts
