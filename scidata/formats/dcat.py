"""DCAT 3 as DCAT-AP 3.0.1 profiles it, with PROV-O for how the data came to be; as JSON-LD.

Every object is typed and the context is written out, so that it is read without a network.
"""

from scidata.facts import Asset
from scidata.formats.linked import ACCESS, Node, access_url, known
from scidata.formats.subject import Subject, doi_url, is_file, link_url
from scidata.formats.text import license_name, license_url, orcid_url, ror_url
from scidata.record import Affiliation, Box, Creator, Publisher, Record

_CONTEXT: Node = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geo": "http://www.opengis.net/ont/geosparql#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_DATES = {4: "xsd:gYear", 7: "xsd:gYearMonth", 10: "xsd:date"}
_PLAIN = {
    "HasPart": "dct:hasPart",
    "IsPartOf": "dct:isPartOf",
    "IsDerivedFrom": "prov:wasDerivedFrom",
}
_MEDIA = "https://www.iana.org/assignments/media-types/"


def document(subject: Subject) -> Node:
    """Return the JSON-LD of a version."""
    record, facts = subject.record, subject.facts
    creators = [_agent(who) for who in record.creators]
    parent = facts.parent and subject.at(f"v{facts.parent}/")
    return known(
        {
            "@context": _CONTEXT,
            "@id": subject.iri(),
            "@type": "dcat:Dataset",
            "dct:title": _text(record, record.title),
            "dct:description": _text(record, record.abstract),
            "dct:identifier": list(filter(None, (subject.doi_url, facts.name, facts.digest))),
            "dcat:version": facts.version,
            "dct:issued": _date(facts.created[:10]),
            "dct:created": record.created and _date(record.created),
            "dct:available": record.available and _date(record.available),
            "dct:creator": creators,
            "dct:contributor": [_agent(who) for who in record.contributors],
            "dct:publisher": _publisher(record.publisher),
            "dcat:contactPoint": _contact(record),
            "dct:license": _license(record),
            "dct:accessRights": {
                "@id": access_url(record),
                "@type": "dct:RightsStatement",
                "rdfs:label": {"@value": ACCESS[record.access][0], "@language": "en"},
            },
            "dcat:keyword": [_text(record, word) for word in record.keywords],
            "dct:subject": [_concept(record, s.uri, s.term) for s in record.subjects],
            "dct:spatial": record.spatial and _place(record.spatial),
            "dct:temporal": _period(record),
            "dct:conformsTo": [{"@id": u, "@type": "dct:Standard"} for u in record.conforms_to],
            "dcat:landingPage": _page(subject.landing or subject.doi_url),
            "dct:bibliographicCitation": subject.citation,
            "prov:wasAttributedTo": [{"@id": who["@id"]} for who in creators if "@id" in who],
            "prov:wasRevisionOf": parent and {"@id": parent},
            "prov:wasGeneratedBy": _activity(record),
            **_relations(record),
            "dcat:distribution": [_distribution(subject, a) for a in facts.assets],
        }
    )


def _text(record: Record, text: str) -> Node:
    return {"@value": text, "@language": record.language}


def _date(text: str) -> Node:
    """Return a W3CDTF date with the type of its precision."""
    return {"@value": text, "@type": _DATES.get(len(text), "xsd:dateTime")}


def _agent(who: Creator) -> Node:
    url = (who.orcid and orcid_url(who.orcid)) or (who.ror and ror_url(who.ror))
    return known(
        {
            "@id": url,
            "@type": ["foaf:Agent", "foaf:Organization" if who.name else "foaf:Person"],
            "foaf:name": who.full_name,
            "foaf:givenName": who.given,
            "foaf:familyName": who.family,
        }
    )


def _publisher(publisher: Publisher | Affiliation) -> Node:
    url = publisher.ror and ror_url(publisher.ror)
    return known({"@id": url, "@type": "foaf:Agent", "foaf:name": publisher.name})


def _contact(record: Record) -> Node:
    return {
        "@type": "vcard:Kind",
        "vcard:fn": record.contact.name,
        "vcard:hasEmail": {"@id": f"mailto:{record.contact.email}"},
    }


def _license(record: Record) -> Node:
    label = license_name(record)
    return {"@id": license_url(record), "@type": "dct:LicenseDocument", "rdfs:label": label}


def _concept(record: Record, uri: str, term: str) -> Node:
    return {"@id": uri, "@type": "skos:Concept", "skos:prefLabel": _text(record, term)}


def _page(url: str | None) -> Node | None:
    return {"@id": url, "@type": "foaf:Document"} if url else None


def _place(box: Box) -> Node:
    """Return a box as well-known text, longitude first; across 180° it is two."""
    spans = [(box.west, box.east)]
    if box.west > box.east:
        spans = [(box.west, 180.0), (-180.0, box.east)]
    rings = [_ring(west, east, box.south, box.north) for west, east in spans]
    text = f"POLYGON({rings[0]})"
    if len(rings) > 1:
        text = f"MULTIPOLYGON({','.join(f'({ring})' for ring in rings)})"
    literal = {"@value": text, "@type": "geo:wktLiteral"}
    return {"@type": "dct:Location", "dcat:bbox": literal}


def _ring(west: float, east: float, south: float, north: float) -> str:
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return f"({','.join(f'{x} {y}' for x, y in corners)})"


def _period(record: Record) -> Node | None:
    if record.temporal is None:
        return None
    start, end = record.temporal.start, record.temporal.end
    return known(
        {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _date(start),
            "dcat:endDate": end and _date(end),
        }
    )


def _activity(record: Record) -> Node | None:
    provenance = record.provenance
    if not (provenance.steps or provenance.software or provenance.instrument):
        return None
    steps = "\n".join(step.activity for step in provenance.steps)
    tools = [" ".join(filter(None, (s.name, s.version))) for s in provenance.software]
    agents = [{"@type": "prov:SoftwareAgent", "rdfs:label": tool} for tool in tools]
    if provenance.instrument:
        agents.insert(0, {"@type": "prov:Agent", "rdfs:label": provenance.instrument})
    return known(
        {
            "@type": "prov:Activity",
            "dct:description": steps and _text(record, steps),
            "prov:wasAssociatedWith": agents,
        }
    )


def _relations(record: Record) -> Node:
    related: dict[str, dict[str, None]] = {}  # addresses in their order, each once
    for relation in record.relations:
        name = _PLAIN.get(relation.type, "dct:references")
        related.setdefault(name, {})[link_url(relation.id)] = None
    for source in record.provenance.sources:
        if url := doi_url(source.doi) if source.doi else source.url:
            related.setdefault("prov:wasDerivedFrom", {})[url] = None
    return {name: [{"@id": url} for url in urls] for name, urls in related.items()}


def _distribution(subject: Subject, asset: Asset) -> Node:
    address = {"@id": subject.asset(asset)}
    whole = is_file(subject.manifest, asset)
    return known(
        {
            "@type": "dcat:Distribution",
            "dct:title": asset.path,
            "dcat:accessURL": address,
            "dcat:downloadURL": address if whole else None,
            "dcat:byteSize": {"@value": str(asset.bytes), "@type": "xsd:nonNegativeInteger"},
            "dcat:mediaType": {"@id": _MEDIA + asset.media_type, "@type": "dct:MediaType"},
            "dct:license": _license(subject.record),
            "spdx:checksum": _checksum(asset) if whole else None,
        }
    )


def _checksum(asset: Asset) -> Node:
    return {
        "@type": "spdx:Checksum",
        "spdx:algorithm": {
            "@id": "http://spdx.org/rdf/terms#checksumAlgorithm_sha256",
            "@type": "spdx:ChecksumAlgorithm",
        },
        "spdx:checksumValue": {"@value": asset.sha256, "@type": "xsd:hexBinary"},
    }
