"""The array stores and tables of a staged dataset, as far as their metadata tell."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from scidata.errors import Problem
from scidata.facts import Variable
from scidata.measure import Surveyed

Assets: TypeAlias = Mapping[str, tuple[Variable, ...]]
"""The variables of each array store and table, by the asset's key."""


def opaque_warnings(surveyed: Surveyed) -> Iterator[Problem]:
    """Say once of each asset of another form that nothing in it was compared."""
    for path in surveyed.opaque.values():
        message = "not looked into: arrays are read from Zarr v3 stores, tables from Parquet"
        fix = "publish it as it is; to_xarray, to_pandas and streams do not read it"
        yield warning("not-looked-into", path, message, fix)


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
