"""Boxes of arrays, read in the background: fetched by one event loop, decoded by some threads.

The chunks that a set of boxes touches are found first, each once; neighbours in an object are
fetched by one request of a few MiB; each answer is decoded in a thread, with the interpreter's
lock released, straight to where it belongs if it lies there in one piece. What is under way is
bounded in bytes.
"""

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain, groupby
from typing import Any, TypeAlias

import numpy as np

from scidata.errors import Damage
from scidata.loaders.fetch import Buffer, Objects
from scidata.loaders.layout import Coordinates, Extent, Index, Layout, Shards
from scidata.loaders.meter import Gauge
from scidata.loaders.pace import Pace
from scidata.loaders.places import damaged
from scidata.loaders.requests import (
    Chunk,
    Numbers,
    Read,
    Request,
    Wanted,
    bundles,
    requests,
    wanted,
)
from scidata.loaders.turns import Budget, Turns

IN_FLIGHT_BYTES = 64 * 2**20
INDEX_BYTES = 32 * 2**20
"""Of the indexes of shards that are kept once read."""
OVERHEAD_BYTES = 2**20
"""By which the stored bytes of a small chunk may exceed its numbers: headers, dictionaries."""
REQUESTS_AT_ONCE = 64
"""However few bytes each asks for."""

_Indexes: TypeAlias = dict[tuple[str, str], Index]


class Reader:
    """Reads boxes of the arrays of one asset; belongs to one process.

    Parameters
    ----------
    objects : mapping of Objects
        By the key of their asset.
    gauge : Gauge
        Told of requests, bytes and seconds.
    threads : int, optional
        That decode. By default one a core that this process may use.
    in_flight : int, B
        Bytes that are fetched and not decoded yet, at most.
    """

    def __init__(
        self,
        objects: Mapping[str, Objects],
        gauge: Gauge,
        *,
        threads: int | None = None,
        in_flight: int = IN_FLIGHT_BYTES,
    ) -> None:
        self._objects = objects
        self._gauge = gauge
        cores = threads or len(os.sched_getaffinity(0))
        self._decoding = ThreadPoolExecutor(cores, thread_name_prefix="scidata-decode")
        self._loop = asyncio.new_event_loop()
        self._budget = Budget(in_flight)
        self._requests = Budget(REQUESTS_AT_ONCE)
        self._turns = Turns()
        self._pace = Pace()
        self._indexes: OrderedDict[tuple[str, str], Index] = OrderedDict()
        self._coming: dict[tuple[str, str], asyncio.Task[Index]] = {}
        self._under_way: set[Future[None]] = set()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="scidata-fetch", daemon=True
        )
        self._thread.start()

    def submit(
        self, reads: Sequence[Read], *, placed: "Future[None] | None" = None
    ) -> "Future[None]":
        """Begin to read boxes; the future is done when all their numbers are in place.

        Parameters
        ----------
        reads : sequence of Read
        placed : future, optional
            Done when it is known where the numbers go. What is stored is fetched before, as far
            as the latency asks for it and bytes may be under way, and waits with them: so
            nothing that is asked for later may be needed for this to happen.
        """
        return self._run(self._read(partial(wanted, reads), placed))

    def bring(self, chunks: Sequence[Wanted]) -> "Future[None]":
        """Begin to read chunks; the future is done when they are in all their places."""
        return self._run(self._read(lambda: chunks, None))

    def close(self) -> None:
        """Stop at once: requests are dropped, threads end."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._decoding.shutdown(wait=True, cancel_futures=True)
        self._loop.close()
        self._objects = {}  # and with them files of the cache, and objects in memory

    def _run(self, work: "Coroutine[Any, Any, None]") -> "Future[None]":
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # closed: the process ends
            work.close()
            raise

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(
        self, found: Callable[[], Sequence[Wanted]], placed: "Future[None] | None"
    ) -> None:
        ready = self._ready(placed)
        try:
            async with asyncio.TaskGroup() as group:
                with self._turns.drawn() as turn:
                    chunks, absent = await self._found(found())
                    await turn.wait()
                    for bundle in bundles(requests(chunks)):
                        nbytes = sum(request.nbytes for request in bundle)
                        await self._pace.keep(nbytes, ready)
                        taken = await self._budget.take(nbytes)
                        task = group.create_task(self._fetch(bundle, ready))
                        task.add_done_callback(partial(self._give, taken))
                await ready.wait()
                for layout, _, _, goals in absent:
                    for held, row in goals:
                        held[row][0][...] = layout.fill
        except* Exception as errors:  # noqa: BLE001  # one of them is raised
            raise _first(errors) from None
        finally:
            self._pace.leave(ready)

    def _ready(self, placed: "Future[None] | None") -> asyncio.Event:
        ready = asyncio.Event()
        if placed is None:
            ready.set()
            return ready

        def tell(_: "Future[None]") -> None:
            with suppress(RuntimeError):  # closed: nobody waits
                self._loop.call_soon_threadsafe(self._pace.tell, ready)

        placed.add_done_callback(tell)
        return ready

    def _give(self, taken: int, _: "asyncio.Task[None]") -> None:
        self._budget.give(taken)

    async def _found(self, chosen: Sequence[Wanted]) -> tuple[list[Chunk], list[Wanted]]:
        """Find where chunks lie, and those of them that are fill value."""
        indexes = await self._needed_indexes(chosen)
        chunks, absent = list[Chunk](), list[Wanted]()
        for one in chosen:
            layout, place, path, goals = one
            extent = None if path is None else _extent(layout, place, path, indexes)
            if extent is None:
                absent.append(one)
            else:
                chunks.append(Chunk(layout, extent, goals))
        return chunks, absent

    async def _needed_indexes(self, chosen: Sequence[Wanted]) -> _Indexes:
        needed = {
            (layout.asset, path): layout
            for layout, _, path, _ in chosen
            if path is not None and layout.table.index_bytes()
        }
        found = await asyncio.gather(*(self._index(path, n) for (_, path), n in needed.items()))
        return dict(zip(needed, found, strict=True))

    async def _index(self, path: str, layout: Layout) -> Index:
        named = layout.asset, path
        if named in self._indexes:
            self._indexes.move_to_end(named)
            return self._indexes[named]
        # Tiles of one shard are read side by side: one of them fetches its index.
        task = self._coming.get(named)
        if task is None:
            task = asyncio.create_task(self._fetch_index(path, layout))
            self._coming[named] = task
            task.add_done_callback(lambda done: self._arrived(named, done))
        # Shielded: a tile that is no longer wanted must not take it from the others.
        found = await asyncio.shield(task)
        self._indexes[named] = found
        while len(self._indexes) * found.nbytes > INDEX_BYTES and len(self._indexes) > 1:
            self._indexes.popitem(last=False)
        return found

    def _arrived(self, named: tuple[str, str], done: "asyncio.Task[Index]") -> None:
        self._coming.pop(named, None)
        if not done.cancelled():
            done.exception()  # looked at, even if nobody waits for it any more

    async def _fetch_index(self, path: str, layout: Layout) -> Index:
        table = layout.table
        assert isinstance(table, Shards)  # noqa: S101  # only shards have an index
        begin = time.perf_counter()
        raw = await self._objects[layout.asset].edge(
            path, table.index_bytes(), at_end=table.index_at_end
        )
        self._count([raw], begin)
        try:
            return table.parse(raw)
        except ValueError as error:
            raise _undecodable(path, layout, error) from error

    async def _fetch(self, bundle: Sequence[Request], ready: asyncio.Event) -> None:
        ours = [[*held] for _, held in groupby(bundle, lambda r: (r.layout.asset, r.path))]
        raws = await asyncio.gather(*map(self._fetch_together, ours))
        await ready.wait()
        work = self._loop.run_in_executor(
            self._decoding, self._decode, bundle, [*chain.from_iterable(raws)]
        )
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # What a thread still writes to must not be given out for anything else.
            await asyncio.wait([work])
            raise

    async def _fetch_together(self, held: Sequence[Request]) -> Sequence[Buffer]:
        """Fetch what some requests ask of one object."""
        layout, path = held[0].layout, held[0].path
        objects = self._objects[layout.asset]
        ranges = [(r.start, r.stop) for r in held if r.stop is not None]
        taken = await self._requests.take(len(held))
        try:
            begin = time.perf_counter()
            if ranges:
                raws = await objects.read(path, ranges)
            else:
                raws = [await objects.whole(path, limit=_most(layout))]
            self._count(raws, begin)
            return raws
        finally:
            self._requests.give(taken)

    def _count(self, raws: Sequence[Buffer], begin: float) -> None:
        now, nbytes = time.perf_counter(), sum(map(len, raws))
        self._pace.answered(nbytes, at=now, took=now - begin)
        self._gauge.add(requests=len(raws), fetched=nbytes, fetch_s=now - begin)

    def _decode(self, bundle: Sequence[Request], raws: Sequence[Buffer]) -> None:
        with self._gauge.timed("decode"):
            for request, raw in zip(bundle, raws, strict=True):
                view = memoryview(raw)
                for chunk in request.chunks:
                    path, start, stop = chunk.extent
                    end = len(view) if stop is None else stop - request.start
                    part = view[start - request.start : end]
                    try:
                        _place(chunk, part)
                    except (ValueError, RuntimeError) as error:
                        raise _undecodable(path, chunk.layout, error) from error


def _place(chunk: Chunk, raw: memoryview) -> None:
    """Decode a chunk and put its parts where they go."""
    layout, decoder = chunk.layout, chunk.layout.decoder
    targets = [held[row] for held, row in chunk.parts]
    whole = None
    if layout.scaling is None:
        whole = next((out for out, _ in targets if decoder.direct(out)), None)
    if whole is not None:
        decoder.into(raw, whole)
    numbers: Numbers = decoder.decode(raw, chunk.extent) if whole is None else whole
    for out, source in targets:
        if out is whole:
            continue
        part = numbers[source]
        if layout.scaling is None:
            np.copyto(out, part, casting="unsafe")
        else:
            scale = layout.scaling
            values = part * np.float64(scale.factor) + scale.offset
            for missing in scale.missing:
                values = np.where(part == missing, np.nan, values)
            out[...] = values


def _extent(
    layout: Layout, place: Coordinates, path: str, indexes: "_Indexes"
) -> Extent | None:
    try:
        extent = layout.table.extent(place, path, indexes.get((layout.asset, path)))
        if extent is not None and extent.stop is not None:
            _check_length(extent.stop - extent.start, layout)
    except ValueError as error:
        raise _undecodable(path, layout, error) from error
    return extent


def _most(layout: Layout) -> int:
    """Return the bytes that a stored chunk may have: incompressible numbers, and a header."""
    return 2 * layout.decoder.nbytes + OVERHEAD_BYTES


def _check_length(stored: int, layout: Layout) -> None:
    """Refuse an index that asks for far more bytes than a chunk can take."""
    most = _most(layout)
    if stored > most:
        raise ValueError(f"its index gives a chunk {stored} bytes, more than {most}")


def _undecodable(path: str, layout: Layout, error: Exception) -> Exception:
    damage = Damage(path=path, state="bad", expected="what was published", found=str(error))
    return damaged(path, layout.where, damage)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
