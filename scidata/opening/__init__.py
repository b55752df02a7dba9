"""Assets of a published version as xarray and pandas: one file for each form of data.

A new form is one new file and one line in a table here. What an asset is follows from its kind
and, where that is ``file``, from the media type of its files, compressed or not.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from scidata.errors import InvalidError
from scidata.formats import media
from scidata.opening.netcdf import open_netcdf
from scidata.opening.referenced import open_referenced
from scidata.opening.tables import plain_name, read_csv, read_parquet, read_tsv
from scidata.opening.zarr import open_zarr
from scidata.published import Published, find_asset, references_key
from scidata.version import CommitAsset

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ArrayOpener: TypeAlias = "Callable[[Published, CommitAsset, str | None], xr.Dataset]"
TableReader: TypeAlias = "Callable[[Published, CommitAsset], pd.DataFrame]"

ARRAYS: Mapping[str, ArrayOpener] = {
    "zarr": open_zarr,
    media.HDF5: open_netcdf,
    media.NETCDF: open_netcdf,
}
TABLES: Mapping[str, TableReader] = {
    "parquet": read_parquet,
    media.CSV: read_csv,
    media.TSV: read_tsv,
}
_FIX = (
    "use to_xarray for Zarr, NetCDF and HDF5, to_pandas for Parquet, CSV and TSV, split for "
    "splits; of anything else fetch the files: scidata pull"
)


def open_arrays(published: Published, key: str, group: str | None) -> "xr.Dataset":
    """Open an asset with arrays lazily; `Dataset.to_xarray` says how."""
    asset = find_asset(published.commit, key)
    if references_key(published.commit, asset) is not None:
        return open_referenced(published, asset, group)
    form = form_of(published, asset)
    if form not in ARRAYS:
        raise _other(published, asset, form, "arrays")
    return ARRAYS[form](published, asset, group)


def read_table(published: Published, key: str) -> "pd.DataFrame":
    """Read an asset that is a table; `Dataset.to_pandas` says how."""
    asset = find_asset(published.commit, key)
    form = form_of(published, asset)
    if form not in TABLES:
        raise _other(published, asset, form, "a table")
    return TABLES[form](published, asset)


def form_of(published: Published, asset: CommitAsset) -> str:
    """Return the asset's kind, or the media type that all of its files have."""
    if asset.kind != "file":
        return asset.kind
    types = {media.media_type(plain_name(path)) for path in published.files(asset)}
    return types.pop() if len(types) == 1 else media.UNKNOWN


def _other(published: Published, asset: CommitAsset, form: str, wanted: str) -> InvalidError:
    return InvalidError(
        f"the asset {asset.key!r} is {form}, not {wanted}",
        where=published.commit.name,
        fix=_FIX,
    )
