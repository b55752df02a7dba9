"""Reading tables of text: comma or tab, gzip or plain, with refusals that name the file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, NotFoundError, Problem

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = npt.NDArray[np.float32]

_MISSING = ("", "na", "NA", "-", "nan", "NaN")


def find(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Find files by role, in a folder or those in it; ``.gz`` may be appended or missing.

    Raises
    ------
    NotFoundError
        With every name that is absent.
    """
    found, absent = {}, []
    places = (folder, *sorted(path for path in folder.iterdir() if path.is_dir()))
    for role, name in names.items():
        written = (place / each for place in places for each in (name, f"{name}.gz"))
        there = [path for path in written if path.is_file()]
        if there:
            found[role] = there[0]
        else:
            absent.append(name)
    if absent:
        raise NotFoundError(
            f"{str(folder)!r} lacks {', '.join(absent)}",
            where=str(folder),
            fix=f"give a folder that holds {', '.join(names.values())}, gzipped or not",
        )
    return found


def read_table(path: Path, columns: Sequence[str] = (), *, sep: str = ",") -> "pd.DataFrame":
    """Read a table, first line its header.

    Raises
    ------
    InvalidError
        If it is no such table, or lacks one of the columns.
    """
    import pandas as pd

    try:
        table: pd.DataFrame = pd.read_csv(
            path, sep=sep, na_values=list(_MISSING), keep_default_na=False, low_memory=False
        )
    except (ValueError, OSError, EOFError) as error:
        raise refuse(path, "table", f"it cannot be read: {error}") from error
    if lacking := [name for name in columns if name not in table.columns]:
        raise refuse(path, "columns", f"it lacks the columns {', '.join(lacking)}")
    return table


def read_rows(path: Path, columns: int | None, *, sep: str = "\t") -> "pd.DataFrame":
    """Read a table without a header, of so many columns if that is known.

    Raises
    ------
    InvalidError
        If it is no such table.
    """
    import pandas as pd

    try:
        table: pd.DataFrame = pd.read_csv(path, sep=sep, header=None, low_memory=False)
    except (ValueError, OSError, EOFError) as error:
        raise refuse(path, "table", f"it cannot be read: {error}") from error
    if columns is not None and len(table.columns) != columns:
        raise refuse(path, "columns", f"it has {len(table.columns)} columns, not {columns}")
    return table


def read_features(path: Path, *, sep: str = ",") -> tuple[list[str], list[str], Floats]:
    """Read a table whose first column names the rows: names, columns, (rows, columns) values.

    Raises
    ------
    InvalidError
        If something but the first column is no number, or a name is there twice.
    """
    table = read_table(path, sep=sep)
    names = table.iloc[:, 0].astype(str).tolist()
    if len(set(names)) < len(names):
        raise refuse(path, "twice", "a name in its first column is there twice")
    values = numbers_of(path, table.iloc[:, 1:])
    return names, [str(name) for name in table.columns[1:]], values


def numbers_of(path: Path, table: "pd.DataFrame") -> Floats:
    """Return what a table holds as numbers.

    Raises
    ------
    InvalidError
        If something in it is no number, or infinite.
    """
    try:
        values = table.to_numpy(np.float32)
    except (TypeError, ValueError) as error:
        raise refuse(path, "numbers", f"not all of it are numbers: {error}") from error
    if np.isinf(values).any():
        raise refuse(path, "numbers", "it holds infinite numbers")
    return values


def aligned(wanted: Sequence[str], names: Sequence[str], values: Floats) -> Floats:
    """Put rows in another order; NaN for those that are absent."""
    place = {name: n for n, name in enumerate(names)}
    found = np.full((len(wanted), values.shape[1]), np.nan, np.float32)
    for n, name in enumerate(wanted):
        if name in place:
            found[n] = values[place[name]]
    return found


def refuse(path: Path, code: str, message: str) -> InvalidError:
    """Make the error for a file that cannot be used."""
    fix = "give the file as it was published"
    problem = Problem(code=code, path=path.name, message=message, fix=fix)
    return InvalidError.listing([problem], where=str(path), fix=fix)
