"""DataCite's official examples, XML, as the attributes that its REST API would have of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Attributes = dict[str, Any]  # Any: JSON
_NS = "{http://datacite.org/schema/kernel-4}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_TEXTS = {
    "titles": "title",
    "subjects": "subject",
    "dates": "date",
    "alternateIdentifiers": "alternateIdentifier",
    "relatedIdentifiers": "relatedIdentifier",
    "rightsList": "rights",
    "descriptions": "description",
}
_NAMES = {"schemeURI": "schemeUri", "valueURI": "valueUri", "rightsURI": "rightsUri"}


def examples(schemas: Path) -> dict[str, Attributes]:
    """Return every official example by its name; related items, which have no rules, apart."""
    folder = schemas / "schema.datacite.org/meta/kernel-4.7/example"
    return {path.stem: _attributes(path) for path in sorted(folder.glob("*.xml"))}


def _attributes(path: Path) -> Attributes:
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    root = etree.parse(str(path)).getroot()
    found: Attributes = {
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "doi": _text(root, "identifier").lower(),
        "url": "https://example.org/page",
        "publicationYear": _text(root, "publicationYear"),
        "publisher": _publisher(root.find(f"{_NS}publisher")),
        "types": {
            "resourceType": _text(root, "resourceType"),
            "resourceTypeGeneral": root.find(f"{_NS}resourceType").get("resourceTypeGeneral"),
        },
        "sizes": [e.text for e in _children(root, "sizes")],
        "formats": [e.text for e in _children(root, "formats")],
        "language": _text(root, "language"),
        "version": _text(root, "version"),
        "geoLocations": [_place(e) for e in _children(root, "geoLocations")],
        "fundingReferences": [_award(e) for e in _children(root, "fundingReferences")],
    }
    for name, kind in (("creators", "creator"), ("contributors", "contributor")):
        found[name] = [_who(e, kind) for e in _children(root, name)]
    for name, member in _TEXTS.items():
        found[name] = [{member: _said(e)} | _members(e) for e in _children(root, name)]
    return {name: value for name, value in found.items() if value not in ([], "", None)}


def _children(root: Any, name: str) -> Iterator[Any]:  # Any: lxml has no types
    whole = root.find(f"{_NS}{name}")
    return iter(() if whole is None else whole.iterfind("*"))


def _said(element: Any) -> str:  # Any: lxml has no types
    return " ".join("".join(element.itertext()).split())


def _text(root: Any, name: str) -> str:  # Any: lxml has no types
    element = root.find(f"{_NS}{name}")
    return "" if element is None else _said(element)


def _members(element: Any) -> Attributes:  # Any: lxml has no types
    members: Attributes = {}
    for name, value in element.attrib.items():
        members["lang" if name == _LANG else _NAMES.get(str(name), str(name))] = value
    return members


def _publisher(element: Any) -> Attributes:  # Any: lxml has no types
    return {"name": _said(element)} | _members(element)


def _who(element: Any, kind: str) -> Attributes:  # Any: lxml has no types
    name = element.find(f"{_NS}{kind}Name")
    who: Attributes = {"name": _said(name)} | _members(name) | _members(element)
    for member in ("givenName", "familyName"):
        if text := _text(element, member):
            who[member] = text
    who["nameIdentifiers"] = [
        {"nameIdentifier": _said(e)} | _members(e)
        for e in element.iterfind(f"{_NS}nameIdentifier")
    ]
    who["affiliation"] = [
        {"name": _said(e)} | _members(e) for e in element.iterfind(f"{_NS}affiliation")
    ]
    return who


def _award(element: Any) -> Attributes:  # Any: lxml has no types
    award: Attributes = {}
    for child in element.iterfind("*"):
        award[child.tag.removeprefix(_NS)] = _said(child)
        award |= {k: v for k, v in _members(child).items() if k == "funderIdentifierType"}
    return award


def _place(element: Any) -> Attributes:  # Any: lxml has no types
    place: Attributes = {}
    for child in element.iterfind("*"):
        name = child.tag.removeprefix(_NS)
        if name == "geoLocationPlace":
            place[name] = _said(child)
        elif name in {"geoLocationBox", "geoLocationPoint"}:
            place[name] = {
                e.tag.removeprefix(_NS): float(_said(e)) for e in child.iterfind("*")
            }
    return place
