"""Tables with doses and responses, as curves, with the Hill curves that were fitted to them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scidata.datasets.candle_uno import hill
from scidata.previews.arrays import evenly
from scidata.previews.quantity import Quantity, short
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import KINDS, new_figure, number, plain_ticks
from scidata.previews.tables import Table
from scidata.previews.words import of_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CURVES = 6
_DOSE = re.compile(r"^(log\w*_)?(dose|doses|conc|concentration)(_|$)", re.IGNORECASE)
_RESPONSE = re.compile(
    r"^(\w+_)?(response|viability|growth|inhibition|survival)(_|$)", re.IGNORECASE
)
_DECADE = 30
_POINTS = 120
"""Of a fitted curve."""
_BEYOND = 2.0
"""Decades of a curve without doses that are drawn on either side of its middle."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Hill:
    """Columns that hold the parameters of Hill curves, one a row."""

    table: Table
    ec50: Quantity
    slope: Quantity
    einf: Quantity

    @property
    def columns(self) -> list[str]:
        """Names of the three."""
        return [self.ec50.name, self.slope.name, self.einf.name]


def find(table: Table) -> Iterator[Sketch]:
    """Yield curves if the table has columns of doses and responses, or of curves alone."""
    dose, response = _column(table, "dose", _DOSE), _column(table, "response", _RESPONSE)
    if dose and response:
        fitted = next((h for h in map(hills, table.siblings) if h), None)
        if fitted and not (
            # Parameters of a curve are of logarithms: over other doses it would lie elsewhere.
            dose.is_logarithm
            and dose.units == fitted.ec50.units
            and set(_groups(table)) <= set(fitted.table.quantities)
        ):
            fitted = None
        drawn = partial(draw, table, dose, response, fitted)
        yield Sketch(asset=table.key, kind="doses", draw=drawn)
    elif (curves := hills(table)) and not any(s.of_role("dose") for s in table.siblings):
        yield Sketch(asset=table.key, kind="doses", draw=partial(draw_hills, curves))


def hills(table: Table) -> Hill | None:
    """Return the parameters of Hill curves that a table has, by the roles in the record."""
    ec50, slope, einf = (table.of_role(role) for role in ("ec50", "slope", "einf"))
    if ec50 and slope and einf:
        return Hill(table=table, ec50=ec50, slope=slope, einf=einf)
    return None


def draw(table: Table, dose: Quantity, response: Quantity, fitted: Hill | None) -> Drawing:
    """Draw responses against doses of those few curves that have the most doses.

    What was measured is dots, with lines to lead the eye where no curve was fitted.
    """
    groups = _groups(table)
    rows = table.read([dose.name, response.name, *groups])
    there = rows.frame.dropna(subset=[dose.name, response.name])
    fits = _read(fitted, groups) if fitted else {}
    curves = _curves(there, groups, dose.name, fits)
    figure = new_figure(4.2)
    axes = figure.subplots()
    doses = there[dose.name].to_numpy(dtype=float)
    if not doses.size:
        raise ValueError(f"no row of {table.key!r} has a dose and a response")
    drawn = 0
    for n, (values, curve) in enumerate(curves):
        middle = curve.groupby(dose.name)[response.name].median()
        fit = fits.get(values)
        label = short(", ".join(map(str, values)), 30)
        axes.plot(
            middle.index, middle.to_numpy(), "o" if fit else "o-", color=KINDS[n],
            markersize=4, label=label,
        )  # fmt: skip
        if fit:
            x = np.linspace(middle.index.min(), middle.index.max(), _POINTS)
            axes.plot(x, hill.response(x, *fit), color=KINDS[n], linewidth=1.4)
            drawn += 1
    if doses.min() > 0 and doses.max() / doses.min() > _DECADE:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, float(doses.min()), float(doses.max()))
    _finish(axes, dose, response, legend=bool(groups))
    of = _of(groups)
    span = f"{number(float(doses.min()))} to {number(float(doses.max()))}"
    unit = f" {dose.unit}" if dose.unit else ""
    lines = f"; dots as measured, lines the Hill curves fitted to {drawn}" if drawn else ""
    return Drawing(
        figure=figure,
        caption=f"{response.title} against {dose.phrase}: {len(curves)} curves{of}, of "
        f"{of_rows(rows, table.noun)}; doses from {span}{unit}{lines}.",
        alt=f"{len(curves)} {'rows of dots and lines' if drawn else 'lines'} of "
        f"{response.phrase} against {dose.phrase}, {span}{unit}: "
        + "; ".join(_words(values, curve, dose, response) for values, curve in curves),
    )


def draw_hills(curves: Hill) -> Drawing:
    """Draw the curves of a few rows from their parameters alone."""
    table = curves.table
    groups = _groups(table)
    fits = _read(curves, groups)
    if not fits:
        raise ValueError(f"no row of {table.key!r} has all parameters of a curve")
    names = sorted(fits)
    chosen = [names[n] for n in evenly(len(names), CURVES)]
    middles = [fits[name][0] for name in chosen]
    x = np.linspace(min(middles) - _BEYOND, max(middles) + _BEYOND, _POINTS)
    figure = new_figure(4.2)
    axes = figure.subplots()
    for n, name in enumerate(chosen):
        label = short(", ".join(map(str, name)), 30)
        axes.plot(x, hill.response(x, *fits[name]), color=KINDS[n], linewidth=1.4, label=label)
    dose = Quantity(name="dose", kind="number", units=curves.ec50.units)
    response = Quantity(name="response", kind="number", units="1")
    _finish(axes, dose, response, legend=bool(groups))
    of = _of(groups)
    low, high = number(min(middles)), number(max(middles))
    unit = f" {dose.unit}" if dose.unit else ""
    said = (
        f"{len(chosen)} of {len(fits):,} Hill curves{of}, evenly chosen, drawn from their "
        f"parameters; {curves.ec50.phrase} from {low} to {high}{unit}"
    )
    return Drawing(
        figure=figure,
        caption=f"Response against dose: {said}.",
        alt=f"Lines that fall from 1 with the dose: {said}.",
    )


def _groups(table: Table) -> list[str]:
    return [n for n, q in table.quantities.items() if q.kind == "text"][:2]


def _of(groups: list[str]) -> str:
    return f" of {' and '.join(short(g.replace('_', ' ')) for g in groups)}" if groups else ""


def _finish(axes: "Axes", dose: Quantity, response: Quantity, *, legend: bool) -> None:
    axes.grid(visible=True)
    axes.set(xlabel=dose.label, ylabel=response.label)
    if legend:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _column(table: Table, role: str, pattern: re.Pattern[str]) -> Quantity | None:
    if found := table.of_role(role):
        return found
    held = table.quantities.items()
    return next(
        (q for n, q in held if q.kind in ("number", "whole") and pattern.search(n)), None
    )


def _read(
    curves: Hill, groups: list[str]
) -> dict[tuple[object, ...], tuple[float, float, float]]:
    """Return the parameters of each curve that has all of them, by its names."""
    frame = curves.table.read([*curves.columns, *groups]).frame
    numbers = frame[curves.columns].to_numpy(dtype=float)
    known = np.isfinite(numbers).all(axis=1)
    names = [tuple(row) for row in frame[groups].to_numpy()[known]] if groups else [()]
    rows = [(float(a), float(b), float(c)) for a, b, c in numbers[known]]
    return dict(zip(names, rows, strict=False))


def _curves(
    rows: "pd.DataFrame",
    groups: list[str],
    dose: str,
    fits: dict[tuple[object, ...], tuple[float, float, float]],
) -> "list[tuple[tuple[object, ...], pd.DataFrame]]":
    """Return a few curves, evenly chosen among those with the most doses, fitted ones first."""
    if not groups:
        return [((), rows)]
    counts = rows.groupby(groups, sort=True)[dose].nunique()
    most = list(counts[counts == counts.max()].index)
    named = [at if isinstance(at, tuple) else (at,) for at in most]
    named = [name for name in named if name in fits] or named
    chosen = [named[n] for n in evenly(len(named), CURVES)]
    found = []
    for values in chosen:
        same = np.logical_and.reduce(
            [rows[g] == v for g, v in zip(groups, values, strict=True)]
        )
        found.append((values, rows[same]))
    return found


def _words(
    values: tuple[object, ...], curve: "pd.DataFrame", dose: Quantity, response: Quantity
) -> str:
    middle = curve.groupby(dose.name)[response.name].median()
    ends = number(float(middle.iloc[0])), number(float(middle.iloc[-1]))
    label = short(", ".join(map(str, values)), 30)
    return (
        f"{label or 'the line'} from {ends[0]} at the smallest dose to {ends[1]} at the largest"
    )
