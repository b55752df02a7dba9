"""Tables with doses and responses, as curves."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from scidata.previews.arrays import evenly
from scidata.previews.quantity import Quantity, short
from scidata.previews.sketch import Drawing, Sketch
from scidata.previews.style import KINDS, new_figure, number, plain_ticks
from scidata.previews.tables import Table
from scidata.previews.words import of_rows

if TYPE_CHECKING:
    import pandas as pd

CURVES = 6
MIN_DOSES = 3
_DOSE = re.compile(r"^(log\w*_)?(dose|doses|conc|concentration)(_|$)", re.IGNORECASE)
_RESPONSE = re.compile(
    r"^(\w+_)?(response|viability|growth|inhibition|survival)(_|$)", re.IGNORECASE
)
_DECADE = 30


def find(table: Table) -> Iterator[Sketch]:
    """Yield curves if the table has a column of doses and one of responses."""
    dose, response = _column(table, _DOSE), _column(table, _RESPONSE)
    if dose and response:
        yield Sketch(asset=table.key, kind="doses", draw=lambda: draw(table, dose, response))


def draw(table: Table, dose: Quantity, response: Quantity) -> Drawing:
    """Draw responses against doses of those few curves that have the most doses."""
    groups = [n for n, q in table.quantities.items() if q.kind == "text"][:2]
    rows = table.read([dose.name, response.name, *groups])
    there = rows.frame.dropna(subset=[dose.name, response.name])
    curves = _curves(there, groups, dose.name)
    figure = new_figure(4.2)
    axes = figure.subplots()
    doses = there[dose.name].to_numpy(dtype=float)
    if not doses.size:
        raise ValueError(f"no row of {table.key!r} has a dose and a response")
    for n, (label, curve) in enumerate(curves):
        middle = curve.groupby(dose.name)[response.name].median()
        axes.plot(
            middle.index, middle.to_numpy(), "o-", color=KINDS[n], markersize=3.5, label=label
        )
    if doses.min() > 0 and doses.max() / doses.min() > _DECADE:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, float(doses.min()), float(doses.max()))
    axes.grid(visible=True)
    axes.set(xlabel=dose.label, ylabel=response.label)
    if groups:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    of = f" of {' and '.join(short(g.replace('_', ' ')) for g in groups)}" if groups else ""
    span = f"{number(float(doses.min()))} to {number(float(doses.max()))}"
    return Drawing(
        figure=figure,
        caption=f"{response.title} against {dose.phrase}: {len(curves)} curves{of}, of "
        f"{of_rows(rows, table.noun)}; doses from {span}{' ' if dose.unit else ''}{dose.unit}.",
        alt=f"{len(curves)} lines of {response.phrase} against {dose.phrase}, "
        f"{span}{' ' if dose.unit else ''}{dose.unit}: "
        + "; ".join(_words(label, curve, dose, response) for label, curve in curves),
    )


def _column(table: Table, pattern: re.Pattern[str]) -> Quantity | None:
    held = table.quantities.items()
    return next(
        (q for n, q in held if q.kind in ("number", "whole") and pattern.search(n)), None
    )


def _curves(
    rows: "pd.DataFrame", groups: list[str], dose: str
) -> "list[tuple[str, pd.DataFrame]]":
    """Return a few curves, evenly chosen among those with the most doses."""
    if not groups:
        return [("", rows)]
    counts = rows.groupby(groups, sort=True)[dose].nunique()
    most = counts[counts == counts.max()].index
    chosen = [most[n] for n in evenly(len(most), CURVES)]
    found = []
    for at in chosen:
        values = at if isinstance(at, tuple) else (at,)
        same = np.logical_and.reduce(
            [rows[g] == v for g, v in zip(groups, values, strict=True)]
        )
        found.append((short(", ".join(map(str, values)), 30), rows[same]))
    return found


def _words(label: str, curve: "pd.DataFrame", dose: Quantity, response: Quantity) -> str:
    middle = curve.groupby(dose.name)[response.name].median()
    ends = number(float(middle.iloc[0])), number(float(middle.iloc[-1]))
    return (
        f"{label or 'the line'} from {ends[0]} at the smallest dose to {ends[1]} at the largest"
    )
