"""Entries of an Intake v2 catalog, and which of Intake's readers opens which sort of file.

Every reader named here is on the list that `scidata.catalog` admits: none runs code from a
catalog, and none unpickles.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from scidata.formats import media
from scidata.version import OutsidePlace

Catalog: TypeAlias = dict[str, Any]  # Any: YAML at the edge

CATALOG_DIR = "{CATALOG_DIR}"
STORAGE_OPTIONS = "{STORAGE_OPTIONS}"
REFERENCE = "reference://"
MAX_BYTES_READ = 64 * 2**20  # a reader that returns bytes holds them all in memory

GROUP = re.compile(r"\w[\w .+-]*(/\w[\w .+-]*)*")
"""Paths of groups that can be named: Intake takes some texts for references."""

TYPES = "intake.readers.datatypes:"
READERS = "intake.readers.readers:"
STREAM_READER = "scidata.loaders.intake:StreamReader"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What opens one sort of data, and with which settings."""

    datatype: str
    reader: str
    returns: str
    options: Mapping[str, object] = field(default_factory=dict)
    data_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name in a catalog: where the data are and what opens them."""

    name: str
    url: str
    reading: Reading
    storage_options: str | Mapping[str, object] = STORAGE_OPTIONS
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A name in a catalog that nothing can open: its metadata say why, and where it is."""

    name: str
    url: str
    metadata: Mapping[str, object]


ZARR = Reading(
    datatype=TYPES + "Zarr",
    reader=READERS + "XArrayDatasetReader",
    returns="xarray:Dataset",
    # The format is named: version 2 stores can hold pickles.
    options={"engine": "zarr", "zarr_format": 3},
    data_options={"root": ""},
)
PARQUET = Reading(
    datatype=TYPES + "Parquet", reader=READERS + "PandasParquet", returns="pandas:DataFrame"
)
CSV = Reading(datatype=TYPES + "CSV", reader=READERS + "PandasCSV", returns="pandas:DataFrame")
IDS = Reading(
    datatype=TYPES + "CSV",
    reader=READERS + "PandasCSV",
    returns="pandas:DataFrame",
    # Without these, pandas makes the number 17 of "0017" and a gap of "NA".
    options={"header": None, "names": ["id"], "dtype": "str", "keep_default_na": False},
)
HDF5 = Reading(
    datatype=TYPES + "HDF5",
    reader=READERS + "XArrayDatasetReader",
    returns="xarray:Dataset",
    # The engine is named: Intake takes NetCDF for NetCDF 3. Plain HDF5 has no dimension names.
    options={"engine": "h5netcdf", "phony_dims": "sort"},
    data_options={"path": ""},
)
TEXT = Reading(
    datatype=TYPES + "Text", reader=READERS + "FileTextReader", returns="builtins:str"
)
BYTES = Reading(
    datatype=TYPES + "FileData", reader=READERS + "FileByteReader", returns="builtins:bytes"
)
FILES = Reading(
    datatype=TYPES + "FileData",
    reader=READERS + "OpenFilesReader",
    returns="fsspec.core:OpenFiles",
    options={"mode": "rb"},
)
CATALOG = Reading(
    datatype=TYPES + "YAMLFile",
    reader=READERS + "YAMLCatalogReader",
    returns="intake.readers.entry:Catalog",
)
STREAM = Reading(
    datatype=TYPES + "FileData",
    reader=STREAM_READER,
    returns="torch.utils.data:IterableDataset",
)

_BY_MEDIA_TYPE = {
    media.CSV: CSV,
    media.TSV: replace(CSV, options={"sep": "\t"}),
    media.HDF5: HDF5,
    media.NETCDF: HDF5,
    media.PARQUET: PARQUET,
}
_AS_TEXT = {media.JSON, media.TEXT, media.YAML, "text/markdown", "text/html"}
_COMPRESSED_TABLES = (".csv.bz2", ".csv.gz", ".csv.xz", ".csv.zst")


def reading_of_file(path: str, media_type: str, size: int) -> Reading | None:
    """Return what opens one file of `size` bytes, or None if it could only be downloaded."""
    if path.endswith(_COMPRESSED_TABLES):
        return CSV
    if media_type in _BY_MEDIA_TYPE:
        return _BY_MEDIA_TYPE[media_type]
    if size > MAX_BYTES_READ:
        return None
    return TEXT if media_type in _AS_TEXT else BYTES


def referenced_entry(
    name: str,
    index: str,
    place: OutsidePlace,
    group: str,
    metadata: Mapping[str, object],
) -> Entry:
    """Return an entry for files outside that an index of references makes one store.

    fsspec's reference file system reads the index, and ranges of the files where they lie.
    """
    scheme = place.url.partition("://")[0]
    remote: dict[str, object] = {"asynchronous": True} if scheme != "file" else {}
    if scheme == "s3" and place.anonymous:
        # Nobody's signature is sent to a server that a catalog names: else the reader names it.
        remote["anon"] = True
        remote |= {"endpoint_url": place.endpoint} if place.endpoint else {}
    return Entry(
        name=name,
        url=REFERENCE,
        reading=within(replace(ZARR, options={**ZARR.options, "consolidated": False}), group),
        storage_options={
            "fo": index,
            "target_options": STORAGE_OPTIONS,
            "remote_protocol": scheme,
            "remote_options": remote,
            "asynchronous": True,
        },
        metadata=metadata,
    )


def within(reading: Reading, group: str) -> Reading:
    """Return what opens a group of an array store or file, "" for the root."""
    if not group:
        return reading
    return replace(reading, options={**reading.options, "group": group})


def assemble(
    metadata: Mapping[str, object],
    entries: Iterable[Entry],
    listings: Iterable[Listing] = (),
) -> Catalog:
    """Return the whole document.

    Every key must be there, or Intake raises `KeyError`; and every entry needs an alias, since
    only aliases are listed.
    """
    readable = {entry.name: entry for entry in entries}
    listed = {listing.name: listing for listing in listings}
    return {
        "version": 2,
        "metadata": dict(metadata),
        "user_parameters": {},
        "data": {_data_name(e): _data(e) for e in readable.values()}
        | {_data_name(item): _listed(item) for item in listed.values()},
        "entries": {entry.name: _reader(entry) for entry in readable.values()},
        "aliases": {name: name for name in readable}
        | {item.name: _data_name(item) for item in listed.values()},
    }


def _data_name(entry: Entry | Listing) -> str:
    return f"{entry.name}__data"


def _data(entry: Entry) -> dict[str, object]:
    options = entry.storage_options
    return {
        "datatype": entry.reading.datatype,
        "kwargs": {
            "url": entry.url,
            "storage_options": options if isinstance(options, str) else dict(options),
            **entry.reading.data_options,
        },
        "metadata": {},
        "user_parameters": {},
    }


def _listed(item: Listing) -> dict[str, object]:
    return {
        "datatype": BYTES.datatype,
        "kwargs": {"url": item.url, "storage_options": {}},
        "metadata": dict(item.metadata),
        "user_parameters": {},
    }


def _reader(entry: Entry) -> dict[str, object]:
    return {
        "reader": entry.reading.reader,
        "kwargs": {"data": f"{{data({_data_name(entry)})}}", **entry.reading.options},
        "metadata": dict(entry.metadata),
        "user_parameters": {},
        "output_instance": entry.reading.returns,
    }
