"""Bytes of objects, fetched without waiting: ranges, ends, or whole.

Whatever can pass next time is tried again, with a pause that grows; a server that stalls is not
waited for longer than `TIMEOUT_S` a try. An object that the manifest lists and the store lacks
is damage, and so is one that ends before what its index says.
"""

import asyncio
import io
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import obstore
import obstore.exceptions
import obstore.store

from scidata.errors import Damage, IntegrityError, InvalidError, StorageError
from scidata.loaders.places import AssetObjects, Place, Spread, damaged
from scidata.storage import STARTED_IN
from scidata.storage.refusals import refuses_ranges
from scidata.storage.stored_file import StoredFile

Buffer: TypeAlias = memoryview | bytes

TRIES = 3
TIMEOUT_S = 20.0
"""For an answer, besides the time that its bytes take at `SLOWEST`."""
SLOWEST = 128 * 2**10
"""Bytes a second, of each request: below that it is given up."""
WHOLE_TIMEOUT_S = 600.0
FIRST_PAUSE_S = 0.25

# What the same request would meet again.
_FINAL = (
    obstore.exceptions.PermissionDeniedError,
    obstore.exceptions.UnauthenticatedError,
    obstore.exceptions.InvalidPathError,
    obstore.exceptions.NotSupportedError,
    PermissionError,
)
_TRANSPORT = (obstore.exceptions.BaseError, OSError, TimeoutError)


class Objects(Protocol):
    """Objects of one asset, by their path in it. Every method raises as `patiently` does."""

    async def read(self, path: str, start: int, stop: int) -> Buffer:
        """Return bytes `start` to `stop` of an object, all of them."""
        ...

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Return the last or the first bytes of an object."""
        ...

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Return an object; `InvalidError` if it has more than `limit` bytes."""
        ...


class _ShortError(OSError):
    """Fewer bytes came than were asked for."""


async def patiently(
    call: Callable[[], Awaitable[Buffer]],
    path: str,
    where: str,
    *,
    length: int | None = None,
    timeout_s: float | None = None,
) -> Buffer:
    """Await what `call` fetches; again if that can help.

    Raises
    ------
    IntegrityError
        If the object is missing, or stays shorter than `length`.
    StorageError
        If the store cannot be reached, refuses, or stalls.
    """
    error: Exception = OSError()
    limit_s = (TIMEOUT_S if timeout_s is None else timeout_s) + (length or 0) / SLOWEST
    for attempt in range(TRIES):
        if attempt:
            # Apart from each other: readers that failed together do not come back together.
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        try:
            async with asyncio.timeout(limit_s):
                found = await call()
            if length is None or len(found) == length:
                return found
            error = _ShortError(f"{len(found)} bytes came instead of {length}")
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as missing:
            raise damaged(path, where, Damage(path=path, state="missing")) from missing
        except _FINAL as refusal:
            error = refusal
            break
        except _TRANSPORT as failure:
            if isinstance(error, TimeoutError) and isinstance(failure, TimeoutError):
                break  # it stalled twice
            error = failure
    raise _failure(error, path, where, limit_s) from error


def _check_size(size: int, limit: int, path: str, where: str) -> None:
    if size > limit:
        raise InvalidError(
            f"{path} has {size:,} bytes, and is needed whole: more than {limit:,}",
            where=where,
            fix="give more memory=, or stream without verify= and cache=",
        )


def _failure(error: Exception, path: str, where: str, timeout_s: float) -> Exception:
    if isinstance(error, _ShortError):
        return IntegrityError(
            f"{path} ends early: {error}",
            where=where,
            fix="run scidata verify on this version; if it repeats, use another copy",
            damage=[
                Damage(path=path, state="bad", expected="what was published", found=str(error))
            ],
        )
    stalled = isinstance(error, TimeoutError)
    what = f"no answer in {timeout_s:.3g} s" if stalled else type(error).__name__
    return StorageError(
        f"{path} cannot be read: {what}",
        where=where,
        fix="check that the store can be reached, then continue from the last state_dict",
    )


@dataclass(frozen=True)
class RustObjects:
    """Objects through obstore."""

    store: obstore.store.ObjectStore
    where: str

    async def read(self, path: str, start: int, stop: int) -> Buffer:
        """Ask for a range."""

        async def call() -> Buffer:
            try:
                found = await obstore.get_range_async(self.store, path, start=start, end=stop)
            except obstore.exceptions.BaseError as error:
                if not refuses_ranges(error):
                    raise
                return (await self._all(path))[start:stop]
            return memoryview(found)

        return await patiently(call, path, self.where, length=stop - start)

    async def _all(self, path: str) -> memoryview:
        """Ask a server that answers no ranges for the whole object."""
        found = await obstore.get_async(self.store, path)
        return memoryview(await found.bytes_async())

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Ask for the last or the first bytes."""
        if not at_end:
            return await self.read(path, 0, length)

        async def call() -> Buffer:
            options: Any = {"range": {"suffix": length}}  # Any: obstore's own dictionary
            try:
                found = await obstore.get_async(self.store, path, options=options)
            except obstore.exceptions.BaseError as error:
                if not refuses_ranges(error):
                    raise
                return (await self._all(path))[-length:]
            return memoryview(await found.bytes_async())

        return await patiently(call, path, self.where, length=length)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Ask for all of it."""

        async def call() -> Buffer:
            found = await obstore.get_async(self.store, path)
            _check_size(found.meta["size"], limit, path, self.where)
            return memoryview(await found.bytes_async())

        return await patiently(call, path, self.where, timeout_s=WHOLE_TIMEOUT_S)


@dataclass(frozen=True)
class FileObjects:
    """Objects that are files below a folder; also in processes made by fork."""

    folder: Path
    where: str

    async def read(self, path: str, start: int, stop: int) -> Buffer:
        """Read part of a file, in a thread."""
        call = lambda: asyncio.to_thread(_read_file, self.folder / path, start, stop)  # noqa: E731
        return await patiently(call, path, self.where, length=stop - start)

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Read the last or the first bytes of a file, in a thread."""
        start = -length if at_end else 0
        call = lambda: asyncio.to_thread(_read_file, self.folder / path, start, length)  # noqa: E731
        return await patiently(call, path, self.where, length=length)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Read a file, in a thread."""

        def read() -> bytes:
            file = self.folder / path
            _check_size(file.stat().st_size, limit, path, self.where)
            return file.read_bytes()

        return await patiently(lambda: asyncio.to_thread(read), path, self.where)


def _read_file(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        if start < 0:  # from the end; all of it if it is shorter
            file.seek(-min(-start, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read(-start)
        file.seek(start)
        return file.read(stop - start)


@dataclass(frozen=True)
class PythonObjects:
    """Objects through fsspec, for processes made by fork, where Rust's threads are gone."""

    files: Any  # Any: fsspec has no types
    root: str
    where: str

    async def read(self, path: str, start: int, stop: int) -> Buffer:
        """Ask for a range."""
        return await self._cat(path, start, stop, stop - start)

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Ask for the last or the first bytes."""
        start, stop = (-length, None) if at_end else (0, length)
        return await self._cat(path, start, stop, length)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Ask for all of it."""
        info = await self.files._info(f"{self.root}/{path}")
        _check_size(info["size"], limit, path, self.where)
        return await self._cat(path, None, None, None)

    async def _cat(
        self, path: str, start: int | None, stop: int | None, length: int | None
    ) -> Buffer:
        async def call() -> Buffer:
            found: bytes = await self.files._cat_file(
                f"{self.root}/{path}", start=start, end=stop
            )
            return found

        return await patiently(call, path, self.where, length=length)


@dataclass(frozen=True)
class SpreadObjects:
    """Objects that lie in several places."""

    parts: tuple[Objects, ...]
    number: Mapping[str, int]
    """By path, which of the parts holds it."""

    async def read(self, path: str, start: int, stop: int) -> Buffer:
        """Ask the part that holds it."""
        return await self.parts[self.number[path]].read(path, start, stop)

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Ask the part that holds it."""
        return await self.parts[self.number[path]].edge(path, length, at_end=at_end)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Ask the part that holds it."""
        return await self.parts[self.number[path]].whole(path, limit=limit)


def open_objects(objects: AssetObjects, where: str) -> Objects:
    """Return the fastest way to objects that works in this process.

    Raises
    ------
    StorageError
        If none does: a store in memory, in a process made by fork.
    """
    if isinstance(objects, Spread):
        parts = tuple(open_objects(view, where) for view in objects.views)
        return SpreadObjects(parts, objects.number)
    place = Place.of(objects)
    if isinstance(objects, obstore.store.LocalStore):
        return FileObjects(Path(str(objects.prefix)), where)
    if os.getpid() == STARTED_IN:
        return RustObjects(objects, where)
    if place is None:
        raise StorageError(
            f"{type(objects).__name__} cannot be read by a process made by fork",
            where=where,
            fix="give DataLoader multiprocessing_context='spawn', or num_workers=0",
        )
    return PythonObjects(place.through_python(), place.url.removeprefix("s3://"), where)


def open_file(objects: obstore.store.ObjectStore, path: str, where: str) -> BinaryIO:
    """Open an object as a file that can be read anywhere, for libraries that want one.

    Raises
    ------
    IntegrityError, StorageError
        As `patiently`.
    """
    place = Place.of(objects)
    try:
        if isinstance(objects, obstore.store.LocalStore):
            return (Path(str(objects.prefix)) / path).open("rb")
        if os.getpid() == STARTED_IN or place is None:
            size = obstore.head(objects, path)["size"]
            return io.BufferedReader(StoredFile(objects, path, size, where))
        files = place.through_python(asynchronous=False)
        opened: BinaryIO = files.open(f"{place.url.removeprefix('s3://')}/{path}")
        return opened  # noqa: TRY300  # of three ways this is the last
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as missing:
        raise damaged(path, where, Damage(path=path, state="missing")) from missing
    except _TRANSPORT as error:
        raise _failure(error, path, where, TIMEOUT_S) from error
