"""From blocks of a published asset to batches of tensors: what a sample is, and how it is cut.

A sample is a window of steps of one series, the targets at its last step, and what is constant
for the series. Batches are cut from a block in memory by one indexing operation per variable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from scidata.errors import InvalidError, NotFoundError
from scidata.loaders.plan import IntArray, Tile, permutation
from scidata.split import label_meanings, meaning, repeated

MAX_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """What a sample is made of; names are variables and dimensions of the asset."""

    series: str
    """Dimension that tells the series apart, such as ``location``."""
    along: str
    """Dimension that windows run along, such as ``time``."""
    window: int
    """Steps in a window."""
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    """Taken at the window's last step."""
    constants: tuple[str, ...] = ()
    lead: int = 0
    """Steps after the window that its nearest target takes; without them it is no sample."""

    @property
    def moving(self) -> tuple[str, ...]:
        """Inputs and targets, each name once."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets)))


@dataclass(frozen=True)
class Selection:
    """The windows of a split part: each of these series, ending at each of these times."""

    series: IntArray
    """(S,) int64, ascending indices into the asset."""
    ends: IntArray
    """(E,) int64, ascending indices of the last step."""


@dataclass(frozen=True)
class Block:
    """Tiles in memory, flattened: a row is one step of one series."""

    moving: dict[str, Tensor]
    """Each (R, …) float32 or int64."""
    constants: dict[str, Tensor]
    """Each (L, …) float32 or int64, a row per series of a tile."""
    rows: IntArray
    """(N,) the row of each window's last step."""
    series_rows: IntArray
    """(N,) the row of its constants."""
    series: IntArray
    """(N,) index of its series in the asset."""
    ends: IntArray
    """(N,) index of its last step in the asset."""


def check_spec(arrays: xr.Dataset, spec: SampleSpec, *, where: str) -> None:
    """Check that the asset has what the samples need.

    Raises
    ------
    InvalidError
        If a variable is absent, or does not begin with the dimensions series and along.
    """
    faults = [
        f"{name!r} is {tuple(arrays[name].dims)}" if name in arrays else f"{name!r} is absent"
        for names, dims in (
            (spec.moving, (spec.series, spec.along)),
            (spec.constants, (spec.series,)),
        )
        for name in names
        if name not in arrays or tuple(arrays[name].dims[: len(dims)]) != dims
    ]
    if faults:
        raise InvalidError(
            f"the samples in the record do not fit the asset: {'; '.join(faults)}",
            where=where,
            fix=f"let inputs and targets begin with ({spec.series}, {spec.along}), constants "
            f"with ({spec.series})",
        )


def select(
    arrays: xr.Dataset, spec: SampleSpec, dimension: str, ids: Sequence[str], *, stride: int
) -> Selection:
    """Find the windows that a split part means.

    Parameters
    ----------
    dimension : str
        What the ids name: the series, or the times of a window's last step.
    ids : sequence of str
        Sorted, each once.
    stride : int
        Take every stride-th time only.

    Raises
    ------
    NotFoundError
        If the asset lacks one of the ids.
    InvalidError
        If a time has no full window before it or no target after it, two ids mean the same, or
        the split goes along another dimension.
    """
    first, stop = spec.window - 1, arrays.sizes[spec.along] - spec.lead
    every = np.arange(first, stop, dtype=np.int64)
    if dimension == spec.series:
        return Selection(indices(arrays[spec.series], ids), every[::stride])
    if dimension != spec.along:
        raise InvalidError(
            f"the split goes along {dimension!r}",
            where=f"samples of series {spec.series!r} along {spec.along!r}",
            fix=f"choose a split along {spec.series!r} or {spec.along!r}",
        )
    ends = indices(arrays[spec.along], ids)
    _check_ends(ends, first, stop, spec)
    return Selection(np.arange(arrays.sizes[spec.series], dtype=np.int64), ends[::stride])


def _check_ends(ends: IntArray, first: int, stop: int, spec: SampleSpec) -> None:
    early, late = int((ends < first).sum()), int((ends >= stop).sum())
    if early:
        message = f"{early} samples end before a full window of {spec.window} steps"
    elif late:
        message = f"{late} samples end less than {spec.lead} steps before the last"
    else:
        return
    raise InvalidError(
        message,
        where=f"split along {spec.along!r}",
        fix="leave out of the split what has no full window and no target",
    )


def indices(labels: xr.DataArray, ids: Sequence[str]) -> IntArray:
    """Find ids among the labels of a dimension; `scidata.split.meaning` is the rule.

    Returns
    -------
    (len(ids),) int64, ascending

    Raises
    ------
    NotFoundError
        If there is no such label.
    InvalidError
        If two ids mean the same label, or two labels are the same.
    """
    kind, where = labels.dtype.kind, f"dimension {labels.name!r}"
    if same := repeated(ids, kind):
        raise InvalidError(
            f"the ids {same[0]!r} and {same[1]!r} mean the same {labels.name}",
            where=where,
            fix="keep one of them in the split",
        )
    position = {label: i for i, label in enumerate(label_meanings(labels.values))}
    if len(position) < labels.size:
        raise InvalidError(
            f"{labels.size - len(position)} labels occur twice",
            where=where,
            fix="publish a version whose labels differ",
        )
    found = [
        position.get(meant) if (meant := meaning(i, kind)) is not None else None for i in ids
    ]
    missing = [i for i, at in zip(ids, found, strict=True) if at is None]
    if missing:
        raise NotFoundError(
            f"{len(missing)} of {len(ids)} ids are not in the asset, such as "
            + ", ".join(repr(i) for i in missing[:MAX_NAMED]),
            where=where,
            fix="choose a split that was made for this asset",
        )
    return np.sort(np.array(found, np.int64))


def cell_bytes(arrays: xr.Dataset, spec: SampleSpec) -> int:
    """Bytes in memory of one step of one series, all inputs and targets."""
    return sum(
        prod(arrays[n].shape[2:]) * tensor_dtype(arrays[n].dtype).itemsize for n in spec.moving
    )


def series_chunk(arrays: xr.Dataset, spec: SampleSpec) -> int:
    """Series that are stored together: the shard of the first input, else its chunk."""
    encoding = arrays[spec.inputs[0]].encoding
    stored = encoding.get("shards") or encoding.get("chunks")
    return int(stored[0]) if stored else arrays.sizes[spec.series]


def tensor_dtype(dtype: np.dtype) -> np.dtype:
    """Float32 for floating numbers, int64 for the others."""
    return np.dtype(np.float32 if np.issubdtype(dtype, np.floating) else np.int64)


def read_block(
    arrays: xr.Dataset, spec: SampleSpec, selection: Selection, tiles: Sequence[Tile]
) -> Block:
    """Read tiles from the store, each variable once, and list their windows.

    Windows come tile by tile, series by series, in order of time.
    """
    cuts = [_Cut.of(selection, tile, spec.window) for tile in tiles]
    heights = [len(c.series) * c.steps for c in cuts]
    row_offsets = np.cumsum([0, *heights[:-1]])
    series_offsets = np.cumsum([0, *(len(c.series) for c in cuts[:-1])])
    return Block(
        moving={n: _flat([c.read(arrays[n], spec) for c in cuts]) for n in spec.moving},
        constants={
            n: _flat([_as_tensor_dtype(arrays[n][c.series].values) for c in cuts])
            for n in spec.constants
        },
        rows=_join(o + c.rows() for o, c in zip(row_offsets, cuts, strict=True)),
        series_rows=_join(
            o + np.repeat(np.arange(len(c.series)), len(c.ends))
            for o, c in zip(series_offsets, cuts, strict=True)
        ),
        series=_join(np.repeat(c.series, len(c.ends)) for c in cuts),
        ends=_join(np.tile(c.ends, len(c.series)) for c in cuts),
    )


def shuffled(block: Block, seed: int, epoch: int, number: int) -> Block:
    """Put all windows of a block into the order that seed, epoch and block number fix."""
    order = permutation(len(block.rows), seed, epoch, number + 1)
    return Block(
        moving=block.moving,
        constants=block.constants,
        rows=block.rows[order],
        series_rows=block.series_rows[order],
        series=block.series[order],
        ends=block.ends[order],
    )


def cut_batch(block: Block, spec: SampleSpec, start: int, stop: int) -> dict[str, Tensor]:
    """Cut windows `start` to `stop` of a block.

    Returns
    -------
    dict
        Inputs (B, window, …), targets (B, …), constants (B, …), and under the names of the two
        dimensions the indices of the series and of the last step, (B,) int64.
    """
    rows = torch.from_numpy(block.rows[start:stop])
    steps = rows[:, None] + torch.arange(1 - spec.window, 1)
    constant_rows = torch.from_numpy(block.series_rows[start:stop])
    batch = {n: _take(block.moving[n], steps) for n in spec.inputs}
    batch |= {n: _take(block.moving[n], rows) for n in spec.targets}
    batch |= {n: _take(block.constants[n], constant_rows) for n in spec.constants}
    batch[spec.series] = torch.from_numpy(block.series[start:stop].copy())
    batch[spec.along] = torch.from_numpy(block.ends[start:stop].copy())
    return batch


@dataclass(frozen=True)
class _Cut:
    """A tile in terms of the asset: which series, which ends, which steps are read."""

    series: IntArray
    ends: IntArray
    first: int
    steps: int

    @classmethod
    def of(cls, selection: Selection, tile: Tile, window: int) -> "_Cut":
        ends = selection.ends[tile.ends_start : tile.ends_stop]
        first = int(ends[0]) - window + 1
        series = selection.series[tile.series_start : tile.series_stop]
        return cls(series, ends, first, int(ends[-1]) + 1 - first)

    def read(self, array: xr.DataArray, spec: SampleSpec) -> npt.NDArray[np.generic]:
        chosen = array.isel({spec.along: slice(self.first, self.first + self.steps)})
        low, high = int(self.series[0]), int(self.series[-1]) + 1
        # One contiguous read, then a choice in memory: picking rows in Zarr is far slower.
        values = chosen.isel({spec.series: slice(low, high)}).values
        if high - low != len(self.series):
            values = values[self.series - low]
        values = _as_tensor_dtype(values)
        return values.reshape(len(self.series) * self.steps, *values.shape[2:])

    def rows(self) -> IntArray:
        starts = np.arange(len(self.series), dtype=np.int64) * self.steps
        return (starts[:, None] + (self.ends - self.first)[None, :]).reshape(-1)


def _as_tensor_dtype(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return values.astype(tensor_dtype(values.dtype), copy=False)


def _take(values: Tensor, rows: Tensor) -> Tensor:
    taken = values.index_select(0, rows.reshape(-1))
    return taken.reshape(*rows.shape, *values.shape[1:])


def _flat(parts: Sequence[npt.NDArray[np.generic]]) -> Tensor:
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return torch.from_numpy(np.require(joined, requirements=["C", "W"]))


def _join(parts: Iterable[IntArray]) -> IntArray:
    return np.concatenate(list(parts)).astype(np.int64, copy=False)
