"""The benchmark's own files: a folder laid out as ``EarthquakeDec2020/`` was published.

Daily values of pixels as CSV, with the numbers of days and pixels in the files' names, the
fault group of each pixel, the saved location split, and the list of the largest earthquakes.
"""

import csv
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scidata.datasets.tevolop.assemble import Given
from scidata.datasets.tevolop.events import FIRST_YEAR
from scidata.datasets.tevolop.grid import VARIABLES, Days, Float, Int, Pixels
from scidata.datasets.tevolop.sources import damaged, read_lines
from scidata.errors import InvalidError

FORM = "EarthquakeDec2020"
_NAME = re.compile(
    r"SC_(?P<first>\d{4})-(?P<last>\d{4})\.freq-D-(?P<days>\d{1,6})x(?P<pixels>\d{1,6})"
    r"-(?P<quantity>log_eng|w_depth|n_shock|n_shock-mag-3\.29)\.multi\.csv"
)
_QUANTITY = {
    "log_eng": "magnitude",
    "w_depth": "depth",
    "n_shock": "multiplicity",
    "n_shock-mag-3.29": "multiplicity_3p29",
}
_LIMITS = {"magnitude": (-3, 10), "depth": (-10, 800)}
_COUNTS = (0, 1_000_000)
_FAULTS, _SPLIT, _LARGEST = "pix_faults*.csv", "Validation*", "topearthquakes*.csv"
_LARGEST_HEADER = ("date", "long", "lat", "mag", "depth", "name")
_LONGEST_LINE = 1 << 20
_SMALLEST_SIDE = 8
_AGAIN = "give the folder as it was published"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The files of a folder and what their names say."""

    folder: Path
    daily: Mapping[str, Path]
    """File of each variable of the grid."""
    first_year: int
    day_count: int
    pixels: Pixels
    faults: Path | None
    split: Path | None
    largest: Path | None

    @property
    def days(self) -> tuple[int, int]:
        """First day and the day after the last, from 0 at 1970-01-01."""
        first = int(np.datetime64(f"{self.first_year}-01-01", "D").astype(int))
        return first, first + self.day_count

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Name below the folder and path of each, in order."""
        paths = [*self.daily.values(), self.faults, self.split, self.largest]
        named = {p.relative_to(self.folder).as_posix(): p for p in paths if p}
        return tuple(sorted(named.items()))


def find(folder: Path) -> Layout | None:
    """Look for the benchmark's files in a folder and the folders directly in it.

    Returns
    -------
    Layout or None
        None if there is no file with such a name.

    Raises
    ------
    InvalidError
        If one of the four daily files is missing, or their names say different things.
    """
    matches = [(path, _NAME.fullmatch(path.name)) for path in _files(folder)]
    named = [(path, match.groupdict()) for path, match in matches if match]
    if not named:
        return None
    sets = {(n["first"], n["last"], n["days"], n["pixels"]) for _, n in named}
    daily = {_QUANTITY[n["quantity"]]: path for path, n in named}
    folders = sorted({path.parent for path, _ in named})
    missing = [q for q, name in _QUANTITY.items() if name not in daily]
    if len(sets) > 1 or len(named) > len(_QUANTITY) or missing:
        message = (
            f"no file for {', '.join(missing)}" if missing else "it holds more than one set"
        )
        fix = f"{_AGAIN}, with one set of daily files"
        if len(folders) > 1:
            fix = f"give the folder of one of them, such as --source {folders[0]}"
        raise damaged(str(folder), "layout", message, fix)
    first, _, days, pixels = sets.pop()
    whole = _whole(folder, folders)
    return Layout(
        folder=whole,
        daily={name: whole / _below(daily[name], whole) for name in VARIABLES},
        first_year=_year(int(first), folder),
        day_count=int(days),
        pixels=_pixels(int(pixels), folder),
        faults=_only(whole, _FAULTS),
        split=_only(whole, _SPLIT),
        largest=_only(whole, _LARGEST),
    )


def read_given(layout: Layout) -> Given:
    """Read the fault groups and the saved location split, if they are there.

    Raises
    ------
    InvalidError
        If one of them is not what it should be.
    """
    return Given(
        labels=_labels(layout.faults, layout.pixels) if layout.faults else None,
        locations=_locations(layout.split) if layout.split else None,
    )


def write_largest(source: Path, path: Path) -> int:
    """Write the list of the largest earthquakes as Parquet.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    InvalidError
        If the header or a row is not as published.
    """
    lines = list(islice(read_lines(source, source.name), 10_000))
    rows = list(csv.reader(lines))
    if not rows or tuple(rows[0]) != _LARGEST_HEADER:
        message = f"its header is not {','.join(_LARGEST_HEADER)}"
        raise damaged(source.name, "header", message, _AGAIN)
    columns = list(zip(*rows[1:], strict=False))
    try:
        names = ("time", "longitude", "latitude", "magnitude", "depth", "name")
        table = pa.table(dict(zip(names, map(pa.array, columns), strict=True)))
        for name in names[1:5]:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, table[name].cast(pa.float64()))
    except (pa.ArrowInvalid, ValueError) as error:
        raise damaged(source.name, "row", f"a row is malformed: {error}", _AGAIN) from error
    pq.write_table(table, path, compression="zstd")
    return int(table.num_rows)


class DailyFiles:
    """Daily values from the files; see `scidata.datasets.tevolop.assemble.Daily`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.pixels = layout.pixels
        self.days = layout.days
        self.totals = dict.fromkeys(("multiplicity", "multiplicity_3p29"), 0)

    def blocks(self, length: int) -> Iterator[Days]:
        """Yield all days, reading the four files side by side, `length` rows at a time.

        Raises
        ------
        InvalidError
            Naming the file and line of the first value that is impossible, or the file that has
            another number of rows or columns than its name says.
        """
        tables = [
            _table(path, name, self.layout, length) for name, path in self.layout.daily.items()
        ]
        first = self.days[0]
        for magnitude, depth, multiplicity, large in zip(*tables, strict=True):
            self.totals["multiplicity"] += int(multiplicity.sum())
            self.totals["multiplicity_3p29"] += int(large.sum())
            yield Days(
                first=first,
                magnitude=magnitude,
                depth=depth,
                multiplicity=multiplicity.astype(np.int64),
                multiplicity_3p29=large.astype(np.int64),
            )
            first += len(magnitude)


def _table(path: Path, name: str, layout: Layout, length: int) -> Iterator[Float]:
    """Yield blocks of one file: (days, pixels)."""
    lines = read_lines(path, path.name, longest=_LONGEST_LINE)
    header = next(lines, "").split(",")
    ids = [str(n) for n in range(layout.pixels.count)]
    if [cell.strip().strip('"') for cell in header[1:]] != ids:
        message = f"its header does not name the pixels 0 to {ids[-1]}"
        raise damaged(f"{path.name}:1", "header", message, _AGAIN)
    for begin in range(0, layout.day_count, length):
        count = min(length, layout.day_count - begin)
        block = list(islice(lines, count))
        if len(block) < count:
            message = f"it has {begin + len(block)} days, its name says {layout.day_count}"
            raise damaged(path.name, "cut-off", message, "fetch the file again")
        values = _parse(block, path.name, begin, layout.pixels.count)
        _check_values(values, name, path.name, begin)
        yield values
    if any(line.strip() for line in islice(lines, 1)):
        message = f"it has more days than the {layout.day_count} that its name says"
        raise damaged(path.name, "days", message, _AGAIN)


def _check_values(values: Float, name: str, file: str, begin: int) -> None:
    low, high = _LIMITS.get(name, _COUNTS)
    possible = (values >= low) & (values <= high)
    if name not in _LIMITS:
        possible &= values == np.floor(values)
    if not possible.all():
        row, column = np.argwhere(~possible)[0]
        message = f"{values[row, column]:g} in pixel {column} is no possible {name}"
        raise damaged(f"{file}:{begin + row + 2}", name, message, _AGAIN)


def _parse(lines: list[str], name: str, done: int, pixels: int) -> Float:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy only warns if all lines are empty
            values = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
    except (ValueError, UserWarning):
        values = np.empty((0, 0))
    days = np.arange(done, done + len(lines))
    if values.shape == (len(lines), pixels + 1) and (values[:, 0] == days).all():
        return values[:, 1:]
    for number, line in enumerate(lines):
        if not _is_row(line, done + number, pixels):
            message = f"the row {line[:60]!r} is not day {done + number} with {pixels} values"
            raise damaged(f"{name}:{done + number + 2}", "row", message, _AGAIN)
    raise damaged(name, "row", "its rows cannot be read", _AGAIN)


def _is_row(line: str, day: int, pixels: int) -> bool:
    cells = line.split(",")
    try:
        numbers = [float(cell) for cell in cells]
        return len(numbers) == pixels + 1 and numbers[0] == day
    except ValueError:
        return False


def _labels(path: Path, pixels: Pixels) -> Int:
    try:
        labels = np.loadtxt(
            read_lines(path, path.name), delimiter=",", dtype=np.int64, ndmin=2, comments=None
        )
    except InvalidError:
        raise
    except ValueError as error:
        message = f"it is no table of whole numbers: {error}"
        raise damaged(path.name, "fault-labels", message, _AGAIN) from error
    if labels.shape != (pixels.rows, pixels.columns) or labels.min() < 0:
        message = f"its shape is {labels.shape}, not {(pixels.rows, pixels.columns)}"
        raise damaged(path.name, "fault-labels", message, _AGAIN)
    return labels.ravel()


def _locations(path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read three lines: fraction and two counts, training indices, validation indices."""
    lines = [line for line in islice(read_lines(path, path.name), 100) if line.strip()]
    try:
        head, train, validation = ([float(c) for c in line.split(",")] for line in lines)
        parts = tuple(map(int, train)), tuple(map(int, validation))
        counts = [int(n) for n in head[1:3]]
    except (ValueError, OverflowError) as error:
        message = "it does not hold a line of counts and two lines of location numbers"
        raise damaged(path.name, "saved-split", message, _AGAIN) from error
    if counts != [len(p) for p in parts] or sorted(sum(parts, ())) != list(range(sum(counts))):
        message = "its locations are not each number from 0 once, as many as it says"
        raise damaged(path.name, "saved-split", message, _AGAIN)
    return parts


def _files(folder: Path) -> list[Path]:
    return sorted(p for pattern in ("*", "*/*") for p in folder.glob(pattern) if p.is_file())


def _whole(folder: Path, folders: list[Path]) -> Path:
    """Return the folder above a set of daily files, if the other files lie there."""
    above = folder.absolute().parent
    others = (_FAULTS, _SPLIT, _LARGEST)
    alone = folders == [folder] and not any(_only(folder, name) for name in others)
    return above if alone and any(_only(above, name) for name in others) else folder


def _below(path: Path, folder: Path) -> Path:
    return path.absolute().relative_to(folder.absolute())


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(p for p in folder.glob(pattern) if p.is_file())
    if len(found) > 1:
        message = f"it holds {len(found)} files called {pattern}"
        raise damaged(str(folder), "layout", message, _AGAIN)
    return found[0] if found else None


def _year(year: int, folder: Path) -> int:
    if year < FIRST_YEAR:
        message = f"its days begin in {year}, before {FIRST_YEAR}"
        raise damaged(str(folder), "layout", message, _AGAIN)
    return year


def _pixels(count: int, folder: Path) -> Pixels:
    """Take the grid with two rows to three columns, as 2400 pixels are 40 by 60."""
    rows = round((count * 2 / 3) ** 0.5)
    columns = count // rows if rows else 0
    if rows < _SMALLEST_SIDE or rows * columns != count or 3 * rows != 2 * columns:
        message = f"{count} pixels are no grid of two rows to three columns, 8 by 12 at least"
        raise damaged(str(folder), "layout", message, _AGAIN)
    return Pixels(rows=rows, columns=columns)
