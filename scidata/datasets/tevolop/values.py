"""Text columns of a catalogue to typed ones; every impossible value is named. Pure.

What an event is, and which are kept, belongs to `scidata.datasets.tevolop.events`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from scidata.errors import Problem

pc: Any = pyarrow.compute  # Any: its functions are made at import
MOST_PROBLEMS = 100
UTC_TIME = pa.timestamp("us", "UTC")

Mask = npt.NDArray[np.bool_]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"
_ISO = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"
_WORDS = {
    "id": r"^[\w.:/+-]{1,64}$",
    "magnitude_type": r"^[\w.+() -]{0,32}$",
    "event_type": r"^[\w.+ -]{0,64}$",
    "quality": r"^[\w.+ -]{0,32}$",
}
# Lowest and highest possible value, and its unit. Depth: above the summits, below all shocks.
_LIMITS = {
    "latitude": (-90.0, 90.0, "degrees"),
    "longitude": (-180.0, 180.0, "degrees"),
    "depth": (-10.0, 800.0, "km"),
    "magnitude": (-3.0, 10.0, "units of magnitude"),
}


@dataclass(kw_only=True)
class Blame:
    """Everything that is wrong with a source: the first 100 in words, the rest counted."""

    files: list[str]
    """Names of the source's files; a row's column ``file`` points here."""
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, count: int, describe: Callable[[int], list[Problem]]) -> None:
        """Count problems; `describe` is asked for the first so many of them in words."""
        self.count += count
        room = min(count, MOST_PROBLEMS - len(self.problems))
        if room > 0:
            self.problems += describe(room)

    def rows(self, table: pa.Table, wrong: Mask, name: str, reason: str) -> None:
        """Blame the values of one column."""
        numbers = np.flatnonzero(wrong)

        def describe(room: int) -> list[Problem]:
            listed = table.take(numbers[:room]).to_pylist()
            return [self._problem(row, name, reason) for row in listed]

        self.add(numbers.size, describe)

    def place(self, row: dict[str, Any]) -> str:  # Any: a row of a table
        """Name the file and line of a row."""
        return f"{self.files[row['file']]}:{row['line']}"

    def _problem(self, row: dict[str, Any], name: str, reason: str) -> Problem:  # Any: as above
        return Problem(
            code=name.replace("_", "-"),
            path=self.place(row),
            message=f"the {spoken(name)} {row[name][:40]!r} {reason}",
            fix="correct the row or remove it",
        )


def typed(table: pa.Table, now: datetime, blame: Blame) -> pa.Table:
    """Return the rows whose values are all possible, with proper types.

    Parameters
    ----------
    table : pyarrow.Table
        Text columns of `scidata.datasets.tevolop.readers.COLUMNS`, and ``line`` and ``file``.
    now : datetime
        No event is later.
    blame : Blame
        Told of every other row.
    """
    columns = {name: table[name] for name in table.column_names}
    bad = np.zeros(table.num_rows, np.bool_)
    for name, pattern in _WORDS.items():
        wrong = ~_matches(table[name], pattern)
        blame.rows(table, wrong, name, f"is not a proper {spoken(name)}")
        bad |= wrong
    for name in _LIMITS:
        columns[name], wrong = _numbers(table, name, blame)
        bad |= wrong
    columns["time"], wrong = _times(table, now, blame)
    bad |= wrong
    return pa.table(columns).filter(pa.array(~bad))


def spoken(name: str) -> str:
    """Write a column's name in words."""
    return name.replace("_", " ")


def _numbers(table: pa.Table, name: str, blame: Blame) -> tuple[pa.ChunkedArray, Mask]:
    low, high, unit = _LIMITS[name]
    malformed = ~_matches(table[name], _NUMBER)
    values = pc.cast(pc.if_else(pa.array(malformed), None, table[name]), pa.float64())
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    wrong = malformed | ~_mask(inside)
    blame.rows(table, wrong, name, f"is not a number between {low:g} and {high:g} {unit}")
    return values, wrong


def _times(table: pa.Table, now: datetime, blame: Blame) -> tuple[pa.ChunkedArray, Mask]:
    malformed = ~_matches(table["time"], _ISO)
    text = pc.if_else(pa.array(malformed), None, table["time"])
    try:
        values = pc.cast(text, UTC_TIME)
    except pa.ArrowInvalid:
        # One of them is no date (30 February): look at each.
        values = pa.chunked_array([[_instant(each) for each in text]], UTC_TIME)
        malformed = _mask(pc.is_null(values))
    reason = "is not a UTC time such as 1992-06-28T11:57:34.13Z"
    blame.rows(table, malformed, "time", reason)
    late = _mask(pc.greater(values, pa.scalar(now, UTC_TIME)))
    blame.rows(table, late, "time", "lies in the future")
    return values, malformed | late


def _instant(text: pa.StringScalar) -> datetime | None:
    try:
        instant: datetime | None = text.cast(UTC_TIME).as_py()
    except pa.ArrowInvalid:
        return None
    return instant


def _matches(values: pa.ChunkedArray, pattern: str) -> Mask:
    return _mask(pc.match_substring_regex(values, pattern))


def _mask(values: pa.ChunkedArray) -> Mask:
    """Turn an array of truths into a mask; null is false."""
    return np.asarray(values.fill_null(False), np.bool_)
