"""What a DataCite record says of a dataset: attributes of the REST API, or its whole answer."""

from collections.abc import Mapping
from typing import Any

from scidata.drafting.values import (
    COAR_ACCESS,
    Fields,
    box,
    distinct,
    doi,
    each,
    known,
    license_of,
    line,
    link,
    listed,
    mapping,
    orcid,
    period,
    person,
    ror,
    text,
)

Json = Mapping[str, Any]  # Any: JSON

_DERIVED = {
    "IsVersionOf",
    "HasVersion",
    "IsNewVersionOf",
    "IsPreviousVersionOf",
    "HasMetadata",
}


def is_datacite(document: Json) -> bool:
    """Tell whether a document is a DataCite record."""
    return "titles" in attributes_of(document)


def attributes_of(document: Json) -> Json:
    """Return the attributes, out of an answer of the REST API or as they stand."""
    data = mapping(document.get("data"))
    return mapping(data.get("attributes")) or document


def read_datacite(document: Json) -> Fields:
    """Return fields of a record."""
    found = attributes_of(document)
    contact, helpers = _contributors(found)
    described = _descriptions(found)
    related, sources, tools = _relations(found)
    dates = {line(d.get("dateType")): line(d.get("date")) for d in _maps(found, "dates")}
    return known(
        {
            "title": line(next((t.get("title") for t in _maps(found, "titles")), None)),
            "abstract": described.get("Abstract"),
            "methods": described.get("Methods"),
            "creators": each(found.get("creators"), _who),
            "contributors": helpers,
            "contact": contact,
            "publisher": _publisher(found.get("publisher")),
            "license": _license(found),
            "access": _access(found),
            "available": dates.get("Available") if _access(found) == "embargoed" else None,
            "language": (line(found.get("language")) or "")[:2].lower(),
            "keywords": distinct(
                line(s.get("subject"))
                for s in _maps(found, "subjects")
                if not s.get("valueUri")
            ),
            "subjects": each(found.get("subjects"), _subject),
            "spatial": next(iter(each(found.get("geoLocations"), _box)), None),
            "temporal": period(dates.get("Coverage")),
            "created": dates.get("Created"),
            "relations": related,
            "funding": each(found.get("fundingReferences"), _award),
            "provenance": known(
                {"sources": sources, "software": tools, "steps": _steps(described)}
            ),
        }
    )


def _maps(found: Json, key: str) -> list[Json]:
    return [value for value in listed(found.get(key)) if isinstance(value, dict)]


def _identifier(who: Json, scheme: str) -> object:
    for name in _maps(who, "nameIdentifiers"):
        if str(name.get("nameIdentifierScheme")).upper() == scheme:
            return name.get("nameIdentifier")
    return None


def _who(who: Json) -> Fields:
    given, family = line(who.get("givenName")), line(who.get("familyName"))
    personal = who.get("nameType") == "Personal"
    if given and family:
        name: Fields = {"given": given, "family": family}
    elif personal:
        name = person(who.get("name")) or {}
    else:
        name = known({"name": line(who.get("name"))})
    if "name" in name:
        return name | known({"ror": ror(_identifier(who, "ROR"))})
    places = [_affiliation(place) for place in listed(who.get("affiliation"))]
    return name | known(
        {
            "orcid": orcid(_identifier(who, "ORCID")),
            "affiliations": [place for place in places if place],
        }
    )


def _affiliation(place: object) -> Fields:
    if not isinstance(place, dict):
        return known({"name": line(place)})
    return known(
        {"name": line(place.get("name")), "ror": ror(place.get("affiliationIdentifier"))}
    )


def _contributors(found: Json) -> tuple[Fields, list[Fields]]:
    """Return the contact, the last of its kind without a type of name, and the others."""
    people = _maps(found, "contributors")
    persons = [p for p in people if p.get("contributorType") == "ContactPerson"]
    untyped = [p for p in persons if not p.get("nameType")]
    contact = next(iter([*reversed(untyped), *persons]), None)
    rest = [
        {**_who(p), "role": line(p.get("contributorType"))} for p in people if p is not contact
    ]
    return known({"name": contact and line(contact.get("name"))}), [known(p) for p in rest]


def _publisher(value: object) -> Fields:
    if not isinstance(value, dict):
        return known({"name": line(value)})
    identifier = value.get("publisherIdentifier")
    return known({"name": line(value.get("name")), "ror": ror(identifier)})


def _license(found: Json) -> Fields | str | None:
    for rights in _maps(found, "rightsList"):
        if "purl.org/coar" in str(rights.get("rightsUri")):
            continue
        name = rights.get("rightsIdentifier") or rights.get("rights")
        if read := license_of(name, rights.get("rightsUri")):
            return read
    return None


def _access(found: Json) -> str | None:
    codes = [str(r.get("rightsUri")).rpartition("/")[2] for r in _maps(found, "rightsList")]
    return next((COAR_ACCESS[code] for code in codes if code in COAR_ACCESS), None)


def _subject(subject: Json) -> Fields | None:
    if not subject.get("valueUri"):
        return None
    return known(
        {
            "term": line(subject.get("subject")),
            "scheme": line(subject.get("subjectScheme")),
            "uri": line(subject.get("valueUri")),
        }
    )


def _box(place: Json) -> Fields | None:
    edges = mapping(place.get("geoLocationBox"))
    return box(
        edges.get("westBoundLongitude"),
        edges.get("eastBoundLongitude"),
        edges.get("southBoundLatitude"),
        edges.get("northBoundLatitude"),
    )


def _descriptions(found: Json) -> dict[str, str]:
    texts: dict[str, str] = {}
    for description in _maps(found, "descriptions"):
        if words := text(description.get("description")):
            texts.setdefault(str(description.get("descriptionType")), words)
    return texts


def _steps(described: Mapping[str, str]) -> list[Fields]:
    words = described.get("TechnicalInfo")
    return [{"activity": words}] if words else []


def _relations(found: Json) -> tuple[list[Fields], list[Fields], list[Fields]]:
    """Return relations, and sources and software of which only an address is said."""
    related: list[Fields] = []
    sources: list[Fields] = []
    tools: list[Fields] = []
    for relation in _maps(found, "relatedIdentifiers"):
        kind, name = line(relation.get("relationType")), link(relation.get("relatedIdentifier"))
        if kind in _DERIVED or name is None:
            continue
        work = line(relation.get("resourceTypeGeneral"))
        if kind == "IsDerivedFrom" and work is None:
            sources.append({"title": name, "doi" if doi(name) else "url": name})
        elif kind == "IsCompiledBy" and work == "Software":
            tools.append({"name": name, "url": name})
        else:
            related.append(known({"type": kind, "id": name, "kind": work or "Other"}))
    return related, sources, tools


def _award(award: Json) -> Fields:
    return known(
        {
            "funder": line(award.get("funderName")),
            "ror": ror(award.get("funderIdentifier")),
            "number": line(award.get("awardNumber")),
            "title": line(award.get("awardTitle")),
            "uri": line(award.get("awardUri")),
        }
    )
