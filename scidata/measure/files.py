"""What lies below ``data/`` of a staged dataset: names, sizes and times, no contents."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from scidata.errors import StorageError
from scidata.manifest import PAYLOAD
from scidata.parts import Parts

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size in bytes, time of writing and time of change (mtime, ctime) in ns, and inode of a file:
what changes when somebody writes to it."""
Stamps: TypeAlias = Mapping[str, Stamp]
"""By the file's path, such as ``data/events.parquet``."""


class Known(NamedTuple):
    """What an earlier run read of a file."""

    stamp: Stamp
    """As it was then."""
    hex: str
    """The sha256."""
    parts: Parts | None
    """The sha256 of each part of a large file."""


def walk(staged: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield every entry that is no folder, and no status for a folder that is empty.

    No link is followed. What vanishes meanwhile is passed over.

    Raises
    ------
    StorageError
        If a folder cannot be read, or an entry cannot be looked at.
    """
    base = os.fspath(staged)
    waiting = [PAYLOAD.rstrip("/")]
    while waiting:
        folder = waiting.pop()
        empty = True
        try:
            with os.scandir(f"{base}/{folder}") as entries:
                for entry in entries:
                    empty = False
                    path = f"{folder}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif status := _status(entry):
                        yield path, status
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StorageError(
                f"{str(error.filename)!r} cannot be read: {error.strerror}",
                where=base,
                fix="make it readable, then run the same command again",
            ) from error
        if empty:
            yield folder, None


def stamps(staged: Path) -> Stamps:
    """Note what changes when somebody writes to a staged file; raises as `walk`."""
    return {path: stamp_of(status) for path, status in walk(staged) if status is not None}


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # removed meanwhile: that it is missing will tell
        return None
    except OSError as error:
        error.filename = entry.path
        raise
