"""Events to daily values of pixels. Pure: arrays in, arrays out.

Sources: the TEvolOp dataset's layout: pixels of 0.1 degrees, row 0 in the north, number
``columns * y + x`` with ``x = floor(10 (longitude + 120))``, ``y = floor(10 (36 - latitude))``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scidata.datasets.tevolop.events import FIRST_YEAR, NORTH, WEST

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

VARIABLES = ("magnitude", "depth", "multiplicity", "multiplicity_3p29")
LARGE = 3.29
"""Events above this magnitude are counted apart."""
_DAY_US = 86_400_000_000
_MICRO = 1_000_000
_PIXEL_MICRO = 100_000


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A grid of pixels of 0.1 degrees whose north-west corner is 36 N, 120 W."""

    rows: int = 40
    columns: int = 60

    @property
    def count(self) -> int:
        """How many there are."""
        return self.rows * self.columns

    @property
    def latitudes(self) -> Float:
        """Centres of the rows, degrees north, from the north: (rows,)."""
        return (3595 - 10 * np.arange(self.rows)) / 100.0

    @property
    def longitudes(self) -> Float:
        """Centres of the columns, degrees east, from the west: (columns,)."""
        return (10 * np.arange(self.columns) - 11995) / 100.0

    def of(self, latitude: Float, longitude: Float) -> Int:
        """Return the pixel number of each place, -1 outside.

        Parameters
        ----------
        latitude, longitude : array, (N,), float64, degrees

        Returns
        -------
        array, (N,), int64
            A place on the western or northern side of a pixel belongs to it, one on 32 N or
            114 W to none.

        Notes
        -----
        Computed in whole micro-degrees: in binary floating point ``10 * (-115.9 + 120)`` is
        40.99999999999994, and the place would fall one pixel too far west.
        """
        x = (_micro(longitude) - _micro(WEST)) // _PIXEL_MICRO
        y = (_micro(NORTH) - _micro(latitude)) // _PIXEL_MICRO
        inside = (x >= 0) & (x < self.columns) & (y >= 0) & (y < self.rows)
        return np.where(inside, self.columns * y + x, -1).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Days:
    """Values of consecutive days."""

    first: int
    """Day number of the first, from 0 at 1970-01-01."""
    magnitude: Float
    """(days, pixels): magnitude of the day's summed energy, ``log10(sum 10^(1.5 m)) / 1.5``;
    0 without events."""
    depth: Float
    """(days, pixels), km: mean depth weighted by energy; 0 without events."""
    multiplicity: Int
    """(days, pixels): number of events."""
    multiplicity_3p29: Int
    """(days, pixels): number of events of magnitude above 3.29."""

    def __len__(self) -> int:
        return len(self.magnitude)


@dataclass(frozen=True, kw_only=True)
class Shocks:
    """Earthquakes in pixels, in order of time."""

    day: Int
    """(N,): days since 1970-01-01."""
    pixel: Int
    magnitude: Float
    depth: Float


def energy(magnitude: Float) -> Float:
    """Return energy in units of a magnitude 0: ``10^(1.5 m)``."""
    return np.power(10.0, 1.5 * magnitude)


def magnitude_of(energy_sum: Float) -> Float:
    """Return the magnitude of summed energy; 0 where there is none."""
    some = energy_sum > 0
    return np.log10(energy_sum, where=some, out=np.zeros_like(energy_sum)) / 1.5


def shocks(earthquakes: pa.Table, pixels: Pixels) -> Shocks:
    """Take from a table of earthquakes, sorted by time, those that a pixel holds."""
    pixel = pixels.of(earthquakes["latitude"].to_numpy(), earthquakes["longitude"].to_numpy())
    there = pixel >= 0
    time = earthquakes["time"].cast(pa.int64()).to_numpy()
    return Shocks(
        day=time[there] // _DAY_US,
        pixel=pixel[there],
        magnitude=earthquakes["magnitude"].to_numpy()[there],
        depth=earthquakes["depth"].to_numpy()[there],
    )


def day_range(events: Shocks) -> tuple[int, int]:
    """Return the first day and the day after the last that the grid covers.

    From 1 January of the first event's year to the day of the last event.
    """
    year = np.datetime64(int(events.day[0]), "D").astype("datetime64[Y]")
    first = int(
        max(year, np.datetime64(str(FIRST_YEAR), "Y")).astype("datetime64[D]").astype(int)
    )
    return first, int(events.day[-1]) + 1


def bin_days(events: Shocks, pixels: Pixels, first: int, stop: int) -> Days:
    """Sum the events of some days.

    Parameters
    ----------
    events : Shocks
    pixels : Pixels
    first, stop : int
        First day, and the day after the last.

    Returns
    -------
    Days
        Sums run in order of time, so the result depends on nothing else.
    """
    begin, end = np.searchsorted(events.day, [first, stop])
    magnitude, depth = events.magnitude[begin:end], events.depth[begin:end]
    shape = stop - first, pixels.count
    cell = (events.day[begin:end] - first) * pixels.count + events.pixel[begin:end]

    def total(weight: Float | None) -> Float:
        sums = np.bincount(cell, weight, minlength=shape[0] * shape[1])
        return sums.astype(np.float64, copy=False).reshape(shape)

    weight = energy(magnitude)
    energies = total(weight)
    moments = total(weight * depth)
    return Days(
        first=first,
        magnitude=magnitude_of(energies),
        depth=np.divide(moments, energies, where=energies > 0, out=np.zeros(shape)),
        multiplicity=total(None).astype(np.int64),
        multiplicity_3p29=total((magnitude > LARGE).astype(np.float64)).astype(np.int64),
    )


def by_block(
    events: Shocks, pixels: Pixels, days: tuple[int, int], length: int
) -> Iterator[Days]:
    """Yield the days of a range, `length` at a time."""
    for first in range(days[0], days[1], length):
        yield bin_days(events, pixels, first, min(first + length, days[1]))


def _micro(degrees: Float | float) -> Int:
    return np.round(np.asarray(degrees) * _MICRO).astype(np.int64)
