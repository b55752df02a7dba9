"""From which magnitude on a catalogue is complete, year by year. Pure.

Maximum curvature: the magnitude of completeness is where most earthquakes are, plus 0.2, since
the method alone finds too low a value. The b-value is that of the earthquakes from there on.

Sources: Wiemer and Wyss 2000, doi:10.1785/0119990114 (the method); Woessner and Wiemer 2005,
doi:10.1785/0120040007 (the correction); Aki 1965 and Utsu 1965 (b, for binned magnitudes).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BIN = 0.1
"""Width of a bin of magnitude."""
CORRECTION = 0.2
FEWEST = 200
"""Earthquakes that an estimate needs; years are put together until there are so many."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """An estimate for some years."""

    first_year: int
    last_year: int
    earthquakes: int
    magnitude: float
    """The catalogue is taken to be complete from here on."""
    b_value: float | None
    """Of those at or above it; None if there are fewer than two magnitudes."""


def completeness(year: Int, magnitude: Float) -> tuple[Completeness, ...]:
    """Estimate the magnitude of completeness over time.

    Parameters
    ----------
    year : array, (N,), int
        Of each earthquake, in order.
    magnitude : array, (N,), float

    Returns
    -------
    tuple of Completeness
        For each year; for several together where one has fewer than `FEWEST` earthquakes. A
        rest at the end that is too small belongs to the group before it. Empty if all
        together are too few.
    """
    years = np.arange(year[0], year[-1] + 1) if len(year) else np.zeros(0, np.int64)
    groups, begin = list[tuple[int, int]](), 0
    counts = np.searchsorted(year, years, side="right")
    for number, stop in enumerate(counts.tolist()):
        if stop - begin >= FEWEST:
            groups.append((begin, stop))
            begin = stop
        elif number == len(counts) - 1 and groups:
            groups[-1] = groups[-1][0], stop
    edges = (
        [int(year[begin]) for begin, _ in groups[1:]] + [int(year[-1]) + 1] if groups else []
    )
    firsts = [int(year[0]), *edges[:-1]] if groups else []
    return tuple(
        _estimate(magnitude[a:b], first, edge - 1)
        for (a, b), first, edge in zip(groups, firsts, edges, strict=True)
    )


def by_decade(found: Sequence[Completeness]) -> dict[int, float]:
    """Return the median of the magnitudes that begin in each decade, to a tenth."""
    decades = sorted({each.first_year // 10 * 10 for each in found})
    return {
        decade: round(
            median(each.magnitude for each in found if each.first_year // 10 * 10 == decade), 1
        )
        for decade in decades
    }


def maximum_curvature(magnitude: Float) -> float:
    """Return the bin with most earthquakes, plus the correction, to a tenth.

    Of bins with as many the lowest counts.
    """
    tenths = np.round(magnitude / BIN).astype(np.int64)
    low = int(tenths.min())
    most = low + int(np.bincount(tenths - low).argmax())
    return round(most * BIN + CORRECTION, 1)


def b_value(magnitude: Float, complete: float) -> float | None:
    """Return the maximum-likelihood b-value of the magnitudes from `complete` on."""
    above = magnitude[magnitude > complete - BIN / 2]
    excess = float(above.mean()) - (complete - BIN / 2) if len(above) > 1 else 0.0
    return round(math.log10(math.e) / excess, 3) if excess > 0 else None


def _estimate(magnitude: Float, first: int, last: int) -> Completeness:
    complete = maximum_curvature(magnitude)
    return Completeness(
        first_year=first,
        last_year=last,
        earthquakes=len(magnitude),
        magnitude=complete,
        b_value=b_value(magnitude, complete),
    )
