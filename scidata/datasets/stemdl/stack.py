"""One sample: three scaled patterns and what is known of their crystal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from scidata.datasets.array_store import Attributes
from scidata.datasets.stemdl.scaling import Float
from scidata.errors import InvalidError, Problem

PROJECTIONS = 3
GROUPS = range(1, 231)
"""Numbers of the space groups."""

Facts: TypeAlias = Mapping[str, Any]  # Any: numbers, texts and lists of numbers, by name

_AXES = ("projection", "hkl")
FACTS: Mapping[str, tuple[tuple[str, ...], str, Attributes]] = {
    "space_group": ((), "int16", {"units": "1", "long_name": "number of the space group"}),
    "energy_keV": ((), "float32", {"units": "keV", "long_name": "energy of the beam"}),
    "z_dirs": (_AXES, "float64", {"units": "1", "long_name": "zone axis"}),
    "y_dirs": (_AXES, "float64", {"units": "1", "long_name": "transverse direction"}),
    "semi_angles_rad": (
        ("projection",), "float64", {"units": "rad", "long_name": "convergence half-angle"},
    ),
    "d_hkls_angstrom": (
        ("projection",), "float64", {"units": "angstrom", "long_name": "spacing of the planes"},
    ),
    "abc_angstrom": (
        ("axis",), "float64", {"units": "angstrom", "long_name": "lengths of the cell"},
    ),
    "angles_degree": (
        ("axis",), "float64", {"units": "degree", "long_name": "angles of the cell"},
    ),
    "material": ((), "str", {"long_name": "material; samples of one belong to one side"}),
    "formula": ((), "str", {"long_name": "chemical formula of the cell"}),
    "prototype": ((), "str", {"long_name": "structure that the material was made after"}),
}  # fmt: skip
"""Dimensions beside the sample's, type and attributes of each fact, as published."""

LENGTHS = {"projection": PROJECTIONS, "hkl": 3, "axis": 3}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A sample."""

    id: str
    patterns: Float
    """(3, side, side) float32, 0 to 255."""
    facts: Facts
    """By names of `FACTS`; in a store all samples have the same ones."""


class Unit(Protocol):
    """Samples that are made together, in whichever process."""

    @property
    def stamp(self) -> str:
        """Another one if it would give other samples."""
        ...

    @property
    def count(self) -> int:
        """Samples at most."""
        ...

    def produce(self) -> Sequence[Stack | Problem]:
        """Make the samples; what is wrong with one stands in its place."""
        ...


def refuse(name: str, code: str, message: str) -> InvalidError:
    """Say what is wrong with a file or a sample."""
    return InvalidError.listing([problem(name, code, message)], where=name, fix=_FIX)


def problem(name: str, code: str, message: str) -> Problem:
    """Say what is wrong with a sample."""
    return Problem(code=code, path=name, message=message, fix=_FIX)


_FIX = "get it again or move it away, or skip such samples: --damaged skip"
