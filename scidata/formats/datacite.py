"""The ``attributes`` of a DataCite DOI (REST API, metadata schema 4.7), as data.

A preview: there is a ``doi`` only if it is known, and ``url`` and the relations between
versions are added when it is registered.
DataCite has no place for e-mail addresses, checksums, files and variables; the manifest and the
record carry them.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from scidata.facts import Facts
from scidata.formats.linked import ACCESS, COAR
from scidata.formats.text import license_name, license_url, orcid_url, ror_url
from scidata.record import Contributor, Creator, Funding, NamedLicense, Record
from scidata.wording import amount, counted

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge

# Exactly this: for kernel-4.4 to 4.7 DataCite knows no schema and validates nothing.
SCHEMA_VERSION = "http://datacite.org/schema/kernel-4"

_ORCID = {"nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}
_ROR_NAME = {"nameIdentifierScheme": "ROR", "schemeUri": "https://ror.org"}


def attributes(record: Record, facts: Facts, doi: str | None = None) -> Attributes:
    """Return the attributes of a version's DOI; the DOI itself if it is known."""
    lang = record.language
    document: Attributes = {
        "schemaVersion": SCHEMA_VERSION,
        "types": {
            "resourceType": "Machine learning dataset",
            "resourceTypeGeneral": "Dataset",
        },
        "titles": [{"title": record.title, "lang": lang}],
        "creators": [_name(creator) for creator in record.creators],
        "contributors": list(_contributors(record)),
        "publisher": _publisher(record),
        "publicationYear": facts.created[:4],
        "version": facts.version,
        "language": lang,
        "dates": list(_dates(record, facts)),
        "subjects": list(_subjects(record)),
        "descriptions": list(_descriptions(record)),
        "rightsList": list(_rights(record)),
        "sizes": [amount(facts.bytes), counted(facts.files, "file")],
        "formats": sorted({asset.media_type for asset in facts.assets}),
        "alternateIdentifiers": [
            {"alternateIdentifier": facts.name, "alternateIdentifierType": "scidata id"},
            {"alternateIdentifier": facts.digest, "alternateIdentifierType": "scidata digest"},
        ],
        "relatedIdentifiers": list(_relations(record)),
        "fundingReferences": [_funding(award) for award in record.funding],
        "geoLocations": list(_places(record)),
    }
    if doi is not None:
        document["doi"] = doi
    return {key: value for key, value in document.items() if value != []}


def _name(who: Creator) -> Attributes:
    name: Attributes = {"name": who.formal_name, "nameType": "Organizational"}
    if who.family is not None:
        name |= {"nameType": "Personal", "givenName": who.given, "familyName": who.family}
    if who.orcid:
        name["nameIdentifiers"] = [{"nameIdentifier": orcid_url(who.orcid), **_ORCID}]
    if who.ror:
        name["nameIdentifiers"] = [{"nameIdentifier": ror_url(who.ror), **_ROR_NAME}]
    if who.affiliations:
        name["affiliation"] = [_affiliation(a.name, a.ror) for a in who.affiliations]
    return name


def _affiliation(name: str, ror: str | None) -> Attributes:
    if ror is None:
        return {"name": name}
    return {
        "name": name,
        "affiliationIdentifier": ror_url(ror),
        "affiliationIdentifierScheme": "ROR",
        "schemeUri": "https://ror.org",
    }


def _contributors(record: Record) -> Iterator[Attributes]:
    contributors: tuple[Contributor, ...] = record.contributors
    for contributor in contributors:
        yield {**_name(contributor), "contributorType": contributor.role}
    yield {"name": record.contact.name, "contributorType": "ContactPerson"}


def _publisher(record: Record) -> Attributes:
    publisher: Attributes = {"name": record.publisher.name}
    if record.publisher.ror:
        publisher |= {
            "publisherIdentifier": ror_url(record.publisher.ror),
            "publisherIdentifierScheme": "ROR",
            "schemeUri": "https://ror.org",
        }
    return publisher


def _dates(record: Record, facts: Facts) -> Iterator[Attributes]:
    yield {"date": facts.created[:10], "dateType": "Issued"}
    if record.created:
        yield {"date": record.created, "dateType": "Created"}
    if record.available:
        yield {"date": record.available, "dateType": "Available"}
    if record.temporal:
        # An open end is written with nothing after the slash (RKMS-ISO8601).
        span = f"{record.temporal.start}/{record.temporal.end or ''}"
        yield {"date": span, "dateType": "Coverage"}


def _subjects(record: Record) -> Iterator[Attributes]:
    for keyword in record.keywords:
        yield {"subject": keyword, "lang": record.language}
    for subject in record.subjects:
        yield {
            "subject": subject.term,
            "subjectScheme": subject.scheme,
            "valueUri": subject.uri,
        }


def _descriptions(record: Record) -> Iterator[Attributes]:
    texts = {
        "Abstract": record.abstract,
        "Methods": record.methods,
        "TechnicalInfo": "\n".join(step.activity for step in record.provenance.steps),
        "Other": record.synthetic_note,
    }
    known = [(kind, text) for kind, text in texts.items() if text]
    said = (record.real_note, *record.out_of_scope)
    known += [("Other", text) for text in said if text]
    known += [("Other", limit.description) for limit in record.limitations]
    for kind, text in known:
        yield {"description": text, "descriptionType": kind, "lang": record.language}


def _rights(record: Record) -> Iterator[Attributes]:
    rights: Attributes = {"rights": license_name(record), "rightsUri": license_url(record)}
    if not isinstance(record.license, NamedLicense):
        rights |= {
            # DataCite writes SPDX identifiers in lower case, and answers so.
            "rightsIdentifier": record.license.lower(),
            "rightsIdentifierScheme": "SPDX",
            "schemeUri": "https://spdx.org/licenses/",
        }
    yield rights
    # Access stands apart: in one entry, readers take the access words for the licence.
    words, code = ACCESS[record.access]
    yield {"rights": words, "rightsUri": COAR + code}


def _relations(record: Record) -> Iterator[Attributes]:
    for relation in record.relations:
        yield {
            "relatedIdentifier": relation.id,
            "relatedIdentifierType": "DOI" if relation.id.startswith("10.") else "URL",
            "relationType": relation.type,
            "resourceTypeGeneral": relation.kind,
        }
    related = {relation.id for relation in record.relations}
    sources = (source.doi or source.url for source in record.provenance.sources)
    for found in dict.fromkeys(filter(None, sources)):
        if found not in related:
            yield {
                "relatedIdentifier": found,
                "relatedIdentifierType": "DOI" if found.startswith("10.") else "URL",
                "relationType": "IsDerivedFrom",
            }
    tools = (software.url for software in record.provenance.software)
    for address in dict.fromkeys(filter(None, tools)):
        if address not in related:
            yield {
                "relatedIdentifier": address,
                "relatedIdentifierType": "URL",
                "relationType": "IsCompiledBy",
                "resourceTypeGeneral": "Software",
            }


def _funding(award: Funding) -> Attributes:
    fields = {
        "funderName": award.funder,
        "funderIdentifier": award.ror and ror_url(award.ror),
        "funderIdentifierType": award.ror and "ROR",
        "awardNumber": award.number,
        "awardTitle": award.title,
        "awardUri": award.uri,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _places(record: Record) -> Iterator[Attributes]:
    if record.spatial:
        box = record.spatial
        yield {
            "geoLocationBox": {
                "westBoundLongitude": box.west,
                "eastBoundLongitude": box.east,
                "southBoundLatitude": box.south,
                "northBoundLatitude": box.north,
            }
        }
