"""The folder of a site: files written whole, if they changed; nothing foreign is touched.

``.scidata-site`` lists the files that are ours. A path is noted there before it is written, so
that a build which was killed knows its own files again.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from scidata.errors import ConflictError, ScidataError, StorageError

LEDGER = ".scidata-site"

_MAX_LEDGER_BYTES = 256 * 2**20
_HEAD = "# Files of this site that scidata wrote, and may write again or remove.\n"


class Folder:
    """A folder that takes the files of a site."""

    def __init__(self, path: Path, *, dry_run: bool = False) -> None:
        """Read which files are ours.

        Raises
        ------
        StorageError
            If it is no folder, or cannot be read or made.
        """
        self._path = path
        self._dry_run = dry_run
        self.written: list[str] = []
        """Paths of files that are new or differ."""
        self.removed: list[str] = []
        self.unchanged = 0
        self._wanted: set[str] = set()
        with _told(path):
            self._ours = self._read_ledger()
            if not dry_run:
                path.mkdir(parents=True, exist_ok=True)
            self._root = path.resolve()

    def put(self, path: str, data: bytes) -> None:
        """Write a file, unless it is there already.

        Raises
        ------
        ConflictError
            If a file that is not ours lies there with other content.
        StorageError
            If it cannot be written.
        """
        self._wanted.add(path)
        target = self._path / path
        with _told(target):
            self._refuse_leaving(target, path)
            held = target.read_bytes() if target.is_file() else None
            if held == data:
                self.unchanged += 1
                self._note(path)
                return
            if path not in self._ours and os.path.lexists(target):
                raise ConflictError(
                    f"{path} is there already, and no build of a site wrote it",
                    where=str(target),
                    fix="give another folder to --out, or move this file away",
                )
            self.written.append(path)
            if not self._dry_run:
                self._note(path)
                _replace(target, data)

    def finish(self, keep: Iterable[str] = ()) -> None:
        """Remove our files that the site no longer has, but none below the paths to `keep`."""
        kept = tuple(keep)
        stale = sorted(p for p in self._ours - self._wanted if not p.startswith(kept))
        for path in stale:
            target = self._path / path
            with _told(target):
                self._refuse_leaving(target, path)
                if os.path.lexists(target):
                    self.removed.append(path)
                    if not self._dry_run:
                        target.unlink()
                        self._prune(target.parent)
        if not self._dry_run:
            ours = sorted(self._ours - set(stale))
            text = _HEAD + "".join(f"{path}\n" for path in ours)
            with _told(self._path):
                ledger = self._path / LEDGER
                if not ledger.is_file() or ledger.read_text(encoding="utf-8") != text:
                    _replace(ledger, text.encode())

    def _note(self, path: str) -> None:
        if path in self._ours or self._dry_run:
            return
        ledger = self._path / LEDGER
        if not self._ours and not ledger.exists():
            ledger.write_text(_HEAD, encoding="utf-8")
        with ledger.open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")
        self._ours.add(path)

    def _read_ledger(self) -> set[str]:
        ledger = self._path / LEDGER
        if not ledger.is_file() or ledger.stat().st_size > _MAX_LEDGER_BYTES:
            return set()
        lines = ledger.read_text(encoding="utf-8", errors="replace").splitlines()
        # Whoever wrote it: nothing outside of the folder is ever removed.
        return {line for line in lines if _is_inside(line)}

    def _refuse_leaving(self, target: Path, path: str) -> None:
        """Refuse a path that a link leads out of the folder."""
        if not target.parent.resolve().is_relative_to(self._root) or target.is_symlink():
            raise ConflictError(
                f"{path} lies behind a link",
                where=str(target),
                fix="give a folder without links to --out",
            )

    def _prune(self, folder: Path) -> None:
        with suppress(OSError):  # not empty: somebody's files are there
            while folder != self._path:
                folder.rmdir()
                folder = folder.parent


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith(("/", "#")) and ".." not in parts


def _replace(target: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees part of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".scidata-site-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # As any file that a program makes: a web server runs as somebody else.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of a failure of the disk where it was."""
    try:
        yield
    except ScidataError:
        raise
    except OSError as error:
        raise StorageError(
            f"the site cannot be written: {error.strerror or error}",
            where=str(path),
            fix="make room or choose another folder, then run the same command again",
        ) from error
