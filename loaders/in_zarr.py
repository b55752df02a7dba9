"""A Zarr asset as the loaders see it: metadata as JSON, labels through xarray."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from scidata.errors import InvalidError
from scidata.loaders.layout import Labels, Layout
from scidata.loaders.source import Asset
from scidata.loaders.zarr_layout import Node, dimensions, layout

if TYPE_CHECKING:
    import xarray as xr

_V3, _V2, _ATTRIBUTES = "zarr.json", ".zarray", ".zattrs"


class ZarrContents:
    """An opened Zarr store; every object is looked up in the manifest first."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._nodes = self._read_nodes()
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
        asset = self._asset
        return layout(
            self._nodes[name], name, asset.manifest, asset=asset.key, where=asset.where
        )

    def _arrays(self) -> "xr.Dataset":
        if self._opened is None:
            from scidata.loaders.arrays import open_arrays

            asset = self._asset
            self._opened = open_arrays(
                asset.objects,
                asset.manifest,
                where=asset.where,
                consolidated=asset.consolidated,
            )
        return self._opened

    def _read_nodes(self) -> dict[str, Node]:
        return self._read_v3() if _V3 in self._asset.manifest else self._read_v2()

    def _read_v3(self) -> dict[str, Node]:
        root = self._json(_V3)
        held = (root.get("consolidated_metadata") or {}).get("metadata")
        if held is None:
            suffix = f"/{_V3}"
            paths = [path for path in self._asset.manifest if path.endswith(suffix)]
            held = {path.removesuffix(suffix): self._json(path) for path in paths}
        return {name: node for name, node in held.items() if node.get("node_type") == "array"}

    def _read_v2(self) -> dict[str, Node]:
        manifest = self._asset.manifest
        nodes: dict[str, Node] = {}
        for path in manifest:
            if path.endswith(f"/{_V2}"):
                name = path.removesuffix(f"/{_V2}")
                attributes = f"{name}/{_ATTRIBUTES}"
                held = self._json(attributes) if attributes in manifest else {}
                nodes[name] = {**self._json(path), "attributes": held}
        return nodes

    def _json(self, path: str) -> Any:
        data = self._asset.read(path)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidError(
                f"{path} is not JSON",
                where=self._asset.where,
                fix="publish a version that zarr-python opens",
            ) from error
