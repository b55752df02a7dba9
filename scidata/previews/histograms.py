"""How the values of columns and variables are distributed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.arrays import Arrays, blocks
from scidata.previews.quantity import Quantity, short
from scidata.previews.sketch import DISTRIBUTION, Drawing, Sketch
from scidata.previews.style import BLUE, KINDS, number, panels, plain_ticks, spans_decades
from scidata.previews.tables import Table
from scidata.previews.words import listed, middle, of_rows, unshown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MAX_PANELS = 6
_MAX_KINDS = 12
_BINS = 60
_WHOLE_TICKS = 4
_WIDE = 1e8
"""Ratio of an axis beyond which its numbers are long."""
_MAX_VALUES = 2_000_000
"""Of an array; more are thinned."""


def find_in_table(table: Table) -> Iterator[Sketch]:
    """Yield histograms if the table measures something, or says kinds."""
    if table.measures or table.of_kind("text", "truth"):
        yield Sketch(asset=table.key, kind=DISTRIBUTION, draw=lambda: draw_table(table))


def find_in_arrays(arrays: Arrays) -> Iterator[Sketch]:
    """Yield histograms if there are variables that measure something."""
    if arrays.measures:
        yield Sketch(asset=arrays.key, kind=DISTRIBUTION, draw=lambda: draw_arrays(arrays))


def draw_table(table: Table) -> Drawing:
    """Draw the first measures of the rows, and how often each kind occurs."""
    measured = table.measures[: 2 * MAX_PANELS]
    said = table.of_kind("text", "truth")[: 2 * MAX_PANELS]
    rows = table.read([*measured, *said])
    # What is the same in every row is no distribution.
    measured = tuple(n for n in measured if rows.frame[n].nunique() != 1)[:MAX_PANELS]
    kinds = [n for n in said if 1 < rows.frame[n].nunique() <= _MAX_KINDS]
    names = [*measured, *kinds][:MAX_PANELS]
    if not names:
        raise ValueError(f"no column of {table.key!r} holds numbers or few kinds")
    figure, axes = panels(len(names), 3, 2.2)
    words = []
    for axis, name in zip(axes, names, strict=True):
        quantity = table.quantities[name]
        if name in kinds:
            words.append(_bars(axis, rows.frame[name], quantity))
        else:
            words.append(histogram(axis, rows.frame[name].to_numpy(dtype=float), quantity))
        axis.set_ylabel(table.noun if axis in axes[::3] else "")
    left = len(table.quantities) - len(names)
    others = unshown(left, "column")
    titles = listed([table.quantities[n].phrase for n in names])
    return Drawing(
        figure=figure,
        caption=f"Distribution of {titles}, {of_rows(rows, table.noun)}{others}.",
        alt=f"Histograms of {of_rows(rows, table.noun)}. {' '.join(words)}",
    )


def draw_arrays(arrays: Arrays) -> Drawing:
    """Draw the values of the first measured variables."""
    names = arrays.measures[:MAX_PANELS]
    figure, axes = panels(len(names), 3, 2.2)
    words, thinned = [], False
    for axis, name in zip(axes, names, strict=True):
        values = _values(arrays, name)
        words.append(histogram(axis, values, arrays.quantities[name]))
        thinned |= len(values) < arrays.held[name].size
        axis.set_ylabel("values" if axis in axes[::3] else "")
    left = len(arrays.measures) - len(names)
    others = unshown(left, "variable")
    titles = listed([arrays.quantities[n].phrase for n in names])
    thin = f", of at most {_MAX_VALUES:,} evenly chosen values each" if thinned else ""
    return Drawing(
        figure=figure,
        caption=f"Distribution of {titles}{thin}{others}.",
        alt=f"Histograms of the values of {arrays.key}. {' '.join(words)}",
    )


def _values(arrays: Arrays, name: str) -> npt.NDArray[np.float64]:
    """Return the values of an array, or evenly chosen ones with the extremes of each piece."""
    array = arrays.held[name]
    longest = str(max(array.sizes, key=lambda dim: array.sizes[dim]))
    share = -(-array.size // (_MAX_VALUES - 10_000)) or 1
    found = []
    for part in blocks(array, longest):
        values = part.to_numpy().ravel()
        found.append(values[::share].astype(float))
        if share > 1:
            found.append(_extremes(values))
    return np.concatenate(found)


def _extremes(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:  # Any: any type of number
    """Return the least and the greatest value, or nothing if none is known."""
    found = np.array([values.min(), values.max()], dtype=float)
    if np.isfinite(found).all():  # so are all between; else a copy of the known ones is made
        return found
    known = values[np.isfinite(values)]
    return np.array([known.min(), known.max()] if known.size else [], dtype=float)


def histogram(axes: "Axes", values: npt.NDArray[np.float64], quantity: Quantity) -> str:
    """Draw a histogram, logarithmic where only that shows anything; say median and range."""
    from matplotlib.ticker import MaxNLocator

    found = values[np.isfinite(values)]
    axes.set_title(quantity.title)
    axes.set_xlabel(quantity.unit)
    if not found.size:
        axes.text(0.5, 0.5, "no value", ha="center", va="center", transform=axes.transAxes)
        return f"{quantity.title}: no value."
    if spans_decades(found, 3):
        found = found[found > 0]
        low, high = float(found.min()), float(found.max())
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, low, high, 4 if high / low < _WIDE else 3)
        inner = np.logspace(np.log10(low), np.log10(high), _BINS)[1:-1]
        bins: Sequence[float] = [low, *(float(v) for v in inner), high]
    else:
        bins = edges(found)
        if bins[1] - bins[0] == 1:
            axes.xaxis.set_major_locator(MaxNLocator(_WHOLE_TICKS, integer=True, min_n_ticks=1))
    counts, edges_found = np.histogram(found, bins=bins)
    axes.stairs(counts, edges_found, fill=True, color=BLUE)
    if counts.max() > 100 * max(1, np.median(counts[counts > 0])):  # else but one bar is seen
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, 1, float(counts.max()), 5)
    else:
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
    return f"{quantity.title}: {middle(values, quantity)}."


def edges(found: npt.NDArray[np.float64], count: int = _BINS) -> list[float]:
    """Return edges of equal bins; of few whole numbers one bin each."""
    low, high = float(found.min()), float(found.max())
    if high - low < count and np.array_equal(found, np.round(found)):
        return [float(v) for v in np.arange(low - 0.5, high + 1)]
    if low == high:
        return [low - 0.5, high + 0.5]
    return [float(v) for v in np.linspace(low, high, count + 1)]


def _bars(axes: "Axes", values: "pd.Series[str]", quantity: Quantity) -> str:
    counts = values.fillna("").astype(str).value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    names = [short(str(n), 14) or "empty" for n in counts.index]
    axes.bar(range(len(names)), counts.to_numpy(), color=KINDS[0], width=0.7)
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 6 else 60)  # noqa: PLR2004
    axes.set_title(quantity.title)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    first = f"{names[0]} most often, {number(100 * counts.iloc[0] / counts.sum())} %"
    return f"{quantity.title}: {len(names)} kinds, {first}."
