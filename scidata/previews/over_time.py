"""Tables with points in time: what they measure, against time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scidata.previews.catalogue import completeness_of, draw_completeness, magnitude_of
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import AMOUNT, BLUE, colour_scale, new_figure, number, year_span
from scidata.previews.tables import Table
from scidata.previews.words import middle, of_rows

FEW = 2_000
"""Up to so many points are drawn one by one; more are counted in cells."""
MAX_CELLS = 240
"""Along the axis of time."""


def find(table: Table) -> Iterator[Sketch]:
    """Yield a plot if the table has points in time and measures something."""
    if table.time and table.measures:
        yield Sketch(asset=table.key, kind="over-time", draw=lambda: draw(table))


def draw(table: Table) -> Drawing:
    """Draw the first measure of the rows against their time."""
    from matplotlib.colors import LogNorm
    from matplotlib.dates import date2num

    magnitude = magnitude_of(table)
    clock, measure = str(table.time), magnitude.name if magnitude else table.measures[0]
    quantity = table.quantities[measure]
    rows = table.read([clock, measure])
    there = rows.frame.dropna(subset=[clock, measure])
    times = there[clock].to_numpy(dtype="datetime64[us]")
    values = there[measure].to_numpy(dtype=float)
    if not times.size:
        raise ValueError(f"no row of {table.key!r} has a time and {measure!r}")
    figure = new_figure(3.9)
    axes = figure.subplots()
    axes.grid(visible=True)
    days: Any = date2num(times)  # type: ignore[no-untyped-call]  # matplotlib has it untyped
    if len(times) > FEW:
        across = int(np.clip(np.sqrt(len(times)), 60, MAX_CELLS))  # few points, large cells
        counts, left, low = np.histogram2d(days, values, bins=(across, across * 3 // 8))
        shown = np.ma.masked_equal(counts.T, 0)
        top = max(2.0, float(counts.max()))
        drawn = axes.pcolormesh(left, low, shown, norm=LogNorm(1, top), cmap=AMOUNT)
        colour_scale(figure, drawn, axes, f"{table.noun} in a cell", log=True)
    else:
        axes.plot(days, values, ".", color=BLUE, markersize=4)
    axes.xaxis_date()
    complete = completeness_of(table) if magnitude else ()
    above = f"; {draw_completeness(axes, complete)}" if complete else ""
    axes.set(xlabel=f"{table.quantities[clock].title} (UTC)", ylabel=quantity.label)
    said = f"{of_rows(rows, table.noun)}, {year_span(times.min(), times.max())}"
    top_at = int(values.argmax())
    return Drawing(
        figure=figure,
        caption=f"{quantity.title} against time, {said}; "
        f"median {number(float(np.median(values)))}{above}.",
        alt=f"{quantity.title} of {len(times):,} {table.noun} against time: "
        f"{middle(values, quantity)}; the largest on {str(times[top_at])[:10]}{above}.",
    )
