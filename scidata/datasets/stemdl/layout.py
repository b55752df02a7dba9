"""How samples lie in ``data/patterns.zarr``: three scaled patterns, and what is known."""

from collections.abc import Collection, Mapping

from scidata.datasets.samples import Fact, Layout, Variable
from scidata.errors import InvalidError, Problem

ASSET, VARIABLE = "patterns", "cbed_stack"
PROJECTIONS = 3
GROUPS = range(1, 231)
"""Numbers of the space groups."""

_EACH, _AXIS = {"projection": PROJECTIONS}, {"axis": 3}
_HKL = {**_EACH, "hkl": 3}
FACTS: Mapping[str, Fact] = {
    "space_group": Fact(
        dtype="int16", attributes={"units": "1", "long_name": "number of the space group"}
    ),
    "energy_keV": Fact(
        dtype="float32", attributes={"units": "keV", "long_name": "energy of the beam"}
    ),
    "z_dirs": Fact(
        dtype="float64", attributes={"units": "1", "long_name": "zone axis"}, shape=_HKL
    ),
    "y_dirs": Fact(
        dtype="float64",
        attributes={"units": "1", "long_name": "transverse direction"},
        shape=_HKL,
    ),
    "semi_angles_rad": Fact(
        dtype="float64",
        attributes={"units": "rad", "long_name": "convergence half-angle"},
        shape=_EACH,
    ),
    "d_hkls_angstrom": Fact(
        dtype="float64",
        attributes={"units": "angstrom", "long_name": "spacing of the planes"},
        shape=_EACH,
    ),
    "abc_angstrom": Fact(
        dtype="float64",
        attributes={"units": "angstrom", "long_name": "lengths of the cell"},
        shape=_AXIS,
    ),
    "angles_degree": Fact(
        dtype="float64",
        attributes={"units": "degree", "long_name": "angles of the cell"},
        shape=_AXIS,
    ),
    "material": Fact(
        dtype="str",
        attributes={"long_name": "material; samples of one belong to one side"},
    ),
    "formula": Fact(dtype="str", attributes={"long_name": "chemical formula of the cell"}),
    "prototype": Fact(
        dtype="str", attributes={"long_name": "structure that the material was made after"}
    ),
}
"""Every attribute of a sample, as published; and the prototype of a simulated one."""


def layout(title: str, side: int, facts: Collection[str], *, chunk: int, shard: int) -> Layout:
    """Lay out samples.

    Parameters
    ----------
    title : str
    side : int
        Pixels on a side of a pattern.
    facts : collection of str
        Names of `FACTS` that every sample has.
    chunk, shard : int
        Samples in an inner chunk, and in a shard.
    """
    return Layout(
        asset=ASSET,
        title=title,
        dimension="sample",
        naming="file and group, or material and energy",
        variables={
            VARIABLE: Variable(
                shape={"projection": PROJECTIONS, "y": side, "x": side},
                dtype="float32",
                attributes={
                    "units": "1",
                    "long_name": "logarithm of the diffracted intensity, 0 to 255",
                },
                codec="lz4",
            )
        },
        facts={name: FACTS[name] for name in facts},
        chunk=chunk,
        shard=shard,
    )


def refuse(name: str, code: str, message: str) -> InvalidError:
    """Say what is wrong with a file or a sample."""
    return InvalidError.listing([problem(name, code, message)], where=name, fix=_FIX)


def problem(name: str, code: str, message: str) -> Problem:
    """Say what is wrong with a sample."""
    return Problem(code=code, path=name, message=message, fix=_FIX)


_FIX = "get it again or move it away, or skip such samples: --damaged skip"
