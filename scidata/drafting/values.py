"""Values out of metadata that nobody here wrote, in the form that records have.

Whatever is not what it should be becomes None: a draft leaves out what it cannot read.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from scidata.errors import InvalidError
from scidata.identifiers import spdx_terms
from scidata.record.fields import CONTROL

Fields: TypeAlias = dict[str, Any]  # Any: YAML at the edge

COAR_ACCESS = {
    "c_abf2": "open",
    "c_f1cf": "embargoed",
    "c_16ec": "restricted",
    "c_14cb": "metadata-only",
}

_DOI_PREFIX = re.compile(r"^(https?://(dx\.)?doi\.org/|doi:)", re.IGNORECASE)


def mapping(value: object) -> Mapping[str, Any]:  # Any: JSON
    """Return a mapping, empty if it is none."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:  # Any: JSON
    """Return a list; of JSON-LD a single value stands for a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: object) -> str | None:
    """Return text, of a map of languages the first, without what has no place in it."""
    if isinstance(value, dict):
        value = next(
            (value[k] for k in ("@value", *sorted(map(str, value))) if k in value), None
        )
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    cleaned = CONTROL.sub("", str(value).replace("\r\n", "\n").replace("\r", "\n")).strip()
    return cleaned or None


def line(value: object) -> str | None:
    """Return one line of text."""
    found = text(value)
    return " ".join(found.split()) if found else None


def doi(value: object) -> str | None:
    """Return a bare DOI in lower case, out of any of its forms."""
    found = line(value)
    bare = _DOI_PREFIX.sub("", found or "").lower()
    return bare if bare.startswith("10.") else None


def link(value: object) -> str | None:
    """Return a bare DOI, or an address as it stands."""
    return doi(value) or line(value)


def last_part(value: object, *, of: str) -> str | None:
    """Return the identifier that an address of a registry ends with, or that stands alone."""
    found = line(value)
    if found is None or ("://" in found and of not in found):
        return None
    return found.rstrip("/").rpartition("/")[2] or None


def orcid(value: object) -> str | None:
    """Return a bare ORCID iD."""
    found = last_part(value, of="orcid.org")
    return found.upper() if found and re.fullmatch(r"[\dXx-]{19}", found) else None


def ror(value: object) -> str | None:
    """Return a bare ROR id."""
    found = last_part(value, of="ror.org")
    return found.lower() if found and len(found) == 9 else None  # noqa: PLR2004 - its length


def spdx(value: object) -> str | None:
    """Return an SPDX id in its case, out of the id or its address."""
    found = last_part(value, of="spdx.org")
    if found is None:
        return None
    found = found.removesuffix(".html").removesuffix(".json").lower()
    return _spdx_by_lower().get(found)


def license_of(name: object, url: object) -> Fields | str | None:
    """Return an SPDX id, or name and address; one of the two stands for both."""
    known = spdx(url) or spdx(name)
    if known:
        return known
    address = line(url) or (line(name) if "://" in (line(name) or "") else None)
    if address is None:
        return None
    return {"name": line(name) or address, "url": address}


def person(name: object) -> Fields | None:
    """Return a person's two names, or an organisation's one, out of a name alone.

    ``Family, Given`` and ``Given Family`` are persons; one word is an organisation.
    """
    found = line(name)
    if not found:
        return None
    family, comma, given = found.partition(", ")
    if not comma:
        given, _, family = found.rpartition(" ")
    return {"given": given, "family": family} if given and family else {"name": found}


def known(fields: Mapping[str, object]) -> Fields:
    """Leave out what is not known."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def each(values: object, read: Callable[[Mapping[str, Any]], Fields | None]) -> list[Fields]:
    """Read every mapping of a list; what is none, or says nothing, is left out."""
    found = (read(value) for value in listed(values) if isinstance(value, dict))
    return [fields for fields in found if fields]


def distinct(values: Iterable[str | None]) -> list[str]:
    """Return texts in their order, each once whatever its case."""
    found: dict[str, str] = {}
    for value in values:
        if value:
            found.setdefault(value.lower(), value)
    return list(found.values())


def keywords(values: object) -> list[str]:
    """Return keywords, out of a list or of one text with commas."""
    words = [word for value in listed(values) for word in (line(value) or "").split(",")]
    return distinct(line(word) for word in words)


def degrees(value: object) -> float | None:
    """Return a number of degrees."""
    try:
        return float(str(value))
    except ValueError:
        return None


def box(west: object, east: object, south: object, north: object) -> Fields | None:
    """Return a box, if all four edges are numbers."""
    edges = {"west": west, "east": east, "south": south, "north": north}
    numbers = {name: degrees(edge) for name, edge in edges.items()}
    return None if None in numbers.values() else dict(numbers)


def period(value: object) -> Fields | None:
    """Return a period out of ``start/end``, with nothing or two dots for an open end."""
    start, _, end = (line(value) or "").partition("/")
    if not start or start == "..":
        return None
    return known({"start": start, "end": None if end == ".." else end})


def refuse(where: str, message: str) -> InvalidError:
    """Make the error for a source that is not what it seems."""
    fix = (
        "give a DataCite, Croissant or STAC document in JSON, an HDF5 or NetCDF-4 file (.h5, "
        ".hdf5, .nc, .nc4), or a folder of such files, Zarr stores or Parquet tables"
    )
    return InvalidError(message, where=where, fix=fix)


def _spdx_by_lower() -> dict[str, str]:
    return {name.lower(): name for name, (_, old) in spdx_terms().items() if not old}
