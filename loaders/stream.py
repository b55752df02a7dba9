"""The iterable: batches of one rank's share of one epoch, in an order that nothing disturbs.

How far the shuffle reaches: over all windows of the block in memory (`memory` bytes), and
blocks are made of other tiles in another order every epoch. A dataset smaller than that is
shuffled as a whole.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import obstore.store
import torch
import xarray as xr
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from scidata.errors import InvalidError
from scidata.loaders import plan
from scidata.loaders.arrays import Place, open_arrays
from scidata.loaders.samples import (
    Block,
    SampleSpec,
    Selection,
    cell_bytes,
    check_spec,
    cut_batch,
    read_block,
    select,
    series_chunk,
    shuffled,
)
from scidata.manifest import Manifest

DEFAULT_MEMORY = 256 * 2**20
STATE = "scidata-stream/1"

Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which windows of which published asset; small, and the same in every process."""

    name: str
    """``tevolop@1.0.0``."""
    digest: str
    asset: str
    split: str
    objects: obstore.store.ObjectStore
    """Of the asset, ``zarr.json`` at the root."""
    manifest: Manifest
    """Of the asset, relative to it."""
    consolidated: bool
    spec: SampleSpec
    dimension: str
    """Which dimension the split's ids name."""
    ids: tuple[str, ...]
    stride: int = 1

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.name}, asset {self.asset!r}"

    def __getstate__(self) -> dict[str, Any]:
        """Put the objects' place in their stead, so that no credential travels."""
        return {**self.__dict__, "objects": Place.of(self.objects) or self.objects}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the objects in this process."""
        objects = state["objects"]
        opened = objects.open() if isinstance(objects, Place) else objects
        self.__dict__.update({**state, "objects": opened})

    def open(self) -> xr.Dataset:
        """Open the asset lazily and check that it fits the samples."""
        arrays = open_arrays(
            self.objects, self.manifest, where=self.where, consolidated=self.consolidated
        )
        check_spec(arrays, self.spec, where=self.where)
        return arrays


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
        Bytes for the block in memory; it also bounds how far the shuffle reaches, so it is part
        of what fixes the order.

    Notes
    -----
    `set_epoch` chooses the next epoch. `state_dict` says where this process is;
    `load_state_dict` continues there, in any process with the same arguments.
    """

    def __init__(
        self, source: Source, order: plan.Order, *, memory: int = DEFAULT_MEMORY
    ) -> None:
        super().__init__()
        if memory < 1:
            raise InvalidError(
                f"memory {memory} is not positive", where="stream", fix="give it in bytes"
            )
        self.source = source
        self.order = order
        self.memory = memory
        self._next = 0
        self._resume = 0
        self._arrays: xr.Dataset | None = None
        self._opened_in: int | None = None
        arrays = self._open()
        self.selection: Selection = select(
            arrays, source.spec, source.dimension, source.ids, stride=source.stride
        )
        self._tiles = plan.tiles(
            self.selection.series,
            self.selection.ends,
            chunk=series_chunk(arrays, source.spec),
            window=source.spec.window,
            cell_bytes=cell_bytes(arrays, source.spec),
            budget=max(memory // 2, 1),
        )

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dimension of the asset."""
        return {str(name): size for name, size in self._open().sizes.items()}

    @property
    def samples(self) -> int:
        """Samples of the split part, over all ranks."""
        return len(self.selection.series) * len(self.selection.ends)

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        return plan.batch_count(self.samples, self.order)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch; after `load_state_dict` those that are left of it."""
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        self._next, self._resume = self._resume, 0
        for number, batch in self._batches(range(self._next + first, len(self), step)):
            # Before the yield: whoever asks for the state has got this batch already.
            self._next = number + 1
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through, from its beginning.

        Worker processes get it when the ``DataLoader`` is iterated anew; those that it keeps
        (``persistent_workers``) do not.
        """
        self.order = replace(self.order, epoch=epoch)
        self._next = self._resume = 0

    def state_dict(self) -> dict[str, Any]:
        """Say where this process is: plain numbers and strings.

        With worker processes the batches are counted there: put the number of batches that you
        got under ``batch`` before you load the state.
        """
        return {**self._identity(), "epoch": self.order.epoch, "batch": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batch that a state was taken at.

        Raises
        ------
        InvalidError
            If the state belongs to other data, another split or another order.
        """
        mine = self._identity()
        differing = [k for k, v in mine.items() if state.get(k) != v]
        batch, epoch = state.get("batch"), state.get("epoch")
        if differing or not isinstance(batch, int) or not isinstance(epoch, int):
            raise InvalidError(
                f"the state is another stream's: {', '.join(differing) or 'batch, epoch'}",
                where=self.source.where,
                fix="make the stream with the arguments that the state was taken with",
            )
        self.set_epoch(epoch)
        self._next = self._resume = min(max(batch, 0), len(self))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one process: the opened arrays."""
        return {**self.__dict__, "_arrays": None, "_opened_in": None}

    def _identity(self) -> dict[str, Any]:
        order, source = self.order, self.source
        return {
            "schema": STATE,
            "digest": source.digest,
            "asset": source.asset,
            "split": source.split,
            "stride": source.stride,
            "batch_size": order.batch_size,
            "shuffle": order.shuffle,
            "seed": order.seed,
            "rank": order.rank,
            "world_size": order.world_size,
            "last": order.last,
            "memory": self.memory,
        }

    def _open(self) -> xr.Dataset:
        if self._arrays is None or self._opened_in != os.getpid():
            self._arrays, self._opened_in = self.source.open(), os.getpid()
        return self._arrays

    def _batches(self, numbers: range) -> Iterator[tuple[int, Batch]]:
        groups = plan.blocks(self._tiles, self.order, budget=max(self.memory // 2, 1))
        sizes = [sum(tile.windows for tile in group) for group in groups]
        offsets = list(accumulate(sizes, initial=0))
        held: tuple[int, Block] | None = None
        for number in numbers:
            parts: list[Batch] = []
            for piece in plan.pieces(offsets, self.order, number):
                if held is None or held[0] != piece.block:
                    held = None  # let go of the old block before the next one is read
                    held = (piece.block, self._block(groups[piece.block], piece.block))
                parts.append(cut_batch(held[1], self.source.spec, piece.start, piece.stop))
            yield number, _joined(parts)

    def _block(self, group: tuple[plan.Tile, ...], number: int) -> Block:
        block = read_block(self._open(), self.source.spec, self.selection, group)
        if not self.order.shuffle:
            return block
        return shuffled(block, self.order.seed, self.order.epoch, number)


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
