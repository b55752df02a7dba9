"""Tables: Parquet, CSV and TSV, in one file or in several with the same columns."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from scidata.errors import InvalidError
from scidata.published import Published, read_file
from scidata.version import CommitAsset

if TYPE_CHECKING:
    import pandas as pd

MAX_TABLE_BYTES = 8 * 2**30
MAX_TEXT_BYTES = 2 * 2**30
"""Of a CSV or TSV file once it is decompressed."""

_DECOMPRESSORS: Mapping[str, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    ".bz2": bz2.BZ2File,
    ".gz": lambda data: gzip.GzipFile(fileobj=data),
    ".xz": lzma.LZMAFile,
}


def plain_name(path: str) -> str:
    """Return a path without the suffix of a compression.

    Examples
    --------
    >>> plain_name("data/stations.csv.gz"), plain_name("data/stations.csv")
    ('data/stations.csv', 'data/stations.csv')
    """
    compressed = PurePosixPath(path).suffix.lower() in _DECOMPRESSORS
    return path.rpartition(".")[0] if compressed else path


def read_parquet(published: Published, asset: CommitAsset) -> "pd.DataFrame":
    """Read a Parquet table, compared with its digest."""
    import pandas as pd

    def parse(path: str, data: bytes) -> pd.DataFrame:
        try:
            return pd.read_parquet(io.BytesIO(data))
        except ValueError as error:  # of Arrow: two columns of one name, types pandas lacks
            where = f"{published.commit.name}/{path}"
            raise _unreadable(f"{path!r} cannot be read as a table: {error}", where) from error

    return _read(published, asset, parse)


def read_csv(published: Published, asset: CommitAsset) -> "pd.DataFrame":
    """Read a table of comma-separated values, compared with its digest."""
    return _read_text(published, asset, ",")


def read_tsv(published: Published, asset: CommitAsset) -> "pd.DataFrame":
    """Read a table of tab-separated values, compared with its digest."""
    return _read_text(published, asset, "\t")


def _read_text(published: Published, asset: CommitAsset, separator: str) -> "pd.DataFrame":
    import pandas as pd

    def parse(path: str, data: bytes) -> pd.DataFrame:
        where = f"{published.commit.name}/{path}"
        text = decompressed(path, data, where=where)
        try:
            return pd.read_csv(io.BytesIO(text), sep=separator, low_memory=False)
        except ValueError as error:  # of pandas: no columns, other columns, no UTF-8
            raise _unreadable(f"{path!r} cannot be read as a table: {error}", where) from error

    return _read(published, asset, parse)


def decompressed(path: str, data: bytes, *, where: str, limit: int = MAX_TEXT_BYTES) -> bytes:
    """Undo the compression that a path's suffix names, never beyond `limit` bytes.

    Raises
    ------
    InvalidError
        If the data are cut off, damaged, or larger than `limit` once decompressed.
    """
    decompressor = _DECOMPRESSORS.get(PurePosixPath(path).suffix.lower())
    if decompressor is None:
        return data
    try:
        with decompressor(io.BytesIO(data)) as file:
            text = file.read(limit + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _unreadable(f"{path!r} cannot be decompressed: {error}", where) from error
    if len(text) > limit:
        raise _unreadable(f"{path!r} holds more than {limit} bytes once decompressed", where)
    return text


def _read(
    published: Published,
    asset: CommitAsset,
    parse: "Callable[[str, bytes], pd.DataFrame]",
) -> "pd.DataFrame":
    import pandas as pd

    paths = published.files(asset)
    tables = [parse(p, read_file(published, p, limit=MAX_TABLE_BYTES)) for p in paths]
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def _unreadable(message: str, where: str) -> InvalidError:
    return InvalidError(
        message,
        where=where,
        fix="fetch the file with scidata pull and open it with another tool; its bytes are "
        "those that were published",
    )
