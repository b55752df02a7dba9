"""The pages themselves: a model, what machines are told, and a template for each sort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scidata.diff import Difference
from scidata.formats import Subject, bibtex
from scidata.formats.linked import ACCESS, Node
from scidata.formats.subject import doi_url
from scidata.formats.text import license_label, license_name, license_url
from scidata.manifest import MANIFEST
from scidata.record import Record
from scidata.site import listed, models
from scidata.site.addresses import METADATA, Addresses, page_path, root_of, web
from scidata.site.describing import (
    MAX_EMBEDDED,
    Described,
    catalog_name,
    concept_doi,
    embedded,
    landing,
)
from scidata.site.rendering import render
from scidata.site.snippets import Bucket, snippets
from scidata.site.sources import Version
from scidata.wording import counted

MAX_CARDS = 500
"""Datasets that the index shows with all they say; of the others it shows the names."""
MAX_COPIED = 20_000
"""Characters of a citation that a page shows; a longer one is a file beside it."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A picture of the data, made when the site is built."""

    file: str
    """Below the version's page, such as ``preview-map.png``."""
    caption: str
    alt: str
    """What it shows, for who does not see it."""
    width: int
    height: int
    """As a page shows it, in CSS pixels: room is kept for it while it loads."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A dataset in the index."""

    name: str
    title: str
    abstract: str
    language: str
    version: str
    date: str
    size: str
    bytes: int
    files: str
    licence: str
    domains: tuple[str, ...]
    """Fields that the dataset is of, as its record says."""
    keywords: tuple[str, ...]
    versions: int
    state: str
    publisher: str
    href: str
    url: str
    license_url: str


def version_page(
    version: Version,
    described: Described,
    addresses: Addresses,
    *,
    difference: Difference | None = None,
    previews: Sequence[Preview] = (),
    bucket: Bucket | None = None,
) -> bytes:
    """Return the page of a version; that of one that is gone is a tombstone."""
    subject, commit = landing(version, addresses), version.commit
    here = page_path(commit.dataset, commit.version)
    rows, more_rows = models.variables(subject)
    changes = difference and listed.changes(difference, addresses, here)
    return render(
        "version.html",
        **_shared(version, subject, described, addresses, here),
        dataset_href=addresses.link(addresses.page(commit.dataset), here),
        changes=changes,
        assets=()
        if version.history.state == "purged"
        else listed.assets(subject, addresses, linked=not version.is_gone),
        manifest=addresses.link(subject.at(subject.prefix + MANIFEST, seen_from=""), here),
        variables=rows,
        more_variables=more_rows,
        splits=models.splits(version),
        statistics=models.statistics(version.statistics),
        previews=() if version.is_gone else previews,
        snippets=() if version.is_gone else tuple(snippets(subject, bucket)),
        metadata=[
            (found.href.rpartition("/")[2], addresses.link(found.href, here), found.type)
            for found in described.links
            if found.rel == "describedby"
        ],
    )


def dataset_page(
    newest: Version,
    described: Described,
    addresses: Addresses,
    changes: Mapping[str, str],
    previews: Sequence[Preview] = (),
) -> bytes:
    """Return the page of a dataset: what it is, its newest version, and all versions."""
    subject, commit = landing(newest, addresses), newest.commit
    here = page_path(commit.dataset)
    inner = page_path(commit.dataset, commit.version)
    shared = _shared(newest, subject, described, addresses, here)
    return render(
        "dataset.html",
        **{
            **shared,
            "history": listed.history(newest.ledger.lines, addresses, here, changes),
            "newest_href": addresses.link(addresses.page(commit.dataset, commit.version), here),
            "previews": () if newest.is_gone else previews[:1],
            "preview_base": inner.removeprefix(here),
        },
    )


def card(newest: Version, addresses: Addresses) -> Card:
    """Return what the index says of a dataset."""
    record, commit = newest.subject.record, newest.commit
    return Card(
        name=commit.dataset,
        title=record.title,
        abstract=_first_words(record.abstract),
        language=record.language,
        version=commit.version,
        date=commit.created[:10],
        size=listed.size_words(commit, newest.history.state),
        bytes=commit.bytes,
        files=counted(commit.files, "file"),
        licence=license_label(record),
        domains=tuple(dict.fromkeys(subject.term for subject in record.subjects)),
        keywords=record.keywords[:6],
        versions=len(newest.ledger.lines),
        state=newest.history.state,
        publisher=record.publisher.name,
        href=page_path(commit.dataset),
        url=addresses.page(commit.dataset),
        license_url=license_url(record),
    )


def index_page(cards: Sequence[Card], addresses: Addresses) -> bytes:
    """Return the index of all datasets."""
    publishers = {found.publisher for found in cards}
    only = next(iter(publishers)) if len(publishers) == 1 else ""
    document: Node = {
        "@context": "https://schema.org/",
        "@type": "DataCatalog",
        "@id": addresses.at(),
        "url": addresses.at(),
        "name": catalog_name(only),
        "dataset": [
            {
                "@type": "Dataset",
                "@id": found.url,
                "url": found.url,
                "name": found.title,
                "description": found.abstract,
                "license": found.license_url,
                "version": found.version,
            }
            for found in cards[:MAX_EMBEDDED]
        ],
    }
    return render(
        "index.html",
        root="./",
        canonical=addresses.at(),
        name=catalog_name(only),
        cards=cards[:MAX_CARDS],
        others=cards[MAX_CARDS:],
        document=embedded(document),
        links=(),
    )


def missing_page(addresses: Addresses) -> bytes:
    """Return what a host answers with where nothing is: reached from any depth."""
    return render("404.html", root=addresses.path, links=(), canonical=None, document=None)


def _first_words(text: str, most: int = 280) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rpartition(' ')[0] or line[:most]}…"


def _shared(
    version: Version,
    subject: Subject,
    described: Described,
    addresses: Addresses,
    here: str,
) -> dict[str, object]:
    """Return what the pages of a version and of a dataset have in common."""
    record, commit, ledger = subject.record, version.commit, version.ledger
    line = ledger.of(commit.version)
    creators, more_creators = models.people(record)
    helpers, more_helpers = models.contributors(record)
    status = version.history.status
    concept = concept_doi(version)
    return {
        "root": root_of(here),
        "canonical": addresses.at(here),
        "links": described.links,
        "document": embedded(described.document),
        "record": record,
        "facts": subject.facts,
        "commit": commit,
        "correction": version.correction,
        "summary": _first_words(record.abstract),
        "gone": version.is_gone,
        "state": version.history.state,
        "status": status,
        "status_fault": version.history.fault,
        "instead": _instead(version, addresses, here),
        "creators": creators,
        "more_creators": more_creators,
        "affiliations": models.affiliations(creators),
        "contributors": helpers,
        "more_contributors": more_helpers,
        "related": tuple(models.related(record)),
        "sources": tuple(models.sources(record)),
        "awards": tuple(models.awards(record)),
        "works_of": _conforming(record),
        "doi": subject.doi,
        "doi_href": subject.doi_url,
        "reserved": line.reserved.doi if line.reserved and not line.findable else None,
        "concept": concept,
        "concept_href": concept and doi_url(concept),
        "citation": _bounded(subject.citation),
        "bibtex": _bounded(bibtex.entry(subject).decode()),
        "metadata_base": addresses.link(
            addresses.page(commit.dataset, commit.version) + METADATA, here
        ),
        "license_name": license_name(record),
        "license_label": license_label(record),
        "license_href": web(license_url(record)),
        "access": ACCESS[record.access][0],
        "size": listed.size_words(commit, version.history.state),
        "files": counted(commit.files, "file"),
        "formats": models.formats(subject),
        "history": listed.history(ledger.lines, addresses, here, {}, current=commit.version),
        "versions": len(ledger.lines),
    }


def _bounded(text: str) -> str | None:
    return text if len(text) <= MAX_COPIED else None


def _conforming(record: Record) -> tuple[tuple[str, str | None], ...]:
    return tuple((url, web(url)) for url in record.conforms_to)


def _instead(
    version: Version, addresses: Addresses, here: str
) -> tuple[str, str | None] | None:
    """Return what to use instead, and where its page is if this site has it."""
    status = version.history.status
    known = {line.commit.version: line for line in version.ledger.lines}
    if status is not None and status.replaced_by:
        name, _, number = status.replaced_by.partition("@")
        ours = name != version.commit.dataset or number in known
        page = addresses.link(addresses.page(name, number), here)
        return status.replaced_by, page if ours else None
    offered = [n for n, line in known.items() if line.history.is_offered]
    if not offered or offered[-1] == version.commit.version:
        return None
    newest = offered[-1]
    page = addresses.link(addresses.page(version.commit.dataset, newest), here)
    return f"{version.commit.dataset}@{newest}", page
