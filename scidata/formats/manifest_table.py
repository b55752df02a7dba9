"""``manifest.parquet``: an index over the manifest with sizes. Never the identity of a version.

Its bytes depend on the writer's release, so only the digest in the commit record vouches for
it; everything in it but sizes repeats ``manifest-sha256.txt``.
"""

import io
from collections.abc import Mapping
from typing import Any

from scidata.facts import Facts
from scidata.manifest import Manifest

_ROWS_PER_GROUP = 100_000


def to_parquet(
    manifest: Manifest, sizes: Mapping[str, int], facts: Facts, since: Mapping[str, str]
) -> bytes:
    """Write one row for each file, in the manifest's order.

    `since` has the version of each file that is inherited, by its path.

    Columns: ``path``; ``size`` in bytes; ``sha256``, 32 bytes; ``since``, the version whose
    prefix holds the bytes; ``asset``, its key; and four that are null until a store or a user
    asks for them: ``crc64nvme``, ``part_size``, ``parts_sha256``, ``md5``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = list(manifest)
    keys = {asset.path: asset.key for asset in facts.assets}
    words = pa.dictionary(pa.int32(), pa.string())
    columns = {
        "path": pa.array(paths, pa.string()),
        "size": pa.array([sizes[p] for p in paths], pa.int64()),
        "sha256": pa.array([bytes.fromhex(manifest[p].hex) for p in paths], pa.binary(32)),
        "since": pa.array([since.get(p, facts.version) for p in paths], words),
        "asset": pa.array([keys["/".join(p.split("/")[:2])] for p in paths], words),
        "crc64nvme": pa.nulls(len(paths), pa.binary(8)),
        "part_size": pa.nulls(len(paths), pa.int32()),
        "parts_sha256": pa.nulls(len(paths), pa.binary()),
        "md5": pa.nulls(len(paths), pa.binary(16)),
    }
    target = io.BytesIO()
    settings: dict[str, Any] = {  # Any: pyarrow's inferred types know no list of columns
        "row_group_size": _ROWS_PER_GROUP,
        "compression": "zstd",
        "use_dictionary": ["since", "asset"],
        "column_encoding": {"path": "DELTA_BYTE_ARRAY"},
    }
    pq.write_table(pa.table(columns), target, **settings)
    return target.getvalue()
