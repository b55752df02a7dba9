"""Which ids of a split are no entries of the dimension or column that they are of.

An id is an entry's text: a whole number (leading zeros allowed), a date or time, or the string
itself. Only the coordinate or column of the dimension's name is read.
"""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scidata.check.assets import Assets, table_files

MAX_ENTRIES = 10_000_000  # coordinates beyond are not read: a check is cheap
MAX_BYTES = 2**30  # nor are those whose metadata claim chunks that do not fit into memory

_SINCE = re.compile(r"(days|hours|minutes|seconds) since (\d{4}-\d\d-\d\d(?:[T ][\d:]+)?)Z?")
_CALENDARS = {None, "standard", "gregorian", "proleptic_gregorian"}
_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def unknown_ids(
    ids: Iterable[str], dimension: str, *, staged: Path, assets: Assets
) -> list[str] | None:
    """Return the ids that no coordinate or column of the dimension has.

    Returns
    -------
    list of str or None
        None if there is nothing to compare with.

    Raises
    ------
    ValueError, RuntimeError, LookupError, OSError
        If a coordinate or column cannot be decoded.
    """
    compared = False
    left = list(ids)
    for entries in _entries(dimension, staged, assets):
        compared = True
        known = _known(left, entries)
        left = [i for i, found in zip(left, known, strict=True) if not found]
    return left if compared else None


def _entries(dimension: str, staged: Path, assets: Assets) -> Iterator[Any]:  # Any: arrays
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


def _coordinate(store: Path, name: str) -> Any:  # Any: a NumPy array of the data's type
    import numpy as np
    import zarr

    array = zarr.open_array(str(store), path=name, mode="r")
    largest = max(array.size, math.prod(array.chunks), math.prod(array.shards or ()))
    if largest * array.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{name!r} takes more than {MAX_BYTES} bytes")
    values = np.asarray(array[...])
    since = _SINCE.fullmatch(str(array.attrs.get("units")))
    if since and array.attrs.get("calendar") in _CALENDARS:
        seconds = (values * _SECONDS[since[1]]).astype("int64").astype("timedelta64[s]")
        return np.datetime64(since[2].replace(" ", "T"), "s") + seconds
    return values


def _column(entry: Path, name: str) -> Any:  # Any: a NumPy array of the data's type
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [pq.read_table(file, columns=[name])[name] for file in table_files(entry)]
    column = pa.chunked_array([chunk for part in parts for chunk in part.chunks])
    return np.asarray(column.to_numpy())


def _known(ids: list[str], entries: Any) -> list[bool]:  # Any: a NumPy array
    import numpy as np

    if entries.dtype.kind in "iu":
        held = {int(entry) for entry in entries}
        return [i.isascii() and i.isdigit() and int(i) in held for i in ids]
    if entries.dtype.kind == "M":
        moments = {entry.item() for entry in entries.astype("datetime64[s]")}
        return [_moment(i) in moments for i in ids]
    texts = {str(entry) for entry in np.asarray(entries, dtype=object)}
    return [i in texts for i in ids]


def _moment(text: str) -> object:
    import numpy as np

    try:
        return np.datetime64(text.removesuffix("Z"), "s").item()
    except ValueError:
        return text  # no date: it equals none
