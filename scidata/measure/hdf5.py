"""Variables of HDF5 and NetCDF 4 files: names, shapes and notes; no values are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from scidata.facts import Variable

READING = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
"""What h5py and h5netcdf raise of files that are damaged, or are not what they seem.

The last one comes of files with a committed type of plain numbers, which h5netcdf 1.8 takes
for one of its own.
"""
MAX_GROUPS = 10_000
MAX_VARIABLES = 10_000


def file_variables(path: Path) -> tuple[Variable, ...]:
    """Describe a file's variables; in groups the name is the path, such as ``coarse/depth``.

    Returns
    -------
    tuple of Variable
        Sorted by name. None of a file that is NetCDF 3 or damaged, whatever it is called, or
        that holds more than 10,000: it can be published all the same.
    """
    try:
        with path.open("rb") as file:
            found = [_variable(name, held) for name, held in _walk(file)]
    except READING:
        return ()
    if len(found) > MAX_VARIABLES:
        return ()
    return tuple(sorted(found, key=lambda v: v.name))


def groups_with_variables(file: IO[bytes]) -> set[str]:
    """Return the paths of the groups that hold variables, "" for the root."""
    return {name.rpartition("/")[0] for name, _ in _walk(file)}


def _walk(file: IO[bytes]) -> Iterator[tuple[str, Any]]:  # Any: a variable of h5netcdf
    """Yield path and variable, group by group, as far as there are limits."""
    import h5netcdf

    count = 0
    with h5netcdf.File(file, "r", phony_dims="sort") as root:
        groups: list[Any] = [root]  # Any: groups of h5netcdf
        # Limited: links may make a group hold itself.
        for seen, group in enumerate(groups):
            for name, held in group.variables.items():
                count += 1
                yield f"{group.name}/{name}".lstrip("/"), held
            if seen >= MAX_GROUPS or count > MAX_VARIABLES:
                return
            groups += group.groups.values()


def _variable(path: str, held: Any) -> Variable:  # Any: a variable of h5netcdf
    dims = tuple(name.rpartition("/")[2] for name in held.dimensions)
    notes = {name: _text(held, name) for name in ("units", "long_name", "standard_name")}
    return Variable(
        name=path,
        dtype=str(held.dtype),
        dims=dims,
        shape=tuple(int(n) for n in held.shape),
        units=notes["units"],
        description=notes["long_name"] or _text(held, "description"),
        standard_name=notes["standard_name"],
        coordinate=dims == (path.rpartition("/")[2],),
    )


def _text(held: Any, name: str) -> str | None:  # Any: a variable of h5netcdf
    value = held.attrs.get(name)
    return value.strip() or None if isinstance(value, str) else None
