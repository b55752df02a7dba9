"""Diffraction patterns, on a logarithmic scale: weak disks are seen beside strong ones."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scidata.previews.arrays import Arrays, evenly
from scidata.previews.images import Floats, frame_of, image, sample_title, show, size_words
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import INTENSITY, number, panels
from scidata.previews.words import of_steps, only_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 6
_FLOOR = 1e-5
"""Of the largest intensity: what is weaker is as dark as this."""
_MAX_PROJECTIONS = 3


def find(arrays: Arrays) -> Iterator[Sketch]:
    """Yield a plot if a variable is called a diffraction pattern and is an image."""
    for name in arrays.measures:
        if arrays.quantities[name].is_diffraction and frame_of(arrays.held[name]):
            yield Sketch(asset=arrays.key, kind="diffraction", draw=partial(draw, arrays, name))
            return


def draw(arrays: Arrays, name: str) -> Drawing:
    """Draw a few patterns, evenly chosen, with each of their projections."""
    array = arrays.held[name]
    frame = frame_of(array)
    assert frame is not None  # noqa: S101  # who calls has looked
    shown = min(array.sizes[frame.channels], _MAX_PROJECTIONS) if frame.channels else 1
    total = array.sizes[frame.samples] if frame.samples else 1
    chosen = evenly(total, SAMPLES // shown)
    figure, axes = panels(len(chosen) * shown, 3, 2.7, true=True)
    tops = []
    for n, at in enumerate(chosen):
        for channel in range(shown):
            pixels = image(array, frame, at, channel)
            tops.append(float(np.nanmax(pixels)) if np.isfinite(pixels).any() else 0.0)
            axis = axes[n * shown + channel]
            _show_log(axis, pixels)
            part = f", {frame.channels} {channel}" if shown > 1 else ""
            axis.set_title(sample_title(arrays, frame, at) + part, fontsize=8.5)
    size = size_words(array, frame)
    said = of_steps(len(chosen), total, frame.samples or "pattern")
    said += only_first({d: array.sizes[d] for d in frame.rest})
    unit = arrays.quantities[name].unit
    return Drawing(
        figure=figure,
        caption=f"{arrays.title(name)}, {size}, logarithmic from {_FLOOR:g} of the largest "
        f"intensity of each: {said}.",
        alt=f"{len(tops)} diffraction patterns of {size} on a logarithmic scale, bright disks "
        f"on a dark ground; the largest intensity is {number(max(tops))}"
        f"{' ' if unit else ''}{unit}.",
    )


def _show_log(axes: "Axes", pixels: Floats) -> None:
    from matplotlib.colors import LogNorm

    top = float(np.nanmax(pixels)) if np.isfinite(pixels).any() else 1.0
    if top <= 0:
        top = 1.0
    shown = np.clip(np.nan_to_num(pixels, nan=0.0), top * _FLOOR, None)
    show(axes, shown, cmap=INTENSITY, norm=LogNorm(top * _FLOOR, top), vmin=None, vmax=None)
