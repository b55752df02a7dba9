"""The event table: one earthquake or blast a row, all of the region, each once.

Here: which events are kept and counted, repeated events, and the table's file. Whether a value
is possible belongs to `scidata.datasets.tevolop.values`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from scidata.datasets.tevolop.completeness import Completeness, completeness
from scidata.datasets.tevolop.readers import COLUMNS, Rows, read_rows
from scidata.datasets.tevolop.sources import SourceFile, refusal
from scidata.datasets.tevolop.values import UTC_TIME, Blame, spoken, typed
from scidata.errors import InvalidError, Problem

pc: Any = pyarrow.compute  # Any: its functions are made at import
WEST, EAST, SOUTH, NORTH = -120.0, -114.0, 32.0, 36.0
"""The region, degrees east and north; its edges belong to it."""
FIRST_YEAR = 1950
EARTHQUAKE, BLAST, UNTYPED = "eq", "qb", ""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", UTC_TIME, nullable=False),
        pa.field("latitude", pa.float64(), nullable=False, metadata={"units": "degrees_north"}),
        pa.field("longitude", pa.float64(), nullable=False, metadata={"units": "degrees_east"}),
        pa.field("depth", pa.float64(), nullable=False, metadata={"units": "km"}),
        pa.field("magnitude", pa.float64(), nullable=False, metadata={"units": "1"}),
        pa.field("magnitude_type", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("quality", pa.string(), nullable=False),
    ]
)
_ROW = pa.schema([*SCHEMA, ("line", pa.int32()), ("file", pa.int32())])

Index = npt.NDArray[np.uint64]


@dataclass(kw_only=True)
class Counts:
    """What became of the rows of a source."""

    rows: int = 0
    outside: int = 0
    """Outside the region."""
    early: int = 0
    """Before 1950."""
    incomplete: int = 0
    """Without magnitude or depth."""
    repeated: int = 0
    """Identical to a row that is kept."""
    kept: int = 0
    blasts: int = 0
    """Quarry blasts among those kept; not in the grid."""
    untyped: int = 0
    """Kept without an event type; in the grid as earthquakes."""
    others: int = 0
    """Of any further type among those kept; not in the grid."""
    on_edge: int = 0
    """Earthquakes exactly on 32 N or 114 W, which no pixel holds; not in the grid."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All events of a source in the region, sorted by time, then id."""

    table: pa.Table
    """Of `SCHEMA`; about 100 bytes an event in memory."""
    counts: Counts

    @cached_property
    def earthquakes(self) -> pa.Table:
        """What the grid is made of: one without a type counts as an earthquake."""
        types = pa.array([EARTHQUAKE, UNTYPED])
        return self.table.filter(pc.is_in(self.table["event_type"], value_set=types))

    @cached_property
    def completeness(self) -> tuple[Completeness, ...]:
        """From which magnitude on the earthquakes are complete, over time.

        Those of magnitude 0.0 are left out: that is also written where none was found.
        """
        some = self.earthquakes.filter(pc.not_equal(self.earthquakes["magnitude"], 0.0))
        return completeness(pc.year(some["time"]).to_numpy(), some["magnitude"].to_numpy())

    @cached_property
    def magnitude_floor(self) -> float:
        """Lowest magnitude of an earthquake."""
        return float(pc.min(self.earthquakes["magnitude"]).as_py())


@dataclass(kw_only=True)
class _Found:
    blame: Blame
    counts: Counts = field(default_factory=Counts)
    tables: list[pa.Table] = field(default_factory=list)


def read_events(
    files: list[SourceFile],
    *,
    now: datetime,
    where: str,
    seen: Callable[[int], None] | None = None,
) -> Catalogue:
    """Read every file of a source in batches, and keep the events of the region.

    Parameters
    ----------
    files : list of SourceFile
    now : datetime
        With time zone; no event can be later.
    where : str
        How errors name the source.
    seen : callable, optional
        Told how many bytes of all files have been read.

    Raises
    ------
    InvalidError
        With every bad row (the first 100 listed) and every id with two different rows; or if no
        earthquake lies in the region.
    """
    found = _Found(blame=Blame(files=[file.name for file in files]))
    before = 0
    for number, source in enumerate(files):
        for rows in read_rows(source, _shifted(seen, before)):
            _take(rows, number, now, found)
        before += source.path.stat().st_size
    table = _without_repeated(pa.concat_tables([_ROW.empty_table(), *found.tables]), found)
    found.tables.clear()
    if found.blame.count:
        raise refusal(where, found.blame.problems, found.blame.count, what="rows")
    catalogue = Catalogue(table=table.select(SCHEMA.names), counts=found.counts)
    if catalogue.earthquakes.num_rows == 0:
        raise InvalidError(
            f"none of its {found.counts.rows} events is an earthquake in 32..36 N, 120..114 W "
            f"since {FIRST_YEAR}",
            where=where,
            fix="give a catalogue of Southern California",
        )
    _count_kinds(catalogue)
    return catalogue


def write_events(catalogue: Catalogue, path: Path) -> None:
    """Write the table as Parquet, 65,536 events a row group.

    The same events give the same bytes with the same version of pyarrow.
    """
    pq.write_table(catalogue.table, path, compression="zstd", row_group_size=1 << 16)


def _shifted(seen: Callable[[int], None] | None, before: int) -> Callable[[int], None] | None:
    return (lambda done: seen(before + done)) if seen else None


def _take(rows: Rows, number: int, now: datetime, found: _Found) -> None:
    found.blame.add(len(rows.problems), lambda room: rows.problems[:room])
    found.counts.rows += len(rows.rows)
    if not rows.rows:
        return
    text = {
        name: pc.utf8_trim_whitespace(pa.array(values, pa.string()))
        for name, values in zip(COLUMNS, zip(*rows.rows, strict=True), strict=True)
    }
    text["line"] = pa.array(rows.numbers, pa.int32())
    text["file"] = pa.array(np.full(len(rows.rows), number, np.int32))
    table = pa.table(text)
    lacks = pc.or_(pc.equal(table["magnitude"], ""), pc.equal(table["depth"], ""))
    complete = table.filter(pc.invert(lacks))
    found.counts.incomplete += table.num_rows - complete.num_rows
    events = typed(complete, now, found.blame).select(_ROW.names).cast(_ROW)
    found.tables.append(_of_region(events, found.counts))


def _of_region(table: pa.Table, counts: Counts) -> pa.Table:
    latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    inside = (latitude >= SOUTH) & (latitude <= NORTH)
    inside &= (longitude >= WEST) & (longitude <= EAST)
    there = table.filter(pa.array(inside))
    counts.outside += table.num_rows - there.num_rows
    start = pa.scalar(f"{FIRST_YEAR}-01-01T00:00:00Z").cast(UTC_TIME)
    since = there.filter(pc.greater_equal(there["time"], start))
    counts.early += there.num_rows - since.num_rows
    return since


def _without_repeated(table: pa.Table, found: _Found) -> pa.Table:
    """Sort by time and id; drop rows that repeat another, name those that contradict it."""
    ids = table["id"].combine_chunks()
    order = pc.sort_indices(ids)
    ids = ids.take(order)
    pairs = np.flatnonzero(np.asarray(pc.equal(ids[1:], ids[:-1]), np.bool_))
    if pairs.size:
        rows = order.to_numpy()
        later = _repetitions(table, rows[pairs], rows[pairs + 1], found.blame)
        keep = np.ones(table.num_rows, np.bool_)
        keep[later] = False
        found.counts.repeated = len(later)
        table = table.filter(pa.array(keep))
    keys = [("time", "ascending"), ("id", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def _repetitions(table: pa.Table, first: Index, second: Index, blame: Blame) -> Index:
    """Return which of the second rows say the same as the first; blame the others."""
    one, two = table.take(first), table.take(second)
    equal = np.ones(len(first), np.bool_)
    for name in SCHEMA.names:
        equal &= np.asarray(pc.equal(one[name], two[name]), np.bool_)
    differ = np.flatnonzero(~equal)

    def describe(room: int) -> list[Problem]:
        rows = (part.take(differ[:room]).to_pylist() for part in (one, two))
        return [_contradiction(a, b, blame) for a, b in zip(*rows, strict=True)]

    blame.add(differ.size, describe)
    return second[equal]


def _contradiction(
    one: dict[str, Any],  # Any: a row of the table
    two: dict[str, Any],  # Any: as above
    blame: Blame,
) -> Problem:
    name = next(name for name in SCHEMA.names if one[name] != two[name])
    return Problem(
        code="repeated-id",
        path=blame.place(one),
        message=f"the id {one['id']!r} is also at {blame.place(two)}, with another "
        f"{spoken(name)}: {one[name]!s} and {two[name]!s}",
        fix="keep one of the two rows",
    )


def _count_kinds(catalogue: Catalogue) -> None:
    counts, table = catalogue.counts, catalogue.table
    counts.kept = table.num_rows
    kinds = {v["values"]: v["counts"] for v in table["event_type"].value_counts().to_pylist()}
    counts.blasts, counts.untyped = kinds.pop(BLAST, 0), kinds.pop(UNTYPED, 0)
    counts.others = sum(kinds.values()) - kinds.get(EARTHQUAKE, 0)
    shocks = catalogue.earthquakes
    edge = pc.or_(pc.equal(shocks["latitude"], SOUTH), pc.equal(shocks["longitude"], EAST))
    counts.on_edge = int(pc.sum(edge).as_py())
