"""What DataCite is told of a version and of its dataset, and what differs there. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scidata.errors import InvalidError
from scidata.facts import Facts
from scidata.formats.datacite import attributes
from scidata.identifiers import check_address
from scidata.record import Record
from scidata.status import Status

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

DIGEST_TYPE = "scidata digest"
ID_TYPE = "scidata id"
# DataCite's own rule (it admits no other sign), in lower case as it answers.
_DOI = re.compile(r"10\.\d{4,5}/[-._;()/:a-z0-9*~$=]+")
_PREFIX = re.compile(r"10\.\d{4,5}")
_LISTS = (
    "titles",
    "creators",
    "contributors",
    "dates",
    "subjects",
    "descriptions",
    "rightsList",
    "sizes",
    "formats",
    "alternateIdentifiers",
    "relatedIdentifiers",
    "fundingReferences",
    "geoLocations",
)
_OF_A_VERSION = ("version", "sizes", "formats")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The DOIs of a version, and of those around it."""

    doi: str
    concept: str
    previous: str | None = None
    """Of the version that this one continues."""
    following: tuple[str, ...] = ()
    """Of the findable versions that continue this one."""


def names_for(prefix: str, dataset: str, version: str) -> tuple[str, str]:
    """Return the DOI of a version and that of its dataset, always the same for the same.

    Raises
    ------
    InvalidError
        If the prefix is none.

    Examples
    --------
    >>> names_for("10.5072", "tevolop", "1.0.0")
    ('10.5072/scidata.tevolop.v1.0.0', '10.5072/scidata.tevolop')
    """
    concept = f"{prefix}/scidata.{dataset}"
    doi = f"{concept}.v{version}"
    if not _PREFIX.fullmatch(prefix) or not _DOI.fullmatch(doi):
        raise InvalidError(
            f"{prefix!r} is not a DOI prefix",
            where="--prefix",
            fix="write the prefix of your repository at DataCite, such as 10.12345",
        )
    return doi, concept


def page_of(base_url: str, dataset: str, version: str | None = None) -> str:
    """Return the landing page of a version, or of a dataset.

    Examples
    --------
    >>> page_of("https://data.example.org", "tevolop", "1.0.0")
    'https://data.example.org/tevolop/v1.0.0/'
    """
    check_address(base_url, where="--base-url or $SCIDATA_BASE_URL")
    return f"{base_url.rstrip('/')}/{dataset}/" + (f"v{version}/" if version else "")


def version_document(
    record: Record,
    facts: Facts,
    names: Names,
    url: str,
    status: Status | None = None,
) -> Attributes:
    """Return all attributes of a version's DOI; lists that are empty are written, too.

    What is left out of a PUT is kept, so that only an empty list removes what was there.
    """
    document = _complete(attributes(record, facts))
    relations = [_relation(names.concept, "IsVersionOf")]
    if names.previous:
        relations.append(_relation(names.previous, "IsNewVersionOf"))
    relations += [_relation(doi, "IsPreviousVersionOf") for doi in names.following]
    document["relatedIdentifiers"] = _united(
        relations, _software(record), document["relatedIdentifiers"]
    )
    if status is not None and status.state in {"withdrawn", "purged"}:
        document["dates"].append({"date": status.date[:10], "dateType": "Withdrawn"})
    return document | {"doi": names.doi, "url": url}


def concept_document(
    record: Record, facts: Facts, concept: str, versions: Sequence[str], url: str
) -> Attributes:
    """Return all attributes of a dataset's DOI, described by its newest version.

    Parameters
    ----------
    versions : sequence of str
        The DOIs of its findable versions, oldest first.
    """
    document = _complete(attributes(record, facts))
    for name in _OF_A_VERSION:
        document[name] = [] if name in _LISTS else None
    document["alternateIdentifiers"] = [
        {"alternateIdentifier": facts.dataset, "alternateIdentifierType": ID_TYPE}
    ]
    document["relatedIdentifiers"] = _united(
        [_relation(doi, "HasVersion") for doi in versions],
        _software(record),
        document["relatedIdentifiers"],
    )
    return document | {"doi": concept, "url": url}


def without_empties(document: Mapping[str, Any]) -> Attributes:  # Any: JSON
    """Leave out what says nothing, for judges that want it left out."""
    return {name: value for name, value in document.items() if value not in ([], None, "")}


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the attributes that DataCite has otherwise than wanted, but for what it rewrites.

    It completes `types`, writes licences out, adds subjects of its own, shortens languages,
    and answers with empty members that nobody sent.
    """
    return tuple(
        name
        for name, value in wanted.items()
        if name != "schemaVersion" and not _same(name, value, found.get(name))
    )


def says(document: Mapping[str, Any], kind: str) -> frozenset[str]:
    """Return what a DOI at DataCite says under one type of alternate identifier."""
    given = document.get("alternateIdentifiers") or document.get("identifiers")
    found = set()
    for item in given if isinstance(given, list) else ():
        if not isinstance(item, dict):
            continue
        if (item.get("alternateIdentifierType") or item.get("identifierType")) == kind:
            found.add(str(item.get("alternateIdentifier") or item.get("identifier")))
    return frozenset(found)


def _complete(document: Attributes) -> Attributes:
    return {**{name: [] for name in _LISTS}, **document}


def _relation(doi: str, kind: str) -> Attributes:
    return {
        "relatedIdentifier": doi,
        "relatedIdentifierType": "DOI",
        "relationType": kind,
        "resourceTypeGeneral": "Dataset",
    }


def _software(record: Record) -> list[Attributes]:
    return [
        {
            "relatedIdentifier": software.url,
            "relatedIdentifierType": "URL",
            "relationType": "IsCompiledBy",
            "resourceTypeGeneral": "Software",
        }
        for software in record.provenance.software
        if software.url
    ]


def _united(*groups: Iterable[Attributes]) -> list[Attributes]:
    """Join relations, each once."""
    joined: dict[tuple[str, str], Attributes] = {}
    for group in groups:
        for item in group:
            joined.setdefault((item["relationType"], item["relatedIdentifier"]), item)
    return list(joined.values())


def _same(name: str, wanted: object, found: object) -> bool:
    if name == "doi":
        return str(wanted).lower() == str(found).lower()
    if name == "language":
        return str(wanted)[:2] == str(found)[:2]
    if name == "rightsList":
        wanted, found = _rights(wanted), _rights(found)
    if name == "subjects" and isinstance(found, list) and isinstance(wanted, list):
        return all(any(_within(w, f) for f in found) for w in wanted)
    return _within(wanted, found)


def _rights(value: object) -> object:
    """Reduce what SPDX knows to its identifier: DataCite writes the rest itself."""
    if not isinstance(value, list):
        return value
    return [
        {"rightsIdentifier": str(item["rightsIdentifier"]).lower()}
        if isinstance(item, dict) and item.get("rightsIdentifier")
        else item
        for item in value
    ]


def _within(wanted: object, found: object) -> bool:
    """Tell whether everything wanted is there; members that were not asked for do not count."""
    if wanted in (None, "", [], {}):
        return found in (None, "", [], {})
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _within(value, found.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_within(w, f) for w, f in zip(wanted, found, strict=True))
        )
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        try:
            return float(wanted) == float(str(found))
        except ValueError:
            return False
    return str(wanted) == str(found)
