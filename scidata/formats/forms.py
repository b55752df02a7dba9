"""The outward forms by name. Whatever is listed here is stored, and can be exported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scidata.formats import (
    bibtex,
    card,
    cff,
    croissant,
    datacite,
    dcat,
    intake,
    media,
    rocrate,
    schemaorg,
    stac,
)
from scidata.formats.intake_entries import CATALOG_DIR
from scidata.formats.subject import META, Subject
from scidata.formats.text import to_json, to_yaml

JSON_LD = "application/ld+json"


@dataclass(frozen=True, kw_only=True)
class Form:
    """One outward form."""

    path: str
    """Where it lies in a version's folder; empty if beside it."""
    media_type: str
    title: str
    write: Callable[[Subject], bytes]
    profile: str | None = None
    """URI of the standard, as ``describedby`` links name it."""


def _stac(subject: Subject) -> bytes:
    document = stac.item(
        subject.record,
        subject.facts,
        subject.manifest,
        subject.sizes,
        subject.placed.hrefs,
        sources=subject.placed.sources,
        doi=subject.doi,
    )
    for linked in [*document["assets"].values(), *document["links"]]:
        linked["href"] = subject.absolute(subject.prefix + META, linked["href"])
    return to_json(document)


def _intake(subject: Subject) -> bytes:
    placed = subject.placed
    catalog = intake.version_catalog(
        subject.record, subject.facts, placed.hrefs, placed.outside, doi=subject.doi
    )
    if subject.base_url is None:
        return to_yaml(catalog)
    folder = f"{subject.base_url.rstrip('/')}/{subject.facts.dataset}"
    for data in catalog["data"].values():
        data["kwargs"]["url"] = data["kwargs"]["url"].replace(CATALOG_DIR, folder)
    return to_yaml(catalog)


def _card(subject: Subject) -> bytes:
    outside = len(subject.placed.sources)
    return card.readme(subject.record, subject.facts, outside=outside, doi=subject.doi)


def _datacite(subject: Subject) -> bytes:
    return to_json(datacite.attributes(subject.record, subject.facts, subject.doi))


FORMS: Mapping[str, Form] = {
    "bibtex": Form(
        path="meta/citation.bib",
        media_type="application/x-bibtex",
        title="BibTeX entry",
        write=bibtex.entry,
    ),
    "card": Form(
        path="README.md",
        media_type="text/markdown",
        title="What it is and how to check it",
        write=_card,
    ),
    "cff": Form(
        path="meta/CITATION.cff",
        media_type=media.YAML,
        title="Citation File Format",
        write=lambda subject: to_yaml(cff.document(subject)),
    ),
    "croissant": Form(
        path="meta/croissant.json",
        media_type=JSON_LD,
        title="Croissant metadata",
        write=lambda subject: to_json(croissant.document(subject)),
        profile=croissant.CONFORMS_TO[0],
    ),
    "datacite": Form(
        path="meta/datacite.json",
        media_type=media.JSON,
        title="DataCite metadata",
        write=_datacite,
        profile=datacite.SCHEMA_VERSION,
    ),
    "dcat": Form(
        path="meta/dcat.jsonld",
        media_type=JSON_LD,
        title="DCAT-AP description",
        write=lambda subject: to_json(dcat.document(subject)),
        profile="http://www.w3.org/ns/dcat#",
    ),
    "intake": Form(
        path="",
        media_type=media.YAML,
        title="Intake catalog",
        write=_intake,
    ),
    "rocrate": Form(
        path=rocrate.FILE,
        media_type=JSON_LD,
        title="RO-Crate metadata",
        write=lambda subject: to_json(rocrate.document(subject)),
        profile=rocrate.CRATE,
    ),
    "schemaorg": Form(
        path="meta/schemaorg.jsonld",
        media_type=JSON_LD,
        title="schema.org description",
        write=lambda subject: to_json(schemaorg.document(subject)),
        profile="https://schema.org/",
    ),
    "stac": Form(
        path="meta/item.json",
        media_type="application/geo+json",
        title="STAC item",
        write=_stac,
        profile=f"https://schemas.stacspec.org/v{stac.STAC_VERSION}/item-spec/json-schema/item.json",
    ),
}
