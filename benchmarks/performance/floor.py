"""What the machine itself allows a program that checks files, whatever program it is."""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import click

from scidata.benchmarks.performance.tree import Size

THREADS = 2
GROUP = 64
BLOCK = 256 << 10

T = TypeVar("T")


def hashing(size: Size) -> Callable[[], None]:
    """Prepare sha256 of as many bytes as the tree has, in as many pieces, all in memory."""
    big, small = os.urandom(size.big_bytes), os.urandom(size.small_bytes)
    groups = [[big]] * size.big
    groups += [[small] * min(GROUP, size.small - n) for n in range(0, size.small, GROUP)]

    def digest(group: list[bytes]) -> None:
        for piece in group:
            hashlib.sha256(piece).digest()

    return lambda: _in_threads(digest, groups)


def reading(folder: Path) -> Callable[[], None]:
    """Prepare to read every byte of the payload without a look at it."""
    files = payload(folder)
    big = [[path] for path in files if "/big/" in path]
    small = files[len(big) :]
    groups = big + [small[n : n + GROUP] for n in range(0, len(small), GROUP)]

    def read(group: list[str]) -> None:
        block = memoryview(bytearray(BLOCK))
        for path in group:
            descriptor = os.open(path, os.O_RDONLY)
            while os.readv(descriptor, [block]):
                pass
            os.close(descriptor)

    return lambda: _in_threads(read, groups)


def drop_cached(folder: Path) -> None:
    """Drop the payload from the page cache, so that the disk is read.

    Raises
    ------
    click.ClickException
        If it stays there, as it does on a file system in memory.
    """
    files = payload(folder)
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)  # what is not written yet cannot be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    if any(_is_cached(path) for path in (files[0], files[-1])):
        raise click.ClickException(
            f"{folder} stays in memory: give --folder on a disk, such as --folder /var/tmp/tree"
        )


def payload(folder: Path) -> list[str]:
    """List the payload, big files first."""
    return sorted(str(path) for path in (folder / "data").rglob("*.bin"))


def _is_cached(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(os.preadv(descriptor, [bytearray(mmap.PAGESIZE)], 0, os.RWF_NOWAIT))
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot tell, as those in memory
        return True
    finally:
        os.close(descriptor)


def _in_threads(call: Callable[[T], None], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(call, items))
