"""Outward forms of a version: pure functions of record, facts and manifest, one file a form.

Nothing here reads or writes, and nothing asks a clock: equal arguments give equal bytes, so an
interrupted publication that runs again writes the same files.
"""

from collections.abc import Mapping
from types import MappingProxyType

from scidata.digest import Digest
from scidata.facts import Facts
from scidata.formats import bag, manifest_table, partial, terms
from scidata.formats.forms import FORMS
from scidata.formats.subject import Placed, Subject, public_url
from scidata.formats.text import to_json
from scidata.manifest import (
    DECLARATION,
    FACTS,
    MANIFEST,
    MANIFEST_TABLE,
    TAG_MANIFEST,
    Manifest,
)
from scidata.parts import Parts
from scidata.record import Record

RECORD = "meta/record.yaml"
ITEM = FORMS["stac"].path
LICENSE = "meta/LICENSE"
FETCH = "fetch.txt"

__all__ = [
    "FETCH",
    "FORMS",
    "ITEM",
    "LICENSE",
    "RECORD",
    "Placed",
    "Subject",
    "catalog_of",
    "prefix_of",
    "public_url",
    "references_of",
    "tag_files",
]


def prefix_of(version: str) -> str:
    """Return the folder of a version below its dataset."""
    return f"v{version}/"


def catalog_of(version: str) -> str:
    """Return the pinned Intake catalog of a version below its dataset."""
    return f"catalog-{version}.yaml"


def references_of(key: str) -> str:
    """Return the path in the bag of the index of references of an adopted asset."""
    return f"meta/references/{key}.json"


def tag_files(
    record_bytes: bytes,
    record: Record,
    manifest: Manifest,
    sizes: Mapping[str, int],
    facts: Facts,
    *,
    placed: Placed | None = None,
    parts: Mapping[str, Parts] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Return every file of a version besides its payload.

    Parameters
    ----------
    record_bytes : bytes
        The record as it was written; stored unchanged.
    record, facts : Record, Facts
        What the forms are derived from.
    manifest, sizes : Manifest, mapping of str to int
        The payload: digests, and sizes in bytes, by path.
    placed : Placed, optional
        Where the payload lies; by default all of it in the version's own prefix.
    parts : mapping of str to Parts, optional
        The sha256 of each part of large files, by path.

    Returns
    -------
    dict of str to bytes
        By key below the dataset's prefix: the bag's tag files, such as ``v1.0.0/bagit.txt``,
        and the version's Intake catalog beside the bag, ``catalog-1.0.0.yaml``.
    """
    placed = placed or Placed()
    subject = Subject(record=record, facts=facts, manifest=manifest, sizes=sizes, placed=placed)
    tags = {
        DECLARATION: bag.bagit_txt(),
        "bag-info.txt": bag.bag_info(record, facts),
        MANIFEST: manifest.text,
        MANIFEST_TABLE: manifest_table.to_parquet(
            manifest, sizes, facts, placed.since, sources=placed.sources, parts=parts
        ),
        RECORD: record_bytes,
        FACTS: to_json(facts.model_dump(mode="json")),
        LICENSE: terms.license_file(record, facts),
        **{form.path: form.write(subject) for form in FORMS.values() if form.path},
        **placed.references,
    }
    if placed.sources:
        tags[FETCH] = bag.fetch_txt(
            {
                p: (public_url(s.url, placed.outside), sizes[p])
                for p, s in placed.sources.items()
            }
        )
    if placed.since:
        tags |= _of_a_delta(sizes, facts, placed)
    digests = {path: Digest.of(data) for path, data in tags.items()}
    tags[TAG_MANIFEST] = bag.tag_manifest(digests)
    keyed = {prefix_of(facts.version) + path: data for path, data in tags.items()}
    return keyed | {catalog_of(facts.version): FORMS["intake"].write(subject)}


def _of_a_delta(sizes: Mapping[str, int], facts: Facts, placed: Placed) -> dict[str, bytes]:
    base = partial.fetch_base(placed.fetch_from or placed.url)
    return {
        partial.FETCH: partial.fetch_txt(placed.since, sizes, facts, base),
        partial.PARTIAL_VERSION: partial.partial_version(
            placed.since, placed.removed, facts, prefixes=placed.prefixes, url=placed.url
        ),
    }
