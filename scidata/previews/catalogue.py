"""Tables of events: how many happened when, and from which magnitude on all are listed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.facts import STATISTICS
from scidata.previews.quantity import Quantity
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import KINDS, new_figure, number, plain_ticks, year_span
from scidata.previews.tables import Table
from scidata.previews.words import listed, of_rows
from scidata.published import read_statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STEPS = 120
"""Points of a curve of rates."""
MAX_FLOORS = 4
_FEWEST = 30
"""Events at or above a magnitude that a curve of its own needs."""
_WHOLE = 0.05
"""Of a step may be without events at the end of one that is whole."""
_STEPS = (("h", 3_600), ("D", 86_400), ("M", 2_629_746), ("Y", 31_556_952))
_WORDS = {"h": "hour", "D": "day", "M": "month", "Y": "year"}

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, kw_only=True)
class Complete:
    """From which magnitude on a catalogue is complete, for some years."""

    first_year: int
    last_year: int
    magnitude: float


def magnitude_of(table: Table) -> Quantity | None:
    """Return the column of magnitudes of events, if the record says so."""
    return table.of_role("magnitude")


def find(table: Table) -> Iterator[Sketch]:
    """Yield a plot if the table lists events: with a time, and a magnitude or a place."""
    if table.time and (magnitude_of(table) or table.longitude):
        yield Sketch(asset=table.key, kind="rate", draw=partial(draw, table))


def draw(table: Table) -> Drawing:
    """Draw how many events happened in each step of time, from several magnitudes on."""
    from matplotlib.dates import date2num

    clock, magnitude = str(table.time), magnitude_of(table)
    rows = table.read([clock, *([magnitude.name] if magnitude else [])])
    there = rows.frame.dropna(subset=[clock])
    times = there[clock].to_numpy(dtype="datetime64[s]")
    if not times.size:
        raise ValueError(f"no row of {table.key!r} has a time")
    step = step_of(times)
    values = there[magnitude.name].to_numpy(dtype=float) if magnitude else None
    curves = _curves(table, magnitude, values, len(times))
    figure = new_figure(3.6)
    axes = figure.subplots()
    words, top = [], 1.0
    for n, (label, chosen) in enumerate(curves):
        at, counts = per_step(times[chosen], times, step)
        days: Any = date2num(at)  # type: ignore[no-untyped-call]  # matplotlib has it untyped
        shown = np.where(counts > 0, counts, np.nan)  # a logarithm has no zero
        axes.step(days, shown, where="mid", color=KINDS[n], linewidth=1.3, label=label)
        top = max(top, float(counts.max()))
        most = str(at[int(counts.argmax())])
        words.append(f"{label}: {number(float(counts.max()))} at most, in {most}")
    axes.set_yscale("log")
    plain_ticks(axes.yaxis, 1, top, 6)
    axes.xaxis_date()
    axes.grid(visible=True)
    axes.set(
        xlabel=f"{table.quantities[clock].title} (UTC)",
        ylabel=f"{table.noun} per {_WORDS[step]}".capitalize(),
    )
    if len(curves) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    said = f"{of_rows(rows, table.noun)}, {year_span(times.min(), times.max())}"
    floors = f"; {listed([label for label, _ in curves])}" if len(curves) > 1 else ""
    return Drawing(
        figure=figure,
        caption=f"Rate of {table.noun} per {_WORDS[step]}, {said}{floors}; steps without any "
        f"are left open{_cut(times, step)}.",
        alt=f"Lines of {table.noun} per {_WORDS[step]} on a logarithmic scale, {said}. "
        f"{'; '.join(words)}.",
    )


def step_of(times: Times) -> str:
    """Return the finest of hour, day, month and year that gives few enough steps.

    Examples
    --------
    >>> step_of(np.array(["1950", "2026"], dtype="datetime64[s]"))
    'Y'
    >>> step_of(np.array(["2019-07-04", "2019-07-08"], dtype="datetime64[s]"))
    'h'
    """
    seconds = float((times.max() - times.min()) / np.timedelta64(1, "s"))
    return next((name for name, long in _STEPS if seconds <= MAX_STEPS * long), "Y")


def _cut(times: Times, step: str) -> str:
    """Say that the last step is not whole, if that is to be seen."""
    end = (times.max().astype(f"datetime64[{step}]") + 1).astype("datetime64[s]")
    begin = times.max().astype(f"datetime64[{step}]").astype("datetime64[s]")
    if (end - times.max()) / (end - begin) < _WHOLE:
        return ""
    return f"; the last {_WORDS[step]} goes to {str(times.max())[:10]}"


def per_step(chosen: Times, every: Times, step: str) -> tuple[Times, Floats]:
    """Count events in each step of the time that all of them span."""
    first, last = (t.astype(f"datetime64[{step}]") for t in (every.min(), every.max()))
    at = np.arange(first, last + 1)
    found = (chosen.astype(f"datetime64[{step}]") - first).astype(int)
    return at, np.bincount(found, minlength=len(at)).astype(float)


def completeness_of(table: Table) -> tuple[Complete, ...]:
    """Return what the version's statistics say of the completeness of a table of events.

    That is ``completeness`` of the asset: a list of objects with ``first_year``, ``last_year``
    and ``magnitude``; anything else there is passed over.
    """
    if STATISTICS not in table.published.manifest:
        return ()
    known = read_statistics(table.published).get(table.key, {})
    found = known.get("completeness") if isinstance(known, dict) else None
    rows = found if isinstance(found, list) else []
    return tuple(
        Complete(
            first_year=int(row["first_year"]),
            last_year=int(row["last_year"]),
            magnitude=float(row["magnitude"]),
        )
        for row in rows
        if isinstance(row, dict) and _is_complete(row)
    )


def _is_complete(row: dict[str, Any]) -> bool:  # Any: JSON
    values = [row.get(name) for name in ("first_year", "last_year", "magnitude")]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def draw_completeness(axes: "Axes", found: tuple[Complete, ...]) -> str:
    """Draw the magnitude of completeness over the years; return words for a caption."""
    from matplotlib.dates import date2num

    edges = [np.datetime64(f"{c.first_year:04d}-01-01") for c in found]
    edges.append(np.datetime64(f"{found[-1].last_year + 1:04d}-01-01"))
    days: Any = date2num(edges)  # type: ignore[no-untyped-call]  # matplotlib has it untyped
    levels = [c.magnitude for c in found]
    axes.stairs(levels, days, baseline=None, color="#ffffff", linewidth=4)
    axes.stairs(
        levels, days, baseline=None, color=KINDS[5], linewidth=2, label="complete from here on"
    )
    axes.legend(frameon=True, facecolor="#ffffff", edgecolor="none", loc="upper right")
    low, high = min(levels), max(levels)
    return (
        f"the line is the magnitude from which the list is taken to be complete, {number(low)} "
        f"to {number(high)}"
    )


def _curves(
    table: Table, magnitude: Quantity | None, values: Floats | None, count: int
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return which events each curve counts: all, and those from whole magnitudes on."""
    curves = [(f"all {table.noun}", np.ones(count, bool))]
    if magnitude is None or values is None:
        return curves
    known = np.isfinite(values)
    low = int(np.ceil(np.nanmin(values) + 0.5)) if known.any() else 0
    for floor in range(low, low + 12):
        above = known & (values >= floor)
        if above.sum() < _FEWEST or len(curves) > MAX_FLOORS:
            break
        curves.append((f"{magnitude.phrase} {floor} and above", above))
    return curves
