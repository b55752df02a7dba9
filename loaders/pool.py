"""Tiles in memory: a fixed number of slots that are filled in the background and used again.

The arrays are allocated once, so that memory is bounded by one number, and a page is touched
for the first time only once. A tile that still lies in a slot when it is asked for again, such
as in the next epoch of a small dataset, is not read again. What is stored of the tiles that
come after is fetched before a slot is free, and waits for one.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from scidata.loaders.plan import Group, Tiling
from scidata.loaders.reader import Reader
from scidata.loaders.requests import Read
from scidata.loaders.samples import Field, lengths

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]


class _Box(NamedTuple):
    """A part of a tile, and where it goes in any slot."""

    name: str
    at: tuple[slice, ...]
    read: Read


class _Coming(NamedTuple):
    """A tile that has no slot yet."""

    boxes: list[_Box]
    placed: Future[None]
    done: Future[None]


class Pool:
    """Slots that hold tiles.

    Parameters
    ----------
    fields : sequence of Field
        Variables that are cut into tiles.
    tiling : Tiling
    slots : int
    reader : Reader
    """

    def __init__(
        self, fields: Sequence[Field], tiling: Tiling, slots: int, reader: Reader
    ) -> None:
        self._fields, self._tiling, self._reader = fields, tiling, reader
        longest = lengths(tiling)
        self.arrays: dict[str, Array] = {
            f.name: np.empty((slots, *f.extent(longest)), f.layout.dtype) for f in fields
        }
        self._free = list(range(slots))
        self._held: OrderedDict[int, tuple[int, Future[None]]] = OrderedDict()
        self._coming: dict[int, _Coming] = {}

    def load(
        self,
        tile: int,
        keep: Collection[int],
        *,
        wait: Callable[[Future[None]], None],
    ) -> tuple[int, Future[None]]:
        """Return the slot of a tile, and a future that is done when it is full.

        Parameters
        ----------
        tile : int
        keep : collection of int
            Tiles whose slots must not be used for it: fewer than there are slots.
        wait : callable
            Waits until an old read has ended, whose slot is needed.
        """
        held = self._held.get(tile)
        if held is not None and not _failed(held[1]):
            self._held.move_to_end(tile)
            return held
        slot = (
            self._free.pop() if held is None and self._free else self._vacate(tile, keep, wait)
        )
        entry = self._held[tile] = slot, self._fill(tile, slot)
        return entry

    def _fill(self, tile: int, slot: int) -> Future[None]:
        coming = self._coming.pop(tile, None)
        boxes = coming.boxes if coming else list(self._boxes(tile))
        for name, at, read in boxes:
            read.out = self.arrays[name][slot][at][None]
        if coming is None:
            # What waits for a slot holds bytes that this tile, which comes earlier, may need.
            self.forget()
            return self._reader.submit([box.read for box in boxes])
        coming.placed.set_result(None)
        return coming.done

    def expect(self, tiles: Sequence[int]) -> None:
        """Begin to fetch what is stored of tiles that are loaded next, in this order.

        It ends before a tile that has a slot now, and may have lost it when its turn comes.
        """
        for n, tile in enumerate(tiles):
            if tile in self._held or tile in tiles[:n]:
                return
            if tile not in self._coming:
                boxes, placed = list(self._boxes(tile)), Future[None]()
                done = self._reader.submit([box.read for box in boxes], placed=placed)
                self._coming[tile] = _Coming(boxes, placed, done)

    def forget(self, but: Collection[int] = ()) -> None:
        """Drop what was fetched of tiles that have no slot, except for some."""
        for tile in [tile for tile in self._coming if tile not in but]:
            self._coming.pop(tile).done.cancel()

    def _vacate(
        self, tile: int, keep: Collection[int], wait: Callable[[Future[None]], None]
    ) -> int:
        if tile in self._held:
            return self._held.pop(tile)[0]
        # A slot that is still being filled cannot be used for anything else.
        for old, (slot, done) in self._held.items():
            if old not in keep and done.done():
                del self._held[old]
                return slot
        old = next(old for old in self._held if old not in keep)
        wait(self._held[old][1])
        return self._held.pop(old)[0]

    def _boxes(self, tile: int) -> Iterator[_Box]:
        groups = self._tiling.tile(tile)
        for field in self._fields:
            for start, at in _boxes(field, groups):
                sizes = tuple(part.stop - part.start for part in at)
                starts = np.array(start, np.int64).reshape(1, -1)
                yield _Box(field.name, at, Read(field.layout, starts, sizes))


def _failed(done: Future[None]) -> bool:
    return done.done() and (done.cancelled() or done.exception() is not None)


def _boxes(
    field: Field, groups: Sequence[Group]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Yield where the boxes of an array begin that a tile needs, and where they go in it."""
    along = []
    for axis, length in zip(field.axes, field.layout.shape, strict=True):
        runs = ((0, length),) if axis is None else groups[axis].runs
        at, placed = 0, []
        for start, stop in runs:
            placed.append((start, slice(at, at + stop - start)))
            at += stop - start
        along.append(placed)
    for chosen in product(*along):
        yield tuple(start for start, _ in chosen), tuple(at for _, at in chosen)


def gather(
    array: Array, slots: Positions, field: Field, corners: Positions, out: Array
) -> None:
    """Copy what samples take of a variable out of slots.

    Parameters
    ----------
    array : (slots, …)
    slots : (n,) int64
    field : Field
    corners : (n, dimensions) int64
        First index along each dimension, within the slot.
    out : (n, …)
        Of the field's tensor shape.
    """
    shape = array.shape[1:]
    if not _in_one_piece(field.sizes, shape):
        for i, (slot, corner) in enumerate(zip(slots.tolist(), corners.tolist(), strict=True)):
            box = tuple(
                slice(at, at + n) if kept else at
                for at, n, kept in zip(corner, field.sizes, field.kept, strict=True)
            )
            out[i] = array[(slot, *box)]
        return
    strides = np.array([prod(shape[dim + 1 :]) for dim in range(len(shape))], np.int64)
    begins = slots * prod(shape) + corners @ strides
    length = prod(field.sizes)
    flat, rows = array.reshape(-1), out.reshape(len(out), length)
    if length and flat.size % length == 0 and not (begins % length).any():
        # Samples that do not overlap, which is what entries are: the faster of two calls.
        # clip: without it take copies `out` first; no place here is out of bounds.
        np.take(flat.reshape(-1, length), begins // length, axis=0, out=rows, mode="clip")
        return
    # Every place where a sample may begin is a row of this view: one call copies them all.
    places = (max(flat.size - length + 1, 0), length)
    held = torch.from_numpy(flat).as_strided(places, (1, 1))
    torch.index_select(held, 0, torch.from_numpy(begins), out=torch.from_numpy(rows))


def _in_one_piece(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    """Tell whether a box of these sizes lies in one piece in an array of this shape."""
    first = next((dim for dim, size in enumerate(sizes) if size > 1), len(sizes))
    return all(s == n for s, n in zip(sizes[first + 1 :], shape[first + 1 :], strict=True))
