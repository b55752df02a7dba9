"""The public catalog of the founding datasets: each published original, where it lies today.

Intake and STAC, derived from the field ``originals`` of the records. Nobody here vouches for
bytes that others publish without checksums, and the catalog says so. What Intake can open only
by running code from the file, or not at all, is listed with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scidata.formats import media, stac
from scidata.formats.intake_entries import (
    CATALOG,
    CATALOG_DIR,
    CSV,
    FILES,
    ZARR,
    Catalog,
    Entry,
    Listing,
    Reading,
    assemble,
)
from scidata.formats.text import license_label, license_url, to_json, to_yaml
from scidata.record import Original, Record

AWS = "https://s3.amazonaws.com"
"""Stands for Amazon's own S3 where an endpoint is to be replaced."""

_STORE_NOTE = (
    "There is no public scidata store yet: what scidata itself publishes is the table that "
    "ships with it."
)
_NOTE = (
    "Addresses, sizes and counts are as the publishers state them. They publish no checksums, "
    f"so nothing here can be verified. {_STORE_NOTE}"
)
_TYPES = {
    "catalogue-text": media.TEXT,
    "csv": "text/csv",
    "hdf5": "application/x-hdf5",
    "hdfstore": "application/x-hdf5",
    "tar": "application/x-tar",
    "table": "text/tab-separated-values",
    "zarr": media.ZARR,
}
# What of a folder to open, and what to do with an open file.
_FOLDERS = {"catalogue-text": "**/*.catalog", "hdf5": "**/*.*", "npz": "**/*.npz"}
_HINTS = {
    "catalogue-text": "with files[0] as file: text = file.read().decode()",
    "hdf5": "with files[0] as file: xarray.open_dataset(file, engine='h5netcdf', "
    "phony_dims='sort'); add group= for a group",
    "hdfstore": "with files[0] as file: h5py.File(file), after import hdf5plugin. Never "
    "pandas.read_hdf: it unpickles what the file holds, which can run code",
    "npz": "with files[0] as file: numpy.load(file, allow_pickle=False)",
    "tar": "with files[0] as file: tarfile.open(fileobj=file)",
}


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A table that scidata itself publishes, inside its package beside the catalog."""

    dataset: str
    name: str
    title: str
    file: str
    """Below the dataset's folder in ``catalogs/``."""
    bytes: int
    sha256: str
    license_note: str
    source: str


def public_catalogs(
    records: Sequence[Record],
    shipped: Sequence[Shipped],
    *,
    endpoints: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """Return every file of ``catalogs/``, by its path in there.

    Parameters
    ----------
    records : sequence of Record
        In the order in which they are listed.
    shipped : sequence of Shipped
        What lies in ``catalogs/`` itself.
    endpoints : mapping of str to str, optional
        Other servers to name, by the S3 endpoint (`AWS` for Amazon's) or the beginning of the
        address that each replaces: for mirrors, and for tests.
    """
    moved = endpoints or {}
    files: dict[str, bytes] = {}
    for record in records:
        own = [item for item in shipped if item.dataset == record.id]
        files[f"{record.id}/catalog.yaml"] = to_yaml(dataset_catalog(record, own, moved))
        files[f"{record.id}/collection.json"] = to_json(dataset_collection(record, own, moved))
    files["index.yaml"] = to_yaml(_root_catalog(records))
    files["catalog.json"] = to_json(_root_stac(records))
    return files


def dataset_catalog(
    record: Record, shipped: Iterable[Shipped], endpoints: Mapping[str, str]
) -> Catalog:
    """Return the Intake catalog of one dataset's originals."""
    metadata = {
        "title": record.title,
        "description": record.abstract,
        "note": _note(record),
        "license": license_label(record),
        "license_url": license_url(record),
    }
    opened = [_relocated(original, endpoints) for original in record.originals]
    entries = [_entry(o) for o in opened if _closed(o) is None]
    return assemble(
        metadata,
        [*entries, *(_shipped_entry(item) for item in shipped)],
        [_listing(o) for o in opened if _closed(o) is not None],
    )


def dataset_collection(
    record: Record, shipped: Iterable[Shipped], endpoints: Mapping[str, str]
) -> stac.Document:
    """Return the STAC collection of one dataset; each original is one of its assets.

    Not items: a STAC item needs a time, and the originals state none.
    """
    opened = [_relocated(original, endpoints) for original in record.originals]
    assets = {o.name: _asset(o) for o in opened} | {s.name: _shipped_asset(s) for s in shipped}
    schemes = {o.name: _scheme(o) for o in opened if o.url.startswith("s3://")}
    used = ["contacts", "file", *(["storage"] if schemes else [])]
    frame = stac.collection_frame(record)
    return {
        **frame,
        **({"storage:schemes": schemes} if schemes else {}),
        "description": f"{frame['description']}\n\n{_note(record)}",
        "stac_extensions": sorted(stac.EXTENSIONS[name] for name in used),
        "assets": assets,
        "links": [
            stac.link("root", "../catalog.json", media.JSON),
            stac.link("parent", "../catalog.json", media.JSON),
            stac.license_link(record),
        ],
    }


def _note(record: Record) -> str:
    """Say what stands behind the entries, or why there are none."""
    if record.originals:
        return _NOTE
    return f"Nothing of it is published yet: `scidata build {record.id}` makes it."


def _root_catalog(records: Iterable[Record]) -> Catalog:
    entries = [
        Entry(
            name=record.id,
            url=f"{CATALOG_DIR}/{record.id}/catalog.yaml",
            reading=CATALOG,
            metadata={"title": record.title, "license": license_label(record)},
        )
        for record in records
    ]
    metadata = {"title": "Founding datasets of scidata", "description": _NOTE}
    return assemble(metadata, entries)


def _root_stac(records: Iterable[Record]) -> stac.Document:
    children = [
        stac.link("child", f"./{r.id}/collection.json", media.JSON, title=r.title)
        for r in records
    ]
    return {
        "type": "Catalog",
        "stac_version": stac.STAC_VERSION,
        "id": "scidata-founding",
        "title": "Founding datasets of scidata",
        "description": _NOTE,
        "links": [stac.link("root", "./catalog.json", media.JSON), *children],
    }


def _relocated(original: Original, endpoints: Mapping[str, str]) -> Original:
    if original.url.startswith("s3://"):
        endpoint = endpoints.get(original.endpoint or AWS, original.endpoint)
        return original.model_copy(update={"endpoint": endpoint})
    for old, new in endpoints.items():
        if original.url.startswith(old):
            url = new + original.url.removeprefix(old)
            return original.model_copy(update={"url": url})
    return original


def _closed(original: Original) -> str | None:
    """Say why an original cannot be opened from here, or None if it can."""
    if not original.anonymous:
        return "it is not open to anonymous readers; the address says how to ask for it"
    if original.kind == "lmdb":
        return "LMDB is read through memory-mapped local files: copy an environment first"
    if original.kind in _FOLDERS and _is_folder(original) and not _is_bucket(original):
        return "a web server does not list a folder: clone or download it first"
    return None


def _is_bucket(original: Original) -> bool:
    return original.url.startswith("s3://")


def _is_folder(original: Original) -> bool:
    return "." not in original.url.rstrip("/").rpartition("/")[2]


def _reading(original: Original) -> Reading:
    if original.kind == "csv":
        return CSV
    if original.kind == "table":
        return replace(CSV, options={"sep": "\t"})
    if original.kind == "zarr":
        return ZARR
    # Intake hands this reader's own settings, not the data's, to the file system.
    return replace(FILES, options={**FILES.options, **_storage_options(original)})


def _storage_options(original: Original) -> dict[str, Any]:  # Any: fsspec's own options
    if not _is_bucket(original):
        return {}
    endpoint = {"endpoint_url": original.endpoint} if original.endpoint else {}
    return {"anon": True, **endpoint}


def _entry(original: Original) -> Entry:
    url = original.url
    if original.kind in _FOLDERS and _is_folder(original):
        url = f"{url.rstrip('/')}/{_FOLDERS[original.kind]}"
    return Entry(
        name=original.name,
        url=url,
        reading=_reading(original),
        storage_options=_storage_options(original),
        metadata=_about(original),
    )


def _listing(original: Original) -> Listing:
    metadata = {**_about(original), "not_opened": str(_closed(original))}
    return Listing(name=original.name, url=original.url, metadata=metadata)


def _about(original: Original) -> dict[str, object]:
    about = {
        "title": original.title,
        "layout": original.layout,
        "license_note": original.license_note,
        "checksums": original.checksums,
        "source": original.source,
        "stated_bytes": original.bytes,
        "stated_files": original.files,
        "hint": _HINTS.get(original.kind),
    }
    return {name: value for name, value in about.items() if value is not None}


def _shipped_entry(item: Shipped) -> Entry:
    return Entry(
        name=item.name,
        url=f"{CATALOG_DIR}/{item.file}",
        reading=CSV,
        metadata={
            "title": item.title,
            "license_note": item.license_note,
            "checksums": f"sha256:{item.sha256}",
            "source": item.source,
            "note": _STORE_NOTE,
        },
    )


def _asset(original: Original) -> stac.Document:
    about = {f"scidata:{name}": value for name, value in _about(original).items()}
    closed = _closed(original)
    return {
        "href": original.url,
        "title": about.pop("scidata:title"),
        "description": about.pop("scidata:layout"),
        "type": _TYPES.get(original.kind, media.UNKNOWN),
        "roles": ["data"],
        **about,
        **({"scidata:not_opened": closed} if closed else {}),
        **({"storage:refs": [original.name]} if _is_bucket(original) else {}),
    }


def _scheme(original: Original) -> stac.Document:
    if original.endpoint is None:
        platform = "https://{bucket}.s3.{region}.amazonaws.com"
        return {"type": "aws-s3", "platform": platform, "requester_pays": False}
    return {"type": "custom-s3", "platform": original.endpoint, "requester_pays": False}


def _shipped_asset(item: Shipped) -> stac.Document:
    return {
        "href": f"./{item.file}",
        "title": item.title,
        "description": f"{_STORE_NOTE} {item.source}",
        "type": "application/gzip",
        "roles": ["data"],
        "file:size": item.bytes,
        "file:checksum": f"1220{item.sha256}",
        "scidata:license_note": item.license_note,
    }
