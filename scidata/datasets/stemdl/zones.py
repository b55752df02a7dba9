"""Directions to see a crystal from: the shortest lattice vectors that symmetry tells apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from scidata.datasets.stemdl import symmetry
from scidata.datasets.stemdl.crystals import Crystal, refuse
from scidata.datasets.stemdl.symmetry import Float64

ZONES = 3
LONGEST_SPACING = 4.0
"""Angstrom: wider planes would make the probe wider than the simulated box."""
_REACH = 3
_SAME = 1e-3


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A direction of the beam, and one across it."""

    along: tuple[int, int, int]
    """Indices of the beam's direction in the conventional cell, [uvw]."""
    across: tuple[int, int, int]
    """Indices of the lattice planes whose normal is the pattern's y axis, (hkl)."""
    spacing: float
    """Of these planes, angstrom."""
    axes: Float64
    """(3, 3): rows are the pattern's x, y and the beam's direction, unit vectors."""


def zones(crystal: Crystal) -> tuple[Zone, ...]:
    """Choose three zone axes.

    The three shortest lattice vectors of which none is turned into another by the crystal's
    Laue class. y is normal to the widest planes that hold the axis and are at most 4 angstrom
    apart.
    """
    primitive = symmetry.primitive(crystal.cell, crystal.precision)
    dataset = symmetry.dataset(crystal.cell, crystal.precision)
    if primitive is None or dataset is None:
        raise refuse(crystal.name, "symmetry", "spglib finds no symmetry in it")
    reduced = primitive[0]
    # Of positions as columns in the cell; in space they turn row vectors by these.
    inverse = np.linalg.inv(crystal.lattice)
    turns = [inverse @ rotation.T @ crystal.lattice for rotation in dataset.rotations]
    chosen: list[Float64] = []
    for vector in _by_length(reduced):
        images = [vector @ turn for turn in turns]
        if not any(_parallel(image, other) for other in chosen for image in images):
            chosen.append(vector)
        if len(chosen) == ZONES:
            break
    reciprocal = np.asarray(np.linalg.inv(reduced).T, np.float64)
    return tuple(_zone(crystal, vector, reciprocal) for vector in chosen)


def _zone(crystal: Crystal, vector: Float64, reciprocal: Float64) -> Zone:
    along = _coprime(np.linalg.inv(crystal.lattice).T @ vector)
    beam = vector / np.linalg.norm(vector)
    for normal in _by_length(reciprocal, reach=4 * _REACH):
        length = float(np.linalg.norm(normal))
        if abs(normal @ beam) < _SAME * length and 1 / length <= LONGEST_SPACING:
            y = normal / length
            hkl = np.rint(crystal.lattice @ normal).astype(int)
            return Zone(
                along=along,
                across=(int(hkl[0]), int(hkl[1]), int(hkl[2])),
                spacing=1 / length,
                axes=np.stack([np.cross(y, beam), y, beam]),
            )
    msg = f"{crystal.name}: no planes along {along}"
    raise RuntimeError(msg)


def _by_length(basis: Float64, reach: int = _REACH) -> Iterator[Float64]:
    """Yield lattice vectors, shortest first, one of each pair of opposite ones."""
    steps = range(-reach, reach + 1)
    grid = np.array([(i, j, k) for i in steps for j in steps for k in steps])
    grid = grid[[tuple(n) > (0, 0, 0) and gcd(*map(int, n)) == 1 for n in grid]]
    vectors = grid @ basis
    # Equal lengths differ in their last digits: the indices decide between them.
    lengths = np.round(np.linalg.norm(vectors, axis=1), 6)
    order = np.lexsort((*(-grid.T), lengths))
    yield from vectors[order]


def _parallel(one: Float64, other: Float64) -> bool:
    sizes = np.linalg.norm(one) * np.linalg.norm(other)
    return bool(np.linalg.norm(np.cross(one, other)) < _SAME * sizes)


def _coprime(indices: Float64) -> tuple[int, int, int]:
    """Return whole numbers in the ratio of halves, thirds and quarters."""
    whole = np.rint(indices * 12).astype(int)
    u, v, w = (int(n) // gcd(*map(int, whole)) for n in whole)
    return u, v, w
