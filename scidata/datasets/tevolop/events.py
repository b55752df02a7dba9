"""The event table: one earthquake or blast a row, every value checked.

Here: types and limits of the values, the region, repeated events, and the table's file.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scidata.datasets.tevolop.readers import COLUMNS, Rows, read_rows
from scidata.datasets.tevolop.sources import SourceFile, refusal
from scidata.errors import InvalidError, Problem

WEST, EAST, SOUTH, NORTH = -120.0, -114.0, 32.0, 36.0
"""The region, degrees east and north; its edges belong to it."""
FIRST_YEAR = 1950
EARTHQUAKE, BLAST, UNTYPED = "eq", "qb", ""
MOST_PROBLEMS = 100

_UTC = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", _UTC, nullable=False),
        pa.field("latitude", pa.float64(), nullable=False, metadata={"units": "degrees_north"}),
        pa.field("longitude", pa.float64(), nullable=False, metadata={"units": "degrees_east"}),
        pa.field("depth", pa.float64(), nullable=False, metadata={"units": "km"}),
        pa.field("magnitude", pa.float64(), nullable=False, metadata={"units": "1"}),
        pa.field("magnitude_type", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("quality", pa.string(), nullable=False),
    ]
)

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"
_ISO = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"
_WORDS = {
    "id": r"^[\w.:/+-]{1,64}$",
    "magnitude_type": r"^[\w.+() -]{0,32}$",
    "event_type": r"^[\w.+ -]{0,64}$",
    "quality": r"^[\w.+ -]{0,32}$",
}
# Lowest and highest possible value, and its unit. Depths: the highest summit, the deepest shock.
_LIMITS = {
    "latitude": (-90.0, 90.0, "degrees"),
    "longitude": (-180.0, 180.0, "degrees"),
    "depth": (-10.0, 800.0, "km"),
    "magnitude": (-3.0, 10.0, "units of magnitude"),
}
_REMEDY = "correct the row or remove it"

Mask = npt.NDArray[np.bool_]


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

    def add(self, other: "Counts") -> None:
        """Add what another batch counted."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All events of a source in the region, sorted by time, then id."""

    table: pa.Table
    """Of `SCHEMA`; about 100 bytes an event in memory."""
    counts: Counts

    @property
    def magnitude_floor(self) -> float:
        """Lowest magnitude of an earthquake in the grid."""
        return float(pc.min(self.table.filter(in_grid(self.table))["magnitude"]).as_py())


@dataclass(kw_only=True)
class _Found:
    tables: list[pa.Table] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    counts: Counts = field(default_factory=Counts)

    def blame(self, problems: Iterable[Problem], count: int) -> None:
        self.problem_count += count
        room = MOST_PROBLEMS - len(self.problems)
        self.problems += list(problems)[:room]


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
        With every bad row (the first 100 listed), two different rows of one id, or if no event
        lies in the region.
    """
    found = _Found()
    before = 0
    for number, source in enumerate(files):
        for rows in read_rows(source, _shifted(seen, before)):
            _take(rows, number, now, found)
        before += source.path.stat().st_size
    if not found.problems:
        table = pa.concat_tables(found.tables) if found.tables else _empty()
        table = _without_repeated(table, [f.name for f in files], found)
    if found.problems:
        raise refusal(where, found.problems, found.problem_count, what="rows")
    if table.num_rows == 0:
        raise InvalidError(
            f"none of its {found.counts.rows} events lies in 32..36 N, 120..114 W since 1950",
            where=where,
            fix="give a catalogue of Southern California",
        )
    _count_kinds(table, found.counts)
    return Catalogue(table=table.select(SCHEMA.names), counts=found.counts)


def in_grid(table: pa.Table) -> pa.ChunkedArray:
    """Tell which events are earthquakes; one without a type counts as an earthquake."""
    return pc.is_in(table["event_type"], value_set=pa.array([EARTHQUAKE, UNTYPED]))


def write_events(catalogue: Catalogue, path: Path) -> None:
    """Write the table as Parquet, 65,536 events a row group.

    Identical events give identical bytes with the same version of pyarrow.
    """
    pq.write_table(catalogue.table, path, compression="zstd", row_group_size=1 << 16)


def _shifted(seen: Callable[[int], None] | None, before: int) -> Callable[[int], None] | None:
    return (lambda done: seen(before + done)) if seen else None


def _take(rows: Rows, number: int, now: datetime, found: _Found) -> None:
    found.blame(rows.problems, len(rows.problems))
    found.counts.rows += len(rows.rows)
    if not rows.rows:
        return
    columns = zip(*rows.rows, strict=True)
    text = {
        name: pc.utf8_trim_whitespace(pa.array(values, pa.string()))
        for name, values in zip(COLUMNS, columns, strict=True)
    }
    table = pa.table(text).append_column("line", pa.array(rows.numbers, pa.int32()))
    table = table.append_column("file", pa.array(np.full(len(rows.rows), number, np.int32)))
    incomplete = pc.or_(pc.equal(table["magnitude"], ""), pc.equal(table["depth"], ""))
    found.counts.incomplete += int(pc.sum(incomplete).as_py() or 0)
    table = table.filter(pc.invert(incomplete))
    table, bad = _typed(table, rows.file, now, found)
    found.tables.append(_region(table.filter(pa.array(~bad)), found.counts))


def _typed(table: pa.Table, file: str, now: datetime, found: _Found) -> tuple[pa.Table, Mask]:
    bad = np.zeros(table.num_rows, np.bool_)
    columns = {name: table[name] for name in ("line", "file")}
    for name, pattern in _WORDS.items():
        columns[name] = table[name]
        wrong = ~_matches(table[name], pattern)
        bad |= wrong
        _blame(table, wrong, name, f"is not a proper {_say(name)}", file, found)
    for name in _LIMITS:
        columns[name], wrong = _numbers(table, name, file, found)
        bad |= wrong
    columns["time"], wrong = _times(table, file, now, found)
    bad |= wrong
    return pa.table({n: columns[n] for n in (*SCHEMA.names, "line", "file")}), bad


def _numbers(
    table: pa.Table, name: str, file: str, found: _Found
) -> tuple[pa.ChunkedArray, Mask]:
    low, high, unit = _LIMITS[name]
    malformed = ~_matches(table[name], _NUMBER)
    values = pc.cast(pc.if_else(pa.array(malformed), None, table[name]), pa.float64())
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    wrong = malformed | ~np.asarray(pc.fill_null(inside, fill_value=False), np.bool_)
    reason = f"is not a number between {low:g} and {high:g} {unit}"
    _blame(table, wrong, name, reason, file, found)
    return values, wrong


def _times(
    table: pa.Table, file: str, now: datetime, found: _Found
) -> tuple[pa.ChunkedArray, Mask]:
    malformed = ~_matches(table["time"], _ISO)
    text = pc.if_else(pa.array(malformed), None, table["time"])
    try:
        values = pc.cast(text, _UTC)
    except pa.ArrowInvalid:
        # One of them is no date (30 February): look at each.
        values = pa.chunked_array([[_instant(each) for each in text]], _UTC)
        malformed = np.asarray(pc.is_null(values), np.bool_)
    reason = "is not a UTC time such as 1992-06-28T11:57:34.13Z"
    _blame(table, malformed, "time", reason, file, found)
    late = np.asarray(pc.fill_null(pc.greater(values, pa.scalar(now, _UTC)), False), np.bool_)  # noqa: FBT003
    _blame(table, late, "time", "lies in the future", file, found)
    return values, malformed | late


def _instant(text: pa.StringScalar) -> pa.Scalar:
    try:
        return text.cast(_UTC).as_py()
    except pa.ArrowInvalid:
        return None


def _matches(values: pa.ChunkedArray, pattern: str) -> Mask:
    return np.asarray(pc.match_substring_regex(values, pattern), np.bool_)


def _blame(
    table: pa.Table, wrong: Mask, name: str, reason: str, file: str, found: _Found
) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size == 0:
        return
    listed = table.take(rows[:MOST_PROBLEMS])
    problems = [
        Problem(
            code=name.replace("_", "-"),
            path=f"{file}:{line}",
            message=f"the {_say(name)} {value[:40]!r} {reason}",
            fix=_REMEDY,
        )
        for line, value in zip(
            listed["line"].to_pylist(), listed[name].to_pylist(), strict=True
        )
    ]
    found.blame(problems, rows.size)


def _say(name: str) -> str:
    return name.replace("_", " ")


def _region(table: pa.Table, counts: Counts) -> pa.Table:
    inside = pc.and_(
        pc.and_(
            pc.greater_equal(table["latitude"], SOUTH), pc.less_equal(table["latitude"], NORTH)
        ),
        pc.and_(
            pc.greater_equal(table["longitude"], WEST), pc.less_equal(table["longitude"], EAST)
        ),
    )
    there = table.filter(inside)
    counts.outside += table.num_rows - there.num_rows
    start = pa.scalar(f"{FIRST_YEAR}-01-01T00:00:00Z").cast(_UTC)
    since = there.filter(pc.greater_equal(there["time"], start))
    counts.early += there.num_rows - since.num_rows
    return since


def _without_repeated(table: pa.Table, files: list[str], found: _Found) -> pa.Table:
    """Sort by time and id, and drop rows that say the same as another; name those that differ."""
    ids = table["id"].combine_chunks()
    order = pc.sort_indices(ids)
    same = np.asarray(pc.equal(ids.take(order)[1:], ids.take(order)[:-1]), np.bool_)
    if same.any():
        pairs = np.flatnonzero(same)
        sorted_rows = order.to_numpy()
        later = _judge(table, sorted_rows[pairs], sorted_rows[pairs + 1], files, found)
        keep = np.ones(table.num_rows, np.bool_)
        keep[later] = False
        found.counts.repeated += len(later)
        table = table.filter(pa.array(keep))
    return table.take(
        pc.sort_indices(table, sort_keys=[("time", "ascending"), ("id", "ascending")])
    )


def _judge(
    table: pa.Table,
    first: npt.NDArray[np.uint64],
    second: npt.NDArray[np.uint64],
    files: list[str],
    found: _Found,
) -> npt.NDArray[np.uint64]:
    one, two = table.take(first), table.take(second)
    equal = np.ones(len(first), np.bool_)
    for name in SCHEMA.names:
        equal &= np.asarray(pc.equal(one[name], two[name]), np.bool_)
    differ = np.flatnonzero(~equal)
    found.blame(
        (
            _contradiction(
                one.slice(n, 1).to_pylist()[0], two.slice(n, 1).to_pylist()[0], files
            )
            for n in differ[:MOST_PROBLEMS].tolist()
        ),
        differ.size,
    )
    return second[equal]


def _contradiction(one: dict[str, object], two: dict[str, object], files: list[str]) -> Problem:
    places = sorted(f"{files[int(str(row['file']))]}:{row['line']}" for row in (one, two))
    name = next(name for name in SCHEMA.names if one[name] != two[name])
    return Problem(
        code="repeated-id",
        path=places[0],
        message=f"the id {one['id']!r} is also at {places[1]}, with another {_say(name)}: "
        f"{one[name]!s} and {two[name]!s}",
        fix="keep one of the two rows",
    )


def _count_kinds(table: pa.Table, counts: Counts) -> None:
    counts.kept = table.num_rows
    kinds = {v["values"]: v["counts"] for v in table["event_type"].value_counts().to_pylist()}
    counts.blasts = kinds.pop(BLAST, 0)
    counts.untyped = kinds.pop(UNTYPED, 0)
    kinds.pop(EARTHQUAKE, 0)
    counts.others = sum(kinds.values())
    shocks = table.filter(in_grid(table))
    edge = pc.or_(pc.equal(shocks["latitude"], SOUTH), pc.equal(shocks["longitude"], EAST))
    counts.on_edge = int(pc.sum(edge).as_py() or 0)


def _empty() -> pa.Table:
    extra = [("line", pa.int32()), ("file", pa.int32())]
    return pa.schema([*SCHEMA, *extra]).empty_table()
