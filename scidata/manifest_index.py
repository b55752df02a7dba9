"""``manifest.parquet``, read: never trusted before its digest was compared, nor after.

What writes it is `scidata.formats.manifest_table`. A few bytes of Parquet can say a long text a
million times, so every reader looks at the table first and takes few rows at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from scidata.errors import InvalidError
from scidata.parts import MAX_PARTS, SHA256_BYTES, Parts
from scidata.paths import MAX_PATH_BYTES

MAX_TABLE_ROWS = 10_000_000
MAX_COLUMN_BYTES = 128 * 2**20
"""Of one column of a row group, once it is decompressed."""
ROWS_AT_ONCE = 512
CUT_ROWS_AT_ONCE = 16
"""The same where the parts of files are read: 5 MB, if all have as many as can be."""

_AT_ONCE_BYTES = 2**28
"""Of what is read at once, if every row repeated all that a column holds."""
_MAX_ROW_BYTES = 8 * MAX_PATH_BYTES
"""Of what is read at once, on average: a path, an address, and what a server said of it."""
_MAX_CUT_BYTES = (MAX_PARTS + 1) * SHA256_BYTES
"""The same of parts, and the digest of the whole."""
_HEX_AT_ONCE = 2**16 * SHA256_BYTES


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
    try:
        with _opened(data) as file:
            # Numbers and digests have the length that the rows say; only texts can swell.
            paths, since = _texts(file)
            columns = file.read(columns=["size", "sha256"], use_threads=False)
            urls = (
                {row["path"]: row["url"] for row in _adopted(file)}
                if "url" in file.schema_arrow.names
                else {}
            )
        _refuse_gaps(columns.columns)
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
    try:
        with _opened(data) as file:
            if "url" not in file.schema_arrow.names:
                return {}
            return {
                row["path"]: Noted(int(row["size"]), row["etag"] or "", row["modified"] or "")
                for row in _adopted(file, "size", "etag", "modified")
            }
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise InvalidError(
            f"the index of sizes cannot be read: {error}",
            where=where,
            fix="report it to whoever published the version",
        ) from error


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:  # Any: pyarrow has no types
    """Open the table, if nothing in it can grow beyond measure; `ValueError` says what can."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data)) as file:
        _check_table(file)
        yield file


def _batches(file: Any, columns: Sequence[str]) -> Iterator[Any]:  # Any: as above
    """Yield few rows at a time: a kilobyte can say one long text a million times."""
    rows = _rows_at_once(file, columns, ROWS_AT_ONCE)
    # Without threads, here and below: those of pyarrow abort a process that ends soon after.
    for batch in file.iter_batches(rows, columns=list(columns), use_threads=False):
        if batch.nbytes > ROWS_AT_ONCE * _MAX_ROW_BYTES:
            raise ValueError("its texts are too long")
        yield batch


def _rows_at_once(file: Any, columns: Sequence[str], most: int) -> int:  # Any: as above
    """Return of how many rows the texts stay in bounds, whatever they repeat.

    No text is longer than all that its column holds, because each of its bytes is there once at
    least; fixed lengths cannot swell.
    """
    largest = 1
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        held = [group.column(i) for i in range(group.num_columns)]
        texts = [
            column.total_uncompressed_size
            for column in held
            if column.physical_type == "BYTE_ARRAY"
            and column.path_in_schema.partition(".")[0] in columns
        ]
        largest = max(largest, *texts, 0)
    return max(1, min(most, _AT_ONCE_BYTES // largest))


def _refuse_gaps(columns: Iterable[Any]) -> None:  # Any: as above
    if any(column.null_count for column in columns):
        raise ValueError("it leaves out a value")


def _adopted(file: Any, *columns: str) -> Iterator[dict[str, Any]]:  # Any: as above
    """Yield the rows of files outside the store."""
    for batch in _batches(file, ["path", "url", *columns]):
        yield from (row for row in batch.to_pylist() if row["url"] is not None)


def _check_table(file: Any) -> None:  # Any: pyarrow has no types
    """Refuse what could grow beyond measure when it is read; `ValueError` says what."""
    import pyarrow as pa

    told, schema = file.metadata, file.schema_arrow
    if told.num_rows > MAX_TABLE_ROWS:
        raise ValueError(f"{told.num_rows} rows are too many")
    wanted = {"path": pa.string(), "size": pa.int64(), "sha256": pa.binary(SHA256_BYTES)}
    for name, kind in wanted.items():
        if schema.field(name).type != kind:
            raise ValueError(f"the column {name!r} is not {kind}")
    for number in range(told.num_row_groups):
        group = told.row_group(number)
        sizes = [group.column(i).total_uncompressed_size for i in range(group.num_columns)]
        if max(sizes, default=0) > MAX_COLUMN_BYTES:
            raise ValueError(f"a column of {max(sizes)} bytes is too large")


def _texts(file: Any) -> tuple[list[str], list[str]]:  # Any: as above
    paths: list[str] = []
    since: list[str] = []
    words: dict[str, str] = {}  # each version's text once in memory
    for batch in _batches(file, ["path", "since"]):
        _refuse_gaps(batch.columns)
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
        values = memoryview(chunk.buffers()[1])[SHA256_BYTES * chunk.offset :]
        for start in range(0, SHA256_BYTES * len(chunk), _HEX_AT_ONCE):
            text = values[start : min(start + _HEX_AT_ONCE, SHA256_BYTES * len(chunk))].hex()
            yield from (text[n : n + 64] for n in range(0, len(text), 64))


def _words(column: Any) -> Iterator[str]:  # Any: as above
    """Yield a few different texts."""
    coded = column if hasattr(column, "indices") else column.dictionary_encode()
    words = coded.dictionary.to_pylist()
    return (words[number] for number in coded.indices.to_pylist())


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the index says of a file beyond its sha256; empty where it says nothing."""

    size: int | None = None
    """Bytes."""
    crc64nvme: str = ""
    """Hex, 16 digits."""
    parts: Parts | None = None
    """The sha256 of each part."""
    cut: str = ""
    """The sha256, in hex, of the file whose parts these are."""
    md5: str = ""
    """Hex."""


def read_recorded(data: bytes) -> dict[str, Recorded]:
    """Read what ``manifest.parquet`` says of each file, for comparing stored checksums.

    Raises
    ------
    ValueError, LookupError, TypeError, OSError
        If it is not such a table: whoever read it knows where it came from, and says so.
    """
    names = ["path", "size", "crc64nvme", "part_size", "md5"]
    found: dict[str, Recorded] = {}
    with _opened(data) as file:
        there = [name for name in names if name in file.schema_arrow.names]
        cut: dict[int, tuple[str, int]] = {}
        number = 0
        for batch in _batches(file, there):
            for row in batch.to_pylist():
                found[row["path"]] = _recorded(row)
                if row.get("part_size"):
                    cut[number] = row["path"], row["part_size"]
                number += 1
        for path, parts, whole in _parts(file, cut):
            if not parts.fits(found[path].size or 0):
                raise ValueError(f"the parts of {path!r} are not those of a file of its size")
            found[path] = replace(found[path], parts=parts, cut=whole)
    return found


def _parts(
    file: Any,
    cut: Mapping[int, tuple[str, int]],  # Any: as above
) -> Iterator[tuple[str, Parts, str]]:
    """Yield path, parts and sha256 of the files that are cut, by their rows' numbers."""
    columns = ["sha256", "parts_sha256"]
    rows = _rows_at_once(file, columns, CUT_ROWS_AT_ONCE)
    first = 0
    for number in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if not any(row in cut for row in range(first, first + count)):
            first += count
            continue
        batches = file.iter_batches(
            rows, row_groups=[number], columns=columns, use_threads=False
        )
        for batch in batches:
            if batch.nbytes > CUT_ROWS_AT_ONCE * _MAX_CUT_BYTES:
                raise ValueError("its parts are too many")
            for place, row in enumerate(batch.to_pylist(), start=first):
                if place in cut and row["parts_sha256"] is not None:
                    path, size = cut[place]
                    yield path, Parts(size, row["parts_sha256"]), row["sha256"].hex()
            first += len(batch)


def _recorded(row: Mapping[str, Any]) -> Recorded:  # Any: as above
    crc64nvme, md5 = row.get("crc64nvme"), row.get("md5")
    return Recorded(
        size=row.get("size"),
        crc64nvme=crc64nvme.hex() if crc64nvme else "",
        md5=md5.hex() if md5 else "",
    )


def read_rows(data: bytes) -> Iterator[tuple[str, int, str]]:
    """Yield path, size in bytes and the version in whose prefix each file lies, in order.

    Only some hundred rows are in memory at once.

    Raises
    ------
    ValueError, LookupError, TypeError, OSError
        As `read_recorded`; rows before what cannot be read were yielded by then.
    """
    with _opened(data) as file:
        for batch in _batches(file, ["path", "size", "since"]):
            _refuse_gaps(batch.columns)
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
