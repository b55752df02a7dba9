"""Batches of an epoch, made in the background: what they need is read ahead, then put together.

With the shuffles ``none`` and ``window`` whole tiles are read into a pool, and samples are
copied out of it; with ``exact`` the chunks that each batch touches are read straight into the
batch, and those that a later batch needs stay. Variables that are small as a whole are read
once and stay.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, count, islice
from queue import Empty, Full, Queue
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scidata.digest import Digest
from scidata.errors import InvalidError
from scidata.loaders.buffers import Buffers
from scidata.loaders.meter import Gauge
from scidata.loaders.order import IntArray, Walk
from scidata.loaders.plan import Located, Tiling
from scidata.loaders.pool import Pool, gather
from scidata.loaders.reader import Reader
from scidata.loaders.requests import Read, box
from scidata.loaders.retained import Plan, Retained
from scidata.loaders.samples import Field

Batch: TypeAlias = dict[str, Tensor]
_Made: TypeAlias = tuple[int, Batch]
_Making: TypeAlias = Generator[_Made, None, None]

QUEUED = 1
"""Batches that wait for the loop, while the next one is put together."""
EXACT_AHEAD = 3
"""Groups of batches that are read side by side with the shuffle ``exact``."""
PLANNED, PLANNED_AT_ONCE = 32, 3
"""Groups that are planned before they are begun, to know which chunks are needed again."""
BLOCK = 8192
"""Samples that are located at a time."""
_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything that is decided before the first byte of data is read."""

    resident: tuple[Field, ...]
    tiled: tuple[Field, ...]
    tiling: Tiling
    slots: int
    reach: int
    """Tiles that samples are mixed from."""
    ahead: int
    """Tiles that are read before they are needed."""
    in_flight: int = 0
    """Bytes that are fetched and not decoded yet, at most."""
    further: int = 0
    """Tiles after these, whose stored bytes may be fetched before there is a slot for them."""
    group: int = 1
    """Batches that are planned together with the shuffle ``exact``: the more, the more of what
    they need lies in the same objects."""

    retained: int = 0
    """Bytes of chunks that stay until a later batch needs them, with the shuffle ``exact``."""

    @property
    def signature(self) -> str:
        """What of it fixes the order of the samples: where tiles end, how many are mixed."""
        ends = [[group.stop for group in groups] for groups in self.tiling.groups]
        shape = "x".join(map(str, self.tiling.shape))
        digest = Digest.of(json.dumps(ends).encode())
        return f"{shape} tiles, {self.reach} mixed, {digest.short}"


class _Stopped(Exception):  # noqa: N818  # no error: the loop has left
    """Nobody waits for batches any more."""


class Engine:
    """Reads and assembles for one stream in one process."""

    def __init__(
        self,
        program: Program,
        reader: Reader,
        gauge: Gauge,
        *,
        batch_size: int,
        pinned: bool,
        finish: Callable[[Batch], Batch],
    ) -> None:
        self._program, self._reader, self._gauge = program, reader, gauge
        self._finish = finish
        filled = 1 if program.slots else program.group * EXACT_AHEAD
        self._buffers = Buffers(batch_size, filled=filled, pinned=pinned)
        self._residents: dict[str, npt.NDArray[Any]] = {}
        self._resident: Future[None] | None = None
        self._pool: Pool | None = None
        self._retained: Retained | None = None
        self._ahead: _Ahead | None = None
        self._beginning = threading.Lock()

    def close(self) -> None:
        """End all threads."""
        with self._beginning:
            if self._ahead is not None:
                self._ahead.close()
        self._reader.close()

    def batches(self, walk: Walk, numbers: Sequence[int]) -> Iterator[tuple[int, Batch]]:
        """Yield some batches of a walk, made ahead in a thread; ends what was begun before."""
        stop = threading.Event()
        make = self._exact if walk.order.shuffle == "exact" else self._tiled
        begin = self._gauge.begin()
        with self._beginning:  # two that shared the tiles would write over each other's
            if self._ahead is not None:
                self._ahead.close()
            ahead = self._ahead = _Ahead(make(walk, numbers, stop), stop)
        try:
            for taken in count():
                with self._gauge.timed("wait"):
                    made = ahead.take()
                if isinstance(made, _End):
                    if made.error is not None:
                        raise made.error
                    return
                if taken == 0:
                    self._gauge.first(begin)
                yield made
        finally:
            ahead.close()

    def _tiled(self, walk: Walk, numbers: Sequence[int], stop: threading.Event) -> _Making:
        self._begin_resident()
        course = _Course(walk, self._program.tiling)
        at, slots = -1, dict[int, int]()
        try:
            for number in numbers:
                batch, done = self._empty(walk.size(number)), 0
                for step, located in course.parts(number):
                    if step != at:
                        at, slots = step, self._need(walk, step, stop)
                        self._need_resident(stop)
                    with self._gauge.timed("assemble"):
                        here = slice(done, done + len(located))
                        self._fill(batch, here, located, slots)
                    done += len(located)
                yield number, self._finished(batch)
        finally:
            if self._pool is not None:
                self._pool.forget()

    def _need(self, walk: Walk, step: int, stop: threading.Event) -> dict[int, int]:
        """Wait for the tiles of a step, and begin to read those that come after them."""
        program = self._program
        if not program.tiled:
            return {}
        if self._pool is None:
            self._pool = Pool(program.tiled, program.tiling, program.slots, self._reader)
        alive, end = walk.alive(step), step + 1 + program.ahead
        tiles = [piece.tile for piece in walk.pieces[alive.start : end]]
        later = [piece.tile for piece in walk.pieces[end : end + program.further]]
        self._pool.forget(but={*tiles, *later})
        keep, loaded = set(tiles), {}
        for tile in dict.fromkeys(tiles):
            loaded[tile] = self._pool.load(tile, keep, wait=lambda done: _settled(done, stop))
        self._pool.expect(later)
        slots = {}
        for tile in tiles[: len(alive)]:
            slots[tile] = loaded[tile][0]
            _wait(loaded[tile][1], stop)
        return slots

    def _fill(self, batch: Batch, here: slice, located: Located, slots: dict[int, int]) -> None:
        if self._pool is not None:
            held = np.array([slots.get(tile, 0) for tile in located.tiles.tolist()], np.int64)
            slot = held[located.which]
            for field in self._program.tiled:
                array, out = self._pool.arrays[field.name], batch[field.name][here].numpy()
                gather(array, slot, field, field.corners(located.local), out)
        self._fill_rest(batch, here, located.starts)

    def _fill_rest(self, batch: Batch, here: slice, starts: npt.NDArray[np.int64]) -> None:
        """Fill what is in memory as a whole, and the indices of the samples."""
        nowhere = np.zeros(starts.shape[1], np.int64)
        for field in self._program.resident:
            array, out = self._residents[field.name], batch[field.name][here].numpy()
            gather(array[None], nowhere, field, field.corners(starts), out)
        for axis, at in zip(self._program.tiling.axes, starts, strict=True):
            batch[axis.dimension][here] = torch.from_numpy(at + (axis.size - 1))

    def _exact(self, walk: Walk, numbers: Sequence[int], stop: threading.Event) -> _Making:
        self._begin_resident()
        # What an iteration that was left has under way may still be written to its chunks.
        retained = self._retained or Retained(self._program.retained)
        self._retained = None
        course = _Course(walk, self._program.tiling)
        size = self._program.group
        groups = (numbers[at : at + size] for at in range(0, len(numbers), size))
        todo = (self._plan(course, group, retained) for group in groups)
        planned, begun = deque[_Group](), deque[tuple[_Group, Future[None]]]()
        while True:
            # A few at a time: the first batch does not wait for all.
            planned.extend(islice(todo, 1 + PLANNED_AT_ONCE * (len(planned) < PLANNED)))
            if planned:
                group = planned.popleft()
                begun.append((group, self._begin(group, retained)))
                if len(begun) < EXACT_AHEAD and planned:
                    continue
            if not begun:
                break
            group, come = begun.popleft()
            _wait(come, stop)
            with self._gauge.timed("assemble"):
                retained.done(group.plan)
            self._need_resident(stop)
            for number, starts, batch in group.batches:
                with self._gauge.timed("assemble"):
                    self._fill_rest(batch, slice(None), starts)
                yield number, self._finished(batch)
        self._retained = retained

    def _plan(self, course: "_Course", numbers: Sequence[int], retained: Retained) -> "_Group":
        reads, batches = list[list[Read]](), []
        for number in numbers:
            parts = [located.starts for _, located in course.parts(number)]
            starts = np.concatenate(parts, axis=1)
            batches.append((number, starts, Batch()))
            reads.append(
                [
                    Read(field.layout, field.corners(starts), field.sizes)
                    for field in self._program.tiled
                ]
            )
        return _Group(batches, reads, retained.plan([*chain.from_iterable(reads)]))

    def _begin(self, group: "_Group", retained: Retained) -> Future[None]:
        for (_, starts, batch), reads in zip(group.batches, group.reads, strict=True):
            batch.update(self._empty(starts.shape[1]))
            for field, read in zip(self._program.tiled, reads, strict=True):
                read.out = batch[field.name].numpy().reshape(starts.shape[1], *field.sizes)
        return self._reader.bring(retained.begin(group.plan))

    def _begin_resident(self) -> None:
        if self._resident is None:
            reads = []
            held: dict[int, npt.NDArray[Any]] = {}
            for field in self._program.resident:
                # Fields of two joins may be of one variable.
                if (layout := id(field.layout)) not in held:
                    held[layout] = np.empty(field.layout.shape, field.layout.dtype)
                    reads.append(box(field.layout, (0,) * held[layout].ndim, held[layout]))
                self._residents[field.name] = held[layout]
            self._resident = self._reader.submit(reads)

    def _need_resident(self, stop: threading.Event) -> None:
        """Wait for what is in memory as a whole; after an error it is read anew."""
        assert self._resident is not None  # noqa: S101  # begun with the iteration
        try:
            _wait(self._resident, stop)
        except Exception:
            self._resident = None
            raise

    def _empty(self, samples: int) -> Batch:
        fields = (*self._program.tiled, *self._program.resident)
        batch = {field.name: self._buffers.take(field, samples) for field in fields}
        for axis in self._program.tiling.axes:
            batch[axis.dimension] = torch.empty(samples, dtype=torch.int64)
        return batch

    def _finished(self, batch: Batch) -> Batch:
        with self._gauge.timed("assemble"):
            finished = self._finish(batch)
        held = sum(t.element_size() * t.nelement() for t in finished.values())
        first = next(iter(batch.values()))
        self._gauge.add(batches=1, samples=len(first), bytes=held)
        return finished


@dataclass(eq=False)
class _Group:
    """Batches that are planned together with the shuffle ``exact``."""

    batches: list[tuple[int, IntArray, Batch]]
    """Number, first indices of the samples, and tensors, none before it is begun."""
    reads: list[list[Read]]
    """Of each batch, by the variables."""
    plan: Plan


class _Course:
    """The samples of a walk, located many at a time: a call costs the same for few."""

    def __init__(self, walk: Walk, tiling: Tiling) -> None:
        self._walk, self._tiling = walk, tiling
        self._held: tuple[int, int] | None = None
        self._located: Located | None = None

    def parts(self, number: int) -> Iterator[tuple[int, Located]]:
        """Yield the steps that a batch goes through, and where its samples in each stand."""
        for step, start, stop in self._walk.parts(number):
            low = start
            while low < stop:
                block = low // BLOCK
                high = min(stop, (block + 1) * BLOCK)
                yield step, self._block(step, block).cut(low % BLOCK, high - block * BLOCK)
                low = high

    def _block(self, step: int, block: int) -> Located:
        if self._located is None or self._held != (step, block):
            low = block * BLOCK
            high = min(low + BLOCK, self._walk.length(step))
            stretch = self._walk.stretch(step, low, high)
            located = self._tiling.locate(stretch.tiles, stretch.numbers, self._walk.order)
            self._held, self._located = (step, block), located
        return self._located


def _settled(done: "Future[None]", stop: threading.Event) -> None:
    """Wait until a read has ended, or nobody needs it any more."""
    while not done.done() and not wait([done], timeout=_POLL_S).done:
        if stop.is_set():
            raise _Stopped


def _wait(done: "Future[None]", stop: threading.Event) -> None:
    """Wait for what is read, or until nobody needs it any more."""
    _settled(done, stop)
    done.result()


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


class _Ahead:
    """A thread that makes batches, `QUEUED` ahead of the loop that takes them."""

    def __init__(self, batches: _Making, stop: threading.Event) -> None:
        self._batches, self._stop = batches, stop
        self._queue: Queue[_Made | _End] = Queue(QUEUED)
        self._thread = threading.Thread(target=self._work, name="scidata-assemble", daemon=True)
        self._thread.start()

    def take(self) -> _Made | _End:
        """Wait for the next batch, or the end.

        Raises
        ------
        InvalidError
            If the stream was closed, or iterated anew.
        """
        while not self._stop.is_set():
            try:
                return self._queue.get(timeout=10 * _POLL_S)
            except Empty:
                # Never seen; but a loop that waits for a dead thread would wait for ever.
                if not self._thread.is_alive() and self._queue.empty():
                    raise RuntimeError("the thread that makes batches is gone") from None
        raise InvalidError(
            "this iteration is over: its stream was closed, or is iterated anew",
            where="stream",
            fix="make a stream for each iteration that goes on beside another",
        )

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            with closing(self._batches) as batches:
                for made in batches:
                    self._put(made)
            self._put(_End())
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001  # raised in the loop that waits for it
            with suppress(_Stopped):
                self._put(_End(error))

    def _put(self, item: _Made | _End) -> None:
        while not self._stop.is_set():
            with suppress(Full):
                return self._queue.put(item, timeout=_POLL_S)
        raise _Stopped
