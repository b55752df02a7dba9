"""The iterable: batches of one rank's share of one epoch, in an order that nothing disturbs."""

import os
import weakref
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from scidata.errors import InvalidError
from scidata.loaders.engine import Batch, Engine
from scidata.loaders.kept import Word
from scidata.loaders.meter import Gauge, Meter
from scidata.loaders.order import Order, Progress, Walk, walk
from scidata.loaders.plan import Axis
from scidata.loaders.program import Opened, prepare
from scidata.loaders.source import Source

DEFAULT_MEMORY = 512 * 2**20
STATE = "scidata-stream/3"


class Stream(IterableDataset[Batch]):
    """Batches of tensors straight from a published version.

    A plain iterable, and a `torch.utils.data.IterableDataset` for ``DataLoader(stream,
    batch_size=None, num_workers=n)``: worker k of n yields batches k, k + n, …, so the loader
    returns the same batches in the same order for any number of workers.

    Parameters
    ----------
    source : Source
        What to read.
    order : Order
        Batch size, shuffle, seed, epoch, rank, world size, last batch.
    memory : int
        Bytes that the stream holds at most. With the shuffle ``window`` it also bounds from how
        many tiles samples are mixed, so it is part of what fixes the order.
    threads : int, optional
        That decode. By default one a core that this process may use.

    Notes
    -----
    `set_epoch` chooses the next epoch. `state_dict` says where this process is;
    `load_state_dict` continues there, in any process with the same arguments, and on another
    number of ranks. `meter` tells where the time goes.
    """

    def __init__(
        self,
        source: Source,
        order: Order,
        *,
        memory: int = DEFAULT_MEMORY,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        if memory < 1:
            raise InvalidError(
                f"memory {memory} is not positive", where="stream", fix="give it in bytes"
            )
        if threads is not None and threads < 1:
            raise InvalidError(
                f"threads {threads} is not positive", where="stream", fix="give 1 or more"
            )
        self.source = source
        self.order = order
        self.memory = memory
        self.threads = threads
        self.gauge = Gauge()
        self._next = 0
        self._resume = 0
        self._loaded = False
        self._word = Word(order.epoch)
        self._loads = 0
        self._iterated_in: int | None = None
        self._way: Walk | None = None
        self._opened: Opened | None = None
        self._engine: Engine | None = None
        self._end: weakref.finalize[..., Stream] | None = None
        self._opened_in: int | None = None
        self._open()

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dimension of the asset."""
        return dict(self._open().sizes)

    @property
    def axes(self) -> dict[str, Axis]:
        """Where the samples of the split part stand, by dimension."""
        return {axis.dimension: axis for axis in self._open().program.tiling.axes}

    @property
    def samples(self) -> int:
        """Samples of the split part, over all ranks."""
        return self._open().program.tiling.samples

    @property
    def reach(self) -> float:
        """Share of the epoch that samples are mixed from: 1 if it is shuffled as a whole."""
        opened = self._open()
        if self.order.shuffle != "window":
            return float(self.order.shuffle == "exact")
        return min(opened.program.reach / max(len(opened.program.tiling.counts), 1), 1.0)

    @property
    def meter(self) -> Meter:
        """What was counted in this process since the stream was made."""
        return self.gauge.read()

    def __len__(self) -> int:
        """Batches of this rank in an epoch, or in what is left of it on other ranks."""
        return len(self._walk())

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch; after `load_state_dict` those that are left of it.

        One iteration at a time: the first batch of another ends this one.
        """
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        if worker and self._iterated_in == os.getpid():
            self._listen()
        self._iterated_in = os.getpid()
        if not self._loaded and self.order.history:
            self.order = replace(self.order, history=())
        self._next, self._resume, self._loaded = self._resume, 0, False
        way = self._walk()
        numbers = range(self._next + first, len(way), step)
        for number, batch in self._running().batches(way, numbers):
            # Before the yield: whoever asks for the state has got this batch already. In a
            # worker the others' batches count as got, too: each continues with its own.
            self._next = number + step - first
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through, from its beginning.

        The epoch of a state that was loaded goes on where the state says.
        Worker processes get it when the ``DataLoader`` is iterated anew, also those that it
        keeps (``persistent_workers``): call this between two epochs.
        """
        if self._loaded and epoch == self.order.epoch:
            return
        self.order = replace(self.order, epoch=epoch, history=())
        self._next, self._resume, self._loaded = 0, 0, False
        self._say()

    def state_dict(self) -> dict[str, Any]:
        """Say where this process is: plain numbers and strings.

        With worker processes the batches are counted there, and this process's state knows
        nothing of them: use torchdata's ``StatefulDataLoader``, or put the number of batches
        that you got under ``batch`` before you load the state.
        """
        order = self.order
        return {
            **self._identity(),
            "epoch": order.epoch,
            "batch": self._next,
            "world_size": order.world_size,
            "batch_size": order.batch_size,
            "history": [[p.world_size, p.batch_size, p.last, p.batches] for p in order.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batch that a state was taken at.

        On another number of ranks, what no rank has seen yet is shared anew; every rank of the
        old run must have got the same number of batches. Worker processes that a ``DataLoader``
        keeps (``persistent_workers``) cannot take it up, and say so: make another loader.

        Raises
        ------
        InvalidError
            If the state belongs to other data, another split or another order.
        """
        mine = self._identity()
        differing = [k for k, v in mine.items() if state.get(k) != v]
        try:
            batch, epoch = int(state["batch"]), int(state["epoch"])
            then = int(state["world_size"]), int(state["batch_size"])
            history = tuple(
                Progress(int(w), int(b), k, int(n)) for w, b, k, n in state["history"]
            )
        except (LookupError, TypeError, ValueError) as error:
            differing.append(str(error))
        if differing:
            raise InvalidError(
                f"the state is another stream's: {', '.join(differing)}",
                where=self.source.where,
                fix="make the stream with the arguments that the state was taken with",
            )
        same = then == (self.order.world_size, self.order.batch_size)
        if not same:
            history += (Progress(*then, self.order.last, batch),)
        self.order = replace(self.order, epoch=epoch, history=history)
        self._next = self._resume = min(max(batch, 0), len(self)) if same else 0
        self._loaded = True
        if get_worker_info() is None:
            self._loads += 1
        self._say()

    def close(self) -> None:
        """End the threads and let go of the memory; the next iteration begins them anew."""
        if self._engine is not None and self._opened_in == os.getpid():
            self._engine.close()
        if self._end is not None:
            self._end.detach()
        self._engine = self._end = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one process: opened arrays and threads."""
        return {
            **self.__dict__,
            "_opened": None,
            "_engine": None,
            "_end": None,
            "_opened_in": None,
            "_iterated_in": None,
            "_way": None,
        }

    def _say(self) -> None:
        """Tell the workers that this process keeps."""
        if get_worker_info() is not None:
            return
        if not self._word.is_own:  # it came from another process, which says other things
            self._word = Word(self.order.epoch)
        self._word.say(self.order.epoch, loads=self._loads)

    def _listen(self) -> None:
        """Take up, in a worker that is kept, what was said since it began."""
        if self._word.is_own:
            return
        if not self._word.is_heard or self._word.loads != self._loads:
            raise InvalidError(
                "this worker process is kept, and cannot be told where to go on",
                where=self.source.where,
                fix="make a DataLoader after load_state_dict; call set_epoch before it is "
                "iterated first, or give persistent_workers=False",
            )
        if self._word.epoch != self.order.epoch:
            self.set_epoch(self._word.epoch)

    def _identity(self) -> dict[str, Any]:
        order, source = self.order, self.source
        return {
            "schema": STATE,
            "digest": source.digest,
            "asset": source.asset.key,
            "split": source.split,
            "samples": source.samples.model_dump(mode="json"),
            "shuffle": order.shuffle,
            "seed": order.seed,
            "last": order.last,
            "tiles": self._open().program.signature,
        }

    def _walk(self) -> Walk:
        if self._way is None or self._way.order != self.order:
            program = self._open().program
            counts = program.tiling.counts.tolist()
            self._way = walk(counts, self.order, reach=program.reach)
        return self._way

    def _open(self) -> Opened:
        if self._opened is None or self._opened_in != os.getpid():
            self._opened = prepare(self.source, self.order, self.memory)
            self._engine = self._end = None
            self._opened_in = os.getpid()
        return self._opened

    def _running(self) -> Engine:
        opened = self._open()
        if self._engine is None:
            reader = opened.reader(self.gauge, self.threads)
            self._engine = Engine(
                opened.program,
                reader,
                self.gauge,
                batch_size=self.order.batch_size,
                pinned=get_worker_info() is None and torch.cuda.is_available(),
                finish=partial(_finish, self.source),
            )
            # Not the engine's: its futures hold errors, whose frames hold this stream.
            self._end = weakref.finalize(self, reader.close)
        return self._engine


def _finish(source: Source, batch: Batch) -> Batch:
    """Scale and transform a batch as the source says."""
    for name, (mean, deviation) in source.normalize.items():
        batch[name] = batch[name].to(torch.float32).sub_(mean).div_(deviation)
    if source.transform is None:
        return batch
    size = len(next(iter(batch.values())))
    changed = []
    for i in range(size):
        sample = {name: values[i] for name, values in batch.items()}
        try:
            changed.append(source.transform(dict(sample)))
        except Exception as error:
            place = ", ".join(f"{dim} {int(sample[dim])}" for dim in source.dimensions)
            error.add_note(f"in the transform of the sample at {place} of {source.where}")
            raise
    return {name: torch.stack([sample[name] for sample in changed]) for name in changed[0]}
