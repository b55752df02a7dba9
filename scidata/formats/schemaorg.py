"""schema.org's ``Dataset`` in JSON-LD: what search engines for datasets read.

It has no word for versions before and after this one.
"""

from collections.abc import Iterator

from scidata.facts import Asset
from scidata.formats import media
from scidata.formats.linked import (
    Node,
    dataset,
    known,
    organization,
    person_or_organization,
    variables,
)
from scidata.formats.subject import Subject, is_file
from scidata.manifest import MANIFEST
from scidata.wording import amount

_TECHNIQUE = 200  # characters: a technique is a phrase, not a chapter


def document(subject: Subject) -> Node:
    """Return the JSON-LD; the context is named, not read."""
    record = subject.record
    methods = record.methods
    if methods is not None and len(methods) > _TECHNIQUE:
        methods = methods[: _TECHNIQUE - 1].rstrip() + "…"
    publisher = organization(record.publisher)
    contact = {
        "@type": "ContactPoint",
        "name": record.contact.name,
        "email": record.contact.email,
    }
    return known(
        {
            "@context": "https://schema.org/",
            "@type": "Dataset",
            "@id": subject.iri(),
            **dataset(subject),
            "publisher": {**publisher, "contactPoint": contact},
            "provider": publisher,
            "contributor": [person_or_organization(who) for who in record.contributors],
            "measurementTechnique": methods,
            "variableMeasured": variables(subject),
            "size": amount(subject.facts.bytes),
            "distribution": list(_distribution(subject)),
        }
    )


def _distribution(subject: Subject) -> Iterator[Node]:
    for asset in subject.facts.assets:
        yield _download(subject, asset)
    size = len(subject.manifest.text)
    yield {
        "@type": "DataDownload",
        "name": MANIFEST,
        "description": "Every file with its sha256",
        "contentUrl": subject.at(subject.prefix + MANIFEST),
        "encodingFormat": media.TEXT,
        "contentSize": f"{size} B",
        "sha256": subject.facts.manifest_digest.hex,
    }


def _download(subject: Subject, asset: Asset) -> Node:
    download: Node = {
        "@type": "DataDownload",
        "name": asset.path,
        "contentUrl": subject.asset(asset),
        "encodingFormat": asset.media_type,
        "contentSize": f"{asset.bytes} B",
    }
    return download | ({"sha256": asset.sha256} if is_file(subject.manifest, asset) else {})
