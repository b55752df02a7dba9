"""Crystal structures: pymatgen's AFLOW prototypes or CIF files, each confirmed by spglib."""

import gzip
import json
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from scidata.datasets.stemdl import symmetry
from scidata.datasets.stemdl.symmetry import Cell, Float64, Int
from scidata.errors import InvalidError, Problem

PRECISE, LOOSE = 1e-3, 1e-2
"""Distance in angstrom within which spglib takes sites as equal: of prototypes, of CIFs."""
MOST_ATOMS = 64
"""In the conventional cell."""
_CLOSEST = 0.9
"""Angstrom between two atoms; nearer ones are an error of the file."""
_MOST_CIF_BYTES = 4 * 2**20
_NEEDED = ("abtem", "spglib", "pymatgen", "ase")


@dataclass(frozen=True, kw_only=True)
class Crystal:
    """A crystal in the standard setting of its space group."""

    name: str
    """Of the structure, and prototype of its homologues."""
    space_group: int
    """As spglib finds it."""
    lattice: Float64
    """(3, 3) angstrom; rows are the vectors of the conventional cell."""
    places: Float64
    """(N, 3), in units of the cell."""
    numbers: Int
    """(N,) atomic numbers."""
    precision: float = PRECISE

    @property
    def cell(self) -> Cell:
        """Lattice, places and numbers."""
        return self.lattice, self.places, self.numbers

    @property
    def formula(self) -> str:
        """Of the conventional cell, such as ``Cl4 Na4``."""
        from ase.data import chemical_symbols

        counts = {chemical_symbols[z]: int((self.numbers == z).sum()) for z in self.numbers}
        return " ".join(f"{symbol}{counts[symbol]}" for symbol in sorted(counts))

    @property
    def lengths(self) -> Float64:
        """Of the cell, (3,) angstrom."""
        return np.asarray(np.linalg.norm(self.lattice, axis=1), np.float64)

    @property
    def angles(self) -> Float64:
        """Of the cell, (3,) degrees: alpha, beta, gamma."""
        units = self.lattice / self.lengths[:, None]
        cosines = [units[1] @ units[2], units[0] @ units[2], units[0] @ units[1]]
        return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1, 1))), np.float64)


def require_extra() -> None:
    """Raise `InvalidError` unless what simulates is installed."""
    absent = [module for module in _NEEDED if find_spec(module) is None]
    if absent:
        raise InvalidError(
            f"patterns are simulated with {', '.join(absent)}, which is not installed",
            where="stemdl-mini",
            fix='pip install "fair-scidata[stem]"',
        )


def standardise(
    name: str, lattice: Float64, places: Float64, numbers: Int, precision: float = PRECISE
) -> Crystal:
    """Bring a structure into the standard setting, and find its space group.

    Raises
    ------
    InvalidError
        If spglib finds no symmetry, or another one once the setting is the standard one; if
        the cell is too large; or if two atoms are too near.
    """
    if len(numbers) > 4 * MOST_ATOMS:
        raise refuse(name, "crystal-size", f"its cell has {len(numbers)} atoms")
    cell = (lattice, places, numbers)
    first, turned = symmetry.dataset(cell, precision), symmetry.standard(cell, precision)
    if first is None or turned is None:
        raise refuse(name, "symmetry", "spglib finds no symmetry in it")
    found = Crystal(
        name=name,
        space_group=int(first.number),
        lattice=turned[0],
        places=turned[1],
        numbers=turned[2],
        precision=precision,
    )
    if len(found.numbers) > MOST_ATOMS:
        raise refuse(name, "crystal-size", f"its cell has {len(found.numbers)} atoms")
    confirm(found)
    return found


def confirm(crystal: Crystal) -> None:
    """Raise `InvalidError` unless spglib finds the stated space group, and no atoms overlap."""
    again = symmetry.dataset(crystal.cell, crystal.precision)
    if again is None or again.number != crystal.space_group:
        got = again.number if again else "none"
        message = f"its space group should be {crystal.space_group}, spglib finds {got}"
        raise refuse(crystal.name, "symmetry", message)
    nearest = closest(crystal)
    if nearest < _CLOSEST:
        message = f"two of its atoms are {nearest:.2f} angstrom apart"
        raise refuse(crystal.name, "overlap", message)


def closest(crystal: Crystal) -> float:
    """Return the least distance of two atoms, in angstrom."""
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = crystal.places[:, None] - crystal.places[None]
    apart = (apart - np.round(apart))[:, :, None] + shifts
    distances = np.linalg.norm(apart @ crystal.lattice, axis=-1)
    return float(distances[distances > 1e-6].min())  # noqa: PLR2004 - the atom itself


def prototypes() -> list[Crystal]:
    """Read the prototypes that ship with pymatgen, those of at most 64 atoms, by name."""
    found: dict[str, Crystal] = {}
    for entry in _aflow():
        tags, structure = entry["tags"], entry["snl"]
        name = str(tags["aflow"])
        sites = structure["sites"]
        try:
            crystal = standardise(
                f"aflow-{name}",
                np.array(structure["lattice"]["matrix"], np.float64),
                np.array([site["abc"] for site in sites], np.float64),
                _numbers(site["species"] for site in sites),
            )
        except InvalidError:
            continue  # too large, or atoms overlap: an entry of a collection, not a user's file
        found.setdefault(crystal.name, crystal)
    return [found[name] for name in sorted(found)]


def read_cif(path: Path, name: str) -> Crystal:
    """Read a CIF file.

    Raises
    ------
    InvalidError
        If it cannot be read, has sites that are not full, or `standardise` refuses it.
    """
    from ase.io import read

    if path.stat().st_size > _MOST_CIF_BYTES:
        raise refuse(name, "cif", "it is too large for a structure")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of settings and tags that do not matter here
            atoms: Any = read(str(path), format="cif")  # Any: ase.Atoms
        lattice = np.asarray(atoms.cell.array, np.float64)
        places = np.asarray(atoms.get_scaled_positions(), np.float64)
        numbers = np.asarray(atoms.numbers, np.int64)
    except Exception as error:
        raise refuse(name, "cif", f"it cannot be read as a structure: {error}") from error
    partial = any(
        len(held) > 1 or min(held.values()) < 1
        for held in (atoms.info.get("occupancy") or {}).values()
    )
    if partial or not len(numbers):
        raise refuse(name, "cif", "its sites are not all full, or it has none")
    return standardise(name, lattice, places, numbers, LOOSE)


def refuse(name: str, code: str, message: str) -> InvalidError:
    """Say what is wrong with a structure."""
    problem = Problem(
        code=code,
        path=name,
        message=message,
        fix="mend it or move it away, or skip such files: --damaged skip",
    )
    return InvalidError.listing([problem], where=name, fix=problem.fix)


def _aflow() -> list[Any]:  # Any: JSON
    spec = find_spec("pymatgen.analysis.prototypes")
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "aflow_prototypes.json.gz"
        if path.is_file():
            entries: list[Any] = json.loads(gzip.decompress(path.read_bytes()))
            return entries
    raise InvalidError(
        "pymatgen is installed without its prototypes",
        where="pymatgen.analysis.prototypes",
        fix='pip install "fair-scidata[stem]"',
    )


def _numbers(species: Any) -> Int:  # Any: JSON
    from ase.data import atomic_numbers

    return np.array([atomic_numbers[held[0]["element"]] for held in species], np.int64)
