"""Where the chunks of a Zarr array lie, by its metadata in v3 or v2.

The metadata are read as plain JSON: importing zarr-python would take longer than opening. They
are not trusted, and what cannot be understood is named.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from scidata.errors import InvalidError
from scidata.loaders.codecs import Codec
from scidata.loaders.layout import (
    MAX_INDEX_BYTES,
    Coordinates,
    Layout,
    Shards,
    Table,
    WholeObjects,
    understood,
)
from scidata.manifest import Manifest

Node: TypeAlias = Mapping[str, Any]
"""An array's ``zarr.json``; or its ``.zarray``, with ``.zattrs`` under ``attributes``."""

_WHOLE = (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_NUMBERS = frozenset(("bool", *_WHOLE, "float16", "float32", "float64"))


def layout(node: Node, name: str, manifest: Manifest, *, asset: str, where: str) -> Layout:
    """Understand an array's metadata.

    Parameters
    ----------
    node : mapping
    name : str
        Path of the array in the asset.
    manifest : Manifest
        Of the asset.
    asset : str
        Its key.
    where : str
        For messages.

    Raises
    ------
    InvalidError
        If its type or one of its codecs is not streamed, or the metadata make no sense.
    """
    place = f"{name} in {where}"
    read = _v3 if node["zarr_format"] == 3 else _v2  # noqa: PLR2004  # Zarr has two formats
    try:
        return read(node, name, manifest, asset, place)
    except (LookupError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        if isinstance(error, InvalidError):
            raise
        raise InvalidError(
            f"its metadata make no sense: {error!r}",
            where=place,
            fix="publish a version that zarr-python opens",
        ) from error


def dimensions(node: Node) -> tuple[str, ...]:
    """Name the dimensions of an array; by their numbers where they have no names."""
    attributes: Node = node.get("attributes") or {}
    names = node.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS")
    return tuple(map(str, names or range(len(node["shape"]))))


def _v3(node: Node, name: str, manifest: Manifest, asset: str, where: str) -> Layout:
    key = _key(name, node["chunk_key_encoding"])
    codecs: Sequence[Codec] = node["codecs"]
    outer = _lengths(node["chunk_grid"]["configuration"]["chunk_shape"])
    chunks = outer
    table: Table = WholeObjects(key, manifest)
    if codecs[0]["name"] == "sharding_indexed":
        if len(codecs) > 1:
            raise InvalidError(
                "its shards are compressed as a whole",
                where=where,
                fix="publish with codecs inside the shards, or read with to_xarray",
            )
        sharding = codecs[0]["configuration"]
        chunks, codecs = _lengths(sharding["chunk_shape"]), sharding["codecs"]
        table = _shards(sharding, outer, chunks, _Place(key, manifest, where))
    attributes = dict(node.get("attributes") or {})
    stored = _stored(node["data_type"], where)
    return understood(
        asset=asset,
        name=name,
        where=where,
        dims=dimensions(node),
        shape=_shape(node, chunks),
        chunks=chunks,
        stored=stored,
        fill=_fill(node.get("fill_value"), stored),
        attributes=attributes,
        codecs=codecs,
        table=table,
    )


def _v2(node: Node, name: str, manifest: Manifest, asset: str, where: str) -> Layout:
    separator = node.get("dimension_separator", ".")
    key = _key(name, {"name": "v2", "configuration": {"separator": separator}})
    chunks, stored = _lengths(node["chunks"]), np.dtype(node["dtype"])
    attributes, fill = dict(node.get("attributes") or {}), _fill(node.get("fill_value"), stored)
    if fill is not None:
        attributes.setdefault("_FillValue", fill)  # as xarray reads it
    return understood(
        asset=asset,
        name=name,
        where=where,
        dims=dimensions(node),
        shape=_shape(node, chunks),
        chunks=chunks,
        stored=stored,
        fill=fill,
        attributes=attributes,
        codecs=_codecs_v2(node, stored),
        table=WholeObjects(key, manifest),
    )


def _codecs_v2(node: Node, stored: np.dtype[Any]) -> list[Codec]:
    described: list[Codec] = []
    if node.get("order") == "F":
        axes = tuple(reversed(range(len(node["shape"]))))
        described.append({"name": "transpose", "configuration": {"order": axes}})
    endian = "big" if stored.byteorder == ">" else "little"
    described.append({"name": "bytes", "configuration": {"endian": endian}})
    for config in (*(node.get("filters") or ()), node.get("compressor")):
        if config is not None:
            described.append({"name": config["id"], "configuration": config})
    return described


class _Place:
    """What a table of shards needs to know besides its sizes."""

    def __init__(
        self, key: Callable[[Coordinates], str], manifest: Manifest, where: str
    ) -> None:
        self.key, self.manifest, self.where = key, manifest, where


def _shards(
    sharding: Node, outer: tuple[int, ...], inner: tuple[int, ...], place: _Place
) -> Shards:
    if any(o % i for o, i in zip(outer, inner, strict=True)):
        raise ValueError(f"shards of {outer} do not hold whole chunks of {inner}")
    names = [codec["name"] for codec in sharding["index_codecs"]]
    found = Shards(
        place.key,
        place.manifest,
        tuple(o // i for o, i in zip(outer, inner, strict=True)),
        sharding.get("index_location", "end") == "end",
        "crc32c" in names,
    )
    if set(names) - {"bytes", "crc32c"} or found.index_bytes() > MAX_INDEX_BYTES:
        raise InvalidError(
            f"its shards have an index of {found.index_bytes()} bytes, coded with "
            + ", ".join(names),
            where=place.where,
            fix="publish with fewer chunks a shard and an index that is not compressed",
        )
    return found


def _key(name: str, encoding: Node) -> Callable[[Coordinates], str]:
    default = encoding["name"] == "default"
    separator = str(
        (encoding.get("configuration") or {}).get("separator", "/" if default else ".")
    )
    prefix = f"{name}/" if name else ""

    def key(chunk: Coordinates) -> str:
        parts = ["c"] if default else []
        parts += map(str, chunk)
        return prefix + (separator.join(parts) or "0")

    return key


def _lengths(values: Any) -> tuple[int, ...]:
    found = tuple(int(v) for v in values)
    if any(v < 1 for v in found):
        raise ValueError(f"a chunk of {found}")
    return found


def _shape(node: Node, chunks: tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(int(v) for v in node["shape"])
    if len(shape) != len(chunks) or any(v < 0 for v in shape):
        raise ValueError(f"a shape of {shape} in chunks of {chunks}")
    return shape


def _stored(kind: Any, where: str) -> np.dtype[Any]:
    if kind not in _NUMBERS:
        raise InvalidError(
            f"numbers of type {kind} do not go into tensors",
            where=where,
            fix="leave the variable out of the samples, or publish it as numbers",
        )
    found: np.dtype[Any] = np.dtype(kind)
    return found


def _fill(value: Any, stored: np.dtype[Any]) -> Any:
    """Read a fill value as Zarr's JSON writes it."""
    if isinstance(value, str) and stored.kind == "f":
        if value.startswith("0x"):
            bits = np.array(int(value, 16), f"u{stored.itemsize}")
            return bits.view(stored.newbyteorder("="))[()]
        return math.nan if value == "NaN" else float(value.replace("Infinity", "inf"))
    return value
