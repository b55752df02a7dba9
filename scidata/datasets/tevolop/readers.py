"""Rows of the four forms of earthquake catalogue, as text in one order of columns.

Here: where each form keeps each value. Whether a value is possible belongs to
`scidata.datasets.tevolop.events`.

Sources of the layouts: the SCEDC pages "Format of the SCEDC catalog listings" (2019-12-12) and
"SCSN format" (2003-06-17); the CSV output of the FDSN event service at the USGS.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scidata.datasets.tevolop.sources import Form, SourceFile, read_lines
from scidata.errors import InvalidError, Problem

COLUMNS = (
    "id",
    "time",
    "latitude",
    "longitude",
    "depth",
    "magnitude",
    "magnitude_type",
    "event_type",
    "quality",
)
BATCH = 50_000

Row = tuple[str, ...]
"""Values of `COLUMNS`; ``time`` is ISO 8601."""
Parse = Callable[[str], Row | None]
"""One line to a row, or None if it is malformed."""

_CSV_NAMES = {"mag": "magnitude", "magType": "magnitude_type", "type": "event_type"}
_NETWORK = "ci"
"""How ids of the Southern California Seismic Network begin, whose extracts the CSV form is."""
_NEEDED = ("id", "time", "latitude", "longitude", "depth", "mag", "magType", "type")
_COUNT = re.compile(r"#+ *Number of rows returned: *(\d+)")
_REMEDY = "correct the row or remove it"
# The types of ComCat that SCEDC has a letter code for; others keep ComCat's words.
_EVENT_TYPES = {
    "earthquake": "eq",
    "quarry blast": "qb",
    "sonic boom": "sn",
    "nuclear explosion": "nt",
    "other event": "uk",
    "not reported": "",
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Up to `BATCH` rows of one file."""

    file: str
    numbers: list[int]
    """Line number of each row, from 1."""
    rows: list[Row]
    problems: list[Problem]
    """Of lines that gave no row."""


def read_rows(source: SourceFile, seen: Callable[[int], None] | None = None) -> Iterator[Rows]:
    """Yield the rows of a file, batch by batch.

    Never raises for bad content: what is wrong is in the batches' ``problems``.
    """
    state = _Reading(source.name, network=_NETWORK if source.form == Form.TABLE else "")
    lines = enumerate(read_lines(source.path, source.name, seen), start=1)
    try:
        parse = _parser(source, lines)
        for number, line in lines:
            state.take(number, line, parse)
            if len(state.rows) >= BATCH:
                yield state.hand_over()
        if source.form in (Form.SCEC_DC, Form.SCSN):
            state.check_count()
    except InvalidError as error:
        state.problems += error.problems
    yield state.hand_over()


class _Reading:
    """What one file has given so far."""

    def __init__(self, name: str, network: str = "") -> None:
        self.name = name
        self.network = network
        self.rows: list[Row] = []
        self.numbers: list[int] = []
        self.problems: list[Problem] = []
        self.total = 0
        self.stated: int | None = None
        self.has_banner = False

    def take(self, number: int, line: str, parse: Parse) -> None:
        if line.startswith("#"):
            self._note(line)
        elif line.strip():
            self.total += 1
            row = parse(line)
            if row and row[0] and not row[0].startswith(self.network):
                self._refuse_stranger(number, row[0])
            elif row:
                self.rows.append(row)
                self.numbers.append(number)
            else:
                where = f"{self.name}:{number}"
                message = f"the row {line[:80]!r} does not have the form's columns"
                self.problems.append(
                    Problem(code="row", path=where, message=message, fix=_REMEDY)
                )

    def _refuse_stranger(self, number: int, event: str) -> None:
        """Leave out an event of others: the record would call it SCEDC's, under its grant."""
        message = f"the event {event!r} is not of the Southern California Seismic Network"
        fix = "give catalogues of other networks as ComCat writes them"
        place = f"{self.name}:{number}"
        self.problems.append(Problem(code="network", path=place, message=message, fix=fix))

    def check_count(self) -> None:
        """Compare with the number of rows that the listing's last line states."""
        fix = "fetch it again; to read a part on purpose, delete its lines that start with #"
        if self.stated is None and self.has_banner:
            message = f"it is cut off after {self.total} rows: its last line is missing"
        elif self.stated not in (None, self.total):
            message = f"its last line promises {self.stated} rows, it has {self.total}"
        else:
            return
        self.problems.append(Problem(code="cut-off", path=self.name, message=message, fix=fix))

    def hand_over(self) -> Rows:
        batch = Rows(
            file=self.name, numbers=self.numbers, rows=self.rows, problems=self.problems
        )
        self.rows, self.numbers, self.problems = [], [], []
        return batch

    def _note(self, line: str) -> None:
        self.has_banner = self.has_banner or "listing of catalog data" in line
        if found := _COUNT.match(line):
            self.stated = int(found.group(1))


def _parser(source: SourceFile, lines: Iterator[tuple[int, str]]) -> Parse:
    if source.form == Form.SCEC_DC:
        return _scec_dc
    if source.form == Form.SCSN:
        return _scsn
    return _csv(source.name, lines)


def _scec_dc(line: str) -> Row | None:
    cells = line.split()
    if len(cells) != 13:  # noqa: PLR2004 - the columns of the format
        return None
    date, time, kind, _, mag, mag_type, lat, lon, depth, quality, event, _, _ = cells
    when = f"{date.replace('/', '-')}T{time}Z"
    return f"ci{event}", when, lat, lon, depth, mag, mag_type, kind, quality


def _scsn(line: str) -> Row | None:
    # By column: in longitudes the degrees touch the minutes of latitude.
    clock = f"{line[0:4]}-{line[5:7]}-{line[8:10]}T{line[12:14]}:{line[15:17]}:{line[18:23]}Z"
    event = line[71:].strip()
    if not event.isdigit() or line[23:24] != " " or line[28:29] == "-":
        return None
    lat = _degrees(line[24:27], line[28:33])
    lon = _degrees(line[33:37], line[38:43])
    cells = line[53:59].strip(), line[46:53].strip(), "", "", line[44:45].strip()
    return f"ci{event}", clock.replace(" ", "0"), lat, lon, *cells


def _degrees(degrees: str, minutes: str) -> str:
    try:
        part = float(minutes) / 60
        whole = int(degrees)
    except ValueError:
        return f"{degrees} {minutes}".strip() or "?"
    if not 0 <= part < 1:
        return f"{degrees} {minutes}".strip()
    south_or_west = degrees.lstrip().startswith("-")
    return f"{whole - part if south_or_west else whole + part:.6f}"


def _csv(name: str, lines: Iterator[tuple[int, str]]) -> Parse:
    header = next((line for _, line in lines if line.strip()), "").removeprefix("\ufeff")
    names = [cell.strip() for cell in _cells(header) or []]
    if missing := [column for column in _NEEDED if column not in names]:
        message = f"the header {header[:80]!r} has no column {', '.join(missing)}"
        fix = "fetch the catalogue again with all columns"
        problem = Problem(code="header", path=f"{name}:1", message=message, fix=fix)
        raise InvalidError(message, where=name, fix=fix, problems=[problem])
    own = {_CSV_NAMES.get(column, column): n for n, column in enumerate(names)}
    places = [own.get(column, len(names)) for column in COLUMNS]
    kind = COLUMNS.index("event_type")

    def parse(line: str) -> Row | None:
        cells = _cells(line)
        if cells is None or len(cells) != len(names):
            return None
        cells.append("")  # for `quality`, which ComCat does not have
        row = [cells[place] for place in places]
        row[kind] = _EVENT_TYPES.get(row[kind], row[kind])
        return tuple(row)

    return parse


def _cells(line: str) -> list[str] | None:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        return None
