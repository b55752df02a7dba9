"""Objects on the local disk, for the second epoch: a folder that several processes may share.

An object lies under its sha256, so that versions share what they have in common, and nothing in
the folder can be stale. It enters after its digest was compared, under another name first, so
that no process sees part of it. When the folder is full, what was not used for longest goes; a
process that reads it at that moment keeps reading, since its file is open. What enters is not
forced to the disk, which would wait for it: an object that was last used before this machine
began to run, and so may have lost its end with the power, is compared once more.
"""

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scidata.digest import Digest
from scidata.errors import StorageError

DEFAULT_BYTES = 10 * 2**30
_ROOM = 0.9
"""Of the limit, what is kept when something has to go: else every object would evict one."""
_RECOUNT = 0.02
"""The folder is counted anew after this part of the limit was added."""
_UNSURE_S = 60.0
_LOCK, _UNFINISHED, _STALE_S = "lock", "unfinished-", 24 * 3600


@dataclass(frozen=True)
class CachedFile:
    """An object in the cache, open."""

    descriptor: int

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes `start` to `stop`, or as many as there are."""
        parts = []
        while start < stop:  # at most 2 GiB come at a time
            part = os.pread(self.descriptor, stop - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __len__(self) -> int:
        return os.fstat(self.descriptor).st_size

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass
class Cache:
    """A folder of objects with a limit.

    Parameters
    ----------
    folder : Path
        Made when the first object enters.
    max_bytes : int, B
        Of all objects together; other files in the folder are left alone.
    """

    folder: Path
    max_bytes: int = DEFAULT_BYTES
    _added: int = field(default=0, repr=False, compare=False)
    _known: int | None = field(default=None, repr=False, compare=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def get(self, digest: Digest) -> CachedFile | None:
        """Return an object, and remember that it was used; None if it is not here."""
        path = self._path(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        file = CachedFile(descriptor)
        if os.fstat(descriptor).st_mtime < _began() and not _is(file, digest):
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # of another owner, or read-only: then others tell its age
            os.utime(descriptor)
        return file

    def put(self, digest: Digest, data: memoryview | bytes) -> CachedFile | None:
        """Keep an object whose digest was compared; None if it is larger than the limit.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        if len(data) > self.max_bytes:
            return None
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self.folder)
            try:
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    _write_all(file.fileno(), memoryview(data))
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            self._make_room(len(data))
        except OSError as error:
            raise self._failed(error) from error
        return self.get(digest)

    def _path(self, digest: Digest) -> Path:
        return self.folder / digest.hex[:2] / digest.hex

    def _make_room(self, added: int) -> None:
        with self._turn:
            self._added += added
            # What other processes added is not known: so the folder is counted now and then.
            known = self._known if self._added <= self.max_bytes * _RECOUNT else None
            if known is not None and known + self._added <= self.max_bytes:
                return
            with self._locked():
                self._sweep()
                held = sorted(self._entries())
                total = sum(size for _, size, _ in held)
                for _, size, path in held if total > self.max_bytes else ():
                    if total <= self.max_bytes * _ROOM:
                        break
                    path.unlink(missing_ok=True)
                    total -= size
                self._known, self._added = total, 0

    def _sweep(self) -> None:
        """Remove what processes left unfinished that were killed a day ago or before."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > _STALE_S:
                    path.unlink()

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each object was last used, its size and its path."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                try:
                    found = path.lstat()
                except FileNotFoundError:  # another process made room
                    continue
                yield found.st_mtime, found.st_size, path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Never through a link, whose target would be somebody's file.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.folder / _LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"the cache cannot be used: {error.strerror or error}",
            where=str(self.folder),
            fix="give another folder, make room, or stream without cache=",
        )

    def __getstate__(self) -> dict[str, object]:
        """Another process finds out for itself what is there."""
        return {"folder": self.folder, "max_bytes": self.max_bytes}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Begin anew."""
        self.__init__(**state)  # type: ignore[misc]  # a lock cannot travel


def _began() -> float:
    """Return when this machine began to run, or a little later: clocks are set meanwhile."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.time() - time.clock_gettime(clock) + _UNSURE_S


def _is(file: CachedFile, digest: Digest) -> bool:
    return Digest.of(file.read(0, len(file))) == digest


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
