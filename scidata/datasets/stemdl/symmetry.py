"""What spglib says of a cell: lattice, places and atomic numbers. None if it finds nothing."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Int: TypeAlias = npt.NDArray[np.int64]
Cell: TypeAlias = tuple[Float64, Float64, Int]
"""Rows of vectors in angstrom (3, 3), places in units of them (N, 3), atomic numbers (N,)."""


def dataset(cell: Cell, precision: float) -> Any | None:  # Any: spglib's own class
    """Return group, rotations and more; sites within so many angstrom are equal."""
    return _asked(_spglib().get_symmetry_dataset, cell, symprec=precision)


def standard(cell: Cell, precision: float) -> Cell | None:
    """Return the conventional cell in the standard setting."""
    return _cell(_asked(_spglib().standardize_cell, cell, symprec=precision))


def primitive(cell: Cell, precision: float) -> Cell | None:
    """Return the primitive cell, its vectors the shortest ones."""
    found = _cell(_asked(_spglib().find_primitive, cell, symprec=precision))
    if found is None:
        return None
    reduced = _asked(_spglib().niggli_reduce, found[0])
    return None if reduced is None else (np.asarray(reduced, np.float64), *found[1:])


def _cell(found: Any) -> Cell | None:  # Any: spglib's three arrays, or None
    if found is None:
        return None
    lattice, places, numbers = found
    return (
        np.asarray(lattice, np.float64),
        np.asarray(places, np.float64),
        np.asarray(numbers, np.int64),
    )


def _asked(function: Callable[..., Any], *cell: Any, **options: float) -> Any:  # Any: as above
    try:
        return function(*cell, **options)
    except _spglib().SpglibError:
        return None


@cache
def _spglib() -> Any:  # Any: the module, not all of which has types
    import spglib
    import spglib.error

    # Otherwise every call warns that a failure will be raised, not returned, some day.
    spglib.error.OLD_ERROR_HANDLING = False
    return spglib
