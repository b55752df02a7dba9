"""``manifest.parquet``: an index over the manifest with sizes. Never the identity of a version.

Its bytes depend on the writer's release, so only the digest in the commit record vouches for
it; everything in it but sizes repeats ``manifest-sha256.txt``.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scidata.facts import Facts
from scidata.manifest import Manifest
from scidata.parts import SHA256_BYTES, Parts

_ROWS_PER_GROUP = 100_000
_PARTS_PER_GROUP = 2**20
"""32 MiB of digests: whoever reads the table takes 128 MiB of a column at most."""


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A file outside the store, as it was when it was adopted."""

    url: str
    etag: str | None = None
    modified: str | None = None
    """UTC, ISO 8601, by the server's clock."""


def to_parquet(
    manifest: Manifest,
    sizes: Mapping[str, int],
    facts: Facts,
    since: Mapping[str, str],
    *,
    sources: Mapping[str, Sourced] = MappingProxyType({}),
    parts: Mapping[str, Parts] = MappingProxyType({}),
) -> bytes:
    """Write one row for each file, in the manifest's order.

    `since` has the version of each file that is inherited, by its path, and `sources` the
    address of each that lies outside the store: then there are three columns more, ``url``,
    ``etag`` and ``modified``.

    Columns: ``path``; ``size`` in bytes; ``sha256``, 32 bytes; ``since``, the version whose
    prefix holds the bytes; ``asset``, its key; ``part_size`` in bytes and ``parts_sha256``, 32
    bytes for each part, of the files in `parts`; and ``crc64nvme`` and ``md5``, which are null.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = list(manifest)
    hexes = manifest.hexes.values()
    cuts = [parts.get(path) for path in paths]
    keys = {asset.path: asset.key for asset in facts.assets}
    columns = {
        "path": pa.array(paths, pa.string()),
        "size": pa.array([sizes[p] for p in paths], pa.int64()),
        "sha256": pa.Array.from_buffers(
            pa.binary(32), len(paths), [None, pa.py_buffer(bytes.fromhex("".join(hexes)))]
        ),
        "since": _coded([since.get(p, facts.version) for p in paths]),
        "asset": _coded([keys["/".join(p.split("/", 2)[:2])] for p in paths]),
        "crc64nvme": pa.nulls(len(paths), pa.binary(8)),
        "part_size": pa.array([cut and cut.size for cut in cuts], pa.int32()),
        "parts_sha256": pa.array([cut and cut.sha256 for cut in cuts], pa.binary()),
        "md5": pa.nulls(len(paths), pa.binary(16)),
    }
    if sources:
        held = [sources.get(path) for path in paths]
        columns["url"] = pa.array([s and s.url for s in held], pa.string())
        columns["etag"] = pa.array([s and s.etag for s in held], pa.string())
        columns["modified"] = pa.array([s and s.modified for s in held], pa.string())
    target = io.BytesIO()
    settings: dict[str, Any] = {  # Any: pyarrow's inferred types know no list of columns
        # Digests are as random as bytes can be: trying to compress them only takes time.
        "compression": {name: "none" if "sha256" in name else "zstd" for name in columns},
        "use_dictionary": ["since", "asset"],
        "column_encoding": {"path": "DELTA_BYTE_ARRAY"},
    }
    table = pa.table(columns)
    with pq.ParquetWriter(target, table.schema, **settings) as writer:
        for start, stop in _groups(cuts):
            writer.write_table(table.slice(start, stop - start), stop - start)
    return target.getvalue()


def _groups(cuts: Sequence[Parts | None]) -> Iterator[tuple[int, int]]:
    """Yield where groups of rows begin and end, so that none grows too large to be read."""
    start, parts = 0, 0
    for row, cut in enumerate(cuts):
        count = len(cut.sha256) // SHA256_BYTES if cut else 0
        if row - start == _ROWS_PER_GROUP or (row > start and parts + count > _PARTS_PER_GROUP):
            yield start, row
            start, parts = row, 0
        parts += count
    if start < len(cuts):
        yield start, len(cuts)


def _coded(words: list[str]) -> Any:  # Any: pyarrow's types are not known here
    """Write few different texts once each, and a number for each row."""
    import pyarrow as pa

    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rows = pa.array(list(map(numbers.__getitem__, words)), pa.int32())
    return pa.DictionaryArray.from_arrays(rows, pa.array(numbers, pa.string()))
