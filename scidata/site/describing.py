"""What a page says to machines: its metadata files, its JSON-LD and its typed links. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scidata.doi.documents import (
    Names,
    concept_document,
    version_document,
    without_empties,
)
from scidata.doi.ledger import Line
from scidata.formats import FORMS, Subject, media, schemaorg
from scidata.formats.forms import JSON_LD, Form
from scidata.formats.linked import Node, known
from scidata.formats.subject import doi_url, is_file
from scidata.formats.text import license_url, orcid_url, ror_url, to_json
from scidata.manifest import MANIFEST
from scidata.record import Record
from scidata.site.addresses import METADATA, Addresses, page_path
from scidata.site.signposting import (
    LINKSET,
    LINKSET_TYPE,
    MAX_AUTHORS,
    MAX_ITEMS,
    Link,
    bounded,
    link,
)
from scidata.site.sources import Version

MAX_EMBEDDED = 200
"""Entries of a list in the JSON-LD of a page; the file beside it has all of them."""
MAX_TEXT = 20_000
"""Characters of a text there: a citation of ten thousand authors is in the file alone."""

_NAMES = {
    "schemaorg": "schemaorg.jsonld",
    "croissant": "croissant.json",
    "datacite": "datacite.json",
    "dcat": "dcat.jsonld",
    "rocrate": "ro-crate-metadata.json",
    "stac": "item.json",
    "bibtex": "citation.bib",
    "cff": "CITATION.cff",
}
"""Forms that a page offers, by the name of their file below ``metadata/``."""
DATACITE = "application/vnd.datacite.datacite+json"
"""What DOIs are asked for by who wants DataCite's JSON."""
_ABOUT = "https://schema.org/AboutPage"
_DATASET = "https://schema.org/Dataset"


@dataclass(frozen=True, kw_only=True)
class Described:
    """What machines are told of one page."""

    links: tuple[Link, ...]
    document: Node
    """schema.org's JSON-LD, as it stands in the page."""
    files: Mapping[str, tuple[str, bytes]]
    """Media type and bytes of each file that goes with the page, by path in the site."""
    negotiate: Mapping[str, str]
    """Which of them answers who asks the page for another media type."""
    owns_items: bool = True
    """Whether the items are of this page, rather than of a version's."""


def landing(version: Version, addresses: Addresses) -> Subject:
    """Return the version as its page describes it: with its DOI and its address."""
    line = version.ledger.of(version.commit.version)
    doi = line.reserved.doi if line.reserved and line.findable else None
    page = addresses.page(version.commit.dataset, version.commit.version)
    return replace(version.subject, doi=doi, landing=page)


def concept_doi(version: Version) -> str | None:
    """Return the DOI of the dataset, if one of its versions can be found."""
    found = any(line.findable for line in version.ledger.lines)
    return version.ledger.concept if found else None


def metadata_path(dataset: str, version: str, form: str) -> str:
    """Return where a form lies in the site."""
    return page_path(dataset, version) + METADATA + _NAMES[form]


def dataset_path(dataset: str, form: str) -> str:
    """Return where a form of a dataset, whatever its version, lies in the site."""
    return page_path(dataset) + METADATA + _NAMES[form]


def describe_version(
    version: Version, addresses: Addresses, images: tuple[str, ...] = ()
) -> Described:
    """Return what machines are told of a version's page.

    Parameters
    ----------
    images : tuple of str
        Addresses of its previews.
    """
    commit = version.commit
    subject = landing(version, addresses)
    here = page_path(commit.dataset, commit.version)
    whole = _document(version, subject, addresses, images)
    bodies = _bodies(version, subject, whole)
    files = {here + METADATA + _NAMES[n]: (FORMS[n].media_type, d) for n, d in bodies.items()}
    links = bounded(_links(version, subject, addresses))
    return Described(
        links=links,
        document=_short(whole),
        files=files,
        negotiate={
            JSON_LD: metadata_path(commit.dataset, commit.version, "schemaorg"),
            DATACITE: metadata_path(commit.dataset, commit.version, "datacite"),
            FORMS["bibtex"].media_type: metadata_path(commit.dataset, commit.version, "bibtex"),
            LINKSET_TYPE: here + LINKSET,
        },
    )


def describe_dataset(newest: Version, addresses: Addresses) -> Described:
    """Return what machines are told of a dataset's page: its newest version, and all."""
    name = newest.commit.dataset
    page, concept = addresses.page(name), concept_doi(newest)
    iri = doi_url(concept) if concept else page
    whole = _document(newest, landing(newest, addresses), addresses, ())
    identifiers = [n for n in whole["identifier"] if n["name"] != "Digest"]
    for found in identifiers:
        if found["name"] == "Name":
            found["value"] = name
        elif concept:
            found |= {"value": f"doi:{concept}", "url": iri}
    document = known(
        {
            **whole,
            "@id": iri,
            "alternateName": name,
            "identifier": identifiers,
            "sameAs": doi_url(concept) if concept else None,
            "url": page,
            "workExample": [
                _example(line, addresses) for line in reversed(newest.ledger.lines)
            ],
        }
    )
    number = newest.commit.version
    files = {dataset_path(name, "schemaorg"): (JSON_LD, to_json(document))}
    if concept:
        media_type = FORMS["datacite"].media_type
        files[dataset_path(name, "datacite")] = (
            media_type,
            to_json(_concept(newest, concept, page)),
        )
    own = _links(newest, landing(newest, addresses), addresses)
    kept = [x for x in own if x.rel in {"type", "author", "license", "item"}]
    described = [
        _describedby(FORMS[form], addresses.at(dataset_path(name, form)))
        for form in ("schemaorg", "datacite")
        if dataset_path(name, form) in files
    ]
    newest_page = link("latest-version", addresses.page(name, number), media_type="text/html")
    linkset = link("linkset", addresses.at(f"{name}/{LINKSET}"), media_type=LINKSET_TYPE)
    choices = {
        JSON_LD: dataset_path(name, "schemaorg"),
        DATACITE: dataset_path(name, "datacite"),
        LINKSET_TYPE: f"{name}/{LINKSET}",
    }
    return Described(
        links=bounded([link("cite-as", iri), *kept, *described, newest_page, linkset]),
        document=_short(document),
        files=files,
        negotiate={kind: at for kind, at in choices.items() if concept or kind != DATACITE},
        owns_items=False,
    )


def embedded(document: Node) -> str:
    """Write JSON-LD so that it can stand in a page: no sign of it means anything to HTML."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _document(
    version: Version, subject: Subject, addresses: Addresses, images: tuple[str, ...]
) -> Node:
    document = schemaorg.document(subject)
    catalog = {
        "@type": "DataCatalog",
        "@id": addresses.at(),
        "url": addresses.at(),
        "name": catalog_name(subject.record.publisher.name),
    }
    # The manifest first: it is there, whatever a folder's address answers.
    downloads = document["distribution"]
    return known(
        {
            **document,
            "distribution": [] if version.is_gone else [downloads[-1], *downloads[:-1]],
            "includedInDataCatalog": catalog,
            "image": list(images),
            "thumbnailUrl": images[0] if images else None,
            "creativeWorkStatus": None
            if version.history.state == "active"
            else version.history.state.capitalize(),
        }
    )


def catalog_name(publisher: str) -> str:
    """Return how a collection of datasets is called; without a name it is of several."""
    return f"{publisher}: datasets" if publisher else "Datasets"


def _short(document: Node) -> Node:
    return {
        name: value[:MAX_EMBEDDED] if isinstance(value, list) else value
        for name, value in document.items()
        if not (isinstance(value, str) and len(value) > MAX_TEXT)
    }


def _example(line: Line, addresses: Addresses) -> Node:
    commit = line.commit
    page = addresses.page(commit.dataset, commit.version)
    findable = line.reserved if line.findable else None
    return {
        "@type": "CreativeWork",
        "@id": doi_url(findable.doi) if findable else page,
        "name": commit.name,
        "url": page,
        "version": commit.version,
    }


def _bodies(version: Version, subject: Subject, whole: Node) -> dict[str, bytes]:
    bodies = {
        name: FORMS[name].write(subject)
        for name in _NAMES
        if name not in {"schemaorg", "datacite"}
    }
    return {
        "schemaorg": to_json(whole),
        "datacite": to_json(_datacite(version, subject)),
        **bodies,
    }


def _datacite(version: Version, subject: Subject) -> dict[str, Any]:  # Any: JSON
    ledger, number = version.ledger, version.commit.version
    reserved = ledger.of(number).reserved
    page = subject.described_at()
    if reserved is None:
        form: dict[str, Any] = json.loads(FORMS["datacite"].write(subject))
        return {**form, "url": page}
    before = ledger.predecessor(number)
    names = Names(
        doi=reserved.doi,
        concept=ledger.concept or reserved.concept,
        previous=before.reserved.doi if before and before.reserved else None,
        following=ledger.following(number),
    )
    status = version.history.status
    return without_empties(version_document(subject.record, subject.facts, names, page, status))


def _concept(newest: Version, concept: str, page: str) -> dict[str, Any]:  # Any: JSON
    subject = newest.subject
    lines = newest.ledger.lines
    versions = [line.reserved.doi for line in lines if line.reserved and line.findable]
    document = concept_document(subject.record, subject.facts, concept, versions, page)
    return without_empties(document)


def _links(version: Version, subject: Subject, addresses: Addresses) -> Iterator[Link]:
    commit, record = version.commit, subject.record
    name, number = commit.dataset, commit.version
    yield link("cite-as", subject.iri())
    for kind in (_DATASET, _ABOUT):
        yield link("type", kind)
    yield from _authors(record)
    yield link("license", license_url(record))
    for form in _NAMES:
        at = addresses.at(metadata_path(name, number, form))
        yield _describedby(FORMS[form], at)
    if not version.is_gone:
        yield from _items(subject)
    yield from _chain(version, addresses)
    at = addresses.page(name, number) + LINKSET
    yield link("linkset", at, media_type=LINKSET_TYPE)


def _describedby(form: Form, at: str) -> Link:
    return link("describedby", at, media_type=form.media_type, profile=form.profile)


def _authors(record: Record) -> Iterator[Link]:
    ids = [
        (who.orcid and orcid_url(who.orcid)) or (who.ror and ror_url(who.ror))
        for who in record.creators
    ]
    for url in list(dict.fromkeys(filter(None, ids)))[:MAX_AUTHORS]:
        yield link("author", url)


def _items(subject: Subject) -> Iterator[Link]:
    yield link(
        "item", subject.at(subject.prefix + MANIFEST, seen_from=""), media_type=media.TEXT
    )
    single = [a for a in subject.facts.assets if is_file(subject.manifest, a)]
    for asset in single[: MAX_ITEMS - 1]:
        yield link("item", subject.asset(asset, seen_from=""), media_type=asset.media_type)


def _chain(version: Version, addresses: Addresses) -> Iterator[Link]:
    """Yield the links of RFC 5829 between versions."""
    ledger, name = version.ledger, version.commit.dataset
    numbers = [line.commit.version for line in ledger.lines]
    at = numbers.index(version.commit.version)
    offered = [line.commit.version for line in ledger.lines if line.history.is_offered]
    found = {
        "predecessor-version": numbers[at - 1] if at else None,
        "successor-version": numbers[at + 1] if at + 1 < len(numbers) else None,
        "latest-version": (offered or numbers)[-1],
    }
    for rel, number in found.items():
        if number is not None:
            yield link(rel, addresses.page(name, number), media_type="text/html")
    yield link("version-history", addresses.page(name), media_type="text/html")
