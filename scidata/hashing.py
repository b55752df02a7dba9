"""Many files, or a stream of bytes, to sha256 digests: in parallel, in bounded memory.

What a digest is belongs to `scidata.digest`; comparing digests with a manifest belongs to
`scidata.verify`.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from scidata.digest import Block, Digest
from scidata.errors import NotFoundError, StorageError
from scidata.parts import Cutting, Parts

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how much is done and how much there is in all, in bytes unless it is said
otherwise; from any thread."""


@runtime_checkable
class FileProgress(Protocol):
    """A `Progress` that also wants to know how many files are done, of how many."""

    def __call__(self, done: int, total: int) -> None:
        """Take bytes done and in all."""
        ...

    def files(self, done: int, total: int) -> None:
        """Take files done and in all."""
        ...


def tell_files(progress: Progress | None, done: int, total: int) -> None:
    """Tell how many files are done, if anybody wants to know."""
    if isinstance(progress, FileProgress):
        progress.files(done, total)


FilePath: TypeAlias = str | os.PathLike[str]

BLOCK = 256 << 10
GROUP = 256
"""Small files that a thread takes at once; taking each alone costs a third of the speed."""
_TELL = 8 << 20


class Hashed(NamedTuple):
    """One file as it was read: its digest, or the reason why there is none."""

    key: str
    hex: str
    """The sha256; empty if the file could not be read."""
    size: int
    """Bytes read, which may differ from what a listing said before."""
    error: OSError | None = None
    parts: Parts | None = None
    """The sha256 of each part, if that was asked for and the file is so large."""


Cut: TypeAlias = Callable[[int], int]
"""Bytes of each part of a file, from its own; 0 for a file that is not cut."""


def cpu_count() -> int:
    """Return how many CPUs this process may use, which a batch system may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hash_stream(blocks: Iterable[Block]) -> tuple[Digest, int]:
    """Digest bytes as they arrive, holding one block at a time.

    Returns
    -------
    tuple of Digest and int
        The digest and how many bytes there were.
    """
    value = hashlib.sha256()
    size = 0
    for block in blocks:
        value.update(block)
        size += len(block)
    return Digest(value.hexdigest()), size


def hash_parts(path: FilePath, part: int) -> tuple[Digest, Parts]:
    """Digest a file as a whole and part by part, reading it once.

    Parameters
    ----------
    part : int
        Bytes of each part but the last.

    Raises
    ------
    NotFoundError, StorageError
        If the file is missing or cannot be read.
    """
    whole, cutting = hashlib.sha256(), Cutting(part)
    block = memoryview(bytearray(BLOCK))
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - any path
            while count := file.readinto(block):
                whole.update(block[:count])
                cutting.update(block[:count])
    except OSError as error:
        raise unreadable(path, error) from error
    return Digest(whole.hexdigest()), cutting.parts()


def hash_files(
    files: Iterable[tuple[str, Path]],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, tuple[Digest, int]]:
    """Digest files in parallel.

    Parameters
    ----------
    files : iterable of (key, path)
        The key names the file in the result, such as ``data/events.parquet``.
    threads : int, optional
        By default one for each CPU that this process may use.
    progress : Progress, optional
        Bytes done and in all.

    Returns
    -------
    dict of key to (Digest, int)
        In the order given; the number is the bytes read.

    Raises
    ------
    NotFoundError, StorageError
        Naming a file that is missing or cannot be read.
    """
    found = hash_and_cut(files, threads=threads, progress=progress)
    return {key: (Digest(item.hex), item.size) for key, item in found.items()}


def hash_and_cut(
    files: Iterable[tuple[str, Path]],
    *,
    cut: Cut | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Hashed]:
    """Digest files in parallel, large ones also part by part; as `hash_files` otherwise.

    Parameters
    ----------
    cut : callable, optional
        Into what parts; by default into none.
    """
    paths = dict(files)
    total = sum(_size(path) for path in paths.values()) if progress else 0
    done: dict[str, Hashed] = {}
    for item in hash_each(
        paths.items(), cut=cut, threads=threads, progress=progress, total=total
    ):
        if item.error is not None:
            raise unreadable(paths[item.key], item.error) from item.error
        done[item.key] = item
    return {key: done[key] for key in paths}


def hash_each(
    files: Iterable[tuple[str, FilePath]],
    *,
    cut: Cut | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    total: int = 0,
) -> Iterator[Hashed]:
    """Yield each file's digest as soon as it is known, in no order; read errors are results.

    Parameters
    ----------
    files : iterable of (key, path)
        Taken only as far as the threads need, so a folder is hashed while it is walked.
    cut : callable, optional
        Into what parts large files are cut; by default into none.
    threads : int, optional
        By default one for each CPU that this process may use.
    progress : Progress, optional
        Bytes done and in all.
    total : int
        Bytes in all, as far as known beforehand: for `progress` alone.

    Notes
    -----
    Memory: one block of 256 KiB a thread. Closing the iterator early, or interrupting the
    program, stops the threads within 8 MiB.
    """
    count = threads or cpu_count()
    work = _Work(files, cut)
    meter = Meter(total, progress)
    results: SimpleQueue[list[Hashed] | None] = SimpleQueue()
    with ThreadPoolExecutor(count, thread_name_prefix="sha256") as pool:
        workers = [pool.submit(_drain, work, meter, results) for _ in range(count)]
        try:
            while count:
                if (group := results.get()) is None:
                    count -= 1
                else:
                    yield from group
            for worker in workers:
                worker.result()
            meter.tell()
        finally:
            work.stop()


class _Work:
    """The files that no thread has taken yet.

    Threads take them in groups. Sizes are not asked for beforehand (a ``stat`` costs a tenth
    of hashing a small file), so a thread that meets a big file gives the rest of its group
    back, and nobody goes home while that may still happen.
    """

    def __init__(self, files: Iterable[tuple[str, FilePath]], cut: Cut | None) -> None:
        self.stopped = False
        self.cut = cut
        self._files = iter(files)
        self._returned: list[list[tuple[str, FilePath]]] = []
        self._busy = 0
        self._changed = threading.Condition()

    def take(self) -> list[tuple[str, FilePath]]:
        """Return the next group, or nothing when all is done; `finish` follows each group."""
        with self._changed:
            while not self.stopped:
                group = self._returned.pop() if self._returned else self._next()
                if group:
                    self._busy += 1
                    return group
                if not self._busy:
                    break
                self._changed.wait()
            return []

    def give_back(self, rest: list[tuple[str, FilePath]]) -> None:
        with self._changed:
            self._returned.append(rest)
            self._changed.notify()

    def finish(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def _next(self) -> list[tuple[str, FilePath]]:
        try:
            return list(islice(self._files, GROUP))
        except BaseException:
            self.stopped = True
            self._changed.notify_all()
            raise


class Meter:
    """Adds up the bytes that several threads have done, and tells now and then."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._done = 0
        self._told = 0
        self._progress = progress
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes; tells the progress every 8 MiB."""
        if self._progress is None:
            return
        with self._lock:
            self._done += count
            if self._done - self._told >= _TELL:
                self.tell()

    def metered(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Pass blocks on, counting them."""
        for block in blocks:
            yield block
            self.add(len(block))

    def tell(self) -> None:
        """Tell the progress now."""
        self._told = self._done
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))


def _drain(work: _Work, meter: Meter, results: SimpleQueue[list[Hashed] | None]) -> None:
    block = memoryview(bytearray(BLOCK))
    try:
        while group := work.take():
            try:
                results.put(_hash_group(group, work, meter, block))
            finally:
                work.finish()
    finally:
        results.put(None)


def _hash_group(
    group: list[tuple[str, FilePath]], work: _Work, meter: Meter, block: memoryview
) -> list[Hashed]:
    done: list[Hashed] = []

    def go_on() -> bool:
        if rest := group[len(done) + 1 :]:
            del group[len(done) + 1 :]
            work.give_back(rest)
        return not work.stopped

    for key, path in group:
        reading = _Reading(meter, block, go_on, work.cut)
        done.append(_hash_file(key, path, reading))
    return done


class _Reading(NamedTuple):
    """How a thread reads."""

    meter: Meter
    block: memoryview
    go_on: Callable[[], bool]
    """Called at each full block; tells whether to go on."""
    cut: Cut | None


def _hash_file(key: str, path: FilePath, reading: _Reading) -> Hashed:
    meter, block, go_on, cut = reading
    value = hashlib.sha256()
    cutting: Cutting | None = None
    size = 0
    try:
        # Not open(): its extra system calls are felt over 20,000 small files.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while count := os.readv(descriptor, [block]):
                if count == BLOCK and not go_on():
                    break
                if not size and count == BLOCK and cut is not None:  # small files are not cut
                    part = cut(os.fstat(descriptor).st_size)
                    cutting = Cutting(part) if part else None
                value.update(block[:count])
                if cutting is not None:
                    cutting.update(block[:count])
                size += count
                meter.add(count)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Hashed(key, "", size, error)
    return Hashed(key, value.hexdigest(), size, None, cutting.parts() if cutting else None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: FilePath, error: OSError) -> NotFoundError | StorageError:
    """Say which file cannot be read, why, and what to do next."""
    name = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{name!r} does not exist", where=name, fix="check the path")
    return StorageError(
        f"{name!r} cannot be read: {error.strerror or error}",
        where=name,
        fix=f"check its permissions and the disk: ls -l {name!r}",
    )
