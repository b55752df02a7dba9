"""A Zarr asset as the loaders see it; zarr-python and xarray read its metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import xarray as xr
import zarr

from scidata.loaders.arrays import open_group, published_arrays
from scidata.loaders.layout import Layout
from scidata.loaders.source import Asset
from scidata.loaders.zarr_layout import layout


class ZarrContents:
    """An opened Zarr store; every object is looked up in the manifest first."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._store = published_arrays(asset.objects, asset.manifest, asset.where)
        if not asset.consolidated:
            self._store.expect_nothing_of_root()
        self._arrays: xr.Dataset = open_group(self._store, "")

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of every dimension."""
        return {str(name): size for name, size in self._arrays.sizes.items()}

    def close(self) -> None:
        """Let go of the store."""
        self._arrays.close()

    def labels(self) -> Mapping[str, xr.DataArray]:
        """Return the labels of the dimensions that have any."""
        return {str(n): c for n, c in self._arrays.coords.items() if c.dims == (n,)}

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Read a small variable whole."""
        return self._arrays[name].values if name in self._arrays else None

    def layouts(self, names: Sequence[str]) -> Mapping[str, Layout]:
        """Say where the chunks of some variables lie."""
        asset = self._asset
        group = zarr.open_group(self._store, mode="r", use_consolidated=False)
        arrays = {name: group.get(name) for name in dict.fromkeys(names)}
        return {
            name: layout(array, asset.manifest, asset=asset.key, where=asset.where)
            for name, array in arrays.items()
            if isinstance(array, zarr.Array)
        }
