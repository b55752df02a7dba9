"""Outward forms of a version: pure functions of record, facts and manifest, one file a form.

Nothing here reads or writes, and nothing asks a clock: equal arguments give equal bytes, so an
interrupted publication that runs again writes the same files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scidata.digest import Digest
from scidata.facts import Facts
from scidata.formats import bag, card, datacite, intake, manifest_table, stac
from scidata.formats.text import to_json, to_yaml
from scidata.manifest import (
    DECLARATION,
    FACTS,
    MANIFEST,
    MANIFEST_TABLE,
    TAG_MANIFEST,
    Manifest,
)
from scidata.record import Record

RECORD = "meta/record.yaml"
ITEM = "meta/item.json"
DATACITE = "meta/datacite.json"
README = "README.md"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where the payload of a version lies, as far as not in its own prefix."""

    since: Mapping[str, str] = field(default_factory=dict)
    """By path, the older version in whose prefix a file lies."""
    hrefs: Mapping[str, str] = field(default_factory=dict)
    """By asset key, where the asset lies below the dataset's prefix."""


def prefix_of(version: str) -> str:
    """Return the folder of a version below its dataset."""
    return f"v{version}/"


def catalog_of(version: str) -> str:
    """Return the pinned Intake catalog of a version below its dataset."""
    return f"catalog-{version}.yaml"


def tag_files(
    record_bytes: bytes,
    record: Record,
    manifest: Manifest,
    sizes: Mapping[str, int],
    facts: Facts,
    *,
    placed: Placed | None = None,
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

    Returns
    -------
    dict of str to bytes
        By key below the dataset's prefix: the bag's tag files, such as ``v1.0.0/bagit.txt``,
        and the version's Intake catalog beside the bag, ``catalog-1.0.0.yaml``.
    """
    placed = placed or Placed()
    tags = {
        DECLARATION: bag.bagit_txt(),
        "bag-info.txt": bag.bag_info(record, facts),
        MANIFEST: manifest.text,
        MANIFEST_TABLE: manifest_table.to_parquet(manifest, sizes, facts, placed.since),
        RECORD: record_bytes,
        FACTS: to_json(facts.model_dump(mode="json")),
        ITEM: to_json(stac.item(record, facts, manifest, sizes, placed.hrefs)),
        DATACITE: to_json(datacite.attributes(record, facts)),
        README: card.readme(record, facts),
    }
    digests = {path: Digest.of(data) for path, data in tags.items()}
    tags[TAG_MANIFEST] = bag.tag_manifest(digests)
    keyed = {prefix_of(facts.version) + path: data for path, data in tags.items()}
    catalog = intake.version_catalog(record, facts, placed.hrefs)
    return keyed | {catalog_of(facts.version): to_yaml(catalog)}
