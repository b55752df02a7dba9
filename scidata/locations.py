"""Where the bytes of a version's files lie: the one place that answers it.

A version may inherit files from older versions of its dataset, whose bytes then lie in the
older version's prefix, under the same path. Which ones those are is said by the column `since`
of ``manifest.parquet``, for which the commit record vouches; the record's `prefixes` bound what
may be said there. A version that adopted files names the places outside the store where these
lie, and each file's address is in the column `url`. A version that lies in one prefix needs no
table, and none is read.

The law: laying the prefixes over each other, in their order, gives the version and whatever it
has removed. `overlay` uses it where the table is lost.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.manifest import MANIFEST_TABLE, Manifest
from scidata.manifest_index import parse_index
from scidata.outside import address_of, root_of
from scidata.resolve import read_tag
from scidata.storage.base import Store
from scidata.version import CommitRecord

MAX_NOTE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of one payload file lie."""

    root: str
    """Folder of the store that stands for the version's own, such as ``tevolop/v1.0.0``."""
    path: str
    """Below it: always the path that the manifest has."""

    @property
    def key(self) -> str:
        """The store's key."""
        return f"{self.root}/{self.path}"


@dataclass(frozen=True, kw_only=True)
class Locations:
    """Where every payload file of a version lies."""

    dataset: str
    version: str
    since: Mapping[str, str] = field(default_factory=dict)
    """By path, the older version in whose prefix a file lies; all others lie in the own one."""
    outside: Mapping[str, int] = field(default_factory=dict)
    """By path, the place outside the store where an adopted file lies: its number in the
    commit record. A root stands for it that `scidata.outside.reaching` makes readable."""

    def of(self, path: str) -> Location:
        """Locate one file, by its path in the manifest."""
        if (number := self.outside.get(path)) is not None:
            return Location(root_of(self.dataset, number), path)
        version = self.since.get(path, self.version)
        return Location(f"{self.dataset}/v{version}", path)

    def roots(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """Group files by the root under which they lie; the order of the paths is kept."""
        found: dict[str, list[str]] = {}
        for path in paths:
            found.setdefault(self.of(path).root, []).append(path)
        return found


@dataclass(frozen=True, kw_only=True)
class Index:
    """What ``manifest.parquet`` adds to the manifest."""

    sizes: Mapping[str, int]
    """Bytes of every payload file."""
    locations: Locations


def full_key(commit: CommitRecord) -> str:
    """Return the key of the note that a version's prefix holds inherited files, too."""
    return f"{commit.dataset}/versions/{commit.version}.full.json"


def full_note(commit: CommitRecord) -> bytes:
    """Return what stands there."""
    note = {
        "format": "scidata-full/1",
        "dataset": commit.dataset,
        "version": commit.version,
        "digest": commit.digest,
    }
    return (json.dumps(note, indent=1, sort_keys=True) + "\n").encode()


def is_full(store: Store, commit: CommitRecord) -> bool:
    """Tell whether a version's own prefix holds every file: published so, or made so since.

    Raises
    ------
    InvalidError
        If the note of it is larger than any that is written.
    """
    if commit.prefixes == (f"v{commit.version}",):
        return True
    try:
        return store.read(full_key(commit), limit=MAX_NOTE_BYTES) == full_note(commit)
    except (NotFoundError, StorageError):
        # A server that hides which keys exist refuses absent ones. Where the version was
        # published it can be read all the same; if the store is down, the next read says so.
        return False


def read_locations(store: Store, commit: CommitRecord, manifest: Manifest) -> Locations:
    """Find out where a version's files lie; of one prefix, without a request.

    Raises
    ------
    IntegrityError
        If ``manifest.parquet`` is missing or differs from the commit record.
    InvalidError
        If it contradicts the manifest, or names a prefix that the commit record does not.
    """
    if commit.outside:
        return read_index(store, commit, manifest).locations
    if is_full(store, commit):
        return Locations(dataset=commit.dataset, version=commit.version)
    return read_index(store, commit, manifest, full=False).locations


def read_index(
    store: Store, commit: CommitRecord, manifest: Manifest, *, full: bool | None = None
) -> Index:
    """Read sizes and locations of a version's files; raises as `read_locations`.

    Parameters
    ----------
    full : bool, optional
        What `is_full` says, for those who asked it already.
    """
    key = f"v{commit.version}/{MANIFEST_TABLE}"
    where = f"{commit.dataset}/{key} at {store.url}"
    index = parse_index(read_tag(store, commit, key), where=where)
    if index.hexes != manifest.hexes:
        what = "files" if index.hexes.keys() != manifest.keys() else "digests"
        raise InvalidError(
            f"the index of sizes of {commit.name} lists other {what} than its manifest",
            where=where,
            fix="report it to whoever published the version",
        )
    allowed = {prefix.removeprefix("v") for prefix in commit.prefixes}
    if strange := index.versions - allowed:
        raise InvalidError(
            f"the index of {commit.name} says that files lie in version {min(strange)!r}, and "
            f"its commit record names {', '.join(commit.prefixes)}",
            where=where,
            fix="do not trust this store; read from another copy",
        )
    if full is None:
        full = is_full(store, commit)
    since = {} if full else index.inherited(commit.version)
    locations = Locations(
        dataset=commit.dataset,
        version=commit.version,
        since=since,
        outside=_outside(commit, index.urls, where),
    )
    return Index(sizes=index.sizes, locations=locations)


def _outside(commit: CommitRecord, urls: Mapping[str, str], where: str) -> dict[str, int]:
    """Find the place of each adopted file; its address must be the place's and its own path.

    Raises
    ------
    InvalidError
        If a file's address lies in none of the places that the commit record names.
    """
    found: dict[str, int] = {}
    for path, url in urls.items():
        for number, place in enumerate(commit.outside):
            below = path.removeprefix(f"{place.path}/")
            if below != path and url == address_of(place, below):
                found[path] = number
                break
        else:
            raise InvalidError(
                f"the index of {commit.name} says that {path!r} lies at an address that its "
                "commit record does not name",
                where=where,
                fix="do not trust this store; read from another copy",
            )
    return found


def overlay(store: Store, commit: CommitRecord, paths: Iterable[str]) -> Locations:
    """Locate files by what lies where, newest prefix first, because the table is lost.

    Raises
    ------
    StorageError
        If the store cannot be listed.
    """
    wanted = set(paths)
    since: dict[str, str] = {}
    for prefix in commit.prefixes:  # oldest first: later ones lie on top
        base = f"{commit.dataset}/{prefix}/"
        for facts in store.list(base):
            path = facts.key.removeprefix(base)
            if path in wanted:
                since[path] = prefix.removeprefix("v")
    return Locations(
        dataset=commit.dataset,
        version=commit.version,
        since={path: version for path, version in since.items() if version != commit.version},
    )
