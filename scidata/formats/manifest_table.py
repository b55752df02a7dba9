"""``manifest.parquet``: an index over the manifest with sizes. Never the identity of a version.

Its bytes depend on the writer's release, so only the digest in the commit record vouches for
it; everything in it but sizes repeats ``manifest-sha256.txt``.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scidata.facts import Facts
from scidata.manifest import Manifest

_ROWS_PER_GROUP = 100_000


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
    sources: Mapping[str, Sourced] = MappingProxyType({}),
) -> bytes:
    """Write one row for each file, in the manifest's order.

    `since` has the version of each file that is inherited, by its path, and `sources` the
    address of each that lies outside the store: then there are three columns more, ``url``,
    ``etag`` and ``modified``.

    Columns: ``path``; ``size`` in bytes; ``sha256``, 32 bytes; ``since``, the version whose
    prefix holds the bytes; ``asset``, its key; and four that are null until a store or a user
    asks for them: ``crc64nvme``, ``part_size``, ``parts_sha256``, ``md5``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = list(manifest)
    hexes = manifest.hexes.values()
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
        "part_size": pa.nulls(len(paths), pa.int32()),
        "parts_sha256": pa.nulls(len(paths), pa.binary()),
        "md5": pa.nulls(len(paths), pa.binary(16)),
    }
    if sources:
        held = [sources.get(path) for path in paths]
        columns["url"] = pa.array([s and s.url for s in held], pa.string())
        columns["etag"] = pa.array([s and s.etag for s in held], pa.string())
        columns["modified"] = pa.array([s and s.modified for s in held], pa.string())
    target = io.BytesIO()
    settings: dict[str, Any] = {  # Any: pyarrow's inferred types know no list of columns
        "row_group_size": _ROWS_PER_GROUP,
        # Digests are as random as bytes can be: trying to compress them only takes time.
        "compression": {name: "none" if name == "sha256" else "zstd" for name in columns},
        "use_dictionary": ["since", "asset"],
        "column_encoding": {"path": "DELTA_BYTE_ARRAY"},
    }
    pq.write_table(pa.table(columns), target, **settings)
    return target.getvalue()


def _coded(words: list[str]) -> Any:  # Any: pyarrow's types are not known here
    """Write few different texts once each, and a number for each row."""
    import pyarrow as pa

    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rows = pa.array(list(map(numbers.__getitem__, words)), pa.int32())
    return pa.DictionaryArray.from_arrays(rows, pa.array(numbers, pa.string()))
