"""Bags of other tools: what BagIt asks of them beyond files that agree with a sha256 manifest.

RFC 8493, and 0.97 before it, where the two differ. A version that scidata published needs none
of this: its manifest's digest vouches for all of it. Tag files in UTF-8 alone are read.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from scidata import compare
from scidata.bag import (
    MAX_MANIFEST_BYTES,
    BadLine,
    Bag,
    Entry,
    parse_fetch,
    parse_lines,
    read_file,
    walk,
)
from scidata.compare import Verified
from scidata.errors import Damage, InvalidError
from scidata.hashing import Meter, Progress, cpu_count, unreadable
from scidata.manifest import DECLARATION, MANIFEST, PAYLOAD, TAG_MANIFEST
from scidata.parallel import each
from scidata.verifying.choice import Choice
from scidata.wording import counted

DIGITS = {"sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}
"""Of a digest in hex, by the algorithms that are known beside sha256; the strongest first."""
FORGED = ("sha1", "md5")
"""Of these somebody can make other bytes with the same digest."""
FETCH, FACTS_OF_BAG = "fetch.txt", "bag-info.txt"

_MAX_TAG_BYTES = 2**20
_SEPARATOR = rb"(?:\r\n|\r|\n)"
_DECLARED = re.compile(
    rb"BagIt-Version: ([0-9]+)\.([0-9]+)"
    + _SEPARATOR
    + rb"Tag-File-Character-Encoding: ([!-~]+)"
    + _SEPARATOR
    + rb"?"
)
_OXUM = re.compile(rb"(?im)^Payload-Oxum[ \t]*:[ \t]*([0-9]+)\.([0-9]+)[ \t]*\r?$")
_BLOCK = 2**18


class Listed(NamedTuple):
    """A manifest, or tag manifest, of another algorithm than sha256."""

    name: str
    algorithm: str
    files: Mapping[str, str]
    """Digests in hex, by path."""
    bad: tuple[BadLine, ...]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What ``bagit.txt`` says."""

    number: tuple[int, int]
    damage: tuple[Damage, ...] = ()


def has_other_manifests_alone(folder: Path) -> bool:
    """Tell whether a folder is a bag that has no sha256 manifest, but one that is known."""
    own = any((folder / name).is_file() for name in (MANIFEST, TAG_MANIFEST))
    return not own and any((folder / f"manifest-{name}.txt").is_file() for name in DIGITS)


def judged(
    bag: Bag, found: Verified, choice: Choice, *, progress: Progress | None = None
) -> Verified:
    """Add to what was found of a bag of another tool what BagIt asks beyond that."""
    payload = parse_lines(bag.manifest or b"", payload=True)[0]
    more = _more(bag.folder, payload, choice, seed=str(bag.digest), progress=progress)
    known = {path for one in more.known for path in one.files}
    damage = [item for item in found.damage if item.state != "extra" or item.path not in known]
    damage += more.damage
    return replace(
        found,
        damage=compare.ordered([*damage, *_oxum(bag.folder, choice, damage)]),
        notes=(*found.notes, *more.notes),
    )


def verify_other(folder: Path, choice: Choice, *, progress: Progress | None) -> Verified:
    """Compare a bag with its manifest of another algorithm than sha256.

    Raises
    ------
    InvalidError
        If its tag files are not in UTF-8.
    StorageError
        If a file cannot be read.
    """
    manifests = _listed(folder, "manifest", payload=True)
    # Before 1.0 each of several could name some of the files.
    payload = {path: value for one in reversed(manifests) for path, value in one.files.items()}
    seed = f"{manifests[0].name} of {folder}"
    more = _more(folder, payload, choice, seed=seed, progress=progress)
    seen = {entry.path: entry for entry in walk(folder) if entry.path.startswith(PAYLOAD)}
    chosen = set(compare.matching(payload, choice.globs))
    damage = [*more.damage]
    damage += (
        Damage(path=compare.shown(path), state="missing") for path in chosen - seen.keys()
    )
    damage += _strange(seen, payload, chosen, choice)
    damage += list(_oxum(folder, choice, damage))
    weak = manifests[0].algorithm in FORGED
    notes = [
        f"compared with {manifests[0].name}, for which nothing outside this folder vouches",
        *([f"{manifests[0].algorithm} shows faults, not forgery"] if weak else []),
        *more.notes,
    ]
    return Verified(
        target=str(folder),
        name="",
        digest=None,
        published=False,
        against="",
        files=len(seen.keys() & chosen),
        tags=0,
        bytes=more.bytes,
        fast=choice.depth == "fast",
        depth=choice.depth,
        compared=more.compared,
        drawn=choice.told(more.compared, len(chosen), seed),
        payload=len(payload),
        held=len(payload),
        damage=compare.ordered(damage),
        notes=tuple(notes),
    )


def _strange(
    seen: Mapping[str, Entry], payload: Collection[str], chosen: Collection[str], choice: Choice
) -> Iterator[Damage]:
    for path, entry in seen.items():
        kind = "" if entry.kind == "file" else f"a {entry.kind}"
        if path in chosen and kind:
            yield compare.bad(path, "a file", kind)
        elif path not in payload and any(compare.matching([path], choice.globs)):
            yield compare.unexpected(path, kind)


@dataclass(frozen=True, kw_only=True)
class _More:
    damage: tuple[Damage, ...]
    notes: tuple[str, ...]
    known: tuple[Listed, ...]
    """Manifests whose files need not be in the others."""
    compared: int
    bytes: int


def _more(
    folder: Path,
    payload: Mapping[str, str],
    choice: Choice,
    *,
    seed: str,
    progress: Progress | None,
) -> _More:
    declared = _declared(folder)
    manifests = _listed(folder, "manifest", payload=True)
    damage = [*declared.damage]
    if not (folder / PAYLOAD).is_dir():
        damage.append(Damage(path=PAYLOAD, state="missing", expected="a folder"))
    strict = declared.number >= (1, 0)
    chosen = set(compare.matching(payload, choice.globs))
    inside = choice.read(chosen, seed, {})
    meter = Meter(0, progress)
    read = 0
    for one in manifests:
        damage += _lines(one, payload, strict=strict)
        wanted = {path: one.files[path] for path in one.files if path in inside or not strict}
        wanted = {} if choice.depth == "fast" else wanted
        for found, size in _compared(folder, one.algorithm, wanted, meter):
            damage += found
            read += size
    for one in _listed(folder, "tagmanifest", payload=False):
        damage += _lines(one, one.files, strict=False)
        for found, _ in _compared(folder, one.algorithm, one.files, meter):
            damage += found
    fetched, notes = _fetch(folder, payload)
    damage += fetched
    return _More(
        damage=tuple(damage),
        notes=notes,
        known=() if strict else manifests,
        compared=len(inside),
        bytes=read,
    )


def _listed(folder: Path, kind: str, *, payload: bool) -> tuple[Listed, ...]:
    found = []
    for algorithm, digits in DIGITS.items():
        name = f"{kind}-{algorithm}.txt"
        data = read_file(folder, name, MAX_MANIFEST_BYTES)
        if data is not None:
            files, bad = parse_lines(data, payload=payload, digits=digits)
            found.append(Listed(name, algorithm, files, bad))
    return tuple(found)


def _lines(one: Listed, payload: Collection[str], *, strict: bool) -> Iterator[Damage]:
    """Compare what a manifest names with what the others do."""
    reasons: list[object] = list(one.bad)
    if strict:
        reasons += [f"lacks {path!r}" for path in sorted(set(payload) - one.files.keys())]
        reasons += [f"names {path!r} alone" for path in sorted(one.files.keys() - set(payload))]
    if reasons:
        found = compare.several(reasons)
        yield compare.bad(one.name, "lines of digest and path, as other manifests have", found)


def _declared(folder: Path) -> Declared:
    data = read_file(folder, DECLARATION, _MAX_TAG_BYTES)
    if data is None:
        return Declared(number=(1, 0), damage=(Damage(path=DECLARATION, state="missing"),))
    match = _DECLARED.fullmatch(data)
    if match is None:
        two = "'BagIt-Version: 1.0' and 'Tag-File-Character-Encoding: UTF-8', a line each"
        return Declared(
            number=(1, 0), damage=(compare.bad(DECLARATION, two, "something else"),)
        )
    if match[3].upper() not in {b"UTF-8", b"ASCII", b"US-ASCII"}:
        raise InvalidError(
            f"the tag files are in {match[3].decode()}; scidata reads UTF-8",
            where=str(folder / DECLARATION),
            fix="check it with its own tool, such as bagit.py --validate",
        )
    return Declared(number=(int(match[1]), int(match[2])))


def _fetch(
    folder: Path, payload: Collection[str]
) -> tuple[tuple[Damage, ...], tuple[str, ...]]:
    """Look at what is to be fetched: each file must be of the payload, none leave it."""
    data = read_file(folder, FETCH, MAX_MANIFEST_BYTES)
    if data is None:
        return (), ()
    files, bad = parse_fetch(data)
    reasons = [*map(str, bad), *(f"names {p!r} alone" for p in files if p not in payload)]
    damage = []
    if reasons:
        expected = "lines of URL, size and path, as the manifests have"
        damage.append(compare.bad(FETCH, expected, compare.several(reasons)))
    holes = sum(not os.path.lexists(folder / path) for path in files if path in payload)
    note = f"{FETCH} says where {counted(holes, 'missing file')} can be fetched, with a tool "
    return tuple(damage), (note + "such as bdbag --resolve-fetch all",) if holes else ()


def _oxum(folder: Path, choice: Choice, damage: Collection[Damage]) -> Iterator[Damage]:
    """Compare bytes and files of the payload with what ``bag-info.txt`` says of them.

    Nothing is said where other damage of the payload explains it.
    """
    if choice.globs or any(item.path.startswith(PAYLOAD) for item in damage):
        return
    stated = _OXUM.search(read_file(folder, FACTS_OF_BAG, MAX_MANIFEST_BYTES) or b"")
    if stated is None:
        return
    sizes = [
        os.stat(entry.full).st_size  # noqa: PTH116 - has no Path
        for entry in walk(folder)
        if entry.kind == "file" and entry.path.startswith(PAYLOAD)
    ]
    if (int(stated[1]), int(stated[2])) != (sum(sizes), len(sizes)):
        expected = f"Payload-Oxum: {stated[1].decode()}.{stated[2].decode()}"
        yield compare.bad(FACTS_OF_BAG, expected, f"{sum(sizes)}.{len(sizes)}")


def _compared(
    folder: Path, algorithm: str, wanted: Mapping[str, str], meter: Meter
) -> Iterator[tuple[list[Damage], int]]:
    """Read files; of those that are not there others tell, unless they are tag files."""

    def read(path: str) -> tuple[list[Damage], int]:
        value, size = hashlib.new(algorithm, usedforsecurity=False), 0
        expected = f"{algorithm}:{wanted[path]}"
        try:
            for block in meter.metered(_blocks(folder / path)):
                value.update(block)
                size += len(block)
        except (FileNotFoundError, NotADirectoryError):
            return [Damage(path=compare.shown(path), state="missing", expected=expected)], 0
        except OSError as error:
            if (folder / path).is_symlink():
                return [compare.bad(path, expected, "a symbolic link")], 0
            raise unreadable(folder / path, error) from error
        if value.hexdigest() == wanted[path]:
            return [], size
        return [compare.bad(path, expected, f"{algorithm}:{value.hexdigest()}")], size

    yield from each(read, wanted, threads=cpu_count())


def _blocks(path: Path) -> Iterable[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            yield block
