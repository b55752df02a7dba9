"""Bytes of objects, fetched without waiting: ranges, ends, or whole.

Whatever can pass next time is tried again, with a pause that grows; a server that stalls is not
waited for longer than `TIMEOUT_S` a try. An object that the manifest lists and the store lacks
is damage, and so is one that ends before what its index says.
"""

import asyncio
import io
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
Range: TypeAlias = tuple[int, int]
"""First byte and one past the last."""

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

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return some ranges of an object, all bytes of each."""
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
    call: Callable[[], Awaitable[Sequence[Buffer]]],
    path: str,
    where: str,
    *,
    lengths: Sequence[int] | None = None,
    timeout_s: float | None = None,
) -> Sequence[Buffer]:
    """Await what `call` fetches of an object; again if that can help.

    Raises
    ------
    IntegrityError
        If the object is missing, or its parts stay shorter than `lengths`.
    StorageError
        If the store cannot be reached, refuses, or stalls.
    """
    error: Exception = OSError()
    wanted = list(lengths) if lengths is not None else None
    limit_s = (TIMEOUT_S if timeout_s is None else timeout_s) + sum(wanted or ()) / SLOWEST
    for attempt in range(TRIES):
        if attempt:
            # Apart from each other: readers that failed together do not come back together.
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        try:
            async with asyncio.timeout(limit_s):
                found = await call()
            came = [len(part) for part in found]
            if wanted is None or came == wanted:
                return found
            error = _ShortError(f"{sum(came)} bytes came instead of {sum(wanted)}")
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

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Ask for ranges, by one call: each call from Python costs as much as a request."""
        starts, ends = zip(*ranges, strict=True)

        async def call() -> Sequence[Buffer]:
            try:
                found = await obstore.get_ranges_async(
                    self.store, path, starts=starts, ends=ends, coalesce=0
                )
            except obstore.exceptions.BaseError as error:
                if not refuses_ranges(error):
                    raise
                whole = await self._all(path)
                return [whole[start:stop] for start, stop in ranges]
            return [memoryview(part) for part in found]

        return await patiently(call, path, self.where, lengths=_lengths(ranges))

    async def _all(self, path: str) -> memoryview:
        """Ask a server that answers no ranges for the whole object."""
        found = await obstore.get_async(self.store, path)
        return memoryview(await found.bytes_async())

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Ask for the last or the first bytes."""
        if not at_end:
            return (await self.read(path, [(0, length)]))[0]

        async def call() -> Sequence[Buffer]:
            options: Any = {"range": {"suffix": length}}  # Any: obstore's own dictionary
            try:
                found = await obstore.get_async(self.store, path, options=options)
            except obstore.exceptions.BaseError as error:
                if not refuses_ranges(error):
                    raise
                return [(await self._all(path))[-length:]]
            return [memoryview(await found.bytes_async())]

        return (await patiently(call, path, self.where, lengths=[length]))[0]

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Ask for all of it."""

        async def call() -> Sequence[Buffer]:
            found = await obstore.get_async(self.store, path)
            _check_size(found.meta["size"], limit, path, self.where)
            return [memoryview(await found.bytes_async())]

        return (await patiently(call, path, self.where, timeout_s=WHOLE_TIMEOUT_S))[0]


@dataclass(frozen=True)
class FileObjects:
    """Objects that are files below a folder; also in processes made by fork."""

    folder: Path
    where: str

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Read parts of a file, in a thread."""
        call = lambda: asyncio.to_thread(_read_file, self.folder / path, ranges)  # noqa: E731
        return await patiently(call, path, self.where, lengths=_lengths(ranges))

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Read the last or the first bytes of a file, in a thread."""
        ends = [(-length, 0) if at_end else (0, length)]
        call = lambda: asyncio.to_thread(_read_file, self.folder / path, ends)  # noqa: E731
        return (await patiently(call, path, self.where, lengths=[length]))[0]

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Read a file, in a thread."""

        def read() -> Sequence[Buffer]:
            file = self.folder / path
            _check_size(file.stat().st_size, limit, path, self.where)
            return [file.read_bytes()]

        return (await patiently(lambda: asyncio.to_thread(read), path, self.where))[0]


def _read_file(path: Path, ranges: Sequence[Range]) -> Sequence[Buffer]:
    """Read ranges of a file; one that begins before 0 is its end, or all if it is shorter."""
    found = []
    with path.open("rb", buffering=0) as file:
        for start, stop in ranges:
            if start < 0:
                file.seek(-min(-start, os.fstat(file.fileno()).st_size), os.SEEK_END)
            else:
                file.seek(start)
            found.append(file.read(stop - start))
    return found


def _lengths(ranges: Sequence[Range]) -> list[int]:
    return [stop - start for start, stop in ranges]


@dataclass(frozen=True)
class PythonObjects:
    """Objects through fsspec, for processes made by fork, where Rust's threads are gone."""

    files: Any  # Any: fsspec has no types
    root: str
    where: str

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Ask for ranges, side by side."""
        return await self._cat(path, ranges, _lengths(ranges))

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Ask for the last or the first bytes."""
        ends = [(-length, None) if at_end else (0, length)]
        return (await self._cat(path, ends, [length]))[0]

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Ask for all of it."""
        info = await self.files._info(f"{self.root}/{path}")
        _check_size(info["size"], limit, path, self.where)
        return (await self._cat(path, [(None, None)], None))[0]

    async def _cat(
        self,
        path: str,
        ranges: Sequence[tuple[int | None, int | None]],
        lengths: Sequence[int] | None,
    ) -> Sequence[Buffer]:
        async def one(start: int | None, stop: int | None) -> bytes:
            found: bytes = await self.files._cat_file(
                f"{self.root}/{path}", start=start, end=stop
            )
            return found

        async def call() -> Sequence[Buffer]:
            return await asyncio.gather(*(one(*part) for part in ranges))

        return await patiently(call, path, self.where, lengths=lengths)


@dataclass(frozen=True)
class SpreadObjects:
    """Objects that lie in several places."""

    parts: tuple[Objects, ...]
    number: Mapping[str, int]
    """By path, which of the parts holds it."""

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Ask the part that holds it."""
        return await self.parts[self.number[path]].read(path, ranges)

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


def read_object(objects: obstore.store.ObjectStore, path: str, where: str) -> bytes:
    """Read an object whole, without asking for its size before; raises as `open_file`."""
    if isinstance(objects, obstore.store.LocalStore) or os.getpid() != STARTED_IN:
        with open_file(objects, path, where) as file:
            return file.read()
    try:
        return bytes(obstore.get(objects, path).bytes())
    except (FileNotFoundError, obstore.exceptions.NotFoundError) as missing:
        raise damaged(path, where, Damage(path=path, state="missing")) from missing
    except _TRANSPORT as error:
        raise _failure(error, path, where, TIMEOUT_S) from error
