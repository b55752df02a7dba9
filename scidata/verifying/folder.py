"""Verify a bag in a folder: a pulled or synced copy of a version, or a bag of another tool."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scidata import compare
from scidata.bag import (
    MAX_MANIFEST_BYTES,
    PARTIAL,
    Bag,
    Entry,
    parse_lines,
    read_bag,
    read_file,
    walk,
)
from scidata.compare import Verified
from scidata.digest import Digest
from scidata.errors import Damage, IntegrityError, InvalidError, NotFoundError
from scidata.hashing import Hashed, Progress, hash_each
from scidata.manifest import (
    DECLARATION,
    MANIFEST,
    MANIFEST_TABLE,
    PAYLOAD,
    TAG_MANIFEST,
    Manifest,
)
from scidata.manifest_index import parse_table
from scidata.resolve import read_manifest, resolve
from scidata.signing import require_signature
from scidata.sshsig import PublicKey
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.verifying.choice import Choice, asset_globs
from scidata.verifying.foreign import has_other_manifests_alone, judged, verify_other
from scidata.verifying.identity import identity
from scidata.version import CommitRecord


@dataclass(frozen=True, kw_only=True)
class Vouched:
    """What the folder should hold, and who says so."""

    digest: Digest | None = None
    against: str = ""
    commit: CommitRecord | None = None
    store: Store | None = None
    payload: Mapping[str, str] | None = None
    """Every file with its sha256, if that is known already."""
    tags: Mapping[str, str] | None = None
    """The same of the tag files."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Every file that should be there, with its sha256."""

    payload: Mapping[str, str]
    tags: Mapping[str, str]
    damage: tuple[Damage, ...]
    """Of the manifests themselves."""
    passed_over: frozenset[str] = frozenset()
    """Payload that was not asked for: neither read nor extra."""
    whole: int = 0
    """Payload files of the version."""
    held: int = 0
    """How many of them the folder says it holds."""
    inside: frozenset[str] = frozenset()
    """Payload to read; of the rest names and sizes are compared."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Of the payload in bytes, as far as they are known and needed."""


@dataclass
class Tally:
    """What was seen while walking and reading."""

    seen: set[str] = field(default_factory=set)
    others: list[Entry] = field(default_factory=list)
    bytes: int = 0

    def counted(self, items: Iterable[Hashed]) -> Iterator[Hashed]:
        """Pass results on, adding up their bytes."""
        for item in items:
            self.bytes += item.size
            yield item


def verify_folder(
    folder: Path,
    store: Store | None,
    *,
    digest: Digest | None,
    name: str | None,
    choice: Choice,
    trusted: tuple[PublicKey, ...],
    progress: Progress | None,
) -> Verified:
    """Compare a folder with its manifest, and the manifest with what vouches for it."""
    alone = digest is None and store is None and name is None and choice.depth != "remote"
    if alone and has_other_manifests_alone(folder):
        return verify_other(folder, choice, progress=progress)
    bag = read_bag(folder)
    vouched = vouching(bag, store, digest=digest, name=name)
    signer = None
    if trusted and vouched.store is not None and vouched.commit is not None:
        signer = require_signature(vouched.store, vouched.commit, trusted).key
    found = verify_bag(bag, vouched, choice=choice, progress=progress)
    if not bag.is_version and bag.partial is None:
        found = judged(bag, found, choice)
    return replace(found, signer=signer)


def verify_bag(
    bag: Bag, vouched: Vouched, *, choice: Choice, progress: Progress | None
) -> Verified:
    """Compare a folder with what vouches for it; raises what `scidata.verify` does."""
    folder = bag.folder
    if choice.depth == "remote":
        raise InvalidError(
            "a folder keeps no checksums, so there is nothing to compare without reading",
            where=str(folder),
            fix="leave out --remote to read every byte, or take --fast for names and sizes",
        )
    globs = choice.globs + asset_globs(choice.assets, bag.assets, where=str(folder))
    expected = chosen(bag, expectation(bag, vouched), globs)
    draws = choice.draws or choice.depth == "fast"
    sizes, notes = _sizes(bag, expected) if draws else ({}, ())
    seed = str(vouched.digest or bag.digest or "")
    inside = frozenset(choice.read(expected.payload, seed, sizes))
    expected = replace(expected, inside=inside, sizes=sizes)
    tally = Tally()
    damage = [*expected.damage, *_read(bag, expected, tally, progress)]
    damage += _absent_and_extra(bag, expected, tally, globs)
    damage = list(compare.ordered(damage))
    published = None
    if vouched.store is not None and vouched.commit is not None:
        published = vouched.store, vouched.commit
    return Verified(
        target=str(folder),
        name=bag.name or (vouched.commit.name if vouched.commit else ""),
        digest=bag.digest,
        against=vouched.against,
        published=vouched.commit is not None,
        files=len(tally.seen),
        tags=len(tally.seen & expected.tags.keys()),
        bytes=tally.bytes,
        fast=choice.depth == "fast",
        depth=choice.depth,
        compared=len(inside),
        drawn=choice.told(len(inside), len(expected.payload), seed),
        payload=expected.whole,
        held=expected.held,
        partial=bag.partial is not None,
        damage=tuple(damage),
        notes=(
            *notes,
            *identity(bag, vouched.digest, expected.payload, damage, published=published),
        ),
    )


def vouching(
    bag: Bag, store: Store | None, *, digest: Digest | None, name: str | None
) -> Vouched:
    """Find out which digest the manifest must have.

    Raises
    ------
    InvalidError
        If a store is given but nothing says which of its versions is meant.
    IntegrityError
        If the digest given is not that of the version in the store.
    """
    if store is None and name is None:
        return Vouched(digest=digest, against="the digest given" if digest else "")
    reference = name or bag.name
    if not reference:
        raise InvalidError(
            f"{str(bag.folder)!r} does not say which version it holds",
            where=str(bag.folder),
            fix="name it: --name dataset@1.0.0",
        )
    opened = open_store(store)
    commit = resolve(reference, opened)
    if not commit.has(digest):
        raise IntegrityError(
            f"{commit.name} in this store has the digest {commit.digest}, not {digest}",
            where=opened.url,
            fix="find out which of the two was cited before trusting either",
        )
    return Vouched(
        digest=Digest.parse(commit.digest),
        against=f"{commit.name} in {opened.url}",
        commit=commit,
        store=opened,
    )


def expectation(bag: Bag, vouched: Vouched) -> Expected:
    """Work out what should be there from the manifest, or from what vouches for it."""
    wanted = vouched.digest or (Digest.parse(bag.stated) if bag.stated else None)
    tags = _tags(bag, vouched)
    damage = [*_tag_manifest_damage(bag, tags)]
    payload, reasons = _own_payload(bag)
    if bag.manifest is None:
        damage.append(Damage(path=MANIFEST, state="missing", expected=str(wanted or "")))
    elif wanted is not None and bag.digest != wanted:
        found = "; ".join(filter(None, [str(bag.digest), compare.several(reasons)]))
        damage.append(compare.bad(MANIFEST, str(wanted), found))
    elif reasons and wanted is not None and bag.is_version:
        # Its digest vouches for it: nothing was damaged on the way, it was made like this. The
        # same manifest in a store is refused in the same way.
        Manifest.parse(bag.manifest, where=f"{bag.folder}/{MANIFEST}")
    elif reasons:
        damage.append(compare.bad(MANIFEST, "a canonical manifest", compare.several(reasons)))
    if wanted is not None and bag.digest != wanted:
        payload = _vouched_payload(bag, vouched, wanted, tags) or payload
    count = len(payload)
    return Expected(payload=payload, tags=tags, damage=tuple(damage), whole=count, held=count)


def chosen(bag: Bag, expected: Expected, globs: tuple[str, ...]) -> Expected:
    """Narrow what is expected to the globs, and to what a partial copy says it holds."""
    narrowed = expected if bag.partial is None else _held(bag.partial, expected)
    payload = {
        path: narrowed.payload[path] for path in compare.matching(narrowed.payload, globs)
    }
    if globs and not payload:
        raise NotFoundError(
            f"no file of the manifest matches {' or '.join(map(repr, globs))}",
            where=str(bag.folder),
            fix="write it as in the manifest, such as 'data/grid.zarr/*'",
        )
    return replace(
        narrowed,
        payload=payload,
        passed_over=frozenset(narrowed.payload.keys() - payload.keys()),
    )


def _held(partial: bytes, expected: Expected) -> Expected:
    """Expect no more than a partial copy says it holds, and that as the manifest has it."""
    held, lines = parse_lines(partial, payload=True)
    reasons: list[object] = list(lines) if held or lines else ["it names no file"]
    reasons += [f"{p} differs" for p, value in held.items() if expected.payload.get(p) != value]
    damage = list(expected.damage)
    if reasons:
        damage.append(compare.bad(PARTIAL, "lines of the manifest", compare.several(reasons)))
    payload = {path: expected.payload[path] for path in held if path in expected.payload}
    return replace(
        expected,
        payload=payload,
        held=len(payload),
        tags={path: value for path, value in expected.tags.items() if path != DECLARATION},
        damage=tuple(damage),
    )


def _own_payload(bag: Bag) -> tuple[Mapping[str, str], tuple[object, ...]]:
    """Read the folder's own manifest, by scidata's rules if scidata wrote it."""
    data = bag.manifest or b""
    if not bag.is_version:
        return parse_lines(data, payload=True)
    try:
        manifest = Manifest.parse(data)
    except InvalidError as error:
        reasons = [f"{p.path} {p.message}".removeprefix(f"{MANIFEST}:") for p in error.problems]
        return parse_lines(data, payload=True)[0], tuple(reasons)
    return manifest.hexes, ()


def _vouched_payload(
    bag: Bag, vouched: Vouched, wanted: Digest, tags: Mapping[str, str]
) -> Mapping[str, str]:
    """Take the store's manifest, or rebuild it from the index of sizes if that gives it."""
    if vouched.payload is not None:
        return vouched.payload
    if vouched.store is not None and vouched.commit is not None:
        return read_manifest(vouched.store, vouched.commit).hexes
    try:
        table = _table(bag, tags)
        rebuilt = Manifest({path: Digest(value) for path, (_, value) in table.items()})
    except InvalidError:
        return {}
    return rebuilt.hexes if rebuilt.digest == wanted else {}


def _tags(bag: Bag, vouched: Vouched) -> Mapping[str, str]:
    if vouched.tags is not None:
        return vouched.tags
    if vouched.commit is None:
        return bag.tags
    prefix = f"v{vouched.commit.version}/"
    return {
        key.removeprefix(prefix): tag.sha256
        for key, tag in vouched.commit.tags.items()
        if key.startswith(prefix)
    }


def _tag_manifest_damage(bag: Bag, tags: Mapping[str, str]) -> Iterator[Damage]:
    if bag.bad_tag_lines:
        found = compare.several(bag.bad_tag_lines)
        yield compare.bad(TAG_MANIFEST, "lines of sha256 and path", found)
    elif bag.is_version and not tags:
        yield Damage(path=TAG_MANIFEST, state="missing")


def _table(bag: Bag, tags: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """Read the index of sizes if its digest is the expected one; else `InvalidError`."""
    where = str(bag.folder / MANIFEST_TABLE)
    data = read_file(bag.folder, MANIFEST_TABLE, MAX_MANIFEST_BYTES) or b""
    if tags.get(MANIFEST_TABLE) != Digest.of(data).hex:
        raise InvalidError(
            "nothing vouches for the index of sizes", where=where, fix="check without --fast"
        )
    return parse_table(data, where=where)


def _sizes(bag: Bag, expected: Expected) -> tuple[Mapping[str, int], tuple[str, ...]]:
    try:
        table = _table(bag, expected.tags)
    except InvalidError as error:
        return {}, (f"only names were compared, no sizes: {error.message}",)
    return {path: size for path, (size, _) in table.items()}, ()


def _read(
    bag: Bag,
    expected: Expected,
    tally: Tally,
    progress: Progress | None,
) -> list[Damage]:
    """Walk the folder and read it at the same time: the tag files, and what is inside."""
    wanted = {**expected.payload, **expected.tags}
    found: dict[str, int] = {}

    def present() -> Iterator[tuple[str, str]]:
        for entry in walk(bag.folder):
            if entry.kind != "file" or entry.path not in wanted:
                tally.others.append(entry)
                continue
            tally.seen.add(entry.path)
            if entry.path in expected.payload and entry.path not in expected.inside:
                found[entry.path] = os.stat(entry.full).st_size  # noqa: PTH116 - has no Path
            else:
                yield entry.path, entry.full

    known = expected.sizes
    total = sum(known.get(path, 0) for path in expected.inside) if known else bag.size
    hashed = tally.counted(hash_each(present(), progress=progress, total=total))
    damage = list(compare.differing(hashed, wanted))
    return damage + list(compare.resized(found, expected.sizes))


def _absent_and_extra(
    bag: Bag, expected: Expected, tally: Tally, globs: tuple[str, ...]
) -> Iterator[Damage]:
    wanted = {**expected.payload, **expected.tags}
    kinds = {entry.path: entry.kind for entry in tally.others}
    yield from compare.missing((wanted.keys() - tally.seen) - kinds.keys(), wanted)
    own = {MANIFEST, TAG_MANIFEST} | ({PARTIAL} if bag.partial is not None else set())
    for path, kind in kinds.items():
        if path in wanted:
            yield compare.bad(path, f"sha256:{wanted[path]}", f"a {kind}")
        elif path in own or path in expected.passed_over:
            continue
        elif path.startswith(PAYLOAD):
            if expected.payload and any(compare.matching([path], globs)):
                yield compare.unexpected(path, "" if kind == "file" else f"a {kind}")
        elif bag.is_version:
            yield compare.unexpected(path, "" if kind == "file" else f"a {kind}")
