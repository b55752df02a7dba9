"""A table in Parquet, streamed in place: a column is an array, a row group is a chunk of it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scidata.errors import InvalidError, StorageError
from scidata.loaders.codecs import Bytes, Numbers
from scidata.loaders.layout import Coordinates, Extent, Index, Labels, Layout, tensor_dtype
from scidata.loaders.source import Asset

ROW = "row"
"""The one dimension of a table."""


@dataclass(frozen=True)
class RowGroups:
    """Where the chunks of one column lie."""

    extents: Sequence[Extent]

    def object_of(self, chunk: Coordinates) -> str | None:
        """Name the file."""
        return self.extents[chunk[0]].path

    def index_bytes(self) -> int:
        """There is no index to fetch: the footers were read when the table was opened."""
        return 0

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Look the row group up."""
        return self.extents[chunk[0]]


class _Sparse(io.RawIOBase):
    """A file of which only one part is here."""

    def __init__(self, raw: Bytes, start: int, size: int) -> None:
        self._raw, self._start, self._size, self._at = raw, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._at, self._size)[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        low = self._at - self._start
        high = len(self._raw) if size < 0 else low + size
        if low < 0 or high > len(self._raw):
            raise ValueError("a page lies outside of its column chunk")
        self._at += high - low
        return bytes(self._raw[low:high])


@dataclass(frozen=True)
class ColumnDecoder:
    """How the row groups of one column are decoded."""

    column: str
    shape: tuple[int, ...]
    """Of a row group that is full."""
    dtype: np.dtype[Any]
    groups: Mapping[tuple[str, int], tuple[pq.FileMetaData, int]]
    """By file and first byte: the file's footer, and the number of the row group in it."""

    @property
    def nbytes(self) -> int:
        """Bytes of a row group's numbers."""
        return prod(self.shape) * self.dtype.itemsize

    def direct(self, out: Numbers) -> bool:
        """Arrow decodes to memory of its own."""
        return False

    def into(self, raw: Bytes, out: Numbers) -> None:
        """Never called: `direct` says no."""
        raise NotImplementedError

    def decode(self, raw: Bytes, at: Extent) -> Numbers:
        """Return a row group's numbers; NaN for nulls.

        Raises
        ------
        ValueError
            If the bytes are damaged, or hold nulls that are not floating numbers.
        """
        footer, group = self.groups[at.path, at.start]
        source = pa.PythonFile(_Sparse(raw, at.start, at.start + len(raw)), mode="r")
        try:
            file = pq.ParquetFile(source, metadata=footer)
            table = file.read_row_group(group, columns=[self.column], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(str(error)) from error
        found = table.column(0).combine_chunks()
        rows = len(found)
        if isinstance(found.type, pa.ListType | pa.FixedSizeListType | pa.LargeListType):
            found = found.flatten()
        if found.null_count and self.dtype.kind != "f":
            raise ValueError(f"{found.null_count} nulls among whole numbers")
        numbers: Numbers = found.to_numpy(zero_copy_only=False)
        if numbers.size != rows * prod(self.shape[1:]):
            raise ValueError(f"its lists are not all of length {self.shape[1:]}")
        return numbers.reshape(rows, *self.shape[1:])


class ParquetContents:
    """An opened table: one file, or several with the same columns."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._footers = {path: self._footer(path) for path in sorted(asset.manifest)}
        first = next(iter(self._footers.values()))
        self._schema: pa.Schema = first.schema.to_arrow_schema()
        self._rows = [
            footer.row_group(n).num_rows
            for footer in self._footers.values()
            for n in range(footer.num_row_groups)
        ]

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many rows there are."""
        return {ROW: sum(self._rows)}

    def close(self) -> None:
        """Do nothing: each read opens the file anew."""

    def labels(self, dimension: str) -> Labels | None:
        """Rows have no labels but their numbers."""
        return None

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a column whole."""
        if name not in self._schema.names:
            return None
        asset = self._asset
        parts = []
        for path in self._footers:
            with asset.open(path) as file:
                table = pq.read_table(file, columns=[name], use_threads=False)
            parts.append(table.column(0).to_numpy())
        return np.concatenate(parts)

    def layouts(self, names: Sequence[str]) -> Mapping[str, Layout]:
        """Say where the row groups of some columns lie."""
        wanted = dict.fromkeys(names)
        return {name: self._layout(name) for name in wanted if name in self._schema.names}

    def _layout(self, name: str) -> Layout:
        where = f"{name} in {self._asset.where}"
        rows = max(self._rows, default=1)
        if not sum(self._rows):
            raise InvalidError(
                "the table has no rows", where=where, fix="publish a version that holds data"
            )
        if any(n != rows for n in self._rows[:-1]):
            raise InvalidError(
                f"its row groups have between {min(self._rows)} and {rows} rows",
                where=where,
                fix="write it with row groups of one size, such as pyarrow's row_group_size",
            )
        stored, tail = _numbers(self._schema.field(name).type, where)
        extents, groups = self._extents(name)
        shape = (rows, *(tail if tail is not None else self._tail(name)))
        dtype = tensor_dtype(stored, scaled=False, where=where)
        return Layout(
            asset=self._asset.key,
            name=name,
            where=where,
            dims=(ROW, *(f"{name}_{n}" for n in range(1, len(shape)))),
            shape=(sum(self._rows), *shape[1:]),
            chunks=shape,
            dtype=dtype,
            fill=dtype.type(0),
            decoder=ColumnDecoder(name, shape, stored, groups),
            table=RowGroups(extents),
        )

    def _extents(
        self, name: str
    ) -> tuple[list[Extent], dict[tuple[str, int], tuple[pq.FileMetaData, int]]]:
        extents, groups = [], {}
        for path, footer in self._footers.items():
            for n in range(footer.num_row_groups):
                column = _column(footer.row_group(n), name)
                pages = [column.data_page_offset, column.dictionary_page_offset]
                start = min(p for p in pages if p)
                extents.append(Extent(path, start, start + column.total_compressed_size))
                groups[path, start] = footer, n
        return extents, groups

    def _tail(self, name: str) -> tuple[int, ...]:
        """Read the first row group to learn how long its lists are."""
        asset, path = self._asset, next(iter(self._footers))
        with asset.open(path) as file:
            batch = next(pq.ParquetFile(file).iter_batches(batch_size=1, columns=[name]))
        return (len(batch.column(0)[0].as_py()),)

    def _footer(self, path: str) -> pq.FileMetaData:
        asset = self._asset
        try:
            with asset.open(path) as file:
                return pq.read_metadata(file)
        except StorageError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise InvalidError(
                f"{path} is not a sound Parquet file: {error}",
                where=asset.where,
                fix="run scidata verify on this version",
            ) from error


def _column(group: Any, name: str) -> Any:  # Any: pyarrow's metadata, untyped
    for n in range(group.num_columns):
        column = group.column(n)
        if column.path_in_schema.split(".")[0] == name:
            return column
    raise KeyError(name)


def _numbers(kind: pa.DataType, where: str) -> tuple[np.dtype[Any], tuple[int, ...] | None]:
    """Return the type of a column's numbers, and the shape of each entry, None if unknown."""
    tail: tuple[int, ...] | None = ()
    if isinstance(kind, pa.FixedSizeListType):
        kind, tail = kind.value_type, (kind.list_size,)
    elif isinstance(kind, pa.ListType | pa.LargeListType):
        kind, tail = kind.value_type, None
    try:
        return np.dtype(kind.to_pandas_dtype()), tail
    except (NotImplementedError, TypeError) as error:
        raise InvalidError(
            f"numbers of type {kind} do not go into tensors",
            where=where,
            fix="leave the column out of the samples, or publish it as numbers",
        ) from error
