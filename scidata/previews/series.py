"""Variables along time: middle and spread over everything else, or a few of many traces."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.arrays import Arrays, blocks, evenly, pick
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import BLUE, KINDS, number, panels, year_span
from scidata.previews.words import listed, of_steps, only_first

if TYPE_CHECKING:
    import xarray as xr

MAX_PANELS = 3
MAX_STEPS = 800
"""Points of a line; of a longer series neighbouring steps are taken together."""
TRACES = 4
MAX_POINTS = 5_000
"""Of a trace; of a longer one every so-many-th step is drawn."""
_CLOCKS = ("time", "t")

Floats = npt.NDArray[np.float64]


def find(arrays: Arrays) -> Iterator[Sketch]:
    """Yield a plot if there are variables along dated time, else along a dimension of time."""
    dated = [n for n in arrays.measures if arrays.calendar(arrays.held[n])]
    if dated:
        yield Sketch(
            asset=arrays.key,
            kind="over-time",
            draw=lambda: drawmean_along(arrays, dated[:MAX_PANELS]),
        )
        return
    timed = [n for n in arrays.measures if clock(arrays.held[n])]
    if timed:
        yield Sketch(
            asset=arrays.key,
            kind="traces",
            draw=lambda: draw_traces(arrays, timed[:MAX_PANELS]),
        )


def clock(array: "xr.DataArray") -> str | None:
    """Return the dimension that is called time."""
    return next((str(d) for d in array.dims if d in _CLOCKS and array.sizes[d] > 1), None)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A series, with neighbouring steps taken together."""

    times: npt.NDArray[np.datetime64]
    mean: Floats
    low: Floats
    high: Floats
    taken: int
    """Steps that were read."""
    group: int
    """Steps in each point."""


def drawmean_along(arrays: Arrays, names: list[str]) -> Drawing:
    """Draw mean and spread of each variable over its other dimensions, against time."""
    from matplotlib.dates import date2num

    figure, axes = panels(len(names), 1, 1.9)
    words, said, spread = [], "", False
    for axis, name in zip(axes, names, strict=True):
        array = arrays.held[name]
        along = str(arrays.calendar(array))
        line = mean_along(array, along)
        days: Any = date2num(line.times)  # type: ignore[no-untyped-call]  # untyped there
        if array.ndim > 1 and (line.high > line.low).any():
            spread = True
            axis.fill_between(days, line.low, line.high, color=BLUE, alpha=0.2, linewidth=0)
        axis.plot(days, line.mean, color=BLUE, linewidth=1)
        axis.xaxis_date()
        axis.grid(visible=True)
        axis.set_ylabel(arrays.quantities[name].label)
        clocks = arrays.held[along].to_numpy()
        steps = of_steps(line.taken, array.sizes[along], "step")
        said = f"{steps}, {year_span(clocks.min(), clocks.max())}"
        if line.group > 1:
            said += f", {line.group} steps a point"
        words.append(_trend(arrays.title(name), line))
    over = _others(arrays, names)
    titles = listed([arrays.quantities[n].phrase for n in names])
    band = f"mean over {over}" if over else ""
    if spread:
        band += ", and the range of the middle nine tenths"
    return Drawing(
        figure=figure,
        caption=f"{titles[:1].upper()}{titles[1:]} against time, {said}"
        f"{'; ' if band else ''}{band}.",
        alt=f"Lines of {titles} against time, {said}. {' '.join(words)}",
    )


def _others(arrays: Arrays, names: list[str]) -> str:
    array = arrays.held[names[0]]
    along = arrays.calendar(array)
    return listed([f"{d} ({n:,})" for d, n in array.sizes.items() if d != along])


def mean_along(array: "xr.DataArray", along: str) -> Line:
    """Reduce an array to mean and spread along a dimension of time; chunks stay apart."""
    group = -(-array.sizes[along] // MAX_STEPS) or 1
    times, rows, taken = [], [], 0
    for part in blocks(array, along):
        values = part.transpose(along, ...).to_numpy()
        values = values.reshape(len(values), -1)
        here = part[along].to_numpy().astype("datetime64[us]")
        taken += len(values)
        for n in range(0, len(values), group):
            chunk = values[n : n + group]
            known = chunk[np.isfinite(chunk)]
            if known.size:
                times.append(here[n])
                rows.append((known.mean(dtype=float), *np.percentile(known, [5, 95])))
    if not rows:
        raise ValueError(f"{array.name!r} holds no value")
    mean, low, high = np.array(rows, dtype=float).T
    return Line(times=np.array(times), mean=mean, low=low, high=high, taken=taken, group=group)


def _trend(title: str, line: Line) -> str:
    low, high = number(float(line.mean.min())), number(float(line.mean.max()))
    top = str(line.times[int(line.mean.argmax())])[:7]
    return f"{title}: mean from {low} to {high}, largest in {top}."


def draw_traces(arrays: Arrays, names: list[str]) -> Drawing:
    """Draw a few of many traces, evenly chosen, step by step."""
    figure, axes = panels(len(names), 1, 2.4)
    words, said = [], []
    for axis, name in zip(axes, names, strict=True):
        array = arrays.held[name]
        along = str(clock(array))
        others = [str(d) for d in array.dims if d != along]
        at: dict[Hashable, Any] = dict.fromkeys(others[1:], 0)  # Any: a number or a slice
        chosen = evenly(array.sizes[others[0]], TRACES) if others else []
        if others:
            at[others[0]] = chosen
        at[along] = slice(None, None, -(-array.sizes[along] // MAX_POINTS))
        lines = pick(array, at).transpose(..., along)
        values = np.atleast_2d(lines.to_numpy().astype(float))
        x = lines[along].to_numpy() if along in lines.coords else np.arange(values.shape[1])
        for n, line in enumerate(values):
            label = f"{others[0]} {chosen[n]}" if others else None
            axis.plot(x, line, color=KINDS[n], linewidth=1.2, label=label)
        if others:
            axis.legend(frameon=False, ncols=TRACES, loc="upper left", bbox_to_anchor=(0, 1.18))
            taken = of_steps(len(chosen), array.sizes[others[0]], others[0])
            said.append(taken + only_first({d: array.sizes[d] for d in others[1:]}))
        axis.grid(visible=True)
        unit = str(arrays.held[along].attrs.get("units", "")) if along in arrays.held else ""
        axis.set(xlabel=f"{along} ({unit})" if unit else f"{along} (step)")
        axis.set_ylabel(arrays.quantities[name].label)
        span = number(float(np.nanmin(values))), number(float(np.nanmax(values)))
        words.append(f"{arrays.title(name)} lies between {span[0]} and {span[1]}.")
    titles = listed([arrays.quantities[n].phrase for n in names])
    of = f": {said[0]}" if said else ""
    return Drawing(
        figure=figure,
        caption=f"{titles[:1].upper()}{titles[1:]} along time{of}.",
        alt=f"Lines of {titles} along time{of}. {' '.join(words)}",
    )
