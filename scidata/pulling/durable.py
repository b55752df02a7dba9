"""Bringing what was written to the disk: once for a whole folder, not file by file."""

import ctypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path

AHEAD = 32 * 2**20
"""Bytes after which the disk is told to begin, so that at the end it has little left to do."""
_WRITE = 2
"""``SYNC_FILE_RANGE_WRITE``: begin, and do not wait."""

_System = Callable[..., int]


class Durable:
    """The disk under a folder; made before anything is written, so as to miss no failure."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._whole = _of_the_system("syncfs")

    def settle(self, files: Iterable[Path]) -> None:
        """Wait until all that was written is on the disk: these files, and their names.

        Raises
        ------
        OSError
            If the disk could not take it.
        """
        if self._whole is not None:
            if self._whole(self._folder) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            return
        listed = list(files)
        for path in [*listed, *{path.parent for path in listed}]:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._folder)


def begin(file: int, start: int, count: int) -> None:
    """Let the disk begin to write a part of an open file; where it cannot be told, it waits."""
    if (write := _of_the_system("sync_file_range")) is not None:
        write(file, ctypes.c_int64(start), ctypes.c_int64(count), _WRITE)


def _of_the_system(name: str) -> _System | None:
    """Return a call that Python does not know; None on systems that do not, either."""
    call: _System | None = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    return call
