"""Variables that are images, with their masks over them."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.arrays import Arrays, evenly, pick
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import IMAGE, KINDS, number, panels
from scidata.previews.words import of_steps, only_first
from scidata.wording import counted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SAMPLES = 3
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
    if dims.index(sides[1]) != dims.index(sides[0]) + 1:
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
    images = [
        name
        for name in arrays.measures
        if name not in masks
        and frame_of(arrays.held[name])
        and not arrays.quantities[name].is_diffraction
        and (masks or not arrays.place(arrays.held[name]))
        and arrays.calendar(arrays.held[name]) is None
    ]
    if images:
        mask = next((m for m in masks if _fits(arrays.held[images[0]], arrays.held[m])), None)
        yield Sketch(
            asset=arrays.key, kind="images", draw=lambda: draw(arrays, images[0], mask)
        )


def draw(arrays: Arrays, name: str, mask: str | None) -> Drawing:
    """Draw a few images, evenly chosen; below each the same image with its mask."""
    array = arrays.held[name]
    frame = frame_of(array)
    assert frame is not None  # noqa: S101  # who calls has looked
    total = array.sizes[frame.samples] if frame.samples else 1
    chosen = evenly(total, SAMPLES)
    columns = len(chosen) if len(chosen) > 1 else 2  # one image has its mask beside it
    figure, axes = panels(len(chosen) * (2 if mask else 1), columns, 2.5, true=True)
    covered = []
    for n, at in enumerate(chosen):
        pixels = image(array, frame, at)
        show(axes[n], pixels)
        axes[n].set_title(sample_title(arrays, frame, at))
        if mask is not None:
            over = image(arrays.held[mask], frame_of(arrays.held[mask]), at)
            show(axes[len(chosen) + n], pixels)
            covered.append(_overlay(axes[len(chosen) + n], over))
    size = size_words(array, frame)
    channel = f", channel 1 of {array.sizes[frame.channels]}" if frame.channels else ""
    said = of_steps(len(chosen), total, frame.samples or "image")
    said += only_first({d: array.sizes[d] for d in frame.rest})
    title = arrays.title(name)
    beside = "below" if len(chosen) > 1 else "beside it"
    marks = f" {number(100 * float(np.mean(covered)))} % of the pixels" if covered else ""
    over_it = arrays.quantities[mask].phrase if mask else ""
    masked = f"; {beside} with {over_it}, which marks{marks}" if mask else ""
    shown = counted(len(chosen), "grey image")
    coloured = f"; {beside} the same with {over_it} in colour, on{marks}" if mask else ""
    return Drawing(
        figure=figure,
        caption=f"{title}{channel}, {size}: {said}{masked}.",
        alt=f"{shown} of {arrays.quantities[name].phrase}{channel}, {size}{coloured}.",
    )


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


def show(axes: "Axes", pixels: Floats, **look: Any) -> None:  # Any: settings of matplotlib
    """Draw pixels without an axis; grey, from the darkest to the brightest hundredth."""
    finite = pixels[np.isfinite(pixels)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    settings: Mapping[str, Any] = {"cmap": IMAGE, "vmin": low, "vmax": high, **look}
    axes.imshow(pixels, **settings)
    axes.set_axis_off()


def sample_title(arrays: Arrays, frame: Frame, at: int) -> str:
    """Say which sample it is, and its labels if the record has them as targets."""
    if frame.samples is None:
        return ""
    words = [f"{frame.samples} {at}"]
    for name in arrays.record.samples.targets if arrays.record.samples else ():
        label = arrays.held.variables.get(name)
        if label is not None and label.dims == (frame.samples,):
            value = label[at].values.item()
            shown = number(value) if isinstance(value, (int, float)) else str(value)[:20]
            words.append(f"{arrays.quantities[name].phrase} {shown}")
    return ", ".join(words)


def _overlay(axes: "Axes", over: Floats) -> float:
    """Colour what the mask marks; return which part that is."""
    from matplotlib.colors import ListedColormap

    marked = np.isfinite(over) & (over != 0)
    values = np.unique(over[marked])
    if 1 < len(values) <= len(KINDS):
        shown = np.ma.masked_where(~marked, np.searchsorted(values, over))
        colours, top = ListedColormap(KINDS[: len(values)]), len(values) - 1
    else:
        shown, colours, top = (
            np.ma.masked_where(~marked, np.zeros_like(over)),
            ListedColormap(["#e69f00"]),
            1,
        )
    axes.imshow(shown, cmap=colours, vmin=0, vmax=top, alpha=0.55)
    axes.set_axis_off()
    return float(marked.mean())


def _fits(array: "xr.DataArray", mask: "xr.DataArray") -> bool:
    a, b = frame_of(array), frame_of(mask)
    if a is None or b is None or a.samples != b.samples:
        return False
    return [array.sizes[d] for d in a.sides] == [mask.sizes[d] for d in b.sides]
