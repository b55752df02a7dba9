"""The header of an HDF5 or NetCDF-4 file: where h5py says that its chunks lie.

The file is not trusted: links to other files, data in other files and virtual datasets are
never followed.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from math import prod
from typing import IO, Any, TypeAlias

import h5py
import numpy as np

from scidata.errors import InvalidError
from scidata.references.stored import (
    LABEL_BYTES,
    MAX_CHUNKS,
    MAX_TEXTS,
    PHONY,
    Along,
    Codec,
    Coordinates,
    Header,
    Span,
    StoredArray,
    Values,
    slabs,
)

_objects: Any = import_module("h5py.h5o")  # Any: as below
Held: TypeAlias = Any  # Any: a dataset or a file; h5py has no types
READING = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What h5py raises of files that are damaged, or are none."""
MAX_VARIABLES = 10_000
MAX_WIDTH = 8
"""Bytes of a number: others have no name in Zarr."""

_CHECKSUM = h5py.h5z.FILTER_FLETCHER32
_FILTERS: Mapping[int, str] = {
    h5py.h5z.FILTER_DEFLATE: "numcodecs.zlib",
    h5py.h5z.FILTER_SHUFFLE: "numcodecs.shuffle",
    _CHECKSUM: "numcodecs.fletcher32",
    307: "numcodecs.bz2",
    32001: "blosc",
    32015: "zstd",
}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {  # Any: JSON; what decoding does not ask for
    "numcodecs.zlib": {"level": 1},
    "numcodecs.bz2": {"level": 1},
    "numcodecs.fletcher32": {},
    "zstd": {"level": 1, "checksum": False},
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0},
}
_HIDDEN = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS"}
_EMPTY_SCALE = b"This is a netCDF dimension but not a netCDF variable"


def read_hdf5(file: IO[bytes], along: Along, *, where: str) -> Header:
    """Read the header of a file, and the values that `along` asks for.

    Raises
    ------
    InvalidError
        If it is not a sound HDF5 file.
    """
    try:
        with h5py.File(file, "r") as opened:
            sets = dict(datasets(opened))
            return _header(opened, sets, along)
    except READING as error:
        if isinstance(error, InvalidError):
            raise
        raise InvalidError(
            f"it is not a sound HDF5 file: {error}",
            where=where,
            fix="leave the file out, or bring back a sound copy of it",
        ) from error


def _header(opened: Held, sets: Mapping[str, Held], along: Along) -> Header:
    dims = dimensions(sets)
    arrays: dict[str, StoredArray] = {}
    omitted: dict[str, str] = {}
    for path, held in sets.items():
        if is_empty_scale(held):
            continue
        found = _array(path, held, dims[path], along)
        if isinstance(found, str):
            omitted[path] = found
        else:
            arrays[path] = found
    return Header(arrays=arrays, omitted=omitted, attributes=dict(attributes(opened)))


def _array(path: str, held: Held, dims: tuple[str, ...], along: Along) -> StoredArray | str:
    """Describe a dataset, or say why Zarr cannot express it."""
    if (reason := _inexpressible(held)) is not None:
        return reason
    if held.dtype.kind in "SOU":
        return _texts(held, dims)
    copied = along.copies(path, dims, held.nbytes) or is_compact(held)
    chunks, stored = held.shape, dict[Coordinates, Span]()
    if not copied:
        table = spans(held)
        if table is None:
            return "a chunk of it was written without its filters"
        chunks, stored = table
    return StoredArray(
        dims=dims,
        shape=held.shape,
        chunks=tuple(max(n, 1) for n in chunks),
        dtype=held.dtype,
        fill=fill_value(held),
        codecs=tuple(codecs(held)),
        attributes=dict(attributes(held)),
        spans=stored,
        values=read(held) if copied else None,
    )


def _inexpressible(held: Held) -> str | None:
    if held.external or held.is_virtual:
        return "its numbers lie in other files"
    if held.dtype.kind in "SOU":
        if held.dtype.kind == "O" and h5py.check_string_dtype(held.dtype) is None:
            return "its values have various lengths"
        if held.size > MAX_TEXTS or held.nbytes > LABEL_BYTES:
            return f"it holds {held.size:,} texts, more than are copied into an index"
        return None
    width = held.dtype.itemsize // (2 if held.dtype.kind == "c" else 1)
    if held.dtype.kind not in "biufc" or width > MAX_WIDTH:
        return f"its numbers are of type {held.dtype}"
    unknown = [codec["name"] for codec in codecs(held) if codec["name"] not in _KNOWN]
    return f"it was written with the filter {unknown[0]!r}" if unknown else None


def _texts(held: Held, dims: tuple[str, ...]) -> StoredArray:
    return StoredArray(
        dims=dims,
        shape=held.shape,
        chunks=held.shape,
        dtype=np.dtype(np.str_),
        attributes=dict(attributes(held)),
        values=np.asarray(held.asstr(errors="replace")[()]).astype(np.str_),
    )


def datasets(file: Held) -> Iterator[tuple[str, Held]]:
    """Yield the datasets of a file; links that leave it are not followed.

    Raises
    ------
    InvalidError
        If there are more than 10,000.
    """
    todo, seen, count = [""], set[int](), 0
    while todo:
        group = todo.pop()
        address = _objects.get_info(file[group or "/"].id).addr
        if address in seen:  # hard links may go round in circles
            continue
        seen.add(address)
        for name in file[group or "/"]:
            path = f"{group}/{name}".strip("/")
            link = file.get(path, getlink=True)
            if not isinstance(link, h5py.HardLink):
                continue
            held = file[path]
            if isinstance(held, h5py.Group):
                todo.append(path)
            elif isinstance(held, h5py.Dataset) and held.shape is not None:
                count += 1
                if count > MAX_VARIABLES:
                    raise InvalidError(
                        f"it holds more than {MAX_VARIABLES:,} arrays",
                        where=group or "/",
                        fix="leave the file out",
                    )
                yield path, held


def read(held: Held) -> Values:
    """Read a dataset whole; texts as objects."""
    found: Values = held.asstr()[...] if held.dtype.kind == "O" else held[...]
    return found


def dimensions(sets: Mapping[str, Held]) -> dict[str, tuple[str, ...]]:
    """Name the dimensions: by their scales, else as NetCDF does, by their length."""
    phony: list[int] = []
    found = {}
    for name in sorted(sets):
        held, dims = sets[name], list[str]()
        for axis, size in enumerate(held.shape):
            scales = [scale.name.strip("/") for scale in held.dims[axis].values()]
            own = held.is_scale and len(held.shape) == 1
            dims.append(name if own else scales[0] if scales else _phony(phony, size, dims))
        found[name] = tuple(dims)
    return found


def _phony(phony: list[int], size: int, taken: Sequence[str]) -> str:
    for n, known in enumerate(phony):
        if known == size and f"{PHONY}{n}" not in taken:
            return f"{PHONY}{n}"
    phony.append(size)
    return f"{PHONY}{len(phony) - 1}"


def is_empty_scale(held: Held) -> bool:
    """Tell whether a dataset is a dimension of NetCDF-4 that has no labels."""
    return bytes(held.attrs.get("NAME", b"")).startswith(_EMPTY_SCALE)


def attributes(held: Held) -> Iterator[tuple[str, Any]]:
    """Yield what a dataset or file says of itself, without what HDF5 and NetCDF-4 add."""
    for name in held.attrs:
        if name in _HIDDEN or name.startswith(("_Netcdf4", "_NC")):
            continue
        try:
            value = held.attrs[name]
        except (OSError, TypeError, ValueError):  # of a type that h5py does not know
            continue
        yield name, value.decode(errors="replace") if isinstance(value, bytes) else value


def codecs(held: Held) -> Iterator[Codec]:
    """Yield a dataset's filters as codecs of Zarr v3; unknown ones under their own name."""
    big = held.dtype.byteorder == ">"
    yield {"name": "bytes", "configuration": {"endian": "big" if big else "little"}}
    properties = held.id.get_create_plist()
    for n in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(n)
        label = _FILTERS.get(code, name.decode(errors="replace") or str(code))
        settings = dict(_SETTINGS.get(label, {}))
        if label in {"numcodecs.shuffle", "blosc"}:
            key = "typesize" if label == "blosc" else "elementsize"
            settings[key] = held.dtype.itemsize
        yield {"name": label, "configuration": settings}


_KNOWN = frozenset({"bytes", *_FILTERS.values()})


def fill_value(held: Held) -> Any:  # Any: a number of the dataset's type
    """Return what chunks hold that were never written; None if the file does not say."""
    undefined = h5py.h5d.FILL_VALUE_UNDEFINED
    if held.id.get_create_plist().fill_value_defined() == undefined:
        return None
    return held.fillvalue


def is_compact(held: Held) -> bool:
    """Tell whether a dataset's numbers are part of its header, so that they have no place."""
    layout: int = held.id.get_create_plist().get_layout()
    compact: int = h5py.h5d.COMPACT
    return layout == compact


def spans(held: Held) -> tuple[tuple[int, ...], dict[Coordinates, Span]] | None:
    """Return the shape of a dataset's chunks, and where each lies.

    None if a chunk was written without its filters, which nothing outside the file says.
    """
    if held.chunks is None:
        start = contiguous_start(held)
        if start is None:
            return held.shape, {}
        return slabs(held.shape, held.dtype.itemsize, start)
    found = chunk_spans(held)
    return None if found is None else (held.chunks, found)


def contiguous_start(held: Held) -> int | None:
    """Return where the numbers of a dataset without chunks begin; None if never written."""
    # Without this HDF5 reports an error rather than that there is none.
    if not held.id.get_storage_size():
        return None
    start: int | None = held.id.get_offset()
    return start


def chunk_spans(held: Held) -> dict[Coordinates, Span] | None:
    """List where the chunks of a dataset lie; None if one was written without its filters.

    Raises
    ------
    InvalidError
        If there are more than two million.
    """
    found: dict[Coordinates, Span] = {}
    bare: list[bool] = []
    if prod(-(-n // c) for n, c in zip(held.shape, held.chunks, strict=True)) > MAX_CHUNKS:
        raise InvalidError(
            f"it has more than {MAX_CHUNKS:,} chunks",
            where=held.name,
            fix="rewrite the file in larger chunks, with h5repack for example",
        )

    def note(info: Any) -> None:  # Any: h5py's StoreInfo
        bare.extend([True] * bool(info.filter_mask))
        at = tuple(o // c for o, c in zip(info.chunk_offset, held.chunks, strict=True))
        found[at] = (info.byte_offset, info.size)

    if held.size:
        held.id.chunk_iter(note)
    return None if bare else found
