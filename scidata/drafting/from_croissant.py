"""What a Croissant file, or a ``Dataset`` of schema.org in JSON-LD, says of a dataset."""

from collections.abc import Iterator, Mapping
from typing import Any

from scidata.drafting.values import (
    COAR_ACCESS,
    Fields,
    box,
    distinct,
    doi,
    each,
    keywords,
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

_RELATIONS = {
    "citation": "References",
    "subjectOf": "IsDescribedBy",
    "isPartOf": "IsPartOf",
    "hasPart": "HasPart",
}
_OWN_SETS = ("manifest", "splits", "split/", "variables")
_BOX = 4


def is_croissant(document: Json) -> bool:
    """Tell whether a document is a dataset in the words of schema.org."""
    kinds = {str(kind).rpartition(":")[2].rpartition("/")[2] for kind in _kinds(document)}
    return "Dataset" in kinds and "name" in document


def read_croissant(document: Json) -> Fields:
    """Return fields of a record."""
    return known(
        {
            "title": line(document.get("name")),
            "abstract": text(document.get("description")),
            "methods": text(document.get("rai:dataCollection")),
            "creators": each(document.get("creator"), _who),
            "contributors": [],
            "contact": _contact(document),
            "publisher": next(iter(each(document.get("publisher"), _organization)), None),
            "license": _license(document),
            "access": _access(document),
            "language": (line(next(iter(listed(document.get("inLanguage"))), None)) or "")[:2],
            "keywords": keywords(document.get("keywords")),
            "subjects": each(document.get("about"), _subject),
            "spatial": next(iter(each(document.get("spatialCoverage"), _box)), None),
            "temporal": period(document.get("temporalCoverage")),
            "created": line(document.get("dateCreated")),
            "relations": list(_relations(document)),
            "funding": each(document.get("funding"), _award),
            "provenance": known({"sources": _sources(document), "steps": _steps(document)}),
            "limitations": [
                {"description": words}
                for words in map(text, listed(document.get("rai:dataLimitations")))
                if words
            ],
            "variables": list(_variables(document)),
        }
    )


def _kinds(node: Json) -> list[Any]:  # Any: JSON
    return listed(node.get("@type"))


def _who(who: Json) -> Fields:
    if "Organization" in str(who.get("@type")):
        return _organization(who)
    given, family = line(who.get("givenName")), line(who.get("familyName"))
    name = {"given": given, "family": family} if given and family else person(who.get("name"))
    if not name or "name" in name:
        return name or {}
    return name | known(
        {
            "orcid": orcid(who.get("@id")) or orcid(who.get("identifier")),
            "affiliations": each(who.get("affiliation"), _organization),
        }
    )


def _organization(node: Json) -> Fields:
    identifier = ror(node.get("@id")) or ror(node.get("url")) or ror(node.get("identifier"))
    return known({"name": line(node.get("name")), "ror": identifier})


def _contact(document: Json) -> Fields:
    holders = [document, *listed(document.get("publisher")), *listed(document.get("creator"))]
    for holder in holders:
        for point in listed(mapping(holder).get("contactPoint")):
            said = mapping(point)
            return known({"name": line(said.get("name")), "email": line(said.get("email"))})
    for who in listed(document.get("creator")):
        if mapping(who).get("email"):
            return known({"name": line(who.get("name")), "email": line(who.get("email"))})
    return {}


def _license(document: Json) -> Fields | str | None:
    for found in listed(document.get("license")):
        node = mapping(found)
        name = node.get("name") if node else found
        if read := license_of(name, node.get("url") or node.get("@id") if node else found):
            return read
    return None


def _access(document: Json) -> str | None:
    code = str(document.get("conditionsOfAccess")).rpartition("/")[2]
    free = "open" if document.get("isAccessibleForFree") is True else None
    return COAR_ACCESS.get(code) or free


def _subject(term: Json) -> Fields:
    scheme = term.get("inDefinedTermSet")
    return known(
        {
            "term": line(term.get("name")),
            "scheme": line(mapping(scheme).get("name") if isinstance(scheme, dict) else scheme),
            "uri": line(term.get("@id") or term.get("url")),
        }
    )


def _box(place: Json) -> Fields | None:
    edges = (line(mapping(place.get("geo")).get("box")) or "").replace(",", " ").split()
    if len(edges) != _BOX:
        return None
    south, west, north, east = edges
    return box(west, east, south, north)


def _relations(document: Json) -> Iterator[Fields]:
    for key, kind in _RELATIONS.items():
        for work in listed(document.get(key)):
            node = mapping(work)
            where = link(node.get("@id") or node.get("url") if node else work)
            if where and (doi(where) or "://" in where):
                note = line(node.get("name"))
                yield known({"type": kind, "id": where, "kind": "Other", "note": note})


def _sources(document: Json) -> list[Fields]:
    sources: list[Fields] = []
    for work in listed(document.get("isBasedOn")):
        node = mapping(work)
        where = link(node.get("@id") or node.get("url") if node else work)
        title = line(node.get("name")) or where
        at = {"doi": where} if doi(where) else {"url": where}
        if title:
            sources.append(known({"title": title, **at, "license": line(node.get("license"))}))
    return sources


def _steps(document: Json) -> list[Fields]:
    words = text(document.get("rai:dataManipulationProtocol"))
    return [{"activity": words}] if words else []


def _award(award: Json) -> Fields:
    funder = next(iter(each(award.get("funder"), _organization)), {})
    return known(
        {
            "funder": funder.get("name"),
            "ror": funder.get("ror"),
            "number": line(award.get("identifier")),
            "title": line(award.get("name")),
            "uri": line(award.get("@id") or award.get("url")),
        }
    )


def _variables(document: Json) -> Iterator[Fields]:
    """Yield what is said of columns; record sets about files and splits are no data."""
    named: list[str | None] = []
    for records in listed(document.get("recordSet")):
        if str(mapping(records).get("@id")).startswith(_OWN_SETS):
            continue
        for field in listed(mapping(records).get("field")):
            name, words = line(field.get("name")), text(field.get("description"))
            if name and words and name.lower() not in (n.lower() for n in distinct(named)):
                named.append(name)
                yield {"name": name.rpartition("/")[2] or name, "description": words}
    yield from each(document.get("variableMeasured"), _measured)


def _measured(value: Json) -> Fields | None:
    name, words = line(value.get("name")), text(value.get("description"))
    if not name or not words:
        return None
    return known({"name": name, "description": words, "units": line(value.get("unitText"))})
