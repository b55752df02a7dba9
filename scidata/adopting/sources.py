"""What is there to adopt: a folder, a bucket's prefix, a web folder with an index, or a list.

Lists and indexes are not trusted: what they name must lie where a reader may be sent.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from scidata.errors import IntegrityError, InvalidError, NotFoundError, Problem, StorageError
from scidata.manifest import MAX_PROBLEMS
from scidata.parallel import each
from scidata.paths import path_fault, path_problems
from scidata.storage.addresses import local_folder, split_url
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.foreign import open_place, place_fault
from scidata.storage.s3_address import parse_address

MAX_FILES = 1_000_000
MAX_LIST_BYTES = 256 * 2**20
INDEX = "index.txt"

_SIZE = re.compile(r"\d{1,18}")
_HEX = re.compile(r"[0-9a-f]{64}")
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_FIX = "correct the list, or leave the entry out"
_FIX_THERE = "rename it there, or adopt a list of the others' addresses (--list)"


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is reached."""

    endpoint_url: str | None = None
    """S3 server; by default the AWS environment's."""
    anonymous: bool = False
    """Read S3 without credentials, as readers of the version will."""
    index: str = INDEX
    """Of a web folder: the name of the list in it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where some of the files lie, and how to read them."""

    url: str
    store: Store
    endpoint: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file to adopt, as its server describes it."""

    place: Place
    path: str
    """Below the place."""
    size: int
    etag: str | None = None
    modified: str | None = None
    sha256: str | None = None
    """As a list says, in hex."""


@dataclass(frozen=True)
class _Entry:
    """A line of a list."""

    number: int
    url: str
    size: int | None = None
    sha256: str | None = None


def list_source(source: str, options: SourceOptions, *, near: bool) -> tuple[SourceFile, ...]:
    """List a folder, a bucket's prefix, or a web folder that has an index.

    Parameters
    ----------
    source : str
        A folder, ``file:///folder``, ``s3://bucket/prefix`` or ``https://host/folder/``.
    options : SourceOptions
    near : bool
        Whether the version's store is of this machine, so that files may be, too.

    Raises
    ------
    NotFoundError
        If there is no such folder or index, or a file that it names is missing.
    InvalidError
        Naming every path that may not be published.
    IntegrityError
        If a file has another size than the index says.
    StorageError
        If the source cannot be reached.
    """
    scheme = source.partition("://")[0] if "://" in source else "file"
    if scheme in {"http", "https"}:
        return _from_index(source, options, near=near)
    url = source.rstrip("/")
    if "://" not in source:
        folder = local_folder(source)
        if not folder.is_dir():
            raise NotFoundError(
                f"{source!r} is no folder",
                where=str(folder.parent),
                fix="check the path; a list of addresses is adopted with --list",
            )
        url = folder.as_uri()
    place = _place(url, options, near=near)
    listed = [f for f in place.store.list() if not f.key.endswith("/")]
    return _checked(_listed(place, listed), source, fix=_FIX_THERE)


def read_list(
    data: bytes, options: SourceOptions, *, where: str, near: bool
) -> tuple[SourceFile, ...]:
    """Read a list of absolute addresses, and ask for each file; raises as `list_source`.

    Each line holds an address and may hold a size in bytes and a sha256; lines that begin with
    ``#`` are skipped.
    """
    entries = [*_entries(data, where)]
    faults = [
        _problem(where, entry.number, f"{_shown(entry.url)} {fault}")
        for entry in entries
        if (fault := _entry_fault(entry.url, near=near))
    ]
    if faults:
        raise InvalidError.listing(faults[:MAX_PROBLEMS], where=where, fix=_FIX)
    groups: dict[str, list[_Entry]] = {}
    for entry in entries:
        parts = urlsplit(entry.url)
        groups.setdefault(f"{parts.scheme}://{parts.netloc}", []).append(entry)
    found: list[SourceFile] = []
    for host, held in groups.items():
        keys = [_key(entry.url, host) for entry in held]
        folder = _shared_folder(keys)
        place = _place(f"{host}/{folder}".rstrip("/"), options, near=near)
        start = len(folder) + 1 if folder else 0
        found += _asked(place, [(key[start:], e) for key, e in zip(keys, held, strict=True)])
    return _checked(found, where)


def _from_index(source: str, options: SourceOptions, *, near: bool) -> tuple[SourceFile, ...]:
    place = _place(source.rstrip("/"), options, near=near)
    try:
        data = place.store.read(options.index, limit=MAX_LIST_BYTES)
    except NotFoundError as error:
        raise NotFoundError(
            f"the web folder has no index {options.index!r}",
            where=place.url,
            fix="name one with --index, such as SHA256SUMS; or write a list of addresses and "
            "give it with --list",
        ) from error
    where = f"{place.url}/{options.index}"
    named = [(unquote(entry.url), entry) for entry in _entries(data, where)]
    faults = [
        _problem(where, entry.number, f"{_shown(name)} {fault}")
        for name, entry in named
        if (fault := "is no path below the index" if "://" in name else path_fault(name))
    ]
    if faults:
        raise InvalidError.listing(faults[:MAX_PROBLEMS], where=where, fix=_FIX)
    return _checked(_asked(place, named), where)


def _place(url: str, options: SourceOptions, *, near: bool) -> Place:
    s3 = url.startswith("s3://")
    if fault := place_fault(url, near=near):
        raise InvalidError(
            f"the source {fault}",
            where="SOURCE",
            fix="give a folder, s3://bucket/prefix or https://host/folder/; what lies on this "
            "machine or in a private network can be adopted into a store there only",
        )
    endpoint = None
    if s3:
        import os

        endpoint = parse_address(
            url, endpoint_url=options.endpoint_url, anonymous=False, environ=os.environ
        ).endpoint
    store = open_place(url, endpoint=endpoint, anonymous=s3 and options.anonymous, near=near)
    return Place(url=url, store=store, endpoint=endpoint, anonymous=s3 and options.anonymous)


def _entries(data: bytes, where: str) -> Iterator[_Entry]:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidError("the list is not UTF-8", where=where, fix="write it anew") from error
    count = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        count += 1
        if count > MAX_FILES:
            raise InvalidError(
                f"the list names more than {MAX_FILES:,} files", where=where, fix="divide it"
            )
        yield _entry(number, line, where)


def _entry(number: int, line: str, where: str) -> _Entry:
    if match := _SUM.fullmatch(line):  # as sha256sum writes
        return _Entry(number, quote(match[2].removeprefix("./")), None, match[1].lower())
    url, *rest = line.split()
    words = [word.removeprefix("sha256:").lower() for word in rest]
    sums = [word for word in words if _HEX.fullmatch(word)]
    sizes = [int(word) for word in words if _SIZE.fullmatch(word)]
    if len(sums) + len(sizes) < len(words) or len(sizes) > 1 or len(sums) > 1:
        raise InvalidError.listing(
            [_problem(where, number, "is not an address, a size and a sha256")],
            where=where,
            fix=_FIX,
        )
    return _Entry(number, url, sizes[0] if sizes else None, sums[0] if sums else None)


def _entry_fault(url: str, *, near: bool) -> str | None:
    if split_url(url) is None or url.startswith("file:"):
        return "is a file of this machine: give its folder as SOURCE"
    fault = place_fault(url, near=near)
    if fault is None and url.endswith("/"):
        return "is a folder, not a file"
    return fault


def _key(url: str, host: str) -> str:
    key = url.removeprefix(f"{host}/")
    return key if url.startswith("s3://") else unquote(key)


def _shared_folder(keys: Iterable[str]) -> str:
    """Return the deepest folder that holds all keys."""
    folders = [key.split("/")[:-1] for key in keys]
    shared: list[str] = []
    for level in zip(*folders, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared)


def _listed(place: Place, listed: Iterable[ObjectFacts]) -> Iterator[SourceFile]:
    for facts in listed:
        yield SourceFile(
            place=place,
            path=facts.key,
            size=facts.size,
            etag=facts.etag,
            modified=facts.modified,
        )


def _asked(place: Place, named: Iterable[tuple[str, _Entry]]) -> Iterator[SourceFile]:
    """Ask the server for each file that a list names."""

    def ask(item: tuple[str, _Entry]) -> SourceFile:
        path, entry = item
        try:
            facts = place.store.head(path)
        except NotFoundError as error:
            raise NotFoundError(
                f"{path!r}, which the list names, is not there", where=place.url, fix=_FIX
            ) from error
        if entry.size is not None and entry.size != facts.size:
            raise IntegrityError(
                f"{path!r} has {facts.size} bytes, and the list says {entry.size}",
                where=place.url,
                fix="make the list anew",
            )
        return replace(next(_listed(place, [facts])), sha256=entry.sha256)

    yield from each(ask, named)


def _checked(
    files: Iterable[SourceFile], where: str, *, fix: str = _FIX
) -> tuple[SourceFile, ...]:
    """Sort the files, and refuse paths that may not be published."""
    found = sorted(files, key=lambda file: file.path.encode())
    if not found:
        raise NotFoundError("there are no files to adopt", where=where, fix="check the address")
    if len(found) > MAX_FILES:
        raise InvalidError(
            f"there are more than {MAX_FILES:,} files", where=where, fix="adopt a folder of it"
        )
    problems = [replace(p, fix=fix) for p in path_problems(file.path for file in found)]
    problems += [
        Problem(code="path", path=one.path, message="the path is there twice", fix=fix)
        for one, other in pairwise(found)
        if one.path == other.path
    ]
    if problems:
        raise InvalidError.listing(problems[:MAX_PROBLEMS], where=where, fix=fix)
    return tuple(found)


def _problem(where: str, number: int, message: str) -> Problem:
    return Problem(code="list-entry", path=f"{where}:{number}", message=message, fix=_FIX)


def _shown(url: str) -> str:
    """Write an address without what may be secret in it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    plain = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
    return repr(plain if separator else url.partition("?")[0])


def read_list_file(path: Path) -> bytes:
    """Read a list from the disk.

    Raises
    ------
    NotFoundError, StorageError
        If it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise InvalidError("the list is too large", where=str(path), fix="divide it")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no list {str(path)!r}", where="--list", fix="check the path"
        ) from error
    except OSError as error:
        raise StorageError(
            f"the list cannot be read: {error.strerror}",
            where=str(path),
            fix="make it readable",
        ) from error
