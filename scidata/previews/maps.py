"""The frame of a map: degrees, true to scale at its middle."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scidata.previews.style import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NARROW_TICKS = 4
_MIN_COSINE = 0.2  # at the poles a map true to scale would be a line


@dataclass(frozen=True)
class Box:
    """Degrees that a map shows."""

    west: float
    east: float
    south: float
    north: float

    @classmethod
    def of(cls, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic]) -> "Box":
        """Return the box of points; raises ValueError if there is none on Earth."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if not (np.isfinite(x).any() and np.isfinite(y).any()):
            raise ValueError("no point has a place")
        return cls(*map(float, (np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y))))

    @property
    def words(self) -> str:
        """Such as ``120°W to 114°W, 32°N to 36°N``."""
        return f"{_range(self.west, self.east, 'EW')}, {_range(self.south, self.north, 'NS')}"

    @property
    def stretch(self) -> float:
        """Length of a degree north in those of a degree east."""
        middle = np.radians((self.south + self.north) / 2)
        return 1 / max(_MIN_COSINE, float(np.cos(middle)))

    @property
    def ratio(self) -> float:
        """Height of the map in those of its width."""
        return (self.north - self.south) * self.stretch / max(self.east - self.west, 1e-6)


def map_figure(box: Box, count: int = 1) -> "tuple[Figure, list[Axes]]":
    """Return a figure with `count` maps of a box."""
    from matplotlib.ticker import MaxNLocator

    columns = min(count, 2)
    height = float(np.clip((6.2 if columns == 1 else 2.65) * box.ratio, 1.5, 5.0)) + 0.7
    figure, axes = panels(count, columns, height, true=True)
    for axis in axes:
        axis.set_aspect(box.stretch)
        if columns > 1:  # else the numbers run into each other
            axis.xaxis.set_major_locator(MaxNLocator(_NARROW_TICKS))
        axis.grid(visible=True)
        axis.set(xlabel="Longitude (degrees east)", ylabel="Latitude (degrees north)")
    return figure, axes


def place_words(east: float, north: float) -> str:
    """Write a place.

    Examples
    --------
    >>> place_words(-117.65, 35.05)
    '117.7°W, 35.05°N'
    """
    return f"{_degrees(east, 'EW')}, {_degrees(north, 'NS')}"


def _range(low: float, high: float, letters: str) -> str:
    return " to ".join(_degrees(value, letters) for value in (low, high))


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):.4g}°{letters[0] if value >= 0 else letters[1]}"
