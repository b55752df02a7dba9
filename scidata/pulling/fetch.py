"""One object of a store into one file: resumed, hashed while it is written, then named.

Under its own name a file only ever has the bytes of its digest; what is on its way is called
``NAME.part``. That these bytes outlive a power failure is seen to once, when all files are
there: `scidata.pulling.durable`.
"""

import errno
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scidata.digest import Block, Digest
from scidata.errors import Damage, InvalidError, NotFoundError, ScidataError, StorageError
from scidata.hashing import BLOCK, Meter
from scidata.parallel import ONE_REQUEST
from scidata.pulling.durable import AHEAD, begin
from scidata.storage.base import Store

PART = ".part"
PIECE = 64 << 10
"""Bytes that are written, and then hashed while the processor's cache still has them. Larger
pieces make the kernel take larger runs of free memory, which a virtual machine may have to ask
its host for: that costs more than the writing."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """One file to bring."""

    path: str
    """As in the manifest."""
    key: str
    """Where it lies in the store."""
    digest: Digest
    size: int


def fetch(
    store: Store, item: Fetch, folder: Path, meter: Meter, stop: threading.Event
) -> Damage | None:
    """Bring one file; bytes that are wrong are fetched once more from the beginning.

    Returns
    -------
    Damage or None
        What the store has instead of the file, if that is not the file.

    Raises
    ------
    StorageError
        If the store cannot be read or the folder cannot be written. What has arrived stays in
        ``NAME.part`` and is continued next time.
    """
    target = folder / item.path
    part = target.with_name(target.name + PART)
    found = ""
    for _ in range(2):
        with disk_errors(target):
            try:
                digest = _receive(store, item, part, meter, stop)
            except NotFoundError:
                part.unlink(missing_ok=True)
                return Damage(path=item.path, state="missing", expected=str(item.digest))
            if stop.is_set():
                return None
            if digest == item.digest:
                part.replace(target)
                return None
            part.unlink(missing_ok=True)
        found = str(digest) if digest else f"more than {item.size} bytes"
    return Damage(path=item.path, state="bad", expected=str(item.digest), found=found)


def write_whole(target: Path, data: bytes) -> None:
    """Write a small file so that nobody ever sees part of it.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    part = target.with_name(target.name + PART)
    with disk_errors(target):
        with _opened(part) as file:
            os.ftruncate(file, 0)
            _write(file, data)
            os.fsync(file)
        part.replace(target)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say in words what the operating system refuses."""
    try:
        yield
    except ScidataError:  # some are an OSError, too, and say it already
        raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        raise StorageError(
            f"cannot write {str(path)!r}: {error.strerror or error}",
            where=str(path.parent),
            fix="free some space and run the same command again: it continues"
            if full
            else "choose a folder that you may write to",
        ) from error


def _receive(
    store: Store, item: Fetch, part: Path, meter: Meter, stop: threading.Event
) -> Digest | None:
    """Complete the part; returns its digest, or None if it has too many bytes."""
    with _opened(part) as file:
        value = hashlib.sha256()
        size = _hash_begun(file, value, item.size)
        meter.add(size)
        told = size
        try:
            for block in _pieces(_blocks(store, item, size)):
                size += len(block)
                if size > item.size or stop.is_set():
                    return None
                _write(file, block)
                value.update(block)
                meter.add(len(block))
                if size - told >= AHEAD:
                    begin(file, told, size - told)
                    told = size
        except InvalidError:  # the store holds a larger object under this key
            return None
    return Digest(value.hexdigest())


def _hash_begun(file: int, value: "hashlib._Hash", size: int) -> int:
    """Hash what an interrupted run left; a part that is too long starts again."""
    begun = os.fstat(file).st_size
    if begun > size:
        os.ftruncate(file, 0)
        return 0
    block = memoryview(bytearray(min(BLOCK, begun)))
    while begun and (count := os.readv(file, [block])):
        value.update(block[:count])
    return begun


def _blocks(store: Store, item: Fetch, start: int) -> Iterable[Block]:
    if start == item.size and start:
        return ()
    if start == 0 and item.size <= ONE_REQUEST:
        return (store.read(item.key, limit=item.size),)
    return store.stream(item.key, start=start)


def _pieces(blocks: Iterable[Block]) -> Iterator[memoryview]:
    """Cut blocks into what is written and hashed in turns."""
    for block in blocks:
        whole = memoryview(block)
        for start in range(0, len(whole), PIECE):
            yield whole[start : start + PIECE]


@contextmanager
def _opened(part: Path) -> Iterator[int]:
    # Never through a link: it could lead out of the destination.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(part, flags, 0o666)
    except FileNotFoundError:  # rarely: to ask for each file is felt over 20,000 small ones
        part.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(part, flags, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, data: Block) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
