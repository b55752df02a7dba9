"""A version in a store as its commit record and its manifest describe it, damaged or not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from scidata import compare
from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError, NotFoundError
from scidata.locations import Locations, overlay, read_locations
from scidata.manifest import MANIFEST_TABLE, Manifest
from scidata.manifest_index import parse_table
from scidata.outside import look, reaching
from scidata.resolve import read_manifest, read_tag
from scidata.storage.base import ObjectFacts, Store
from scidata.version import CommitRecord


@dataclass(frozen=True, kw_only=True)
class Described:
    """A version as its commit record and its manifest describe it."""

    store: Store
    commit: CommitRecord
    payload: Mapping[str, str]
    """Path and sha256; empty if the manifest is damaged and cannot be rebuilt."""
    damage: tuple[Damage, ...]
    """Of the manifest."""
    locations: Locations
    """Where the payload lies."""
    notes: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """The version's folder below the dataset's."""
        return f"v{self.commit.version}/"

    @property
    def tags(self) -> dict[str, str]:
        """Tag files and their sha256, by path in the bag; the catalog lies beside the bag."""
        return {k.removeprefix(self.prefix): t.sha256 for k, t in self.commit.tags.items()}

    @cached_property
    def sources(self) -> Mapping[str, ObjectFacts]:
        """What is said now of the files outside that are still there, by their paths."""
        outside = {path: self.locations.of(path).key for path in self.locations.outside}
        return look(self.store, outside)

    def key(self, path: str) -> str:
        """Return where a path lies in the store."""
        if path in self.payload:
            return self.locations.of(path).key
        beside = path in self.commit.tags
        return f"{self.commit.dataset}/{'' if beside else self.prefix}{path}"


def described(store: Store, commit: CommitRecord) -> Described:
    """Read the manifest of a version."""
    store = reaching(store, commit)
    damage: tuple[Damage, ...] = ()
    try:
        manifest = read_manifest(store, commit)
    except IntegrityError as error:
        prefix = f"v{commit.version}/"
        damage = tuple(replace(d, path=d.path.removeprefix(prefix)) for d in error.damage)
        manifest = _rebuilt(store, commit)
    locations, wrong, notes = _located(store, commit, manifest)
    return Described(
        store=store,
        commit=commit,
        payload=manifest.hexes,
        damage=damage + wrong,
        locations=locations,
        notes=notes,
    )


def _located(
    store: Store, commit: CommitRecord, manifest: Manifest
) -> tuple[Locations, tuple[Damage, ...], tuple[str, ...]]:
    """Find out where the payload lies, if need be by what lies where."""
    wrong: tuple[Damage, ...] = ()
    try:
        return read_locations(store, commit, manifest), (), ()
    except IntegrityError as error:  # the tag files are compared anyway
        fault = error.message
    except InvalidError as error:
        fault = error.message
        # Its digest is the right one, so that nothing else would tell.
        wrong = (compare.bad(MANIFEST_TABLE, "prefixes that the commit record names", fault),)
    if not store.lists:
        own = Locations(dataset=commit.dataset, version=commit.version)
        return own, wrong, (f"where inherited files lie is not known: {fault}",)
    note = f"inherited files were looked for in older prefixes: {fault}"
    return overlay(store, commit, manifest), wrong, (note,)


def _rebuilt(store: Store, commit: CommitRecord) -> Manifest:
    """Take the digests from the index of sizes, if they make the version's digest."""
    try:
        table = _table(store, commit)
        manifest = Manifest({path: Digest(value) for path, (_, value) in table.items()})
    except (IntegrityError, InvalidError, NotFoundError):
        return Manifest({})
    return manifest if str(manifest.digest) == commit.digest else Manifest({})


def _table(store: Store, commit: CommitRecord) -> dict[str, tuple[int, str]]:
    key = f"v{commit.version}/{MANIFEST_TABLE}"
    return parse_table(read_tag(store, commit, key), where=f"{commit.dataset}/{key}")
