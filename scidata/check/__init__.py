"""Check a record, or a staged dataset against its record, and list every problem at once.

Cheap: of array stores and tables only the metadata and the coordinates are read, of splits the
ids. Bytes are hashed when publishing, and compared with a manifest by `scidata.verify`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scidata.check.assets import error, opaque_warnings, warning
from scidata.check.splits import split_problems
from scidata.check.variables import (
    sample_problems,
    statistics_problems,
    variable_problems,
)
from scidata.errors import InvalidError, NotFoundError, Problem, StorageError
from scidata.facts import STATISTICS
from scidata.measure import Surveyed, survey
from scidata.record import Record, check_record, read_record_bytes


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What `check` found."""

    record: Record | None
    """None if the record itself has errors."""
    problems: tuple[Problem, ...]
    surveyed: Surveyed | None = None
    """The data; None if there are none, or the record alone was checked."""
    staged: bool
    """Data were checked too, not the record alone."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep it from being published."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(p for p in self.problems if p.severity == "warning")


def check(path: Path) -> Checked:
    """Check a record file, or a folder that holds ``record.yaml`` and ``data/``.

    Parameters
    ----------
    path : Path
        The file or folder.

    Raises
    ------
    NotFoundError
        If there is nothing at the path, or the folder has no ``record.yaml``.
    StorageError
        If it may not be read.
    """
    try:
        return _check(path)
    except (InvalidError, NotFoundError, StorageError):
        raise
    except OSError as error:
        raise StorageError(
            f"{error.filename or path} cannot be read: {error.strerror}",
            where=str(path),
            fix="make it readable, then run the same command again",
        ) from error


def _check(path: Path) -> Checked:
    if not path.is_dir():
        record, problems = check_record(read_record_bytes(path), where=str(path))
        return Checked(record=record, problems=problems, staged=False)
    file = path / "record.yaml"
    if not file.is_file():
        raise NotFoundError(
            f"{str(path)!r} holds no record.yaml",
            where=str(path),
            fix=f"write one with: scidata init NAME --out {file}",
        )
    record, problems = check_record(read_record_bytes(file), where=str(file))
    surveyed = None
    try:
        surveyed = survey(path)
    except InvalidError as refused:
        problems += (error("no-data", "data", "there is no folder data/", refused.fix),)
    else:
        problems += tuple(_data_problems(path, record, surveyed))
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    return Checked(record=record, problems=tuple(ordered), surveyed=surveyed, staged=True)


def _data_problems(
    staged: Path, record: Record | None, surveyed: Surveyed
) -> Iterator[Problem]:
    yield from surveyed.problems
    yield from opaque_warnings(surveyed)
    if record is None:
        message = "variables, splits and samples were not compared with the data"
        yield warning("not-compared", "data", message, "correct the record, then check again")
        return
    yield from variable_problems(record.variables, surveyed)
    yield from split_problems(staged, record.splits, surveyed)
    if record.samples is not None:
        yield from sample_problems(record.samples, surveyed)
    yield from statistics_problems(staged / STATISTICS, record, surveyed)
