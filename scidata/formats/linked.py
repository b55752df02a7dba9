"""A version in the words of schema.org: what Croissant, RO-Crate and schema.org itself share.

Nodes of JSON-LD, nested; each form puts them together its own way.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from scidata.facts import Asset, Variable
from scidata.formats.stac_cube import describe, variable_note
from scidata.formats.subject import META, Subject, doi_url, link_url
from scidata.formats.text import license_url, orcid_url, ror_url
from scidata.record import Affiliation, Box, Creator, Funding, Publisher, Record

Node: TypeAlias = dict[str, Any]  # Any: JSON-LD at the edge

COAR = "http://purl.org/coar/access_right/"
ACCESS = {
    "open": ("open access", "c_abf2"),
    "embargoed": ("embargoed access", "c_f1cf"),
    "restricted": ("restricted access", "c_16ec"),
    "metadata-only": ("metadata only access", "c_14cb"),
}
"""In words, and the code of COAR's vocabulary."""

_CITATIONS = {"IsSupplementTo", "Cites", "References"}
_SUBJECTS = {"IsDescribedBy", "IsDocumentedBy", "IsReviewedBy"}
_PLAIN = {"IsPartOf": "isPartOf", "HasPart": "hasPart", "IsDerivedFrom": "isBasedOn"}


def known(fields: Mapping[str, object]) -> Node:
    """Leave out what is unknown: nothing is stated as empty."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}


def person_or_organization(who: Creator) -> Node:
    """Return a creator or contributor; identified if the record identifies it."""
    if who.name is not None:
        return organization(Affiliation(name=who.name, ror=who.ror))
    return known(
        {
            "@type": "Person",
            "@id": who.orcid and orcid_url(who.orcid),
            "name": who.full_name,
            "givenName": who.given,
            "familyName": who.family,
            "affiliation": [organization(place) for place in who.affiliations],
        }
    )


def organization(named: Affiliation | Publisher) -> Node:
    """Return an organisation, with its ROR id if it is known."""
    url = named.ror and ror_url(named.ror)
    return known({"@type": "Organization", "@id": url, "name": named.name, "url": url})


def access_url(record: Record) -> str:
    """Return the COAR term for who may have the data."""
    return COAR + ACCESS[record.access][1]


def identifiers(subject: Subject) -> list[Node]:
    """Return the DOI, if there is one, the name and the digest.

    They have no ``@id``: with that of the dataset, readers would take both for one.
    """
    facts = subject.facts
    found = [
        _property("scidata id", "Name", facts.name),
        _property("scidata digest", "Digest", facts.digest),
    ]
    if subject.doi is None:
        return found
    scheme = "https://registry.identifiers.org/registry/doi"
    doi = {**_property(scheme, "DOI", f"doi:{subject.doi}"), "url": subject.doi_url}
    return [doi, *found]


def place(box: Box) -> Node:
    """Return a box: south, west, north, east, as schema.org writes it."""
    edges = f"{box.south} {box.west} {box.north} {box.east}"
    return {"@type": "Place", "geo": {"@type": "GeoShape", "box": edges}}


def period(record: Record) -> str | None:
    """Return ``start/end``; an open end is two dots, as ISO 8601-2 has it."""
    if record.temporal is None:
        return None
    return f"{record.temporal.start}/{record.temporal.end or '..'}"


def grants(record: Record) -> list[Node]:
    """Return the awards."""
    return [_grant(award) for award in record.funding]


def relations(record: Record) -> Node:
    """Return the works that this one is based on, cites, is described by or is part of."""
    related: dict[str, list[Node]] = {}
    for relation in record.relations:
        name = _PLAIN.get(relation.type)
        if relation.type in _CITATIONS:
            name = "citation"
        elif relation.type in _SUBJECTS:
            name = "subjectOf"
        if name:
            url = link_url(relation.id)
            work = {"@type": "CreativeWork", "@id": url, "url": url, "name": relation.note}
            _add(related, name, known(work))
    for source in record.provenance.sources:
        at = doi_url(source.doi) if source.doi else source.url
        work = {"@type": "CreativeWork", "@id": at, "url": at, "name": source.title}
        _add(related, "isBasedOn", known(work | {"license": source.license}))
    return dict(related)


def subjects(record: Record) -> list[Node]:
    """Return the terms of public vocabularies."""
    return [
        {
            "@type": "DefinedTerm",
            "@id": subject.uri,
            "name": subject.term,
            "inDefinedTermSet": subject.scheme,
        }
        for subject in record.subjects
    ]


def variables(subject: Subject) -> list[Node]:
    """Return what is measured, of all assets; labels of dimensions are left out."""
    return [
        _measured(subject.record, asset, variable)
        for asset in subject.facts.assets
        for variable in asset.variables
        if not variable.coordinate
    ]


def dataset(subject: Subject, *, seen_from: str = META) -> Node:
    """Return what every form says of the dataset, in schema.org's words."""
    record, facts = subject.record, subject.facts
    at = subject.described_at(seen_from=seen_from)
    return known(
        {
            "name": record.title,
            "alternateName": facts.name,
            "description": record.abstract,
            "version": facts.version,
            "identifier": identifiers(subject),
            "sameAs": subject.doi_url,
            "url": at,
            "creator": [person_or_organization(who) for who in record.creators],
            "publisher": organization(record.publisher),
            "datePublished": facts.created[:10],
            "dateCreated": record.created,
            "license": license_url(record),
            "conditionsOfAccess": access_url(record),
            "isAccessibleForFree": record.access == "open",
            "inLanguage": record.language,
            "keywords": list(record.keywords),
            "about": subjects(record),
            "spatialCoverage": record.spatial and place(record.spatial),
            "temporalCoverage": period(record),
            "funding": grants(record),
            "creditText": subject.citation,
            **relations(record),
        }
    )


def _add(related: dict[str, list[Node]], name: str, work: Node) -> None:
    ids = {found.get("@id") for found in related.get(name, [])}
    if work.get("@id") is None or work["@id"] not in ids:
        related.setdefault(name, []).append(work)


def _property(scheme: str, name: str, value: str) -> Node:
    return {"@type": "PropertyValue", "propertyID": scheme, "name": name, "value": value}


def _grant(award: Funding) -> Node:
    funder = organization(Affiliation(name=award.funder, ror=award.ror))
    return known(
        {
            "@type": "Grant",
            "@id": award.uri,
            "url": award.uri,
            "identifier": award.number,
            "name": award.title,
            "funder": funder,
        }
    )


def _measured(record: Record, asset: Asset, variable: Variable) -> Node:
    description, unit = describe(record, asset, variable)
    return known(
        {
            "@type": "PropertyValue",
            "name": variable.name,
            "description": description,
            "unitText": unit,
            "propertyID": standard_name_url(record, asset, variable),
        }
    )


def standard_name_url(record: Record, asset: Asset, variable: Variable) -> str | None:
    """Return the address of a variable's CF standard name."""
    note = variable_note(record, asset, variable.name)
    name = variable.standard_name or (note.standard_name if note else None)
    return f"http://vocab.nerc.ac.uk/standard_name/{name}/" if name else None
