"""Variables on a grid, or at places, of longitude and latitude: as maps over all of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.arrays import Arrays, blocks, pick
from scidata.previews.images import masks_of
from scidata.previews.maps import Box, map_figure, place_words
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import AMOUNT, colour_scale, number, spans_decades
from scidata.previews.words import listed, of_steps, only_first

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MAX_PANELS = 4
_MOSTLY = 0.9
_STRIDE_CELLS = 1_000
"""Along each side of a map; a finer grid is thinned."""
_SAME = 1e-3
"""Of a step: what lies nearer is the same place, as of coordinates in single precision."""

Floats = npt.NDArray[np.float64]


def find(arrays: Arrays) -> Iterator[Sketch]:
    """Yield maps if there are variables with places, and no masks that images show better."""
    names = [n for n in arrays.measures if arrays.place(arrays.held[n])]
    if names and not masks_of(arrays):
        yield Sketch(
            asset=arrays.key, kind="map", draw=lambda: draw(arrays, names[:MAX_PANELS])
        )


def draw(arrays: Arrays, names: list[str]) -> Drawing:
    """Draw one map for each of these variables."""
    fields = [_reduce(arrays, name) for name in names]
    box = Box.of(fields[0].x, fields[0].y)
    figure, axes = map_figure(box, len(names))
    words = []
    for axis, name, field in zip(axes, names, fields, strict=True):
        title = arrays.title(name) + (f", {field.how}" if field.how else "")
        axis.set_title(title)
        log = spans_decades(field.values, 1.5)
        drawn = _draw_one(axis, field, log=log)
        colour_scale(figure, drawn, axis, arrays.quantities[name].unit, log=log)
        words.append(_words(title, arrays.quantities[name].unit, field))
    return Drawing(
        figure=figure,
        caption=f"Map of {_caption(arrays, names, fields)}; {box.words}.",
        alt=f"Maps by longitude and latitude, {box.words}. {' '.join(words)}",
    )


def _caption(arrays: Arrays, names: list[str], fields: "list[_Field]") -> str:
    """Say what was reduced how: ``magnitude and depth (maximum of 1,973 steps)``."""
    grouped: dict[str, list[str]] = {}
    for name, field in zip(names, fields, strict=True):
        how = f" ({field.how} of {field.over})" if field.how else ""
        grouped.setdefault(how, []).append(arrays.quantities[name].phrase)
    return ", ".join(f"{listed(titles)}{how}" for how, titles in grouped.items())


@dataclass(frozen=True, kw_only=True)
class _Field:
    values: Floats
    x: Floats
    y: Floats
    how: str
    """How it was reduced to the dimensions of its places, such as ``mean``."""
    over: str


def _reduce(arrays: Arrays, name: str) -> _Field:
    array = arrays.held[name]
    found = arrays.place(array)
    assert found is not None  # noqa: S101  # who calls has looked
    east, north = found
    dims = tuple(dict.fromkeys((*north.dims, *east.dims)))
    step = {d: slice(None, None, -(-array.sizes[d] // _STRIDE_CELLS)) for d in dims}
    others = [str(d) for d in array.dims if d not in dims]
    along = arrays.calendar(array) or (others[0] if others else None)
    first = {other: array.sizes[other] for other in others if other != along}
    array = array.isel(dict.fromkeys(first, 0))
    rest = only_first(first)
    x, y = (c.isel({d: step[d] for d in c.dims}).to_numpy().astype(float) for c in found)
    if along is None:
        values = pick(array, step).transpose(*dims).to_numpy().astype(float)
        return _Field(values=values, x=x, y=y, how="", over="")
    parts = (b.isel(step).transpose(along, *dims) for b in blocks(array, along))
    values, how, taken = _over(parts, str(array.attrs.get("cell_methods", "")), along)
    noun = "step" if along == arrays.calendar(arrays.held[name]) else along
    over = of_steps(taken, array.sizes[along], noun) + rest
    return _Field(values=values, x=x, y=y, how=how, over=over)


def _over(parts: "Iterator[xr.DataArray]", methods: str, along: str) -> tuple[Floats, str, int]:
    """Reduce along the first dimension: sums to their sum, rare values to maximum, or mean."""
    total: Any = 0.0  # Any: an array from the first part on
    count: Any = 0
    top: Any = -np.inf
    taken = zeros = 0
    for part in parts:
        values = part.to_numpy()
        taken += values.shape[0]
        known = np.isfinite(values)
        zeros += values.size - int(np.count_nonzero(values))
        count = count + known.sum(axis=0)
        low = values
        if not known.all():
            values, low = np.where(known, values, 0), np.where(known, values, -np.inf)
        total = total + values.sum(axis=0, dtype=float)
        top = np.fmax(top, low.max(axis=0).astype(float))
    empty = count == 0
    summed = any(m.strip().endswith(f"{along}: sum") for m in methods.split(";"))
    if summed:
        return np.where(empty, np.nan, total), "sum", taken
    if zeros > _MOSTLY * np.sum(count):
        return np.where(empty, np.nan, top), "maximum", taken
    return np.where(empty, np.nan, total / np.maximum(count, 1)), "mean", taken


def _draw_one(axes: "Axes", field: _Field, *, log: bool) -> Any:  # Any: untyped in matplotlib
    from matplotlib.colors import LogNorm, Normalize

    values = np.where(field.values > 0, field.values, np.nan) if log else field.values
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    norm = LogNorm(low, max(high, low * 1.01)) if log else Normalize(low, high)
    if values.ndim == 1:
        known = np.isfinite(values)
        x, y, c = field.x[known], field.y[known], values[known]
        if cells := as_cells(x, y, c):
            return axes.pcolormesh(*cells, norm=norm, cmap=AMOUNT, shading="nearest")
        return axes.scatter(x, y, c=c, s=12, marker="s", norm=norm, cmap=AMOUNT, linewidths=0)
    shown = np.ma.masked_invalid(values)
    return axes.pcolormesh(field.x, field.y, shown, norm=norm, cmap=AMOUNT, shading="nearest")


def as_cells(
    x: Floats, y: Floats, values: Floats
) -> "tuple[Floats, Floats, np.ma.MaskedArray[Any, Any]] | None":  # Any: a type of number
    """Return places that are pixels of a grid as that grid, so that each fills its cell.

    Parameters
    ----------
    x, y, values : (N,)

    Returns
    -------
    tuple of arrays or None
        (W,) and (H,) degrees and (H, W) values, masked where no place is; None if the places
        lie on no grid.
    """
    found = _steps(x), _steps(y)
    if found[0] is None or found[1] is None:
        return None
    (east, i), (north, j) = found
    grid = np.full((len(north), len(east)), np.nan)
    grid[j, i] = values
    if np.isfinite(grid).sum() < len(values):  # two in one cell
        return None
    return east, north, np.ma.masked_invalid(grid)


def _steps(at: Floats) -> "tuple[Floats, npt.NDArray[np.int64]] | None":
    """Return equal steps that hold every coordinate, and at which of them each is."""
    known = np.unique(at)
    if len(known) < 2:  # noqa: PLR2004  one says no distance
        return None
    gaps = np.diff(known)
    step = float(gaps[gaps > _SAME * gaps.max()].min())
    count = round(float(known[-1] - known[0]) / step) + 1
    place = (at - known[0]) / step
    if count > _STRIDE_CELLS or np.abs(place - np.round(place)).max() > _SAME:
        return None
    return known[0] + step * np.arange(count), np.round(place).astype(np.int64)


def _words(title: str, unit: str, field: _Field) -> str:
    finite = field.values[np.isfinite(field.values)]
    if not finite.size:
        return f"{title}: no value."
    at = np.unravel_index(int(np.nanargmax(field.values)), field.values.shape)
    x, y = field.x, field.y
    east = x[at] if x.ndim == len(at) else x[at[-1]]
    north = y[at] if y.ndim == len(at) else y[at[0]]
    low, high = number(float(finite.min())), number(float(finite.max()))
    return (
        f"{title}: from {low} to {high}{' ' if unit else ''}{unit}, largest at "
        f"{place_words(float(east), float(north))}."
    )
