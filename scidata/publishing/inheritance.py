"""What a new version takes from older ones; but for `read_held`, pure functions.

A file is *inherited* if the parent has the same path with the same bytes; it stays in the
prefix where it lies. It is *copied* inside the store if older versions have its bytes under
another path, or had them before: a rule that inherited those, too, would break plain overlays.
All else is new, and uploaded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from scidata.errors import ConflictError
from scidata.facts import Asset
from scidata.inventory import read_history
from scidata.locations import Index, Locations, read_index
from scidata.manifest import Manifest
from scidata.resolve import read_commit, read_manifest
from scidata.storage.base import Store
from scidata.version import CommitRecord, VersionNumber

Layout: TypeAlias = Literal["full", "delta"]

WORTH_BYTES = 2**30
WORTH_FILES = 10_000
"""From so much on that would be inherited, a minor version or a patch is a delta by default.
Below, a directory that is whole is worth more to its readers than what it costs."""

WHOLE = frozenset({"zarr", "parquet", "splits"})
"""Kinds of assets that plain tools open by one address: all their files lie in one prefix."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A published version that bytes may be taken from."""

    commit: CommitRecord
    manifest: Manifest
    index: Index

    @property
    def number(self) -> VersionNumber:
        """Its number."""
        return self.commit.number


@dataclass(frozen=True, kw_only=True)
class Inheritance:
    """Where the bytes of a new version come from."""

    since: Mapping[str, str] = field(default_factory=dict)
    """Of inherited files, by path: the version in whose prefix each lies."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Of copied files, by path: the store's key of the same bytes."""
    known: frozenset[str] = frozenset()
    """Files whose bytes older versions have, anywhere: all others are new."""
    removed: tuple[str, ...] = ()
    """Files in the older prefixes that the version does not have."""

    def locations(self, dataset: str, version: str) -> Locations:
        """Return where the files will lie."""
        return Locations(dataset=dataset, version=version, since=self.since)

    def prefixes(self, version: str) -> tuple[str, ...]:
        """Return the prefixes that the version lies in, oldest first."""
        numbers = {VersionNumber.parse(v) for v in {*self.since.values(), version}}
        return tuple(f"v{number}" for number in sorted(numbers))


def read_held(store: Store, parent: CommitRecord) -> tuple[Held, ...]:
    """Read what a parent holds, and the older versions in whose prefixes it lies; it is first.

    Raises
    ------
    IntegrityError, InvalidError
        If one of them is damaged.
    """
    older = [VersionNumber.parse(p.removeprefix("v")) for p in parent.prefixes[:-1]]
    commits = [parent]
    commits += [read_commit(store, parent.dataset, number) for number in reversed(older)]
    return tuple(_read_one(store, commit) for commit in commits)


def refuse_purged(
    store: Store,
    commit: CommitRecord,
    older: Iterable[VersionNumber] | None = None,
    *,
    fix: str = "publish under the next version number, which will inherit nothing of it",
) -> None:
    """Look, just before a version is committed, that nobody purged what it relies on.

    Whoever purges writes the status first and looks for claims afterwards; whoever commits has
    claimed before this look. So one of the two sees the other, and stops.

    Parameters
    ----------
    older : iterable of VersionNumber, optional
        The versions relied on; by default all whose prefixes the commit record names.

    Raises
    ------
    ConflictError
        If somebody did: its files go, or are gone.
    """
    if older is None:
        older = [VersionNumber.parse(p.removeprefix("v")) for p in commit.prefixes[:-1]]
    for number in older:
        status = read_history(store, commit.dataset, number).status
        if status is not None and status.state == "purged":
            raise ConflictError(
                f"{commit.dataset}@{number}, on which {commit.name} would rely, was purged on "
                f"{status.date}: {status.reason}",
                where=store.address,
                fix=fix,
            )


def _read_one(store: Store, commit: CommitRecord) -> Held:
    manifest = read_manifest(store, commit)
    return Held(commit=commit, manifest=manifest, index=read_index(store, commit, manifest))


def layout_of(
    number: VersionNumber,
    manifest: Manifest,
    sizes: Mapping[str, int],
    held: Sequence[Held],
) -> Layout:
    """Choose full or delta, where nobody said which."""
    if not held or number.major != held[0].number.major:
        return "full"
    same = _same(held[0], manifest, sizes)
    worth = len(same) >= WORTH_FILES or sum(sizes[path] for path in same) >= WORTH_BYTES
    return "delta" if worth else "full"


def inherit(
    manifest: Manifest,
    sizes: Mapping[str, int],
    assets: Iterable[Asset],
    held: Sequence[Held],
    *,
    layout: Layout,
) -> Inheritance:
    """Decide where each file of a version comes from.

    Parameters
    ----------
    manifest, sizes, assets
        Of the new version.
    held : sequence of Held
        The parent, then older versions.
    layout : {"full", "delta"}
        Whether all files shall lie in the version's own prefix. Also in a delta, an array
        store, table or folder of splits that changed is completed there by copies, so that
        plain readers open it by one address.
    """
    if not held:
        return Inheritance()
    since: dict[str, str] = {}
    if layout == "delta":
        where, own = held[0].index.locations.since, held[0].commit.version
        same = {path: where.get(path, own) for path in _same(held[0], manifest, sizes)}
        dropped: set[str] = set()
        for asset in assets:
            files = _files(asset, manifest)
            if asset.kind in WHOLE and not _lies_whole(asset, files, same, held[0]):
                dropped.update(files)
        since = {path: version for path, version in same.items() if path not in dropped}
    wanted = {p: (v, sizes[p]) for p, v in manifest.hexes.items() if p not in since}
    keys = _keys_by_bytes(held, {value for value, _ in wanted.values()})
    copies = {path: keys[bytes_] for path, bytes_ in wanted.items() if bytes_ in keys}
    return Inheritance(
        since=since,
        copies=copies,
        known=frozenset(since) | copies.keys(),
        removed=tuple(_removed(set(since.values()), manifest, held)),
    )


def _same(parent: Held, manifest: Manifest, sizes: Mapping[str, int]) -> list[str]:
    """Return the files that the parent has in the store itself: same path, sha256, size."""
    theirs, their_sizes = parent.manifest.hexes, parent.index.sizes
    outside = parent.index.locations.outside
    return [
        path
        for path, value in manifest.hexes.items()
        if theirs.get(path) == value
        and their_sizes[path] == sizes[path]
        and path not in outside
    ]


def _files(asset: Asset, manifest: Manifest) -> list[str]:
    if asset.path in manifest:
        return [asset.path]
    below = asset.path + "/"
    return [path for path in manifest if path.startswith(below)]


def _lies_whole(
    asset: Asset, files: Sequence[str], same: Mapping[str, str], parent: Held
) -> bool:
    """Tell whether an asset lies in one older prefix, and nothing else where it lies.

    A chunk that was removed would come back to whoever opens the older folder: so not only must
    each file be there, the parent's asset must be the same as a whole.
    """
    if asset.path in same:
        return True  # a single file
    theirs = {a.path: a for a in parent.commit.assets}.get(asset.path)
    if theirs is None or theirs.sha256 != asset.sha256 or theirs.kind != asset.kind:
        return False
    return all(path in same for path in files) and len({same[path] for path in files}) == 1


def _keys_by_bytes(held: Sequence[Held], wanted: Set[str]) -> dict[tuple[str, int], str]:
    """Return where bytes of some sha256 lie, by it and size; the parent's word goes first."""
    keys: dict[tuple[str, int], str] = {}
    for version in reversed(held):
        for path, value in version.manifest.hexes.items():
            if value in wanted and path not in version.index.locations.outside:
                size = version.index.sizes[path]
                keys[value, size] = version.index.locations.of(path).key
    return keys


def _removed(used: set[str], manifest: Manifest, held: Sequence[Held]) -> Iterator[str]:
    """Yield the files that lie in the prefixes used and not in the new version, sorted."""
    there: set[str] = set()
    for version in held:
        name = version.commit.version
        if name in used:
            since, outside = version.index.locations.since, version.index.locations.outside
            own = (p for p in version.manifest.hexes if since.get(p, name) == name)
            there |= {p for p in own if p not in outside}
    yield from sorted(there - manifest.hexes.keys())
