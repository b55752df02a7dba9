"""References over the files to adopt: their headers, read in parallel and taken in order."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote, unquote

from scidata.adopting.sources import SourceFile
from scidata.errors import InvalidError
from scidata.formats.media import HDF5, NETCDF, media_type
from scidata.references import Along, Header, Referenced, read_header, write_references
from scidata.storage.stored_file import StoredFile

AT_ONCE = 8
NEW = "file"
"""The new dimension along which files are stacked, if none is named."""


def unreferred(files: Sequence[SourceFile]) -> str:
    """Say why no index of references can hold these files; empty if one can."""
    others = [file.path for file in files if media_type(file.path) not in {HDF5, NETCDF}]
    if others:
        return f"{others[0]!r} is neither HDF5 nor NetCDF"
    return "" if len({file.place.url for file in files}) == 1 else "they lie in several places"


def refer(files: Sequence[SourceFile], along: str | None) -> tuple[bytes, Referenced]:
    """Make the index of references of some files.

    Parameters
    ----------
    along : str, optional
        A dimension of the files, to join them along it, or any other word, to stack them along
        a new one. By default the new dimension ``file``.

    Raises
    ------
    InvalidError
        If a file is not HDF5 or NetCDF, or has another layout than the first.
    StorageError
        If a header cannot be read.
    """
    chosen = _along(files[0], along or NEW)
    out = io.StringIO()
    try:
        found = write_references(
            out, _headers(files, chosen), base=_base(files[0]), along=chosen
        )
    except InvalidError as error:
        raise InvalidError(
            f"the files cannot be opened as one: {error.message}",
            where=error.where,
            fix=f"{error.fix}; or adopt them without references: --no-references",
            problems=error.problems,
        ) from error
    return out.getvalue().encode(), found


def _along(first: SourceFile, dimension: str) -> Along:
    with _opened(first) as file:
        header = read_header(file, Along(dimension=dimension, kind="new"), where=first.path)
    there = any(dimension in array.dims for array in header.arrays.values())
    return Along(dimension=dimension, kind="existing" if there else "new")


def _headers(files: Sequence[SourceFile], along: Along) -> Iterator[tuple[str, str, Header]]:
    """Yield headers in the order of the files; few are held at once."""

    def read(file: SourceFile) -> Header:
        with _opened(file) as opened:
            return read_header(opened, along, where=file.path)

    waiting: deque[tuple[SourceFile, Future[Header]]] = deque()
    todo = iter(files)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="headers") as pool:
        try:
            while True:
                while len(waiting) < 2 * AT_ONCE and (file := next(todo, None)) is not None:
                    waiting.append((file, pool.submit(read, file)))
                if not waiting:
                    return
                file, future = waiting.popleft()
                yield file.path, _href(file), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _opened(file: SourceFile) -> IO[bytes]:
    if file.place.url.startswith("file://"):
        return (Path(unquote(file.place.url.removeprefix("file://"))) / file.path).open("rb")
    folder, _, name = file.path.rpartition("/")
    raw = StoredFile(file.place.store.objects(folder), name, file.size, file.path)
    return cast("IO[bytes]", io.BufferedReader(raw))


def _base(file: SourceFile) -> str:
    """Return the place as fsspec takes it: of a folder, the path as it is."""
    url = file.place.url
    return unquote(url) if url.startswith("file://") else url


def _href(file: SourceFile) -> str:
    return quote(file.path) if file.place.url.startswith("http") else file.path
