"""Many files as one store, by an index of references: chunks are read where they lie."""

from typing import TYPE_CHECKING

from scidata.opening.groups import open_chosen
from scidata.published import Published, references_key
from scidata.resolve import read_tag
from scidata.version import CommitAsset

if TYPE_CHECKING:
    import xarray as xr


def open_referenced(
    published: Published, asset: CommitAsset, group: str | None
) -> "xr.Dataset":
    """Open a group of the files of an asset; what is read of them is not compared."""
    from scidata.loaders.places import asset_objects
    from scidata.loaders.references import open_references, parse_references

    where = f"{published.commit.name}/{asset.path} at {published.store.url}"
    key = references_key(published.commit, asset)
    assert key is not None  # noqa: S101  # who calls has looked
    index = parse_references(
        read_tag(published.store, published.commit, key),
        published.manifest.under(asset.path),
        where=where,
    )
    objects = asset_objects(published, asset.path, published.files(asset))
    arrays = [path for path, node in index.nodes.items() if node["node_type"] == "array"]

    def open_one(path: str) -> "xr.Dataset | None":
        node = index.nodes.get(path)
        there = node is not None and node["node_type"] == "group"
        return open_references(index, objects, path, where) if there else None

    return open_chosen(
        group,
        open_one=open_one,
        holding=lambda: {path.rpartition("/")[0] for path in arrays},
        where=where,
    )
