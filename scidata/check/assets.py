"""The array stores and tables of a staged dataset, as far as their metadata tell."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from scidata.errors import Problem
from scidata.facts import Variable
from scidata.formats.media import CSV, HDF5_SUFFIXES, TSV, media_type
from scidata.measure import Entry, Surveyed

Assets: TypeAlias = Mapping[str, tuple[Variable, ...]]
"""The variables of each array store and table, by the asset's key."""

_PACKED = re.compile(r"\.(gz|bz2|xz)$", re.IGNORECASE)


def opaque_warnings(surveyed: Surveyed) -> Iterator[Problem]:
    """Say once of each asset of another form that nothing in it was compared."""
    opaque = set(surveyed.opaque.values()) - {problem.path for problem in surveyed.problems}
    for entry in surveyed.entries:
        if entry.path in opaque:
            yield warning("not-looked-into", entry.path, *_opaque(entry))


def _opaque(entry: Entry) -> tuple[str, str]:
    """Say why nothing in it was compared, and what its readers can do with it."""
    message = "not looked into: arrays are compared in Zarr v3 stores, tables in Parquet"
    if entry.variables:
        return (
            message,
            "it is published as it is; to_xarray reads it, and scidata show lists it",
        )
    if entry.path.lower().endswith(HDF5_SUFFIXES):
        return (
            "no variable can be read: it is NetCDF-3, empty, damaged, or holds links or types "
            "that NetCDF does not know",
            "open it with ncdump -h or h5dump -H; it is published as it is",
        )
    if entry.path.endswith(".parquet"):
        others = (path for path in entry.files if not path.endswith(".parquet"))
        first = next(others, entry.path).removeprefix(f"{entry.path}/")
        return (
            f"not looked into: not all of its files are Parquet, such as {first!r}",
            "remove the others, and it is a table",
        )
    if media_type(_PACKED.sub("", entry.path)) in {CSV, TSV}:
        return message, "it is published as it is; to_pandas reads it, and streams do not"
    return message, "it is published as it is; readers fetch it with scidata pull"


def table_files(entry: Path) -> list[Path]:
    """List the files of a table, which is one file or a folder of them."""
    return sorted(entry.rglob("*.parquet")) if entry.is_dir() else [entry]


def lengths(assets: Assets, dimension: str) -> list[int]:
    """List how many entries each variable has along a dimension, and columns of its name."""
    variables = [variable for held in assets.values() for variable in held]
    along = [
        length
        for variable in variables
        for dim, length in zip(variable.dims, variable.shape, strict=True)
        if dim == dimension
    ]
    columns = [v.shape[0] for v in variables if v.name == dimension and v.shape]
    return along + columns


def one_of(names: Iterable[str]) -> str:
    """Write the remedy for a name that is none of these."""
    listed = ", ".join(sorted(names))
    return f"write one of {listed}" if listed else "build the data first"


def error(code: str, path: str, message: str, fix: str) -> Problem:
    """Make a problem that keeps a dataset from being published."""
    return Problem(code=code, path=path, message=message, fix=fix)


def warning(code: str, path: str, message: str, fix: str) -> Problem:
    """Make a problem that does not."""
    return Problem(code=code, path=path, message=message, fix=fix, severity="warning")
