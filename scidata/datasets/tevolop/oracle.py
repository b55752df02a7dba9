"""What can be forecast at all: each target's mean over futures drawn from the true process.

No forecast has a smaller expected squared error than the conditional mean; that of a logarithm
of summed energy has no formula, so it is the mean over many futures of the very same past.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scidata.datasets.tevolop import etas
from scidata.datasets.tevolop.etas import Background, Parameters, Quakes
from scidata.datasets.tevolop.fortnights import AHEAD, DAYS, REACH
from scidata.datasets.tevolop.grid import Float, Int, Pixels, energy, magnitude_of

ASSET = "oracle"
"""Key of the asset with the best forecast."""
EXPECTED = "magnitude_ahead_expected"
"""Its variable."""
KM = 111.195
"""Of a degree of latitude, on a sphere of 6,371 km."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The process that made a catalogue, and all that it brought forth."""

    law: Parameters
    background: Background
    quakes: Quakes
    """In order of time, from long before the catalogue; found or not, in the grid or not. Days
    since 1970-01-01."""
    pixels: Pixels
    complete: Callable[[Float], Float]
    """From which magnitude on one is found, at a time."""

    def found(self, quakes: Quakes) -> npt.NDArray[np.bool_]:
        """Say which the catalogue holds, (N,)."""
        return (quakes.magnitude >= self.complete(quakes.time)) & (self.pixel(quakes) >= 0)

    def places(self, quakes: Quakes) -> tuple[Float, Float]:
        """Return latitude and longitude, degrees, (N,) each."""
        wide, high = pixel_size(self.pixels)
        north = 36 - 0.1 * self.pixels.rows
        return north + 0.1 * quakes.y / high, -120 + 0.1 * quakes.x / wide

    def pixel(self, quakes: Quakes) -> Int:
        """Return the number of the pixel of each, -1 outside, (N,)."""
        wide, high = pixel_size(self.pixels)
        x = np.floor(quakes.x / wide).astype(np.int64)
        y = self.pixels.rows - 1 - np.floor(quakes.y / high).astype(np.int64)
        inside = (x >= 0) & (x < self.pixels.columns) & (y >= 0) & (y < self.pixels.rows)
        return np.where(inside, self.pixels.columns * y + x, -1)


def pixel_size(pixels: Pixels) -> tuple[float, float]:
    """Return the sides of a pixel, km east and north, in the middle of the grid."""
    return 0.1 * KM * float(np.cos(np.radians(pixels.latitudes.mean()))), 0.1 * KM


def expectation(
    truth: Truth,
    locations: Int,
    starts: Int,
    *,
    draws: int,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> npt.NDArray[np.float32]:
    """Forecast every target of every fortnight as well as can be.

    Parameters
    ----------
    truth : Truth
    locations : array, (L,), int
        Numbers of the pixels, in order.
    starts : array, (T,), int
        First day of each fortnight, since 1970-01-01; one after another without a gap.
    draws : int
        Futures of each fortnight. The mean of n adds a share of 1/n to the squared error.
    seed : int
        Each fortnight has a generator of its own, so one alone gives what all give.
    advance : callable, optional

    Returns
    -------
    array, (L, T, 10), float32
        Expected magnitude of each of `AHEAD`, given all that struck up to the end of the
        fortnight; NaN where the window ends after the last fortnight.
    """
    out = np.full((len(locations), len(starts), len(AHEAD)), np.nan, np.float32)
    for n, start in enumerate(starts.tolist()):
        steps = min(REACH, len(starts) - 1 - n)
        if steps:
            random = np.random.default_rng((seed, n))
            now = start + DAYS
            past = truth.quakes.at(slice(int(np.searchsorted(truth.quakes.time, now))))
            span = float(now), float(now + DAYS * steps)
            drawn = etas.future(truth.law, truth.background, past, span, random, draws=draws)
            energies = _energies(truth, drawn, locations, now, (draws, steps))
            for k, (length, delay) in enumerate(AHEAD):
                if length + delay <= steps:
                    window = energies[..., delay : delay + length].sum(axis=-1)
                    out[:, n, k] = magnitude_of(window).mean(axis=0)
        advance((n + 1) / len(starts))
    return out


def _energies(
    truth: Truth, drawn: Quakes, locations: Int, now: int, shape: tuple[int, int]
) -> Float:
    """Sum what is found of each future: (draws, L, fortnights)."""
    draws, steps = shape
    seen = drawn.at(truth.found(drawn))
    pixel = truth.pixel(seen)
    slot = np.minimum(np.searchsorted(locations, pixel), len(locations) - 1)
    kept = locations[slot] == pixel
    seen, slot = seen.at(kept), slot[kept]
    step = np.minimum(((seen.time - now) // DAYS).astype(np.int64), steps - 1)
    cell = (seen.draw * len(locations) + slot) * steps + step
    size = draws * len(locations) * steps
    sums: Float = np.bincount(cell, energy(seen.magnitude), minlength=size).astype(np.float64)
    return sums.reshape(draws, len(locations), steps)
