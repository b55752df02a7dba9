"""Where the chunks of a Zarr array lie, v3 and v2; zarr-python has read its metadata."""

from collections.abc import Callable
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ShardingCodec
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

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


def layout(array: zarr.Array[Any], manifest: Manifest, *, asset: str, where: str) -> Layout:
    """Understand an opened Zarr array.

    Parameters
    ----------
    array : zarr.Array
    manifest : Manifest
        Of the asset.
    asset : str
        Its key.
    where : str
        For messages.

    Raises
    ------
    InvalidError
        If its type or one of its codecs is not streamed.
    """
    metadata, place = array.metadata, f"{array.name.strip('/')} in {where}"
    key, attributes = _key(array), dict(array.attrs)
    table: Table
    if isinstance(metadata, ArrayV3Metadata):
        sharding = metadata.codecs[0]
        if isinstance(sharding, ShardingCodec):
            if len(metadata.codecs) > 1:
                raise InvalidError(
                    "its shards are compressed as a whole",
                    where=place,
                    fix="publish with codecs inside the shards, or read with to_xarray",
                )
            codecs = [_described(codec) for codec in sharding.codecs]
            table = _shards(sharding, metadata, key, manifest, place)
        else:
            codecs = [_described(codec) for codec in metadata.codecs]
            table = WholeObjects(key, manifest)
        names = metadata.dimension_names
    else:
        codecs, table = _codecs_v2(metadata), WholeObjects(key, manifest)
        named: Any = array.attrs.get("_ARRAY_DIMENSIONS")
        names = named
        if metadata.fill_value is not None:
            attributes.setdefault("_FillValue", metadata.fill_value)  # as xarray reads it
    dims = tuple(str(n) for n in names or range(len(array.shape)))
    return understood(
        asset=asset,
        name=array.name.strip("/"),
        where=place,
        dims=dims,
        shape=array.shape,
        chunks=array.chunks,
        stored=np.dtype(array.dtype),
        fill=metadata.fill_value,
        attributes=attributes,
        codecs=codecs,
        table=table,
    )


def _key(array: zarr.Array[Any]) -> Callable[[Coordinates], str]:
    name, encode = array.name.strip("/"), array.metadata.encode_chunk_key
    return lambda chunk: f"{name}/{encode(chunk)}" if name else encode(chunk)


def _described(codec: Any) -> Codec:
    found: Codec = codec.to_dict()
    return found


def _shards(
    sharding: ShardingCodec,
    metadata: ArrayV3Metadata,
    key: Callable[[Coordinates], str],
    manifest: Manifest,
    where: str,
) -> Shards:
    grid: Any = metadata.chunk_grid
    outer, inner = grid.chunk_shape, sharding.chunk_shape
    names = [_described(codec)["name"] for codec in sharding.index_codecs]
    found = Shards(
        key,
        manifest,
        tuple(o // i for o, i in zip(outer, inner, strict=True)),
        sharding.index_location.value == "end",
        "crc32c" in names,
    )
    if set(names) - {"bytes", "crc32c"} or found.index_bytes() > MAX_INDEX_BYTES:
        raise InvalidError(
            f"its shards have an index of {found.index_bytes()} bytes, coded with "
            + ", ".join(names),
            where=where,
            fix="publish with fewer chunks a shard and an index that is not compressed",
        )
    return found


def _codecs_v2(metadata: ArrayV2Metadata) -> list[Codec]:
    described: list[Codec] = []
    if metadata.order == "F":
        axes = tuple(reversed(range(len(metadata.shape))))
        described.append({"name": "transpose", "configuration": {"order": axes}})
    big = np.dtype(metadata.dtype.to_native_dtype()).byteorder == ">"
    described.append({"name": "bytes", "configuration": {"endian": "big" if big else "little"}})
    for codec in (*(metadata.filters or ()), metadata.compressor):
        if codec is not None:
            config: dict[str, Any] = codec.get_config()
            described.append({"name": config["id"], "configuration": config})
    return described
