"""A BagIt bag in a folder, as its own files describe it: read, never trusted, never written.

Wider than what scidata publishes: manifests of other tools may be unsorted, in upper case or
with CRLF. What a version's own tag files look like belongs to `scidata.formats.bag`.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.hashing import unreadable
from scidata.manifest import (
    DECLARATION,
    FACTS,
    MANIFEST,
    PAYLOAD,
    TAG_MANIFEST,
)
from scidata.version import Reference

PARTIAL = "partial-sha256.txt"
"""The manifest's lines of the files that a partial copy holds; such a copy is not a bag."""

MAX_MANIFEST_BYTES = 256 * 2**20
_MAX_FACTS_BYTES = 16 * 2**20
_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(.+)")
_FETCHED = re.compile(r"\S+[ \t]+(?:[0-9]+|-)[ \t]+(.+)")
_LEAVING = re.compile(r"(?:^|[/\\])\.{0,2}(?:[/\\]|$)|^~|\0")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of other bytes
_BOM = b"\xef\xbb\xbf"


class Entry(NamedTuple):
    """Something in a folder that is not itself a folder."""

    path: str
    """Below the folder that was walked, with ``/``."""
    full: str
    kind: Literal["file", "symbolic link", "special file"]


class BadLine(NamedTuple):
    """A line of a manifest that was skipped."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.number} {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Bag:
    """What a folder says of itself."""

    folder: Path
    manifest: bytes | None
    """The bytes of ``manifest-sha256.txt``; None if it is missing."""
    digest: Digest | None
    """Of these bytes."""
    tags: Mapping[str, str]
    """Tag files and their sha256, from ``tagmanifest-sha256.txt``."""
    bad_tag_lines: tuple[BadLine, ...]
    name: str
    """Such as ``tevolop@1.0.0``, from ``meta/facts.json``; empty in bags of other tools."""
    stated: str
    """The digest that ``meta/facts.json`` states; empty in bags of other tools."""
    size: int
    """Payload bytes as stated, for progress alone; 0 if not stated."""
    assets: Mapping[str, str]
    """Where each asset lies, by its key, from ``meta/facts.json``; none in other bags."""
    partial: bytes | None
    """The bytes of ``partial-sha256.txt``, if the folder holds a partial copy."""

    @property
    def is_version(self) -> bool:
        """Whether scidata published it; bags of other tools follow wider rules."""
        return bool(self.name) or FACTS in self.tags


def read_bag(folder: Path) -> Bag:
    """Read what a folder says of itself.

    Raises
    ------
    InvalidError
        If the folder holds neither a sha256 bag nor a copy of a version.
    StorageError
        If one of its files cannot be read.
    """
    manifest = read_file(folder, MANIFEST, MAX_MANIFEST_BYTES)
    tag_manifest = read_file(folder, TAG_MANIFEST, MAX_MANIFEST_BYTES)
    declaration = read_file(folder, DECLARATION, _MAX_FACTS_BYTES)
    if manifest is None and tag_manifest is None:
        raise _no_bag(folder, declared=declaration is not None)
    tags, bad_lines = parse_lines(tag_manifest or b"", payload=False)
    facts = _facts(read_file(folder, FACTS, _MAX_FACTS_BYTES) or b"")
    return Bag(
        folder=folder,
        manifest=manifest,
        digest=None if manifest is None else Digest.of(manifest),
        tags=tags,
        bad_tag_lines=bad_lines,
        name=f"{facts['dataset']}@{facts['version']}" if facts else "",
        stated=str(facts.get("digest", "")),
        size=size if isinstance(size := facts.get("bytes", 0), int) else 0,
        assets=_assets(facts.get("assets")),
        partial=read_file(folder, PARTIAL, MAX_MANIFEST_BYTES),
    )


def parse_lines(
    data: bytes, *, payload: bool, digits: int = 64
) -> tuple[dict[str, str], tuple[BadLine, ...]]:
    """Read a manifest of any BagIt tool: paths and digests, and the lines not used.

    Parameters
    ----------
    payload : bool
        Whether paths must lie below ``data/`` (a manifest) or outside it (a tag manifest).
    digits : int
        Of a digest in hex: by default as sha256 has them.

    Notes
    -----
    RFC 8493 section 2.1.3: white space between digest and path, lines end with LF, CR or CRLF,
    and CR, LF and % are percent-encoded in paths. A path that could leave the folder is never
    used.
    """
    files: dict[str, str] = {}
    bad: list[BadLine] = []
    for number, line in _numbered(data, bad):
        match = _LINE.fullmatch(line)
        path = _plain(match[2]) if match else ""
        if match is None or len(match[1]) != digits:
            bad.append(BadLine(number, f"is not '<{digits} hex digits>  <path>'"))
        elif fault := _fault(path, payload=payload):
            bad.append(BadLine(number, f"names {path!r}, which {fault}"))
        elif files.setdefault(path, match[1].lower()) != match[1].lower():
            bad.append(BadLine(number, f"names {path!r} again with another digest"))
    return files, tuple(bad)


def parse_fetch(data: bytes) -> tuple[tuple[str, ...], tuple[BadLine, ...]]:
    """Read a ``fetch.txt``: the paths of files that lie elsewhere, and the lines not used."""
    files: list[str] = []
    bad: list[BadLine] = []
    for number, line in _numbered(data, bad):
        match = _FETCHED.fullmatch(line)
        path = _plain(match[1]) if match else ""
        if match is None:
            bad.append(BadLine(number, "is not '<URL> <size or -> <path>'"))
        elif fault := _fault(path, payload=True):
            bad.append(BadLine(number, f"names {path!r}, which {fault}"))
        else:
            files.append(path)
    return tuple(files), tuple(bad)


def _numbered(data: bytes, bad: list[BadLine]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty."""
    if data.startswith(_BOM):
        bad.append(BadLine(1, "begins with a byte order mark"))
        data = data.removeprefix(_BOM)
    text = data.decode("utf-8", "surrogateescape")
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if line:
            yield number, line


def read_file(folder: Path, path: str, limit: int) -> bytes | None:
    """Read a small regular file of a folder, not through a link; None if there is none.

    Raises
    ------
    InvalidError
        If it is larger than `limit` bytes.
    StorageError
        If it cannot be read.
    """
    full = folder / path
    try:
        # Not blocking: a pipe under this name would otherwise wait for a writer.
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        if full.is_symlink():
            return None
        raise unreadable(full, error) from error
    if len(data) > limit:
        raise InvalidError(
            f"{path!r} is larger than {limit} bytes",
            where=str(full),
            fix="it is not what its name says; fetch it again from a trusted copy",
        )
    return data


def walk(folder: Path) -> Iterator[Entry]:
    """Yield everything below a folder that is not a folder; links are not followed.

    Raises
    ------
    StorageError, NotFoundError
        If a folder cannot be read.
    """
    waiting = [("", str(folder))]
    while waiting:
        prefix, top = waiting.pop()
        below = []
        try:
            with os.scandir(top) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if entry.is_file(follow_symlinks=False):
                        yield Entry(path, entry.path, "file")
                    elif entry.is_dir(follow_symlinks=False):
                        below.append((path + "/", entry.path))
                    else:
                        linked = entry.is_symlink()
                        yield Entry(
                            path, entry.path, "symbolic link" if linked else "special file"
                        )
        except OSError as error:
            raise unreadable(top, error) from error
        waiting += sorted(below, reverse=True)


def _plain(path: str) -> str:
    """Undo what RFC 8493 escapes, and a leading ``./``."""
    if "%" in path:
        path = re.sub(r"%(0[AaDd]|25)", lambda match: unquote(match[0]), path)
    return path.removeprefix("./")


def _fault(path: str, *, payload: bool) -> str:
    if _NOT_UTF8.search(path):
        return "is not UTF-8"
    if _LEAVING.search(path):
        return "leaves its folder"
    if payload and not path.startswith(PAYLOAD):
        return f"lies outside {PAYLOAD}"
    if not payload and path.startswith(PAYLOAD):
        return f"lies below {PAYLOAD}"
    return ""


def _facts(data: bytes) -> dict[str, object]:
    """Take the few fields needed; a damaged file has none, and its digest says the rest."""
    try:
        facts = json.loads(data)
        Reference.parse(f"{facts['dataset']}@{facts['version']}")
        Digest.parse(facts["digest"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}
    return dict(facts)


def _assets(listed: object) -> dict[str, str]:
    found = listed if isinstance(listed, list) else []
    return {
        asset["key"]: asset["path"]
        for asset in found
        if isinstance(asset, dict)
        and isinstance(asset.get("key"), str)
        and isinstance(asset.get("path"), str)
    }


def _no_bag(folder: Path, *, declared: bool) -> InvalidError:
    others = sorted(p.name for p in folder.glob("manifest-*.txt"))
    if others:
        return InvalidError(
            f"{str(folder)!r} has only {', '.join(others)}, and a copy of a version has "
            f"{MANIFEST}",
            where=str(folder),
            fix="compare it with its own manifest alone: scidata verify FOLDER; or, if scidata "
            "knows no such algorithm, check it with its own tool: bagit.py --validate",
        )
    what = "declares a bag but has" if declared else "is no copy of a version: it has"
    return InvalidError(
        f"{str(folder)!r} {what} neither {MANIFEST} nor {TAG_MANIFEST}",
        where=str(folder),
        fix="give the folder that holds data/ and the manifest, such as one that scidata pull "
        "wrote; or, if a version in a store is meant, name its number, such as tiny@1.0.0",
    )
