"""Materials of the same structure: other elements of the same columns, another size of cell."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scidata.datasets.stemdl.crystals import Crystal, confirm
from scidata.errors import InvalidError

COLUMNS = tuple(
    tuple(column.split())
    for column in (
        "Li Na K Rb Cs",
        "Be Mg Ca Sr Ba",
        "Sc Y La Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
        "Ti Zr Hf",
        "V Nb Ta",
        "Cr Mo W",
        "Mn Tc Re",
        "Fe Ru Os",
        "Co Rh Ir",
        "Ni Pd Pt",
        "Cu Ag Au",
        "Zn Cd Hg",
        "B Al Ga In Tl",
        "C Si Ge Sn Pb",
        "N P As Sb Bi",
        "O S Se Te",
        "F Cl Br I",
        "He Ne Ar Kr Xe",
        "Th Pa U Np Pu",
    )
)
"""Elements that take each other's place; hydrogen and those not named keep theirs."""
_WIDEST = 0.15
"""Change of the cell's lengths at most, as a share."""
_TRIES = 40


def homologues(crystal: Crystal, seed: int) -> Iterator[Crystal]:
    """Yield the crystal, then others of its structure, each with elements of its own.

    Lengths change as the mean covalent radius does, by 15 percent at most. The same seed gives
    the same ones; of a crystal whose elements have no others there are none.
    """
    from ase.data import atomic_numbers, covalent_radii

    yield crystal
    others = {
        atomic_numbers[symbol]: [atomic_numbers[other] for other in column]
        for column in COLUMNS
        for symbol in column
    }
    kinds = sorted({int(z) for z in crystal.numbers})
    digest = hashlib.sha256(f"stemdl-mini/{seed}/{crystal.name}".encode()).digest()
    random = np.random.default_rng(np.frombuffer(digest, np.uint32))
    seen = {tuple(kinds)}
    for _ in range(_TRIES):
        drawn = tuple(int(random.choice(others.get(z, [z]))) for z in kinds)
        if drawn in seen or len(set(drawn)) < len(kinds):
            continue
        seen.add(drawn)
        numbers = np.array([drawn[kinds.index(int(z))] for z in crystal.numbers], np.int64)
        ratio = covalent_radii[numbers].mean() / covalent_radii[crystal.numbers].mean()
        scale = float(np.clip(ratio, 1 - _WIDEST, 1 + _WIDEST))
        made = replace(crystal, numbers=numbers, lattice=crystal.lattice * scale)
        try:
            confirm(made)
        except InvalidError:
            continue  # atoms too near: no material
        yield made
