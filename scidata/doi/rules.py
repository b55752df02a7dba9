"""What scidata itself asks of the attributes of a DOI: no schema is needed for it. Pure.

The lists and limits of DataCite's XSD, and what that lets pass: check digits of people and
organisations, licences, dates that do not exist, empty names.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from scidata.doi.answers import field_of
from scidata.errors import InvalidError, Problem
from scidata.formats.datacite import SCHEMA_VERSION
from scidata.identifiers import (
    check_doi,
    check_orcid,
    check_ror,
    check_url,
    instants,
    spdx_terms,
    vocabulary_terms,
)

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

MAX_RIGHTS = 2000
FIX = "correct this field of the record, and publish the next version"
_LISTED: Mapping[str, tuple[str, frozenset[str]]] = {
    # What the XSD lists: attribute of REST, its member, and the terms of 4.7.
    "titles": (
        "titleType",
        frozenset({"AlternativeTitle", "Subtitle", "TranslatedTitle", "Other"}),
    ),
    "dates": (
        "dateType",
        frozenset(
            {
                "Accepted",
                "Available",
                "Collected",
                "Copyrighted",
                "Coverage",
                "Created",
                "Issued",
                "Other",
                "Submitted",
                "Updated",
                "Valid",
                "Withdrawn",
            }
        ),
    ),
    "descriptions": (
        "descriptionType",
        frozenset(
            {
                "Abstract",
                "Methods",
                "Other",
                "SeriesInformation",
                "TableOfContents",
                "TechnicalInfo",
            }
        ),
    ),
    "relatedIdentifiers": (
        "relatedIdentifierType",
        frozenset(
            {
                "ARK",
                "arXiv",
                "bibcode",
                "CSTR",
                "DOI",
                "EAN13",
                "EISSN",
                "Handle",
                "IGSN",
                "ISBN",
                "ISSN",
                "ISTC",
                "LISSN",
                "LSID",
                "PMID",
                "PURL",
                "RAiD",
                "RRID",
                "SWHID",
                "UPC",
                "URL",
                "URN",
                "w3id",
            }
        ),
    ),
    "fundingReferences": (
        "funderIdentifierType",
        frozenset({"Crossref Funder ID", "GRID", "ISNI", "ROR", "Other"}),
    ),
}
_ALWAYS_TYPED = {"dates", "descriptions", "relatedIdentifiers"}
_NAME_TYPES = frozenset({"Organizational", "Personal"})
_EDGES = {"Longitude": 180.0, "Latitude": 90.0}


def own_rules(stated: Attributes) -> Iterator[Problem]:
    """Find what is wrong with the attributes of a DOI; what is empty was left out."""
    for name in ("doi", "url", "titles", "creators", "publisher", "publicationYear", "types"):
        if not stated.get(name):
            yield problem(name, f"DataCite asks for {name}")
    if stated.get("schemaVersion") != SCHEMA_VERSION:
        yield problem("schemaVersion", f"it must be {SCHEMA_VERSION}, or nothing is validated")
    yield from _refusals(stated)
    yield from _texts(stated)
    yield from _terms(stated)
    yield from _listed(stated)
    yield from _identified(stated)
    yield from _placed(stated)
    for number, date in enumerate(stated.get("dates", ())):
        yield from _date(number, str(date.get("date")))
    if not re.fullmatch(r"\d{4}", str(stated.get("publicationYear"))):
        yield problem("publicationYear", f"{stated.get('publicationYear')!r} is not a year")


def _refusals(stated: Attributes) -> Iterator[Problem]:
    for name, check in (("doi", check_doi), ("url", check_url)):
        try:
            check(str(stated.get(name)))
        except InvalidError as error:
            yield problem(name, error.message)


def _texts(stated: Attributes) -> Iterator[Problem]:
    for number, title in enumerate(stated.get("titles", ())):
        if not str(title.get("title", "")).strip():
            yield problem("titles", f"title {number + 1} is empty")
    for number, creator in enumerate(stated.get("creators", ())):
        if not str(creator.get("name", "")).strip():
            yield problem("creators", f"the name of creator {number + 1} is empty")
    for rights in stated.get("rightsList", ()):
        if len(str(rights.get("rights", ""))) > MAX_RIGHTS:
            yield problem("rightsList", f"rights have more than {MAX_RIGHTS} characters")
    unsaid = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\n".join(_strings(stated)))
    if unsaid:
        yield problem("metadata", f"a text holds {unsaid[0]!r}, which XML cannot say")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _terms(stated: Attributes) -> Iterator[Problem]:
    wanted = (
        ("contributors", "contributorType", vocabulary_terms("contributor-types")),
        ("relatedIdentifiers", "relationType", vocabulary_terms("relation-types")),
    )
    for name, member, terms in wanted:
        for item in stated.get(name, ()):
            if item.get(member) not in terms:
                yield problem(name, f"{item.get(member)!r} is no {member} of DataCite's")


def _listed(stated: Attributes) -> Iterator[Problem]:
    """Find terms that are on none of the XSD's lists."""
    for name, (member, terms) in _LISTED.items():
        for item in stated.get(name, ()):
            found = item.get(member)
            if found not in terms and (found is not None or name in _ALWAYS_TYPED):
                yield problem(name, f"{found!r} is no {member} of DataCite's")
    types = stated.get("types", {}).get("resourceTypeGeneral")
    if types not in vocabulary_terms("resource-types"):
        yield problem("types", f"{types!r} is no resourceTypeGeneral of DataCite's")
    for name in ("creators", "contributors"):
        for who in stated.get(name, ()):
            if who.get("nameType") not in {None, *_NAME_TYPES}:
                yield problem(name, f"{who.get('nameType')!r} is no nameType of DataCite's")


def _identified(stated: Attributes) -> Iterator[Problem]:
    """Find ORCID iDs, ROR ids and licences that are none: there is nobody behind them."""
    for name, scheme, text in _identifiers(stated):
        bare = str(text).rstrip("/").rpartition("/")[2]
        try:
            if scheme == "ORCID":
                check_orcid(bare)
            elif scheme == "ROR":
                check_ror(bare)
        except InvalidError as error:
            yield problem(name, error.message)
    known = {term.lower() for term in spdx_terms()}
    for rights in stated.get("rightsList", ()):
        found = str(rights.get("rightsIdentifier") or "")
        if rights.get("rightsIdentifierScheme") == "SPDX" and found.lower() not in known:
            yield problem("rightsList", f"{found!r} is no licence of SPDX's list")


def _identifiers(stated: Attributes) -> Iterator[tuple[str, object, object]]:
    """Yield each identifier of a person or an organisation: attribute, scheme, text."""
    for name in ("creators", "contributors"):
        for who in stated.get(name, ()):
            yield from ((name, *found) for found in _of_a_person(who))
    publisher = stated.get("publisher")
    if isinstance(publisher, dict) and publisher.get("publisherIdentifier"):
        scheme = publisher.get("publisherIdentifierScheme")
        yield "publisher", scheme, publisher["publisherIdentifier"]
    for award in stated.get("fundingReferences", ()):
        if award.get("funderIdentifier"):
            kind = award.get("funderIdentifierType")
            yield "fundingReferences", kind, award["funderIdentifier"]


def _of_a_person(who: Attributes) -> Iterator[tuple[object, object]]:
    for given in who.get("nameIdentifiers") or ():
        yield given.get("nameIdentifierScheme"), given.get("nameIdentifier")
    for place in who.get("affiliation") or ():
        if isinstance(place, dict) and place.get("affiliationIdentifier"):
            yield place.get("affiliationIdentifierScheme"), place["affiliationIdentifier"]


def _placed(stated: Attributes) -> Iterator[Problem]:
    """Find places that are not on Earth."""
    for place in stated.get("geoLocations", ()):
        for part in ("geoLocationBox", "geoLocationPoint"):
            for edge, value in (place.get(part) or {}).items():
                limit = next(v for k, v in _EDGES.items() if edge.endswith((k, k.lower())))
                if not _is_within(value, limit):
                    yield problem("geoLocations", f"{edge} {value!r} is not on Earth")


def _is_within(value: object, limit: float) -> bool:
    try:
        return abs(float(str(value))) <= limit
    except ValueError:
        return False


def _date(number: int, text: str) -> Iterator[Problem]:
    start, _, end = text.partition("/")
    for part in filter(None, (start, end)):
        try:
            instants(part)
        except InvalidError as error:
            yield problem("dates", f"date {number + 1}: {error.message}")


def problem(source: str, message: str) -> Problem:
    """Say what is wrong with an attribute, by the field of the record that it comes from."""
    return Problem(code="datacite-rule", path=field_of(source), message=message, fix=FIX)
