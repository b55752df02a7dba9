"""Verify a version where it lies in a store, by reading every byte through the store."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from scidata import compare
from scidata.compare import Verified
from scidata.digest import Digest
from scidata.errors import (
    ConflictError,
    Damage,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.hashing import Hashed, Meter, Progress, hash_stream
from scidata.locations import Locations, is_full
from scidata.manifest import MANIFEST, MANIFEST_TABLE, PAYLOAD
from scidata.manifest_index import Recorded, read_recorded
from scidata.outside import reaching
from scidata.parallel import each
from scidata.resolve import read_tag, resolve_or_folder
from scidata.signing import require_signature
from scidata.sshsig import PublicKey
from scidata.storage.base import Store
from scidata.storage.checksums import KeepsChecksums
from scidata.verifying.choice import Choice, asset_globs
from scidata.verifying.described import Described, described
from scidata.verifying.listed import OutOfOrderError, expected, join, listed
from scidata.verifying.sources import changed_sources
from scidata.verifying.stored import PARTS, Judged, judge
from scidata.version import CommitRecord
from scidata.wording import counted

UNLISTED = "the store cannot be listed, so files that no manifest names were not looked for"

IN_PARTS = (
    "compared by the SHA256 of parts, for which the commit record vouches; the digest alone "
    "does not"
)


def verify_version(
    reference: str,
    store: Store,
    *,
    digest: Digest | None,
    choice: Choice,
    trusted: tuple[PublicKey, ...] = (),
    progress: Progress | None,
) -> Verified:
    """Compare a version with its commit record, and its payload with its manifest."""
    commit = resolve_or_folder(reference, store)
    if choice.depth == "remote":  # of what a version adopted, its own server may keep some
        refuse_without_checksums(reaching(store, commit))
    signer = require_signature(store, commit, trusted).key if trusted else None
    globs = choice.globs + asset_globs(
        choice.assets, {asset.key: asset.path for asset in commit.assets}, where=commit.name
    )
    said: list[str] = []
    # What lies outside the store is in no listing of it.
    if choice.depth == "fast" and store.lists and reaching(store, commit) is store:
        quick = _in_one_pass(store, commit, globs, digest=digest, progress=progress)
        if isinstance(quick, Verified):
            return replace(quick, signer=signer)
        said += quick
    version = described(store, commit)
    chosen = {p: version.payload[p] for p in compare.matching(version.payload, globs)}
    if globs and version.payload and not chosen:
        raise _nothing_matches(store, commit, globs)
    recorded, notes = _recorded(version, choice)
    notes += said
    known = {path: row.size for path, row in recorded.items() if row.size is not None}
    inside = choice.read(chosen, commit.digest, known)
    with ThreadPoolExecutor(1) as pool:  # a long listing should not keep reading waiting
        listing = pool.submit(_list, version)
        stored = inside if choice.depth == "remote" else set()
        wanted = version.tags | {p: chosen[p] for p in inside - stored}
        found, read = _read(version, wanted, progress, listing)
        judged = list(_ask(version, {p: chosen[p] for p in stored}, recorded))
        sizes = listing.result()
    damage = [*_pin(version.commit, digest), *version.damage, *found]
    damage += _miscounted(commit, len(version.payload))
    damage += [item.damage for item in judged if item.damage is not None]
    damage += _absent_and_unexpected(version, sizes, chosen, globs)
    notes += [*version.notes, *([UNLISTED] if sizes is None else [])]
    checksums = Counter(item.by for item in judged if item.by)
    if checksums[PARTS] and signer is None:
        notes.append(f"{counted(checksums[PARTS], 'file')} {IN_PARTS}")
    rest = chosen.keys() - inside - {item.path for item in damage}  # what was read is sound
    damage += changed_sources(version.store, version.commit, version.sources, rest)
    if sizes is not None:
        told = {item.path for item in damage}
        held = {p: sizes[p] for p in rest - told if p in sizes}
        damage += compare.resized(held, known)
    elif len(inside) < len(chosen):
        notes.append("no sizes were compared: the store cannot be listed")
    return Verified(
        target=store.url,
        name=version.commit.name,
        digest=Digest.parse(version.commit.digest),
        published=True,
        against=f"{version.commit.name} in {store.url}",
        files=len(version.tags | chosen),
        tags=len(version.tags),
        bytes=read,
        fast=choice.depth == "fast",
        depth=choice.depth,
        compared=len(inside),
        drawn=choice.told(len(inside), len(chosen), commit.digest),
        checksums=dict(checksums),
        unverifiable=tuple(
            sorted(
                (item.unchecked for item in judged if item.unchecked is not None),
                key=lambda item: item.path,
            )
        ),
        payload=len(version.payload),
        held=len(version.payload),
        damage=compare.ordered(damage),
        signer=signer,
        notes=tuple(notes),
    )


def _in_one_pass(
    store: Store,
    commit: CommitRecord,
    globs: tuple[str, ...],
    *,
    digest: Digest | None,
    progress: Progress | None,
) -> Verified | list[str]:
    """Compare names and sizes in little memory, or return what should be said of why not."""
    try:
        return _joined(store, commit, globs, digest=digest, progress=progress)
    except OutOfOrderError as error:
        return [str(error)]
    except (StorageError, ConflictError):
        raise
    except (IntegrityError, InvalidError, ValueError, LookupError, TypeError, OSError):
        # Manifest or index cannot be used. Who holds everything in memory says more of that.
        return []


def _joined(
    store: Store,
    commit: CommitRecord,
    globs: tuple[str, ...],
    *,
    digest: Digest | None,
    progress: Progress | None,
) -> Verified:
    """Compare names and sizes of the payload, and every byte of the tag files.

    Raises
    ------
    OutOfOrderError
        If the store does not list in order.
    ScidataError, ValueError, LookupError, TypeError, OSError
        If manifest or index are damaged or cannot be read.
    """
    own = Locations(dataset=commit.dataset, version=commit.version)
    version = Described(store=store, commit=commit, payload={}, damage=(), locations=own)
    manifest, table = (
        read_tag(store, commit, version.prefix + name) for name in (MANIFEST, MANIFEST_TABLE)
    )
    full = commit.version if is_full(store, commit) else ""
    versions = [full] if full else [p.removeprefix("v") for p in commit.prefixes]
    tags = version.tags
    with ThreadPoolExecutor(1) as pool:
        files = expected(manifest, table, full=full)
        keys = listed(store, commit.dataset, versions)
        looking = pool.submit(join, files, keys, own=commit.version, tags=tags, globs=globs)
        # Those two were compared with the commit record when they were read.
        unread = {p: tags[p] for p in tags.keys() - {MANIFEST, MANIFEST_TABLE}}
        found, read = _read(version, unread, progress, looking)
        looked = looking.result()
    if globs and not looked.chosen:
        raise _nothing_matches(store, commit, globs)
    return Verified(
        target=store.url,
        name=commit.name,
        digest=Digest.parse(commit.digest),
        published=True,
        against=f"{commit.name} in {store.url}",
        files=len(tags) + looked.chosen,
        tags=len(tags),
        bytes=read + len(manifest) + len(table),
        fast=True,
        depth="fast",
        payload=looked.payload,
        held=looked.payload,
        damage=compare.ordered(
            [
                *_pin(commit, digest),
                *_miscounted(commit, looked.payload),
                *found,
                *looked.damage,
            ]
        ),
    )


def _nothing_matches(
    store: Store, commit: CommitRecord, globs: tuple[str, ...]
) -> NotFoundError:
    return NotFoundError(
        f"no file of {commit.name} matches {' or '.join(map(repr, globs))}",
        where=store.url,
        fix="write it as in the manifest, such as 'data/grid.zarr/*'",
    )


def _miscounted(commit: CommitRecord, files: int) -> list[Damage]:
    """Compare what the commit record says; a manifest that cannot be used is damage anyway."""
    if files in (0, commit.files):
        return []
    held = f"{counted(files, 'file')} in the manifest"
    record = f"versions/{commit.version}.json"
    return [compare.bad(record, held, counted(commit.files, "file"))]


def _list(version: Described) -> Mapping[str, int] | None:
    """Return what lies below the prefix and where files are inherited from, in bytes.

    None if the store cannot be listed.
    """
    if not version.store.lists:
        return None
    own = f"{version.commit.dataset}/{version.prefix}"
    found = {f.key.removeprefix(own): f.size for f in version.store.list(own)}
    inherited = version.locations.roots(version.locations.since)
    for root, paths in inherited.items():
        there = {f.key.removeprefix(f"{root}/"): f.size for f in version.store.list(f"{root}/")}
        for path in paths:
            found.pop(path, None)  # also in the own prefix, where nobody reads it
        found |= {path: there[path] for path in paths if path in there}
    return found | {path: facts.size for path, facts in version.sources.items()}


def _read(
    version: Described,
    wanted: Mapping[str, str],
    progress: Progress | None,
    listing: Future[Any],
) -> tuple[list[Damage], int]:
    """Read objects through the store, several at once; returns damage and bytes read."""
    meter = Meter(version.commit.bytes, progress)
    total = 0
    damage: list[Damage] = []
    for item in each(lambda path: _hash_object(version, path, meter), wanted):
        total += item.size
        damage += compare.differing([item], wanted)
        if listing.done():
            listing.result()  # a store that refuses to list says so now, not hours later
    meter.tell()
    return damage, total


def _hash_object(version: Described, path: str, meter: Meter) -> Hashed:
    key = version.key(path)
    try:
        digest, count = hash_stream(meter.metered(version.store.stream(key)))
    except NotFoundError:
        return Hashed(path, "", 0, FileNotFoundError(key))
    return Hashed(path, digest.hex, count)


def _absent_and_unexpected(
    version: Described,
    sizes: Mapping[str, int] | None,
    chosen: Mapping[str, str],
    globs: tuple[str, ...],
) -> Iterator[Damage]:
    if sizes is None:
        return
    wanted = version.tags | dict(chosen)
    beside = version.commit.tags.keys()
    yield from compare.missing((wanted.keys() - sizes.keys()) - beside, wanted)
    for path in sizes.keys() - version.tags.keys() - version.payload.keys():
        # With the manifest lost, nobody can tell which payload is one file too many.
        unknown = path.startswith(PAYLOAD) and not version.payload
        if not unknown and (
            not path.startswith(PAYLOAD) or any(compare.matching([path], globs))
        ):
            yield compare.unexpected(path)


def _recorded(version: Described, choice: Choice) -> tuple[Mapping[str, Recorded], list[str]]:
    """Read what the index says of each file, if that is needed and nothing is wrong with it."""
    if choice.depth == "full" and not choice.draws:
        return {}, []
    commit = version.commit
    key = f"v{commit.version}/{MANIFEST_TABLE}"
    try:
        return read_recorded(read_tag(version.store, commit, key)), []
    except (IntegrityError, NotFoundError) as error:
        return {}, [f"only names were compared, no sizes: {error.message}"]
    except (ValueError, LookupError, TypeError, OSError) as error:
        return {}, [f"only names were compared, no sizes: the index cannot be read: {error}"]


def _ask(
    version: Described, wanted: Mapping[str, str], recorded: Mapping[str, Recorded]
) -> Iterator[Judged]:
    """Compare the checksums that the store keeps; nothing is read but the answers to HEAD."""
    nothing = Recorded()

    def ask(path: str) -> Judged:
        try:
            stored = keeper.checksums(version.key(path))
        except NotFoundError:
            expected = f"sha256:{wanted[path]}"
            missing = Damage(path=compare.shown(path), state="missing", expected=expected)
            return Judged(path=path, damage=missing)
        return judge(path, wanted[path], recorded.get(path, nothing), stored)

    if wanted:
        keeper = refuse_without_checksums(version.store)
        yield from each(ask, wanted)


def refuse_without_checksums(store: Store) -> KeepsChecksums:
    """Return the store as one that keeps checksums.

    Raises
    ------
    InvalidError
        If it keeps none.
    """
    if isinstance(store, KeepsChecksums):
        return store
    raise InvalidError(
        "this store keeps no checksums, so there is nothing to compare without reading",
        where=store.url,
        fix="leave out --remote to read every byte, or take --fast for names and sizes",
    )


def _pin(commit: CommitRecord, digest: Digest | None) -> Iterator[Damage]:
    if not commit.has(digest):
        yield compare.bad(f"versions/{commit.version}.json", str(digest), commit.digest)
