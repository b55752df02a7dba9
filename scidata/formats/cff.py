"""``CITATION.cff`` 1.2.0: how to cite, for GitHub, Zenodo and reference managers."""

from collections.abc import Iterator
from functools import cache

from scidata.formats.linked import known
from scidata.formats.subject import Subject
from scidata.formats.text import license_label, license_url, orcid_url, ror_url
from scidata.identifiers import vocabulary_terms
from scidata.record import Creator, NamedLicense, Record

_DIGEST = "sha256 of the manifest: the version's bytes"


def document(subject: Subject) -> dict[str, object]:
    """Return the fields; as YAML they must be in block style."""
    record, facts = subject.record, subject.facts
    return known(
        {
            "cff-version": "1.2.0",
            "type": "dataset",
            "message": "If you use this dataset, please cite this version of it.",
            "title": record.title,
            "abstract": record.abstract,
            "authors": [_who(creator) for creator in record.creators],
            "contact": [{"name": record.contact.name, "email": record.contact.email}],
            "version": facts.version,
            "date-released": facts.created[:10],
            "keywords": list(record.keywords),
            "doi": subject.doi,
            "identifiers": list(_identifiers(subject)),
            "url": subject.public_page,
            **_license(record),
        }
    )


def _who(who: Creator) -> dict[str, object]:
    if who.name is not None:
        return known({"name": who.name, "website": who.ror and ror_url(who.ror)})
    return known(
        {
            "given-names": who.given,
            "family-names": who.family,
            "orcid": who.orcid and orcid_url(who.orcid),
            "affiliation": "; ".join(place.name for place in who.affiliations),
        }
    )


def _identifiers(subject: Subject) -> Iterator[dict[str, object]]:
    if subject.doi:
        yield {"type": "doi", "value": subject.doi, "description": "This version"}
    yield {"type": "other", "value": subject.facts.name, "description": "Name in scidata"}
    yield {"type": "other", "value": subject.facts.digest, "description": _DIGEST}


def _license(record: Record) -> dict[str, object]:
    """Return the SPDX id if CFF 1.2.0 knows it: its list is of 2021. Else the address."""
    if isinstance(record.license, NamedLicense) or license_label(record) in _later():
        return {"license-url": license_url(record)}
    return {"license": record.license}


@cache
def _later() -> frozenset[str]:
    return vocabulary_terms("licenses-unknown-to-cff")
