"""Variables that are images, with their masks over them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.arrays import Arrays, evenly, pick
from scidata.previews.masks import Overlay, agreement, legend, overlay
from scidata.previews.quantity import short
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import IMAGE, WIDTH, number, panels
from scidata.previews.words import listed, of_steps, only_first
from scidata.wording import counted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES = 3
MANY = 6
"""Of small images so many are shown."""
SMALL = 64
"""Pixels of the longer side of a small image."""
MAX_MASKS = 2
_ROOM = 0.4
"""Inches for the title of an image, and what is below it."""
_MAX_NAME = 20
"""Letters of a sample's name that a title has room for."""
MIN_SIDE = 16
MAX_CHANNELS = 16
MAX_SIDE = 512
"""Pixels of a side that are drawn; a larger image is thinned."""
_SIDES = (
    {"y", "x"},
    {"height", "width"},
    {"row", "column"},
    {"rows", "columns"},
    {"line", "pixel"},
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Which dimensions of a variable are what."""

    sides: tuple[str, str]
    """Down and across."""
    samples: str | None
    channels: str | None
    rest: tuple[str, ...]
    """Of these only the first entry is shown."""


def frame_of(array: "xr.DataArray") -> Frame | None:
    """Tell the two sides of an image from samples and channels; None if it is no image."""
    dims = [str(d) for d in array.dims]
    named = [d for d in dims if any(d in pair for pair in _SIDES)]
    large = [d for d in dims if array.sizes[d] >= MIN_SIDE]
    # Channels are few and come last or just before; the sides are the last two that are large.
    sides = named[-2:] if len(named) >= 2 else large[-2:]  # noqa: PLR2004
    if len(sides) < 2 or any(array.sizes[d] < MIN_SIDE for d in sides):  # noqa: PLR2004
        return None
    if dims.index(sides[1]) != dims.index(sides[0]) + 1 or _named(array, sides):
        return None
    left = [d for d in dims if d not in sides]
    after = [d for d in left if dims.index(d) > dims.index(sides[1])]
    before = [d for d in left if d not in after]
    channels = next((d for d in after if array.sizes[d] <= MAX_CHANNELS), None)
    if channels is None and len(before) > 1 and array.sizes[before[-1]] <= MAX_CHANNELS:
        channels = before[-1]
    samples = next((d for d in before if d != channels), None)
    rest = tuple(d for d in left if d not in (samples, channels))
    return Frame(sides=(sides[0], sides[1]), samples=samples, channels=channels, rest=rest)


def _named(array: "xr.DataArray", sides: Sequence[str]) -> bool:
    """Tell whether a side has names, as cells and genes have: that is a table, no image."""
    return any(d in array.coords and array[d].dtype.kind in "OUST" for d in sides)


def masks_of(arrays: Arrays) -> list[str]:
    """Return the variables that are masks of images, targets of samples first."""
    targets = arrays.record.samples.targets if arrays.record.samples else ()
    found = [
        name
        for name in arrays.measures
        if (arrays.quantities[name].is_mask or name in targets)
        and arrays.quantities[name].kind in ("whole", "truth")
        and frame_of(arrays.held[name])
    ]
    return sorted(found, key=lambda name: name not in targets)


def find(arrays: Arrays) -> Iterator[Sketch]:
    """Yield a plot if there are images that no map or diffraction pattern shows better."""
    masks = masks_of(arrays)
    framed = [n for n in arrays.measures if frame_of(arrays.held[n])]
    if any(arrays.quantities[n].is_diffraction for n in framed):
        return  # what belongs to patterns is shown beside them
    images = [
        name
        for name in framed
        if name not in masks
        and (masks or not arrays.place(arrays.held[name]))
        and arrays.calendar(arrays.held[name]) is None
    ]
    if images:
        first = arrays.held[images[0]]
        names = [n for n in images if _fits(first, arrays.held[n])]
        fitting = [m for m in masks if _fits(first, arrays.held[m])][:MAX_MASKS]
        yield Sketch(
            asset=arrays.key, kind="images", draw=partial(draw, arrays, names, fitting)
        )


def draw(arrays: Arrays, names: Sequence[str], masks: Sequence[str]) -> Drawing:
    """Draw a few images, evenly chosen; below each the same image with its masks.

    Parameters
    ----------
    arrays : Arrays
    names : sequence of str
        Images of the same samples; where the first is the same everywhere, as light is at
        night, the next one is drawn.
    masks : sequence of str
    """
    array = arrays.held[names[0]]
    frame = frame_of(array)
    assert frame is not None  # noqa: S101  # who calls has looked
    total = array.sizes[frame.samples] if frame.samples else 1
    down, across = (array.sizes[side] for side in frame.sides)
    chosen = varied(arrays, frame, MANY if max(down, across) <= SMALL else SAMPLES)
    # One image has its masks beside it.
    columns = len(chosen) if len(chosen) > 1 else max(2, 1 + len(masks))
    height = float(np.clip(WIDTH / columns * down / across, 1, 3.5)) + _ROOM
    figure, axes = panels(len(chosen) * (1 + len(masks)), columns, height, true=True)
    instead: dict[str, int] = {}
    over: list[list[Overlay]] = []
    for n, at in enumerate(chosen):
        name, pixels = _telling(arrays, names, at)
        drawn = show(axes[n], pixels)
        axes[n].set_title(sample_title(arrays, frame, at), fontsize=8.5)
        scale_below(figure, drawn, axes[n], arrays.quantities[name].label)
        if name != names[0]:
            instead[name] = instead.get(name, 0) + 1
        over.append([])
        for m, mask in enumerate(masks):
            axis = axes[(m + 1) * len(chosen) + n]
            show(axis, pixels)
            held = arrays.held[mask]
            first = over[n][0].marked if m else None
            found = overlay(axis, image(held, frame_of(held), at), held.attrs, first)
            title = f"{arrays.title(mask)}: {number(100 * found.share)} %"
            axis.set_title(title, fontsize=8.5)
            over[n].append(found)
    phrases = [arrays.quantities[m].phrase for m in masks]
    legend(figure, phrases, over)
    size = size_words(array, frame)
    channel = channel_words(array, frame)
    said = of_steps(len(chosen), total, frame.samples or "image")
    said += only_first({d: array.sizes[d] for d in frame.rest})
    for name, count in instead.items():
        said += f"; {arrays.quantities[name].phrase} instead in {count} where it is even"
    marks = _marks(phrases, over, beside=len(chosen) == 1)
    return Drawing(
        figure=figure,
        caption=f"{arrays.title(names[0])}{channel}, {size}: {said}{marks}.",
        alt=f"{counted(len(chosen), 'grey image')} of {arrays.quantities[names[0]].phrase}"
        f"{channel}, {size}{marks}.",
    )


def _marks(phrases: list[str], over: list[list[Overlay]], *, beside: bool) -> str:
    """Say on which part of the pixels shown masks are, and on how many they agree."""
    if not phrases:
        return ""
    shares = [float(np.mean([each[m].share for each in over])) for m in range(len(phrases))]
    each = [f"{p} on {number(100 * s)} %" for p, s in zip(phrases, shares, strict=True)]
    where = "beside it" if beside else "below"
    both = ""
    if len(phrases) > 1:
        both = f"; both agree on {number(100 * agreement(over))} %"
    return f"; {where} in colour {listed(each)} of the pixels{both}"


def _telling(arrays: Arrays, names: Sequence[str], at: int) -> tuple[str, Floats]:
    """Return the first image of a sample in which anything is to be seen."""
    found = []
    for name in names:
        pixels = image(arrays.held[name], frame_of(arrays.held[name]), at)
        found.append((name, pixels))
        finite = pixels[np.isfinite(pixels)]
        if finite.size and np.ptp(finite) > 0:
            return found[-1]
    return found[0]


def varied(arrays: Arrays, frame: Frame, count: int) -> list[int]:
    """Choose samples evenly; of few kinds that the record has as a target, each kind's as well.

    So a night is seen among days.
    """
    total = arrays.held.sizes[frame.samples] if frame.samples else 1
    for name in arrays.record.samples.targets if arrays.record.samples else ():
        held = arrays.held.variables.get(name)
        if held is None or held.dims != (frame.samples,) or held.dtype.kind not in "iub":
            continue
        labels = held.to_numpy()
        kinds = np.unique(labels)
        if 1 < len(kinds) <= count < total:
            # The commoner kinds have what is left over.
            order = sorted(kinds.tolist(), key=lambda kind: int((labels == kind).sum()))
            picked: list[int] = []
            for n, kind in enumerate(order):
                there = np.flatnonzero(labels == kind)
                share = (count - len(picked)) // (len(order) - n)
                picked += [int(there[at]) for at in evenly(len(there), share)]
            return sorted(picked)
    return evenly(total, count)


def channel_words(array: "xr.DataArray", frame: Frame) -> str:
    """Say which channel is shown, by its name if channels have names."""
    if frame.channels is None:
        return ""
    name: object = 1
    if frame.channels in array.coords and array[frame.channels].dtype.kind in "OUST":
        name = short(str(array[frame.channels].values[0]), 12)
    return f", channel {name} of {array.sizes[frame.channels]}"


def size_words(array: "xr.DataArray", frame: Frame) -> str:
    """Say how large an image is, and to what it was thinned."""
    down, across = (array.sizes[side] for side in frame.sides)
    small = [-(-side // _stride(side)) for side in (down, across)]
    thinned = f", thinned to {small[0]:,} by {small[1]:,}" if small != [down, across] else ""
    return f"{down:,} by {across:,} pixels{thinned}"


def _stride(side: int) -> int:
    return -(-side // MAX_SIDE)


def image(array: "xr.DataArray", frame: Frame | None, at: int, channel: int = 0) -> Floats:
    """Read one image, thinned if it is large."""
    assert frame is not None  # noqa: S101  # masks have one
    where: dict[Hashable, Any] = dict.fromkeys(frame.rest, 0)  # Any: a number or a slice
    if frame.samples:
        where[frame.samples] = min(at, array.sizes[frame.samples] - 1)
    if frame.channels:
        where[frame.channels] = channel
    for side in frame.sides:
        where[side] = slice(None, None, _stride(array.sizes[side]))
    return pick(array, where).transpose(*frame.sides).to_numpy().astype(float)


def show(axes: "Axes", pixels: Floats, **look: Any) -> Any:  # Any: settings of matplotlib
    """Draw pixels without an axis; grey, from the darkest to the brightest hundredth.

    Where nothing lies below 0, what is 0 does not count: borders are often filled with it.
    """
    finite = pixels[np.isfinite(pixels)]
    if finite.size and finite.min() == 0 < finite.max():
        finite = finite[finite > 0]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    settings: Mapping[str, Any] = {"cmap": IMAGE, "vmin": low, "vmax": high, **look}
    drawn = axes.imshow(pixels, **settings)
    axes.set_axis_off()
    return drawn


def scale_below(figure: "Figure", drawn: Any, axes: "Axes", label: str) -> Any:
    """Put a bar below an image that says what its shades mean."""  # Any: untyped there
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(
        drawn, ax=axes, location="bottom", fraction=0.05, pad=0.03, aspect=25,
        ticks=MaxNLocator(3),
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2)
    bar.set_label(short(label, 36), fontsize=7.5)
    return bar


def sample_title(arrays: Arrays, frame: Frame, at: int) -> str:
    """Say which sample it is, and its labels if the record has them as targets.

    A label that all samples share says nothing.
    """
    if frame.samples is None:
        return ""
    words = [_sample_name(arrays, frame.samples, at)]
    for name in arrays.record.samples.targets if arrays.record.samples else ():
        label = arrays.held.variables.get(name)
        if label is not None and label.dims == (frame.samples,) and not _is_same(label):
            value = label[at].values.item()
            shown = number(value) if isinstance(value, (int, float)) else str(value)[:20]
            words.append(f"{arrays.quantities[name].phrase} {shown}")
    return ", ".join(words)


def _is_same(label: "xr.Variable") -> bool:
    values = label.to_numpy()
    return bool(len(values) > 1 and (values == values[0]).all())


def _sample_name(arrays: Arrays, samples: str, at: int) -> str:
    """Return the name that a sample has, if it is a short one; else its number."""
    labels = arrays.held.variables.get(samples)
    if labels is not None and labels.dtype.kind in "OUT" and labels.ndim == 1:
        name = str(labels[at].values.item())
        if 0 < len(name) <= _MAX_NAME:
            return short(name)
    return f"{samples} {at}"


def _fits(array: "xr.DataArray", mask: "xr.DataArray") -> bool:
    a, b = frame_of(array), frame_of(mask)
    if a is None or b is None or a.samples != b.samples:
        return False
    return [array.sizes[d] for d in a.sides] == [mask.sizes[d] for d in b.sides]
