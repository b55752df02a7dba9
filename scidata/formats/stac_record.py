"""What STAC says of a dataset that comes from the record alone: rights, people, works, terms.

Fields of the extensions Contacts, Scientific, Processing, Themes and Language.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from scidata.facts import Facts
from scidata.formats.text import citation, orcid_url, ror_url
from scidata.record import Creator, NamedLicense, Record

Document: TypeAlias = dict[str, Any]  # Any: JSON at the edge

_PAPERS = {"IsDescribedBy", "IsDocumentedBy", "IsSupplementTo", "Cites", "References"}


def rights_and_people(record: Record) -> Document:
    """Return the licence, who holds and licenses the data, and whom to ask."""
    return {
        "license": "other" if isinstance(record.license, NamedLicense) else record.license,
        "providers": [_provider(record)],
        "contacts": list(_contacts(record)),
    }


def cited(record: Record, facts: Facts) -> Document:
    """Return how to cite a version, and the papers that it belongs with."""
    papers = [
        {"doi": r.id} | ({"citation": r.note} if r.note else {})
        for r in record.relations
        if r.type in _PAPERS and r.id.startswith("10.")
    ]
    cited: Document = {"sci:citation": citation(record, facts)}
    return cited | ({"sci:publications": papers} if papers else {})


def terms(record: Record) -> Document:
    """Return the language of the texts, and the terms of public vocabularies, by vocabulary."""
    schemes: dict[str, list[Document]] = {}
    for subject in record.subjects:
        concept = {"id": subject.uri, "title": subject.term, "url": subject.uri}
        schemes.setdefault(subject.scheme, []).append(concept)
    found: Document = {"language": {"code": record.language}}
    if schemes:
        found["themes"] = [{"scheme": s, "concepts": found} for s, found in schemes.items()]
    return found


def _provider(record: Record) -> Document:
    publisher = record.publisher
    url = {"url": ror_url(publisher.ror)} if publisher.ror else {}
    return {"name": publisher.name, "roles": ["licensor", "host"], **url}


def _contacts(record: Record) -> Iterator[Document]:
    for creator in record.creators:
        yield _person(creator, "creator")
    for contributor in record.contributors:
        yield _person(contributor, contributor.role)
    email = {"value": record.contact.email}
    yield {"name": record.contact.name, "emails": [email], "roles": ["contact"]}


def _person(who: Creator, role: str) -> Document:
    identifier = orcid_url(who.orcid) if who.orcid else who.ror and ror_url(who.ror)
    person: Document = {"name": who.full_name, "roles": [role]}
    if identifier:
        person["identifier"] = identifier
    if who.affiliations:
        person["organization"] = "; ".join(a.name for a in who.affiliations)
    return person


def processing(record: Record) -> Document:
    """Return how the data were made, and with which software."""
    provenance = record.provenance
    fields: Document = {}
    if provenance.steps:
        fields["processing:lineage"] = "\n".join(step.activity for step in provenance.steps)
    # Its value is a version, so software without a known one is in the lineage only.
    if versions := {s.name: s.version for s in provenance.software if s.version}:
        fields["processing:software"] = versions
    return fields
