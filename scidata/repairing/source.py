"""Another copy of a version, to take sound files from: a store, a mirror, or a folder."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scidata.bag import Bag, read_bag
from scidata.digest import Digest
from scidata.errors import ConflictError, InvalidError, NotFoundError
from scidata.hashing import hash_each
from scidata.locations import read_locations
from scidata.manifest import MANIFEST, TAG_MANIFEST, Manifest
from scidata.outside import reaching
from scidata.resolve import read_manifest, resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where another copy's files lie, and what they should be; no file of it is trusted."""

    store: Store
    name: str
    """Such as ``tevolop@1.0.0``."""
    digest: str
    """Of the version."""
    payload: Mapping[str, str]
    """Sha256 of each file by its path in the bag, as the version's digest covers it."""
    tags: Mapping[str, str]
    """The same of the bag's tag files."""
    vouched: bool
    """Whether a commit record vouches for the tag files; in a folder nothing does."""
    key: Callable[[str], str]
    """Where a file lies in the store, by its path."""


def open_source(source: StoreLike, name: str) -> Source:
    """Read what another copy of a version says it holds.

    Raises
    ------
    NotFoundError
        If there is nothing at this address, or the store does not have the version.
    InvalidError
        If a folder's manifest is damaged.
    """
    if isinstance(source, str | Path) and is_copy(source):
        return _folder(Path(source))
    store = open_store(source)
    commit = resolve(name, store)
    manifest = read_manifest(store, commit)
    locations = read_locations(store, commit, manifest)
    prefix = f"v{commit.version}/"
    tags = {
        key.removeprefix(prefix): tag.sha256
        for key, tag in commit.tags.items()
        if key.startswith(prefix)
    }

    def key(path: str) -> str:
        if path in manifest:
            return locations.of(path).key
        beside = path in commit.tags
        return f"{commit.dataset}/{'' if beside else prefix}{path}"

    return Source(
        store=reaching(store, commit),
        name=commit.name,
        digest=commit.digest,
        payload=manifest.hexes,
        tags=tags,
        vouched=True,
        key=key,
    )


def refuse_other(source: Source, held: set[str], pin: Digest | None, *, where: str) -> None:
    """Refuse a source of another version.

    Raises
    ------
    ConflictError
        If its digest is neither among those that the target may have, nor the one expected.
    """
    if pin is not None and str(pin) != source.digest:
        raise ConflictError(
            f"{source.name} in the source has the digest {source.digest}, not {pin}",
            where=source.store.url,
            fix="find out which of the two was cited before trusting either",
        )
    if source.digest not in held:
        raise ConflictError(
            f"the source holds {source.name} ({source.digest}), and the target another version",
            where=where,
            fix="take a source of the version that the target holds; a folder that should hold "
            "the source's version is told so by --name",
        )


def is_copy(source: Path | str) -> bool:
    """Tell whether an address is that of a folder that holds a copy, not of a store."""
    return (Path(source) / MANIFEST).is_file()


def _folder(folder: Path) -> Source:
    bag = read_bag(folder)
    manifest = Manifest.parse(bag.manifest or b"", where=str(folder / MANIFEST))
    _refuse_unnamed(bag)
    own = {MANIFEST: manifest.digest.hex} | dict(_tag_manifest(folder))
    return Source(
        store=LocalStore(folder),
        name=bag.name,
        digest=str(manifest.digest),
        payload=manifest.hexes,
        tags={**bag.tags, **own},
        vouched=False,
        key=lambda path: path,
    )


def _tag_manifest(folder: Path) -> Mapping[str, str]:
    """Digest the tag manifest, which nothing in a folder vouches for."""
    files = [(TAG_MANIFEST, os.fspath(folder / TAG_MANIFEST))]
    return {item.key: item.hex for item in hash_each(files, threads=1) if item.error is None}


def _refuse_unnamed(bag: Bag) -> None:
    if not bag.name:
        raise InvalidError(
            f"{str(bag.folder)!r} does not say which version it holds",
            where=str(bag.folder),
            fix="take a copy that scidata published, or the store itself",
        )


def size_of(source: Source, path: str) -> int | None:
    """Return a file's size in bytes in the source; None if it is not there."""
    try:
        return source.store.head(source.key(path)).size
    except NotFoundError:
        return None
