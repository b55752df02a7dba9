"""A record begun from what exists: metadata in another form, files with attributes, a folder.

Best effort, and said so: what no record may hold is left out and named, what is mandatory and
missing is left to be filled in. Nothing of the source is trusted.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scidata.drafting.from_croissant import is_croissant, read_croissant
from scidata.drafting.from_datacite import is_datacite, read_datacite
from scidata.drafting.from_files import HDF5, read_file, read_folder
from scidata.drafting.from_stac import is_collection, read_stac
from scidata.drafting.settling import Draft, settle
from scidata.drafting.values import Fields, refuse
from scidata.errors import NotFoundError, StorageError
from scidata.record.scaffold import check_name

__all__ = ["MAX_BYTES", "Draft", "draft"]

MAX_BYTES = 64 * 2**20
"""Of a document that is read."""


def draft(name: str, source: Path) -> Draft:
    """Begin a record.

    Parameters
    ----------
    name : str
        The dataset's id.
    source : Path
        A JSON file with a DataCite record, a Croissant document or a STAC collection; an HDF5
        or NetCDF-4 file; or a folder of data.

    Raises
    ------
    InvalidError
        If the name is no id, or the source is none of these.
    NotFoundError
        If there is nothing at the path.
    StorageError
        If it cannot be read.
    """
    check_name(name)
    words, fields = _read(source)
    return settle(name, f"{words} {source.name!r}", fields)


def _read(source: Path) -> tuple[str, Fields]:
    try:
        if source.is_dir():
            return "the folder", read_folder(source)
        if source.suffix.lower() in HDF5:
            with source.open("rb"):
                return "the file", read_file(source)
        return _parsed(source)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is nothing at {str(source)!r}",
            where=str(source),
            fix="give a file or a folder that exists; fetch what lies on the web first",
        ) from error
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{str(source)!r} cannot be read: {error.strerror}",
            where=str(source),
            fix="make it readable, then run the same command again",
        ) from error


def _parsed(source: Path) -> tuple[str, Fields]:
    document = _json(source)
    if is_collection(document):
        return "the STAC collection", read_stac(document)
    if is_datacite(document):
        return "the DataCite record", read_datacite(document)
    if is_croissant(document):
        return "the Croissant document", read_croissant(document)
    raise refuse(str(source), f"{source.name!r} holds no description of a dataset")


def _json(source: Path) -> Mapping[str, Any]:  # Any: JSON
    with source.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise refuse(str(source), f"{source.name!r} is longer than {MAX_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise refuse(str(source), f"{source.name!r} is not JSON") from error
    if not isinstance(document, dict):
        raise refuse(str(source), f"{source.name!r} holds no description of a dataset")
    return document
