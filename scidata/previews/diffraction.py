"""Diffraction patterns, on a logarithmic scale: weak disks are seen beside strong ones.

With rasters of probe positions, all patterns of a sample as they lie, and what belongs to them.
"""

import math
from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scidata.previews.arrays import Arrays, evenly, pick
from scidata.previews.images import (
    Floats,
    Frame,
    frame_of,
    image,
    sample_title,
    scale_below,
    show,
    size_words,
)
from scidata.previews.quantity import Quantity
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import AMOUNT, INTENSITY, WIDTH, number, panels, plain_ticks
from scidata.previews.words import of_steps, only_first

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES = 6
RASTERS = 2
_FLOOR = 1e-5
"""Of the largest intensity: what is weaker is as dark as this."""
_MAX_PROJECTIONS = 3
_MAX_SIDE = 768
"""Pixels of a side of a raster of patterns."""
_ROOM = 0.75
_PROBES = ("probe", "position", "scan")
"""Dimensions along which a probe is moved, row by row."""


def find(arrays: Arrays) -> Iterator[Sketch]:
    """Yield a plot if a variable is a diffraction pattern, and one more of its rasters."""
    for name in arrays.measures:
        if arrays.quantities[name].is_diffraction and frame_of(arrays.held[name]):
            if probes(arrays.held[name]):
                yield Sketch(
                    asset=arrays.key, kind="raster", draw=partial(draw_rasters, arrays, name)
                )
            yield Sketch(asset=arrays.key, kind="diffraction", draw=partial(draw, arrays, name))
            return


def probes(array: "xr.DataArray") -> str | None:
    """Return the dimension of the probe's positions, if they lie in a square raster."""
    for dim in array.dims:
        side = math.isqrt(array.sizes[dim])
        if str(dim) in _PROBES and side > 1 and side * side == array.sizes[dim]:
            return str(dim)
    return None


def draw(arrays: Arrays, name: str) -> Drawing:
    """Draw a few patterns, evenly chosen, with each of their projections."""
    array = arrays.held[name]
    frame = _frame(array)
    quantity = arrays.quantities[name]
    shown = min(array.sizes[frame.channels], _MAX_PROJECTIONS) if frame.channels else 1
    total = array.sizes[frame.samples] if frame.samples else 1
    chosen = evenly(total, SAMPLES // shown)
    figure, axes = panels(len(chosen) * shown, 3, WIDTH / 3 + _ROOM, true=True)
    log = quantity.role == "log-pattern"
    tops = []
    for n, at in enumerate(chosen):
        for channel in range(shown):
            pixels = image(array, frame, at, channel)
            tops.append(float(np.nanmax(pixels)) if np.isfinite(pixels).any() else 0.0)
            axis = axes[n * shown + channel]
            show_intensity(figure, axis, pixels, quantity)
            part = f"{frame.channels} {channel}"
            axis.set_title(part if channel else sample_title(arrays, frame, at), fontsize=8.5)
    size = size_words(array, frame)
    said = of_steps(len(chosen), total, frame.samples or "pattern")
    said += only_first({d: array.sizes[d] for d in frame.rest})
    scale = (
        "the logarithm of intensity as it is stored"
        if log
        else f"logarithmic from {_FLOOR:g} of the largest intensity of each"
    )
    unit = f" {quantity.unit}" if quantity.unit else ""
    largest = "value" if log else "intensity"
    return Drawing(
        figure=figure,
        caption=f"{arrays.title(name)}, {size}, {scale}: {said}.",
        alt=f"{len(tops)} diffraction patterns of {size} on a logarithmic scale, bright disks "
        f"on a dark ground; the largest {largest} is {number(max(tops))}{unit}.",
    )


def draw_rasters(arrays: Arrays, name: str) -> Drawing:
    """Draw the patterns of all probe positions of a few samples, beside the samples' target."""
    array = arrays.held[name]
    frame, probe = _frame(array), str(probes(array))
    side = math.isqrt(array.sizes[probe])
    target = _target(arrays, frame)
    total = array.sizes[frame.samples] if frame.samples else 1
    chosen = evenly(total, RASTERS)
    columns = 2 + bool(target)
    figure, axes = panels(len(chosen) * columns, columns, WIDTH / columns + _ROOM, true=True)
    quantity = arrays.quantities[name]
    middle = side // 2 * side + side // 2
    for n, at in enumerate(chosen):
        patterns = _patterns(array, frame, probe, at)
        mosaic = _mosaic(patterns, side)
        title = sample_title(arrays, frame, at)
        row = axes[n * columns :]
        show_intensity(figure, row[0], patterns[middle], quantity)
        row[0].set_title(f"{title}, {probe} {middle}", fontsize=8.5)
        show_intensity(figure, row[1], mosaic, quantity)
        row[1].set_title(f"all {side} by {side} positions", fontsize=8.5)
        if target:
            _show_target(figure, row[2], arrays, target, at)
    size = size_words(array, frame)
    said = of_steps(len(chosen), total, frame.samples or "raster")
    beside = f", beside {_target_words(arrays, target)}" if target else ""
    unit = quantity.unit
    return Drawing(
        figure=figure,
        caption=f"{arrays.title(name)} at {side} by {side} probe positions, {size} each, "
        f"as they lie row by row{beside}: {said}. One pattern is shown larger.",
        alt=f"Rasters of {side} by {side} diffraction patterns on a logarithmic scale"
        f"{', ' if unit else ''}{unit}, which change from position to position{beside}.",
    )


def show_intensity(figure: "Figure", axes: "Axes", pixels: Floats, quantity: Quantity) -> None:
    """Draw a pattern and the bar of its scale, which is logarithmic whatever is stored."""
    from matplotlib.colors import LogNorm

    finite = pixels[np.isfinite(pixels)]
    above = finite[finite > 0]
    top = float(above.max()) if above.size else 1.0
    unit = f" ({quantity.unit})" if quantity.unit else ""
    if quantity.role == "log-pattern":
        # Zero is where nothing falls, or too little: as dark as the weakest.
        low = float(np.percentile(above, 1)) if above.size else 0.0
        drawn = show(axes, pixels, cmap=INTENSITY, vmin=min(low, top * 0.99), vmax=top)
        scale_below(figure, drawn, axes, f"Logarithm of intensity{unit}")
        return
    shown = np.clip(np.nan_to_num(pixels, nan=0.0), top * _FLOOR, None)
    norm = LogNorm(top * _FLOOR, top)
    drawn = show(axes, shown, cmap=INTENSITY, norm=norm, vmin=None, vmax=None)
    bar = scale_below(figure, drawn, axes, f"Intensity{unit}")
    plain_ticks(bar.ax.xaxis, top * _FLOOR, top, 3)


def _frame(array: "xr.DataArray") -> Frame:
    """Return the frame of patterns; a raster of few positions is no set of channels."""
    frame = frame_of(array)
    assert frame is not None  # noqa: S101  # who calls has looked
    probe = probes(array)
    if probe is None or probe in frame.rest:
        return frame
    if frame.channels == probe:
        return replace(frame, channels=None, rest=(*frame.rest, probe))
    return replace(frame, samples=None, rest=(*frame.rest, probe))


def _target(arrays: Arrays, frame: Frame) -> str | None:
    """Return the image that belongs to a sample's patterns: a target, if there is one."""
    samples = arrays.record.samples
    first = samples.targets if samples else ()
    found = [
        name
        for name in arrays.measures
        if not arrays.quantities[name].is_diffraction
        and (held := frame_of(arrays.held[name])) is not None
        and held.samples == frame.samples
    ]
    return min(found, key=lambda name: name not in first, default=None)


def _target_words(arrays: Arrays, target: str | None) -> str:
    held = arrays.held[str(target)]
    frame = frame_of(held)
    assert frame is not None  # noqa: S101  # who calls has looked
    return f"{arrays.quantities[str(target)].phrase}, {size_words(held, frame)}"


def _show_target(figure: "Figure", axes: "Axes", arrays: Arrays, target: str, at: int) -> None:
    held = arrays.held[target]
    pixels = image(held, frame_of(held), at)
    drawn = show(axes, pixels, cmap=AMOUNT)
    axes.set_title(arrays.title(target), fontsize=8.5)
    scale_below(figure, drawn, axes, arrays.quantities[target].label)


def _patterns(array: "xr.DataArray", frame: Frame, probe: str, at: int) -> Floats:
    """Read all patterns of a sample: (positions, down, across), thinned if they are large."""
    where: dict[Hashable, Any] = {d: 0 for d in frame.rest if d != probe}  # Any: or a slice
    if frame.samples:
        where[frame.samples] = at
    if frame.channels:
        where[frame.channels] = 0
    side = math.isqrt(array.sizes[probe])
    for dim in frame.sides:
        where[dim] = slice(None, None, max(1, array.sizes[dim] * side // _MAX_SIDE))
    return pick(array, where).transpose(probe, *frame.sides).to_numpy().astype(float)


def _mosaic(patterns: Floats, side: int) -> Floats:
    """Lay patterns side by side, row by row."""
    _, down, across = patterns.shape
    rows = patterns.reshape(side, side, down, across)
    return rows.transpose(0, 2, 1, 3).reshape(side * down, side * across)
