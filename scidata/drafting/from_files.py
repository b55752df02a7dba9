"""What data say of themselves: attributes of CF and ACDD in files, and the names of variables.

Attributes and metadata are read, never values. ACDD 1.3 names what is read of a file.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scidata.drafting.values import (
    Fields,
    box,
    keywords,
    known,
    license_of,
    line,
    listed,
    orcid,
    person,
    refuse,
    ror,
    text,
)
from scidata.errors import InvalidError
from scidata.facts import Variable
from scidata.measure import asset_key
from scidata.measure.hdf5 import READING, file_variables
from scidata.measure.variables import MAX_METADATA_BYTES, parquet_variables, zarr_variables

HDF5 = (".h5", ".hdf5", ".nc", ".nc4")

_CONVENTIONS = {"CF": "https://cfconventions.org", "ACDD": "https://wiki.esipfed.org/ACDD"}
_LIMIT = 1000
"""Entries of a folder that are looked at."""


def read_file(path: Path) -> Fields:
    """Return fields of a record out of an HDF5 or NetCDF-4 file.

    Raises
    ------
    InvalidError
        If it is none.
    """
    attributes = _hdf5_attributes(path)
    if attributes is None:
        raise refuse(str(path), f"{path.name!r} is no HDF5 or NetCDF-4 file that can be read")
    variables = [_note(v, None) for v in file_variables(path)]
    return {**_acdd(attributes), **known({"variables": [note for note in variables if note]})}


def read_folder(folder: Path) -> Fields:
    """Return fields of a record out of a folder of data, or the ``data/`` in it.

    What variables mean is taken from every array store, table and file; what is said of the
    whole from the first that says it.
    """
    data = folder / "data" if (folder / "data").is_dir() else folder
    fields: Fields = {}
    variables: dict[tuple[str, str], Fields] = {}
    for entry in sorted(data.iterdir())[:_LIMIT]:
        attributes, found = _look(entry)
        fields = {**_acdd(attributes), **fields}
        for variable in found:
            if note := _note(variable, asset_key(entry.name)):
                variables[note["asset"], note["name"]] = note
    splits = list(_splits(data / "splits"))
    return fields | known({"variables": _shared(variables.values()), "splits": splits})


def _look(entry: Path) -> tuple[Mapping[str, Any], tuple[Variable, ...]]:  # Any: attributes
    """Return attributes and variables; nothing of what cannot be read."""
    try:
        if entry.suffix == ".zarr" and entry.is_dir():
            return _zarr_attributes(entry), zarr_variables(entry)[0]
        if entry.suffix == ".parquet":
            files = sorted(entry.rglob("*.parquet")) if entry.is_dir() else [entry]
            return {}, parquet_variables(files)
        if entry.suffix in HDF5 and entry.is_file():
            return _hdf5_attributes(entry) or {}, file_variables(entry)
    except InvalidError:
        pass  # what is damaged says nothing; `scidata check` names it
    return {}, ()


def _zarr_attributes(root: Path) -> Mapping[str, Any]:  # Any: JSON
    with (root / "zarr.json").open("rb") as file:
        attributes = json.loads(file.read(MAX_METADATA_BYTES)).get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _hdf5_attributes(path: Path) -> Mapping[str, Any] | None:  # Any: attributes
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {name: _plain(file.attrs, name) for name in file.attrs}
    except READING:
        return None


def _plain(attributes: Any, name: str) -> object:  # Any: attributes of h5py
    """Return text or a number; of other types, and what cannot be read, nothing."""
    try:
        value = attributes[name]
    except READING:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "size", 0) == 1:
        value = item()
    return value if isinstance(value, str | int | float) else None


def _acdd(said: Mapping[str, Any]) -> Fields:  # Any: attributes
    """Return what the attributes of a file say of the whole."""
    sides = ("lon_min", "lon_max", "lat_min", "lat_max")
    start = line(said.get("time_coverage_start"))
    end = line(said.get("time_coverage_end"))
    doi_or_url = line(said.get("references"))
    relation = {"type": "References", "id": doi_or_url, "kind": "Text"}
    steps = [{"activity": words} for words in [text(said.get("history"))] if words]
    return known(
        {
            "title": line(said.get("title")),
            "abstract": text(said.get("summary") or said.get("abstract")),
            "methods": text(said.get("source")),
            "creators": list(_creators(said)),
            "contact": _contact(said),
            "publisher": _publisher(said),
            "license": license_of(said.get("license"), None),
            "keywords": keywords(said.get("keywords")),
            "spatial": box(*(said.get(f"geospatial_{side}") for side in sides)),
            "temporal": known({"start": start, "end": end}) if start else None,
            "created": line(said.get("date_created")),
            "relations": [relation] if doi_or_url and "://" in doi_or_url else [],
            "provenance": known({"instrument": line(said.get("instrument")), "steps": steps}),
            "conforms_to": _conventions(said),
        }
    )


def _creators(said: Mapping[str, Any]) -> Iterator[Fields]:  # Any: attributes
    """Yield the creators: names, addresses and institutions stand in lists with one order."""
    names = [n.strip() for n in (line(said.get("creator_name")) or "").split(";")]
    if len(names) == 1 and not said.get("creator_url"):
        names = [n.strip() for n in names[0].split(",")]
    urls = [
        u.strip() for u in (line(said.get("creator_url")) or "").replace(";", ",").split(",")
    ]
    place = line(said.get("creator_institution") or said.get("institution"))
    kind = str(said.get("creator_type")).lower()
    for number, name in enumerate(filter(None, names)):
        url = urls[number] if number < len(urls) else None
        who = {"name": name} if kind in {"institution", "group"} else person(name) or {}
        if "name" in who:
            yield who | known({"ror": ror(url)})
        else:
            yield who | known(
                {"orcid": orcid(url), "affiliations": [{"name": place}] if place else []}
            )


def _contact(said: Mapping[str, Any]) -> Fields:  # Any: attributes
    for role in ("creator", "publisher"):
        if email := line(said.get(f"{role}_email")):
            return known({"name": line(said.get(f"{role}_name")), "email": email.split(",")[0]})
    return {}


def _publisher(said: Mapping[str, Any]) -> Fields:  # Any: attributes
    name = line(said.get("publisher_institution") or said.get("publisher_name"))
    name = name or line(said.get("institution"))
    return known({"name": name, "ror": ror(said.get("publisher_url"))}) if name else {}


def _conventions(said: Mapping[str, Any]) -> list[str]:  # Any: attributes
    words = str(said.get("Conventions") or "").replace(",", " ").split()
    return [url for name, url in _CONVENTIONS.items() if any(w.startswith(name) for w in words)]


def _note(variable: Variable, asset: str | None) -> Fields | None:
    """Return what the data say of a variable; labels of dimensions are left out."""
    if variable.coordinate:
        return None
    return known(
        {
            "name": variable.name,
            "asset": asset,
            "description": text(variable.description) or "<what it measures>",
            "units": line(variable.units),
            "standard_name": variable.standard_name,
        }
    )


def _shared(notes: Iterable[Fields]) -> list[Fields]:
    """Name the asset only where a name occurs in several."""
    notes = list(notes)
    names = [note["name"] for note in notes]
    return [
        note
        if names.count(note["name"]) > 1
        else {k: v for k, v in note.items() if k != "asset"}
        for note in notes
    ]


def _splits(folder: Path) -> Iterator[Fields]:
    """Yield the splits that lie in a folder, with what cannot be known to be filled in."""
    found = sorted(folder.iterdir())[:_LIMIT] if folder.is_dir() else []
    for number, split in enumerate(entry for entry in found if entry.is_dir()):
        parts = [
            {"name": file.stem, "description": "<part>"} for file in sorted(split.glob("*.txt"))
        ]
        yield {
            "name": split.name,
            "default": number == 0,
            "dimension": "<dimension>",
            "unit": "<what one id is>",
            "rule": "<rule>",
            "parts": listed(parts),
        }
