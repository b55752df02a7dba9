"""A staged array store: a Zarr v3 group, written array by array, consolidated in the end."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, ZstdCodec

ZSTD = ZstdCodec(level=3)
LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")
"""Of what is measured, in float32: as measured in ``docs/design/streaming.md``."""
CodecName: TypeAlias = Literal["zstd", "lz4"]
CODECS: Mapping[CodecName, BytesBytesCodec] = {"zstd": ZSTD, "lz4": LZ4}

Attributes: TypeAlias = Mapping[str, str | float | list[str]]
Array: TypeAlias = zarr.Array[Any]  # Any: zarr's own parameter
Layout: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Inner chunks and shards."""


class ArrayStore:
    """A Zarr group that is written array by array.

    With `resume` the group is there already, and arrays are written over.
    """

    def __init__(self, path: Path, title: str, *, resume: bool = False) -> None:
        self.path = path
        self.resume = resume
        if resume:
            self.group = zarr.open_group(str(path), mode="r+", zarr_format=3)
        else:
            self.group = zarr.create_group(str(path), zarr_format=3)
        self.group.attrs.update({"Conventions": "CF-1.11", "title": title})

    def create(
        self,
        name: str,
        shape: Mapping[str, int],
        dtype: str,
        attributes: Attributes,
        *,
        layout: Layout | None = None,
        codec: BytesBytesCodec = ZSTD,
    ) -> Array:
        """Create an array, of one chunk if there is no layout."""
        sizes = tuple(shape.values())
        chunks, shards = layout or (sizes, None)
        return self.group.create_array(
            name,
            shape=sizes,
            dtype=dtype,
            chunks=tuple(chunks) if sizes else "auto",
            shards=tuple(shards) if shards else None,
            compressors=codec if sizes else None,
            dimension_names=tuple(shape),
            attributes=dict(attributes),
            fill_value=_fill(dtype),
            overwrite=self.resume,
        )

    def put(
        self,
        name: str,
        dims: Sequence[str],
        values: npt.NDArray[np.generic],
        attributes: Attributes,
        *,
        layout: Layout | None = None,
        codec: BytesBytesCodec = ZSTD,
    ) -> None:
        """Create an array and write all of it; texts are objects."""
        shape = dict(zip(dims, values.shape, strict=True))
        dtype = "str" if values.dtype.kind in "OU" else values.dtype.name
        array = self.create(name, shape, dtype, attributes, layout=layout, codec=codec)
        array[...] = values

    def close(self) -> None:
        """Gather the metadata of all arrays in the root's ``zarr.json``."""
        with warnings.catch_warnings():
            # It warns that this is not in the text of v3 yet; xarray and others read it.
            warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)
            zarr.consolidate_metadata(self.group.store)


def _fill(dtype: str) -> float | str:
    return "" if dtype == "str" else np.nan if dtype.startswith("float") else 0
