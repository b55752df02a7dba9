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
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.hashing import unreadable
from scidata.manifest import (
    DECLARATION,
    FACTS,
    MANIFEST,
    MAX_PATH_BYTES,
    PAYLOAD,
    TAG_MANIFEST,
)
from scidata.version import Reference

PARTIAL = "partial-sha256.txt"
"""The manifest's lines of the files that a partial copy holds; such a copy is not a bag."""

MAX_MANIFEST_BYTES = 256 * 2**20
MAX_TABLE_ROWS = 10_000_000
MAX_COLUMN_BYTES = 128 * 2**20
"""Of one column of a row group, once it is decompressed."""
ROWS_AT_ONCE = 512
_MAX_FACTS_BYTES = 16 * 2**20
_LINE = re.compile(r"([0-9A-Fa-f]{64})[ \t]+\*?(.+)")
_LEAVING = re.compile(r"(?:^|[/\\])\.{0,2}(?:[/\\]|$)|^~|\0")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of other bytes
_SHA256_BYTES = 32
_HEX_AT_ONCE = 2**16 * _SHA256_BYTES
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


def parse_lines(data: bytes, *, payload: bool) -> tuple[dict[str, str], tuple[BadLine, ...]]:
    """Read a manifest of any BagIt tool: paths and sha256 values, and the lines not used.

    Parameters
    ----------
    payload : bool
        Whether paths must lie below ``data/`` (a manifest) or outside it (a tag manifest).

    Notes
    -----
    RFC 8493 section 2.1.3: white space between digest and path, lines end with LF, CR or CRLF,
    and CR, LF and % are percent-encoded in paths. A path that could leave the folder is never
    used.
    """
    files: dict[str, str] = {}
    bad: list[BadLine] = []
    if data.startswith(_BOM):
        bad.append(BadLine(1, "begins with a byte order mark"))
        data = data.removeprefix(_BOM)
    text = data.decode("utf-8", "surrogateescape")
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        path = _plain(match[2]) if match else ""
        if match is None:
            bad.append(BadLine(number, "is not '<64 hex digits>  <path>'"))
        elif fault := _fault(path, payload=payload):
            bad.append(BadLine(number, f"names {path!r}, which {fault}"))
        elif files.setdefault(path, match[1].lower()) != match[1].lower():
            bad.append(BadLine(number, f"names {path!r} again with another digest"))
    return files, tuple(bad)


class TableIndex(NamedTuple):
    """The columns of ``manifest.parquet`` that say more than the manifest, or repeat it."""

    sizes: dict[str, int]
    """Bytes of every file, by path."""
    hexes: dict[str, str]
    """Their sha256."""
    since: list[str]
    """Version in whose prefix each lies, in the same order."""
    urls: dict[str, str]
    """The address of each file that was adopted and lies outside the store."""

    @property
    def versions(self) -> set[str]:
        """Every version that holds a file."""
        return set(self.since)

    def inherited(self, version: str) -> dict[str, str]:
        """Return the files that lie elsewhere than in `version`, and in which one."""
        pairs = zip(self.sizes, self.since, strict=True)
        return {path: since for path, since in pairs if since != version}


def parse_table(data: bytes, *, where: str) -> dict[str, tuple[int, str]]:
    """Read ``manifest.parquet``: each file's size in bytes and sha256.

    Raises
    ------
    InvalidError
        If it is not such a table.
    """
    index = parse_index(data, where=where)
    return {path: (size, index.hexes[path]) for path, size in index.sizes.items()}


def parse_index(data: bytes, *, where: str) -> TableIndex:
    """Read ``manifest.parquet``: sizes, digests, and in which version each file lies.

    Raises
    ------
    InvalidError
        If it is not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without threads, as below: those of pyarrow abort a process that ends soon after.
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            _check_table(file)
            # Numbers and digests have the length that the rows say; only texts can swell.
            paths, since = _texts(file)
            columns = file.read(columns=["size", "sha256"], use_threads=False)
            urls = _urls(file) if "url" in file.schema_arrow.names else {}
        if any(columns.column(name).null_count for name in columns.column_names):
            raise ValueError("it leaves out a value")  # noqa: TRY301 - one remedy for all
        index = TableIndex(
            sizes=dict(zip(paths, _numbers(columns["size"]), strict=True)),
            hexes=dict(zip(paths, _hexes(columns["sha256"]), strict=True)),
            since=since,
            urls=urls,
        )
        if len(index.sizes) != len(index.since):
            raise ValueError("it names a file twice")  # noqa: TRY301 - one remedy for all
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise InvalidError(
            f"the index of sizes cannot be read: {error}",
            where=where,
            fix="check the copy without --fast, or fetch it again",
        ) from error
    return index


class Noted(NamedTuple):
    """What was noted of a file outside the store when it was adopted; empty if unknown."""

    size: int
    etag: str
    modified: str
    """UTC, ISO 8601, by the server's clock."""


def parse_noted(data: bytes, *, where: str) -> dict[str, Noted]:
    """Read from ``manifest.parquet`` what was noted of adopted files, by their paths.

    Raises
    ------
    InvalidError
        If it is not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            if "url" not in file.schema_arrow.names:
                return {}
            _check_table(file)
            return {
                row["path"]: Noted(int(row["size"]), row["etag"] or "", row["modified"] or "")
                for row in _rows(file, ["path", "size", "url", "etag", "modified"])
            }
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise InvalidError(
            f"the index of sizes cannot be read: {error}",
            where=where,
            fix="report it to whoever published the version",
        ) from error


def _urls(file: Any) -> dict[str, str]:  # Any: pyarrow has no types
    return {row["path"]: row["url"] for row in _rows(file, ["path", "url"])}


def _rows(file: Any, columns: list[str]) -> Iterator[dict[str, Any]]:  # Any: as above
    """Yield the rows of adopted files, few at a time: see `_texts`."""
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns, use_threads=False):
        if batch.nbytes > ROWS_AT_ONCE * 8 * MAX_PATH_BYTES:
            raise ValueError("its addresses are too long")
        yield from (row for row in batch.to_pylist() if row["url"] is not None)


def _check_table(file: Any) -> None:  # Any: pyarrow has no types
    """Refuse what could grow beyond measure when it is read; `ValueError` says what."""
    import pyarrow as pa

    told, schema = file.metadata, file.schema_arrow
    if told.num_rows > MAX_TABLE_ROWS:
        raise ValueError(f"{told.num_rows} rows are too many")
    wanted = {"path": pa.string(), "size": pa.int64(), "sha256": pa.binary(_SHA256_BYTES)}
    for name, kind in wanted.items():
        if schema.field(name).type != kind:
            raise ValueError(f"the column {name!r} is not {kind}")
    for number in range(told.num_row_groups):
        group = told.row_group(number)
        sizes = [group.column(i).total_uncompressed_size for i in range(group.num_columns)]
        if max(sizes, default=0) > MAX_COLUMN_BYTES:
            raise ValueError(f"a column of {max(sizes)} bytes is too large")


def _texts(file: Any) -> tuple[list[str], list[str]]:  # Any: as above
    """Read texts, few at a time: a kilobyte can say one long text a million times."""
    paths: list[str] = []
    since: list[str] = []
    words: dict[str, str] = {}  # each version's text once in memory
    for batch in file.iter_batches(
        batch_size=ROWS_AT_ONCE, columns=["path", "since"], use_threads=False
    ):
        if batch.nbytes > ROWS_AT_ONCE * 2 * MAX_PATH_BYTES:
            raise ValueError("its paths are too long")
        if batch["path"].null_count or batch["since"].null_count:
            raise ValueError("it leaves out a value")
        paths.extend(_decoded(batch["path"]))
        since.extend(words.setdefault(word, word) for word in _words(batch["since"]))
    return paths, since


def _decoded(column: Any) -> list[str]:  # Any: as above
    """Return texts, faster than `to_pylist`, and without `to_numpy`, which imports pandas."""
    _, places, data = column.buffers()
    ends = memoryview(places).cast("i")[column.offset : column.offset + len(column) + 1]
    start = ends[0]
    values = memoryview(data)[start : ends[-1]].tobytes() if data else b""
    if values.isascii():
        text = values.decode()
        return [text[a - start : b - start] for a, b in pairwise(ends)]
    return [values[a - start : b - start].decode() for a, b in pairwise(ends)]


def _numbers(column: Any) -> list[int]:  # Any: as above
    numbers: list[int] = []
    for chunk in column.chunks:
        values = memoryview(chunk.buffers()[1]).cast("q")
        numbers += values[chunk.offset : chunk.offset + len(chunk)].tolist()
    return numbers


def _hexes(column: Any) -> Iterator[str]:  # Any: as above
    """Yield the hex of 32 bytes each, without an object for each 32 bytes."""
    for chunk in column.chunks:
        values = memoryview(chunk.buffers()[1])[_SHA256_BYTES * chunk.offset :]
        for start in range(0, _SHA256_BYTES * len(chunk), _HEX_AT_ONCE):
            text = values[start : min(start + _HEX_AT_ONCE, _SHA256_BYTES * len(chunk))].hex()
            yield from (text[n : n + 64] for n in range(0, len(text), 64))


def _words(column: Any) -> Iterator[str]:  # Any: as above
    """Yield a few different texts."""
    coded = column if hasattr(column, "indices") else column.dictionary_encode()
    words = coded.dictionary.to_pylist()
    return (words[number] for number in coded.indices.to_pylist())


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
            f"{str(folder)!r} has only {', '.join(others)}; scidata checks sha256",
            where=str(folder),
            fix="check it with its own tool, such as bagit.py --validate",
        )
    what = "declares a bag but has" if declared else "is no copy of a version: it has"
    return InvalidError(
        f"{str(folder)!r} {what} neither {MANIFEST} nor {TAG_MANIFEST}",
        where=str(folder),
        fix="give the folder that holds data/ and the manifest, such as one that scidata pull "
        "wrote; or, if a version in a store is meant, name its number, such as tiny@1.0.0",
    )
