"""What a STAC collection says of a dataset."""

from collections.abc import Iterator, Mapping
from typing import Any

from scidata.drafting.values import (
    Fields,
    box,
    doi,
    each,
    keywords,
    known,
    license_of,
    line,
    listed,
    mapping,
    orcid,
    person,
    ror,
    text,
)
from scidata.identifiers import vocabulary_terms

Json = Mapping[str, Any]  # Any: JSON

_WORLD = [-180, -90, 180, 90]


def is_collection(document: Json) -> bool:
    """Tell whether a document is a STAC collection."""
    return document.get("type") == "Collection" and "stac_version" in document


def read_stac(document: Json) -> Fields:
    """Return fields of a record."""
    people = [who for who in listed(document.get("contacts")) if isinstance(who, dict)]
    return known(
        {
            "title": line(document.get("title")),
            "abstract": text(document.get("description")),
            "creators": _creators(document, people),
            "contributors": list(_contributors(people)),
            "contact": _contact(people),
            "publisher": _publisher(document),
            "license": _license(document),
            "language": line(mapping(document.get("language")).get("code")),
            "keywords": keywords(document.get("keywords")),
            "subjects": list(_subjects(document)),
            "spatial": _spatial(document),
            "temporal": _temporal(document),
            "relations": list(_papers(document)),
        }
    )


def _creators(document: Json, people: list[Any]) -> list[Fields]:  # Any: JSON
    """Return who is called a creator; where nobody is, the organisations that made the data."""
    named = [_who(who) for who in people if "creator" in _roles(who)]
    makers = [p for p in listed(document.get("providers")) if "producer" in _roles(mapping(p))]
    return named or each(makers, _provider)


def _provider(provider: Json) -> Fields:
    return known({"name": line(provider.get("name")), "ror": ror(provider.get("url"))})


def _roles(who: Json) -> list[str]:
    return [role for role in listed(who.get("roles")) if isinstance(role, str)]


def _who(who: Json) -> Fields:
    identifier = who.get("identifier")
    if ror(identifier):
        return known({"name": line(who.get("name")), "ror": ror(identifier)})
    name = person(who.get("name")) or {}
    if "name" in name:
        return name
    places = (line(who.get("organization")) or "").split("; ")
    affiliations = [{"name": place} for place in places if place]
    return name | known({"orcid": orcid(identifier), "affiliations": affiliations})


def _contributors(people: list[Any]) -> Iterator[Fields]:  # Any: JSON
    terms = vocabulary_terms("contributor-types")
    for who in people:
        for role in _roles(who):
            if role in terms:
                yield {**_who(who), "role": role}


def _contact(people: list[Any]) -> Fields:  # Any: JSON
    for who in people:
        for email in listed(who.get("emails")):
            address = line(mapping(email).get("value"))
            return known({"name": line(who.get("name")), "email": address})
    return {}


def _publisher(document: Json) -> Fields | None:
    providers = [p for p in listed(document.get("providers")) if isinstance(p, dict)]
    ranked = sorted(providers, key=lambda p: "host" not in listed(p.get("roles")))
    return next(iter(each(ranked, _provider)), None)


def _license(document: Json) -> Fields | str | None:
    links = [link for link in listed(document.get("links")) if isinstance(link, dict)]
    found = next((link for link in links if link.get("rel") == "license"), {})
    name = document.get("license")
    if name in (None, "other", "various", "proprietary"):
        name = found.get("title")
    return license_of(name, None) or license_of(name, found.get("href"))


def _spatial(document: Json) -> Fields | None:
    extent = mapping(mapping(document.get("extent")).get("spatial"))
    edges = next(iter(listed(extent.get("bbox"))), None)
    if not isinstance(edges, list) or edges == _WORLD:  # often what is meant by nowhere
        return None
    if len(edges) == 6:  # noqa: PLR2004 - with heights
        edges = [*edges[:2], *edges[3:5]]
    if len(edges) != len(_WORLD):
        return None
    west, south, east, north = edges
    return box(west, east, south, north)


def _temporal(document: Json) -> Fields | None:
    extent = mapping(mapping(document.get("extent")).get("temporal"))
    interval = next(iter(listed(extent.get("interval"))), None)
    start, end = [*listed(interval), None, None][:2]
    return known({"start": line(start), "end": line(end)}) if start else None


def _subjects(document: Json) -> Iterator[Fields]:
    for theme in listed(document.get("themes")):
        scheme = line(mapping(theme).get("scheme"))
        for concept in listed(mapping(theme).get("concepts")):
            found = mapping(concept)
            uri = line(found.get("url")) or line(found.get("id"))
            term = line(found.get("title")) or line(found.get("id"))
            if scheme and uri and term:
                yield {"term": term, "scheme": scheme, "uri": uri}


def _papers(document: Json) -> Iterator[Fields]:
    for paper in listed(document.get("sci:publications")):
        if found := doi(mapping(paper).get("doi")):
            note = line(mapping(paper).get("citation"))
            yield known({"type": "References", "id": found, "kind": "Text", "note": note})
