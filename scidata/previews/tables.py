"""Tables as plots read them: few columns, and no more rows or bytes than are bounded here."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scidata.errors import InvalidError
from scidata.facts import Asset, Variable
from scidata.formats import media
from scidata.formats.stac_cube import variable_note
from scidata.opening import form_of
from scidata.opening.ranges import open_ranges
from scidata.opening.tables import decompressed
from scidata.previews.quantity import Quantity, kind_of, preferred, short
from scidata.published import Published, find_asset, read_file
from scidata.record import Record

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 2_000_000
MAX_BYTES = 128 * 2**20
"""Of the columns of a plot, as Parquet holds them."""
MAX_PARTS = 32
"""Files of a table that a plot looks into."""
WHOLE_BYTES = 64 * 2**20
"""A file up to this size is read whole and compared with its digest; of a larger one only
ranges are read. A table of text that is larger is not drawn."""
MAX_TEXT_BYTES = 512 * 2**20
_SEPARATORS = {media.CSV: ",", media.TSV: "\t"}
_BATCH = 65_536


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of a table, and of how many."""

    frame: "pd.DataFrame"
    total: int

    @property
    def sampled(self) -> bool:
        """Whether rows were left out."""
        return len(self.frame) < self.total


@dataclass(frozen=True)
class Table:
    """An asset that is a table."""

    published: Published
    record: Record
    asset: Asset
    others: tuple[Asset, ...] = ()
    """Of the same version."""

    @cached_property
    def siblings(self) -> "list[Table]":
        """The other tables of the version."""
        others = [other for other in self.others if other.key != self.key]
        return find_tables(self.published, self.record, others)

    def of_role(self, role: str) -> Quantity | None:
        """Return the column that the record gives a role."""
        return next((q for q in self.quantities.values() if q.role == role), None)

    @property
    def key(self) -> str:
        """Of the asset."""
        return self.asset.key

    @property
    def noun(self) -> str:
        """What its rows are called: by its key if that is a plural."""
        words = short(self.key.replace("_", " ").replace("-", " "))
        return words if words.endswith("s") else "rows"

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Its columns, by name."""
        listed: list[tuple[str, str, Variable | None]]
        if self.asset.kind == "parquet":
            listed = [(v.name, v.dtype, v) for v in self.asset.variables]
        else:
            listed = [
                (str(name), str(dtype), None) for name, dtype in self._text.dtypes.items()
            ]
        found = {}
        for name, dtype, held in listed:
            note = variable_note(self.record, self.asset, name)
            found[name] = Quantity(
                name=name,
                kind=kind_of(dtype),
                units=(held and held.units) or (note and note.units) or None,
                standard_name=(held.standard_name if held else None)
                or (note.standard_name if note else None),
                description=(note.description if note else None)
                or (held.description if held else None),
                role=note.role if note else None,
            )
        return found

    @property
    def longitude(self) -> str | None:
        """The column of degrees east."""
        return next((n for n, q in self.quantities.items() if q.is_longitude), None)

    @property
    def latitude(self) -> str | None:
        """The column of degrees north."""
        return next((n for n, q in self.quantities.items() if q.is_latitude), None)

    @property
    def time(self) -> str | None:
        """The first column of points in time."""
        return next((n for n, q in self.quantities.items() if q.kind == "time"), None)

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns of numbers that measure something, what samples hold first."""
        samples = self.record.samples
        first = (*samples.inputs, *samples.targets) if samples else ()
        wanted = (
            name
            for name, q in self.quantities.items()
            if q.kind in ("number", "whole")
            and not (q.is_longitude or q.is_latitude or q.is_identifier)
        )
        return preferred(tuple(wanted), first)

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Return the columns of these kinds, without names of things."""
        held = self.quantities.items()
        return tuple(n for n, q in held if q.kind in kinds and not q.is_identifier)

    def read(self, columns: Sequence[str]) -> Rows:
        """Read columns: all of their rows, or evenly chosen ones if there are too many."""
        if self.asset.kind != "parquet":
            text = self._text
            step = -(-len(text) // MAX_ROWS) or 1
            return Rows(frame=text[list(columns)].iloc[::step], total=len(text))
        return _read_parquet(self.published, self.asset, columns)

    @cached_property
    def _text(self) -> "pd.DataFrame":
        import pandas as pd

        commit = find_asset(self.published.commit, self.key)
        form = form_of(self.published, commit)
        frames = []
        for path in self.published.files(commit)[:1]:
            data = read_file(self.published, path, limit=WHOLE_BYTES)
            text = decompressed(path, data, where=path, limit=MAX_TEXT_BYTES)
            frames.append(
                pd.read_csv(io.BytesIO(text), sep=_SEPARATORS[form], low_memory=False)
            )
        return frames[0]


def find_tables(
    published: Published,
    record: Record,
    assets: Sequence[Asset],
    others: tuple[Asset, ...] = (),
) -> list[Table]:
    """Return the assets that are tables whose reading is bounded."""
    bounded = (asset for asset in assets if _is_bounded(published, asset))
    return [Table(published, record, asset, others) for asset in bounded]


def _is_bounded(published: Published, asset: Asset) -> bool:
    if asset.kind != "file":
        return asset.kind == "parquet"
    commit = find_asset(published.commit, asset.key)
    text = form_of(published, commit) in _SEPARATORS
    return text and asset.files == 1 and asset.bytes <= WHOLE_BYTES


def _read_parquet(published: Published, asset: Asset, columns: Sequence[str]) -> Rows:
    import pandas as pd
    import pyarrow as pa

    commit = find_asset(published.commit, asset.key)
    paths = published.files(commit)
    total = asset.variables[0].shape[0]
    parts = paths[:: -(-len(paths) // MAX_PARTS) or 1]
    budget = MAX_BYTES // len(parts)
    step = -(-total * len(parts) // (len(paths) * MAX_ROWS)) or 1
    tables: list[Any] = []  # Any: pyarrow has no types
    for path in parts:
        tables += _groups(published, path, columns, budget, step)
    frame = (
        pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame(columns=list(columns))
    )
    return Rows(frame=frame, total=total)


def _groups(
    published: Published, path: str, columns: Sequence[str], budget: int, step: int
) -> Iterator[Any]:  # Any: pyarrow has no types
    """Yield every so-many-th row of every so-many-th row group of a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(_file(published, path)) as table:
            groups = table.metadata.num_row_groups
            cost = sum(_cost(table.metadata.row_group(g), columns) for g in range(groups))
            chosen = list(range(0, groups, -(-cost // budget) or 1))
            if chosen and cost // groups > budget:
                raise InvalidError(
                    f"its row groups hold about {cost // groups} bytes of these columns each",
                    where=path,
                    fix=f"publish it in row groups of less than {budget} bytes",
                )
            for batch in table.iter_batches(_BATCH, row_groups=chosen, columns=list(columns)):
                yield _every(batch, step)
    except (pa.ArrowException, OSError) as error:
        raise InvalidError(
            f"it cannot be read as Parquet: {error}",
            where=path,
            fix="check the version: scidata verify",
        ) from error


def _every(batch: Any, step: int) -> Any:  # Any: pyarrow has no types
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    return table if step == 1 else table.take(pa.array(range(0, len(batch), step)))


def _cost(group: Any, columns: Sequence[str]) -> int:  # Any: pyarrow has no types
    held = (group.column(i) for i in range(group.num_columns))
    roots = set(columns)
    return sum(
        c.total_uncompressed_size for c in held if c.path_in_schema.split(".")[0] in roots
    )


def _file(published: Published, path: str) -> io.BufferedIOBase:
    key = published.locations.of(path).key
    size = published.store.head(key).size
    if size <= WHOLE_BYTES:
        return io.BytesIO(read_file(published, path, limit=WHOLE_BYTES))
    return open_ranges(published, path, size)
