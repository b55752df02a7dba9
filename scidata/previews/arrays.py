"""Array stores as plots read them: whole chunks, evenly chosen, within a bound of bytes."""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scidata.errors import InvalidError
from scidata.facts import Asset
from scidata.formats import media
from scidata.formats.stac_cube import variable_note
from scidata.opening import form_of, open_arrays
from scidata.previews.quantity import Kind, Quantity, kind_of, preferred
from scidata.published import Published, find_asset, references_key
from scidata.record import Record

if TYPE_CHECKING:
    import xarray as xr

MAX_BYTES = 512 * 2**20
"""Of an array, decoded, that is read for one plot."""
BLOCK_BYTES = 32 * 2**20
"""Of an array, decoded, that is in memory at once, but for one row of chunks."""
_FORMS = {"zarr", media.HDF5, media.NETCDF}
_FLAGS = ("flag_values", "flag_masks", "flag_meanings")


@dataclass(frozen=True)
class Arrays:
    """An asset that holds arrays."""

    published: Published
    record: Record
    asset: Asset

    @property
    def key(self) -> str:
        """Of the asset."""
        return self.asset.key

    @cached_property
    def held(self) -> "xr.Dataset":
        """Opened lazily: the root, or the largest group if the root holds no variable."""
        return open_arrays(self.published, self.key, self.group or None)

    @property
    def group(self) -> str:
        """Path of the group, empty for the root."""
        held = Counter(v.name.rpartition("/")[0] for v in self.asset.variables)
        if not held or "" in held:
            return ""
        return max(sorted(held), key=lambda group: held[group])

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Its variables and coordinates, by name."""
        return {str(name): self._quantity(str(name)) for name in self.held.variables}

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Variables that measure something: of samples first, then as the record has them."""
        samples = self.record.samples
        first = (*samples.inputs, *samples.targets) if samples else ()
        noted = tuple(note.name for note in self.record.variables)
        # Sorted: a listing of a folder has no order of its own.
        names = sorted(str(n) for n, array in self.held.data_vars.items() if array.ndim)
        wanted = [n for n in names if self.quantities[n].kind in ("number", "whole", "truth")]
        return preferred(tuple(wanted), (*first, *noted))

    def place(self, array: "xr.DataArray") -> "tuple[xr.DataArray, xr.DataArray] | None":
        """Return longitude and latitude of an array's points, if it has any."""
        found: dict[str, xr.DataArray] = {}
        for name in self.held.variables:
            quantity, dims = self.quantities[str(name)], self.held[name].dims
            if dims and set(dims) <= set(array.dims):
                if quantity.is_longitude:
                    found.setdefault("lon", self.held[name])
                if quantity.is_latitude:
                    found.setdefault("lat", self.held[name])
        return (found["lon"], found["lat"]) if len(found) == 2 else None  # noqa: PLR2004

    def calendar(self, array: "xr.DataArray") -> str | None:
        """Return the dimension along which time goes on, if an array has one."""
        for dim in array.dims:
            label = self.held.variables.get(dim)
            if label is not None and label.dtype.kind == "M" and label.size > 1:
                return str(dim)
        return None

    def title(self, name: str) -> str:
        """Return a variable's title."""
        return self.quantities[name].title

    def _quantity(self, name: str) -> Quantity:
        variable = self.held[name]
        note = variable_note(self.record, self.asset, f"{self.group}/{name}".lstrip("/"))
        return Quantity(
            name=name,
            kind=_kind(variable),
            units=_text(variable.attrs, "units") or (note and note.units) or None,
            standard_name=_text(variable.attrs, "standard_name")
            or (note.standard_name if note else None),
            description=(note.description if note else None)
            or _text(variable.attrs, "long_name"),
            flagged=any(name in variable.attrs for name in _FLAGS),
            role=note.role if note else None,
        )


def find_arrays(
    published: Published, record: Record, assets: tuple[Asset, ...]
) -> list[Arrays]:
    """Return the assets whose arrays can be opened as one."""
    return [Arrays(published, record, a) for a in assets if _is_one(published, a)]


def blocks(array: "xr.DataArray", dim: str) -> "Iterator[xr.DataArray]":
    """Yield an array in pieces along a dimension: all of them, or evenly chosen ones.

    A piece holds whole chunks, since a chunk that is touched is read whole.

    Raises
    ------
    InvalidError
        If one chunk along the dimension is more than may be read.
    """
    size = array.sizes[dim]
    chunks = _chunks(array)
    # Of a dimension that is gone one entry is wanted, and whole chunks are read.
    gone = math.prod(length for name, length in chunks.items() if name not in array.sizes)
    step = array.size // size * array.dtype.itemsize * gone
    chunk = min(chunks.get(dim, 1), size)
    _require_bounded(array, chunk * step)
    piece = chunk * max(1, BLOCK_BYTES // max(1, chunk * step))
    count = -(-size // piece)
    every = -(-count * piece * step // MAX_BYTES) or 1
    for n in range(0, count, every):
        yield array.isel({dim: slice(n * piece, (n + 1) * piece)}).load()


def evenly(size: int, count: int) -> list[int]:
    """Return up to `count` evenly spaced numbers below `size`, the middles of equal shares.

    Examples
    --------
    >>> evenly(10, 3), evenly(2, 3), evenly(1, 1)
    ([1, 5, 8], [0, 1], [0])
    """
    count = min(size, count)
    return [(2 * n + 1) * size // (2 * count) for n in range(count)]


def pick(array: "xr.DataArray", at: Mapping[Hashable, Any]) -> "xr.DataArray":
    """Read an array at positions; the chunks that are touched must be within bounds."""
    chunks = _chunks(array)
    cost = array.dtype.itemsize
    for dim, size in array.sizes.items():
        chunk = min(chunks.get(str(dim), 1), size)
        if dim in at:
            wanted = np.atleast_1d(np.arange(size)[at[dim]])
            cost *= len(np.unique(wanted // chunk)) * chunk
        else:
            cost *= size
    _require_bounded(array, cost)
    return array.isel(at).load()


def _require_bounded(array: "xr.DataArray", cost: int) -> None:
    if cost > MAX_BYTES:
        raise InvalidError(
            f"a plot of {array.name!r} would read {cost} bytes, more than {MAX_BYTES}",
            where=str(array.name),
            fix="publish it in smaller chunks to have a plot; nothing else needs it",
        )


def _chunks(array: "xr.DataArray") -> dict[str, int]:
    held = array.encoding.get("preferred_chunks") or {}
    return {str(dim): int(size) for dim, size in held.items()}


def _kind(variable: "xr.DataArray") -> Kind:
    stored = variable.encoding.get("dtype")
    packed = any(name in variable.encoding for name in ("scale_factor", "add_offset"))
    whole = stored is not None and np.dtype(stored).kind in "iu" and not packed
    # Whole numbers of which some are missing are opened as floating ones.
    return "whole" if whole and variable.dtype.kind == "f" else kind_of(str(variable.dtype))


def _text(attributes: Mapping[Hashable, Any], name: str) -> str | None:  # Any: of anybody's
    value = attributes.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _is_one(published: Published, asset: Asset) -> bool:
    commit = find_asset(published.commit, asset.key)
    if references_key(published.commit, commit) is not None:
        return True
    one = asset.kind == "zarr" or asset.files == 1
    return one and asset.kind != "splits" and form_of(published, commit) in _FORMS
