"""Zarr stores of every kind that is streamed: drawn by hypothesis, written by zarr-python."""

import base64
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import zarr
from hypothesis import strategies as st
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)

BLOSC = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
WHOLE = ("i1", "i2", "i4", "i8", "u1", "u2", "u4")
FLOATING = ("f2", "f4", "f8")


@dataclass(frozen=True, kw_only=True)
class Written:
    """An array: what it holds, and how it is stored."""

    name: str
    dims: tuple[str, ...]
    values: npt.NDArray[Any]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    fill: Any
    """Value of what is not stored; where `values` equals it a chunk is left out."""
    attributes: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    options: dict[str, Any] = field(default_factory=dict)
    """Of `zarr.create_array`: codecs and the like."""


def write(folder: Path, arrays: list[Written], *, zarr_format: int) -> Path:
    """Write a group of arrays, without consolidated metadata."""
    group = zarr.open_group(folder, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]  # 2 or 3
    for each in arrays:
        attributes, named = dict(each.attributes), each.dims
        if zarr_format == 2:
            attributes["_ARRAY_DIMENSIONS"] = list(each.dims)
        made: Any = group.create_array(  # Any: zarr's own types are unions
            each.name,
            shape=each.values.shape,
            dtype=each.values.dtype,
            chunks=each.chunks,
            shards=each.shards,
            fill_value=each.fill,
            attributes=attributes,
            dimension_names=named if zarr_format == 3 else None,
            **each.options,
        )
        made[...] = each.values
    return folder


def sizes_of(arrays: list[Written]) -> dict[str, int]:
    """Return the length of every dimension."""
    return {d: n for a in arrays for d, n in zip(a.dims, a.values.shape, strict=True)}


@st.composite
def arrays(
    draw: st.DrawFn, name: str, dims: tuple[str, ...], shape: tuple[int, ...], zarr_format: int
) -> Written:
    """Draw numbers of any type, stored in any way."""
    code = draw(st.sampled_from(("?", *WHOLE, *FLOATING)))
    dtype = np.dtype(code)
    fill: Any = draw(st.sampled_from([0, 1, np.nan] if dtype.kind == "f" else [0, 1]))
    fill = bool(fill) if dtype.kind == "b" else fill
    values = _numbers(draw, dtype, shape, fill)
    if zarr_format == 2 and (dtype.kind == "b" or draw(st.booleans())):
        fill = None  # xarray takes any other for NaN, which leaves no sense in truth values
    chunks = tuple(draw(st.integers(1, n)) for n in shape)
    shards, options = None, _codecs_v2(draw, dtype)
    if zarr_format == 3:
        sharded = draw(st.booleans())
        shards = tuple(c * draw(st.integers(1, 3)) for c in chunks) if sharded else None
        options = _codecs_v3(draw, len(shape))
    elif draw(st.booleans()) and dtype.itemsize > 1:
        values = values.astype(dtype.newbyteorder(">"))
    attributes = _packing(draw, dtype) if zarr_format == 3 else {}
    return Written(
        name=name,
        dims=dims,
        values=values,
        chunks=chunks,
        shards=shards,
        fill=fill,
        attributes=attributes,
        options=options,
    )


def _numbers(
    draw: st.DrawFn, dtype: np.dtype[Any], shape: tuple[int, ...], fill: Any
) -> npt.NDArray[Any]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        values: npt.NDArray[Any] = random.normal(0, 100, shape).astype(dtype)
    else:
        low, high = {"b": (0, 2), "i": (-120, 120), "u": (0, 120)}[dtype.kind]
        values = random.integers(low, high, shape).astype(dtype)
    # A corner of fill values, so that whole chunks are left out.
    corner = tuple(slice(0, draw(st.integers(0, n))) for n in shape)
    values[corner] = fill
    return values


def _codecs_v3(draw: st.DrawFn, dims: int) -> dict[str, Any]:
    compressors: list[Any] = draw(
        st.sampled_from(
            [
                [],
                [ZstdCodec(level=1)],
                [ZstdCodec(level=3, checksum=True)],
                [GzipCodec(level=1)],
                *([BloscCodec(cname=name, clevel=5)] for name in BLOSC),  # type: ignore[arg-type]  # names of it
                [Crc32cCodec()],
                [ZstdCodec(level=1), Crc32cCodec()],
            ]
        )
    )
    order = draw(st.none() | st.permutations(range(dims)))
    endian = draw(st.sampled_from(["little", "big"]))
    return {
        "compressors": compressors,
        "filters": [] if order is None else [TransposeCodec(order=tuple(order))],
        "serializer": BytesCodec(endian=endian),
        "chunk_key_encoding": draw(
            st.sampled_from(
                [
                    {"name": "default", "separator": "/"},
                    {"name": "default", "separator": "."},
                    {"name": "v2", "separator": "."},
                ]
            )
        ),
    }


def _codecs_v2(draw: st.DrawFn, dtype: np.dtype[Any]) -> dict[str, Any]:
    compressor = draw(
        st.sampled_from(
            [
                None,
                numcodecs.Zlib(),
                numcodecs.GZip(),
                numcodecs.Zstd(),
                numcodecs.LZ4(),
                *(numcodecs.Blosc(name, shuffle=mode) for name in BLOSC for mode in (0, 1, 2)),
            ]
        )
    )
    shuffled = draw(st.booleans())
    return {
        "compressors": compressor,
        "filters": [numcodecs.Shuffle(dtype.itemsize)] if shuffled else None,
        "order": draw(st.sampled_from("CF")),
        "chunk_key_encoding": {
            "name": "v2",
            "separator": draw(st.sampled_from("./")),
        },
    }


def _packing(draw: st.DrawFn, dtype: np.dtype[Any]) -> dict[str, Any]:
    if dtype.kind == "b":
        return {}
    found: dict[str, Any] = {}
    if dtype.kind == "i" and draw(st.booleans()):
        found["_Unsigned"] = "true"
    if draw(st.booleans()):
        found["scale_factor"] = draw(st.sampled_from([0.5, 0.01, 3.0]))
    if draw(st.booleans()):
        found["add_offset"] = draw(st.sampled_from([-273.15, 10.0]))
    if draw(st.booleans()):
        missing = draw(st.integers(-1 if dtype.kind == "i" else 0, 2))
        double = base64.b64encode(struct.pack("<d", float(missing))).decode()
        found["_FillValue"] = double if dtype.kind == "f" else missing
    return found


def sharded_with_its_index_at_the_start(folder: Path, values: npt.NDArray[Any]) -> Path:
    """Write an array ``values`` of shards of 4 chunks, as no call of zarr places them."""
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    inner = ShardingCodec(
        chunk_shape=(1, *values.shape[1:]), codecs=[BytesCodec()], index_location="start"
    )
    made: Any = group.create_array(  # Any: zarr's own types are unions
        "values",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(4, *values.shape[1:]),
        serializer=inner,
        compressors=None,
        filters=None,
        dimension_names=[f"d{n}" for n in range(values.ndim)],
    )
    made[...] = values
    return folder
