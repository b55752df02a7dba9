"""Daily values to fortnights, window magnitudes and active pixels. Pure.

Two rules. The physical rule: a day without events adds no energy. The published rule: what the
TEvolOp benchmark did, quirk by quirk (`Quirk`), so that its numbers can be compared with.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from scidata.datasets.tevolop.grid import Days, Float, Int, Pixels, energy, magnitude_of

DAYS = 14


class Rule(StrEnum):
    """How days become fortnights."""

    PHYSICAL = "physical"
    PUBLISHED = "published"


BACK = (2, 4, 7, 13, 26)
"""Lengths of the windows that end with the fortnight itself: 4 weeks, 2, 3, 6 months, year."""
AHEAD = (
    (1, 0),
    (2, 0),
    (4, 0),
    (7, 0),
    (13, 0),
    (26, 0),
    (52, 0),
    (104, 0),
    (26, 26),
    (52, 52),
)
"""Length and delay of the windows that follow: 2, 4 weeks, 2, 3, 6 months, 1, 2, 4 years, the
second year, the third and fourth."""
DROPPED = max(BACK) - 1
"""Leading fortnights without a full year behind them."""
REACH = max(length + delay for length, delay in AHEAD)
"""How many fortnights ahead the farthest target ends."""

GAP_DAYS = 30
"""Days without any earthquake that a catalogue may have; more are a gap in it. The shipped
earthquakes of magnitude 2.5 and above pause for 28 days at most, but for the gap of 2019."""
_GAP_INTERVALS = 10  # a catalogue of rare great earthquakes pauses for longer

_ANCHOR = int(np.datetime64("1950-01-04", "D").astype(int))
_PUBLISHED_END = int(np.datetime64("2020-01-01", "D").astype(int))
_ENOUGH_OWN, _ENOUGH_AROUND = 7.1, 34.1


class Quirk(StrEnum):
    """What the published benchmark does that the physical rule does not.

    Both drop the first 25 fortnights, whose window of a year back is not whole, and both choose
    active pixels by the same two thresholds.
    """

    EMPTY_DAY_IS_MAGNITUDE_ZERO = "an empty day adds the energy of a magnitude 0"
    """So an empty fortnight has log10(14)/1.5 = 0.764, an empty year log10(364)/1.5 = 1.707."""
    EMPTY_DAY_WEIGHS_ONE_IN_DEPTH = "an empty day enters the mean depth as 0 km with weight 1"
    """So a depth is drawn towards 0 km by every empty day."""
    FIRST_DAYS_DISCARDED = "the first (days mod 14) days are discarded"
    """Of 25,567 days the first 3: fortnights start on 1950-01-04. The physical rule keeps that
    phase for every catalogue, so that fortnights stay the same when days are added."""
    ENDS_WITH_2019 = "days after 2019-12-31 are left out"
    """The published data end there."""
    GAPS_ARE_QUIET = "a gap in the catalogue counts as a time without earthquakes"
    """The physical rule has no target where at least half of a window's days lie in a gap."""
    ACTIVE_OVER_ALL_TIME = "active pixels are chosen with the held-out times, too"
    """The physical rule chooses with the times before the held-out period only."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Whole fortnights in a range of days."""

    first: int
    """Day number of the first day, from 0 at 1970-01-01."""
    count: int

    def start(self, fortnight: int) -> np.datetime64:
        """Return the first day of a fortnight."""
        return np.datetime64(self.first + DAYS * fortnight, "D")


def span(days: tuple[int, int], rule: Rule) -> Span:
    """Find the whole fortnights of a range of days (first, and the day after the last)."""
    first, stop = days
    if rule == Rule.PUBLISHED:
        stop = max(first, min(stop, _PUBLISHED_END))
        first += (stop - first) % DAYS
    else:
        first += (_ANCHOR - first) % DAYS
    return Span(first=first, count=max(0, stop - first) // DAYS)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Days on which the catalogue has no earthquake at all, numbered from 0 at 1970-01-01."""

    first: int
    stop: int
    """The day after the last."""

    @property
    def days(self) -> int:
        """How many."""
        return self.stop - self.first


def gaps(shocks: Int, first: int) -> tuple[Gap, ...]:
    """Find where a catalogue lacks data.

    Parameters
    ----------
    shocks : array, (days,), int
        Earthquakes of each day in all pixels.
    first : int
        Number of the first day.

    Returns
    -------
    tuple of Gap
        Times of more than `GAP_DAYS` days, and of more than ten mean times between two
        earthquakes, without any. In order of time.
    """
    total = int(shocks.sum())
    if total == 0:
        return ()
    longest = max(GAP_DAYS, _GAP_INTERVALS * len(shocks) / total)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], shocks == 0, [0])).astype(np.int8)))
    runs = (Gap(first=first + int(a), stop=first + int(b)) for a, b in edges.reshape(-1, 2))
    return tuple(run for run in runs if run.days > longest)


def missing(found: Iterable[Gap], span: Span) -> Int:
    """Count the days of each fortnight that lie in a gap: (fortnights,)."""
    start = span.first + DAYS * np.arange(span.count, dtype=np.int64)
    days = np.zeros(span.count, np.int64)
    for gap in found:
        days += np.clip(
            np.minimum(start + DAYS, gap.stop) - np.maximum(start, gap.first), 0, None
        )
    return days


class Sums:
    """Sums of fortnights, filled with days as they come: (fortnights, pixels) each."""

    def __init__(self, span: Span, pixels: Pixels, rule: Rule) -> None:
        shape = span.count, pixels.count
        self.span = span
        self.rule = rule
        self.energy = np.zeros(shape)
        self.moment = np.zeros(shape)
        self.multiplicity = np.zeros(shape, np.int32)
        self.multiplicity_3p29 = np.zeros(shape, np.int32)
        self.missing: Int = np.zeros(span.count, np.int64)
        """(fortnights,): days that nobody observed, and so no target may rest on."""

    def at(self, pixels: Int) -> "Sums":
        """Return a copy of the sums of some pixels."""
        part = copy(self)
        for name in ("energy", "moment", "multiplicity", "multiplicity_3p29"):
            setattr(part, name, np.ascontiguousarray(getattr(self, name)[:, pixels]))
        return part

    def add(self, days: Days) -> None:
        """Add some days; those outside the span are passed over."""
        begin = max(self.span.first - days.first, 0)
        end = min(self.span.first + DAYS * self.span.count - days.first, len(days))
        if begin >= end:
            return
        weight = energy(days.magnitude[begin:end])
        if self.rule == Rule.PHYSICAL:
            weight *= days.multiplicity[begin:end] > 0
        fortnight = (days.first + np.arange(begin, end) - self.span.first) // DAYS
        starts = np.flatnonzero(np.diff(fortnight, prepend=-1))
        rows = slice(fortnight[0], fortnight[-1] + 1)
        self.energy[rows] += np.add.reduceat(weight, starts)
        self.moment[rows] += np.add.reduceat(weight * days.depth[begin:end], starts)
        self.multiplicity[rows] += _sum(days.multiplicity[begin:end], starts)
        self.multiplicity_3p29[rows] += _sum(days.multiplicity_3p29[begin:end], starts)

    @property
    def magnitude(self) -> Float:
        """Magnitude of the summed energy; 0 where there is none."""
        return magnitude_of(self.energy)

    @property
    def depth(self) -> Float:
        """Mean depth weighted by energy, km; 0 where there is none."""
        some = self.energy > 0
        return np.divide(self.moment, self.energy, where=some, out=np.zeros_like(self.energy))


def back(energies: Float) -> Iterator[Float]:
    """Yield the magnitude of each window of `BACK`: (fortnights, …), the fortnight included.

    Windows that begin before the first fortnight are NaN.
    """
    for length in BACK:
        yield _window(energies, first=1 - length, length=length)


def ahead(energies: Float, missing: Int | None = None) -> Iterator[Float]:
    """Yield the magnitude of each window of `AHEAD`: (fortnights, …), the fortnight left out.

    Windows that end after the last fortnight, and those of which at least half of the
    days are missing, are NaN.

    Parameters
    ----------
    energies : array, (fortnights, …), float
    missing : array, (fortnights,), int, optional
        Days of each fortnight that nobody observed; by default none.
    """
    unseen = np.zeros(len(energies), np.int64) if missing is None else missing
    before = np.concatenate(([0], np.cumsum(unseen)))
    for length, delay in AHEAD:
        window = _window(energies, first=1 + delay, length=length)
        begin = np.minimum(np.arange(len(energies)) + 1 + delay, len(energies))
        end = np.minimum(begin + length, len(energies))
        window[2 * (before[end] - before[begin]) >= DAYS * length] = np.nan
        yield window


def active(large: Int, pixels: Pixels) -> Int:
    """Choose the pixels with enough large events.

    Parameters
    ----------
    large : array, (pixels,), int
        Number of events of magnitude above 3.29.
    pixels : Pixels

    Returns
    -------
    array, (active,), int64
        Numbers of the pixels with at least 7.1 of their own, or 34.1 in the 3 × 3 pixels
        around; at the edges the nine pixels are shifted inward. Sorted.
    """
    counts = large.reshape(pixels.rows, pixels.columns)
    nine = np.lib.stride_tricks.sliding_window_view(counts, (3, 3)).sum(axis=(2, 3))
    y = np.clip(np.arange(pixels.rows) - 1, 0, pixels.rows - 3)
    x = np.clip(np.arange(pixels.columns) - 1, 0, pixels.columns - 3)
    chosen = (counts >= _ENOUGH_OWN) | (nine[np.ix_(y, x)] >= _ENOUGH_AROUND)
    return np.flatnonzero(chosen).astype(np.int64)


def _sum(values: Int, starts: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    return np.add.reduceat(values, starts).astype(np.int32)


def _window(energies: Float, *, first: int, length: int) -> Float:
    # Plain sums: a difference of running sums would lose small events beside a great one.
    count = len(energies)
    begin, end = max(0, -first), count - (first + length - 1)
    out = np.full(energies.shape, np.nan)
    if begin < min(end, count):
        end = min(end, count)
        total = np.zeros_like(energies[begin:end])
        for step in range(first, first + length):
            total += energies[begin + step : end + step]
        out[begin:end] = magnitude_of(total)
    return out
