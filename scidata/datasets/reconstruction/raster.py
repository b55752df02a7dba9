"""Patterns of a probe that goes over a crystal row by row, by abTEM's multislice."""

from dataclasses import dataclass, replace

import numpy as np

from scidata.datasets.reconstruction.layout import Half
from scidata.datasets.stemdl.crystals import Crystal
from scidata.datasets.stemdl.simulate import block, simulator
from scidata.datasets.stemdl.symmetry import Float64, Int
from scidata.datasets.stemdl.zones import Zone


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The simulated box, the probe's positions and the detector."""

    probes: int = 8
    """Positions on a side."""
    pixels: int = 32
    """On a side of a pattern, and of the potential."""
    field: float = 8.0
    """Side of the square that is scanned and whose potential is kept, angstrom."""
    box: float = 16.0
    """Side of what is simulated, angstrom; a pixel of a pattern is 1 / box wide."""
    thickness: float = 20.0
    """Angstrom."""
    slice: float = 2.0
    """Angstrom."""
    energy: float = 100.0
    """keV."""
    semi_angle: float = 0.020
    """Convergence half-angle of the probe, rad."""

    @property
    def grid(self) -> int:
        """Points on a side of the wave: a point is a pixel of the potential."""
        return round(self.pixels * self.box / self.field)


def simulate(
    crystal: Crystal, zone: Zone, turn: float, shift: tuple[float, float], scan: Scan
) -> tuple[Half, Half]:
    """Simulate one raster.

    Parameters
    ----------
    crystal, zone
    turn : float
        Rotation about the beam, rad.
    shift : (float, float)
        Angstrom, each of at most half the box.
    scan : Scan

    Returns
    -------
    cbed : (probes**2, pixels, pixels) float16
        Intensity, of which the incident beam has a mean of one; y downwards, row by row.
    potential : (1, pixels, pixels) float16
        Projected over the thickness, V angstrom.

    Notes
    -----
    Lobato's potentials, infinite projection, atoms at rest, no aberration. The middle of each
    of the cells into which the probe's positions divide the field is one position.
    """
    import ase

    module = simulator()
    places, numbers = _atoms(crystal, zone, turn, shift, scan)
    size = [scan.box, scan.box, scan.thickness]
    potential = module.Potential(
        ase.Atoms(numbers, places, cell=size, pbc=True),
        gpts=(scan.grid, scan.grid),
        slice_thickness=scan.slice,
        parametrization="lobato",
        projection="infinite",
    ).build(lazy=False)
    probe = module.Probe(
        energy=1e3 * scan.energy,
        semiangle_cutoff=1e3 * scan.semi_angle,
        gpts=(scan.grid, scan.grid),
        extent=(scan.box, scan.box),
    )
    edge, step = (scan.box - scan.field) / 2, scan.field / scan.probes
    line = edge + step * (np.arange(scan.probes) + 0.5)
    across, down = np.meshgrid(line, line)  # x changes first: row by row
    positions = np.stack([across.ravel(), down.ravel()], axis=-1)
    wave = probe.multislice(potential, scan=module.CustomScan(positions), lazy=False)
    found = np.asarray(wave.diffraction_patterns(max_angle=None, parity="same").array)
    low = (found.shape[-1] - scan.pixels) // 2
    cut = slice(low, low + scan.pixels)
    patterns = found[:, cut, cut].swapaxes(1, 2) * scan.pixels**2
    first = round(edge * scan.grid / scan.box)
    inner = slice(first, first + scan.pixels)
    projected = np.asarray(potential.array).sum(axis=0)[inner, inner].T[None]
    return patterns.astype(np.float16), projected.astype(np.float16)


def _atoms(
    crystal: Crystal, zone: Zone, turn: float, shift: tuple[float, float], scan: Scan
) -> tuple[Float64, Int]:
    """Cut a box out of a crystal that is turned and shifted."""
    cosine, sine = np.cos(turn), np.sin(turn)
    about = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    places, numbers = block(crystal, replace(zone, axes=about @ zone.axes), 2 * scan.box)
    places = np.round(places - [*(scan.box / 2 + np.array(shift)), 0], 6)
    inside = (places >= 0) & (places < [scan.box, scan.box, scan.thickness])
    kept = inside.all(axis=-1)
    return places[kept], numbers[kept]
