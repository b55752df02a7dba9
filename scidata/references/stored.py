"""What the header of a file says: which arrays it holds, and where their bytes lie.

One file a format, `hdf5` and `netcdf3`, tells it; `combine` makes an index of many headers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Coordinates: TypeAlias = tuple[int, ...]
"""Of a chunk in the grid of chunks."""
Span: TypeAlias = tuple[int, int]
"""First byte of a chunk in its file, and how many there are."""
Codec: TypeAlias = Mapping[str, Any]
"""Name and configuration as Zarr v3 writes them, in the order of encoding."""
Values: TypeAlias = npt.NDArray[Any]

SLAB_BYTES = 2**20
"""What is stored in one piece is divided into slabs of this size at most, where it can be."""
MAX_SLABS = 4096
SMALL_BYTES = 64 * 2**10
LABEL_BYTES = 8 * 2**20
"""Labels of one dimension, and values along the one that files are joined by."""
MAX_TEXTS = 4096
PHONY = "phony_dim_"
"""Begins the names of dimensions that have none, as NetCDF-4 calls them."""
MAX_CHUNKS = 2_000_000
"""Of one array in one file."""


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array in a file: what its bytes mean, and where each chunk of them lies."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    """With its byte order; texts have the kind ``U``."""
    fill: Any = None
    """Of chunks that were never written; None for zero."""
    codecs: tuple[Codec, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[Coordinates, Span] = field(default_factory=dict)
    """A chunk that is not there was never written."""
    values: Values | None = None
    """Of small arrays that are compared or copied into the index."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """All arrays of a file by their path in it, such as ``coarse/depth``."""

    arrays: Mapping[str, StoredArray]
    omitted: Mapping[str, str]
    """Arrays that Zarr cannot express, and why."""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Along:
    """The dimension by which files are put together."""

    dimension: str
    kind: Literal["new", "existing"]

    def copies(self, path: str, dims: Sequence[str], nbytes: int) -> bool:
        """Tell whether an array's values are read: they are labels, or small and the same.

        Everything else is referred to where it lies.
        """
        if self.kind == "existing" and self.dimension not in dims:
            return nbytes <= (LABEL_BYTES if is_label(path, dims) else SMALL_BYTES)
        if self.kind == "existing":
            return len(dims) == 1 and nbytes <= LABEL_BYTES
        return (is_label(path, dims) and nbytes <= LABEL_BYTES) or not dims


def is_label(path: str, dims: Sequence[str]) -> bool:
    """Tell whether an array names the entries of its own dimension."""
    return tuple(dims) == (path.rpartition("/")[2],)


def slabs(
    shape: tuple[int, ...], itemsize: int, start: int
) -> tuple[tuple[int, ...], dict[Coordinates, Span]]:
    """Divide numbers that are stored in one piece, from byte `start`, into equal slabs.

    Equal, because all chunks of a Zarr array are. Returns the shape of a slab, and where each
    lies.
    """
    total = prod(shape) * itemsize
    if not shape or not total:
        chunks = tuple(max(n, 1) for n in shape)
        return chunks, {(0,) * len(shape): (start, total)} if total else {}
    rows = _rows(shape[0], total // shape[0])
    size = rows * (total // shape[0])
    rest = (0,) * (len(shape) - 1)
    spans = {(n, *rest): (start + n * size, size) for n in range(shape[0] // rows)}
    return (rows, *shape[1:]), spans


def _rows(length: int, row: int) -> int:
    """Return how many rows a slab has: the largest divisor of all that is small enough."""
    least = -(-length // MAX_SLABS)
    wanted = max(SLAB_BYTES // max(row, 1), least, 1)
    if wanted >= length:
        return length
    divisors = [
        d for n in range(1, int(length**0.5) + 1) if not length % n for d in (n, length // n)
    ]
    small = [d for d in divisors if least <= d <= wanted]
    return max(small) if small else min(d for d in divisors if d >= least)
