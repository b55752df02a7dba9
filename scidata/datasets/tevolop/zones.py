"""Seismic zones, and their numbers along a space-filling curve. Pure, in whole numbers only.

The benchmark labels each pixel with one of 36 fault groups. Its file of labels is used
where it is at hand. Otherwise the 36 seismic zones made here stand in: they say where
earthquakes cluster, and nothing about mapped faults.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from scidata.datasets.tevolop.grid import Int, Pixels

CURVES = ("identity", "north-south flipped", "east-west flipped", "both flipped")
_CUTS = (3, 3, 2, 2)

Vector = tuple[int, int]


def seismic_zones(large: Int, pixels: Pixels) -> Int:
    """Cut the region into 36 rectangles with about equally many large events each.

    The region is cut in three, each part in three, in two and in two: always across its longer
    side, where the weight (1 + events of magnitude above 3.29 in the pixel) is shared equally.
    The same counts give the same zones on every machine.

    Parameters
    ----------
    large : array, (pixels,), int
        Events of magnitude above 3.29 before the held-out period.
    pixels : Pixels

    Returns
    -------
    array, (pixels,), int64
        Zone of each pixel, 0 to 35.
    """
    zones = np.zeros((pixels.rows, pixels.columns), np.int64)
    weights = 1 + large.reshape(zones.shape).astype(np.int64)
    for number, (rows, columns) in enumerate(_cut(weights, slice(None), slice(None), _CUTS)):
        zones[rows, columns] = number
    return zones.ravel()


def along_curves(labels: Int, pixels: Pixels) -> Int:
    """Renumber labels in order of first visit along the curve, laid over the grid four ways.

    Parameters
    ----------
    labels : array, (pixels,), int
    pixels : Pixels

    Returns
    -------
    array, (pixels, 4), int64
        Numbers from 0, without gaps, for each of `CURVES`.
    """
    path = np.array(list(hilbert(pixels.columns, pixels.rows)))
    numbered = [
        _renumber(labels, pixels.columns * y + x)
        for flip_x in (False, True)
        for flip_y in (False, True)
        for x, y in [_flipped(path, pixels, flip_x=flip_x, flip_y=flip_y)]
    ]
    return np.stack(numbered, axis=1)


def hilbert(width: int, height: int) -> Iterator[Vector]:
    """Walk a generalised Hilbert curve: every cell of a rectangle once.

    Yields
    ------
    tuple of int
        x and y from 0. Neighbours in the walk are neighbours in the rectangle, but for one
        diagonal step where a side is odd.

    Notes
    -----
    Source: J. Červený, "gilbert", the space-filling curve for rectangular domains.
    """
    if width >= height:
        yield from _walk((0, 0), (width, 0), (0, height))
    else:
        yield from _walk((0, 0), (0, height), (width, 0))


def _cut(
    weights: npt.NDArray[np.int64], rows: slice, columns: slice, cuts: tuple[int, ...]
) -> Iterator[tuple[slice, slice]]:
    if not cuts:
        yield rows, columns
        return
    part = weights[rows, columns]
    axis = 0 if part.shape[0] > part.shape[1] else 1
    side = rows if axis == 0 else columns
    offset = side.start or 0
    for begin, end in _shares(part.sum(axis=1 - axis), cuts[0]):
        piece = slice(offset + begin, offset + end)
        inner = (piece, columns) if axis == 0 else (rows, piece)
        yield from _cut(weights, inner[0], inner[1], cuts[1:])


def _shares(weights: npt.NDArray[np.int64], parts: int) -> Iterator[Vector]:
    running = np.cumsum(weights)
    length = len(weights)
    begin = 0
    for part in range(1, parts + 1):
        end = int(np.searchsorted(running * parts, running[-1] * part, side="left")) + 1
        # Each part keeps a line of pixels, as long as there are enough for all.
        end = length if part == parts else min(max(end, begin + 1), length - (parts - part))
        yield begin, max(begin, end)
        begin = max(begin, end)


def _flipped(path: Int, pixels: Pixels, *, flip_x: bool, flip_y: bool) -> tuple[Int, Int]:
    x, y = path[:, 0], path[:, 1]
    return (
        pixels.columns - 1 - x if flip_x else x,
        pixels.rows - 1 - y if flip_y else y,
    )


def _renumber(labels: Int, path: Int) -> Int:
    found, first = np.unique(labels[path], return_index=True)
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(first)] = np.arange(len(found))
    return rank[np.searchsorted(found, labels)]


def _walk(start: Vector, along: Vector, across: Vector) -> Iterator[Vector]:
    length, depth = _length(along), _length(across)
    if depth == 1 or length == 1:
        step = _unit(along if depth == 1 else across)
        for n in range(length * depth):
            yield start[0] + n * step[0], start[1] + n * step[1]
        return
    half, deep = _half(along), _half(across)
    if 2 * length > 3 * depth:
        half = _even(half, along)
        yield from _walk(start, half, across)
        yield from _walk(_add(start, half), _minus(along, half), across)
        return
    deep = _even(deep, across)
    yield from _walk(start, deep, half)
    yield from _walk(_add(start, deep), along, _minus(across, deep))
    corner = _add(_minus(along, _unit(along)), _minus(deep, _unit(across)))
    back_along = _minus(half, along)
    yield from _walk(_add(start, corner), (-deep[0], -deep[1]), back_along)


def _length(vector: Vector) -> int:
    return abs(vector[0] + vector[1])


def _unit(vector: Vector) -> Vector:
    return (vector[0] > 0) - (vector[0] < 0), (vector[1] > 0) - (vector[1] < 0)


def _half(vector: Vector) -> Vector:
    return vector[0] // 2, vector[1] // 2


def _even(half: Vector, whole: Vector) -> Vector:
    # Even parts let the walk enter and leave each part at the right corner.
    odd = _length(half) % 2 and _length(whole) > 2  # noqa: PLR2004 - a side of two stays halved
    return _add(half, _unit(whole)) if odd else half


def _add(one: Vector, two: Vector) -> Vector:
    return one[0] + two[0], one[1] + two[1]


def _minus(one: Vector, two: Vector) -> Vector:
    return one[0] - two[0], one[1] - two[1]
