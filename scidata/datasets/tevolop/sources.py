"""The files of a source: which there are, what form each has by its content, and their lines.

What a row means belongs to `scidata.datasets.tevolop.readers`.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from scidata.errors import InvalidError, NotFoundError, Problem, StorageError
from scidata.wording import counted

BLOCK = 1 << 20
LONGEST_LINE = 1 << 16
MOST_FILES = 10_000
_GZIP = b"\x1f\x8b"
_NOT_DATA = re.compile(r"readme|licen[cs]e|source\.md", re.IGNORECASE)


class Form(StrEnum):
    """A form of earthquake catalogue that can be read."""

    SCEC_DC = "SCEC_DC"
    """Yearly text of the Southern California Earthquake Data Center, decimal degrees."""
    SCSN = "SCSN"
    """Yearly text of the same centre, degrees and minutes; it has no event types."""
    COMCAT = "ComCat"
    """CSV of the USGS catalogue, as the FDSN event service writes it."""
    TABLE = "CSV"
    """CSV of an extract: id, time, latitude, longitude, depth, mag, magType, type, quality."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a source."""

    path: Path
    name: str
    """Below the source's folder; how messages and provenance name it."""
    form: Form


def list_files(source: Path) -> list[Path]:
    """List the data files of a source in order of name, whatever the file system says.

    Passed over: hidden files and those called README, LICENSE or SOURCE.md.

    Raises
    ------
    NotFoundError
        If there is no such file or folder.
    InvalidError
        If a folder holds no file.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise NotFoundError(
            f"there is no {str(source)!r}",
            where=str(source),
            fix="give --source a catalogue file or a folder of them",
        )
    try:
        files = sorted(p for p in source.iterdir() if p.is_file() and _is_data(p.name))
    except OSError as error:
        raise _unreadable(source, error) from error
    if not 0 < len(files) <= MOST_FILES:
        message = f"the folder holds {len(files)} data files"
        raise InvalidError(
            message, where=str(source), fix="give the folder with the catalogues"
        )
    return files


def identify(files: list[Path], source: Path) -> list[SourceFile]:
    """Tell each file's form by its content.

    Raises
    ------
    InvalidError
        With one problem for each file that is empty, binary, damaged or of no known form.
    """
    known: list[SourceFile] = []
    problems: list[Problem] = []
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        try:
            known.append(SourceFile(path=path, name=name, form=_form(path, name)))
        except InvalidError as error:
            problems += error.problems
    if problems:
        raise refusal(str(source), problems, len(problems), what="files")
    return known


def read_lines(
    path: Path,
    name: str,
    seen: Callable[[int], None] | None = None,
    *,
    longest: int = LONGEST_LINE,
) -> Iterator[str]:
    """Yield the lines of a text file, plain or gzip, in bounded memory.

    Parameters
    ----------
    path : Path
    name : str
        How messages name the file.
    seen : callable, optional
        Told how many bytes of the file have been read.
    longest : int
        Most bytes that a line may have.

    Raises
    ------
    InvalidError
        If the compressed data are cut off or damaged, or a line is longer than it may be.
    StorageError
        If the file cannot be read.
    """
    rest = b""
    for position, block in _blocks(path, name):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield from whole.decode("utf-8", "replace").replace("\r", "").split("\n")
        if len(rest) > longest:
            raise damaged(name, "line-length", f"a line is longer than {longest} bytes")
        if seen:
            seen(position)
    if rest:
        yield rest.decode("utf-8", "replace").rstrip("\r")


def refusal(where: str, problems: list[Problem], count: int, *, what: str) -> InvalidError:
    """Say once that a source cannot be used, with up to 100 of its problems."""
    # Problems, not rows: one row may have several.
    message = f"the source cannot be used: {counted(count, 'problem')} in its {what}"
    if count > len(problems):
        message += f", of which {len(problems)} are listed"
    return InvalidError(
        message,
        where=where,
        fix="mend what is listed and run the same command again; nothing was written",
        problems=sorted(problems, key=_place),
    )


def _place(problem: Problem) -> tuple[str, int]:
    """Sort by file and line, whatever was looked at first."""
    name, _, line = problem.path.rpartition(":")
    return (name, int(line)) if line.isdigit() else (problem.path, 0)


def damaged(
    name: str, code: str, message: str, fix: str = "fetch the file again"
) -> InvalidError:
    """Say that one file cannot be used."""
    problem = Problem(code=code, path=name, message=message, fix=fix)
    return InvalidError(f"{name}: {message}", where=name, fix=fix, problems=[problem])


def _is_data(name: str) -> bool:
    return not name.startswith(".") and not _NOT_DATA.match(name)


def _blocks(path: Path, name: str) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            stream: BinaryIO | gzip.GzipFile = raw
            if magic == _GZIP:
                stream = gzip.GzipFile(fileobj=raw)
            while block := stream.read(BLOCK):
                yield raw.tell(), block
    except EOFError as error:
        size = path.stat().st_size
        message = f"its compressed data are cut off after {size} bytes"
        raise damaged(name, "cut-off", message) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise damaged(name, "gzip", f"its compressed data are damaged: {error}") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _form(path: Path, name: str) -> Form:
    head = next((block for _, block in _blocks(path, name)), b"")
    if not head.strip():
        raise damaged(name, "empty", "it is empty")
    if b"\0" in head:
        raise damaged(name, "binary", f"it is binary, starting {head[:8]!r}", _WHAT_IS_READ)
    text = head[:LONGEST_LINE].decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("#")), "")
    for form, pattern in _FIRST_ROW.items():
        if pattern.match(first) or (not first and f"{form}-format" in _banner(lines)):
            return form
    columns = {cell.strip().strip('"') for cell in first.split(",")}
    if len(columns & {"time", "latitude", "longitude", "mag", "id"}) > 1:
        return Form.COMCAT if columns & {"place", "updated", "net"} else Form.TABLE
    message = f"it is of no known form; its first line is {(first or lines[0])[:60]!r}"
    raise damaged(name, "form", message, _WHAT_IS_READ)


def _banner(lines: list[str]) -> str:
    return "\n".join(lines[:12]).replace("SCEDC-format", f"{Form.SCEC_DC}-format")


_FIRST_ROW = {
    Form.SCEC_DC: re.compile(r"\d{4}/\d\d/\d\d[ \t]"),
    Form.SCSN: re.compile(r"\d{4} \d\d \d\d +\d\d \d\d "),
}
_WHAT_IS_READ = (
    "give SCEDC yearly catalogues, a USGS ComCat CSV or an extract as CSV, and move others away"
)


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{str(path)!r} cannot be read: {error.strerror or error}",
        where=str(path),
        fix="make it readable for this user",
    )
