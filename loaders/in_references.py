"""Files that an index of references makes one store, streamed where they lie."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scidata.errors import InvalidError
from scidata.loaders.in_zarr import ZarrContents
from scidata.loaders.layout import Coordinates, Extent, Index, Layout
from scidata.loaders.references import (
    Range,
    References,
    open_references,
    parse_references,
)
from scidata.loaders.source import Asset
from scidata.loaders.zarr_layout import Node

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


class ReferencedContents(ZarrContents):
    """Opened files behind an index: a Zarr store whose nodes and places the index holds."""

    def __init__(self, asset: Asset) -> None:
        self._index: References = parse_references(
            zlib.decompress(asset.references), asset.manifest, where=asset.where
        )
        super().__init__(asset)

    def _read_nodes(self) -> dict[str, Node]:
        nodes = self._index.nodes.items()
        return {path: node for path, node in nodes if node.get("node_type") == "array"}

    def _layout(self, name: str) -> Layout:
        where = f"{name} in {self._asset.where}"
        if any(key.startswith(f"{name}/c") for key in self._index.held):
            raise InvalidError(
                "its values lie in the index of references, which is not streamed",
                where=where,
                fix="leave the variable out of the samples, or read it with to_xarray",
            )
        found = super()._layout(name)
        base = f"{name}/c/"
        ranges = {k: at for k, at in self._index.ranges.items() if k.startswith(base)}
        return replace(found, table=Referred(name, ranges))

    def _arrays(self) -> "xr.Dataset":
        if self._opened is None:
            asset = self._asset
            self._opened = open_references(self._index, asset.objects, "", asset.where)
        return self._opened
