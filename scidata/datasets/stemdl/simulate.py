"""Diffraction patterns by the multislice method: abTEM, at settings that all stand here."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from scidata.datasets.stemdl.crystals import Crystal
from scidata.datasets.stemdl.scaling import Float
from scidata.datasets.stemdl.symmetry import Float64, Int
from scidata.datasets.stemdl.zones import Zone

THICKNESS, SLICE = 100.0, 2.0
"""Angstrom."""
_BAND = 2 / 3
"""Of the grid's frequencies that multislice keeps: the rest would alias."""


@dataclass(frozen=True, kw_only=True)
class Optics:
    """The simulated box and the detector."""

    pixels: int = 128
    """On a side of a pattern; a multiple of 8."""
    box: float = 40.0
    """Side of the box, angstrom; a pixel of the pattern is 1 / box wide."""

    @property
    def grid(self) -> int:
        """Points on a side of the wave, so that the pattern is what multislice keeps."""
        return round(self.pixels / _BAND)


def wavelength(energy_kev: float) -> float:
    """Return the relativistic wavelength of an electron, in angstrom."""
    return 12.2643 / math.sqrt(1e3 * energy_kev * (1 + 0.978476e-3 * energy_kev))


def semi_angle(zone: Zone) -> float:
    """Return the convergence half-angle in rad, the same at every energy, as published.

    Half the Bragg angle of the zone's planes at 100 keV, so that their discs do not overlap.
    """
    return wavelength(100) / (4 * zone.spacing)


def patterns(
    crystal: Crystal, zone: Zone, energies: Sequence[int], optics: Optics
) -> Iterator[Float]:
    """Simulate one zone at some beam energies.

    Yields
    ------
    (pixels, pixels) float32
        Intensity, of which the incident beam has a mean of one; y downwards.

    Notes
    -----
    Lobato's potentials, infinite projection, atoms at rest, 100 angstrom in slices of 2. The
    box is cut out of the turned crystal, the probe in its centre on the cell's origin.
    """
    import ase

    abtem = simulator()
    side, grid = optics.box, optics.grid
    places, numbers = block(crystal, zone, side)
    potential = abtem.Potential(
        ase.Atoms(numbers, places, cell=[side, side, THICKNESS], pbc=True),
        gpts=(grid, grid),
        slice_thickness=SLICE,
        parametrization="lobato",
        projection="infinite",
    ).build(lazy=False)
    for energy in energies:
        probe = abtem.Probe(
            energy=1e3 * energy,
            semiangle_cutoff=1e3 * semi_angle(zone),
            gpts=(grid, grid),
            extent=(side, side),
        )
        wave = probe.multislice(potential, lazy=False)
        # The beam is in the middle; from (x, y) to (y, x).
        found = np.asarray(wave.diffraction_patterns(max_angle=None, parity="same").array)
        low = (found.shape[0] - optics.pixels) // 2
        inner = found[low : low + optics.pixels, low : low + optics.pixels].T
        yield (inner * optics.pixels**2).astype(np.float32)


@cache
def simulator() -> Any:  # Any: the module, whose functions have few types
    """Import abTEM and settle how it computes, once a process: threads share its settings."""
    import abtem

    # NumPy's transforms: FFTW's plans are measured, so the last digits differ run by run.
    abtem.config.set({"device": "cpu", "fft": "numpy", "diagnostics.progress_bar": False})
    return abtem


def block(crystal: Crystal, zone: Zone, side: float) -> tuple[Float64, Int]:
    """Cut a box out of a turned crystal.

    Returns
    -------
    places : (N, 3) float64, angstrom
    numbers : (N,) int64
    """
    size = np.array([side, side, THICKNESS])
    turned = crystal.lattice @ zone.axes.T
    centre = np.array([side / 2, side / 2, 0])
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * size
    reach = (corners - centre) @ np.linalg.inv(turned)
    low, high = np.floor(reach.min(axis=0)) - 1, np.ceil(reach.max(axis=0)) + 1
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    # Rounded, so that an atom on the border falls on the same side on every machine.
    places = np.round((cells + crystal.places) @ turned + centre, 6)
    inside = ((places >= 0) & (places < size)).all(axis=-1)
    numbers = np.broadcast_to(crystal.numbers, inside.shape)[inside]
    return np.asarray(places[inside], np.float64), np.asarray(numbers, np.int64)
