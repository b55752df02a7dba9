"""Files that an index of references makes one store, streamed where they lie."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from scidata.errors import InvalidError
from scidata.loaders.layout import Coordinates, Extent, Index, Labels, Layout
from scidata.loaders.references import (
    Range,
    References,
    open_references,
    parse_references,
)
from scidata.loaders.source import Asset
from scidata.loaders.zarr_layout import dimensions, layout

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Referred:
    """Chunks whose places an index lists."""

    name: str
    ranges: Mapping[str, Range]

    def object_of(self, chunk: Coordinates) -> str | None:
        """Name the file; None if the chunk was never written."""
        at = self._at(chunk)
        return None if at is None else at.path

    def index_bytes(self) -> int:
        """There is no index to fetch."""
        return 0

    def extent(self, chunk: Coordinates, path: str, index: Index | None) -> Extent | None:
        """Look the chunk up."""
        at = self._at(chunk)
        return None if at is None else Extent(at.path, at.start, at.start + at.length)

    def _at(self, chunk: Coordinates) -> Range | None:
        return self.ranges.get("/".join([self.name, "c", *map(str, chunk)]))


class ReferencedContents:
    """Opened files behind an index."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._index: References = parse_references(
            zlib.decompress(asset.references), asset.manifest, where=asset.where
        )
        self._nodes = {
            path: node
            for path, node in self._index.nodes.items()
            if node.get("node_type") == "array"
        }
        self._opened: xr.Dataset | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of every dimension of the arrays in the root."""
        return {
            dim: int(size)
            for name, node in self._nodes.items()
            if "/" not in name
            for dim, size in zip(dimensions(node), node["shape"], strict=True)
        }

    def close(self) -> None:
        """Let go of the store."""
        if self._opened is not None:
            self._opened.close()

    def labels(self, dimension: str) -> Labels | None:
        """Return the labels of a dimension, if it has any."""
        node = self._nodes.get(dimension)
        if node is None or dimensions(node) != (dimension,):
            return None
        return Labels(dimension, self._arrays()[dimension].values)

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a small variable whole."""
        return self._arrays()[name].values if name in self._nodes else None

    def layouts(self, names: Sequence[str]) -> Mapping[str, Layout]:
        """Say where the chunks of some variables lie."""
        return {
            name: self._layout(name) for name in dict.fromkeys(names) if name in self._nodes
        }

    def _layout(self, name: str) -> Layout:
        where = f"{name} in {self._asset.where}"
        if any(key.startswith(f"{name}/c") for key in self._index.held):
            raise InvalidError(
                "its values lie in the index of references, which is not streamed",
                where=where,
                fix="leave the variable out of the samples, or read it with to_xarray",
            )
        asset = self._asset
        found = layout(
            self._nodes[name], name, asset.manifest, asset=asset.key, where=asset.where
        )
        base = f"{name}/c/"
        ranges = {k: at for k, at in self._index.ranges.items() if k.startswith(base)}
        return replace(found, table=Referred(name, ranges))

    def _arrays(self) -> "xr.Dataset":
        if self._opened is None:
            asset = self._asset
            self._opened = open_references(self._index, asset.objects, "", asset.where)
        return self._opened
