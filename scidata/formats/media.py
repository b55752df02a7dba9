"""Media types by file name: one table, so that every outward form names a format alike.

Source: IANA where registered; else what readers recognise (F-UJI, Intake 2.0.9, STAC zarr
extension). Python's ``mimetypes`` knows neither Zarr nor Parquet, and differs by machine.
"""

from scidata.facts import Asset

ZARR = "application/vnd.zarr"
PARQUET = "application/vnd.apache.parquet"
JSON = "application/json"
TEXT = "text/plain"
YAML = "application/yaml"
CSV = "text/csv"
TSV = "text/tab-separated-values"
HDF5 = "application/x-hdf5"
NETCDF = "application/x-netcdf"
UNKNOWN = "application/octet-stream"

HDF5_SUFFIXES = (".h5", ".hdf5", ".nc", ".nc4")
"""Files that are streamed in place; a ``.nc`` may be NetCDF-3 all the same, which is not."""

_BY_SUFFIX = {
    ".bz2": "application/x-bzip2",
    ".cif": "chemical/x-cif",
    ".csv": CSV,
    ".geojson": "application/geo+json",
    ".gz": "application/gzip",
    ".h5": HDF5,
    ".hdf": HDF5,
    ".hdf5": HDF5,
    ".html": "text/html",
    ".json": JSON,
    ".md": "text/markdown",
    ".nc": NETCDF,
    ".nc4": NETCDF,
    ".parquet": PARQUET,
    ".png": "image/png",
    ".tar": "application/x-tar",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".tsv": TSV,
    ".txt": TEXT,
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".yaml": YAML,
    ".yml": YAML,
    ".zarr": ZARR,
    ".zip": "application/zip",
    ".zst": "application/zstd",
}


def media_type(name: str) -> str:
    """Return the media type of a file or of a store's folder, by its last suffix.

    Examples
    --------
    >>> media_type("data/grid.zarr"), media_type("scene.HDF"), media_type("LICENSE")
    ('application/vnd.zarr', 'application/x-hdf5', 'application/octet-stream')
    """
    base = name.rsplit("/", 1)[-1]
    stem, dot, suffix = base.rpartition(".")
    return _BY_SUFFIX.get("." + suffix.lower(), UNKNOWN) if dot and stem else UNKNOWN


def is_one_file(asset: Asset) -> bool:
    """Say whether an asset is a file, whose digest is its own, rather than a folder."""
    # A folder's media type is that of what it holds, not of its own name.
    return (
        asset.kind in {"file", "parquet"}
        and asset.files == 1
        and media_type(asset.path) == asset.media_type
    )
