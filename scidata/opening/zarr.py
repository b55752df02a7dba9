"""Array stores: Zarr v3, opened lazily."""

from typing import TYPE_CHECKING

from scidata.opening.groups import open_chosen
from scidata.published import Published
from scidata.version import CommitAsset

if TYPE_CHECKING:
    import xarray as xr


def open_zarr(published: Published, asset: CommitAsset, group: str | None) -> "xr.Dataset":
    """Open a group of an array store; every whole object is compared with its digest."""
    from scidata.loaders.arrays import open_group, published_arrays
    from scidata.loaders.places import asset_objects

    where = f"{published.commit.name}/{asset.path} at {published.store.url}"
    store = published_arrays(
        asset_objects(published, asset.path, published.files(asset)),
        published.manifest.under(asset.path),
        where,
    )

    def holding() -> set[str]:
        return {path.rpartition("/")[0] for path in store.arrays()}

    def open_one(path: str) -> "xr.Dataset | None":
        there = not path or store.kind_of(path) == "group"
        return open_group(store, path) if there else None

    return open_chosen(group, open_one=open_one, holding=holding, where=where)
