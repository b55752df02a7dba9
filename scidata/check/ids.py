"""Which ids of a split are no entries of the dimension or column that they are of.

What an id means is said by `scidata.split.meaning`. Only the coordinate or column of the
dimension's name is read.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from scidata import split
from scidata.check.assets import Assets, table_files

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Labels: TypeAlias = npt.NDArray[np.generic]

MAX_ENTRIES = 10_000_000  # coordinates beyond are not read: a check is cheap
MAX_BYTES = 2**30  # nor are those whose metadata claim chunks that do not fit into memory

_SINCE = re.compile(r"(days|hours|minutes|seconds) since (\d{4}-\d\d-\d\d(?:[T ][\d:]+)?)Z?")
_CALENDARS = {None, "standard", "gregorian", "proleptic_gregorian"}
_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
_MICRO = 10**6


def read_labels(dimension: str, *, staged: Path, assets: Assets) -> "list[Labels]":
    """Read the coordinate or column of a dimension's name from each asset that has one.

    Returns
    -------
    list of array, (N,)
        None of those with more than 10 million entries.

    Raises
    ------
    ValueError, RuntimeError, LookupError, OSError
        If a coordinate or column cannot be decoded.
    """
    return list(_labels(dimension, staged, assets))


def unknown_ids(ids: Iterable[str], labels: "Sequence[Labels]") -> list[str]:
    """Return the ids that mean no label of any array."""
    left = list(ids)
    for held in labels:
        known = set(split.label_meanings(held))
        left = [i for i in left if split.meaning(i, held.dtype.kind) not in known]
    return left


def repeated_ids(ids: Iterable[str], labels: "Sequence[Labels]") -> tuple[str, str] | None:
    """Return two ids that mean one label of an array."""
    listed = list(ids)
    for held in labels:
        known = set(split.label_meanings(held))
        kind = held.dtype.kind
        found = split.repeated((i for i in listed if split.meaning(i, kind) in known), kind)
        if found:
            return found
    return None


def _labels(dimension: str, staged: Path, assets: Assets) -> "Iterator[Labels]":
    for key, variables in assets.items():
        for variable in variables:
            if variable.name != dimension or len(variable.shape) != 1:
                continue
            if variable.shape[0] > MAX_ENTRIES:
                continue
            store = staged / "data" / f"{key}.zarr"
            if store.is_dir():
                yield _coordinate(store, dimension)
            else:
                yield _column(staged / "data" / f"{key}.parquet", dimension)


def _coordinate(store: Path, name: str) -> "Labels":
    import numpy as np
    import zarr

    array = zarr.open_array(str(store), path=name, mode="r", zarr_format=3)
    largest = max(array.size, math.prod(array.chunks), math.prod(array.shards or ()))
    if largest * array.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{name!r} takes more than {MAX_BYTES} bytes")
    values = np.asarray(array[...])
    since = _SINCE.fullmatch(str(array.attrs.get("units")))
    if since and array.attrs.get("calendar") in _CALENDARS:
        unit = _SECONDS[since[1]] * _MICRO
        whole = values.dtype.kind in "iu"
        micro = values.astype(np.int64) * unit if whole else np.rint(values * unit)
        start = np.datetime64(since[2].replace(" ", "T"), "us")
        moments: Labels = start + micro.astype("timedelta64[us]")
        return moments
    return values


def _column(entry: Path, name: str) -> "Labels":
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [pq.read_table(file, columns=[name])[name] for file in table_files(entry)]
    column = pa.chunked_array([chunk for part in parts for chunk in part.chunks])
    return np.asarray(column.to_numpy())
