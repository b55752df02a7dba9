"""A committed version in a store: what it holds, compared with its digests when read."""

import json
from dataclasses import dataclass
from typing import Any, cast

from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError, NotFoundError
from scidata.facts import STATISTICS, Facts, parse_facts
from scidata.formats import references_of
from scidata.locations import Locations, read_locations
from scidata.manifest import FACTS, Manifest
from scidata.outside import reaching
from scidata.record import Record, SplitRule, parse_record
from scidata.resolve import read_manifest, read_tag
from scidata.split import MAX_PART_BYTES, parse, split_path
from scidata.storage.addresses import options_of
from scidata.storage.base import Store
from scidata.version import CommitAsset, CommitRecord

MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Published:
    """A committed version in a store, with its manifest."""

    store: Store
    commit: CommitRecord
    manifest: Manifest
    locations: Locations

    def files(self, asset: CommitAsset) -> tuple[str, ...]:
        """Return the paths of an asset's files, in the order of the manifest."""
        if asset.path in self.manifest:
            return (asset.path,)
        return tuple(f"{asset.path}/{path}" for path in self.manifest.under(asset.path))


def check_pin(commit: CommitRecord, digest: Digest | None, where: str) -> None:
    """Compare a version with the digest that the caller expects.

    Raises
    ------
    IntegrityError
        If they differ: somebody published other bytes under this name.
    """
    if not commit.has(digest):
        raise IntegrityError(
            f"{commit.name} has the digest {commit.digest}, not {digest}",
            where=where,
            fix="ask who gave you the digest, or leave it out to take what is there",
        )


def read_published(store: Store, commit: CommitRecord) -> Published:
    """Read the manifest of a version, compared with the commit record, and locate its files."""
    manifest = read_manifest(store, commit)
    return Published(
        store=reaching(store, commit),
        commit=commit,
        manifest=manifest,
        locations=read_locations(store, commit, manifest),
    )


def read_record(store: Store, commit: CommitRecord) -> Record:
    """Read the record of a version."""
    key = f"v{commit.version}/meta/record.yaml"
    return parse_record(read_tag(store, commit, key), where=f"{commit.name}/meta/record.yaml")


def read_facts(store: Store, commit: CommitRecord) -> Facts:
    """Read the facts of a version."""
    key = f"v{commit.version}/{FACTS}"
    return parse_facts(read_tag(store, commit, key), where=f"{commit.name}/{FACTS}")


def references_key(commit: CommitRecord, asset: CommitAsset) -> str | None:
    """Return the key of the index that makes one store of an asset's files, if there is one."""
    key = f"v{commit.version}/{references_of(asset.key)}"
    return key if key in commit.tags else None


def is_consolidated(facts: Facts, key: str) -> bool:
    """Tell whether the root of a Zarr asset holds the metadata of every array."""
    return any(asset.key == key and asset.consolidated for asset in facts.assets)


def find_asset(commit: CommitRecord, key: str, kind: str | None = None) -> CommitAsset:
    """Find an asset of a version by its key.

    Raises
    ------
    NotFoundError
        If the version has no such asset.
    InvalidError
        If it is of another kind.
    """
    found = next((a for a in commit.assets if a.key == key), None)
    if found is None:
        raise NotFoundError(
            f"no asset {key!r}; there are {', '.join(a.key for a in commit.assets)}",
            where=commit.name,
            fix="choose one of these",
        )
    if kind is not None and found.kind != kind:
        raise InvalidError(
            f"the asset {key!r} is of kind {found.kind!r}, not {kind!r}",
            where=commit.name,
            fix="use to_xarray for zarr, to_pandas for parquet, split for splits",
        )
    return found


def find_split(record: Record, name: str) -> tuple[SplitRule, str]:
    """Find a split and a part by ``time/train``, or ``train`` of the default split.

    Raises
    ------
    NotFoundError
        If the record declares no such split or part.
    """
    split, slash, part = name.rpartition("/")
    for rule in record.splits:
        wanted = rule.name == split if slash else rule.default
        if wanted and any(p.name == part for p in rule.parts):
            return rule, part
    parts = [f"{s.name}/{p.name}" for s in record.splits for p in s.parts]
    raise NotFoundError(
        f"no split {name!r}; there are {', '.join(parts) or 'none'}",
        where=f"record of {record.id}",
        fix="choose one of these",
    )


def read_file(published: Published, path: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a small payload file and compare it with the manifest.

    Raises
    ------
    NotFoundError
        If the manifest does not list it.
    IntegrityError
        If its bytes differ.
    """
    name = published.commit.name
    if path not in published.manifest:
        raise NotFoundError(
            f"no file {path!r}",
            where=name,
            fix=f"see what it holds: scidata show {name} {options_of(published.store)}",
        )
    data = published.store.read(published.locations.of(path).key, limit=limit)
    expected, found = published.manifest[path], Digest.of(data)
    if found != expected:
        damage = Damage(path=path, state="bad", expected=str(expected), found=str(found))
        raise IntegrityError(
            str(damage),
            where=f"{name} at {published.store.url}",
            fix=f"check the whole version: scidata verify {name} {options_of(published.store)}",
            damage=[damage],
        )
    return data


def read_split(published: Published, rule: SplitRule, part: str) -> tuple[str, ...]:
    """Read the ids of a split part, compared with the manifest."""
    path = split_path(rule.name, part)
    return parse(
        read_file(published, path, limit=MAX_PART_BYTES),
        where=f"{published.commit.name}/{path}",
    )


def read_statistics(
    published: Published, asset: str | None = None
) -> dict[str, Any]:  # Any: JSON
    """Read the statistics of one asset, or of all by key; see `Dataset.statistics`."""
    name = published.commit.name
    data = read_file(published, STATISTICS)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    assets = document.get("assets") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(assets, dict):
        raise InvalidError(
            "the statistics are not JSON with a field 'assets'",
            where=f"{name}/{STATISTICS}",
            fix="report it to whoever published the version",
        )
    if document.get("schema") != "scidata-statistics/1":
        raise InvalidError(
            f"schema {document.get('schema')!r}",
            where=f"{name}/{STATISTICS}",
            fix="upgrade scidata",
        )
    if asset is None:
        return assets
    if asset not in assets:
        raise NotFoundError(
            f"no statistics of {asset!r}; there are {', '.join(assets)}",
            where=name,
            fix="choose one of these",
        )
    return cast("dict[str, Any]", assets[asset])
