"""Tables with longitude and latitude, as a map."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scidata.previews.maps import Box, map_figure, place_words
from scidata.previews.quantity import Quantity
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import AMOUNT, colour_scale, number
from scidata.previews.tables import Table
from scidata.previews.words import of_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 2_000
"""Up to so many points are drawn one by one; more are counted in cells."""
MIN_CELLS, CELLS = 24, 160
"""Along the longer side of a map: few points are counted in large cells."""


def find(table: Table) -> Iterator[Sketch]:
    """Yield a map if the table has places."""
    if table.longitude and table.latitude:
        yield Sketch(asset=table.key, kind="map", draw=lambda: draw(table))


def draw(table: Table) -> Drawing:
    """Draw where rows are: as points, coloured by what they measure, or counted in cells."""
    east, north = str(table.longitude), str(table.latitude)
    measure = next(iter(table.measures), None)
    rows = table.read([east, north, *([measure] if measure else [])])
    there = rows.frame.dropna(subset=[east, north])
    there = there[there[north].between(-90, 90) & there[east].between(-180, 360)]
    x, y = there[east].to_numpy(dtype=float), there[north].to_numpy(dtype=float)
    box = Box.of(x, y)
    figure, (axes,) = map_figure(box)
    if len(x) > FEW:
        by, alt = _counts(figure, axes, x, y, table.noun)
    else:
        measured = None
        if measure is not None:
            measured = there[measure].to_numpy(dtype=float), table.quantities[measure]
        by, alt = _points(figure, axes, x, y, measured)
    return Drawing(
        figure=figure,
        caption=f"Map of {of_rows(rows, table.noun)}, {box.words}; {by}.",
        alt=f"Map of {len(x):,} {table.noun} by longitude and latitude, {box.words}. {alt}",
    )


def _counts(
    figure: "Figure",
    axes: "Axes",
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    noun: str,
) -> tuple[str, str]:
    from matplotlib.colors import LogNorm

    wide, high = max(np.ptp(x), 1e-6), max(np.ptp(y), 1e-6)
    cell = max(wide, high) / float(np.clip(np.sqrt(len(x)), MIN_CELLS, CELLS))
    bins = max(1, round(wide / cell)), max(1, round(high / cell))
    counts, edges_x, edges_y = np.histogram2d(x, y, bins=bins)
    top = max(2.0, float(counts.max()))
    shown = np.ma.masked_equal(counts.T, 0)
    drawn = axes.pcolormesh(edges_x, edges_y, shown, norm=LogNorm(1, top), cmap=AMOUNT)
    colour_scale(figure, drawn, axes, f"{noun} in a cell", log=True)
    i, j = np.unravel_index(int(counts.argmax()), counts.shape)
    where = place_words(_middle(edges_x, int(i)), _middle(edges_y, int(j)))
    return (
        f"colour counts them in cells of {number(cell)} degrees",
        f"Densest near {where}, with {number(float(counts.max()))} in a cell; "
        f"{number(100 * float((counts > 0).mean()))} % of the cells hold any.",
    )


def _points(
    figure: "Figure",
    axes: "Axes",
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    measured: tuple[npt.NDArray[np.float64], Quantity] | None,
) -> tuple[str, str]:
    if measured is None or not np.isfinite(measured[0]).any():
        axes.scatter(x, y, s=14, color="#0072b2", linewidths=0)
        return "a dot each", "Each is a dot."
    values, quantity = measured
    order = np.argsort(values, kind="stable")  # the largest on top
    drawn = axes.scatter(x[order], y[order], c=values[order], s=16, cmap=AMOUNT, linewidths=0)
    colour_scale(figure, drawn, axes, quantity.label, log=False)
    top = int(np.nanargmax(values))
    return (
        f"colour says {quantity.phrase}",
        f"{quantity.title} is largest, {number(float(values[top]))}, at "
        f"{place_words(float(x[top]), float(y[top]))}.",
    )


def _middle(edges: npt.NDArray[np.float64], at: int) -> float:
    return float(edges[at] + edges[at + 1]) / 2
