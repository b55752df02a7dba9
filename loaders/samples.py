"""What a sample is: where samples stand along each axis, and what of each variable is theirs.

A sample is an entry of each of some dimensions and a window along others. Of a variable that
has these dimensions it takes the entry and the window, or only the window's last step;
dimensions that are named nowhere are taken whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from scidata.errors import InvalidError, NotFoundError
from scidata.loaders.layout import Labels, Layout
from scidata.loaders.order import IntArray
from scidata.loaders.plan import Axis, Tiling
from scidata.record import Samples
from scidata.split import label_meanings, meaning, repeated

MAX_NAMED = 3


@dataclass(frozen=True)
class Field:
    """A variable of the batches, and which part of its array a sample takes."""

    name: str
    layout: Layout
    axes: tuple[int | None, ...]
    """Of every dimension of the array: the axis that it follows; None if it is taken whole."""
    sizes: tuple[int, ...]
    """Steps taken along every dimension."""
    offsets: tuple[int, ...]
    """Steps from where the sample stands to the first that is taken."""
    kept: tuple[bool, ...]
    """Dimensions that the tensor has."""
    rows: IntArray | None = None
    """Of a joined variable: (entries,) the row of each entry of the first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample's tensor."""
        return tuple(n for n, kept in zip(self.sizes, self.kept, strict=True) if kept)

    @property
    def nbytes(self) -> int:
        """Bytes of a sample's tensor."""
        return prod(self.sizes) * self.layout.dtype.itemsize

    def corners(self, starts: IntArray) -> IntArray:
        """Return the first index of samples along every dimension, (n, dimensions) int64.

        Parameters
        ----------
        starts : (axes, n) int64
            First indices along the axes: in the array, or in what a tile holds of it.
        """
        found = np.zeros((starts.shape[1], len(self.axes)), np.int64)
        for dim, (axis, offset) in enumerate(zip(self.axes, self.offsets, strict=True)):
            if axis is not None:
                at = starts[axis] if self.rows is None or dim else self.rows[starts[axis]]
                found[:, dim] = at + offset
        return found

    def extent(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of what a tile holds, given its lengths along the axes."""
        return tuple(
            size if axis is None else lengths[axis]
            for axis, size in zip(self.axes, self.layout.shape, strict=True)
        )


def fields(
    layouts: Mapping[str, Layout], axes: Sequence[Axis], samples: Samples, *, where: str
) -> tuple[Field, ...]:
    """Say what samples take of each variable; inputs first, each name once.

    Raises
    ------
    InvalidError
        If a variable is absent, or lacks a dimension that every sample stands along.
    """
    number = {axis.dimension: n for n, axis in enumerate(axes)}
    names = tuple(dict.fromkeys((*samples.inputs, *samples.targets)))
    faults = list(_faults(layouts, names, samples))
    if faults:
        raise InvalidError(
            f"the samples in the record do not fit the asset: {'; '.join(faults)}",
            where=where,
            fix=f"choose variables with the dimension {samples.each[0]!r}",
        )
    windowed = {window.dimension for window in samples.windows}
    found = []
    for name in names:
        held = layouts[name]
        last = name in samples.targets and samples.targets_at == "last"
        sizes, offsets, kept = [], [], []
        for dim, length in zip(held.dims, held.shape, strict=True):
            axis = axes[number[dim]] if dim in number else None
            one = axis is not None and (dim not in windowed or last)
            sizes.append(length if axis is None else 1 if one else axis.size)
            offsets.append(axis.size - 1 if axis is not None and one else 0)
            kept.append(not one)
        follows = tuple(number.get(dim) for dim in held.dims)
        found.append(Field(name, held, follows, tuple(sizes), tuple(offsets), tuple(kept)))
    return tuple(found)


def _faults(
    layouts: Mapping[str, Layout], names: Iterable[str], samples: Samples
) -> Iterable[str]:
    for name in names:
        if name not in layouts:
            yield f"{name!r} is absent"
        elif samples.each[0] not in layouts[name].dims:
            yield f"{name!r} is {layouts[name].dims}"


def joined(layout: Layout, rows: IntArray) -> Field:
    """Say what samples take of a variable of another asset: the row that each names."""
    return Field(
        layout.name,
        layout,
        (0, *(None for _ in layout.dims[1:])),
        (1, *layout.shape[1:]),
        (0,) * len(layout.shape),
        (False, *(True for _ in layout.dims[1:])),
        rows,
    )


def select(
    sizes: Mapping[str, int],
    labels: Labels | None,
    samples: Samples,
    dimension: str,
    ids: Sequence[str],
) -> tuple[Axis, ...]:
    """Find where the samples of a split part stand.

    Parameters
    ----------
    sizes : mapping
        Length of every dimension of the asset.
    labels : Labels, optional
        Of the dimension that ids name, if it has any; else ids are numbers from 0.
    samples : Samples
    dimension : str
        What the ids name: entries, or the last steps of windows.
    ids : sequence of str
        Sorted, each once.

    Returns
    -------
    tuple of Axis
        Entries first, then windows, as the record names them.

    Raises
    ------
    NotFoundError
        If the asset lacks one of the ids.
    InvalidError
        If a time has no full window before it or no target after it, two ids mean the same, or
        the split goes along another dimension.
    """
    dims = (*samples.each, *(window.dimension for window in samples.windows))
    absent = [dim for dim in dims if dim not in sizes]
    if absent or dimension not in dims:
        raise InvalidError(
            f"the asset has no dimension {', '.join(map(repr, absent))}"
            if absent
            else f"the split goes along {dimension!r}",
            where=f"samples along {', '.join(map(repr, dims))}",
            fix=f"choose an asset of which samples have {', '.join(map(repr, dims))}"
            if absent
            else f"choose a split along {' or '.join(map(repr, dims))}",
        )
    axes = [_whole_axis(samples, dim, sizes[dim]) for dim in dims]
    at = dims.index(dimension)
    found = indices(labels or Labels(dimension, np.arange(sizes[dimension])), ids)
    strides = {window.dimension: window.stride for window in samples.windows}
    axes[at] = _chosen(axes[at], found)
    return tuple(
        replace(axis, starts=axis.starts[:: strides.get(axis.dimension, 1)]) for axis in axes
    )


def _whole_axis(samples: Samples, dimension: str, length: int) -> Axis:
    if dimension in samples.each:
        return Axis(dimension, length, np.arange(length, dtype=np.int64))
    window = next(w for w in samples.windows if w.dimension == dimension)
    if window.size > length:
        raise InvalidError(
            f"a window of {window.size} steps is longer than {dimension!r}, which has {length}",
            where="samples",
            fix="choose a shorter window",
        )
    if samples.crops:
        none = np.empty(0, np.int64)
        return Axis(dimension, length, none, window.size, random=True)
    lead = samples.lead if window is samples.windows[0] else 0
    stop = max(length - window.size + 1 - lead, 0)
    starts = np.arange(window.start, stop, dtype=np.int64)
    return Axis(dimension, length, starts, window.size)


def _chosen(axis: Axis, found: IntArray) -> Axis:
    """Keep of an axis what a split names: entries, or the last steps of windows."""
    least, most = (int(axis.starts[0]), int(axis.starts[-1])) if len(axis.starts) else (0, -1)
    starts = found - (axis.size - 1)
    early, late = int((starts < least).sum()), int((starts > most).sum())
    if axis.random or early or late:
        what = (
            "windows at random places belong to no part of it"
            if axis.random
            else f"{early} samples end before a full window of {axis.size} steps"
            if early
            else f"{late} samples end after the last that has its targets"
        )
        raise InvalidError(
            what,
            where=f"split along {axis.dimension!r}",
            fix="leave out of the split what has no full window and no target",
        )
    return replace(axis, starts=starts)


def indices(labels: Labels, ids: Sequence[str]) -> IntArray:
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
    if (numbers := _numbered(labels, ids)) is not None:
        return numbers
    kind, where = labels.values.dtype.kind, f"dimension {labels.dimension!r}"
    if same := repeated(ids, kind):
        raise InvalidError(
            f"the ids {same[0]!r} and {same[1]!r} mean the same {labels.dimension}",
            where=where,
            fix="keep one of them in the split",
        )
    position = {label: i for i, label in enumerate(label_meanings(labels.values))}
    if len(position) < len(labels.values):
        raise InvalidError(
            f"{len(labels.values) - len(position)} labels occur twice",
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


def _numbered(labels: Labels, ids: Sequence[str]) -> IntArray | None:
    """Find ids among whole numbers that ascend, all at once; None if any is amiss."""
    held = labels.values
    if held.dtype.kind not in "iu" or (np.diff(held.astype(np.int64)) <= 0).any():
        return None
    if not all(i.isascii() and i.isdecimal() for i in ids):
        return None
    try:
        wanted = np.sort(np.array(ids, dtype=np.bytes_).astype(np.int64))
    except (ValueError, OverflowError):
        return None
    found = np.searchsorted(held, wanted)
    there = (found < len(held)) & (held[np.minimum(found, len(held) - 1)] == wanted)
    if not there.all() or (np.diff(wanted) == 0).any():
        return None
    return found.astype(np.int64)


def lengths(tiling: Tiling) -> tuple[int, ...]:
    """Return the greatest length of a tile along every axis."""
    return tuple(max((g.extent for g in groups), default=0) for groups in tiling.groups)
